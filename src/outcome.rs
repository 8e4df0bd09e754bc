//! The outcome of each record, and what follows from it: the checkpoint, the response to Lambda, and the totals.

mod report;
mod response;
mod totals;

pub use self::report::{BatchReport, Counts, RecordReport};
pub use self::response::StreamResponse;

pub(crate) use self::report::{ResponseContext, Tables};
pub(crate) use self::totals::{EntityTotals, KindTotals, PerKind, Totals};

/// The outcome of a record in one invocation.
///
/// ```
/// use lambda_streams::testing::TestStream;
/// use lambda_streams::{Deadline, Outcome, Record, SkipReason, StreamProcessor};
/// use serde_json::json;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), lambda_streams::Error> {
/// let processor = StreamProcessor::builder()
///     .on_record(|_: Record| async { Err("the index is down".into()) })
///     .filter(|record| !record.is_ttl_expiry())
///     .build()?;
/// let item = || json!({"id": {"S": "a"}});
/// let event = TestStream::new("orders", &["id"]).expire(item()).insert(item()).insert(item()).event()?;
///
/// let report = processor.process(event, Deadline::none()).await;
/// assert_eq!(
///     report.outcomes(),
///     [Outcome::Skipped(SkipReason::Filtered), Outcome::Reported, Outcome::HeldBack],
/// );
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Outcome {
    /// Its handler returned `Ok`.
    Succeeded,
    /// It needed no handler, for this reason. It counts as done.
    Skipped(SkipReason),
    /// It failed, and the dead-letter queue has accepted it. It counts as done.
    DeadLettered,
    /// It failed and is reported to Lambda, which redelivers it. A record whose dead letter the queue did not accept, or not in time, is
    /// reported too.
    Reported,
    /// The processor stopped before the deadline while its handler was running or had not started, and no attempt at it had failed in this
    /// invocation. It is reported to Lambda, which redelivers it.
    Unfinished,
    /// An earlier record was reported, so Lambda redelivers this one with it.
    HeldBack,
}

impl Outcome {
    /// Whether the record needs no further delivery: it succeeded, was skipped, or became a dead letter.
    ///
    /// ```
    /// use lambda_streams::Outcome;
    ///
    /// assert!(Outcome::DeadLettered.is_done());
    /// assert!(!Outcome::HeldBack.is_done());
    /// ```
    pub fn is_done(self) -> bool {
        matches!(self, Self::Succeeded | Self::Skipped(_) | Self::DeadLettered)
    }
}

/// Why a record needed no handler.
///
/// ```
/// use lambda_streams::testing::TestStream;
/// use lambda_streams::{Deadline, HandlerError, Outcome, Remove, SkipReason, StreamProcessor};
/// # #[derive(serde::Deserialize)]
/// # struct Order { id: String }
///
/// async fn removed(change: Remove<Order>) -> Result<(), HandlerError> {
///     Ok(())
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), lambda_streams::Error> {
/// let processor = StreamProcessor::builder().on_remove(removed).build()?;
/// let event = TestStream::new("orders", &["id"]).insert(serde_json::json!({"id": {"S": "a"}})).event()?;
/// let report = processor.process(event, Deadline::none()).await;
/// assert_eq!(report.outcomes(), [Outcome::Skipped(SkipReason::NoHandler)]);
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum SkipReason {
    /// There is no handler for its kind of change.
    NoHandler,
    /// No [entity](crate::ProcessorBuilder::entity) takes it, and its kind has no handler at the top level.
    Unmatched,
    /// The filter did not keep it.
    Filtered,
    /// None of the attributes that its handler's [`when_changed`](crate::when_changed) names has changed.
    Unchanged,
    /// This execution environment completed it in an earlier invocation, after the checkpoint: it succeeded or became a dead letter.
    Redelivered,
    /// The [store](crate::ProcessorBuilder::idempotency) says that it was done in an earlier invocation.
    AlreadyDone,
    /// It does not come from the stream, is older than the change that was last applied to its item, and [`Stale::Skip`](crate::Stale::Skip) is set.
    Stale,
    /// A handler with [`latest_only`](crate::Bulk::latest_only) got a later change of its item in the same bulk, and that change is finished.
    Superseded,
}
