//! Replays records that a command of `lambda-streams` brings, or an on-failure document: the response names those that are not finished.
//!
//! Invariant: a record that is not named is finished. Where nobody asks for the names, any unfinished record fails the invocation.

mod document;
mod request;

use std::borrow::Cow;
use std::fmt;

use serde::{Serialize, Serializer};

use crate::error::Error;
use crate::failure::shown;
use crate::invocation::Origin;
use crate::outcome::{BatchReport, Counts, RecordReport};

pub(crate) use self::document::{event_of, refuse_notification};
pub(crate) use self::request::Request;

/// The outcome of an invocation by `lambda-streams replay` or `lambda-streams backfill`, or by an on-failure document.
///
/// ```
/// use lambda_streams::{Deadline, InvocationReport, Record, StreamProcessor};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), lambda_streams::Error> {
/// let processor = StreamProcessor::builder().on_record(|_: Record| async { Err("the index is down".into()) }).build()?;
/// let payload = br#"{"lambdaStreams": {"origin": "replay", "answer": "list"}, "Records": [{
///     "eventID": "1", "eventName": "INSERT", "eventSource": "aws:dynamodb",
///     "dynamodb": {"Keys": {"id": {"S": "a"}}, "SequenceNumber": "111"}
/// }]}"#;
/// let InvocationReport::Replay(report) = processor.process_invocation(payload.to_vec(), Deadline::none()).await? else {
///     panic!("a command has made the payload");
/// };
/// assert_eq!(report.response()?.unfinished().collect::<Vec<_>>(), ["111"]);
/// # Ok(())
/// # }
/// ```
///
/// The records are independent, as in a [redrive](crate::RedriveReport). The command asks for a list of the unfinished records, sends those
/// again, and reports what is left at the end. An invocation that does not ask for the list, by hand or asynchronously, fails if any record
/// is unfinished. Lambda retries a failed asynchronous invocation, and then informs its on-failure destination.
///
/// # The request
/// A command sends the event of a stream with one more member, which must be the first:
///
/// ```json
/// {"lambdaStreams": {"origin": "replay", "stale": "skip", "answer": "list"}, "Records": []}
/// ```
///
/// - `origin` is `replay` or `backfill` ([`Origin`](crate::Origin)).
/// - `stale` is `process`, `skip` or absent. It overrides the processor's [`Stale`](crate::Stale) in this invocation. Without
///   [marks](crate::ProcessorBuilder::marks), and for a backfill, `skip` is refused.
/// - `answer` is `list` or absent.
///
/// Anything else is refused, because the function may be older than the command.
#[derive(Debug)]
pub struct ReplayReport {
    batch: BatchReport,
    request: Request,
    has_marks: bool,
}

impl ReplayReport {
    pub(crate) fn new(batch: BatchReport, request: Request, has_marks: bool) -> Self {
        Self { batch, request, has_marks }
    }

    /// The outcomes of the records, in the order of the request.
    pub fn batch(&self) -> &BatchReport {
        &self.batch
    }

    /// Whether it is a [replay](Origin::Replay) or a [backfill](Origin::Backfill).
    pub fn origin(&self) -> Origin {
        self.request.origin()
    }

    /// The response: it names every record that is not finished.
    ///
    /// # Errors
    /// If a record is not finished and the request does not ask for a list ([`Error::is_unfinished`]), or if the payload turned out not
    /// to be an event while its records were processed ([`Error::is_event`]).
    pub fn response(&self) -> Result<ReplayResponse, Error> {
        if let Some(refusal) = self.batch.refusal() {
            return Err(refusal.clone());
        }
        let unfinished: Vec<&RecordReport> =
            self.batch.records().iter().filter(|record| !record.outcome.is_done()).collect();
        if let Some(first) = unfinished.first().filter(|_| !self.request.wants_list()) {
            return Err(Error::unfinished(format!(
                "{} of {} records are not finished, the first of them at position {} (event id {}): the invocation fails, so Lambda \
                 repeats it if it is asynchronous",
                unfinished.len(),
                self.batch.records().len(),
                first.position,
                shown(first.event_id().unwrap_or("unknown")),
            )));
        }
        Ok(ReplayResponse {
            unfinished: unfinished.into_iter().map(|record| identifier(record).into_owned()).collect(),
            counts: self.batch.counts(),
            has_marks: self.has_marks,
        })
    }
}

