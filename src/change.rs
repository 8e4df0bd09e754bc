//! The argument of a handler: one change of one item, with its images decoded.
//!
//! Invariant: a change is only made from a record whose images are both well-formed, even if the handler's type has only one.

use crate::context::ChangeContext;
use crate::decode::{ChangedAttributes, DecodeError};
use crate::event_kind::EventKind;
use crate::record::Record;

/// An item was created.
///
/// ```
/// use lambda_streams::{HandlerError, Insert};
/// # #[derive(serde::Deserialize)]
/// # struct Order { id: String }
///
/// async fn created(change: Insert<Order>) -> Result<(), HandlerError> {
///     println!("order {}, change {}", change.new.id, change.record.idempotency_key());
///     Ok(())
/// }
/// ```
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Insert<T> {
    /// The item after the change.
    pub new: T,
    /// The record that carried it.
    pub record: Record,
}

impl<T> Insert<T> {
    /// What a handler can ask about its call: how much time it has, which attempt it is, and where the record comes from.
    pub fn context(&self) -> &ChangeContext {
        self.record.context()
    }
}

/// At least one attribute of an item was changed.
///
/// ```
/// use lambda_streams::{HandlerError, Modify};
/// # #[derive(serde::Deserialize)]
/// # struct Order { status: String }
///
/// async fn changed(change: Modify<Order>) -> Result<(), HandlerError> {
///     if change.changed()?.contains("status") {
///         println!("{} -> {}", change.old.status, change.new.status);
///     }
///     Ok(())
/// }
/// ```
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Modify<T> {
    /// The item before the change.
    pub old: T,
    /// The item after the change.
    pub new: T,
    /// The record that carried it.
    pub record: Record,
}

impl<T> Modify<T> {
    /// What a handler can ask about its call: how much time it has, which attempt it is, and where the record comes from.
    pub fn context(&self) -> &ChangeContext {
        self.record.context()
    }

    /// The names of the attributes that were added, removed or given another value.
    ///
    /// It compares every attribute of the item, also those that `T` does not have. Values are compared as DynamoDB compares them, not as text:
    /// sets as sets, numbers as numbers, maps without regard to order.
    ///
    /// ```
    /// use lambda_streams::testing::TestStream;
    /// use lambda_streams::Modify;
    /// use serde_json::json;
    /// # #[derive(serde::Deserialize)]
    /// # struct Order { id: String }
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let (old, new) = (json!({"id": {"S": "a"}, "total": {"N": "1.0"}}), json!({"id": {"S": "a"}, "total": {"N": "1"}, "note": {"S": "!"}}));
    /// let change: Modify<Order> = TestStream::new("orders", &["id"]).modify(old, new).change()?;
    /// assert_eq!(change.changed()?.iter().collect::<Vec<_>>(), ["note"], "1.0 is 1");
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// If an image is malformed. That never happens to a change from a processor, which has checked both.
    pub fn changed(&self) -> Result<ChangedAttributes, DecodeError> {
        self.record.changed_attributes()
    }
}

/// An item was deleted, by a caller or by its time to live ([`Record::is_ttl_expiry`]).
///
/// ```
/// use lambda_streams::{HandlerError, Remove};
/// # #[derive(serde::Deserialize)]
/// # struct Order { id: String }
///
/// async fn archive(change: Remove<Order>) -> Result<(), HandlerError> {
///     println!("order {}, expired: {}", change.old.id, change.record.is_ttl_expiry());
///     Ok(())
/// }
/// ```
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Remove<T> {
    /// The item before the change.
    pub old: T,
    /// The record that carried it.
    pub record: Record,
}

impl<T> Remove<T> {
    /// What a handler can ask about its call: how much time it has, which attempt it is, and where the record comes from.
    pub fn context(&self) -> &ChangeContext {
        self.record.context()
    }
}

/// A change of any kind, with the images that the stream carries.
///
/// It is for streams of the view types `NEW_IMAGE`, `OLD_IMAGE` and `KEYS_ONLY`, whose records never have both images, and for handlers
/// that treat all kinds of change alike.
///
/// ```
/// use lambda_streams::{Change, HandlerError};
/// # #[derive(serde::Deserialize)]
/// # struct Order { id: String }
///
/// async fn any(change: Change<Order>) -> Result<(), HandlerError> {
///     if let Some(order) = change.new.or(change.old) {
///         println!("{} of order {}", change.record.kind(), order.id);
///     }
///     Ok(())
/// }
/// ```
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Change<T> {
    /// The item before the change, if the stream carries it.
    pub old: Option<T>,
    /// The item after the change, if the stream carries it.
    pub new: Option<T>,
    /// The record that carried it.
    pub record: Record,
}

