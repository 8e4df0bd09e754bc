//! The outcome of an invocation, whether a stream or a queue of dead letters caused it.

use std::sync::Arc;

use aws_lambda_events::event::streams::SqsEventResponse;
use serde::Serialize;

use super::StreamProcessor;
use crate::error::Error;
use crate::event;
use crate::invocation::Invocation;
use crate::outcome::{BatchReport, StreamResponse};
use crate::payload_kind::PayloadKind;
use crate::redrive::{DeadLetterEvent, RedriveReport};

/// The outcome of an invocation of [`StreamProcessor::process_invocation`].
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
}

impl InvocationReport {
    /// The outcomes of the records.
    pub fn batch(&self) -> &BatchReport {
        match self {
            Self::Stream(report) => report,
            Self::Redrive(report) => report.batch(),
        }
    }

    /// The response to Lambda.
    ///
    /// # Errors
    /// As [`BatchReport::response`] and [`RedriveReport::response`].
    pub fn response(&self) -> Result<InvocationResponse, Error> {
        match self {
            Self::Stream(report) => report.response().map(InvocationResponse::Stream),
            Self::Redrive(report) => report.response().map(InvocationResponse::Redrive),
        }
    }
}

/// The response to Lambda, for a stream or for a queue of dead letters. It serializes as the one that it holds.
#[derive(Debug, Clone, Serialize)]
#[serde(untagged)]
#[non_exhaustive]
pub enum InvocationResponse {
    /// The response to a stream's event source mapping: the checkpoint.
    Stream(StreamResponse),
    /// The response to a queue's event source mapping: the messages to keep.
    Redrive(SqsEventResponse),
}

impl StreamProcessor {
    /// Processes an invocation's payload, whether it is the event of a stream or an SQS event of dead letters: what
    /// [`run`](crate::run) does, for a runtime of your own.
    ///
    /// It is [`process_payload`](Self::process_payload) for a stream, and [`redrive`](Self::redrive) for a queue.
    ///
    /// # Errors
    /// As [`process_payload`](Self::process_payload) and [`DeadLetterEvent::from_slice`]. A payload from another source is refused
    /// with an error that names it ([`Error::payload_kind`]).
    ///
    /// # Cancellation
    /// As for [`process`](Self::process).
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
    pub async fn process_invocation(
        &self,
        payload: Vec<u8>,
        invocation: impl Into<Invocation>,
    ) -> Result<InvocationReport, Error> {
        let text = Arc::new(event::text(payload)?);
        // Nearly every invocation is the stream's. So only a payload that is refused as such is looked at again.
        let invocation = invocation.into();
        match self.process_text(&text, &invocation).await {
            Ok(report) => Ok(InvocationReport::Stream(report)),
            Err(error) if error.payload_kind() == Some(PayloadKind::Sqs) => {
                let event = DeadLetterEvent::read(&text)?;
                Ok(InvocationReport::Redrive(self.redrive(event, invocation).await))
            }
            Err(error) => Err(error),
        }
    }
}
