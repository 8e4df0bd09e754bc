//! Runs one batch to completion, inside a single future.
//!
//! Invariants:
//!
//! 1. At most one record of a lane is in flight.
//! 2. The ready record with the lowest position starts first, so the checkpoint moves forward.
//! 3. No record of a stream starts at or after a reported one. (Of what comes from elsewhere, each is answered by itself.)
//! 4. Nothing is spawned: dropping the future cancels the handlers, the backoffs and the dead letters in flight.
//! 5. Once the deadline has stopped the batch, no code of the user's runs for a record that had not begun. The time is read after
//!    each piece of the user's code (`clock.rs`), and every loop over records ends with its turn.
//!
//! Records are read a chunk at a time, when none of those read before is ready. A handler is polled as soon as it starts, so
//!  one that need not wait is never stored.

mod attempt;
mod batch;
mod bulk;
mod call;
mod clock;
mod dead_letter_sender;
mod deadline;
mod disposition;
mod duplicates;
mod gate;
mod in_flight;
mod lanes;
mod marks;
mod outside;
mod ready;
mod recall;
mod record_state;
pub(crate) mod redelivery;
pub(crate) mod settings;

use std::collections::BTreeSet;
use std::future::poll_fn;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use futures::future::{BoxFuture, FutureExt};
use futures::stream::{FuturesUnordered, StreamExt};
use tokio::sync::SemaphorePermit;
use tokio::task::yield_now;

use self::attempt::{AttemptFuture, AttemptOutcome, Begun, Start};
use self::batch::{Batch, BatchRefused};
use self::bulk::{BulkOutcome, Bulks, NextBulk};
use self::clock::{Clock, Turn, WaitUntil, wait_until};
use self::dead_letter_sender::{DeadLetterSender, Sent};
use self::disposition::{AttemptFailure, Disposition, FailedRecord, FailureClass};
use self::gate::Gate;
use self::in_flight::InFlight;
use self::lanes::Arrival;
use self::marks::{MarkRead, Moved};
use self::ready::Ready;
use self::recall::{Recall, StoreCall};
use self::settings::{HandlerRef, Settings};
use crate::context::{BatchContext, ChangeContext, Guarded};
use crate::dead_letter::DeadLetterError;
use crate::event::Records;
use crate::failure::{ErrorKind, Failure};
use crate::idempotency::{CompletedRecords, Stale};
use crate::invocation::Invocation;
use crate::observe::log;
use crate::observe::metrics::{Measurements, StoreMeasurements, millis};
use crate::outcome::{BatchReport, Outcome};

/// Processes a batch until every record is finished or reported, and measures it. `stale` stands for what the settings say of stale records.
pub(crate) async fn run(
    settings: &Settings,
    records: Records<'_>,
    invocation: Arc<Invocation>,
    stale: Option<Stale>,
) -> (BatchReport, Measurements) {
    let clock = Clock::start(invocation.deadline, settings.deadline_margin);
    settings.warn(invocation.origin, clock.is_margin_too_long());
    let batch = Batch::new(settings, records, &invocation);
    let mut execution = Execution::new(settings, batch, clock, invocation);
    execution.batch.keep_marks(stale, &execution.context.guarded);
    execution.run().await;
    execution.read_rest().await;
    let (recalled, until) = (execution.batch.take_recalled(), execution.clock.next_end(true));
    let (report, mut measured) = execution.end();
    if let Some(idempotency) = &settings.idempotency
        && let Some(call) = recall::keep(idempotency, &report, recalled, until).await
    {
        measured.note_store_call(0, call.took, call.result.err());
    }
    (report, measured)
}

