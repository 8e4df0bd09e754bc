//! The world: an HTTP server on loopback that answers like the `_bulk` of OpenSearch or Elasticsearch, and has a bad day.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use example_world::Failure;
use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use tokio::net::TcpListener;

use crate::handler::Search;

/// Its bad moments take turns: of this many requests one finds the engine down, one finds it busy, and one is done without
/// an answer.
const DOWN_EVERY: usize = 13;
const BUSY_EVERY: usize = 11;
const UNANSWERED_EVERY: usize = 7;
/// One in this many writes is refused for now.
const THROTTLED_EVERY: usize = 23;
/// More actions in a request are not a fault of the engine, but of the handler, which promises a hundred.
const MOST_ACTIONS: usize = 100;

/// A search engine on a free port of loopback. It ends with the process.
#[derive(Debug)]
pub(crate) struct SearchEngine {
    endpoint: String,
    state: Arc<Mutex<EngineLog>>,
}

/// A document by its index and id.
pub(crate) type Name = (String, String);

/// What a search engine has, and what it has seen.
#[derive(Debug, Clone, Default)]
pub(crate) struct EngineLog {
    /// Each document that was ever there, with its version.
    entries: BTreeMap<Name, Entry>,
    pub(crate) requests: usize,
    pub(crate) actions: usize,
    /// The actions of the largest request.
    pub(crate) largest: usize,
    /// Actions whose document fits its index.
    writes: usize,
    /// Requests that failed as a whole.
    pub(crate) failed_requests: usize,
    /// Of these, those that were done nevertheless.
    pub(crate) done_unanswered: usize,
    /// Actions that were refused for a moment (429).
    pub(crate) throttled: usize,
    /// Actions that came too late (409).
    pub(crate) conflicts: usize,
    /// Documents that do not fit their index (400).
    pub(crate) unfit: usize,
    /// What a real engine does not take from anybody.
    pub(crate) violations: Vec<String>,
}

#[derive(Debug, Clone)]
struct Entry {
    version: u64,
    /// None if it was deleted. Its version is kept, so a write that comes late does not bring it back.
    source: Option<Value>,
}

impl EngineLog {
    /// The documents that a search would find.
    pub(crate) fn documents(&self) -> BTreeMap<Name, Value> {
        let found = |(name, entry): (&Name, &Entry)| Some((name.clone(), entry.source.clone()?));
        self.entries.iter().filter_map(found).collect()
    }

    #[cfg(test)]
    pub(crate) fn set(&mut self, index: &str, id: &str, source: Option<Value>) {
        self.entries.insert((index.to_owned(), id.to_owned()), Entry { version: 1, source });
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum Action {
    Index(Target),
    Delete(Target),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Target {
    _index: String,
    _id: String,
    version: u64,
    version_type: String,
}

impl SearchEngine {
    pub(crate) async fn start() -> Result<Self, Failure> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let endpoint = format!("http://{}", listener.local_addr()?);
        let state = Arc::new(Mutex::new(EngineLog::default()));
        tokio::spawn(serve(listener, Arc::clone(&state)));
        Ok(Self { endpoint, state })
    }

    pub(crate) fn client(&self) -> Result<Search, Failure> {
        // A proxy does not know this machine's loopback.
        Ok(Search { http: reqwest::Client::builder().no_proxy().build()?, url: self.endpoint.clone() })
    }

    pub(crate) fn log(&self) -> EngineLog {
        lock(&self.state).clone()
    }
}

fn lock(state: &Mutex<EngineLog>) -> MutexGuard<'_, EngineLog> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn serve(listener: TcpListener, state: Arc<Mutex<EngineLog>>) {
    while let Ok((stream, _)) = listener.accept().await {
        let state = Arc::clone(&state);
        let answer = service_fn(move |request| answer(request, Arc::clone(&state)));
        // A client that hangs up is an environment that was killed.
        tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), answer));
    }
}

async fn answer(request: Request<Incoming>, state: Arc<Mutex<EngineLog>>) -> Result<Response<Full<Bytes>>, Infallible> {
    let target = format!("{} {}", request.method(), request.uri().path());
    let Ok(body) = request.into_body().collect().await else {
        return Ok(response(400, &json!({"error": {"type": "parse_exception"}, "status": 400})));
    };
    let (status, body) = lock(&state).bulk(&target, &body.to_bytes());
    Ok(response(status, &body))
}

fn response(status: u16, body: &Value) -> Response<Full<Bytes>> {
    let response = Response::builder().status(status).header("content-type", "application/json");
    response.body(Full::new(Bytes::from(body.to_string()))).expect("status and header are valid")
}

