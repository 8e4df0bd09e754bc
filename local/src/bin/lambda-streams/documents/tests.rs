//! Every form in which documents come.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

const STREAM: &str = "arn:aws:dynamodb:eu-central-1:123456789012:table/orders/stream/2026-01-01T00:00:00.000";
const FUNCTION: &str = "arn:aws:lambda:eu-central-1:123456789012:function:orders";

fn letter() -> Value {
    json!({
        "version": 1, "errorKind": "handler", "errorMessage": "the index is down", "attempts": 3,
        "firstSeen": "2026-01-01T00:00:00.000Z", "deadLettered": "2026-01-01T00:00:01.000Z", "record": record(),
    })
}

fn record() -> Value {
    json!({
        "eventID": "7", "eventName": "MODIFY", "eventSource": "aws:dynamodb", "eventSourceARN": STREAM,
        "dynamodb": {"Keys": {"id": {"S": "a"}}, "SequenceNumber": "111", "ApproximateCreationDateTime": 1767225600},
    })
}

fn metadata() -> Value {
    json!({
        "requestContext": {
            "requestId": "r1", "functionArn": FUNCTION, "condition": "RetryAttemptsExhausted", "approximateInvokeCount": 4,
        },
        "responseContext": {"statusCode": 200, "executedVersion": "$LATEST", "functionError": null},
        "version": "1.0",
        "timestamp": "2026-01-01T00:13:49.717Z",
        "DDBStreamBatchInfo": {
            "shardId": "shardId-1", "startSequenceNumber": "111", "endSequenceNumber": "112",
            "approximateArrivalOfFirstRecord": "2026-01-01T00:00:00Z",
            "approximateArrivalOfLastRecord": "2026-01-01T00:00:01Z", "batchSize": 2, "streamArn": STREAM,
        },
    })
}

fn with(mut document: Value, member: &str, value: Value) -> Value {
    document[member] = value;
    document
}

fn pipe() -> Value {
    let mut document = metadata();
    let members = document.as_object_mut().expect("it is an object");
    members.remove("requestContext");
    members.remove("responseContext");
    let arn = "arn:aws:pipes:eu-central-1:123456789012:pipe/orders";
    with(document, "context", json!({"partnerResourceArn": arn, "condition": "RetryAttemptsExhausted"}))
}

/// What the text has, in short.
fn names(text: &str) -> Vec<String> {
    let name = |found: Found| match found.what {
        What::DeadLetter { letter, .. } => format!("letter {}", letter.event_id().unwrap_or("-")),
        What::OnFailure(document) => match &document.records {
            Some(records) => format!("document with {}", records.len()),
            None => "document".to_owned(),
        },
        What::Unknown(reason) => reason,
    };
    find(text).into_iter().map(name).collect()
}

fn quoted(value: &Value) -> Value {
    Value::String(value.to_string())
}

#[test]
fn a_document_is_found_in_whatever_it_is_wrapped() {
    let event = json!({"Records": [record()]});
    let kinds = [
        (letter(), "letter 7"),
        (metadata(), "document"),
        (with(metadata(), "payload", event.clone()), "document with 1"),
        (with(metadata(), "payload", quoted(&event)), "document with 1"),
        (with(metadata(), "payload", Value::Null), "document"),
        (pipe(), "document"),
        (with(pipe(), "payload", quoted(&event)), "document with 1"),
    ];
    for (document, expected) in kinds {
        let text = quoted(&document);
        let notification = json!({"Type": "Notification", "MessageId": "n1", "TopicArn": "t", "Message": text});
        let wrappings = [
            document.clone(),
            text.clone(),
            json!([document]),
            json!({"Messages": [{"MessageId": "m1", "ReceiptHandle": "r", "Body": text}]}),
            json!({"MessageId": "m1", "Body": text}),
            json!({"Records": [{"messageId": "m1", "eventSource": "aws:sqs", "body": text}]}),
            notification.clone(),
            json!({"Records": [{"EventSource": "aws:sns", "Sns": notification}]}),
            json!({"Messages": [{"MessageId": "m1", "Body": quoted(&notification)}]}),
            json!({"Records": [{"messageId": "m1", "body": quoted(&notification)}]}),
        ];
        for wrapped in wrappings {
            assert_eq!(names(&wrapped.to_string()), [expected], "{wrapped}");
        }
    }
}

