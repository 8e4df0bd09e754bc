//! The README's "Partial batch response", for one record: what it says of itself, and what a malformed one says is wrong.

use lambda_streams::{
    ErrorKind, Handler, HandlerError, Insert, Outcome, Record, Remove, StreamChange, StreamProcessor,
};
use serde_json::{Value, json};

use crate::support::{Change, Order, TestQueue, change, outcomes, process, sequence_number};

fn refusal(json: &str) -> String {
    Record::from_json(json).expect_err(json).to_string()
}

#[test]
fn what_is_not_an_object_is_named() {
    for (json, found) in [
        ("[]", "an array"),
        ("\"{}\"", "a string"),
        ("true", "a boolean"),
        ("false", "a boolean"),
        ("null", "null"),
        ("-7", "a number"),
        (" \n[] ", "an array"),
    ] {
        assert_eq!(refusal(json), format!("the record is {found}, not an object"));
    }
}

#[test]
fn a_bad_member_is_located() {
    // At the member's name, by the line and the column in the record.
    for (json, expected) in [
        (r#"{"eventID":"1","eventID":"1"}"#, "the record has a duplicate member, at line 1, column 16 of it"),
        ("{\n \"a\": [\n1],\n  \"\\ud800\": 1}", "the record cannot be read, at line 4, column 3 of it"),
        ("{\"eventID\":\"1\",\n\"eventID\":\"1\"}", "the record has a duplicate member, at line 2, column 1 of it"),
        (
            "{\"eventSource\":\"aws:dynamodb\",\"eventName\":\"INSERT\",\n\"dynamodb\": {\"Keys\": {},\n\n    \"Keys\": {}}}",
            "`dynamodb` has a duplicate member, at line 3, column 5 of it",
        ),
    ] {
        assert_eq!(refusal(json), expected, "{json}");
        // In an event, too, it is the place in the record.
        let payload = format!("{{\n\"Records\": [{},\n{json}]}}", change(0, "a", 0).json());
        let event = lambda_streams::StreamEvent::from_slice(payload.as_bytes()).unwrap();
        let in_event = event.records().nth(1).expect("two records").expect_err(json);
        assert_eq!(in_event.to_string(), expected, "{json}");
    }
}

#[test]
fn a_table_has_a_name_if_the_arn_is_one() {
    let of = |arn: &str| Record::from_json(change(0, "a", 0).with("/eventSourceARN", arn).json()).unwrap();
    let stream = "arn:aws:dynamodb:us-east-1:123456789012:table/orders/stream/2026-01-01T00:00:00.000";
    for (arn, table) in [
        (stream, Some("orders")),
        ("arn:aws-cn:dynamodb:cn-north-1:123456789012:table/orders", Some("orders")),
        ("arn:aws:dynamodb:us-east-1:123456789012:table//stream/2026", None),
        ("arn:aws:dynamodb:us-east-1:123456789012:index/orders", None),
        ("dynamodb:us-east-1:123456789012:table/orders/stream/2026", None),
        ("orders", None),
    ] {
        let record = of(arn);
        assert_eq!((record.stream_arn(), record.table_name()), (Some(arn), table));
    }
    assert_eq!(Record::from_json(change(0, "a", 0).without("/eventSourceARN").json()).unwrap().stream_arn(), None);
}

#[test]
fn every_record_has_an_idempotency_key() {
    let key = |change: Change| Record::from_json(change.json()).unwrap().idempotency_key().into_owned();
    let change = || change(7, "a", 0);
    let named = || change().with("/eventSourceARN", "arn:x");
    assert_eq!(key(named().with("/eventID", "of my own")), "of my own");
    for without in [named().without("/eventID"), named().with("/eventID", ""), named().with("/eventID", 7)] {
        assert_eq!(key(without), format!("arn:x/{}", sequence_number(7)));
    }
    let bare = || change().without("/eventID").without("/eventSourceARN");
    let (one, other) = (key(bare()), key(bare().with("/dynamodb/Keys/id", json!({"S": "b"}))));
    assert!(one.len() == 32 && one != other && one == key(bare()), "{one} {other}");
}

/// Answers with the keys that the handlers of a change see, by whatever they take.
struct Keys(std::sync::Mutex<Vec<String>>);

impl<C: StreamChange> Handler<C> for Keys {
    async fn handle(&self, change: C) -> Result<(), HandlerError> {
        let record = change.record();
        self.0.lock().unwrap().push(format!("{} {}", record.kind(), record.idempotency_key()));
        Ok(())
    }
}

#[tokio::test]
async fn every_change_has_its_record() {
    let keys = std::sync::Arc::new(Keys(std::sync::Mutex::default()));
    let builder = || StreamProcessor::builder();
    let changes = [change(0, "a", 0), change(1, "a", 1), change(2, "a", 1).with("/eventName", "REMOVE")];
    for processor in [
        builder()
            .on_insert::<Order, _>(keys.clone())
            .on_modify::<Order, _>(keys.clone())
            .on_remove::<Order, _>(keys.clone()),
        builder().on_change::<Order, _>(keys.clone()),
        builder().on_record(keys.clone()),
    ] {
        let report = process(&processor.build().unwrap(), &changes).await;
        assert_eq!(outcomes(&report), [Outcome::Succeeded; 3]);
    }
    let keys = keys.0.lock().unwrap();
    assert_eq!(keys[..], ["INSERT event-0", "MODIFY event-1", "REMOVE event-2"].repeat(3));
}

#[test]
fn an_empty_image_is_one_only_where_the_stream_has_it() {
    let spaced: Value = json!({"id": {"S": "a"}});
    for (kind, view_type, [new, old]) in [
        ("INSERT", "NEW_AND_OLD_IMAGES", [true, false]),
        ("MODIFY", "NEW_AND_OLD_IMAGES", [true, true]),
        ("REMOVE", "NEW_AND_OLD_IMAGES", [false, true]),
        ("MODIFY", "NEW_IMAGE", [true, false]),
        ("MODIFY", "OLD_IMAGE", [false, true]),
        ("MODIFY", "KEYS_ONLY", [false, false]),
        ("INSERT", "OLD_IMAGE", [false, false]),
        ("REMOVE", "NEW_IMAGE", [false, false]),
    ] {
        let change = change(0, "a", 1).with("/eventName", kind).with("/dynamodb/StreamViewType", view_type);
        let images = |image: &Value| {
            let json = change.clone().with("/dynamodb/NewImage", image).with("/dynamodb/OldImage", image).json();
            let json = json.replace("Image\":{", "Image\":{ ");
            let record = Record::from_json(json).expect("well-formed");
            [record.new_image_json().is_some(), record.old_image_json().is_some()]
        };
        assert_eq!(images(&json!({})), [new, old], "{kind} {view_type}");
        assert_eq!(images(&spaced), [true, true], "{kind} {view_type}: an image with attributes is there");
    }
}

/// Processes one record, which must fail to decode; returns why.
async fn undecodable(processor: StreamProcessor, change: Change) -> String {
    let report = process(&processor, &[change]).await;
    assert_eq!(outcomes(&report), [Outcome::DeadLettered]);
    let failure = report.records()[0].failure.clone().expect("it failed");
    assert_eq!(failure.kind, ErrorKind::Decode);
    failure.message
}

#[tokio::test(start_paused = true)]
async fn an_image_the_handler_does_not_take_is_checked() {
    let builder = || StreamProcessor::builder().dead_letter_queue(TestQueue::default());
    let bad = json!({"id": {"S": "a"}, "total": {"N": "x"}});
    let old = |kind: &str| change(0, "a", 0).with("/eventName", kind).with("/dynamodb/OldImage", bad.clone());
    let new = |kind: &str| change(0, "a", 1).with("/eventName", kind).with("/dynamodb/NewImage", bad.clone());
    let ok = || async { Ok(()) };
    for (processor, change, image) in [
        (builder().on_insert(move |_: Insert<Order>| ok()).build(), old("INSERT"), "OldImage"),
        (builder().on_remove(move |_: Remove<Order>| ok()).build(), new("REMOVE"), "NewImage"),
        (builder().on_record(move |_: Record| ok()).build(), old("MODIFY"), "OldImage"),
        (builder().on_record(move |_: Record| ok()).build(), new("MODIFY"), "NewImage"),
    ] {
        let message = undecodable(processor.unwrap(), change).await;
        assert!(message.contains(&format!("{image}.total")), "{message}");
    }
}

#[tokio::test(start_paused = true)]
async fn debug_says_which_thing_it_is_and_no_value() {
    let secret = json!({"id": {"S": "secret"}, "version": {"N": "7"}});
    let changes =
        [change(3, "secret", 0).with("/dynamodb/NewImage", secret), change(4, "b", 0).with("/eventName", Value::Null)];
    let event = crate::support::event(&changes);
    assert!(!event.is_empty() && event.len() == 2);
    let malformed = event.records().nth(1).expect("two records").unwrap_err();
    let processor = StreamProcessor::builder().on_record(|_: Record| async { Ok(()) }).build().unwrap();
    let report = process(&processor, &changes).await;
    let number = crate::support::sequence_number(4);
    let shown = [
        (format!("{:?}", report.response().unwrap()), vec!["StreamResponse", &number]),
        (format!("{event:?}"), vec!["StreamEvent", "records: 2"]),
        (format!("{malformed:?}"), vec!["MalformedRecord(`eventName` is missing)"]),
        (
            format!("{report:?}"),
            vec![
                "BatchReport",
                "position: 1",
                "event-3",
                "Insert",
                "Succeeded",
                "attempts: 1",
                "Reported",
                "eventName",
            ],
        ),
    ];
    for (text, words) in shown {
        assert!(!text.contains("secret"), "{text}");
        for word in words {
            assert!(text.contains(word), "`{word}` in {text}");
        }
    }
}