impl EngineLog {
    fn bulk(&mut self, target: &str, body: &[u8]) -> (u16, Value) {
        self.requests += 1;
        let actions = match actions(target, body) {
            Ok(actions) => actions,
            Err(violation) => {
                self.violations.push(violation);
                return (400, json!({"error": {"type": "illegal_argument_exception"}, "status": 400}));
            }
        };
        self.actions += actions.len();
        self.largest = self.largest.max(actions.len());
        match self.requests {
            request if request.is_multiple_of(DOWN_EVERY) => self.fail(503, "no_master_exception"),
            request if request.is_multiple_of(BUSY_EVERY) => self.fail(429, "circuit_breaking_exception"),
            request if request.is_multiple_of(UNANSWERED_EVERY) => {
                self.done_unanswered += 1;
                self.perform(actions);
                self.fail(503, "no_master_exception")
            }
            _ => (200, self.perform(actions)),
        }
    }

    fn fail(&mut self, status: u16, kind: &str) -> (u16, Value) {
        self.failed_requests += 1;
        (status, json!({"error": {"type": kind}, "status": status}))
    }

    fn perform(&mut self, actions: Vec<(Action, Option<Value>)>) -> Value {
        let answers: Vec<Value> = actions.into_iter().map(|(action, source)| self.act(action, source)).collect();
        let has_error = |answer: &Value| {
            answer.as_object().is_some_and(|answer| answer.values().any(|it| it.get("error").is_some()))
        };
        json!({"took": 1, "errors": answers.iter().any(has_error), "items": answers})
    }

    fn act(&mut self, action: Action, source: Option<Value>) -> Value {
        let (verb, Target { _index, _id, version, .. }) = match action {
            Action::Index(target) => ("index", target),
            Action::Delete(target) => ("delete", target),
        };
        let mut answer = json!({"_index": &_index, "_id": &_id});
        match self.write((_index, _id), version, source) {
            Ok((status, result)) => (answer["status"], answer["result"]) = (json!(status), json!(result)),
            Err((status, kind)) => {
                let reason = "a text that quotes the document";
                (answer["status"], answer["error"]) = (json!(status), json!({"type": kind, "reason": reason}));
            }
        }
        json!({verb: answer})
    }

    /// Writes or deletes a document, unless a version that is as new is there.
    fn write(
        &mut self,
        name: Name,
        version: u64,
        source: Option<Value>,
    ) -> Result<(u16, &'static str), (u16, &'static str)> {
        if source.as_ref().is_some_and(|source| !fits(&name.0, source)) {
            self.unfit += 1;
            return Err((400, "mapper_parsing_exception"));
        }
        self.writes += 1;
        if self.writes.is_multiple_of(THROTTLED_EVERY) {
            self.throttled += 1;
            return Err((429, "rejected_execution_exception"));
        }
        let before = self.entries.get(&name);
        if before.is_some_and(|before| before.version >= version) {
            self.conflicts += 1;
            return Err((409, "version_conflict_engine_exception"));
        }
        let was_there = before.is_some_and(|before| before.source.is_some());
        let answer = match (&source, was_there) {
            (Some(_), false) => (201, "created"),
            (Some(_), true) => (200, "updated"),
            (None, true) => (200, "deleted"),
            (None, false) => (404, "not_found"),
        };
        self.entries.insert(name, Entry { version, source });
        Ok(answer)
    }
}

/// The actions of a request with the documents to index, or what is wrong with it.
fn actions(target: &str, body: &[u8]) -> Result<Vec<(Action, Option<Value>)>, String> {
    if target != "POST /_bulk" {
        return Err(format!("the request is {target}"));
    }
    let body = std::str::from_utf8(body).map_err(|error| error.to_string())?;
    let body = body.strip_suffix('\n').ok_or("the request does not end with a newline")?;
    let mut lines = body.split('\n');
    let mut actions = Vec::new();
    while let Some(line) = lines.next() {
        let action: Action = serde_json::from_str(line).map_err(|error| error.to_string())?;
        let (Action::Index(target) | Action::Delete(target)) = &action;
        if target.version_type != "external" {
            return Err(format!("a version is of the type {}", target.version_type));
        }
        let source = match action {
            Action::Index(_) => {
                let source: Map<String, Value> =
                    serde_json::from_str(lines.next().unwrap_or_default()).map_err(|error| error.to_string())?;
                Some(Value::Object(source))
            }
            Action::Delete(_) => None,
        };
        actions.push((action, source));
    }
    if actions.len() > MOST_ACTIONS {
        return Err(format!("a request has {} actions", actions.len()));
    }
    Ok(actions)
}

/// Whether a document fits the mapping of its index, in which `placed` is a date.
fn fits(index: &str, source: &Value) -> bool {
    let is_date = |text: &str| {
        let is_digit =
            |(position, byte)| if position == 4 || position == 7 { byte == b'-' } else { u8::is_ascii_digit(&byte) };
        text.len() == 10 && text.bytes().enumerate().all(is_digit)
    };
    index != "orders" || source["placed"].as_str().is_some_and(is_date)
}
