//! Runs one batch to completion, inside a single future.
//!
//! Invariants:
//!
//! 1. At most one record of a lane is in flight.
//! 2. The ready record with the lowest position starts first, so that the checkpoint moves forward.
//! 3. No record of a stream starts at or after a reported one. (Of a redrive, each is answered by itself.)
//! 4. Nothing is spawned: dropping the future cancels the handlers, the backoffs and the dead letters in flight.
//!
//! Records are read a chunk at a time, when none of those read before is ready. A handler is polled as soon as it starts, so
//! that one that need not wait is never stored.

mod attempt;
mod batch;
mod dead_letter_sender;
mod deadline;
mod disposition;
mod duplicates;
mod gate;
mod guard;
mod lanes;
mod ready;
mod record_state;
pub(crate) mod redelivery;
mod running;
pub(crate) mod settings;

use std::collections::BTreeSet;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures::future::{BoxFuture, FutureExt, OptionFuture};
use futures::stream::{FuturesUnordered, StreamExt};
use tokio::sync::SemaphorePermit;
use tokio::task::yield_now;
use tokio::time::Instant;

use self::attempt::{AttemptFuture, AttemptOutcome, Begun, Start};
use self::batch::{Batch, BatchRefused};
use self::dead_letter_sender::{DeadLetterSender, Sent};
use self::deadline::{Deadlines, wait_until};
use self::disposition::{AttemptFailure, Disposition, FailedRecord, FailureClass};
use self::gate::Gate;
use self::lanes::Arrival;
use self::ready::Ready;
use self::running::RunningAttempts;
use self::settings::Settings;
use crate::clock::Clock;
use crate::dead_letter::DeadLetterError;
use crate::event::Records;
use crate::failure::{ErrorKind, Failure};
use crate::invocation::Invocation;
use crate::observe::log;
use crate::observe::metrics::{Measurements, millis};
use crate::outcome::{BatchReport, Outcome};

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

/// How many records may start before other tasks, and what waits in this one, get a turn.
const START_BUDGET: usize = 64;

/// A batch at work.
struct Execution<'a> {
    settings: &'a Settings,
    batch: Batch<'a>,
    clock: Clock,
    deadlines: Deadlines,
    gate: Gate,
    /// Whether the deadline has stopped the batch.
    stopped: bool,
    /// Records that need not wait for another of their lane.
    ready: Ready,
    attempts: RunningAttempts<AttemptFuture<'a>>,
    backoffs: FuturesUnordered<BoxFuture<'static, usize>>,
    /// The positions of `backoffs`.
    backing_off: BTreeSet<usize>,
    dead_letters: DeadLetterSender<'a>,
    measured: Measurements,
}

type PermitWait<'a> = BoxFuture<'a, Option<SemaphorePermit<'a>>>;

