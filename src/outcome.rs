//! The outcome of each record, and what follows from it: the checkpoint, the response to Lambda, and the totals.

mod report;
mod response;
mod totals;

pub use self::report::{BatchReport, Counts, RecordReport};
pub use self::response::StreamResponse;

pub(crate) use self::report::{ResponseContext, Tables};
pub(crate) use self::totals::{EntityTotals, KindTotals, PerKind, Totals};

/// The outcome of a record in one invocation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Outcome {
    /// Its handler returned `Ok`.
    Succeeded,
    /// It needed no handler.
    Skipped(SkipReason),
    /// It failed, and the dead-letter queue has accepted it.
    DeadLettered,
    /// It failed, and is reported to Lambda, which delivers it again. Also where the dead-letter queue did not accept it, or did
    /// not answer in time.
    Reported,
    /// When the processor stopped before the deadline, its handler was still running or had not started, and no
    /// attempt at it had failed before in this invocation. It is reported to Lambda, which delivers it again.
    Unfinished,
    /// An earlier record was reported, so that Lambda delivers this one again with it.
    HeldBack,
}

impl Outcome {
    /// Whether the record needs no further delivery.
    pub fn is_done(self) -> bool {
        matches!(self, Self::Succeeded | Self::Skipped(_) | Self::DeadLettered)
    }
}

/// Why a record needed no handler.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum SkipReason {
    /// There is no handler for its kind of change.
    NoHandler,
    /// No [entity](crate::ProcessorBuilder::entity) takes it, and there is no handler of its kind at the top level.
    Unmatched,
    /// The filter did not keep it.
    Filtered,
    /// None of the attributes has changed that its handler's [`when_changed`](crate::when_changed) names.
    Unchanged,
    /// It succeeded or became a dead letter in an earlier invocation of this execution environment, after the checkpoint.
    Redelivered,
    /// The [store](crate::ProcessorBuilder::idempotency) says that it was done in an earlier invocation.
    AlreadyDone,
    /// It does not come from the stream and is older than what is applied to its item, and [`Stale::Skip`](crate::Stale::Skip) is set.
    Stale,
    /// A later change of its item was in the same bulk of a handler with [`latest_only`](crate::Bulk::latest_only), and that one is
    /// finished.
    Superseded,
}
