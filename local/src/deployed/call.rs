//! Signs and sends single calls: a service's SDK would be as large as all the others together.

mod error;
mod signer;

use std::fmt;
use std::fmt::Write;
use std::time::Duration;

use aws_config::retry::RetryConfig;
use aws_smithy_runtime::client::orchestrator::operation::Operation;
use aws_smithy_runtime::client::retries::classifiers::{HttpStatusCodeClassifier, TransientErrorClassifier};
use aws_smithy_runtime_api::client::interceptors::context::InterceptorContext;
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse, OrchestratorError};
use aws_smithy_runtime_api::client::retries::classifiers::{ClassifyRetry, RetryAction};

pub use self::error::CallError;
pub use self::signer::Signer;

type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// How long a call may take, its retries included, where nothing else is said.
const LIMIT: Duration = Duration::from_secs(60);

/// One signed call of an AWS service for which this crate has no client, such as S3, SQS or SNS.
///
/// It is sent with the retries of the [`Signer`]'s configuration: after failed connections, server errors and throttling.
///
/// ```no_run
/// use lambda_streams_local::{SignedCall, Signer};
///
/// # async fn example(config: &aws_config::SdkConfig) -> Result<(), Box<dyn std::error::Error>> {
/// let signer = Signer::new(config)?;
/// let call = SignedCall::new("s3", "eu-central-1", "https://s3.eu-central-1.amazonaws.com")
///     .path("/discarded")
///     .query("list-type", "2")
///     .query("prefix", "aws/lambda/");
/// let response = call.send(&signer).await?;
/// println!("{}", response.text());
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct SignedCall {
    service: &'static str,
    region: String,
    method: &'static str,
    endpoint: String,
    /// The encoded path, with the query.
    target: String,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
    timeout: Duration,
}

impl SignedCall {
    /// A `GET` of `/`. `service` is the name that signatures use, such as `s3`. `endpoint` is the scheme and the host.
    pub fn new(service: &'static str, region: impl Into<String>, endpoint: impl AsRef<str>) -> Self {
        Self {
            service,
            region: region.into(),
            method: "GET",
            endpoint: endpoint.as_ref().trim_end_matches('/').to_owned(),
            target: "/".to_owned(),
            headers: Vec::new(),
            body: Vec::new(),
            timeout: LIMIT,
        }
    }

    /// A method other than `GET`.
    #[must_use]
    pub fn method(mut self, method: &'static str) -> Self {
        self.method = method;
        self
    }

    /// The path, which begins with `/` and is not encoded: this method percent-encodes it. Call it before [`query`](Self::query).
    #[must_use]
    pub fn path(mut self, path: &str) -> Self {
        self.target = encoded(path, "/");
        self
    }

    /// Adds a parameter of the query string, not encoded: this method percent-encodes it.
    #[must_use]
    pub fn query(mut self, name: &str, value: &str) -> Self {
        let separator = if self.target.contains('?') { '&' } else { '?' };
        // Writing to a `String` cannot fail.
        let _ = write!(self.target, "{separator}{}={}", encoded(name, ""), encoded(value, ""));
        self
    }

    /// Adds a header, which is signed.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// The body: text or bytes.
    #[must_use]
    pub fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        self
    }

    /// How long the call may take, retries included. Default 60 s.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Signs and sends the call, and waits for the whole response.
    ///
    /// Dropping the future abandons the call. The service may have carried it out already.
    ///
    /// # Errors
    /// If there are no credentials, if the endpoint cannot be reached, if there is no response in time, or if the response
    /// is still not a success after the retries.
    pub async fn send(self, signer: &Signer) -> Result<CallResponse, CallError> {
        let config = signer.config();
        let client = config.http_client().ok_or_else(|| CallError::new("the configuration has no HTTP client"))?;
        let retries = config.retry_config().cloned().unwrap_or_else(RetryConfig::standard);
        let (endpoint, timeout) = (self.endpoint.clone(), self.timeout);
        let signed = signer.sign(self).await?;
        let mut operation = Operation::builder()
            .service_name("signed call")
            .operation_name("send")
            .http_client(client)
            .endpoint_url(&endpoint)
            .no_auth()
            .standard_retry(&retries)
            .retry_classifier(TransientErrorClassifier::<CallError>::new())
            .retry_classifier(HttpStatusCodeClassifier::default())
            .retry_classifier(Throttling)
            .serializer(request)
            .deserializer(response);
        if let Some(sleep) = config.sleep_impl() {
            operation = operation.sleep_impl(sleep);
        }
        match tokio::time::timeout(timeout, operation.build().invoke(signed)).await {
            Ok(Ok(response)) => Ok(response),
            Ok(Err(error)) => Err(error.as_service_error().cloned().unwrap_or_else(|| CallError::of(&error))),
            Err(_) => Err(CallError::new(format!("no response within {} seconds", timeout.as_secs()))),
        }
    }
}

