//! The judge of the idempotency world: what the promises say of each start of a handler, each report, and the end.

use std::collections::HashSet;

use lambda_streams::{BatchReport, Outcome, RecordReport, SkipReason};

use super::ledger::{Execution, History};
use super::plan::{BulkPlan, GuardPlan};
use super::tally::Event;
use super::world::{SETTLES, State, World, time_of_day};

impl World {
    /// A handler starts; returns its execution.
    pub(super) fn starts(&self, environment: usize, id: usize, is_stale: bool) -> usize {
        self.tally.count(Event::Handler);
        let mut state = self.state();
        let state = &mut *state;
        let (at, execution) = state.ledger.execution(environment);
        execution.running.push(id);
        let execution = &state.ledger.executions[at];
        let mut wrong = Vec::new();
        if execution.from_stream {
            wrong.extend(self.order(state, execution, id));
            wrong.extend(self.memory(execution, id));
        }
        wrong.extend(self.one_of_an_item_at_once(execution));
        wrong.extend(self.mark(state, execution, id, is_stale));
        if execution.raising.contains(&self.item(id)) {
            wrong.push(format!("P8: change {id} starts while the mark of its item is raised"));
        }
        let is_done_elsewhere =
            |(consumer, histories): (usize, &Vec<History>)| consumer != execution.consumer && histories[id].success;
        if state.ledger.histories.iter().enumerate().any(is_done_elsewhere) {
            self.tally.count(Event::OtherConsumerDone);
        }
        state.ledger.executions[at].started.insert(id);
        state.ledger.violations.extend(wrong);
        at
    }

    /// P6: from the stream, the changes of an item are handled in their order.
    fn order(&self, state: &State, execution: &Execution, id: usize) -> Option<String> {
        if self.plan.settings.bulk == Some(BulkPlan::LatestOnly) {
            return None;
        }
        let histories = &state.ledger.histories[execution.consumer];
        let is_open = |other: &&usize| {
            let is_done = execution.succeeded.contains(other) || execution.confirmed.contains(other);
            **other < id && self.item(**other) == self.item(id) && !is_done && !histories[**other].is_passed()
        };
        let open = execution.batch.iter().find(is_open)?;
        Some(format!("P6: change {id} starts before change {open} of the same item is finished"))
    }

    fn one_of_an_item_at_once(&self, execution: &Execution) -> Option<String> {
        let mut items = HashSet::new();
        let twice = execution.running.iter().find(|id| !items.insert(self.item(**id)))?;
        Some(format!("P6: two changes of one item run at once, change {twice} among them"))
    }

    /// P4: what an execution has done after its checkpoint, and kept, is not done again.
    fn memory(&self, execution: &Execution, id: usize) -> Option<String> {
        let is_promised = execution.recalled.contains(&id);
        is_promised
            .then(|| format!("P4: change {id} is handled again although the memory after its checkpoint was read"))
    }

    /// P3: what the item's mark says is done is not handled again; and a handler is told what is stale.
    fn mark(&self, state: &State, execution: &Execution, id: usize, is_stale: bool) -> Option<String> {
        let settings = self.plan.settings.marks?;
        let item = self.item(id);
        let own = execution.succeeded.iter().filter(|other| self.item(**other) == item).max().copied();
        let Some(read) = execution.read.get(&item) else {
            // What was applied in this batch is known anyway.
            let must_wait =
                settings.reports_unavailable || !execution.from_stream && settings.skips_stale && own.is_none();
            let was_asked = execution.reads_failed || execution.unread.contains(&item);
            return (must_wait || !was_asked).then(|| {
                format!("P3: change {id} is handled, and its mark was not read: {settings:?}, asked: {was_asked}")
            });
        };
        if execution.reads_failed {
            return None;
        }
        self.tally.count(Event::FreshMark);
        if execution.from_stream {
            let is_done = read.passed >= Some(id) || own >= Some(id);
            return is_done.then(|| format!("P3: change {id} is handled although the stream had passed it: {read:?}"));
        }
        let applied = read.applied.max(own);
        if applied.is_none()
            && settings.skips_stale
            && self.is_surely_undecidable(self.began_late(state, execution.consumer))
        {
            return Some(format!(
                "P3: change {id}, which comes back, is handled although nobody can tell whether it is stale"
            ));
        }
        let is_older = applied > Some(id);
        if applied == Some(id) || is_older && settings.skips_stale {
            return Some(format!(
                "P3: change {id}, which comes back, is handled although change {applied:?} is applied"
            ));
        }
        self.tally.add(Event::StaleProcessed, is_older.into());
        (is_stale != is_older)
            .then(|| format!("stale: change {id} is said to be stale: {is_stale}, and {applied:?} is applied"))
    }

