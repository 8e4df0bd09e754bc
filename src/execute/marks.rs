//! The marks of a batch's items: read a stretch ahead of the executor, and raised when an item's records are finished.
//!
//! Invariants:
//!
//! 1. A record is skipped only because of a mark that was raised before it was read, or by this batch.
//! 2. No mark is raised while a record of its item runs or is about to: it would cancel a transaction of the handler that moves the same
//!    mark. A record that comes while its item's mark is being raised waits.
//! 3. What the store does not answer is unknown, and fails no record.

mod moves;
mod reader;
mod verdict;

pub(super) use self::moves::{MarkMoves, Moved};
pub(super) use self::reader::{MarkRead, MarkReader};
pub(super) use self::verdict::MarkVerdict;

use std::collections::HashMap;
use std::time::SystemTime;

use self::verdict::Question;
use super::settings::Settings;
use crate::context::Guarded;
use crate::idempotency::{Idempotency, Mark, Marks, Stale, StoreKey};
use crate::outcome::Outcome;
use crate::record::RecordRef;

/// The marks of a batch's items.
pub(super) struct ItemMarks<'a> {
    settings: Marks,
    from_stream: bool,
    /// The key of each record's item, by the record's position; `None` for a record whose mark was not asked for.
    keys: Vec<Option<StoreKey>>,
    /// What is known of each item, by its key.
    known: HashMap<StoreKey, Mark>,
    /// The records whose marks their handlers move in transactions of their own.
    guarded: Guarded,
    pub(super) reader: MarkReader<'a>,
    pub(super) moves: MarkMoves<'a>,
}

impl<'a> ItemMarks<'a> {
    /// `stale` stands for what the settings say of stale records.
    pub(super) fn new(
        settings: &'a Settings,
        from_stream: bool,
        stale: Option<Stale>,
        guarded: &Guarded,
    ) -> Option<Self> {
        let (idempotency, mut marks): (&Idempotency, Marks) = (settings.idempotency.as_ref()?, settings.marks?);
        marks.stale = stale.unwrap_or(marks.stale);
        Some(Self {
            settings: marks,
            from_stream,
            keys: Vec::new(),
            known: HashMap::new(),
            guarded: guarded.clone(),
            reader: MarkReader::new(settings, idempotency, marks, from_stream),
            moves: MarkMoves::new(idempotency, marks.life),
        })
    }

    /// Takes what the store has said of a stretch; its records can be read now.
    pub(super) fn take_read(&mut self, read: MarkRead) {
        self.known.extend(read.marks);
        self.keys.extend(read.keys);
    }

    /// What is known of the item of a record says of the record.
    pub(super) fn verdict(&self, position: usize, record: &RecordRef, now: SystemTime) -> MarkVerdict {
        let (Some(Some(key)), Some(number)) = (self.keys.get(position), record.sequence_number()) else {
            return MarkVerdict::Open;
        };
        let question = Question {
            number,
            created_at: record.created_at(),
            from_stream: self.from_stream,
            settings: &self.settings,
            is_memorable: self.reader.is_memorable(record, self.settings.life, now),
        };
        question.verdict(self.known.get(key))
    }

    /// A record enters its lane, and will have an outcome unless the batch stops before.
    pub(super) fn enter(&mut self, position: usize) {
        if let Some(Some(key)) = self.keys.get(position) {
            self.moves.enter(key);
        }
    }

    /// The record is in no lane, so its item's later changes may be finished before it is: its mark stays where it is.
    pub(super) fn block(&mut self, position: usize) {
        if let Some(Some(key)) = self.keys.get(position) {
            self.moves.block(key);
        }
    }

    /// Whether the record must wait, because the mark of its item is being raised. It is handed over again once that has ended.
    pub(super) fn hold(&mut self, position: usize) -> bool {
        self.keys.get(position).is_some_and(|key| key.as_ref().is_some_and(|key| self.moves.hold(key, position)))
    }

    /// Whether the mark of the record's item is being raised.
    pub(super) fn is_moving(&self, position: usize) -> bool {
        self.keys.get(position).is_some_and(|key| key.as_ref().is_some_and(|key| self.moves.is_moving(key)))
    }

    /// A record that has entered its lane has its outcome.
    pub(super) fn settle(&mut self, position: usize, record: &RecordRef, outcome: Outcome) {
        let (Some(Some(key)), Some(number)) = (self.keys.get(position), record.sequence_number()) else { return };
        let passed = Mark { passed: Some(*number), passed_created_at: record.created_at(), applied: None };
        let applied = Mark { applied: Some(*number), ..Mark::default() };
        // What does not come from the stream says nothing of where the stream is: earlier records of it may be yet to come.
        let mark = match outcome {
            Outcome::Succeeded if self.from_stream => Some(Mark { applied: Some(*number), ..passed }),
            Outcome::Succeeded => Some(applied),
            Outcome::DeadLettered if self.from_stream => Some(passed),
            _ => None,
        };
        let mark = mark.filter(|_| !self.moves.is_blocked(key));
        if let Some(mark) = &mark {
            self.known.entry(key.clone()).or_default().raise(mark);
        }
        let has_moved = outcome == Outcome::Succeeded && self.guarded.contains(number);
        self.moves.settle(key, position, mark.filter(|_| !has_moved));
    }
}
