//! An on-failure document, in words.

use std::time::{Duration, SystemTime};

use super::{Kept, kept, row, time};
use crate::documents::{Document, LastResponse};
use crate::ui::count;

pub(super) fn print(document: &Document, with_record: bool) {
    let number = usize::try_from(document.batch_size).unwrap_or(usize::MAX);
    let records = count(number, "record");
    let others = if number > 1 { ", and good ones may be among them" } else { "" };
    let who = match (&document.pipe_arn, &document.shard_id) {
        (Some(pipe), _) => format!("the pipe {pipe}"),
        (None, Some(_)) => "the event source mapping".to_owned(),
        (None, None) => "Lambda, in an asynchronous invocation,".to_owned(),
    };
    row("on failure", format!("{who} gave up {records}{others}"));
    row("stream", &document.stream_arn);
    if let Some(shard) = &document.shard_id {
        row("shard", shard);
        row("sequence", range(document.start_sequence_number.clone(), document.end_sequence_number.clone()));
        row("created", range(document.first_arrival.map(precise), document.last_arrival.map(precise)));
    }
    row("why", why(document));
    row("given up", document.timestamp.as_deref().unwrap_or("unknown"));
    if document.pipe_arn.is_none() {
        let id = document.request_id.as_deref().unwrap_or("unknown");
        row("invocation", format!("{id} of {}", document.function_arn.as_deref().unwrap_or("an unknown function")));
    }
    row("where now", place(document));
    if with_record {
        match &document.records {
            Some(records) => row("records", format!(r#"{{"Records":[{}]}}"#, records.join(","))),
            None => row("records", "not in the document"),
        }
    }
}

fn range(from: Option<String>, to: Option<String>) -> String {
    let unknown = || "unknown".to_owned();
    match (from, to) {
        (Some(from), Some(to)) if from == to => from,
        (from, to) => format!("{} to {}", from.unwrap_or_else(unknown), to.unwrap_or_else(unknown)),
    }
}

/// With milliseconds where there are any.
fn precise(at: SystemTime) -> String {
    let is_whole = at
        .duration_since(SystemTime::UNIX_EPOCH)
        .is_ok_and(|since| since.subsec_nanos() < Duration::from_millis(1).subsec_nanos());
    if is_whole { time(at) } else { humantime::format_rfc3339_millis(crate::ui::printable(at)).to_string() }
}

fn why(document: &Document) -> String {
    let last = match &document.last_response {
        LastResponse::FunctionError(error) => format!("the last one ended in a function error ({error})"),
        LastResponse::Reported => "the last one reported the first of these records".to_owned(),
        LastResponse::Unknown => "the document does not say how the last one ended".to_owned(),
    };
    let invocations = document.invocations.map(|times| usize::try_from(times).unwrap_or(usize::MAX));
    match (document.condition.as_str(), invocations) {
        ("RetryAttemptsExhausted", None) => "its MaximumRetryAttempts were exhausted".to_owned(),
        ("RetryAttemptsExhausted", Some(times)) => {
            format!("MaximumRetryAttempts: {} without progress, {last}", count(times, "invocation"))
        }
        ("RecordAgeExceeded", _) => {
            "MaximumRecordAgeInSeconds: the records became too old before they were processed".to_owned()
        }
        (other, Some(times)) => format!("{other}, after {}", count(times, "invocation")),
        (other, None) => other.to_owned(),
    }
}

fn place(document: &Document) -> String {
    if document.records.is_some() {
        return "in this document, whole".to_owned();
    }
    match document.first_arrival.and_then(kept) {
        Some(Kept { until, is_over: true }) => format!(
            "gone: the stream kept them until {}, and this document only has their metadata. A bucket as the destination \
             would have kept the records",
            time(until)
        ),
        Some(Kept { until, .. }) => format!("only in the stream, until {}", time(until)),
        None => "only in the stream, until 24 hours after their creation".to_owned(),
    }
}
