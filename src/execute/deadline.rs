use std::time::Duration;

use tokio::time::{Instant, sleep_until};

use crate::invocation::Deadline;

const MIN_MARGIN: Duration = Duration::from_millis(250);
const MAX_MARGIN: Duration = Duration::from_secs(10);

/// When to stop, so that the answer still gets out.
#[derive(Debug, Clone, Copy)]
pub(super) struct Deadlines {
    moments: Option<Moments>,
}

#[derive(Debug, Clone, Copy)]
struct Moments {
    /// From here on nothing starts, and handlers that run are dropped.
    stop: Instant,
    /// Until here dead letters that are under way may still be accepted.
    last_send: Instant,
}

impl Deadlines {
    pub(super) fn new(deadline: Deadline, margin: Option<Duration>) -> Self {
        let moments = deadline.instant().map(|deadline| {
            let now = Instant::now();
            let left = deadline.duration_since(now);
            let margin = margin.unwrap_or_else(|| (left / 10).clamp(MIN_MARGIN, MAX_MARGIN)).min(left);
            Moments { stop: now + (left - margin), last_send: now + (left - margin / 4) }
        });
        Self { moments }
    }

    pub(super) fn is_stop_reached(&self) -> bool {
        self.moments.is_some_and(|moments| Instant::now() >= moments.stop)
    }

    /// Whether an attempt after that delay would still begin before the stop.
    pub(super) fn leaves_time_for(&self, delay: Duration) -> bool {
        let Some(moments) = self.moments else { return true };
        Instant::now().checked_add(delay).is_some_and(|then| then < moments.stop)
    }

    /// Waits for the stop, and after it for the end of sending; for ever where there is no deadline.
    pub(super) async fn next(&self, stopped: bool) {
        match self.moments {
            Some(Moments { stop, last_send }) => sleep_until(if stopped { last_send } else { stop }).await,
            None => std::future::pending().await,
        }
    }
}