/// What every change has, whatever its kind and the type of its items: for handlers that wrap other handlers.
///
/// [`Insert<T>`], [`Modify<T>`], [`Remove<T>`], [`Change<T>`] and [`Record`] implement it, and no other type can. The record also has the
/// [`context`](Record::context) of the call.
///
/// ```
/// use std::time::Instant;
///
/// use lambda_streams::{Handler, HandlerError, Insert, Modify, StreamChange, StreamProcessor};
/// # #[derive(serde::Deserialize)]
/// # struct Order { id: String }
/// # async fn created(change: Insert<Order>) -> Result<(), HandlerError> { Ok(()) }
/// # async fn changed(change: Modify<Order>) -> Result<(), HandlerError> { Ok(()) }
///
/// /// Logs how long a handler took.
/// struct Timed<H>(H);
///
/// impl<C: StreamChange, H: Handler<C>> Handler<C> for Timed<H> {
///     async fn handle(&self, change: C) -> Result<(), HandlerError> {
///         let (kind, attempt) = (change.record().kind(), change.record().context().attempt());
///         let began = Instant::now();
///         let result = self.0.handle(change).await;
///         tracing::info!(%kind, attempt, took = ?began.elapsed(), succeeded = result.is_ok(), "handled");
///         result
///     }
/// }
///
/// let processor = StreamProcessor::builder().on_insert(Timed(created)).on_modify(Timed(changed)).build()?;
/// # Ok::<(), lambda_streams::Error>(())
/// ```
pub trait StreamChange: sealed::Sealed + Send + 'static {
    /// The record that carried the change.
    fn record(&self) -> &Record;
}

mod sealed {
    /// Keeps others from implementing [`StreamChange`](super::StreamChange).
    pub trait Sealed {}
}

/// Implements [`StreamChange`] for the types that hold a record.
macro_rules! stream_change {
    ($($change:ident)*) => {$(
        impl<T> sealed::Sealed for $change<T> {}

        impl<T: Send + 'static> StreamChange for $change<T> {
            fn record(&self) -> &Record {
                &self.record
            }
        }
    )*};
}

stream_change! { Insert Modify Remove Change }

impl sealed::Sealed for Record {}

impl StreamChange for Record {
    fn record(&self) -> &Record {
        self
    }
}

/// A type that a handler can take, decoded from a record.
///
/// A record with a malformed image is refused even if the type does not have that image. The keys were checked when the
/// record was assigned to its lane.
pub(crate) trait FromRecord: Sized + Send + 'static {
    fn from_record(record: Record) -> Result<Self, DecodeError>;
}

impl<T: serde::de::DeserializeOwned + Send + 'static> FromRecord for Insert<T> {
    fn from_record(record: Record) -> Result<Self, DecodeError> {
        record.check_old_image()?;
        Ok(Self { new: record.new_image()?, record })
    }
}

impl<T: serde::de::DeserializeOwned + Send + 'static> FromRecord for Modify<T> {
    fn from_record(record: Record) -> Result<Self, DecodeError> {
        Ok(Self { old: record.old_image()?, new: record.new_image()?, record })
    }
}

impl<T: serde::de::DeserializeOwned + Send + 'static> FromRecord for Remove<T> {
    fn from_record(record: Record) -> Result<Self, DecodeError> {
        record.check_new_image()?;
        Ok(Self { old: record.old_image()?, record })
    }
}

impl<T: serde::de::DeserializeOwned + Send + 'static> FromRecord for Change<T> {
    fn from_record(record: Record) -> Result<Self, DecodeError> {
        let old = record.old_image_json().map(|_| record.old_image()).transpose()?;
        let new = record.new_image_json().map(|_| record.new_image()).transpose()?;
        Ok(Self { old, new, record })
    }
}

impl FromRecord for Record {
    fn from_record(record: Record) -> Result<Self, DecodeError> {
        record.check_new_image()?;
        record.check_old_image()?;
        Ok(record)
    }
}

/// Implements `TryFrom<Record>` for the change types of one kind.
macro_rules! try_from_record {
    ($($change:ident)*) => {$(
        impl<T: serde::de::DeserializeOwned + Send + 'static> TryFrom<Record> for $change<T> {
            type Error = DecodeError;

            /// Decodes the change as for a handler.
            ///
            /// # Errors
            /// If the record is of another kind, or its images are malformed, missing, or do not fit the type.
            fn try_from(record: Record) -> Result<Self, DecodeError> {
                match record.kind() {
                    EventKind::$change => Self::from_record(record),
                    kind => Err(DecodeError::wrong_kind(stringify!($change), kind)),
                }
            }
        }
    )*};
}

try_from_record! { Insert Modify Remove }

impl<T: serde::de::DeserializeOwned + Send + 'static> TryFrom<Record> for Change<T> {
    type Error = DecodeError;

    /// Decodes the change as for a handler.
    ///
    /// # Errors
    /// If the record's images are malformed, or do not fit the type.
    fn try_from(record: Record) -> Result<Self, DecodeError> {
        Self::from_record(record)
    }
}

impl<T> Change<T> {
    /// What a handler can ask about its call: how much time it has, which attempt it is, and where the record comes from.
    pub fn context(&self) -> &ChangeContext {
        self.record.context()
    }

    /// What happened to the item.
    pub fn kind(&self) -> EventKind {
        self.record.kind()
    }
}
