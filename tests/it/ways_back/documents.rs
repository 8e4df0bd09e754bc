//! Discarded records: an on-failure document that has them is processed, and a payload that only describes them fails with the command
//! that brings them back.

use lambda_streams::{InvocationReport, Origin, Outcome, PayloadKind, StreamProcessor};
use serde_json::{Value, json};

use super::{process, records, refused};
use crate::support::letters::letter;
use crate::support::{Act, Change, Script, change, inserts, outcomes};

fn processor(script: &Script) -> StreamProcessor {
    StreamProcessor::builder().on_record(script.clone()).build().unwrap()
}

/// The document of a bucket, as AWS writes it, except for `payload`.
fn metadata() -> Value {
    json!({
        "requestContext": {
            "requestId": "316aa6d0-8154-4bb6-9eb4-3e0f9d1f5f1b",
            "functionArn": "arn:aws:lambda:eu-central-1:123456789012:function:orders",
            "condition": "RetryAttemptsExhausted",
            "approximateInvokeCount": 1,
        },
        "responseContext": {"statusCode": 200, "executedVersion": "$LATEST", "functionError": "Unhandled"},
        "version": "1.0",
        "timestamp": "2026-01-01T00:00:00.000Z",
        "DDBStreamBatchInfo": {
            "shardId": "shardId-00000001573689847184-864758bb",
            "startSequenceNumber": "800000000003126276362",
            "endSequenceNumber": "800000000003126276362",
            "approximateArrivalOfFirstRecord": "2026-01-01T00:00:00Z",
            "approximateArrivalOfLastRecord": "2026-01-01T00:00:00Z",
            "batchSize": 1,
            "streamArn": "arn:aws:dynamodb:eu-central-1:123456789012:table/orders/stream/2026-01-01T00:00:00.000",
        },
    })
}

fn document(payload: Value) -> String {
    let mut document = metadata();
    document["payload"] = payload;
    document.to_string()
}

fn event(changes: &[Change]) -> String {
    format!("{{\"Records\":[{}]}}", records(changes))
}

#[tokio::test(start_paused = true)]
async fn a_document_with_its_records_is_replayed() {
    let event = event(&[change(0, "a", 0), change(1, "b", 0), change(2, "a", 1)]);
    let object: Value = serde_json::from_str(&event).unwrap();
    for payload in [Value::String(event), object] {
        let script = Script::default();
        let report = process(&processor(&script), document(payload)).await.unwrap();
        let InvocationReport::Replay(report) = report else { panic!("{report:?}") };
        assert_eq!((report.origin(), outcomes(report.batch())), (Origin::Replay, vec![Outcome::Succeeded; 3]));
        assert_eq!(script.succeeded(), [("a".to_owned(), 0), ("b".to_owned(), 0), ("a".to_owned(), 1)]);
        assert_eq!(report.response().unwrap().unfinished().count(), 0);
    }
}

