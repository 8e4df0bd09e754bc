//! Signs and sends the one call that a service needs here: its SDK would be as large as all the others together.

use std::error::Error;
use std::fmt;
use std::time::{Duration, SystemTime};

use aws_config::SdkConfig;
use aws_config::retry::RetryConfig;
use aws_credential_types::provider::ProvideCredentials;
use aws_sigv4::http_request::{
    PayloadChecksumKind, PercentEncodingMode, SignableBody, SignableRequest, SigningSettings, UriPathNormalizationMode,
    sign,
};
use aws_sigv4::sign::v4;
use aws_smithy_runtime::client::orchestrator::operation::Operation;
use aws_smithy_runtime::client::retries::classifiers::{HttpStatusCodeClassifier, TransientErrorClassifier};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse, OrchestratorError};
use serde::Deserialize;

type BoxError = Box<dyn Error + Send + Sync>;

/// How long a call may take, its retries included.
const LIMIT: Duration = Duration::from_secs(60);

/// One request.
#[derive(Clone)]
pub(super) struct Call<'a> {
    /// The service, as signatures name it.
    pub(super) service: &'static str,
    pub(super) region: &'a str,
    pub(super) method: &'static str,
    /// Scheme and host.
    pub(super) endpoint: String,
    pub(super) path: String,
    pub(super) headers: Vec<(String, String)>,
    pub(super) body: String,
}

impl Call<'_> {
    /// Signs and sends it; a transient error is retried.
    ///
    /// # Errors
    /// If there are no credentials, if the endpoint cannot be reached, or if the response is not a success.
    pub(super) async fn send(self, config: &SdkConfig) -> Result<String, BoxError> {
        let client = config.http_client().ok_or("the configuration has no HTTP client")?;
        let retries = config.retry_config().cloned().unwrap_or_else(RetryConfig::standard);
        let endpoint = self.endpoint.clone();
        let signed = self.sign(config).await?;
        let mut operation = Operation::builder()
            .service_name("on-failure destination")
            .operation_name("send")
            .http_client(client)
            .endpoint_url(&endpoint)
            .no_auth()
            .standard_retry(&retries)
            .retry_classifier(TransientErrorClassifier::<Refusal>::new())
            .retry_classifier(HttpStatusCodeClassifier::default())
            .serializer(request)
            .deserializer(response);
        if let Some(sleep) = config.sleep_impl() {
            operation = operation.sleep_impl(sleep);
        }
        match tokio::time::timeout(LIMIT, operation.build().invoke(signed)).await {
            Ok(responded) => responded.map_err(|error| root_cause(&error).into()),
            Err(_) => Err(format!("no response within {} seconds", LIMIT.as_secs()).into()),
        }
    }

    async fn sign(mut self, config: &SdkConfig) -> Result<Signed, BoxError> {
        let provider = config.credentials_provider().ok_or("there are no credentials")?;
        let identity = provider.provide_credentials().await?.into();
        let params = v4::SigningParams::builder()
            .identity(&identity)
            .region(self.region)
            .name(self.service)
            .time(SystemTime::now())
            .settings(settings(self.service))
            .build()?
            .into();
        let headers = self.headers.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        let body = SignableBody::Bytes(self.body.as_bytes());
        let signable = SignableRequest::new(self.method, format!("{}{}", self.endpoint, self.path), headers, body)?;
        let (instructions, _) = sign(signable, &params)?.into_parts();
        let signature = instructions.headers().map(|(name, value)| (name.to_owned(), value.to_owned()));
        self.headers.extend(signature.collect::<Vec<_>>());
        Ok(Signed { method: self.method, path: self.path, headers: self.headers, body: self.body })
    }
}

/// S3 signs the path unnormalized, and needs the body's hash in a header.
fn settings(service: &str) -> SigningSettings {
    let mut settings = SigningSettings::default();
    if service == "s3" {
        settings.percent_encoding_mode = PercentEncodingMode::Single;
        settings.uri_path_normalization_mode = UriPathNormalizationMode::Disabled;
        settings.payload_checksum_kind = PayloadChecksumKind::XAmzSha256;
    }
    settings
}

struct Signed {
    method: &'static str,
    path: String,
    headers: Vec<(String, String)>,
    body: String,
}

impl fmt::Debug for Signed {
    /// The orchestrator may trace its input: nothing of the body, and no signature.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Signed").field("method", &self.method).field("path", &self.path).finish_non_exhaustive()
    }
}

fn request(signed: Signed) -> Result<HttpRequest, BoxError> {
    let mut request = HttpRequest::new(signed.body.into());
    request.set_method(signed.method)?;
    request.set_uri(signed.path)?;
    for (name, value) in signed.headers {
        request.headers_mut().try_insert(name, value)?;
    }
    Ok(request)
}

fn response(response: &HttpResponse) -> Result<String, OrchestratorError<Refusal>> {
    let body = String::from_utf8_lossy(response.body().bytes().unwrap_or_default()).into_owned();
    if response.status().is_success() {
        return Ok(body);
    }
    Err(OrchestratorError::operation(Refusal(format!("{} ({})", reason(&body), response.status().as_u16()))))
}

/// A response that is not a success.
#[derive(Debug)]
struct Refusal(String);

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Error for Refusal {}

/// The code and the message, which are XML members with some services and JSON members with others.
fn reason(body: &str) -> String {
    #[derive(Deserialize)]
    struct ApiError {
        #[serde(rename = "__type")]
        code: String,
        #[serde(alias = "Message")]
        message: Option<String>,
    }
    let element = |name: &str| {
        let (_, rest) = body.split_once(&format!("<{name}>"))?;
        rest.split_once("</").map(|(text, _)| text.to_owned())
    };
    let (code, message) = match serde_json::from_str::<ApiError>(body) {
        Ok(error) => (error.code.rsplit('#').next().map(str::to_owned), error.message),
        Err(_) => (element("Code"), element("Message")),
    };
    let code = code.unwrap_or_else(|| "refused without a reason".to_owned());
    message.map_or(code.clone(), |message| format!("{code}: {}", message.trim_end_matches('.')))
}

fn root_cause(error: &(dyn Error + 'static)) -> String {
    let innermost = std::iter::successors(Some(error), |error| (*error).source()).last();
    innermost.map(ToString::to_string).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_is_told_in_the_services_words() {
        let table = [
            (
                "<?xml version=\"1.0\"?><Error><Code>AccessDenied</Code><Message>Access Denied.</Message></Error>",
                "AccessDenied: Access Denied",
            ),
            (r#"{"__type":"com.amazonaws.sqs#QueueDoesNotExist","message":"no queue"}"#, "QueueDoesNotExist: no queue"),
            (r#"{"__type":"InvalidAddress"}"#, "InvalidAddress"),
            ("<html>", "refused without a reason"),
            ("", "refused without a reason"),
        ];
        for (body, expected) in table {
            assert_eq!(reason(body), expected);
        }
    }
}
