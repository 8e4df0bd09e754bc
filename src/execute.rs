//! One batch, from records to outcomes.
//!
//! Everything happens inside one future, which owns the handlers' futures, the backoffs and the dead letters under way:
//! nothing is spawned, and dropping it cancels all. Whenever a permit is free, the ready record with the lowest position
//! starts, so that the checkpoint moves forward; a record becomes ready when its predecessor in its lane is finished.

mod attempt;
mod batch;
mod clock;
mod deadline;
mod gate;
mod lanes;
mod outbox;

use std::cmp::Reverse;
use std::collections::{BTreeSet, BinaryHeap};
use std::sync::Arc;

use futures::future::{BoxFuture, FutureExt, OptionFuture};
use futures::stream::{FuturesUnordered, StreamExt};
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::Instant;

use self::attempt::{Attempted, GuardedAttempt, Watch};
use self::batch::Batch;
use self::clock::Clock;
pub(crate) use self::clock::time_of_day;
use self::deadline::Deadlines;
use self::gate::Gate;
use self::outbox::Outbox;
use crate::dead_letter::DeadLetterError;
use crate::event::StreamEvent;
use crate::invocation::Invocation;
use crate::log::{self, Next};
use crate::metrics::{Measurements, millis};
use crate::outcome::{BatchReport, ErrorKind, Failure, Outcome};
use crate::policy::{AfterDeadLetter, FailurePolicy};
use crate::processor::Settings;

/// Processes a batch until every record is finished or reported, and measures it.
pub(crate) async fn run(
    settings: &Settings,
    event: StreamEvent,
    invocation: Arc<Invocation>,
) -> (BatchReport, Measurements) {
    let clock = Clock::start();
    let deadlines = Deadlines::new(invocation.deadline, settings.deadline_margin);
    let mut batch = Batch::read(settings, event, &invocation);
    let gate = Gate::open();
    let mut execution = Execution::new(settings, &mut batch, &gate, clock, deadlines, invocation);
    execution.run().await;
    let (stopped, measured) = (execution.stopped, std::mem::take(&mut execution.measured));
    drop(execution);
    (batch.into_report(settings, stopped), measured)
}

struct Execution<'a> {
    settings: &'a Settings,
    batch: &'a mut Batch,
    clock: Clock,
    deadlines: Deadlines,
    /// Positions whose lane has come to them.
    ready: BinaryHeap<Reverse<usize>>,
    attempts: FuturesUnordered<GuardedAttempt<'a>>,
    backoffs: FuturesUnordered<BoxFuture<'static, usize>>,
    /// Positions that wait between two attempts.
    backing_off: BTreeSet<usize>,
    outbox: Outbox<'a>,
    gate: &'a Gate,
    /// Whether the deadline has stopped the batch.
    stopped: bool,
    measured: Measurements,
}

type PermitWait = BoxFuture<'static, Option<OwnedSemaphorePermit>>;

impl<'a> Execution<'a> {
    fn new(
        settings: &'a Settings,
        batch: &'a mut Batch,
        gate: &'a Gate,
        clock: Clock,
        deadlines: Deadlines,
        invocation: Arc<Invocation>,
    ) -> Self {
        let ready = batch.lane_heads().map(Reverse).collect();
        let measured = batch.measure(&clock);
        log::note_table(measured.table.as_deref());
        Self {
            settings,
            batch,
            clock,
            deadlines,
            ready,
            attempts: FuturesUnordered::new(),
            backoffs: FuturesUnordered::new(),
            backing_off: BTreeSet::new(),
            outbox: Outbox::new(settings.queue.as_deref(), invocation),
            gate,
            stopped: false,
            measured,
        }
    }

    async fn run(&mut self) {
        let mut permit: Option<PermitWait> = None;
        loop {
            if !self.stopped && self.deadlines.is_stop_reached() {
                self.stop();
            }
            self.start_ready();
            self.outbox.flush(self.batch, &self.clock);
            if self.is_settled() {
                return;
            }
            // A place in the semaphore's queue is kept while something waits for it, and no longer.
            if self.next_ready().is_none() {
                permit = None;
            } else if permit.is_none() {
                let limit = Arc::clone(&self.settings.limit);
                permit = Some(Box::pin(async move { limit.acquire_owned().await.ok() }));
            }
            tokio::select! {
                biased;
                Some(attempted) = self.attempts.next() => self.attempted(attempted),
                Some((positions, duration, results)) = self.outbox.next() => {
                    self.measured.dead_letters.push(millis(duration));
                    self.sent(&positions, results);
                }
                Some(position) = self.backoffs.next() => self.backed_off(position),
                () = self.deadlines.next(self.stopped) => {
                    if self.stopped {
                        return;
                    }
                    self.stop();
                }
                Some(granted) = OptionFuture::from(permit.as_mut()) => {
                    permit = None;
                    if let Some(granted) = granted {
                        self.start_next(granted);
                    }
                }
            }
        }
    }

    /// Whether nothing runs, nothing is under way, and nothing more will start.
    fn is_settled(&self) -> bool {
        self.attempts.is_empty()
            && self.outbox.is_empty()
            && self.next_ready().is_none()
            && self.backing_off.first().is_none_or(|first| self.stopped || !self.gate.lets_begin(*first))
    }

    fn next_ready(&self) -> Option<usize> {
        let Reverse(position) = *self.ready.peek()?;
        self.gate.lets_begin(position).then_some(position)
    }

