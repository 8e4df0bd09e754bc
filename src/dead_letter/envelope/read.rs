//! Reads an envelope back into a dead letter.
//!
//! Invariant: no error contains anything of the record, which a sender may have put anywhere in the text.

use std::borrow::Cow;
use std::error::Error as StdError;
use std::fmt;
use std::io::Read;
use std::sync::Arc;
use std::time::SystemTime;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use flate2::read::GzDecoder;
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use super::super::DeadLetter;
use super::VERSION;
use crate::failure::{ErrorKind, Failure, MAX_EARLIER};
use crate::invocation::Invocation;
use crate::record::RecordRef;

/// More than any invocation's payload. It bounds the memory that a forged letter can take up.
const MAX_RECORD: u64 = 16 * 1024 * 1024;

/// Why a text is not a dead letter.
///
/// It names members and positions, and never contains anything of the record.
///
/// ```
/// use lambda_streams::DeadLetter;
///
/// let error = DeadLetter::from_json(r#"{"version": 2}"#).unwrap_err();
/// assert_eq!(error.to_string(), "the dead letter is of version 2, and only version 1 is known");
/// ```
pub struct DeadLetterReadError(Kind);

enum Kind {
    Unreadable { what: Option<String>, line: usize, column: usize },
    Version(u64),
    Time(&'static str),
    NoRecord,
    ManyRecords,
    Base64,
    Gzip,
    TooLarge,
    TooManyBytes,
    NotJson,
    OnFailureDocument,
}

impl fmt::Display for DeadLetterReadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Kind::Unreadable { what: Some(what), .. } => write!(f, "this is not a dead letter: {what}"),
            Kind::Unreadable { line, column, .. } => {
                write!(f, "this is not a dead letter: it cannot be read at line {line}, column {column}")
            }
            Kind::Version(found) => {
                write!(f, "the dead letter is of version {found}, and only version {VERSION} is known")
            }
            Kind::Time(member) => write!(f, "the dead letter's `{member}` is not an RFC 3339 time in UTC"),
            Kind::NoRecord => f.write_str("the dead letter has none of `record`, `recordText` and `recordGzip`"),
            Kind::ManyRecords => {
                f.write_str("the dead letter has more than one of `record`, `recordText` and `recordGzip`")
            }
            Kind::Base64 => f.write_str("the dead letter's `recordGzip` is not standard base64"),
            Kind::Gzip => f.write_str("the dead letter's `recordGzip` cannot be decompressed to text"),
            Kind::TooLarge => write!(f, "the dead letter's `recordGzip` holds more than {MAX_RECORD} bytes"),
            Kind::TooManyBytes => f.write_str(
                "the records of the messages before it fill the memory of one redrive, so this one is left for another delivery",
            ),
            Kind::NotJson => f.write_str("the dead letter's record is not valid JSON"),
            Kind::OnFailureDocument => f.write_str(
                "this is not a dead letter but an on-failure document, which describes records that Lambda has discarded: \
                 `lambda-streams replay` brings them back",
            ),
        }
    }
}

impl DeadLetterReadError {
    /// The records of other letters have used up the memory that a redrive may take.
    pub(crate) fn too_many_bytes() -> Self {
        Self(Kind::TooManyBytes)
    }

    /// Whether the text is an on-failure document.
    pub(crate) fn is_on_failure_document(&self) -> bool {
        matches!(self.0, Kind::OnFailureDocument)
    }
}

impl fmt::Debug for DeadLetterReadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DeadLetterReadError({self})")
    }
}

impl StdError for DeadLetterReadError {}

impl From<Kind> for DeadLetterReadError {
    fn from(kind: Kind) -> Self {
        Self(kind)
    }
}

/// Read before the rest, which may differ in another version.
#[derive(Deserialize)]
struct Version {
    version: u64,
}

/// All members except those that are read from the record itself.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Envelope<'a> {
    error_kind: ErrorKind,
    error_message: String,
    #[serde(default)]
    error_sources: Vec<String>,
    #[serde(default)]
    earlier_errors: Vec<EarlierError>,
    attempts: u32,
    #[serde(default)]
    superseded: usize,
    first_seen: String,
    dead_lettered: String,
    #[serde(default)]
    function_arn: String,
    #[serde(default)]
    request_id: String,
    trace_header: Option<String>,
    #[serde(borrow, default, deserialize_with = "present")]
    record: Option<&'a RawValue>,
    #[serde(borrow)]
    record_text: Option<Cow<'a, str>>,
    #[serde(borrow)]
    record_gzip: Option<Cow<'a, str>>,
}

