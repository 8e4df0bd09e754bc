//! How often a call of SQS is repeated, and after which delay.

use std::time::Duration;

use super::send_error::SendError;

/// The maximum number of attempts, including the first.
const MAX_ATTEMPTS: u32 = 4;
/// The maximum delay before the second attempt; it doubles with each further attempt.
const BASE_DELAY: Duration = Duration::from_millis(100);

/// Whether to try again after this attempt has failed.
pub(super) fn may_help(error: &SendError, attempt: u32) -> bool {
    error.is_transient() && attempt < MAX_ATTEMPTS
}

/// Waits before the next attempt: exponential backoff with full jitter.
pub(super) async fn backoff(attempt: u32) {
    let most = BASE_DELAY * 2_u32.pow(attempt - 1);
    tokio::time::sleep(most.mul_f64(fastrand::f64())).await;
}

/// Calls until the call succeeds or no further attempt may help.
pub(super) async fn retrying<T, F>(mut call: impl FnMut() -> F) -> Result<T, SendError>
where
    F: Future<Output = Result<T, SendError>>,
{
    let mut attempt = 1;
    loop {
        match call().await {
            Err(error) if may_help(&error, attempt) => {
                backoff(attempt).await;
                attempt += 1;
            }
            result => return result,
        }
    }
}
