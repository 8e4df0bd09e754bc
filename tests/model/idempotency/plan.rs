//! What a schedule of the idempotency world consists of.

use std::time::Duration;

/// Items of the table, each with its own marks.
pub(super) const ITEMS: usize = 4;
/// The most changes of a schedule.
pub(super) const MOST_CHANGES: usize = 14;
/// Consumers that may share a store.
pub(super) const CONSUMERS: usize = 2;

/// One schedule.
#[derive(Debug, Clone)]
pub(super) struct Plan {
    /// The table's changes, in the order of the stream. A change's index is its id.
    pub(super) changes: Vec<ChangePlan>,
    pub(super) consumers: usize,
    pub(super) settings: SettingsPlan,
    pub(super) batch_size: usize,
    /// How often a batch is tried again before the mapping discards it; `None` without end.
    pub(super) retries: Option<u8>,
    /// Whether a batch that fails as a whole is cut in half.
    pub(super) bisect: bool,
    /// The outcome of each invocation by a mapping; afterwards nothing fails.
    pub(super) invocations: Vec<InvocationPlan>,
    /// What the store does with each call; afterwards it answers.
    pub(super) store: Vec<StoreFault>,
    /// What the dead-letter queue does with each letter; afterwards it accepts.
    pub(super) queue: Vec<QueueFault>,
    pub(super) returns: Vec<ReturnPlan>,
    /// Whether marks were kept for long when the stream's records were made.
    pub(super) is_established: bool,
}

#[derive(Debug, Clone)]
pub(super) struct ChangePlan {
    pub(super) item: u8,
    pub(super) behaviour: Behaviour,
    /// How long its handler takes before its effect, and after.
    pub(super) before_millis: u16,
    pub(super) after_millis: u16,
    /// How long the effect is on its way to the sink, where it arrives also if the environment dies meanwhile.
    pub(super) late_millis: u16,
}

/// What a handler does. Counted are the attempts of a consumer, wherever the record comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Behaviour {
    Succeed,
    FailTimes(u8),
    PermanentTimes(u8),
    HangTimes(u8),
    /// Has its effect, and fails anyway.
    LosesAnswerTimes(u8),
}

#[derive(Debug, Clone, Copy)]
pub(super) struct SettingsPlan {
    pub(super) marks: Option<MarksPlan>,
    pub(super) guard: GuardPlan,
    pub(super) reports_failures: bool,
    pub(super) per_partition: bool,
    pub(super) bulk: Option<BulkPlan>,
    pub(super) queue: bool,
    pub(super) follow_lane: bool,
    pub(super) concurrency: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct MarksPlan {
    pub(super) skips_stale: bool,
    pub(super) reports_unavailable: bool,
    pub(super) life: Duration,
}

/// A handler of several records at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum BulkPlan {
    Each,
    /// Of each item only the last change.
    LatestOnly,
}

/// How the handler writes to its sink.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum GuardPlan {
    None,
    /// Only what is newer than the item's mark says is applied, in one step with the mark.
    Newest,
    /// Only a record that has no row yet, in one step with the row.
    Once,
}

#[derive(Debug, Clone, Copy)]
pub(super) struct InvocationPlan {
    pub(super) end: End,
    /// Whether the environment before it is gone.
    pub(super) fresh: bool,
    /// Whether the mapping discards what is left of the batch then.
    pub(super) discards: bool,
}

impl InvocationPlan {
    pub(super) const CALM: Self = Self { end: End::Answers, fresh: false, discards: false };
}

/// How an invocation ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    Answers,
    /// The environment dies at this await.
    CrashAtPoll(u16),
    CrashAfter(u16),
    /// The caller waits no longer, and the environment goes on.
    Zombie(u16),
    /// It goes through, and its answer is lost.
    AnswerLost,
}

/// What the store does with one call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum StoreFault {
    /// Answers after this time, in the middle of which a write arrives.
    Takes(u16),
    Fails,
    Hangs,
    Panics,
    /// A read of marks has answers for those items only whose bit is set; a write fails.
    Partly(u8),
    /// A write arrives, and its answer is lost: it fails, or never comes.
    ArrivesAndFails,
    ArrivesAndHangs,
    /// A write fails, and arrives after this time nevertheless.
    ArrivesLate(u32),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum QueueFault {
    Accepts,
    Refuses,
    /// Accepts, and says that it did not.
    Denies,
}

/// Records that come back.
#[derive(Debug, Clone, Copy)]
pub(super) struct ReturnPlan {
    pub(super) after: Duration,
    pub(super) consumer: u8,
    pub(super) from: ReturnFrom,
    /// The position of the first, and how many.
    pub(super) first: u8,
    pub(super) count: u8,
    pub(super) reversed: bool,
    /// Whether each comes twice in the batch.
    pub(super) doubled: bool,
    /// Whether they stay where they are although they are done, and so are delivered again.
    pub(super) stays: bool,
    pub(super) invocation: InvocationPlan,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ReturnFrom {
    DeadLetters,
    Discarded,
    /// Any stretch of the stream, delivered by then or not.
    Stream,
}
