//! Events for the tests of your own handlers and processors, without a stream.
//!
//! ```
//! use lambda_streams::testing::TestStream;
//! use lambda_streams::{Deadline, HandlerError, Insert, Outcome, StreamProcessor};
//! use serde_json::json;
//!
//! #[derive(serde::Deserialize)]
//! struct Order { id: String, total: u32 }
//!
//! async fn created(change: Insert<Order>) -> Result<(), HandlerError> {
//!     if change.new.total == 0 {
//!         return Err(HandlerError::permanent("an order of nothing"));
//!     }
//!     Ok(())
//! }
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let event = TestStream::new("orders", &["id"])
//!     .insert(json!({"id": {"S": "a"}, "total": {"N": "7"}}))
//!     .insert(json!({"id": {"S": "b"}, "total": {"N": "0"}}))
//!     .event()?;
//!
//! // A handler alone …
//! for (record, succeeds) in event.records().zip([true, false]) {
//!     let change: Insert<Order> = record?.try_into()?;
//!     assert_eq!(created(change).await.is_ok(), succeeds);
//! }
//!
//! // … or the whole processor.
//! let processor = StreamProcessor::builder().on_insert(created).build()?;
//! let report = processor.process(event, Deadline::none()).await;
//! assert_eq!(report.records()[0].outcome, Outcome::Succeeded);
//! assert_eq!(report.records()[1].outcome, Outcome::Reported);
//! # Ok(())
//! # }
//! ```
//!
//! A [`MemoryDeadLetterQueue`](crate::MemoryDeadLetterQueue) keeps dead letters for assertions. On tokio's paused clock,
//! retries, timeouts and deadlines take no real time.

use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, SystemTime};

use serde::Serialize;
use serde_json::{Map, Value, json};

use crate::clock::time_of_day;
use crate::decode;
use crate::error::Error;
use crate::event::StreamEvent;
use crate::event_kind::EventKind;

/// Builds the event that Lambda would deliver for changes of a table.
///
/// An item is anything that serializes to DynamoDB JSON: `serde_json`'s `json!({"id": {"S": "a"}})`, or one of your own types
/// through [`serde_dynamo::to_item`](https://docs.rs/serde_dynamo/4/serde_dynamo/fn.to_item.html). Records are like those of a
/// stream: they have both images, ascending sequence numbers, the event ids `test-1`, `test-2`, …, and the current time. Each
/// `TestStream` has an ARN of its own. To test redelivery, process a clone of an event. The [module](self) has an example.
#[derive(Clone)]
#[must_use]
pub struct TestStream {
    table: String,
    /// Makes the ARN unique in this process.
    number: usize,
    keys: Vec<String>,
    view_type: String,
    age: Duration,
    records: Vec<String>,
    /// What was wrong with the first change that was refused.
    error: Option<Error>,
}

/// How many streams this process has had.
static STREAMS: AtomicUsize = AtomicUsize::new(0);

/// An item's JSON, if it could be serialized.
type Item = Result<Value, serde_json::Error>;

impl TestStream {
    /// A stream of the table with this name, and with these attributes as its primary key.
    pub fn new(table: impl Into<String>, keys: &[&str]) -> Self {
        Self {
            table: table.into(),
            number: STREAMS.fetch_add(1, Ordering::Relaxed),
            keys: keys.iter().map(|key| (*key).to_owned()).collect(),
            view_type: "NEW_AND_OLD_IMAGES".to_owned(),
            age: Duration::ZERO,
            records: Vec::new(),
            error: None,
        }
    }

    /// The view type of the changes that follow: `NEW_AND_OLD_IMAGES`, which is the default, `NEW_IMAGE`, `OLD_IMAGE` or
    /// `KEYS_ONLY`.
    pub fn view_type(mut self, view_type: &str) -> Self {
        if !["NEW_AND_OLD_IMAGES", "NEW_IMAGE", "OLD_IMAGE", "KEYS_ONLY"].contains(&view_type) {
            self.refuse(format!("`{view_type}` is not a view type of a stream"));
        }
        view_type.clone_into(&mut self.view_type);
        self
    }

    /// How long ago the changes that follow were made. Default: zero.
    pub fn age(mut self, age: Duration) -> Self {
        self.age = age;
        self
    }

    /// Adds a change that creates an item.
    pub fn insert(self, new: impl Serialize) -> Self {
        self.change(EventKind::Insert, None, Some(serde_json::to_value(new)))
    }

    /// Adds a change that modifies an item.
    pub fn modify(self, old: impl Serialize, new: impl Serialize) -> Self {
        self.change(EventKind::Modify, Some(serde_json::to_value(old)), Some(serde_json::to_value(new)))
    }

