//! Events and changes for the tests of your own handlers and processors, without a stream.
//!
//! ```
//! use lambda_streams::testing::{TestStream, item};
//! use lambda_streams::{Deadline, HandlerError, Insert, Outcome, StreamProcessor};
//! # use serde::{Deserialize, Serialize};
//!
//! #[derive(Serialize, Deserialize)]
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
//! let order = |id: &str, total| item(Order { id: id.to_owned(), total });
//! let orders = TestStream::new("orders", &["id"]).insert(order("a", 7)).insert(order("b", 0));
//!
//! // A handler alone …
//! for (change, succeeds) in orders.changes()?.into_iter().zip([true, false]) {
//!     assert_eq!(created(change).await.is_ok(), succeeds);
//! }
//!
//! // … or a processor with all of its settings.
//! let processor = StreamProcessor::builder().on_insert(created).build()?;
//! let report = processor.process(orders.event()?, Deadline::none()).await;
//! assert_eq!(report.outcomes(), [Outcome::Succeeded, Outcome::Reported]);
//! # Ok(())
//! # }
//! ```
//!
//! Items are your own types in [`item`], or DynamoDB JSON by hand. Edits of the latest record make what a stream rarely delivers:
//! [`with`](TestStream::with), [`without`](TestStream::without), [`age`](TestStream::age). Processing the event of a
//! batch twice is a redelivery, and [`next_batch`](TestStream::next_batch) continues the same stream.
//!
//! The [testing cookbook](crate::guide::testing) has a recipe for each task: retries on a paused clock, dead letters, order, redelivery, a
//! crash, bulks, entities, filters, redrive, metrics.

mod item;

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
use crate::record::Record;

pub use self::item::{Item, item};

/// Builds the event that Lambda would deliver for changes of a table.
///
/// ```
/// use lambda_streams::testing::TestStream;
/// use serde_json::json;
///
/// let item = |status: &str| json!({"id": {"S": "a"}, "status": {"S": status}});
/// let event = TestStream::new("orders", &["id"]).insert(item("new")).modify(item("new"), item("paid")).event()?;
/// assert_eq!(event.len(), 2);
/// # Ok::<(), lambda_streams::Error>(())
/// ```
///
/// An item is any value that serializes to DynamoDB JSON: your own type in [`item`], or `serde_json`'s `json!({"id": {"S": "a"}})`. The
/// records are complete, like those of a stream: both images, ascending sequence numbers, event ids, and the current time.
///
/// Each stream has its own ARN. Its event ids are `{table}-{stream}-{number}`, where streams count from 0 and records from 1, so no two
/// streams of a process share one. A clone is the same stream: continue it with [`next_batch`](Self::next_batch). The
/// [module](self) has an example, and the [testing cookbook](crate::guide::testing) a recipe for each task.
#[derive(Clone)]
#[must_use]
pub struct TestStream {
    table: String,
    /// With what its event ids begin.
    name: String,
    /// With what its ARN ends.
    label: String,
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
type Image = Result<Value, serde_json::Error>;

impl TestStream {
    /// A stream of the table with this name, with these attributes as its primary key. It has no records yet.
    pub fn new(table: impl Into<String>, keys: &[&str]) -> Self {
        let (table, stream) = (table.into(), STREAMS.fetch_add(1, Ordering::Relaxed));
        Self {
            name: format!("{table}-{stream}"),
            label: format!("2026-01-01T00:00:00.{stream:03}"),
            table,
            next: 1,
            keys: keys.iter().map(|key| (*key).to_owned()).collect(),
            view_type: "NEW_AND_OLD_IMAGES".to_owned(),
            age: Duration::ZERO,
            records: Vec::new(),
            fault: None,
        }
    }

    /// Names the stream, so it is the same in every run: its ARN ends with the name, and the event ids of the records that follow are
    /// `{name}-{number}`. Two streams with one name have the same ids.
    ///
    /// ```
    /// use lambda_streams::Record;
    /// use lambda_streams::testing::TestStream;
    /// use serde_json::json;
    ///
    /// # fn main() -> Result<(), lambda_streams::Error> {
    /// let record: Record = TestStream::new("orders", &["id"]).named("late").insert(json!({"id": {"S": "a"}})).change()?;
    /// assert_eq!(record.event_id(), Some("late-1"));
    /// # Ok(())
    /// # }
    /// ```
    pub fn named(mut self, name: impl Into<String>) -> Self {
        self.name = name.into();
        self.label.clone_from(&self.name);
        self
    }

