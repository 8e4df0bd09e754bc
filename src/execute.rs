//! Runs one batch to completion, inside a single future.
//!
//! Invariants:
//!
//! 1. At most one record of a lane is in flight.
//! 2. The ready record with the lowest position starts first, so that the checkpoint moves forward.
//! 3. No record of a stream starts at or after a reported one. (Of a redrive, each is answered by itself.)
//! 4. Nothing is spawned: dropping the future cancels the handlers, the backoffs and the dead letters in flight.
//!
//! 5. Once the deadline has stopped the batch, no code of the user's runs for a record that had not begun. The time is read after
//!    each piece of the user's code (`clock.rs`), and every loop over records ends with its turn.
//!
//! Records are read a chunk at a time, when none of those read before is ready. A handler is polled as soon as it starts, so
//! that one that need not wait is never stored.

mod attempt;
mod batch;
mod clock;
mod dead_letter_sender;
mod deadline;
mod disposition;
mod duplicates;
mod gate;
mod in_flight;
mod lanes;
mod ready;
mod record_state;
pub(crate) mod redelivery;
pub(crate) mod settings;

use std::collections::BTreeSet;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures::future::{BoxFuture, FutureExt, OptionFuture};
use futures::stream::{FuturesUnordered, StreamExt};
use tokio::sync::SemaphorePermit;
use tokio::task::yield_now;

use self::attempt::{AttemptFuture, AttemptOutcome, Begun, Start};
use self::batch::{Batch, BatchRefused};
use self::clock::{Clock, Turn, wait_until};
use self::dead_letter_sender::{DeadLetterSender, MAX_IN_FLIGHT, Sent};
use self::disposition::{AttemptFailure, Disposition, FailedRecord, FailureClass};
use self::gate::Gate;
use self::in_flight::InFlight;
use self::lanes::Arrival;
use self::ready::Ready;
use self::settings::Settings;
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
    let clock = Clock::start(invocation.deadline, settings.deadline_margin);
    let batch = Batch::new(settings, records, &invocation);
    let mut execution = Execution::new(settings, batch, clock, invocation);
    execution.run().await;
    execution.read_rest().await;
    execution.end()
}

/// How many records may be read or started before other tasks, and what waits in this one, get a turn.
const TURN_RECORDS: usize = 128;

/// A batch at work.
struct Execution<'a> {
    settings: &'a Settings,
    batch: Batch<'a>,
    clock: Clock,
    gate: Gate,
    /// Whether the deadline has stopped the batch.
    stopped: bool,
    /// Records that need not wait for another of their lane.
    ready: Ready,
    attempts: InFlight<AttemptFuture<'a>>,
    backoffs: FuturesUnordered<BoxFuture<'static, usize>>,
    /// The positions of `backoffs`.
    backing_off: BTreeSet<usize>,
    dead_letters: DeadLetterSender<'a>,
    measured: Measurements,
}

type PermitWait<'a> = BoxFuture<'a, Option<SemaphorePermit<'a>>>;

/// Whether there is more to do at once when a turn is over.
#[derive(PartialEq, Eq)]
enum Progress {
    /// Nothing, until something happens.
    Waits,
    /// More, once others have had their turn.
    Yields,
}

impl<'a> Execution<'a> {
    fn new(settings: &'a Settings, batch: Batch<'a>, clock: Clock, invocation: Arc<Invocation>) -> Self {
        let measured = Measurements { attempts: Vec::with_capacity(batch.estimate()), ..Measurements::default() };
        Self {
            settings,
            batch,
            clock,
            gate: Gate::Open,
            stopped: false,
            ready: Ready::default(),
            attempts: InFlight::new(),
            backoffs: FuturesUnordered::new(),
            backing_off: BTreeSet::new(),
            dead_letters: DeadLetterSender::new(settings.queue.as_deref(), invocation),
            measured,
        }
    }

    async fn run(&mut self) {
        let mut permit: Option<PermitWait<'a>> = None;
        let mut wake_at = self.clock.next_end(self.stopped);
        let mut deadline = pin!(wait_until(wake_at));
        loop {
            let started = self.start_ready(None);
            let sent = self.send_dead_letters();
            if self.is_settled() {
                return;
            }
            let yields = started == Progress::Yields || sent == Progress::Yields;
            // A place in the semaphore's queue is kept while a record waits for it, and no longer.
            if yields || self.next_ready().is_none() {
                permit = None;
            } else if permit.is_none() {
                let limit = &self.settings.limit;
                permit = Some(Box::pin(async move { limit.acquire().await.ok() }));
            }
            if wake_at != self.clock.next_end(self.stopped) {
                wake_at = self.clock.next_end(self.stopped);
                deadline.set(wait_until(wake_at));
            }
            // The deadline comes first, and then the queue: neither waits for handlers that are never done.
            tokio::select! {
                biased;
                () = deadline.as_mut() => {
                    self.clock.read();
                    if self.stopped {
                        self.give_up_dead_letters();
                        return;
                    }
                    self.stop();
                }
                Some(sent) = self.dead_letters.next() => {
                    self.clock.read();
                    self.sent(sent);
                }
                Some(outcome) = self.attempts.next() => {
                    self.clock.read();
                    self.attempted(outcome);
                }
                Some(position) = self.backoffs.next() => self.backed_off(position),
                Some(granted) = OptionFuture::from(permit.as_mut()) => {
                    permit = None;
                    self.start_ready(granted);
                }
                () = yield_now(), if yields => {}
            }
        }
    }

