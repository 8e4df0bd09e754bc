//! The paths of the Runtime API, version 2018-06-01
//! ([AWS: Runtime API](https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html)).

use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::header::{CONTENT_TYPE, HeaderMap, HeaderValue};
use hyper::{Method, Request, Response, StatusCode};
use serde::Deserialize;
use serde_json::json;

use super::{Invocation, MAX_ANSWER, Phase, Shared};
use crate::local::target::Answer;

pub(super) type Body = Full<Bytes>;

const VERSION: &str = "/2018-06-01/runtime";
/// In which the function says what kind of error it was.
const ERROR_TYPE: &str = "lambda-runtime-function-error-type";

pub(super) async fn respond(shared: &Shared, request: Request<Incoming>) -> Response<Body> {
    let (head, body) = request.into_parts();
    let path = head.uri.path().strip_prefix(VERSION).unwrap_or_default();
    let parts: Vec<&str> = path.split('/').skip(1).collect();
    match (&head.method, parts.as_slice()) {
        (&Method::GET, ["invocation", "next"]) => next(shared).await,
        (&Method::POST, ["invocation", id, "response"]) => answered(shared, id, body).await,
        (&Method::POST, ["invocation", id, "error"]) => failed(shared, id, &head.headers, body).await,
        (&Method::POST, ["init", "error"]) => init_failed(shared, &head.headers, body).await,
        _ => refuse(StatusCode::NOT_FOUND, "NotFound", "the Runtime API has no such path"),
    }
}

/// Waits for an invocation, as long as it takes.
async fn next(shared: &Shared) -> Response<Body> {
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

fn deliver(invocation: Invocation) -> Response<Body> {
    let deadline = invocation.deadline_millis().to_string();
    let mut response = Response::new(Full::from(invocation.payload));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    for (name, value) in [
        ("lambda-runtime-aws-request-id", invocation.id),
        ("lambda-runtime-deadline-ms", deadline),
        ("lambda-runtime-invoked-function-arn", invocation.function_arn),
        ("lambda-runtime-trace-id", invocation.trace_header),
    ] {
        // A function's name that is no header value was refused when the target was built.
        if let Ok(value) = HeaderValue::try_from(value) {
            headers.insert(name, value);
        }
    }
    response
}

async fn answered(shared: &Shared, id: &str, body: Incoming) -> Response<Body> {
    let (body, trailers) = match read(body).await {
        Ok(read) => read,
        Err(Unread::TooLong) => {
            let message = format!("Response payload size exceeded maximum allowed payload size ({MAX_ANSWER} bytes).");
            return match resolve(shared, id, function_error("Function.ResponseSizeTooLarge", &message)) {
                true => refuse(StatusCode::PAYLOAD_TOO_LARGE, "RequestEntityTooLarge", &message),
                false => unknown(id),
            };
        }
        Err(Unread::Broken) => return refuse(StatusCode::BAD_REQUEST, "InvalidRequest", "the body ended early"),
    };
    // A function that streams its answer says only behind it that it has failed.
    let streamed_error =
        trailers.as_ref().and_then(|trailers| trailers.get(ERROR_TYPE)).and_then(|kind| kind.to_str().ok());
    let answer = match (streamed_error, String::from_utf8(body)) {
        (Some(kind), _) => function_error(kind, "the function failed while it streamed its answer"),
        (None, Ok(text)) => Answer::Returned(text),
        (None, Err(_)) => function_error("Runtime.InvalidResponse", "the function's answer is not UTF-8"),
    };
    match resolve(shared, id, answer) {
        true => accepted(),
        false => unknown(id),
    }
}

async fn failed(shared: &Shared, id: &str, headers: &HeaderMap, body: Incoming) -> Response<Body> {
    let (error_type, message) = read_error(headers, body).await;
    match resolve(shared, id, Answer::FunctionError { error_type, message }) {
        true => accepted(),
        false => unknown(id),
    }
}

async fn init_failed(shared: &Shared, headers: &HeaderMap, body: Incoming) -> Response<Body> {
    let (error_type, message) = read_error(headers, body).await;
    shared.phase.send_replace(Phase::InitError { error_type, message });
    accepted()
}

/// Gives the answer to whoever waits for it; `false` if nobody does.
fn resolve(shared: &Shared, id: &str, answer: Answer) -> bool {
    match shared.state().open.remove(id) {
        Some(waiting) => waiting.send(answer).is_ok(),
        None => false,
    }
}

enum Unread {
    TooLong,
    Broken,
}

/// Reads to the end also what is too long: a function that still writes would not see the refusal.
async fn read(mut body: Incoming) -> Result<(Vec<u8>, Option<HeaderMap>), Unread> {
    let (mut bytes, mut trailers, mut is_too_long) = (Vec::new(), None, false);
    while let Some(frame) = body.frame().await {
        match frame.map_err(|_| Unread::Broken)?.into_data() {
            Ok(data) if bytes.len() + data.len() <= MAX_ANSWER => bytes.extend_from_slice(&data),
            Ok(_) => is_too_long = true,
            Err(frame) => trailers = frame.into_trailers().ok(),
        }
    }
    if is_too_long { Err(Unread::TooLong) } else { Ok((bytes, trailers)) }
}

/// What runtimes send of an error; all of it is optional.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct ErrorBody {
    error_type: Option<String>,
    error_message: Option<String>,
}

async fn read_error(headers: &HeaderMap, body: Incoming) -> (String, String) {
    let body = read(body).await.map(|(body, _)| body).unwrap_or_default();
    let error: ErrorBody = serde_json::from_slice(&body).unwrap_or_default();
    let header = || headers.get(ERROR_TYPE).and_then(|kind| kind.to_str().ok()).map(str::to_owned);
    let error_type = error.error_type.or_else(header).unwrap_or_else(|| "Unhandled".to_owned());
    (error_type, error.error_message.unwrap_or_default())
}

fn function_error(error_type: &str, message: &str) -> Answer {
    Answer::FunctionError { error_type: error_type.to_owned(), message: message.to_owned() }
}

fn accepted() -> Response<Body> {
    answer(StatusCode::ACCEPTED, json!({"status": "OK"}))
}

fn unknown(id: &str) -> Response<Body> {
    let message = format!("no invocation {id:?} waits for an answer");
    refuse(StatusCode::BAD_REQUEST, "InvalidRequestID", &message)
}

fn refuse(status: StatusCode, error_type: &str, message: &str) -> Response<Body> {
    answer(status, json!({"errorType": error_type, "errorMessage": message}))
}

fn answer(status: StatusCode, body: serde_json::Value) -> Response<Body> {
    let mut response = Response::new(Full::from(body.to_string()));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}
