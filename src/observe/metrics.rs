//! The processor's numbers, through the `metrics` facade: added up per batch; per record there is its duration alone.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, SystemTime};

use ::metrics::{Key, Label, Level, Metadata, Recorder, Unit, describe_counter, describe_histogram};

use crate::outcome::{BatchReport, ERROR_KINDS, KINDS, KindTotals, Totals};

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

const BY_KIND: [&str; 3] = ["RecordsReceived", "RecordsSucceeded", "RecordsSkipped"];

/// Where the metrics of a batch are recorded: their units and meanings told, and their keys kept.
#[derive(Debug, Default)]
pub(crate) struct Meter {
    described: OnceLock<()>,
    /// Those of the last tables; a processor's batches are of one, as a rule.
    tables: Mutex<Vec<Arc<Table>>>,
}

/// The keys of a table's metrics.
#[derive(Debug)]
struct Table {
    name: Arc<str>,
    counters: [Key; 8],
    histograms: [Key; 7],
    by_kind: [[Key; BY_KIND.len()]; KINDS.len()],
    failed: [Key; ERROR_KINDS.len()],
}

const METADATA: Metadata<'static> = Metadata::new(module_path!(), Level::INFO, Some(module_path!()));
const MAX_TABLES: usize = 8;

impl Meter {
    /// Records one batch.
    pub(crate) fn record(&self, report: &BatchReport, totals: &Totals, measured: &Measurements, duration: Duration) {
        self.described.get_or_init(describe);
        let table = self.table(measured.table.as_deref().unwrap_or("unknown"));
        ::metrics::with_recorder(|recorder| {
            table.count(recorder, report, totals);
            table.measure(recorder, totals, measured, duration);
        });
    }

    fn table(&self, name: &str) -> Arc<Table> {
        let mut tables = self.tables.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(table) = tables.iter().find(|table| &*table.name == name) {
            return Arc::clone(table);
        }
        if tables.len() == MAX_TABLES {
            tables.remove(0);
        }
        let table = Arc::new(Table::new(name));
        tables.push(Arc::clone(&table));
        table
    }
}

impl Table {
    fn new(name: &str) -> Self {
        let name: Arc<str> = name.into();
        let table = Label::new("table", Arc::clone(&name));
        let key = |metric: &'static str| Key::from_parts(metric, vec![table.clone()]).to_retained();
        let labelled = |metric: &'static str, label, value| {
            Key::from_parts(metric, vec![table.clone(), Label::from_static_parts(label, value)]).to_retained()
        };
        Self {
            counters: [
                "RecordsReplayed",
                "DeadLetters",
                "RecordsReported",
                "RecordsHeldBack",
                "Retries",
                "DeadLetterSendFailures",
                "DeadlineStops",
                "ColdStart",
            ]
            .map(key),
            histograms: [
                "BatchSize",
                "BatchDuration",
                "ConcurrencyInUse",
                "HandlerDuration",
                "DeadLetterDuration",
                "RecordAge",
                "IteratorAge",
            ]
            .map(key),
            by_kind: KINDS.map(|kind| BY_KIND.map(|metric| labelled(metric, "kind", kind))),
            failed: ERROR_KINDS.map(|kind| labelled("RecordsFailed", "error_kind", kind)),
            name,
        }
    }

    fn count(&self, recorder: &dyn Recorder, report: &BatchReport, totals: &Totals) {
        let add = |key, count: u64| recorder.register_counter(key, &METADATA).increment(count);
        let counts = &totals.counts;
        let values = [
            counts.redelivered as u64,
            counts.dead_lettered as u64,
            (counts.reported + counts.unfinished) as u64,
            counts.held_back as u64,
            counts.retries as u64,
            totals.refused,
            u64::from(report.stopped_at_deadline()),
        ];
        // A zero, too, is worth recording: a graph of zeros says that somebody looked.
        self.counters.iter().zip(values).for_each(|(key, count)| add(key, count));
        if is_cold_start() {
            add(&self.counters[values.len()], 1);
        }
        for (keys, kind) in self.by_kind.iter().zip(&totals.by_kind).filter(|(_, kind)| kind.received > 0) {
            let KindTotals { received, succeeded, skipped } = *kind;
            keys.iter().zip([received, succeeded, skipped]).for_each(|(key, count)| add(key, count));
        }
        for (key, count) in self.failed.iter().zip(totals.failed).filter(|(_, count)| *count > 0) {
            add(key, count);
        }
    }

    fn measure(&self, recorder: &dyn Recorder, totals: &Totals, measured: &Measurements, duration: Duration) {
        let record = |key, values: &[f64]| {
            if !values.is_empty() {
                let histogram = recorder.register_histogram(key, &METADATA);
                values.iter().for_each(|value| histogram.record(*value));
            }
        };
        let [size, batch, concurrency, handlers, dead_letters, ages, iterator_age] = &self.histograms;
        record(size, &[totals.counts.received as f64]);
        record(batch, &[millis(duration)]);
        record(concurrency, &[measured.concurrency as f64]);
        record(handlers, &measured.attempts);
        record(dead_letters, &measured.dead_letters);
        if let Some(Ages { newest, oldest, last }) = measured.ages {
            record(ages, &[millis(newest), millis(oldest)]);
            record(iterator_age, &[millis(last)]);
        }
    }
}

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

/// Milliseconds, to the nanosecond.
pub(crate) fn millis(duration: Duration) -> f64 {
    // Longer than 584 years is not to be told from more.
    let nanoseconds = duration.as_secs().saturating_mul(1_000_000_000).saturating_add(duration.subsec_nanos().into());
    nanoseconds as f64 / 1e6
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
