//! The report of a batch: the outcome of each record, and the checkpoint, which is the earliest record that needs another
//! delivery.
//!
//! Invariant: Lambda is never told to resume after a record that needs another delivery. Where the checkpoint cannot be
//! named, an earlier record is, or the whole batch fails.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use serde_json::value::RawValue;

use super::{Outcome, SkipReason, StreamResponse};
use crate::dead_letter::DeadLetterError;
use crate::error::Error;
use crate::event_kind::EventKind;
use crate::failure::{Failure, shown};
use crate::record::{MalformedRecord, Record, RecordRef, SequenceNumber};

/// The outcome of one record.
///
/// ```
/// use lambda_streams::testing::TestStream;
/// use lambda_streams::{Deadline, ErrorKind, Outcome, Record, StreamProcessor};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let processor = StreamProcessor::builder().on_record(|_: Record| async { Err("the index is down".into()) }).build()?;
/// let event = TestStream::new("orders", &["id"]).named("doc").insert(serde_json::json!({"id": {"S": "a"}})).event()?;
/// let report = processor.process(event, Deadline::none()).await;
///
/// let [order] = report.records() else { panic!("one record went in") };
/// assert_eq!((order.position, order.outcome, order.attempts), (0, Outcome::Reported, 3));
/// assert_eq!(order.event_id(), Some("doc-1"));
/// let failure = order.failure.as_ref().expect("it has failed");
/// assert_eq!((failure.kind, failure.message.as_str()), (ErrorKind::Handler, "the index is down"));
/// assert_eq!(order.earlier_failures().len(), 2);
/// # Ok(())
/// # }
/// ```
#[non_exhaustive]
pub struct RecordReport {
    /// The record's position in the batch, from 0.
    pub position: usize,
    /// Its kind of change; `None` if that could not be read.
    pub kind: Option<EventKind>,
    /// Its outcome.
    pub outcome: Outcome,
    /// How many times its handler was started in this invocation; 0 for a record that never reached it. A record that is held back may have
    /// had attempts before an earlier one was reported.
    pub attempts: u32,
    /// Why it failed the last time, in an attempt or because it could not be read; `None` if it has not failed, or has succeeded since.
    pub failure: Option<Failure>,
    /// Why the dead-letter queue did not accept it; `None` if it did, or was not asked.
    pub dead_letter_error: Option<DeadLetterError>,
    /// The name of its entity.
    pub(crate) entity: Option<Arc<str>>,
    /// Why the attempts before the last one failed. Nearly all records have none, which costs them one word.
    pub(crate) earlier: Option<Box<[Failure]>>,
    /// Whether it became a dead letter in an earlier invocation, and was redelivered.
    pub(crate) was_dead_lettered: bool,
    pub(crate) record: RecordRef,
    /// Whether it has a sequence number that no earlier record of the batch has, so the response can name it.
    pub(crate) nameable: bool,
}

impl RecordReport {
    /// The record's `eventID`; `None` if it could not be read.
    pub fn event_id(&self) -> Option<&str> {
        self.record.event_id()
    }

    /// Why the attempts before the last one failed in this invocation, in order.
    ///
    /// There are at most nine, each without its sources and with at most 1,024 bytes of text. Of more attempts, the first and the latest are
    /// kept.
    pub fn earlier_failures(&self) -> &[Failure] {
        self.earlier.as_deref().unwrap_or_default()
    }

    /// The name of the [entity](crate::ProcessorBuilder::entity) that takes the record; `None` if none does.
    ///
    /// It is also `None` for a record whose entity was not looked for: a redelivered or malformed one, and one that is skipped because its kind
    /// of change has no handler.
    pub fn entity(&self) -> Option<&str> {
        self.entity.as_deref()
    }

    /// The record's sequence number; `None` if it could not be read.
    pub fn sequence_number(&self) -> Option<&SequenceNumber> {
        self.record.sequence_number()
    }

    /// The record itself, for a test or a report of your own.
    ///
    /// # Errors
    /// If it is malformed.
    pub fn record(&self) -> Result<Record, MalformedRecord> {
        Record::new(self.record.clone())
    }
}

