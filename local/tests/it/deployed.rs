//! What is deployed: invoking a function where it is, and reading its mapping's settings.

mod on_failure;
mod signed_call;

use std::time::Duration;

use aws_sdk_lambda::config::retry::RetryConfig;
use aws_sdk_lambda::config::{BehaviorVersion, Credentials, Region};
use aws_sdk_lambda::{Client, Config};
use lambda_streams_local::{DeployedFunction, Function, Response, StartingPosition, from_deployed};
use serde_json::{Value, json};

use crate::fake_aws::{FakeAws, Reply};

const ARN: &str = "arn:aws:lambda:eu-central-1:123456789012:function:orders";
const STREAM: &str = "arn:aws:dynamodb:eu-central-1:123456789012:table/orders/stream/2026-01-01T00:00:00.000";

fn client(answer: impl Fn(&str) -> Reply + Send + Sync + 'static) -> Client {
    let config = Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("eu-central-1"))
        .credentials_provider(Credentials::new("local", "local", None, None, "tests"))
        .retry_config(RetryConfig::disabled())
        .http_client(FakeAws::new(move |(path, _)| answer(path)));
    Client::from_conf(config.build())
}

fn configuration() -> Reply {
    Reply::Ok(json!({"FunctionName": "orders", "FunctionArn": ARN, "Timeout": 7}))
}

/// A function whose every invocation is answered so.
async fn function(invoked: impl Fn() -> Reply + Send + Sync + 'static) -> DeployedFunction {
    let client = client(move |path| if path.starts_with("GET") { configuration() } else { invoked() });
    DeployedFunction::connect(client, "orders").await.expect("it is there")
}

async fn invoke(function: &DeployedFunction) -> Result<Response, String> {
    function.invoke("{}".to_owned(), Duration::from_secs(3)).await.map_err(|error| error.to_string())
}

