//! The credentials that Lambda gives a function: in environment variables or, with SnapStart, from an endpoint in its environment.
//!
//! Invariant: nothing is kept longer than it is valid. Variables are read for each request, since they may change.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use aws_credential_types::Credentials;
use aws_credential_types::provider::error::CredentialsError;
use aws_credential_types::provider::{self, ProvideCredentials, future};
use aws_smithy_runtime::client::orchestrator::operation::Operation;
use aws_smithy_runtime_api::client::behavior_version::BehaviorVersion;
use aws_smithy_runtime_api::client::http::SharedHttpClient;
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse, OrchestratorError, SensitiveOutput};
use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_runtime_api::client::runtime_plugin::StaticRuntimePlugin;
use aws_smithy_runtime_api::client::stalled_stream_protection::StalledStreamProtectionConfig;
use aws_smithy_types::config_bag::Layer;
use aws_smithy_types::timeout::TimeoutConfig;
use serde::Deserialize;
use tokio::time::timeout;

use super::endpoint::{host, origin};
use super::{Variables, chain};
use crate::clock::time_of_day;

const KEY_ID: &str = "AWS_ACCESS_KEY_ID";
const SECRET: &str = "AWS_SECRET_ACCESS_KEY";
const SESSION_TOKEN: &str = "AWS_SESSION_TOKEN";
const RELATIVE_URI: &str = "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI";
const FULL_URI: &str = "AWS_CONTAINER_CREDENTIALS_FULL_URI";
const TOKEN: &str = "AWS_CONTAINER_AUTHORIZATION_TOKEN";
const TOKEN_FILE: &str = "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE";

/// The host of relative URIs.
const CONTAINER_HOST: &str = "http://169.254.170.2";
/// The hosts apart from loopback that a full URI may name without encryption
/// ([AWS: container credential provider](https://docs.aws.amazon.com/sdkref/latest/guide/feature-container-credentials.html)).
const CONTAINER_HOSTS: [&str; 3] = ["169.254.170.2", "169.254.170.23", "fd00:ec2::23"];

/// It is on this machine.
const FETCH_TIMEOUT: Duration = Duration::from_secs(2);
/// How long before they expire credentials are fetched again.
const RENEWED_BEFORE: Duration = Duration::from_secs(5 * 60);
/// How long credentials are kept that do not say when they expire.
const KEPT: Duration = Duration::from_secs(15 * 60);

/// The function's credentials.
#[derive(Clone)]
pub(crate) struct FunctionCredentials {
    variables: Variables,
    http: SharedHttpClient,
    /// Those of the endpoint that are still valid.
    fetched: Arc<Mutex<Option<Fetched>>>,
}

#[derive(Clone)]
struct Fetched {
    credentials: Credentials,
    expires: SystemTime,
}

impl FunctionCredentials {
    pub(crate) fn new(variables: Variables, http: SharedHttpClient) -> Self {
        Self { variables, http, fetched: Arc::default() }
    }

    /// Whether they come from an endpoint with HTTPS.
    pub(crate) fn need_https(variables: &Variables) -> bool {
        variables.get(FULL_URI).is_some_and(|uri| uri.starts_with("https://"))
    }

    /// Has them fetched again for the next request, because a service refused them.
    pub(crate) fn forget(&self) {
        self.keep(None);
    }

    fn keep(&self, fetched: Option<Fetched>) {
        *self.fetched.lock().unwrap_or_else(PoisonError::into_inner) = fetched;
    }

