//! Errors of the AWS SDK: what is the record's own fault becomes a dead letter, and everything else waits.

use std::fmt;
use std::time::Duration;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::config::http::{HttpRequest, HttpResponse};
use aws_sdk_dynamodb::config::retry::RetryConfig;
use aws_sdk_dynamodb::config::timeout::TimeoutConfig;
use aws_sdk_dynamodb::config::{BehaviorVersion, Credentials, HttpClient, Region, RuntimeComponents};
use aws_sdk_dynamodb::error::SdkError;
use aws_sdk_dynamodb::operation::put_item::PutItemError;
use aws_sdk_dynamodb::types::{AttributeValue, DeleteRequest, TransactWriteItem};
use aws_smithy_runtime_api::client::http::{
    HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::result::ConnectorError;
use lambda_streams::{AwsResultExt, HandlerError, Outcome, Record, RetryPolicy, StreamProcessor, with};
use serde_json::{Value, json};

use crate::support::{TestQueue, inserts, outcomes, process};

/// A service that answers every request in the same way.
#[derive(Debug, Clone)]
enum Service {
    Answers { status: u16, headers: Vec<(&'static str, &'static str)>, body: String },
    IsSilent,
    IsDown,
}

impl Service {
    fn answers(status: u16, body: impl fmt::Display) -> Self {
        Self::Answers { status, headers: Vec::new(), body: body.to_string() }
    }

    fn with_header(mut self, name: &'static str, value: &'static str) -> Self {
        if let Self::Answers { headers, .. } = &mut self {
            headers.push((name, value));
        }
        self
    }

    fn client(self) -> Client {
        let config = aws_sdk_dynamodb::Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new("us-east-1"))
            .credentials_provider(Credentials::new("test", "test", None, None, "tests"))
            .retry_config(RetryConfig::disabled())
            .timeout_config(TimeoutConfig::builder().operation_timeout(Duration::from_secs(5)).build())
            .http_client(self);
        Client::from_conf(config.build())
    }

    /// What a handler returns after a `PutItem`.
    async fn put(self) -> Result<(), HandlerError> {
        put(self.client()).await
    }

    /// What a handler returns after a transaction.
    async fn transact(self) -> Result<(), HandlerError> {
        let items = TransactWriteItem::builder().build();
        self.client().transact_write_items().transact_items(items).send().await.classify()?;
        Ok(())
    }
}

async fn put(client: Client) -> Result<(), HandlerError> {
    client.put_item().table_name("orders").item("id", AttributeValue::S("a".into())).send().await.classify()?;
    Ok(())
}

impl HttpClient for Service {
    fn http_connector(&self, _: &HttpConnectorSettings, _: &RuntimeComponents) -> SharedHttpConnector {
        SharedHttpConnector::new(self.clone())
    }
}

impl HttpConnector for Service {
    fn call(&self, _: HttpRequest) -> HttpConnectorFuture {
        match self {
            Self::Answers { status, headers, body } => {
                let status = (*status).try_into().expect("tests give statuses that exist");
                let mut response = HttpResponse::new(status, body.clone().into());
                for (name, value) in headers {
                    response.headers_mut().insert(*name, *value);
                }
                HttpConnectorFuture::ready(Ok(response))
            }
            Self::IsSilent => HttpConnectorFuture::new(std::future::pending()),
            Self::IsDown => HttpConnectorFuture::ready(Err(ConnectorError::io("connection refused".into()))),
        }
    }
}

fn code(code: &str) -> Value {
    json!({"__type": format!("com.amazonaws.dynamodb.v20120810#{code}"), "message": "no"})
}

async fn is_permanent(service: Service) -> bool {
    !service.put().await.unwrap_err().is_retryable()
}

