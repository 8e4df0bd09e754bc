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
    /// The state of a tumbling window is too large, and the window ends early.
    WindowEndedEarly,
    /// The end of a tumbling window failed until its retries were exhausted, and its state is lost.
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

impl Warning {
    pub(crate) fn first(kind: WarningKind, message: &str) -> Self {
        Self { kind, count: 1, message: message.to_owned() }
    }
}
