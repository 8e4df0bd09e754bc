//! One call of a bulk handler.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::time::Instant;

use super::super::call::{Ended, HandlerCall};
use super::Member;
use crate::handler::bulk::Answer;

/// A call of a bulk handler. Dropping it cancels the handler.
pub(in super::super) struct BulkAttempt<'a> {
    pub(super) queue: usize,
    pub(super) members: Vec<Member>,
    /// The parts that run after it.
    pub(super) rest: Vec<Vec<Member>>,
    pub(super) call: HandlerCall<'a, Answer>,
}

/// How it ended.
pub(in super::super) struct BulkOutcome {
    pub(super) queue: usize,
    pub(super) members: Vec<Member>,
    pub(super) rest: Vec<Vec<Member>>,
    pub(super) begun: Instant,
    pub(super) ended: Ended<Answer>,
}

impl BulkAttempt<'_> {
    /// The position of its first record, and when it began.
    pub(in super::super) fn start(&self) -> (usize, Instant) {
        (self.members.first().map_or(0, |member| member.position), self.call.begun())
    }

    pub(in super::super) fn len(&self) -> usize {
        self.members.len()
    }
}

impl Future for BulkAttempt<'_> {
    type Output = BulkOutcome;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<BulkOutcome> {
        let ended = ready!(self.call.poll(context, |ended| ended));
        let Self { queue, members, rest, call } = &mut *self;
        let (members, rest) = (std::mem::take(members), std::mem::take(rest));
        Poll::Ready(BulkOutcome { queue: *queue, members, rest, begun: call.begun(), ended })
    }
}
