//! The results of one call of the queue, letter by letter.
//!
//! Invariant: once a letter of a FIFO group is refused, no later letter of the group is sent in the same call, so none
//! overtakes it.

use std::collections::HashSet;

use super::send_error::SendError;

/// The results so far. A letter counts as accepted unless it is refused.
pub(super) struct SendResults {
    results: Vec<Result<(), SendError>>,
    /// The FIFO groups of refused letters.
    blocked_groups: HashSet<String>,
}

impl SendResults {
    pub(super) fn new(letters: usize) -> Self {
        Self { results: (0..letters).map(|_| Ok(())).collect(), blocked_groups: HashSet::new() }
    }

    /// Notes that a letter was not accepted, and blocks its FIFO group.
    pub(super) fn refuse(&mut self, position: usize, group_id: Option<String>, error: SendError) {
        self.results[position] = Err(error);
        self.blocked_groups.extend(group_id);
    }

    pub(super) fn is_blocked(&self, group_id: Option<&str>) -> bool {
        group_id.is_some_and(|group_id| self.blocked_groups.contains(group_id))
    }

    pub(super) fn into_vec(self) -> Vec<Result<(), SendError>> {
        self.results
    }
}
