//! The outcome of an invocation, whether a stream, a queue of dead letters or a command caused it.

use std::sync::Arc;

use aws_lambda_events::event::streams::SqsEventResponse;
use serde::Serialize;

use super::StreamProcessor;
use crate::error::Error;
use crate::event::{self, Records};
use crate::invocation::Invocation;
use crate::outcome::{BatchReport, StreamResponse};
use crate::payload_kind::PayloadKind;
use crate::redrive::{DeadLetterEvent, RedriveReport};
use crate::replay::{self, ReplayReport, ReplayResponse, Request};

/// The outcome of an invocation: what [`StreamProcessor::process_invocation`] returns.
///
/// ```
/// use lambda_streams::{Deadline, InvocationReport, Record, StreamProcessor};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), lambda_streams::Error> {
/// let processor = StreamProcessor::builder().on_record(|_: Record| async { Ok(()) }).build()?;
/// let report = processor.process_invocation(br#"{"Records": []}"#.to_vec(), Deadline::none()).await?;
/// assert!(matches!(report, InvocationReport::Stream(_)));
/// assert_eq!(serde_json::to_string(&report.response()?).expect("JSON"), r#"{"batchItemFailures":[]}"#);
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
#[non_exhaustive]
pub enum InvocationReport {
    /// The event source mapping of a stream invoked the function.
    Stream(BatchReport),
    /// The event source mapping of a queue invoked the function with dead letters.
    Redrive(RedriveReport),
    /// `lambda-streams replay` or `lambda-streams backfill` invoked the function, or the payload was an on-failure document.
    Replay(ReplayReport),
}

impl InvocationReport {
    /// The outcomes of the records, whatever invoked the function.
    pub fn batch(&self) -> &BatchReport {
        match self {
            Self::Stream(report) => report,
            Self::Redrive(report) => report.batch(),
            Self::Replay(report) => report.batch(),
        }
    }

    /// The response to Lambda, which [`run`](crate::run) returns.
    ///
    /// # Errors
    /// As [`BatchReport::response`], [`RedriveReport::response`] and [`ReplayReport::response`].
    pub fn response(&self) -> Result<InvocationResponse, Error> {
        match self {
            Self::Stream(report) => report.response().map(InvocationResponse::Stream),
            Self::Redrive(report) => report.response().map(InvocationResponse::Redrive),
            Self::Replay(report) => report.response().map(InvocationResponse::Replay),
        }
    }
}

/// The response to Lambda: for a stream, for a queue of dead letters, or for a command. It serializes as the response inside.
///
/// ```
/// use lambda_streams::{Deadline, InvocationResponse, Record, StreamProcessor};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), lambda_streams::Error> {
/// let processor = StreamProcessor::builder().on_record(|_: Record| async { Ok(()) }).build()?;
/// let report = processor.process_invocation(br#"{"Records": []}"#.to_vec(), Deadline::none()).await?;
/// let InvocationResponse::Stream(response) = report.response()? else { panic!("a stream invoked the function") };
/// assert_eq!(response.checkpoint(), None);
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, Serialize)]
#[serde(untagged)]
#[non_exhaustive]
pub enum InvocationResponse {
    /// The response to a stream's event source mapping: the checkpoint.
    Stream(StreamResponse),
    /// The response to a queue's event source mapping: the messages to keep.
    Redrive(SqsEventResponse),
    /// The response to a command: the records that are not finished.
    Replay(ReplayResponse),
}

impl StreamProcessor {
    /// Processes the payload of any invocation: what [`run`](crate::run) does, for your own runtime.
    ///
    /// A stream's payload is processed as by [`process_payload`](Self::process_payload), and a queue's dead letters as by
    /// [`redrive`](Self::redrive). The requests of `lambda-streams replay` and `lambda-streams backfill` lead to a [`ReplayReport`], and so does
    /// an on-failure document as a bucket gets it.
    ///
    /// ```
    /// use lambda_streams::{Deadline, PayloadKind, Record, StreamProcessor};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), lambda_streams::Error> {
    /// let processor = StreamProcessor::builder().on_record(|_: Record| async { Ok(()) }).build()?;
    /// let payload = br#"{"Records": [{"eventSource": "aws:kinesis"}]}"#.to_vec();
    /// let error = processor.process_invocation(payload, Deadline::none()).await.unwrap_err();
    /// assert_eq!(error.payload_kind(), Some(PayloadKind::Kinesis));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// As [`process_payload`](Self::process_payload) and [`DeadLetterEvent::from_slice`]. A payload from another source, or with records of
    /// several sources, is refused with an error that names it ([`Error::payload_kind`]). A payload that describes discarded records without
    /// having them (the on-failure document of a queue or a topic, a notification of a bucket) is refused with an error that names the command
    /// that brings them back.
    ///
    /// # Cancellation
    /// As for [`process`](Self::process).
    pub async fn process_invocation(
        &self,
        payload: Vec<u8>,
        invocation: impl Into<Invocation>,
    ) -> Result<InvocationReport, Error> {
        let text = Arc::new(event::text(payload)?);
        let invocation = invocation.into();
        if event::is_by_command(&text) {
            let request = Request::read(&text, self.settings.marks.is_some())?;
            return self.replay(&text, request, invocation).await;
        }
        // Nearly every invocation is the stream's. So only a payload that is refused as such is looked at again.
        match self.process_text(&text, &invocation).await {
            Ok(report) => Ok(InvocationReport::Stream(report)),
            Err(error) => self.process_other(&text, invocation, error).await,
        }
    }

    /// Processes what is not the event of a stream, for which there is this error.
    async fn process_other(&self, text: &str, invocation: Invocation, error: Error) -> Result<InvocationReport, Error> {
        let arn = &invocation.function_arn;
        match error.payload_kind() {
            Some(PayloadKind::Sqs) => {
                let event = DeadLetterEvent::read(text)?;
                Ok(InvocationReport::Redrive(self.redrive(event, invocation).await))
            }
            Some(PayloadKind::OnFailureDocument) => {
                let event = Arc::new(replay::event_of(text, arn)?);
                self.replay(&event, Request::OF_DOCUMENT, invocation).await
            }
            Some(kind) => Err(replay::refuse_notification(kind, text, arn).unwrap_or(error)),
            None => Err(error),
        }
    }

    async fn replay(
        &self,
        text: &Arc<String>,
        request: Request,
        mut invocation: Invocation,
    ) -> Result<InvocationReport, Error> {
        invocation.origin = request.origin();
        let has_handler = |kind| self.settings.routes.takes(kind);
        let records = Records::of_payload(text, &has_handler)?;
        let batch = self.process_records(records, invocation, request.stale()).await;
        Ok(InvocationReport::Replay(ReplayReport::new(batch, request, self.settings.marks.is_some())))
    }
}
