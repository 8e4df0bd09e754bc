//! A dead letter, in words.

use std::time::SystemTime;

use lambda_streams::{DeadLetter, ErrorKind, StreamEvent};

use super::{Kept, kept, row, time};

pub(super) fn print(letter: &DeadLetter, is_message: bool, with_record: bool) {
    let kind = letter.kind().map_or_else(|| "a record of unknown kind".to_owned(), |kind| format!("a record ({kind})"));
    row("dead letter", format!("{kind} that a handler could not process"));
    row("table", letter.table_name().unwrap_or("unknown"));
    row("event id", letter.event_id().unwrap_or("unknown"));
    row("sequence", letter.sequence_number().map_or_else(|| "none that can be used".to_owned(), ToString::to_string));
    row("failed", format!("{}: {}", why(letter.error_kind()), letter.error_message()));
    letter.error_sources().iter().for_each(|source| row("because", source));
    let attempts = match letter.attempts() {
        0 => "the handler was never called".to_owned(),
        1 => "the handler was called once".to_owned(),
        times => format!("the handler was called {times} times"),
    };
    row("attempts", format!("{attempts} in the invocation that gave up"));
    row("first seen", time(letter.first_seen()));
    row("given up", time(letter.dead_lettered()));
    if !letter.request_id().is_empty() {
        row("invocation", format!("{} of {}", letter.request_id(), letter.function_arn()));
    }
    let place = if is_message { "in the queue that the message came from, whole" } else { "here, whole" };
    row("where now", format!("{place}: the stream has moved on"));
    if let Some(Kept { until, is_over }) = created(letter).and_then(kept) {
        let kept = if is_over { "was kept until" } else { "is kept until" };
        row("", format!("in the stream it {kept} {}", time(until)));
    }
    row("what to do", advice(letter.error_kind()));
    if with_record {
        row("record", letter.raw_json());
    }
}

/// When the change was made, where the record says so.
fn created(letter: &DeadLetter) -> Option<SystemTime> {
    let event = format!(r#"{{"Records":[{}]}}"#, letter.raw_json());
    let event = StreamEvent::from_slice(event.as_bytes()).ok()?;
    event.records().next()?.ok()?.created_at()
}

fn why(kind: ErrorKind) -> &'static str {
    match kind {
        ErrorKind::Malformed => "the record itself cannot be read",
        ErrorKind::Decode => "its image does not fit the handler's type",
        ErrorKind::Handler => "the handler returned an error",
        ErrorKind::Panic => "the handler panicked",
        ErrorKind::Timeout => "the handler was not done after its timeout",
        ErrorKind::Predecessor => "an earlier record of the same item is a dead letter",
        ErrorKind::Unmatched => "no entity of the function takes the record",
        _ => kind.as_str(),
    }
}

fn advice(kind: ErrorKind) -> &'static str {
    match kind {
        ErrorKind::Malformed => "find out who wrote it: no stream delivers such a record",
        ErrorKind::Decode => {
            "make the type take it (an optional field, another variant), deploy, then process it again"
        }
        ErrorKind::Predecessor => "process the earlier record first, then this one",
        ErrorKind::Unmatched => "register an entity for such items, deploy, then process it again",
        _ => "fix the cause, deploy, then process it again: the handler may meet later changes",
    }
}