    /// The images that the following records carry: `NEW_AND_OLD_IMAGES`, `NEW_IMAGE`, `OLD_IMAGE` or `KEYS_ONLY`. Default:
    /// `NEW_AND_OLD_IMAGES`.
    ///
    /// ```
    /// use lambda_streams::Record;
    /// use lambda_streams::testing::TestStream;
    /// use serde_json::json;
    ///
    /// let record: Record = TestStream::new("orders", &["id"]).view_type("KEYS_ONLY").insert(json!({"id": {"S": "a"}})).change()?;
    /// assert!(record.new_image_json().is_none());
    /// # Ok::<(), lambda_streams::Error>(())
    /// ```
    pub fn view_type(mut self, view_type: &str) -> Self {
        if !["NEW_AND_OLD_IMAGES", "NEW_IMAGE", "OLD_IMAGE", "KEYS_ONLY"].contains(&view_type) {
            self.refuse(self.records.len() + 1, format!("`{view_type}` is not a view type of a stream"));
        }
        view_type.clone_into(&mut self.view_type);
        self
    }

    /// How long ago the following changes were made. Default: just now.
    ///
    /// ```
    /// use std::time::{Duration, SystemTime};
    ///
    /// use lambda_streams::Record;
    /// use lambda_streams::testing::TestStream;
    /// use serde_json::json;
    ///
    /// let hour = Duration::from_secs(60 * 60);
    /// let record: Record = TestStream::new("orders", &["id"]).age(hour).insert(json!({"id": {"S": "a"}})).change()?;
    /// let created = record.created_at().expect("it has a creation time");
    /// assert!(SystemTime::now() >= created + hour - Duration::from_secs(1));
    /// # Ok::<(), lambda_streams::Error>(())
    /// ```
    pub fn age(mut self, age: Duration) -> Self {
        self.age = age;
        self
    }

    /// Begins the next batch of the same stream: without the records so far, and with the numbers that follow theirs.
    ///
    /// ```
    /// use lambda_streams::testing::TestStream;
    /// use serde_json::json;
    ///
    /// # fn main() -> Result<(), lambda_streams::Error> {
    /// let first = TestStream::new("orders", &["id"]).insert(json!({"id": {"S": "a"}}));
    /// let second = first.clone().next_batch().insert(json!({"id": {"S": "b"}}));
    /// # use lambda_streams::Record;
    /// let (a, b) = (first.change::<Record>()?, second.change::<Record>()?);
    /// assert_eq!(a.stream_arn(), b.stream_arn());
    /// assert_ne!(a.event_id(), b.event_id());
    /// # Ok(())
    /// # }
    /// ```
    pub fn next_batch(mut self) -> Self {
        self.records.clear();
        self
    }

    /// Numbers the following records, starting at `number`: their sequence numbers ascend with it, and their event ids end with it. Default: the
    /// first record of a stream has the number 1, and each record one more than that before it.
    pub fn starting_at(mut self, number: u64) -> Self {
        self.next = number.into();
        self
    }

    /// Adds a change that creates an item.
    pub fn insert(self, new: impl Serialize) -> Self {
        self.add_change(EventKind::Insert, None, Some(serde_json::to_value(new)))
    }

    /// Adds a change that modifies an item.
    pub fn modify(self, old: impl Serialize, new: impl Serialize) -> Self {
        self.add_change(EventKind::Modify, Some(serde_json::to_value(old)), Some(serde_json::to_value(new)))
    }

    /// Adds a change that deletes an item.
    pub fn remove(self, old: impl Serialize) -> Self {
        self.add_change(EventKind::Remove, Some(serde_json::to_value(old)), None)
    }

    /// Adds a change in which DynamoDB deletes an item because its time to live is over
    /// ([`Record::is_ttl_expiry`](crate::Record::is_ttl_expiry)).
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

    /// Sets one member of the latest record, whatever was there, so a test can deliver what a stream rarely does. A
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

    /// Removes one member of the latest record, which must be there. `pointer` is a
    /// [JSON pointer](https://www.rfc-editor.org/rfc/rfc6901).
    ///
    /// ```
    /// use lambda_streams::Record;
    /// use lambda_streams::testing::TestStream;
    /// use serde_json::json;
    ///
    /// let stream = TestStream::new("orders", &["id"]).insert(json!({"id": {"S": "a"}})).without("/eventID");
    /// assert_eq!(stream.change::<Record>()?.event_id(), None);
    /// # Ok::<(), lambda_streams::Error>(())
    /// ```
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
    pub fn event(&self) -> Result<StreamEvent, Error> {
        StreamEvent::from_vec(self.payload()?)
    }

