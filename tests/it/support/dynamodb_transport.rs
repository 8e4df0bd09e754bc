//! A DynamoDB below the client, by a script and without a socket, so the clock can be paused.

use std::fmt;
use std::sync::{Arc, Mutex};

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::config::http::{HttpRequest, HttpResponse};
use aws_sdk_dynamodb::config::retry::RetryConfig;
use aws_sdk_dynamodb::config::{BehaviorVersion, Credentials, HttpClient, Region, RuntimeComponents};
use aws_smithy_runtime_api::client::http::{
    HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::result::ConnectorError;
use serde_json::{Value, json};

/// One request: the operation, and its body.
#[derive(Debug, Clone)]
pub(crate) struct Call {
    pub(crate) operation: String,
    pub(crate) body: Value,
}

/// What a request is answered with.
pub(crate) enum Answer {
    Http(u16, String),
    NoConnection,
}

impl Answer {
    pub(crate) fn json(body: &Value) -> Self {
        Self::Http(200, body.to_string())
    }

    pub(crate) fn error(status: u16, code: &str, message: &str) -> Self {
        let body = json!({"__type": format!("com.amazonaws.dynamodb.v20120810#{code}"), "message": message});
        Self::Http(status, body.to_string())
    }
}

type Play = dyn Fn(&Call, usize) -> Answer + Send + Sync;

/// The calls so far, and what to answer to the next one.
#[derive(Clone)]
pub(crate) struct Transport {
    calls: Arc<Mutex<Vec<Call>>>,
    play: Arc<Play>,
}

impl Transport {
    /// Answers each call, given the number of earlier ones.
    pub(crate) fn new(play: impl Fn(&Call, usize) -> Answer + Send + Sync + 'static) -> Self {
        Self { calls: Arc::default(), play: Arc::new(play) }
    }

    /// A client that asks this, without retries.
    pub(crate) fn client(&self) -> Client {
        let config = aws_sdk_dynamodb::Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new("eu-central-1"))
            .credentials_provider(Credentials::new("test", "test", None, None, "tests"))
            .retry_config(RetryConfig::disabled())
            .http_client(self.clone());
        Client::from_conf(config.build())
    }

    pub(crate) fn calls(&self) -> Vec<Call> {
        self.calls.lock().expect("no test panics in here").clone()
    }
}

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
        let call = Call {
            operation: target.rsplit('.').next().unwrap_or_default().to_owned(),
            body: serde_json::from_slice(request.body().bytes().expect("the body is in memory")).expect("JSON"),
        };
        let mut calls = self.calls.lock().expect("no test panics in here");
        let answer = (self.play)(&call, calls.len());
        calls.push(call);
        HttpConnectorFuture::ready(match answer {
            Answer::Http(status, text) => {
                Ok(HttpResponse::new(status.try_into().expect("tests give statuses that exist"), text.into()))
            }
            Answer::NoConnection => Err(ConnectorError::io("connection refused".into())),
        })
    }
}
