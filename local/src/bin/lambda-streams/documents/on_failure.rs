//! An on-failure document: what an event source mapping, a pipe or an asynchronous invocation says about records that it gave up.

use std::time::SystemTime;

use lambda_streams_local::event_in;
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

/// Records that were given up, and by whom.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Document {
    /// The function that failed; a pipe does not tell it.
    pub(crate) function_arn: Option<String>,
    /// The pipe, where EventBridge Pipes read the stream.
    pub(crate) pipe_arn: Option<String>,
    pub(crate) request_id: Option<String>,
    /// Why, such as `RetryAttemptsExhausted`.
    pub(crate) condition: String,
    pub(crate) invocations: Option<u64>,
    pub(crate) last_response: LastResponse,
    /// When they were given up, RFC 3339.
    pub(crate) timestamp: Option<String>,
    /// None in the document of an asynchronous invocation, which has the records.
    pub(crate) shard_id: Option<String>,
    pub(crate) start_sequence_number: Option<String>,
    pub(crate) end_sequence_number: Option<String>,
    pub(crate) first_arrival: Option<SystemTime>,
    pub(crate) last_arrival: Option<SystemTime>,
    pub(crate) batch_size: u64,
    pub(crate) stream_arn: String,
    /// The records, each as its JSON, where the destination is a bucket; others get the metadata alone.
    pub(crate) records: Option<Vec<String>>,
}

/// How the last invocation ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum LastResponse {
    Unknown,
    FunctionError(String),
    /// It reported records that had failed.
    Reported,
}

/// The document as it is written.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Wire<'a> {
    #[serde(alias = "context")]
    request_context: Context,
    response_context: Option<ResponseContext>,
    timestamp: Option<String>,
    #[serde(rename = "DDBStreamBatchInfo")]
    batch: Option<BatchInfo>,
    #[serde(borrow)]
    payload: Option<&'a RawValue>,
    #[serde(borrow)]
    request_payload: Option<&'a RawValue>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Context {
    request_id: Option<String>,
    function_arn: Option<String>,
    /// Of a pipe.
    partner_resource_arn: Option<String>,
    condition: String,
    approximate_invoke_count: Option<u64>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ResponseContext {
    function_error: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct BatchInfo {
    shard_id: String,
    start_sequence_number: Option<String>,
    end_sequence_number: Option<String>,
    approximate_arrival_of_first_record: Option<String>,
    approximate_arrival_of_last_record: Option<String>,
    batch_size: u64,
    stream_arn: String,
}

impl Document {
    /// Reads a document, with its records wherever they are.
    pub(super) fn read(json: &str) -> Result<Self, String> {
        let wire: Wire<'_> =
            serde_json::from_str(json).map_err(|error| format!("the on-failure document cannot be read: {error}"))?;
        let payload = wire.payload.or(wire.request_payload).map(RawValue::get);
        let records = payload.filter(|payload| *payload != "null").map(records).transpose()?;
        let Context { request_id, function_arn, partner_resource_arn, condition, approximate_invoke_count } =
            wire.request_context;
        let last_response = match wire.response_context {
            None => LastResponse::Unknown,
            Some(ResponseContext { function_error: Some(error) }) => LastResponse::FunctionError(error),
            Some(ResponseContext { function_error: None }) => LastResponse::Reported,
        };
        let batch = wire.batch;
        let size = batch.as_ref().map(|batch| batch.batch_size);
        let size = size.or_else(|| records.as_ref().map(|records| records.len() as u64));
        let stream_arn = batch.as_ref().map(|batch| batch.stream_arn.clone());
        let text = |member: fn(&BatchInfo) -> &Option<String>| batch.as_ref().and_then(|batch| member(batch).clone());
        let time = |text: Option<String>| text.and_then(|text| humantime::parse_rfc3339_weak(&text).ok());
        Ok(Self {
            function_arn,
            pipe_arn: partner_resource_arn,
            request_id,
            condition,
            invocations: approximate_invoke_count,
            last_response,
            timestamp: wire.timestamp,
            start_sequence_number: text(|batch| &batch.start_sequence_number),
            end_sequence_number: text(|batch| &batch.end_sequence_number),
            first_arrival: time(text(|batch| &batch.approximate_arrival_of_first_record)),
            last_arrival: time(text(|batch| &batch.approximate_arrival_of_last_record)),
            batch_size: size.unwrap_or_default(),
            stream_arn: stream_arn
                .or_else(|| records.iter().flatten().find_map(|record| stream_of(record)))
                .unwrap_or_default(),
            shard_id: batch.map(|batch| batch.shard_id),
            records,
        })
    }
}

/// The records of a payload, which is a text that holds an event, or the event.
fn records(payload: &str) -> Result<Vec<String>, String> {
    #[derive(Deserialize)]
    struct Event {
        #[serde(rename = "Records")]
        records: Vec<Box<RawValue>>,
    }
    let event = event_in(payload).map_err(|error| error.to_string())?;
    let event: Event = serde_json::from_str(&event)
        .map_err(|_| "the `payload` of the on-failure document is not a stream event".to_owned())?;
    Ok(event.records.iter().map(|record| record.get().to_owned()).collect())
}

fn stream_of(record: &str) -> Option<String> {
    let record: Value = serde_json::from_str(record).ok()?;
    record["eventSourceARN"].as_str().map(str::to_owned)
}
