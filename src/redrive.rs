//! Redrives dead letters: reads an SQS event of envelopes, and answers for each message whether SQS can delete it.
//!
//! Invariant: only what a handler has processed is deleted, unless the user says otherwise.

use std::fmt;

use aws_lambda_events::event::streams::{SqsBatchItemFailure, SqsEventResponse};
use serde::{Deserialize, Deserializer, de};
use serde_json::value::RawValue;

use crate::dead_letter::{DeadLetter, DeadLetterReadError};
use crate::error::Error;
use crate::event::StreamEvent;
use crate::event_kind::EventKind;
use crate::failure::shown;
use crate::outcome::{BatchReport, Outcome, RecordReport, SkipReason};
use crate::payload_kind::{self, PayloadKind};

/// How many bytes the records of one redrive may take. A compressed record takes up to a thousand times what its message does.
const MAX_BYTES: usize = 64 * 1024 * 1024;
/// The most messages that an invocation can have
/// ([AWS: SQS batches](https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-configure.html)).
const MAX_MESSAGES: usize = 10_000;

const EXPECTED: &str = "an SQS event was expected";

/// The payload of an invocation by an SQS queue that holds dead letters.
///
/// ```
/// use lambda_streams::{DeadLetterEvent, PayloadKind};
///
/// let event = DeadLetterEvent::from_slice(br#"{"Records": [{"messageId": "1", "eventSource": "aws:sqs", "body": "{}"}]}"#)?;
/// assert_eq!(event.len(), 1);
///
/// let error = DeadLetterEvent::from_slice(br#"{"version": "2.0", "routeKey": "GET /"}"#).unwrap_err();
/// assert_eq!(error.payload_kind(), Some(PayloadKind::HttpApi));
/// # Ok::<(), lambda_streams::Error>(())
/// ```
#[derive(Clone)]
pub struct DeadLetterEvent {
    messages: Vec<SqsMessage>,
}

/// A message as SQS delivers it. Its id is required, because the response names failed messages by it.
#[derive(Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
struct SqsMessage {
    message_id: String,
    #[serde(default)]
    body: Option<String>,
}

impl DeadLetterEvent {
    /// Reads an invocation's payload.
    ///
    /// # Errors
    /// If it is not valid JSON, has records of other sources as well, or is not an SQS event of at most 10,000 messages with ids
    /// ([`Error::is_event`]). The bodies of the messages are not read yet.
    pub fn from_slice(payload: &[u8]) -> Result<Self, Error> {
        let json = std::str::from_utf8(payload).map_err(|_| Error::not_json(EXPECTED))?;
        Self::read(json)
    }

    pub(crate) fn read(json: &str) -> Result<Self, Error> {
        #[derive(Deserialize)]
        struct Event {
            #[serde(rename = "Records")]
            messages: Vec<SqsMessage>,
        }
        match PayloadKind::of(json.as_bytes()) {
            PayloadKind::Sqs => {}
            PayloadKind::NotJson => return Err(Error::not_json(EXPECTED)),
            kind => {
                let mixed = payload_kind::mixed_sources(json).map(Error::mixed_sources);
                return Err(mixed.unwrap_or_else(|| Error::not_dead_letters(kind)));
            }
        }
        let event = serde_json::from_str::<Event>(json);
        let Event { messages } =
            event.map_err(|_| Error::broken_envelope("a message of the SQS event has no `messageId`"))?;
        if messages.len() > MAX_MESSAGES {
            return Err(Error::broken_envelope("it has more than 10,000 messages, which no invocation of a queue has"));
        }
        Ok(Self { messages })
    }

    /// The number of messages.
    pub fn len(&self) -> usize {
        self.messages.len()
    }

    /// Whether there are no messages.
    pub fn is_empty(&self) -> bool {
        self.messages.is_empty()
    }

    /// Opens the messages: returns their records, and for each message the position of its record or why it has none.
    pub(crate) fn open(self) -> (StreamEvent, Vec<OpenedMessage>) {
        let mut records = Vec::with_capacity(self.messages.len());
        let mut opened = Vec::with_capacity(self.messages.len());
        let mut room = MAX_BYTES;
        for SqsMessage { message_id, body } in self.messages {
            let letter = DeadLetter::from_json(body.as_deref().unwrap_or_default());
            let record = letter.and_then(|letter| {
                let json = letter.raw_json();
                room = room.checked_sub(json.len()).ok_or_else(DeadLetterReadError::too_many_bytes)?;
                records.push(json.to_owned());
                Ok(records.len() - 1)
            });
            opened.push(OpenedMessage { message_id, record });
        }
        (StreamEvent::of_records(&records), opened)
    }
}

impl<'de> Deserialize<'de> for DeadLetterEvent {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let json = Box::<RawValue>::deserialize(deserializer)?;
        Self::read(json.get()).map_err(de::Error::custom)
    }
}

/// Shows how many messages there are, and nothing of them.
impl fmt::Debug for DeadLetterEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DeadLetterEvent").field("messages", &self.messages.len()).finish_non_exhaustive()
    }
}

/// A message whose body was read.
#[derive(Debug)]
pub(crate) struct OpenedMessage {
    message_id: String,
    /// The position of its record in the batch, or why it has none.
    record: Result<usize, DeadLetterReadError>,
}

