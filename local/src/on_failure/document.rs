//! The on-failure document: what AWS says about discarded records, member for member.

use std::fmt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::Serialize;

use crate::source::SourceRecord;

/// Why records were discarded.
/// ```
/// use lambda_streams_local::{Condition, OnFailureDocument};
///
/// fn is_an_outage(document: &OnFailureDocument) -> bool {
///     document.condition() == Condition::RecordAgeExceeded
/// }
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[non_exhaustive]
pub enum Condition {
    /// The retries were exhausted: `MaximumRetryAttempts`.
    RetryAttemptsExhausted,
    /// The records were too old: `MaximumRecordAgeInSeconds`.
    RecordAgeExceeded,
}

/// The document about discarded records, in exactly AWS's format.
///
/// Queues and topics only get the metadata. A bucket also gets the records, as `payload`: a JSON string that holds the
/// event ([AWS: discarded batches](https://docs.aws.amazon.com/lambda/latest/dg/services-dynamodb-errors.html)).
/// [`event_in`](crate::event_in) reads it back.
/// ```
/// use std::time::Duration;
///
/// use lambda_streams_local::{
///     Condition, EventSourceMapping, Function, InvokeError, MemoryOnFailure, RecordFiles, Response, Settings,
/// };
///
/// struct Broken;
///
/// impl Function for Broken {
///     async fn invoke(&self, _payload: String, _timeout: Duration) -> Result<Response, InvokeError> {
///         Ok(Response::FunctionError { error_type: "Error".to_owned(), message: "no database".to_owned() })
///     }
///
///     fn function_arn(&self) -> String {
///         "arn:aws:lambda:eu-central-1:123456789012:function:broken".to_owned()
///     }
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let mut files = RecordFiles::new();
/// files.add_items("orders.ndjson", r#"{"id": "a"} {"id": "b"}"#, &["id"])?;
/// let settings = Settings {
///     maximum_retry_attempts: 0,
///     on_failure: Some("arn:aws:s3:::discarded".to_owned()),
///     ..Settings::default()
/// };
/// let discarded = MemoryOnFailure::default();
/// let mapping = EventSourceMapping::new(settings, files.into_source()?, Broken)?.on_failure(discarded.clone());
/// mapping.run(std::future::pending()).await?;
///
/// let documents = discarded.documents();
/// assert_eq!(documents[0].condition(), Condition::RetryAttemptsExhausted);
/// assert_eq!(documents[0].batch_size(), 2);
/// assert!(documents[0].payload().is_some_and(|event| event.contains("Records")), "a bucket gets the records");
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct OnFailureDocument {
    request_context: RequestContext,
    #[serde(skip_serializing_if = "Option::is_none")]
    response_context: Option<ResponseContext>,
    version: &'static str,
    timestamp: String,
    #[serde(rename = "DDBStreamBatchInfo")]
    batch: BatchInfo,
    #[serde(skip_serializing_if = "Option::is_none")]
    payload: Option<String>,
}

#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
struct RequestContext {
    request_id: String,
    function_arn: String,
    condition: Condition,
    approximate_invoke_count: u32,
}

#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
struct ResponseContext {
    status_code: u16,
    executed_version: &'static str,
    function_error: Option<&'static str>,
}

#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
struct BatchInfo {
    shard_id: String,
    start_sequence_number: Option<String>,
    end_sequence_number: Option<String>,
    approximate_arrival_of_first_record: Option<String>,
    approximate_arrival_of_last_record: Option<String>,
    batch_size: usize,
    stream_arn: String,
}

/// The content of a document.
#[derive(Debug, Clone)]
pub(crate) struct Discarded<'a> {
    pub(crate) records: &'a [SourceRecord],
    pub(crate) condition: Condition,
    pub(crate) request_id: String,
    pub(crate) function_arn: String,
    pub(crate) invocations: u32,
    /// Whether the last invocation ended in a function error, and not in a response.
    pub(crate) function_error: bool,
    pub(crate) shard: &'a str,
    pub(crate) stream_arn: String,
    pub(crate) now: SystemTime,
    pub(crate) keep_payload: bool,
}

