//! Raises the marks of items whose records are finished. What an item's records add up to is written once: when none of them runs or waits.

use std::collections::{HashMap, VecDeque};
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;
use tokio::time::{Instant, timeout};

use crate::clock::time_of_day;
use crate::execute::in_flight::InFlight;
use crate::guard::Guarded;
use crate::idempotency::{Idempotency, IdempotencyStoreError, Mark, StoreKey};

/// How many marks are raised at once.
const MAX_IN_FLIGHT: usize = 32;

/// The marks of a batch that are to be raised.
pub(in crate::execute) struct MarkMoves<'a> {
    idempotency: &'a Idempotency,
    life: Duration,
    items: HashMap<StoreKey, Item>,
    /// Items whose marks can be raised now.
    waiting: VecDeque<StoreKey>,
    calls: InFlight<Call<'a>>,
    /// Whether the store has failed to answer in time, so it is not asked again.
    has_failed: bool,
    /// Whether no item has a mark that waits for its open records.
    is_flushed: bool,
    /// How many records wait until the marks of their items have been raised.
    held: usize,
}

/// An item with records in the batch.
#[derive(Default)]
struct Item {
    /// Records that have entered their lanes and have no outcome.
    open: usize,
    /// To where its mark is to be raised.
    to: Option<Mark>,
    /// The position of the record that was settled last.
    position: usize,
    is_moving: bool,
    /// Whether its mark is no longer raised.
    is_blocked: bool,
    /// The records that wait until its mark has been raised.
    held: Vec<usize>,
}

/// A mark that has been raised, or not.
pub(in crate::execute) struct Moved {
    key: StoreKey,
    /// The position of a record of the item.
    pub(in crate::execute) position: usize,
    /// `None` if no call was made.
    pub(in crate::execute) took: Option<Duration>,
    is_late: bool,
    pub(in crate::execute) result: Result<(), IdempotencyStoreError>,
}

/// A call of the store.
struct Call<'a> {
    key: StoreKey,
    position: usize,
    began: Instant,
    /// `None` once the time is over.
    answer: Guarded<BoxFuture<'a, Option<Result<(), IdempotencyStoreError>>>>,
}

impl<'a> MarkMoves<'a> {
    pub(super) fn new(idempotency: &'a Idempotency, life: Duration) -> Self {
        Self {
            idempotency,
            life,
            items: HashMap::new(),
            waiting: VecDeque::new(),
            calls: InFlight::new(),
            has_failed: false,
            is_flushed: true,
            held: 0,
        }
    }

    pub(super) fn enter(&mut self, key: &StoreKey) {
        self.items.entry(key.clone()).or_default().open += 1;
    }

    /// Raises the mark of the item no more.
    pub(super) fn block(&mut self, key: &StoreKey) {
        self.items.entry(key.clone()).or_default().is_blocked = true;
    }

    pub(super) fn is_blocked(&self, key: &StoreKey) -> bool {
        self.items.get(key).is_some_and(|item| item.is_blocked)
    }

    /// Whether the mark of the item is being raised.
    pub(super) fn is_moving(&self, key: &StoreKey) -> bool {
        self.items.get(key).is_some_and(|item| item.is_moving)
    }

    /// Keeps a record until the mark of its item has been raised, if it is being raised.
    pub(super) fn hold(&mut self, key: &StoreKey, position: usize) -> bool {
        let Some(item) = self.items.get_mut(key).filter(|item| item.is_moving) else { return false };
        item.held.push(position);
        self.held += 1;
        true
    }

    /// Whether records wait until the marks of their items have been raised.
    pub(in crate::execute) fn holds_records(&self) -> bool {
        self.held > 0
    }

    /// A record of the item has its outcome, which raises the mark to this, if to anything.
    pub(super) fn settle(&mut self, key: &StoreKey, position: usize, to: Option<Mark>) {
        let Some(item) = self.items.get_mut(key) else { return };
        item.open = item.open.saturating_sub(1);
        item.position = position;
        self.is_flushed = false;
        if let Some(to) = to {
            item.to.get_or_insert_default().raise(&to);
        }
        if item.open == 0 && item.to.is_some() && !item.is_moving {
            self.waiting.push_back(key.clone());
        }
    }

