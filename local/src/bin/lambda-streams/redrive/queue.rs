//! The letters of a queue: round by round, until it has no more of them.

use std::cell::{Cell, RefCell};
use std::collections::{HashMap, HashSet};
use std::process::ExitCode;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use futures::{FutureExt, stream};

use super::hold::Hold;
use super::letter::Letter;
use super::report::{self, Left};
use super::round::Receiver;
use super::{BATCH_SIZE, RedriveArgs, WHAT, only_of, print_hints, tell_failures, total};
use crate::aws::Aws;
use crate::deliver::{Delivered, Form, Outcome, Settled};
use crate::failure::{FAILED, Failure, GOOD};
use crate::places::sqs::{self, Queue, QueueState};
use crate::sending::{Tally, Target, conclude, send};
use crate::signals::Signals;
use crate::ui::{Ui, count};

pub(super) async fn redrive(args: &RedriveArgs, queue: &str, signals: &Signals) -> Result<ExitCode, Failure> {
    let aws = Aws::near(&args.aws, sqs::near(queue));
    let (queue, state) = tokio::select! {
        found = find(queue, &aws) => found?,
        () = signals.reached(1) => return Err(Failure::not_begun("interrupted before anything was begun")),
    };
    let ui = args.sending.ui(&args.function);
    announce(&ui, &queue, state.as_ref());
    let hold = Hold::new(&queue, args.visibility());
    let expected = state.as_ref().map_or(0, |state| state.visible);
    let began = state.as_ref().map_or_else(SystemTime::now, |state| state.now);
    let receiver =
        Receiver { queue: &queue, hold: &hold, visibility: args.visibility(), began, expected, only_of: only_of(args) };
    if args.sending.dry_run {
        return list(&receiver, &hold, state.as_ref(), signals, &ui).await;
    }
    let target = Target::start(&args.function, &aws, &queue.arn(), &ui, signals).await?;
    let (left, letters, failed, tally) = (Left::default(), HashMap::new(), HashMap::new(), total(0));
    let mut run = Run { args, hold: &hold, ui: &ui, signals, left, received: 0, letters, failed, tally };
    let ended = run.rounds(&receiver, &target).await;
    let is_released = tokio::select! {
        biased;
        // Nothing waits for the queue any more.
        () = signals.reached(2) => false,
        () = hold.release(&ui) => true,
    };
    target.function.shutdown().await;
    ui.finish();
    if !is_released {
        let seconds = args.visibility().as_secs();
        run.left.notes.push(format!("the messages that were received become visible within {seconds} s"));
    }
    if let Some(in_flight) = state.map(|state| state.in_flight).filter(|in_flight| *in_flight > 0) {
        let messages = count(usize::try_from(in_flight).unwrap_or(usize::MAX), "message");
        let who = "another has them, or had them when it was killed";
        run.left.notes.push(format!("about {messages} were in flight when this run began: {who}"));
    }
    run.conclude(ended, &queue, &target)
}

/// The queue, and what it says of itself, where that is allowed.
async fn find(queue: &str, aws: &Aws<'_>) -> Result<(Queue, Option<QueueState>), Failure> {
    let queue = Queue::resolve(queue, aws).await?;
    match queue.state().await {
        Ok(state) => Ok((queue, Some(state))),
        Err(error) if error.is_access_denied() => Ok((queue, None)),
        Err(error) => Err(Failure::not_begun(error)),
    }
}

fn announce(ui: &Ui, queue: &Queue, state: Option<&QueueState>) {
    let Some(state) = state else {
        ui.line(&format!("queue     {}, which does not say how many messages it has", queue.url()));
        return;
    };
    ui.line(&format!("queue     {}: about {} messages, and {} in flight", queue.url(), state.visible, state.in_flight));
    if let Some(times) = state.max_receive_count {
        ui.print(&format!(
            "note: this queue moves a message to a dead-letter queue of its own after {}: each run is one of them",
            count(usize::try_from(times).unwrap_or(usize::MAX), "receive")
        ));
    }
}

