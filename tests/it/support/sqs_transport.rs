//! The script of an SQS below the client without a socket, so the clock can be paused.

use std::fmt;

use aws_sdk_sqs::Client;
use aws_sdk_sqs::config::http::{HttpRequest, HttpResponse};
use aws_sdk_sqs::config::retry::RetryConfig;
use aws_sdk_sqs::config::{BehaviorVersion, Credentials, HttpClient, Region, RuntimeComponents};
use aws_smithy_http_client::Builder;
use aws_smithy_http_client::tls::{Provider, TlsContext, TrustStore, rustls_provider::CryptoMode};
use aws_smithy_runtime_api::client::http::{
    HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector,
};

use super::sqs_server::{Answer, Script};

/// A client that asks the script.
pub(crate) fn scripted_client(script: Script) -> Client {
    Client::from_conf(config().http_client(Transport(script)).build())
}

/// A client that talks to this endpoint, by plain HTTP.
pub(crate) fn client(endpoint: &str) -> Client {
    let empty_trust = TlsContext::builder().with_trust_store(TrustStore::empty()).build().expect("it is valid");
    let http = Builder::new().tls_provider(Provider::Rustls(CryptoMode::Ring)).tls_context(empty_trust).build_https();
    Client::from_conf(config().http_client(http).endpoint_url(endpoint).build())
}

fn config() -> aws_sdk_sqs::config::Builder {
    aws_sdk_sqs::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("us-east-1"))
        .credentials_provider(Credentials::new("test", "test", None, None, "tests"))
        .retry_config(RetryConfig::disabled())
}

#[derive(Clone)]
struct Transport(Script);

impl fmt::Debug for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Transport")
    }
}

impl HttpClient for Transport {
    fn http_connector(&self, _: &HttpConnectorSettings, _: &RuntimeComponents) -> SharedHttpConnector {
        SharedHttpConnector::new(self.clone())
    }
}

impl HttpConnector for Transport {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let target = request.headers().get("x-amz-target").unwrap_or_default();
        let operation = target.rsplit('.').next().unwrap_or_default();
        match self.0.answer(operation, request.body().bytes().expect("the body is in memory")) {
            Answer::Http(status, text) => {
                let status = status.try_into().expect("tests give statuses that exist");
                HttpConnectorFuture::ready(Ok(HttpResponse::new(status, text.into())))
            }
            Answer::Silence => HttpConnectorFuture::new(std::future::pending()),
        }
    }
}