#[test]
fn every_member_of_a_document_is_read() {
    let read = |document: Value| match find(&document.to_string()).remove(0).what {
        What::OnFailure(document) => *document,
        other => panic!("{other:?}"),
    };
    let time = |text| humantime::parse_rfc3339(text).ok();
    let expected = Document {
        function_arn: Some(FUNCTION.to_owned()),
        pipe_arn: None,
        request_id: Some("r1".to_owned()),
        condition: "RetryAttemptsExhausted".to_owned(),
        invocations: Some(4),
        last_response: LastResponse::Reported,
        timestamp: Some("2026-01-01T00:13:49.717Z".to_owned()),
        shard_id: Some("shardId-1".to_owned()),
        start_sequence_number: Some("111".to_owned()),
        end_sequence_number: Some("112".to_owned()),
        first_arrival: time("2026-01-01T00:00:00Z"),
        last_arrival: time("2026-01-01T00:00:01Z"),
        batch_size: 2,
        stream_arn: STREAM.to_owned(),
        records: None,
    };
    assert_eq!(read(metadata()), expected);
    let piped = read(pipe());
    let arn = "arn:aws:pipes:eu-central-1:123456789012:pipe/orders";
    assert_eq!((piped.pipe_arn.as_deref(), piped.function_arn), (Some(arn), None));
    assert_eq!((piped.invocations, piped.last_response), (None, LastResponse::Unknown));

    let raw = record().to_string();
    let document = read(with(metadata(), "payload", Value::String(format!(r#"{{"Records": [ {raw} ]}}"#))));
    assert_eq!(document.records, Some(vec![raw]), "byte for byte");
}

#[test]
fn an_asynchronous_invocation_s_document_has_its_event() {
    let asynchronous = |payload: Value| {
        json!({
            "version": "1.0", "timestamp": "2026-01-01T00:00:00.000Z",
            "requestContext": {"requestId": "r", "functionArn": FUNCTION, "condition": "RetriesExhausted",
                "approximateInvokeCount": 3},
            "requestPayload": payload,
            "responseContext": {"statusCode": 200, "executedVersion": "$LATEST", "functionError": "Unhandled"},
            "responsePayload": {"errorType": "LambdaStreams.Batch", "errorMessage": "1 record failed"},
        })
    };
    let found = find(&asynchronous(json!({"Records": [record(), record()]})).to_string());
    let [Found { what: What::OnFailure(document), .. }] = found.as_slice() else { panic!("{found:?}") };
    assert_eq!((document.batch_size, document.stream_arn.as_str()), (2, STREAM));
    assert_eq!(document.shard_id, None);
    let letters = json!({"Records": [{"messageId": "m1", "body": quoted(&letter())}]});
    assert_eq!(names(&asynchronous(letters).to_string()), ["letter 7"]);
}

#[test]
fn a_message_is_named_with_its_queue() {
    let queue = "arn:aws:sqs:eu-central-1:123456789012:dead";
    let text = quoted(&letter());
    let event = json!({"Records": [{"messageId": "m1", "eventSourceARN": queue, "body": text}]});
    let message = Wrapping { id: Some("m1".to_owned()), queue: Some(queue.to_owned()) };
    assert_eq!(find(&event.to_string())[0].message, Some(message));
    let output = json!({"Messages": [{"MessageId": "m2", "Body": text}]});
    assert_eq!(find(&output.to_string())[0].message, Some(Wrapping { id: Some("m2".to_owned()), queue: None }));
    assert_eq!(find(&letter().to_string())[0].message, None);
}

#[test]
fn letters_keep_their_text() {
    let json = letter().to_string();
    let letter = DeadLetter::from_json(&json).expect("it is one");
    let compressed = letter.to_compressed_json();
    let text = format!("{json}\n\n{compressed}\r\n");
    let texts: Vec<String> = find(&text)
        .into_iter()
        .map(|found| match found.what {
            What::DeadLetter { json, .. } => json,
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(texts, [json, compressed]);
}

#[test]
fn a_torn_line_is_reported_and_the_others_are_read() {
    let letter = letter().to_string();
    let torn = &letter[..letter.len() / 2];
    let texts = [
        format!("{letter}\n{torn}\n{letter}\n"),
        format!("{letter}\n{torn}\n{letter}\n{torn}"),
        format!("{letter}\n{}\n{letter}", &letter[..13]),
    ];
    for text in texts {
        let found = names(&text);
        assert_eq!([&found[0], &found[2]], ["letter 7", "letter 7"], "{found:?}");
        assert!(found[1].starts_with("not valid JSON: a document begins at line 2"), "{found:?}");
    }
}

#[test]
fn what_is_neither_has_a_reason() {
    let table = [
        ("{}", NEITHER),
        ("7", NEITHER),
        ("text", "not valid JSON at line 1"),
        ("{\n\"a\": text}", "not valid JSON: a document begins at line 1, and the error is at line 2"),
        ("\n{\"a\":\n7", "it ends in the middle of a document, which begins at line 2"),
        ("\"7\"", NEITHER),
        (r#"{"Messages": 7}"#, NEITHER),
        (r#"{"Body": 7}"#, NEITHER),
        (r#"{"errorKind": "handler"}"#, "this is not a dead letter: missing field `version`"),
        (r#"{"Records": [{"eventSource": "aws:dynamodb", "dynamodb": {}}]}"#, "it is a stream event"),
        (
            r#"{"requestContext": {}, "DDBStreamBatchInfo": {}}"#,
            "the on-failure document cannot be read: missing field",
        ),
    ];
    for (text, expected) in table {
        let found = names(text);
        assert!(found.len() == 1 && found[0].contains(expected), "{text}: {found:?}");
    }
    let payload = with(metadata(), "payload", json!("no event"));
    assert_eq!(names(&payload.to_string()), ["the `payload` of the on-failure document is not a stream event"]);
    let deep = (0..40).fold(letter(), |inner, _| json!([inner]));
    assert!(names(&deep.to_string())[0].contains("nested more than"), "{deep}");
    assert!(names("").is_empty() && names(" \n\u{FEFF}").len() <= 1);
}

/// Any JSON, of the members that mean something here.
fn any_document() -> impl Strategy<Value = Value> {
    let names = "Records|Messages|Message|Sns|Body|body|payload|requestPayload|requestContext|context|DDBStreamBatchInfo|\
                 errorKind|version|record|recordGzip|recordText|messageId|shardId|batchSize|streamArn|condition|timestamp";
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        ".{0,12}".prop_map(Value::from),
        Just(letter()),
        Just(metadata()),
        Just(pipe()),
    ];
    leaf.prop_recursive(6, 48, 6, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            prop::collection::btree_map(names, inner.clone(), 0..6)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
            inner.prop_map(|value| quoted(&value)),
        ]
    })
}

proptest! {
    #[test]
    fn any_text_is_read_without_a_panic(text in "\\PC{0,64}", document in any_document(), cut in any::<prop::sample::Index>()) {
        find(&text);
        let json = document.to_string();
        let whole = find(&json);
        prop_assert!(document.as_array().is_some_and(Vec::is_empty) || json.len() < 3 || !whole.is_empty() || has_empty_list(&document));
        let end = json.char_indices().map(|(start, _)| start).nth(cut.index(json.chars().count())).unwrap_or_default();
        find(&json[..end]);
        find(&format!("{}\n{json}", &json[..end]));
    }
}

/// An empty list of messages has no document.
fn has_empty_list(document: &Value) -> bool {
    match document {
        Value::Array(values) => values.is_empty() || values.iter().any(has_empty_list),
        Value::Object(members) => members.values().any(has_empty_list),
        Value::String(text) => text.is_empty() || serde_json::from_str(text).is_ok_and(|inner| has_empty_list(&inner)),
        _ => false,
    }
}
