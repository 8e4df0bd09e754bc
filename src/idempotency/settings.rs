//! What the user chooses: the consumer's name, the store, and what marks are kept for.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use super::store::{ErasedStore, IdempotencyStore};

/// How long a record's time in the stream, and a margin, are: what is done after a checkpoint is of use for as long.
pub(crate) const CHECKPOINT_LIFE: Duration = Duration::from_secs(25 * 60 * 60);
/// How long marks, and the rows of guards, are kept by default: longer than SQS keeps a message.
pub(crate) const MARK_LIFE: Duration = Duration::from_secs(16 * 24 * 60 * 60);
/// Marks cannot be kept longer: what a time is added to must not overflow.
const MAX_LIFE: Duration = Duration::from_secs(100 * 366 * 24 * 60 * 60);

/// Keeps outside of the execution environment which records are done, so fewer records are processed twice.
///
/// ```
/// use lambda_streams::{Idempotency, MemoryIdempotencyStore, Record, StreamProcessor};
///
/// let processor = StreamProcessor::builder()
///     .on_record(|record: Record| async { Ok(()) })
///     .idempotency(Idempotency::new("order-totals", MemoryIdempotencyStore::new()))
///     .build()?;
/// # Ok::<(), lambda_streams::Error>(())
/// ```
///
/// If an invocation reports a checkpoint although later records are done, it keeps the set of those records in one row. The next invocation
/// starts at that checkpoint, in whatever environment. It reads the row and skips the records
/// ([`SkipReason::AlreadyDone`](crate::SkipReason::AlreadyDone)). This costs one read an invocation, in flight while the first record is
/// processed, and no write as long as everything succeeds.
///
/// **It promises** that after a partial failure, or a stop at the deadline, what was done is not done again, in any environment. **It does
/// not promise** this after a crash or a timeout of the function: such an invocation reports nothing, and is repeated as a whole.
/// [`Marks`] are for these cases.
///
/// # The consumer
/// The consumer is the name of what processes the stream. Two functions that read one stream for two purposes need two names, otherwise one
/// would skip what the other has done. A function that redrives the dead letters of another shares its name. A new name processes a stream
/// again on purpose. The CDK construct sets it to the service's name.
#[derive(Clone)]
pub struct Idempotency {
    pub(crate) consumer: Arc<str>,
    pub(crate) store: Arc<dyn ErasedStore>,
    pub(crate) budget: Duration,
    /// When the marks of each stream began, as far as this environment has asked.
    beginnings: Arc<Mutex<HashMap<Arc<str>, SystemTime>>>,
}

impl Idempotency {
    /// Keeps in this store what this [consumer](Self#the-consumer) has done. The name has 1 to 255 bytes and no control characters;
    /// [`build`](crate::ProcessorBuilder::build) checks this.
    pub fn new(consumer: impl Into<String>, store: impl IdempotencyStore) -> Self {
        Self {
            consumer: consumer.into().into(),
            store: Arc::new(store),
            budget: Duration::from_millis(500),
            beginnings: Arc::default(),
        }
    }

    /// How long a batch waits for one call of the store: more than zero. Default: 500 ms.
    ///
    /// A store that takes longer has failed, and is not asked again in that batch. The response waits until all marks are written, 32 at a
    /// time. With a slow table, that takes several times the budget.
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// use lambda_streams::{Idempotency, MemoryIdempotencyStore};
    ///
    /// let idempotency = Idempotency::new("order-totals", MemoryIdempotencyStore::new()).budget(Duration::from_secs(1));
    /// # let _ = idempotency;
    /// ```
    pub fn budget(mut self, budget: Duration) -> Self {
        self.budget = budget;
        self
    }

    /// When the marks of a stream began, if this environment knows.
    pub(crate) fn beginning(&self, stream: &str) -> Option<SystemTime> {
        self.beginnings.lock().unwrap_or_else(PoisonError::into_inner).get(stream).copied()
    }

    pub(crate) fn note_beginning(&self, stream: Arc<str>, began: SystemTime) {
        self.beginnings.lock().unwrap_or_else(PoisonError::into_inner).insert(stream, began);
    }

    /// What is wrong with the settings.
    pub(crate) fn fault(&self) -> Option<String> {
        if let Some(fault) = consumer_fault(&self.consumer) {
            return Some(format!("the consumer's name of `Idempotency` {fault}"));
        }
        self.budget.is_zero().then(|| "`budget` of `Idempotency` is zero: it must be longer".to_owned())
    }
}

