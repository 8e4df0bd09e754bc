//! An AWS endpoint that a test makes up: a closure under the SDK's clients, so backoff runs on a paused clock.

use std::fmt;
use std::sync::Arc;

use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use serde_json::Value;

/// What a call asks for: its operation (`GetRecords`) or, where the protocol has none, its method and path; and its body.
pub(crate) type Call<'a> = (&'a str, Value);

/// What it is answered.
pub(crate) enum Reply {
    Ok(Value),
    /// The error's code, with status 400.
    Error(&'static str),
    /// A status, headers and a body.
    Raw(u16, Vec<(&'static str, &'static str)>, String),
    /// The connection is refused.
    Refused,
}

#[derive(Clone)]
pub(crate) struct FakeAws(Arc<dyn Fn(Call<'_>) -> Reply + Send + Sync>);

impl FakeAws {
    pub(crate) fn new(answer: impl Fn(Call<'_>) -> Reply + Send + Sync + 'static) -> Self {
        Self(Arc::new(answer))
    }
}

impl fmt::Debug for FakeAws {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("FakeAws")
    }
}

impl HttpClient for FakeAws {
    fn http_connector(&self, _: &HttpConnectorSettings, _: &RuntimeComponents) -> SharedHttpConnector {
        SharedHttpConnector::new(self.clone())
    }
}

impl HttpConnector for FakeAws {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let operation = request.headers().get("x-amz-target").and_then(|target| target.rsplit_once('.'));
        let path = request.uri().split_once("://").map_or(request.uri(), |(_, rest)| rest);
        let path = path.split_once('/').map_or("/".to_owned(), |(_, path)| format!("{} /{path}", request.method()));
        let operation = operation.map_or(path.as_str(), |(_, operation)| operation);
        let body = request.body().bytes().and_then(|bytes| serde_json::from_slice(bytes).ok()).unwrap_or_default();
        let (status, headers, body) = match (self.0)((operation, body)) {
            Reply::Ok(body) => (200, Vec::new(), body.to_string()),
            Reply::Error(code) => {
                let body = serde_json::json!({"__type": format!("com.amazonaws#{code}"), "message": "made up."});
                (400, Vec::new(), body.to_string())
            }
            Reply::Raw(status, headers, body) => (status, headers, body),
            Reply::Refused => {
                let refused = std::io::Error::from(std::io::ErrorKind::ConnectionRefused);
                return HttpConnectorFuture::ready(Err(ConnectorError::io(refused.into())));
            }
        };
        let status = status.try_into().expect("a status from 100 to 999");
        let mut response = HttpResponse::new(status, body.into());
        for (name, value) in headers {
            response.headers_mut().insert(name, value);
        }
        HttpConnectorFuture::ready(Ok(response))
    }
}
