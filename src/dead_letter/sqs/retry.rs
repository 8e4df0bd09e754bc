//! How often a call of SQS is repeated, and after which delay.

use std::time::Duration;

use super::send_error::SendError;

/// The maximum number of attempts, including the first.
const MAX_ATTEMPTS: u32 = 4;
/// The maximum delay before the second attempt; it doubles with each further attempt.
const BASE_DELAY: Duration = Duration::from_millis(100);

/// The attempts of one call.
#[derive(Default)]
pub(super) struct Attempts {
    /// How many have failed.
    pub(super) failed: u32,
    /// Whether one has failed for its credentials. Those are renewed once.
    has_renewed: bool,
}

impl Attempts {
    /// Notes that an attempt has failed.
    pub(super) fn note(&mut self) {
        self.failed += 1;
    }

    /// Whether to try again after the last attempt has failed like this.
    pub(super) fn may_help(&self, error: &SendError) -> bool {
        let is_renewable = error.is_about_credentials() && !self.has_renewed;
        self.failed < MAX_ATTEMPTS && (error.is_transient() || is_renewable)
    }

    /// Waits before the next attempt: exponential backoff with full jitter.
    pub(super) async fn backoff(&mut self, is_renewed: bool) {
        self.has_renewed |= is_renewed;
        let most = BASE_DELAY * 2_u32.pow(self.failed.saturating_sub(1));
        tokio::time::sleep(most.mul_f64(fastrand::f64())).await;
    }
}
