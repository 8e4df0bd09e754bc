//! The header of a record: everything but the images, which stay JSON text until they are decoded.
//!
//! A malformed record has a header too. It keeps whatever could be read, because its sequence number can still be the
//! checkpoint, and its keys still put it into its item's lane.

use std::time::SystemTime;

use serde::Deserialize;

use crate::event_kind::EventKind;
use crate::json::{BadMember, JsonStr, RawJson, Scanner, Span};

use super::malformed::Kind;
use super::scanner::{ChangeMember, ChangeMembers, DYNAMODB, ImageCheck, RecordMember, RecordScanner};
use super::{SequenceNumber, creation_time};

/// How the event ids begin of items that were read from their table, and not from its stream. The id is part of the record, so a dead
/// letter of such an item is recognized, too.
const BACKFILLED: &str = "backfill-";

/// What could be read of a record, and where its pieces are in the payload.
#[derive(Clone)]
pub(crate) struct Header {
    pub(super) raw: Span,
    pub(super) event_id: Option<JsonStr>,
    pub(super) kind: Option<EventKind>,
    pub(super) sequence_number: Option<SequenceNumber>,
    pub(super) stream_arn: Option<JsonStr>,
    pub(super) region: Option<JsonStr>,
    pub(super) created_at: Option<SystemTime>,
    pub(super) size_bytes: Option<u64>,
    pub(super) view_type: Option<JsonStr>,
    pub(super) by_dynamodb: bool,
    pub(super) keys: Option<Span>,
    /// Whether the images still have to be checked to be valid JSON.
    pub(super) has_unchecked_images: bool,
    pub(super) well_formed: Result<WellFormed, Kind>,
}

/// What every well-formed record has. All but those of a backfill have a sequence number, too.
#[derive(Clone)]
pub(super) struct WellFormed {
    pub(super) kind: EventKind,
    pub(super) keys: Span,
    pub(super) new_image: Option<Span>,
    pub(super) old_image: Option<Span>,
}

impl Header {
    pub(crate) fn is_well_formed(&self) -> bool {
        self.well_formed.is_ok()
    }

    /// Reads a text that should be one record, with any space around it.
    pub(super) fn of_text(text: &str) -> Self {
        let mut scanner = Scanner::new(text);
        let mut record = RecordScanner::new(text);
        let scanned = record.scan(&mut scanner, ImageCheck::Now).and_then(|()| scanner.end());
        // The space around it is a part of what was received.
        record.json = text;
        let mut header = Self::unread(&record);
        if scanned.is_ok() {
            header.read(&record);
        }
        header
    }

    /// The header of a record of which nothing has been read yet, to be filled in place by [`read`](Self::read).
    pub(crate) fn unread(record: &RecordScanner<'_>) -> Self {
        Self {
            raw: Span::within(record.payload, record.json),
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
            has_unchecked_images: record.has_unchecked_images,
            well_formed: Err(Kind::InvalidJson),
        }
    }

    /// Reads all members of the record that can be read, and only then says what is wrong with it.
    pub(crate) fn read(&mut self, record: &RecordScanner<'_>) {
        self.well_formed = self.read_members(record);
    }

    fn read_members(&mut self, record: &RecordScanner<'_>) -> Result<WellFormed, Kind> {
        if !record.is_object {
            return Err(Kind::NotAnObject(json_type(record.json)));
        }
        let members = record.members.checked().map_err(|bad| bad_member("the record", record, record.json, bad))?;
        let change = self.read_change(record, members.get(RecordMember::Dynamodb));
        let text = |member| JsonStr::read(record.payload, members.get(member)?);

        let event_name = members.get(RecordMember::EventName);
        self.kind = event_name.and_then(|name| string(name, EventKind::from_wire)).flatten();
        self.event_id = text(RecordMember::EventId);
        self.stream_arn = text(RecordMember::EventSourceArn);
        self.region = text(RecordMember::AwsRegion);
        self.by_dynamodb = members.get(RecordMember::UserIdentity).is_some_and(|identity| is_dynamodb(identity.text));

        let source = members.get(RecordMember::EventSource).ok_or(Kind::Missing("eventSource"))?;
        if string(source, |source| source == DYNAMODB) != Some(true) {
            return Err(Kind::Wrong { member: "eventSource", wanted: "`aws:dynamodb`" });
        }
        event_name.ok_or(Kind::Missing("eventName"))?;
        let kind = self.kind.ok_or(Kind::Wrong { member: "eventName", wanted: "`INSERT`, `MODIFY` or `REMOVE`" })?;
        self.well_formed(record.payload, kind, change?)
    }

