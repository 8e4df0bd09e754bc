//! A record's envelope: what it is, which item, where; the images stay text.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;
use std::time::SystemTime;

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::raw::{RawJson, range_within};

use super::{EventKind, Inner, Record, SequenceNumber, creation_time};

/// The only `eventSource` of a DynamoDB stream's records.
const DYNAMODB: &str = "aws:dynamodb";

/// What is known of a record, also of a malformed one.
#[derive(Clone)]
pub(crate) struct Facts {
    pub(crate) raw: RawJson,
    pub(crate) event_id: Option<String>,
    pub(crate) kind: Option<EventKind>,
    pub(crate) sequence_number: Option<SequenceNumber>,
    pub(crate) stream_arn: Option<String>,
    pub(crate) region: Option<String>,
    pub(crate) created_at: Option<SystemTime>,
    pub(crate) size_bytes: Option<u64>,
    pub(crate) view_type: Option<String>,
    /// Whether DynamoDB itself made the change.
    pub(crate) by_dynamodb: bool,
    pub(crate) keys: Option<Range<usize>>,
}

impl Facts {
    fn unknown(raw: RawJson) -> Self {
        Self {
            raw,
            event_id: None,
            kind: None,
            sequence_number: None,
            stream_arn: None,
            region: None,
            created_at: None,
            size_bytes: None,
            view_type: None,
            by_dynamodb: false,
            keys: None,
        }
    }

    pub(crate) fn table_name(&self) -> Option<&str> {
        let (_, resource) = self.table_arn()?.rsplit_once(":table/")?;
        Some(resource)
    }

    /// The stream's ARN up to the table: `arn:aws:dynamodb:REGION:ACCOUNT:table/NAME`.
    pub(crate) fn table_arn(&self) -> Option<&str> {
        let arn = self.stream_arn.as_deref()?;
        let (table, _) = arn.split_once("/stream/").unwrap_or((arn, ""));
        let named = table.starts_with("arn:") && table.split_once(":table/").is_some_and(|(_, name)| !name.is_empty());
        named.then_some(table)
    }

    /// The item's primary key as DynamoDB JSON, where the record has one.
    pub(crate) fn keys_json(&self) -> Option<&str> {
        self.raw.get().get(self.keys.clone()?)
    }
}

/// A record whose envelope cannot be read, with what could be read of it.
#[derive(Clone)]
pub(crate) struct Malformed {
    pub(crate) facts: Facts,
    pub(crate) error: MalformedRecord,
}

/// Why a record is malformed: which member, and what is wrong with it; never its value.
#[derive(Clone, PartialEq, Eq)]
pub struct MalformedRecord(Fault);

#[derive(Clone, PartialEq, Eq)]
enum Fault {
    NotAnObject(&'static str),
    /// The JSON parser's own words on duplicates, escapes and depth; they name members, not values.
    Unreadable {
        part: &'static str,
        line: usize,
        column: usize,
        duplicate: bool,
    },
    Missing(&'static str),
    Wrong {
        member: &'static str,
        wanted: &'static str,
    },
    RepeatedSequenceNumber {
        position: usize,
    },
}

impl MalformedRecord {
    pub(crate) fn repeated_sequence_number(position: usize) -> Self {
        Self(Fault::RepeatedSequenceNumber { position })
    }
}

impl fmt::Display for MalformedRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Fault::NotAnObject(found) => write!(f, "the record is {found}, not an object"),
            Fault::Unreadable { part, line, column, duplicate } => {
                let what = if *duplicate { "has a duplicate member" } else { "cannot be read" };
                write!(f, "{part} {what}, at line {line}, column {column} of it")
            }
            Fault::Missing(member) => write!(f, "`{member}` is missing"),
            Fault::Wrong { member, wanted } => write!(f, "`{member}` is not {wanted}"),
            Fault::RepeatedSequenceNumber { position } => {
                write!(f, "`dynamodb.SequenceNumber` is already that of the record at position {position} of the batch")
            }
        }
    }
}