    /// P8: no mark is raised while a change of its item is handled, whose transaction it would cancel.
    pub(super) fn raises(&self, execution: usize, item: usize) {
        let mut state = self.state();
        let execution = &mut state.ledger.executions[execution];
        execution.raising.push(item);
        if execution.running.iter().any(|id| self.item(*id) == item) {
            state.ledger.violation(format!("P8: the mark of item {item} is raised while a change of it is handled"));
        }
    }

    /// The store has answered with the row of a checkpoint that this execution wrote: what that one has promised is not to be done again.
    pub(super) fn recall(&self, execution: usize, writer: Option<usize>) {
        let mut state = self.state();
        let promised = writer.and_then(|writer| state.ledger.executions[writer].promised.clone());
        state.ledger.executions[execution].recalled = promised.unwrap_or_default();
    }

    /// Judges a report. From the stream, everything from `resumes_at` on is delivered again.
    pub(super) fn judge(&self, execution: usize, report: &BatchReport, resumes_at: usize) {
        let mut state = self.state();
        let state = &mut *state;
        let batch = state.ledger.executions[execution].batch.clone();
        self.tally.add(Event::DeadlineStop, report.stopped_at_deadline().into());
        for (id, entry) in batch.iter().zip(report.records()) {
            let wrong = self.outcome(state, execution, *id, entry);
            state.ledger.violations.extend(wrong);
        }
        if report.records().len() != batch.len() {
            state.ledger.violation(format!(
                "{} records came, and {} are reported",
                batch.len(),
                report.records().len()
            ));
        }
        if state.ledger.executions[execution].store_failed {
            return;
        }
        if state.ledger.executions[execution].from_stream {
            self.promise(state, execution, &batch, resumes_at);
        }
        self.raised(state, execution);
    }

    /// P1: whether an outcome is what the ledger says.
    fn outcome(&self, state: &mut State, execution: usize, id: usize, entry: &RecordReport) -> Option<String> {
        let execution = &state.ledger.executions[execution];
        let (consumer, from_stream) = (execution.consumer, execution.from_stream);
        let histories = &state.ledger.histories[consumer];
        let history = &histories[id];
        let newer_is_applied = || {
            let newer = histories.iter().enumerate().skip(id + 1);
            newer.filter(|(other, _)| self.item(*other) == self.item(id)).any(|(_, history)| history.is_applied())
        };
        let skips_stale = self.plan.settings.marks.is_some_and(|marks| marks.skips_stale);
        let right = match entry.outcome {
            Outcome::Succeeded => execution.succeeded.contains(&id),
            Outcome::DeadLettered => from_stream && execution.confirmed.contains(&id),
            Outcome::Skipped(SkipReason::Redelivered) => from_stream && history.is_passed(),
            Outcome::Skipped(SkipReason::AlreadyDone) if from_stream => history.is_passed(),
            Outcome::Skipped(SkipReason::AlreadyDone) => history.is_applied(),
            Outcome::Skipped(SkipReason::Stale) => !from_stream && skips_stale && newer_is_applied(),
            Outcome::Skipped(SkipReason::Superseded) => execution.superseded.contains(&id),
            Outcome::Skipped(_) => false,
            _ => true,
        };
        self.count_outcome(execution, history, id, entry);
        if entry.outcome == Outcome::Skipped(SkipReason::Stale) {
            state.ledger.history(consumer, id).stale = true;
        }
        let outcome = entry.outcome;
        let from = if from_stream { "the stream" } else { "elsewhere" };
        let history = &state.ledger.histories[consumer][id];
        (!right)
            .then(|| format!("P1: change {id} from {from} is said to be {outcome:?}, and its history is {history:?}"))
    }

    fn count_outcome(&self, execution: &Execution, history: &History, id: usize, entry: &RecordReport) {
        let event = match entry.outcome {
            Outcome::Skipped(SkipReason::Redelivered) => Event::SkippedInEnvironment,
            Outcome::Skipped(SkipReason::AlreadyDone) if !execution.from_stream => Event::SkippedElsewhere,
            Outcome::Skipped(SkipReason::AlreadyDone) if execution.recalled.contains(&id) => Event::SkippedByMemory,
            Outcome::Skipped(SkipReason::AlreadyDone) if !history.success => Event::SkippedLetter,
            Outcome::Skipped(SkipReason::AlreadyDone) => Event::SkippedByMark,
            Outcome::Skipped(SkipReason::Stale) => Event::StaleSkipped,
            Outcome::Reported if entry.attempts == 0 => Event::Undecidable,
            _ => return,
        };
        self.tally.count(event);
    }

