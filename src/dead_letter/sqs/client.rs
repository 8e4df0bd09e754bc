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
    let client = Builder::new().tls_provider(Provider::Rustls(CryptoMode::Ring));
    if !endpoint.is_plain_http() || FunctionCredentials::need_https(variables) {
        return client.build_https();
    }
    let context = TlsContext::builder().with_trust_store(TrustStore::empty()).build();
    client.tls_context(context.expect("an empty trust store is always valid")).build_https()
}
