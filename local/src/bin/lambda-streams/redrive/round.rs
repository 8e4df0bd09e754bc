//! One round: as many messages as are kept in order are received before the first is sent.

use std::collections::HashMap;
use std::time::{Duration, Instant, SystemTime};

use futures::FutureExt;
use futures::future::join_all;

use super::hold::Hold;
use super::letter::{self, Letter};
use super::report::Left;
use crate::failure::Failure;
use crate::places::PlaceError;
use crate::places::sqs::{MAX_BATCH, MAX_CALLS, Message, Queue};
use crate::signals::Signals;
use crate::ui::{Ui, count};

/// The most messages of a round.
const MAX_MESSAGES: usize = 10_000;
/// The most bytes of their bodies.
const MAX_BYTES: usize = 256 * 1024 * 1024;
/// How long an empty queue is waited for: then all its servers were asked.
const WAIT: Duration = Duration::from_secs(1);
/// The queue's clock is known to the second.
const PRECISION: Duration = Duration::from_secs(1);

/// The letters of a round, in the order in which they are sent, and how they travel.
#[derive(Debug, Default)]
pub(super) struct Round {
    pub(super) letters: Vec<Letter>,
    /// Each letter's record of an SQS event, by its message.
    json: HashMap<String, String>,
    bytes: usize,
    /// New messages, letters or not.
    pub(super) received: usize,
    /// Whether it ended because the rest came after the run had begun.
    pub(super) is_last: bool,
}

/// Whom letters are received from, and for.
pub(super) struct Receiver<'a> {
    pub(super) queue: &'a Queue,
    pub(super) hold: &'a Hold<'a>,
    pub(super) visibility: Duration,
    /// When the run began, on the queue's clock.
    pub(super) began: SystemTime,
    /// How many messages could be received then, about.
    pub(super) expected: u64,
    /// Letters of other functions are left.
    pub(super) only_of: Option<&'a str>,
}

impl Receiver<'_> {
    /// What a second Ctrl-C means.
    pub(super) fn stopped(&self) -> Failure {
        let until = self.hold.until();
        Failure::failed(format!("stopped at once: the messages that were received become visible {until}"))
    }

    /// Receives until the queue has no more messages for it, until the round is full, or until Ctrl-C. `earlier` rounds of
    /// the run had that many messages.
    ///
    /// # Errors
    /// If the queue refuses. What was received is held nevertheless.
    pub(super) async fn receive(
        &self,
        earlier: u64,
        left: &mut Left,
        (signals, ui): (&Signals, &Ui),
    ) -> Result<Round, PlaceError> {
        let mut round = Round::default();
        let mut calls = 1;
        while round.received < MAX_MESSAGES && round.bytes < MAX_BYTES && signals.reached(1).now_or_never().is_none() {
            let asked = Instant::now();
            let answers = join_all((0..calls).map(|_| self.queue.receive(self.visibility, WAIT))).await;
            let mut messages = Vec::new();
            let mut error = None;
            for answer in answers {
                match answer {
                    Ok(mut some) => messages.append(&mut some),
                    Err(refused) => error = Some(refused),
                }
            }
            let is_full = messages.len() == calls * MAX_BATCH;
            let (is_empty, has_old) = (messages.is_empty(), messages.iter().any(|message| self.is_old(message)));
            messages.into_iter().for_each(|message| self.take(message, asked, &mut round, left));
            ui.show(format!("receiving: {}", count(round.received, "message")));
            match error {
                // What is in flight already has to be dealt with first.
                Some(error) if error.is_over_limit() && round.received > 0 => break,
                Some(error) => return Err(error),
                None => {}
            }
            if is_empty {
                break;
            }
            // Letters that come while the run lasts would keep it busy for as long as they come.
            if !has_old && earlier + round.received as u64 >= self.expected {
                round.is_last = true;
                break;
            }
            calls = if is_full { MAX_CALLS } else { 1 };
        }
        round.letters.sort_by(Letter::order);
        Ok(round)
    }

    fn is_old(&self, message: &Message) -> bool {
        message.sent().is_none_or(|sent| sent <= self.began + PRECISION)
    }

    fn take(&self, message: Message, asked: Instant, round: &mut Round, left: &mut Left) {
        if !self.hold.add(&message, asked) {
            return;
        }
        round.received += 1;
        let letter = match letter::read(&message.body) {
            Ok(letter) => Letter::new(&letter, message.id.clone()),
            Err(reason) => return left.others.push((format!("message {}", message.id), reason)),
        };
        if let Some(function) = letter.other_function(self.only_of) {
            *left.of_functions.entry(function.to_owned()).or_default() += 1;
            return;
        }
        let json = message.to_event_record(self.queue);
        round.bytes += json.len();
        round.json.insert(message.id, json);
        round.letters.push(letter);
    }
}

impl Round {
    pub(super) fn take_json(&mut self) -> HashMap<String, String> {
        std::mem::take(&mut self.json)
    }
}
