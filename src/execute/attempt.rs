use std::any::Any;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::sync::OwnedSemaphorePermit;
use tokio::time::Instant;
use tracing::Span;

use super::gate::Gate;
use crate::handler::{Attempt, AttemptError};
use crate::outcome::{ErrorKind, Failure};

/// Why an attempt failed, and what may come of another.
pub(super) struct AttemptFailed {
    pub(super) failure: Failure,
    pub(super) retryable: bool,
    /// The delay that the handler asked for.
    pub(super) delay: Option<Duration>,
}

/// What an attempt came to.
pub(super) enum Attempted {
    /// After so long.
    Ended(usize, Duration, Result<(), AttemptFailed>),
    /// The gate was closed before the handler was called.
    NotBegun(usize),
}

/// Since when an attempt runs, and the span around all that its handler does, which is disabled unless the log's level
/// asks for it.
pub(super) struct Watch {
    pub(super) since: Instant,
    pub(super) span: Span,
}

/// One attempt at one record: holds its permit, and turns a panic into a failure.
pub(super) struct GuardedAttempt<'a> {
    position: usize,
    attempt: Option<Attempt<'a>>,
    begun: bool,
    gate: &'a Gate,
    permit: Option<OwnedSemaphorePermit>,
    watch: Watch,
}

impl<'a> GuardedAttempt<'a> {
    pub(super) fn new(
        position: usize,
        attempt: Attempt<'a>,
        gate: &'a Gate,
        permit: OwnedSemaphorePermit,
        watch: Watch,
    ) -> Self {
        Self { position, attempt: Some(attempt), begun: false, gate, permit: Some(permit), watch }
    }

    /// How long it has run; `None` if its handler was not called yet.
    pub(super) fn duration(&self) -> Option<Duration> {
        self.begun.then(|| self.watch.since.elapsed())
    }

    /// Drops the handler's future, which may panic as well, and then gives its permit back.
    fn end(&mut self) -> Result<(), Failure> {
        let attempt = self.attempt.take();
        let dropped = self.watch.span.in_scope(|| guard("handler", || drop(attempt)));
        self.permit = None;
        dropped
    }
}

impl Future for GuardedAttempt<'_> {
    type Output = Attempted;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Attempted> {
        if !self.begun && !self.gate.lets_begin(self.position) {
            let _ = self.end();
            return Poll::Ready(Attempted::NotBegun(self.position));
        }
        self.begun = true;
        let this = &mut *self;
        let Some(attempt) = this.attempt.as_mut() else { return Poll::Pending };
        let polled = match this.watch.span.in_scope(|| guard("handler", || attempt.as_mut().poll(context))) {
            Ok(Poll::Pending) => return Poll::Pending,
            Ok(Poll::Ready(Ok(()))) => Ok(()),
            Ok(Poll::Ready(Err(error))) => Err(AttemptFailed::from(error)),
            Err(panic) => Err(AttemptFailed::permanent(panic)),
        };
        let ended = this.end().map_err(AttemptFailed::permanent);
        Poll::Ready(Attempted::Ended(this.position, this.watch.since.elapsed(), polled.and(ended)))
    }
}

impl Drop for GuardedAttempt<'_> {
    fn drop(&mut self) {
        // A panic while a handler is cancelled changes nothing: its record is reported.
        let _ = self.end();
    }
}

impl AttemptFailed {
    fn permanent(failure: Failure) -> Self {
        Self { failure, retryable: false, delay: None }
    }
}

impl From<AttemptError> for AttemptFailed {
    fn from(error: AttemptError) -> Self {
        match error {
            AttemptError::Decode(error) => Self::permanent(Failure::of(ErrorKind::Decode, &error)),
            AttemptError::Handler(error) => Self {
                failure: Failure::of(ErrorKind::Handler, error.source()),
                retryable: error.is_retryable(),
                delay: error.delay(),
            },
        }
    }
}

/// Runs the user's code; a panic becomes a failure.
pub(super) fn guard<T>(what: &str, run: impl FnOnce() -> T) -> Result<T, Failure> {
    // The state that a panic may leave half-changed is the user's own, as it is behind a task that panics.
    catch_unwind(AssertUnwindSafe(run)).map_err(|payload| {
        let message = match panic_message(&*payload) {
            Some(text) => format!("the {what} panicked: {text}"),
            None => format!("the {what} panicked"),
        };
        // The payload's own drop may panic once more; almost always it is a text, and nothing is lost.
        std::mem::forget(payload);
        Failure::new(ErrorKind::Panic, message)
    })
}

fn panic_message(payload: &(dyn Any + Send)) -> Option<&str> {
    payload.downcast_ref::<&str>().copied().or_else(|| payload.downcast_ref::<String>().map(String::as_str))
}