    fn fetched(&self) -> Option<Fetched> {
        self.fetched.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    async fn provide(&self) -> provider::Result {
        let variable = |name: &str| self.variables.get(name);
        let not_set =
            |name: &str| CredentialsError::not_loaded(format!("the environment variable `{name}` is not set"));
        if let Some(key_id) = variable(KEY_ID) {
            let secret = variable(SECRET).ok_or_else(|| not_set(SECRET))?;
            return Ok(Credentials::new(key_id, secret, variable(SESSION_TOKEN), None, "environment"));
        }
        let uri = match (variable(RELATIVE_URI), variable(FULL_URI)) {
            (Some(path), _) => format!("{CONTAINER_HOST}{path}"),
            (None, Some(uri)) => uri,
            (None, None) => return Err(not_set(&format!("{KEY_ID}` or `{FULL_URI}"))),
        };
        self.of_endpoint(&uri).await
    }

    async fn of_endpoint(&self, uri: &str) -> provider::Result {
        let now = time_of_day();
        let known = self.fetched();
        if let Some(known) = known.as_ref().filter(|known| now + RENEWED_BEFORE < known.expires) {
            return Ok(known.credentials.clone());
        }
        match self.fetch(uri).await {
            Ok(response) => {
                let fetched = response.into_fetched(now);
                self.keep(Some(fetched.clone()));
                Ok(fetched.credentials)
            }
            Err(error) => known.filter(|known| now < known.expires).map(|known| known.credentials).ok_or(error),
        }
    }

    async fn fetch(&self, uri: &str) -> Result<Response, CredentialsError> {
        if !is_trusted(uri) {
            return Err(CredentialsError::invalid_configuration(format!(
                "`{FULL_URI}` names neither HTTPS nor this machine: the token is not sent there"
            )));
        }
        let request = Request { uri: uri.to_owned(), token: self.token()? };
        let operation = Operation::builder()
            .service_name("credentials")
            .operation_name("fetch")
            .behavior_version(BehaviorVersion::latest())
            .http_client(self.http.clone())
            .endpoint_url(origin(uri).unwrap_or_default())
            .no_auth()
            .no_retry()
            .timeout_config(TimeoutConfig::disabled())
            .stalled_stream_protection(StalledStreamProtectionConfig::disabled())
            // At the level `TRACE` the SDK logs what it reads.
            .runtime_plugin(StaticRuntimePlugin::new().with_config({
                let mut layer = Layer::new("secret");
                layer.store_put(SensitiveOutput);
                layer.freeze()
            }))
            .serializer(|request: Request| Ok(request.into_http()?))
            .deserializer(|response| Response::read(response).map_err(OrchestratorError::operation))
            .build();
        match timeout(FETCH_TIMEOUT, operation.invoke(request)).await {
            Ok(Ok(response)) => Ok(response),
            Ok(Err(SdkError::ServiceError(error))) => Err(error.into_err()),
            Ok(Err(error)) => Err(unavailable(uri, &chain(&error))),
            Err(_) => Err(unavailable(uri, &format!("no response within {} s", FETCH_TIMEOUT.as_secs()))),
        }
    }

    /// The token for the endpoint. A file is read each time, since its token is replaced from time to time.
    fn token(&self) -> Result<Option<String>, CredentialsError> {
        let Some(path) = self.variables.get(TOKEN_FILE) else { return Ok(self.variables.get(TOKEN)) };
        let token = std::fs::read_to_string(path).map_err(|error| {
            CredentialsError::invalid_configuration(format!("`{TOKEN_FILE}` cannot be read: {error}"))
        })?;
        Ok(Some(token.trim().to_owned()))
    }
}

/// Whether a token may be sent there: only encrypted, or without leaving the machine.
fn is_trusted(uri: &str) -> bool {
    let Some(origin) = origin(uri) else { return false };
    let Some(authority) = origin.strip_prefix("http://") else { return true };
    let host = host(authority);
    let is_loopback = host.parse().is_ok_and(|address: std::net::IpAddr| address.is_loopback());
    is_loopback || host == "localhost" || CONTAINER_HOSTS.contains(&host)
}

fn unavailable(uri: &str, what: &str) -> CredentialsError {
    CredentialsError::provider_error(format!("{} gave none: {what}", origin(uri).unwrap_or_default()))
}

/// What the endpoint is asked.
struct Request {
    uri: String,
    token: Option<String>,
}

impl Request {
    fn into_http(self) -> Result<HttpRequest, CredentialsError> {
        let mut request = HttpRequest::get(self.uri).map_err(CredentialsError::invalid_configuration)?;
        request.headers_mut().try_insert("accept", "application/json").map_err(CredentialsError::unhandled)?;
        if let Some(token) = self.token {
            let refused = |_| CredentialsError::invalid_configuration("the authorization token cannot be a header");
            request.headers_mut().try_insert("authorization", token).map_err(refused)?;
        }
        Ok(request)
    }
}

/// Hides the token.
impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Request").finish_non_exhaustive()
    }
}

/// What it answers.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Response {
    access_key_id: String,
    secret_access_key: String,
    #[serde(default)]
    token: Option<String>,
    #[serde(default)]
    expiration: Option<String>,
}

impl Response {
    fn read(response: &HttpResponse) -> Result<Self, CredentialsError> {
        let status = response.status().as_u16();
        if !response.status().is_success() {
            return Err(CredentialsError::provider_error(format!("their endpoint responded with status {status}")));
        }
        // An error of serde could quote the body.
        let body = response.body().bytes().unwrap_or_default();
        serde_json::from_slice(body)
            .map_err(|_| CredentialsError::provider_error("their endpoint's response cannot be read".to_owned()))
    }

    fn into_fetched(self, now: SystemTime) -> Fetched {
        let expires = self.expiration.and_then(|time| humantime::parse_rfc3339(&time).ok());
        let credentials = Credentials::new(self.access_key_id, self.secret_access_key, self.token, expires, "endpoint");
        Fetched { credentials, expires: expires.unwrap_or(now + KEPT) }
    }
}

/// Hides the secrets.
impl fmt::Debug for Response {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Response").finish_non_exhaustive()
    }
}

impl ProvideCredentials for FunctionCredentials {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        future::ProvideCredentials::new(self.provide())
    }
}

impl fmt::Debug for FunctionCredentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FunctionCredentials").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_not_shown() {
        let request = Request { uri: "http://localhost".to_owned(), token: Some("the-secret".to_owned()) };
        assert_eq!(format!("{request:?}"), "Request { .. }");
        let body = r#"{"AccessKeyId":"AKID","SecretAccessKey":"the-secret","Token":"the-secret"}"#;
        let response: Response = serde_json::from_str(body).expect("credentials");
        assert_eq!(format!("{response:?}"), "Response { .. }");
        let variables = Variables::new(|_| Some("the-secret".to_owned()));
        let http = aws_smithy_http_client::Builder::new().build_http();
        let credentials = FunctionCredentials::new(variables, http);
        credentials.keep(Some(response.into_fetched(SystemTime::UNIX_EPOCH)));
        assert_eq!(format!("{credentials:?}"), "FunctionCredentials { .. }");
    }
}
