use std::ops::Range;
use std::sync::Arc;
use std::time::SystemTime;

use crate::decode;
use crate::json::{self, Span, Text};

use super::envelope::Parts;
use super::fnv::Fnv128;
use super::stretch::Stretch;
use super::{Envelope, MalformedRecord, Record, SequenceNumber};
use crate::event_kind::EventKind;

/// What is known of a record, also of a malformed one: its place in the payload that it shares with its batch.
#[derive(Clone)]
pub(crate) struct Facts {
    stretch: Arc<Stretch>,
    place: usize,
}

impl Facts {
    /// Those of some records of a stretch.
    pub(crate) fn of_stretch(stretch: &Arc<Stretch>, records: Range<usize>) -> impl Iterator<Item = Self> {
        records.map(|place| Self { stretch: Arc::clone(stretch), place })
    }

    pub(super) fn envelope(&self) -> &Envelope {
        &self.stretch.envelopes[self.place]
    }

    /// Of one record's JSON text, or of whatever stands in its place.
    pub(crate) fn of_text(json: String) -> Self {
        let envelopes = vec![Envelope::of_text(&json)];
        Self { stretch: Arc::new(Stretch { text: Arc::new(json), envelopes }), place: 0 }
    }

    /// The record, unless it is malformed.
    pub(crate) fn record(&self) -> Option<Record> {
        self.envelope().parts.is_ok().then(|| Record { facts: self.clone() })
    }

    /// Why it is malformed, if it is.
    pub(crate) fn malformed(&self) -> Option<MalformedRecord> {
        self.envelope().parts.as_ref().err().map(|fault| MalformedRecord { fault: fault.clone(), facts: self.clone() })
    }

    /// Whether the images are JSON, where that has not been checked before.
    pub(crate) fn has_json_images(&self) -> bool {
        let is_json = |image: Option<Span>| image.is_none_or(|image| json::is_json(self.part(image)));
        // Those of a malformed record were checked when it was read.
        let of_parts = |parts: &Parts| is_json(parts.new_image) && is_json(parts.old_image);
        !self.envelope().has_unchecked_images || self.envelope().parts.as_ref().map_or(true, of_parts)
    }

    /// Why the payload that the record came in is no JSON.
    pub(crate) fn why_not_json(&self) -> String {
        json::why_not_json(&self.stretch.text).map_or_else(|| "it cannot be read".to_owned(), |error| error.to_string())
    }

    /// The record as it came, byte for byte.
    pub(crate) fn raw_json(&self) -> &str {
        self.part(self.envelope().raw)
    }

    pub(crate) fn event_id(&self) -> Option<&str> {
        self.text(self.envelope().event_id.as_ref())
    }

    pub(crate) fn kind(&self) -> Option<EventKind> {
        self.envelope().kind
    }

    pub(crate) fn sequence_number(&self) -> Option<&SequenceNumber> {
        self.envelope().sequence_number.as_ref()
    }

    pub(crate) fn stream_arn(&self) -> Option<&str> {
        self.text(self.envelope().stream_arn.as_ref())
    }

    pub(crate) fn region(&self) -> Option<&str> {
        self.text(self.envelope().region.as_ref())
    }

    pub(crate) fn created_at(&self) -> Option<SystemTime> {
        self.envelope().created_at
    }

    pub(crate) fn size_bytes(&self) -> Option<u64> {
        self.envelope().size_bytes
    }

    pub(crate) fn view_type(&self) -> Option<&str> {
        self.text(self.envelope().view_type.as_ref())
    }

    /// Whether DynamoDB itself made the change.
    pub(crate) fn by_dynamodb(&self) -> bool {
        self.envelope().by_dynamodb
    }

    /// The item's primary key as DynamoDB JSON, where the record has one.
    pub(crate) fn keys_json(&self) -> Option<&str> {
        self.envelope().keys.map(|keys| self.part(keys))
    }

    /// The same as a part of the payload's text, which the caller has as well.
    pub(crate) fn keys_json_in<'a>(&self, text: &'a str) -> Option<&'a str> {
        self.envelope().keys.map(|keys| keys.of(text))
    }

    pub(crate) fn table_name(&self) -> Option<&str> {
        let (_, resource) = self.table_arn()?.rsplit_once(":table/")?;
        Some(resource)
    }

    /// The stream's ARN up to the table: `arn:aws:dynamodb:REGION:ACCOUNT:table/NAME`.
    pub(crate) fn table_arn(&self) -> Option<&str> {
        let arn = self.stream_arn()?;
        let (table, _) = arn.split_once("/stream/").unwrap_or((arn, ""));
        let named = table.starts_with("arn:") && table.split_once(":table/").is_some_and(|(_, name)| !name.is_empty());
        named.then_some(table)
    }

    /// A name that all records of one item share: a hash of the table and the primary key, however the record spells it.
    /// A record whose keys cannot be read is a group of its own.
    pub(crate) fn group_id(&self) -> String {
        let mut hash = Fnv128::new();
        match self.keys_json().map(decode::canonical_keys) {
            Some(Ok(keys)) => {
                hash.write_str(self.table_arn().or(self.stream_arn()).unwrap_or_default());
                keys.attributes().for_each(|(name, value)| {
                    hash.write_str(name);
                    hash.write_str(value);
                });
            }
            _ => hash.write_str(self.raw_json()),
        }
        hash.to_hex()
    }

    pub(super) fn part(&self, span: Span) -> &str {
        span.of(&self.stretch.text)
    }

    fn text<'a>(&'a self, text: Option<&'a Text>) -> Option<&'a str> {
        text.map(|text| text.of(&self.stretch.text))
    }
}
