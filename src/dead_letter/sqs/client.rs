//! Creates the SQS client from the function's environment variables.

use std::net::IpAddr;
use std::time::Duration;

use aws_credential_types::Credentials;
use aws_sdk_sqs::config::retry::RetryConfig;
use aws_sdk_sqs::config::timeout::TimeoutConfig;
use aws_sdk_sqs::config::{BehaviorVersion, Region, SharedHttpClient, StalledStreamProtectionConfig};
use aws_sdk_sqs::{Client, Config};
use aws_smithy_http_client::Builder;
use aws_smithy_http_client::tls::{Provider, TlsContext, TrustStore, rustls_provider::CryptoMode};

use super::send_error::SendError;
use super::url::QueueUrl;

/// A connection that was open while Lambda froze the function may never respond. After the timeout, a new one is opened.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(5);
const CONNECT_TIMEOUT: Duration = Duration::from_millis(3100);

pub(super) fn from_env(url: &QueueUrl) -> Result<Client, SendError> {
    let environment = Environment::read(url, |name| std::env::var(name).ok())?;
    if environment.endpoint.as_deref().is_some_and(is_remote_http) {
        tracing::warn!(endpoint = environment.endpoint, "dead letters leave this machine unencrypted: use https");
    }
    Ok(Client::from_conf(environment.config()))
}

/// What the environment variables say.
struct Environment {
    region: String,
    endpoint: Option<String>,
    key_id: String,
    secret: String,
    token: Option<String>,
}

impl Environment {
    fn read(url: &QueueUrl, variable: impl Fn(&str) -> Option<String>) -> Result<Self, SendError> {
        let variable = |name: &str| variable(name).filter(|value| !value.is_empty());
        let required = |name: &str| {
            variable(name).ok_or_else(|| SendError::Client(format!("the environment variable `{name}` is not set")))
        };
        Ok(Self {
            region: match url.region() {
                Some(region) => region.to_owned(),
                None => variable("AWS_REGION").map_or_else(|| required("AWS_DEFAULT_REGION"), Ok)?,
            },
            endpoint: variable("AWS_ENDPOINT_URL_SQS").or_else(|| variable("AWS_ENDPOINT_URL")),
            key_id: required("AWS_ACCESS_KEY_ID")?,
            secret: required("AWS_SECRET_ACCESS_KEY")?,
            token: variable("AWS_SESSION_TOKEN"),
        })
    }

    fn config(self) -> Config {
        let credentials = Credentials::new(self.key_id, self.secret, self.token, None, "environment");
        let timeouts = TimeoutConfig::builder()
            .connect_timeout(CONNECT_TIMEOUT)
            .operation_attempt_timeout(ATTEMPT_TIMEOUT)
            .build();
        let mut config = Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new(self.region))
            .credentials_provider(credentials)
            .http_client(http_client(self.endpoint.as_deref()))
            // `Request` retries whole requests and single entries by one policy.
            .retry_config(RetryConfig::disabled())
            .timeout_config(timeouts)
            // Bodies are small, and each attempt has a timeout.
            .stalled_stream_protection(StalledStreamProtectionConfig::disabled());
        if let Some(endpoint) = self.endpoint {
            config = config.endpoint_url(endpoint);
        }
        config.build()
    }
}

/// A client for HTTPS. For an endpoint with plain HTTP it trusts no certificates, which saves loading them.
fn http_client(endpoint: Option<&str>) -> SharedHttpClient {
    let client = Builder::new().tls_provider(Provider::Rustls(CryptoMode::Ring));
    if !endpoint.is_some_and(|endpoint| endpoint.starts_with("http://")) {
        return client.build_https();
    }
    let context = TlsContext::builder().with_trust_store(TrustStore::empty()).build();
    client.tls_context(context.expect("an empty trust store is always valid")).build_https()
}

/// Whether an endpoint is plain HTTP to another machine.
fn is_remote_http(endpoint: &str) -> bool {
    let Some(rest) = endpoint.strip_prefix("http://") else { return false };
    let host = rest.split(['/', '?']).next().unwrap_or_default();
    let name = match host.strip_prefix('[') {
        Some(address) => address.split(']').next().unwrap_or_default(),
        None => host.split(':').next().unwrap_or_default(),
    };
    let loopback = name.parse().is_ok_and(|address: IpAddr| address.is_loopback());
    !(loopback || name == "localhost" || name.ends_with(".localhost"))
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;

    const KEYS: [(&str, &str); 2] = [("AWS_ACCESS_KEY_ID", "id"), ("AWS_SECRET_ACCESS_KEY", "secret")];

    fn read(url: &str, variables: &[(&str, &str)]) -> Result<Environment, SendError> {
        let variables: HashMap<_, _> = variables.iter().copied().collect();
        let url = QueueUrl::parse(url).expect("the tests' URLs are those of queues");
        Environment::read(&url, |name| variables.get(name).map(|value| (*value).to_owned()))
    }

    #[test]
    fn the_region_comes_from_url_then_environment() {
        let with = |more: &[(&'static str, &'static str)]| [&KEYS[..], more].concat();
        let aws = "https://sqs.eu-central-1.amazonaws.com/1/q";
        let local = "http://127.0.0.1:4566/1/q";
        let both = with(&[("AWS_REGION", "us-east-1"), ("AWS_DEFAULT_REGION", "us-west-2")]);
        assert_eq!(read(aws, &both).expect("a region").region, "eu-central-1");
        assert_eq!(read(local, &both).expect("a region").region, "us-east-1");
        let default = with(&[("AWS_REGION", ""), ("AWS_DEFAULT_REGION", "us-west-2")]);
        assert_eq!(read(local, &default).expect("a region").region, "us-west-2");
        let error = read(local, &KEYS).err().expect("no region").to_string();
        assert!(error.contains("`AWS_DEFAULT_REGION` is not set"), "{error}");
    }

    #[test]
    fn the_sqs_endpoint_overrides_the_general_one() {
        let url = "https://sqs.eu-central-1.amazonaws.com/1/q";
        let all = [&KEYS[..], &[("AWS_ENDPOINT_URL", "http://all")]].concat();
        assert_eq!(read(url, &KEYS).expect("an environment").endpoint, None);
        assert_eq!(read(url, &all).expect("an environment").endpoint.as_deref(), Some("http://all"));
        let both = [&all[..], &[("AWS_ENDPOINT_URL_SQS", "http://sqs")]].concat();
        assert_eq!(read(url, &both).expect("an environment").endpoint.as_deref(), Some("http://sqs"));
    }

    #[test]
    fn missing_credentials_are_named() {
        let error = read("https://sqs.eu-central-1.amazonaws.com/1/q", &KEYS[..1]).err().expect("no secret");
        assert!(error.to_string().contains("`AWS_SECRET_ACCESS_KEY` is not set"), "{error}");
    }

    #[test]
    fn plain_http_is_for_this_machine() {
        for (endpoint, expected) in [
            ("http://127.0.0.1:4566", false),
            ("http://localhost:4566/", false),
            ("http://[::1]:4566", false),
            ("http://[::1]", false),
            ("http://sqs.localhost:1", false),
            ("https://queue.example", false),
            ("http://queue.example:4566", true),
            ("http://10.0.0.1", true),
        ] {
            assert_eq!(is_remote_http(endpoint), expected, "{endpoint}");
        }
    }
}
