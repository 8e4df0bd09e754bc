//! Wall-clock time that follows tokio's clock, so a test on a paused clock advances both.

use std::time::SystemTime;

use tokio::time::Instant;

/// The time of day by tokio's clock: as much later as a test has advanced it.
pub(crate) fn time_of_day() -> SystemTime {
    let (real, by_tokio, by_std) = (SystemTime::now(), Instant::now().into_std(), std::time::Instant::now());
    let shifted = match by_tokio.checked_duration_since(by_std) {
        Some(ahead) => real.checked_add(ahead),
        None => real.checked_sub(by_std.duration_since(by_tokio)),
    };
    shifted.unwrap_or(real)
}
