//! One batch, from records to outcomes.
//!
//! Everything happens inside one future, which owns the handlers' futures, the backoffs and the dead letters under way:
//! nothing is spawned, and dropping it cancels all. Whenever a permit is free, the ready record with the lowest position
//! starts, so that the checkpoint moves forward; a record becomes ready when its predecessor in its lane is finished. The
//! next records are read when none of those before them is ready. A handler is polled in the moment in which it starts: one
//! that need not wait is never kept.

mod attempt;
mod batch;
mod deadline;
mod lanes;
mod outbox;
mod ready;
pub(crate) mod redelivery;
mod running;
pub(crate) mod settings;

use std::collections::BTreeSet;
use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;

use futures::future::{BoxFuture, FutureExt, OptionFuture};
use futures::stream::{FuturesUnordered, StreamExt};
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::Instant;

use self::attempt::{AttemptFailed, Attempted, GuardedAttempt};
use self::batch::{Arrival, Batch};
use self::deadline::{Deadlines, wait_until};
use self::outbox::Outbox;
use self::ready::Ready;
use self::running::Running;
use crate::clock::Clock;
use crate::dead_letter::DeadLetterError;
use crate::event::Records;
use crate::execute::settings::Settings;
use crate::failure::{ErrorKind, Failure};
use crate::invocation::Invocation;
use crate::observe::log;
use crate::observe::metrics::{Measurements, millis};
use crate::outcome::{BatchReport, Outcome};
use crate::policy::{AfterDeadLetter, FailurePolicy};

/// Processes a batch until every record is finished or reported, and measures it.
pub(crate) async fn run(
    settings: &Settings,
    records: Records<'_>,
    invocation: Arc<Invocation>,
) -> (BatchReport, Measurements) {
    let clock = Clock::start();
    let deadlines = Deadlines::new(invocation.deadline, settings.deadline_margin);
    let batch = Batch::new(settings, records, &invocation);
    let mut execution = Execution::new(settings, batch, clock, deadlines, invocation);
    execution.run().await;
    execution.end()
}

/// How many records may begin before others have their turn: other invocations, and what waits in this one.
const AT_A_STRETCH: usize = 64;

struct Execution<'a> {
    settings: &'a Settings,
    batch: Batch<'a>,
    clock: Clock,
    deadlines: Deadlines,
    /// Positions whose lane has come to them.
    ready: Ready,
    attempts: Running<GuardedAttempt<'a>>,
    backoffs: FuturesUnordered<BoxFuture<'static, usize>>,
    /// Positions that wait between two attempts.
    backing_off: BTreeSet<usize>,
    outbox: Outbox<'a>,
    /// Only positions before this one begin: the earliest that was reported, or none once the deadline has stopped the
    /// batch.
    begin_before: usize,
    /// Whether the deadline has stopped the batch.
    stopped: bool,
    measured: Measurements,
}

type PermitWait = BoxFuture<'static, Option<OwnedSemaphorePermit>>;

impl<'a> Execution<'a> {
    fn new(
        settings: &'a Settings,
        batch: Batch<'a>,
        clock: Clock,
        deadlines: Deadlines,
        invocation: Arc<Invocation>,
    ) -> Self {
        let measured = Measurements { attempts: Vec::with_capacity(batch.estimate()), ..Measurements::default() };
        Self {
            settings,
            batch,
            clock,
            deadlines,
            ready: Ready::default(),
            attempts: Running::new(),
            backoffs: FuturesUnordered::new(),
            backing_off: BTreeSet::new(),
            outbox: Outbox::new(settings.queue.as_deref(), invocation),
            begin_before: usize::MAX,
            stopped: false,
            measured,
        }
    }

    /// Reads what was left unread, and ends the batch.
    fn end(mut self) -> (BatchReport, Measurements) {
        while self.batch.unread().is_some() {
            self.read_on();
        }
        self.measured.ages = self.batch.ages(&self.clock);
        self.measured.table = self.batch.take_table();
        (self.batch.into_report(self.stopped), self.measured)
    }