/// Lists what would be sent.
async fn list(
    receiver: &Receiver<'_>,
    hold: &Hold<'_>,
    state: Option<&QueueState>,
    signals: &Signals,
    ui: &Ui,
) -> Result<ExitCode, Failure> {
    let mut left = Left::default();
    let received = tokio::select! {
        biased;
        () = signals.reached(2) => return Err(stopped(receiver)),
        received = async {
            tokio::select! {
                received = receiver.receive(0, &mut left, (signals, ui)) => received,
                never = hold.extend(ui) => never,
            }
        } => received,
    };
    hold.release(ui).await;
    ui.finish();
    let round = received.map_err(Failure::not_begun)?;
    report::print_letters(round.letters.iter());
    left.print();
    let known = state.map_or(0, |state| state.visible);
    if known > round.received as u64 {
        let more = if receiver.queue.is_fifo() {
            "a FIFO queue gives the later letters of an item after the earlier ones"
        } else {
            "the rest was not looked at"
        };
        println!("the queue has about {known} messages: {more}");
    }
    println!("nothing was sent, and the messages are visible again; each of them counts one receive more");
    Ok(ExitCode::from(GOOD))
}

fn stopped(receiver: &Receiver<'_>) -> Failure {
    let seconds = receiver.visibility.as_secs();
    Failure::failed(format!("stopped at once: the messages that were received become visible within {seconds} s"))
}

/// A run over the rounds.
struct Run<'a> {
    args: &'a RedriveArgs,
    hold: &'a Hold<'a>,
    ui: &'a Ui,
    signals: &'a Signals,
    left: Left,
    /// Messages so far.
    received: u64,
    /// Every letter that was received, by its message.
    letters: HashMap<String, Letter>,
    /// The first letter of each item that failed.
    failed: HashMap<u64, Letter>,
    tally: Mutex<Tally>,
}

/// How a round ended.
struct RoundEnd {
    delivered: Delivered,
    /// Whether the run ends after it.
    is_last: bool,
}