    /// Reads the members of `dynamodb`.
    fn read_change<'r, 'a>(
        &mut self,
        record: &'r RecordScanner<'a>,
        dynamodb: Option<RawJson<'a>>,
    ) -> Result<&'r ChangeMembers<'a>, Kind> {
        let dynamodb = dynamodb.ok_or(Kind::Missing("dynamodb"))?;
        if !record.has_change {
            return Err(Kind::Wrong { member: "dynamodb", wanted: "an object" });
        }
        let change = record.change.checked().map_err(|bad| bad_member("`dynamodb`", record, dynamodb.text, bad))?;
        self.sequence_number =
            change.get(ChangeMember::SequenceNumber).and_then(|number| string(number, SequenceNumber::new)).flatten();
        self.keys = object(record.payload, change.get(ChangeMember::Keys), "dynamodb.Keys").ok().flatten();
        self.created_at =
            change.get(ChangeMember::ApproximateCreationDateTime).and_then(|time| creation_time::parse(time.text));
        self.size_bytes = change.get(ChangeMember::SizeBytes).and_then(|size| size.text.parse().ok());
        self.view_type =
            change.get(ChangeMember::StreamViewType).and_then(|view_type| JsonStr::read(record.payload, view_type));
        Ok(change)
    }

    /// Whether such a change in such a stream has this image. Where it has none, some producers write `{}`, which would
    /// otherwise be an item without even a key.
    #[cold]
    fn has_image(&self, payload: &str, kind: EventKind, image: ChangeMember) -> bool {
        let view_type = self.view_type.as_ref().map(|view_type| view_type.of(payload));
        match image {
            ChangeMember::OldImage => {
                kind != EventKind::Insert && !matches!(view_type, Some("KEYS_ONLY" | "NEW_IMAGE"))
            }
            _ => kind != EventKind::Remove && !matches!(view_type, Some("KEYS_ONLY" | "OLD_IMAGE")),
        }
    }

    /// Whether the record is that of an item that was read from its table. No stream has given it a sequence number.
    #[cold]
    pub(super) fn is_backfilled(&self, payload: &str) -> bool {
        self.event_id.as_ref().is_some_and(|id| id.of(payload).starts_with(BACKFILLED))
    }

    /// Checks that a record without a usable sequence number may lack it.
    #[cold]
    fn without_number(&self, payload: &str, change: &ChangeMembers<'_>) -> Result<(), Kind> {
        match change.get(ChangeMember::SequenceNumber) {
            Some(_) => Err(Kind::Wrong { member: "dynamodb.SequenceNumber", wanted: "a text of 1 to 40 digits" }),
            None if self.is_backfilled(payload) => Ok(()),
            None => Err(Kind::Missing("dynamodb.SequenceNumber")),
        }
    }

    fn well_formed(&self, payload: &str, kind: EventKind, change: &ChangeMembers<'_>) -> Result<WellFormed, Kind> {
        if self.sequence_number.is_none() {
            self.without_number(payload, change)?;
        }
        let object = |member, name| object(payload, change.get(member), name);
        let image = |member, name| {
            let is_there = |_: &Span| {
                change.get(member).is_some_and(|image| has_member(image.text) || self.has_image(payload, kind, member))
            };
            Ok(object(member, name)?.filter(is_there))
        };
        Ok(WellFormed {
            kind,
            keys: object(ChangeMember::Keys, "dynamodb.Keys")?.ok_or(Kind::Missing("dynamodb.Keys"))?,
            new_image: image(ChangeMember::NewImage, "dynamodb.NewImage")?,
            old_image: image(ChangeMember::OldImage, "dynamodb.OldImage")?,
        })
    }
}

/// Whether an object has a member.
#[inline]
fn has_member(object: &str) -> bool {
    match object.as_bytes() {
        [b'{', b'"', ..] => true,
        [b'{', inside @ ..] => inside.trim_ascii_start().first() != Some(&b'}'),
        _ => false,
    }
}

/// Says where in `part`, whose JSON this is, the bad member is.
fn bad_member(part: &'static str, record: &RecordScanner<'_>, json: &str, bad: BadMember) -> Kind {
    let start = Span::within(record.payload, json).start();
    let before = &record.payload.as_bytes()[start..bad.at];
    let line_start = before.iter().rposition(|byte| *byte == b'\n').map_or(0, |newline| newline + 1);
    let lines = before.iter().filter(|byte| **byte == b'\n').count();
    Kind::BadMember { part, line: lines + 1, column: before.len() - line_start + 1, problem: bad.problem }
}

/// Where an object is in the payload; `None` if the record does not have it.
fn object(payload: &str, value: Option<RawJson<'_>>, member: &'static str) -> Result<Option<Span>, Kind> {
    let Some(value) = value else { return Ok(None) };
    if value.text.as_bytes().first() != Some(&b'{') {
        return Err(Kind::Wrong { member, wanted: "an object" });
    }
    Ok(Some(Span::within(payload, value.text)))
}

/// Passes the content of a JSON string to `make`; `None` if the value is not a string.
pub(super) fn string<T>(value: RawJson<'_>, make: impl FnOnce(&str) -> T) -> Option<T> {
    match value.plain() {
        Some(text) => Some(make(text)),
        None => serde_json::from_str::<String>(value.text).ok().map(|text| make(&text)),
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

/// What kind of JSON value a valid text is that is not an object.
fn json_type(json: &str) -> &'static str {
    match json.trim_start().as_bytes().first() {
        Some(b'[') => "an array",
        Some(b'"') => "a string",
        Some(b't' | b'f') => "a boolean",
        Some(b'n') => "null",
        _ => "a number",
    }
}