    async fn run(&mut self) {
        let mut permit: Option<PermitWait> = None;
        let mut moment = self.deadlines.next(self.stopped);
        let mut deadline = pin!(wait_until(moment));
        loop {
            let is_out_of_turn = self.start_ready(None);
            self.outbox.flush(&self.batch, &self.clock);
            if self.is_settled() {
                return;
            }
            // A place in the semaphore's queue is kept while something waits for it, and no longer.
            if is_out_of_turn || self.next_ready().is_none() {
                permit = None;
            } else if permit.is_none() {
                let limit = Arc::clone(&self.settings.limit);
                permit = Some(Box::pin(async move { limit.acquire_owned().await.ok() }));
            }
            if moment != self.deadlines.next(self.stopped) {
                moment = self.deadlines.next(self.stopped);
                deadline.set(wait_until(moment));
            }
            tokio::select! {
                biased;
                Some(attempted) = self.attempts.next() => drop(self.attempted(attempted, Instant::now())),
                Some((positions, duration, results)) = self.outbox.next() => {
                    self.measured.dead_letters.push(millis(duration));
                    self.sent(&positions, results);
                }
                Some(position) = self.backoffs.next() => self.backed_off(position),
                () = deadline.as_mut() => {
                    if self.stopped {
                        return;
                    }
                    self.stop();
                }
                Some(granted) = OptionFuture::from(permit.as_mut()) => {
                    permit = None;
                    self.start_ready(granted);
                }
                () = turn(), if is_out_of_turn => {}
            }
        }
    }

    /// Whether nothing runs, nothing is under way, and nothing more will start.
    fn is_settled(&self) -> bool {
        self.attempts.is_empty()
            && self.outbox.is_empty()
            && self.next_ready().is_none()
            && !self.may_read()
            && self.backing_off.first().is_none_or(|first| self.stopped || !self.lets_begin(*first))
    }

    fn lets_begin(&self, position: usize) -> bool {
        position < self.begin_before
    }

    fn next_ready(&self) -> Option<usize> {
        self.ready.first().filter(|position| self.lets_begin(*position))
    }

    /// Whether there is another record to be read that might begin.
    fn may_read(&self) -> bool {
        self.batch.unread().is_some_and(|position| self.lets_begin(position))
    }

    /// Reads the next records.
    fn read_on(&mut self) {
        let (ready, mut followers) = (&mut self.ready, Vec::new());
        self.batch.read_on(|position, arrival| match arrival {
            Arrival::Ready => ready.push_last(position),
            Arrival::Follower => followers.push(position),
        });
        followers.into_iter().for_each(|position| self.follow(position));
        if self.batch.is_refused() {
            self.break_off();
        }
    }

    /// Begins what is ready, as far as permits go; whether others must have their turn before it goes on.
    fn start_ready(&mut self, mut permit: Option<OwnedSemaphorePermit>) -> bool {
        let mut now = Instant::now();
        for _ in 0..AT_A_STRETCH {
            if !self.stopped && self.deadlines.is_stop_reached(now) {
                self.stop();
            }
            while self.ready.first().is_none() && self.may_read() {
                self.read_on();
            }
            let Some(position) = self.next_ready() else { return false };
            if self.batch.failed_in_reading(position) {
                self.ready.pop();
                self.give_up_or_report(position, false);
                continue;
            }
            // The permit of the record before, where that has ended already.
            let free = permit.take().or_else(|| Arc::clone(&self.settings.limit).try_acquire_owned().ok());
            let Some(free) = free else { return false };
            self.ready.pop();
            permit = self.start(position, free, &mut now);
        }
        true
    }

    /// Begins an attempt; gives its permit back if it has ended already, `now`.
    fn start(
        &mut self,
        position: usize,
        permit: OwnedSemaphorePermit,
        now: &mut Instant,
    ) -> Option<OwnedSemaphorePermit> {
        let Some(record) = self.batch.begin_attempt(position) else { return Some(permit) };
        let Some(handler) = self.settings.routes.of(record.kind()) else { return Some(permit) };
        self.measured.concurrency = self.measured.concurrency.max(self.settings.handlers_running());
        let attempted = match GuardedAttempt::begin(handler, record, (position, *now), self.settings, permit) {
            Ok(attempt) => self.attempts.start(attempt)?,
            Err(failed) if self.batch.has_json_images(position) => failed,
            Err(failed) => {
                self.break_off();
                return Some(failed.permit);
            }
        };
        *now = Instant::now();
        Some(self.attempted(attempted, *now))
    }

