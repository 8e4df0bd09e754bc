//! The totals of a batch that its log line and its metrics report: by outcome, by kind of change and by kind of error.

use std::collections::BTreeMap;

use super::{BatchReport, Counts, Outcome, RecordReport};
use crate::event_kind::EventKind;
use crate::failure::ErrorKind;

/// The name of a kind that could not be read.
const UNKNOWN: &str = "unknown";

/// The totals of one batch.
#[derive(Debug, Default)]
pub(crate) struct Totals {
    pub(crate) counts: Counts,
    pub(crate) by_kind: PerKind<KindTotals>,
    /// Records that became dead letters, or failed and are reported, by the name of their [`ErrorKind`].
    pub(crate) failed: BTreeMap<&'static str, usize>,
    /// Records that the dead-letter queue did not accept.
    pub(crate) refused: usize,
}

/// The records of one kind of change.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct KindTotals {
    pub(crate) received: usize,
    pub(crate) succeeded: usize,
    pub(crate) skipped: usize,
}

/// One value for each kind of change, and one for the records whose kind could not be read.
#[derive(Debug, Default)]
pub(crate) struct PerKind<T> {
    insert: T,
    modify: T,
    remove: T,
    unknown: T,
}

impl Totals {
    pub(crate) fn of(report: &BatchReport) -> Self {
        Self::of_records(report.records().iter())
    }

    pub(crate) fn of_records<'a>(records: impl Iterator<Item = &'a RecordReport> + Clone) -> Self {
        let mut totals = Self { counts: Counts::of(records.clone()), ..Self::default() };
        for record in records {
            let of_kind = totals.by_kind.get_mut(record.kind);
            of_kind.received += 1;
            totals.refused += usize::from(record.dead_letter_error.is_some());
            match record.outcome {
                Outcome::Succeeded => of_kind.succeeded += 1,
                Outcome::Skipped(_) => of_kind.skipped += 1,
                Outcome::DeadLettered | Outcome::Reported => {
                    let kind = record.failure.as_ref().map(|failure| failure.kind);
                    *totals.failed.entry(kind.map_or(UNKNOWN, ErrorKind::as_str)).or_default() += 1;
                }
                Outcome::Unfinished | Outcome::HeldBack => {}
            }
        }
        totals
    }
}

impl<T> PerKind<T> {
    /// Makes the value of each kind from the kind's name.
    pub(crate) fn from_names(mut make: impl FnMut(&'static str) -> T) -> Self {
        Self {
            insert: make(EventKind::Insert.as_str()),
            modify: make(EventKind::Modify.as_str()),
            remove: make(EventKind::Remove.as_str()),
            unknown: make(UNKNOWN),
        }
    }

    pub(crate) fn get(&self, kind: Option<EventKind>) -> &T {
        match kind {
            Some(EventKind::Insert) => &self.insert,
            Some(EventKind::Modify) => &self.modify,
            Some(EventKind::Remove) => &self.remove,
            None => &self.unknown,
        }
    }

    fn get_mut(&mut self, kind: Option<EventKind>) -> &mut T {
        match kind {
            Some(EventKind::Insert) => &mut self.insert,
            Some(EventKind::Modify) => &mut self.modify,
            Some(EventKind::Remove) => &mut self.remove,
            None => &mut self.unknown,
        }
    }

    /// Pairs the two values of each kind.
    pub(crate) fn zip<'a, U>(&'a self, other: &'a PerKind<U>) -> [(&'a T, &'a U); 4] {
        let Self { insert, modify, remove, unknown } = self;
        [(insert, &other.insert), (modify, &other.modify), (remove, &other.remove), (unknown, &other.unknown)]
    }
}
