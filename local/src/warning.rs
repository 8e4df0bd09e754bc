//! Warnings of what AWS would do without a word: the kinds, and how often each occurred.
//!
//! A mapping never fails because of one. Each says what is lost, so that it is noticed on a laptop and not in production.

/// Something that AWS would do without a word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum WarningKind {
    /// The response has no `batchItemFailures` that could be read, and counts as a success.
    ResponseNotUnderstood,
    /// The function reports failures, and ReportBatchItemFailures is off.
    ResponseIgnored,
    /// Records are discarded, and no destination is configured for them.
    DiscardedUntold,
    /// The on-failure destination did not accept a document.
    OnFailureLost,
    /// A filter pattern has a condition that never holds for a stream's records, or always does. It is of the mapping, and
    /// comes when a run begins.
    FilterIneffective,
    /// The state of a tumbling window is too large, and the window ends early.
    WindowEndedEarly,
    /// The state of a tumbling window is lost: its last invocation failed until the retries were exhausted, or the run ended
    /// while it was open.
    WindowLost,
}

/// How often one kind of warning occurred, with the message of the first.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Warning {
    /// The kind.
    pub kind: WarningKind,
    /// How often it occurred.
    pub count: u64,
    /// The first message.
    pub message: String,
}

/// A number and what it counts.
pub(crate) fn count(number: usize, what: &str) -> String {
    if number == 1 { format!("1 {what}") } else { format!("{number} {what}s") }
}

impl Warning {
    pub(crate) fn first(kind: WarningKind, message: &str) -> Self {
        Self { kind, count: 1, message: message.to_owned() }
    }
}
