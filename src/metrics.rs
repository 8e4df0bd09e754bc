//! The processor's numbers, through the `metrics` facade: a few additions per batch, none per record but the durations.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime};

use ::metrics::{SharedString, Unit, counter, describe_counter, describe_histogram, histogram};

use crate::outcome::{BatchReport, Outcome};
use crate::record::EventKind;

/// What is measured while a batch runs, beside what became of its records.
#[derive(Debug, Default)]
pub(crate) struct Measurements {
    /// The table of the batch's stream.
    pub(crate) table: Option<String>,
    pub(crate) ages: Option<Ages>,
    /// How long each attempt at a record took, also one that was dropped at the deadline, in milliseconds.
    pub(crate) attempts: Vec<f64>,
    /// How long each call of the dead-letter queue took, in milliseconds.
    pub(crate) dead_letters: Vec<f64>,
    /// The most handlers that ran at once, over all invocations.
    pub(crate) concurrency: usize,
}

/// How long before the batch began its changes were made.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Ages {
    pub(crate) newest: Duration,
    pub(crate) oldest: Duration,
    /// Of the last record in the batch.
    pub(crate) last: Duration,
}

impl Ages {
    /// The ages at `now` of changes made at these times, in stream order; `None` if no time is known.
    pub(crate) fn of(times: impl Iterator<Item = Option<SystemTime>>, now: SystemTime) -> Option<Self> {
        times.flatten().fold(None, |ages: Option<Self>, time| {
            // A change of the future is one of a clock that differs.
            let age = now.duration_since(time).unwrap_or(Duration::ZERO);
            let Self { newest, oldest, .. } = ages.unwrap_or(Self { newest: age, oldest: age, last: age });
            Some(Self { newest: newest.min(age), oldest: oldest.max(age), last: age })
        })
    }
}

/// An invocation whose numbers are taken together.
pub(crate) struct Observed {
    #[cfg(feature = "emf")]
    running: Option<crate::emf::Running>,
}

impl Observed {
    pub(crate) fn begin() -> Self {
        Self {
            #[cfg(feature = "emf")]
            running: crate::emf::Running::begin(),
        }
    }

    /// Records the invocation's numbers; where EMF is installed, it writes all that there are by now.
    pub(crate) fn end(self, request_id: &str, record: impl FnOnce()) {
        #[cfg(feature = "emf")]
        if let Some(running) = self.running {
            return running.end(request_id, record);
        }
        #[cfg(not(feature = "emf"))]
        let _ = request_id;
        record();
    }
}

const COUNTERS: [(&str, &str); 12] = [
    ("RecordsReceived", "records delivered, by kind"),
    ("RecordsSucceeded", "records whose handler returned Ok, by kind"),
    ("RecordsSkipped", "records that needed no handler, redelivered ones included, by kind"),
    ("RecordsFailed", "records that failed for good or are reported, by kind of error"),
    ("Retries", "attempts beyond the first of each record"),
    ("DeadLetters", "records that the dead-letter queue accepted"),
    ("DeadLetterSendFailures", "records that the dead-letter queue did not accept"),
    ("RecordsReported", "records that failed or did not finish, and are delivered again"),
    ("RecordsHeldBack", "records behind a reported one, delivered again with it"),
    ("RecordsReplayed", "records delivered again although done, and skipped"),
    ("DeadlineStops", "batches that the deadline stopped"),
    ("ColdStart", "first batches of an execution environment"),
];

const SIZES: [(&str, &str); 2] = [
    ("BatchSize", "records in a batch"),
    ("ConcurrencyInUse", "the most handlers that ran at once during a batch, over all invocations"),
];

const DURATIONS: [(&str, &str); 5] = [
    ("RecordAge", "time from the change to its batch, of the newest and of the oldest record"),
    ("IteratorAge", "time from the change to its batch, of the last record"),
    ("HandlerDuration", "duration of an attempt at a record, decoding included"),
    ("BatchDuration", "duration of a batch"),
    ("DeadLetterDuration", "duration of a call of the dead-letter queue"),
];

/// Tells the recorder units and meanings.
pub(crate) fn describe() {
    for (name, meaning) in COUNTERS {
        describe_counter!(name, Unit::Count, meaning);
    }
    for (name, meaning) in SIZES {
        describe_histogram!(name, Unit::Count, meaning);
    }
    for (name, meaning) in DURATIONS {
        describe_histogram!(name, Unit::Milliseconds, meaning);
    }
}