    /// Takes note of what an attempt came to; gives its permit back.
    fn attempted(&mut self, attempted: Attempted, now: Instant) -> OwnedSemaphorePermit {
        let Attempted { position, begun, result, permit } = attempted;
        self.measured.attempts.push(millis(now.duration_since(begun)));
        match result {
            Ok(()) => {
                log::succeeded(&self.batch.about(position));
                self.finish(position, Outcome::Succeeded);
            }
            Err(failed) => self.failed(position, failed, begun),
        }
        permit
    }

    fn failed(&mut self, position: usize, failed: AttemptFailed, begun: Instant) {
        let attempts = self.batch.fail(position, failed.failure, Some(begun));
        if !failed.retryable {
            return self.give_up_or_report(position, false);
        }
        if !self.stopped && !self.lets_begin(position) {
            log::failed(&self.batch.about(position), "held back", None);
            return self.batch.settle(position, Outcome::HeldBack);
        }
        let delay = failed.delay.unwrap_or_else(|| self.settings.retry.delay_after(attempts));
        if attempts >= self.settings.retry.max_attempts || self.stopped || !self.deadlines.leaves_time_for(delay) {
            return self.give_up_or_report(position, true);
        }
        log::failed(&self.batch.about(position), "retried", Some(delay));
        self.backing_off.insert(position);
        self.backoffs.push(Box::pin(tokio::time::sleep(delay).map(move |()| position)));
    }

    fn backed_off(&mut self, position: usize) {
        if self.backing_off.remove(&position) {
            self.ready.push(position);
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
        log::failed(&self.batch.about(position), "dead-lettered", None);
        match self.settings.after_dead_letter {
            AfterDeadLetter::Continue => self.finish(position, Outcome::DeadLettered),
            AfterDeadLetter::FollowLane => {
                self.batch.settle(position, Outcome::DeadLettered);
                if let Some(next) = self.batch.next_in_lane(position) {
                    self.follow(next);
                }
            }
        }
    }

    /// Makes a dead letter of a record that stands in its lane behind another.
    fn follow(&mut self, position: usize) {
        if self.lets_begin(position) {
            let why = "an earlier record of the same lane became a dead letter, and the rest follows it";
            self.batch.fail(position, Failure::new(ErrorKind::Predecessor, why), None);
            self.outbox.push(position);
        }
    }

    fn finish(&mut self, position: usize, outcome: Outcome) {
        self.batch.settle(position, outcome);
        if let Some(next) = self.batch.next_in_lane(position) {
            self.ready.push(next);
        }
    }

    fn report(&mut self, position: usize) {
        log::failed(&self.batch.about(position), "reported", None);
        self.batch.settle(position, Outcome::Reported);
        if self.batch.is_from_stream() {
            self.begin_before = self.begin_before.min(position);
        }
    }

    /// The deadline nears: takes what is finished this very moment, and drops all else that runs.
    fn stop(&mut self) {
        self.stopped = true;
        while let Some(Some(attempted)) = self.attempts.next().now_or_never() {
            drop(self.attempted(attempted, Instant::now()));
        }
        // What is dropped is what takes longest: left out, the durations would look better than they are.
        self.measured.attempts.extend(self.attempts.iter().map(|attempt| millis(attempt.duration())));
        let out_of_retries = self.retried();
        self.break_off();
        out_of_retries.into_iter().for_each(|position| self.give_up_or_report(position, true));
    }

    /// Those that have failed, and are tried again or wait for it, in stream order.
    fn retried(&self) -> Vec<usize> {
        let running = self.attempts.iter().map(GuardedAttempt::position);
        let waiting = self.backing_off.iter().copied().chain(self.ready.iter());
        let has_failed = |position: &usize| self.lets_begin(*position) && self.batch.has_failed(*position);
        let mut retried: Vec<usize> = running.chain(waiting).filter(has_failed).collect();
        retried.sort_unstable();
        retried
    }

    /// Drops all that runs, and begins nothing more.
    fn break_off(&mut self) {
        self.begin_before = 0;
        self.attempts.clear();
        self.backoffs.clear();
        self.backing_off.clear();
    }
}

/// Lets whatever else the runtime has to do have its turn.
async fn turn() {
    let mut is_over = false;
    poll_fn(|context| {
        if std::mem::replace(&mut is_over, true) {
            return Poll::Ready(());
        }
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}
