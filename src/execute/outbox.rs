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

/// The largest batch that a queue is asked to take at once: what SQS takes.
const MAX_BATCH: usize = 10;
/// How many batches may be under way at once.
const MAX_IN_FLIGHT: usize = 8;

/// Positions, duration and results of a call of the queue.
type Sent = (Vec<usize>, Duration, Vec<Result<(), DeadLetterError>>);

/// Dead letters on their way: what is ready goes out together, and a lone one at once.
pub(super) struct Outbox<'a> {
    queue: Option<&'a dyn ErasedDeadLetterQueue>,
    invocation: Arc<Invocation>,
    waiting: BTreeSet<usize>,
    in_flight: FuturesUnordered<BoxFuture<'a, Sent>>,
}

impl<'a> Outbox<'a> {
    pub(super) fn new(queue: Option<&'a dyn ErasedDeadLetterQueue>, invocation: Arc<Invocation>) -> Self {
        Self { queue, invocation, waiting: BTreeSet::new(), in_flight: FuturesUnordered::new() }
    }

    pub(super) fn push(&mut self, position: usize) {
        self.waiting.insert(position);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty() && self.in_flight.is_empty()
    }

    /// Sends what waits, in batches, as far as there is room.
    pub(super) fn flush(&mut self, batch: &Batch<'_>, clock: &Clock) {
        let Some(queue) = self.queue else { return };
        while !self.waiting.is_empty() && self.in_flight.len() < MAX_IN_FLIGHT {
            let positions: Vec<usize> = std::iter::from_fn(|| self.waiting.pop_first()).take(MAX_BATCH).collect();
            let letters: Vec<DeadLetter> =
                positions.iter().map(|position| batch.dead_letter(*position, &self.invocation, clock)).collect();
            self.in_flight.push(Box::pin(send(queue, positions, letters)));
        }
    }

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
    (positions, begun.elapsed(), results)
}