/// What is left of [`START_BUDGET`].
#[derive(PartialEq, Eq)]
enum Budget {
    Left,
    Spent,
}

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
            gate: Gate::Open,
            stopped: false,
            ready: Ready::default(),
            attempts: RunningAttempts::new(),
            backoffs: FuturesUnordered::new(),
            backing_off: BTreeSet::new(),
            dead_letters: DeadLetterSender::new(settings.queue.as_deref(), invocation),
            measured,
        }
    }

    async fn run(&mut self) {
        let mut permit: Option<PermitWait<'a>> = None;
        let mut wake_at = self.deadlines.next(self.stopped);
        let mut deadline = pin!(wait_until(wake_at));
        loop {
            let budget = self.start_ready(None);
            self.dead_letters.flush(&self.batch, &self.clock);
            if self.is_settled() {
                return;
            }
            // A place in the semaphore's queue is kept while a record waits for it, and no longer.
            if budget == Budget::Spent || self.next_ready().is_none() {
                permit = None;
            } else if permit.is_none() {
                let limit = &self.settings.limit;
                permit = Some(Box::pin(async move { limit.acquire().await.ok() }));
            }
            if wake_at != self.deadlines.next(self.stopped) {
                wake_at = self.deadlines.next(self.stopped);
                deadline.set(wait_until(wake_at));
            }
            tokio::select! {
                biased;
                Some(outcome) = self.attempts.next() => self.attempted(outcome, Instant::now()),
                Some(sent) = self.dead_letters.next() => self.sent(sent),
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
                () = yield_now(), if budget == Budget::Spent => {}
            }
        }
    }

    /// Reads what was left unread, and ends the batch.
    fn end(mut self) -> (BatchReport, Measurements) {
        while self.batch.next_unread().is_some() {
            self.read_next();
        }
        self.measured.ages = self.batch.ages(&self.clock);
        self.measured.table = self.batch.take_table();
        (self.batch.into_report(self.stopped), self.measured)
    }

    /// Whether nothing is in flight and nothing more will start.
    fn is_settled(&self) -> bool {
        self.attempts.is_empty()
            && self.dead_letters.is_empty()
            && self.next_ready().is_none()
            && !self.may_read()
            && !self.is_retry_pending()
    }

    /// Whether a record that backs off will start again.
    fn is_retry_pending(&self) -> bool {
        !self.stopped && self.backing_off.first().is_some_and(|first| self.gate.admits(*first))
    }

    fn next_ready(&self) -> Option<usize> {
        self.ready.first().filter(|position| self.gate.admits(*position))
    }

    /// Whether an unread record might start.
    fn may_read(&self) -> bool {
        self.batch.next_unread().is_some_and(|position| self.gate.admits(position))
    }

    fn read_next(&mut self) {
        for arrival in self.batch.read_next() {
            self.arrive(arrival);
        }
        if self.batch.is_refused() {
            self.abort();
        }
    }

    /// Starts ready records, the lowest position first, while there are permits and the budget lasts.
    fn start_ready(&mut self, mut granted: Option<SemaphorePermit<'a>>) -> Budget {
        let mut now = Instant::now();
        for _ in 0..START_BUDGET {
            if !self.stopped && self.deadlines.is_stop_reached(now) {
                self.stop();
            }
            while self.ready.first().is_none() && self.may_read() {
                self.read_next();
            }
            let Some(position) = self.next_ready() else { return Budget::Left };
            if self.batch.has_failed_in_reading(position) {
                self.ready.pop();
                self.fail(position, FailureClass::Permanent);
                continue;
            }
            let permit = granted.take().or_else(|| self.settings.limit.try_acquire().ok());
            let Some(permit) = permit else { return Budget::Left };
            self.ready.pop();
            now = self.start(Start { position, at: now }, permit);
        }
        Budget::Spent
    }

    /// Starts an attempt; returns the time, which is read again only if the attempt has ended already.
    fn start(&mut self, start: Start, permit: SemaphorePermit<'a>) -> Instant {
        let record = self.batch.begin_attempt(start.position);
        let handler = self.settings.routes.of(record.kind()).expect("a record without a handler is skipped, not ready");
        self.measured.concurrency = self.measured.concurrency.max(self.settings.handlers_running());
        let outcome = match AttemptFuture::begin(handler, record, start, self.settings, permit) {
            Begun::Running(attempt) => match self.attempts.start(attempt) {
                Some(outcome) => outcome,
                None => return start.at,
            },
            Begun::Ended(outcome) => {
                if let Err(BatchRefused) = self.batch.verify_images(start.position) {
                    self.abort();
                    return start.at;
                }
                outcome
            }
        };
        let now = Instant::now();
        self.attempted(outcome, now);
        now
    }

    fn attempted(&mut self, outcome: AttemptOutcome, now: Instant) {
        let AttemptOutcome { position, begun, result } = outcome;
        self.measured.attempts.push(millis(now.duration_since(begun)));
        match result {
            Ok(()) => {
                log::succeeded(&self.batch.about(position));
                self.settle(position, Outcome::Succeeded);
            }
            Err(AttemptFailure { failure, class }) => {
                self.batch.note_failure(position, failure, begun);
                self.fail(position, class);
            }
        }
    }

    /// Decides what happens to a record whose attempt failed, and does it.
    fn fail(&mut self, position: usize, class: FailureClass) {
        // Once the deadline has stopped the batch, no record starts, wherever the gate is.
        let is_admitted = self.stopped || self.gate.admits(position);
        let disposition = self.settings.failing.disposition(&FailedRecord {
            class,
            attempts: self.batch.attempts(position),
            age: self.batch.age(position, &self.clock),
            from_stream: self.batch.is_from_stream(),
            is_admitted,
            time_left: if self.stopped { Some(Duration::ZERO) } else { self.deadlines.time_left(Instant::now()) },
        });
        match disposition {
            Disposition::Retry(delay) => {
                log::failed(&self.batch.about(position), "retried", Some(delay));
                self.backing_off.insert(position);
                self.backoffs.push(Box::pin(tokio::time::sleep(delay).map(move |()| position)));
            }
            Disposition::DeadLetter => self.dead_letters.push(position),
            Disposition::Report => self.report(position),
            Disposition::HoldBack => {
                log::failed(&self.batch.about(position), "held back", None);
                self.settle(position, Outcome::HeldBack);
            }
        }
    }

    fn backed_off(&mut self, position: usize) {
        if self.backing_off.remove(&position) {
            self.ready.push(position);
        }
    }

    fn sent(&mut self, Sent { positions, duration, results }: Sent) {
        self.measured.dead_letters.push(millis(duration));
        let mut results = results.into_iter();
        for position in positions {
            let no_answer = || Err(DeadLetterError::new("the queue did not answer for this dead letter"));
            match results.next().unwrap_or_else(no_answer) {
                Ok(()) => {
                    log::failed(&self.batch.about(position), "dead-lettered", None);
                    self.settle(position, Outcome::DeadLettered);
                }
                Err(error) => {
                    self.batch.note_dead_letter_error(position, error);
                    self.report(position);
                }
            }
        }
    }

    /// Gives a record its outcome, and the next record of its lane its turn.
    fn settle(&mut self, position: usize, outcome: Outcome) {
        if let Some(next) = self.batch.settle(position, outcome) {
            self.arrive(next);
        }
    }

    /// Gives a record its turn, because it need not wait for another of its lane.
    fn arrive(&mut self, arrival: Arrival) {
        match arrival {
            Arrival::Ready(position) => self.ready.push(position),
            Arrival::FollowsDeadLetter(position) if self.gate.admits(position) => {
                let why = "an earlier record of the same lane became a dead letter, and the rest follows it";
                self.batch.note_failure_without_attempt(position, Failure::new(ErrorKind::Predecessor, why));
                self.dead_letters.push(position);
            }
            // It is delivered again with the reported record before it.
            Arrival::FollowsDeadLetter(_) => {}
        }
    }

    fn report(&mut self, position: usize) {
        log::failed(&self.batch.about(position), "reported", None);
        self.settle(position, Outcome::Reported);
        if self.batch.is_from_stream() {
            self.gate.close_at(position);
        }
    }

    /// Stops before the deadline: takes the attempts that are done at this moment, and drops all others.
    fn stop(&mut self) {
        self.stopped = true;
        while let Some(Some(outcome)) = self.attempts.next().now_or_never() {
            self.attempted(outcome, Instant::now());
        }
        // The attempts that are dropped take the longest: without them, the durations would look better than they are.
        self.measured.attempts.extend(self.attempts.iter().map(|attempt| millis(attempt.duration())));
        let failed_before = self.failed_before();
        self.abort();
        for position in failed_before {
            self.fail(position, FailureClass::Retryable { after: None });
        }
    }

    /// The records that have failed and are in another attempt, or wait for one, in stream order.
    fn failed_before(&self) -> Vec<usize> {
        let running = self.attempts.iter().map(AttemptFuture::position);
        let waiting = self.backing_off.iter().copied().chain(self.ready.iter());
        let has_failed = |position: &usize| self.gate.admits(*position) && self.batch.has_failed(*position);
        let mut failed: Vec<usize> = running.chain(waiting).filter(has_failed).collect();
        failed.sort_unstable();
        failed
    }

    /// Drops all that runs, and starts nothing more.
    fn abort(&mut self) {
        self.gate.shut();
        self.attempts.clear();
        self.backoffs.clear();
        self.backing_off.clear();
    }
}
