//! Items as attribute values: the whole item, and what is refused elsewhere is refused here.

use std::collections::HashMap;

use lambda_streams::testing::TestStream;
use lambda_streams::{DecodeError, Record};
use proptest::prelude::*;
use serde::de::IgnoredAny;
use serde_dynamo::{AttributeValue, Item};
use serde_json::json;

use crate::decode::arbitrary::{Attributes, Writer, item};

/// A modification with these images.
fn record(old: &str, new: &str) -> Record {
    let json = format!(
        r#"{{"eventName": "MODIFY", "eventSource": "aws:dynamodb",
            "dynamodb": {{"Keys": {{"id": {{"B": "AAE="}}}}, "SequenceNumber": "1", "OldImage": {old}, "NewImage": {new}}}}}"#
    );
    Record::from_json(json).expect("well-formed")
}

fn of(attributes: Attributes) -> Item {
    Item::from(attributes.into_iter().collect::<HashMap<_, _>>())
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_item_is_read_as_it_is(old in item(), new in item(), seed in any::<u64>()) {
        let record = record(&Writer::write(&old, seed), &Writer::write(&new, seed / 2));
        prop_assert_eq!(record.old_item::<Item>().unwrap(), of(old));
        prop_assert_eq!(record.new_item::<Item>().unwrap(), of(new.clone()));
        #[cfg(feature = "aws-sdk-dynamodb")]
        {
            let sdk: HashMap<String, aws_sdk_dynamodb::types::AttributeValue> = record.new_item().unwrap();
            prop_assert_eq!(Item::from(sdk), of(new));
        }
    }
}

#[test]
fn the_key_is_read_too() {
    let key: HashMap<String, AttributeValue> = record("{}", "{}").key_item().unwrap();
    assert_eq!(key, HashMap::from([("id".to_owned(), AttributeValue::B(vec![0, 1]))]));
    let odd = TestStream::new("orders", &["id"])
        .insert(json!({"id": {"S": "a"}}))
        .with("/dynamodb/Keys/id", json!({"NULL": true}));
    let error = odd.change::<Record>().unwrap().key_item::<Item>().unwrap_err().to_string();
    assert!(error.starts_with("attribute `Keys.id`:"), "{error}");
}

#[test]
fn what_is_malformed_is_refused_as_elsewhere() {
    for image in [
        r#"{"a": {"N": "many"}}"#,
        r#"{"a": {"B": "AAE"}}"#,
        r#"{"a": {"S": "x", "N": "1"}}"#,
        r#"{"a": {}}"#,
        r#"{"a": {"X": "x"}}"#,
        r#"{"a": {"NULL": 1}}"#,
        r#"{"a": {"S": "x"}, "a": {"S": "y"}}"#,
        r#"{"a": {"M": {"b": {"L": [{"NS": [1]}]}}}}"#,
        r#"{"a": {"S": "\ud800"}}"#,
        &format!(r#"{{"a": {}{{"S": "x"}}{}}}"#, r#"{"L": ["#.repeat(33), "]}".repeat(33)),
    ] {
        let record = record(image, image);
        let expected = record.new_image::<IgnoredAny>().map(drop).unwrap_err();
        assert!(expected.is_malformed(), "{image}");
        assert_eq!(record.new_item::<Item>().unwrap_err(), expected);
        assert!(record.old_item::<Item>().unwrap_err().path().starts_with("OldImage"), "{image}");
    }
    for (depth, is_item) in [(31, true), (32, false)] {
        let deep = format!(r#"{{"a": {}{{"S": "x"}}{}}}"#, r#"{"L": ["#.repeat(depth), "]}".repeat(depth));
        let record = record("{}", &deep);
        assert_eq!(
            [record.new_item::<Item>().is_ok(), record.new_image::<IgnoredAny>().is_ok()],
            [is_item; 2],
            "{depth}"
        );
    }
}

#[test]
fn a_missing_image_is_named() {
    let stream = TestStream::new("orders", &["id"]).view_type("KEYS_ONLY").insert(json!({"id": {"S": "a"}}));
    let record: Record = stream.change().unwrap();
    for error in [record.new_item::<Item>(), record.old_item::<Item>()].map(Result::unwrap_err) {
        assert!(DecodeError::is_missing_image(&error), "{error}");
    }
}
