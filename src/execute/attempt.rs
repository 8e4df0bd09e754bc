//! One attempt at one record.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::sync::SemaphorePermit;
use tokio::time::Instant;

use super::call::{Ended, HandlerCall};
use super::disposition::AttemptFailure;
use super::settings::Settings;
use crate::handler::{ErasedHandler, HandlerError};
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

/// An attempt at a record. Dropping it cancels the handler.
pub(super) struct AttemptFuture<'a> {
    position: usize,
    call: HandlerCall<'a, Result<(), HandlerError>>,
    settings: &'a Settings,
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
        let Start { position, at } = start;
        let scope = RecordScope::new(&record);
        match HandlerCall::begin(|| handler.attempt(record), at, settings.handler_timeout, permit, scope) {
            Ok(call) => Begun::Running(Self { position, call, settings }),
            Err(failure) => Begun::Ended(AttemptOutcome { position, begun: at, result: Err(failure) }),
        }
    }

    pub(super) fn start(&self) -> Start {
        Start { position: self.position, at: self.call.begun() }
    }
}

impl Future for AttemptFuture<'_> {
    type Output = AttemptOutcome;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<AttemptOutcome> {
        let Self { position, call, settings } = &mut *self;
        let result = ready!(call.poll(context, |ended| match ended {
            Ended::Answered(Ok(())) => Ok(()),
            Ended::Answered(Err(error)) | Ended::AnsweredAndPanicked(Err(error), _) => {
                Err(AttemptFailure::of(error, settings.permanent_if.as_ref()))
            }
            Ended::AnsweredAndPanicked(Ok(()), failure) | Ended::Failed(failure) => Err(failure),
        }));
        Poll::Ready(AttemptOutcome { position: *position, begun: call.begun(), result })
    }
}