    fn start_ready(&mut self) {
        while let Some(position) = self.next_ready() {
            if self.batch.failed_in_reading(position) {
                self.ready.pop();
                self.give_up_or_report(position, false);
            } else if let Ok(permit) = Arc::clone(&self.settings.limit).try_acquire_owned() {
                self.start_next(permit);
            } else {
                return;
            }
        }
    }

    fn start_next(&mut self, permit: OwnedSemaphorePermit) {
        let Some(position) = self.next_ready() else { return };
        self.ready.pop();
        let now = Instant::now();
        if let Some(record) = self.batch.begin_attempt(position, now)
            && let Some(handler) = self.settings.routes.of(record.kind())
        {
            let watch = Watch { since: now, span: log::record_span(&record) };
            let attempt = watch.span.in_scope(|| handler.attempt(record));
            self.attempts.push(GuardedAttempt::new(position, attempt, self.gate, permit, watch));
            self.measured.concurrency = self.measured.concurrency.max(self.settings.handlers_running());
        }
    }

    fn attempted(&mut self, attempted: Attempted) {
        let (position, duration, result) = match attempted {
            Attempted::Ended(position, duration, result) => (position, duration, result),
            Attempted::NotBegun(position) => return self.batch.take_back_attempt(position),
        };
        self.measured.attempts.push(millis(duration));
        let Err(failed) = result else {
            log::succeeded(&self.batch.about(position));
            return self.finish(position, Outcome::Succeeded);
        };
        let attempts = self.batch.fail(position, failed.failure);
        if !failed.retryable {
            return self.give_up_or_report(position, false);
        }
        if !self.stopped && !self.gate.lets_begin(position) {
            log::failed(&self.batch.about(position), Next::HeldBack);
            return self.batch.settle(position, Outcome::HeldBack);
        }
        let delay = failed.delay.unwrap_or_else(|| self.settings.retry.delay_after(attempts));
        if attempts >= self.settings.retry.max_attempts || self.stopped || !self.deadlines.leaves_time_for(delay) {
            return self.give_up_or_report(position, true);
        }
        log::failed(&self.batch.about(position), Next::Retried(delay));
        self.backing_off.insert(position);
        self.backoffs.push(Box::pin(tokio::time::sleep(delay).map(move |()| position)));
    }

    fn backed_off(&mut self, position: usize) {
        if self.backing_off.remove(&position) {
            self.ready.push(Reverse(position));
        }
    }

    /// What the failure policy makes of a failed record.
    fn give_up_or_report(&mut self, position: usize, retryable: bool) {
        let dead_letter = match self.settings.failure_policy {
            _ if self.settings.queue.is_none() || !self.batch.is_from_stream() => false,
            FailurePolicy::DeadLetterAll => true,
            FailurePolicy::ReportAll => false,
            FailurePolicy::DeadLetterPermanent => {
                !retryable
                    || self.batch.age(position, &self.clock).is_some_and(|age| age >= self.settings.give_up_after)
            }
        };
        if dead_letter {
            self.outbox.push(position);
        } else {
            self.report(position);
        }
    }

    fn sent(&mut self, positions: &[usize], results: Vec<Result<(), DeadLetterError>>) {
        let missing = || Err(DeadLetterError::new("the queue did not answer for this dead letter"));
        let results = results.into_iter().map(Some).chain(std::iter::repeat_with(|| None));
        for (position, result) in positions.iter().zip(results) {
            match result.unwrap_or_else(missing) {
                Ok(()) => self.dead_lettered(*position),
                Err(error) => {
                    self.batch.refuse(*position, error);
                    self.report(*position);
                }
            }
        }
    }

    fn dead_lettered(&mut self, position: usize) {
        log::failed(&self.batch.about(position), Next::DeadLettered);
        match self.settings.after_dead_letter {
            AfterDeadLetter::Continue => self.finish(position, Outcome::DeadLettered),
            AfterDeadLetter::FollowLane => {
                self.batch.settle(position, Outcome::DeadLettered);
                let Some(next) = self.batch.next_in_lane(position) else { return };
                if self.gate.lets_begin(next) {
                    let why = "an earlier record of the same lane became a dead letter, and the rest follows it";
                    self.batch.fail(next, Failure::new(ErrorKind::Predecessor, why));
                    self.outbox.push(next);
                }
            }
        }
    }

    fn finish(&mut self, position: usize, outcome: Outcome) {
        self.batch.settle(position, outcome);
        if let Some(next) = self.batch.next_in_lane(position) {
            self.ready.push(Reverse(next));
        }
    }

    fn report(&mut self, position: usize) {
        log::failed(&self.batch.about(position), Next::Reported);
        self.batch.settle(position, Outcome::Reported);
        if self.batch.is_from_stream() {
            self.gate.close_behind(position);
        }
    }

    /// The deadline nears: takes what is finished this very moment, and drops all else that runs.
    fn stop(&mut self) {
        self.stopped = true;
        self.gate.close();
        while let Some(Some(attempted)) = self.attempts.next().now_or_never() {
            self.attempted(attempted);
        }
        // What is dropped is what takes longest: left out, the durations would look better than they are.
        self.measured.attempts.extend(self.attempts.iter().filter_map(GuardedAttempt::duration).map(millis));
        self.attempts.clear();
        self.backoffs.clear();
        self.backing_off.clear();
    }
}