#[tokio::test]
async fn what_is_the_records_own_fault_is_permanent() {
    for (status, name) in [
        (400, "ValidationException"),
        (400, "SerializationException"),
        (400, "ConditionalCheckFailedException"),
        (400, "ItemCollectionSizeLimitExceededException"),
        (400, "DuplicateItemException"),
        (400, "IdempotentParameterMismatchException"),
        (400, "InvalidParameterValueException"),
        (400, "AWS.SimpleQueueService.BatchRequestTooLong"),
        (400, "InvalidMessageContents"),
        (400, "ExecutionAlreadyExists"),
        (413, "RequestTooLargeException"),
        (412, "PreconditionFailed"),
    ] {
        assert!(is_permanent(Service::answers(status, code(name))).await, "{status} {name}");
    }
    for status in [412, 413] {
        assert!(is_permanent(Service::answers(status, "")).await, "a status says it without a code: {status}");
        assert!(is_permanent(Service::answers(status, code("NewException"))).await, "or with an unknown one: {status}");
    }
}

#[tokio::test]
async fn what_would_meet_every_record_is_retryable() {
    for (status, name) in [
        (400, "AccessDeniedException"),
        (403, "AccessDenied"),
        (400, "UnrecognizedClientException"),
        (403, "ExpiredTokenException"),
        (400, "ResourceNotFoundException"),
        (400, "AWS.SimpleQueueService.NonExistentQueue"),
        (400, "KMSDisabledException"),
        (400, "KMSAccessDeniedException"),
        (400, "LimitExceededException"),
        (402, "ServiceQuotaExceededException"),
        (400, "ProvisionedThroughputExceededException"),
        (400, "ThrottlingException"),
        (400, "RequestLimitExceeded"),
        (429, "TooManyRequestsException"),
        (400, "TransactionConflictException"),
        (400, "TransactionInProgressException"),
        (500, "InternalServerError"),
        (503, "ServiceUnavailable"),
        (400, "NewException"),
        (409, "ConflictException"),
    ] {
        assert!(!is_permanent(Service::answers(status, code(name))).await, "{status} {name}");
    }
    for status in [400, 403, 404, 500, 503] {
        assert!(!is_permanent(Service::answers(status, "")).await, "no code: {status}");
    }
}

/// A transaction that was cancelled for these reasons, one for each of its items.
fn cancelled(reasons: &[&str]) -> Value {
    let reasons: Vec<_> = reasons.iter().map(|code| json!({"Code": code})).collect();
    json!({"__type": "com.amazonaws.dynamodb.v20120810#TransactionCanceledException", "Message": "cancelled",
        "CancellationReasons": reasons})
}

#[tokio::test]
async fn a_cancelled_transaction_has_the_class_of_its_reasons() {
    for (reasons, permanent) in [
        (&["ConditionalCheckFailed", "None"][..], true),
        (&["None", "ValidationError"], true),
        (&["ItemCollectionSizeLimitExceeded", "ConditionalCheckFailed"], true),
        (&["TransactionConflict", "None"], false),
        (&["ConditionalCheckFailed", "TransactionConflict"], false),
        (&["ValidationError", "ThrottlingError"], false),
        (&["ProvisionedThroughputExceeded"], false),
        (&["ConditionalCheckFailed", "NewReason"], false),
        (&["None", "None"], false),
        (&[], false),
    ] {
        let error = Service::answers(400, cancelled(reasons)).transact().await.unwrap_err();
        assert_eq!(!error.is_retryable(), permanent, "{reasons:?}");
    }
}

