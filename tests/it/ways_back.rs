//! What commands bring is answered record by record, and nothing of it is taken for the stream's.

mod backfill;
mod documents;
mod failures;
mod marks;
mod mixed_sources;
mod requests;

use lambda_streams::{Deadline, Error, Invocation, InvocationReport, ReplayReport, StreamProcessor};
use serde_json::Value;

use crate::support::Change;

/// What a command asks that repeats what is not finished.
const REPLAY: &str = r#"{"origin":"replay","answer":"list"}"#;
const BACKFILL: &str = r#"{"origin":"backfill","answer":"list"}"#;

/// The event of a command that asks this.
fn by_command(request: &str, changes: &[Change]) -> String {
    format!("{{\"lambdaStreams\":{request},\"Records\":[{}]}}", records(changes))
}

fn records(changes: &[Change]) -> String {
    changes.iter().map(Change::json).collect::<Vec<_>>().join(",")
}

/// The event of a stream with these records.
fn of_stream(records: &[String]) -> String {
    format!("{{\"Records\":[{}]}}", records.join(","))
}

/// An invocation of the function `orders`.
fn invocation() -> Invocation {
    let mut invocation = Invocation::from(Deadline::none());
    invocation.function_arn = "arn:aws:lambda:eu-central-1:123456789012:function:orders:live".to_owned();
    invocation
}

async fn process(processor: &StreamProcessor, payload: impl Into<String>) -> Result<InvocationReport, Error> {
    processor.process_invocation(payload.into().into_bytes(), invocation()).await
}

async fn replay(processor: &StreamProcessor, request: &str, changes: &[Change]) -> ReplayReport {
    match process(processor, by_command(request, changes)).await {
        Ok(InvocationReport::Replay(report)) => report,
        other => panic!("a command has made the event: {other:?}"),
    }
}

/// The response's JSON, as Lambda gets it.
fn response(report: &InvocationReport) -> Value {
    serde_json::to_value(report.response().unwrap()).unwrap()
}

/// The names of the records that are not finished.
fn unfinished(report: &ReplayReport) -> Vec<String> {
    report.response().unwrap().unfinished().map(str::to_owned).collect()
}

/// Why an invocation fails, whether it is found before or after its handlers ran.
async fn refused(processor: &StreamProcessor, payload: impl Into<String>) -> Error {
    match process(processor, payload).await {
        Ok(report) => report.response().expect_err("the invocation fails"),
        Err(error) => error,
    }
}
