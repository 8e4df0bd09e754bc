//! Wall-clock time that follows tokio's clock, so that tests on a paused clock can advance it.

use std::time::SystemTime;

use tokio::time::Instant;

/// A pair of wall-clock time and tokio's time that were taken together, from which later times follow.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Clock {
    started: SystemTime,
    instant: Instant,
}

/// The wall-clock time by tokio's clock: later than the system's by as much as a test has advanced it.
pub(crate) fn time_of_day() -> SystemTime {
    let system = SystemTime::now();
    let by_tokio = Instant::now().into_std();
    let by_std = std::time::Instant::now();
    let shifted = match by_tokio.checked_duration_since(by_std) {
        Some(ahead) => system.checked_add(ahead),
        None => system.checked_sub(by_std.duration_since(by_tokio)),
    };
    shifted.unwrap_or(system)
}

impl Clock {
    pub(crate) fn start() -> Self {
        Self { started: time_of_day(), instant: Instant::now() }
    }

    pub(crate) fn start_time(&self) -> SystemTime {
        self.started
    }

    pub(crate) fn now(&self) -> SystemTime {
        self.at(Instant::now())
    }

    pub(crate) fn at(&self, instant: Instant) -> SystemTime {
        self.started.checked_add(instant.duration_since(self.instant)).unwrap_or(self.started)
    }
}
