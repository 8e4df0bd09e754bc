//! The event source mapping itself.

use std::fmt;
use std::future::Future;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::{Instant, sleep_until};

use super::filter::Filters;
use super::on_failure::{ErasedDestination, OnFailureDestination, OnFailureDocument};
use super::progress::{Progress, Summary, WarningKind};
use super::run::Run;
use super::settings::{Settings, SettingsError};
use super::source::{Source, SourceError};
use super::target::{Target, TargetError};

/// Lambda's time-out where none is configured.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(3);

/// An event source mapping on this machine: it reads a stream as Lambda does, and invokes a function with its batches.
///
/// Batching, order, retries, bisecting, partial batch responses, record age, filters, tumbling windows and on-failure
/// documents follow AWS's documentation and, where that is silent, what was seen of AWS; what is unknown is in
/// [`Choices`](super::Choices). It knows no tasks and no global state: everything happens in the future of
/// [`run`](Self::run), on tokio's clock, so that a test with a paused clock is repeatable.
///
/// ```
/// use lambda_streams::local::{EventSourceMapping, MemorySource, ProcessorTarget, Settings};
/// use lambda_streams::{Record, StreamProcessor};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let source = MemorySource::new("arn:aws:dynamodb:eu-central-1:123456789012:table/orders/stream/2026-01-01T00:00:00.000")
///     .shard("shardId-1", None, [r#"{
///         "eventID": "1", "eventName": "INSERT", "eventSource": "aws:dynamodb",
///         "dynamodb": {"Keys": {"id": {"S": "a"}}, "SequenceNumber": "111"}
///     }"#])?;
/// let processor = StreamProcessor::builder().on_record(|record: Record| async move { Ok(()) }).build()?;
/// let settings = Settings { report_batch_item_failures: true, ..Settings::default() };
///
/// let mapping = EventSourceMapping::new(settings, source, ProcessorTarget::new(processor))?;
/// let summary = mapping.run(std::future::pending()).await?;
/// assert_eq!((summary.done, summary.invocations), (1, 1));
/// # Ok(())
/// # }
/// ```
pub struct EventSourceMapping<S, T> {
    settings: Settings,
    filters: Filters,
    source: S,
    target: T,
    destination: Option<Box<dyn ErasedDestination>>,
    observers: Vec<Observer>,
    timeout: Duration,
    stop_when_idle: Option<Duration>,
    summary: Mutex<Summary>,
    random: Mutex<fastrand::Rng>,
    invocations: AtomicU64,
    jobs: AtomicI64,
    active: Mutex<Instant>,
}

type Observer = Box<dyn Fn(&Progress) + Send + Sync>;

impl<S: Source, T: Target> EventSourceMapping<S, T> {
    /// Puts a mapping together.
    ///
    /// # Errors
    /// If AWS would refuse a setting; the error names it and its range.
    pub fn new(settings: Settings, source: S, target: T) -> Result<Self, SettingsError> {
        settings.validate()?;
        Ok(Self {
            filters: Filters::parse(&settings.filter_patterns)?,
            random: Mutex::new(fastrand::Rng::with_seed(settings.choices.seed)),
            settings,
            source,
            target,
            destination: None,
            observers: Vec::new(),
            timeout: DEFAULT_TIMEOUT,
            stop_when_idle: None,
            summary: Mutex::default(),
            invocations: AtomicU64::new(0),
            jobs: AtomicI64::new(0),
            active: Mutex::new(Instant::now()),
        })
    }

    /// Calls `observer` with whatever happens; it must not block.
    #[must_use]
    pub fn on_progress(mut self, observer: impl Fn(&Progress) + Send + Sync + 'static) -> Self {
        self.observers.push(Box::new(observer));
        self
    }

    /// Where on-failure documents go, in place of the deployed destination. Without it they are progress alone.
    #[must_use]
    pub fn on_failure(mut self, destination: impl OnFailureDestination) -> Self {
        self.destination = Some(Box::new(destination));
        self
    }

    /// The function's time-out. Default 3 s, as on Lambda.
    #[must_use]
    pub fn function_timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Ends the run when nothing was read and nothing was under way for that long: for streams whose shards stay open.
    #[must_use]
    pub fn stop_when_idle(mut self, idle: Duration) -> Self {
        self.stop_when_idle = Some(idle);
        self
    }

