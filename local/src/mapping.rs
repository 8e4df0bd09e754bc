//! The event source mapping as a user holds it: built once, then run.

use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use crate::context::Context;
use crate::error::RunError;
use crate::function::Function;
use crate::on_failure::OnFailureDestination;
use crate::progress::{Progress, Summary};
use crate::run::Run;
use crate::settings::{Settings, SettingsError};
use crate::source::Source;
use crate::warning::WarningKind;

/// An event source mapping on this machine: it reads a stream as Lambda does, and invokes a function with its batches.
///
/// Batching, order, retries, bisecting, partial batch responses, record age, filters, tumbling windows and on-failure
/// documents follow AWS's documentation, or what was observed on AWS where the documentation says nothing. What is unknown
/// is a setting in [`Unspecified`](crate::Unspecified). A mapping spawns no tasks and has no global state: everything
/// happens in the future of [`run`](Self::run), on tokio's clock, so a test on a paused clock is repeatable.
///
/// ```
/// use lambda_streams::{Record, StreamProcessor};
/// use lambda_streams_local::{EventSourceMapping, MemorySource, ProcessorFunction, Settings};
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
/// let mapping = EventSourceMapping::new(settings, source, ProcessorFunction::new(processor))?;
/// let summary = mapping.run(std::future::pending()).await?;
/// assert_eq!((summary.done, summary.invocations), (1, 1));
/// # Ok(())
/// # }
/// ```
pub struct EventSourceMapping<S, F> {
    context: Context<S, F>,
}

impl<S: Source, F: Function> EventSourceMapping<S, F> {
    /// A mapping from this source to this function.
    ///
    /// # Errors
    /// If AWS would refuse a setting. The error names the setting and its range.
    pub fn new(settings: Settings, source: S, function: F) -> Result<Self, SettingsError> {
        Ok(Self { context: Context::new(settings, source, function)? })
    }

    /// Calls `observer` for each event of the run. It must not block. Several observers are all called.
    #[must_use]
    pub fn on_progress(mut self, observer: impl Fn(&Progress) + Send + Sync + 'static) -> Self {
        self.context.observers.push(Box::new(observer));
        self
    }

    /// Sends on-failure documents to this destination. Without one, only observers see them.
    #[must_use]
    pub fn on_failure(mut self, destination: impl OnFailureDestination) -> Self {
        self.context.destination = Some(Box::new(destination));
        self
    }

    /// The timeout of each invocation. Default 3 s, as on Lambda.
    #[must_use]
    pub fn function_timeout(mut self, timeout: Duration) -> Self {
        self.context.timeout = timeout;
        self
    }

    /// Ends the run once nothing was read and nothing was in flight for `idle`: for streams whose shards stay open.
    /// Default: the run does not end while a shard is open.
    ///
    /// A call in flight is not idleness, however long it takes: after that time each open shard is read once more, and the
    /// run only ends if it has nothing. Closed shards are read to their end, however many of their pages are empty, and
    /// the run waits for an open tumbling window. An open shard does not say how far away its end is: in a sparse stream,
    /// a short `idle` may only see a few empty pages.
    #[must_use]
    pub fn stop_when_idle(mut self, idle: Duration) -> Self {
        self.context.stop_when_idle = Some(idle);
        self
    }

    /// Runs until every shard is closed and all its records are done or discarded, or until `until` is ready.
    ///
    /// Once `until` is ready the run drains: it stops reading, starts no invocation, waits for those in flight, and counts
    /// the records that are neither done nor discarded as left. The stream still holds them.
    ///
    /// # Errors
    /// If the stream cannot be read or the function cannot be invoked. The other shards drain first.
    /// [`summary`](Self::summary) says how far the run got.
    ///
    /// # Cancellation
    /// Dropping the future stops at once and abandons the invocations in flight.
    pub async fn run(&self, until: impl Future<Output = ()>) -> Result<Summary, RunError> {
        self.context.activity.note_active();
        for doubt in self.context.filters.doubts() {
            self.context.warn(&Arc::from(""), WarningKind::FilterIneffective, doubt);
        }
        Run::new(&self.context).until(until).await?;
        Ok(self.summary())
    }

    /// The totals of the run so far.
    pub fn summary(&self) -> Summary {
        self.context.summary()
    }
}

impl<S, F> fmt::Debug for EventSourceMapping<S, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EventSourceMapping").field("settings", &self.context.settings).finish_non_exhaustive()
    }
}