/// A document that is sent by hand, or by a bucket's function, fails as a whole: its sender reads no list.
#[tokio::test(start_paused = true)]
async fn a_document_whose_records_are_not_finished_fails_the_invocation() {
    let script = Script::new([("item-1", Act::FailPermanently)]);
    let error = refused(&processor(&script), document(event(&inserts(3)).into())).await;
    assert!(error.is_unfinished(), "{error}");
    assert!(
        error.to_string().starts_with("1 of 3 records are not finished, the first of them at position 1"),
        "{error}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_document_without_its_records_names_the_command() {
    for body in [metadata().to_string(), document(Value::Null)] {
        assert_eq!(PayloadKind::of(body.as_bytes()), PayloadKind::OnFailureDocument);
        let error = refused(&processor(&Script::default()), body).await;
        assert!(error.is_event() && error.payload_kind() == Some(PayloadKind::OnFailureDocument), "{error}");
        let expected = "the payload is an on-failure document without the records that it describes, as queues and topics get it: save it as a \
                        file, and `lambda-streams replay FILE --function orders` reads the records from the stream while it has them";
        assert_eq!(error.to_string(), expected);
    }
}

#[tokio::test(start_paused = true)]
async fn a_broken_document_fails_the_invocation() {
    let script = Script::default();
    let twice = format!("{},\"payload\":\"{{}}\"}}", document("{}".into()).strip_suffix('}').unwrap());
    for (body, words) in [
        (document(json!([])), "`payload` of the on-failure document is neither an event nor the text of one"),
        (document(json!(7)), "`payload` of the on-failure document is neither an event nor the text of one"),
        (twice, "the on-failure document has more than one `payload`"),
        (document("{".into()), "the payload is not valid JSON"),
        (document("".into()), "the payload is not valid JSON"),
        (document(json!({})), "it looks like an object without `Records`"),
        (document(r#"{"Records":[{"eventSource":"aws:kinesis"}]}"#.into()), "it looks like a Kinesis event"),
    ] {
        let error = refused(&processor(&script), body).await;
        assert!(error.is_event() && error.to_string().contains(words), "{error}");
    }
    assert_eq!(script.started(), []);
}

/// An SQS event with these bodies.
fn messages(bodies: &[String]) -> String {
    let message = |(number, body)| json!({"messageId": format!("m-{number}"), "eventSource": "aws:sqs", "body": body});
    json!({"Records": bodies.iter().enumerate().map(message).collect::<Vec<_>>()}).to_string()
}

/// A document as a queue gets it that subscribes to a topic.
fn from_topic() -> String {
    json!({"Type": "Notification", "MessageId": "1", "Message": metadata().to_string()}).to_string()
}

#[tokio::test(start_paused = true)]
async fn a_queue_of_documents_names_the_command() {
    let error = refused(
        &processor(&Script::default()),
        messages(&[metadata().to_string(), from_topic(), "something".to_owned()]),
    )
    .await;
    assert_eq!(error.payload_kind(), Some(PayloadKind::Sqs));
    let expected = "no message of the SQS event holds a dead letter, and 2 hold an on-failure document of discarded records: disable the \
                    queue's event source mapping, and `lambda-streams replay --queue URL --function NAME` brings the records back";
    assert_eq!(error.to_string(), expected);
}

#[tokio::test(start_paused = true)]
async fn a_document_among_dead_letters_is_kept() {
    let letter = letter(&change(0, "a", 0).json()).to_json();
    let report = process(&processor(&Script::default()), messages(&[metadata().to_string(), letter])).await.unwrap();
    let InvocationReport::Redrive(report) = report else { panic!("{report:?}") };
    assert_eq!(outcomes(report.batch()), [Outcome::Succeeded]);
    let (id, why) = report.unreadable().next().unwrap();
    assert_eq!(id, "m-0");
    assert!(why.to_string().contains("an on-failure document") && why.to_string().contains("`lambda-streams replay`"));
}

#[tokio::test(start_paused = true)]
async fn notifications_of_documents_name_the_command() {
    let key = "aws/lambda/0c2b6ed4/shardId-00000001-a/2026/01/01/2026-01-01T00.00.00-x.json";
    let s3 = json!({"Records": [{"eventSource": "aws:s3", "s3": {"bucket": {"name": "discarded"}, "object": {"key": key}}}]});
    let sns = |message: &str| json!({"Records": [{"EventSource": "aws:sns", "Sns": {"Message": message}}]}).to_string();
    let refused = async |body: String| refused(&processor(&Script::default()), body).await;
    let error = refused(s3.to_string()).await;
    assert_eq!(error.payload_kind(), Some(PayloadKind::S3));
    let expected = format!(
        "the payload is not the event of a DynamoDB stream, it looks like an S3 event; if it is about an on-failure document, \
         `lambda-streams replay s3://discarded/{key} --function orders` brings the discarded records back"
    );
    assert_eq!(error.to_string(), expected);
    let error = refused(sns(&metadata().to_string())).await;
    assert_eq!(error.payload_kind(), Some(PayloadKind::Sns));
    assert!(error.to_string().contains("`lambda-streams replay FILE --function orders`"), "{error}");
    let error = refused(sns("hello")).await.to_string();
    assert_eq!(error, "the payload is not the event of a DynamoDB stream, it looks like an SNS event");
}
