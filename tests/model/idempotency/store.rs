//! The store as one environment sees it: slow, failing, hanging, and with writes that arrive although their answers are lost.

use std::future::pending;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use lambda_streams::{CompletedRecords, IdempotencyStore, IdempotencyStoreError, Mark, StoreKey};
use tokio::time::sleep;

use super::broken::Subject;
use super::plan::StoreFault;
use super::rows::{CheckpointRow, MarkRow};
use super::stream::{Row, row};
use super::tally::Event;
use super::world::{State, World, life_until};
use crate::world::ON_PURPOSE;

pub(super) struct EnvironmentStore {
    pub(super) world: Arc<World>,
    pub(super) environment: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// Of the memory after a checkpoint.
    Load,
    /// Of marks, and of when they began.
    Read,
    Write,
}

/// A call that has no answer yet. One that is dropped never has.
struct Call<'a> {
    world: &'a Arc<World>,
    execution: usize,
    kind: Kind,
    /// The item whose mark it raises.
    raises: Option<usize>,
    is_answered: bool,
}

impl Drop for Call<'_> {
    fn drop(&mut self) {
        if let Some(item) = self.raises {
            self.world.state().ledger.executions[self.execution].raising.retain(|other| *other != item);
        }
        if self.is_answered {
            return;
        }
        let event = if self.kind == Kind::Write { Event::WriteFailure } else { Event::ReadFailure };
        self.world.tally.count(event);
        let mut state = self.world.state();
        let execution = &mut state.ledger.executions[self.execution];
        execution.store_failed = true;
        execution.reads_failed |= self.kind == Kind::Read;
    }
}

/// How a read is answered.
struct Reading {
    /// As it was before the last write.
    is_old: bool,
    /// The items of which there is an answer, a bit each.
    answers: u8,
}

fn failed() -> IdempotencyStoreError {
    IdempotencyStoreError::new("the table is gone")
}

impl EnvironmentStore {
    fn call(&self, kind: Kind) -> Call<'_> {
        let execution = self.world.state().ledger.environments[self.environment];
        Call { world: &self.world, execution, kind, raises: None, is_answered: false }
    }

    fn panic(&self) -> ! {
        self.world.tally.count(Event::StorePanic);
        std::panic::panic_any(ON_PURPOSE)
    }

    /// Reads what is there in the middle of the call.
    async fn read<T>(
        &self,
        kind: Kind,
        read: impl FnOnce(&mut State, usize, Reading) -> T,
    ) -> Result<T, IdempotencyStoreError> {
        let mut call = self.call(kind);
        let (millis, answers) = match self.world.next_store_fault() {
            StoreFault::Takes(millis) => (millis, u8::MAX),
            StoreFault::Partly(answers) => (0, answers),
            StoreFault::Panics => self.panic(),
            StoreFault::Hangs | StoreFault::ArrivesAndHangs => pending().await,
            StoreFault::Fails | StoreFault::ArrivesAndFails | StoreFault::ArrivesLate(_) => return Err(failed()),
        };
        self.world.wait(millis / 2).await;
        // Half of the reads that take time may be stale, if they are of a kind that may.
        let reading = Reading { is_old: !millis.is_multiple_of(2), answers };
        let answer = read(&mut self.world.state(), call.execution, reading);
        self.world.wait(millis / 2).await;
        call.is_answered = true;
        Ok(answer)
    }

    /// Sends a write, which arrives whether or not anybody waits for it.
    async fn write(
        &self,
        raises: Option<usize>,
        write: impl FnOnce(&mut State, usize) + Send + 'static,
    ) -> Result<(), IdempotencyStoreError> {
        let mut call = self.call(Kind::Write);
        if let Some(item) = raises {
            self.world.raises(call.execution, item);
            call.raises = raises;
        }
        let execution = call.execution;
        let arrive = move |world: &World| {
            let mut state = world.state();
            if !state.ledger.executions[execution].is_open {
                world.tally.count(Event::WriteArrivedAfterDeath);
            }
            write(&mut state, execution);
        };
        match self.world.next_store_fault() {
            StoreFault::Takes(0) => arrive(&self.world),
            StoreFault::Takes(millis) => {
                self.world.later(Duration::from_millis(u64::from(millis) / 2), arrive);
                self.world.wait(millis).await;
            }
            StoreFault::Fails | StoreFault::Partly(_) => return Err(failed()),
            StoreFault::Panics => self.panic(),
            StoreFault::Hangs => pending().await,
            StoreFault::ArrivesAndFails => {
                self.world.tally.count(Event::WriteArrivedAfterFailure);
                arrive(&self.world);
                return Err(failed());
            }
            StoreFault::ArrivesAndHangs => {
                self.world.tally.count(Event::WriteArrivedAfterFailure);
                arrive(&self.world);
                pending().await
            }
            StoreFault::ArrivesLate(millis) => {
                self.world.later(Duration::from_millis(millis.into()), arrive);
                return Err(failed());
            }
        }
        call.is_answered = true;
        Ok(())
    }
}

