//! Writes a dead letter as an envelope, in characters that SQS accepts and with a bounded size apart from the record.

use std::borrow::Cow;
use std::io::Write;
use std::time::{Duration, SystemTime};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use flate2::Compression;
use flate2::write::GzEncoder;
use serde::Serialize;

use super::super::DeadLetter;
use super::VERSION;
use crate::failure::ErrorKind;

const MAX_MESSAGE: usize = 4096;
const MAX_SOURCE: usize = 1024;
const MAX_SOURCES: usize = 16;
const MAX_IDENTIFIER: usize = 1024;

/// The form in which an envelope carries its record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in super::super) enum Form {
    /// As it is, or as a string if it has characters that SQS refuses.
    Plain,
    /// As `Plain`, and as a string also if it has a line break.
    Line,
    /// Compressed.
    Gzip,
}

/// How much an envelope says of the attempts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in super::super) enum Attempts {
    /// Why each of them failed.
    All,
    /// Why the last one failed, where there is no room for the others.
    #[cfg(feature = "sqs")]
    Last,
}

/// All members except the record.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Header<'a> {
    version: u64,
    error_kind: ErrorKind,
    error_message: Cow<'a, str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    error_sources: Vec<Cow<'a, str>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    earlier_errors: Vec<EarlierError<'a>>,
    attempts: u32,
    #[serde(skip_serializing_if = "is_zero")]
    superseded: usize,
    first_seen: String,
    dead_lettered: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    function_arn: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    request_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    trace_header: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    table: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    stream_arn: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sequence_number: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    event_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    event_kind: Option<&'a str>,
}

/// The failure of an attempt before the last one.
#[derive(Serialize)]
struct EarlierError<'a> {
    kind: ErrorKind,
    message: &'a str,
}

/// The letter's envelope: one JSON object of characters that SQS accepts.
pub(in super::super) fn write(letter: &DeadLetter, form: Form, attempts: Attempts) -> String {
    let mut envelope = header(letter, attempts);
    let closing = envelope.pop();
    debug_assert_eq!(closing, Some('}'), "a struct is written as an object");
    let raw = letter.raw_json();
    match form {
        Form::Gzip => {
            envelope.push_str(",\"recordGzip\":\"");
            STANDARD.encode_string(gzip(raw), &mut envelope);
            envelope.push('"');
        }
        Form::Plain | Form::Line if needs_text(raw, form) => {
            envelope.push_str(",\"recordText\":");
            envelope.push_str(&escape(&json(&raw)));
        }
        Form::Plain | Form::Line => {
            envelope.push_str(",\"record\":");
            envelope.push_str(raw);
        }
    }
    envelope.push('}');
    envelope
}

fn header(letter: &DeadLetter, attempts: Attempts) -> String {
    let earlier = if attempts == Attempts::All { letter.earlier_failures() } else { &[] };
    let identifier = |text: &&str| (1..=MAX_IDENTIFIER).contains(&text.len());
    escape(&json(&Header {
        version: VERSION,
        error_kind: letter.error_kind(),
        error_message: cut(letter.error_message(), MAX_MESSAGE),
        error_sources: sources(letter.error_sources()),
        earlier_errors: earlier.iter().map(|it| EarlierError { kind: it.kind, message: &it.message }).collect(),
        attempts: letter.attempts(),
        superseded: letter.superseded(),
        first_seen: rfc3339(letter.first_seen()),
        dead_lettered: rfc3339(letter.dead_lettered()),
        function_arn: Some(letter.function_arn()).filter(identifier),
        request_id: Some(letter.request_id()).filter(identifier),
        trace_header: letter.trace_header().filter(identifier),
        table: letter.table_name().filter(identifier),
        stream_arn: letter.stream_arn().filter(identifier),
        sequence_number: letter.sequence_number().map(|number| number.as_str()),
        event_id: letter.event_id().filter(identifier),
        event_kind: letter.kind().map(|kind| kind.as_str()),
    }))
    .into_owned()
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands over a reference")]
fn is_zero(number: &usize) -> bool {
    *number == 0
}

fn json(value: &impl Serialize) -> String {
    serde_json::to_string(value).expect("text and numbers are always JSON")
}

/// Whether the record cannot be a part of the envelope as it is.
fn needs_text(raw: &str, form: Form) -> bool {
    raw.contains(['\u{fffe}', '\u{ffff}']) || (form == Form::Line && raw.contains(['\n', '\r']))
}

/// Escapes the two characters that JSON allows and SQS refuses. In valid JSON they occur only inside strings, so they can be
/// replaced in the whole text.
fn escape(json: &str) -> Cow<'_, str> {
    if !json.contains(['\u{fffe}', '\u{ffff}']) {
        return Cow::Borrowed(json);
    }
    Cow::Owned(json.replace('\u{fffe}', "\\ufffe").replace('\u{ffff}', "\\uffff"))
}