impl Run<'_> {
    /// Goes on until the queue has no more letters for this run, or something ends it.
    async fn rounds(&mut self, receiver: &Receiver<'_>, target: &Target) -> Result<Delivered, Failure> {
        loop {
            let (hold, ui) = (self.hold, self.ui);
            let ended = tokio::select! {
                ended = self.round(receiver, target) => ended?,
                never = hold.extend(ui) => never,
            };
            if ended.is_last {
                return Ok(ended.delivered);
            }
        }
    }

    async fn round(&mut self, receiver: &Receiver<'_>, target: &Target) -> Result<RoundEnd, Failure> {
        let received = tokio::select! {
            biased;
            () = self.signals.reached(2) => return Err(stopped(receiver)),
            received = receiver.receive(self.received, &mut self.left, (self.signals, self.ui)) => received,
        };
        let is_first = self.has_nothing();
        let mut round =
            received.map_err(|error| if is_first { Failure::not_begun(error) } else { Failure::failed(error) })?;
        self.received += round.received as u64;
        if round.received > 0 {
            let (messages, letters) = (count(round.received, "message"), count(round.letters.len(), WHAT));
            self.ui.routine(&format!("received {messages}: {letters}"));
        }
        let json = round.take_json();
        let letters = self.admit(std::mem::take(&mut round.letters));
        if self.signals.reached(1).now_or_never().is_some() {
            return Ok(RoundEnd { delivered: Delivered { is_stopped: true, ..Delivered::default() }, is_last: true });
        }
        let delivered = self.send(letters, json, target).await?;
        let is_over = delivered.is_stopped || delivered.broken.is_some();
        Ok(RoundEnd { delivered, is_last: is_over || round.is_last || round.received == 0 })
    }

    /// Counts the letters, and returns those of which no earlier one of the same item failed in an earlier round.
    fn admit(&mut self, letters: Vec<Letter>) -> Vec<Letter> {
        self.letters.extend(letters.iter().map(|letter| (letter.message_id.clone(), letter.clone())));
        let tally = self.tally.get_mut().unwrap_or_else(PoisonError::into_inner);
        tally.total = Some(tally.total.unwrap_or_default() + letters.len() as u64);
        let follows_a_failed_one =
            |letter: &Letter| self.failed.get(&letter.item).is_some_and(|failed| failed.order(letter).is_lt());
        let (held_back, admitted): (Vec<_>, Vec<_>) = letters.into_iter().partition(follows_a_failed_one);
        tally.held_back += held_back.len() as u64;
        admitted
    }

    async fn send(
        &mut self,
        letters: Vec<Letter>,
        mut json: HashMap<String, String>,
        target: &Target,
    ) -> Result<Delivered, Failure> {
        let (hold, expired, undeleted) = (self.hold, Cell::new(0), RefCell::new(Vec::new()));
        let known = &self.letters;
        let mut expired_items = HashSet::new();
        let parcels = letters.into_iter().enumerate().filter_map(|(tag, letter)| {
            // A later letter would overtake one that is visible again.
            if expired_items.contains(&letter.item) || !hold.has(&letter.message_id) {
                expired_items.insert(letter.item);
                expired.set(expired.get() + 1);
                return None;
            }
            Some(Ok(letter.parcel(json.remove(&letter.message_id)?, tag as u64)))
        });
        let settle = async |settled: &[Settled]| {
            let done = settled.iter().filter(|settled| settled.outcome == Outcome::Done);
            let done: Vec<&str> = done.map(|settled| settled.name.as_str()).collect();
            let refused = hold.delete(&done).await.map_err(|error| {
                Failure::failed(format!("{} done that cannot be deleted: {error}", count(done.len(), WHAT)))
            })?;
            let named = refused.into_iter().map(|(id, why)| (known.get(&id).map_or(id, Letter::name), why));
            undeleted.borrow_mut().extend(named);
            Ok(())
        };
        let limits = self.args.sending.limits(BATCH_SIZE, target.timeout);
        let failed_before = lock(&self.tally).failed.len();
        let ui = (self.ui, self.signals, WHAT);
        let ended = send(target, (Form::DeadLetters, limits), ui, &self.tally, stream::iter(parcels), settle).await;
        self.left.expired += expired.get();
        self.left.undeleted.append(&mut undeleted.into_inner());
        for (name, _) in &lock(&self.tally).failed[failed_before..] {
            if let Some(letter) = self.letters.get(name) {
                self.failed.entry(letter.item).or_insert_with(|| letter.clone());
            }
        }
        ended
    }

    /// Whether no message was received so far.
    fn has_nothing(&self) -> bool {
        self.letters.is_empty() && self.left.others.is_empty() && self.left.of_functions.is_empty()
    }

    /// Prints the summary.
    fn conclude(self, ended: Result<Delivered, Failure>, queue: &Queue, target: &Target) -> Result<ExitCode, Failure> {
        let ended = match ended {
            Err(failure) if self.has_nothing() => return Err(failure),
            ended => ended,
        };
        let mut tally = self.tally.into_inner().unwrap_or_else(PoisonError::into_inner);
        tell_failures(&mut tally, target, &self.letters);
        let (delivered, failure) = match ended {
            Ok(delivered) => (delivered, None),
            Err(failure) => (Delivered { is_stopped: true, ..Delivered::default() }, Some(failure)),
        };
        let where_left = format!("what is not done is in {}: run it again when the cause is fixed", queue.url());
        let code = conclude(&tally, &delivered, WHAT, &where_left);
        self.left.print();
        print_hints(&tally, delivered.broken.as_deref(), target);
        match failure {
            Some(failure) => Err(Failure::failed(failure)),
            None if self.left.is_empty() => Ok(code),
            None => Ok(ExitCode::from(FAILED)),
        }
    }
}

fn lock(tally: &Mutex<Tally>) -> MutexGuard<'_, Tally> {
    tally.lock().unwrap_or_else(PoisonError::into_inner)
}