impl fmt::Debug for MalformedRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MalformedRecord({self})")
    }
}

impl std::error::Error for MalformedRecord {}

/// The members that mean something, unread; a `null` member counts as absent.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawEnvelope<'a> {
    #[serde(borrow, rename = "eventID")]
    event_id: Option<&'a RawValue>,
    #[serde(borrow)]
    event_name: Option<&'a RawValue>,
    #[serde(borrow)]
    event_source: Option<&'a RawValue>,
    #[serde(borrow, rename = "eventSourceARN")]
    event_source_arn: Option<&'a RawValue>,
    #[serde(borrow)]
    aws_region: Option<&'a RawValue>,
    #[serde(borrow)]
    user_identity: Option<&'a RawValue>,
    #[serde(borrow)]
    dynamodb: Option<&'a RawValue>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct RawChange<'a> {
    #[serde(borrow)]
    approximate_creation_date_time: Option<&'a RawValue>,
    #[serde(borrow)]
    keys: Option<&'a RawValue>,
    #[serde(borrow)]
    new_image: Option<&'a RawValue>,
    #[serde(borrow)]
    old_image: Option<&'a RawValue>,
    #[serde(borrow)]
    sequence_number: Option<&'a RawValue>,
    #[serde(borrow)]
    size_bytes: Option<&'a RawValue>,
    #[serde(borrow)]
    stream_view_type: Option<&'a RawValue>,
}

/// Reads as much as can be read before it says what is wrong: a malformed record with a sequence number can still
/// be the checkpoint, and one with keys still stands in its item's lane.
pub(super) fn parse(raw: RawJson) -> Result<Record, Box<Malformed>> {
    let mut facts = Facts::unknown(raw);
    let raw = facts.raw.clone();
    match read(raw.get(), &mut facts) {
        Ok(Parts { kind, sequence_number, keys, new_image, old_image }) => {
            Ok(Record { inner: Arc::new(Inner { facts, kind, sequence_number, keys, new_image, old_image }) })
        }
        Err(fault) => Err(Box::new(Malformed { facts, error: MalformedRecord(fault) })),
    }
}

/// What a record must have to be one.
struct Parts {
    kind: EventKind,
    sequence_number: SequenceNumber,
    keys: Range<usize>,
    new_image: Option<Range<usize>>,
    old_image: Option<Range<usize>>,
}

fn read(json: &str, facts: &mut Facts) -> Result<Parts, Fault> {
    let envelope: RawEnvelope<'_> = object(json, "the record")?;
    let change: Option<Result<RawChange<'_>, Fault>> = envelope.dynamodb.map(|part| object(part.get(), "`dynamodb`"));
    let new_image = |change: &RawChange<'_>| range(json, change.new_image, "dynamodb.NewImage");
    let old_image = |change: &RawChange<'_>| range(json, change.old_image, "dynamodb.OldImage");

    if let Some(Ok(change)) = &change {
        facts.sequence_number = change.sequence_number.and_then(text).as_deref().and_then(SequenceNumber::new);
        facts.keys = range(json, change.keys, "dynamodb.Keys").ok().flatten();
        facts.created_at = change.approximate_creation_date_time.and_then(|time| creation_time::parse(time.get()));
        facts.size_bytes = change.size_bytes.and_then(|size| size.get().parse().ok());
        facts.view_type = change.stream_view_type.and_then(text);
    }
    facts.kind = envelope.event_name.and_then(text).as_deref().and_then(EventKind::from_wire);
    facts.event_id = envelope.event_id.and_then(text);
    facts.stream_arn = envelope.event_source_arn.and_then(text);
    facts.region = envelope.aws_region.and_then(text);
    facts.by_dynamodb = envelope.user_identity.is_some_and(is_dynamodb);

    let source = required(envelope.event_source, "eventSource")?;
    if text(source).as_deref() != Some(DYNAMODB) {
        return Err(Fault::Wrong { member: "eventSource", wanted: "`aws:dynamodb`" });
    }
    optional_text(envelope.event_id, facts.event_id.as_ref(), "eventID")?;
    optional_text(envelope.event_source_arn, facts.stream_arn.as_ref(), "eventSourceARN")?;
    required(envelope.event_name, "eventName")?;
    let kind = facts.kind.ok_or(Fault::Wrong { member: "eventName", wanted: "`INSERT`, `MODIFY` or `REMOVE`" })?;
    let change = change.ok_or(Fault::Missing("dynamodb"))??;
    if change.approximate_creation_date_time.is_some() && facts.created_at.is_none() {
        return Err(Fault::Wrong { member: "dynamodb.ApproximateCreationDateTime", wanted: "a point in time" });
    }
    if change.size_bytes.is_some_and(|size| size.get().parse().is_ok_and(f64::is_infinite)) {
        return Err(Fault::Wrong { member: "dynamodb.SizeBytes", wanted: "a number in range" });
    }
    required(change.sequence_number, "dynamodb.SequenceNumber")?;
    Ok(Parts {
        kind,
        sequence_number: facts
            .sequence_number
            .clone()
            .ok_or(Fault::Wrong { member: "dynamodb.SequenceNumber", wanted: "a text of 1 to 40 digits" })?,
        keys: range(json, change.keys, "dynamodb.Keys")?.ok_or(Fault::Missing("dynamodb.Keys"))?,
        new_image: new_image(&change)?,
        old_image: old_image(&change)?,
    })
}

