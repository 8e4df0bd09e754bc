//! Where records come from: the trait, and what passes through it.
//!
//! A source deals with expired iterators, throttling and trimmed data itself: its errors end the run.

use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::time::SystemTime;

use lambda_streams::{Record, SequenceNumber};
use serde_json::value::RawValue;

/// Where records come from: a stream's shards.
///
/// ```
/// use lambda_streams_local::{MemorySource, Position, Source};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), lambda_streams_local::SourceError> {
/// let source = MemorySource::new("arn:aws:dynamodb:eu-central-1:123456789012:table/orders/stream/2026-01-01T00:00:00.000")
///     .shard("shardId-1", None, [r#"{"eventID": "1"}"#])?;
/// let iterator = source.open("shardId-1", &Position::TrimHorizon).await?;
/// let page = source.read(iterator).await?;
/// assert_eq!(page.records.len(), 1);
/// assert!(page.next.is_none(), "the shard is closed and drained");
/// # Ok(())
/// # }
/// ```
pub trait Source: Send + Sync + 'static {
    /// The stream's ARN, for on-failure documents and windows.
    fn stream_arn(&self) -> String;

    /// The shards that exist now, with their lineage, in any order.
    ///
    /// # Errors
    /// If they cannot be listed; the run ends then.
    fn shards(&self) -> impl Future<Output = Result<Vec<Shard>, SourceError>> + Send;

    /// Whether a listing told that this shard is closed: its end is yet to come, however many of its pages are empty. Where
    /// the source does not know it is `false`, the default; a shard that has a child is closed in any case.
    fn has_ended(&self, shard: &str) -> bool {
        let _ = shard;
        false
    }

    /// Opens a shard for reading.
    ///
    /// A mapping with `LATEST` opens all shards that exist at its start, before it reads the first of them.
    ///
    /// # Errors
    /// If it cannot be opened; the run ends then.
    fn open(&self, shard: &str, from: &Position) -> impl Future<Output = Result<ShardIterator, SourceError>> + Send;

    /// Reads on: a page of at most 1,000 records or 1 MB, which may be empty, and how to go on.
    ///
    /// Expired iterators, throttling and trimmed data are handled inside the source, which reopens after the last
    /// record it gave.
    ///
    /// # Errors
    /// If reading cannot go on; the error says what to do, and the run ends.
    ///
    /// # Cancellation
    /// The future is dropped when the run stops, and never read again from the same iterator.
    fn read(&self, iterator: ShardIterator) -> impl Future<Output = Result<Page, SourceError>> + Send;
}

/// Shared between a mapping and whoever feeds it.
impl<S: Source> Source for Arc<S> {
    fn stream_arn(&self) -> String {
        S::stream_arn(self)
    }

    fn shards(&self) -> impl Future<Output = Result<Vec<Shard>, SourceError>> + Send {
        S::shards(self)
    }

    fn has_ended(&self, shard: &str) -> bool {
        S::has_ended(self, shard)
    }

    fn open(&self, shard: &str, from: &Position) -> impl Future<Output = Result<ShardIterator, SourceError>> + Send {
        S::open(self, shard, from)
    }

    fn read(&self, iterator: ShardIterator) -> impl Future<Output = Result<Page, SourceError>> + Send {
        S::read(self, iterator)
    }
}

/// A shard and the one it was split from; the parent is consumed first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shard {
    /// The shard's id.
    pub id: String,
    /// The id of its parent, which may have been trimmed already.
    pub parent: Option<String>,
}

/// Where in a shard to begin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Position {
    /// At the oldest record that is there.
    TrimHorizon,
    /// At what is written from now on.
    Latest,
    /// With this record.
    At(SequenceNumber),
    /// With the record after this one.
    After(SequenceNumber),
}

/// Where to read on in a shard; only the source that made it understands the token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShardIterator {
    /// The shard's id.
    pub shard: String,
    /// The source's own token.
    pub token: String,
    /// The last record that was read; an expired iterator is opened again after it.
    pub last: Option<SequenceNumber>,
}

/// What one read gave.
#[derive(Debug, Clone)]
pub struct Page {
    /// The records, in the shard's order; an empty page is not the end.
    pub records: Vec<SourceRecord>,
    /// How to go on; `None` if the shard is closed and drained.
    pub next: Option<ShardIterator>,
}

/// One record in Lambda's JSON, with what a mapping must know about it.
#[derive(Clone)]
pub struct SourceRecord {
    json: Arc<str>,
    sequence_number: Option<SequenceNumber>,
    created_at: Option<SystemTime>,
    item: u64,
}

impl SourceRecord {
    /// Takes a record in the JSON in which Lambda delivers it.
    ///
    /// A malformed record is accepted as well, and so is any JSON value: the function has to deal with it, as on AWS.
    ///
    /// # Errors
    /// If it is not valid JSON.
    ///
    /// ```
    /// use lambda_streams_local::SourceRecord;
    ///
    /// let record = SourceRecord::from_json(r#"{"dynamodb": {"SequenceNumber": "111"}}"#)?;
    /// assert_eq!(record.sequence_number().expect("it has one").as_str(), "111");
    /// assert!(SourceRecord::from_json("{").is_err());
    /// # Ok::<(), lambda_streams_local::SourceError>(())
    /// ```
    pub fn from_json(json: impl Into<String>) -> Result<Self, SourceError> {
        let json: String = json.into();
        serde_json::from_str::<&RawValue>(&json)
            .map_err(|error| SourceError::new(format!("the record is not valid JSON: {error}")))?;
        let json = json.trim();
        Ok(match Record::from_json(json) {
            Ok(record) => Self {
                json: json.into(),
                sequence_number: record.sequence_number().copied(),
                created_at: record.created_at(),
                item: item(&record.group_id()),
            },
            Err(malformed) => Self {
                json: json.into(),
                sequence_number: malformed.sequence_number().copied(),
                created_at: malformed.created_at(),
                item: item(&malformed.group_id()),
            },
        })
    }

    /// The record as the function receives it.
    pub fn json(&self) -> &str {
        &self.json
    }

    /// Its place in the shard; `None` for a malformed record that has none.
    pub fn sequence_number(&self) -> Option<&SequenceNumber> {
        self.sequence_number.as_ref()
    }

    /// When the change was made; `None` where the record does not say.
    pub fn created_at(&self) -> Option<SystemTime> {
        self.created_at
    }

    /// The item it belongs to, as a number that the records of one item share; a record without readable keys is an item of
    /// its own.
    pub fn item(&self) -> u64 {
        self.item
    }
}

/// Half of a group's 128-bit hash: the same item is the same number in every run.
fn item(group_id: &str) -> u64 {
    u64::from_str_radix(&group_id[16..], 16).expect("a group id is 32 hexadecimal digits")
}

/// Shows which record it is, and nothing of the item.
impl fmt::Debug for SourceRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SourceRecord")
            .field("sequence_number", &self.sequence_number)
            .field("bytes", &self.json.len())
            .finish_non_exhaustive()
    }
}

/// Why a stream cannot be read, and what to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceError(String);

impl SourceError {
    /// Takes the message: what happened, where, and what to do.
    pub fn new(message: impl Into<String>) -> Self {
        Self(message.into())
    }
}

impl fmt::Display for SourceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for SourceError {}
