//! The configuration of a function's own client: its endpoint, timeouts and credentials.

use std::time::Duration;

use aws_credential_types::provider::SharedCredentialsProvider;
use aws_smithy_http_client::Builder;
use aws_smithy_http_client::tls::{Provider, TlsContext, TrustStore, rustls_provider::CryptoMode};
use aws_smithy_runtime::client::identity::IdentityCache;
use aws_smithy_runtime_api::client::behavior_version::BehaviorVersion;
use aws_smithy_runtime_api::client::http::SharedHttpClient;
use aws_smithy_runtime_api::client::stalled_stream_protection::StalledStreamProtectionConfig;
use aws_smithy_types::retry::RetryConfig;
use aws_smithy_types::timeout::TimeoutConfig;
use aws_types::SdkConfig;
use aws_types::region::Region;

use super::{FunctionCredentials, Variables};

/// A connection that was open while Lambda froze the function may never respond. After the timeout, a new one is opened.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(5);
const CONNECT_TIMEOUT: Duration = Duration::from_millis(3100);

/// What a client connects to, and how.
pub(crate) struct Connection<'a> {
    /// The region that requests are signed for.
    pub(crate) region: &'a str,
    /// The URL of the endpoint; `None` for the service's own in that region.
    pub(crate) endpoint: Option<&'a str>,
    pub(crate) retries: RetryConfig,
    pub(crate) credentials: FunctionCredentials,
    pub(crate) http: SharedHttpClient,
}

impl Connection<'_> {
    /// The configuration from which the client of any service is made.
    pub(crate) fn into_config(self) -> SdkConfig {
        let timeouts = TimeoutConfig::builder()
            .connect_timeout(CONNECT_TIMEOUT)
            .operation_attempt_timeout(ATTEMPT_TIMEOUT)
            .build();
        let mut config = SdkConfig::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new(self.region.to_owned()))
            .credentials_provider(SharedCredentialsProvider::new(self.credentials))
            // The credentials know by themselves how long they are valid.
            .identity_cache(IdentityCache::no_cache())
            .http_client(self.http)
            .retry_config(self.retries)
            .timeout_config(timeouts)
            // Bodies are small, and each attempt has a timeout.
            .stalled_stream_protection(StalledStreamProtectionConfig::disabled());
        config.set_endpoint_url(self.endpoint.map(str::to_owned));
        config.build()
    }
}

/// A client for HTTPS. Where all is plain HTTP it trusts no certificates, which saves loading them.
pub(crate) fn http_client(endpoint: Option<&str>, variables: &Variables) -> SharedHttpClient {
    let trusted = TrustStore::empty().with_native_roots(needs_certificates(endpoint, variables));
    let context = TlsContext::builder().with_trust_store(trusted).build();
    let context = context.expect("a trust store without certificates of its own is always valid");
    Builder::new().tls_provider(Provider::Rustls(CryptoMode::Ring)).tls_context(context).build_https()
}

fn needs_certificates(endpoint: Option<&str>, variables: &Variables) -> bool {
    let is_plain = endpoint.is_some_and(|url| url.starts_with("http://"));
    !is_plain || FunctionCredentials::need_https(variables)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn certificates_are_loaded_where_anything_is_https() {
        let https = Some("https://credentials.example/c");
        for (url, credentials, expected) in [
            (None, None, true),
            (Some("https://sqs.eu-central-1.amazonaws.com"), None, true),
            (Some("http://localhost:4566"), None, false),
            (Some("http://localhost:4566"), Some("http://127.0.0.1:9001/c"), false),
            (Some("http://localhost:4566"), https, true),
            (Some("https://sqs.eu-central-1.amazonaws.com"), https, true),
        ] {
            let variables = Variables::new(move |name| {
                (name == "AWS_CONTAINER_CREDENTIALS_FULL_URI").then_some(credentials?.to_owned())
            });
            assert_eq!(needs_certificates(url, &variables), expected, "{url:?} {credentials:?}");
        }
    }
}
