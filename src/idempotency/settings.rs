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

/// Keeps what is done outside of the execution environment, so that fewer records are processed twice.
///
/// An invocation that reports a checkpoint although later records are done keeps the set of those, in one row. The next invocation
/// starts at that checkpoint, in whatever environment, reads the row and skips them
/// ([`SkipReason::AlreadyDone`](crate::SkipReason::AlreadyDone)). It costs one read an invocation, which is in flight while the first record
/// is processed, and no write as long as everything succeeds.
///
/// **What it promises**: after a partial failure or a stop at the deadline, what was done is not done again, in any environment. **What it
/// does not**: an invocation that crashes, or is killed by its timeout, reports nothing, and is repeated as a whole; [`Marks`] are for
/// those.
///
/// # The consumer
/// The name of what processes the stream. Two functions that read one stream for two purposes need two names, or one would skip what the
/// other has done. A function that redrives the dead letters of another shares its name. A new name is how a stream is processed again
/// on purpose. The CDK construct sets it to the service's name.
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
#[derive(Clone)]
pub struct Idempotency {
    pub(crate) consumer: Arc<str>,
    pub(crate) store: Arc<dyn ErasedStore>,
    pub(crate) budget: Duration,
    /// When the marks of each stream began, as far as this environment has asked.
    beginnings: Arc<Mutex<HashMap<Arc<str>, SystemTime>>>,
}

impl Idempotency {
    /// Keeps what this consumer has done in this store.
    pub fn new(consumer: impl Into<String>, store: impl IdempotencyStore) -> Self {
        Self {
            consumer: consumer.into().into(),
            store: Arc::new(store),
            budget: Duration::from_millis(500),
            beginnings: Arc::default(),
        }
    }

    /// How long a batch waits for one call of the store. Default: 500 ms.
    ///
    /// The response waits until all marks are written, 32 at a time: with a slow table, several times as long. A store that takes longer has failed, and is not asked again in that batch.
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
        self.budget
            .is_zero()
            .then(|| "`budget` of `Idempotency` is zero: the store would have no time at all".to_owned())
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

/// High-water marks of items: for crashes, timeouts, and records that come late.
///
/// The store keeps a mark for each item: up to where its changes are done. [`ProcessorBuilder::marks`](crate::ProcessorBuilder::marks) turns
/// them on, and has what they promise and what they cost.
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
    /// Marks, and what happens to a record that comes from elsewhere than the stream and is older than what its item's mark says is
    /// applied. There is no default: either choice loses something that some handlers need.
    pub fn new(stale: Stale) -> Self {
        Self { stale, on_unavailable: OnMarksUnavailable::default(), life: MARK_LIFE }
    }

    /// What happens to records whose marks cannot be read. Default: [`OnMarksUnavailable::Proceed`].
    pub fn on_unavailable(mut self, choice: OnMarksUnavailable) -> Self {
        self.on_unavailable = choice;
        self
    }

    /// How long a mark is kept after it was last raised: 25 hours to 100 years. Default: 16 days.
    ///
    /// It must be longer than anything can take to come back: SQS keeps a message for up to 14 days, and the stream a record for one.
    pub fn life(mut self, life: Duration) -> Self {
        self.life = life;
        self
    }

    /// What is wrong with the settings.
    pub(crate) fn fault(&self) -> Option<String> {
        let fault = if self.life < CHECKPOINT_LIFE {
            "is below 25 hours: a mark would expire before the stream's records do"
        } else if self.life > MAX_LIFE {
            "is above 100 years: when a mark expires must be a point in time"
        } else {
            return None;
        };
        Some(format!("`life` of `Marks` {fault}"))
    }
}

/// What happens to a record that comes from elsewhere than the stream, and is older than what its item's mark says is applied.
///
/// `lambda-streams replay --stale process` and `--stale skip` stand for this setting in the invocations that they make. The records of a
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
    /// It is skipped ([`SkipReason::Stale`](crate::SkipReason::Stale)). Where that cannot be decided it is reported: its mark cannot be read, or it is
    /// older than marks are kept.
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
    /// They are processed, which may repeat what was done: delivery is at least once then. The default.
    #[default]
    Proceed,
    /// The first of them is reported, so that Lambda delivers it and everything after it again.
    Report,
}
