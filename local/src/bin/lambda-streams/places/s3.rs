//! Buckets: their objects are listed, read and deleted.

use std::borrow::Cow;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use lambda_streams_local::{CallError, CallResponse, SignedCall, Signer};

use super::{PlaceError, check_size, xml};
use crate::aws::Aws;
use crate::failure::Failure;

/// How long one object may take, its retries included: exports are large, and lines slow.
const OBJECT_LIMIT: Duration = Duration::from_secs(30 * 60);

/// A bucket and a key, or the beginning of keys: `s3://bucket/prefix`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct S3Url {
    pub(crate) bucket: String,
    /// Without a leading slash; may be empty.
    pub(crate) key: String,
}

impl S3Url {
    /// Reads `s3://bucket/prefix`, and a bucket's ARN with or without a prefix; `None` for anything else.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let path = text.strip_prefix("s3://").or_else(|| {
            let rest = text.strip_prefix("arn:")?;
            rest.split_once(":s3:::").map(|(_, path)| path)
        })?;
        let (bucket, key) = path.split_once('/').unwrap_or((path, ""));
        let is_bucket = !bucket.is_empty()
            && bucket.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_'));
        is_bucket.then(|| Self { bucket: bucket.to_owned(), key: key.to_owned() })
    }
}

impl std::fmt::Display for S3Url {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "s3://{}/{}", self.bucket, self.key)
    }
}

/// An object of a listing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Object {
    pub(crate) key: String,
    pub(crate) size: u64,
    /// RFC 3339.
    pub(crate) last_modified: String,
}

/// One page of a listing, in the order of the keys' bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Listing {
    pub(crate) objects: Vec<Object>,
    /// Where the next page begins, if there is one.
    pub(crate) next: Option<String>,
}

/// Calls S3.
pub(crate) struct S3 {
    signer: Arc<Signer>,
    /// The region of the command, until a bucket says that it is in another one.
    region: Mutex<String>,
    endpoint: Option<String>,
}

impl S3 {
    pub(crate) async fn new(aws: &Aws<'_>) -> Result<Self, Failure> {
        Ok(Self {
            signer: aws.signer().await?,
            region: Mutex::new(aws.region().await?),
            endpoint: aws.endpoint("AWS_ENDPOINT_URL_S3"),
        })
    }

    /// One page of the objects whose keys begin with the URL's.
    pub(crate) async fn list(&self, url: &S3Url, page: Option<&str>) -> Result<Listing, PlaceError> {
        let response = self.send(url, "s3:ListBucket", |region| {
            let call = self.call(&url.bucket, "", region).query("list-type", "2").query("encoding-type", "url");
            let call = if url.key.is_empty() { call } else { call.query("prefix", &url.key) };
            page.map_or(call.clone(), |page| call.query("continuation-token", page))
        });
        Ok(listing(&response.await?.text()))
    }

    /// All objects whose keys begin with the URL's.
    pub(crate) async fn list_all(&self, url: &S3Url) -> Result<Vec<Object>, PlaceError> {
        let mut page = self.list(url, None).await?;
        let mut objects = page.objects;
        // A token that is repeated would never end.
        let mut last: Option<String> = None;
        while let Some(next) = page.next.filter(|next| last.as_ref() != Some(next)) {
            page = self.list(url, Some(&next)).await?;
            objects.append(&mut page.objects);
            last = Some(next);
        }
        Ok(objects)
    }

    /// The bytes of the object that has the URL's key.
    pub(crate) async fn get(&self, url: &S3Url) -> Result<Vec<u8>, PlaceError> {
        let call = |region: &str| self.call(&url.bucket, &url.key, region).timeout(OBJECT_LIMIT);
        self.send(url, "s3:GetObject", call).await.map(CallResponse::into_bytes)
    }

