//! The trait of a store, its error, and its type-erased form.

use std::error::Error as StdError;
use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::time::SystemTime;

use futures::future::BoxFuture;

use super::{CompletedRecords, Mark, StoreKey};
use crate::failure::{MAX_MESSAGE, bounded};
use crate::guard::{drop_guarded, guard};

/// A place outside of the execution environment that keeps what is done: Amazon DynamoDB, or your own.
///
/// ```
/// use std::time::SystemTime;
///
/// use lambda_streams::{CompletedRecords, IdempotencyStore, IdempotencyStoreError, Mark, StoreKey};
///
/// /// Counts the writes of another store.
/// struct Counted<S>(S);
///
/// impl<S: IdempotencyStore> IdempotencyStore for Counted<S> {
///     async fn load(&self, checkpoint: &StoreKey) -> Result<Option<CompletedRecords>, IdempotencyStoreError> {
///         self.0.load(checkpoint).await
///     }
///
///     async fn save(
///         &self,
///         checkpoint: &StoreKey,
///         completed: &CompletedRecords,
///         expires: SystemTime,
///     ) -> Result<(), IdempotencyStoreError> {
///         metrics::counter!("store_writes").increment(1);
///         self.0.save(checkpoint, completed, expires).await
///     }
///
///     async fn marks(&self, items: &[StoreKey]) -> Vec<Result<Mark, IdempotencyStoreError>> {
///         self.0.marks(items).await
///     }
///
///     async fn raise(&self, item: &StoreKey, to: &Mark, expires: SystemTime) -> Result<(), IdempotencyStoreError> {
///         metrics::counter!("store_writes").increment(1);
///         self.0.raise(item, to, expires).await
///     }
///
///     async fn begin(&self, stream: &StoreKey, now: SystemTime) -> Result<SystemTime, IdempotencyStoreError> {
///         self.0.begin(stream, now).await
///     }
/// }
/// ```
///
/// A [`StoreKey`] identifies a row, and is all that a store needs to find it. Every call reads what earlier calls have written. Only
/// [`load`](Self::load) may return what was there a few seconds ago.
///
/// # Loss
/// A store may lose rows, and a row may expire at the time that the call which wrote it gave. A lost row costs a repetition, and never a
/// record. A store must never *invent*: an answer that says more than what was written skips records that were not done.
///
/// # Cancellation
/// The processor drops a future that takes longer than [`Idempotency::budget`](crate::Idempotency::budget), or than the rest of the
/// invocation. Its write may have arrived nevertheless. Any write may be repeated, and writes may arrive out of order.
///
/// # Errors and panics
/// An error or a panic of a store fails no record. It is counted (`MarkFailures`) and logged. Leave item data out of its text.
pub trait IdempotencyStore: Send + Sync + 'static {
    /// The records that are done after a checkpoint; `None` if nothing was kept for it.
    ///
    /// # Errors
    /// If the store could not be read.
    fn load(
        &self,
        checkpoint: &StoreKey,
    ) -> impl Future<Output = Result<Option<CompletedRecords>, IdempotencyStoreError>> + Send;

    /// Keeps the records that are done after a checkpoint, in place of those that were kept for it before. The row may expire at `expires`.
    ///
    /// # Errors
    /// If they were not kept, or if that is unknown.
    fn save(
        &self,
        checkpoint: &StoreKey,
        completed: &CompletedRecords,
        expires: SystemTime,
    ) -> impl Future<Output = Result<(), IdempotencyStoreError>> + Send;

    /// The marks of items: one answer for each, in their order, and [`Mark::default`] for an item without a mark.
    ///
    /// There are 1 to 100 keys, all of them distinct. The read must be strongly consistent.
    ///
    /// # Errors
    /// For each item whose mark could not be read.
    fn marks(&self, items: &[StoreKey]) -> impl Future<Output = Vec<Result<Mark, IdempotencyStoreError>>> + Send;

    /// Raises the mark of an item as [`Mark::raise`] does, atomically. Each number rises independently, and none ever falls. The row may expire
    /// at `expires`.
    ///
    /// Sequence numbers compare as numbers ([`SequenceNumber::is_newer_than`](crate::SequenceNumber::is_newer_than)).
    /// [`to_padded`](crate::SequenceNumber::to_padded) makes them comparable as text.
    ///
    /// # Errors
    /// If a number was not raised although it should have been, or if that is unknown. A number that is not newer is not an error.
    fn raise(
        &self,
        item: &StoreKey,
        to: &Mark,
        expires: SystemTime,
    ) -> impl Future<Output = Result<(), IdempotencyStoreError>> + Send;

    /// The time at which the marks of a stream began: `now`, unless an earlier call has set it. The row must not expire.
    ///
    /// # Errors
    /// If the store could not be read or written.
    fn begin(
        &self,
        stream: &StoreKey,
        now: SystemTime,
    ) -> impl Future<Output = Result<SystemTime, IdempotencyStoreError>> + Send;
}

