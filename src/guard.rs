//! Keeps a panic of the user's code inside the record or the dead letter that it is about. Everything of the user's runs here, and
//! is dropped here: handlers and their errors, filters, dead-letter queues and theirs.

use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use futures::FutureExt;

use crate::failure::{Failure, panic_words};

/// Runs the user's code; a panic becomes a failure.
///
/// What the code owns is dropped while the panic unwinds, and a second panic then would end the process: let it borrow.
pub(crate) fn guard<T>(what: &str, run: impl FnOnce() -> T) -> Result<T, Failure> {
    // A panic may leave state half-changed, but it is the user's own, as it is after a task that panics.
    catch_unwind(AssertUnwindSafe(run)).map_err(|payload| {
        let failure = Failure::panicked(what, panic_words(&*payload));
        // What a panic carries may itself panic when it is dropped. What that second panic carries is leaked.
        if let Err(payload) = catch_unwind(AssertUnwindSafe(|| drop(payload))) {
            std::mem::forget(payload);
        }
        failure
    })
}

/// Drops a user's value at a point where a panic no longer changes anything.
pub(crate) fn drop_guarded<T>(value: T) {
    let _ = guard("value", || drop(value));
}

/// A future of the user's that is polled and dropped under the guard. It resolves to the failure if it panics.
pub(crate) struct Guarded<F> {
    what: &'static str,
    /// `None` once it has ended.
    future: Option<F>,
}

impl<F> Guarded<F> {
    pub(crate) fn new(what: &'static str, future: F) -> Self {
        Self { what, future: Some(future) }
    }
}

impl<F: Future + Unpin> Future for Guarded<F> {
    type Output = Result<F::Output, Failure>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let what = self.what;
        let Some(future) = &mut self.future else { return Poll::Pending };
        let result = match guard(what, || future.poll_unpin(context)) {
            Ok(polled) => Ok(ready!(polled)),
            Err(panic) => Err(panic),
        };
        drop_guarded(self.future.take());
        Poll::Ready(result)
    }
}

impl<F> Drop for Guarded<F> {
    fn drop(&mut self) {
        drop_guarded(self.future.take());
    }
}
