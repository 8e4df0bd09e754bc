//! Where the decoder accepts more than `serde_dynamo`, and where less.

use std::borrow::Cow;
use std::collections::BTreeMap;

use lambda_streams::{from_image, from_keys};
use serde::Deserialize;

#[derive(Debug, PartialEq, Deserialize)]
struct Big {
    u: u128,
    i: i128,
    all: Vec<u128>,
}

#[test]
fn numbers_of_128_bits_are_decoded() {
    let json = r#"{"u":{"N":"340282366920938463463374607431768211455"},"i":{"N":"-99999999999999999999999999999999999999"},
        "all":{"NS":["12345678901234567890123456789012345678"]}}"#;
    let big: Big = from_image(json).expect("the numbers fit");
    assert_eq!(big.u, u128::MAX);
    assert_eq!(big.i, -99_999_999_999_999_999_999_999_999_999_999_999_999);
    assert_eq!(big.all, [12_345_678_901_234_567_890_123_456_789_012_345_678]);

    let error = from_image::<BTreeMap<String, u128>>(r#"{"u":{"N":"340282366920938463463374607431768211456"}}"#);
    assert_eq!(
        error.expect_err("one more than fits").to_string(),
        "attribute `u`: wanted u128, found N with a value that does not fit"
    );
}

#[derive(Debug, PartialEq, Deserialize)]
struct Borrowed<'a> {
    id: &'a str,
    #[serde(borrow)]
    note: Cow<'a, str>,
}

#[test]
fn text_without_escapes_is_borrowed() {
    let json = r#"{"id":{"S":"order"},"note":{"S":"plain"}}"#;
    let item: Borrowed<'_> = from_image(json).expect("both are text");
    assert_eq!(item, Borrowed { id: "order", note: Cow::Borrowed("plain") });
    assert!(matches!(item.note, Cow::Borrowed(_)));

    let json = r#"{"id":{"S":"order"},"note":{"S":"two\nlines"}}"#;
    assert!(
        matches!(from_image::<Borrowed<'_>>(json), Ok(Borrowed { note: Cow::Owned(note), .. }) if note == "two\nlines")
    );
    let json = r#"{"id":{"S":"two\nlines"},"note":{"S":""}}"#;
    assert_eq!(from_image::<Borrowed<'_>>(json).expect_err("escapes cannot be borrowed").path(), "id");
}

/// `serde_dynamo` passes a number's text to Rust's parsers, which accept more than DynamoDB ever writes.
#[test]
fn numbers_dynamodb_never_writes_are_malformed() {
    for number in ["+1", ".5", "1.", "inf", "-inf", "NaN", "infinity", "1e", ""] {
        let json = format!(r#"{{"v":{{"N":"{number}"}}}}"#);
        assert!(from_image::<BTreeMap<String, f64>>(&json).expect_err(number).is_malformed(), "{number}");
    }
}

#[test]
fn only_possible_primary_keys_decode() {
    #[derive(Debug, PartialEq, Deserialize)]
    struct Key {
        pk: String,
        sk: Option<i64>,
    }
    assert_eq!(from_keys(r#"{"sk":{"N":"-5"},"pk":{"S":"a"}}"#), Ok(Key { pk: "a".into(), sk: Some(-5) }));
    assert_eq!(from_keys(r#"{"pk":{"S":"a"}}"#), Ok(Key { pk: "a".into(), sk: None }));
    let error = from_keys::<Key>(r#"{"pk":{"N":"1"}}"#).expect_err("a number is not text");
    assert_eq!(error.to_string(), "attribute `pk`: wanted a string, found N");
    for json in ["{}", r#"{"pk":{"S":"a"},"sk":{"NULL":true}}"#, r#"{"pk":{"S":"a"},"more":{"M":{}}}"#] {
        assert!(from_keys::<Key>(json).expect_err(json).is_malformed(), "{json}");
    }
}