impl<S: IdempotencyStore> IdempotencyStore for Arc<S> {
    async fn load(&self, checkpoint: &StoreKey) -> Result<Option<CompletedRecords>, IdempotencyStoreError> {
        (**self).load(checkpoint).await
    }

    async fn save(
        &self,
        checkpoint: &StoreKey,
        completed: &CompletedRecords,
        expires: SystemTime,
    ) -> Result<(), IdempotencyStoreError> {
        (**self).save(checkpoint, completed, expires).await
    }

    async fn marks(&self, items: &[StoreKey]) -> Vec<Result<Mark, IdempotencyStoreError>> {
        (**self).marks(items).await
    }

    async fn raise(&self, item: &StoreKey, to: &Mark, expires: SystemTime) -> Result<(), IdempotencyStoreError> {
        (**self).raise(item, to, expires).await
    }

    async fn begin(&self, stream: &StoreKey, now: SystemTime) -> Result<SystemTime, IdempotencyStoreError> {
        (**self).begin(stream, now).await
    }
}

/// Why a store could not answer.
///
/// Its text is that of the error that it wraps, at most 4,096 bytes. The processor logs it: leave item data out.
///
/// ```
/// use lambda_streams::IdempotencyStoreError;
///
/// let error = IdempotencyStoreError::new("the table is gone");
/// assert_eq!(error.to_string(), "the table is gone");
/// ```
pub struct IdempotencyStoreError {
    /// The source's own text, asked for once: what asks for it later is not the user's code.
    message: String,
    /// `None` only while it is dropped.
    source: Option<Box<dyn StdError + Send + Sync>>,
}

impl IdempotencyStoreError {
    /// Wraps the reason: an error, or a text.
    pub fn new(source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        let source = source.into();
        let message = guard("idempotency store's error", || bounded(&source, MAX_MESSAGE));
        Self { message: message.unwrap_or_else(|panic| panic.to_string()), source: Some(source) }
    }
}

/// Its source may panic when it is dropped.
impl Drop for IdempotencyStoreError {
    fn drop(&mut self) {
        drop_guarded(self.source.take());
    }
}

impl fmt::Debug for IdempotencyStoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("IdempotencyStoreError").field(&self.message).finish()
    }
}

impl fmt::Display for IdempotencyStoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl StdError for IdempotencyStoreError {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.source.as_ref()?.source()
    }
}

type Answer<'a, T> = BoxFuture<'a, Result<T, IdempotencyStoreError>>;

/// A store with its type erased. Its futures own their arguments, except for the store.
pub(crate) trait ErasedStore: Send + Sync {
    fn load(&self, checkpoint: StoreKey) -> Answer<'_, Option<CompletedRecords>>;
    fn save(&self, checkpoint: StoreKey, completed: CompletedRecords, expires: SystemTime) -> Answer<'_, ()>;
    fn marks(&self, items: Vec<StoreKey>) -> BoxFuture<'_, Vec<Result<Mark, IdempotencyStoreError>>>;
    fn raise(&self, item: StoreKey, to: Mark, expires: SystemTime) -> Answer<'_, ()>;
    fn begin(&self, stream: StoreKey, now: SystemTime) -> Answer<'_, SystemTime>;
}

impl<S: IdempotencyStore> ErasedStore for S {
    fn load(&self, checkpoint: StoreKey) -> Answer<'_, Option<CompletedRecords>> {
        Box::pin(async move { IdempotencyStore::load(self, &checkpoint).await })
    }

    fn save(&self, checkpoint: StoreKey, completed: CompletedRecords, expires: SystemTime) -> Answer<'_, ()> {
        Box::pin(async move { IdempotencyStore::save(self, &checkpoint, &completed, expires).await })
    }

    fn marks(&self, items: Vec<StoreKey>) -> BoxFuture<'_, Vec<Result<Mark, IdempotencyStoreError>>> {
        Box::pin(async move { IdempotencyStore::marks(self, &items).await })
    }

    fn raise(&self, item: StoreKey, to: Mark, expires: SystemTime) -> Answer<'_, ()> {
        Box::pin(async move { IdempotencyStore::raise(self, &item, &to, expires).await })
    }

    fn begin(&self, stream: StoreKey, now: SystemTime) -> Answer<'_, SystemTime> {
        Box::pin(async move { IdempotencyStore::begin(self, &stream, now).await })
    }
}
