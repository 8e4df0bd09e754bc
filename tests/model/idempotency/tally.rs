//! What all schedules of the idempotency world together held.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

macro_rules! events {
    ($($name:ident $text:literal)*) => {
        /// What can happen in a schedule.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub(super) enum Event { $($name),* }

        const EVENTS: &[(Event, &str)] = &[$((Event::$name, $text)),*];
    };
}

events! {
    Schedule "schedules"
    Record "records delivered"
    Execution "executions"
    Overlap "executions that overlap with another"
    Environment "environments"
    Redelivery "redelivered records"
    Handler "handlers that ran"
    Crash "crashes"
    Dropped "handlers that were dropped at work"
    Zombie "executions that went on after their caller had given up"
    AnswerLost "lost answers"
    DeadlineStop "stops at the deadline"
    PartialFailure "partial failures"
    Discarded "discarded records"
    DeadLetter "dead letters"
    LetterDenied "dead letters that were accepted and denied"
    Redrive "redriven dead letters"
    Replay "replayed records that were discarded"
    ReplayOfStream "replayed records of the stream"
    ReplayAhead "replayed records before the stream delivered them"
    ComesTwice "records that come back twice"
    ReadFailure "store reads that failed"
    PartialRead "marks that a read had no answer for"
    StorePanic "store calls that panicked"
    WriteFailure "store writes that failed"
    WriteArrivedAfterFailure "writes that arrived although they failed"
    WriteArrivedAfterDeath "writes that arrived after their execution had ended"
    EffectAfterDeath "effects that arrived after their execution had ended"
    RowExpired "marks that had expired when they were read"
    SkippedByMemory "repetitions prevented by the memory after a checkpoint"
    SkippedByMark "repetitions prevented by marks"
    SkippedLetter "repetitions of dead letters prevented by marks"
    SkippedInEnvironment "repetitions prevented by an environment's own memory"
    SkippedElsewhere "repetitions of returned records prevented by marks"
    Repetition "effects that were repeated"
    StaleSkipped "stale records skipped"
    StaleProcessed "stale records processed"
    Undecidable "records reported because their marks are unknown"
    Superseded "superseded changes"
    FreshMark "handlers that ran after their marks were read"
    OtherConsumerDone "handlers that ran although another consumer had done the record"
    MemoryKept "checkpoints that an execution without store failures has kept"
    MarksKept "executions without store failures that raised their marks"
    OnceEffect "effects with a guard of the record"
    OnceRefused "repetitions that a guard of the record refused"
    NewestEffect "effects with a guard of the item"
    NewestDone "repetitions that a guard of the item refused"
    NewestStale "stale effects that a guard of the item refused"
    Backwards "projections without a guard that went backwards"
    BackwardsWithSkip "projections without a guard that went backwards although stale records are skipped"
    LeftInQueue "records that are left in a queue because they cannot be decided"
}

#[derive(Debug, Clone)]
pub(crate) struct Tally(Arc<Vec<AtomicU64>>);

impl Default for Tally {
    fn default() -> Self {
        Self(Arc::new(EVENTS.iter().map(|_| AtomicU64::new(0)).collect()))
    }
}

impl Tally {
    pub(super) fn count(&self, event: Event) {
        self.add(event, 1);
    }

    pub(super) fn add(&self, event: Event, more: usize) {
        self.0[event as usize].fetch_add(more as u64, Ordering::Relaxed);
    }

    fn all(&self) -> impl Iterator<Item = (&'static str, u64)> {
        EVENTS.iter().map(|(event, name)| (*name, self.0[*event as usize].load(Ordering::Relaxed)))
    }

    /// Proves that every premise held, and that no kind of trouble was left out.
    pub(crate) fn assert_everything_happened(&self) {
        for (name, count) in self.all() {
            assert!(count > 0, "no schedule had {name}");
        }
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.all().try_for_each(|(name, count)| writeln!(f, "{count:>12} {name}"))
    }
}
