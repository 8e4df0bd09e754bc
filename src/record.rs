//! One change of one item. A record stays the JSON text that was received: images and keys are decoded on request.

mod chunk;
mod creation_time;
mod fnv;
mod header;
mod malformed;
mod record_ref;
mod scanner;
mod sequence_number;

use std::borrow::Cow;
use std::fmt;
use std::time::SystemTime;

use serde::de::DeserializeOwned;

pub use self::malformed::MalformedRecord;
pub use self::sequence_number::SequenceNumber;

pub(crate) use self::chunk::Chunk;
pub(crate) use self::header::Header;
pub(crate) use self::record_ref::RecordRef;
pub(crate) use self::scanner::{ImageCheck, RecordScanner};

use crate::context::ChangeContext;
use crate::decode::{self, ChangedAttributes, DecodeError};
use crate::event_kind::EventKind;

use self::header::WellFormed;

const IS_WELL_FORMED: &str = "a `Record` is only made from a well-formed record";

/// One change of one item, as the stream delivered it. Cheap to clone.
///
/// The record stays raw JSON: the images and the keys are decoded on request, and [`raw_json`](Self::raw_json) is the text as received,
/// byte for byte. A record keeps the text of its whole batch in memory.
///
/// ```
/// use lambda_streams::{EventKind, Record, StreamEvent};
///
/// let event: StreamEvent = serde_json::from_str(r#"{"Records": [{
///     "eventID": "1", "eventName": "INSERT", "eventSource": "aws:dynamodb", "awsRegion": "eu-central-1",
///     "eventSourceARN": "arn:aws:dynamodb:eu-central-1:123456789012:table/orders/stream/2026-01-01T00:00:00.000",
///     "dynamodb": {"Keys": {"id": {"S": "a"}}, "NewImage": {"id": {"S": "a"}}, "SequenceNumber": "111"}
/// }]}"#)?;
/// let record: Record = event.records().next().expect("one record")?;
/// assert_eq!(record.kind(), EventKind::Insert);
/// assert_eq!(record.table_name(), Some("orders"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct Record {
    /// A record that is well-formed.
    inner: RecordRef,
    context: ChangeContext,
}

impl Record {
    /// The record, unless it is malformed.
    pub(crate) fn new(record: RecordRef) -> Result<Self, MalformedRecord> {
        match &record.header().well_formed {
            Ok(_) => Ok(Self { inner: record, context: ChangeContext::OUTSIDE }),
            Err(kind) => Err(MalformedRecord { kind: kind.clone(), record }),
        }
    }

    /// The record without its context.
    pub(crate) fn reference(&self) -> &RecordRef {
        &self.inner
    }

    /// Reads one record in the JSON in which Lambda delivers it, for tools and tests. A function receives its records in a
    /// [`StreamEvent`](crate::StreamEvent).
    ///
    /// ```
    /// use lambda_streams::Record;
    ///
    /// let record = Record::from_json(r#"{"eventName": "INSERT", "eventSource": "aws:dynamodb",
    ///     "dynamodb": {"Keys": {"id": {"S": "a"}}, "SequenceNumber": "111"}}"#)?;
    /// assert_eq!(record.sequence_number().expect("a stream's record has one").as_str(), "111");
    /// # Ok::<(), lambda_streams::MalformedRecord>(())
    /// ```
    ///
    /// # Errors
    /// If the text is not valid JSON, or not a record of a DynamoDB stream. The error keeps everything that could be read.
    pub fn from_json(json: impl Into<String>) -> Result<Self, MalformedRecord> {
        Self::new(RecordRef::of_text(json.into()))
    }

    /// The record's `eventID`, unique in its stream; `None` if the record has none, or one that is not a string.
    pub fn event_id(&self) -> Option<&str> {
        self.inner.event_id()
    }

    /// What happened to the item.
    pub fn kind(&self) -> EventKind {
        self.well_formed().kind
    }