/// Shows where it goes, without its headers and its body.
impl fmt::Debug for SignedCall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SignedCall")
            .field("method", &self.method)
            .field("endpoint", &self.endpoint)
            .field("target", &self.target)
            .finish_non_exhaustive()
    }
}

/// The successful response to a [`SignedCall`].
/// ```no_run
/// use lambda_streams_local::{SignedCall, Signer};
///
/// # async fn example(config: &aws_config::SdkConfig) -> Result<(), Box<dyn std::error::Error>> {
/// let call = SignedCall::new("s3", "eu-central-1", "https://s3.eu-central-1.amazonaws.com").path("/bucket/object");
/// let response = call.send(&Signer::new(config)?).await?;
/// println!("{:?}, {} bytes", response.header("content-type"), response.bytes().len());
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct CallResponse {
    headers: Vec<(String, String)>,
    body: Vec<u8>,
}

impl CallResponse {
    /// The value of a header. Upper and lower case of its name do not matter.
    pub fn header(&self, name: &str) -> Option<&str> {
        find(&self.headers, name)
    }

    /// The body's bytes.
    pub fn bytes(&self) -> &[u8] {
        &self.body
    }

    /// Takes the body's bytes.
    pub fn into_bytes(self) -> Vec<u8> {
        self.body
    }

    /// The body as text. Bytes that are not UTF-8 are replaced.
    pub fn text(&self) -> std::borrow::Cow<'_, str> {
        String::from_utf8_lossy(&self.body)
    }
}

/// Shows the length of the body, without its content.
impl fmt::Debug for CallResponse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CallResponse").field("bytes", &self.body.len()).finish_non_exhaustive()
    }
}

fn find<'a>(headers: &'a [(String, String)], name: &str) -> Option<&'a str> {
    headers.iter().find(|(header, _)| header.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
}

fn request(call: SignedCall) -> Result<HttpRequest, BoxError> {
    let mut request = HttpRequest::new(call.body.into());
    request.set_method(call.method)?;
    request.set_uri(call.target)?;
    for (name, value) in call.headers {
        request.headers_mut().try_insert(name, value)?;
    }
    Ok(request)
}

fn response(response: &HttpResponse) -> Result<CallResponse, OrchestratorError<CallError>> {
    let headers = response.headers().iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    let body = response.body().bytes().unwrap_or_default().to_vec();
    if response.status().is_success() {
        return Ok(CallResponse { headers, body });
    }
    Err(OrchestratorError::operation(CallError::refused(response.status().as_u16(), headers, &body)))
}

/// Retries what a service asks to be retried with a status of the client's fault.
#[derive(Debug)]
struct Throttling;

impl ClassifyRetry for Throttling {
    fn classify_retry(&self, context: &InterceptorContext) -> RetryAction {
        let error = context.output_or_error().and_then(Result::err).and_then(OrchestratorError::as_operation_error);
        let is_throttled =
            error.and_then(|error| error.downcast_ref::<CallError>()).is_some_and(CallError::is_throttled);
        if is_throttled { RetryAction::throttling_error() } else { RetryAction::NoActionIndicated }
    }

    fn name(&self) -> &'static str {
        "throttling"
    }
}

/// Percent-encodes all but RFC 3986's unreserved characters and those of `keep`.
pub(super) fn encoded(text: &str, keep: &str) -> String {
    text.bytes().fold(String::with_capacity(text.len()), |mut out, byte| {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) || keep.as_bytes().contains(&byte) {
            out.push(char::from(byte));
        } else {
            // Writing to a `String` cannot fail.
            let _ = write!(out, "%{byte:02X}");
        }
        out
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_and_queries_are_encoded() {
        let call = SignedCall::new("s3", "eu-central-1", "https://example.com/")
            .path("/bucket/a b+ü/c")
            .query("prefix", "a/b&c")
            .query("list-type", "2");
        assert_eq!(call.endpoint, "https://example.com");
        assert_eq!(call.target, "/bucket/a%20b%2B%C3%BC/c?prefix=a%2Fb%26c&list-type=2");
    }
}