/// Shows which record it is, and nothing of the item.
impl fmt::Debug for RecordReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RecordReport")
            .field("position", &self.position)
            .field("event_id", &self.event_id())
            .field("kind", &self.kind)
            .field("entity", &self.entity())
            .field("sequence_number", &self.sequence_number())
            .field("outcome", &self.outcome)
            .field("attempts", &self.attempts)
            .field("failure", &self.failure)
            .field("earlier_failures", &self.earlier_failures())
            .field("dead_letter_error", &self.dead_letter_error)
            .finish_non_exhaustive()
    }
}

/// The outcomes of a batch, record by record.
///
/// ```
/// use lambda_streams::{Deadline, Outcome, Record, StreamEvent, StreamProcessor};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), lambda_streams::Error> {
/// let processor = StreamProcessor::builder()
///     .on_record(|record: Record| async move { Err("the index is down".into()) })
///     .build()?;
/// let event = StreamEvent::from_slice(br#"{"Records": [{
///     "eventID": "1", "eventName": "INSERT", "eventSource": "aws:dynamodb",
///     "dynamodb": {"Keys": {"id": {"S": "a"}}, "SequenceNumber": "111"}
/// }]}"#)?;
/// let report = processor.process(event, Deadline::none()).await;
///
/// assert_eq!(report.records()[0].outcome, Outcome::Reported);
/// assert_eq!(report.counts().reported, 1);
/// assert_eq!(report.response()?.checkpoint(), Some("111"));
/// # Ok(())
/// # }
/// ```
pub struct BatchReport {
    records: Vec<RecordReport>,
    context: ResponseContext,
}

/// Shows the records' reports and what the response depends on, and nothing of a tumbling window's state, which is the user's data.
impl fmt::Debug for BatchReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BatchReport")
            .field("records", &self.records)
            .field("stopped_at_deadline", &self.context.deadline_stop)
            .field("refusal", &self.context.refusal)
            .field("state_bytes", &self.context.state.as_ref().map(|state| state.get().len()))
            .finish_non_exhaustive()
    }
}

/// What the response depends on in addition to the records.
#[derive(Clone)]
pub(crate) struct ResponseContext {
    /// Whether Lambda resumes at a checkpoint, or each record is answered by itself.
    pub(crate) from_stream: bool,
    pub(crate) report_batch_item_failures: bool,
    /// The state of a tumbling window, which is returned unchanged.
    pub(crate) state: Option<Box<RawValue>>,
    pub(crate) deadline_stop: bool,
    /// Why the payload is not the event of a stream, where that was found while its records were processed.
    pub(crate) refusal: Option<Error>,
}

/// How many records of a batch had which outcome.
///
/// `received` is the sum of `succeeded`, `skipped`, `dead_lettered`, `reported`, `unfinished` and `held_back`. The fields `redelivered`,
/// `already_done`, `stale` and `superseded` are parts of `skipped`.
///
/// ```
/// use lambda_streams::testing::TestStream;
/// use lambda_streams::{Deadline, Record, StreamProcessor};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), lambda_streams::Error> {
/// let processor = StreamProcessor::builder().on_record(|_: Record| async { Ok(()) }).build()?;
/// let event = TestStream::new("orders", &["id"]).insert(serde_json::json!({"id": {"S": "a"}})).event()?;
/// let counts = processor.process(event, Deadline::none()).await.counts();
/// assert_eq!((counts.received, counts.succeeded, counts.reported), (1, 1, 0));
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Counts {
    /// All records of the batch.
    pub received: usize,
    /// Records whose handler returned `Ok`.
    pub succeeded: usize,
    /// Records that needed no handler, redelivered ones included.
    pub skipped: usize,
    /// Skipped records that an earlier invocation of this environment had already completed.
    pub redelivered: usize,
    /// Skipped records that the [store](crate::ProcessorBuilder::idempotency) says were done in an earlier invocation.
    pub already_done: usize,
    /// Skipped records that are older than what was applied to their items, with [`Stale::Skip`](crate::Stale::Skip).
    pub stale: usize,
    /// Skipped records that a later change of their item superseded in a bulk.
    pub superseded: usize,
    /// Records that the dead-letter queue has accepted.
    pub dead_lettered: usize,
    /// Records that failed and are reported.
    pub reported: usize,
    /// Records that were not finished when the processor stopped before the deadline; they are reported.
    pub unfinished: usize,
    /// Records after a reported one, which Lambda redelivers with it.
    pub held_back: usize,
    /// Attempts beyond the first of each record.
    pub retries: usize,
}

