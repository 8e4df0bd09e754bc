//! The futures in flight: attempts, and calls of the dead-letter queue. A future is polled once when it starts, and stored only if
//! it must wait; a stored one is polled only when it was woken.

use std::collections::VecDeque;
use std::future::Future;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Wake, Waker};

use futures::FutureExt;
use futures::task::AtomicWaker;

use super::clock::Turn;

/// Futures that run concurrently, each in a place whose waker is made once and reused.
///
/// A future is polled as soon as it starts, and kept only if it has to wait. `FuturesUnordered` allocates a task for every
/// future and polls it later: with it, a record whose handler does not wait takes 640 to 850 more instructions, 2.5 % of what
/// a decoded record takes (`make instructions`).
pub(super) struct InFlight<F> {
    places: Vec<Place<F>>,
    /// Places that hold no future.
    free: Vec<usize>,
    woken: Arc<Woken>,
    /// Whether a future that has just started has woken itself: it yields to the others.
    yields: bool,
}

struct Place<F> {
    future: Option<F>,
    waker: Waker,
    signal: Arc<Signal>,
}

/// The places that were woken, in that order, and the waker of the task that polls them.
#[derive(Default)]
struct Woken {
    places: Mutex<VecDeque<usize>>,
    waker: AtomicWaker,
}

/// Wakes a place. A waker that outlives its future wakes the next future of the place, which is then polled in vain.
struct Signal {
    place: usize,
    /// Whether the place is among the woken ones already.
    queued: AtomicBool,
    woken: Arc<Woken>,
}

