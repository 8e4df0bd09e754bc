//! The HTTP API for API Gateway's proxy integration: `POST /process` and `GET /process`.
//!
//! | request | answer |
//! |---|---|
//! | `POST /process` with `{"Records": [...]}` | 200: the outcome of each record; 207 if one did not succeed |
//! | `POST /process` without a body | 200: `{message, requestId, timestamp, functionVersion}` |
//! | `GET /process` | 200: version, configuration, counters since start |
//! | a body that is not such an event, or a record that is refused | 400 |
//! | another path | 404 |
//! | another method | 405 |
//! | more than 100 records, or more than 4 MiB | 413 |
//! | a body that is not `application/json` | 415 |

use std::time::SystemTime;

use aws_lambda_events::apigw::{ApiGatewayProxyRequest, ApiGatewayProxyResponse};
use aws_lambda_events::encodings::Body;
use aws_lambda_events::http::{HeaderValue, Method, StatusCode, header};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

/// More than a record of two images of the largest item, and well below Lambda's own limit of 6 MB.
const MAX_BODY: usize = 4 * 1024 * 1024;

/// What a caller wants.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Call {
    /// `GET /process`.
    Status,
    /// `POST /process` without a body.
    Ping,
    /// `POST /process` with this body.
    Process(Vec<u8>),
}

/// An answer that says why the request is refused.
#[derive(Debug, PartialEq)]
pub(crate) struct Refused {
    pub(crate) status: StatusCode,
    pub(crate) message: String,
    pub(crate) details: Value,
}

impl Refused {
    pub(crate) fn new(status: StatusCode, message: impl Into<String>) -> Self {
        Self { status, message: message.into(), details: Value::Null }
    }
}

/// What a request wants, or why it is refused.
pub(crate) fn call(request: &ApiGatewayProxyRequest) -> Result<Call, Refused> {
    if path(request) != "/process" {
        return Err(Refused::new(StatusCode::NOT_FOUND, "there is nothing here: try /process"));
    }
    match request.http_method {
        Method::GET => Ok(Call::Status),
        Method::POST => posted(request),
        _ => Err(Refused::new(StatusCode::METHOD_NOT_ALLOWED, "only GET and POST are allowed here")),
    }
}

/// The resource's path, which a custom domain does not change; the request's own where a greedy resource takes it all.
fn path(request: &ApiGatewayProxyRequest) -> &str {
    let resource = request.resource.as_deref().filter(|resource| !resource.contains('{'));
    let path = resource.or(request.path.as_deref()).unwrap_or_default();
    path.strip_suffix('/').unwrap_or(path)
}

fn posted(request: &ApiGatewayProxyRequest) -> Result<Call, Refused> {
    let text = request.body.as_deref().unwrap_or_default();
    let body = match request.is_base64_encoded {
        false => text.as_bytes().to_vec(),
        true => STANDARD.decode(text).map_err(|_| {
            Refused::new(StatusCode::BAD_REQUEST, "the body is marked as base64, but is not valid base64")
        })?,
    };
    if body.trim_ascii().is_empty() {
        return Ok(Call::Ping);
    }
    if !is_json(request) {
        let message = "the body must be JSON, with the header `content-type: application/json`";
        return Err(Refused::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, message));
    }
    if body.len() > MAX_BODY {
        let message = format!("the body has {} bytes, and may have {MAX_BODY}", body.len());
        return Err(Refused::new(StatusCode::PAYLOAD_TOO_LARGE, message));
    }
    Ok(Call::Process(body))
}

/// Whether the caller says it is JSON: API Gateway checks a body against its model for that media type alone.
fn is_json(request: &ApiGatewayProxyRequest) -> bool {
    let mut types = [&request.headers, &request.multi_value_headers]
        .into_iter()
        .flat_map(|headers| headers.get(header::CONTENT_TYPE));
    types.next().and_then(|value| value.to_str().ok()).is_some_and(|value| {
        let media_type = value.split(';').next().unwrap_or_default().trim();
        media_type.eq_ignore_ascii_case("application/json")
    })
}

/// A JSON answer.
pub(crate) fn answer(status: StatusCode, body: &Value) -> ApiGatewayProxyResponse {
    let mut response = ApiGatewayProxyResponse::default();
    response.status_code = status.as_u16().into();
    response.headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response.headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response.headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    if status == StatusCode::METHOD_NOT_ALLOWED {
        response.headers.insert(header::ALLOW, HeaderValue::from_static("GET, POST"));
    }
    response.body = Some(Body::Text(body.to_string()));
    response
}

/// The answer to a request that is refused.
pub(crate) fn refuse(refused: &Refused, request_id: &str) -> ApiGatewayProxyResponse {
    let error = refused.status.canonical_reason().unwrap_or_default();
    let mut body = json!({"error": error, "message": refused.message, "requestId": request_id});
    if !refused.details.is_null() {
        body["records"] = refused.details.clone();
    }
    answer(refused.status, &body)
}

/// Now, as answers write it.
pub(crate) fn timestamp() -> String {
    humantime::format_rfc3339_millis(SystemTime::now()).to_string()
}
