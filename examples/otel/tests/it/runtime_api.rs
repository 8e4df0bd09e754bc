//! A Lambda Runtime API on loopback, for a function that runs in a process of its own.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};

/// What a function answered to one invocation.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Answered {
    Response(String),
    Error(String),
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

/// Runs a function, and invokes it with each payload in turn.
pub(crate) fn invoke(mut function: Command, payloads: &[Vec<u8>]) -> Vec<Answered> {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    function
        .env("AWS_LAMBDA_RUNTIME_API", listener.local_addr().expect("bound").to_string())
        .env("AWS_LAMBDA_FUNCTION_NAME", "orders")
        .env("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "128")
        .env("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST")
        .stdout(Stdio::null());
    let _function = Ended(function.spawn().expect("the function starts"));
    let mut api = RuntimeApi { payloads: payloads.iter().enumerate(), expected: payloads.len(), answered: Vec::new() };
    while api.answered.len() < api.expected {
        let (connection, _) = listener.accept().expect("a connection");
        api.serve(connection);
    }
    api.answered
}

struct RuntimeApi<'a> {
    payloads: std::iter::Enumerate<std::slice::Iter<'a, Vec<u8>>>,
    expected: usize,
    answered: Vec<Answered>,
}

impl RuntimeApi<'_> {
    /// Answers requests until the function closes the connection, or has answered everything.
    fn serve(&mut self, connection: TcpStream) {
        let mut reader = BufReader::new(connection);
        while self.answered.len() < self.expected {
            let Some((path, body)) = request(&mut reader) else { return };
            let answer = if path.ends_with("/next") {
                self.next()
            } else {
                let body = String::from_utf8(body).expect("an answer is text");
                self.answered.push(if path.ends_with("/response") {
                    Answered::Response(body)
                } else {
                    Answered::Error(body)
                });
                b"HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n".to_vec()
            };
            reader.get_mut().write_all(&answer).expect("the function takes the answer");
        }
    }

    fn next(&mut self) -> Vec<u8> {
        let (number, payload) = self.payloads.next().expect("the function asks for no more than it answers");
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