/// A batch at work.
struct Execution<'a> {
    settings: &'a Settings,
    /// What handlers can ask about the batch.
    context: Arc<BatchContext>,
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
    /// The records of bulk handlers, which are in none of the fields above.
    bulks: Bulks<'a>,
    dead_letters: DeadLetterSender<'a>,
    /// What is done after the batch's first record, while that is being read.
    recall: Option<Recall<'a>>,
    /// What is left until others get their turn.
    turn: Turn,
    /// Whether attempts are polled before calls of the queue. It changes with each poll, because either may use up the task's
    /// budget.
    attempts_first: bool,
    /// Whether bulks are polled before attempts at one record, for the same reason.
    bulks_first: bool,
    measured: Measurements,
}

type PermitWait<'a> = BoxFuture<'a, Option<SemaphorePermit<'a>>>;

/// What starts next.
#[derive(Clone, Copy)]
enum Next {
    Record(usize),
    Bulk(NextBulk),
}

/// What a batch waits for.
enum Event<'a> {
    /// The stop, or the end of sending.
    Deadline,
    BackedOff(usize),
    /// `None` if the limit has been closed, which does not happen.
    Granted(Option<SemaphorePermit<'a>>),
    Sent(Sent),
    Recalled(StoreCall<Option<CompletedRecords>>),
    MarksRead(MarkRead),
    MarkMoved(Moved),
    Attempted(AttemptOutcome),
    BulkEnded(BulkOutcome),
    /// The records of this number, which failed in one bulk.
    BulkBackedOff(usize),
    /// Nothing yet, and there is more to start.
    None,
}

impl<'a> Execution<'a> {
    fn new(settings: &'a Settings, batch: Batch<'a>, clock: Clock, invocation: Arc<Invocation>) -> Self {
        let measured = Measurements {
            attempts: Vec::with_capacity(batch.estimate()),
            store: settings.idempotency.as_ref().map(|_| StoreMeasurements::default()),
            ..Measurements::default()
        };
        let context = BatchContext {
            invocation: Arc::clone(&invocation),
            stop: clock.next_end(false),
            handler_timeout: settings.handler_timeout,
            max_attempts: settings.failing.retry.max_attempts,
            guarded: Guarded::default(),
        };
        let context = Arc::new(context);
        Self {
            settings,
            bulks: Bulks::new(settings, &context),
            batch,
            clock,
            gate: Gate::Open,
            stopped: false,
            ready: Ready::default(),
            attempts: InFlight::new(),
            backoffs: FuturesUnordered::new(),
            backing_off: BTreeSet::new(),
            dead_letters: DeadLetterSender::new(settings.queue.as_deref(), invocation),
            recall: None,
            context,
            turn: Turn::begin(),
            attempts_first: true,
            bulks_first: true,
            measured,
        }
    }

    async fn run(&mut self) {
        let mut permit: Option<PermitWait<'a>> = None;
        let mut deadline = wait_until(self.clock.next_end(self.stopped));
        self.recall = self.batch.begin_recall();
        loop {
            self.read_marks();
            self.start_ready(None);
            self.send_dead_letters();
            self.raise_marks();
            if self.is_settled() && self.are_marks_raised() {
                return;
            }
            let yields = self.turn.is_over_at(self.clock.now());
            // A place in the semaphore's queue is kept while a record waits for it, and no longer.
            if yields || self.next().is_none() {
                permit = None;
            } else if permit.is_none() {
                let limit = &self.settings.limit;
                permit = Some(Box::pin(async move { limit.acquire().await.ok() }));
            }
            if deadline.moment() != self.clock.next_end(self.stopped) {
                deadline = wait_until(self.clock.next_end(self.stopped));
            }
            let mut has_waited = false;
            let event = poll_fn(|context| {
                let polled = self.poll_event(&mut deadline, &mut permit, context);
                if polled.is_pending() && yields {
                    return Poll::Ready(Event::None);
                }
                has_waited |= polled.is_pending();
                polled
            });
            let event = event.await;
            self.clock.read();
            if has_waited {
                self.turn = Turn::begin_at(self.clock.now());
            }
            self.turn.step();
            match event {
                Event::Deadline if self.stopped => {
                    self.give_up_dead_letters();
                    return self.give_up_marks();
                }
                Event::Deadline => self.stop(),
                Event::BackedOff(position) => self.backed_off(position),
                Event::BulkBackedOff(number) => self.bulks.backed_off(number),
                Event::Granted(granted) => {
                    permit = None;
                    self.start_ready(granted);
                }
                Event::Sent(sent) => self.sent(sent),
                Event::Recalled(call) => self.recalled(call),
                Event::MarksRead(read) => self.marks_read(read),
                Event::MarkMoved(moved) => self.mark_moved(moved),
                Event::Attempted(outcome) => self.attempted(outcome),
                Event::BulkEnded(outcome) => self.bulk_ended(outcome),
                Event::None => {}
            }
            if yields {
                self.give_turn().await;
            }
        }
    }

