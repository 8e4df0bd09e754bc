//! An AWS endpoint on loopback that a test makes up: for the program, which is another process. It has a queue, and a function.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::Notify;
use tokio::task::JoinSet;

/// Answers instead of the queue: a status and a body, to an operation with an input.
type Fault = dyn Fn(&str, &Value) -> Option<(u16, Value)> + Send + Sync;
/// The function: its answer to an event.
type Invoked = dyn Fn(&Value) -> Value + Send + Sync;

/// A message in the queue.
#[derive(Debug, Clone)]
pub(crate) struct Message {
    pub(crate) body: String,
    pub(crate) group: Option<String>,
    pub(crate) receives: u64,
    /// Until when it is hidden.
    hidden: Option<Instant>,
}

impl Message {
    pub(crate) fn is_visible(&self) -> bool {
        self.hidden.is_none_or(|until| until <= Instant::now())
    }
}

#[derive(Default)]
struct Queue {
    /// By their ids, which are in the order in which they were sent.
    messages: BTreeMap<u64, Message>,
    /// The operations so far, with their inputs.
    calls: Vec<(String, Value)>,
    attributes: BTreeMap<String, String>,
}

#[derive(Clone)]
pub(crate) struct FakeServer {
    pub(crate) endpoint: String,
    queue: Arc<Mutex<Queue>>,
    called: Arc<Notify>,
    fault: Arc<Mutex<Arc<Fault>>>,
    invoked: Arc<Mutex<Arc<Invoked>>>,
    _server: Arc<JoinSet<()>>,
}

impl FakeServer {
    /// A queue of that name, with these messages.
    pub(crate) async fn start(bodies: impl IntoIterator<Item = String>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("there is a free port");
        let endpoint = format!("http://{}", listener.local_addr().expect("it is bound"));
        let mut tasks = JoinSet::new();
        let (fault, invoked): (Arc<Fault>, Arc<Invoked>) =
            (Arc::new(|_, _| None), Arc::new(|_| json!({"batchItemFailures": []})));
        let server = Self {
            endpoint,
            queue: Arc::default(),
            called: Arc::default(),
            fault: Arc::new(Mutex::new(fault)),
            invoked: Arc::new(Mutex::new(invoked)),
            _server: Arc::default(),
        };
        let serving = server.clone();
        tasks.spawn(async move { serving.serve(listener).await });
        let server = Self { _server: Arc::new(tasks), ..server };
        bodies.into_iter().for_each(|body| server.send(body, None));
        server
    }

    pub(crate) fn send(&self, body: String, group: Option<&str>) {
        let mut queue = lock(&self.queue);
        let id = queue.messages.last_key_value().map_or(1, |(id, _)| id + 1);
        let group = group.map(str::to_owned);
        queue.messages.insert(id, Message { body, group, receives: 0, hidden: None });
    }

    /// Another receives a message, although it is hidden, and leaves it.
    pub(crate) fn steal(&self, id: u64) {
        if let Some(message) = lock(&self.queue).messages.get_mut(&id) {
            message.receives += 1;
            message.hidden = None;
        }
    }

    pub(crate) fn set_attribute(&self, name: &str, value: &str) {
        lock(&self.queue).attributes.insert(name.to_owned(), value.to_owned());
    }

    pub(crate) fn on_call(&self, fault: impl Fn(&str, &Value) -> Option<(u16, Value)> + Send + Sync + 'static) {
        *lock(&self.fault) = Arc::new(fault);
    }

    pub(crate) fn on_invoke(&self, invoked: impl Fn(&Value) -> Value + Send + Sync + 'static) {
        *lock(&self.invoked) = Arc::new(invoked);
    }

    pub(crate) fn url(&self, name: &str) -> String {
        format!("{}/123456789012/{name}", self.endpoint)
    }

    /// What is in the queue.
    pub(crate) fn messages(&self) -> Vec<Message> {
        lock(&self.queue).messages.values().cloned().collect()
    }

    /// The inputs of an operation so far.
    pub(crate) fn calls(&self, operation: &str) -> Vec<Value> {
        let queue = lock(&self.queue);
        queue.calls.iter().filter(|(called, _)| called == operation).map(|(_, input)| input.clone()).collect()
    }

    /// Waits until an operation was called that often.
    pub(crate) async fn called(&self, operation: &str, times: usize) {
        let wait = async {
            loop {
                let called = self.called.notified();
                if self.calls(operation).len() >= times {
                    return;
                }
                called.await;
            }
        };
        let waited = tokio::time::timeout(Duration::from_secs(60), wait).await;
        waited.unwrap_or_else(|_| panic!("{operation} is not called {times} times"));
    }

    async fn serve(self, listener: TcpListener) {
        let mut connections = JoinSet::new();
        loop {
            let Ok((stream, _)) = listener.accept().await else { return };
            let server = self.clone();
            let service = service_fn(move |request| {
                let server = server.clone();
                async move { Ok::<_, Infallible>(server.answer(request).await) }
            });
            connections.spawn(async move {
                // The program may end in the middle.
                let _ =
                    hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
            });
        }
    }

