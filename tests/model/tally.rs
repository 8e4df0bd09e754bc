//! What all schedules together held.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use lambda_streams::{Outcome, SkipReason};
use lambda_streams_local::Summary;

#[derive(Debug, Default)]
pub(crate) struct Count(AtomicU64);

impl Count {
    pub(crate) fn count(&self) {
        self.add(1);
    }

    pub(crate) fn add(&self, more: u64) {
        self.0.fetch_add(more, Ordering::Relaxed);
    }

    fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

#[derive(Debug, Clone, Default)]
pub(crate) struct Tally(Arc<Counts>);

impl std::ops::Deref for Tally {
    type Target = Counts;

    fn deref(&self) -> &Counts {
        &self.0
    }
}

#[derive(Debug, Default)]
pub(crate) struct Counts {
    pub(crate) schedules: Count,
    pub(crate) attempts: Count,
    pub(crate) panics: Count,
    pub(crate) cancellations: Count,
    pub(crate) timeouts: Count,
    pub(crate) computing_handlers: Count,
    pub(crate) computing_filters: Count,
    pub(crate) computing_queues: Count,
    pub(crate) dead_letters: Count,
    pub(crate) environments: Count,
    pub(crate) crashes: Count,
    pub(crate) lost_answers: Count,
    pub(crate) bulks: Count,
    pub(crate) bulk_records: Count,
    pub(crate) bulks_at_once: Count,
    pub(crate) halves: Count,
    pub(crate) stops_in_halvings: Count,
    pub(crate) whole_failures: Count,
    pub(crate) partial_failures: Count,
    pub(crate) bulk_panics: Count,
    pub(crate) bulk_timeouts: Count,
    pub(crate) cancelled_bulks: Count,
    pub(crate) wrong_counts: Count,
    pub(crate) blocked: Count,
    pub(crate) superseded: Count,
    pub(crate) bulk_dead_letters: Count,
    pub(crate) of_entities: Count,
    pub(crate) bulks_of_entities: Count,
    pub(crate) changes_of_entity: Count,
    pub(crate) without_handler: Count,
    pub(crate) unmatched: Count,
    pub(crate) unmatched_letters: Count,
    pub(crate) unchanged: Count,
    pub(crate) untold_entities: Count,
    pub(crate) untold_conditions: Count,
    records: Count,
    invocations: Count,
    retries: Count,
    bisects: Count,
    partial_responses: Count,
    throttles: Count,
    discarded: Count,
}

impl Tally {
    pub(crate) fn add(&self, summary: &Summary) {
        self.records.add(summary.read);
        self.invocations.add(summary.invocations);
        self.retries.add(summary.retries);
        self.bisects.add(summary.bisects);
        self.partial_responses.add(summary.partial_responses);
        self.throttles.add(summary.throttles);
        self.discarded.add(summary.discarded);
    }

    /// Counts a record that is skipped; it is of an entity or not.
    pub(crate) fn count_skipped(&self, outcome: Outcome, of_entity: bool) {
        match outcome {
            Outcome::Skipped(SkipReason::NoHandler) if of_entity => self.without_handler.count(),
            Outcome::Skipped(SkipReason::Unmatched) => self.unmatched.count(),
            Outcome::Skipped(SkipReason::Unchanged) => self.unchanged.count(),
            _ => {}
        }
    }

    fn all(&self) -> [(&'static str, u64); 42] {
        [
            ("schedules", self.schedules.get()),
            ("records", self.records.get()),
            ("invocations", self.invocations.get()),
            ("attempts", self.attempts.get()),
            ("retries", self.retries.get()),
            ("bisects", self.bisects.get()),
            ("partial responses", self.partial_responses.get()),
            ("throttles", self.throttles.get()),
            ("panics", self.panics.get()),
            ("cancelled handlers", self.cancellations.get()),
            ("handlers out of time", self.timeouts.get()),
            ("handlers that compute", self.computing_handlers.get()),
            ("filters that compute", self.computing_filters.get()),
            ("queues that compute", self.computing_queues.get()),
            ("crashes", self.crashes.get()),
            ("lost answers", self.lost_answers.get()),
            ("environments", self.environments.get()),
            ("dead letters", self.dead_letters.get()),
            ("discarded", self.discarded.get()),
            ("bulks", self.bulks.get()),
            ("records in bulks", self.bulk_records.get()),
            ("bulks at once", self.bulks_at_once.get()),
            ("parts of halved bulks", self.halves.get()),
            ("stops in a halving", self.stops_in_halvings.get()),
            ("whole failures", self.whole_failures.get()),
            ("partial failures", self.partial_failures.get()),
            ("bulks that panic", self.bulk_panics.get()),
            ("bulks out of time", self.bulk_timeouts.get()),
            ("cancelled bulks", self.cancelled_bulks.get()),
            ("wrong counts", self.wrong_counts.get()),
            ("answers of blocked lanes", self.blocked.get()),
            ("superseded changes", self.superseded.get()),
            ("dead letters of bulks", self.bulk_dead_letters.get()),
            ("records of entities", self.of_entities.get()),
            ("bulks of entities", self.bulks_of_entities.get()),
            ("changes of an item's entity", self.changes_of_entity.get()),
            ("records of entities without their handler", self.without_handler.get()),
            ("unmatched records", self.unmatched.get()),
            ("dead letters of unmatched records", self.unmatched_letters.get()),
            ("unchanged records", self.unchanged.get()),
            ("dead letters of untold entities", self.untold_entities.get()),
            ("dead letters of untold conditions", self.untold_conditions.get()),
        ]
    }

    /// Proves that no kind of trouble was left out.
    pub(crate) fn assert_everything_happened(&self) {
        for (name, count) in self.all() {
            assert!(count > 0, "no schedule had {name}");
        }
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.all().iter().try_for_each(|(name, count)| writeln!(f, "{count:>12} {name}"))
    }
}