/// The failure of an attempt before the last one.
#[derive(Deserialize)]
struct EarlierError {
    kind: ErrorKind,
    message: String,
}

impl EarlierError {
    fn into_failure(self) -> Failure {
        Failure::of_dead_letter(self.kind, self.message, Vec::new()).shortened()
    }
}

/// A malformed record can be `null`, which an `Option` would read as absent.
fn present<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<&'de RawValue>, D::Error> {
    <&RawValue>::deserialize(deserializer).map(Some)
}

pub(super) fn read(json: &str) -> Result<DeadLetter, DeadLetterReadError> {
    // A topic that a queue subscribes to puts the document into an envelope, as a text.
    read_letter(json)
        .map_err(|error| if json.contains("DDBStreamBatchInfo") { Kind::OnFailureDocument.into() } else { error })
}

fn read_letter(json: &str) -> Result<DeadLetter, DeadLetterReadError> {
    let Version { version } = object(json)?;
    if version != VERSION {
        return Err(Kind::Version(version).into());
    }
    let envelope: Envelope<'_> = object(json)?;
    Ok(DeadLetter {
        record: RecordRef::of_text(raw(envelope.record, envelope.record_text, envelope.record_gzip)?.into()),
        failure: Failure::of_dead_letter(envelope.error_kind, envelope.error_message, envelope.error_sources),
        earlier: envelope.earlier_errors.into_iter().take(MAX_EARLIER).map(EarlierError::into_failure).collect(),
        attempts: envelope.attempts,
        superseded: envelope.superseded,
        first_seen: time(&envelope.first_seen, "firstSeen")?,
        dead_lettered: time(&envelope.dead_lettered, "deadLettered")?,
        invocation: Arc::new(Invocation {
            function_arn: envelope.function_arn,
            request_id: envelope.request_id,
            trace_header: envelope.trace_header,
            ..Invocation::default()
        }),
    })
}

fn object<'a, T: Deserialize<'a>>(json: &'a str) -> Result<T, Kind> {
    // A derived `Deserialize` would also accept an array.
    if !json.trim_start().starts_with('{') {
        return Err(Kind::Unreadable { what: Some("it is not a JSON object".to_owned()), line: 1, column: 1 });
    }
    serde_json::from_str(json).map_err(|error| {
        // Of the parser's messages, only these two are certain to contain names of members and no values.
        let text = error.to_string();
        let (what, _) = text.split_once(" at line ").unwrap_or((&text, ""));
        let named = what.starts_with("missing field") || what.starts_with("duplicate field");
        Kind::Unreadable { what: named.then(|| what.to_owned()), line: error.line(), column: error.column() }
    })
}

/// The record's text, from the one form that is there.
fn raw<'a>(
    record: Option<&'a RawValue>,
    text: Option<Cow<'a, str>>,
    gzip: Option<Cow<'a, str>>,
) -> Result<Cow<'a, str>, Kind> {
    let text = match (record, text, gzip) {
        (Some(record), None, None) => return Ok(Cow::Borrowed(record.get())),
        (None, Some(text), None) => text,
        (None, None, Some(gzip)) => Cow::Owned(gunzip(&gzip)?),
        (None, None, None) => return Err(Kind::NoRecord),
        _ => return Err(Kind::ManyRecords),
    };
    match serde_json::from_str::<&RawValue>(&text) {
        Ok(_) => Ok(text),
        Err(_) => Err(Kind::NotJson),
    }
}

fn gunzip(base64: &str) -> Result<String, Kind> {
    let compressed = STANDARD.decode(base64).map_err(|_| Kind::Base64)?;
    let mut text = Vec::new();
    GzDecoder::new(&*compressed).take(MAX_RECORD + 1).read_to_end(&mut text).map_err(|_| Kind::Gzip)?;
    if text.len() as u64 > MAX_RECORD {
        return Err(Kind::TooLarge);
    }
    String::from_utf8(text).map_err(|_| Kind::Gzip)
}

fn time(text: &str, member: &'static str) -> Result<SystemTime, Kind> {
    humantime::parse_rfc3339(text).map_err(|_| Kind::Time(member))
}
