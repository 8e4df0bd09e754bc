//! The function under a Runtime API, with a collector: what it exports, and below which X-Ray trace.

use std::io::{BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::trace::v1::Span;
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use prost::Message;

use crate::runtime_api::{self, Answered, invoke, request};

/// A collector that takes OTLP over HTTP.
struct Collector {
    address: SocketAddr,
    exports: Arc<Mutex<Vec<Vec<u8>>>>,
    stopped: Arc<AtomicBool>,
    server: Option<JoinHandle<()>>,
}

impl Collector {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("bound");
        let (exports, stopped) = (Arc::<Mutex<Vec<Vec<u8>>>>::default(), Arc::<AtomicBool>::default());
        let (kept, is_stopped) = (Arc::clone(&exports), Arc::clone(&stopped));
        let server = std::thread::spawn(move || {
            for connection in listener.incoming() {
                if is_stopped.load(Ordering::Acquire) {
                    return;
                }
                serve(connection.expect("a connection"), &kept);
            }
        });
        Self { address, exports, stopped, server: Some(server) }
    }

    fn spans(&self) -> Vec<Span> {
        let exports = self.exports.lock().expect("no panic holds it");
        let requests =
            exports.iter().map(|body| ExportTraceServiceRequest::decode(&body[..]).expect("an export of traces"));
        let of_resources = requests.flat_map(|request| request.resource_spans);
        of_resources.flat_map(|resource| resource.scope_spans).flat_map(|scope| scope.spans).collect()
    }
}

/// Also a test that fails stops it.
impl Drop for Collector {
    fn drop(&mut self) {
        self.stopped.store(true, Ordering::Release);
        let _ = TcpStream::connect(self.address);
        let _ = self.server.take().map(JoinHandle::join);
    }
}

fn serve(connection: TcpStream, exports: &Mutex<Vec<Vec<u8>>>) {
    let mut reader = BufReader::new(connection);
    while let Some((path, body)) = request(&mut reader) {
        assert_eq!(path, "/v1/traces");
        exports.lock().expect("no panic holds it").push(body);
        let answer = b"HTTP/1.1 200 OK\r\nContent-Type: application/x-protobuf\r\nContent-Length: 0\r\n\r\n";
        reader.get_mut().write_all(answer).expect("the exporter takes the answer");
    }
}

/// An insert of an order of so many lines.
fn event(number: usize, lines: usize) -> Vec<u8> {
    let lines = vec![r#"{"S": "s3cr3t"}"#; lines].join(",");
    format!(
        r#"{{"Records": [{{
            "eventID": "event-{number}", "eventName": "INSERT", "eventSource": "aws:dynamodb",
            "eventSourceARN": "arn:aws:dynamodb:eu-central-1:123456789012:table/orders/stream/2026-01-01T00:00:00.000",
            "dynamodb": {{
                "Keys": {{"id": {{"S": "s3cr3t-{number}"}}}}, "SequenceNumber": "10000000000000000000{number}",
                "NewImage": {{"id": {{"S": "s3cr3t-{number}"}}, "lines": {{"L": [{lines}]}}}}
            }}
        }}]}}"#
    )
    .into_bytes()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn attribute(span: &Span, name: &str) -> Option<Value> {
    span.attributes.iter().find(|attribute| attribute.key == name)?.value.clone()?.value
}

fn text(text: &str) -> Option<Value> {
    Some(Value::StringValue(text.to_owned()))
}

#[test]
fn each_batch_is_exported_below_its_x_ray_trace() {
    let collector = Collector::start();
    let mut function = Command::new(env!("CARGO_BIN_EXE_otel"));
    function
        .env("OTEL_EXPORTER_OTLP_ENDPOINT", format!("http://{}", collector.address))
        .env_remove("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
        .env_remove("OTEL_SDK_DISABLED");
    let answered = invoke(function, &[event(0, 2), event(1, 3)]);
    assert_eq!(answered, vec![Answered::Response(r#"{"batchItemFailures":[]}"#.to_owned()); 2]);

    // Each invocation has flushed its spans before it was answered.
    let spans = collector.spans();
    for (number, lines) in [(0, 2), (1, 3)] {
        let (trace, parent) = runtime_api::trace_of(number);
        let own: Vec<&Span> = spans.iter().filter(|span| hex(&span.trace_id) == trace).collect();
        let [batch] = own.iter().filter(|span| span.name == "process batch").collect::<Vec<_>>()[..] else {
            panic!("not one batch of the trace {trace} in {spans:#?}")
        };
        assert_eq!(hex(&batch.parent_span_id), parent);
        assert_eq!(batch.kind(), SpanKind::Consumer);
        for (name, value) in [
            ("faas.invocation_id", text(&format!("request-{number}"))),
            ("faas.trigger", text("datasource")),
            ("messaging.operation.type", text("process")),
            ("messaging.batch.message_count", Some(Value::IntValue(1))),
            ("aws.dynamodb.table_names", text("orders")),
            ("cloud.resource_id", text("arn:aws:lambda:eu-central-1:123456789012:function:orders")),
        ] {
            assert_eq!(attribute(batch, name), value, "{name}");
        }
        let handled = own.iter().find(|span| span.name == "created").expect("the handler's own span");
        let parent_of = |span: &Span| own.iter().find(|other| other.span_id == span.parent_span_id).copied();
        let mut above = std::iter::successors(parent_of(handled), |span| parent_of(span));
        assert!(above.any(|span| span.span_id == batch.span_id), "the handler's span is not below its batch");
        assert_eq!(attribute(handled, "event_id"), text(&format!("event-{number}")));
        assert_eq!(attribute(handled, "order.lines"), Some(Value::IntValue(lines)));
    }
    assert!(spans.iter().all(|span| !format!("{span:?}").contains("s3cr3t")), "a value of an item was exported");
}
