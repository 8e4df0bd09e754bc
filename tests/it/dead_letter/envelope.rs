//! The envelope has all members, and reads back as the same record.

use std::error::Error;
use std::io::Write;
use std::time::{Duration, SystemTime};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use lambda_streams::{DeadLetter, ErrorKind, EventKind};
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::support::letters::{HARD, corpus, letter, letter_with, record};

/// What SQS accepts in a message.
fn is_accepted(character: char) -> bool {
    matches!(character, '\t' | '\n' | '\r' | '\u{20}'..='\u{d7ff}' | '\u{e000}'..='\u{fffd}' | '\u{10000}'..='\u{10ffff}')
}

fn reads_back(raw: &str) {
    let json = letter(raw).to_json();
    assert!(json.chars().all(is_accepted), "{json:?}");
    let again = DeadLetter::from_json(&json).expect("what was written can be read");
    assert_eq!(again.raw_json(), raw);
    assert_eq!(again.to_json(), json);
    let compressed = DeadLetter::from_json(&again.to_compressed_json()).expect("what was written can be read");
    assert_eq!(compressed.raw_json(), raw);
    assert_eq!(compressed.to_json(), json);
}

#[test]
fn an_envelope_has_the_documented_members() -> Result<(), Box<dyn Error>> {
    let raw = record("orders", "a", 7, "hello");
    let letter = letter_with(&raw, json!({"traceHeader": "Root=1-5759e988-bd862e3fe1be46a994272793"}));
    let envelope: Value = serde_json::from_str(&letter.to_json())?;
    assert_eq!(
        envelope,
        json!({
            "version": 1,
            "errorKind": "handler",
            "errorMessage": "no stock",
            "errorSources": ["timed out"],
            "attempts": 3,
            "firstSeen": "2026-01-01T00:00:00.000Z",
            "deadLettered": "2026-01-01T00:00:01.500Z",
            "functionArn": "arn:aws:lambda:eu-central-1:123456789012:function:orders",
            "requestId": "8f6d",
            "traceHeader": "Root=1-5759e988-bd862e3fe1be46a994272793",
            "table": "orders",
            "streamArn": "arn:aws:dynamodb:eu-central-1:123456789012:table/orders/stream/2026-01-01T00:00:00.000",
            "sequenceNumber": "100000000000000000007",
            "eventId": "orders-a-7",
            "eventKind": "INSERT",
            "record": serde_json::from_str::<Value>(&raw)?,
        })
    );
    Ok(())
}

#[test]
fn an_envelope_reads_back_as_the_same_letter() -> Result<(), Box<dyn Error>> {
    let raw = record("orders", "a", 7, "hello");
    let again = DeadLetter::from_json(&letter_with(&raw, json!({"traceHeader": "Root=1-5"})).to_json())?;
    assert_eq!(again.raw_json(), raw);
    assert_eq!((again.error_kind(), again.error_message()), (ErrorKind::Handler, "no stock"));
    assert_eq!((again.error_sources(), again.attempts()), (&["timed out".to_owned()][..], 3));
    let start = SystemTime::UNIX_EPOCH + Duration::from_secs(1_767_225_600);
    assert_eq!((again.first_seen(), again.dead_lettered()), (start, start + Duration::from_millis(1500)));
    assert_eq!((again.request_id(), again.trace_header()), ("8f6d", Some("Root=1-5")));
    assert_eq!(again.function_arn(), "arn:aws:lambda:eu-central-1:123456789012:function:orders");
    assert_eq!((again.table_name(), again.kind()), (Some("orders"), Some(EventKind::Insert)));
    let stream = "arn:aws:dynamodb:eu-central-1:123456789012:table/orders/stream/2026-01-01T00:00:00.000";
    assert_eq!((again.event_id(), again.stream_arn()), (Some("orders-a-7"), Some(stream)));
    assert_eq!(again.sequence_number().map(|number| number.as_str()), Some("100000000000000000007"));
    Ok(())
}