    /// What an execution has done from its checkpoint on must be in the store now, and is its promise.
    fn promise(&self, state: &mut State, execution: usize, batch: &[usize], resumes_at: usize) {
        let Some(first) = batch.get(resumes_at).copied() else { return };
        let done = state.ledger.executions[execution].done();
        let done: HashSet<usize> = batch[resumes_at..].iter().filter(|id| done.contains(id)).copied().collect();
        if done.is_empty() {
            return;
        }
        let consumer = state.ledger.executions[execution].consumer;
        if state.rows.checkpoint(consumer, first, false).is_none() {
            let what = format!("P4: the store has nothing after checkpoint {first}, after which {done:?} are done");
            state.ledger.violation(what);
        }
        self.tally.count(Event::MemoryKept);
        state.ledger.executions[execution].promised = Some(done);
    }

    /// P3: without store failures, the marks of what an execution has done are raised once it answers.
    fn raised(&self, state: &mut State, execution: usize) {
        let Some(settings) = self.plan.settings.marks else { return };
        let Execution { consumer, from_stream, succeeded, confirmed, admitted, .. } =
            &state.ledger.executions[execution];
        let (consumer, from_stream) = (*consumer, *from_stream);
        let mut wrong = Vec::new();
        for id in succeeded.iter().chain(confirmed) {
            let row = state.rows.mark(consumer, self.item(*id));
            let is_applied = !succeeded.contains(id) || row.applied >= Some(*id);
            // A guard that refuses a success moves nothing, and the processor leaves it to the guard.
            let is_refused =
                self.plan.settings.guard == GuardPlan::Newest && !admitted.contains(id) && succeeded.contains(id);
            let is_passed = !from_stream || is_refused || row.passed >= Some(*id);
            if !(is_applied && is_passed) {
                wrong.push(format!("P3: change {id} is done, and the mark of its item is {row:?}"));
            }
        }
        // A mark that something else has raised long ago may have expired just now.
        if self.begun.elapsed() + SETTLES < settings.life {
            self.tally.count(Event::MarksKept);
            state.ledger.violations.append(&mut wrong);
        }
    }

    /// P2 at the end: every change was applied, or was stale next to a newer one that was, or cannot be decided and is in a queue.
    pub(super) fn end(&self) {
        let mut state = self.state();
        let state = &mut *state;
        for consumer in 0..self.plan.consumers {
            for id in 0..self.plan.changes.len() {
                let wrong = self.lost(state, consumer, id);
                state.ledger.violations.extend(wrong);
            }
        }
    }

    fn lost(&self, state: &State, consumer: usize, id: usize) -> Option<String> {
        let histories = &state.ledger.histories[consumer];
        let history = &histories[id];
        let newer = histories.iter().enumerate().skip(id + 1).filter(|(other, _)| self.item(*other) == self.item(id));
        let is_to_come = |id: usize| self.is_in_queue(state, consumer, id);
        let newer_is_applied = newer.into_iter().any(|(id, history)| history.effects > 0 || is_to_come(id));
        let is_in_queue = is_to_come(id);
        if is_in_queue && !self.is_undecidable(state, consumer) {
            return Some(format!("P2: change {id} does not leave its queue: {history:?}"));
        }
        self.tally.add(Event::LeftInQueue, is_in_queue.into());
        let is_outdated = (history.stale || history.superseded) && newer_is_applied;
        let is_kept = history.effects > 0 || is_outdated || is_in_queue;
        (!is_kept).then(|| format!("P2: change {id} is lost: {history:?}"))
    }

    /// Whether it is unknown, or soon will be, whether a record without a mark is stale: it is older than marks are kept, or than their beginning.
    fn is_undecidable(&self, state: &State, consumer: usize) -> bool {
        let Some(settings) = self.plan.settings.marks.filter(|marks| marks.skips_stale) else { return false };
        self.began_late(state, consumer) || self.begun.elapsed() + SETTLES > settings.life
    }

    /// The same, for a while already.
    fn is_surely_undecidable(&self, began_late: bool) -> bool {
        let life = self.plan.settings.marks.map(|marks| marks.life);
        began_late || life.is_some_and(|life| self.begun.elapsed() > life + SETTLES)
    }

    /// Whether the marks of a consumer began only after the stream's changes were made.
    fn began_late(&self, state: &State, consumer: usize) -> bool {
        let begun = time_of_day() - self.begun.elapsed();
        state.rows.beginning(consumer).is_none_or(|began| began + SETTLES > begun)
    }
}