impl OnFailureDocument {
    pub(crate) fn new(discarded: Discarded<'_>) -> Self {
        let records = discarded.records;
        let number = |record: &SourceRecord| record.sequence_number().map(ToString::to_string);
        let arrival = |record: Option<&SourceRecord>| record.and_then(SourceRecord::created_at).map(arrival);
        let response_context = (discarded.condition == Condition::RetryAttemptsExhausted).then_some(ResponseContext {
            status_code: 200,
            executed_version: "$LATEST",
            function_error: discarded.function_error.then_some("Unhandled"),
        });
        Self {
            request_context: RequestContext {
                request_id: discarded.request_id,
                function_arn: discarded.function_arn,
                condition: discarded.condition,
                // AWS says 1 also of a batch whose age ran out before its first invocation.
                approximate_invoke_count: discarded.invocations.max(1),
            },
            response_context,
            version: "1.0",
            timestamp: humantime::format_rfc3339_millis(discarded.now).to_string(),
            batch: BatchInfo {
                shard_id: discarded.shard.to_owned(),
                start_sequence_number: records.iter().find_map(number),
                end_sequence_number: records.iter().rev().find_map(number),
                approximate_arrival_of_first_record: arrival(records.first()),
                approximate_arrival_of_last_record: arrival(records.last()),
                batch_size: records.len(),
                stream_arn: discarded.stream_arn,
            },
            payload: discarded.keep_payload.then(|| payload(records)),
        }
    }

    /// Why the records were discarded.
    pub fn condition(&self) -> Condition {
        self.request_context.condition
    }

    /// How many records were discarded.
    pub fn batch_size(&self) -> usize {
        self.batch.batch_size
    }

    /// The shard of the records.
    #[cfg(feature = "program")]
    pub(crate) fn shard_id(&self) -> &str {
        &self.batch.shard_id
    }

    /// When they were discarded, as RFC 3339 in UTC.
    #[cfg(feature = "program")]
    pub(crate) fn timestamp(&self) -> &str {
        &self.timestamp
    }

    /// The event with the discarded records, `{"Records": […]}`; `None` unless the configured destination is a bucket.
    pub fn payload(&self) -> Option<&str> {
        self.payload.as_deref()
    }

    /// The document's JSON, as it is sent.
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).expect("strings and numbers always serialize")
    }
}

fn payload(records: &[SourceRecord]) -> String {
    let records: Vec<&str> = records.iter().map(SourceRecord::json).collect();
    format!(r#"{{"Records":[{}]}}"#, records.join(","))
}

/// Shows the metadata, and only the size of the records.
impl fmt::Debug for OnFailureDocument {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OnFailureDocument")
            .field("request", &self.request_context)
            .field("response", &self.response_context)
            .field("timestamp", &self.timestamp)
            .field("batch", &self.batch)
            .field("payload_bytes", &self.payload.as_ref().map(String::len))
            .finish_non_exhaustive()
    }
}

/// To the second, which is what DynamoDB notes; with milliseconds where a record has them.
fn arrival(time: SystemTime) -> String {
    // `humantime` formats no time before the epoch and none after the year 9999, and a record may say any.
    let time = time.clamp(UNIX_EPOCH, UNIX_EPOCH + Duration::from_secs(253_402_300_799));
    let whole = time
        .duration_since(UNIX_EPOCH)
        .is_ok_and(|since| since.subsec_nanos() < Duration::from_millis(1).subsec_nanos());
    let formatted =
        if whole { humantime::format_rfc3339_seconds(time) } else { humantime::format_rfc3339_millis(time) };
    formatted.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_that_cannot_be_written_becomes_the_nearest_that_can() {
        let at = |micros| arrival(UNIX_EPOCH + Duration::from_micros(micros));
        assert_eq!(at(1_767_225_600_500_000), "2026-01-01T00:00:00.500Z");
        assert_eq!(at(900_000_000_000_000_000), "9999-12-31T23:59:59Z");
        assert_eq!(arrival(UNIX_EPOCH - Duration::from_secs(1)), "1970-01-01T00:00:00Z");
    }
}
