//! The handler of a plan.

use std::sync::Arc;

use futures::future::join_all;
use lambda_streams::{HandlerError, Record};

use super::broken::Subject;
use super::environment::Returned;
use super::ledger::Execution;
use super::plan::{Behaviour, BulkPlan};
use super::rows::MarkRow;
use super::sink::Effect;
use super::stream::id;
use super::tally::Event;
use super::world::{LONG_LIFE, State, World};

/// A handler at work, until it is done or dropped.
struct AtWork<'a> {
    world: &'a World,
    execution: usize,
    id: usize,
    is_done: bool,
}

impl Drop for AtWork<'_> {
    fn drop(&mut self) {
        self.world.tally.add(Event::Dropped, (!self.is_done).into());
        let mut state = self.world.state();
        let running = &mut state.ledger.executions[self.execution].running;
        let at = running.iter().position(|id| *id == self.id).expect("it runs");
        running.swap_remove(at);
    }
}

impl World {
    /// Handles one record.
    pub(super) async fn handle(self: &Arc<Self>, environment: usize, record: &Record) -> Result<(), HandlerError> {
        let work = self.attempt(environment, record).await?;
        self.succeed(work.execution, work.id);
        Ok(())
    }

    /// Handles several records. The processor hears of none before all are done.
    pub(super) async fn handle_all(
        self: &Arc<Self>,
        environment: usize,
        records: &[Record],
    ) -> Vec<Result<(), HandlerError>> {
        let attempts = join_all(records.iter().map(|record| self.attempt(environment, record))).await;
        attempts.into_iter().map(|attempt| attempt.map(|work| self.succeed(work.execution, work.id))).collect()
    }

    async fn attempt(self: &Arc<Self>, environment: usize, record: &Record) -> Result<AtWork<'_>, HandlerError> {
        let id = id(record.sequence_number().expect("every record has a number"));
        let execution = self.starts(environment, id, record.context().is_stale());
        let mut work = AtWork { world: self, execution, id, is_done: false };
        let plan = &self.plan.changes[id];
        let attempt = self.count_attempt(execution, id);
        self.wait(plan.before_millis).await;
        let failure = match plan.behaviour {
            Behaviour::FailTimes(times) if attempt < times.into() => Some("the sink is down".into()),
            Behaviour::PermanentTimes(times) if attempt < times.into() => Some(HandlerError::permanent("a bug")),
            Behaviour::HangTimes(times) if attempt < times.into() => std::future::pending().await,
            _ => None,
        };
        if let Some(failure) = failure {
            work.is_done = true;
            return Err(failure);
        }
        let effect = Effect { execution, id, guard: self.guard(execution, record) };
        self.send(effect, plan.late_millis).await;
        self.wait(plan.after_millis).await;
        work.is_done = true;
        match plan.behaviour {
            Behaviour::LosesAnswerTimes(times) if attempt < times.into() => Err("the sink's answer was lost".into()),
            _ => Ok(work),
        }
    }

    /// Counts an attempt of the execution's consumer; returns how many there were before, or more than any plan has once all is healed.
    fn count_attempt(&self, execution: usize, id: usize) -> u32 {
        let mut state = self.state();
        let consumer = state.ledger.executions[execution].consumer;
        if self.subject == Subject::RaisesBeforeSuccess {
            let to = MarkRow { passed: Some(id), applied: Some(id), ..MarkRow::default() };
            state.rows.raise(consumer, self.item(id), to, LONG_LIFE);
        }
        let is_healed = state.is_healed;
        let attempts = &mut state.ledger.history(consumer, id).attempts;
        *attempts += 1;
        if is_healed { u32::MAX } else { *attempts - 1 }
    }

    /// A handler is about to return `Ok`.
    fn succeed(&self, execution: usize, id: usize) {
        let mut state = self.state();
        let ledger = &mut state.ledger;
        ledger.executions[execution].succeeded.insert(id);
        let consumer = ledger.executions[execution].consumer;
        ledger.history(consumer, id).success = true;
        self.supersede(&mut state, execution, id, true);
    }

    /// The queue takes a dead letter; the processor is told or not.
    pub(super) fn accept(&self, environment: usize, id: usize, letter: String, is_told: bool) {
        let mut state = self.state();
        let (at, execution) = state.ledger.execution(environment);
        let consumer = execution.consumer;
        if is_told {
            execution.confirmed.insert(id);
        }
        state.ledger.history(consumer, id).accepted = true;
        state.letters[consumer].push(Returned { id, letter: Some(letter.into()) });
        if is_told {
            self.supersede(&mut state, at, id, true);
        }
    }

    /// Where only the last change of an item is handed over, it stands for those before it in a batch of the stream; the processor is told
    /// that it is done, or not.
    pub(super) fn supersede(&self, state: &mut State, execution: usize, id: usize, is_told: bool) {
        let Execution { from_stream, consumer, batch, succeeded, confirmed, superseded, .. } =
            &mut state.ledger.executions[execution];
        if self.plan.settings.bulk != Some(BulkPlan::LatestOnly) || !*from_stream {
            return;
        }
        let before = batch.iter().take_while(|other| **other != id).copied();
        let open = |other: &usize| !succeeded.contains(other) && !confirmed.contains(other);
        let earlier: Vec<usize> = before.filter(|other| self.item(*other) == self.item(id)).filter(open).collect();
        let consumer = *consumer;
        if is_told {
            superseded.extend(&earlier);
            self.tally.add(Event::Superseded, earlier.len());
        }
        earlier.into_iter().for_each(|id| state.ledger.history(consumer, id).superseded = true);
    }
}