    async fn answer(&self, request: Request<Incoming>) -> Response<Full<Bytes>> {
        let (head, body) = request.into_parts();
        let input: Value = match body.collect().await {
            Ok(body) => serde_json::from_slice(&body.to_bytes()).unwrap_or_default(),
            Err(_) => Value::Null,
        };
        let target = head.headers.get("x-amz-target").and_then(|target| target.to_str().ok());
        let operation = match target.and_then(|target| target.rsplit_once('.')) {
            Some((_, operation)) => operation.to_owned(),
            None if head.method == "POST" => "Invoke".to_owned(),
            None => "GetFunctionConfiguration".to_owned(),
        };
        let fault = lock(&self.fault).clone();
        let answer = fault(&operation, &input);
        let (status, answer) = answer.unwrap_or_else(|| (200, self.good_answer(&operation, &input)));
        lock(&self.queue).calls.push((operation, input));
        self.called.notify_waiters();
        let mut response = Response::new(Full::new(Bytes::from(answer.to_string())));
        *response.status_mut() = status.try_into().expect("a status");
        response
    }

    /// What the queue and the function do where nothing is made up.
    pub(crate) fn good_answer(&self, operation: &str, input: &Value) -> Value {
        match operation {
            "GetQueueUrl" => json!({"QueueUrl": self.url(input["QueueName"].as_str().unwrap_or_default())}),
            "GetQueueAttributes" => lock(&self.queue).attributes(),
            "ReceiveMessage" => lock(&self.queue).receive(input),
            "DeleteMessageBatch" => lock(&self.queue).batch(input, |messages, id, _| drop(messages.remove(&id))),
            "ChangeMessageVisibilityBatch" => lock(&self.queue).batch(input, |messages, id, entry| {
                let seconds = entry["VisibilityTimeout"].as_u64().expect("it has one");
                let message = messages.get_mut(&id).expect("it is there");
                message.hidden = Some(Instant::now() + Duration::from_secs(seconds));
            }),
            "Invoke" => lock(&self.invoked).clone()(input),
            "GetFunctionConfiguration" => json!({
                "FunctionName": "orders", "Timeout": 7,
                "FunctionArn": "arn:aws:lambda:eu-central-1:123456789012:function:orders",
            }),
            other => panic!("{other} is not made up"),
        }
    }
}

impl Queue {
    fn attributes(&self) -> Value {
        let visible = self.messages.values().filter(|message| message.is_visible()).count();
        let mut attributes = self.attributes.clone();
        attributes.insert("ApproximateNumberOfMessages".to_owned(), visible.to_string());
        let in_flight = self.messages.len() - visible;
        attributes.insert("ApproximateNumberOfMessagesNotVisible".to_owned(), in_flight.to_string());
        json!({"Attributes": attributes})
    }

    /// As a FIFO queue does, where messages have groups: nothing of a group that has a message in flight.
    fn receive(&mut self, input: &Value) -> Value {
        let hidden = Instant::now() + Duration::from_secs(input["VisibilityTimeout"].as_u64().expect("it has one"));
        let blocked: Vec<String> = self
            .messages
            .values()
            .filter(|message| !message.is_visible())
            .filter_map(|message| message.group.clone())
            .collect();
        let is_free = |message: &Message| {
            message.is_visible() && message.group.as_ref().is_none_or(|group| !blocked.contains(group))
        };
        let limit = input["MaxNumberOfMessages"].as_u64().expect("it has one") as usize;
        let free = self.messages.iter_mut().filter(|(_, message)| is_free(message)).take(limit);
        let received: Vec<Value> = free
            .map(|(id, message)| {
                message.hidden = Some(hidden);
                message.receives += 1;
                json!({
                    "MessageId": format!("m{id}"), "ReceiptHandle": format!("{id} {}", message.receives),
                    "Body": message.body, "MD5OfBody": "0",
                    "Attributes": {"SentTimestamp": "1767225600000", "ApproximateReceiveCount": message.receives.to_string()},
                })
            })
            .collect();
        if received.is_empty() { json!({}) } else { json!({"Messages": received}) }
    }

    /// Only the last receipt of a message is good.
    fn batch(&mut self, input: &Value, act: impl Fn(&mut BTreeMap<u64, Message>, u64, &Value)) -> Value {
        let (mut successful, mut failed) = (Vec::new(), Vec::new());
        for entry in input["Entries"].as_array().expect("it has entries") {
            let receipt = entry["ReceiptHandle"].as_str().and_then(|receipt| receipt.split_once(' '));
            let receipt = receipt.and_then(|(id, receives)| Some((id.parse().ok()?, receives.parse::<u64>().ok()?)));
            match receipt {
                Some((id, receives)) if self.messages.get(&id).is_some_and(|message| message.receives == receives) => {
                    act(&mut self.messages, id, entry);
                    successful.push(json!({"Id": entry["Id"]}));
                }
                _ => failed.push(json!({"Id": entry["Id"], "Code": "ReceiptHandleIsInvalid", "SenderFault": true})),
            }
        }
        json!({"Successful": successful, "Failed": failed})
    }
}

fn lock<V>(mutex: &Mutex<V>) -> MutexGuard<'_, V> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
