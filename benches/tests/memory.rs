//! The memory of an invocation is bounded by its payload, whatever the payload is.
//!
//! One test, because it measures the whole process.

use std::alloc::System;
use std::fmt::Write as _;

use lambda_streams::{Deadline, HandlerError, Modify, PayloadKind, Record, StreamEvent, StreamProcessor};
use peakmem_alloc::{PeakMemAlloc, PeakMemAllocTrait};

#[global_allocator]
static ALLOCATOR: PeakMemAlloc<System> = PeakMemAlloc::new(System);

/// A tenth of what Lambda delivers, and enough for many times the records that an invocation can have.
const PAYLOAD: usize = 600_000;
/// What the records of an invocation take in addition, of which there are 10,000 at most.
const RECORDS: usize = 10_000 * 1_500;
/// How many times the payload the rest takes.
const TIMES: usize = 8;

/// The most memory that was in use during a run, more than before it.
fn peak(run: impl FnOnce()) -> usize {
    ALLOCATOR.reset_peak_memory();
    let before = ALLOCATOR.get_peak_memory();
    run();
    ALLOCATOR.get_peak_memory().saturating_sub(before)
}

fn repeated(before: &str, piece: &str, after: &str) -> String {
    let count = (PAYLOAD - before.len() - after.len()) / piece.len();
    format!("{before}{}{after}", piece.repeat(count))
}

fn nested(before: &str, open: &str, close: &str, after: &str) -> String {
    let count = PAYLOAD / (open.len() + close.len());
    format!("{before}{}{}{after}", open.repeat(count), close.repeat(count))
}

/// An image with as many attributes as fit.
fn attributes() -> String {
    let mut image = String::from("{\"id\":{\"S\":\"a\"}");
    let mut number = 0;
    while image.len() < PAYLOAD / 2 {
        write!(image, ",\"{number:x}\":{{\"S\":\"\"}}").expect("writing to a text does not fail");
        number += 1;
    }
    image + "}"
}

fn record(kind: &str, images: &str) -> String {
    format!(
        r#"{{"eventID":"1","eventName":"{kind}","eventSource":"aws:dynamodb","dynamodb":{{"Keys":{{"id":{{"S":"a"}}}},{images}"SequenceNumber":"1"}}}}"#
    )
}

#[test]
fn hostile_payloads_take_a_small_multiple_of_memory() {
    let list = |piece: &str| repeated("{\"Records\":[", piece, "0]}");
    let (one, image) = (record("INSERT", ""), attributes());
    let payloads = [
        ("numbers", list("0,")),
        ("objects", list("{},")),
        ("arrays", list("[],")),
        ("strings", list("\"\",")),
        ("records of a stream", list(&format!("{one},"))),
        ("records of another source", list("{\"eventSource\":\"x\"},")),
        ("tiny records", list("{\"dynamodb\":{}},")),
        ("nested arrays", nested("{\"Records\":[", "[", "]", "]}")),
        ("nested objects", nested("{\"Records\":[", "{\"a\":", "}", "]}").replacen("\"a\":}", "\"a\":0}", 1)),
        ("nested before", nested("{\"a\":", "[", "]", ",\"Records\":[]}")),
        ("members", repeated("{\"Records\":[{", "\"a\":0,", "\"b\":0}]}")),
        ("members of the event", repeated("{", "\"Records\":[],", "\"b\":0}")),
        ("an array", repeated("[", "0,", "0]")),
        (
            "attributes",
            format!("{{\"Records\":[{}]}}", record("MODIFY", &format!("\"NewImage\":{image},\"OldImage\":{image},"))),
        ),
        (
            "a long text",
            format!(
                "{{\"Records\":[{}]}}",
                record("INSERT", &repeated("\"NewImage\":{\"id\":{\"S\":\"", "\\u0001", "\"}},"))
            ),
        ),
        (
            "nested values",
            format!("{{\"Records\":[{}]}}", record("INSERT", &nested("\"NewImage\":{\"id\":", "{\"L\":[", "]}", "},"))),
        ),
    ];
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
    let raw = StreamProcessor::builder().on_record(|_: Record| async { Ok(()) }).build().expect("it has a handler");
    let typed = StreamProcessor::builder().on_modify(|change: Modify<serde::de::IgnoredAny>| async move {
        std::hint::black_box(change.changed()?);
        Ok::<(), HandlerError>(())
    });
    let typed = typed.build().expect("it has a handler");
    let mut too_much = Vec::new();
    for (name, payload) in payloads {
        let bound = RECORDS + TIMES * payload.len();
        let peaks = [
            peak(|| drop(std::hint::black_box(StreamEvent::from_slice(payload.as_bytes())))),
            peak(|| assert_ne!(PayloadKind::of(payload.as_bytes()), PayloadKind::NotJson, "{name}")),
            peak(|| drop(runtime.block_on(raw.process_payload(payload.clone().into_bytes(), Deadline::none())))),
            peak(|| drop(runtime.block_on(typed.process_payload(payload.clone().into_bytes(), Deadline::none())))),
        ];
        println!("{name}: {peaks:?} of {}", payload.len());
        if peaks.iter().any(|peak| *peak > bound) {
            too_much.push(format!("{name}: {peaks:?} are more than {bound}"));
        }
    }
    assert!(too_much.is_empty(), "{}", too_much.join("\n"));
}
