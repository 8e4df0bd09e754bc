//! Remembers for a short time that the queue cannot be reached, so this is found out once, and not once for each letter.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::send_error::SendError;

/// How long a failure is remembered. Then the next letter tries again.
pub(super) const REMEMBERED: Duration = Duration::from_secs(10);

/// The last failure to reach the queue.
#[derive(Default)]
pub(super) struct Outage(Mutex<Option<(Instant, SendError)>>);

impl Outage {
    /// The answer to a letter that need not be tried.
    pub(super) fn recent(&self) -> Option<SendError> {
        let outage = self.lock();
        let (since, cause) = outage.as_ref()?;
        (since.elapsed() < REMEMBERED).then(|| SendError::NotTried(Box::new(cause.clone())))
    }

    pub(super) fn begin(&self, cause: &SendError) {
        *self.lock() = Some((Instant::now(), cause.clone()));
    }

    pub(super) fn end(&self) {
        *self.lock() = None;
    }

    fn lock(&self) -> MutexGuard<'_, Option<(Instant, SendError)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
