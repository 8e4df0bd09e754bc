//! When a batch stops: a margin before Lambda's deadline, so that its response still gets out. The margin is the builder's, or a
//! tenth of the time left.

use std::time::Duration;

use tokio::time::Instant;

use crate::invocation::Deadline;

/// The bounds of the default margin, which is a tenth of the time left at the start.
const MIN_MARGIN: Duration = Duration::from_millis(250);
const MAX_MARGIN: Duration = Duration::from_secs(10);

/// The stop of a batch, and the end of sending its dead letters.
#[derive(Debug, Clone, Copy)]
pub(super) struct Deadlines {
    moments: Option<Moments>,
}

#[derive(Debug, Clone, Copy)]
struct Moments {
    /// From here on no record starts, and handlers that run are dropped.
    stop: Instant,
    /// Until here, dead letters in flight may still be accepted.
    last_send: Instant,
}

impl Deadlines {
    pub(super) fn new(deadline: Deadline, margin: Option<Duration>, now: Instant) -> Self {
        let moments = deadline.instant().map(|deadline| {
            let left = deadline.duration_since(now);
            let margin = margin.unwrap_or_else(|| (left / 10).clamp(MIN_MARGIN, MAX_MARGIN)).min(left);
            Moments { stop: now + (left - margin), last_send: now + (left - margin / 4) }
        });
        Self { moments }
    }

    pub(super) fn is_stop_reached(&self, now: Instant) -> bool {
        self.moments.is_some_and(|moments| now >= moments.stop)
    }

    /// How long until the stop; `None` where there is no deadline.
    pub(super) fn time_left(&self, now: Instant) -> Option<Duration> {
        self.moments.map(|moments| moments.stop.duration_since(now))
    }

    /// The next moment at which something ends: the stop, and after it the sending. `None` where there is no deadline.
    pub(super) fn next(&self, stopped: bool) -> Option<Instant> {
        self.moments.map(|moments| if stopped { moments.last_send } else { moments.stop })
    }
}
