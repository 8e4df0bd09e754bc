//! A run over the rounds of a queue: each letter is sent, and deleted when it is done.
//!
//! *Invariant*: a letter is not sent after a later one of its item, nor after an earlier one that failed.

use std::cell::{Cell, RefCell};
use std::collections::{HashMap, HashSet};
use std::process::ExitCode;
use std::sync::{Mutex, MutexGuard, PoisonError};

use futures::{FutureExt, stream};

use super::copies::Copies;
use super::hold::Hold;
use super::letter::Letter;
use super::report::Left;
use super::round::Receiver;
use super::{BATCH_SIZE, RedriveArgs, WHAT, again, print_hints, tell_failures};
use crate::deliver::{Delivered, Form, Outcome, Settled};
use crate::failure::{FAILED, Failure};
use crate::places::sqs::Queue;
use crate::sending::{Tally, Target, conclude, send};
use crate::signals::Signals;
use crate::ui::{Ui, count};

/// A run over the rounds.
pub(super) struct Run<'a> {
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
    /// By message.
    copies: Copies<String>,
    tally: Mutex<Tally>,
}

/// How a round ended.
struct RoundEnd {
    delivered: Delivered,
    /// Whether the run ends after it.
    is_last: bool,
}

impl<'a> Run<'a> {
    pub(super) fn new(args: &'a RedriveArgs, hold: &'a Hold<'a>, ui: &'a Ui, signals: &'a Signals) -> Self {
        let (left, letters, failed) = (Left::default(), HashMap::new(), HashMap::new());
        let (copies, tally) = (Copies::default(), Mutex::new(Tally::of(0)));
        Self { args, hold, ui, signals, left, received: 0, letters, failed, copies, tally }
    }

    /// What the summary says in addition to the letters, because it keeps the queue from being done.
    pub(super) fn note(&mut self, note: String) {
        self.left.notes.push(note);
    }

    /// Goes on until the queue has no more letters for this run, or something ends it.
    pub(super) async fn rounds(&mut self, receiver: &Receiver<'_>, target: &Target) -> Result<Delivered, Failure> {
        let (hold, ui) = (self.hold, self.ui);
        let rounds = async {
            loop {
                let ended = self.round(receiver, target).await?;
                if ended.is_last {
                    return Ok(ended.delivered);
                }
            }
        };
        tokio::select! {
            delivered = rounds => delivered,
            never = hold.extend(ui) => never,
        }
    }

    async fn round(&mut self, receiver: &Receiver<'_>, target: &Target) -> Result<RoundEnd, Failure> {
        let received = tokio::select! {
            biased;
            () = self.signals.reached(2) => return Err(receiver.stopped()),
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
        let letters = self.without_copies(std::mem::take(&mut round.letters)).await?;
        let letters = self.admit(letters);
        if self.signals.reached(1).now_or_never().is_some() {
            return Ok(RoundEnd { delivered: Delivered { is_stopped: true, ..Delivered::default() }, is_last: true });
        }
        let delivered = self.send(letters, json, target).await?;
        let is_over = delivered.is_stopped || delivered.broken.is_some();
        Ok(RoundEnd { delivered, is_last: is_over || round.is_last || round.received == 0 })
    }

    /// Returns the letters whose records have no letter yet. A copy of one that is done goes at once.
    async fn without_copies(&mut self, letters: Vec<Letter>) -> Result<Vec<Letter>, Failure> {
        self.letters.extend(letters.iter().map(|letter| (letter.message_id.clone(), letter.clone())));
        let (mut firsts, mut done) = (Vec::new(), Vec::new());
        for letter in letters {
            if !self.copies.add(&letter, letter.message_id.clone()) {
                firsts.push(letter);
            } else if self.copies.is_done(&letter) {
                done.push(letter.message_id);
            }
        }
        let done: Vec<&str> = done.iter().map(String::as_str).collect();
        let refused = delete(self.hold, &done, &self.letters).await?;
        self.left.undeleted.extend(refused);
        Ok(firsts)
    }

    /// Counts the letters, and returns those of which no earlier one of the same item failed in an earlier round.
    fn admit(&mut self, letters: Vec<Letter>) -> Vec<Letter> {
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
        let (known, copies) = (&self.letters, RefCell::new(&mut self.copies));
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
            let mut done: Vec<String> = done.map(|settled| settled.name.clone()).collect();
            let copied: Vec<String> = done.iter().flat_map(|id| copies.borrow_mut().done(id)).collect();
            done.extend(copied);
            let done: Vec<&str> = done.iter().map(String::as_str).collect();
            let refused = delete(hold, &done, known).await?;
            undeleted.borrow_mut().extend(refused);
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
    pub(super) fn conclude(
        mut self,
        ended: Result<Delivered, Failure>,
        queue: &Queue,
        target: &Target,
    ) -> Result<ExitCode, Failure> {
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
        if queue.is_fifo() && !tally.failed.is_empty() {
            self.left
                .notes
                .push("later letters of the items that failed may still wait in the queue, which is FIFO".to_owned());
        }
        let where_left = format!("what is not done is in {}: {}", queue.url(), again(&tally, &delivered));
        let code = conclude(&tally, &delivered, WHAT, &where_left);
        if let Some(line) = self.copies.describe() {
            println!("{line}");
        }
        self.left.print();
        print_hints(&tally, delivered.broken.as_deref(), target);
        match failure {
            Some(failure) if tally.done == 0 && tally.failed.is_empty() => Err(failure),
            Some(failure) => Err(Failure::failed(failure)),
            None if self.left.is_empty() => Ok(code),
            None => Ok(ExitCode::from(FAILED)),
        }
    }
}

/// Deletes messages that are done; returns those that are still there, by their records, each with the reason.
async fn delete(
    hold: &Hold<'_>,
    done: &[&str],
    known: &HashMap<String, Letter>,
) -> Result<Vec<(String, String)>, Failure> {
    let refused = hold
        .delete(done)
        .await
        .map_err(|error| Failure::failed(format!("{} done, but not deleted: {error}", count(done.len(), WHAT))))?;
    Ok(refused.into_iter().map(|(id, why)| (known.get(&id).map_or(id, Letter::name), why)).collect())
}

fn lock(tally: &Mutex<Tally>) -> MutexGuard<'_, Tally> {
    tally.lock().unwrap_or_else(PoisonError::into_inner)
}
