//! A record's envelope: what it is, which item, where; the images stay text.

use std::time::SystemTime;

use serde::Deserialize;

use crate::json::{BadMember, Members, NotJson, Scanner, Span, Text, Value};

use super::malformed::Fault;
use super::{SequenceNumber, creation_time};
use crate::event_kind::EventKind;

/// The only `eventSource` of a DynamoDB stream's records.
const DYNAMODB: &str = "aws:dynamodb";

/// The members that mean something, by their numbers.
#[inline]
fn member(name: &str) -> Option<usize> {
    Some(match name {
        "dynamodb" => CHANGE,
        "eventID" => EVENT_ID,
        "eventName" => EVENT_NAME,
        "eventSource" => 3,
        "eventSourceARN" => 4,
        "awsRegion" => 5,
        "userIdentity" => 6,
        _ => return None,
    })
}
const CHANGE: usize = 0;
const EVENT_ID: usize = 1;
const EVENT_NAME: usize = 2;

/// Those of `dynamodb`.
#[inline]
fn change_member(name: &str) -> Option<usize> {
    Some(match name {
        "ApproximateCreationDateTime" => 0,
        "Keys" => 1,
        "NewImage" => NEW_IMAGE,
        "OldImage" => OLD_IMAGE,
        "SequenceNumber" => 4,
        "SizeBytes" => 5,
        "StreamViewType" => 6,
        _ => return None,
    })
}

const NEW_IMAGE: usize = 2;
const OLD_IMAGE: usize = 3;

/// Whether what is inside of the images is JSON, and what is to be done about it while the envelopes are read.
#[derive(Clone, Copy)]
pub(crate) enum Images<'a> {
    /// It is checked.
    Check,
    /// It is.
    Trust,
    /// It will be found when they are decoded: those of the kinds of change that have a handler.
    Leave(&'a dyn Fn(EventKind) -> bool),
}

impl Images<'_> {
    fn are_passed_over(self, kind: Option<EventKind>) -> bool {
        match self {
            Self::Check => false,
            Self::Trust => true,
            Self::Leave(has_handler) => kind.is_none_or(has_handler),
        }
    }
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
    /// Whether its images are still to be checked to be JSON.
    pub(super) has_unchecked_images: bool,
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
    has_unchecked_images: bool,
    members: Members<'a, 7>,
    kind: Option<EventKind>,
    change: Members<'a, 7>,
    frame: Option<Frame<'a>>,
}

/// What a record has around its event id and its change: most often the same as the record before, member by member.
#[derive(Clone, Copy)]
struct Frame<'a> {
    /// Between the two.
    between: &'a str,
    /// From behind the change on.
    behind: &'a str,
}

/// What stands before the event id.
const BEFORE: &str = r#"{"eventID":"#;

impl<'a> RawEnvelope<'a> {
    /// Of a text of which no record has been read yet.
    pub(crate) fn new(whole: &'a str) -> Self {
        Self {
            whole,
            json: whole,
            is_object: false,
            has_change: false,
            has_unchecked_images: false,
            members: Members::NONE,
            kind: None,
            change: Members::NONE,
            frame: None,
        }
    }

    /// Moves over a record, or whatever stands in its place.
    #[inline]
    pub(crate) fn scan(&mut self, scanner: &mut Scanner<'a>, images: Images<'_>) -> Result<(), NotJson> {
        (self.is_object, self.has_unchecked_images) = (scanner.peek_value() == Some(b'{'), false);
        let start = scanner.at();
        if !self.scan_in_frame(scanner, images)? {
            scanner.rewind(start);
            self.scan_members(scanner, images)?;
        }
        self.json = scanner.since(start);
        Ok(())
    }

