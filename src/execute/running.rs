use std::collections::VecDeque;
use std::future::{Future, poll_fn};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Wake, Waker};

use futures::FutureExt;
use futures::task::AtomicWaker;

/// Futures that run beside one another, each in a place whose waker is made once and used again.
///
/// A future is polled as soon as it is started: one that is ready at once is never kept, and in the same moment nothing
/// comes between its start and its first poll.
pub(super) struct Running<F> {
    places: Vec<Place<F>>,
    /// Places without a future.
    free: Vec<usize>,
    woken: Arc<Woken>,
    /// Whether a future that has just been started has woken itself: it wants others to have their turn first.
    yields: bool,
}

struct Place<F> {
    future: Option<F>,
    waker: Waker,
    signal: Arc<Signal>,
}

/// The places that were woken, in their order, and who is to poll them.
#[derive(Default)]
struct Woken {
    places: Mutex<VecDeque<usize>>,
    waker: AtomicWaker,
}

/// What a future wakes: its place. One that is late wakes the next future of the place, which is polled in vain.
struct Signal {
    place: usize,
    /// Whether the place is among the woken ones.
    given: AtomicBool,
    woken: Arc<Woken>,
}

impl<F: Future + Unpin> Running<F> {
    pub(super) fn new() -> Self {
        Self { places: Vec::new(), free: Vec::new(), woken: Arc::default(), yields: false }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.free.len() == self.places.len()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &F> {
        self.places.iter().filter_map(|place| place.future.as_ref())
    }

    /// Polls a future for the first time, and keeps it if it is not ready.
    pub(super) fn start(&mut self, mut future: F) -> Option<F::Output> {
        let place = self.free.last().copied().unwrap_or_else(|| self.add_place());
        match future.poll_unpin(&mut Context::from_waker(&self.places[place].waker)) {
            Poll::Ready(output) => Some(output),
            Poll::Pending => {
                self.free.pop();
                self.places[place].future = Some(future);
                self.yields |= self.places[place].signal.given.load(Ordering::Acquire);
                None
            }
        }
    }

    /// Waits for the next one that is ready; `None` if nothing runs.
    pub(super) async fn next(&mut self) -> Option<F::Output> {
        poll_fn(|context| self.poll_next(context)).await
    }

    fn poll_next(&mut self, context: &mut Context<'_>) -> Poll<Option<F::Output>> {
        if self.is_empty() {
            return Poll::Ready(None);
        }
        self.woken.waker.register(context.waker());
        if std::mem::take(&mut self.yields) {
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        // What wakes itself while it is polled waits for the next turn, so that the others have theirs.
        let turns = self.woken.places().len();
        for _ in 0..turns {
            // The lock is let go before the future is polled, which may wake others.
            let Some(place) = self.woken.places().pop_front() else { break };
            let Place { future, waker, signal } = &mut self.places[place];
            signal.given.store(false, Ordering::Release);
            let Some(running) = future else { continue };
            if let Poll::Ready(output) = running.poll_unpin(&mut Context::from_waker(waker)) {
                *future = None;
                self.free.push(place);
                return Poll::Ready(Some(output));
            }
        }
        if !self.woken.places().is_empty() {
            context.waker().wake_by_ref();
        }
        Poll::Pending
    }

    /// Drops all that runs.
    pub(super) fn clear(&mut self) {
        for (number, place) in self.places.iter_mut().enumerate() {
            if place.future.take().is_some() {
                self.free.push(number);
            }
        }
    }

    fn add_place(&mut self) -> usize {
        let place = self.places.len();
        let signal = Arc::new(Signal { place, given: AtomicBool::new(false), woken: Arc::clone(&self.woken) });
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
        if !self.given.swap(true, Ordering::AcqRel) {
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
    use tokio::time::sleep;

    use super::*;

    fn boxed(future: impl Future<Output = u32> + Send + 'static) -> BoxFuture<'static, u32> {
        Box::pin(future)
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_ready_at_once_is_not_kept_and_the_rest_ends_in_its_time() {
        let mut running = Running::new();
        assert_eq!(running.start(boxed(async { 1 })), Some(1));
        assert!(running.is_empty() && running.next().await.is_none());
        for number in [30, 10, 20] {
            let future = async move {
                sleep(Duration::from_millis(number)).await;
                number as u32
            };
            assert_eq!(running.start(boxed(future)), None);
        }
        assert_eq!((running.next().await, running.next().await), (Some(10), Some(20)));
        assert_eq!(running.start(boxed(async { 2 })), Some(2), "in a place that was used before");
        assert_eq!((running.next().await, running.next().await), (Some(30), None));
        assert_eq!(running.places.len(), 3);
    }

    #[tokio::test]
    async fn one_that_wakes_itself_for_ever_leaves_the_others_their_turn() {
        let mut running = Running::new();
        let restless = poll_fn(|context| {
            context.waker().wake_by_ref();
            Poll::Pending
        });
        assert_eq!(running.start(boxed(restless)), None);
        let mut polls = 0;
        let third_time = poll_fn(move |context| {
            polls += 1;
            context.waker().wake_by_ref();
            if polls == 3 { Poll::Ready(3) } else { Poll::Pending }
        });
        assert_eq!(running.start(boxed(third_time)), None);
        assert_eq!(running.next().await, Some(3));
        let polled_once = running.next().now_or_never();
        assert_eq!(polled_once, None, "a poll comes back, however often a future wakes itself");
    }

    #[test]
    fn only_what_was_woken_is_polled_and_a_late_waker_does_no_harm() {
        let polls = Arc::new(Mutex::new(Vec::new()));
        let wakers = Arc::new(Mutex::new(Vec::new()));
        let mut running = Running::new();
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
            assert_eq!(running.start(boxed(future)), None);
        }
        let next = |running: &mut Running<_>| running.poll_next(&mut Context::from_waker(noop_waker_ref()));
        assert_eq!(next(&mut running), Poll::Pending);
        let wakers: Vec<Waker> = wakers.lock().expect("no panic").clone();
        wakers[2].wake_by_ref();
        wakers[2].wake_by_ref();
        wakers[1].wake_by_ref();
        assert_eq!(next(&mut running), Poll::Ready(Some(2)));
        assert_eq!(next(&mut running), Poll::Ready(Some(1)));
        wakers[1].wake_by_ref();
        assert_eq!(next(&mut running), Poll::Pending);
        assert_eq!(*polls.lock().expect("no panic"), [0, 1, 2, 2, 1]);
        running.clear();
        assert_eq!(next(&mut running), Poll::Ready(None));
    }
}
