//! The time of day that follows tokio's clock.

use std::time::SystemTime;

use tokio::time::Instant;

/// The time of day that follows tokio's clock, so that a test which pauses the one has both.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Clock {
    time_of_day: SystemTime,
    instant: Instant,
}

/// The time of day by tokio's clock: where a test has paused and advanced it, as much later.
pub(crate) fn time_of_day() -> SystemTime {
    let (real, by_tokio, by_std) = (SystemTime::now(), Instant::now().into_std(), std::time::Instant::now());
    let shifted = match by_tokio.checked_duration_since(by_std) {
        Some(ahead) => real.checked_add(ahead),
        None => real.checked_sub(by_std.duration_since(by_tokio)),
    };
    shifted.unwrap_or(real)
}

impl Clock {
    pub(crate) fn start() -> Self {
        Self { time_of_day: time_of_day(), instant: Instant::now() }
    }

    pub(crate) fn start_time(&self) -> SystemTime {
        self.time_of_day
    }

    pub(crate) fn now(&self) -> SystemTime {
        self.at(Instant::now())
    }

    pub(crate) fn at(&self, instant: Instant) -> SystemTime {
        self.time_of_day.checked_add(instant.duration_since(self.instant)).unwrap_or(self.time_of_day)
    }
}
