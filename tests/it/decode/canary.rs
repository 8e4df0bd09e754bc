//! No error contains a value of the item.

use std::fmt::Debug;
use std::net::Ipv4Addr;
use std::num::NonZeroU64;

use lambda_streams::{DecodeError, from_image, from_keys};
use serde::Deserialize;
use serde::de::{DeserializeOwned, Deserializer, Error};

use super::malformed::BAD_VALUES;
use super::table::VALUES;
use super::types::{Visit, each_type};

/// What an error must not contain: the text, the number, the binary, and its bytes as Rust prints them.
const CANARIES: &[&str] = &["canary", "4915731", "Y2FuYXJ5", "99, 97, 110"];

const SECRETS: &[&str] = &[
    r#"{"S":"canary"}"#,
    r#"{"S":"\u0063anary"}"#,
    r#"{"N":"4915731"}"#,
    r#"{"N":"-4915731.5"}"#,
    r#"{"N":"4915731e400"}"#,
    r#"{"B":"Y2FuYXJ5"}"#,
    r#"{"SS":["canary","b"]}"#,
    r#"{"NS":["4915731","1"]}"#,
    r#"{"BS":["Y2FuYXJ5"]}"#,
    r#"{"L":[{"S":"canary"},{"N":"4915731"},{"B":"Y2FuYXJ5"}]}"#,
    r#"{"M":{"a":{"S":"canary"}}}"#,
    r#"{"M":{"a":{"N":"4915731"}}}"#,
    r#"{"M":{"a":{"B":"Y2FuYXJ5"}}}"#,
    r#"{"M":{"a":{"N":"1"},"b":{"S":"canary"},"c":{"S":"canary"}}}"#,
    r#"{"M":{"type":{"S":"canary"},"a":{"N":"1"}}}"#,
    r#"{"M":{"type":{"S":"Struct"},"a":{"S":"canary"}}}"#,
    r#"{"M":{"type":{"S":"Newtype"},"a":{"N":"4915731"}}}"#,
    r#"{"M":{"type":{"S":"Tuple"},"a":{"L":[{"S":"canary"}]}}}"#,
    r#"{"M":{"Newtype":{"S":"canary"}}}"#,
    r#"{"M":{"Tuple":{"L":[{"N":"4915731"},{"S":"canary"}]}}}"#,
    r#"{"M":{"Struct":{"M":{"a":{"S":"canary"}}}}}"#,
    r#"{"M":{"Inner":{"S":"canary"}}}"#,
    r#"{"M":{"Map":{"M":{"x":{"S":"canary"}}}}}"#,
    r#"{"L":[{"S":"canary"},{"S":"canary"}]}"#,
    r#"{"M":{"secs":{"N":"4915731"},"nanos":{"S":"canary"}}}"#,
];

fn assert_silent(error: &DecodeError, json: &str) {
    for text in [error.to_string(), format!("{error:?}"), format!("{error:#?}"), error.path().to_owned()] {
        for canary in CANARIES {
            assert!(!text.contains(canary), "{json}: {text}");
        }
    }
    assert!(error.expected().is_none_or(|expected| CANARIES.iter().all(|canary| !expected.contains(canary))), "{json}");
}

#[derive(Debug, PartialEq, Deserialize)]
struct Holder<T> {
    v: T,
}

#[derive(Debug, PartialEq, Deserialize)]
struct Flattened<T> {
    #[serde(flatten)]
    holder: Holder<T>,
}

#[derive(Default)]
struct Silence {
    errors: usize,
}

impl Silence {
    fn listen<T: DeserializeOwned>(&mut self, json: &str) {
        if let Err(error) = from_image::<T>(json) {
            assert_silent(&error, json);
            self.errors += 1;
        }
    }
}

impl Visit for Silence {
    fn visit<T: DeserializeOwned + PartialEq + Debug>(&mut self, _: &'static str) {
        let bad = BAD_VALUES.iter().map(|(bad, _)| *bad);
        for value in SECRETS.iter().copied().chain(bad) {
            let json = format!(r#"{{"v":{value}}}"#);
            self.listen::<Holder<T>>(&json);
            self.listen::<Flattened<T>>(&json);
        }
    }
}

#[test]
fn no_decode_error_contains_a_value() {
    let mut silence = Silence::default();
    each_type(&mut silence);
    println!("{} errors", silence.errors);
    assert!(silence.errors > 10_000, "{}", silence.errors);
}

/// Types that put the value into their own message, as many do.
mod talkative {
    use super::*;

    macro_rules! talkative {
        ($($name:ident: $deserializer:ident => $error:expr;)*) => {$(
            #[derive(Debug)]
            pub(super) struct $name;

            impl<'de> Deserialize<'de> for $name {
                fn deserialize<D: Deserializer<'de>>($deserializer: D) -> Result<Self, D::Error> {
                    Err($error)
                }
            }
        )*};
    }

    fn text<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
        serde_json::Value::deserialize(deserializer).map(|value| value.to_string())
    }

    talkative! {
        Custom: d => D::Error::custom(text(d)?);
        Type: d => D::Error::invalid_type(serde::de::Unexpected::Str(&text(d)?), &"a talkative type");
        Value: d => D::Error::invalid_value(serde::de::Unexpected::Other(&text(d)?), &"a talkative value");
        Variant: d => D::Error::unknown_variant(&text(d)?, &["One", "Two"]);
        Field: d => D::Error::unknown_field(&text(d)?, &["one", "two"]);
    }

    pub(super) fn refuses<'de, D: Deserializer<'de>>(deserializer: D) -> Result<(), D::Error> {
        Err(D::Error::custom(format_args!("{} is not wanted", text(deserializer)?)))
    }
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
#[allow(dead_code, reason = "only the errors count")]
enum Either<T> {
    Talkative(T),
    Number(NonZeroU64),
}

#[derive(Debug, Deserialize)]
#[serde(tag = "type")]
#[allow(dead_code, reason = "only the errors count")]
enum Tagged<T> {
    Struct { a: T },
}

#[derive(Debug, Deserialize)]
struct With {
    #[serde(rename = "v", deserialize_with = "talkative::refuses")]
    _v: (),
}

#[test]
fn custom_error_messages_are_left_out() {
    fn each<T: DeserializeOwned>(silence: &mut Silence) {
        for value in SECRETS.iter().chain(VALUES) {
            let json = format!(r#"{{"v":{value}}}"#);
            silence.listen::<Holder<T>>(&json);
            silence.listen::<Holder<Either<T>>>(&json);
            silence.listen::<Holder<Tagged<T>>>(&json);
            silence.listen::<Flattened<T>>(&json);
            silence.listen::<With>(&json);
        }
    }
    let mut silence = Silence::default();
    each::<talkative::Custom>(&mut silence);
    each::<talkative::Type>(&mut silence);
    each::<talkative::Value>(&mut silence);
    each::<talkative::Variant>(&mut silence);
    each::<talkative::Field>(&mut silence);
    each::<Ipv4Addr>(&mut silence);
    each::<NonZeroU64>(&mut silence);
    assert!(silence.errors > 2_000, "{}", silence.errors);
}

#[test]
fn errors_of_malformed_keys_contain_no_value() {
    for (bad, _) in BAD_VALUES {
        let json = format!(r#"{{"v":{bad}}}"#);
        assert_silent(&from_keys::<Holder<String>>(&json).expect_err("it is malformed"), &json);
    }
}
