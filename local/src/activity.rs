//! Whether a mapping is idle: nothing came for a while, nothing is in flight, and every open shard was read once more.
//!
//! *Invariant*: a call that has not come back is not idleness, however long it takes: a read, a listing, an invocation. Nor
//! is an empty page of a closed shard, which has an end that is yet to come, or an open tumbling window.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};

/// What a run does at the moment, as far as it tells whether the run is idle.
#[derive(Debug)]
pub(crate) struct Activity {
    /// Buffered records and jobs in flight; see [`Pending`].
    pending: AtomicUsize,
    state: Mutex<State>,
    /// Something has changed that idleness may have waited for.
    changed: Notify,
}

#[derive(Debug)]
struct State {
    last_active: Instant,
    is_listing: bool,
    /// The shards that are being read.
    shards: HashMap<Arc<str>, ShardState>,
}

#[derive(Debug, Default)]
struct ShardState {
    /// When the read began whose page was empty, if the last one was.
    empty_read: Option<Instant>,
    is_closed: bool,
    has_open_window: bool,
}

impl Activity {
    pub(crate) fn new() -> Self {
        let state = State { last_active: Instant::now(), is_listing: false, shards: HashMap::new() };
        Self { pending: AtomicUsize::new(0), state: Mutex::new(state), changed: Notify::new() }
    }

    /// Waits until the run has been idle for that long.
    pub(crate) async fn idle(&self, limit: Duration) {
        loop {
            let due = self.state().last_active + limit;
            if due > Instant::now() {
                sleep_until(due).await;
            } else if self.is_idle(due) {
                return;
            } else {
                self.changed.notified().await;
            }
        }
    }

    fn is_idle(&self, due: Instant) -> bool {
        let state = self.state();
        let is_quiet = |shard: &ShardState| {
            !shard.is_closed && !shard.has_open_window && shard.empty_read.is_some_and(|began| began >= due)
        };
        self.pending.load(Ordering::Relaxed) == 0 && !state.is_listing && state.shards.values().all(is_quiet)
    }

    /// The run is not idle now.
    pub(crate) fn note_active(&self) {
        self.change(|state| state.last_active = Instant::now());
    }

    /// The shards are being listed until the guard is dropped.
    pub(crate) fn listing(&self) -> Listing<'_> {
        self.change(|state| state.is_listing = true);
        Listing { activity: self }
    }

    /// A shard's page was empty, of a read that began then.
    pub(crate) fn note_empty_read(&self, shard: &str, began: Instant) {
        self.change_shard(shard, |shard| shard.empty_read = Some(began));
    }

    pub(crate) fn note_window(&self, shard: &str, is_open: bool) {
        self.change_shard(shard, |shard| shard.has_open_window = is_open);
    }

    /// Notes which of the shards are closed: no empty page of theirs says anything.
    pub(crate) fn note_closed(&self, is_closed: impl Fn(&str) -> bool) {
        self.change(|state| {
            state.shards.iter_mut().for_each(|(id, shard)| shard.is_closed = shard.is_closed || is_closed(id));
        });
    }

    /// The shard is being read until the guard is dropped.
    pub(crate) fn reading(&self, shard: &Arc<str>) -> Reading<'_> {
        self.change(|state| {
            state.shards.insert(Arc::clone(shard), ShardState::default());
        });
        Reading { activity: self, shard: Arc::clone(shard) }
    }

    /// Nothing pending yet; [`Pending::add`] counts.
    pub(crate) fn pending(&self) -> Pending<'_> {
        Pending { activity: self, own: 0 }
    }

    fn change_shard(&self, shard: &str, change: impl FnOnce(&mut ShardState)) {
        self.change(|state| state.shards.get_mut(shard).map_or((), change));
    }

    fn change(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.state());
        self.changed.notify_one();
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A listing in flight.
#[derive(Debug)]
pub(crate) struct Listing<'a> {
    activity: &'a Activity,
}

impl Drop for Listing<'_> {
    fn drop(&mut self) {
        self.activity.change(|state| state.is_listing = false);
    }
}

/// A shard that is being read.
#[derive(Debug)]
pub(crate) struct Reading<'a> {
    activity: &'a Activity,
    shard: Arc<str>,
}

impl Drop for Reading<'_> {
    fn drop(&mut self) {
        self.activity.change(|state| {
            state.shards.remove(&self.shard);
        });
    }
}

/// A share of the mapping's pending work: while any is left, the mapping is not idle. Dropping it gives the rest back.
pub(crate) struct Pending<'a> {
    activity: &'a Activity,
    own: usize,
}

impl Pending<'_> {
    pub(crate) fn add(&mut self, count: usize) {
        self.own += count;
        self.activity.pending.fetch_add(count, Ordering::Relaxed);
    }

    pub(crate) fn remove(&mut self, count: usize) {
        self.own -= count;
        self.give_back(count);
    }

    fn give_back(&self, count: usize) {
        self.activity.pending.fetch_sub(count, Ordering::Relaxed);
        self.activity.changed.notify_one();
    }
}

impl Drop for Pending<'_> {
    fn drop(&mut self) {
        self.give_back(self.own);
    }
}