impl<F: Future + Unpin> InFlight<F> {
    pub(super) fn new() -> Self {
        Self { places: Vec::new(), free: Vec::new(), woken: Arc::default(), yields: false }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub(super) fn len(&self) -> usize {
        self.places.len() - self.free.len()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &F> {
        self.places.iter().filter_map(|place| place.future.as_ref())
    }

    /// Polls a future for the first time; returns its output if it is ready, and keeps it if not.
    pub(super) fn start(&mut self, mut future: F) -> Option<F::Output> {
        let place = self.free.last().copied().unwrap_or_else(|| self.add_place());
        match future.poll_unpin(&mut Context::from_waker(&self.places[place].waker)) {
            Poll::Ready(output) => Some(output),
            Poll::Pending => {
                self.free.pop();
                self.places[place].future = Some(future);
                self.yields |= self.places[place].signal.queued.load(Ordering::Acquire);
                None
            }
        }
    }

    /// Ready with the output of the next future that is ready, or with `None` if none runs.
    pub(super) fn poll_next(&mut self, context: &mut Context<'_>) -> Poll<Option<F::Output>> {
        if self.is_empty() {
            return Poll::Ready(None);
        }
        self.woken.waker.register(context.waker());
        if std::mem::take(&mut self.yields) {
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        // A future that wakes itself while it is polled waits for the next call, so it does not starve the others.
        let woken = self.woken.places().len();
        if woken == 0 {
            return Poll::Pending;
        }
        let turn = Turn::begin();
        for _ in 0..woken {
            // The lock is released before the future is polled, which may wake others.
            let Some(place) = self.woken.places().pop_front() else { break };
            let Place { future, waker, signal } = &mut self.places[place];
            signal.queued.store(false, Ordering::Release);
            let Some(running) = future else { continue };
            if let Poll::Ready(output) = running.poll_unpin(&mut Context::from_waker(waker)) {
                *future = None;
                self.free.push(place);
                return Poll::Ready(Some(output));
            }
            // Futures that compute before they wait again must not keep the deadline from being seen.
            if turn.is_over() {
                break;
            }
        }
        if !self.woken.places().is_empty() {
            context.waker().wake_by_ref();
        }
        Poll::Pending
    }

    /// Drops all futures.
    pub(super) fn clear(&mut self) {
        for (number, place) in self.places.iter_mut().enumerate() {
            if place.future.take().is_some() {
                self.free.push(number);
            }
        }
    }

    fn add_place(&mut self) -> usize {
        let place = self.places.len();
        let signal = Arc::new(Signal { place, queued: AtomicBool::new(false), woken: Arc::clone(&self.woken) });
        self.places.push(Place { future: None, waker: Waker::from(Arc::clone(&signal)), signal });
        self.free.push(place);
        place
    }
}

impl Woken {
    fn places(&self) -> MutexGuard<'_, VecDeque<usize>> {
        // Nothing panics while the lock is held.
        self.places.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Wake for Signal {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if !self.queued.swap(true, Ordering::AcqRel) {
            self.woken.places().push_back(self.place);
            self.woken.waker.wake();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use futures::future::BoxFuture;
    use futures::task::noop_waker_ref;
    use tokio::time::{Instant, sleep};

    use std::future::poll_fn;

    use super::*;

    /// The output of the next future that is ready, or `None` if none runs.
    async fn next<F: Future + Unpin>(attempts: &mut InFlight<F>) -> Option<F::Output> {
        poll_fn(|context| attempts.poll_next(context)).await
    }

    fn boxed(future: impl Future<Output = u32> + Send + 'static) -> BoxFuture<'static, u32> {
        Box::pin(future)
    }

    #[tokio::test(start_paused = true)]
    async fn ready_futures_are_not_kept_and_others_end_in_time() {
        let mut attempts = InFlight::new();
        assert_eq!(attempts.start(boxed(async { 1 })), Some(1));
        assert!(attempts.is_empty() && next(&mut attempts).await.is_none());
        for number in [30, 10, 20] {
            let future = async move {
                sleep(Duration::from_millis(number)).await;
                number as u32
            };
            assert_eq!(attempts.start(boxed(future)), None);
        }
        assert_eq!((next(&mut attempts).await, next(&mut attempts).await), (Some(10), Some(20)));
        assert_eq!(attempts.start(boxed(async { 2 })), Some(2), "in a place that was used before");
        assert_eq!((next(&mut attempts).await, next(&mut attempts).await), (Some(30), None));
        assert_eq!(attempts.places.len(), 3);
    }

    #[tokio::test]
    async fn a_future_that_always_wakes_itself_does_not_starve_others() {
        let mut attempts = InFlight::new();
        let restless = poll_fn(|context| {
            context.waker().wake_by_ref();
            Poll::Pending
        });
        assert_eq!(attempts.start(boxed(restless)), None);
        let mut polls = 0;
        let third_time = poll_fn(move |context| {
            polls += 1;
            context.waker().wake_by_ref();
            if polls == 3 { Poll::Ready(3) } else { Poll::Pending }
        });
        assert_eq!(attempts.start(boxed(third_time)), None);
        assert_eq!(next(&mut attempts).await, Some(3));
        let polled_once = next(&mut attempts).now_or_never();
        assert_eq!(polled_once, None, "a poll returns, however often a future wakes itself");
    }

    /// One future that computes for this long when it is woken, and goes on waiting, and one that is then done. Both are woken.
    fn computing_and_done(duration: Duration) -> InFlight<BoxFuture<'static, u32>> {
        let mut attempts = InFlight::new();
        for number in [1, 2] {
            let mut has_begun = false;
            let future = poll_fn(move |context| {
                if !std::mem::replace(&mut has_begun, true) {
                    context.waker().wake_by_ref();
                    return Poll::Pending;
                }
                if number == 2 {
                    return Poll::Ready(number);
                }
                // Moves the paused clock at once; what it awaits after that is not waited for.
                let _ = tokio::time::advance(duration).now_or_never();
                Poll::Pending
            });
            assert_eq!(attempts.start(boxed(future)), None);
        }
        let yielded = attempts.poll_next(&mut Context::from_waker(noop_waker_ref()));
        assert!(yielded.is_pending(), "both have woken themselves as they started");
        attempts
    }

    #[tokio::test(start_paused = true)]
    async fn one_poll_goes_over_all_woken_futures_until_its_turn_is_over() {
        for (milliseconds, expected) in [(0, Poll::Ready(Some(2))), (9, Poll::Ready(Some(2))), (10, Poll::Pending)] {
            let mut attempts = computing_and_done(Duration::from_millis(milliseconds));
            let polled = attempts.poll_next(&mut Context::from_waker(noop_waker_ref()));
            assert_eq!(polled, expected, "{milliseconds} ms");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_future_that_is_left_for_the_next_turn_gets_it() {
        let mut attempts = computing_and_done(Duration::from_millis(10));
        // Once nothing is left to wake the task, the paused clock moves to the end of the timeout.
        let begun = Instant::now();
        let polled = tokio::time::timeout(Duration::from_secs(1), next(&mut attempts)).await;
        assert_eq!((polled, begun.elapsed()), (Ok(Some(2)), Duration::from_millis(10)));
    }

    #[test]
    fn only_woken_futures_are_polled() {
        let polls = Arc::new(Mutex::new(Vec::new()));
        let wakers = Arc::new(Mutex::new(Vec::new()));
        let mut attempts = InFlight::new();
        for number in 0..3 {
            let (polls, wakers) = (Arc::clone(&polls), Arc::clone(&wakers));
            let future = poll_fn(move |context| {
                let mut polls = polls.lock().expect("no panic");
                polls.push(number);
                wakers.lock().expect("no panic").push(context.waker().clone());
                if polls.iter().filter(|polled| **polled == number).count() == 2 {
                    Poll::Ready(number)
                } else {
                    Poll::Pending
                }
            });
            assert_eq!(attempts.start(boxed(future)), None);
        }
        let next = |attempts: &mut InFlight<_>| attempts.poll_next(&mut Context::from_waker(noop_waker_ref()));
        assert_eq!(next(&mut attempts), Poll::Pending);
        let wakers: Vec<Waker> = wakers.lock().expect("no panic").clone();
        wakers[2].wake_by_ref();
        wakers[2].wake_by_ref();
        wakers[1].wake_by_ref();
        assert_eq!(next(&mut attempts), Poll::Ready(Some(2)));
        assert_eq!(next(&mut attempts), Poll::Ready(Some(1)));
        wakers[1].wake_by_ref();
        assert_eq!(next(&mut attempts), Poll::Pending);
        assert_eq!(*polls.lock().expect("no panic"), [0, 1, 2, 2, 1]);
        attempts.clear();
        assert_eq!(next(&mut attempts), Poll::Ready(None));
    }
}