#[tokio::test]
async fn the_reasons_of_a_transaction_are_also_read_from_its_message() {
    for (list, permanent) in [
        ("[ConditionalCheckFailed, None]", true),
        ("[None, ValidationError]", true),
        ("[ConditionalCheckFailed, TransactionConflict]", false),
        ("[]", false),
        ("[", false),
        ("", false),
    ] {
        let message = format!("Transaction cancelled, please refer cancellation reasons for specific reasons {list}");
        let answer = json!({"__type": "TransactionCanceledException", "Message": message});
        let error = Service::answers(400, answer).transact().await.unwrap_err();
        assert_eq!(!error.is_retryable(), permanent, "{message}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_did_not_get_an_answer_is_retryable() {
    for (service, text) in [
        (Service::IsSilent, "request has timed out"),
        (Service::IsDown, "dispatch failure"),
        (Service::answers(200, "not JSON"), "service error"),
    ] {
        let error = service.put().await.unwrap_err();
        assert!(error.is_retryable(), "{text}");
        assert_eq!(error.to_string(), text);
        let source = error.source().downcast_ref::<SdkError<PutItemError, HttpResponse>>();
        assert!(source.is_some(), "the SDK's error is kept");
    }
}

#[tokio::test]
async fn a_request_with_invalid_parameters_is_permanent() {
    let built = DeleteRequest::builder().build().map_err(SdkError::<PutItemError>::from);
    let error = built.classify().unwrap_err();
    assert!(!error.is_retryable(), "{error}");
    let unsigned = SdkError::<PutItemError>::construction_failure("no credentials");
    assert!(Err::<(), _>(unsigned).classify().unwrap_err().is_retryable(), "which meets every record");
}

#[tokio::test]
async fn the_services_message_appears_once() {
    let service = Service::answers(400, code("ConditionalCheckFailedException"))
        .with_header("x-amzn-requestid", "5THNB48M5EN0CJXY");
    let text = "ConditionalCheckFailedException: no (request id 5THNB48M5EN0CJXY)";
    let retry = RetryPolicy::none();
    let queue = TestQueue::default();
    let processor = StreamProcessor::builder()
        .on_record(with(service.client(), |client, _: Record| put(client)))
        .retry(retry)
        .dead_letter_queue(queue.clone())
        .build()
        .unwrap();
    let report = process(&processor, &inserts(1)).await;
    assert_eq!(outcomes(&report), [Outcome::DeadLettered]);
    assert_eq!((queue.letters()[0].error_message(), queue.letters()[0].error_sources()), (text, &[][..]));
}

#[tokio::test]
async fn the_message_of_an_error_by_the_question_mark_appears_once_too() {
    async fn put(client: Client, _: Record) -> Result<(), HandlerError> {
        client.put_item().table_name("orders").send().await?;
        Ok(())
    }
    let client = Service::answers(400, code("ResourceNotFoundException")).client();
    let processor = StreamProcessor::builder().on_record(with(client, put)).retry(RetryPolicy::none()).build().unwrap();
    let report = process(&processor, &inserts(1)).await;
    let failure = report.records()[0].failure.as_ref().unwrap();
    assert_eq!(failure.to_string(), "service error: ResourceNotFoundException: no");
}

#[tokio::test]
async fn the_delay_that_a_response_asks_for_replaces_the_backoff() {
    let throttled = || Service::answers(429, code("TooManyRequestsException"));
    for (service, delay) in [
        (throttled().with_header("retry-after", "2"), Some(Duration::from_secs(2))),
        (throttled().with_header("x-amz-retry-after", "1500"), Some(Duration::from_millis(1_500))),
        (throttled().with_header("retry-after", "Wed, 21 Oct 2026 07:28:00 GMT"), None),
        (throttled().with_header("retry-after", "0"), None),
        (throttled(), None),
    ] {
        assert_eq!(service.clone().put().await.unwrap_err().delay(), delay, "{service:?}");
    }
    let permanent = Service::answers(400, code("ValidationException")).with_header("retry-after", "2");
    assert!(is_permanent(permanent).await);
}

#[cfg(feature = "sqs")]
#[tokio::test]
async fn the_codes_of_other_services_count_as_well() {
    use crate::support::sqs_server::{Answer, Script};
    use crate::support::sqs_transport::scripted_client;

    for (code, permanent) in [("InvalidMessageContents", true), ("QueueDoesNotExist", false)] {
        let body = json!({"__type": format!("com.amazonaws.sqs#{code}"), "message": "no"}).to_string();
        let client = scripted_client(Script::new(move |_, _| Answer::Http(400, body.clone())));
        let sent = client.send_message().queue_url("https://queue.test/1/orders").message_body("a").send().await;
        assert_eq!(!sent.classify().unwrap_err().is_retryable(), permanent, "{code}");
    }
}
