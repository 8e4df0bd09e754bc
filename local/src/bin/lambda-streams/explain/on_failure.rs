//! An on-failure document, in words.

use lambda_streams_local::event_in;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::{Kept, Source, kept, row};

/// What an event source mapping says of records that it gave up on.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Document {
    request_context: RequestContext,
    response_context: Option<ResponseContext>,
    timestamp: Option<String>,
    #[serde(rename = "DDBStreamBatchInfo")]
    batch: BatchInfo,
    payload: Option<Box<RawValue>>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct RequestContext {
    request_id: Option<String>,
    function_arn: Option<String>,
    condition: String,
    approximate_invoke_count: Option<u64>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct ResponseContext {
    function_error: Option<String>,
}

#[derive(Debug, Deserialize)]
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

pub(super) fn print(document: &Document, with_record: bool, file: &Source) {
    let Document { request_context: request, response_context: response, batch, .. } = document;
    let records = crate::ui::count(usize::try_from(batch.batch_size).unwrap_or(usize::MAX), "record");
    let others = if batch.batch_size > 1 { ": good ones may be among them" } else { "" };
    row("on failure", format!("the event source mapping gave {records} up{others}"));
    row("stream", &batch.stream_arn);
    row("shard", &batch.shard_id);
    let unknown = "unknown".to_owned();
    let range = |from: &Option<String>, to: &Option<String>| match (from, to) {
        (Some(from), Some(to)) if from == to => from.clone(),
        (from, to) => format!("{} to {}", from.as_ref().unwrap_or(&unknown), to.as_ref().unwrap_or(&unknown)),
    };
    row("sequence", range(&batch.start_sequence_number, &batch.end_sequence_number));
    row("created", range(&batch.approximate_arrival_of_first_record, &batch.approximate_arrival_of_last_record));
    row("why", why(&request.condition, response.as_ref(), request.approximate_invoke_count.unwrap_or(1)));
    row("given up", document.timestamp.as_deref().unwrap_or("unknown"));
    let id = request.request_id.as_deref().unwrap_or("unknown");
    row("invocation", format!("{id} of {}", request.function_arn.as_deref().unwrap_or("an unknown function")));
    let function = request.function_arn.as_deref().unwrap_or("…");
    match &document.payload {
        Some(payload) => print_way_back(payload, file, function),
        None => print_place(batch, function),
    }
    if with_record {
        // A JSON string, as AWS writes it, or an object: shown is the event in it.
        let event = document.payload.as_deref().map(|payload| event_in(payload.get()));
        let event = event.transpose().ok().flatten();
        row("records", event.as_deref().unwrap_or("not in the document"));
    }
}

/// The document has the records.
fn print_way_back(payload: &RawValue, file: &Source, function: &str) {
    let form = if payload.get().starts_with('"') { "a JSON string that holds the event" } else { "the event" };
    row("where now", format!("in this document, whole: its `payload` is {form}"));
    row("what to do", "fix the cause, then deliver them again until all are done:");
    let path = &file.shown;
    println!("  lambda-streams run --events {path} --function {function}");
    if file.has_several {
        row("", "of all documents of this file; `lambda-streams invoke` takes a file of one");
    } else {
        print_one_delivery(path, function);
    }
    row("", "the items may have changed since: the handler meets these changes after newer ones");
}

fn print_one_delivery(path: &str, function: &str) {
    row("", "or once, which says what is not done:");
    println!("  lambda-streams invoke {path} --function {function}");
    row("", "or once with the AWS CLI:");
    println!(
        "  jq -r .payload {path} > event.json\n  aws lambda invoke --function-name {function} \\\n    --cli-binary-format \
         raw-in-base64-out --payload file://event.json response.json && cat response.json"
    );
    row("", "the call succeeds (200) also if records failed: the one that `batchItemFailures` in the response names,");
    row("", "and all after it, are not done");
}

fn why(condition: &str, response: Option<&ResponseContext>, invocations: u64) -> String {
    let last = match response {
        Some(ResponseContext { function_error: Some(error) }) => {
            format!("the last one ended in a function error ({error})")
        }
        Some(ResponseContext { function_error: None }) => "the last one reported the first of these records".to_owned(),
        None => "it is not told how the last one ended".to_owned(),
    };
    let times = usize::try_from(invocations).unwrap_or(usize::MAX);
    match condition {
        "RetryAttemptsExhausted" => {
            format!("MaximumRetryAttempts: {} without progress, {last}", crate::ui::count(times, "invocation"))
        }
        "RecordAgeExceeded" => {
            "MaximumRecordAgeInSeconds: the records grew too old before they were processed".to_owned()
        }
        other => format!("{other}, after {}", crate::ui::count(times, "invocation")),
    }
}

fn print_place(batch: &BatchInfo, function: &str) {
    let created = batch.approximate_arrival_of_first_record.as_deref();
    let created = created.and_then(|time| humantime::parse_rfc3339_weak(time).ok());
    match created.and_then(kept) {
        Some(Kept { until, is_over: true }) => {
            row(
                "where now",
                format!("gone: the stream kept them until {until}, and this document has their metadata alone"),
            );
            row(
                "what to do",
                "read the items from the table as they are now; an S3 bucket as destination would keep the records",
            );
        }
        kept => {
            let until = kept.map_or_else(|| "24 hours after their creation".to_owned(), |kept| kept.until);
            row("where now", format!("in the stream alone, until {until}"));
            row("what to do", "read them back before then, and process them:");
            let start = batch.start_sequence_number.as_deref().unwrap_or("…");
            println!(
                "  aws dynamodbstreams get-shard-iterator --stream-arn {} --shard-id {} \\\n    \
                 --shard-iterator-type AT_SEQUENCE_NUMBER --sequence-number {start}\n  \
                 aws dynamodbstreams get-records --limit {} --shard-iterator … > records.json\n  \
                 lambda-streams run --events records.json --function {function}",
                batch.stream_arn,
                batch.shard_id,
                batch.batch_size.clamp(1, 1_000)
            );
        }
    }
}
