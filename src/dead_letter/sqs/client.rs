//! Creates the SQS client of a function: its endpoint, timeouts and credentials.

use std::time::Duration;

use aws_sdk_sqs::config::retry::RetryConfig;
use aws_sdk_sqs::config::timeout::TimeoutConfig;
use aws_sdk_sqs::config::{BehaviorVersion, IdentityCache, Region, SharedHttpClient, StalledStreamProtectionConfig};
use aws_sdk_sqs::{Client, Config};
use aws_smithy_http_client::Builder;
use aws_smithy_http_client::tls::{Provider, TlsContext, TrustStore, rustls_provider::CryptoMode};

use super::credentials::FunctionCredentials;
use super::endpoint::{Endpoint, Variables};

/// A connection that was open while Lambda froze the function may never respond. After the timeout, a new one is opened.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(5);
const CONNECT_TIMEOUT: Duration = Duration::from_millis(3100);

/// The client of a function, whose requests go to this endpoint.
pub(super) fn client(endpoint: &Endpoint, credentials: FunctionCredentials, http: SharedHttpClient) -> Client {
    let timeouts =
        TimeoutConfig::builder().connect_timeout(CONNECT_TIMEOUT).operation_attempt_timeout(ATTEMPT_TIMEOUT).build();
    let config = Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new(endpoint.region.clone()))
        .endpoint_url(&endpoint.url)
        .credentials_provider(credentials)
        // The credentials know by themselves how long they are valid.
        .identity_cache(IdentityCache::no_cache())
        .http_client(http)
        // `Request` retries whole requests and single entries by one policy.
        .retry_config(RetryConfig::disabled())
        .timeout_config(timeouts)
        // Bodies are small, and each attempt has a timeout.
        .stalled_stream_protection(StalledStreamProtectionConfig::disabled());
    Client::from_conf(config.build())
}

/// A client for HTTPS. Where all is plain HTTP it trusts no certificates, which saves loading them.
pub(super) fn http_client(endpoint: &Endpoint, variables: &Variables) -> SharedHttpClient {
    let trusted = TrustStore::empty().with_native_roots(needs_certificates(endpoint, variables));
    let context = TlsContext::builder().with_trust_store(trusted).build();
    let context = context.expect("a trust store without certificates of its own is always valid");
    Builder::new().tls_provider(Provider::Rustls(CryptoMode::Ring)).tls_context(context).build_https()
}

fn needs_certificates(endpoint: &Endpoint, variables: &Variables) -> bool {
    !endpoint.is_plain_http() || FunctionCredentials::need_https(variables)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn certificates_are_loaded_where_anything_is_https() {
        let https = Some("https://credentials.example/c");
        for (url, credentials, expected) in [
            ("https://sqs.eu-central-1.amazonaws.com", None, true),
            ("http://localhost:4566", None, false),
            ("http://localhost:4566", Some("http://127.0.0.1:9001/c"), false),
            ("http://localhost:4566", https, true),
            ("https://sqs.eu-central-1.amazonaws.com", https, true),
        ] {
            let variables = Variables::new(move |name| {
                (name == "AWS_CONTAINER_CREDENTIALS_FULL_URI").then_some(credentials?.to_owned())
            });
            let endpoint = Endpoint { url: url.to_owned(), region: String::new(), variable: None };
            assert_eq!(needs_certificates(&endpoint, &variables), expected, "{url} {credentials:?}");
        }
    }
}
