//! Logs what the processor does: a span for each batch, a line for each failed record, a line for each batch.
//!
//! Invariant: a line says which record failed and why, and never a value of its item.

#[cfg(feature = "logs")]
mod current;
#[cfg(feature = "logs")]
mod fields;
#[cfg(feature = "logs")]
mod format;
#[cfg(feature = "logs")]
mod layer;
#[cfg(feature = "logs")]
mod line;
#[cfg(feature = "logs")]
mod output;

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::time::Duration;

use serde::de::IgnoredAny;
use tracing::field::Empty;
use tracing::level_filters::LevelFilter;
use tracing::{Span, debug, debug_span, info, info_span, warn};

use crate::dead_letter::DeadLetterError;
use crate::event_kind::EventKind;
use crate::failure::{Failure, MAX_MESSAGE, bounded, shown};
use crate::invocation::Invocation;
use crate::observe::metrics::millis;
use crate::outcome::{BatchReport, Totals};
use crate::policy::Lanes;
use crate::record::{Record, RecordRef, SequenceNumber};

#[cfg(feature = "logs")]
pub(crate) use self::current::CurrentRecord;
#[cfg(feature = "logs")]
pub use self::format::LogFormat;
#[cfg(feature = "logs")]
pub use self::output::Logs;

/// The span of a batch, with the field names of OpenTelemetry's conventions for functions and messaging.
pub(crate) fn batch_span(invocation: &Invocation) -> Span {
    let span = info_span!(
        "process batch",
        otel.kind = "consumer",
        faas.invocation_id = non_empty(&invocation.request_id),
        messaging.batch.message_count = Empty,
        aws.dynamodb.table_names = Empty,
        aws.xray.trace_header = invocation.trace_header,
        source = invocation.origin.source(),
    );
    #[cfg(feature = "otel")]
    crate::observe::otel::set_parent(&span, invocation);
    span
}

/// Adds the number of records to the current span, which is that of the batch.
pub(crate) fn note_count(records: usize) {
    // OpenTelemetry's integers are signed; it exports unsigned ones as text.
    Span::current().record("messaging.batch.message_count", records as i64);
}

/// Adds the table's name to the current span, which is that of the batch.
pub(crate) fn note_table(table: Option<&str>) {
    if let Some(table) = table {
        Span::current().record("aws.dynamodb.table_names", shown(table));
    }
}

/// What surrounds all that a record's handler does, so the lines that it logs name the record: for `Logs` it is the current record,
/// and at the level `DEBUG` there is a span, which others see too.
pub(crate) struct RecordScope {
    current: CurrentRecord,
    span: Option<Span>,
}

impl RecordScope {
    pub(crate) fn new(record: &Record) -> Self {
        // A disabled span still costs about as much as a record's lane does, so it is not even made.
        let is_wanted = LevelFilter::current() >= LevelFilter::DEBUG;
        let span = || {
            debug_span!(
                "handle record",
                event_id = record.event_id().map(shown),
                sequence_number = record.sequence_number().map(SequenceNumber::as_str),
                kind = record.kind().as_str(),
            )
        };
        Self { current: CurrentRecord::new(record.reference()), span: is_wanted.then(span) }
    }

    /// What surrounds all that a bulk handler does. Its lines name no record, because they may be about any of the bulk.
    pub(crate) fn of_bulk(records: usize) -> Self {
        let is_wanted = LevelFilter::current() >= LevelFilter::DEBUG;
        Self { current: CurrentRecord::NONE, span: is_wanted.then(|| debug_span!("handle bulk", records)) }
    }

    pub(crate) fn in_scope<T>(&mut self, run: impl FnOnce() -> T) -> T {
        let Self { current, span } = self;
        current.in_scope(|| {
            let _entered = span.as_ref().map(Span::enter);
            run()
        })
    }
}

/// Nothing asks for the current record without `Logs`.
#[cfg(not(feature = "logs"))]
pub(crate) struct CurrentRecord;

#[cfg(not(feature = "logs"))]
impl CurrentRecord {
    pub(crate) const NONE: Self = Self;

    pub(crate) fn new(_: &RecordRef) -> Self {
        Self
    }

    pub(crate) fn in_scope<T>(&mut self, run: impl FnOnce() -> T) -> T {
        run()
    }
}

/// A record as a log line describes it.
pub(crate) struct LoggedRecord<'a> {
    pub(crate) position: usize,
    pub(crate) record: &'a RecordRef,
    pub(crate) failure: Option<&'a Failure>,
    pub(crate) dead_letter_error: Option<&'a DeadLetterError>,
    pub(crate) attempts: u32,
    pub(crate) entity: Option<&'a str>,
}

pub(crate) fn succeeded(logged: &LoggedRecord<'_>) {
    let LoggedRecord { position, record, attempts, entity, .. } = logged;
    debug!(
        event_id = record.event_id().map(shown),
        sequence_number = record.sequence_number().map(SequenceNumber::as_str),
        position,
        kind = record.kind().map(EventKind::as_str),
        entity = entity.map(shown),
        attempts,
        "record succeeded"
    );
}

