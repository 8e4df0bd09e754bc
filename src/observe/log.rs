//! What the processor logs: a span per batch, a line per failure, a line per batch; which record and why, never what it
//! holds.

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
use crate::failure::Failure;
use crate::invocation::Invocation;
use crate::observe::metrics::millis;
use crate::outcome::{BatchReport, Totals};
use crate::record::{Record, RecordRef, SequenceNumber};

#[cfg(feature = "logs")]
pub use self::format::LogFormat;
#[cfg(feature = "logs")]
pub use self::output::Logs;

/// The span of a batch, named and filled by OpenTelemetry's conventions for functions and messaging.
pub(crate) fn batch_span(invocation: &Invocation) -> Span {
    let span = info_span!(
        "process batch",
        otel.kind = "consumer",
        faas.invocation_id = some(&invocation.request_id),
        messaging.batch.message_count = Empty,
        aws.dynamodb.table_names = Empty,
        aws.xray.trace_header = invocation.trace_header,
    );
    #[cfg(feature = "otel")]
    crate::observe::otel::follow(&span, invocation);
    span
}

/// Completes the span of the batch, which is the current one.
pub(crate) fn note_count(records: usize) {
    // OpenTelemetry's integers are signed; others it exports as text.
    Span::current().record("messaging.batch.message_count", records as i64);
}

/// Completes the span of the batch, which is the current one.
pub(crate) fn note_table(table: Option<&str>) {
    if let Some(table) = table {
        Span::current().record("aws.dynamodb.table_names", table);
    }
}

/// Around the handler of a record; only where the level asks for it.
pub(crate) struct RecordSpan(Option<Span>);

impl RecordSpan {
    pub(crate) fn new(record: &Record) -> Self {
        // A disabled span costs as much as a lane; nobody at all may look at this one.
        let is_wanted = LevelFilter::current() >= LevelFilter::DEBUG;
        let span = || {
            debug_span!(
                "handle record",
                event_id = record.event_id(),
                sequence_number = record.sequence_number().as_str(),
                kind = record.kind().as_str(),
            )
        };
        Self(is_wanted.then(span))
    }

    pub(crate) fn in_scope<T>(&self, run: impl FnOnce() -> T) -> T {
        match &self.0 {
            Some(span) => span.in_scope(run),
            None => run(),
        }
    }
}

/// The record that a line is about.
pub(crate) struct About<'a> {
    pub(crate) position: usize,
    pub(crate) facts: &'a RecordRef,
    pub(crate) failure: Option<&'a Failure>,
    pub(crate) dead_letter_error: Option<&'a DeadLetterError>,
    pub(crate) attempts: u32,
}

/// What comes next for a record that failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Next {
    /// After this delay.
    Retried(Duration),
    DeadLettered,
    Reported,
    HeldBack,
}

pub(crate) fn succeeded(record: &About<'_>) {
    let About { position, facts, attempts, .. } = record;
    debug!(
        event_id = facts.event_id(),
        sequence_number = facts.sequence_number().map(SequenceNumber::as_str),
        position,
        kind = facts.kind().map(EventKind::as_str),
        attempts,
        "record succeeded"
    );
}

pub(crate) fn failed(record: &About<'_>, next: Next) {
    match next {
        Next::Retried(delay) => line(record, "retried", Some(delay)),
        Next::DeadLettered => line(record, "dead-lettered", None),
        Next::Reported => line(record, "reported", None),
        Next::HeldBack => line(record, "held back", None),
    }
}

fn line(record: &About<'_>, next: &'static str, delay: Option<Duration>) {
    let About { position, facts, failure, dead_letter_error, attempts } = record;
    warn!(
        event_id = facts.event_id(),
        sequence_number = facts.sequence_number().map(SequenceNumber::as_str),
        position,
        kind = facts.kind().map(EventKind::as_str),
        keys = facts.keys_json().and_then(key_names),
        error.type = failure.map(|failure| failure.kind.as_str()),
        error = failure.map(ToString::to_string),
        dead_letter_error = dead_letter_error.map(ToString::to_string),
        attempts,
        next,
        delay_ms = delay.map(millis),
        "record failed"
    );
}

/// The key attributes' names, without their values.
fn key_names(keys: &str) -> Option<String> {
    let keys: BTreeMap<Cow<'_, str>, IgnoredAny> = serde_json::from_str(keys).ok()?;
    Some(keys.into_keys().collect::<Vec<_>>().join(","))
}

/// The line that ends a batch.
pub(crate) fn batch(report: &BatchReport, totals: &Totals, duration: Duration) {
    let counts = &totals.counts;
    if report.stopped_at_deadline() {
        warn!(
            unfinished = counts.unfinished,
            checkpoint = report.checkpoint().and_then(|record| record.event_id()),
            "the deadline neared before the batch was finished; Lambda delivers the rest again"
        );
    }
    info!(
        total = counts.received,
        inserted = totals.received(Some(EventKind::Insert)),
        modified = totals.received(Some(EventKind::Modify)),
        removed = totals.received(Some(EventKind::Remove)),
        unreadable = totals.received(None),
        succeeded = counts.succeeded,
        skipped = counts.skipped,
        redelivered = counts.redelivered,
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

fn some(text: &str) -> Option<&str> {
    (!text.is_empty()).then_some(text)
}