    /// A key that distinguishes this change from all others, for conditional writes, idempotency stores, and requests that carry a token.
    ///
    /// ```
    /// use lambda_streams::{HandlerError, Insert};
    /// # #[derive(serde::Deserialize)]
    /// # struct Order { id: String }
    /// # async fn charge(order: &Order, idempotency_key: &str) -> Result<(), HandlerError> { Ok(()) }
    ///
    /// async fn created(change: Insert<Order>) -> Result<(), HandlerError> {
    ///     charge(&change.new, &change.record.idempotency_key()).await
    /// }
    /// ```
    ///
    /// It is the same in every delivery: when Lambda redelivers the record, when its dead letter is put back, and in every execution
    /// environment. It is the [event id](Self::event_id), which is unique across streams
    /// ([AWS: Record](https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_streams_Record.html)). For a record without one it is
    /// the stream's ARN and the sequence number (`{arn}/{number}`), and without these a hash of the record's text.
    ///
    /// The key of a [backfill](crate::Origin::Backfill)'s record identifies its item, and is the same in each backfill of the table.
    ///
    /// Events that are written by hand often repeat event ids, and so repeat these keys. Events of
    /// [`testing::TestStream`](crate::testing::TestStream) do not.
    pub fn idempotency_key(&self) -> Cow<'_, str> {
        self.inner.idempotency_key()
    }

    /// The record's place in its shard. It can be compared with that of another change of the same item
    /// ([`SequenceNumber::is_newer_than`]).
    ///
    /// Every record of a DynamoDB stream has one. A record of a [backfill](crate::Origin::Backfill) has none, because its item was read from the
    /// table.
    pub fn sequence_number(&self) -> Option<&SequenceNumber> {
        self.inner.sequence_number()
    }

    /// The table's name, from the stream's ARN; `None` if the record has no ARN, or one of another form.
    pub fn table_name(&self) -> Option<&str> {
        self.inner.table_name()
    }

    /// The stream's ARN: the record's `eventSourceARN`.
    pub fn stream_arn(&self) -> Option<&str> {
        self.inner.stream_arn()
    }

    /// The region of the stream: the record's `awsRegion`. In a global table, the change may have been made in another region.
    pub fn region(&self) -> Option<&str> {
        self.inner.region()
    }

    /// When the change was made, to about a second: `ApproximateCreationDateTime`; `None` if it is absent or unreadable.
    ///
    /// It is read from a number of seconds, milliseconds or microseconds, from a string with such a number, and from a date and time as in
    /// RFC 3339. The offset may be missing, which means UTC, and a space may replace the `T`.
    ///
    /// ```
    /// use std::time::{Duration, SystemTime};
    ///
    /// use lambda_streams::Record;
    ///
    /// let record = Record::from_json(r#"{"eventName": "REMOVE", "eventSource": "aws:dynamodb", "dynamodb": {
    ///     "ApproximateCreationDateTime": 1767225600, "Keys": {"id": {"S": "a"}}, "SequenceNumber": "111"}}"#)?;
    /// assert_eq!(record.created_at(), Some(SystemTime::UNIX_EPOCH + Duration::from_secs(1_767_225_600)));
    /// # Ok::<(), lambda_streams::MalformedRecord>(())
    /// ```
    pub fn created_at(&self) -> Option<SystemTime> {
        self.inner.created_at()
    }

    /// The size of this record in bytes, as DynamoDB counts it: `SizeBytes`; `None` if it is absent or not a number.
    pub fn size_bytes(&self) -> Option<u64> {
        self.inner.size_bytes()
    }

    /// Which images the stream carries: `StreamViewType`, such as `NEW_AND_OLD_IMAGES`.
    pub fn view_type(&self) -> Option<&str> {
        self.inner.view_type()
    }

    /// Whether the item expired by DynamoDB's time to live, instead of being deleted by a caller.
    ///
    /// It is true for a removal whose `userIdentity` is the service `dynamodb.amazonaws.com`. In a global table, only the region in which the
    /// item expired says so; the replicas see an ordinary removal
    /// ([AWS: streams and TTL](https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/time-to-live-ttl-streams.html)).
    ///
    /// ```
    /// use lambda_streams::{HandlerError, Remove};
    /// # #[derive(serde::Deserialize)]
    /// # struct Session { user: String }
    ///
    /// async fn ended(change: Remove<Session>) -> Result<(), HandlerError> {
    ///     if change.record.is_ttl_expiry() {
    ///         println!("the session of {} has expired", change.old.user);
    ///     }
    ///     Ok(())
    /// }
    /// ```
    pub fn is_ttl_expiry(&self) -> bool {
        self.kind() == EventKind::Remove && self.inner.by_dynamodb()
    }

    /// The item's primary key as DynamoDB JSON.
    pub fn keys_json(&self) -> &str {
        self.inner.piece(self.well_formed().keys)
    }

    /// The item after the change as DynamoDB JSON, if the stream carries it.
    ///
    /// An empty object counts as absent in a removal, and in a stream whose view type has no such image.
    pub fn new_image_json(&self) -> Option<&str> {
        self.well_formed().new_image.map(|image| self.inner.piece(image))
    }

    /// The item before the change as DynamoDB JSON, if the stream carries it.
    ///
    /// An empty object counts as absent in an insert, and in a stream whose view type has no such image.
    pub fn old_image_json(&self) -> Option<&str> {
        self.well_formed().old_image.map(|image| self.inner.piece(image))
    }

    /// A name that all records of one item share: 32 hexadecimal digits, the same in every process and on every machine.
    ///
    /// It is a hash of the table and the primary key, however the record spells them: `{"N": "1"}` and `{"N": "1.0"}` are one item. Use it as
    /// the message group of a FIFO queue, or as the partition key of another stream, to preserve each item's order.
    ///
    /// ```
    /// # use lambda_streams::Record;
    /// # fn record(number: &str) -> Record {
    /// #     Record::from_json(format!(r#"{{"eventName": "REMOVE", "eventSource": "aws:dynamodb",
    /// #         "dynamodb": {{"Keys": {{"id": {{"N": "{number}"}}}}, "SequenceNumber": "111"}}}}"#)).expect("well-formed")
    /// # }
    /// assert_eq!(record("1").group_id(), record("1.0").group_id());
    /// assert_ne!(record("1").group_id(), record("2").group_id());
    /// ```
    pub fn group_id(&self) -> String {
        self.inner.group_id()
    }

    /// Decodes the item's primary key.
    ///
    /// ```
    /// use lambda_streams::Record;
    /// # #[derive(serde::Deserialize)]
    /// # struct Key { id: String }
    ///
    /// fn id_of(record: &Record) -> Result<String, lambda_streams::DecodeError> {
    ///     let key: Key = record.keys()?;
    ///     Ok(key.id)
    /// }
    /// ```
    ///
    /// # Errors
    /// If a key is malformed or does not fit `T`.
    pub fn keys<T: DeserializeOwned>(&self) -> Result<T, DecodeError> {
        decode::from_keys(self.keys_json()).map_err(|error| error.within("Keys"))
    }

    /// Decodes the item after the change. A handler of [`Insert`](crate::Insert) or [`Modify`](crate::Modify) gets it decoded.
    ///
    /// ```
    /// use lambda_streams::{HandlerError, Record};
    /// # #[derive(serde::Deserialize)]
    /// # struct Order { total: u32 }
    ///
    /// async fn any(record: Record) -> Result<(), HandlerError> {
    ///     let order: Order = record.new_image()?;
    ///     println!("{} cents", order.total);
    ///     Ok(())
    /// }
    /// ```
    ///
    /// # Errors
    /// If the stream does not carry this image, or if it is malformed or does not fit `T`.
    pub fn new_image<T: DeserializeOwned>(&self) -> Result<T, DecodeError> {
        let json = self.new_image_json().ok_or_else(|| self.missing("NewImage"))?;
        decode::from_member(json, Some("NewImage"))
    }

    /// Decodes the item before the change. A handler of [`Modify`](crate::Modify) or [`Remove`](crate::Remove) gets it decoded.
    ///
    /// # Errors
    /// If the stream does not carry this image, or if it is malformed or does not fit `T`.
    pub fn old_image<T: DeserializeOwned>(&self) -> Result<T, DecodeError> {
        let json = self.old_image_json().ok_or_else(|| self.missing("OldImage"))?;
        decode::from_member(json, Some("OldImage"))
    }

    /// The item after the change as attribute values: as [`serde_dynamo::Item`], as a map of the AWS SDK's attribute values, or as any other
    /// type that converts from a [`serde_dynamo::Item`].
    ///
    /// Available with the feature `serde_dynamo`. A map of the AWS SDK's values needs the feature `aws-sdk-dynamodb`.
    ///
    /// It is for code that moves over from a function that works with attribute values. Your own type decodes faster, and says what it
    /// needs.
    ///
    /// # Errors
    /// If the stream does not carry this image, or if it is malformed.
    ///
    #[cfg_attr(
        feature = "aws-sdk-dynamodb",
        doc = r#"
