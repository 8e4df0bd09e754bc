//! A running function, and what it talks to.

mod http;
mod runtime_api;
mod sqs;

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use lambda_streams::Record;
use lambda_streams::testing::TestStream;
use serde_json::{Value, json};

use self::runtime_api::RuntimeApi;
pub(crate) use self::runtime_api::{Invocation, Outcome};
pub(crate) use self::sqs::Sqs;

pub(crate) const TABLE: &str = "orders";

/// Far more than anything here takes: reaching it is a failure.
const PATIENCE: Duration = Duration::from_secs(60);

/// The program, started, with its log as it comes.
pub(crate) struct Program {
    child: Child,
    log: Receiver<Value>,
}

impl Program {
    /// Starts the program with these variables and no others.
    pub(crate) fn start(variables: &[(&str, &str)]) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_stream-processor"))
            .env_clear()
            .envs(variables.iter().copied())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the program was built for this test");
        let (send, log) = channel();
        let stdout = BufReader::new(child.stdout.take().expect("it is piped"));
        std::thread::spawn(move || {
            for line in stdout.lines().map_while(Result::ok) {
                let line = serde_json::from_str(&line).unwrap_or_else(|_| panic!("not a JSON line: {line}"));
                if send.send(line).is_err() {
                    return;
                }
            }
        });
        Self { child, log }
    }

    /// The next log line with this message; the ones before it are gone.
    pub(crate) fn logged(&self, message: &str) -> Value {
        loop {
            let line = self.log.recv_timeout(PATIENCE).unwrap_or_else(|_| panic!("no line says {message:?}"));
            if line["message"] == message {
                return line;
            }
        }
    }

    /// The next document of metrics that has this one.
    pub(crate) fn metric(&self, name: &str) -> Value {
        loop {
            let line = self.log.recv_timeout(PATIENCE).unwrap_or_else(|_| panic!("no document has {name:?}"));
            if line.get("_aws").is_some() && line.get(name).is_some() {
                return line;
            }
        }
    }

    /// The next log lines up to the one with this message, without the metrics between them.
    pub(crate) fn logged_up_to(&self, message: &str) -> Vec<Value> {
        let mut lines = Vec::new();
        while lines.last().is_none_or(|line: &Value| line["message"] != message) {
            lines.push(self.log.recv_timeout(PATIENCE).unwrap_or_else(|_| panic!("no line says {message:?}")));
        }
        lines.retain(|line| line.get("_aws").is_none());
        lines
    }

    /// Waits until the program has ended by itself: how, and what it still logged.
    pub(crate) fn ended(&mut self) -> (ExitStatus, Vec<Value>) {
        let status = self.child.wait().expect("it is our child");
        (status, self.log.iter().collect())
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The function in its environment.
pub(crate) struct Function {
    pub(crate) program: Program,
    pub(crate) sqs: Sqs,
    runtime: RuntimeApi,
}

impl Function {
    pub(crate) fn start() -> Self {
        Self::start_with(&[])
    }

    /// Starts the function with more variables, or other values, than the usual ones.
    pub(crate) fn start_with(variables: &[(&str, &str)]) -> Self {
        let (runtime, sqs) = (RuntimeApi::serve(), Sqs::serve());
        let usual = [
            ("AWS_LAMBDA_RUNTIME_API", runtime.address()),
            ("AWS_ENDPOINT_URL_SQS", format!("http://{}", sqs.address())),
            ("DLQ_URL", format!("http://{}/123456789012/dead-letters", sqs.address())),
        ];
        let usual: Vec<_> = usual.iter().map(|(name, value)| (*name, value.as_str())).chain(environment()).collect();
        Self { program: Program::start(&[&usual, variables].concat()), sqs, runtime }
    }

    /// One invocation, with a minute until its deadline.
    pub(crate) fn invoke(&self, payload: &str) -> Outcome {
        self.runtime.invoke(Invocation { payload: payload.to_owned(), ..Invocation::default() })
    }

    pub(crate) fn invoke_as(&self, invocation: Invocation) -> Outcome {
        self.runtime.invoke(invocation)
    }

    /// The answer to a request through API Gateway: its status, and its body.
    pub(crate) fn request(&self, request: Value) -> (u64, Value) {
        let answer = self.invoke(&request.to_string()).expect("a request is always answered");
        assert_eq!(answer["headers"]["content-type"], "application/json");
        let body = answer["body"].as_str().expect("a text");
        (answer["statusCode"].as_u64().expect("a number"), serde_json::from_str(body).expect("the body is JSON"))
    }

    /// `POST /process` with this body.
    pub(crate) fn post(&self, body: &Value) -> (u64, Value) {
        self.request(request("POST", Some(&body.to_string())))
    }
}

/// What Lambda sets, and what the function needs.
pub(crate) fn environment() -> [(&'static str, &'static str); 7] {
    [
        ("AWS_LAMBDA_FUNCTION_NAME", "the-function"),
        ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "1024"),
        ("AWS_LAMBDA_FUNCTION_VERSION", "7"),
        ("AWS_REGION", "eu-central-1"),
        ("AWS_ACCESS_KEY_ID", "test"),
        ("AWS_SECRET_ACCESS_KEY", "test"),
        ("TABLE_NAME", TABLE),
    ]
}

