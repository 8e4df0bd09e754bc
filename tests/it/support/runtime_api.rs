//! A Lambda Runtime API on loopback, for a function that runs in a process of its own.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex};

use serde_json::Value;

/// What a function answered to one invocation.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Answered {
    Response(String),
    Error(String),
}

/// What a function answered to each payload, and the JSON lines that it wrote.
pub(crate) struct Invoked {
    pub(crate) answered: Vec<Answered>,
    pub(crate) log: Vec<Value>,
}

/// Ends the function with the test, however that ends.
struct Ended(Child);

impl Drop for Ended {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Runs a function, and hands it each payload when it asks for one.
pub(crate) fn invoke(function: Command, payloads: &[Vec<u8>]) -> Vec<Answered> {
    invoke_and_listen(function, payloads).answered
}

/// As [`invoke`]; returns also what the function wrote to standard output.
pub(crate) fn invoke_and_listen(mut function: Command, payloads: &[Vec<u8>]) -> Invoked {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    function
        .env("AWS_LAMBDA_RUNTIME_API", listener.local_addr().expect("bound").to_string())
        .env("AWS_LAMBDA_FUNCTION_NAME", "orders")
        .env("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "128")
        .env("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST")
        .stdout(Stdio::piped());
    let mut running = Ended(function.spawn().expect("the function starts"));
    let output = BufReader::new(running.0.stdout.take().expect("it is piped"));
    let log = std::thread::spawn(move || {
        output.lines().map_while(Result::ok).filter_map(|line| serde_json::from_str(&line).ok()).collect()
    });
    let (answers, answered) = channel();
    let waiting: Vec<_> = payloads.iter().cloned().enumerate().rev().collect();
    let api = RuntimeApi { waiting: Arc::new(Mutex::new(waiting)), answers };
    std::thread::spawn(move || {
        for connection in listener.incoming().map_while(Result::ok) {
            let mut api = api.clone();
            std::thread::spawn(move || api.serve(connection));
        }
    });
    let mut answered: Vec<_> = answered.iter().take(payloads.len()).collect();
    answered.sort_by_key(|(number, _)| *number);
    drop(running);
    Invoked {
        answered: answered.into_iter().map(|(_, answer)| answer).collect(),
        log: log.join().expect("it only reads"),
    }
}

/// A payload or an answer, with the number of its invocation.
type Numbered<T> = (usize, T);

#[derive(Clone)]
struct RuntimeApi {
    /// The payloads that are left, the next one last.
    waiting: Arc<Mutex<Vec<Numbered<Vec<u8>>>>>,
    answers: Sender<Numbered<Answered>>,
}

impl RuntimeApi {
    /// Answers the requests of one connection until no payload is left. Then the function waits for the next one until it is ended.
    fn serve(&mut self, connection: TcpStream) {
        let mut reader = BufReader::new(connection);
        while let Some((path, body)) = request(&mut reader) {
            let answer = if path.ends_with("/next") {
                let next = self.waiting.lock().expect("no test panics in here").pop();
                let Some((number, payload)) = next else {
                    let _ = request(&mut reader);
                    return;
                };
                invocation(number, &payload)
            } else {
                let number = path.split("/request-").nth(1).and_then(|rest| rest.split('/').next());
                let number = number.and_then(|number| number.parse().ok()).expect("the id of a request");
                let body = String::from_utf8(body).expect("an answer is text");
                let answered =
                    if path.ends_with("/response") { Answered::Response(body) } else { Answered::Error(body) };
                let _ = self.answers.send((number, answered));
                b"HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n".to_vec()
            };
            if reader.get_mut().write_all(&answer).is_err() {
                return;
            }
        }
    }
}

fn invocation(number: usize, payload: &[u8]) -> Vec<u8> {
    let (trace, parent) = trace_of(number);
    let mut answer = format!(
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\
         Lambda-Runtime-Aws-Request-Id: request-{number}\r\nLambda-Runtime-Deadline-Ms: 4102444800000\r\n\
         Lambda-Runtime-Trace-Id: Root=1-{}-{};Parent={parent};Sampled=1\r\n\
         Lambda-Runtime-Invoked-Function-Arn: arn:aws:lambda:eu-central-1:123456789012:function:orders\r\n\r\n",
        payload.len(),
        &trace[..8],
        &trace[8..],
    )
    .into_bytes();
    answer.extend_from_slice(payload);
    answer
}

/// The trace of an invocation, and the span that invoked it.
pub(crate) fn trace_of(number: usize) -> (String, String) {
    (format!("{:032x}", (1_u128 << 96) + number as u128), format!("{:016x}", number + 1))
}

/// Reads a request: its path and its body; `None` when the connection is closed.
pub(crate) fn request(reader: &mut BufReader<TcpStream>) -> Option<(String, Vec<u8>)> {
    let mut first = String::new();
    if reader.read_line(&mut first).ok()? == 0 {
        return None;
    }
    let path = first.split(' ').nth(1).expect("a request line").to_owned();
    let mut length = 0;
    loop {
        let mut header = String::new();
        reader.read_line(&mut header).expect("a header");
        let Some((name, value)) = header.split_once(':') else { break };
        if name.eq_ignore_ascii_case("content-length") {
            length = value.trim().parse().expect("a length");
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).expect("the whole body");
    Some((path, body))
}