fn gzip(text: &str) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(text.as_bytes()).and_then(|()| encoder.finish()).expect("writing to memory does not fail")
}

fn sources(sources: &[String]) -> Vec<Cow<'_, str>> {
    if sources.len() <= MAX_SOURCES {
        return sources.iter().map(|source| cut(source, MAX_SOURCE)).collect();
    }
    let (kept, left) = sources.split_at(MAX_SOURCES - 1);
    let mark = Cow::Owned(format!("… [cut: {} more sources]", left.len()));
    kept.iter().map(|source| cut(source, MAX_SOURCE)).chain([mark]).collect()
}

/// Cuts a text to at most this many bytes. They include the mark, so reading and writing the text again cuts no further.
fn cut(text: &str, most: usize) -> Cow<'_, str> {
    if text.len() <= most {
        return Cow::Borrowed(text);
    }
    let mark = format!("… [cut: {} bytes in all]", text.len());
    let end = text.floor_char_boundary(most - mark.len());
    Cow::Owned(format!("{}{mark}", &text[..end]))
}

/// RFC 3339 with milliseconds. Times before 1970 or after 9999, which no working clock returns, become the nearest in between.
fn rfc3339(time: SystemTime) -> String {
    const LAST: Duration = Duration::from_secs(253_402_300_799); // 9999-12-31T23:59:59Z
    let since = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().min(LAST);
    humantime::format_rfc3339_millis(SystemTime::UNIX_EPOCH + since).to_string()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn impossible_times_become_the_nearest_possible_one() {
        let epoch = SystemTime::UNIX_EPOCH;
        assert_eq!(rfc3339(epoch - Duration::from_secs(1)), "1970-01-01T00:00:00.000Z");
        assert_eq!(rfc3339(epoch + Duration::from_millis(1_767_225_600_120)), "2026-01-01T00:00:00.120Z");
        assert_eq!(rfc3339(epoch + Duration::from_secs(1 << 40)), "9999-12-31T23:59:59.000Z");
    }

    proptest! {
        #[test]
        fn every_form_carries_the_record_byte_for_byte(text in "[ -~\r\n\t\u{fff0}-\u{1000f}]{0,200}") {
            let raw = format!("[\r\n\t{}\n]", json(&text));
            let envelope = json(&serde_json::json!({
                "version": 1, "errorKind": "panic", "errorMessage": "", "attempts": 1,
                "firstSeen": "2026-01-01T00:00:00Z", "deadLettered": "2026-01-01T00:00:00Z", "recordText": raw,
            }));
            let letter = DeadLetter::from_json(&envelope).expect("the envelope is complete");
            for form in [Form::Plain, Form::Line, Form::Gzip] {
                let written = write(&letter, form, Attempts::All);
                let (refused, broken) = (written.contains(['\u{fffe}', '\u{ffff}']), written.contains(['\n', '\r']));
                prop_assert!(!refused && (form == Form::Plain || !broken));
                let again = DeadLetter::from_json(&written).expect("what was written can be read");
                prop_assert_eq!(again.raw_json(), letter.raw_json());
            }
        }
    }
}
