//! How the executor waits for the idempotency store: for what is done after the first record, for marks that are read ahead, and for marks
//! that are raised. Without a store, none of it costs more than a look at an empty field.

use std::task::{Context, Poll};

use futures::FutureExt;

use super::lanes::Arrival;
use super::marks::{MarkRead, Moved};
use super::recall::StoreCall;
use super::{Event, Execution};
use crate::failure::{ErrorKind, Failure};
use crate::idempotency::{CompletedRecords, IdempotencyStoreError};
use crate::outcome::Outcome;

impl<'a> Execution<'a> {
    /// Whether an unread record might start that waits for what the store says.
    pub(super) fn awaits_store(&self) -> bool {
        let is_asked =
            self.recall.is_some() || self.batch.marks.as_ref().is_some_and(|marks| marks.reader.is_reading());
        is_asked && self.batch.next_unread().is_some_and(|position| self.gate.admits(position))
    }

    /// Polls what the store was asked.
    #[inline]
    pub(super) fn poll_store(&mut self, context: &mut Context<'_>) -> Option<Event<'a>> {
        if let Some(Poll::Ready(call)) = self.recall.as_mut().map(|recall| recall.poll_unpin(context)) {
            return Some(Event::Recalled(call));
        }
        let marks = self.batch.marks.as_mut()?;
        if let Poll::Ready(read) = marks.reader.poll_read(context) {
            return Some(Event::MarksRead(read));
        }
        match marks.moves.poll_next(context) {
            Poll::Ready(Some(moved)) => Some(Event::MarkMoved(moved)),
            _ => None,
        }
    }

    /// Takes what is done after the batch's first record.
    pub(super) fn recalled(&mut self, call: StoreCall<Option<CompletedRecords>>) {
        self.recall = None;
        let StoreCall { result, took } = call;
        self.measured.note_store_call(0, took, result.as_ref().err());
        self.batch.end_recall(result.unwrap_or_default());
    }

    /// Begins to read the marks of the next records, if one of them might start. That may find that the payload is not an event.
    #[inline]
    pub(super) fn read_marks(&mut self) {
        if self.batch.marks.is_some() && self.batch.next_unread().is_some_and(|position| self.gate.admits(position)) {
            self.batch.read_marks(self.clock.now());
            if self.batch.is_refused() {
                self.abort();
            }
        }
    }

    /// Takes the marks of the next records.
    pub(super) fn marks_read(&mut self, read: MarkRead) {
        let position = self.batch.next_unread().unwrap_or_default();
        if let Some(took) = read.took {
            self.measured.note_store_call(position, took, read.failure.as_ref());
        }
        self.measured.note_unmarkable(position, read.unmarkable);
        self.batch.take_marks(read);
    }

    /// Lets through what need not wait for the mark of its item; what the mark says is done is skipped, and the next record of the lane comes
    /// instead.
    pub(super) fn pass_marks(&mut self, mut arrival: Arrival) -> Option<Arrival> {
        while let Arrival::Ready(position) = arrival {
            if self.batch.marks.as_mut().is_some_and(|marks| marks.hold(position)) {
                return None;
            }
            // From the stream, records of an item come in the order of their numbers; elsewhere a newer one may just have been applied.
            if self.batch.is_from_stream() {
                break;
            }
            let Some(reason) = self.batch.ask_mark(position, &self.clock) else { break };
            arrival = self.batch.settle(position, Outcome::Skipped(reason))?;
        }
        Some(arrival)
    }

    /// Raises the marks of items that are finished, until the turn is over.
    #[inline]
    pub(super) fn raise_marks(&mut self) {
        while let Some(marks) = &mut self.batch.marks
            && !self.turn.is_over_at(self.clock.now())
            && !self.clock.is_end_reached(self.stopped)
        {
            self.turn.step();
            let Some(moved) = marks.moves.start() else { return };
            self.clock.read();
            self.mark_moved(moved);
        }
    }

    /// Whether all marks are raised, in a batch in which no further record starts. Those of items that have unfinished records are raised
    /// now.
    pub(super) fn are_marks_raised(&mut self) -> bool {
        let Some(marks) = &mut self.batch.marks else { return true };
        marks.moves.flush();
        self.raise_marks();
        self.batch.marks.as_ref().is_none_or(|marks| marks.moves.are_done())
    }

    /// Ends the move of a mark: the records that have waited for it have their turn.
    pub(super) fn mark_moved(&mut self, moved: Moved) {
        let Some(marks) = &mut self.batch.marks else { return };
        let held = marks.moves.end(&moved);
        let Moved { position, took, result, .. } = moved;
        self.measured.note_move(position, took, result.err());
        for position in held {
            self.arrive(Arrival::Ready(position));
        }
    }

    /// Gives up the marks that are not raised yet, because the deadline has come.
    pub(super) fn give_up_marks(&mut self) {
        let Some(marks) = &mut self.batch.marks else { return };
        marks.moves.flush();
        for (position, took) in marks.moves.give_up() {
            let error = IdempotencyStoreError::new("the deadline came before the mark was raised");
            self.measured.note_move(position, took, Some(error));
        }
    }

    /// Reports a record because the mark of its item is unknown.
    pub(super) fn report_unknown(&mut self, position: usize) {
        let why = "the mark of its item could not be read, or is too young to decide whether the record is done";
        self.batch.fail_without_attempt(position, Failure::new(ErrorKind::Mark, why));
        self.report(position);
    }
}
