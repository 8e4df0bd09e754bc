//! An SQS server for tests, which answers by a script.

use std::sync::{Arc, Mutex};

use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// One request: the operation, and its body.
#[derive(Debug, Clone)]
pub(crate) struct Call {
    pub(crate) operation: String,
    pub(crate) body: Value,
}

impl Call {
    /// The ids of a batch's entries.
    pub(crate) fn ids(&self) -> Vec<&str> {
        self.entries().iter().map(|entry| entry["Id"].as_str().expect("an entry has an id")).collect()
    }

    /// The entries of a batch.
    pub(crate) fn entries(&self) -> &[Value] {
        self.body["Entries"].as_array().map_or(&[], Vec::as_slice)
    }
}

/// The server's response.
#[derive(Debug, Clone)]
pub(crate) enum Answer {
    /// This status, and this text.
    Http(u16, String),
    /// No response, ever.
    Silence,
}

impl Answer {
    /// Every entry is accepted but those that `fault` has a code for; `true` with the code is a fault of the sender.
    pub(crate) fn batch(call: &Call, fault: impl Fn(&Value) -> Option<(&'static str, bool)>) -> Self {
        let (mut successful, mut failed) = (Vec::new(), Vec::new());
        for entry in call.entries() {
            match fault(entry) {
                None => successful.push(json!({"Id": entry["Id"], "MessageId": "1", "MD5OfMessageBody": "0"})),
                Some((code, sender)) => failed.push(json!({"Id": entry["Id"], "Code": code, "SenderFault": sender})),
            }
        }
        Self::Http(200, json!({"Successful": successful, "Failed": failed}).to_string())
    }

    /// An error of the whole request.
    pub(crate) fn error(status: u16, code: &str) -> Self {
        Self::Http(status, json!({"__type": format!("com.amazonaws.sqs#{code}"), "message": "no"}).to_string())
    }

    /// The queue's limit.
    pub(crate) fn limit(limit: usize) -> Self {
        Self::Http(200, json!({"Attributes": {"MaximumMessageSize": limit.to_string()}}).to_string())
    }
}

type Play = dyn Fn(&Call, usize) -> Answer + Send + Sync;

/// The calls so far, and what to answer to the next one.
#[derive(Clone)]
pub(crate) struct Script {
    calls: Arc<Mutex<Vec<Call>>>,
    answer: Arc<Play>,
}

impl Script {
    /// Answers each call, given the number of earlier calls of the same operation.
    pub(crate) fn new(answer: impl Fn(&Call, usize) -> Answer + Send + Sync + 'static) -> Self {
        Self { calls: Arc::default(), answer: Arc::new(answer) }
    }

    /// Answers each batch; the queue's limit is 1 MiB.
    pub(crate) fn batches(answer: impl Fn(&Call, usize) -> Answer + Send + Sync + 'static) -> Self {
        Self::new(move |call, earlier| match call.operation.as_str() {
            "GetQueueAttributes" => Answer::limit(1024 * 1024),
            _ => answer(call, earlier),
        })
    }

    pub(crate) fn answer(&self, operation: &str, body: &[u8]) -> Answer {
        let body = serde_json::from_slice(body).expect("the client sends JSON");
        let call = Call { operation: operation.to_owned(), body };
        let mut calls = self.calls.lock().expect("no test panics in here");
        let earlier = calls.iter().filter(|earlier| earlier.operation == call.operation).count();
        let answer = (self.answer)(&call, earlier);
        calls.push(call);
        answer
    }

    /// The calls of one operation.
    pub(crate) fn calls(&self, operation: &str) -> Vec<Call> {
        let calls = self.calls.lock().expect("no test panics in here");
        calls.iter().filter(|call| call.operation == operation).cloned().collect()
    }

    /// The batches that were sent.
    pub(crate) fn batch_calls(&self) -> Vec<Call> {
        self.calls("SendMessageBatch")
    }
}

/// The script, served on a real socket; it stops when this is dropped.
pub(crate) struct SqsServer {
    pub(crate) endpoint: String,
    accepting: JoinHandle<()>,
}

impl SqsServer {
    pub(crate) async fn start(script: Script) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("there is a free port");
        let endpoint = format!("http://{}", listener.local_addr().expect("it is bound"));
        let accepting = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, script.clone()));
            }
        });
        Self { endpoint, accepting }
    }
}

impl Drop for SqsServer {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

/// Serves one connection; `None` when the client has closed it.
async fn serve(stream: TcpStream, script: Script) -> Option<()> {
    let mut stream = BufReader::new(stream);
    loop {
        let (mut operation, mut length) = (String::new(), 0);
        loop {
            let mut line = String::new();
            stream.read_line(&mut line).await.ok().filter(|read| *read > 0)?;
            match line.trim_end().split_once(": ") {
                Some((name, value)) if name.eq_ignore_ascii_case("x-amz-target") => {
                    operation = value.rsplit('.').next().unwrap_or_default().to_owned();
                }
                Some((name, value)) if name.eq_ignore_ascii_case("content-length") => length = value.parse().ok()?,
                _ if line == "\r\n" => break,
                _ => {}
            }
        }
        let mut body = vec![0; length];
        stream.read_exact(&mut body).await.ok()?;
        let Answer::Http(status, text) = script.answer(&operation, &body) else {
            std::future::pending::<()>().await;
            return None;
        };
        let length = text.len();
        let head = format!(
            "HTTP/1.1 {status} x\r\ncontent-type: application/x-amz-json-1.0\r\ncontent-length: {length}\r\n\r\n"
        );
        stream.write_all((head + &text).as_bytes()).await.ok()?;
    }
}
