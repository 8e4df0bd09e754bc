//! What became of each record, and the checkpoint that follows from it.

mod report;
mod response;
mod totals;

pub use self::report::{BatchReport, Counts, RecordReport};
pub use self::response::StreamResponse;

pub(crate) use self::report::Answer;
pub(crate) use self::totals::{KindTotals, PerKind, Totals};

/// What became of a record in one invocation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Outcome {
    /// Its handler returned `Ok`.
    Succeeded,
    /// It needed no handler.
    Skipped(SkipReason),
    /// It failed, and the dead-letter queue has accepted it.
    DeadLettered,
    /// It failed, and Lambda is told to deliver it again.
    Reported,
    /// Its handler still ran, or it had not begun, when the deadline neared, and it had not failed before in this
    /// invocation; Lambda is told to deliver it again.
    Unfinished,
    /// An earlier record was reported, so that it will be delivered again anyway.
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
    /// The filter did not keep it.
    Filtered,
    /// It succeeded, or became a dead letter, in an earlier invocation, behind a checkpoint.
    Redelivered,
}