/// Records one batch.
pub(crate) fn record(report: &BatchReport, measured: &Measurements, duration: Duration) {
    let table = SharedString::from(Arc::<str>::from(measured.table.as_deref().unwrap_or("unknown")));
    record_counts(report, &table);
    record_kinds(report, &table);
    for (name, values) in [
        ("BatchSize", &[report.records().len() as f64][..]),
        ("BatchDuration", &[millis(duration)]),
        ("ConcurrencyInUse", &[measured.concurrency as f64]),
        ("HandlerDuration", &measured.attempts),
        ("DeadLetterDuration", &measured.dead_letters),
    ] {
        record_values(name, &table, values);
    }
    if let Some(Ages { newest, oldest, last }) = measured.ages {
        record_values("RecordAge", &table, &[millis(newest), millis(oldest)]);
        record_values("IteratorAge", &table, &[millis(last)]);
    }
}

fn record_counts(report: &BatchReport, table: &SharedString) {
    let counts = report.counts();
    let refused = report.records().iter().filter(|record| record.dead_letter_error.is_some()).count();
    for (name, count) in [
        ("RecordsReplayed", counts.redelivered),
        ("DeadLetters", counts.dead_lettered),
        ("RecordsReported", counts.reported + counts.unfinished),
        ("RecordsHeldBack", counts.held_back),
        ("Retries", counts.retries),
        ("DeadLetterSendFailures", refused),
        ("DeadlineStops", usize::from(report.stopped_at_deadline())),
    ] {
        // A zero, too, is worth recording: a graph of zeros says that somebody looked.
        counter!(name, "table" => table.clone()).increment(count as u64);
    }
    if is_cold_start() {
        counter!("ColdStart", "table" => table.clone()).increment(1);
    }
}

fn record_kinds(report: &BatchReport, table: &SharedString) {
    const NAMES: [&str; 3] = ["RecordsReceived", "RecordsSucceeded", "RecordsSkipped"];
    let mut by_kind: BTreeMap<&'static str, [u64; 3]> = BTreeMap::new();
    let mut failed: BTreeMap<&'static str, u64> = BTreeMap::new();
    for record in report.records() {
        let [received, succeeded, skipped] =
            by_kind.entry(record.kind.map_or("unknown", EventKind::as_str)).or_default();
        *received += 1;
        match record.outcome {
            Outcome::Succeeded => *succeeded += 1,
            Outcome::Skipped(_) => *skipped += 1,
            Outcome::DeadLettered | Outcome::Reported => {
                *failed
                    .entry(record.failure.as_ref().map_or("unknown", |failure| failure.kind.as_str()))
                    .or_default() += 1;
            }
            _ => {}
        }
    }
    let add = |name: &'static str, label: &'static str, value: &'static str, count: u64| {
        counter!(name, "table" => table.clone(), label => value).increment(count);
    };
    for (kind, counts) in by_kind {
        NAMES.into_iter().zip(counts).for_each(|(name, count)| add(name, "kind", kind, count));
    }
    failed.into_iter().for_each(|(kind, count)| add("RecordsFailed", "error_kind", kind, count));
}

fn record_values(name: &'static str, table: &SharedString, values: &[f64]) {
    if values.is_empty() {
        return;
    }
    let histogram = histogram!(name, "table" => table.clone());
    values.iter().for_each(|value| histogram.record(*value));
}

pub(crate) fn millis(duration: Duration) -> f64 {
    duration.as_nanos() as f64 / 1e6
}

/// Whether this is the first batch of this process.
fn is_cold_start() -> bool {
    static WARM: AtomicBool = AtomicBool::new(false);
    !WARM.swap(true, Ordering::Relaxed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages_are_of_the_newest_the_oldest_and_the_last_and_never_negative() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(100);
        let times = [70, 50, 130, 90].map(|seconds| Some(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)));
        let seconds = Duration::from_secs;
        let ages = Ages::of(times.into_iter().chain([None]), now);
        assert_eq!(ages, Some(Ages { newest: seconds(0), oldest: seconds(50), last: seconds(10) }));
        assert_eq!(Ages::of([None, None].into_iter(), now), None);
    }

    #[test]
    fn a_short_duration_is_not_zero() {
        assert_eq!(millis(Duration::from_nanos(300)), 0.0003);
        assert_eq!(millis(Duration::from_micros(1_500)), 1.5);
    }
}
