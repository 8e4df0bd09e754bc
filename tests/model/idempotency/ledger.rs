//! What really happened, written down by handlers, queue, store and mapping themselves.

use std::collections::{HashMap, HashSet};

use super::rows::MarkRow;

/// What a consumer has done with a change.
#[derive(Debug, Clone, Default)]
pub(super) struct History {
    pub(super) attempts: u32,
    /// A handler has returned `Ok`.
    pub(super) success: bool,
    /// The guard of its item has let its effect through.
    pub(super) guarded: bool,
    /// The dead-letter queue has it.
    pub(super) accepted: bool,
    /// The mapping has given it up.
    pub(super) discarded: bool,
    /// A later change of its item was handed over for it, and is done.
    pub(super) superseded: bool,
    /// It was skipped as stale, or the guard refused it as stale.
    pub(super) stale: bool,
    pub(super) effects: u32,
}

impl History {
    /// Whether it has had its effect as far as marks tell.
    pub(super) fn is_applied(&self) -> bool {
        self.success || self.guarded
    }

    /// Whether the stream need not deliver it again.
    pub(super) fn is_passed(&self) -> bool {
        self.is_applied() || self.accepted || self.discarded || self.superseded
    }
}

/// A batch that was handed to an environment.
#[derive(Debug, Default)]
pub(super) struct Execution {
    pub(super) consumer: usize,
    pub(super) from_stream: bool,
    pub(super) batch: Vec<usize>,
    pub(super) is_open: bool,
    pub(super) overlaps: bool,
    /// Those whose handlers run.
    pub(super) running: Vec<usize>,
    pub(super) started: HashSet<usize>,
    /// The items whose marks it is raising.
    pub(super) raising: Vec<usize>,
    /// Those whose effects the guard of the item has let through.
    pub(super) admitted: HashSet<usize>,
    pub(super) succeeded: HashSet<usize>,
    /// Dead letters that were accepted, and the processor was told.
    pub(super) confirmed: HashSet<usize>,
    pub(super) superseded: HashSet<usize>,
    /// The marks that the store has answered, by item.
    pub(super) read: HashMap<usize, MarkRow>,
    /// The items of which it has no answer.
    pub(super) unread: HashSet<usize>,
    /// Whether a mark, or when marks began, was asked for without an answer.
    pub(super) reads_failed: bool,
    /// Whether any call of the store had no answer.
    pub(super) store_failed: bool,
    /// What earlier executions have promised to remember, as the store has answered.
    pub(super) recalled: HashSet<usize>,
    /// What it has promised to remember after its checkpoint.
    pub(super) promised: Option<HashSet<usize>>,
}

impl Execution {
    /// What is done as far as the execution can know.
    pub(super) fn done(&self) -> HashSet<usize> {
        let own = self.succeeded.iter().chain(&self.confirmed).chain(&self.superseded);
        own.chain(&self.recalled).copied().collect()
    }
}

#[derive(Debug, Default)]
pub(super) struct Ledger {
    /// By consumer and change.
    pub(super) histories: Vec<Vec<History>>,
    pub(super) executions: Vec<Execution>,
    /// The last execution of each environment.
    pub(super) environments: Vec<usize>,
    /// The newest change that the projection of each consumer's item has.
    pub(super) projection: HashMap<(usize, usize), usize>,
    pub(super) violations: Vec<String>,
}

impl Ledger {
    pub(super) fn new(consumers: usize, changes: usize) -> Self {
        Self { histories: vec![vec![History::default(); changes]; consumers], ..Self::default() }
    }

    pub(super) fn execution(&mut self, environment: usize) -> (usize, &mut Execution) {
        let at = self.environments[environment];
        (at, &mut self.executions[at])
    }

    pub(super) fn history(&mut self, consumer: usize, id: usize) -> &mut History {
        &mut self.histories[consumer][id]
    }

    pub(super) fn new_environment(&mut self) -> usize {
        self.environments.push(usize::MAX);
        self.environments.len() - 1
    }

    /// Begins an execution; whether another of the consumer runs.
    pub(super) fn begin(
        &mut self,
        environment: usize,
        consumer: usize,
        from_stream: bool,
        batch: Vec<usize>,
    ) -> (usize, bool) {
        let mut overlaps = false;
        for other in self.executions.iter_mut().filter(|other| other.is_open && other.consumer == consumer) {
            (other.overlaps, overlaps) = (true, true);
        }
        self.executions.push(Execution {
            consumer,
            from_stream,
            batch,
            is_open: true,
            overlaps,
            ..Execution::default()
        });
        self.environments[environment] = self.executions.len() - 1;
        (self.executions.len() - 1, overlaps)
    }

    pub(super) fn violation(&mut self, what: String) {
        self.violations.push(what);
    }
}