/// Logs a failed record and what happens to it next: it is `retried` (after `delay`), `dead-lettered`, `reported` or
/// `held back`.
pub(crate) fn failed(logged: &LoggedRecord<'_>, next: &'static str, delay: Option<Duration>) {
    let LoggedRecord { position, record, failure, dead_letter_error, attempts, entity } = logged;
    warn!(
        event_id = record.event_id().map(shown),
        sequence_number = record.sequence_number().map(SequenceNumber::as_str),
        position,
        kind = record.kind().map(EventKind::as_str),
        entity = entity.map(shown),
        keys = record.keys_json().and_then(key_names).map(|text| bounded(text, MAX_MESSAGE)),
        error.type = failure.map(|failure| failure.kind.as_str()),
        error = failure.map(|text| bounded(text, MAX_MESSAGE)),
        dead_letter_error = dead_letter_error.map(|text| bounded(text, MAX_MESSAGE)),
        attempts,
        next,
        delay_ms = delay.map(millis),
        "record failed"
    );
}

/// Logs that a bulk failed as a whole, and that its records are tried again in smaller ones. It names the first of them.
pub(crate) fn halved(first: &LoggedRecord<'_>, records: usize) {
    let LoggedRecord { record, failure, attempts, .. } = first;
    warn!(
        records,
        first_event_id = record.event_id().map(shown),
        first_sequence_number = record.sequence_number().map(SequenceNumber::as_str),
        error.type = failure.map(|failure| failure.kind.as_str()),
        error = failure.map(|text| bounded(text, MAX_MESSAGE)),
        attempts,
        next = "halved",
        "bulk failed"
    );
}

/// Logs that a call of the idempotency store failed.
pub(crate) fn store_failed(error: &impl std::fmt::Display) {
    warn!(
        error = bounded(error, MAX_MESSAGE),
        "the idempotency store could not be read or written: no record fails for it, but records that are done may be processed again"
    );
}

/// Warns that the margin that was set would leave an invocation no time.
pub(crate) fn margin_is_too_long(margin: Option<Duration>) {
    warn!(
        deadline_margin_ms = margin.map(millis),
        "`deadline_margin` is not below the time that the invocation has: no record would be started, so the default margin is used"
    );
}

/// Warns that a record leaves its stream before it is given up on.
pub(crate) fn gives_up_too_late(age: Duration) {
    warn!(
        give_up_after_seconds = age.as_secs(),
        "`give_up_after` is longer than the 24 hours for which a DynamoDB stream keeps a record: a record that keeps failing is lost, \
         and those after it, before it becomes a dead letter"
    );
}

/// Warns that nothing was said of a dead-letter queue.
pub(crate) fn has_no_queue() {
    warn!(
        "there is no dead-letter queue: a record that keeps failing holds up its shard until it succeeds, or until Lambda discards it \
         and the records after it; set `DLQ_URL` or `dead_letter_queue`, or call `without_dead_letter_queue` if this is meant"
    );
}

/// Warns that lanes go by an attribute that the key of the record's table lacks.
pub(crate) fn lacks_lane_attribute(lanes: &Lanes, record: &RecordRef) {
    warn!(
        attribute = lanes.attribute(),
        table = record.table_name().map(shown),
        keys = record.keys_json().and_then(key_names).map(|text| bounded(text, MAX_MESSAGE)),
        "`Lanes::per_key_attribute` names an attribute that is not a key attribute of the table: its records run one after the other"
    );
}

/// The names of the key attributes, without their values.
fn key_names(keys: &str) -> Option<String> {
    let keys: BTreeMap<Cow<'_, str>, IgnoredAny> = serde_json::from_str(keys).ok()?;
    Some(keys.into_keys().collect::<Vec<_>>().join(","))
}

/// Logs a batch that has ended.
pub(crate) fn batch(report: &BatchReport, totals: &Totals, duration: Duration) {
    let counts = &totals.counts;
    if report.stopped_at_deadline() {
        warn!(
            unfinished = counts.unfinished,
            checkpoint = report.checkpoint().and_then(|record| record.event_id()).map(shown),
            "the deadline neared before the batch was finished; the rest is reported, to be delivered again"
        );
    }
    info!(
        total = counts.received,
        inserted = totals.by_kind.get(Some(EventKind::Insert)).received,
        modified = totals.by_kind.get(Some(EventKind::Modify)).received,
        removed = totals.by_kind.get(Some(EventKind::Remove)).received,
        unreadable = totals.by_kind.get(None).received,
        succeeded = counts.succeeded,
        skipped = counts.skipped,
        redelivered = counts.redelivered,
        already_done = counts.already_done,
        stale = counts.stale,
        superseded = counts.superseded,
        failed = counts.dead_lettered + counts.reported,
        dead_lettered = counts.dead_lettered,
        reported = counts.reported,
        unfinished = counts.unfinished,
        held_back = counts.held_back,
        retries = counts.retries,
        stopped_at_deadline = report.stopped_at_deadline(),
        duration_ms = millis(duration),
        "batch processed"
    );
}

fn non_empty(text: &str) -> Option<&str> {
    (!text.is_empty()).then_some(text)
}
