//! What one mapping shares with its run, its shards and its deliveries: settings, source, function, and the tally.
//!
//! *Invariant*: observers are called outside of the locks, so that one that panics poisons nothing.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::{Instant, sleep_until};

use crate::filter::Filters;
use crate::on_failure::{ErasedDestination, OnFailureDocument};
use crate::progress::{Progress, Summary};
use crate::settings::{Settings, SettingsError};
use crate::warning::WarningKind;

/// Lambda's timeout where none is configured.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(3);

pub(crate) type Observer = Box<dyn Fn(&Progress) + Send + Sync>;

/// Owned by the mapping, and lent to everything that runs.
pub(crate) struct Context<S, F> {
    pub(crate) settings: Settings,
    pub(crate) filters: Filters,
    pub(crate) source: S,
    pub(crate) function: F,
    pub(crate) destination: Option<Box<dyn ErasedDestination>>,
    pub(crate) observers: Vec<Observer>,
    pub(crate) timeout: Duration,
    pub(crate) stop_when_idle: Option<Duration>,
    summary: Mutex<Summary>,
    random: Mutex<fastrand::Rng>,
    invocations: AtomicU64,
    /// Buffered records and jobs in flight; see [`Pending`].
    pending: AtomicUsize,
    last_active: Mutex<Instant>,
}

impl<S, F> Context<S, F> {
    /// # Errors
    /// If AWS would refuse a setting.
    pub(crate) fn new(settings: Settings, source: S, function: F) -> Result<Self, SettingsError> {
        settings.validate()?;
        Ok(Self {
            filters: settings.filters()?,
            random: Mutex::new(fastrand::Rng::with_seed(settings.unspecified.seed)),
            settings,
            source,
            function,
            destination: None,
            observers: Vec::new(),
            timeout: DEFAULT_TIMEOUT,
            stop_when_idle: None,
            summary: Mutex::default(),
            invocations: AtomicU64::new(0),
            pending: AtomicUsize::new(0),
            last_active: Mutex::new(Instant::now()),
        })
    }

    pub(crate) fn summary(&self) -> Summary {
        lock(&self.summary).clone()
    }

    /// Waits until nothing was read and nothing was pending for as long as was set; without a limit, it never returns.
    pub(crate) async fn idle(&self) {
        let Some(limit) = self.stop_when_idle else { return std::future::pending().await };
        loop {
            let due = *lock(&self.last_active) + limit;
            if due <= Instant::now() && self.pending.load(Ordering::Relaxed) == 0 {
                return;
            }
            sleep_until(due.max(Instant::now() + Duration::from_millis(10))).await;
        }
    }

    /// The mapping is not idle now.
    pub(crate) fn note_active(&self) {
        *lock(&self.last_active) = Instant::now();
    }

    /// Nothing pending yet; [`Pending::add`] counts.
    pub(crate) fn pending(&self) -> Pending<'_> {
        Pending { total: &self.pending, own: 0 }
    }

    /// The next invocation's number, from 1.
    pub(crate) fn next_invocation(&self) -> u64 {
        self.invocations.fetch_add(1, Ordering::Relaxed) + 1
    }

    pub(crate) fn with_random<R>(&self, draw: impl FnOnce(&mut fastrand::Rng) -> R) -> R {
        draw(&mut lock(&self.random))
    }

    pub(crate) fn note(&self, progress: Progress) {
        lock(&self.summary).note(&progress);
        self.observers.iter().for_each(|observer| observer(&progress));
    }

    pub(crate) fn note_done(&self, records: usize) {
        lock(&self.summary).done += records as u64;
    }

    pub(crate) fn note_left(&self, records: usize) {
        lock(&self.summary).left += records as u64;
    }

    /// Warns of what AWS would do without a word.
    pub(crate) fn warn(&self, shard: &Arc<str>, kind: WarningKind, message: String) {
        tracing::warn!(shard = &**shard, "{message}");
        self.note(Progress::Warning { shard: Arc::clone(shard), kind, message });
    }

    /// Sends the document of discarded records to the destination, and warns if they are lost.
    pub(crate) async fn send_on_failure(&self, shard: &Arc<str>, document: OnFailureDocument) {
        let records = document.batch_size();
        if self.settings.on_failure.is_none() && self.destination.is_none() {
            let message =
                format!("{records} records are discarded, and no on-failure destination is told of it: they are lost");
            return self.warn(shard, WarningKind::DiscardedUntold, message);
        }
        let sent = match &self.destination {
            Some(destination) => destination.send(&document).await,
            None => Ok(()),
        };
        let error = sent.err().map(|error| error.to_string());
        if let Some(error) = &error {
            let message =
                format!("the on-failure destination did not accept the document of {records} records: {error}");
            self.warn(shard, WarningKind::OnFailureLost, message);
        }
        self.note(Progress::OnFailureSent { shard: Arc::clone(shard), document: Box::new(document), error });
    }
}

/// A share of the mapping's pending work: while any is left, the mapping is not idle. Dropping it gives the rest back.
pub(crate) struct Pending<'a> {
    total: &'a AtomicUsize,
    own: usize,
}

impl Pending<'_> {
    pub(crate) fn add(&mut self, count: usize) {
        self.own += count;
        self.total.fetch_add(count, Ordering::Relaxed);
    }

    pub(crate) fn remove(&mut self, count: usize) {
        self.own -= count;
        self.total.fetch_sub(count, Ordering::Relaxed);
    }
}

impl Drop for Pending<'_> {
    fn drop(&mut self) {
        self.total.fetch_sub(self.own, Ordering::Relaxed);
    }
}

fn lock<V>(mutex: &Mutex<V>) -> MutexGuard<'_, V> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
