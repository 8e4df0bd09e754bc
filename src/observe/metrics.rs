//! Emits the processor's metrics through the [`metrics`](::metrics) facade. Counters are totals of a batch; only the durations
//! of attempts and of the dead-letter queue's calls are recorded one by one.

use std::fmt::Display;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, SystemTime};

use ::metrics::{Key, Label, Level, Metadata, Recorder, Unit, describe_counter, describe_histogram};

use super::log;
use crate::outcome::{BatchReport, EntityTotals, KindTotals, PerKind, Tables, Totals};

/// What is measured while a batch runs, in addition to the outcomes of its records.
#[derive(Debug, Default)]
pub(crate) struct Measurements {
    /// The table whose stream the batch is from.
    pub(crate) table: Option<String>,
    pub(crate) ages: Option<Ages>,
    /// The duration of each call of a handler in milliseconds, with the position of its first record; also of those dropped at the
    /// deadline.
    pub(crate) attempts: Vec<(usize, f64)>,
    /// The number of records in each call of a bulk handler, with the position of the first.
    pub(crate) bulks: Vec<(usize, f64)>,
    /// The duration of each call of the dead-letter queue in milliseconds, with the position of its first record.
    pub(crate) dead_letters: Vec<(usize, f64)>,
    /// The most handlers that ran at once, over all invocations.
    pub(crate) concurrency: usize,
    /// The positions of records whose keys lack the attribute by which lanes go.
    pub(crate) without_lane_attribute: Vec<usize>,
    /// What is measured of an idempotency store; `None` without one.
    pub(crate) store: Option<StoreMeasurements>,
}

/// What is measured of an idempotency store. Each has the position of a record that it was about.
#[derive(Debug, Default)]
pub(crate) struct StoreMeasurements {
    /// The duration of each call in milliseconds.
    pub(crate) calls: Vec<(usize, f64)>,
    /// Calls that failed.
    pub(crate) failures: Vec<usize>,
    /// Records at or below their item's mark that were made after it.
    pub(crate) regressions: Vec<usize>,
}

/// How long before the batch its changes were made.
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
        let mut times = times.flatten();
        let first = times.next()?;
        let (newest, oldest, last) =
            times.fold((first, first, first), |(newest, oldest, _), time| (newest.max(time), oldest.min(time), time));
        // A change in the future means that the clocks differ.
        let age = |time| now.duration_since(time).unwrap_or(Duration::ZERO);
        Some(Self { newest: age(newest), oldest: age(oldest), last: age(last) })
    }
}

/// What is known of a batch once it has ended, or of those of its records that are of one table.
struct EndedBatch<'a> {
    totals: &'a Totals,
    measured: &'a Measurements,
    duration: Duration,
    stopped_at_deadline: bool,
}

impl Measurements {
    /// Notes a call of the idempotency store that was about the record at this position. The log has the first failure of a batch.
    pub(crate) fn note_store_call<E: Display>(&mut self, position: usize, took: Duration, failure: Option<E>) {
        let Some(store) = &mut self.store else { return };
        store.calls.push((position, millis(took)));
        if let Some(failure) = failure {
            if store.failures.is_empty() {
                log::store_failed(&failure);
            }
            store.failures.push(position);
        }
    }

    /// Notes that the mark of the item of the record at this position was raised, or not; without a duration, no call was made.
    pub(crate) fn note_move<E: Display>(&mut self, position: usize, took: Option<Duration>, failure: Option<E>) {
        match (took, failure, &mut self.store) {
            (Some(took), failure, _) => self.note_store_call(position, took, failure),
            (None, Some(_), Some(store)) => store.failures.push(position),
            _ => {}
        }
    }

    /// Notes that so many records, the first of which is about at this position, cannot have a mark.
    pub(crate) fn note_unmarkable(&mut self, position: usize, records: usize) {
        if let Some(store) = &mut self.store {
            store.failures.extend(std::iter::repeat_n(position, records));
        }
    }

    /// What was measured of each of so many tables; `tables` has the table of each record by its position.
    fn split(&self, tables: &[usize], count: usize) -> Vec<Self> {
        let of_table = || Self { ages: self.ages, concurrency: self.concurrency, ..Self::default() };
        let mut split: Vec<Self> = (0..count).map(|_| of_table()).collect();
        for sample in &self.attempts {
            split[tables[sample.0]].attempts.push(*sample);
        }
        for sample in &self.bulks {
            split[tables[sample.0]].bulks.push(*sample);
        }
        for sample in &self.dead_letters {
            split[tables[sample.0]].dead_letters.push(*sample);
        }
        for position in &self.without_lane_attribute {
            split[tables[*position]].without_lane_attribute.push(*position);
        }
        if let Some(store) = &self.store {
            let mut stores: Vec<StoreMeasurements> = (0..count).map(|_| StoreMeasurements::default()).collect();
            store.calls.iter().for_each(|call| stores[tables[call.0]].calls.push(*call));
            store.failures.iter().for_each(|position| stores[tables[*position]].failures.push(*position));
            store.regressions.iter().for_each(|position| stores[tables[*position]].regressions.push(*position));
            split.iter_mut().zip(stores).for_each(|(of_table, store)| of_table.store = Some(store));
        }
        split
    }
}

