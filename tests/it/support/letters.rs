//! Dead letters to send, without a processor.

use std::path::PathBuf;

use lambda_streams::DeadLetter;
use serde_json::value::RawValue;
use serde_json::{Value, json};

/// A dead letter of this record.
pub(crate) fn letter(record: &str) -> DeadLetter {
    letter_with(record, json!({}))
}

/// A dead letter of this record, with other members in its envelope.
pub(crate) fn letter_with(record: &str, members: Value) -> DeadLetter {
    let mut envelope = json!({
        "version": 1,
        "errorKind": "handler",
        "errorMessage": "no stock",
        "errorSources": ["timed out"],
        "attempts": 3,
        "firstSeen": "2026-01-01T00:00:00.000Z",
        "deadLettered": "2026-01-01T00:00:01.500Z",
        "functionArn": "arn:aws:lambda:eu-central-1:123456789012:function:orders",
        "requestId": "8f6d",
        "recordText": record,
    });
    let members = members.as_object().expect("members are an object").clone();
    envelope.as_object_mut().expect("an envelope is an object").extend(members);
    DeadLetter::from_json(&envelope.to_string()).expect("the envelope is complete")
}

/// A record of one item's change, with this text in its image. Written by hand, not by a `TestStream`, since tests of message
/// sizes count its bytes: it has no time and no size that would differ from one to the next.
pub(crate) fn record(table: &str, item: &str, position: u64, text: &str) -> String {
    let arn = format!("arn:aws:dynamodb:eu-central-1:123456789012:table/{table}/stream/2026-01-01T00:00:00.000");
    json!({
        "eventID": format!("{table}-{item}-{position}"),
        "eventName": "INSERT",
        "eventSource": "aws:dynamodb",
        "awsRegion": "eu-central-1",
        "dynamodb": {
            "Keys": {"id": {"S": item}, "timestamp": {"N": "1"}},
            "NewImage": {"id": {"S": item}, "timestamp": {"N": "1"}, "text": {"S": text}},
            "SequenceNumber": format!("{}", 100_000_000_000_000_000_000_u128 + u128::from(position)),
            "StreamViewType": "NEW_AND_OLD_IMAGES",
        },
        "eventSourceARN": arn,
    })
    .to_string()
}

/// Text of this length that does not compress well.
#[cfg(feature = "sqs")]
pub(crate) fn noise(length: usize) -> String {
    let mut random = fastrand::Rng::with_seed(length as u64);
    std::iter::repeat_with(|| random.alphanumeric()).take(length).collect()
}

/// The records of a file of the corpus, unchanged; `None` if there is no corpus.
pub(crate) fn corpus(file: &str) -> Option<Vec<String>> {
    #[derive(serde::Deserialize)]
    struct Event {
        #[serde(rename = "Records")]
        records: Vec<Box<RawValue>>,
    }
    let shared = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../shared/corpus");
    let corpus = std::env::var_os("TEST_CORPUS").map_or(shared, PathBuf::from);
    if !corpus.is_dir() {
        println!("skipped: there is no corpus of events; TEST_CORPUS names its folder");
        return None;
    }
    let json = std::fs::read_to_string(corpus.join(file)).expect(file);
    let event: Event = serde_json::from_str(&json).expect(file);
    Some(event.records.iter().map(|record| record.get().to_owned()).collect())
}

/// The records of the corpus whose size or characters make them hard to carry.
pub(crate) const HARD: [&str; 7] = [
    "edge/record-800kb.json",
    "edge/record-400kb-binary.json",
    "edge/record-escape-heavy.json",
    "edge/unicode-astral-and-controls.json",
    "edge/attribute-name-64kb.json",
    "edge/nesting-32.json",
    "bad/records-contains-null.json",
];
