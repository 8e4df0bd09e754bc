use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Instant, Sleep, sleep_until};

use crate::decode::DecodeError;
use crate::execute::settings::{PermanentIf, Settings};
use crate::failure::{ErrorKind, Failure, panic_words};
use crate::handler::{Attempt, ErasedHandler, HandlerError};
use crate::observe::log::RecordSpan;
use crate::record::Record;

/// Why an attempt failed, and what may come of another.
pub(super) struct AttemptFailed {
    pub(super) failure: Failure,
    pub(super) retryable: bool,
    /// The delay that the handler asked for.
    pub(super) delay: Option<Duration>,
}

/// What an attempt came to.
pub(super) struct Attempted {
    pub(super) position: usize,
    pub(super) begun: Instant,
    pub(super) result: Result<(), AttemptFailed>,
    /// The attempt's permit, for whoever comes next.
    pub(super) permit: OwnedSemaphorePermit,
}

/// One attempt at one record: holds its permit, and turns a panic into a failure.
pub(super) struct GuardedAttempt<'a> {
    position: usize,
    begun: Instant,
    /// `None` once it has ended.
    running: Option<(Attempt<'a>, OwnedSemaphorePermit)>,
    settings: &'a Settings,
    /// The end of its time, from when it first had to wait.
    time_out: Option<Pin<Box<Sleep>>>,
    /// Around all that its handler does; disabled unless the log's level asks for it.
    span: RecordSpan,
}

impl<'a> GuardedAttempt<'a> {
    /// Decodes the record and calls its handler, whose future is to be polled at once; or says why that failed.
    pub(super) fn begin(
        handler: &'a dyn ErasedHandler,
        record: Record,
        (position, begun): (usize, Instant),
        settings: &'a Settings,
        permit: OwnedSemaphorePermit,
    ) -> Result<Self, Attempted> {
        let span = RecordSpan::new(&record);
        let failed = match span.in_scope(|| guard("handler", || handler.attempt(record))) {
            Ok(Ok(attempt)) => {
                let running = Some((attempt, permit));
                return Ok(Self { position, begun, running, settings, time_out: None, span });
            }
            Ok(Err(error)) => AttemptFailed::from(error),
            Err(panic) => AttemptFailed::permanent(panic),
        };
        Err(Attempted { position, begun, result: Err(failed), permit })
    }

    /// Of its record.
    pub(super) fn position(&self) -> usize {
        self.position
    }

    /// How long it has run.
    pub(super) fn duration(&self) -> Duration {
        self.begun.elapsed()
    }

    /// Says, once its time is over, that it was.
    fn poll_timeout(&mut self, context: &mut Context<'_>) -> Poll<AttemptFailed> {
        let Some(timeout) = self.settings.handler_timeout else { return Poll::Pending };
        let Some(end) = self.begun.checked_add(timeout) else { return Poll::Pending };
        let time_out = self.time_out.get_or_insert_with(|| Box::pin(sleep_until(end)));
        time_out.as_mut().poll(context).map(|()| AttemptFailed::timed_out(timeout))
    }
}

impl Future for GuardedAttempt<'_> {
    type Output = Attempted;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Attempted> {
        let Self { running, span, .. } = &mut *self;
        let Some((attempt, _)) = running else { return Poll::Pending };
        let polled = match span.in_scope(|| guard("handler", || attempt.as_mut().poll(context))) {
            Ok(Poll::Pending) => Err(ready!(self.poll_timeout(context))),
            Ok(Poll::Ready(Ok(()))) => Ok(()),
            Ok(Poll::Ready(Err(error))) => Err(AttemptFailed::of(error, self.settings.permanent_if.as_ref())),
            Err(panic) => Err(AttemptFailed::permanent(panic)),
        };
        let Some((attempt, permit)) = self.running.take() else { return Poll::Pending };
        let ended = drop_guarded(attempt, &self.span).map_err(AttemptFailed::permanent);
        Poll::Ready(Attempted { position: self.position, begun: self.begun, result: polled.and(ended), permit })
    }
}

impl Drop for GuardedAttempt<'_> {
    fn drop(&mut self) {
        if let Some((attempt, _permit)) = self.running.take() {
            // A panic while a handler is cancelled changes nothing: its record is reported.
            let _ = drop_guarded(attempt, &self.span);
        }
    }
}

/// Drops the handler's future, which may panic as well.
fn drop_guarded(attempt: Attempt<'_>, span: &RecordSpan) -> Result<(), Failure> {
    span.in_scope(|| guard("handler", || drop(attempt)))
}

impl AttemptFailed {
    fn permanent(failure: Failure) -> Self {
        Self { failure, retryable: false, delay: None }
    }

    /// Of an error that says of what class it is, or of one that is for the processor to class.
    fn of(error: HandlerError, permanent_if: Option<&PermanentIf>) -> Self {
        let failed = |is_permanent: bool| Self {
            failure: Failure::of(ErrorKind::Handler, error.source()),
            retryable: error.is_retryable() && !is_permanent,
            delay: error.delay(),
        };
        if !error.is_unclassified() {
            return failed(false);
        }
        if let Some(undecoded) = error.source().downcast_ref::<DecodeError>() {
            return Self::from(undecoded.clone());
        }
        let Some(is_permanent) = permanent_if else { return failed(false) };
        guard("`permanent_if`", || is_permanent(error.source())).map_or_else(Self::permanent, failed)
    }

    fn timed_out(timeout: Duration) -> Self {
        let failure =
            Failure::new(ErrorKind::Timeout, format!("the handler was not done after its timeout of {timeout:?}"));
        Self { failure, retryable: true, delay: None }
    }
}

impl From<DecodeError> for AttemptFailed {
    fn from(error: DecodeError) -> Self {
        Self::permanent(Failure::of(ErrorKind::Decode, &error))
    }
}

/// Runs the user's code; a panic becomes a failure.
pub(super) fn guard<T>(what: &str, run: impl FnOnce() -> T) -> Result<T, Failure> {
    // The state that a panic may leave half-changed is the user's own, as it is behind a task that panics.
    catch_unwind(AssertUnwindSafe(run)).map_err(|payload| {
        let failure = Failure::panicked(what, panic_words(&*payload));
        // The payload's own drop may panic once more; almost always it is a text, and nothing is lost.
        std::mem::forget(payload);
        failure
    })
}