impl Counts {
    pub(crate) fn of<'a>(records: impl Iterator<Item = &'a RecordReport>) -> Self {
        let mut counts = Self::default();
        for record in records {
            counts.received += 1;
            counts.retries += record.attempts.saturating_sub(1) as usize;
            match record.outcome {
                Outcome::Succeeded => counts.succeeded += 1,
                Outcome::Skipped(reason) => {
                    counts.skipped += 1;
                    counts.redelivered += usize::from(reason == SkipReason::Redelivered);
                    counts.already_done += usize::from(reason == SkipReason::AlreadyDone);
                    counts.stale += usize::from(reason == SkipReason::Stale);
                    counts.superseded += usize::from(reason == SkipReason::Superseded);
                }
                Outcome::DeadLettered => counts.dead_lettered += 1,
                Outcome::Reported => counts.reported += 1,
                Outcome::Unfinished => counts.unfinished += 1,
                Outcome::HeldBack => counts.held_back += 1,
            }
        }
        counts
    }
}

/// The tables of a batch's records.
pub(crate) struct Tables<'a> {
    /// `None` for records that do not name theirs.
    pub(crate) names: Vec<Option<&'a str>>,
    /// For each record, by its position, which of `names` is its table's.
    pub(crate) of_records: Vec<usize>,
}

