//! The processor's numbers, through the `metrics` facade; one addition per batch and number.

use metrics::{counter, histogram};

use crate::outcome::BatchReport;

pub(crate) fn record(report: &BatchReport) {
    let counts = report.counts();
    histogram!("BatchSize").record(counts.received as f64);
    for (name, count) in [
        ("RecordsReceived", counts.received),
        ("RecordsSucceeded", counts.succeeded),
        ("RecordsSkipped", counts.skipped),
        ("RecordsReplayed", counts.redelivered),
        ("DeadLetters", counts.dead_lettered),
        ("RecordsReported", counts.reported + counts.unfinished),
        ("RecordsHeldBack", counts.held_back),
        ("Retries", counts.retries),
        ("DeadLetterSendFailures", report.records().iter().filter(|record| record.dead_letter_error.is_some()).count()),
        ("DeadlineStops", usize::from(report.stopped_at_deadline())),
    ] {
        counter!(name).increment(count as u64);
    }
}