    /// The texts of all objects whose keys begin with the URL's.
    ///
    /// # Errors
    /// If there is none, if one is not UTF-8, or if they are more than a run takes.
    pub(crate) async fn texts(&self, url: &S3Url) -> Result<Vec<(S3Url, String)>, Failure> {
        let mut objects = self.list_all(url).await.map_err(Failure::not_begun)?;
        // Consoles make an empty object of a folder.
        objects.retain(|object| object.size > 0 || !object.key.ends_with('/'));
        if objects.is_empty() {
            return Err(Failure::not_begun(format!(
                "there is nothing at {url}: all of it is replayed, or the name is another"
            )));
        }
        let (mut texts, mut bytes) = (Vec::new(), 0);
        for object in objects {
            let object = S3Url { bucket: url.bucket.clone(), key: object.key };
            let body = self.get(&object).await.map_err(Failure::not_begun)?;
            bytes += body.len();
            check_size(bytes)?;
            let text = String::from_utf8(body).map_err(|_| Failure::not_begun(format!("{object} is not UTF-8")))?;
            texts.push((object, text));
        }
        Ok(texts)
    }

    /// Deletes the object that has the URL's key; one that is not there is deleted.
    pub(crate) async fn delete(&self, url: &S3Url) -> Result<(), PlaceError> {
        let call = |region: &str| self.call(&url.bucket, &url.key, region).method("DELETE");
        self.send(url, "s3:DeleteObject", call).await.map(drop)
    }

    /// Sends the call, and again where the bucket is, when it is in another region than the command.
    async fn send(
        &self,
        url: &S3Url,
        action: &'static str,
        call: impl Fn(&str) -> SignedCall,
    ) -> Result<CallResponse, PlaceError> {
        let region = self.region.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let failed = |error| PlaceError::new(&url.to_string(), action, error);
        let error = match call(&region).send(&self.signer).await {
            Ok(response) => return Ok(response),
            Err(error) => error,
        };
        let Some(other) = other_region(&error, &region) else { return Err(failed(error)) };
        self.region.lock().unwrap_or_else(PoisonError::into_inner).clone_from(&other);
        call(&other).send(&self.signer).await.map_err(failed)
    }

    fn call(&self, bucket: &str, key: &str, region: &str) -> SignedCall {
        let domain = if region.starts_with("cn-") { "amazonaws.com.cn" } else { "amazonaws.com" };
        // A dot in the name would not match the certificate of `*.s3.…`.
        let (endpoint, folder) = match &self.endpoint {
            Some(endpoint) => (endpoint.clone(), format!("/{bucket}")),
            None if bucket.contains('.') => (format!("https://s3.{region}.{domain}"), format!("/{bucket}")),
            None => (format!("https://{bucket}.s3.{region}.{domain}"), String::new()),
        };
        SignedCall::new("s3", region, endpoint).path(&format!("{folder}/{key}"))
    }
}

/// The region that the bucket is in, according to its refusal.
fn other_region(error: &CallError, region: &str) -> Option<String> {
    let is_about_region = matches!(error.status(), Some(301 | 307 | 400));
    let other = error.header("x-amz-bucket-region").filter(|other| is_about_region && *other != region)?;
    Some(other.to_owned())
}

fn listing(xml: &str) -> Listing {
    let is_encoded = xml::text(xml, "EncodingType").as_deref() == Some("url");
    let key = |text: String| if is_encoded { decoded(&text).into_owned() } else { text };
    let objects = xml::elements(xml, "Contents").filter_map(|object| {
        Some(Object {
            key: key(xml::text(object, "Key")?),
            size: xml::text(object, "Size").and_then(|size| size.parse().ok()).unwrap_or_default(),
            last_modified: xml::text(object, "LastModified").unwrap_or_default(),
        })
    });
    let is_truncated = xml::text(xml, "IsTruncated").as_deref() == Some("true");
    let next = xml::text(xml, "NextContinuationToken").filter(|_| is_truncated);
    Listing { objects: objects.collect(), next }
}

/// Percent-decodes a key, in which a space is a plus sign.
fn decoded(text: &str) -> Cow<'_, str> {
    if !text.contains(['%', '+']) {
        return Cow::Borrowed(text);
    }
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, after)) = rest.split_first() {
        let escaped = (first == b'%').then(|| after.get(..2)).flatten();
        let escaped = escaped.and_then(|digits| std::str::from_utf8(digits).ok());
        match escaped.and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
            Some(byte) => {
                bytes.push(byte);
                rest = &after[2..];
            }
            None => {
                bytes.push(if first == b'+' { b' ' } else { first });
                rest = after;
            }
        }
    }
    Cow::Owned(String::from_utf8_lossy(&bytes).into_owned())
}

#[cfg(test)]
mod tests;
