//! A Lambda endpoint on loopback, for the program: one function, and one event source mapping that can be disabled.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use futures::FutureExt;
use futures::future::BoxFuture;
use http_body_util::Full;
use hyper::Response;
use hyper::body::Bytes;
use hyper::http::request::Parts;
use serde_json::{Value, json};
use tokio::sync::watch;

use crate::fake_http::{Answer, FakeHttp};

pub(crate) const UUID: &str = "14e0db71-xmpl-4eb5-b481-8945cf9d10c2";
const FUNCTION: &str = "arn:aws:lambda:eu-central-1:123456789012:function:orders";

/// What an invocation is answered: the function's response, or its error.
type Invoked = Result<Value, Value>;
type Handler = Arc<dyn Fn(Bytes) -> BoxFuture<'static, Invoked> + Send + Sync>;

/// The endpoint, until it is dropped.
pub(crate) struct FakeLambda {
    pub(crate) endpoint: String,
    shared: Arc<Shared>,
    _server: FakeHttp,
}

struct Shared {
    stream_arn: String,
    /// `Enabled`, `Disabling`, … as Lambda says it.
    state: watch::Sender<&'static str>,
    /// What was asked to be enabled, in order.
    updates: Mutex<Vec<bool>>,
    /// The error with which updates are refused, and how many still are.
    refusal: Mutex<Option<(&'static str, usize)>>,
    record_age: Mutex<i64>,
    /// What `ListEventSourceMappings` shows, if not the one mapping.
    listed: Mutex<Option<Vec<Value>>>,
    /// Whether a mapping stays on its way to a state.
    is_stuck: AtomicBool,
    handler: Handler,
}

impl FakeLambda {
    /// A function whose mapping reads the stream and is enabled.
    pub(crate) async fn start(
        stream_arn: &str,
        handler: impl Fn(Bytes) -> BoxFuture<'static, Invoked> + Send + Sync + 'static,
    ) -> Self {
        let shared = Arc::new(Shared {
            stream_arn: stream_arn.to_owned(),
            state: watch::Sender::new("Enabled"),
            updates: Mutex::default(),
            refusal: Mutex::default(),
            record_age: Mutex::new(-1),
            listed: Mutex::default(),
            is_stuck: AtomicBool::new(false),
            handler: Arc::new(handler),
        });
        let serving = Arc::clone(&shared);
        let server = FakeHttp::start(move |parts, body| answer(Arc::clone(&serving), parts, body).boxed()).await;
        Self { endpoint: server.endpoint.clone(), shared, _server: server }
    }

    /// The mapping's state.
    pub(crate) fn state(&self) -> &'static str {
        *self.shared.state.borrow()
    }

    pub(crate) fn set_state(&self, state: &'static str) {
        self.shared.state.send_replace(state);
    }

    /// Follows the state.
    pub(crate) fn states(&self) -> watch::Receiver<&'static str> {
        self.shared.state.subscribe()
    }

    pub(crate) fn updates(&self) -> Vec<bool> {
        self.shared.updates.lock().expect("no test panics with it").clone()
    }

    pub(crate) fn refuse_updates(&self, code: &'static str, times: usize) {
        *self.shared.refusal.lock().expect("no test panics with it") = Some((code, times));
    }

    pub(crate) fn list(&self, mappings: Vec<Value>) {
        *self.shared.listed.lock().expect("no test panics with it") = Some(mappings);
    }

    pub(crate) fn stick(&self) {
        self.shared.is_stuck.store(true, Ordering::Relaxed);
    }

    pub(crate) fn set_record_age(&self, seconds: i64) {
        *self.shared.record_age.lock().expect("no test panics with it") = seconds;
    }
}

impl Shared {
    /// As `GetEventSourceMapping` shows it. A mapping on its way to a state is there when it is asked for the next time.
    fn mapping(&self) -> Value {
        let state = *self.state.borrow();
        let next = match state {
            "Disabling" => "Disabled",
            "Enabling" => "Enabled",
            state => state,
        };
        if next != state && !self.is_stuck.load(Ordering::Relaxed) {
            self.state.send_replace(next);
        }
        let age = *self.record_age.lock().expect("no test panics with it");
        json!({"UUID": UUID, "EventSourceArn": self.stream_arn, "FunctionArn": FUNCTION, "State": state,
            "StartingPosition": "TRIM_HORIZON", "MaximumRecordAgeInSeconds": age})
    }

    fn update(&self, body: &Value) -> Result<Value, &'static str> {
        if let Some((code, times)) = self.refusal.lock().expect("no test panics with it").as_mut()
            && *times > 0
        {
            *times -= 1;
            return Err(code);
        }
        let is_enabled = body["Enabled"].as_bool().expect("nothing else is changed");
        self.updates.lock().expect("no test panics with it").push(is_enabled);
        let target = if is_enabled { "Enabling" } else { "Disabling" };
        self.state.send_if_modified(|state| {
            let is_there = *state == if is_enabled { "Enabled" } else { "Disabled" };
            if !is_there {
                *state = target;
            }
            !is_there
        });
        Ok(self.mapping())
    }
}

async fn answer(shared: Arc<Shared>, parts: Parts, body: Bytes) -> Answer {
    let path = parts.uri.path();
    let reply = |status: u16, body: &Value, header: Option<(&'static str, &'static str)>| {
        let mut response = Response::builder().status(status);
        if let Some((name, value)) = header {
            response = response.header(name, value);
        }
        response.body(Full::new(Bytes::from(body.to_string()))).expect("a response")
    };
    let refused = |code| reply(400, &json!({"message": "made up"}), Some(("x-amzn-errortype", code)));
    match (parts.method.as_str(), path) {
        // No other function is there.
        ("GET", path) if path.ends_with("orders/configuration") => {
            reply(200, &json!({"FunctionName": "orders", "FunctionArn": FUNCTION, "Timeout": 30}), None)
        }
        ("POST", path) if path.ends_with("/invocations") => match (shared.handler)(body).await {
            Ok(response) => reply(200, &response, None),
            Err(error) => reply(200, &error, Some(("x-amz-function-error", "Unhandled"))),
        },
        ("GET", path) if path.ends_with(UUID) => reply(200, &shared.mapping(), None),
        ("PUT", path) if path.ends_with(UUID) => {
            match shared.update(&serde_json::from_slice(&body).unwrap_or_default()) {
                Ok(mapping) => reply(202, &mapping, None),
                Err(code) => refused(code),
            }
        }
        ("GET", path) if path.trim_end_matches('/').ends_with("/event-source-mappings") => {
            let listed = shared.listed.lock().expect("no test panics with it").clone();
            let listed = listed.unwrap_or_else(|| vec![shared.mapping()]);
            reply(200, &json!({"EventSourceMappings": listed}), None)
        }
        _ => refused("ResourceNotFoundException"),
    }
}
