//! The payload of an invocation: a lenient envelope around raw records, and what it is if it is none.

mod shape;
mod window;

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, de};
use serde_json::value::RawValue;

use crate::error::Error;
use crate::json::{self, Members, NotJson, Scanner};
use crate::payload::{Payload, Window};
use crate::record::{Envelope, EventKind, Facts, Images, MalformedRecord, RawEnvelope, Record};

pub use self::shape::EventShape;

/// The payload of one invocation by a DynamoDB stream: up to 10,000 records, each still raw JSON.
///
/// It deserializes from whatever Lambda sends, and looks at the envelope alone: a malformed record fails by itself,
/// when its turn comes. What is no stream event at all is refused with an error that says what it looks like.
///
/// ```
/// use lambda_streams::{EventShape, StreamEvent};
///
/// let event = StreamEvent::from_slice(br#"{"Records": []}"#)?;
/// assert!(event.is_empty());
///
/// let error = StreamEvent::from_slice(br#"{"Records": [{"eventSource": "aws:sqs", "messageId": "1"}]}"#).unwrap_err();
/// assert_eq!(error.event_shape(), Some(EventShape::Sqs));
/// # Ok::<(), lambda_streams::Error>(())
/// ```
#[derive(Clone)]
pub struct StreamEvent {
    payload: Arc<Payload>,
    window: Option<Window>,
}

impl StreamEvent {
    /// Reads an invocation's payload.
    ///
    /// # Errors
    /// If the payload is not JSON, or is not the event of a DynamoDB stream ([`Error::is_event`]).
    pub fn from_slice(payload: &[u8]) -> Result<Self, Error> {
        Self::from_vec(payload.to_vec())
    }

    /// Reads an invocation's payload, and keeps it as it is: the records are parts of it.
    ///
    /// # Errors
    /// As [`from_slice`](Self::from_slice).
    pub fn from_vec(payload: Vec<u8>) -> Result<Self, Error> {
        Self::from_text(text(payload)?, Images::Check)
    }

    /// The same, but the images of the kinds of change that have a handler are not checked to be JSON: that is for whoever
    /// processes the records.
    pub(crate) fn with_unchecked_images(
        payload: Vec<u8>,
        has_handler: impl Fn(EventKind) -> bool,
    ) -> Result<Self, Error> {
        Self::from_text(text(payload)?, Images::Leave(&has_handler))
    }

    fn from_text(text: String, images: Images<'_>) -> Result<Self, Error> {
        match Self::read(&text, images) {
            Ok((envelopes, window)) => Ok(Self { payload: Arc::new(Payload { text, envelopes }), window }),
            // What is no JSON is nothing else.
            Err(error) => Err(json::why_not_json(&text).map_or(error, Error::not_json)),
        }
    }

    fn read(text: &str, images: Images<'_>) -> Result<(Vec<Envelope>, Option<Window>), Error> {
        let read = RawEvent::read(text, images).map_err(|NotJson| Error::not_json("it cannot be read"))?;
        let refuse = || Error::not_a_stream_event(EventShape::of_json(text));
        let event = read.ok_or_else(refuse)?;
        let [_, members @ ..] = *event.members.values().map_err(|bad| match bad.repeated {
            true => Error::broken_envelope("a member stands in it twice"),
            false => refuse(),
        })?;
        let envelopes = event.envelopes.ok_or_else(refuse)?;
        if !event.any_of_stream && shape::is_foreign(EventShape::of_json(text)) {
            return Err(refuse());
        }
        let members = members.map(|member| member.map(|member| member.json));
        Ok((envelopes, window::read(members).map_err(Error::broken_envelope)?))
    }

    /// Records of another origin, in this order. Each must be one JSON value; if one is not, the event is empty.
    pub(crate) fn of_records(records: &[String]) -> Self {
        let text = format!("{{\"Records\":[{}]}}", records.join(","));
        let event = RawEvent::read(&text, Images::Check).ok().flatten();
        let envelopes = event.and_then(|event| event.envelopes).unwrap_or_default();
        Self { payload: Arc::new(Payload { text, envelopes }), window: None }
    }

