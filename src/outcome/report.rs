use std::fmt;

use serde_json::value::RawValue;

use super::{Outcome, SkipReason, StreamResponse};
use crate::dead_letter::DeadLetterError;
use crate::error::Error;
use crate::event_kind::EventKind;
use crate::failure::Failure;
use crate::record::{RecordRef, SequenceNumber};

/// What became of one record.
#[non_exhaustive]
pub struct RecordReport {
    /// The record's place in the batch, from 0.
    pub position: usize,
    /// Its kind of change, where it could be read.
    pub kind: Option<EventKind>,
    /// What became of it.
    pub outcome: Outcome,
    /// How often its handler was started in this invocation.
    pub attempts: u32,
    /// Why its last attempt failed.
    pub failure: Option<Failure>,
    /// Why the dead-letter queue did not accept it.
    pub dead_letter_error: Option<DeadLetterError>,
    pub(crate) facts: RecordRef,
    /// Whether the sequence number names this record and no other of the batch.
    pub(crate) nameable: bool,
}

impl RecordReport {
    /// The record's `eventID`, where it could be read.
    pub fn event_id(&self) -> Option<&str> {
        self.facts.event_id()
    }

    /// The record's sequence number, where it could be read.
    pub fn sequence_number(&self) -> Option<&SequenceNumber> {
        self.facts.sequence_number()
    }
}

/// Shows which record it is, and nothing of the item.
impl fmt::Debug for RecordReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RecordReport")
            .field("position", &self.position)
            .field("event_id", &self.event_id())
            .field("kind", &self.kind)
            .field("sequence_number", &self.sequence_number())
            .field("outcome", &self.outcome)
            .field("attempts", &self.attempts)
            .field("failure", &self.failure)
            .field("dead_letter_error", &self.dead_letter_error)
            .finish_non_exhaustive()
    }
}

/// What became of a batch, record by record.
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
#[derive(Debug)]
pub struct BatchReport {
    records: Vec<RecordReport>,
    answer: Answer,
}

/// How the batch is answered.
#[derive(Debug, Clone)]
pub(crate) struct Answer {
    pub(crate) report_batch_item_failures: bool,
    /// The state of a tumbling window, to be answered unchanged.
    pub(crate) state: Option<Box<RawValue>>,
    pub(crate) deadline_stop: bool,
    /// Why the payload is no stream's event, where that was found only while its records were processed.
    pub(crate) refusal: Option<Error>,
}

/// How many records came to what.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Counts {
    /// All records of the batch.
    pub received: usize,
    /// Their handler returned `Ok`.
    pub succeeded: usize,
    /// They needed no handler, redelivered ones included.
    pub skipped: usize,
    /// Of the skipped: done already in an earlier invocation.
    pub redelivered: usize,
    /// The dead-letter queue has accepted them.
    pub dead_lettered: usize,
    /// They failed and are reported.
    pub reported: usize,
    /// The deadline came first; they are reported.
    pub unfinished: usize,
    /// They stand behind a reported record, and are delivered again with it.
    pub held_back: usize,
    /// Attempts beyond the first of each record.
    pub retries: usize,
}

/// What Lambda is to deliver again.
pub(crate) enum Redelivery<'a> {
    Nothing,
    /// Everything from this record on.
    From(&'a RecordReport),
    /// The whole batch, for the first unfinished record is this one and the checkpoint cannot be answered.
    Everything(&'a RecordReport),
}

impl BatchReport {
    pub(crate) fn new(records: Vec<RecordReport>, answer: Answer) -> Self {
        Self { records, answer }
    }

    /// What became of each record, in stream order.
    pub fn records(&self) -> &[RecordReport] {
        &self.records
    }

    /// How many records came to what.
    pub fn counts(&self) -> Counts {
        let mut counts = Counts { received: self.records.len(), ..Counts::default() };
        for record in &self.records {
            counts.retries += record.attempts.saturating_sub(1) as usize;
            match record.outcome {
                Outcome::Succeeded => counts.succeeded += 1,
                Outcome::Skipped(reason) => {
                    counts.skipped += 1;
                    counts.redelivered += usize::from(reason == SkipReason::Redelivered);
                }
                Outcome::DeadLettered => counts.dead_lettered += 1,
                Outcome::Reported => counts.reported += 1,
                Outcome::Unfinished => counts.unfinished += 1,
                Outcome::HeldBack => counts.held_back += 1,
            }
        }
        counts
    }

    /// The earliest record that this invocation did not finish; `None` if the whole batch is done.
    pub fn checkpoint(&self) -> Option<&RecordReport> {
        self.records.iter().find(|record| !record.outcome.is_done())
    }

    /// Whether the processor stopped because the deadline neared.
    pub fn stopped_at_deadline(&self) -> bool {
        self.answer.deadline_stop
    }

    /// The answer to Lambda.
    ///
    /// It names exactly one record, the checkpoint. If that has no usable sequence number, it names the nearest earlier
    /// record that has one, whose progress is then repeated.
    ///
    /// # Errors
    /// If a record must be delivered again and no sequence number can name it ([`Error::is_unreportable`]), if the mapping
    /// is said to ignore the answer ([`Error::is_batch_failed`]), or if the payload turned out to be no stream's event
    /// ([`Error::is_event`]). Lambda then delivers the whole batch again.
    pub fn response(&self) -> Result<StreamResponse, Error> {
        let response = match self.redelivery() {
            Redelivery::Nothing => StreamResponse::success(),
            Redelivery::From(named) => match named.sequence_number() {
                Some(number) => StreamResponse::from_checkpoint(number),
                None => return Err(self.batch_error(named)),
            },
            Redelivery::Everything(first) => return Err(self.batch_error(first)),
        };
        Ok(response.with_state(self.answer.state.clone()))
    }

    pub(crate) fn redelivery(&self) -> Redelivery<'_> {
        if let (Some(_), Some(first)) = (&self.answer.refusal, self.records.first()) {
            return Redelivery::Everything(first);
        }
        let Some(first) = self.checkpoint() else { return Redelivery::Nothing };
        if !self.answer.report_batch_item_failures {
            return Redelivery::Everything(first);
        }
        match self.records[..=first.position].iter().rfind(|record| record.nameable) {
            Some(named) => Redelivery::From(named),
            None => Redelivery::Everything(first),
        }
    }

    /// The first position that Lambda delivers again; the batch's length if there is none.
    pub(crate) fn redelivered_from(&self) -> usize {
        match self.redelivery() {
            Redelivery::Nothing => self.records.len(),
            Redelivery::From(named) => named.position,
            Redelivery::Everything(_) => 0,
        }
    }

    fn batch_error(&self, first: &RecordReport) -> Error {
        if let Some(refusal) = &self.answer.refusal {
            return refusal.clone();
        }
        let open = self.records.iter().filter(|record| !record.outcome.is_done()).count();
        let which = format!(
            "{open} of {} records must be delivered again, from position {} on (event id {})",
            self.records.len(),
            first.position,
            first.event_id().unwrap_or("unknown"),
        );
        if self.answer.report_batch_item_failures {
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