    /// Runs until every shard is closed and dealt with, or until `until` is ready.
    ///
    /// When `until` is ready the run drains: it reads no more, begins no invocation, waits for those that are under
    /// way, and counts what is neither done nor given up as left. The stream still holds it.
    ///
    /// # Errors
    /// If the stream cannot be read or the function not be invoked. The other shards drain then, and
    /// [`summary`](Self::summary) says how far the run came.
    ///
    /// # Cancellation
    /// Dropping the future stops at once and abandons the invocations that are under way.
    pub async fn run(&self, until: impl Future<Output = ()>) -> Result<Summary, RunError> {
        self.note_active();
        Run::new(self).until(until).await?;
        Ok(self.summary())
    }

    /// What the run has come to so far.
    pub fn summary(&self) -> Summary {
        lock(&self.summary).clone()
    }

    /// Waits until nothing was read and nothing was under way for as long as was set.
    pub(super) async fn idle(&self) {
        let Some(idle) = self.stop_when_idle else { return std::future::pending().await };
        loop {
            let due = *lock(&self.active) + idle;
            if due <= Instant::now() && self.jobs.load(Ordering::Relaxed) == 0 {
                return;
            }
            sleep_until(due.max(Instant::now() + Duration::from_millis(10))).await;
        }
    }

    pub(super) fn settings(&self) -> &Settings {
        &self.settings
    }

    pub(super) fn filters(&self) -> &Filters {
        &self.filters
    }

    pub(super) fn source(&self) -> &S {
        &self.source
    }

    pub(super) fn target(&self) -> &T {
        &self.target
    }

    pub(super) fn timeout(&self) -> Duration {
        self.timeout
    }

    pub(super) fn next_invocation(&self) -> u64 {
        self.invocations.fetch_add(1, Ordering::Relaxed) + 1
    }

    pub(super) fn with_random<R>(&self, draw: impl FnOnce(&mut fastrand::Rng) -> R) -> R {
        draw(&mut lock(&self.random))
    }

    pub(super) fn note(&self, progress: Progress) {
        lock(&self.summary).note(&progress);
        self.observers.iter().for_each(|observer| observer(&progress));
    }

    pub(super) fn note_done(&self, records: usize) {
        lock(&self.summary).done += records as u64;
    }

    pub(super) fn note_left(&self, records: usize) {
        lock(&self.summary).left += records as u64;
    }

    pub(super) fn note_active(&self) {
        *lock(&self.active) = Instant::now();
    }

    pub(super) fn note_job(&self, change: i64) {
        self.jobs.fetch_add(change, Ordering::Relaxed);
    }

    /// Says loudly what AWS would do without a word.
    pub(super) fn warn(&self, shard: &Arc<str>, kind: WarningKind, message: String) {
        tracing::warn!(shard = &**shard, "{message}");
        self.note(Progress::Warning { shard: Arc::clone(shard), kind, message });
    }

    pub(super) async fn send_on_failure(&self, shard: &Arc<str>, document: OnFailureDocument) {
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
                format!("the on-failure destination has not taken the document of {records} records: {error}");
            self.warn(shard, WarningKind::OnFailureLost, message);
        }
        self.note(Progress::OnFailureSent { shard: Arc::clone(shard), document: Box::new(document), error });
    }
}

fn lock<V>(mutex: &Mutex<V>) -> MutexGuard<'_, V> {
    // An observer that panics does so outside of the locks.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl<S, T> fmt::Debug for EventSourceMapping<S, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EventSourceMapping").field("settings", &self.settings).finish_non_exhaustive()
    }
}

/// Why a run ended before its time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunError(Cause);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Cause {
    Source(SourceError),
    Target(TargetError),
}

impl RunError {
    pub(super) fn source(error: SourceError) -> Self {
        Self(Cause::Source(error))
    }

    pub(super) fn target(error: TargetError) -> Self {
        Self(Cause::Target(error))
    }

    /// Whether the stream could not be read.
    pub fn is_source(&self) -> bool {
        matches!(self.0, Cause::Source(_))
    }

    /// Whether the function could not be invoked.
    pub fn is_target(&self) -> bool {
        matches!(self.0, Cause::Target(_))
    }
}

impl fmt::Display for RunError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Cause::Source(error) => write!(f, "the stream cannot be read: {error}"),
            Cause::Target(error) => write!(f, "the function cannot be invoked: {error}"),
        }
    }
}

impl std::error::Error for RunError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match &self.0 {
            Cause::Source(error) => Some(error),
            Cause::Target(error) => Some(error),
        }
    }
}
