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
//! // … or all of it.
//! let processor = StreamProcessor::builder().on_insert(created).build()?;
//! let report = processor.process(event, Deadline::none()).await;
//! assert_eq!(report.records()[0].outcome, Outcome::Succeeded);
//! assert_eq!(report.records()[1].outcome, Outcome::Reported);
//! # Ok(())
//! # }
//! ```
//!
//! A [`MemoryDeadLetterQueue`](crate::MemoryDeadLetterQueue) shows what became a dead letter; tokio's paused clock makes
//! retries, timeouts and deadlines pass at once.

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
/// An item is whatever serializes to DynamoDB JSON: `serde_json`'s `json!({"id": {"S": "a"}})`, or one of your own types
/// through [`serde_dynamo::to_item`](https://docs.rs/serde_dynamo/4/serde_dynamo/fn.to_item.html). Records have what a
/// stream's have: both images, ascending sequence numbers, the event ids `test-1`, `test-2`, …, and the current time. Each
/// stream has an ARN of its own, which its clones share. Deliver a clone of an event to see records redelivered.
/// The [module](self) has an example.
#[derive(Clone)]
#[must_use]
pub struct TestStream {
    table: String,
    /// Tells it from the other streams of the process.
    stream: usize,
    /// The number of the next record.
    next: u128,
    keys: Vec<String>,
    view_type: String,
    age: Duration,
    records: Vec<String>,
    fault: Option<Error>,
}

/// How many there have been in this process.
static STREAMS: AtomicUsize = AtomicUsize::new(0);

/// An item's JSON, if it has one.
type Item = Result<Value, serde_json::Error>;

impl TestStream {
    /// Of the table with this name, and these attributes as its primary key.
    pub fn new(table: impl Into<String>, keys: &[&str]) -> Self {
        Self {
            table: table.into(),
            stream: STREAMS.fetch_add(1, Ordering::Relaxed),
            next: 1,
            keys: keys.iter().map(|key| (*key).to_owned()).collect(),
            view_type: "NEW_AND_OLD_IMAGES".to_owned(),
            age: Duration::ZERO,
            records: Vec::new(),
            fault: None,
        }
    }

    /// What the records that follow carry: `NEW_AND_OLD_IMAGES`, which is the default, `NEW_IMAGE`, `OLD_IMAGE` or
    /// `KEYS_ONLY`.
    pub fn view_type(mut self, view_type: &str) -> Self {
        if !["NEW_AND_OLD_IMAGES", "NEW_IMAGE", "OLD_IMAGE", "KEYS_ONLY"].contains(&view_type) {
            self.refuse(self.records.len() + 1, format!("`{view_type}` is not a view type of a stream"));
        }
        view_type.clone_into(&mut self.view_type);
        self
    }

    /// How long ago the changes that follow were made. Default: just now.
    pub fn age(mut self, age: Duration) -> Self {
        self.age = age;
        self
    }

    /// Numbers the records that follow from `number` on: their sequence numbers ascend with it, and their event ids are
    /// `test-{number}`, … Default: 1.
    ///
    /// Together with a clone, it makes a later event of the same stream:
    ///
    /// ```
    /// use lambda_streams::testing::TestStream;
    /// use serde_json::json;
    ///
    /// # fn main() -> Result<(), lambda_streams::Error> {
    /// let orders = TestStream::new("orders", &["id"]);
    /// let first = orders.clone().insert(json!({"id": {"S": "a"}})).event()?;
    /// let second = orders.starting_at(2).insert(json!({"id": {"S": "b"}})).event()?;
    /// # let (first, second) = (first.records().next().unwrap().unwrap(), second.records().next().unwrap().unwrap());
    /// # assert_eq!((first.event_id(), second.event_id()), (Some("test-1"), Some("test-2")));
    /// # assert_eq!(first.stream_arn(), second.stream_arn());
    /// # Ok(())
    /// # }
    /// ```
    pub fn starting_at(mut self, number: u64) -> Self {
        self.next = number.into();
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

    /// An item is deleted by DynamoDB, since its time to live is over ([`Record::is_ttl_expiry`](crate::Record::is_ttl_expiry)).
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
        self.next += 1;
        self
    }

