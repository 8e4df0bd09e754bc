//! Sends dead letters to the queue: what waits goes out together, at most ten letters a call, and a lone letter at once. A panic
//! of the queue is an answer that refuses every letter of its call, and so is the deadline.

use std::collections::BTreeSet;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use futures::FutureExt;
use futures::future::BoxFuture;
use tokio::time::Instant;

use super::batch::Batch;
use super::clock::Clock;
use super::in_flight::InFlight;
use crate::dead_letter::{DeadLetter, DeadLetterError, ErasedDeadLetterQueue};
use crate::guard::Guarded;
use crate::invocation::Invocation;

/// How many letters one call of the queue gets at most: few enough that one slow call delays few records.
const MAX_LETTERS: usize = 10;
/// How many calls may be in flight at once.
const MAX_IN_FLIGHT: usize = 8;

/// A call of the queue that has ended.
pub(super) struct Sent {
    pub(super) positions: Vec<usize>,
    /// `None` if the letters were given up before their call was made.
    pub(super) begun: Option<Instant>,
    /// One result per position, in the same order; more or fewer if the queue broke its promise.
    pub(super) results: Vec<Result<(), DeadLetterError>>,
}

/// A call of the queue with the letters of these positions.
pub(super) struct Call<'a> {
    positions: Vec<usize>,
    begun: Instant,
    answer: Guarded<BoxFuture<'a, Vec<Result<(), DeadLetterError>>>>,
}

/// Dead letters on their way to the queue.
pub(super) struct DeadLetterSender<'a> {
    queue: Option<&'a dyn ErasedDeadLetterQueue>,
    invocation: Arc<Invocation>,
    waiting: BTreeSet<usize>,
    calls: InFlight<Call<'a>>,
}

impl<'a> DeadLetterSender<'a> {
    pub(super) fn new(queue: Option<&'a dyn ErasedDeadLetterQueue>, invocation: Arc<Invocation>) -> Self {
        Self { queue, invocation, waiting: BTreeSet::new(), calls: InFlight::new() }
    }

    pub(super) fn push(&mut self, position: usize) {
        self.waiting.insert(position);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty() && self.calls.is_empty()
    }

    /// Makes a call of the letters that wait, in stream order; `None` if none waits, or as many calls as may be are in flight.
    pub(super) fn next_call(&mut self, batch: &Batch<'_>, clock: &Clock) -> Option<Call<'a>> {
        let queue = self.queue.filter(|_| !self.waiting.is_empty() && self.calls.len() < MAX_IN_FLIGHT)?;
        let positions: Vec<usize> = std::iter::from_fn(|| self.waiting.pop_first()).take(MAX_LETTERS).collect();
        let letter = |position: &usize| batch.dead_letter(*position, &self.invocation, clock);
        let letters: Vec<DeadLetter> = positions.iter().map(letter).collect();
        let answer: BoxFuture<'a, _> = Box::pin(async move { queue.send(&letters).await });
        Some(Call { positions, begun: clock.now(), answer: Guarded::new("dead-letter queue", answer) })
    }

    /// Begins a call; returns its answer if that is there at once.
    pub(super) fn start(&mut self, call: Call<'a>) -> Option<Sent> {
        self.calls.start(call)
    }

    /// Ready with the next call that has ended, or with `None` if none is in flight.
    pub(super) fn poll_next(&mut self, context: &mut Context<'_>) -> Poll<Option<Sent>> {
        self.calls.poll_next(context)
    }

    /// Gives up all letters, and drops the calls in flight. Returns those calls, each letter refused, and one more for the letters
    /// that were still waiting.
    pub(super) fn give_up(&mut self) -> Vec<Sent> {
        let refused = |positions: Vec<usize>, begun, why: &str| {
            let results = positions.iter().map(|_| Err(DeadLetterError::new(why))).collect();
            Sent { positions, begun, results }
        };
        let unanswered = "the queue did not answer before the deadline";
        let unsent = "the deadline came before the letter was sent, because the queue was busy with others";
        let in_flight = self.calls.iter().map(|call| refused(call.positions.clone(), Some(call.begun), unanswered));
        let mut given_up: Vec<Sent> = in_flight.collect();
        let waiting = std::mem::take(&mut self.waiting);
        if !waiting.is_empty() {
            given_up.push(refused(waiting.into_iter().collect(), None, unsent));
        }
        self.calls.clear();
        given_up
    }
}

impl Future for Call<'_> {
    type Output = Sent;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Sent> {
        let answer = ready!(self.answer.poll_unpin(context));
        let positions = std::mem::take(&mut self.positions);
        let results = answer.unwrap_or_else(|panic| {
            let panicked = || Err(DeadLetterError::new(panic.to_string()));
            positions.iter().map(|_| panicked()).collect()
        });
        Poll::Ready(Sent { positions, begun: Some(self.begun), results })
    }
}
