//! The payload of an invocation: a lenient envelope around raw records, and what it is if it is none.

mod shape;

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, de};
use serde_json::value::RawValue;

use crate::error::Error;
use crate::raw::RawJson;
use crate::record::{Malformed, MalformedRecord, Record};

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
    records: Vec<RawJson>,
    window: Option<Window>,
}

/// What a tumbling window adds to the payload.
#[derive(Clone)]
pub(crate) struct Window {
    /// The state of the invocation before, to be answered.
    pub(crate) state: Box<RawValue>,
}

impl StreamEvent {
    /// Reads an invocation's payload.
    ///
    /// # Errors
    /// If the payload is not JSON, or is not the event of a DynamoDB stream ([`Error::is_event`]).
    pub fn from_slice(payload: &[u8]) -> Result<Self, Error> {
        if payload.starts_with(b"\xEF\xBB\xBF") {
            return Err(Error::not_json("it starts with a byte order mark"));
        }
        match serde_json::from_slice::<Box<RawValue>>(payload) {
            Ok(json) => Self::from_json(json),
            Err(_) if payload.iter().all(u8::is_ascii_whitespace) => Err(Error::not_json("it is empty")),
            Err(error) => Err(Error::not_json(error)),
        }
    }

    fn from_json(json: Box<RawValue>) -> Result<Self, Error> {
        let text: Arc<Box<str>> = Arc::new(json.into());
        let refuse = || Error::not_a_stream_event(EventShape::of_json(&text));
        // A derived struct would also be read from an array.
        if !text.trim_start().starts_with('{') {
            return Err(refuse());
        }
        let envelope: RawEvent<'_> = serde_json::from_str(&text).map_err(|error| {
            let duplicate = error.to_string().starts_with("duplicate field");
            if duplicate { Error::broken_envelope("a member stands in it twice") } else { refuse() }
        })?;
        let records: Vec<&RawValue> =
            envelope.records.and_then(|records| serde_json::from_str(records.get()).ok()).ok_or_else(refuse)?;
        if shape::is_foreign(&records) {
            return Err(refuse());
        }
        let window = envelope.window().map_err(Error::broken_envelope)?;
        let records = records.into_iter().map(|record| RawJson::within(&text, record.get())).collect();
        Ok(Self { records, window })
    }

    /// Records of another origin, in this order.
    pub(crate) fn of_records(records: Vec<RawJson>) -> Self {
        Self { records, window: None }
    }

    /// How many records the event holds.
    pub fn len(&self) -> usize {
        self.records.len()
    }

    /// Whether the event holds no record, as the last one of a tumbling window may.
    pub fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    /// Reads the records' envelopes, in stream order; a malformed one is an error by itself.
    pub fn records(&self) -> impl Iterator<Item = Result<Record, MalformedRecord>> {
        self.parse().map(|record| record.map_err(|malformed| malformed.error))
    }

    pub(crate) fn parse(&self) -> impl Iterator<Item = Result<Record, Box<Malformed>>> {
        self.records.iter().cloned().map(Record::parse)
    }

    pub(crate) fn into_window(self) -> Option<Window> {
        self.window
    }
}

impl<'de> Deserialize<'de> for StreamEvent {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::from_json(Box::<RawValue>::deserialize(deserializer)?).map_err(de::Error::custom)
    }
}

/// Shows how many records there are, and nothing of them.
impl fmt::Debug for StreamEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StreamEvent").field("records", &self.records.len()).finish_non_exhaustive()
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawEvent<'a> {
    #[serde(borrow, rename = "Records")]
    records: Option<&'a RawValue>,
    #[serde(borrow)]
    window: Option<&'a RawValue>,
    #[serde(borrow)]
    state: Option<&'a RawValue>,
    #[serde(borrow)]
    shard_id: Option<&'a RawValue>,
    #[serde(borrow)]
    is_final_invoke_for_window: Option<&'a RawValue>,
}

impl RawEvent<'_> {
    /// The tumbling window's part, checked, because an answer without the right state loses the aggregate.
    fn window(&self) -> Result<Option<Window>, &'static str> {
        #[derive(Deserialize)]
        struct Bounds {
            start: String,
            end: String,
        }
        let Some(window) = self.window else { return Ok(None) };
        let bounds: Bounds =
            serde_json::from_str(window.get()).map_err(|_| "`window` has no `start` and `end` that are texts")?;
        if [bounds.start, bounds.end].iter().any(|time| humantime::parse_rfc3339(time).is_err()) {
            return Err("`window` does not start and end at points in time (RFC 3339)");
        }
        if !self.shard_id.is_some_and(|id| id.get().starts_with('"')) {
            return Err("the event of a tumbling window has no `shardId`");
        }
        if !self.is_final_invoke_for_window.is_some_and(|last| matches!(last.get(), "true" | "false")) {
            return Err("`isFinalInvokeForWindow` of a tumbling window is no boolean");
        }
        match self.state {
            Some(state) if state.get().starts_with('{') => Ok(Some(Window { state: state.to_owned() })),
            _ => Err("the event of a tumbling window has no `state` that is an object"),
        }
    }
}