    /// Sets one member of the latest record, whatever was there, so that a test can deliver what a stream seldom does. A
    /// [JSON pointer](https://www.rfc-editor.org/rfc/rfc6901) says which; the object around the member must exist.
    ///
    /// ```
    /// use lambda_streams::testing::TestStream;
    /// use serde_json::json;
    ///
    /// # fn main() -> Result<(), lambda_streams::Error> {
    /// let event = TestStream::new("orders", &["id"])
    ///     .insert(json!({"id": {"S": "a"}, "total": {"N": "7"}}))
    ///     .with("/dynamodb/NewImage/total", json!({"S": "seven"})) // does not decode as a number
    ///     .insert(json!({"id": {"S": "b"}, "total": {"N": "7"}}))
    ///     .without("/dynamodb/Keys") // is malformed
    ///     .event()?;
    /// assert_eq!(event.records().map(|record| record.is_ok()).collect::<Vec<_>>(), [true, false]);
    /// # Ok(())
    /// # }
    /// ```
    pub fn with(self, pointer: &str, value: impl Serialize) -> Self {
        let value = serde_json::to_value(value);
        self.edit(pointer, |members, name| {
            let value =
                value.map_err(|error| format!("the value of `{pointer}` does not serialize to JSON: {error}"))?;
            members.insert(name, value);
            Ok(())
        })
    }

    /// Removes one member of the latest record, at a JSON pointer as in [`with`](Self::with).
    pub fn without(self, pointer: &str) -> Self {
        self.edit(pointer, |members, name| match members.remove(&name) {
            Some(_) => Ok(()),
            None => Err(format!("its record has no `{pointer}`")),
        })
    }

    /// The event, for [`process`](crate::StreamProcessor::process).
    ///
    /// # Errors
    /// If an item is not well-formed DynamoDB JSON or lacks a key attribute; if the view type does not exist; if a record is
    /// not valid JSON; or if an edit does not fit its record.
    pub fn event(self) -> Result<StreamEvent, Error> {
        StreamEvent::from_vec(self.payload()?)
    }

    /// The event as an invocation's payload, for [`process_payload`](crate::StreamProcessor::process_payload), a function on a
    /// Runtime API, or a file.
    ///
    /// # Errors
    /// As [`event`](Self::event), but a record that is no JSON is not found.
    pub fn payload(self) -> Result<Vec<u8>, Error> {
        match self.fault {
            Some(fault) => Err(fault),
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
                self.refuse(self.records.len() + 1, why);
                self
            }
        }
    }

    /// Edits the object around a pointer's last name, in the latest record.
    fn edit(mut self, pointer: &str, edit: impl FnOnce(&mut Map<String, Value>, String) -> Result<(), String>) -> Self {
        let latest = self.records.pop().ok_or_else(|| format!("there is no record yet to edit at `{pointer}`"));
        match latest.and_then(|record| edited(&record, pointer, edit)) {
            Ok(record) => self.records.push(record),
            Err(why) => self.refuse(self.records.len() + 1, why),
        }
        self
    }

    /// The first fault is the one that is told.
    fn refuse(&mut self, change: usize, why: String) {
        self.fault.get_or_insert_with(|| Error::configuration(format!("change {change} of the test stream: {why}")));
    }

    fn record_of(&self, kind: EventKind, old: Option<Item>, new: Option<Item>) -> Result<Value, String> {
        let (old, new) = (old.map(checked).transpose()?, new.map(checked).transpose()?);
        let number = self.next;
        let made =
            time_of_day().checked_sub(self.age).and_then(|made| made.duration_since(SystemTime::UNIX_EPOCH).ok());
        let mut change = json!({
            "ApproximateCreationDateTime": made.unwrap_or_default().as_secs(),
            "Keys": self.keys_of(new.as_ref().or(old.as_ref()))?,
            "SequenceNumber": (100_000_000_000_000_000_000_u128 + number).to_string(),
            "SizeBytes": old.iter().chain(&new).map(|item| item.to_string().len()).sum::<usize>(),
            "StreamViewType": self.view_type,
        });
        for (name, view_type, image) in [("OldImage", "OLD_IMAGE", old), ("NewImage", "NEW_IMAGE", new)] {
            if let Some(image) = image.filter(|_| ["NEW_AND_OLD_IMAGES", view_type].contains(&self.view_type.as_str()))
            {
                change[name] = image;
            }
        }
        let (table, stream) = (&self.table, self.stream);
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

fn edited(
    record: &str,
    pointer: &str,
    edit: impl FnOnce(&mut Map<String, Value>, String) -> Result<(), String>,
) -> Result<String, String> {
    let mut record: Value =
        serde_json::from_str(record).map_err(|error| format!("its record is not valid JSON: {error}"))?;
    let around = pointer.rsplit_once('/').and_then(|(around, name)| {
        let name = name.replace("~1", "/").replace("~0", "~");
        record.pointer_mut(around)?.as_object_mut().map(|members| (members, name))
    });
    let (members, name) = around.ok_or_else(|| format!("its record has no object around `{pointer}`"))?;
    edit(members, name)?;
    Ok(record.to_string())
}

/// Shows how many changes there are, and nothing of the items.
impl fmt::Debug for TestStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TestStream")
            .field("table", &self.table)
            .field("records", &self.records.len())
            .finish_non_exhaustive()
    }
}