/// What is wrong with the name of a consumer.
pub(crate) fn consumer_fault(name: &str) -> Option<String> {
    const MAX: usize = 255;
    let is_name = (1..=MAX).contains(&name.len()) && !name.chars().any(char::is_control);
    let fault = || format!("has {} bytes: it must have 1 to {MAX}, and no control characters", name.len());
    (!is_name).then(fault)
}

impl fmt::Debug for Idempotency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Idempotency")
            .field("consumer", &self.consumer)
            .field("budget", &self.budget)
            .finish_non_exhaustive()
    }
}

/// High-water marks of items, against crashes, timeouts, and records that arrive late.
///
/// For each item, the store keeps a mark, which says up to which change the item is done. [`ProcessorBuilder::marks`](crate::ProcessorBuilder::marks)
/// turns marks on, and says what they promise and what they cost.
///
/// ```
/// use lambda_streams::{Idempotency, Marks, MemoryIdempotencyStore, Record, Stale, StreamProcessor};
///
/// let processor = StreamProcessor::builder()
///     .on_record(|record: Record| async { Ok(()) })
///     .idempotency(Idempotency::new("search-index", MemoryIdempotencyStore::new()))
///     .marks(Marks::new(Stale::Skip))
///     .build()?;
/// # Ok::<(), lambda_streams::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Marks {
    pub(crate) stale: Stale,
    pub(crate) on_unavailable: OnMarksUnavailable,
    pub(crate) life: Duration,
}

impl Marks {
    /// Marks, with the choice of what happens to a *stale* record: one that does not come from the stream, and is older than the change that was
    /// last applied to its item. There is no default, because either choice loses something that some handlers need.
    pub fn new(stale: Stale) -> Self {
        Self { stale, on_unavailable: OnMarksUnavailable::default(), life: MARK_LIFE }
    }

    /// What happens to records whose marks cannot be read. Default: [`OnMarksUnavailable::Proceed`].
    ///
    /// ```
    /// use lambda_streams::{Marks, OnMarksUnavailable, Stale};
    ///
    /// // Waits for the store instead of repeating a change.
    /// let marks = Marks::new(Stale::Process).on_unavailable(OnMarksUnavailable::Report);
    /// # let _ = marks;
    /// ```
    pub fn on_unavailable(mut self, choice: OnMarksUnavailable) -> Self {
        self.on_unavailable = choice;
        self
    }

    /// How long a mark is kept after it was last raised: 25 hours to 100 years. Default: 16 days.
    ///
    /// It must be longer than any record can take to return. SQS keeps a message for up to 14 days, and the stream keeps a record for one day.
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// use lambda_streams::{Marks, Stale};
    ///
    /// let marks = Marks::new(Stale::Skip).life(Duration::from_secs(30 * 24 * 60 * 60));
    /// # let _ = marks;
    /// ```
    pub fn life(mut self, life: Duration) -> Self {
        self.life = life;
        self
    }

    /// What is wrong with the settings.
    pub(crate) fn fault(&self) -> Option<String> {
        let fault = if self.life < CHECKPOINT_LIFE {
            "is below 25 hours: a mark would expire before the stream's records do"
        } else if self.life > MAX_LIFE {
            "is above 100 years, which is the maximum"
        } else {
            return None;
        };
        Some(format!("`life` of `Marks` {fault}"))
    }
}

/// What happens to a *stale* record: one that does not come from the stream, and is older than the change that was last applied to its item,
/// according to the item's mark.
///
/// `lambda-streams replay --stale process` and `--stale skip` override this setting in the invocations that they make. The records of a
/// [backfill](crate::Origin::Backfill) cannot be compared, and are never stale.
///
/// ```
/// use lambda_streams::{Marks, Stale};
///
/// // A projection of the latest state must not go backwards. Sums need every change, in whatever order.
/// let (projection, sums) = (Marks::new(Stale::Skip), Marks::new(Stale::Process));
/// # let _ = (projection, sums);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Stale {
    /// It is processed, and [`ChangeContext::is_stale`](crate::ChangeContext::is_stale) says that it is stale.
    Process,
    /// It is skipped ([`SkipReason::Stale`](crate::SkipReason::Stale)). If that cannot be decided, it is reported: its mark cannot be read, or it
    /// is older than marks are kept.
    Skip,
}

/// What happens to records whose marks cannot be read.
///
/// ```
/// use lambda_streams::{Marks, OnMarksUnavailable, Stale};
///
/// let marks = Marks::new(Stale::Skip).on_unavailable(OnMarksUnavailable::Report);
/// # let _ = marks;
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum OnMarksUnavailable {
    /// They are processed, which may repeat what was done: delivery is then at least once. The default.
    #[default]
    Proceed,
    /// The first of them is reported, so Lambda redelivers it and everything after it.
    Report,
}
