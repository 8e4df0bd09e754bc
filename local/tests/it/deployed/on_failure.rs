//! On-failure documents go where the deployed mapping sends them.

use std::sync::{Arc, Mutex};

use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_sdk_lambda::config::{Credentials, SharedCredentialsProvider};
use lambda_streams_local::{
    DeployedMapping, DeployedOnFailure, EventSourceMapping, Function, InvokeError, MemorySource, Response, Summary,
    WarningKind, from_deployed,
};
use serde_json::{Value, json};

use crate::fake_aws::{FakeAws, Reply};

const STREAM: &str = "arn:aws:dynamodb:eu-central-1:123456789012:table/orders/stream/2026-01-01T00:00:00.000";

type Calls = Arc<Mutex<Vec<(String, Value)>>>;

fn config(calls: &Calls, answer: impl Fn(&str) -> Reply + Send + Sync + 'static) -> SdkConfig {
    let calls = Arc::clone(calls);
    SdkConfig::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("eu-central-1"))
        .credentials_provider(SharedCredentialsProvider::new(Credentials::new("local", "local", None, None, "tests")))
        .http_client(FakeAws::new(move |(path, body)| {
            calls.lock().expect("no test panics with it").push((path.to_owned(), body));
            answer(path)
        }))
        .build()
}

/// What is deployed, with that destination.
async fn deployed(destination: Option<&str>) -> DeployedMapping {
    let mapping = json!({
        "UUID": "0c3a", "EventSourceArn": STREAM, "MaximumRetryAttempts": 0,
        "FunctionResponseTypes": ["ReportBatchItemFailures"],
        "DestinationConfig": {"OnFailure": {"Destination": destination}},
    });
    let lambda = config(&Calls::default(), move |_| Reply::Ok(mapping.clone()));
    from_deployed(&aws_sdk_lambda::Client::new(&lambda), "orders", Some("0c3a")).await.expect("it is there")
}

/// A function that fails.
struct Failing;

impl Function for Failing {
    async fn invoke(&self, _: String, _: std::time::Duration) -> Result<Response, InvokeError> {
        Ok(Response::FunctionError { error_type: "Oh".to_owned(), message: "no".to_owned() })
    }

    fn function_arn(&self) -> String {
        "arn:aws:lambda:eu-central-1:123456789012:function:orders".to_owned()
    }
}

/// One record fails until its retries are exhausted, and the destination gets its document.
async fn discard(
    destination: &str,
    endpoint: Option<&str>,
    answer: impl Fn(&str) -> Reply + Send + Sync + 'static,
) -> (Summary, Vec<(String, Value)>) {
    let calls = Calls::default();
    let deployed = deployed(Some(destination)).await;
    let mut on_failure = DeployedOnFailure::new(&deployed, &config(&calls, answer)).expect("it is a destination");
    if let Some(url) = endpoint {
        on_failure = on_failure.endpoint_url(url);
    }
    let record = json!({
        "eventID": "1", "eventName": "INSERT", "eventSource": "aws:dynamodb", "eventSourceARN": STREAM,
        "dynamodb": {"Keys": {"id": {"S": "a"}}, "SequenceNumber": "111"},
    });
    let source = MemorySource::new(STREAM).shard("shardId-1", None, [record.to_string()]).expect("the record is JSON");
    let mapping = EventSourceMapping::new(deployed.settings, source, Failing).expect("the settings are right");
    let summary = mapping.on_failure(on_failure).run(std::future::pending()).await.expect("the stream can be read");
    let calls = calls.lock().expect("no test panics with it").clone();
    (summary, calls)
}

fn ok(_: &str) -> Reply {
    Reply::Raw(200, Vec::new(), String::new())
}

#[tokio::test(start_paused = true)]
async fn a_bucket_gets_an_object_with_the_records() {
    let (summary, calls) = discard("arn:aws:s3:::discarded", Some("http://127.0.0.1:1/"), ok).await;
    assert_eq!((summary.discarded, summary.on_failure_documents, summary.warnings.len()), (1, 1, 0));
    let [(path, document)] = calls.as_slice() else { panic!("{calls:?}") };
    let key = path.strip_prefix("PUT /discarded/aws/lambda/0c3a/shardId-1/").expect("the mapping and the shard");
    let (day, name) = key.rsplit_once('/').expect("a day");
    let time = document["timestamp"].as_str().expect("a text");
    assert_eq!(day.replace('/', "-"), time[..10]);
    assert_eq!(name[..19].replace('.', ":"), time[..19]);
    assert_eq!(name[20..].split('-').map(str::len).collect::<Vec<_>>(), [8, 4, 4, 4, 12], "a UUID");
    assert_eq!(document["DDBStreamBatchInfo"]["startSequenceNumber"], "111");
    let event: Value = serde_json::from_str(document["payload"].as_str().expect("a JSON string")).expect("JSON");
    assert_eq!(event["Records"][0]["dynamodb"]["SequenceNumber"], "111");
    assert_eq!(document["responseContext"]["functionError"], "Unhandled");
}

