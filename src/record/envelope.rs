//! A record's envelope: what it is, which item, where; the images stay text.

use std::time::SystemTime;

use serde::Deserialize;

use crate::json::{BadMember, Members, NotJson, Scanner};
use crate::payload::{Span, Text};

use super::malformed::Fault;
use super::{EventKind, SequenceNumber, creation_time};

/// The only `eventSource` of a DynamoDB stream's records.
const DYNAMODB: &str = "aws:dynamodb";

/// The members that mean something, by their numbers.
#[inline]
fn member(name: &str) -> Option<usize> {
    Some(match name {
        "dynamodb" => CHANGE,
        "eventID" => 1,
        "eventName" => 2,
        "eventSource" => 3,
        "eventSourceARN" => 4,
        "awsRegion" => 5,
        "userIdentity" => 6,
        _ => return None,
    })
}
const CHANGE: usize = 0;

/// Those of `dynamodb`.
#[inline]
fn change_member(name: &str) -> Option<usize> {
    Some(match name {
        "ApproximateCreationDateTime" => 0,
        "Keys" => 1,
        "NewImage" => 2,
        "OldImage" => 3,
        "SequenceNumber" => 4,
        "SizeBytes" => 5,
        "StreamViewType" => 6,
        _ => return None,
    })
}

/// What could be read of a record, and where its parts lie in the payload.
#[derive(Clone)]
pub(crate) struct Envelope {
    pub(super) raw: Span,
    pub(super) event_id: Option<Text>,
    pub(super) kind: Option<EventKind>,
    pub(super) sequence_number: Option<SequenceNumber>,
    pub(super) stream_arn: Option<Text>,
    pub(super) region: Option<Text>,
    pub(super) created_at: Option<SystemTime>,
    pub(super) size_bytes: Option<u64>,
    pub(super) view_type: Option<Text>,
    pub(super) by_dynamodb: bool,
    pub(super) keys: Option<Span>,
    /// What makes it a record, or why it is none.
    pub(super) parts: Result<Parts, Fault>,
}

/// What a record must have to be one, beside a sequence number.
#[derive(Clone)]
pub(super) struct Parts {
    pub(super) kind: EventKind,
    pub(super) keys: Span,
    pub(super) new_image: Option<Span>,
    pub(super) old_image: Option<Span>,
}

/// A record's members, unread; one after the other is read into the same place.
pub(crate) struct RawEnvelope<'a> {
    /// The text that the payload's records are parts of.
    whole: &'a str,
    json: &'a str,
    /// Whether the record is an object, and `dynamodb` too.
    is_object: bool,
    has_change: bool,
    members: Members<'a, 7>,
    change: Members<'a, 7>,
}

impl<'a> RawEnvelope<'a> {
    /// Of a text of which no record has been read yet.
    pub(crate) fn new(whole: &'a str) -> Self {
        Self { whole, json: whole, is_object: false, has_change: false, members: Members::NONE, change: Members::NONE }
    }

    /// Moves over a record, or whatever stands in its place.
    #[inline]
    pub(crate) fn scan(&mut self, scanner: &mut Scanner<'a>) -> Result<(), NotJson> {
        let Self { json, is_object, has_change, members, change, .. } = self;
        (*is_object, *has_change) = (scanner.peek_value() == Some(b'{'), false);
        if !*is_object {
            *json = scanner.value()?;
            return Ok(());
        }
        *members = Members::NONE;
        *json = scanner.with_text(|scanner| {
            scanner.object(members, member, |scanner, number| {
                if number != CHANGE || scanner.peek_value() != Some(b'{') {
                    return scanner.value();
                }
                (*change, *has_change) = (Members::NONE, true);
                scanner.with_text(|scanner| scanner.object(change, change_member, |scanner, _| scanner.value()))
            })
        })?;
        Ok(())
    }

    /// How many bytes it has.
    pub(crate) fn len(&self) -> usize {
        self.json.len()
    }

    /// Whether it is a record of a stream, as far as one can tell without reading it.
    pub(crate) fn is_of_stream(&self) -> bool {
        let (true, Ok([change, _, _, source, ..])) = (self.is_object, self.members.texts()) else { return false };
        change.is_some() || *source == Some(r#""aws:dynamodb""#)
    }
}

impl Envelope {
    /// Reads as much as can be read before it says what is wrong: a malformed record with a sequence number can still
    /// be the checkpoint, and one with keys still stands in its item's lane.
    pub(crate) fn read(&mut self, raw: &RawEnvelope<'_>) {
        self.parts = self.read_members(raw);
    }

    /// Reads a text that is one record, with the space around it, or is not.
    pub(super) fn of_text(text: &str) -> Self {
        let (mut scanner, mut raw) = (Scanner::new(text), RawEnvelope::new(text));
        let scanned = raw.scan(&mut scanner).and_then(|()| scanner.end());
        // The space around it, too, is a part of what came.
        raw.json = text;
        let mut envelope = Self::unknown(&raw);
        match scanned {
            Ok(()) => envelope.read(&raw),
            Err(NotJson) => envelope.parts = Err(Fault::NotAnObject("no JSON")),
        }
        envelope
    }

    /// One of which nothing has been read yet.
    pub(crate) fn unknown(raw: &RawEnvelope<'_>) -> Self {
        Self {
            raw: Span::within(raw.whole, raw.json),
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
            parts: Err(Fault::NotAnObject("")),
        }
    }