/// Takes the samples one by one.
fn each(samples: &[(usize, f64)], take: &mut dyn FnMut(f64)) {
    samples.iter().for_each(|(_, sample)| take(*sample));
}

/// A metric as it is described to the recorder.
struct Metric {
    name: &'static str,
    unit: Unit,
    meaning: &'static str,
}

type KindCount = fn(&KindTotals) -> usize;
type BatchCount = fn(&EndedBatch<'_>) -> usize;
type StoreCount = fn(&EndedBatch<'_>, &StoreMeasurements) -> usize;
type Samples = fn(&EndedBatch<'_>, &mut dyn FnMut(f64));

// The tables of all metrics. Each one is stated once: its name, its unit, its meaning, and how it is read from a batch.

/// Counters with the label `kind`, and `entity` where the record has one.
const BY_KIND: [(Metric, KindCount); 3] = [
    (count("RecordsReceived", "records delivered, by kind"), |kind| kind.received),
    (count("RecordsSucceeded", "records whose handler returned Ok, by kind"), |kind| kind.succeeded),
    (
        count("RecordsSkipped", "records that needed no handler, redelivered and superseded ones included, by kind"),
        |kind| kind.skipped,
    ),
];

/// A counter with the label `error_kind`, and `entity` where the record has one.
const FAILED: Metric =
    count("RecordsFailed", "records that became dead letters, or failed and are reported, by kind of error");

/// A counter that is recorded only where it is not zero: it says that a setting is wrong, and CloudWatch charges for each metric.
const WITHOUT_LANE_ATTRIBUTE: Metric =
    count("RecordsWithoutLaneAttribute", "records whose key lacks the attribute of `Lanes::per_key_attribute`");

/// Counters that are recorded only where there is an idempotency store, for the same reason; then zeros are recorded too.
const OF_STORE: [(Metric, StoreCount); 3] = [
    (
        count("RecordsAlreadyDone", "records skipped because the idempotency store says that they are done"),
        |batch, _| batch.totals.counts.already_done,
    ),
    (
        count("MarkFailures", "calls of the idempotency store that failed, and records that cannot have a mark"),
        |_, store| store.failures.len(),
    ),
    (
        count(
            "MarkRegressions",
            "records at or below the mark of their item that were made after it, and were processed",
        ),
        |_, store| store.regressions.len(),
    ),
];

/// The histogram of an idempotency store.
const MARK_DURATION: Metric = duration("MarkDuration", "duration of a call of the idempotency store");

/// Counters of the whole batch. Zeros are recorded too: a graph of zeros shows that batches were processed.
const COUNTERS: [(Metric, BatchCount); 7] = [
    (count("Retries", "attempts beyond the first of each record"), |batch| batch.totals.counts.retries),
    (count("DeadLetters", "records that the dead-letter queue accepted"), |batch| batch.totals.counts.dead_lettered),
    (count("DeadLetterSendFailures", "records that the dead-letter queue did not accept"), |batch| {
        batch.totals.refused
    }),
    (count("RecordsReported", "records that failed or did not finish, and are delivered again"), |batch| {
        batch.totals.counts.reported + batch.totals.counts.unfinished
    }),
    (count("RecordsHeldBack", "records after a reported one, delivered again with it"), |batch| {
        batch.totals.counts.held_back
    }),
    (count("RecordsRedelivered", "records delivered again although done, and skipped"), |batch| {
        batch.totals.counts.redelivered
    }),
    (count("DeadlineStops", "batches that the deadline stopped"), |batch| usize::from(batch.stopped_at_deadline)),
];

/// A counter that is recorded once in the life of the process.
const COLD_START: Metric = count("ColdStart", "first batches of an execution environment");

const HISTOGRAMS: [(Metric, Samples); 8] = [
    (count("BatchSize", "records in a batch"), |batch, take| take(batch.totals.counts.received as f64)),
    (
        count("ConcurrencyInUse", "the most handlers that ran at once during a batch, over all invocations"),
        |batch, take| take(batch.measured.concurrency as f64),
    ),
    (
        duration("RecordAge", "time from the change to its batch, of the newest and of the oldest record"),
        |batch, take| {
            let ages = batch.measured.ages.iter().flat_map(|ages| [ages.newest, ages.oldest]);
            ages.map(millis).for_each(take);
        },
    ),
    (duration("IteratorAge", "time from the change to its batch, of the last record"), |batch, take| {
        batch.measured.ages.iter().for_each(|ages| take(millis(ages.last)));
    }),
    (duration("HandlerDuration", "duration of a call of a handler, decoding included"), |batch, take| {
        each(&batch.measured.attempts, take);
    }),
    (count("BulkSize", "records in a call of a bulk handler"), |batch, take| each(&batch.measured.bulks, take)),
    (duration("BatchDuration", "duration of a batch"), |batch, take| take(millis(batch.duration))),
    (duration("DeadLetterDuration", "duration of a call of the dead-letter queue"), |batch, take| {
        each(&batch.measured.dead_letters, take);
    }),
];

const fn count(name: &'static str, meaning: &'static str) -> Metric {
    Metric { name, unit: Unit::Count, meaning }
}

const fn duration(name: &'static str, meaning: &'static str) -> Metric {
    Metric { name, unit: Unit::Milliseconds, meaning }
}

/// Describes all metrics to the current recorder.
pub(crate) fn describe() {
    let by_kind = BY_KIND.iter().map(|(metric, _)| metric);
    let of_batch = COUNTERS.iter().map(|(metric, _)| metric);
    let of_store = OF_STORE.iter().map(|(metric, _)| metric);
    for Metric { name, unit, meaning } in
        by_kind.chain([&FAILED]).chain(of_batch).chain(of_store).chain([&COLD_START, &WITHOUT_LANE_ATTRIBUTE])
    {
        describe_counter!(*name, *unit, *meaning);
    }
    for Metric { name, unit, meaning } in HISTOGRAMS.iter().map(|(metric, _)| metric).chain([&MARK_DURATION]) {
        describe_histogram!(*name, *unit, *meaning);
    }
}

/// Records the metrics of a processor's batches, which it describes before the first.
#[derive(Debug, Default)]
pub(crate) struct Meter {
    described: OnceLock<()>,
    /// The most recent ones; as a rule, a processor's batches are of one table.
    tables: Mutex<Vec<Arc<TableMetrics>>>,
}

/// The metrics of one table with their keys (except for `RecordsFailed`, which is rare). They are kept, because making the
/// keys again would add two fifths to the instructions of a batch of one record (bench `observability`).
#[derive(Debug)]
struct TableMetrics {
    name: Arc<str>,
    /// Those by kind, of each entity, in the order in which they occurred first.
    entities: Mutex<Vec<Arc<EntityMetrics>>>,
    counters: Vec<(Key, BatchCount)>,
    cold_start: Key,
    histograms: Vec<(Key, Samples)>,
}

/// The metrics of one entity.
#[derive(Debug)]
struct EntityMetrics {
    /// The name of the entity; `None` for records without one.
    entity: Option<Arc<str>>,
    by_kind: PerKind<Vec<(Key, KindCount)>>,
}

const METADATA: Metadata<'static> = Metadata::new(module_path!(), Level::INFO, Some(module_path!()));
const MAX_TABLES: usize = 8;

impl Meter {
    /// Records one batch, or each of its tables by itself.
    pub(crate) fn record(&self, report: &BatchReport, totals: &Totals, measured: &Measurements, duration: Duration) {
        self.described.get_or_init(describe);
        let stopped_at_deadline = report.stopped_at_deadline();
        let record = |table: Option<&str>, totals: &Totals, measured: &Measurements| {
            let table = self.table(table.unwrap_or("unknown"));
            let batch = EndedBatch { totals, measured, duration, stopped_at_deadline };
            ::metrics::with_recorder(|recorder| {
                table.count(recorder, &batch);
                table.sample(recorder, &batch);
            });
        };
        let Some(Tables { names, of_records }) = report.tables() else {
            return record(measured.table.as_deref(), totals, measured);
        };
        let mut records = vec![Vec::new(); names.len()];
        for (entry, table) in report.records().iter().zip(&of_records) {
            records[*table].push(entry);
        }
        let measured = measured.split(&of_records, names.len());
        for ((name, records), measured) in names.iter().zip(records).zip(&measured) {
            record(*name, &Totals::of_records(records.into_iter()), measured);
        }
    }

    fn table(&self, name: &str) -> Arc<TableMetrics> {
        let mut tables = self.tables.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(table) = tables.iter().find(|table| &*table.name == name) {
            return Arc::clone(table);
        }
        if tables.len() == MAX_TABLES {
            tables.remove(0);
        }
        let table = Arc::new(TableMetrics::new(name));
        tables.push(Arc::clone(&table));
        table
    }
}

impl TableMetrics {
    fn new(name: &str) -> Self {
        let name: Arc<str> = name.into();
        Self {
            entities: Mutex::default(),
            counters: COUNTERS.iter().map(|(metric, count)| (key(&name, metric, []), *count)).collect(),
            cold_start: key(&name, &COLD_START, []),
            histograms: HISTOGRAMS.iter().map(|(metric, samples)| (key(&name, metric, []), *samples)).collect(),
            name,
        }
    }

    fn entity(&self, entity: Option<&Arc<str>>) -> Arc<EntityMetrics> {
        let mut entities = self.entities.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = entities.iter().find(|known| known.entity.as_ref() == entity) {
            return Arc::clone(known);
        }
        let of_kind = |kind| {
            let key = |metric| key(&self.name, metric, labels(("kind", kind), entity));
            BY_KIND.iter().map(|(metric, count)| (key(metric), *count)).collect()
        };
        let by_kind = PerKind::from_names(of_kind);
        let metrics = Arc::new(EntityMetrics { entity: entity.map(Arc::clone), by_kind });
        entities.push(Arc::clone(&metrics));
        metrics
    }

    fn count(&self, recorder: &dyn Recorder, batch: &EndedBatch<'_>) {
        let add = |key: &Key, count: usize| recorder.register_counter(key, &METADATA).increment(count as u64);
        for (key, count) in &self.counters {
            add(key, count(batch));
        }
        if end_cold_start() {
            add(&self.cold_start, 1);
        }
        for EntityTotals { entity, by_kind, failed } in &batch.totals.by_entity {
            let metrics = self.entity(entity.as_ref());
            for (counters, kind) in metrics.by_kind.zip(by_kind) {
                if kind.received > 0 {
                    counters.iter().for_each(|(key, count)| add(key, count(kind)));
                }
            }
            for (kind, failed) in failed {
                add(&key(&self.name, &FAILED, labels(("error_kind", kind), entity.as_ref())), *failed);
            }
        }
        let without_lane_attribute = batch.measured.without_lane_attribute.len();
        if without_lane_attribute > 0 {
            add(&key(&self.name, &WITHOUT_LANE_ATTRIBUTE, []), without_lane_attribute);
        }
        if let Some(store) = &batch.measured.store {
            for (metric, count) in &OF_STORE {
                add(&key(&self.name, metric, []), count(batch, store));
            }
        }
    }

    fn sample(&self, recorder: &dyn Recorder, batch: &EndedBatch<'_>) {
        for (key, samples) in &self.histograms {
            let mut histogram = None;
            samples(batch, &mut |sample| {
                histogram.get_or_insert_with(|| recorder.register_histogram(key, &METADATA)).record(sample);
            });
        }
        if let Some(StoreMeasurements { calls, .. }) = &batch.measured.store
            && !calls.is_empty()
        {
            let histogram = recorder.register_histogram(&key(&self.name, &MARK_DURATION, []), &METADATA);
            each(calls, &mut |sample| histogram.record(sample));
        }
    }
}

/// The labels of a counter by kind: the kind, and the entity where there is one.
fn labels((name, kind): (&'static str, &'static str), entity: Option<&Arc<str>>) -> impl Iterator<Item = Label> {
    let entity = entity.map(|entity| Label::new("entity", Arc::clone(entity)));
    [Label::from_static_parts(name, kind)].into_iter().chain(entity)
}

/// The key of a metric: its name, with the label `table` and these.
fn key(table: &Arc<str>, metric: &Metric, labels: impl IntoIterator<Item = Label>) -> Key {
    let labels: Vec<Label> = [Label::new("table", Arc::clone(table))].into_iter().chain(labels).collect();
    Key::from_parts(metric.name, labels).to_retained()
}

/// Milliseconds, to the nanosecond.
pub(crate) fn millis(duration: Duration) -> f64 {
    // Saturates at 584 years.
    let nanoseconds = duration.as_secs().saturating_mul(1_000_000_000).saturating_add(duration.subsec_nanos().into());
    nanoseconds as f64 / 1e6
}

/// Marks the process as warm; returns whether it was cold, which holds for its first batch alone.
fn end_cold_start() -> bool {
    static IS_WARM: AtomicBool = AtomicBool::new(false);
    !IS_WARM.swap(true, Ordering::Relaxed)
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
