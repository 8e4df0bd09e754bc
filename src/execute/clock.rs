use std::time::SystemTime;

use tokio::time::Instant;

/// The time of day that follows tokio's clock, so that a test which pauses the one has both.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Clock {
    time_of_day: SystemTime,
    instant: Instant,
}

impl Clock {
    pub(crate) fn start() -> Self {
        Self { time_of_day: SystemTime::now(), instant: Instant::now() }
    }

    pub(crate) fn now(&self) -> SystemTime {
        self.time_of_day.checked_add(self.instant.elapsed()).unwrap_or(self.time_of_day)
    }
}
