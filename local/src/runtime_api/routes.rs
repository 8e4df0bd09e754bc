//! The paths of the Runtime API, version 2018-06-01
//! ([AWS: Runtime API](https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html)).

use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::header::{CONTENT_TYPE, HeaderMap, HeaderValue};
use hyper::{Method, Request, StatusCode};
use serde::Deserialize;
use serde_json::json;

use super::{Invocation, MAX_RESPONSE, Phase, Shared};
use crate::function::Response;

pub(super) type HttpResponse = hyper::Response<Full<Bytes>>;

const VERSION: &str = "/2018-06-01/runtime";
/// In which the function says what kind of error it was.
const ERROR_TYPE: &str = "lambda-runtime-function-error-type";
/// Names one call, also if a request id is repeated. A runtime that knows it sends it back.
const INVOCATION_ID: &str = "lambda-runtime-invocation-id";

pub(super) async fn respond(shared: &Shared, request: Request<Incoming>) -> HttpResponse {
    let (head, body) = request.into_parts();
    let path = head.uri.path().strip_prefix(VERSION).unwrap_or_default();
    let parts: Vec<&str> = path.split('/').skip(1).collect();
    match (&head.method, parts.as_slice()) {
        (&Method::GET, ["invocation", "next"]) => next(shared).await,
        (&Method::POST, ["invocation", id, "response"]) => responded(shared, id, &head.headers, body).await,
        (&Method::POST, ["invocation", id, "error"]) => failed(shared, id, &head.headers, body).await,
        (&Method::POST, ["init", "error"]) => init_failed(shared, &head.headers, body).await,
        _ => refuse(StatusCode::NOT_FOUND, "NotFound", "the Runtime API has no such path"),
    }
}

/// Waits for an invocation, as long as it takes.
async fn next(shared: &Shared) -> HttpResponse {
    shared.phase.send_if_modified(|phase| {
        let is_first = *phase == Phase::Starting;
        if is_first {
            *phase = Phase::Ready;
        }
        is_first
    });
    loop {
        let queued = shared.queued.notified();
        if let Some(invocation) = shared.state().queue.pop_front() {
            return deliver(invocation);
        }
        queued.await;
    }
}

fn deliver(invocation: Invocation) -> HttpResponse {
    let deadline = invocation.deadline_millis().to_string();
    let mut response = HttpResponse::new(Full::from(invocation.payload));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    for (name, value) in [
        ("lambda-runtime-aws-request-id", invocation.id),
        (INVOCATION_ID, invocation.invocation_id),
        ("lambda-runtime-deadline-ms", deadline),
        ("lambda-runtime-invoked-function-arn", invocation.function_arn),
        ("lambda-runtime-trace-id", invocation.trace_header),
    ] {
        // A function name that is not a header value was refused when the function was built.
        if let Ok(value) = HeaderValue::try_from(value) {
            headers.insert(name, value);
        }
    }
    response
}

async fn responded(shared: &Shared, id: &str, headers: &HeaderMap, body: Incoming) -> HttpResponse {
    if is_of_another(shared, id, headers) {
        return stale(id);
    }
    let Body { bytes, trailers } = match read(body).await {
        Ok(body) => body,
        Err(BodyError::TooLong) => {
            let message =
                format!("Response payload size exceeded maximum allowed payload size ({MAX_RESPONSE} bytes).");
            if resolve(shared, id, function_error("Function.ResponseSizeTooLarge", &message)) {
                return refuse(StatusCode::PAYLOAD_TOO_LARGE, "RequestEntityTooLarge", &message);
            }
            return unknown(id);
        }
        Err(BodyError::Broken) => return refuse(StatusCode::BAD_REQUEST, "InvalidRequest", "the body ended early"),
    };
    // A function that streams its response says after it whether it has failed.
    let streamed_error =
        trailers.as_ref().and_then(|trailers| trailers.get(ERROR_TYPE)).and_then(|kind| kind.to_str().ok());
    let response = match (streamed_error, String::from_utf8(bytes)) {
        (Some(kind), _) => function_error(kind, "the function failed while it streamed its response"),
        (None, Ok(text)) => Response::Returned(text),
        (None, Err(_)) => function_error("Runtime.InvalidResponse", "the function's response is not UTF-8"),
    };
    resolve_or_refuse(shared, id, response)
}

