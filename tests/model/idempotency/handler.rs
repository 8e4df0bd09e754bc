//! The handler of a plan, and the sink that it writes to: a projection of each item, with a guard or without.

use std::sync::Arc;
use std::time::Duration;

use futures::future::join_all;
use lambda_streams::HandlerError;

use super::broken::Subject;
use super::environment::Returned;
use super::ledger::Execution;
use super::plan::{Behaviour, BulkPlan, GuardPlan};
use super::rows::MarkRow;
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
    pub(super) async fn handle(self: &Arc<Self>, environment: usize, id: usize, is_stale: bool) -> Result<(), HandlerError> {
        let work = self.attempt(environment, id, is_stale).await?;
        self.succeed(work.execution, id);
        Ok(())
    }

    /// Handles several records. The processor hears of none before all are done.
    pub(super) async fn handle_all(
        self: &Arc<Self>,
        environment: usize,
        records: Vec<(usize, bool)>,
    ) -> Vec<Result<(), HandlerError>> {
        let attempts = records.iter().map(|(id, is_stale)| self.attempt(environment, *id, *is_stale));
        let attempts = join_all(attempts).await;
        attempts.into_iter().map(|attempt| attempt.map(|work| self.succeed(work.execution, work.id))).collect()
    }

    async fn attempt(self: &Arc<Self>, environment: usize, id: usize, is_stale: bool) -> Result<AtWork<'_>, HandlerError> {
        let execution = self.starts(environment, id, is_stale);
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
        self.send_effect(execution, id, plan.late_millis).await;
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

    /// Writes to the sink. What is sent arrives, also if the environment dies.
    async fn send_effect(self: &Arc<Self>, execution: usize, id: usize, late_millis: u16) {
        if late_millis == 0 {
            return self.effect(execution, id);
        }
        let arrives = self.later(Duration::from_millis(late_millis.into()), move |world| world.effect(execution, id));
        arrives.await.expect("a sink does not panic");
    }

    /// The effect and its guard, in one step.
    fn effect(&self, execution: usize, id: usize) {
        let mut state = self.state();
        let state = &mut *state;
        let consumer = state.ledger.executions[execution].consumer;
        if !state.ledger.executions[execution].is_open {
            self.tally.count(Event::EffectAfterDeath);
        }
        let is_admitted = match self.plan.settings.guard {
            GuardPlan::None => true,
            GuardPlan::Once => self.guard_once(state, consumer, id),
            GuardPlan::Newest => self.guard_newest(state, consumer, id),
        };
        if is_admitted {
            self.apply(state, consumer, id);
        }
    }

    /// How long the rows of guards are kept.
    fn life(&self) -> Duration {
        self.plan.settings.marks.map_or(LONG_LIFE, |marks| marks.life)
    }

    /// Whether the rows that guards have made at any time are still there, as far as the settings say.
    fn guards_live(&self) -> bool {
        self.begun.elapsed() + Duration::from_secs(200) < self.life()
    }

    fn guard_once(&self, state: &mut State, consumer: usize, id: usize) -> bool {
        let is_new = state.rows.insert_once(consumer, id, self.life());
        self.tally.count(if is_new { Event::OnceEffect } else { Event::OnceRefused });
        is_new
    }

    fn guard_newest(&self, state: &mut State, consumer: usize, id: usize) -> bool {
        let (item, newer) = (self.item(id), Some(id));
        let row = state.rows.mark(consumer, item);
        let (moved, to) = if self.subject == Subject::GuardsPassed {
            (row.passed, MarkRow { passed: newer, ..MarkRow::default() })
        } else {
            (row.applied, MarkRow { applied: newer, ..MarkRow::default() })
        };
        let event = match moved.cmp(&newer) {
            std::cmp::Ordering::Less => Event::NewestEffect,
            std::cmp::Ordering::Equal => Event::NewestDone,
            std::cmp::Ordering::Greater => Event::NewestStale,
        };
        self.tally.count(event);
        if event == Event::NewestStale {
            state.ledger.history(consumer, id).stale = true;
        } else if event == Event::NewestEffect {
            state.rows.raise(consumer, item, to, self.life());
        }
        event == Event::NewestEffect
    }

    /// P7: with a guard, no effect is repeated, and a guard of the item lets no projection go backwards.
    fn apply(&self, state: &mut State, consumer: usize, id: usize) {
        let (item, guard) = (self.item(id), self.plan.settings.guard);
        let history = state.ledger.history(consumer, id);
        history.effects += 1;
        let is_repeated = history.effects > 1;
        let before = state.ledger.projection.insert((consumer, item), id);
        let goes_backwards = before.is_some_and(|before| before > id);
        if is_repeated {
            self.tally.count(Event::Repetition);
        }
        if goes_backwards && guard == GuardPlan::None {
            self.tally.count(Event::Backwards);
            let skips = self.plan.settings.marks.is_some_and(|marks| marks.skips_stale);
            self.tally.add(Event::BackwardsWithSkip, skips.into());
        }
        if guard == GuardPlan::None || !self.guards_live() {
            return;
        }
        if is_repeated {
            state.ledger.violation(format!("P7: the effect of change {id} is repeated although there is a guard"));
        }
        if goes_backwards && guard == GuardPlan::Newest {
            let before = before.unwrap_or_default();
            state.ledger.violation(format!("P7: the projection of item {item} goes back from change {before} to {id}"));
        }
    }

    /// A handler is about to return `Ok`.
    fn succeed(&self, execution: usize, id: usize) {
        let mut state = self.state();
        let ledger = &mut state.ledger;
        ledger.executions[execution].succeeded.insert(id);
        let consumer = ledger.executions[execution].consumer;
        ledger.history(consumer, id).success = true;
        self.supersede(&mut state, execution, id);
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
            self.supersede(&mut state, at, id);
        }
    }

    /// Where only the last change of an item is handed over, it stands for those before it in a batch of the stream.
    fn supersede(&self, state: &mut State, execution: usize, id: usize) {
        let Execution { from_stream, consumer, batch, succeeded, confirmed, superseded, .. } = &mut state.ledger.executions[execution];
        if self.plan.settings.bulk != Some(BulkPlan::LatestOnly) || !*from_stream {
            return;
        }
        let before = batch.iter().take_while(|other| **other != id).copied();
        let open = |other: &usize| !succeeded.contains(other) && !confirmed.contains(other);
        let earlier: Vec<usize> = before.filter(|other| self.item(*other) == self.item(id)).filter(open).collect();
        superseded.extend(&earlier);
        let consumer = *consumer;
        self.tally.add(Event::Superseded, earlier.len());
        earlier.into_iter().for_each(|id| state.ledger.history(consumer, id).superseded = true);
    }
}