    /// Adds a change that deletes an item.
    pub fn remove(self, old: impl Serialize) -> Self {
        self.change(EventKind::Remove, Some(serde_json::to_value(old)), None)
    }

    /// Adds a deletion by DynamoDB's time to live ([`Record::is_ttl_expiry`](crate::Record::is_ttl_expiry)).
    pub fn expire(self, old: impl Serialize) -> Self {
        let record = self.record_of(EventKind::Remove, Some(serde_json::to_value(old)), None);
        self.add(record.map(|mut record| {
            record["userIdentity"] = json!({"type": "Service", "principalId": "dynamodb.amazonaws.com"});
            record
        }))
    }

    /// Adds a record as given. It may be malformed, but must be valid JSON.
    pub fn record(mut self, json: impl Into<String>) -> Self {
        self.records.push(json.into());
        self
    }

    /// The event, for [`process`](crate::StreamProcessor::process).
    ///
    /// # Errors
    /// If an item is not well-formed DynamoDB JSON, or lacks a key attribute; if the view type does not exist; or if a record is
    /// not valid JSON.
    pub fn event(self) -> Result<StreamEvent, Error> {
        StreamEvent::from_vec(self.payload()?)
    }

    /// The event as an invocation's payload, for [`process_payload`](crate::StreamProcessor::process_payload), a function on a
    /// Runtime API, or a file.
    ///
    /// # Errors
    /// As [`event`](Self::event), except that records are not checked to be valid JSON.
    pub fn payload(self) -> Result<Vec<u8>, Error> {
        match self.error {
            Some(error) => Err(error),
            None => Ok(format!("{{\"Records\":[{}]}}", self.records.join(",")).into_bytes()),
        }
    }

    fn change(self, kind: EventKind, old: Option<Item>, new: Option<Item>) -> Self {
        let record = self.record_of(kind, old, new);
        self.add(record)
    }

    fn add(mut self, record: Result<Value, String>) -> Self {
        match record {
            Ok(record) => self.record(record.to_string()),
            Err(why) => {
                self.refuse(why);
                self
            }
        }
    }

    /// Keeps the error of a change, to be returned at the end; the first one wins.
    fn refuse(&mut self, why: String) {
        let change = self.records.len() + 1;
        self.error.get_or_insert_with(|| Error::configuration(format!("change {change} of the test stream: {why}")));
    }

    fn record_of(&self, kind: EventKind, old: Option<Item>, new: Option<Item>) -> Result<Value, String> {
        let old = old.map(checked).transpose()?;
        let new = new.map(checked).transpose()?;
        let number = self.records.len() + 1;
        let made =
            time_of_day().checked_sub(self.age).and_then(|made| made.duration_since(SystemTime::UNIX_EPOCH).ok());
        let mut change = json!({
            "ApproximateCreationDateTime": made.unwrap_or_default().as_secs(),
            "Keys": self.keys_of(new.as_ref().or(old.as_ref()))?,
            "SequenceNumber": (100_000_000_000_000_000_000_u128 + number as u128).to_string(),
            "SizeBytes": old.iter().chain(&new).map(|item| item.to_string().len()).sum::<usize>(),
            "StreamViewType": self.view_type,
        });
        for (name, view_type, image) in [("OldImage", "OLD_IMAGE", old), ("NewImage", "NEW_IMAGE", new)] {
            let has_image = self.view_type == "NEW_AND_OLD_IMAGES" || self.view_type == view_type;
            if let Some(image) = image
                && has_image
            {
                change[name] = image;
            }
        }
        let table = &self.table;
        let stream = self.number;
        Ok(json!({
            "eventID": format!("test-{number}"),
            "eventName": kind.as_str(),
            "eventVersion": "1.1",
            "eventSource": "aws:dynamodb",
            "awsRegion": "us-east-1",
            "dynamodb": change,
            "eventSourceARN": format!("arn:aws:dynamodb:us-east-1:123456789012:table/{table}/stream/2026-01-01T00:00:00.{stream:03}"),
        }))
    }

    fn keys_of(&self, item: Option<&Value>) -> Result<Map<String, Value>, String> {
        let key = |name: &String| match item.and_then(|item| item.get(name)) {
            Some(value) => Ok((name.clone(), value.clone())),
            None => Err(format!("its item has no key attribute `{name}`")),
        };
        self.keys.iter().map(key).collect()
    }
}

fn checked(item: Item) -> Result<Value, String> {
    let item = item.map_err(|error| format!("its item does not serialize to JSON: {error}"))?;
    decode::check(&item.to_string()).map_err(|error| format!("its item is not DynamoDB JSON: {error}"))?;
    Ok(item)
}

/// Shows how many changes there are, never the items.
impl fmt::Debug for TestStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TestStream")
            .field("table", &self.table)
            .field("records", &self.records.len())
            .finish_non_exhaustive()
    }
}