    /// Reads what was left unread, none of which starts any more.
    async fn read_rest(&mut self) {
        let mut read = 0;
        while self.batch.next_unread().is_some() {
            read += self.read_next();
            if read >= TURN_RECORDS {
                read = 0;
                yield_now().await;
            }
        }
    }

    /// Ends the batch.
    fn end(mut self) -> (BatchReport, Measurements) {
        self.measured.ages = self.batch.ages(&self.clock);
        self.measured.table = self.batch.take_table();
        (self.batch.into_report(self.stopped, self.clock.now()), self.measured)
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

    /// Reads the next records; returns how many.
    fn read_next(&mut self) -> usize {
        let before = self.batch.len();
        for arrival in self.batch.read_next(self.gate, &mut self.clock) {
            self.arrive(arrival);
        }
        if self.batch.is_refused() {
            self.abort();
        }
        self.batch.len() - before
    }

    /// Starts ready records, the lowest position first, while there are permits, until the turn is over.
    fn start_ready(&mut self, mut granted: Option<SemaphorePermit<'a>>) -> Progress {
        self.clock.read();
        let turn = Turn::begin_at(self.clock.now());
        let mut left = TURN_RECORDS;
        while left > 0 && !turn.is_over_at(self.clock.now()) {
            if !self.stopped && self.clock.is_stop_reached() {
                self.stop();
            }
            if self.ready.is_empty() && self.may_read() {
                left = left.saturating_sub(self.read_next());
                continue;
            }
            let Some(position) = self.next_ready() else { return Progress::Waits };
            left -= 1;
            if self.batch.has_failed_in_reading(position) {
                self.ready.pop();
                self.fail(position, FailureClass::Permanent);
                continue;
            }
            let permit = granted.take().or_else(|| self.settings.limit.try_acquire().ok());
            let Some(permit) = permit else { return Progress::Waits };
            self.ready.pop();
            self.start(position, permit);
        }
        Progress::Yields
    }

    /// Starts an attempt.
    fn start(&mut self, position: usize, permit: SemaphorePermit<'a>) {
        let record = self.batch.begin_attempt(position);
        let handler = self.settings.routes.of(record.kind()).expect("a record without a handler is skipped, not ready");
        self.measured.concurrency = self.measured.concurrency.max(self.settings.handlers_running());
        let start = Start { position, at: self.clock.now() };
        let outcome = match AttemptFuture::begin(handler, record, start, self.settings, permit) {
            Begun::Running(attempt) => self.attempts.start(attempt),
            Begun::Ended(outcome) => match self.batch.verify_images(position) {
                Ok(()) => Some(outcome),
                Err(BatchRefused) => return self.abort(),
            },
        };
        self.clock.read();
        if let Some(outcome) = outcome {
            self.attempted(outcome);
        }
    }

    fn attempted(&mut self, outcome: AttemptOutcome) {
        let AttemptOutcome { position, begun, result } = outcome;
        self.measured.attempts.push((position, millis(self.clock.since(begun))));
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
            time_left: if self.stopped { Some(Duration::ZERO) } else { self.clock.time_left() },
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

    /// Makes calls of the dead letters that wait.
    fn send_dead_letters(&mut self) -> Progress {
        let turn = Turn::begin_at(self.clock.now());
        for _ in 0..MAX_IN_FLIGHT {
            if self.clock.is_end_reached(self.stopped) {
                return Progress::Waits;
            }
            if turn.is_over_at(self.clock.now()) {
                break;
            }
            let Some(call) = self.dead_letters.next_call(&self.batch, &self.clock) else { return Progress::Waits };
            let sent = self.dead_letters.start(call);
            self.clock.read();
            if let Some(sent) = sent {
                self.sent(sent);
            }
        }
        Progress::Yields
    }

    fn sent(&mut self, Sent { positions, begun, results }: Sent) {
        if let (Some(begun), Some(first)) = (begun, positions.first()) {
            self.measured.dead_letters.push((*first, millis(self.clock.since(begun))));
        }
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

    /// Ends the sending at the deadline: takes the answers that are there at this moment, and reports all other letters.
    fn give_up_dead_letters(&mut self) {
        while let Some(Some(sent)) = self.dead_letters.next().now_or_never() {
            self.sent(sent);
        }
        for refused in self.dead_letters.give_up() {
            self.sent(refused);
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
                self.batch.fail_without_attempt(position, Failure::new(ErrorKind::Predecessor, why));
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
        let turn = Turn::begin_at(self.clock.now());
        while !turn.is_over_at(self.clock.now())
            && let Some(Some(outcome)) = self.attempts.next().now_or_never()
        {
            self.clock.read();
            self.attempted(outcome);
        }
        // The attempts that are dropped take the longest: without them, the durations would look better than they are.
        let dropped = self.attempts.iter().map(AttemptFuture::start);
        let durations = dropped.map(|start| (start.position, millis(self.clock.since(start.at))));
        self.measured.attempts.extend(durations);
        let failed_before = self.failed_before();
        self.abort();
        for position in failed_before {
            self.fail(position, FailureClass::Retryable { after: None });
        }
    }

    /// The records that have failed and are in another attempt, or wait for one, in stream order.
    fn failed_before(&self) -> Vec<usize> {
        let running = self.attempts.iter().map(|attempt| attempt.start().position);
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
