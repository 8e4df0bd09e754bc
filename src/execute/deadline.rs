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

    pub(super) fn is_stop_reached(&self, now: Instant) -> bool {
        self.moments.is_some_and(|moments| now >= moments.stop)
    }

    /// Whether an attempt after that delay would still begin before the stop.
    pub(super) fn leaves_time_for(&self, delay: Duration) -> bool {
        let Some(moments) = self.moments else { return true };
        Instant::now().checked_add(delay).is_some_and(|then| then < moments.stop)
    }

    /// The stop, and after it the end of sending; `None` where there is no deadline.
    pub(super) fn next(&self, stopped: bool) -> Option<Instant> {
        self.moments.map(|moments| if stopped { moments.last_send } else { moments.stop })
    }
}

/// Waits until then; for ever where there is no such moment.
pub(super) async fn wait_until(moment: Option<Instant>) {
    match moment {
        Some(moment) => sleep_until(moment).await,
        None => std::future::pending().await,
    }
}