#[test]
fn unusual_records_read_back_byte_for_byte() {
    let nested = format!("{}1{}", r#"{"M":"#.repeat(40), "}".repeat(40));
    let deep = format!("{}{}", "[".repeat(5000), "]".repeat(5000));
    for raw in [
        "null",
        "true",
        "-0.10e+5",
        "[1, 2,3 ]",
        r#""text""#,
        "{}",
        &nested,
        &deep,
        r#"{"lone": "\ud800", "\udfff": 1}"#,
        r#"{"a": 1, "a": 2}"#,
        "{\n\t\"spread\" : [\r\n 1 ] }",
        r#"{"escapes": "\u0000\u001F\/\u00e9\\"}"#,
        "{\"raw\": \"\u{fffe} \u{ffff} \\uFFFF \u{7f} \u{85} \u{2028} \u{1fffe} \u{10ffff} 🦊\"}",
        "\"\u{ffff}\"",
        r#"{"record": {"version": 1}}"#,
    ] {
        reads_back(raw);
    }
}

#[test]
fn corpus_records_read_back_byte_for_byte() {
    for file in HARD {
        corpus(file).unwrap_or_default().iter().for_each(|raw| reads_back(raw));
    }
}

/// JSON text in many spellings: spaces, escapes, numbers, and characters that SQS refuses.
fn any_json() -> impl Strategy<Value = String> {
    let scalar = prop_oneof![
        Just("null".to_owned()),
        "-?(0|[1-9][0-9]{0,30})(\\.[0-9]{1,9})?([eE][+-]?[0-9]{1,3})?",
        any_string(),
    ];
    scalar.prop_recursive(6, 48, 4, |inner| {
        let space = "[ \t\r\n]{0,2}";
        prop_oneof![
            (prop::collection::vec((inner.clone(), space), 0..4)).prop_map(|parts| {
                let parts: Vec<String> = parts.iter().map(|(value, space)| format!("{space}{value}")).collect();
                format!("[{}]", parts.join(","))
            }),
            (prop::collection::vec((any_string(), inner, space), 0..4)).prop_map(|parts| {
                let parts: Vec<String> =
                    parts.iter().map(|(name, value, space)| format!("{space}{name}{space}:{value}{space}")).collect();
                format!("{{{}}}", parts.join(","))
            }),
        ]
    })
}

fn any_string() -> impl Strategy<Value = String> {
    let part = prop_oneof![
        "[ !#-\\[\\]-~]{1,8}",
        any::<u16>().prop_map(|unit| format!("\\u{unit:04x}")),
        any::<u16>().prop_map(|unit| format!("\\u{unit:04X}")),
        Just("\\\"\\\\\\/\\b\\f\\n\\r\\t".to_owned()),
        prop::char::range('\u{fff0}', '\u{1000f}').prop_map(String::from),
        prop::char::range('\u{7f}', '\u{a0}').prop_map(String::from),
    ];
    prop::collection::vec(part, 0..4).prop_map(|parts| format!("\"{}\"", parts.concat()))
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(512) })]

    #[test]
    fn any_record_reads_back_byte_for_byte(raw in any_json()) {
        reads_back(&raw);
    }

    #[test]
    fn any_error_reads_back_or_is_cut_with_a_mark(message in "\\PC{0,40}[\u{0}-\u{1f}\u{fff0}-\u{ffff}]{0,4}", count in 0_usize..200) {
        let long = message.repeat(count);
        let letter = letter_with("null", json!({"errorMessage": long.clone()}));
        let json = letter.to_json();
        prop_assert!(json.chars().all(is_accepted));
        let again = DeadLetter::from_json(&json).expect("what was written can be read");
        if long.len() <= 4096 {
            prop_assert_eq!(again.error_message(), long);
        } else {
            let mark = format!("… [cut: {} bytes in all]", long.len());
            let kept = again.error_message().strip_suffix(&mark).expect("the mark is there");
            prop_assert!(long.starts_with(kept));
            prop_assert!((4093..=4096).contains(&again.error_message().len()));
        }
        prop_assert_eq!(again.to_json(), json);
    }

    #[test]
    fn the_reader_never_panics(text in "\\PC{0,60}", at in 0_usize..400) {
        let json = letter(&record("orders", "a", 1, "x")).to_json();
        let at = json.floor_char_boundary(at);
        DeadLetter::from_json(&format!("{}{text}{}", &json[..at], &json[at..])).ok();
        DeadLetter::from_json(&format!("{}{text}", &json[..at])).ok();
    }
}

#[test]
fn long_error_chains_are_cut_with_a_mark() -> Result<(), Box<dyn Error>> {
    let sources: Vec<String> = (0..40).map(|number| format!("{number} ").repeat(1000)).collect();
    let again = DeadLetter::from_json(&letter_with("null", json!({"errorSources": sources})).to_json())?;
    assert_eq!(again.error_sources().len(), 16);
    assert_eq!(again.error_sources()[15], "… [cut: 25 more sources]");
    for source in &again.error_sources()[..15] {
        assert!(source.len() == 1024 && source.ends_with(" bytes in all]"), "{source}");
    }
    Ok(())
}

#[test]
fn a_huge_event_id_is_in_the_record_alone() -> Result<(), Box<dyn Error>> {
    let raw = json!({"eventID": "x".repeat(5000), "eventSourceARN": 7}).to_string();
    let envelope: Value = serde_json::from_str(&letter(&raw).to_json())?;
    assert_eq!(envelope.get("eventId"), None);
    assert_eq!(envelope["record"]["eventID"].as_str().map(str::len), Some(5000));
    Ok(())
}

