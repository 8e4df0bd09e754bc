//! One attempt at one record: it holds its permit until it ends, has the handler's timeout, and turns a panic into a failure.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use futures::FutureExt;
use tokio::sync::SemaphorePermit;
use tokio::time::Instant;

use super::clock::{WaitUntil, wait_until};
use super::disposition::AttemptFailure;
use super::settings::Settings;
use crate::failure::Failure;
use crate::guard::guard;
use crate::handler::{Attempt, ErasedHandler};
use crate::observe::log::RecordScope;
use crate::record::Record;

/// How an attempt ended.
pub(super) struct AttemptOutcome {
    pub(super) position: usize,
    pub(super) begun: Instant,
    pub(super) result: Result<(), AttemptFailure>,
}

/// An attempt that has begun.
pub(super) enum Begun<'a> {
    /// The handler was called; its future is to be polled at once.
    Running(AttemptFuture<'a>),
    /// The record could not be decoded, or the handler panicked before it gave a future.
    Ended(AttemptOutcome),
}

/// The attempt whose record and time are these.
#[derive(Debug, Clone, Copy)]
pub(super) struct Start {
    pub(super) position: usize,
    pub(super) at: Instant,
}

/// The handler's future, guarded. Dropping it cancels the handler and frees its permit.
pub(super) struct AttemptFuture<'a> {
    start: Start,
    /// `None` once it has ended.
    running: Option<Running<'a>>,
    settings: &'a Settings,
    /// The end of the handler's time. Made when the handler first has to wait, because most never do.
    timeout: Option<WaitUntil>,
    /// Surrounds all that its handler does.
    scope: RecordScope,
}

struct Running<'a> {
    handler: Attempt<'a>,
    _permit: SemaphorePermit<'a>,
}

impl<'a> AttemptFuture<'a> {
    /// Decodes the record and calls its handler.
    pub(super) fn begin(
        handler: &'a dyn ErasedHandler,
        record: Record,
        start: Start,
        settings: &'a Settings,
        permit: SemaphorePermit<'a>,
    ) -> Begun<'a> {
        let mut scope = RecordScope::new(&record);
        let failure = match scope.in_scope(|| guard("handler", || handler.attempt(record))) {
            Ok(Ok(handler)) => {
                let running = Some(Running { handler, _permit: permit });
                return Begun::Running(Self { start, running, settings, timeout: None, scope });
            }
            Ok(Err(error)) => AttemptFailure::from(error),
            Err(panic) => AttemptFailure::permanent(panic),
        };
        Begun::Ended(AttemptOutcome { position: start.position, begun: start.at, result: Err(failure) })
    }

    pub(super) fn start(&self) -> Start {
        self.start
    }

    /// Ready once the handler's time is over.
    fn poll_timeout(&mut self, context: &mut Context<'_>) -> Poll<AttemptFailure> {
        let Some(limit) = self.settings.handler_timeout else { return Poll::Pending };
        let Some(end) = self.start.at.checked_add(limit) else { return Poll::Pending };
        let timeout = self.timeout.get_or_insert_with(|| wait_until(Some(end)));
        timeout.poll_unpin(context).map(|()| AttemptFailure::timed_out(limit))
    }
}

impl Future for AttemptFuture<'_> {
    type Output = AttemptOutcome;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<AttemptOutcome> {
        let Self { running, scope, settings, .. } = &mut *self;
        let Some(Running { handler, .. }) = running else { return Poll::Pending };
        let result = match scope.in_scope(|| guard("handler", || handler.as_mut().poll(context))) {
            Ok(Poll::Pending) => Err(ready!(self.poll_timeout(context))),
            Ok(Poll::Ready(Ok(()))) => Ok(()),
            Ok(Poll::Ready(Err(error))) => {
                Err(scope.in_scope(|| AttemptFailure::of(error, settings.permanent_if.as_ref())))
            }
            Err(panic) => Err(AttemptFailure::permanent(panic)),
        };
        let Some(running) = self.running.take() else { return Poll::Pending };
        let dropped = drop_guarded(running, &mut self.scope).map_err(AttemptFailure::permanent);
        Poll::Ready(AttemptOutcome { position: self.start.position, begun: self.start.at, result: result.and(dropped) })
    }
}

impl Drop for AttemptFuture<'_> {
    fn drop(&mut self) {
        if let Some(running) = self.running.take() {
            // A panic while a handler is cancelled changes nothing: its record is reported.
            let _ = drop_guarded(running, &mut self.scope);
        }
    }
}

/// Drops the handler's future, which may panic as well, and frees the permit.
fn drop_guarded(running: Running<'_>, scope: &mut RecordScope) -> Result<(), Failure> {
    scope.in_scope(|| guard("handler", || drop(running)))
}