/// What names a record: its sequence number; without one, its event id; without both, its position in the batch, from 0.
fn identifier(record: &RecordReport) -> Cow<'_, str> {
    let number = record.sequence_number().map(|number| number.as_str());
    match number.or(record.event_id().filter(|id| !id.is_empty())) {
        Some(name) => name.into(),
        None => format!("#{}", record.position).into(),
    }
}

/// The response to a [replay](ReplayReport): it names every record that is not finished, and counts the others.
///
/// ```
/// use lambda_streams::{Deadline, Record, StreamProcessor};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let processor = StreamProcessor::builder().on_record(|_: Record| async { Ok(()) }).build()?;
/// let payload = br#"{"lambdaStreams": {"origin": "replay", "answer": "list"}, "Records": []}"#.to_vec();
/// let response = processor.process_invocation(payload, Deadline::none()).await?.response()?;
/// let json = serde_json::to_value(response)?;
/// assert_eq!(json["batchItemFailures"], serde_json::json!([]));
/// assert_eq!(json["lambdaStreams"]["failed"], 0);
/// # Ok(())
/// # }
/// ```
///
/// Its JSON is `{"batchItemFailures":[{"itemIdentifier":"…"},…],"lambdaStreams":{…}}`. A record is named by its sequence number. Without
/// one it is named by its event id, and without both by a `#` and its position in the batch, from 0.
///
/// In `lambdaStreams`, `everyFailureIsListed` is true, and `marks` says whether the processor keeps
/// [marks](crate::ProcessorBuilder::marks). The members `succeeded`, `skipped`, `alreadyDone`, `stale`, `deadLettered` and `failed` are
/// counts that add up to the records of the event; `failed` counts the records that are named.
#[derive(Clone)]
pub struct ReplayResponse {
    unfinished: Vec<String>,
    counts: Counts,
    has_marks: bool,
}

impl ReplayResponse {
    /// The names of the records that are not finished, in the order of the request.
    pub fn unfinished(&self) -> impl Iterator<Item = &str> {
        self.unfinished.iter().map(String::as_str)
    }
}

impl Serialize for ReplayResponse {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        #[serde(rename_all = "camelCase")]
        struct Response<'a> {
            batch_item_failures: Vec<Failure<'a>>,
            lambda_streams: Summary,
        }
        #[derive(Serialize)]
        #[serde(rename_all = "camelCase")]
        struct Failure<'a> {
            item_identifier: &'a str,
        }
        #[derive(Serialize)]
        #[serde(rename_all = "camelCase")]
        struct Summary {
            every_failure_is_listed: bool,
            succeeded: usize,
            skipped: usize,
            already_done: usize,
            stale: usize,
            dead_lettered: usize,
            failed: usize,
            marks: bool,
        }
        let Counts { succeeded, skipped, already_done, stale, dead_lettered, .. } = self.counts;
        Response {
            batch_item_failures: self.unfinished().map(|item_identifier| Failure { item_identifier }).collect(),
            lambda_streams: Summary {
                every_failure_is_listed: true,
                succeeded,
                skipped: skipped.saturating_sub(already_done + stale),
                already_done,
                stale,
                dead_lettered,
                failed: self.unfinished.len(),
                marks: self.has_marks,
            },
        }
        .serialize(serializer)
    }
}

/// Shows how many records are not finished, and the counts.
impl fmt::Debug for ReplayResponse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReplayResponse")
            .field("unfinished", &self.unfinished.len())
            .field("counts", &self.counts)
            .field("has_marks", &self.has_marks)
            .finish()
    }
}