async fn failed(shared: &Shared, id: &str, headers: &HeaderMap, body: Incoming) -> HttpResponse {
    if is_of_another(shared, id, headers) {
        return stale(id);
    }
    let FunctionError { error_type, message } = read_error(headers, body).await;
    resolve_or_refuse(shared, id, Response::FunctionError { error_type, message })
}

async fn init_failed(shared: &Shared, headers: &HeaderMap, body: Incoming) -> HttpResponse {
    let FunctionError { error_type, message } = read_error(headers, body).await;
    shared.phase.send_replace(Phase::InitError { error_type, message });
    accepted()
}

fn resolve_or_refuse(shared: &Shared, id: &str, response: Response) -> HttpResponse {
    if resolve(shared, id, response) { accepted() } else { unknown(id) }
}

/// Whether the function names another call than the one that waits under this request id.
fn is_of_another(shared: &Shared, id: &str, headers: &HeaderMap) -> bool {
    let Some(named) = headers.get(INVOCATION_ID) else { return false };
    shared.state().open.get(id).is_some_and(|open| named.as_bytes() != open.invocation_id.as_bytes())
}

fn stale(id: &str) -> HttpResponse {
    let message = format!("the response is of an earlier invocation {id:?}, which has timed out");
    refuse(StatusCode::GONE, "InvokeTimeout", &message)
}

/// Gives the response to the invocation that waits for it; `false` if none does.
fn resolve(shared: &Shared, id: &str, response: Response) -> bool {
    match shared.state().open.remove(id) {
        Some(open) => open.response.send(response).is_ok(),
        None => false,
    }
}

/// A request's body.
struct Body {
    bytes: Vec<u8>,
    trailers: Option<HeaderMap>,
}

enum BodyError {
    TooLong,
    Broken,
}

/// Reads a body to its end even if it is too long: a function that still writes would not see the refusal.
async fn read(mut body: Incoming) -> Result<Body, BodyError> {
    let (mut bytes, mut trailers, mut is_too_long) = (Vec::new(), None, false);
    while let Some(frame) = body.frame().await {
        match frame.map_err(|_| BodyError::Broken)?.into_data() {
            Ok(data) if bytes.len() + data.len() <= MAX_RESPONSE => bytes.extend_from_slice(&data),
            Ok(_) => is_too_long = true,
            Err(frame) => trailers = frame.into_trailers().ok(),
        }
    }
    if is_too_long { Err(BodyError::TooLong) } else { Ok(Body { bytes, trailers }) }
}

/// What the function reports of its failure.
struct FunctionError {
    error_type: String,
    message: String,
}

/// What runtimes send of an error; all of it is optional.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct ErrorBody {
    error_type: Option<String>,
    error_message: Option<String>,
}

/// Reads the error that a runtime reports, as a function error.
async fn read_error(headers: &HeaderMap, body: Incoming) -> FunctionError {
    let body = read(body).await.map(|body| body.bytes).unwrap_or_default();
    let error: ErrorBody = serde_json::from_slice(&body).unwrap_or_default();
    let header = || headers.get(ERROR_TYPE).and_then(|kind| kind.to_str().ok()).map(str::to_owned);
    let error_type = error.error_type.or_else(header).unwrap_or_else(|| "Unhandled".to_owned());
    FunctionError { error_type, message: error.error_message.unwrap_or_default() }
}

fn function_error(error_type: &str, message: &str) -> Response {
    Response::FunctionError { error_type: error_type.to_owned(), message: message.to_owned() }
}

fn accepted() -> HttpResponse {
    json_response(StatusCode::ACCEPTED, json!({"status": "OK"}))
}

fn unknown(id: &str) -> HttpResponse {
    let message = format!("no invocation {id:?} waits for a response");
    refuse(StatusCode::BAD_REQUEST, "InvalidRequestID", &message)
}

fn refuse(status: StatusCode, error_type: &str, message: &str) -> HttpResponse {
    json_response(status, json!({"errorType": error_type, "errorMessage": message}))
}

fn json_response(status: StatusCode, body: serde_json::Value) -> HttpResponse {
    let mut response = HttpResponse::new(Full::from(body.to_string()));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}