#[test]
fn invalid_envelopes_are_rejected_with_a_reason() {
    let good: Value = serde_json::from_str(&letter(r#"{"secret": 1}"#).to_json()).expect("JSON");
    let with = |member: &str, value: Value| {
        let mut envelope = good.clone();
        envelope[member] = value;
        envelope.to_string()
    };
    let without = |member: &str| {
        let mut envelope = good.clone();
        envelope.as_object_mut().expect("an object").remove(member);
        envelope.to_string()
    };
    let bomb = gzip(&[b'0'; 17 * 1024 * 1024]);
    let in_gzip = |value: &str| {
        let mut envelope: Value = serde_json::from_str(&without("record")).expect("JSON");
        envelope["recordGzip"] = value.into();
        envelope.to_string()
    };
    for (json, reason) in [
        ("", "is not a JSON object"),
        ("[1]", "is not a JSON object"),
        ("{", "cannot be read at line 1"),
        ("{}", "missing field `version`"),
        (r#"{"version": "secret"}"#, "cannot be read at line 1"),
        (&with("version", 2.into()), "version 2, and only version 1"),
        (r#"{"version": 1, "version": 1}"#, "duplicate field `version`"),
        (&without("attempts"), "missing field `attempts`"),
        (&with("errorKind", "secret".into()), "cannot be read at line 1"),
        (&with("attempts", "secret".into()), "cannot be read at line 1"),
        (&with("firstSeen", "secret".into()), "`firstSeen` is not an RFC 3339 time"),
        (&without("record"), "none of `record`, `recordText` and `recordGzip`"),
        (&with("recordText", "1".into()), "more than one of `record`"),
        (&in_gzip("secret!"), "not standard base64"),
        (&in_gzip("c2VjcmV0"), "cannot be decompressed"),
        (&in_gzip(&gzip(b"\xff")), "cannot be decompressed"),
        (&in_gzip(&gzip(b"{secret")), "is not valid JSON"),
        (&in_gzip(&bomb), "more than 16777216 bytes"),
    ] {
        let error = DeadLetter::from_json(json).expect_err(reason);
        assert!(error.to_string().contains(reason), "{error} is not about {reason}");
        assert_eq!(format!("{error:?}"), format!("DeadLetterReadError({error})"));
        assert!(!error.to_string().contains("secret"), "{error}");
    }
    for json in [" [1] ".to_owned(), format!("{}1", " ".repeat(16 * 1024 * 1024 - 1))] {
        let letter = DeadLetter::from_json(&in_gzip(&gzip(json.as_bytes()))).expect("a record of the largest size");
        assert!(letter.raw_json() == json);
    }
}

#[test]
fn a_record_is_text_only_where_it_must_be() {
    let form = |raw: &str| {
        let envelope: Value = serde_json::from_str(&letter(raw).to_json()).expect("JSON");
        ["record", "recordText", "recordGzip"].map(|member| envelope.get(member).is_some())
    };
    let (whole, text) = ([true, false, false], [false, true, false]);
    for (raw, expected) in [("{}", whole), ("{\n\r}", whole), ("\"\u{fffe}\"", text), ("\"\u{ffff}\"", text)] {
        assert_eq!(form(raw), expected, "{raw:?}");
    }
}

fn gzip(bytes: &[u8]) -> String {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).expect("memory is there");
    STANDARD.encode(encoder.finish().expect("memory is there"))
}

#[test]
fn debug_output_hides_the_item() {
    let letter = letter_with(&record("orders", "key-secret", 1, "secret"), json!({"errorMessage": "secret"}));
    let shown = format!("{letter:?}");
    assert!(shown.contains("orders") && shown.contains("Insert") && shown.contains("100000000000000000001"), "{shown}");
    assert!(!shown.contains("\"secret\"") && !shown.contains("NewImage"), "{shown}");
}

#[test]
fn letters_of_one_item_share_a_group() {
    let group = |record: &str| letter(record).group_id();
    let first = record("orders", "a", 1, "x");
    let id = group(&first);
    assert!(id.len() == 32 && id.bytes().all(|byte| byte.is_ascii_hexdigit()), "{id}");
    assert_eq!(group(&record("orders", "a", 2, "y")), id);
    let other_order = first.replace(
        r#"{"id":{"S":"a"},"timestamp":{"N":"1"}},"NewImage""#,
        r#"{"timestamp":{"N":"1"},"id":{"S":"a"}},"NewImage""#,
    );
    assert_ne!(other_order, first);
    assert_eq!(group(&other_order), id);
    assert_ne!(group(&record("orders", "b", 1, "x")), id);
    assert_ne!(group(&record("archive", "a", 1, "x")), id);
    assert_ne!(group("null"), group("[]"));
    assert_eq!(group("null"), group("null"));
}