    /// Polls everything that the batch waits for. What needs no more than a moment comes first, so handlers and queues that
    /// are never done, or use up the task's budget, hide neither the deadline nor a retry nor a permit.
    fn poll_event(
        &mut self,
        deadline: &mut WaitUntil,
        permit: &mut Option<PermitWait<'a>>,
        context: &mut Context<'_>,
    ) -> Poll<Event<'a>> {
        if deadline.poll_unpin(context).is_ready() {
            return Poll::Ready(Event::Deadline);
        }
        if let Some(event) = self.poll_store(context) {
            return Poll::Ready(event);
        }
        if let Poll::Ready(Some(position)) = self.backoffs.poll_next_unpin(context) {
            return Poll::Ready(Event::BackedOff(position));
        }
        if let Poll::Ready(Some(number)) = self.bulks.backoffs.poll_next_unpin(context) {
            return Poll::Ready(Event::BulkBackedOff(number));
        }
        if let Some(Poll::Ready(granted)) = permit.as_mut().map(|permit| permit.poll_unpin(context)) {
            return Poll::Ready(Event::Granted(granted));
        }
        self.attempts_first = !self.attempts_first;
        for attempts in [self.attempts_first, !self.attempts_first] {
            if attempts {
                if let Some(event) = self.poll_handlers(context) {
                    return Poll::Ready(event);
                }
            } else if let Poll::Ready(Some(sent)) = self.dead_letters.poll_next(context) {
                return Poll::Ready(Event::Sent(sent));
            }
        }
        Poll::Pending
    }

    /// Polls the handlers, bulks in turns before and after the others.
    fn poll_handlers(&mut self, context: &mut Context<'_>) -> Option<Event<'a>> {
        self.bulks_first = !self.bulks_first;
        for bulks in [self.bulks_first, !self.bulks_first] {
            if bulks {
                if let Poll::Ready(Some(outcome)) = self.bulks.running.poll_next(context) {
                    return Some(Event::BulkEnded(outcome));
                }
            } else if let Poll::Ready(Some(outcome)) = self.attempts.poll_next(context) {
                return Some(Event::Attempted(outcome));
            }
        }
        None
    }

    /// Gives others on this thread their turn, the timers among them.
    async fn give_turn(&mut self) {
        yield_now().await;
        self.clock.read();
        self.turn = Turn::begin_at(self.clock.now());
    }

    /// Reads what was left unread. None of it starts.
    async fn read_rest(&mut self) {
        self.batch.give_up_marks();
        while self.batch.next_unread().is_some() {
            self.read_next();
            if self.turn.is_over_at(self.clock.now()) {
                self.give_turn().await;
            }
        }
    }

    /// Ends the batch.
    fn end(mut self) -> (BatchReport, Measurements) {
        self.measured.ages = self.batch.ages(&self.clock);
        self.measured.table = self.batch.take_table();
        self.measured.without_lane_attribute = self.batch.take_without_lane_attribute();
        if let Some(store) = &mut self.measured.store {
            store.regressions = self.batch.take_regressions();
        }
        (self.batch.into_report(self.stopped, self.clock.now()), self.measured)
    }

    /// Whether nothing is in flight and nothing more will start.
    fn is_settled(&self) -> bool {
        self.attempts.is_empty()
            && self.bulks.are_idle()
            && self.dead_letters.is_empty()
            && self.next().is_none()
            && !self.may_read()
            && !self.awaits_store()
            && !self.batch.marks.as_ref().is_some_and(|marks| marks.moves.holds_records())
            && !self.is_retry_pending()
    }

    /// Whether a record that backs off will start again.
    fn is_retry_pending(&self) -> bool {
        let is_record_pending = || self.backing_off.first().is_some_and(|first| self.gate.admits(*first));
        !self.stopped && (is_record_pending() || self.bulks.is_retry_pending(self.gate))
    }

    /// What starts next: what is at the lowest position.
    ///
    /// Inlined, as `settle_alone` is: without bulk handlers, both then cost no call, 60 instructions of a record (`make instructions`).
    #[inline]
    fn next(&self) -> Option<Next> {
        let record = self.ready.first().filter(|position| self.gate.admits(*position));
        if self.bulks.are_unused() { record.map(Next::Record) } else { self.next_of_all(record) }
    }

    /// What starts next of this record and the bulks.
    fn next_of_all(&self, record: Option<usize>) -> Option<Next> {
        // One that has room waits for what the store says of the records after it.
        let is_held = |bulk: &NextBulk| self.awaits_store() && !self.bulks.is_full(*bulk, &self.batch, self.gate);
        match (record, self.bulks.next(self.gate).filter(|bulk| !is_held(bulk))) {
            (Some(record), Some(bulk)) if bulk.position < record => Some(Next::Bulk(bulk)),
            (Some(record), _) => Some(Next::Record(record)),
            (None, bulk) => bulk.map(Next::Bulk),
        }
    }

    /// Whether records are to be read before anything starts: nothing is ready, or only a bulk that has room.
    fn wants_more(&self, next: Option<Next>) -> bool {
        match next {
            Some(Next::Record(_)) => false,
            Some(Next::Bulk(bulk)) => self.may_read() && !self.bulks.is_full(bulk, &self.batch, self.gate),
            None => true,
        }
    }

    /// Whether an unread record might start, and may be read now.
    fn may_read(&self) -> bool {
        self.batch.next_readable().is_some_and(|position| self.gate.admits(position))
    }

    fn read_next(&mut self) {
        for arrival in self.batch.read_next(self.gate, &mut self.clock, &mut self.turn) {
            self.arrive(arrival);
        }
        self.read_marks();
        if self.batch.is_refused() {
            self.abort();
        }
    }

    /// Starts ready records, the lowest position first, while there are permits, until the turn is over.
    fn start_ready(&mut self, mut granted: Option<SemaphorePermit<'a>>) {
        self.clock.read();
        while !self.turn.is_over_at(self.clock.now()) {
            if !self.stopped && self.clock.is_stop_reached() {
                self.stop();
            }
            if self.bulks.is_filling() {
                self.fill_bulk();
                continue;
            }
            let next = self.next();
            if self.wants_more(next) && self.may_read() {
                self.read_next();
                continue;
            }
            let Some(next) = next else { return };
            self.turn.step();
            if let Next::Record(position) = next {
                if self.batch.has_failed_in_reading(position) {
                    self.ready.pop();
                    self.fail(position, FailureClass::Permanent);
                    continue;
                }
                if self.batch.is_mark_unknown(position) {
                    self.ready.pop();
                    self.report_unknown(position);
                    continue;
                }
            }
            let permit = granted.take().or_else(|| self.settings.limit.try_acquire().ok());
            let Some(permit) = permit else { return };
            match next {
                Next::Record(position) => {
                    self.ready.pop();
                    self.start(position, permit);
                }
                Next::Bulk(bulk) => self.begin_bulk(bulk, permit),
            }
        }
    }

    /// Starts an attempt.
    fn start(&mut self, position: usize, permit: SemaphorePermit<'a>) {
        let record = self.batch.begin_attempt(position);
        let attempt = self.batch.attempts(position);
        let record = record.in_context(ChangeContext::of_attempt(
            &self.context,
            self.clock.now(),
            attempt,
            self.batch.is_stale(position),
        ));
        let Some(HandlerRef::Each(handler)) = self.batch.target(position).map(|target| &target.handler) else {
            unreachable!("a record without a handler is skipped, and that of a bulk handler waits for its bulk")
        };
        self.measured.concurrency = self.measured.concurrency.max(self.settings.handlers_running());
        let start = Start { position, at: self.clock.now() };
        let outcome = match AttemptFuture::begin(&**handler, record, start, self.settings, permit) {
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
                // Only a bulk's record stands for others.
                self.settle_alone(position, Outcome::Succeeded);
            }
            Err(AttemptFailure { failure, class }) => {
                self.batch.note_failure(position, failure, begun);
                self.fail(position, class);
            }
        }
    }

    /// Decides what happens to a record whose attempt failed, and does it.
    fn fail(&mut self, position: usize, class: FailureClass) {
        match self.disposition(position, self.batch.first_superseded(position), class) {
            Disposition::Retry(delay) => {
                log::failed(&self.batch.about(position), "retried", Some(delay));
                self.backing_off.insert(position);
                self.backoffs.push(Box::pin(tokio::time::sleep(delay).map(move |()| position)));
            }
            other => self.act(position, other),
        }
    }

    /// What happens to a record whose attempt failed, and to those that it stands for. The first of them decides whether they may start
    /// again, and is the oldest.
    fn disposition(&self, position: usize, first: usize, class: FailureClass) -> Disposition {
        // Once the deadline has stopped the batch, no record starts, wherever the gate is.
        let is_admitted = self.stopped || self.gate.admits(first);
        self.settings.failing.disposition(&FailedRecord {
            class,
            attempts: self.batch.attempts(position),
            age: self.batch.age(first, &self.clock),
            origin: self.batch.origin(),
            is_admitted,
            time_left: if self.stopped { Some(Duration::ZERO) } else { self.clock.time_left() },
        })
    }

    /// Acts on a disposition that is not another attempt.
    fn act(&mut self, position: usize, disposition: Disposition) {
        match disposition {
            // It failed with its bulk, and the deadline has come before it could show what it does alone.
            Disposition::DeadLetter if self.batch.has_failed_with_bulk(position) => self.report(position),
            Disposition::DeadLetter => self.dead_letters.push(position),
            Disposition::HoldBack => {
                log::failed(&self.batch.about(position), "held back", None);
                self.settle(position, Outcome::HeldBack);
            }
            Disposition::Report | Disposition::Retry(_) => self.report(position),
        }
    }

    fn backed_off(&mut self, position: usize) {
        if self.backing_off.remove(&position) {
            self.ready.push(position);
        }
    }

    /// Makes calls of the dead letters that wait, until the turn is over.
    fn send_dead_letters(&mut self) {
        while !self.turn.is_over_at(self.clock.now()) && !self.clock.is_end_reached(self.stopped) {
            let Some(call) = self.dead_letters.next_call(&self.batch, &self.clock) else { return };
            self.turn.step();
            let sent = self.dead_letters.start(call);
            self.clock.read();
            if let Some(sent) = sent {
                self.sent(sent);
            }
        }
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
        let turn = Turn::begin_at(self.clock.now());
        let mut context = Context::from_waker(Waker::noop());
        while !turn.is_over_at(self.clock.now())
            && let Poll::Ready(Some(sent)) = self.dead_letters.poll_next(&mut context)
        {
            self.clock.read();
            self.sent(sent);
        }
        for refused in self.dead_letters.give_up() {
            self.sent(refused);
        }
    }

    /// Gives a record and those that it stands for their outcome, and the next record of its lane its turn.
    fn settle(&mut self, position: usize, outcome: Outcome) {
        self.batch.settle_superseded(position, outcome);
        self.settle_alone(position, outcome);
    }

    /// Gives a record its outcome, and the next record of its lane its turn.
    #[inline]
    fn settle_alone(&mut self, position: usize, outcome: Outcome) {
        if let Some(next) = self.batch.settle(position, outcome) {
            self.arrive(next);
        }
    }

    /// Gives a record its turn, because it need not wait for another of its lane.
    fn arrive(&mut self, arrival: Arrival) {
        let mut arrival = arrival;
        if self.batch.marks.is_some() {
            let Some(open) = self.pass_marks(arrival) else { return };
            arrival = open;
        }
        match arrival {
            Arrival::Ready(position) if self.bulks.are_unused() => self.ready.push(position),
            // Its part of a halved bulk, or the rest of its bulk's answer, comes next.
            Arrival::Ready(position) if self.batch.is_in_bulk(position) => {}
            Arrival::Ready(position) => {
                if !self.bulks.push(position, &self.batch) {
                    self.ready.push(position);
                }
            }
            Arrival::FollowsDeadLetter(position) if self.gate.admits(position) => {
                let why = "an earlier record of the same lane became a dead letter, and the rest follows it";
                self.batch.set_in_bulk(position, false);
                self.batch.fail_without_attempt(position, Failure::new(ErrorKind::Predecessor, why));
                self.dead_letters.push(position);
            }
            // It is delivered again with the reported record before it.
            Arrival::FollowsDeadLetter(_) => {}
        }
    }

    fn report(&mut self, position: usize) {
        log::failed(&self.batch.about(position), "reported", None);
        let first = self.batch.first_superseded(position);
        self.settle(position, Outcome::Reported);
        if self.batch.is_from_stream() {
            self.gate.close_at(first);
        }
    }

    /// Stops before the deadline: takes the attempts that are done at this moment, and drops all others.
    fn stop(&mut self) {
        self.stopped = true;
        let turn = Turn::begin_at(self.clock.now());
        let mut context = Context::from_waker(Waker::noop());
        while !turn.is_over_at(self.clock.now())
            && let Poll::Ready(Some(outcome)) = self.attempts.poll_next(&mut context)
        {
            self.clock.read();
            self.attempted(outcome);
        }
        while !turn.is_over_at(self.clock.now())
            && let Poll::Ready(Some(outcome)) = self.bulks.running.poll_next(&mut context)
        {
            self.clock.read();
            self.bulk_ended(outcome);
        }
        // The attempts that are dropped take the longest: without them, the durations would look better than they are.
        let dropped = self.attempts.iter().map(AttemptFuture::start);
        let durations = dropped.map(|start| (start.position, millis(self.clock.since(start.at))));
        self.measured.attempts.extend(durations);
        for bulk in self.bulks.running.iter() {
            let (position, at) = bulk.start();
            self.measured.attempts.push((position, millis(self.clock.since(at))));
            self.measured.bulks.push((position, bulk.len() as f64));
        }
        let failed_before = self.failed_before();
        self.abort();
        for position in failed_before {
            self.fail(position, FailureClass::Retryable { after: None });
        }
    }

    /// The records that have failed and are in another attempt, or wait for one, in stream order.
    fn failed_before(&mut self) -> Vec<usize> {
        let running = self.attempts.iter().map(|attempt| attempt.start().position);
        let waiting = self.backing_off.iter().copied().chain(self.ready.iter());
        let has_failed = |position: &usize| self.gate.admits(*position) && self.batch.has_failed(*position);
        let mut failed: Vec<usize> = running.chain(waiting).filter(has_failed).collect();
        failed.extend(self.failed_in_bulks());
        failed.sort_unstable();
        failed
    }

    /// Drops all that runs, and starts nothing more.
    fn abort(&mut self) {
        self.gate.shut();
        self.attempts.clear();
        self.backoffs.clear();
        self.backing_off.clear();
        self.bulks.clear(&mut self.batch);
        if self.recall.take().is_some() {
            self.batch.end_recall(None);
        }
        self.batch.give_up_marks();
    }
}
