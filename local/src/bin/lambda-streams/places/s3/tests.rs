//! Buckets of a local AWS, and answers that a test makes up.

use futures::stream::{self, StreamExt};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpListener;

use super::*;
use crate::args::AwsArgs;
use crate::ministack;

#[test]
fn a_url_has_a_bucket_and_maybe_a_prefix() {
    let url = |bucket: &str, key: &str| Some(S3Url { bucket: bucket.to_owned(), key: key.to_owned() });
    assert_eq!(S3Url::parse("s3://discarded/aws/lambda/"), url("discarded", "aws/lambda/"));
    assert_eq!(S3Url::parse("s3://discarded"), url("discarded", ""));
    assert_eq!(S3Url::parse("arn:aws:s3:::discarded"), url("discarded", ""));
    assert_eq!(S3Url::parse("arn:aws-cn:s3:::discarded/a/b"), url("discarded", "a/b"));
    for other in ["s3://", "s3:///key", "discarded", "arn:aws:sqs:eu-central-1:1:q", "s3://a b/c", "https://x/y"] {
        assert_eq!(S3Url::parse(other), None, "{other}");
    }
}

#[test]
fn a_listing_is_read_in_either_encoding() {
    let page = |encoding: &str, key: &str| {
        format!(
            "<?xml version=\"1.0\"?><ListBucketResult><Name>b</Name>{encoding}<IsTruncated>true</IsTruncated>\
             <NextContinuationToken>1&amp;2</NextContinuationToken><Contents><Key>{key}</Key>\
             <LastModified>2026-01-01T00:00:00.000Z</LastModified><Size>7</Size></Contents></ListBucketResult>"
        )
    };
    let encoded = page("<EncodingType>url</EncodingType>", "a%2Fb+c%26%C3%BC%zz");
    for (xml, key) in [(encoded, "a/b c&ü%zz"), (page("", "a/b+c&amp;%41"), "a/b+c&%41")] {
        let object = Object { key: key.to_owned(), size: 7, last_modified: "2026-01-01T00:00:00.000Z".to_owned() };
        assert_eq!(listing(&xml), Listing { objects: vec![object], next: Some("1&2".to_owned()) });
    }
    assert_eq!(listing("<html>"), Listing { objects: Vec::new(), next: None });
}

fn args(endpoint: &str) -> AwsArgs {
    AwsArgs { region: Some("us-east-1".to_owned()), profile: None, endpoint_url: Some(endpoint.to_owned()) }
}

fn url(bucket: &str, key: &str) -> S3Url {
    S3Url { bucket: bucket.to_owned(), key: key.to_owned() }
}

impl S3 {
    async fn put(&self, url: &S3Url, body: &[u8]) {
        let call = |region: &str| self.call(&url.bucket, &url.key, region).method("PUT").body(body);
        self.send(url, "s3:PutObject", call).await.expect("it can be put");
    }
}

