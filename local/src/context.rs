//! What one mapping shares with its run, its shards and its deliveries: settings, source, function, and the tally.
//!
//! *Invariant*: observers are called outside of the locks, so one that panics poisons nothing.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::activity::Activity;
use crate::filter::Filters;
use crate::on_failure::{ErasedDestination, OnFailureDocument};
use crate::progress::{Progress, Summary};
use crate::settings::{Settings, SettingsError};
use crate::warning::{WarningKind, count};

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
    pub(crate) activity: Activity,
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
            activity: Activity::new(),
        })
    }

    pub(crate) fn summary(&self) -> Summary {
        lock(&self.summary).clone()
    }

    /// Waits until the run is idle; without a limit, it never returns.
    pub(crate) async fn idle(&self) {
        match self.stop_when_idle {
            Some(limit) => self.activity.idle(limit).await,
            None => std::future::pending().await,
        }
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

    /// Warns of what AWS would do silently.
    pub(crate) fn warn(&self, shard: &Arc<str>, kind: WarningKind, message: String) {
        tracing::warn!(shard = &**shard, "{message}");
        self.note(Progress::Warning { shard: Arc::clone(shard), kind, message });
    }

    /// Warns that the state of an open tumbling window is lost.
    pub(crate) fn warn_of_lost_window(&self, shard: &Arc<str>, why: &str) {
        self.warn(shard, WarningKind::WindowLost, format!("{why}: the state of an open tumbling window is lost"));
    }

    /// Sends the document of discarded records to the destination, and warns if they are lost.
    pub(crate) async fn send_on_failure(&self, shard: &Arc<str>, document: OnFailureDocument) {
        let records = document.batch_size();
        if self.settings.on_failure.is_none() && self.destination.is_none() {
            let message = match records {
                1 => "1 record is discarded and lost, because no on-failure destination is configured".to_owned(),
                _ => {
                    format!("{records} records are discarded and lost, because no on-failure destination is configured")
                }
            };
            return self.warn(shard, WarningKind::DiscardedUntold, message);
        }
        let sent = match &self.destination {
            Some(destination) => destination.send(&document).await,
            None => Ok(()),
        };
        let error = sent.err().map(|error| error.to_string());
        if let Some(error) = &error {
            let message = format!(
                "the on-failure destination did not accept the document of {}: {error}",
                count(records, "record")
            );
            self.warn(shard, WarningKind::OnFailureLost, message);
        }
        self.note(Progress::OnFailureSent { shard: Arc::clone(shard), document: Box::new(document), error });
    }
}

fn lock<V>(mutex: &Mutex<V>) -> MutexGuard<'_, V> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