/// Reads an object's known members, each at most once.
fn object<'a, T: Deserialize<'a>>(json: &'a str, part: &'static str) -> Result<T, Fault> {
    // A derived struct would also be read from an array.
    if !json.starts_with('{') {
        return Err(match part {
            "the record" => Fault::NotAnObject(json_type(json)),
            _ => Fault::Wrong { member: "dynamodb", wanted: "an object" },
        });
    }
    serde_json::from_str(json).map_err(|error| Fault::Unreadable {
        part,
        line: error.line(),
        column: error.column(),
        duplicate: error.to_string().starts_with("duplicate field"),
    })
}

/// Where an object lies in the record's text; `None` where it is absent.
fn range(json: &str, part: Option<&RawValue>, member: &'static str) -> Result<Option<Range<usize>>, Fault> {
    let Some(part) = part.map(RawValue::get) else { return Ok(None) };
    if !part.starts_with('{') {
        return Err(Fault::Wrong { member, wanted: "an object" });
    }
    Ok(Some(range_within(json, part)))
}

fn required<'a>(part: Option<&'a RawValue>, member: &'static str) -> Result<&'a RawValue, Fault> {
    part.ok_or(Fault::Missing(member))
}

fn optional_text(part: Option<&RawValue>, read: Option<&String>, member: &'static str) -> Result<(), Fault> {
    if part.is_some() && read.is_none() {
        return Err(Fault::Wrong { member, wanted: "text" });
    }
    Ok(())
}

fn text(part: &RawValue) -> Option<String> {
    serde_json::from_str(part.get()).ok()
}

/// Whether a `userIdentity` is DynamoDB itself, in Lambda's spelling or in that of the Streams API.
fn is_dynamodb(identity: &RawValue) -> bool {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct UserIdentity {
        #[serde(rename = "type", alias = "Type")]
        kind: String,
        #[serde(alias = "PrincipalId")]
        principal_id: String,
    }
    serde_json::from_str::<UserIdentity>(identity.get())
        .is_ok_and(|identity| identity.kind == "Service" && identity.principal_id == "dynamodb.amazonaws.com")
}

pub(crate) fn json_type(json: &str) -> &'static str {
    match json.trim_start().as_bytes().first() {
        Some(b'{') => "an object",
        Some(b'[') => "an array",
        Some(b'"') => "a string",
        Some(b't' | b'f') => "a boolean",
        Some(b'n') => "null",
        Some(b'-' | b'0'..=b'9') => "a number",
        _ => "no JSON",
    }
}