    /// The event as an invocation's payload, for [`process_payload`](crate::StreamProcessor::process_payload), a function on a Runtime API, or a
    /// file.
    ///
    /// # Errors
    /// As [`event`](Self::event), except that a record that is not valid JSON is not an error.
    pub fn payload(&self) -> Result<Vec<u8>, Error> {
        match &self.fault {
            Some(fault) => Err(fault.clone()),
            None => Ok(format!("{{\"Records\":[{}]}}", self.records.join(",")).into_bytes()),
        }
    }

    /// The changes as handlers receive them, decoded: all as [`Insert<T>`](crate::Insert), [`Modify<T>`](crate::Modify),
    /// [`Remove<T>`](crate::Remove), [`Change<T>`](crate::Change) or [`Record`].
    ///
    /// # Errors
    /// As [`event`](Self::event); and if a record is malformed, is of another kind, or does not decode.
    ///
    /// ```
    /// use lambda_streams::Remove;
    /// use lambda_streams::testing::{TestStream, item};
    /// # #[derive(serde::Serialize, serde::Deserialize)]
    /// # struct Order { id: String }
    ///
    /// # fn main() -> Result<(), lambda_streams::Error> {
    /// let order = |id: &str| item(Order { id: id.to_owned() });
    /// let removed = TestStream::new("orders", &["id"]).remove(order("a")).expire(order("b")).changes::<Remove<Order>>()?;
    /// assert_eq!((removed[1].old.id.as_str(), removed[1].record.is_ttl_expiry()), ("b", true));
    /// # Ok(())
    /// # }
    /// ```
    pub fn changes<C>(&self) -> Result<Vec<C>, Error>
    where
        C: TryFrom<Record, Error: fmt::Display>,
    {
        let event = self.event()?;
        let changes = event.records().enumerate().map(|(position, record)| {
            let record = record.map_err(|error| fault(position + 1, error))?;
            record.try_into().map_err(|error| fault(position + 1, error))
        });
        changes.collect()
    }

    /// The only change, decoded. Of several, [`changes`](Self::changes) gives all.
    ///
    /// # Errors
    /// As [`changes`](Self::changes); and if there is no change, or more than one.
    ///
    /// ```
    /// use lambda_streams::Modify;
    /// use lambda_streams::testing::{TestStream, item};
    /// # #[derive(serde::Serialize, serde::Deserialize)]
    /// # struct Order { id: String, total: u32 }
    ///
    /// # fn main() -> Result<(), lambda_streams::Error> {
    /// # let order = |total| Order { id: "a".to_owned(), total };
    /// # let (old, new) = (order(1), order(2));
    /// let change: Modify<Order> = TestStream::new("orders", &["id"]).modify(item(&old), item(&new)).change()?;
    /// assert_eq!((change.old.total, change.new.total), (1, 2));
    /// # Ok(())
    /// # }
    /// ```
    pub fn change<C>(&self) -> Result<C, Error>
    where
        C: TryFrom<Record, Error: fmt::Display>,
    {
        let changes = <[C; 1]>::try_from(self.changes()?);
        let [change] = changes.map_err(|changes| {
            Error::configuration(format!(
                "the test stream has {} changes, but `change` needs exactly one",
                changes.len()
            ))
        })?;
        Ok(change)
    }

    fn add_change(self, kind: EventKind, old: Option<Image>, new: Option<Image>) -> Self {
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

    /// The first fault is the one that is reported.
    fn refuse(&mut self, change: usize, why: String) {
        self.fault.get_or_insert_with(|| fault(change, why));
    }

    fn record_of(&self, kind: EventKind, old: Option<Image>, new: Option<Image>) -> Result<Value, String> {
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
        let (table, label) = (&self.table, &self.label);
        Ok(json!({
            "eventID": format!("{}-{number}", self.name),
            "eventName": kind.as_str(),
            "eventVersion": "1.1",
            "eventSource": "aws:dynamodb",
            "awsRegion": "us-east-1",
            "dynamodb": change,
            "eventSourceARN": format!("arn:aws:dynamodb:us-east-1:123456789012:table/{table}/stream/{label}"),
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

fn fault(change: usize, why: impl fmt::Display) -> Error {
    Error::configuration(format!("change {change} of the test stream: {why}"))
}

fn checked(item: Image) -> Result<Value, String> {
    let item = item.map_err(|error| format!("its item does not serialize to JSON: {error}"))?;
    decode::check(&item.to_string()).map_err(|error| {
        format!("its item is not DynamoDB JSON, which `testing::item` makes of a type of yours: {error}")
    })?;
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
