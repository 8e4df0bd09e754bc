//! What is known of one record while its batch runs. It is kept small, because a batch holds one for each of its records.

use std::num::NonZeroUsize;
use std::sync::Arc;

use tokio::time::Instant;

use super::settings::EntityNumber;
use crate::dead_letter::DeadLetterError;
use crate::failure::{Failure, MAX_EARLIER};
use crate::outcome::{Outcome, RecordReport, SkipReason};
use crate::record::RecordRef;

/// A record and its state.
pub(super) struct RecordState {
    pub(super) facts: RecordRef,
    failed: Option<Box<FailureState>>,
    /// The position after it in its lane; never 0, which has no predecessor.
    pub(super) next_in_lane: Option<NonZeroUsize>,
    pub(super) attempts: u32,
    /// Its entity, if the processor knows one that takes it.
    pub(super) entity: EntityNumber,
    /// The record's outcome; until it is settled, the outcome if nothing else happens.
    pub(super) outcome: Outcome,
    pub(super) settled: bool,
    /// Whether it waits for the record before it in its lane. What an earlier invocation dead-lettered is settled, and may still wait.
    pub(super) waits: bool,
    /// Whether its images, which no handler has seen, were checked to be JSON.
    pub(super) is_checked: bool,
    /// Whether it has a sequence number that no earlier record of the batch has, so the response can name it.
    pub(super) nameable: bool,
    /// Whether it became a dead letter in an earlier invocation.
    pub(super) was_dead_lettered: bool,
    /// Whether it is in a bulk that runs, or in a part of a halved one.
    pub(super) in_bulk: bool,
    /// Whether it did not decode when its lane's turn had not come yet.
    pub(super) is_undecodable: bool,
    /// Whether it is to be reported because the mark of its item is unknown.
    pub(super) is_mark_unknown: bool,
    /// Whether it is older than what is applied to its item.
    pub(super) is_stale: bool,
}

/// What is known of a record that has failed. Few have, so it is stored apart.
#[derive(Default)]
pub(super) struct FailureState {
    pub(super) failure: Option<Failure>,
    /// The failures of earlier attempts, the first one first.
    pub(super) earlier: Vec<Failure>,
    pub(super) dead_letter_error: Option<DeadLetterError>,
    /// Whether the failure is that of its whole bulk, which says nothing of the record itself.
    pub(super) with_bulk: bool,
    /// When its first attempt began.
    pub(super) first_seen: Option<Instant>,
}

impl RecordState {
    pub(super) fn new(facts: RecordRef) -> Self {
        Self {
            facts,
            failed: None,
            next_in_lane: None,
            attempts: 0,
            entity: EntityNumber::NONE,
            outcome: Outcome::Unfinished,
            settled: false,
            waits: false,
            is_checked: false,
            nameable: false,
            was_dead_lettered: false,
            in_bulk: false,
            is_undecodable: false,
            is_mark_unknown: false,
            is_stale: false,
        }
    }

    /// Gives the record its outcome. A success leaves no failure of earlier attempts, be it that of a later change.
    pub(super) fn settle(&mut self, outcome: Outcome) {
        if matches!(outcome, Outcome::Succeeded | Outcome::Skipped(SkipReason::Superseded)) {
            self.failed = None;
        }
        self.settled = true;
        self.outcome = outcome;
    }

    pub(super) fn failure(&self) -> Option<&Failure> {
        self.failed()?.failure.as_ref()
    }

    pub(super) fn failed(&self) -> Option<&FailureState> {
        self.failed.as_deref()
    }

    pub(super) fn failed_mut(&mut self) -> &mut FailureState {
        self.failed.get_or_insert_default()
    }

    /// Notes why the last attempt failed. Of the attempts before it, the first and the latest ones are kept: the first often says what
    /// the later ones only follow from.
    pub(super) fn fail_attempt(&mut self, failure: Failure) {
        let FailureState { failure: last, earlier, .. } = self.failed_mut();
        if let Some(previous) = last.replace(failure) {
            if earlier.len() == MAX_EARLIER {
                earlier.remove(1);
            }
            earlier.push(previous.shortened());
        }
    }

    /// Notes why the record cannot be processed, unless a reason is known already.
    pub(super) fn fail_in_reading(&mut self, failure: Failure) {
        self.failed_mut().failure.get_or_insert(failure);
    }

    /// Marks the record as held back, unless it has its outcome.
    pub(super) fn hold_back(&mut self) {
        if !self.settled {
            self.outcome = Outcome::HeldBack;
        }
    }

    /// The outcome that the rest of its lane goes by.
    pub(super) fn outcome_in_lane(&self) -> Outcome {
        if self.was_dead_lettered { Outcome::DeadLettered } else { self.outcome }
    }

    pub(super) fn into_report(self, position: usize, entity: Option<&Arc<str>>) -> RecordReport {
        let (failure, earlier, dead_letter_error) = match self.failed {
            Some(failed) => (failed.failure, failed.earlier, failed.dead_letter_error),
            None => (None, Vec::new(), None),
        };
        RecordReport {
            position,
            kind: self.facts.kind(),
            entity: entity.map(Arc::clone),
            outcome: self.outcome,
            attempts: self.attempts,
            failure,
            earlier: (!earlier.is_empty()).then(|| earlier.into_boxed_slice()),
            dead_letter_error,
            was_dead_lettered: self.was_dead_lettered,
            record: self.facts,
            nameable: self.nameable,
        }
    }
}
