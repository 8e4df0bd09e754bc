//! One call of the user's handler: it holds its permit until it ends, has a timeout, and turns a panic into a failure.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use futures::FutureExt;
use tokio::sync::SemaphorePermit;
use tokio::time::Instant;

use super::clock::{WaitUntil, wait_until};
use super::disposition::AttemptFailure;
use crate::failure::Failure;
use crate::guard::guard;
use crate::observe::log::RecordScope;

/// A handler's future.
type Answering<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// The future of a handler, guarded. Dropping it cancels the handler and frees its permit.
pub(super) struct HandlerCall<'a, T> {
    begun: Instant,
    /// How long it may take.
    limit: Option<Duration>,
    /// `None` once it has ended.
    running: Option<Running<'a, T>>,
    /// The end of the handler's time. Made when the handler first has to wait, because most never do.
    timeout: Option<WaitUntil>,
    /// Surrounds all that the handler does.
    scope: RecordScope,
}

struct Running<'a, T> {
    handler: Answering<'a, T>,
    _permit: SemaphorePermit<'a>,
}

/// How a call ended.
pub(super) enum Ended<T> {
    Answered(T),
    /// The handler answered, and its future panicked when it was dropped.
    AnsweredAndPanicked(T, AttemptFailure),
    /// The handler panicked, or its time was over.
    Failed(AttemptFailure),
}

impl<'a, T> HandlerCall<'a, T> {
    /// Calls the handler, whose future is to be polled at once. An error is what the handler refused or a panic.
    pub(super) fn begin<E>(
        call: impl FnOnce() -> Result<Answering<'a, T>, E>,
        begun: Instant,
        limit: Option<Duration>,
        permit: SemaphorePermit<'a>,
        mut scope: RecordScope,
    ) -> Result<Self, AttemptFailure>
    where
        AttemptFailure: From<E>,
    {
        match scope.in_scope(|| guard("handler", call)) {
            Ok(Ok(handler)) => {
                let running = Some(Running { handler, _permit: permit });
                Ok(Self { begun, limit, running, timeout: None, scope })
            }
            Ok(Err(error)) => Err(AttemptFailure::from(error)),
            Err(panic) => Err(AttemptFailure::permanent(panic)),
        }
    }

    pub(super) fn begun(&self) -> Instant {
        self.begun
    }

    /// Ready once it has ended, with what `read`, which is called in the scope of the handler, makes of that; never ready again after that.
    ///
    /// An [`Ended`] is several times as large as what a plain handler's attempt keeps of it: to return it would take 35 instructions
    /// of a record more (`make instructions`).
    pub(super) fn poll<R>(&mut self, context: &mut Context<'_>, read: impl FnOnce(Ended<T>) -> R) -> Poll<R> {
        let Self { running, scope, .. } = self;
        let Some(Running { handler, .. }) = running else { return Poll::Pending };
        let answer = match scope.in_scope(|| guard("handler", || handler.as_mut().poll(context))) {
            Ok(Poll::Ready(answer)) => answer,
            Ok(Poll::Pending) => {
                let timed_out = ready!(self.poll_timeout(context));
                return Poll::Ready(read(self.fail(timed_out)));
            }
            Err(panic) => return Poll::Ready(read(self.fail(AttemptFailure::permanent(panic)))),
        };
        let Some(running) = self.running.take() else { return Poll::Pending };
        Poll::Ready(self.scope.in_scope(|| match guard("handler", || drop(running)) {
            Ok(()) => read(Ended::Answered(answer)),
            Err(panic) => read(Ended::AnsweredAndPanicked(answer, AttemptFailure::permanent(panic))),
        }))
    }

    /// Drops the handler's future after a failure, which says more than a panic while it is dropped.
    #[cold]
    fn fail(&mut self, failure: AttemptFailure) -> Ended<T> {
        if let Some(running) = self.running.take() {
            let _ = drop_guarded(running, &mut self.scope);
        }
        Ended::Failed(failure)
    }

    /// Ready once the handler's time is over.
    fn poll_timeout(&mut self, context: &mut Context<'_>) -> Poll<AttemptFailure> {
        let Some(limit) = self.limit else { return Poll::Pending };
        let Some(end) = self.begun.checked_add(limit) else { return Poll::Pending };
        let timeout = self.timeout.get_or_insert_with(|| wait_until(Some(end)));
        timeout.poll_unpin(context).map(|()| AttemptFailure::timed_out(limit))
    }
}

impl<T> Drop for HandlerCall<'_, T> {
    fn drop(&mut self) {
        if let Some(running) = self.running.take() {
            // A panic while a handler is cancelled changes nothing: its record is reported.
            let _ = drop_guarded(running, &mut self.scope);
        }
    }
}

/// Drops the handler's future, which may panic as well, and frees the permit.
fn drop_guarded<T>(running: Running<'_, T>, scope: &mut RecordScope) -> Result<(), Failure> {
    scope.in_scope(|| guard("handler", || drop(running)))
}