    fn read_members(&mut self, raw: &RawEnvelope<'_>) -> Result<Parts, Fault> {
        if !raw.is_object {
            return Err(Fault::NotAnObject(json_type(raw.json)));
        }
        let [dynamodb, event_id, event_name, source, stream_arn, region, identity] =
            *raw.members.texts().map_err(|bad| unreadable("the record", raw.whole, raw.json, bad))?;
        let change = self.read_change(raw, dynamodb);
        let text = |json: Option<&str>| Text::read(raw.whole, json?);

        self.kind = event_name.and_then(|name| string(raw.whole, name, EventKind::from_wire)).flatten();
        self.event_id = text(event_id);
        self.stream_arn = text(stream_arn);
        self.region = text(region);
        self.by_dynamodb = identity.is_some_and(is_dynamodb);

        let source = source.ok_or(Fault::Missing("eventSource"))?;
        if string(raw.whole, source, |source| source == DYNAMODB) != Some(true) {
            return Err(Fault::Wrong { member: "eventSource", wanted: "`aws:dynamodb`" });
        }
        optional_text(event_id, &self.event_id, "eventID")?;
        optional_text(stream_arn, &self.stream_arn, "eventSourceARN")?;
        event_name.ok_or(Fault::Missing("eventName"))?;
        let kind = self.kind.ok_or(Fault::Wrong { member: "eventName", wanted: "`INSERT`, `MODIFY` or `REMOVE`" })?;
        self.parts(raw.whole, kind, change?)
    }

    fn parts(&self, whole: &str, kind: EventKind, change: [Option<&str>; 7]) -> Result<Parts, Fault> {
        let [created_at, keys, new_image, old_image, number, size, _] = change;
        if created_at.is_some() && self.created_at.is_none() {
            return Err(Fault::Wrong { member: "dynamodb.ApproximateCreationDateTime", wanted: "a point in time" });
        }
        if self.size_bytes.is_none() && size.is_some_and(|size| size.parse().is_ok_and(f64::is_infinite)) {
            return Err(Fault::Wrong { member: "dynamodb.SizeBytes", wanted: "a number in range" });
        }
        number.ok_or(Fault::Missing("dynamodb.SequenceNumber"))?;
        if self.sequence_number.is_none() {
            return Err(Fault::Wrong { member: "dynamodb.SequenceNumber", wanted: "a text of 1 to 40 digits" });
        }
        Ok(Parts {
            kind,
            keys: object(whole, keys, "dynamodb.Keys")?.ok_or(Fault::Missing("dynamodb.Keys"))?,
            new_image: object(whole, new_image, "dynamodb.NewImage")?,
            old_image: object(whole, old_image, "dynamodb.OldImage")?,
        })
    }

    fn read_change<'a>(
        &mut self,
        raw: &RawEnvelope<'a>,
        dynamodb: Option<&'a str>,
    ) -> Result<[Option<&'a str>; 7], Fault> {
        let dynamodb = dynamodb.ok_or(Fault::Missing("dynamodb"))?;
        if !raw.has_change {
            return Err(Fault::Wrong { member: "dynamodb", wanted: "an object" });
        }
        let change = *raw.change.texts().map_err(|bad| unreadable("`dynamodb`", raw.whole, dynamodb, bad))?;
        let [created_at, keys, _, _, number, size, view_type] = change;
        self.sequence_number = number.and_then(|number| string(raw.whole, number, SequenceNumber::new)).flatten();
        self.keys = object(raw.whole, keys, "dynamodb.Keys").ok().flatten();
        self.created_at = created_at.and_then(creation_time::parse);
        self.size_bytes = size.and_then(|size| size.parse().ok());
        self.view_type = view_type.and_then(|view_type| Text::read(raw.whole, view_type));
        Ok(change)
    }
}

/// Says where in the part the member stands that spoils it.
fn unreadable(part: &'static str, whole: &str, json: &str, bad: BadMember) -> Fault {
    let start = Span::within(whole, json).start();
    let before = &whole.as_bytes()[start..bad.at];
    let line_start = before.iter().rposition(|byte| *byte == b'\n').map_or(0, |newline| newline + 1);
    let lines = before.iter().filter(|byte| **byte == b'\n').count();
    Fault::Unreadable { part, line: lines + 1, column: before.len() - line_start + 1, duplicate: bad.repeated }
}

/// Where an object lies in the payload; `None` where it is absent.
fn object(whole: &str, part: Option<&str>, member: &'static str) -> Result<Option<Span>, Fault> {
    let Some(part) = part else { return Ok(None) };
    if part.as_bytes().first() != Some(&b'{') {
        return Err(Fault::Wrong { member, wanted: "an object" });
    }
    Ok(Some(Span::within(whole, part)))
}

fn optional_text(part: Option<&str>, read: &Option<Text>, member: &'static str) -> Result<(), Fault> {
    if part.is_some() && read.is_none() {
        return Err(Fault::Wrong { member, wanted: "text" });
    }
    Ok(())
}

/// Makes something of a JSON string; `None` if it is none.
fn string<T>(whole: &str, json: &str, make: impl FnOnce(&str) -> T) -> Option<T> {
    Text::read(whole, json).map(|text| make(text.of(whole)))
}

/// Whether a `userIdentity` is DynamoDB itself, in Lambda's spelling or in that of the Streams API.
fn is_dynamodb(identity: &str) -> bool {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct UserIdentity {
        #[serde(rename = "type", alias = "Type")]
        kind: String,
        #[serde(alias = "PrincipalId")]
        principal_id: String,
    }
    serde_json::from_str::<UserIdentity>(identity)
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
