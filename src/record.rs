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

const IS_WELL_FORMED: &str = "a `Record` is only made of a well-formed record";

/// One change of one item, as the stream delivered it; cheap to clone.
///
/// The record stays raw JSON: the images and the keys are decoded on request, and [`raw_json`](Self::raw_json) is the text as
/// received, byte for byte.
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

    /// Reads one record in the JSON in which Lambda delivers it.
    ///
    /// For tools and tests; a function receives its records in a [`StreamEvent`](crate::StreamEvent).
    ///
    /// # Errors
    /// If the text is not JSON, or not a record of a DynamoDB stream. The error keeps what could be read.
    ///
    /// ```
    /// use lambda_streams::Record;
    ///
    /// let record = Record::from_json(r#"{"eventName": "INSERT", "eventSource": "aws:dynamodb",
    ///     "dynamodb": {"Keys": {"id": {"S": "a"}}, "SequenceNumber": "111"}}"#)?;
    /// assert_eq!(record.sequence_number().expect("a stream's record has one").as_str(), "111");
    /// # Ok::<(), lambda_streams::MalformedRecord>(())
    /// ```
    pub fn from_json(json: impl Into<String>) -> Result<Self, MalformedRecord> {
        Self::new(RecordRef::of_text(json.into()))
    }

    /// The record's `eventID`, unique in its stream; `None` if the record has none, or something other than text.
    pub fn event_id(&self) -> Option<&str> {
        self.inner.event_id()
    }

    /// What happened to the item.
    pub fn kind(&self) -> EventKind {
        self.well_formed().kind
    }

    /// A key that tells this change from all others: for conditional writes, idempotency stores, and requests that carry a token.
    ///
    /// It is the same in every delivery: when Lambda redelivers the record, when its dead letter is put back, and in every execution
    /// environment. It is the [event id](Self::event_id), which is unique across streams
    /// ([AWS: Record](https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_streams_Record.html)). A record without one has
    /// the stream's ARN and the sequence number instead (`{arn}/{number}`), and without these a hash of its text.
    ///
    /// The key of a [backfill](crate::Origin::Backfill)'s record tells its item from all others, and is the same in each backfill of the table.
    ///
    /// Events that are made by hand often repeat event ids, and then they repeat their keys. Those of
    /// [`testing::TestStream`](crate::testing::TestStream) do not.
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
    pub fn idempotency_key(&self) -> Cow<'_, str> {
        self.inner.idempotency_key()
    }

    /// The record's place in its shard, which compares with that of another change of the same item
    /// ([`SequenceNumber::is_newer_than`]).
    ///
    /// Every record of a DynamoDB stream has one. That of an item which a [backfill](crate::Origin::Backfill) has read from its table has none.
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

    /// The region the change came from: the record's `awsRegion`.
    pub fn region(&self) -> Option<&str> {
        self.inner.region()
    }

    /// When the change was made, to about a second: `ApproximateCreationDateTime`; `None` if it is absent or unreadable.
    ///
    /// It is read from a number of seconds, milliseconds or microseconds, from text of such a number, and from a date and time
    /// as in RFC 3339: with any offset or none, which is UTC, and with a blank in place of the `T`.
    pub fn created_at(&self) -> Option<SystemTime> {
        self.inner.created_at()
    }

    /// The size of this record in bytes as DynamoDB counts it: `SizeBytes`; `None` if it is absent or not a number.
    pub fn size_bytes(&self) -> Option<u64> {
        self.inner.size_bytes()
    }

    /// Which images the stream carries: `StreamViewType`, such as `NEW_AND_OLD_IMAGES`.
    pub fn view_type(&self) -> Option<&str> {
        self.inner.view_type()
    }

    /// Whether DynamoDB's time to live removed the item, rather than a caller.
    ///
    /// True for a removal whose `userIdentity` is the service `dynamodb.amazonaws.com`. In a global table only the
    /// region that expired the item says so; the replicas see an ordinary removal
    /// ([AWS: streams and TTL](https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/time-to-live-ttl-streams.html)).
    pub fn is_ttl_expiry(&self) -> bool {
        self.kind() == EventKind::Remove && self.inner.by_dynamodb()
    }

    /// The item's primary key as DynamoDB JSON.
    pub fn keys_json(&self) -> &str {
        self.inner.piece(self.well_formed().keys)
    }

    /// The item after the change as DynamoDB JSON, if the stream carries it.
    ///
    /// `{}` counts as absent in a removal, and in a stream whose view type has no such image.
    pub fn new_image_json(&self) -> Option<&str> {
        self.well_formed().new_image.map(|image| self.inner.piece(image))
    }

    /// The item before the change as DynamoDB JSON, if the stream carries it.
    ///
    /// `{}` counts as absent in an insert, and in a stream whose view type has no such image.
    pub fn old_image_json(&self) -> Option<&str> {
        self.well_formed().old_image.map(|image| self.inner.piece(image))
    }

    /// A name that all records of one item share: 32 hexadecimal digits, the same in every process and on every machine.
    ///
    /// It is a hash of the table and the primary key, however the record spells them: `{"N": "1"}` and `{"N": "1.0"}` are
    /// one item. Use it as the message group of a FIFO queue, or the partition key of a stream, to preserve each item's order.
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
    /// # Errors
    /// If a key is malformed or does not fit `T`.
    pub fn keys<T: DeserializeOwned>(&self) -> Result<T, DecodeError> {
        decode::from_keys(self.keys_json()).map_err(|error| error.within("Keys"))
    }

    /// Decodes the item after the change.
    ///
    /// # Errors
    /// If the stream does not carry this image, or if it is malformed or does not fit `T`.
    pub fn new_image<T: DeserializeOwned>(&self) -> Result<T, DecodeError> {
        let json = self.new_image_json().ok_or_else(|| self.missing("NewImage"))?;
        decode::from_member(json, Some("NewImage"))
    }

    /// Decodes the item before the change.
    ///
    /// # Errors
    /// If the stream does not carry this image, or if it is malformed or does not fit `T`.
    pub fn old_image<T: DeserializeOwned>(&self) -> Result<T, DecodeError> {
        let json = self.old_image_json().ok_or_else(|| self.missing("OldImage"))?;
        decode::from_member(json, Some("OldImage"))
    }

    /// The item after the change, attribute value by attribute value: as [`serde_dynamo::Item`], as a map of the AWS SDK's attribute
    /// values, or as whatever else is made of a [`serde_dynamo::Item`].
    ///
    /// For code that is moved over from a function that works with attribute values; a type of your own decodes faster and says what
    /// it needs. A map of the AWS SDK's values needs the feature `aws-sdk-dynamodb`.
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

    /// The item before the change, attribute value by attribute value, as [`new_item`](Self::new_item).
    ///
    /// # Errors
    /// If the stream does not carry this image, or if it is malformed.
    #[cfg(feature = "serde_dynamo")]
    pub fn old_item<I: From<serde_dynamo::Item>>(&self) -> Result<I, DecodeError> {
        decode::raw_item(self.old_image_json().ok_or_else(|| self.missing("OldImage"))?, "OldImage")
    }

    /// The item's primary key, attribute value by attribute value, as [`new_item`](Self::new_item).
    ///
    /// # Errors
    /// If it is malformed.
    #[cfg(feature = "serde_dynamo")]
    pub fn key_item<I: From<serde_dynamo::Item>>(&self) -> Result<I, DecodeError> {
        decode::check_keys(self.keys_json()).map_err(|error| error.within("Keys"))?;
        decode::raw_item(self.keys_json(), "Keys")
    }

    /// Names the attributes in which the two images differ.
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

    /// What a handler can ask about its call: how long it may take, which attempt it is, and where the record comes from.
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
