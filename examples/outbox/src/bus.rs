//! The world: an HTTP server on loopback that answers like EventBridge's `PutEvents`, and has a bad day.

use std::convert::Infallible;
use std::sync::{Arc, Mutex, PoisonError};

use example_world::Failure;
use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::handler::ENTRIES;

const SEED: u64 = 20_260_102;

/// A bus on a free port of loopback. It ends with the process.
#[derive(Debug)]
pub(crate) struct Bus {
    endpoint: String,
    state: Arc<Mutex<State>>,
}

#[derive(Debug)]
struct State {
    random: fastrand::Rng,
    log: BusLog,
}

/// What a bus has seen.
#[derive(Debug, Clone, Default)]
pub(crate) struct BusLog {
    /// The resources of each entry that was accepted, in the order of arrival: aggregate and number, event id.
    pub(crate) arrivals: Vec<Vec<String>>,
    pub(crate) requests: usize,
    pub(crate) entries: usize,
    /// Requests that failed as a whole.
    pub(crate) failed_requests: usize,
    /// Of these, those whose entries were accepted nevertheless.
    pub(crate) accepted_unanswered: usize,
    /// Entries that failed for a moment.
    pub(crate) failed_entries: usize,
    /// What a real bus does not take from anybody.
    pub(crate) violations: Vec<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct PutEvents {
    entries: Vec<Entry>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Entry {
    #[serde(default)]
    source: String,
    #[serde(default)]
    detail_type: String,
    #[serde(default)]
    detail: String,
    #[serde(default)]
    resources: Vec<String>,
}

impl Bus {
    pub(crate) async fn start() -> Result<Self, Failure> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let endpoint = format!("http://{}", listener.local_addr()?);
        let state = State { random: fastrand::Rng::with_seed(SEED), log: BusLog::default() };
        let state = Arc::new(Mutex::new(state));
        tokio::spawn(serve(listener, Arc::clone(&state)));
        Ok(Self { endpoint, state })
    }

    pub(crate) fn client(&self) -> aws_sdk_eventbridge::Client {
        example_world::client!(aws_sdk_eventbridge, &self.endpoint)
    }

    pub(crate) fn log(&self) -> BusLog {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).log.clone()
    }
}

async fn serve(listener: TcpListener, state: Arc<Mutex<State>>) {
    while let Ok((stream, _)) = listener.accept().await {
        let state = Arc::clone(&state);
        let answer = service_fn(move |request| answer(request, Arc::clone(&state)));
        // A client that hangs up is an environment that was killed.
        tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), answer));
    }
}

async fn answer(request: Request<Incoming>, state: Arc<Mutex<State>>) -> Result<Response<Full<Bytes>>, Infallible> {
    let target = request.headers().get("x-amz-target").and_then(|target| target.to_str().ok()).map(str::to_owned);
    let Ok(body) = request.into_body().collect().await else {
        return Ok(response(400, &json!({"__type": "SerializationException"})));
    };
    let (status, body) = {
        let mut state = state.lock().unwrap_or_else(PoisonError::into_inner);
        state.put_events(target.as_deref(), &body.to_bytes())
    };
    Ok(response(status, &body))
}

fn response(status: u16, body: &Value) -> Response<Full<Bytes>> {
    let response = Response::builder().status(status).header("content-type", "application/x-amz-json-1.1");
    response.body(Full::new(Bytes::from(body.to_string()))).expect("status and header are valid")
}

impl State {
    fn put_events(&mut self, target: Option<&str>, body: &[u8]) -> (u16, Value) {
        self.log.requests += 1;
        if target != Some("AWSEvents.PutEvents") {
            return self.violation("UnknownOperationException", format!("the target is {target:?}"));
        }
        let entries = match serde_json::from_slice(body) {
            Ok(PutEvents { entries }) => entries,
            Err(error) => return self.violation("SerializationException", error.to_string()),
        };
        if entries.is_empty() || entries.len() > ENTRIES {
            return self.violation("ValidationException", format!("a request has {} entries", entries.len()));
        }
        self.log.entries += entries.len();
        match self.random.u32(0..100) {
            0..4 => self.fail(500, "InternalException"),
            4..7 => self.fail(429, "ThrottlingException"),
            7..10 => {
                self.log.accepted_unanswered += 1;
                self.put_entries(entries);
                self.fail(500, "InternalException")
            }
            _ => (200, self.put_entries(entries)),
        }
    }

    fn put_entries(&mut self, entries: Vec<Entry>) -> Value {
        let answers: Vec<Value> = entries.into_iter().map(|entry| self.put(entry)).collect();
        let failed = answers.iter().filter(|answer| answer.get("ErrorCode").is_some()).count();
        json!({"FailedEntryCount": failed, "Entries": answers})
    }

    fn put(&mut self, entry: Entry) -> Value {
        if serde_json::from_str::<serde_json::Map<String, Value>>(&entry.detail).is_err() {
            return json!({"ErrorCode": "MalformedDetail", "ErrorMessage": "Detail is malformed."});
        }
        if entry.source.is_empty() || entry.detail_type.is_empty() {
            self.log.violations.push("an entry has no source or no detail type".to_owned());
            return json!({"ErrorCode": "InvalidArgument", "ErrorMessage": "Parameter is not valid."});
        }
        let code = match self.random.u32(0..100) {
            0..4 => "ThrottlingException",
            4..6 => "InternalFailure",
            _ => {
                self.log.arrivals.push(entry.resources);
                return json!({"EventId": format!("{:032x}", self.random.u128(..))});
            }
        };
        self.log.failed_entries += 1;
        json!({"ErrorCode": code, "ErrorMessage": "Try again."})
    }

    fn fail(&mut self, status: u16, kind: &str) -> (u16, Value) {
        self.log.failed_requests += 1;
        (status, json!({"__type": kind, "message": "Try again."}))
    }

    fn violation(&mut self, kind: &str, message: String) -> (u16, Value) {
        let answer = json!({"__type": kind, "message": message});
        self.log.violations.push(message);
        (400, answer)
    }
}
