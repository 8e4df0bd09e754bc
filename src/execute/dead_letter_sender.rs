//! Sends dead letters to the queue: what waits goes out together, at most ten letters a call, and a lone letter at once. A panic
//! of the queue is an answer that refuses every letter of its call.

use std::collections::BTreeSet;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;
use futures::stream::{FuturesUnordered, StreamExt};
use tokio::time::Instant;

use super::batch::Batch;
use crate::clock::Clock;
use crate::dead_letter::{DeadLetter, DeadLetterError, ErasedDeadLetterQueue};
use crate::invocation::Invocation;

/// How many letters one call of the queue gets at most: few enough that one slow call delays few records.
const MAX_LETTERS: usize = 10;
/// How many calls may be in flight at once.
const MAX_IN_FLIGHT: usize = 8;

/// A call of the queue that has ended.
pub(super) struct Sent {
    pub(super) positions: Vec<usize>,
    pub(super) duration: Duration,
    /// One result per position, in the same order; more or fewer if the queue broke its promise.
    pub(super) results: Vec<Result<(), DeadLetterError>>,
}

/// Dead letters on their way to the queue.
pub(super) struct DeadLetterSender<'a> {
    queue: Option<&'a dyn ErasedDeadLetterQueue>,
    invocation: Arc<Invocation>,
    waiting: BTreeSet<usize>,
    in_flight: FuturesUnordered<BoxFuture<'a, Sent>>,
}

impl<'a> DeadLetterSender<'a> {
    pub(super) fn new(queue: Option<&'a dyn ErasedDeadLetterQueue>, invocation: Arc<Invocation>) -> Self {
        Self { queue, invocation, waiting: BTreeSet::new(), in_flight: FuturesUnordered::new() }
    }

    pub(super) fn push(&mut self, position: usize) {
        self.waiting.insert(position);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty() && self.in_flight.is_empty()
    }

    /// Starts calls for the letters that wait, in stream order, up to the limit of calls in flight.
    pub(super) fn flush(&mut self, batch: &Batch<'_>, clock: &Clock) {
        let Some(queue) = self.queue else { return };
        while !self.waiting.is_empty() && self.in_flight.len() < MAX_IN_FLIGHT {
            let positions: Vec<usize> = std::iter::from_fn(|| self.waiting.pop_first()).take(MAX_LETTERS).collect();
            let letters: Vec<DeadLetter> =
                positions.iter().map(|position| batch.dead_letter(*position, &self.invocation, clock)).collect();
            self.in_flight.push(Box::pin(send(queue, positions, letters)));
        }
    }

    /// Waits for the next call to end; `None` if none is in flight.
    pub(super) async fn next(&mut self) -> Option<Sent> {
        self.in_flight.next().await
    }
}

async fn send(queue: &dyn ErasedDeadLetterQueue, positions: Vec<usize>, letters: Vec<DeadLetter>) -> Sent {
    let begun = Instant::now();
    let results = AssertUnwindSafe(async { queue.send(&letters).await }).catch_unwind().await.unwrap_or_else(|_| {
        let panicked = || Err(DeadLetterError::new("the dead-letter queue panicked"));
        positions.iter().map(|_| panicked()).collect()
    });
    Sent { positions, duration: begun.elapsed(), results }
}