/// The outcome of a redrive.
///
/// ```
/// use lambda_streams::testing::TestStream;
/// use lambda_streams::{DeadLetterEvent, Deadline, HandlerError, MemoryDeadLetterQueue, Outcome, Record, StreamProcessor};
/// use serde_json::json;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let queue = MemoryDeadLetterQueue::new();
/// let broken = StreamProcessor::builder()
///     .on_record(|_: Record| async { Err(HandlerError::permanent("a bug")) })
///     .dead_letter_queue(queue.clone())
///     .build()?;
/// let event = TestStream::new("orders", &["id"]).insert(json!({"id": {"S": "a"}})).event()?;
/// broken.process(event, Deadline::none()).await;
///
/// // The bug is fixed, and the message is put back.
/// let fixed = StreamProcessor::builder().on_record(|_: Record| async { Ok(()) }).build()?;
/// let message = json!({"messageId": "m-1", "eventSource": "aws:sqs", "body": queue.letters()[0].to_json()});
/// let event = DeadLetterEvent::from_slice(&serde_json::to_vec(&json!({"Records": [message]}))?)?;
/// let report = fixed.redrive(event, Deadline::none()).await;
/// assert_eq!(report.batch().outcomes(), [Outcome::Succeeded]);
/// assert!(report.response()?.batch_item_failures.is_empty(), "SQS may delete the message");
/// # Ok(())
/// # }
/// ```
///
/// The response names the messages that SQS must keep:
///
/// - those whose record failed or was not finished;
/// - those that do not hold a dead letter;
/// - those whose record was [skipped](crate::SkipReason) because no handler takes its kind of change or the filter dropped it, because
///   another function may have to process it. [`delete_skipped_on_redrive`] deletes them, too.
///
/// All other messages can be deleted.
///
/// [`delete_skipped_on_redrive`]: crate::ProcessorBuilder::delete_skipped_on_redrive
#[derive(Debug)]
pub struct RedriveReport {
    batch: BatchReport,
    messages: Vec<OpenedMessage>,
    deletes_skipped: bool,
}

impl RedriveReport {
    pub(crate) fn new(batch: BatchReport, messages: Vec<OpenedMessage>, deletes_skipped: bool) -> Self {
        let report = Self { batch, messages, deletes_skipped };
        report.messages.iter().for_each(|message| report.log_kept(message));
        report
    }

    /// Logs why a message is kept whose record the batch's own lines do not mention.
    fn log_kept(&self, message: &OpenedMessage) {
        let message_id = message.message_id.as_str();
        if let Err(error) = &message.record {
            tracing::warn!(message_id, %error, next = "reported", "the message does not hold a dead letter");
        } else if let Some(record) = self.record(message)
            && let Some(reason) = self.keeps_skipped(record.outcome)
        {
            let (event_id, kind) = (record.event_id().map(shown), record.kind.map(EventKind::as_str));
            tracing::warn!(
                message_id,
                event_id,
                kind,
                reason,
                next = "reported",
                "the dead letter was skipped and is kept"
            );
        }
    }

    fn record(&self, message: &OpenedMessage) -> Option<&RecordReport> {
        self.batch.records().get(*message.record.as_ref().ok()?)
    }

    /// Why a record was skipped, if its message is kept for that.
    fn keeps_skipped(&self, outcome: Outcome) -> Option<&'static str> {
        match outcome {
            _ if self.deletes_skipped => None,
            Outcome::Skipped(SkipReason::NoHandler) => Some("there is no handler for its kind of change"),
            Outcome::Skipped(SkipReason::Unmatched) => Some("no entity takes it"),
            Outcome::Skipped(SkipReason::Filtered) => Some("the filter did not keep it"),
            _ => None,
        }
    }

    fn is_done(&self, message: &OpenedMessage) -> bool {
        let outcome = self.record(message).map(|record| record.outcome);
        outcome.is_some_and(|outcome| outcome.is_done() && self.keeps_skipped(outcome).is_none())
    }

    /// The outcomes of the records, in the order of their messages. A message without a dead letter is not among them.
    pub fn batch(&self) -> &BatchReport {
        &self.batch
    }

    /// The ids of the messages that do not hold a dead letter, each with the reason.
    pub fn unreadable(&self) -> impl Iterator<Item = (&str, &DeadLetterReadError)> {
        self.messages.iter().filter_map(|message| Some((message.message_id.as_str(), message.record.as_ref().err()?)))
    }

    /// The response to Lambda: it names every message that SQS must keep.
    ///
    /// # Errors
    /// After each error, SQS keeps all messages:
    ///
    /// - no message holds a dead letter ([`Error::is_event`]). The queue is then one of another kind, and its event source mapping might take
    ///   any response for success and delete the messages;
    /// - a message must be kept, but the settings say that the event source mapping ignores partial batch responses
    ///   ([`Error::is_batch_failed`]).
    pub fn response(&self) -> Result<SqsEventResponse, Error> {
        let errors: Vec<_> = self.messages.iter().filter_map(|message| message.record.as_ref().err()).collect();
        if !errors.is_empty() && errors.len() == self.messages.len() {
            let documents = errors.iter().filter(|error| error.is_on_failure_document()).count();
            return Err(Error::no_dead_letters(documents));
        }
        let mut response = SqsEventResponse::default();
        let kept = self.messages.iter().filter(|message| !self.is_done(message));
        response.batch_item_failures = kept.map(failure).collect();
        if response.batch_item_failures.is_empty() || self.batch.reports_batch_item_failures() {
            return Ok(response);
        }
        let kept = response.batch_item_failures.len();
        Err(Error::batch_failed(format!(
            "{kept} of {} messages must be kept, and `report_batch_item_failures` is off: SQS keeps all of them",
            self.messages.len()
        )))
    }
}

fn failure(message: &OpenedMessage) -> SqsBatchItemFailure {
    let mut failure = SqsBatchItemFailure::default();
    failure.item_identifier = Some(message.message_id.clone());
    failure
}
