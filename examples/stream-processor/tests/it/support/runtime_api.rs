//! Lambda's Runtime API ([AWS: runtime API](https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html)).

use std::net::SocketAddr;
use std::sync::Mutex;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, SystemTime};

use serde_json::Value;

use super::PATIENCE;
use super::http::{self, Request, Response};

/// What the function returned, or the error that it reported.
pub(crate) type Outcome = Result<Value, Value>;

pub(crate) struct Invocation {
    pub(crate) payload: String,
    pub(crate) request_id: String,
    pub(crate) time_left: Duration,
}

impl Default for Invocation {
    fn default() -> Self {
        Self { payload: String::new(), request_id: "request-1".to_owned(), time_left: Duration::from_secs(60) }
    }
}

pub(crate) struct RuntimeApi {
    address: SocketAddr,
    invocations: Sender<Invocation>,
    outcomes: Receiver<Outcome>,
}

impl RuntimeApi {
    pub(crate) fn serve() -> Self {
        let (invocations, waiting) = channel::<Invocation>();
        let (done, outcomes) = channel::<Outcome>();
        let waiting = Mutex::new(waiting);
        let address = http::serve(move |request| answer(request, &waiting, &done));
        Self { address, invocations, outcomes }
    }

    pub(crate) fn address(&self) -> String {
        self.address.to_string()
    }

    /// Hands the function one invocation, and waits for what comes of it.
    pub(crate) fn invoke(&self, invocation: Invocation) -> Outcome {
        self.invocations.send(invocation).expect("the server runs");
        self.outcomes.recv_timeout(PATIENCE).expect("the function answers")
    }
}

fn answer(request: &Request, waiting: &Mutex<Receiver<Invocation>>, done: &Sender<Outcome>) -> Response {
    let path = request.path.strip_prefix("/2018-06-01/runtime/").expect("the version that Lambda serves");
    match (request.method.as_str(), path.rsplit('/').next()) {
        ("GET", Some("next")) => match waiting.lock().expect("no test panics here").recv() {
            Ok(invocation) => hand_over(invocation),
            // The test is over.
            Err(_) => Response::new(410, ""),
        },
        ("POST", Some(what)) => {
            let body = serde_json::from_str(&request.body).expect("the function answers JSON");
            let outcome = if what == "response" { Ok(body) } else { Err(body) };
            // The test may have given up already.
            let _ = done.send(outcome);
            Response::new(202, r#"{"status":"OK"}"#)
        }
        _ => Response::new(404, ""),
    }
}

fn hand_over(invocation: Invocation) -> Response {
    let deadline = SystemTime::now() + invocation.time_left;
    let deadline = deadline.duration_since(SystemTime::UNIX_EPOCH).expect("later than 1970").as_millis();
    let mut response = Response::new(200, invocation.payload);
    response.headers = vec![
        ("content-type", "application/json".to_owned()),
        ("Lambda-Runtime-Aws-Request-Id", invocation.request_id),
        ("Lambda-Runtime-Deadline-Ms", deadline.to_string()),
        (
            "Lambda-Runtime-Invoked-Function-Arn",
            "arn:aws:lambda:eu-central-1:123456789012:function:the-function".to_owned(),
        ),
    ];
    response
}