/// What Lambda is to redeliver.
pub(crate) enum Redelivery<'a> {
    Nothing,
    /// This record and everything after it.
    From(&'a RecordReport),
    /// The whole batch, because the response cannot name the checkpoint, which is this record.
    Everything(&'a RecordReport),
}

impl BatchReport {
    pub(crate) fn new(records: Vec<RecordReport>, context: ResponseContext) -> Self {
        Self { records, context }
    }

    /// The records with their outcomes, in stream order.
    pub fn records(&self) -> &[RecordReport] {
        &self.records
    }

    /// The outcome of each record, in stream order.
    ///
    /// ```
    /// # use lambda_streams::testing::TestStream;
    /// # use lambda_streams::{Deadline, Outcome, Record, SkipReason, StreamProcessor};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), lambda_streams::Error> {
    /// # let processor = StreamProcessor::builder().on_record(|_: Record| async { Ok(()) }).build()?;
    /// # let event = TestStream::new("orders", &["id"]).insert(serde_json::json!({"id": {"S": "a"}})).event()?;
    /// let report = processor.process(event, Deadline::none()).await;
    /// assert_eq!(report.outcomes(), [Outcome::Succeeded]);
    /// # Ok(())
    /// # }
    /// ```
    pub fn outcomes(&self) -> Vec<Outcome> {
        self.records.iter().map(|record| record.outcome).collect()
    }

    /// How many records had which outcome.
    pub fn counts(&self) -> Counts {
        Counts::of(self.records.iter())
    }

    /// The tables of the records, where records are answered one by one and so may be of several. An empty batch has none: with such a batch a
    /// command asks whether the function can be reached, and no metric is to come of it, for which CloudWatch would charge.
    pub(crate) fn tables(&self) -> Option<Tables<'_>> {
        if self.context.from_stream {
            return None;
        }
        let mut names = Vec::new();
        let mut numbers = HashMap::new();
        let mut number = |name| {
            *numbers.entry(name).or_insert_with(|| {
                names.push(name);
                names.len() - 1
            })
        };
        let of_records = self.records.iter().map(|entry| number(entry.record.table_name())).collect();
        Some(Tables { names, of_records })
    }

    /// The earliest record that needs another delivery, where Lambda resumes the stream; `None` if the whole batch is done.
    ///
    /// ```
    /// use lambda_streams::testing::TestStream;
    /// use lambda_streams::{Deadline, Insert, StreamProcessor};
    /// use serde_json::json;
    /// # #[derive(serde::Deserialize)]
    /// # struct Order { id: String }
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), lambda_streams::Error> {
    /// let processor = StreamProcessor::builder()
    ///     .on_insert(|change: Insert<Order>| async move { if change.new.id == "b" { Err("busy".into()) } else { Ok(()) } })
    ///     .build()?;
    /// let event = TestStream::new("orders", &["id"]).insert(json!({"id": {"S": "a"}})).insert(json!({"id": {"S": "b"}})).event()?;
    /// let report = processor.process(event, Deadline::none()).await;
    /// assert_eq!(report.checkpoint().map(|record| record.position), Some(1));
    /// # Ok(())
    /// # }
    /// ```
    pub fn checkpoint(&self) -> Option<&RecordReport> {
        self.records.iter().find(|record| !record.outcome.is_done())
    }

    /// Whether the processor stopped before the batch was done, because the deadline was near.
    pub fn stopped_at_deadline(&self) -> bool {
        self.context.deadline_stop
    }

    /// The response to Lambda. It names at most one record, the [checkpoint](Self::checkpoint).
    ///
    /// If the checkpoint has no usable sequence number, the response names the nearest earlier record that has one. Lambda then redelivers the
    /// records starting at that one.
    ///
    /// ```
    /// use lambda_streams::testing::TestStream;
    /// use lambda_streams::{Deadline, Record, StreamProcessor};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let processor = StreamProcessor::builder().on_record(|_: Record| async { Ok(()) }).build()?;
    /// let event = TestStream::new("orders", &["id"]).insert(serde_json::json!({"id": {"S": "a"}})).event()?;
    /// let response = processor.process(event, Deadline::none()).await.response()?;
    /// assert_eq!(serde_json::to_string(&response)?, r#"{"batchItemFailures":[]}"#);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// Each error makes Lambda redeliver the whole batch:
    ///
    /// - a record must be delivered again, but no sequence number can name it ([`Error::is_unreportable`]);
    /// - a record must be delivered again, but the settings say that the event source mapping ignores partial batch responses
    ///   ([`Error::is_batch_failed`]);
    /// - the payload turned out not to be the event of a stream ([`Error::is_event`]).
    pub fn response(&self) -> Result<StreamResponse, Error> {
        let response = match self.redelivery() {
            Redelivery::Nothing => StreamResponse::success(),
            Redelivery::From(named) => match named.sequence_number() {
                Some(number) => StreamResponse::from_checkpoint(number),
                None => return Err(self.batch_error(named)),
            },
            Redelivery::Everything(first) => return Err(self.batch_error(first)),
        };
        Ok(response.with_state(self.context.state.clone()))
    }

    /// Why the payload is not an event, where that was found while its records were processed.
    pub(crate) fn refusal(&self) -> Option<&Error> {
        self.context.refusal.as_ref()
    }

    /// Whether the event source mapping is said to take partial batch responses.
    pub(crate) fn reports_batch_item_failures(&self) -> bool {
        self.context.report_batch_item_failures
    }

    pub(crate) fn redelivery(&self) -> Redelivery<'_> {
        if let (Some(_), Some(first)) = (&self.context.refusal, self.records.first()) {
            return Redelivery::Everything(first);
        }
        let Some(first) = self.checkpoint() else { return Redelivery::Nothing };
        if !self.context.report_batch_item_failures {
            return Redelivery::Everything(first);
        }
        match self.records[..=first.position].iter().rfind(|record| record.nameable) {
            Some(named) => Redelivery::From(named),
            None => Redelivery::Everything(first),
        }
    }

    /// The record at which Lambda resumes, or the first one where it redelivers the whole batch; `None` if it redelivers nothing, and for
    /// what does not come from a stream.
    pub(crate) fn resumes_at(&self) -> Option<&RecordReport> {
        if !self.context.from_stream
            || self.context.refusal.is_some()
            || matches!(self.redelivery(), Redelivery::Nothing)
        {
            return None;
        }
        self.records.get(self.redelivered_from())
    }

    /// The first position that Lambda redelivers; the batch's length if there is none.
    pub(crate) fn redelivered_from(&self) -> usize {
        match self.redelivery() {
            Redelivery::Nothing => self.records.len(),
            Redelivery::From(named) => named.position,
            Redelivery::Everything(_) => 0,
        }
    }

    fn batch_error(&self, first: &RecordReport) -> Error {
        if let Some(refusal) = &self.context.refusal {
            return refusal.clone();
        }
        let open = self.records.iter().filter(|record| !record.outcome.is_done()).count();
        let which = format!(
            "{open} of {} records must be delivered again, starting at position {} (event id {})",
            self.records.len(),
            first.position,
            shown(first.event_id().unwrap_or("unknown")),
        );
        if self.context.report_batch_item_failures {
            Error::unreportable(format!(
                "{which}, but neither it nor a record before it has a sequence number that Lambda could resume at: the \
                 whole batch fails"
            ))
        } else {
            Error::batch_failed(format!(
                "{which}, and the processor was told that its event source mapping has no ReportBatchItemFailures: the \
                 whole batch fails"
            ))
        }
    }
}
