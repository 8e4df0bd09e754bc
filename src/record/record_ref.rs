//! A reference to one record of a payload, well-formed or malformed; cheap to clone, because it shares the payload.

use std::borrow::Cow;
use std::ops::Range;
use std::sync::Arc;
use std::time::SystemTime;

use crate::context::ChangeContext;
use crate::decode;
use crate::event_kind::EventKind;
use crate::json::{self, JsonStr, Span};

use super::chunk::Chunk;
use super::fnv::Fnv128;
use super::{Header, MalformedRecord, Record, SequenceNumber};

/// One record of a chunk, with whatever is known of it.
#[derive(Clone)]
pub(crate) struct RecordRef {
    chunk: Arc<Chunk>,
    index: usize,
}

impl RecordRef {
    /// Some of the records of a chunk.
    pub(crate) fn of_chunk(chunk: &Arc<Chunk>, records: Range<usize>) -> impl Iterator<Item = Self> {
        records.map(|index| Self { chunk: Arc::clone(chunk), index })
    }

    /// The record with this JSON text, which may be malformed or not valid JSON.
    pub(crate) fn of_text(json: String) -> Self {
        let headers = vec![Header::of_text(&json)];
        Self { chunk: Arc::new(Chunk { text: Arc::new(json), headers }), index: 0 }
    }

    pub(super) fn header(&self) -> &Header {
        &self.chunk.headers[self.index]
    }

    /// The record, unless it is malformed.
    pub(crate) fn record(&self) -> Option<Record> {
        self.header().is_well_formed().then(|| Record { inner: self.clone(), context: ChangeContext::OUTSIDE })
    }

    /// Why the record is malformed, if it is.
    pub(crate) fn malformed(&self) -> Option<MalformedRecord> {
        self.header()
            .well_formed
            .as_ref()
            .err()
            .map(|kind| MalformedRecord { kind: kind.clone(), record: self.clone() })
    }

    /// Whether the images are valid JSON, where that was not checked before.
    pub(crate) fn has_json_images(&self) -> bool {
        let header = self.header();
        let Ok(images) = &header.well_formed else {
            // The images of a malformed record were checked when it was scanned.
            return true;
        };
        !header.has_unchecked_images
            || [images.new_image, images.old_image].into_iter().flatten().all(|image| json::is_valid(self.piece(image)))
    }

    /// Why the payload of the record is not valid JSON.
    pub(crate) fn why_not_json(&self) -> String {
        json::syntax_error(&self.chunk.text).map_or_else(|| "it cannot be read".to_owned(), |error| error.to_string())
    }

    /// The record as received, byte for byte.
    pub(crate) fn raw_json(&self) -> &str {
        self.piece(self.header().raw)
    }

    pub(crate) fn event_id(&self) -> Option<&str> {
        self.text(self.header().event_id.as_ref())
    }

    pub(crate) fn kind(&self) -> Option<EventKind> {
        self.header().kind
    }

    pub(crate) fn sequence_number(&self) -> Option<&SequenceNumber> {
        self.header().sequence_number.as_ref()
    }

    /// Whether it is that of an item that was read from its table, and so has no sequence number.
    pub(crate) fn is_backfilled(&self) -> bool {
        self.sequence_number().is_none() && self.header().is_backfilled(&self.chunk.text)
    }

    pub(crate) fn stream_arn(&self) -> Option<&str> {
        self.text(self.header().stream_arn.as_ref())
    }

    pub(crate) fn region(&self) -> Option<&str> {
        self.text(self.header().region.as_ref())
    }

    pub(crate) fn created_at(&self) -> Option<SystemTime> {
        self.header().created_at
    }

    pub(crate) fn size_bytes(&self) -> Option<u64> {
        self.header().size_bytes
    }

    pub(crate) fn view_type(&self) -> Option<&str> {
        self.text(self.header().view_type.as_ref())
    }

    /// Whether DynamoDB itself made the change.
    pub(crate) fn by_dynamodb(&self) -> bool {
        self.header().by_dynamodb
    }

    /// The item's primary key as DynamoDB JSON, if the record has one.
    pub(crate) fn keys_json(&self) -> Option<&str> {
        self.header().keys.map(|keys| self.piece(keys))
    }

    /// The same, borrowed from the payload's text, which the caller holds too.
    pub(crate) fn keys_json_in<'a>(&self, text: &'a str) -> Option<&'a str> {
        self.header().keys.map(|keys| keys.of(text))
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
            _ => return self.hash(),
        }
        hash.to_hex()
    }

    /// A key that distinguishes this change from all others, and is the same in every delivery: the event id; without one, the stream and
    /// the sequence number; without these, a hash of the record.
    pub(crate) fn idempotency_key(&self) -> Cow<'_, str> {
        if let Some(id) = self.event_id().filter(|id| !id.is_empty()) {
            return id.into();
        }
        match (self.stream_arn(), self.sequence_number()) {
            (Some(arn), Some(number)) => format!("{arn}/{number}").into(),
            _ => self.hash().into(),
        }
    }

    /// A hash of the record's text: 32 hexadecimal digits.
    pub(crate) fn hash(&self) -> String {
        let mut hash = Fnv128::new();
        hash.write_str(self.raw_json());
        hash.to_hex()
    }

    pub(super) fn piece(&self, span: Span) -> &str {
        span.of(&self.chunk.text)
    }

    fn text<'a>(&'a self, text: Option<&'a JsonStr>) -> Option<&'a str> {
        text.map(|text| text.of(&self.chunk.text))
    }
}
