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
    /// The stream's ARN, for on-failure documents and the events of tumbling windows.
    fn stream_arn(&self) -> String;

    /// The shards that exist now, with their lineage, in any order.
    ///
    /// # Errors
    /// If the shards cannot be listed, which ends the run.
    fn shards(&self) -> impl Future<Output = Result<Vec<Shard>, SourceError>> + Send;

    /// Whether a listing said that this shard is closed. A closed shard has an end, however many of its pages are empty.
    /// Default `false`, for a source that does not know. A shard that has a child is closed in any case.
    fn has_ended(&self, shard: &str) -> bool {
        let _ = shard;
        false
    }

    /// Opens a shard for reading.
    ///
    /// A mapping with `LATEST` opens all shards that exist at its start, before it reads the first of them.
    ///
    /// # Errors
    /// If the shard cannot be opened, which ends the run.
    fn open(&self, shard: &str, from: &Position) -> impl Future<Output = Result<ShardIterator, SourceError>> + Send;

    /// Reads the next page: at most 1,000 records or 1 MB, or none, and where to continue.
    ///
    /// The source handles expired iterators, throttling and trimmed data itself: it opens the shard again after the last
    /// record that it returned.
    ///
    /// # Errors
    /// If reading cannot continue, which ends the run. The error says what to do.
    ///
    /// # Cancellation
    /// A run that stops drops the future, and does not read from the same iterator again.
    fn read(&self, iterator: ShardIterator) -> impl Future<Output = Result<Page, SourceError>> + Send;
}

/// Shared between a mapping and the code that feeds it.
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

/// A shard, and the shard that it was split from. A mapping consumes the parent first.
/// ```
/// use lambda_streams_local::Shard;
///
/// let shards = [
///     Shard { id: "shardId-1".to_owned(), parent: None },
///     Shard { id: "shardId-2".to_owned(), parent: Some("shardId-1".to_owned()) },
/// ];
/// assert!(shards.iter().all(|shard| shard.parent.as_ref() != Some(&shard.id)));
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shard {
    /// The shard's id.
    pub id: String,
    /// The id of its parent, which the stream may have trimmed already; `None` for a shard without a parent.
    pub parent: Option<String>,
}

/// Where in a shard to begin reading.
/// ```
/// use lambda_streams::SequenceNumber;
/// use lambda_streams_local::{MemorySource, Position, Source};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let record = |number: u32| format!(r#"{{"eventID": "{number}", "dynamodb": {{"SequenceNumber": "{number}"}}}}"#);
/// let source = MemorySource::new("arn:aws:dynamodb:eu-central-1:123456789012:table/orders/stream/2026-01-01T00:00:00.000")
///     .shard("shardId-1", None, [record(111), record(112)])?;
/// let after = Position::After(SequenceNumber::new("111").expect("it is a number"));
/// let page = source.read(source.open("shardId-1", &after).await?).await?;
/// assert_eq!(page.records[0].json(), record(112));
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Position {
    /// At the oldest record that the stream still has.
    TrimHorizon,
    /// After the newest record: only what is written from now on.
    Latest,
    /// At the record with this sequence number.
    At(SequenceNumber),
    /// After the record with this sequence number.
    After(SequenceNumber),
}

/// Where to continue reading in a shard. Only the source that made it understands the token.
/// ```
/// use lambda_streams_local::ShardIterator;
///
/// // A source of your own decides what its tokens are, such as an offset.
/// let iterator = ShardIterator { shard: "shardId-1".to_owned(), token: "0".to_owned(), last: None };
/// assert_eq!(iterator.token.parse(), Ok(0));
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShardIterator {
    /// The shard's id.
    pub shard: String,
    /// The source's own token.
    pub token: String,
    /// The last record that was read, after which an expired iterator is opened again.
    pub last: Option<SequenceNumber>,
}

/// The result of one read.
/// ```
/// use lambda_streams_local::{Page, SourceRecord};
///
/// let records = vec![SourceRecord::from_json(r#"{"eventID": "1"}"#)?];
/// let last_page = Page { records, next: None };
/// assert_eq!(last_page.records.len(), 1);
/// # Ok::<(), lambda_streams_local::SourceError>(())
/// ```
#[derive(Debug, Clone)]
pub struct Page {
    /// The records, in the shard's order; an empty page is not the end.
    pub records: Vec<SourceRecord>,
    /// Where to continue; `None` if the shard is closed and drained.
    pub next: Option<ShardIterator>,
}

/// One record in Lambda's JSON, with what a mapping has to know about it.
#[derive(Clone)]
pub struct SourceRecord {
    json: Arc<str>,
    sequence_number: Option<SequenceNumber>,
    created_at: Option<SystemTime>,
    item: u64,
}

impl SourceRecord {
    /// A record from the JSON in which Lambda delivers it.
    ///
    /// Any JSON value is accepted, a malformed record too: the function has to deal with it, as on AWS.
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

    /// The record's JSON, as the function receives it.
    pub fn json(&self) -> &str {
        &self.json
    }

    /// The record's place in its shard; `None` for a malformed record without one.
    pub fn sequence_number(&self) -> Option<&SequenceNumber> {
        self.sequence_number.as_ref()
    }

    /// When the change was made; `None` if the record does not say.
    pub fn created_at(&self) -> Option<SystemTime> {
        self.created_at
    }

    /// A number that all records of one item share, the same in every run. A record without readable keys is an item of its own.
    pub fn item(&self) -> u64 {
        self.item
    }
}

/// Half of a group's 128-bit hash: the same item is the same number in every run.
fn item(group_id: &str) -> u64 {
    u64::from_str_radix(&group_id[16..], 16).expect("a group id is 32 hexadecimal digits")
}

/// Shows which record it is, without item data.
impl fmt::Debug for SourceRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SourceRecord")
            .field("sequence_number", &self.sequence_number)
            .field("bytes", &self.json.len())
            .finish_non_exhaustive()
    }
}

/// Why a stream cannot be read, and what to do about it.
/// ```
/// use lambda_streams_local::SourceRecord;
///
/// let error = SourceRecord::from_json("{").unwrap_err();
/// assert!(error.to_string().starts_with("the record is not valid JSON: "));
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceError(String);

impl SourceError {
    /// An error with this message: what happened, where, and what to do.
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