    /// Whether marks are being raised, or wait for it.
    pub(in crate::execute) fn are_done(&self) -> bool {
        self.calls.is_empty() && self.waiting.is_empty()
    }

    /// Lets the marks of items be raised that still have open records. None of these starts.
    pub(in crate::execute) fn flush(&mut self) {
        if std::mem::replace(&mut self.is_flushed, true) {
            return;
        }
        let waits = |item: &Item| item.open > 0 && item.to.is_some() && !item.is_moving;
        let mut late: Vec<_> = self.items.iter_mut().filter(|(_, item)| waits(item)).collect();
        late.sort_unstable_by_key(|(_, item)| item.position);
        for (key, item) in late {
            item.open = 0;
            self.waiting.push_back(key.clone());
        }
    }

    /// Begins to raise marks that wait, as many as may be in flight. Returns one that was raised at once.
    pub(in crate::execute) fn start(&mut self) -> Option<Moved> {
        while self.calls.len() < MAX_IN_FLIGHT {
            let key = self.waiting.pop_front()?;
            let Some(item) = self.items.get_mut(&key) else { continue };
            // A record of the item may have come since.
            if item.open > 0 || item.is_moving {
                continue;
            }
            let Some(to) = item.to.take() else { continue };
            item.is_moving = true;
            if self.has_failed {
                let error = IdempotencyStoreError::new("the store has not answered in time before");
                return Some(Moved { key, position: item.position, took: None, is_late: false, result: Err(error) });
            }
            let Idempotency { store, budget, .. } = self.idempotency;
            let expires = time_of_day() + self.life;
            let raised = timeout(*budget, store.raise(key.clone(), to, expires));
            let answer =
                Guarded::new("idempotency store", Box::pin(async move { raised.await.ok() }) as BoxFuture<'a, _>);
            let call = Call { key, position: item.position, began: Instant::now(), answer };
            if let Some(moved) = self.calls.start(call) {
                return Some(moved);
            }
        }
        None
    }

    /// Ready with the next mark that was raised, or with `None` if none is being raised.
    pub(in crate::execute) fn poll_next(&mut self, context: &mut Context<'_>) -> Poll<Option<Moved>> {
        self.calls.poll_next(context)
    }

    /// Ends a move; returns the records that have waited for it.
    pub(in crate::execute) fn end(&mut self, moved: &Moved) -> Vec<usize> {
        let Some(item) = self.items.get_mut(&moved.key) else { return Vec::new() };
        item.is_moving = false;
        self.has_failed |= moved.is_late;
        self.held -= item.held.len();
        if item.open == 0 && item.to.is_some() {
            self.waiting.push_back(moved.key.clone());
        }
        // What was settled meanwhile may be all that is.
        self.is_flushed &= item.to.is_none();
        std::mem::take(&mut item.held)
    }

    /// Drops the calls in flight, and gives up what waits. Returns a position and a duration for each.
    pub(in crate::execute) fn give_up(&mut self) -> Vec<(usize, Option<Duration>)> {
        let in_flight = self.calls.iter().map(|call| (call.position, Some(call.began.elapsed())));
        let mut given_up: Vec<_> = in_flight.collect();
        for key in std::mem::take(&mut self.waiting) {
            given_up.extend(self.items.get(&key).map(|item| (item.position, None)));
        }
        self.calls.clear();
        given_up
    }
}

impl Future for Call<'_> {
    type Output = Moved;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Moved> {
        let answer = ready!(self.answer.poll_unpin(context));
        let is_late = matches!(answer, Ok(None));
        let result = match answer {
            Ok(Some(result)) => result,
            Ok(None) => Err(IdempotencyStoreError::new("the store did not answer in time")),
            Err(panic) => Err(IdempotencyStoreError::new(panic.to_string())),
        };
        let Self { key, position, began, .. } = &*self;
        Poll::Ready(Moved { key: key.clone(), position: *position, took: Some(began.elapsed()), is_late, result })
    }
}
