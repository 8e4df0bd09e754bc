//! The payload of an invocation: a lenient envelope around raw records, and what it is if it is none.

mod reader;
mod records;
mod window;

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, de};
use serde_json::value::RawValue;

use crate::error::Error;
use crate::record::{Facts, Images, MalformedRecord, Record, Stretch};

pub(crate) use self::records::Records;
pub(crate) use self::window::Window;

use self::reader::EventReader;

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
    /// All records.
    stretch: Arc<Stretch>,
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

    fn from_text(text: String, images: Images<'_>) -> Result<Self, Error> {
        let text = Arc::new(text);
        let mut reader = EventReader::new(&text);
        let stretch = Arc::new(reader.next(usize::MAX, images));
        Ok(Self { stretch, window: reader.finish()? })
    }

    /// Records of another origin, in this order. Each must be one JSON value; if one is not, the event is empty.
    pub(crate) fn of_records(records: &[String]) -> Self {
        let text = Arc::new(format!("{{\"Records\":[{}]}}", records.join(",")));
        let mut reader = EventReader::new(&text);
        let mut stretch = reader.next(usize::MAX, Images::Check);
        if !reader.is_json() {
            stretch.envelopes.clear();
        }
        Self { stretch: Arc::new(stretch), window: None }
    }

    /// How many records the event holds.
    pub fn len(&self) -> usize {
        self.stretch.envelopes.len()
    }

    /// Whether the event holds no record, as the last one of a tumbling window may.
    pub fn is_empty(&self) -> bool {
        self.stretch.envelopes.is_empty()
    }

    /// Reads the records' envelopes, in stream order; a malformed one is an error by itself.
    pub fn records(&self) -> impl Iterator<Item = Result<Record, MalformedRecord>> {
        Facts::of_stretch(&self.stretch, 0..self.len()).map(Record::new)
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
        f.debug_struct("StreamEvent").field("records", &self.len()).finish_non_exhaustive()
    }
}

/// An invocation's text.
pub(crate) fn text(payload: Vec<u8>) -> Result<String, Error> {
    if payload.starts_with(b"\xEF\xBB\xBF") {
        return Err(Error::not_json("it starts with a byte order mark"));
    }
    if payload.iter().all(u8::is_ascii_whitespace) {
        return Err(Error::not_json("it is empty"));
    }
    String::from_utf8(payload).map_err(Error::not_json)
}
