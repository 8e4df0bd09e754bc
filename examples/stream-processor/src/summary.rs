//! What an invocation says in the log when it is done.

use std::time::Duration;

use lambda_streams::{BatchReport, EventKind};
use tracing::info;

/// One line for the batch: numbers, and nothing of an item. The records that failed have lines of the library's.
pub(crate) fn log_batch(source: &'static str, report: &BatchReport, duration: Duration) {
    let of_kind = |kind| report.records().iter().filter(|record| record.kind == kind).count();
    let counts = report.counts();
    info!(
        source,
        total = counts.received,
        inserted = of_kind(Some(EventKind::Insert)),
        modified = of_kind(Some(EventKind::Modify)),
        removed = of_kind(Some(EventKind::Remove)),
        unreadable = of_kind(None),
        succeeded = counts.succeeded,
        skipped = counts.skipped,
        redelivered = counts.redelivered,
        failed = counts.dead_lettered + counts.reported,
        deadLettered = counts.dead_lettered,
        reported = counts.reported,
        unfinished = counts.unfinished,
        heldBack = counts.held_back,
        retries = counts.retries,
        stoppedAtDeadline = report.stopped_at_deadline(),
        durationMs = millis(duration),
        "invocation finished"
    );
}

/// Milliseconds, to a thousandth.
pub(crate) fn millis(duration: Duration) -> f64 {
    duration.as_micros() as f64 / 1000.0
}