/// A request to `/process` as API Gateway's proxy integration hands it over.
pub(crate) fn request(method: &str, body: Option<&str>) -> Value {
    json!({
        "resource": "/process",
        "path": "/process",
        "httpMethod": method,
        "headers": {"Content-Type": "application/json"},
        "multiValueHeaders": {"Content-Type": ["application/json"]},
        "queryStringParameters": null,
        "multiValueQueryStringParameters": null,
        "pathParameters": null,
        "stageVariables": null,
        "requestContext": {
            "resourceId": "abc123", "resourcePath": "/process", "httpMethod": method, "path": "/prod/process",
            "stage": "prod", "requestId": "a-request", "requestTimeEpoch": 1_767_225_600_000_u64, "apiId": "xyz",
            "identity": {"sourceIp": "192.0.2.1", "userArn": "arn:aws:iam::123456789012:user/caller"},
        },
        "body": body,
        "isBase64Encoded": false,
    })
}

/// A stream's event of these records.
pub(crate) fn event(records: &[Value]) -> String {
    json!({"Records": records}).to_string()
}

/// The only change of a stream that `change` makes, with this number.
fn record(number: u64, change: impl FnOnce(TestStream) -> TestStream) -> Value {
    let stream = TestStream::new(TABLE, &["id", "timestamp"]).named("event").starting_at(number);
    let record: Record = change(stream).change().expect("one change");
    serde_json::from_str(record.raw_json()).expect("it is JSON")
}

pub(crate) fn item(id: &str, status: &str) -> Value {
    json!({"id": {"S": id}, "timestamp": {"N": "1767225600"}, "status": {"S": status}})
}

pub(crate) fn insert(number: u64, id: &str) -> Value {
    record(number, |stream| stream.insert(item(id, "new")))
}

/// An item whose status is not a text: it does not decode.
pub(crate) fn poison(number: u64, id: &str) -> Value {
    record(number, |stream| stream.insert(item(id, "new")).with("/dynamodb/NewImage/status", json!({"N": "1"})))
}

pub(crate) fn modify(number: u64, id: &str) -> Value {
    record(number, |stream| stream.modify(item(id, "new"), item(id, "secret-status")))
}

pub(crate) fn remove(number: u64, id: &str) -> Value {
    record(number, |stream| stream.remove(item(id, "new")))
}

pub(crate) fn expire(number: u64, id: &str) -> Value {
    record(number, |stream| stream.expire(item(id, "new")))
}

/// The sequence number that these records carry.
pub(crate) fn sequence_number(number: u64) -> String {
    format!("{}", 100_000_000_000_000_000_000_u128 + u128::from(number))
}
