//! What really happened, written down by handlers, queue and environments themselves: the judge believes nothing else.

use std::collections::{HashMap, HashSet};

use tokio::time::Instant;

/// A record's history over all invocations.
#[derive(Debug, Clone, Default)]
pub(crate) struct History {
    pub(crate) attempts: u32,
    pub(crate) running: u32,
    pub(crate) succeeded: bool,
    /// The dead-letter queue has it.
    pub(crate) accepted: bool,
    /// The mapping has given it up, and told its on-failure destination.
    pub(crate) discarded: bool,
}

#[derive(Debug, Default)]
pub(crate) struct EnvironmentLog {
    pub(crate) running: usize,
    /// What succeeded or was accepted in it.
    pub(crate) done: HashSet<usize>,
    /// What it must skip if it sees it again, and since when.
    pub(crate) remembered: HashMap<usize, Instant>,
}

#[derive(Debug)]
pub(crate) struct InvocationLog {
    pub(crate) environment: usize,
    /// The records, in the payload's order.
    pub(crate) batch: Vec<usize>,
    pub(crate) open: bool,
    /// From here on, nothing of the user's starts any more.
    pub(crate) stop: Instant,
    pub(crate) started: HashSet<usize>,
    pub(crate) attempts: HashMap<usize, u32>,
    pub(crate) succeeded: HashSet<usize>,
    /// The filter was asked about them, and keeps none of them.
    pub(crate) filtered_out: HashSet<usize>,
    /// Accepted by the queue, and the processor was told.
    pub(crate) confirmed: HashSet<usize>,
    /// The earliest position that can only be reported, if there is one: nothing behind it starts any more.
    pub(crate) reported: Option<usize>,
}

impl InvocationLog {
    pub(crate) fn position(&self, id: usize) -> usize {
        self.batch.iter().position(|other| *other == id).unwrap_or(usize::MAX)
    }

    /// The record has failed, and can only be reported.
    pub(crate) fn report(&mut self, id: usize) {
        let position = self.position(id);
        if self.reported.is_none_or(|earlier| position < earlier) {
            self.reported = Some(position);
        }
    }

    pub(crate) fn finished(&self, id: usize) -> bool {
        self.succeeded.contains(&id) || self.confirmed.contains(&id)
    }
}

#[derive(Debug, Default)]
pub(crate) struct Ledger {
    pub(crate) records: Vec<History>,
    pub(crate) environments: Vec<EnvironmentLog>,
    pub(crate) invocations: Vec<InvocationLog>,
    pub(crate) queue_calls: usize,
    pub(crate) violations: Vec<String>,
}

impl Ledger {
    pub(crate) fn new(records: usize) -> Self {
        Self { records: vec![History::default(); records], ..Self::default() }
    }

    pub(crate) fn new_environment(&mut self) -> usize {
        self.environments.push(EnvironmentLog::default());
        self.environments.len() - 1
    }

    pub(crate) fn open_invocation(&mut self, environment: usize, batch: Vec<usize>, stop: Instant) -> usize {
        self.invocations.push(InvocationLog {
            environment,
            batch,
            open: true,
            stop,
            started: HashSet::new(),
            attempts: HashMap::new(),
            succeeded: HashSet::new(),
            filtered_out: HashSet::new(),
            confirmed: HashSet::new(),
            reported: None,
        });
        self.invocations.len() - 1
    }

    /// The invocation that a record is in just now.
    pub(crate) fn invocation_of(&self, environment: usize, id: usize) -> Option<usize> {
        let holds = |log: &InvocationLog| log.open && log.environment == environment && log.batch.contains(&id);
        self.invocations.iter().rposition(holds)
    }

    pub(crate) fn violation(&mut self, what: String) {
        self.violations.push(what);
    }
}
