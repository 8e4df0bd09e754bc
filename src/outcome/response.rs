//! The response to Lambda: its JSON, exactly as the event source mapping reads it.

use std::fmt;

use aws_lambda_events::event::streams::{DynamoDbBatchItemFailure, DynamoDbEventResponse};
use serde::Serialize;
use serde_json::value::RawValue;

use crate::record::SequenceNumber;

/// The partial batch response: it names the checkpoint, or nothing if the whole batch is done.
///
/// Its JSON is `{"batchItemFailures":[{"itemIdentifier":"…"}]}`, with at most one identifier. In a tumbling window it also has the `state`
/// that Lambda sent, unchanged
/// ([AWS: partial batch response](https://docs.aws.amazon.com/lambda/latest/dg/services-ddb-batchfailurereporting.html)).
///
/// ```
/// use lambda_streams::StreamResponse;
///
/// assert_eq!(serde_json::to_string(&StreamResponse::success())?, r#"{"batchItemFailures":[]}"#);
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Clone, Serialize)]
pub struct StreamResponse {
    #[serde(rename = "batchItemFailures")]
    failures: Vec<DynamoDbBatchItemFailure>,
    #[serde(skip_serializing_if = "Option::is_none")]
    state: Option<Box<RawValue>>,
}

impl StreamResponse {
    /// The response for a batch that is done as a whole.
    pub fn success() -> Self {
        Self { failures: Vec::new(), state: None }
    }

    /// This record and everything after it must be delivered again.
    pub(crate) fn from_checkpoint(checkpoint: &SequenceNumber) -> Self {
        let mut failure = DynamoDbBatchItemFailure::default();
        failure.item_identifier = Some(checkpoint.as_str().to_owned());
        Self { failures: vec![failure], state: None }
    }

    pub(crate) fn with_state(mut self, state: Option<Box<RawValue>>) -> Self {
        self.state = state;
        self
    }

    /// The sequence number at which Lambda resumes; `None` if the whole batch is done.
    pub fn checkpoint(&self) -> Option<&str> {
        self.failures.first()?.item_identifier.as_deref()
    }
}

/// Shows the checkpoint, and nothing of a tumbling window's state, which is the user's data.
impl fmt::Debug for StreamResponse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StreamResponse")
            .field("checkpoint", &self.checkpoint())
            .field("state_bytes", &self.state.as_ref().map(|state| state.get().len()))
            .finish()
    }
}

/// For functions that return the type of `aws_lambda_events`. It has no `state`.
impl From<StreamResponse> for DynamoDbEventResponse {
    fn from(response: StreamResponse) -> Self {
        let mut converted = Self::default();
        converted.batch_item_failures = response.failures;
        converted
    }
}