    /// Moves over a record that has the frame of the one before; else moves to anywhere.
    fn scan_in_frame(&mut self, scanner: &mut Scanner<'a>, images: Images<'_>) -> Result<bool, NotJson> {
        let Some(frame) = self.frame else { return Ok(false) };
        if !scanner.skip(BEFORE) {
            return Ok(false);
        }
        let event_id = scanner.value()?;
        if !scanner.skip(frame.between) || scanner.peek_value() != Some(b'{') {
            return Ok(false);
        }
        let change = self.scan_change(scanner, images)?;
        self.members.replace(EVENT_ID, event_id);
        self.members.replace(CHANGE, change);
        Ok(scanner.skip(frame.behind))
    }

    fn scan_members(&mut self, scanner: &mut Scanner<'a>, images: Images<'_>) -> Result<(), NotJson> {
        (self.has_change, self.kind, self.frame) = (false, None, None);
        if !self.is_object {
            return scanner.value().map(drop);
        }
        let start = scanner.at();
        let (mut members, mut id, mut change) = (Members::NONE, 0..0, 0..0);
        scanner.object(&mut members, member, |scanner, number| match number {
            EVENT_ID => {
                id.start = scanner.at();
                let value = scanner.value();
                id.end = scanner.at();
                value
            }
            EVENT_NAME => {
                let name = scanner.value()?;
                self.kind = name.plain().and_then(EventKind::from_wire);
                Ok(name)
            }
            CHANGE if scanner.peek_value() == Some(b'{') => {
                change.start = scanner.at();
                let value = self.scan_change(scanner, images);
                change.end = scanner.at();
                value
            }
            _ => scanner.value(),
        })?;
        self.members = members;
        let (json, is_good) = (scanner.since(start), members.values().is_ok());
        if is_good && json.starts_with(BEFORE) && id.start == start + BEFORE.len() && id.end < change.start {
            let (between, behind) = (id.end - start..change.start - start, change.end - start..);
            self.frame = Some(Frame { between: &json[between], behind: &json[behind] });
        }
        Ok(())
    }

    fn scan_change(&mut self, scanner: &mut Scanner<'a>, images: Images<'_>) -> Result<Value<'a>, NotJson> {
        self.has_change = true;
        let Self { has_unchecked_images, kind, change, .. } = self;
        scanner.whole(|scanner| {
            scanner.object(change, change_member, |scanner, number| {
                let is_image = matches!(number, NEW_IMAGE | OLD_IMAGE);
                if !is_image || !images.are_passed_over(*kind) || scanner.peek_value() != Some(b'{') {
                    return scanner.value();
                }
                *has_unchecked_images |= matches!(images, Images::Leave(_));
                scanner.unchecked_object()
            })
        })
    }

    /// The record as it came.
    pub(crate) fn json(&self) -> &'a str {
        self.json
    }

    pub(crate) fn has_unchecked_images(&self) -> bool {
        self.has_unchecked_images
    }

    /// Whether it is a record of a stream, as far as one can tell without reading it.
    pub(crate) fn is_of_stream(&self) -> bool {
        let (true, Ok([change, _, _, source, ..])) = (self.is_object, self.members.values()) else { return false };
        change.is_some() || source.is_some_and(|source| source.plain() == Some(DYNAMODB))
    }
}

impl Envelope {
    /// Whether it is that of a record.
    pub(crate) fn is_whole(&self) -> bool {
        self.parts.is_ok()
    }

    /// Reads as much as can be read before it says what is wrong: a malformed record with a sequence number can still
    /// be the checkpoint, and one with keys still stands in its item's lane.
    pub(crate) fn read(&mut self, raw: &RawEnvelope<'_>) {
        self.parts = self.read_members(raw);
    }