#[tokio::test(start_paused = true)]
async fn on_aws_the_bucket_is_a_host_unless_it_has_a_dot() {
    let (_, calls) = discard("arn:aws:s3:::discarded", None, ok).await;
    assert!(calls[0].0.starts_with("PUT /aws/lambda/0c3a/"), "{calls:?}");
    let (_, calls) = discard("arn:aws:s3:::discarded.example", None, ok).await;
    assert!(calls[0].0.starts_with("PUT /discarded.example/aws/lambda/0c3a/"), "{calls:?}");
}

#[tokio::test(start_paused = true)]
async fn a_queue_gets_the_metadata_alone() {
    let queue = |operation: &str| match operation {
        "GetQueueUrl" => Reply::Ok(json!({"QueueUrl": "http://127.0.0.1:1/123456789012/failed"})),
        _ => Reply::Ok(json!({})),
    };
    let (summary, calls) = discard("arn:aws:sqs:eu-west-1:123456789012:failed", None, queue).await;
    assert_eq!(summary.on_failure_documents, 1);
    let [(lookup, name), (send, message)] = calls.as_slice() else { panic!("{calls:?}") };
    assert_eq!((lookup.as_str(), send.as_str()), ("GetQueueUrl", "SendMessage"));
    assert_eq!(*name, json!({"QueueName": "failed", "QueueOwnerAWSAccountId": "123456789012"}));
    assert_eq!(message["QueueUrl"], "http://127.0.0.1:1/123456789012/failed");
    let document: Value = serde_json::from_str(message["MessageBody"].as_str().expect("a text")).expect("JSON");
    assert_eq!(document["DDBStreamBatchInfo"]["batchSize"], 1);
    assert!(document.get("payload").is_none(), "{document}");
}

#[tokio::test(start_paused = true)]
async fn a_topic_is_published_to() {
    let (summary, calls) = discard("arn:aws:sns:eu-central-1:123456789012:failed", None, ok).await;
    assert_eq!((summary.on_failure_documents, calls[0].0.as_str()), (1, "POST /"));
}

#[tokio::test(start_paused = true)]
async fn a_refusal_is_a_loud_loss() {
    let denied = |_: &str| {
        let body = "<Error><Code>AccessDenied</Code><Message>Access Denied</Message></Error>".to_owned();
        Reply::Raw(403, Vec::new(), body)
    };
    let (summary, calls) = discard("arn:aws:s3:::discarded", None, denied).await;
    assert_eq!((summary.on_failure_documents, calls.len()), (0, 1), "no second try changes a denial");
    let [warning] = summary.warnings.as_slice() else { panic!("{summary:?}") };
    assert_eq!(warning.kind, WarningKind::OnFailureLost);
    let expected = "arn:aws:s3:::discarded: AccessDenied: Access Denied (403)";
    assert!(warning.message.ends_with(expected), "{}", warning.message);
}

#[tokio::test(start_paused = true)]
async fn a_transient_error_is_retried() {
    let tries = std::sync::atomic::AtomicUsize::new(0);
    let shaky = move |_: &str| match tries.fetch_add(1, std::sync::atomic::Ordering::Relaxed) {
        0 => Reply::Raw(503, Vec::new(), String::new()),
        1 => Reply::Refused,
        _ => ok(""),
    };
    let (summary, calls) = discard("arn:aws:s3:::discarded", None, shaky).await;
    assert_eq!((summary.on_failure_documents, calls.len()), (1, 3));
}

#[tokio::test]
async fn an_unusable_destination_is_refused() {
    let refuse = async |destination| {
        let config = config(&Calls::default(), ok);
        DeployedOnFailure::new(&deployed(destination).await, &config).expect_err("it is none").to_string()
    };
    assert_eq!(refuse(None).await, "event source mapping 0c3a has no on-failure destination");
    let kafka = "arn:aws:kafka:eu-central-1:123456789012:cluster/c/0";
    assert_eq!(refuse(Some(kafka)).await, format!("{kafka} is neither a bucket nor a queue nor a topic"));
    let refused = refuse(Some("kafka://failed")).await;
    assert!(refused.starts_with("kafka://failed is a Kafka topic, which is not supported here"), "{refused}");
}
