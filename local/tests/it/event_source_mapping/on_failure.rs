//! On-failure documents, exactly as AWS words them.

use std::path::PathBuf;
use std::time::{Duration, UNIX_EPOCH};

use lambda_streams_local::{MemorySource, Settings};
use serde_json::{Value, json};

use super::support::{STREAM, Scripted, failures, function_error, run};

const SHARD: &str = "shardId-00000001573689847184-864758bb";
const NUMBER: u64 = 800_000_000_003_126_276;

/// The scenario of the documented examples: one record, made at 2019-11-14T00:13:19Z.
fn stream() -> MemorySource {
    let made = UNIX_EPOCH + Duration::from_secs(1_573_690_399);
    let record = super::support::record_of(NUMBER, "a", made).replace(&NUMBER.to_string(), "800000000003126276362");
    MemorySource::new(STREAM).shard(SHARD, None, [record]).expect("the record is JSON")
}

fn settings(destination: &str) -> Settings {
    Settings {
        maximum_retry_attempts: 0,
        report_batch_item_failures: true,
        on_failure: Some(destination.to_owned()),
        ..Settings::default()
    }
}

const QUEUE: &str = "arn:aws:sqs:us-east-2:123456789012:failed";

async fn document(settings: Settings, function: Scripted) -> Value {
    let mut documents = run(settings, stream(), &function).await.documents;
    assert_eq!(documents.len(), 1);
    documents.remove(0)
}

/// What AWS's example says, of the corpus where it is there, and of this file elsewhere.
fn expected(file: &str, own: Value) -> Value {
    let folder = std::env::var_os("TEST_CORPUS")
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../shared/corpus"), PathBuf::from);
    match std::fs::read_to_string(folder.join("expected").join(file)) {
        Ok(json) => serde_json::from_str(&json).expect("the corpus is JSON"),
        Err(_) => own,
    }
}

/// Equal except for the request id and the time of sending, which must have the form of the example's.
fn assert_same(mut found: Value, mut expected: Value) {
    let id = found["requestContext"]["requestId"].take();
    let id = id.as_str().expect("a text").to_owned();
    let example = expected["requestContext"]["requestId"].take();
    let dashes = |id: &str| id.match_indices('-').map(|(at, _)| at).collect::<Vec<_>>();
    assert_eq!((id.len(), dashes(&id)), (36, dashes(example.as_str().expect("a text"))), "{id}");
    let (time, example) = (found["timestamp"].take(), expected["timestamp"].take());
    let time = time.as_str().expect("a text").to_owned();
    assert_eq!(time.len(), example.as_str().expect("a text").len());
    humantime::parse_rfc3339(&time).expect("a point in time");
    let names = |value: &Value| value.as_object().expect("an object").keys().cloned().collect::<Vec<_>>();
    assert_eq!(names(&found), names(&expected));
    assert_eq!(found, expected);
}

fn metadata(condition: &str, invocations: u32, response: Option<Value>) -> Value {
    let mut document = json!({
        "requestContext": {
            "requestId": "316aa6d0-8154-xmpl-9af7-85d5f4a6bc81",
            "functionArn": "arn:aws:lambda:us-east-2:123456789012:function:myfunction",
            "condition": condition,
            "approximateInvokeCount": invocations
        },
        "version": "1.0",
        "timestamp": "2019-11-14T00:13:49.717Z",
        "DDBStreamBatchInfo": {
            "shardId": SHARD,
            "startSequenceNumber": "800000000003126276362",
            "endSequenceNumber": "800000000003126276362",
            "approximateArrivalOfFirstRecord": "2019-11-14T00:13:19Z",
            "approximateArrivalOfLastRecord": "2019-11-14T00:13:19Z",
            "batchSize": 1,
            "streamArn": STREAM
        }
    });
    if let Some(function_error) = response {
        document["responseContext"] =
            json!({"statusCode": 200, "executedVersion": "$LATEST", "functionError": function_error});
    }
    document
}

#[tokio::test(start_paused = true)]
async fn of_a_function_error() {
    let found = document(settings(QUEUE), Scripted::by_rule(|_| function_error())).await;
    let own = metadata("RetryAttemptsExhausted", 1, Some(json!("Unhandled")));
    assert_same(found, expected("on-failure-sqs-function-error.json", own));
}

#[tokio::test(start_paused = true)]
async fn a_partial_response_has_no_function_error() {
    let settings = Settings { maximum_retry_attempts: 3, ..settings(QUEUE) };
    let named = r#"{"batchItemFailures":[{"itemIdentifier":"800000000003126276362"}]}"#;
    let function = Scripted::by_rule(move |_| lambda_streams_local::Response::Returned(named.to_owned()));
    let own = metadata("RetryAttemptsExhausted", 4, Some(Value::Null));
    assert_same(document(settings, function).await, expected("on-failure-sqs-partial-response.json", own));
}

#[tokio::test(start_paused = true)]
async fn an_expired_record_has_no_response_context() {
    let settings = Settings { maximum_record_age_in_seconds: 60, ..settings(QUEUE) };
    let function = Scripted::by_rule(|_| failures(&[]));
    let own = metadata("RecordAgeExceeded", 1, None);
    assert_same(document(settings, function).await, expected("on-failure-sqs-record-age.json", own));
}

#[tokio::test(start_paused = true)]
async fn a_bucket_gets_the_records_as_well() {
    let function = Scripted::by_rule(|_| function_error());
    let mut found = document(settings("arn:aws:s3:::failed"), function.clone()).await;
    let payload = found["payload"].take();
    let event: Value = serde_json::from_str(payload.as_str().expect("a JSON string")).expect("it holds JSON");
    assert_eq!(event, function.calls()[0].event, "the event as the function saw it");
    let mut own = metadata("RetryAttemptsExhausted", 1, Some(json!("Unhandled")));
    own["payload"] = json!(r#"{"Records":[]}"#);
    let mut expected = expected("on-failure-s3-text.json", own);
    let payload = expected["payload"].take();
    let event: Value = serde_json::from_str(payload.as_str().expect("a JSON string")).expect("it holds JSON");
    assert!(event["Records"].is_array());
    assert_same(found, expected);
}

#[tokio::test(start_paused = true)]
async fn no_debug_output_has_the_records() {
    let function = Scripted::by_rule(|_| function_error());
    let ran = run(settings("arn:aws:s3:::failed"), stream(), &function).await;
    assert!(ran.documents[0]["payload"].as_str().is_some_and(|payload| payload.contains("NewImage")));
    let debug = format!("{:?}", ran.progress);
    assert!(debug.contains("OnFailureDocument") && debug.contains("800000000003126276362"), "{debug}");
    assert!(!debug.contains("NewImage") && !debug.contains("Keys"), "{debug}");
}
