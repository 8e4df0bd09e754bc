//! A limit of capacity units a second, on tokio's clock.
//!
//! What a call costs is known when it has been answered. So a call may begin when nothing is owed, and its cost is owed from
//! then on. *Invariant*: over any time, no more is used than the limit allows for it, and once more what the calls in flight cost.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// A budget that fills by this many units a second, up to one second's.
#[derive(Debug)]
pub(crate) struct Rate {
    units_per_second: f64,
    /// When everything that was used will have been paid for.
    paid_at: Mutex<Instant>,
}

impl Rate {
    /// A limit; it must be positive.
    pub(crate) fn new(units_per_second: f64) -> Self {
        Self { units_per_second, paid_at: Mutex::new(Instant::now()) }
    }

    pub(crate) fn units_per_second(&self) -> f64 {
        self.units_per_second
    }

    /// Waits until nothing is owed.
    pub(crate) async fn ready(&self) {
        loop {
            // Others may have used more meanwhile.
            let until = *self.lock();
            if until <= Instant::now() {
                return;
            }
            tokio::time::sleep_until(until).await;
        }
    }

    /// Notes what a call has used.
    pub(crate) fn used(&self, units: f64) {
        // Some centuries, which a clock can still add.
        const MOST_SECONDS: f64 = 1e10;
        let seconds = (units.max(0.0) / self.units_per_second).min(MOST_SECONDS);
        let mut paid_at = self.lock();
        *paid_at = (*paid_at).max(Instant::now()) + Duration::from_secs_f64(seconds);
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Instant> {
        self.paid_at.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use futures::StreamExt;
    use futures::stream::FuturesUnordered;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn calls_one_after_the_other_keep_the_limit() {
        let (begun, rate) = (Instant::now(), Rate::new(10.0));
        for _ in 0..5 {
            rate.ready().await;
            rate.used(20.0);
        }
        rate.ready().await;
        assert_eq!(begun.elapsed().as_secs(), 10, "100 units at 10 a second");
    }

    #[tokio::test(start_paused = true)]
    async fn calls_at_the_same_time_share_the_limit() {
        let (begun, rate) = (Instant::now(), Rate::new(50.0));
        let segment = async || {
            for _ in 0..10 {
                rate.ready().await;
                tokio::time::sleep(Duration::from_millis(100)).await;
                rate.used(25.0);
            }
        };
        let mut segments: FuturesUnordered<_> = (0..4).map(|_| segment()).collect();
        while segments.next().await.is_some() {}
        rate.ready().await;
        let seconds = begun.elapsed().as_secs_f64();
        // While calls are in flight nothing is paid, so it may take a little longer.
        assert!((20.0..=22.0).contains(&seconds), "1000 units at 50 a second took {seconds} s");
    }

    #[tokio::test(start_paused = true)]
    async fn nothing_is_saved_up_while_nothing_is_used() {
        let rate = Rate::new(10.0);
        tokio::time::sleep(Duration::from_secs(3_600)).await;
        let begun = Instant::now();
        rate.used(30.0);
        rate.ready().await;
        assert_eq!(begun.elapsed().as_secs(), 3);
    }

    #[tokio::test(start_paused = true)]
    async fn an_absurd_cost_does_not_panic() {
        let rate = Rate::new(f64::MIN_POSITIVE);
        for units in [f64::MAX, f64::INFINITY, f64::NAN, -1.0] {
            rate.used(units);
        }
    }
}
