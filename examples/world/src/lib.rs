//! What is around the functions of `examples/outbox`, `examples/aggregator` and `examples/search_indexer`: tables in a DynamoDB in this
//! process, and an event source mapping whose environments are killed now and then, so the same records are delivered again.

mod database;
mod lambda;

pub use crate::database::Database;
pub use crate::lambda::{Deliveries, deliver, deliver_filtered};

/// Whatever keeps an example from ending.
pub type Failure = Box<dyn std::error::Error + Send + Sync>;

/// Makes an AWS client of a service on loopback: with any credentials, without TLS, and without retries, because the processor retries.
#[macro_export]
macro_rules! client {
    ($sdk:ident, $endpoint:expr) => {
        $sdk::Client::from_conf(
            $sdk::Config::builder()
                .behavior_version($sdk::config::BehaviorVersion::latest())
                .endpoint_url($endpoint)
                .region($sdk::config::Region::new("eu-central-1"))
                .credentials_provider($sdk::config::Credentials::new("local", "local", None, None, "example"))
                .retry_config($sdk::config::retry::RetryConfig::disabled())
                .http_client($crate::http_client())
                .build(),
        )
    };
}

/// How many lines of a source file are neither empty nor comments.
pub fn lines_of_code(source: &str) -> usize {
    source.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with("//")).count()
}

/// An HTTP client without TLS.
#[doc(hidden)]
pub fn http_client() -> aws_sdk_dynamodb::config::SharedHttpClient {
    aws_smithy_http_client::Builder::new().build_http()
}