impl IdempotencyStore for EnvironmentStore {
    async fn load(&self, checkpoint: &StoreKey) -> Result<Option<CompletedRecords>, IdempotencyStoreError> {
        let Row::Checkpoint { consumer, first } = row(checkpoint.as_str()) else { unreachable!("another kind of key") };
        let world = &self.world;
        let read = |state: &mut State, execution: usize, Reading { is_old, .. }: Reading| {
            let found = state.rows.checkpoint(consumer, first, is_old).cloned();
            let writer = found.as_ref().map(|found| found.writer);
            let completed = match world.subject {
                Subject::KeepsRanges => found.map(|_| world.up_to_the_last_done(state, consumer, first)),
                Subject::LoadsInvent => Some(world.all_started(state, consumer, first)),
                _ => found.map(|found| found.completed),
            };
            (execution, writer, completed)
        };
        let (execution, writer, completed) = self.read(Kind::Load, read).await?;
        world.recall(execution, writer);
        Ok(completed)
    }

    async fn save(
        &self,
        checkpoint: &StoreKey,
        completed: &CompletedRecords,
        expires: SystemTime,
    ) -> Result<(), IdempotencyStoreError> {
        let Row::Checkpoint { consumer, first } = row(checkpoint.as_str()) else { unreachable!("another kind of key") };
        let (completed, life) = (completed.clone(), life_until(expires));
        let save = move |state: &mut State, writer: usize| {
            state.rows.save(consumer, first, CheckpointRow { completed, writer }, life);
        };
        self.write(None, save).await
    }

    async fn marks(&self, items: &[StoreKey]) -> Vec<Result<Mark, IdempotencyStoreError>> {
        let world = &self.world;
        let read = |state: &mut State, execution: usize, Reading { answers, .. }: Reading| -> Vec<_> {
            let mark = |key: &StoreKey| {
                let Row::Item { consumer, item } = row(key.as_str()) else { unreachable!("another kind of key") };
                if answers >> item & 1 == 0 {
                    world.tally.count(Event::PartialRead);
                    let execution = &mut state.ledger.executions[execution];
                    execution.store_failed = true;
                    execution.unread.insert(item);
                    return Err(failed());
                }
                let found = state.rows.mark(consumer, item);
                if found == MarkRow::default() && state.rows.has_expired(consumer, item) {
                    world.tally.count(Event::RowExpired);
                }
                state.ledger.executions[execution].read.insert(item, found);
                Ok(world.broken_mark(state, consumer, item, found).mark())
            };
            items.iter().map(mark).collect()
        };
        match self.read(Kind::Read, read).await {
            Ok(marks) => marks,
            Err(_) => items.iter().map(|_| Err(failed())).collect(),
        }
    }

    async fn raise(&self, item: &StoreKey, to: &Mark, expires: SystemTime) -> Result<(), IdempotencyStoreError> {
        let Row::Item { consumer, item } = row(item.as_str()) else { unreachable!("another kind of key") };
        let (to, life) = (MarkRow::of(to), life_until(expires));
        self.write(Some(item), move |state, _| state.rows.raise(consumer, item, to, life)).await
    }

    async fn begin(&self, stream: &StoreKey, now: SystemTime) -> Result<SystemTime, IdempotencyStoreError> {
        let Row::Beginning { consumer } = row(stream.as_str()) else { unreachable!("another kind of key") };
        self.read(Kind::Read, |state, _, _| state.rows.begin(consumer, now)).await
    }
}

impl World {
    /// Waits, if there is anything to wait for.
    pub(super) async fn wait(&self, millis: u16) {
        if millis > 0 {
            sleep(Duration::from_millis(millis.into())).await;
        }
    }

    /// Does something after a while, even if its caller is gone by then.
    pub(super) fn later(
        self: &Arc<Self>,
        delay: Duration,
        act: impl FnOnce(&World) + Send + 'static,
    ) -> tokio::task::JoinHandle<()> {
        let world = Arc::clone(self);
        tokio::spawn(async move {
            sleep(delay).await;
            act(&world);
        })
    }

    /// What a deliberately broken store takes a mark for.
    fn broken_mark(&self, state: &State, consumer: usize, item: usize, found: MarkRow) -> MarkRow {
        match self.subject {
            Subject::TakesPassedForApplied => MarkRow { applied: found.passed.max(found.applied), ..found },
            Subject::ReadsInvent => {
                let of_consumer = state.ledger.executions.iter().filter(|execution| execution.consumer == consumer);
                let running = of_consumer.flat_map(|execution| execution.started.iter());
                let newest = running.copied().filter(|id| self.item(*id) == item).max();
                MarkRow { passed: found.passed.max(newest), applied: found.applied.max(newest), ..found }
            }
            _ => found,
        }
    }

    /// Every change after a checkpoint, up to the last that is done.
    fn up_to_the_last_done(&self, state: &State, consumer: usize, first: usize) -> CompletedRecords {
        let histories = &state.ledger.histories[consumer];
        let last = histories.iter().rposition(|history| history.success || history.accepted).unwrap_or_default();
        let ids: Vec<usize> = (first + 1..=last).collect();
        self.stream.completed(&ids)
    }
    /// Every change after a checkpoint at which a handler was at work.
    fn all_started(&self, state: &State, consumer: usize, first: usize) -> CompletedRecords {
        let of_consumer = state.ledger.executions.iter().filter(|execution| execution.consumer == consumer);
        let started = of_consumer.flat_map(|execution| execution.started.iter().copied());
        let ids: Vec<usize> = started.filter(|id| *id > first).collect();
        self.stream.completed(&ids)
    }
}
