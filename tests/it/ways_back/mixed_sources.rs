//! A payload is told by all of its records, never by the first: records of several sources fail the invocation, wherever they are.

use lambda_streams::{
    Idempotency, Marks, MemoryIdempotencyStore, Outcome, PayloadKind, ProcessorBuilder, Stale, StreamEvent,
    StreamProcessor,
};
use serde_json::json;

use super::{REPLAY, of_stream, process, refused};
use crate::support::letters::letter;
use crate::support::{Script, TestQueue, change, inserts};

/// Records of a stream, and one of another source at this position.
fn with_other(other: &str, at: usize, count: usize) -> String {
    let mut records: Vec<String> = inserts(count).iter().map(crate::support::Change::json).collect();
    records.insert(at, other.to_owned());
    of_stream(&records)
}

fn other(source: &str) -> String {
    json!({"messageId": "1", "eventSource": source, "body": "x"}).to_string()
}

fn builders() -> [ProcessorBuilder; 3] {
    let builder = || StreamProcessor::builder().on_record(Script::default());
    let store = || Idempotency::new("tests", MemoryIdempotencyStore::new());
    [builder(), builder().idempotency(store()), builder().idempotency(store()).marks(Marks::new(Stale::Skip))]
}

#[tokio::test(start_paused = true)]
async fn one_record_of_another_source_fails_the_invocation_wherever_it_is() {
    let queue = TestQueue::default();
    for count in [1, 2, 7, 150] {
        for at in [0, 1, count / 2, count] {
            let body = with_other(&other("aws:sqs"), at, count);
            let expected = match at {
                0 => format!("(SQS: 1, a DynamoDB stream: {count})"),
                _ => format!("(a DynamoDB stream: {count}, SQS: 1)"),
            };
            let event = StreamEvent::from_slice(body.as_bytes()).unwrap_err();
            assert!(event.to_string().contains(&expected), "{event}");
            for builder in builders() {
                let processor = builder.dead_letter_queue(queue.clone()).build().unwrap();
                let error = refused(&processor, body.clone()).await;
                assert_eq!(error.to_string(), event.to_string(), "{count} {at}");
                assert!(error.is_event() && error.payload_kind() == Some(PayloadKind::MixedSources));
                let by_command = body.replacen('{', &format!("{{\"lambdaStreams\":{REPLAY},"), 1);
                assert_eq!(refused(&processor, by_command).await.to_string(), event.to_string());
            }
            assert_eq!(PayloadKind::of(body.as_bytes()), PayloadKind::MixedSources);
        }
    }
    assert!(queue.letters().is_empty(), "a message of a queue is not a record that fails");
}

#[tokio::test(start_paused = true)]
async fn no_record_starts_once_the_other_source_is_known() {
    // Chunks are of 3 records in a test's build: those of the first run, and those with the other do not.
    for builder in [0, 1, 2] {
        let script = Script::default();
        let body = with_other(&other("aws:kinesis"), 5, 200);
        let store = || Idempotency::new("tests", MemoryIdempotencyStore::new());
        let processor = StreamProcessor::builder().on_record(script.clone());
        let processor = match builder {
            0 => processor,
            1 => processor.idempotency(store()),
            _ => processor.idempotency(store()).marks(Marks::new(Stale::Skip)),
        };
        let processor = processor.dead_letter_queue(TestQueue::default()).build().unwrap();
        let report = process(&processor, body).await.unwrap();
        assert!(report.response().is_err());
        assert!(script.started().len() <= 3, "{builder}: {:?}", script.started());
        assert!(!report.batch().outcomes().contains(&Outcome::DeadLettered));
    }
}

/// Marks are read for 100 records at once, none of which starts if the records that were read with them are of another source.
#[tokio::test(start_paused = true)]
async fn no_record_starts_that_waits_for_its_mark() {
    let script = Script::default();
    let builder = StreamProcessor::builder().on_record(script.clone());
    let builder = builder.idempotency(Idempotency::new("tests", MemoryIdempotencyStore::new()));
    let processor = builder.marks(Marks::new(Stale::Skip)).build().unwrap();
    let report = process(&processor, with_other(&other("aws:sqs"), 101, 200)).await.unwrap();
    assert_eq!(report.response().unwrap_err().payload_kind(), Some(PayloadKind::MixedSources));
    assert_eq!((script.started(), report.batch().records().len()), (vec![], 102));
}

#[tokio::test(start_paused = true)]
async fn every_source_of_aws_is_another_one() {
    let stream = change(0, "a", 0).json();
    let sns = json!({"EventSource": "aws:sns", "Sns": {}}).to_string();
    let named = ["aws:sqs", "aws:s3", "aws:kinesis", "aws:ses", "aws:codecommit"].map(other);
    for record in named.iter().chain([&sns]) {
        for records in [[&stream, record], [record, &stream]] {
            let body = of_stream(&records.map(String::clone));
            for builder in builders() {
                let error = refused(&builder.build().unwrap(), body.clone()).await;
                assert_eq!(error.payload_kind(), Some(PayloadKind::MixedSources), "{error}: {body}");
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn messages_of_a_queue_with_others_fail_the_invocation() {
    let message = |body: &str| json!({"messageId": "m", "eventSource": "aws:sqs", "body": body}).to_string();
    let letter = message(&letter(&change(0, "a", 0).json()).to_json());
    let stream = change(1, "b", 0).json();
    for (records, counts) in [
        (vec![&letter, &stream], "(SQS: 1, a DynamoDB stream: 1)"),
        (vec![&stream, &letter, &letter], "(a DynamoDB stream: 1, SQS: 2)"),
        (vec![&letter, &other("aws:kinesis")], "(SQS: 1, Kinesis: 1)"),
        (vec![&other("aws:new"), &letter, &other("aws:newer")], "(others: 2, SQS: 1)"),
        (vec![&letter, &stream, &"7".to_owned()], "(SQS: 1, a DynamoDB stream: 1, none that is named: 1)"),
    ] {
        let script = Script::default();
        let processor = StreamProcessor::builder().on_record(script.clone()).build().unwrap();
        let body = of_stream(&records.into_iter().cloned().collect::<Vec<_>>());
        let error = refused(&processor, body.clone()).await;
        let expected = format!(
            "the records of the payload come from several sources {counts}, and no event source mapping sends these together: the \
             invocation fails, and none of them is acknowledged"
        );
        assert_eq!(error.to_string(), expected);
        let read = lambda_streams::DeadLetterEvent::from_slice(body.as_bytes()).unwrap_err();
        assert_eq!(read.to_string(), expected);
        assert_eq!(script.started(), []);
    }
}

#[tokio::test(start_paused = true)]
async fn a_garbled_source_is_one_malformed_record() {
    for garbled in ["aws:dynamo", "AWS:SQS", "aws:rabbitmq", ""] {
        for at in [0, 1, 9] {
            let queue = TestQueue::default();
            let processor = StreamProcessor::builder().on_record(Script::default()).dead_letter_queue(queue.clone());
            let report = process(&processor.build().unwrap(), with_other(&other(garbled), at, 9)).await.unwrap();
            assert!(report.response().is_ok());
            let counts = report.batch().counts();
            assert_eq!((counts.dead_lettered, counts.succeeded), (1, 9), "{garbled} {at}");
        }
    }
}
