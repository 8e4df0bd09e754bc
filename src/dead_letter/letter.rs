//! A dead letter: a record that the processor gives up on, and why.

use std::fmt;
use std::sync::Arc;
use std::time::SystemTime;

use crate::event_kind::EventKind;
use crate::failure::{ErrorKind, Failure};
use crate::invocation::Invocation;
use crate::record::{RecordRef, SequenceNumber};

/// A record that the processor gives up on, complete and with the reason.
///
/// A [`DeadLetterQueue`](crate::DeadLetterQueue) receives it. [`to_json`](Self::to_json) writes it, and [`from_json`](Self::from_json)
/// reads it back. [`raw_json`](Self::raw_json) is the complete record, with its item data, and an [error message](Self::error_message) may
/// quote it. `Debug` and all other methods show no item data.
///
/// ```
/// use lambda_streams::{DeadLetter, ErrorKind};
///
/// let letter = DeadLetter::from_json(r#"{
///     "version": 1, "errorKind": "decode", "errorMessage": "attribute `status` is missing", "attempts": 1,
///     "firstSeen": "2026-01-01T00:00:00.000Z", "deadLettered": "2026-01-01T00:00:00.120Z",
///     "record": {"eventID": "7", "eventName": "REMOVE", "dynamodb": {"SequenceNumber": "111"}}
/// }"#)?;
/// assert_eq!(letter.error_kind(), ErrorKind::Decode);
/// assert_eq!(letter.event_id(), Some("7"));
/// # Ok::<(), lambda_streams::DeadLetterReadError>(())
/// ```
#[derive(Clone)]
pub struct DeadLetter {
    pub(crate) record: RecordRef,
    pub(crate) failure: Failure,
    /// The failures of earlier attempts, the first one first.
    pub(crate) earlier: Vec<Failure>,
    pub(crate) attempts: u32,
    pub(crate) superseded: usize,
    pub(crate) first_seen: SystemTime,
    pub(crate) dead_lettered: SystemTime,
    pub(crate) invocation: Arc<Invocation>,
}

impl DeadLetter {
    /// The record as received, byte for byte. It contains item data. If the record is malformed, it may be any JSON value.
    pub fn raw_json(&self) -> &str {
        self.record.raw_json()
    }

    /// The kind of the error that failed the record.
    pub fn error_kind(&self) -> ErrorKind {
        self.failure.kind
    }

    /// The text of the error: at most 4,096 bytes. It may contain item data if the handler put some into its error, or if it panicked.
    pub fn error_message(&self) -> &str {
        &self.failure.message
    }

    /// The messages of the error's sources, the nearest first: at most 16, of at most 1,024 bytes each.
    pub fn error_sources(&self) -> &[String] {
        &self.failure.sources
    }

    /// Why the attempts before the last one failed, in order, as in
    /// [`RecordReport::earlier_failures`](crate::RecordReport::earlier_failures). Empty if the envelope had no room for them.
    pub fn earlier_failures(&self) -> &[Failure] {
        &self.earlier
    }

    /// How many times the handler was called in the invocation that gave up; 0 for a record that never reached it.
    pub fn attempts(&self) -> u32 {
        self.attempts
    }

    /// How many earlier changes of the item were skipped in favour of this one, because its handler takes the
    /// [latest only](crate::Bulk::latest_only). They are not in the queue.
    pub fn superseded(&self) -> usize {
        self.superseded
    }

    /// When the invocation that gave up first saw the record, to a millisecond.
    pub fn first_seen(&self) -> SystemTime {
        self.first_seen
    }

    /// When the processor gave up, to a millisecond.
    pub fn dead_lettered(&self) -> SystemTime {
        self.dead_lettered
    }

    /// The id of the invocation that gave up; empty outside Lambda.
    pub fn request_id(&self) -> &str {
        &self.invocation.request_id
    }

    /// The ARN by which the function was invoked; empty outside Lambda.
    pub fn function_arn(&self) -> &str {
        &self.invocation.function_arn
    }

    /// The X-Ray trace header of that invocation, if it was traced.
    pub fn trace_header(&self) -> Option<&str> {
        self.invocation.trace_header.as_deref()
    }

    /// The table's name; `None` if the record does not have it.
    pub fn table_name(&self) -> Option<&str> {
        self.record.table_name()
    }

    /// The stream's ARN; `None` if the record does not have it.
    pub fn stream_arn(&self) -> Option<&str> {
        self.record.stream_arn()
    }

    /// The record's position in its shard; `None` if the record has no usable one.
    pub fn sequence_number(&self) -> Option<&SequenceNumber> {
        self.record.sequence_number()
    }

    /// The record's `eventID`; `None` if the record has none. It identifies repetitions of a letter.
    pub fn event_id(&self) -> Option<&str> {
        self.record.event_id()
    }

    /// The kind of change; `None` if the record does not have it.
    pub fn kind(&self) -> Option<EventKind> {
        self.record.kind()
    }

    /// A name that all letters of one item share: the [`Record::group_id`](crate::Record::group_id) of its record. It is for queues that keep
    /// order within a group, such as FIFO queues.
    pub fn group_id(&self) -> String {
        self.record.group_id()
    }

    /// An id that all repetitions of this letter share, of at most 128 characters that SQS accepts: the record's idempotency key, or a
    /// hash of the record where SQS would refuse that.
    #[cfg(feature = "sqs")]
    pub(super) fn deduplication_id(&self) -> String {
        let is_usable = |id: &str| (1..=128).contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_graphic());
        let key = self.record.idempotency_key();
        if is_usable(&key) { key.into_owned() } else { self.record.hash() }
    }
}

/// Shows which record it is and why it failed, and nothing of the item.
impl fmt::Debug for DeadLetter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DeadLetter")
            .field("event_id", &self.event_id())
            .field("kind", &self.kind())
            .field("sequence_number", &self.sequence_number())
            .field("table_name", &self.table_name())
            .field("error_kind", &self.error_kind())
            .field("attempts", &self.attempts)
            .finish_non_exhaustive()
    }
}
