//! Parses the payload of an invocation. Records stay raw JSON until they are processed; a payload that is not a DynamoDB
//! stream event is rejected with a description of what it looks like.

#[cfg(feature = "aws_lambda_events")]
mod aws_lambda_events;
mod members;
mod reader;
mod records;
mod window;

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, de};
use serde_json::value::RawValue;

use crate::error::Error;
use crate::record::{Chunk, ImageCheck, MalformedRecord, Record, RecordRef};

pub(crate) use self::records::Records;
pub(crate) use self::window::Window;

use self::reader::EventReader;

/// The payload of one invocation by a DynamoDB stream: up to 10,000 records, each still raw JSON.
///
/// ```
/// use lambda_streams::{PayloadKind, StreamEvent};
///
/// let event = StreamEvent::from_slice(br#"{"Records": []}"#)?;
/// assert!(event.is_empty());
///
/// let error = StreamEvent::from_slice(br#"{"Records": [{"eventSource": "aws:sqs", "messageId": "1"}]}"#).unwrap_err();
/// assert_eq!(error.payload_kind(), Some(PayloadKind::Sqs));
/// # Ok::<(), lambda_streams::Error>(())
/// ```
///
/// Only the envelope around the records must be well-formed: a malformed record fails alone, when it is processed. A payload that is not a
/// stream event is refused with an error that says what it looks like. So is a payload whose records all name another source than
/// `aws:dynamodb`, or whose records come from several sources. A payload with more than 10,000 records is refused because Lambda never
/// sends that many.
#[derive(Clone)]
pub struct StreamEvent {
    /// All records.
    chunk: Arc<Chunk>,
    window: Option<Window>,
}

impl StreamEvent {
    /// Parses an invocation's payload. The records are copied; [`from_vec`](Self::from_vec) avoids that.
    ///
    /// # Errors
    /// If the payload is not valid JSON, is not the event of a DynamoDB stream, or has more than 10,000 records ([`Error::is_event`]).
    pub fn from_slice(payload: &[u8]) -> Result<Self, Error> {
        Self::from_vec(payload.to_vec())
    }

    /// Parses an invocation's payload and keeps it, so the records need not be copied.
    ///
    /// ```
    /// use lambda_streams::StreamEvent;
    ///
    /// let event = StreamEvent::from_vec(br#"{"Records": []}"#.to_vec())?;
    /// assert_eq!(event.len(), 0);
    /// # Ok::<(), lambda_streams::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`from_slice`](Self::from_slice).
    pub fn from_vec(payload: Vec<u8>) -> Result<Self, Error> {
        Self::from_text(text(payload)?, ImageCheck::Now)
    }

    fn from_text(text: String, images: ImageCheck<'_>) -> Result<Self, Error> {
        check_not_by_command(&text)?;
        let text = Arc::new(text);
        let mut reader = EventReader::new(&text);
        let chunk = Arc::new(reader.next_chunk(usize::MAX, images));
        Ok(Self { chunk, window: reader.finish()? })
    }

    /// Records of another origin, in this order. Each must be one valid JSON value; if one is not, the event is empty.
    pub(crate) fn of_records(records: &[String]) -> Self {
        let text = Arc::new(format!("{{\"Records\":[{}]}}", records.join(",")));
        let mut reader = EventReader::with_room(&text, records.len());
        let mut chunk = reader.next_chunk(usize::MAX, ImageCheck::Now);
        if !reader.is_valid_so_far() {
            chunk.headers.clear();
        }
        Self { chunk: Arc::new(chunk), window: None }
    }

    /// The number of records, malformed ones included.
    pub fn len(&self) -> usize {
        self.chunk.headers.len()
    }

    /// Whether the event has no records. The last event of a tumbling window may be empty.
    pub fn is_empty(&self) -> bool {
        self.chunk.headers.is_empty()
    }

    /// The records in stream order. A malformed record is an error with everything that could be read of it.
    ///
    /// ```
    /// use lambda_streams::StreamEvent;
    ///
    /// let event = StreamEvent::from_slice(br#"{"Records": [{"eventSource": "aws:dynamodb"}]}"#)?;
    /// let malformed = event.records().next().expect("one record").unwrap_err();
    /// assert_eq!(malformed.to_string(), "`eventName` is missing");
    /// # Ok::<(), lambda_streams::Error>(())
    /// ```
    pub fn records(&self) -> impl Iterator<Item = Result<Record, MalformedRecord>> {
        RecordRef::of_chunk(&self.chunk, 0..self.len()).map(Record::new)
    }
}

impl<'de> Deserialize<'de> for StreamEvent {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let json = Box::<str>::from(Box::<RawValue>::deserialize(deserializer)?);
        Self::from_text(json.into(), ImageCheck::Done).map_err(de::Error::custom)
    }
}

/// Shows how many records there are, and nothing of their content.
impl fmt::Debug for StreamEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StreamEvent").field("records", &self.len()).finish_non_exhaustive()
    }
}

/// The member by which a command says what the event is. It is the first.
const COMMAND: &str = "\"lambdaStreams\"";

/// Whether a command of `lambda-streams` has made the event. It costs a stream's event one comparison.
pub(crate) fn is_by_command(text: &str) -> bool {
    after_command(text).is_some()
}

/// The JSON text that begins with what a command asks, in an event that one has made.
pub(crate) fn command_of(text: &str) -> Option<&str> {
    after_command(text)?.trim_ascii_start().strip_prefix(':')
}

fn after_command(text: &str) -> Option<&str> {
    text.trim_ascii_start().strip_prefix('{')?.trim_ascii_start().strip_prefix(COMMAND)
}

/// Refuses the event of a command where the caller would take its records for those of a stream: what the stream has passed would be skipped
/// as done, although it was discarded.
pub(crate) fn check_not_by_command(text: &str) -> Result<(), Error> {
    if !is_by_command(text) {
        return Ok(());
    }
    let message = "a command of `lambda-streams` has made the payload, and its records must not be processed as a stream's: the function \
                   must be run by `lambda_streams::run`, or call `StreamProcessor::process_invocation`";
    Err(Error::way_back(message, None))
}

/// The payload as text, if it is UTF-8 without a byte order mark and not empty.
pub(crate) fn text(payload: Vec<u8>) -> Result<String, Error> {
    if payload.starts_with(b"\xEF\xBB\xBF") {
        return Err(Error::not_json("it starts with a byte order mark"));
    }
    if payload.iter().all(u8::is_ascii_whitespace) {
        return Err(Error::not_json("it is empty"));
    }
    String::from_utf8(payload).map_err(Error::not_json)
}
