//! Items that are not well-formed are rejected, also where the type does not look.

use std::collections::BTreeMap;

use lambda_streams::from_image;
use serde::Deserialize;
use serde::de::IgnoredAny;

use super::types::{Any, Ignorant, Persistent, StopsEarly, Swallows, TakesOne};

/// Malformed attribute values, and a word of each error.
pub(super) const BAD_VALUES: &[(&str, &str)] = &[
    ("null", "not an object with a type"),
    ("true", "not an object with a type"),
    ("5", "not an object with a type"),
    (r#""canary""#, "not an object with a type"),
    ("[]", "not an object with a type"),
    ("{}", "no type"),
    (r#"{"s":"canary"}"#, "does not know"),
    (r#"{"X":"canary"}"#, "does not know"),
    (r#"{"":""}"#, "does not know"),
    (r#"{"Null":true}"#, "does not know"),
    (r#"{"S":"canary","N":"1"}"#, "more than one type"),
    (r#"{"S":"canary","S":"canary"}"#, "more than one type"),
    (r#"{"S":"canary",}"#, "more than one type"),
    (r#"{"S":null}"#, "S is not a string"),
    (r#"{"S":5}"#, "S is not a string"),
    (r#"{"S":["canary"]}"#, "S is not a string"),
    (r#"{"N":5}"#, "N is not a string"),
    (r#"{"N":""}"#, "decimal number"),
    (r#"{"N":"canary"}"#, "decimal number"),
    (r#"{"N":"0x10"}"#, "decimal number"),
    (r#"{"N":" +1 "}"#, "decimal number"),
    (r#"{"N":"Infinity"}"#, "decimal number"),
    (r#"{"N":"NaN"}"#, "decimal number"),
    (r#"{"N":"1_000"}"#, "decimal number"),
    (r#"{"N":"1,5"}"#, "decimal number"),
    (r#"{"B":"***"}"#, "base64"),
    (r#"{"B":"Zm9vYg"}"#, "base64"),
    (r#"{"B":"Zh=="}"#, "base64"),
    (r#"{"B":"-_-_"}"#, "base64"),
    (r#"{"B":"Zm9v\n"}"#, "base64"),
    (r#"{"B":"Zg==Zg=="}"#, "base64"),
    (r#"{"B":[1,2,3]}"#, "B is not a string"),
    (r#"{"BOOL":1}"#, "true nor false"),
    (r#"{"BOOL":"true"}"#, "true nor false"),
    (r#"{"BOOL":null}"#, "true nor false"),
    (r#"{"NULL":"true"}"#, "true nor false"),
    (r#"{"NULL":false}"#, "not true"),
    (r#"{"NULL":null}"#, "true nor false"),
    (r#"{"BOOL":truer}"#, "does not end"),
    (r#"{"BOOL":tru}"#, "true nor false"),
    (r#"{"SS":"canary"}"#, "not an array"),
    (r#"{"SS":["canary",1]}"#, "S is not a string"),
    (r#"{"SS":[null]}"#, "S is not a string"),
    (r#"{"SS":{}}"#, "not an array"),
    (r#"{"NS":[1,2]}"#, "N is not a string"),
    (r#"{"NS":["1","canary"]}"#, "decimal number"),
    (r#"{"BS":["Zg=="," Zg=="]}"#, "base64"),
    (r#"{"SS":["a" "b"]}"#, "no comma"),
    (r#"{"SS":["a",]}"#, "S is not a string"),
    (r#"{"L":{"0":{"S":"canary"}}}"#, "not an array"),
    (r#"{"L":["canary"]}"#, "not an object with a type"),
    (r#"{"L":[{}]}"#, "no type"),
    (r#"{"L":[{"S":"canary"},{"S":1}]}"#, "S is not a string"),
    (r#"{"M":[]}"#, "not an object"),
    (r#"{"M":null}"#, "not an object"),
    (r#"{"M":{"a":"canary"}}"#, "not an object with a type"),
    (r#"{"M":{"a":{"S":"canary"},"a":{"S":"canary"}}}"#, "occurs twice"),
    (r#"{"M":{"a":{"S":"canary"},"\u0061":{"S":"canary"}}}"#, "occurs twice"),
    (r#"{"M":{a:{"S":"canary"}}}"#, "a name"),
    (r#"{"M":{"a"}}"#, "without a value"),
    (r#"{"M":{"a":{"S":"canary"},}}"#, "a name"),
    (r#"{"M":{,}}"#, "a name"),
    (r#"{"S":"canary\ud800"}"#, "surrogate"),
    (r#"{"S":"canary\udc00"}"#, "surrogate"),
    (r#"{"S":"canary\ud800\ud800"}"#, "surrogate"),
    (r#"{"S":"canary\ud800\n"}"#, "surrogate"),
    (r#"{"M":{"\ud800":{"S":"canary"}}}"#, "surrogate"),
    (r#"{"S":"canary\x"}"#, "escape"),
    (r#"{"S":"canary\u12g4"}"#, "hexadecimal"),
    (r#"{"S":"canary\u+123"}"#, "hexadecimal"),
    ("{\"S\":\"canary\n\"}", "control character"),
    ("{\"S\":\"canary\0\"}", "control character"),
    ("{\"S\":\"canary long enough\u{1f}\"}", "control character"),
    (r#"{"S":'canary'}"#, "S is not a string"),
    (r#"{"S":"canary"/**/}"#, "does not end"),
    (r#"{"S" "canary"}"#, "without a value"),
];

#[derive(Debug, Deserialize)]
struct Small {
    #[expect(dead_code, reason = "only whether it decodes counts")]
    id: String,
}

/// Decodes into types that treat values in every possible way: each must find it malformed.
fn assert_malformed(json: &str, path: &str, word: &str) {
    let errors = [
        from_image::<Any>(json).err(),
        from_image::<IgnoredAny>(json).err(),
        from_image::<Small>(json).err(),
        from_image::<Ignorant>(json).err(),
        from_image::<TakesOne>(json).err(),
        from_image::<BTreeMap<String, Any>>(json).err(),
        from_image::<BTreeMap<String, IgnoredAny>>(json).err(),
        from_image::<BTreeMap<String, Ignorant>>(json).err(),
        from_image::<BTreeMap<String, Option<Any>>>(json).err(),
        from_image::<serde_json::Value>(json).err(),
    ];
    for error in errors {
        let error = error.unwrap_or_else(|| panic!("accepted: {json}"));
        assert!(error.is_malformed(), "{json}: {error}");
        assert!(error.path().starts_with(path), "{json}: {error}");
        assert!(error.to_string().contains(word), "{json}: {error}");
    }
    // A type that swallows errors cannot accept it either, though the path may be lost.
    for error in [
        from_image::<Persistent>(json).err(),
        from_image::<Swallows>(json).err(),
        from_image::<BTreeMap<String, Swallows>>(json).err(),
        from_image::<BTreeMap<String, StopsEarly>>(json).err(),
    ] {
        assert!(error.is_some(), "accepted: {json}");
    }
}

#[test]
fn a_malformed_value_is_found_in_any_position() {
    for (bad, word) in BAD_VALUES {
        assert_malformed(&format!(r#"{{"id":{{"S":"a"}},"v":{bad}}}"#), "v", word);
        assert_malformed(&format!(r#"{{"v":{bad},"id":{{"S":"a"}}}}"#), "v", word);
        let deep = format!(r#"{{"id":{{"S":"a"}},"v":{{"L":[{{"N":"1"}},{{"M":{{"deep":{bad}}}}}]}}}}"#);
        assert_malformed(&deep, "v[1].deep", word);
    }
}

#[test]
fn text_that_is_not_an_item_is_rejected() {
    let good = r#""id":{"S":"a"}"#;
    for (json, word) in [
        (String::new(), "not an object"),
        ("   ".into(), "not an object"),
        ("null".into(), "not an object"),
        ("[]".into(), "not an object"),
        (r#""canary""#.into(), "not an object"),
        ("{".into(), "a name"),
        (format!("{{{good}"), "no comma"),
        (format!("{{{good},"), "a name"),
        (format!("{{{good},}}"), "a name"),
        (format!("{{{good}}}}}"), "text follows"),
        (format!("{{{good}}} {{}}"), "text follows"),
        (format!("{{{good}}}\0"), "text follows"),
        (format!("{{{good},{good}}}"), "occurs twice"),
        (format!(r#"{{{good},"\u0069\u0064":{{"N":"1"}}}}"#), "occurs twice"),
        (format!("\u{feff}{{{good}}}"), "not an object"),
        (format!("{{{good} \"n\":{{\"N\":\"1\"}}}}"), "no comma"),
        (format!("{{{good},\"n\" {{\"N\":\"1\"}}}}"), "without a value"),
        (format!("// comment\n{{{good}}}"), "not an object"),
        (format!("{{{good},\"n\u{1}\":{{\"N\":\"1\"}}}}"), "control character"),
    ] {
        assert_malformed(&json, "", word);
    }
}

#[test]
fn a_duplicate_is_found_among_many_attributes() {
    for count in [2, 23, 24, 25, 26, 200] {
        let attributes: Vec<String> = (0..count).map(|number| format!(r#""a{number}":{{"N":"{number}"}}"#)).collect();
        for first in [0, count / 2, count - 1] {
            let json = format!("{{{},\"a{first}\":{{\"N\":\"1\"}}}}", attributes.join(","));
            assert_malformed(&json, &format!("a{first}"), "occurs twice");
        }
        let all: BTreeMap<String, u64> = from_image(&format!("{{{}}}", attributes.join(","))).expect("no duplicate");
        assert_eq!(all.len(), count);
    }
}

#[test]
fn every_truncated_item_is_rejected() {
    let json = r#" {"id":{"S":"aé\n😀"},"n":{"N":"-1.5e3"},"l":{"L":[{"B":"Zm9v"},{"NULL":true},{"SS":["x"]},{"M":{"k":{"BOOL":false}}}]}}"#;
    assert!(from_image::<Any>(json).is_ok());
    for end in (0..json.len()).filter(|end| json.is_char_boundary(*end)) {
        assert_malformed(&json[..end], "", "");
    }
}

/// An attribute around as many lists or maps as said.
fn nested(containers: usize, list: bool) -> String {
    let (open, close) = if list { (r#"{"L":["#, "]}") } else { (r#"{"M":{"a":"#, "}}") };
    format!(r#"{{"v":{}{{"S":"x"}}{}}}"#, open.repeat(containers), close.repeat(containers))
}

#[test]
fn values_nest_at_most_32_levels_deep() {
    for list in [false, true] {
        for containers in [0, 1, 30, 31] {
            assert!(from_image::<Any>(&nested(containers, list)).is_ok(), "{containers}");
            assert!(from_image::<IgnoredAny>(&nested(containers, list)).is_ok(), "{containers}");
        }
        for containers in [32, 33, 100] {
            assert_malformed(&nested(containers, list), "v", "deeper than the 32 levels");
        }
        // Far deeper than a stack could hold, whole and cut in half.
        let bottomless = nested(1_000_000, list);
        assert_malformed(&bottomless, "v", "deeper than the 32 levels");
        assert_malformed(&bottomless[..bottomless.len() / 2], "v", "deeper than the 32 levels");
    }
    for json in ["[", "{", r#"{"a":"#, r#"{"v":["#].map(|piece| piece.repeat(1_000_000)) {
        assert_malformed(&json, "", "");
    }
}
