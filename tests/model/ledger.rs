//! What really happened, written down by handlers, queue and environments themselves: the judge believes nothing else.

use std::collections::{HashMap, HashSet};

use lambda_streams::ErrorKind;
use tokio::time::Instant;

/// A record's history over all invocations.
#[derive(Debug, Clone, Default)]
pub(crate) struct History {
    pub(crate) attempts: u32,
    pub(crate) running: u32,
    pub(crate) succeeded: bool,
    /// A later change of its item was handed over for it, and that one is finished.
    pub(crate) superseded: bool,
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

/// What bulk handlers did with a record in one invocation.
#[derive(Debug, Clone, Default)]
pub(crate) struct Bulked {
    /// Calls in the present attempt, and how many there may be.
    pub(crate) calls: u32,
    pub(crate) most_calls: u32,
    /// The bulk that failed as a whole, if that is what happened last, and its size: it may be halved.
    pub(crate) failed_bulk: Option<(usize, usize)>,
    /// Whether a record before it in its lane has failed since, so a part may have been made without it, and it has its attempt again.
    pub(crate) may_be_left_out: bool,
    /// How the record itself failed, if that is what happened last.
    pub(crate) own_failure: Option<ErrorKind>,
    /// It must not start before.
    pub(crate) not_before: Option<Instant>,
    /// Those before it that failed retryably in the same bulk: they come back with it.
    pub(crate) returns_with: Vec<usize>,
}

#[derive(Debug)]
pub(crate) struct InvocationLog {
    pub(crate) environment: usize,
    /// The records, in the payload's order.
    pub(crate) batch: Vec<usize>,
    pub(crate) open: bool,
    /// After this, no code of the user starts.
    pub(crate) stop: Instant,
    pub(crate) started: HashSet<usize>,
    /// How many attempts count.
    pub(crate) attempts: HashMap<usize, u32>,
    /// Those whose success counts.
    pub(crate) succeeded: HashSet<usize>,
    /// Those that a bulk handler was asked about.
    pub(crate) bulked: HashMap<usize, Bulked>,
    /// Earlier changes of an item, by the later one that is handed over for them.
    pub(crate) stands_for: HashMap<usize, Vec<usize>>,
    /// Those that such a later one, which is finished, stood for.
    pub(crate) superseded: HashSet<usize>,
    /// What was done in the environment when it began, which may have forgotten it.
    pub(crate) done_before: HashSet<usize>,
    pub(crate) bulk_calls: usize,
    /// How many of them run.
    pub(crate) bulks_running: usize,
    /// The filter was asked about them, and keeps none of them.
    pub(crate) filtered_out: HashSet<usize>,
    /// The filter keeps them, and has said so before the stop.
    pub(crate) kept: HashSet<usize>,
    /// Accepted by the queue, and the processor was told.
    pub(crate) confirmed: HashSet<usize>,
    /// The earliest position that can only be reported, if there is one: nothing after it starts.
    pub(crate) reported: Option<usize>,
}

impl InvocationLog {
    pub(crate) fn position(&self, id: usize) -> usize {
        self.batch.iter().position(|other| *other == id).unwrap_or(usize::MAX)
    }

    /// The record has failed, and can only be reported, with those that it stands for.
    pub(crate) fn report(&mut self, id: usize) {
        let superseded = self.stands_for.get(&id).into_iter().flatten();
        let first = superseded.copied().find(|earlier| !self.done_before.contains(earlier));
        let position = self.position(first.unwrap_or(id));
        if self.reported.is_none_or(|earlier| position < earlier) {
            self.reported = Some(position);
        }
    }

    pub(crate) fn finished(&self, id: usize) -> bool {
        self.succeeded.contains(&id) || self.confirmed.contains(&id) || self.superseded.contains(&id)
    }

    /// For how many earlier changes a record stands, if that is sure.
    pub(crate) fn surely_superseded(&self, id: usize) -> Option<usize> {
        let superseded = self.stands_for.get(&id)?;
        let is_sure = !superseded.iter().any(|earlier| self.done_before.contains(earlier));
        is_sure.then_some(superseded.len())
    }

    /// What is known of a record as one of bulks.
    pub(crate) fn bulked(&mut self, id: usize) -> &mut Bulked {
        self.bulked.entry(id).or_default()
    }
}

#[derive(Debug, Default)]
pub(crate) struct Ledger {
    pub(crate) records: Vec<History>,
    pub(crate) environments: Vec<EnvironmentLog>,
    pub(crate) invocations: Vec<InvocationLog>,
    pub(crate) queue_calls: usize,
    pub(crate) bulk_calls: usize,
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
        let done = &self.environments[environment].done;
        let done_before = batch.iter().filter(|id| done.contains(id)).copied().collect();
        self.invocations.push(InvocationLog {
            environment,
            done_before,
            batch,
            open: true,
            stop,
            started: HashSet::new(),
            attempts: HashMap::new(),
            succeeded: HashSet::new(),
            bulked: HashMap::new(),
            stands_for: HashMap::new(),
            superseded: HashSet::new(),
            bulk_calls: 0,
            bulks_running: 0,
            filtered_out: HashSet::new(),
            kept: HashSet::new(),
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

    /// A record is finished at the sink or the queue, and with it those that it stands for.
    pub(crate) fn finish_superseded(&mut self, invocation: usize, id: usize) {
        let log = &mut self.invocations[invocation];
        for earlier in log.stands_for.get(&id).cloned().unwrap_or_default() {
            self.records[earlier].superseded = true;
            self.environments[log.environment].done.insert(earlier);
        }
    }

    /// The processor was told so.
    pub(crate) fn supersede(&mut self, invocation: usize, id: usize) {
        self.finish_superseded(invocation, id);
        let log = &mut self.invocations[invocation];
        log.superseded.extend(log.stands_for.get(&id).into_iter().flatten());
    }

    pub(crate) fn violation(&mut self, what: String) {
        self.violations.push(what);
    }
}
