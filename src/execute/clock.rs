//! The batch's clock, the one place in the executor that reads the time. It is read when the batch is woken, and after every piece
//! of the user's code that has run; everything else asks it what it read last.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{Duration, SystemTime};

use tokio::time::{Instant, Sleep, sleep_until};

use super::deadline::Deadlines;
use crate::clock::time_of_day;
use crate::invocation::Deadline;

/// The time, and the moments of the batch that depend on it.
#[derive(Debug)]
pub(super) struct Clock {
    /// The wall-clock time at which the batch began, and tokio's time at that moment.
    began_at: SystemTime,
    began: Instant,
    now: Instant,
    deadlines: Deadlines,
}

impl Clock {
    pub(super) fn start(deadline: Deadline, margin: Option<Duration>) -> Self {
        let now = Instant::now();
        Self { began_at: time_of_day(), began: now, now, deadlines: Deadlines::new(deadline, margin, now) }
    }

    /// Reads the time.
    pub(super) fn read(&mut self) {
        self.now = Instant::now();
    }

    /// The time when it was last read.
    pub(super) fn now(&self) -> Instant {
        self.now
    }

    /// How long ago this was.
    pub(super) fn since(&self, instant: Instant) -> Duration {
        self.now.duration_since(instant)
    }

    /// Whether the margin that was set would leave no time, and is not used.
    pub(super) fn is_margin_too_long(&self) -> bool {
        self.deadlines.is_margin_too_long()
    }

    pub(super) fn is_stop_reached(&self) -> bool {
        self.deadlines.is_stop_reached(self.now)
    }

    /// How long until the stop; `None` where there is no deadline.
    pub(super) fn time_left(&self) -> Option<Duration> {
        self.deadlines.time_left(self.now)
    }

    /// The next moment at which something ends: the stop, and after it the sending. `None` where there is no deadline.
    pub(super) fn next_end(&self, stopped: bool) -> Option<Instant> {
        self.deadlines.next(stopped)
    }

    /// Whether that moment has come.
    pub(super) fn is_end_reached(&self, stopped: bool) -> bool {
        self.next_end(stopped).is_some_and(|end| self.now >= end)
    }

    /// The wall-clock time at which the batch began.
    pub(super) fn batch_began_at(&self) -> SystemTime {
        self.began_at
    }

    /// The wall-clock time at this moment of the batch.
    pub(super) fn time_of_day(&self, instant: Instant) -> SystemTime {
        self.began_at.checked_add(instant.duration_since(self.began)).unwrap_or(self.began_at)
    }
}

/// How long a batch, or the futures in flight, may keep the thread before others get their turn: far less than the margin
/// before the deadline, and far more than what usually happens between two waits.
const TURN: Duration = Duration::from_millis(10);
/// How many records may be read or started, and other things happen, before others get their turn.
const TURN_STEPS: usize = 128;

/// A time of work during which nothing else on the batch's thread runs.
#[derive(Debug, Clone, Copy)]
pub(super) struct Turn {
    ends: Instant,
    steps_left: usize,
}

impl Turn {
    pub(super) fn begin_at(now: Instant) -> Self {
        Self { ends: now + TURN, steps_left: TURN_STEPS }
    }

    /// Begins a turn now.
    pub(super) fn begin() -> Self {
        Self::begin_at(Instant::now())
    }

    /// Counts a step.
    pub(super) fn step(&mut self) {
        self.steps_left = self.steps_left.saturating_sub(1);
    }

    pub(super) fn is_over_at(&self, now: Instant) -> bool {
        self.steps_left == 0 || self.is_late_at(now)
    }

    /// Whether its time is over, however many steps are left.
    pub(super) fn is_late_at(&self, now: Instant) -> bool {
        now >= self.ends
    }

    /// Reads the time; returns whether it is the turn of others.
    pub(super) fn is_over(&self) -> bool {
        self.is_over_at(Instant::now())
    }
}

/// Ready once a moment has come. It may be polled again after that.
///
/// A timer alone would be late: it fires only once the runtime has had its turn, and if its task has not used up its budget.
pub(super) struct WaitUntil(Option<Pin<Box<Sleep>>>);

/// Waits until this moment; without one, never ends.
pub(super) fn wait_until(moment: Option<Instant>) -> WaitUntil {
    WaitUntil(moment.map(|moment| Box::pin(sleep_until(moment))))
}

impl WaitUntil {
    /// The moment.
    pub(super) fn moment(&self) -> Option<Instant> {
        self.0.as_ref().map(|timer| timer.deadline())
    }
}

impl Future for WaitUntil {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        match &mut self.0 {
            Some(timer) if Instant::now() < timer.deadline() => timer.as_mut().poll(context),
            Some(_) => Poll::Ready(()),
            None => Poll::Pending,
        }
    }
}