#[tokio::test]
async fn objects_are_listed_page_by_page_read_and_deleted() {
    let Some(endpoint) = ministack::endpoint() else { return };
    let args = args(endpoint);
    let s3 = S3::new(&Aws::new(&args)).await.expect("there are credentials");
    s3.put(&url("discarded", ""), b"").await;
    let mut keys: Vec<String> = (0..1_003).map(|number| format!("aws/lambda/{number:04}")).collect();
    keys.extend(["a b+c", "d&e<f>", "g/\"h'", "i%20j", "ü😀"].map(|key| format!("aws/lambda/{key}")));
    let put = |key: &String| {
        let (url, s3) = (url("discarded", key), &s3);
        async move { s3.put(&url, url.key.as_bytes()).await }
    };
    let puts: Vec<_> = keys.iter().map(put).collect();
    stream::iter(puts).buffer_unordered(8).collect::<Vec<()>>().await;
    s3.put(&url("discarded", "other"), b"").await;

    let prefix = url("discarded", "aws/lambda/");
    let page = s3.list(&prefix, None).await.expect("the bucket is there");
    assert!(page.next.is_some() && page.objects.len() == 1_000, "{}", page.objects.len());
    let objects = s3.list_all(&prefix).await.expect("the bucket is there");
    keys.sort();
    assert_eq!(objects.iter().map(|object| object.key.as_str()).collect::<Vec<_>>(), keys);
    let last = objects.last().expect("there are many");
    assert!(last.size == last.key.len() as u64 && humantime::parse_rfc3339(&last.last_modified).is_ok(), "{last:?}");
    for key in &keys[1_000..] {
        assert_eq!(s3.get(&url("discarded", key)).await.expect("it is there"), key.as_bytes());
        s3.delete(&url("discarded", key)).await.expect("it is there");
        let error = s3.get(&url("discarded", key)).await.expect_err("it is deleted").to_string();
        assert!(error.contains("NoSuchKey") && error.ends_with("the object no longer exists"), "{error}");
    }
    assert_eq!(s3.list_all(&prefix).await.expect("the bucket is there").len(), 1_000);
    let error = s3.list_all(&url("nowhere", "")).await.expect_err("there is none").to_string();
    assert!(error.starts_with("s3://nowhere/: NoSuchBucket"), "{error}");
    assert!(error.ends_with("check its name, the region, the account and the endpoint"), "{error}");
}

/// Answers connection after connection with these responses; returns what was asked, without bodies.
async fn answered(answers: Vec<&'static str>) -> (String, tokio::task::JoinHandle<Vec<String>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("there is a free port");
    let endpoint = format!("http://{}", listener.local_addr().expect("it is bound"));
    let serving = tokio::spawn(async move {
        let mut heads = Vec::new();
        for answer in answers {
            let (mut stream, _) = listener.accept().await.expect("it listens");
            let (read, mut write) = stream.split();
            let (mut lines, mut head) = (BufReader::new(read).lines(), String::new());
            while let Some(line) = lines.next_line().await.expect("UTF-8").filter(|line| !line.is_empty()) {
                head.push_str(&format!("{line}\n"));
            }
            heads.push(head);
            write.write_all(answer.as_bytes()).await.expect("it is read");
        }
        heads
    });
    (endpoint, serving)
}

const MOVED: &str =
    "HTTP/1.1 301 Moved\r\nx-amz-bucket-region: eu-west-3\r\nconnection: close\r\ncontent-length: 0\r\n\r\n";
const EMPTY: &str = "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 0\r\n\r\n";
const DENIED: &str = "HTTP/1.1 403 No\r\nconnection: close\r\ncontent-length: 113\r\n\r\n<Error><Code>AccessDenied</Code>\
                      <Message>not authorized to perform: kms:Decrypt on the resource</Message></Error>";

#[tokio::test]
async fn a_bucket_in_another_region_is_found_there() {
    let (endpoint, serving) = answered(vec![MOVED, EMPTY, EMPTY]).await;
    let args = args(&endpoint);
    let s3 = S3::new(&Aws::new(&args)).await.expect("there are credentials");
    assert_eq!(s3.get(&url("far", "a b")).await.expect("it is there"), b"");
    s3.delete(&url("far", "a b")).await.expect("it is there");
    let heads = serving.await.expect("it does not panic");
    let regions = ["/us-east-1/s3/", "/eu-west-3/s3/", "/eu-west-3/s3/"];
    for (head, region) in heads.iter().zip(regions) {
        assert!(head.contains(region) && head.contains(" /far/a%20b"), "{region}: {head}");
    }
    assert!(heads[2].starts_with("DELETE "), "{}", heads[2]);
}

#[tokio::test]
async fn a_missing_permission_on_the_key_is_named() {
    let (endpoint, _serving) = answered(vec![DENIED]).await;
    let args = args(&endpoint);
    let s3 = S3::new(&Aws::new(&args)).await.expect("there are credentials");
    let error = s3.get(&url("secret", "k")).await.expect_err("it is denied").to_string();
    assert!(error.contains("allow kms:Decrypt on that key"), "{error}");
}