    /// How many records the event holds.
    pub fn len(&self) -> usize {
        self.payload.envelopes.len()
    }

    /// Whether the event holds no record, as the last one of a tumbling window may.
    pub fn is_empty(&self) -> bool {
        self.payload.envelopes.is_empty()
    }

    /// Reads the records' envelopes, in stream order; a malformed one is an error by itself.
    pub fn records(&self) -> impl Iterator<Item = Result<Record, MalformedRecord>> {
        self.facts().map(Record::new)
    }

    /// What is known of each record, in stream order.
    pub(crate) fn facts(&self) -> impl Iterator<Item = Facts> {
        (0..self.len()).map(|position| Facts::new(Arc::clone(&self.payload), position))
    }

    pub(crate) fn into_window(self) -> Option<Window> {
        self.window
    }
}

impl<'de> Deserialize<'de> for StreamEvent {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let json = Box::<str>::from(Box::<RawValue>::deserialize(deserializer)?);
        Self::from_text(json.into(), Images::Trust).map_err(de::Error::custom)
    }
}

/// Shows how many records there are, and nothing of them.
impl fmt::Debug for StreamEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StreamEvent").field("records", &self.payload.envelopes.len()).finish_non_exhaustive()
    }
}

/// An invocation's text.
fn text(payload: Vec<u8>) -> Result<String, Error> {
    if payload.starts_with(b"\xEF\xBB\xBF") {
        return Err(Error::not_json("it starts with a byte order mark"));
    }
    if payload.iter().all(u8::is_ascii_whitespace) {
        return Err(Error::not_json("it is empty"));
    }
    String::from_utf8(payload).map_err(Error::not_json)
}

/// The members that mean something, by their numbers.
fn member(name: &str) -> Option<usize> {
    ["Records", "window", "state", "shardId", "isFinalInvokeForWindow"].iter().position(|known| *known == name)
}
const RECORDS: usize = 0;

/// The event's envelope, read in one pass with those of its records.
struct RawEvent<'a> {
    members: Members<'a, 5>,
    /// `None` if `Records` is missing, or no list.
    envelopes: Option<Vec<Envelope>>,
    any_of_stream: bool,
}

impl<'a> RawEvent<'a> {
    /// `None` if the text is no object.
    fn read(text: &'a str, images: Images<'_>) -> Result<Option<Self>, NotJson> {
        let mut event = Self { members: Members::NONE, envelopes: None, any_of_stream: false };
        let mut scanner = Scanner::new(text);
        if scanner.peek_value() != Some(b'{') {
            scanner.value()?;
            return scanner.end().map(|()| None);
        }
        let Self { members, envelopes, any_of_stream } = &mut event;
        scanner.object(members, member, |scanner, number| {
            if number != RECORDS || scanner.peek_value() != Some(b'[') {
                return scanner.value();
            }
            let (mut read, mut record) = (Vec::new(), RawEnvelope::new(text));
            let json = scanner.array(|scanner| {
                record.scan(scanner, images)?;
                if read.is_empty() {
                    // Records are about as long as the first, so that the list grows once, and rarely twice.
                    read.reserve(text.len() / (record.json().len() + 1) + 1);
                }
                *any_of_stream |= record.is_of_stream();
                let envelope = read.push_mut(Envelope::unknown(&record));
                envelope.read(&record);
                // Where the images of a malformed record lie is not known.
                let is_json = envelope.is_whole() || !record.has_unchecked_images() || json::is_json(record.json());
                if is_json { Ok(()) } else { Err(NotJson) }
            })?;
            *envelopes = Some(read);
            Ok(json)
        })?;
        scanner.end()?;
        Ok(Some(event))
    }
}