    /// Reads a text that is one record, with the space around it, or is not.
    pub(super) fn of_text(text: &str) -> Self {
        let (mut scanner, mut raw) = (Scanner::new(text), RawEnvelope::new(text));
        let scanned = raw.scan(&mut scanner, Images::Check).and_then(|()| scanner.end());
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
            has_unchecked_images: raw.has_unchecked_images,
            parts: Err(Fault::NotAnObject("")),
        }
    }

    fn read_members(&mut self, raw: &RawEnvelope<'_>) -> Result<Parts, Fault> {
        if !raw.is_object {
            return Err(Fault::NotAnObject(json_type(raw.json)));
        }
        let [dynamodb, event_id, event_name, source, stream_arn, region, identity] =
            *raw.members.values().map_err(|bad| unreadable("the record", raw.whole, raw.json, bad))?;
        let change = self.read_change(raw, dynamodb);
        let text = |value: Option<Value<'_>>| Text::read(raw.whole, value?);

        self.kind = event_name.and_then(|name| string(name, EventKind::from_wire)).flatten();
        self.event_id = text(event_id);
        self.stream_arn = text(stream_arn);
        self.region = text(region);
        self.by_dynamodb = identity.is_some_and(|identity| is_dynamodb(identity.json));

        let source = source.ok_or(Fault::Missing("eventSource"))?;
        if string(source, |source| source == DYNAMODB) != Some(true) {
            return Err(Fault::Wrong { member: "eventSource", wanted: "`aws:dynamodb`" });
        }
        optional_text(event_id, &self.event_id, "eventID")?;
        optional_text(stream_arn, &self.stream_arn, "eventSourceARN")?;
        event_name.ok_or(Fault::Missing("eventName"))?;
        let kind = self.kind.ok_or(Fault::Wrong { member: "eventName", wanted: "`INSERT`, `MODIFY` or `REMOVE`" })?;
        self.parts(raw.whole, kind, change?)
    }

    fn parts(&self, whole: &str, kind: EventKind, change: [Option<Value<'_>>; 7]) -> Result<Parts, Fault> {
        let [created_at, keys, new_image, old_image, number, size, _] = change;
        if created_at.is_some() && self.created_at.is_none() {
            return Err(Fault::Wrong { member: "dynamodb.ApproximateCreationDateTime", wanted: "a point in time" });
        }
        if self.size_bytes.is_none() && size.is_some_and(|size| size.json.parse().is_ok_and(f64::is_infinite)) {
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
        dynamodb: Option<Value<'a>>,
    ) -> Result<[Option<Value<'a>>; 7], Fault> {
        let dynamodb = dynamodb.ok_or(Fault::Missing("dynamodb"))?;
        if !raw.has_change {
            return Err(Fault::Wrong { member: "dynamodb", wanted: "an object" });
        }
        let change = *raw.change.values().map_err(|bad| unreadable("`dynamodb`", raw.whole, dynamodb.json, bad))?;
        let [created_at, keys, _, _, number, size, view_type] = change;
        self.sequence_number = number.and_then(|number| string(number, SequenceNumber::new)).flatten();
        self.keys = object(raw.whole, keys, "dynamodb.Keys").ok().flatten();
        self.created_at = created_at.and_then(|created_at| creation_time::parse(created_at.json));
        self.size_bytes = size.and_then(|size| size.json.parse().ok());
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
fn object(whole: &str, part: Option<Value<'_>>, member: &'static str) -> Result<Option<Span>, Fault> {
    let Some(part) = part else { return Ok(None) };
    if part.json.as_bytes().first() != Some(&b'{') {
        return Err(Fault::Wrong { member, wanted: "an object" });
    }
    Ok(Some(Span::within(whole, part.json)))
}

fn optional_text(part: Option<Value<'_>>, read: &Option<Text>, member: &'static str) -> Result<(), Fault> {
    if part.is_some() && read.is_none() {
        return Err(Fault::Wrong { member, wanted: "text" });
    }
    Ok(())
}

/// Makes something of a JSON string; `None` if it is none.
fn string<T>(value: Value<'_>, make: impl FnOnce(&str) -> T) -> Option<T> {
    match value.plain() {
        Some(text) => Some(make(text)),
        None => serde_json::from_str::<String>(value.json).ok().map(|text| make(&text)),
    }
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