#[tokio::test]
async fn a_deployed_function_responds_with_its_payload() {
    let function = function(|| Reply::Raw(200, Vec::new(), r#"{"batchItemFailures":[]}"#.to_owned())).await;
    assert_eq!(invoke(&function).await, Ok(Response::Returned(r#"{"batchItemFailures":[]}"#.to_owned())));
    assert_eq!(function.function_arn(), ARN);
    assert_eq!(function.timeout(), Duration::from_secs(7));
    assert_eq!(function.log_group(), "/aws/lambda/orders");
}

#[tokio::test]
async fn a_log_group_that_is_configured_is_told() {
    let configured = json!({"FunctionName": "orders", "LoggingConfig": {"LogGroup": "/orders/processor"}});
    let client = client(move |_| Reply::Ok(configured.clone()));
    let function = DeployedFunction::connect(client, "orders").await.expect("it is there");
    assert_eq!(function.log_group(), "/orders/processor");
}

#[tokio::test]
async fn a_call_that_lambda_refuses_has_not_reached_the_function() {
    let denied = function(|| Reply::Error("AccessDeniedException")).await;
    let error = denied.invoke("{}".to_owned(), Duration::from_secs(3)).await.expect_err("it is denied");
    assert!(error.is_refused(), "{error}");
}

#[tokio::test]
async fn errors_are_function_errors_and_limits_are_throttling() {
    let failing = function(|| {
        let body = r#"{"errorType":"Sandbox.Timedout","errorMessage":"timed out"}"#.to_owned();
        Reply::Raw(200, vec![("x-amz-function-error", "Unhandled")], body)
    });
    let timed_out =
        Response::FunctionError { error_type: "Sandbox.Timedout".to_owned(), message: "timed out".to_owned() };
    assert_eq!(invoke(&failing.await).await, Ok(timed_out));
    let busy = function(|| Reply::Error("TooManyRequestsException"));
    assert_eq!(invoke(&busy.await).await, Ok(Response::Throttled));
    let denied = function(|| Reply::Error("AccessDeniedException"));
    let error = invoke(&denied.await).await.expect_err("it is denied");
    assert!(error.starts_with(&format!("invoking {ARN}: AccessDeniedException")), "{error}");
}

#[tokio::test]
async fn a_function_that_is_not_there_is_said_so() {
    let client = client(|_| Reply::Error("ResourceNotFoundException"));
    let error = DeployedFunction::connect(client, "nowhere").await.expect_err("nothing is there").to_string();
    assert!(error.starts_with("function `nowhere` does not exist here: check its name, the region"), "{error}");
}

fn mapping(uuid: &str, source: &str) -> Value {
    json!({
        "UUID": uuid, "EventSourceArn": source, "FunctionArn": ARN, "State": "Disabled", "BatchSize": 25,
        "MaximumBatchingWindowInSeconds": 5, "ParallelizationFactor": 10, "StartingPosition": "LATEST",
        "MaximumRetryAttempts": -1, "MaximumRecordAgeInSeconds": 43_200, "BisectBatchOnFunctionError": true,
        "FunctionResponseTypes": ["ReportBatchItemFailures"], "TumblingWindowInSeconds": 0,
        "FilterCriteria": {"Filters": [{"Pattern": r#"{"eventName":["INSERT"]}"#}]},
        "DestinationConfig": {"OnFailure": {"Destination": "arn:aws:s3:::failed"}},
    })
}

/// Lists one mapping a page.
fn lambda_with(mappings: Vec<Value>) -> Client {
    client(move |path| {
        if let Some(uuid) =
            path.strip_prefix("GET /2015-03-31/event-source-mappings/").filter(|rest| !rest.starts_with('?'))
        {
            let found = mappings.iter().find(|mapping| mapping["UUID"] == uuid);
            return found.cloned().map_or(Reply::Error("ResourceNotFoundException"), Reply::Ok);
        }
        let page: usize = path.split_once("Marker=").and_then(|(_, rest)| rest[..1].parse().ok()).unwrap_or(0);
        let next = (page + 1 < mappings.len()).then(|| (page + 1).to_string());
        Reply::Ok(
            json!({"EventSourceMappings": mappings.get(page).into_iter().collect::<Vec<_>>(), "NextMarker": next}),
        )
    })
}

#[tokio::test]
async fn settings_come_from_the_deployed_mapping() {
    let queue = "arn:aws:sqs:eu-central-1:123456789012:redrive";
    let client = lambda_with(vec![mapping("1", queue), mapping("2", STREAM)]);
    let deployed = from_deployed(&client, "orders", None).await.expect("there is one");
    assert_eq!((deployed.uuid.as_str(), deployed.stream_arn.as_str()), ("2", STREAM));
    assert_eq!(deployed.function_arn.as_deref(), Some(ARN));
    assert_eq!(deployed.state.as_deref(), Some("Disabled"));
    let settings = deployed.settings;
    assert_eq!((settings.batch_size, settings.parallelization_factor), (25, 10));
    assert_eq!(settings.maximum_batching_window_in_seconds, 5);
    assert_eq!(settings.starting_position, StartingPosition::Latest);
    assert_eq!((settings.maximum_retry_attempts, settings.maximum_record_age_in_seconds), (-1, 43_200));
    assert!(settings.bisect_batch_on_function_error && settings.report_batch_item_failures);
    assert_eq!(settings.filter_patterns, [r#"{"eventName":["INSERT"]}"#]);
    assert_eq!(settings.on_failure.as_deref(), Some("arn:aws:s3:::failed"));
}

#[tokio::test]
async fn none_or_several_mappings_are_errors() {
    let refuse = async |mappings, uuid| {
        from_deployed(&lambda_with(mappings), "orders", uuid).await.expect_err("not exactly one").to_string()
    };
    let none = refuse(Vec::new(), None).await;
    assert_eq!(none, "function `orders` has no event source mapping with a DynamoDB stream");
    let several = refuse(vec![mapping("1", STREAM), mapping("2", STREAM)], None).await;
    assert!(several.contains("has 2 event source mappings") && several.contains(&format!("1 ({STREAM})")), "{several}");
    let unknown = refuse(vec![mapping("1", STREAM)], Some("9")).await;
    assert!(unknown.starts_with("event source mapping 9 does not exist here"), "{unknown}");
    let chosen =
        from_deployed(&lambda_with(vec![mapping("1", STREAM), mapping("2", STREAM)]), "orders", Some("2")).await;
    assert_eq!(chosen.expect("it is named").uuid, "2");
}

#[tokio::test]
async fn encrypted_filters_are_refused_with_what_to_do() {
    let mut encrypted = mapping("1", STREAM);
    encrypted["FilterCriteria"] = Value::Null;
    encrypted["KMSKeyArn"] = json!("arn:aws:kms:eu-central-1:123456789012:key/1");
    encrypted["FilterCriteriaError"] = json!({"ErrorCode": "KMSAccessDeniedException", "Message": "not allowed"});
    let error =
        from_deployed(&lambda_with(vec![encrypted]), "orders", None).await.expect_err("they are hidden").to_string();
    let expected = "event source mapping 1: `FilterCriteria` cannot be read (KMSAccessDeniedException: not allowed): the \
                    filters are encrypted, so allow your credentials `kms:Decrypt` on \
                    arn:aws:kms:eu-central-1:123456789012:key/1";
    assert!(error.starts_with(expected), "{error}");
}

#[tokio::test]
async fn a_kafka_topic_is_a_destination() {
    let mut with_topic = mapping("1", STREAM);
    with_topic["DestinationConfig"]["OnFailure"]["Destination"] = json!("kafka://failed");
    let deployed = from_deployed(&lambda_with(vec![with_topic]), "orders", None).await.expect("AWS takes it");
    assert_eq!(deployed.settings.on_failure.as_deref(), Some("kafka://failed"));
}

#[tokio::test]
async fn a_list_of_mappings_that_never_ends_is_an_error() {
    let page = json!({"EventSourceMappings": [], "NextMarker": "again"});
    let error = from_deployed(&client(move |_| Reply::Ok(page.clone())), "orders", None).await;
    let error = error.expect_err("it has no end").to_string();
    assert_eq!(error, "function `orders`: the list of its mappings has no end: the endpoint repeats a page");
}
