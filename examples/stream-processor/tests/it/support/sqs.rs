//! An SQS that accepts every message, or none.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};

use super::http::{self, Request, Response};

pub(crate) struct Sqs {
    address: SocketAddr,
    accepts: Arc<AtomicBool>,
    messages: Arc<Mutex<Vec<String>>>,
}

impl Sqs {
    pub(crate) fn serve() -> Self {
        let accepts = Arc::new(AtomicBool::new(true));
        let messages = Arc::new(Mutex::new(Vec::new()));
        let (switch, inbox) = (Arc::clone(&accepts), Arc::clone(&messages));
        let address = http::serve(move |request| answer(request, switch.load(Ordering::SeqCst), &inbox));
        Self { address, accepts, messages }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(crate) fn refuse_everything(&self) {
        self.accepts.store(false, Ordering::SeqCst);
    }

    /// The bodies of all messages so far.
    pub(crate) fn messages(&self) -> Vec<String> {
        self.messages.lock().expect("no test panics here").clone()
    }
}

fn answer(request: &Request, accepts: bool, inbox: &Mutex<Vec<String>>) -> Response {
    let input: Value = serde_json::from_str(&request.body).expect("SQS speaks JSON");
    let output = match request.header("x-amz-target") {
        Some("AmazonSQS.GetQueueAttributes") => json!({"Attributes": {"MaximumMessageSize": "1048576"}}),
        Some("AmazonSQS.SendMessageBatch") => send(&input, accepts, inbox),
        other => panic!("the function has no business with {other:?}"),
    };
    let mut response = Response::new(200, output.to_string());
    response.headers = vec![("content-type", "application/x-amz-json-1.0".to_owned())];
    response
}

fn send(input: &Value, accepts: bool, inbox: &Mutex<Vec<String>>) -> Value {
    let entries = input["Entries"].as_array().expect("a batch has entries");
    if !accepts {
        let refused = |entry: &Value| json!({"Id": entry["Id"], "SenderFault": true, "Code": "InvalidMessageContents"});
        return json!({"Successful": [], "Failed": entries.iter().map(refused).collect::<Vec<_>>()});
    }
    let accepted = |entry: &Value| json!({"Id": entry["Id"], "MessageId": "1", "MD5OfMessageBody": ""});
    let bodies = entries.iter().map(|entry| entry["MessageBody"].as_str().expect("a text").to_owned());
    inbox.lock().expect("no test panics here").extend(bodies);
    json!({"Successful": entries.iter().map(accepted).collect::<Vec<_>>(), "Failed": []})
}
