//! Arbitrary items and mutated text: the same value as `serde_dynamo`, or both reject. `PROPTEST_CASES` raises the number.

use std::collections::{BTreeMap, HashMap};
use std::fmt::Debug;

use lambda_streams::{from_image, from_keys};
use proptest::prelude::*;
use serde::de::{Deserialize, DeserializeOwned, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_dynamo::AttributeValue;

use super::arbitrary::{Attributes, Writer, item};
use super::reference::Expected;
use super::types::*;

type Check = fn(&str, &Attributes) -> Result<(), TestCaseError>;

/// The types that an arbitrary item or its attributes are read as. None of their values depends on the order of
/// attributes, since `serde_dynamo` reads them from a hash map.
const CHECKS: &[Check] = &[
    agree::<Any>,
    agree::<Defaulted>,
    agree::<Strict>,
    agree::<Renamed>,
    agree::<Flat>,
    agree::<FlatTyped>,
    agree::<FlatInternal>,
    agree::<Nested>,
    agree::<Blob>,
    agree::<Outer>,
    agree::<Internal>,
    agree::<Adjacent>,
    agree::<Untagged>,
    agree::<Fallback>,
    agree::<SkipsValues>,
    agree::<Persistent>,
    agree::<serde_json::Value>,
    agree::<BTreeMap<String, u8>>,
    agree::<BTreeMap<String, Option<f64>>>,
    agree::<BTreeMap<String, Vec<i64>>>,
    agree::<BTreeMap<String, Vec<Option<String>>>>,
    agree::<BTreeMap<String, Vec<serde_bytes::ByteBuf>>>,
    agree::<BTreeMap<String, Outer>>,
    agree::<BTreeMap<String, Untagged>>,
    agree::<BTreeMap<String, Swallows>>,
    agree::<HashMap<u8, Any>>,
    agree::<HashMap<Box<str>, New<Option<Choice>>>>,
];

fn agree<T: DeserializeOwned + PartialEq + Debug>(json: &str, item: &Attributes) -> Result<(), TestCaseError> {
    let expected = Expected::<T>::of(&item.clone().into_iter().collect());
    match from_image::<T>(json) {
        Ok(ours) => {
            prop_assert!(expected.admits(Some(&ours)), "{}\n ours: {:?}\n expected: {:?}", json, ours, expected)
        }
        Err(error) => {
            prop_assert!(!error.is_malformed(), "{}: {}", error, json);
            prop_assert!(expected.admits(None), "{}: {}\n expected: {:?}", error, json, expected);
        }
    }
    Ok(())
}

/// JSON with every member of its objects, also a second one of the same name.
#[derive(Debug)]
enum Json {
    Null,
    Bool(bool),
    Number,
    String(String),
    Array(Vec<Json>),
    Object(Vec<(String, Json)>),
}

impl<'de> Deserialize<'de> for Json {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct This;
        impl<'de> Visitor<'de> for This {
            type Value = Json;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("JSON")
            }
            fn visit_unit<E>(self) -> Result<Json, E> {
                Ok(Json::Null)
            }
            fn visit_bool<E>(self, value: bool) -> Result<Json, E> {
                Ok(Json::Bool(value))
            }
            fn visit_i64<E>(self, _: i64) -> Result<Json, E> {
                Ok(Json::Number)
            }
            fn visit_u64<E>(self, _: u64) -> Result<Json, E> {
                Ok(Json::Number)
            }
            fn visit_f64<E>(self, _: f64) -> Result<Json, E> {
                Ok(Json::Number)
            }
            fn visit_str<E>(self, value: &str) -> Result<Json, E> {
                Ok(Json::String(value.to_owned()))
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Json, A::Error> {
                let mut all = Vec::new();
                while let Some(one) = seq.next_element()? {
                    all.push(one);
                }
                Ok(Json::Array(all))
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Json, A::Error> {
                let mut all = Vec::new();
                while let Some(one) = map.next_entry()? {
                    all.push(one);
                }
                Ok(Json::Object(all))
            }
        }
        deserializer.deserialize_any(This)
    }
}

/// The rules of a well-formed item, checked independently of the decoder.
fn is_well_formed(json: &str) -> bool {
    serde_json::from_str::<Json>(json).is_ok_and(|item| are_attributes(&item, 0))
}

fn are_attributes(json: &Json, level: usize) -> bool {
    let Json::Object(members) = json else { return false };
    let names: std::collections::BTreeSet<_> = members.iter().map(|(name, _)| name).collect();
    names.len() == members.len() && members.iter().all(|(_, value)| is_value(value, level + 1))
}

fn is_value(json: &Json, level: usize) -> bool {
    let Json::Object(members) = json else { return false };
    let [(tag, content)] = members.as_slice() else { return false };
    let all = |is: &dyn Fn(&Json) -> bool| matches!(content, Json::Array(all) if all.iter().all(is));
    let is_text = |json: &Json| matches!(json, Json::String(_));
    let is_binary = |json: &Json| {
        use base64::Engine;
        matches!(json, Json::String(text) if base64::engine::general_purpose::STANDARD.decode(text).is_ok())
    };
    level <= 32
        && match tag.as_str() {
            "S" => is_text(content),
            "N" => is_number(content),
            "B" => is_binary(content),
            "NULL" => matches!(content, Json::Bool(true)),
            "BOOL" => matches!(content, Json::Bool(_)),
            "SS" => all(&is_text),
            "NS" => all(&is_number),
            "BS" => all(&is_binary),
            "L" => all(&|value| is_value(value, level + 1)),
            "M" => are_attributes(content, level),
            _ => false,
        }
}

/// A DynamoDB number is a JSON number with zeros and a plus in front allowed, and `f64` parses more than both.
fn is_number(json: &Json) -> bool {
    let Json::String(text) = json else { return false };
    let edges = |text: &str| {
        text.starts_with(|char: char| char.is_ascii_digit()) && text.ends_with(|char: char| char.is_ascii_digit())
    };
    let magnitude = text.strip_prefix(['-', '+']).unwrap_or(text);
    let mantissa = magnitude.split(['e', 'E']).next().unwrap_or_default();
    text.parse::<f64>().is_ok() && edges(magnitude) && edges(mantissa)
}

/// Changes some bytes of a text; what comes out need not be UTF-8.
fn mutate(json: &str, seed: u64) -> Vec<u8> {
    const PIECES: &[&[u8]] = &[
        b"\"",
        b"\\",
        b"{",
        b"}",
        b"[",
        b"]",
        b",",
        b":",
        b"\"S\":",
        b"{\"N\":\"1\"}",
        b"\\u",
        b"\\ud800",
        b"\\n",
        b"null",
        b"true",
        b"\"\":",
        b" ",
        b"\0",
        b"\n",
        b"=",
        b"-",
        b"e",
        b".",
        b"1",
        b"\xff",
        b"\xc3\xa9",
        b"\"a\":{\"S\":\"\"},",
        b"{\"M\":{",
    ];
    let mut random = fastrand::Rng::with_seed(seed);
    let mut bytes = json.as_bytes().to_vec();
    for _ in 0..random.usize(1..4) {
        let at = random.usize(..=bytes.len());
        let until = (at + random.usize(..8)).min(bytes.len());
        match random.u8(..6) {
            0 => bytes.truncate(at),
            1 => drop(bytes.drain(at..until)),
            2 => drop(bytes.splice(at..until, PIECES[random.usize(..PIECES.len())].iter().copied())),
            3 => drop(bytes.splice(at..at, PIECES[random.usize(..PIECES.len())].iter().copied())),
            4 => bytes.extend_from_within(at..until),
            _ => bytes.iter_mut().skip(at).take(1).for_each(|byte| *byte ^= 1 << random.u8(..8)),
        }
    }
    bytes
}

/// Any text is accepted if and only if it is well-formed, and then decodes to the same item as in `serde_dynamo`.
fn holds_for_any(json: &str) -> Result<(), TestCaseError> {
    let well_formed = is_well_formed(json);
    let ignored = from_image::<IgnoredAny>(json);
    prop_assert_eq!(ignored.is_ok(), well_formed, "{:?}: {}", ignored, json);
    if well_formed {
        let item: HashMap<String, AttributeValue> =
            serde_json::from_str(json).map_err(|error| TestCaseError::fail(format!("{error}: {json}")))?;
        let any = from_image::<Any>(json);
        prop_assert!(any.as_ref().is_ok_and(|any| Expected::of(&item).admits(Some(any))), "{:?}: {}", any, json);
        return Ok(());
    }
    // No type makes a malformed item pass, whatever it leaves, skips or swallows.
    for result in [
        from_image::<SkipsValues>(json).map(drop),
        from_image::<TakesOne>(json).map(drop),
        from_image::<Ignorant>(json).map(drop),
        from_image::<Swallows>(json).map(drop),
        from_image::<Persistent>(json).map(drop),
        from_image::<Defaulted>(json).map(drop),
        from_image::<BTreeMap<String, Swallows>>(json).map(drop),
        from_image::<BTreeMap<String, StopsEarly>>(json).map(drop),
        from_image::<Fallback>(json).map(drop),
        from_keys::<Any>(json).map(drop),
    ] {
        prop_assert!(result.is_err(), "{}", json);
    }
    Ok(())
}

proptest! {
    #[test]
    fn arbitrary_items_decode_as_in_serde_dynamo(item in item(), seed: u64) {
        let json = Writer::write(&item, seed);
        for check in CHECKS {
            check(&json, &item)?;
        }
        holds_for_any(&json)?;
    }

    #[test]
    fn mutated_items_are_rejected_or_read_faithfully(item in item(), seed: u64, mutation: u64) {
        if let Ok(json) = String::from_utf8(mutate(&Writer::write(&item, seed), mutation)) {
            holds_for_any(&json)?;
        }
    }

    #[test]
    fn arbitrary_text_never_panics(text in "[\\PC{}\\[\\]\",:SNBMLOU0-9\\\\ ]{0,60}") {
        holds_for_any(&text)?;
    }
}
