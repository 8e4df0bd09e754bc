//! When a batch stops: a margin before Lambda's deadline, so its response still gets out. The margin is the builder's, or a
//! tenth of the time left where the builder's would leave no time at all.

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
    /// Whether the margin that was set is not below the time left, and so would leave none.
    is_margin_too_long: bool,
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
        let Some(left) = deadline.instant().map(|deadline| deadline.duration_since(now)) else {
            return Self { moments: None, is_margin_too_long: false };
        };
        let set = margin.filter(|margin| *margin < left);
        let margin_used = set.unwrap_or_else(|| (left / 10).clamp(MIN_MARGIN, MAX_MARGIN)).min(left);
        Self {
            moments: Some(Moments { stop: now + (left - margin_used), last_send: now + (left - margin_used / 4) }),
            // Of an invocation without any time, no margin leaves some.
            is_margin_too_long: margin.is_some() && set.is_none() && !left.is_zero(),
        }
    }

    pub(super) fn is_margin_too_long(&self) -> bool {
        self.is_margin_too_long
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_margin_is_too_long_if_it_is_not_below_the_time_left() {
        let now = Instant::now();
        let is_too_long = |left: u64, margin: Option<u64>| {
            let deadline = Deadline::at(now + Duration::from_secs(left));
            Deadlines::new(deadline, margin.map(Duration::from_secs), now).is_margin_too_long()
        };
        for (left, margin, expected) in [
            (30, Some(29), false),
            (30, Some(30), true),
            (30, Some(31), true),
            (30, None, false),
            (1, None, false),
            (0, Some(5), false),
        ] {
            assert_eq!(is_too_long(left, margin), expected, "{left} s left, a margin of {margin:?}");
        }
        assert!(!Deadlines::new(Deadline::none(), Some(Duration::from_secs(5)), now).is_margin_too_long());
    }
}
