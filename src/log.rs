//! Log lines: one per failed record, one per batch; which record and why, never what it holds.

use std::time::Duration;

use crate::invocation::Invocation;
use crate::outcome::{BatchReport, ErrorKind, Outcome, RecordReport};

pub(crate) fn batch(report: &BatchReport, invocation: &Invocation, duration: Duration) {
    for record in report.records() {
        match record.outcome {
            Outcome::DeadLettered => failed(record, invocation, "dead-lettered"),
            Outcome::Reported => failed(record, invocation, "reported"),
            _ => {}
        }
    }
    let counts = report.counts();
    tracing::info!(
        faas.invocation_id = invocation.request_id,
        messaging.batch.message_count = counts.received,
        succeeded = counts.succeeded,
        skipped = counts.skipped,
        redelivered = counts.redelivered,
        dead_lettered = counts.dead_lettered,
        reported = counts.reported,
        unfinished = counts.unfinished,
        held_back = counts.held_back,
        retries = counts.retries,
        stopped_at_deadline = report.stopped_at_deadline(),
        duration_ms = duration.as_secs_f64() * 1e3,
        "batch processed"
    );
}

fn failed(record: &RecordReport, invocation: &Invocation, next: &'static str) {
    // What a panic says is the process's own word, and may quote the item; it stands in the dead letter.
    let error = record.failure.as_ref().filter(|failure| failure.kind != ErrorKind::Panic).map(ToString::to_string);
    tracing::warn!(
        faas.invocation_id = invocation.request_id,
        event_id = record.event_id,
        sequence_number = record.sequence_number.as_ref().map(|number| number.as_str()),
        position = record.position,
        kind = record.kind.map(|kind| kind.as_str()),
        error.kind = record.failure.as_ref().map(|failure| failure.kind.as_str()),
        error,
        dead_letter_error = record.dead_letter_error.as_ref().map(ToString::to_string),
        attempts = record.attempts,
        next,
        "record failed"
    );
}
