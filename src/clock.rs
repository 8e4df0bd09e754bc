//! Wall-clock time that follows tokio's clock, so tests on a paused clock can advance it.

use std::time::SystemTime;

use tokio::time::Instant;

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