```
use std::collections::HashMap;

use aws_sdk_dynamodb::types::AttributeValue;
use lambda_streams::{HandlerError, Record};

async fn copy(record: Record) -> Result<(), HandlerError> {
    let item: HashMap<String, AttributeValue> = record.new_item()?;
    let status = item.get("status").and_then(|status| status.as_s().ok());
    println!("{} attributes, status {status:?}", item.len());
    Ok(())
}
```
"#
    )]
    #[cfg(feature = "serde_dynamo")]
    pub fn new_item<I: From<serde_dynamo::Item>>(&self) -> Result<I, DecodeError> {
        decode::raw_item(self.new_image_json().ok_or_else(|| self.missing("NewImage"))?, "NewImage")
    }

    /// The item before the change as attribute values, like [`new_item`](Self::new_item).
    ///
    /// Available with the feature `serde_dynamo`.
    ///
    /// # Errors
    /// If the stream does not carry this image, or if it is malformed.
    #[cfg(feature = "serde_dynamo")]
    pub fn old_item<I: From<serde_dynamo::Item>>(&self) -> Result<I, DecodeError> {
        decode::raw_item(self.old_image_json().ok_or_else(|| self.missing("OldImage"))?, "OldImage")
    }

    /// The item's primary key as attribute values, like [`new_item`](Self::new_item).
    ///
    /// Available with the feature `serde_dynamo`.
    ///
    /// # Errors
    /// If it is malformed.
    #[cfg(feature = "serde_dynamo")]
    pub fn key_item<I: From<serde_dynamo::Item>>(&self) -> Result<I, DecodeError> {
        decode::check_keys(self.keys_json()).map_err(|error| error.within("Keys"))?;
        decode::raw_item(self.keys_json(), "Keys")
    }

    /// The names of the attributes in which the two images differ.
    ///
    /// ```
    /// use lambda_streams::Record;
    /// use lambda_streams::testing::TestStream;
    /// use serde_json::json;
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let item = |status: &str| json!({"id": {"S": "a"}, "status": {"S": status}});
    /// let record: Record = TestStream::new("orders", &["id"]).modify(item("new"), item("paid")).change()?;
    /// assert!(record.changed_attributes()?.contains("status"));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// If the stream does not carry both images, or if one is malformed.
    pub fn changed_attributes(&self) -> Result<ChangedAttributes, DecodeError> {
        let old = self.old_image_json().ok_or_else(|| self.missing("OldImage"))?;
        let new = self.new_image_json().ok_or_else(|| self.missing("NewImage"))?;
        decode::changed_attributes(old, new)
    }

    /// The record as received, byte for byte.
    pub fn raw_json(&self) -> &str {
        self.inner.raw_json()
    }

    /// What a handler can ask about its call: how much time it has, which attempt it is, and where the record comes from.
    pub fn context(&self) -> &ChangeContext {
        &self.context
    }

    pub(crate) fn in_context(self, context: ChangeContext) -> Self {
        Self { context, ..self }
    }

    /// Checks that an image which no handler decodes is well-formed in every attribute.
    pub(crate) fn check_new_image(&self) -> Result<(), DecodeError> {
        self.new_image_json().map_or(Ok(()), |json| decode::check(json).map_err(|error| error.within("NewImage")))
    }

    /// The same for the item before the change.
    pub(crate) fn check_old_image(&self) -> Result<(), DecodeError> {
        self.old_image_json().map_or(Ok(()), |json| decode::check(json).map_err(|error| error.within("OldImage")))
    }

    fn missing(&self, image: &'static str) -> DecodeError {
        DecodeError::missing_image(image, self.kind(), self.view_type())
    }

    fn well_formed(&self) -> &WellFormed {
        self.inner.header().well_formed.as_ref().ok().expect(IS_WELL_FORMED)
    }
}

/// Shows which record it is, and nothing of the item.
impl fmt::Debug for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Record")
            .field("kind", &self.kind())
            .field("event_id", &self.event_id())
            .field("sequence_number", &self.sequence_number())
            .field("table_name", &self.table_name())
            .finish_non_exhaustive()
    }
}
