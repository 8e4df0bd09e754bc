//! The totals of a batch that its log line and its metrics report: by outcome, by kind of change and by kind of error.

use std::collections::BTreeMap;
use std::sync::Arc;

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
    /// The records of each entity, and those without one.
    pub(crate) by_entity: Vec<EntityTotals>,
    /// Records that the dead-letter queue did not accept.
    pub(crate) refused: usize,
}

/// The records of one entity.
#[derive(Debug, Default)]
pub(crate) struct EntityTotals {
    /// The name of the entity; `None` for records without one.
    pub(crate) entity: Option<Arc<str>>,
    pub(crate) by_kind: PerKind<KindTotals>,
    /// Records that became dead letters, or failed and are reported, by the name of their [`ErrorKind`].
    pub(crate) failed: BTreeMap<&'static str, usize>,
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
        let mut without_entity = EntityTotals::default();
        let mut refused = 0;
        let mut last = 0;
        for record in records {
            let of_entity = match &record.entity {
                Some(entity) => totals.entity(entity, &mut last),
                None => &mut without_entity,
            };
            let EntityTotals { by_kind, failed, .. } = of_entity;
            let of_kind = by_kind.get_mut(record.kind);
            of_kind.received += 1;
            refused += usize::from(record.dead_letter_error.is_some());
            match record.outcome {
                Outcome::Succeeded => of_kind.succeeded += 1,
                Outcome::Skipped(_) => of_kind.skipped += 1,
                Outcome::DeadLettered | Outcome::Reported => {
                    let kind = record.failure.as_ref().map(|failure| failure.kind);
                    *failed.entry(kind.map_or(UNKNOWN, ErrorKind::as_str)).or_default() += 1;
                }
                Outcome::Unfinished | Outcome::HeldBack => {}
            }
        }
        totals.refused = refused;
        totals.by_entity.push(without_entity);
        for EntityTotals { by_kind, .. } in &totals.by_entity {
            totals.by_kind.add(by_kind);
        }
        totals
    }

    /// The totals of an entity, which are likely those at the index `last`.
    #[inline]
    fn entity(&mut self, entity: &Arc<str>, last: &mut usize) -> &mut EntityTotals {
        if !self.by_entity.get(*last).is_some_and(|totals| totals.are_of(entity)) {
            *last = self.index_of(entity);
        }
        &mut self.by_entity[*last]
    }

    /// Apart, because it is asked once for a run of records of an entity: saves 24 instructions of a record (`benches/instructions.sh`, "ours,
    /// the third entity by attribute").
    #[cold]
    fn index_of(&mut self, entity: &Arc<str>) -> usize {
        self.by_entity.iter().position(|totals| totals.are_of(entity)).unwrap_or_else(|| {
            self.by_entity.push(EntityTotals { entity: Some(Arc::clone(entity)), ..EntityTotals::default() });
            self.by_entity.len() - 1
        })
    }
}

impl EntityTotals {
    fn are_of(&self, entity: &Arc<str>) -> bool {
        self.entity.as_ref().is_some_and(|known| Arc::ptr_eq(known, entity))
    }
}

impl PerKind<KindTotals> {
    fn add(&mut self, other: &Self) {
        let Self { insert, modify, remove, unknown } = self;
        let pairs = [(insert, other.insert), (modify, other.modify), (remove, other.remove), (unknown, other.unknown)];
        for (sum, more) in pairs {
            sum.received += more.received;
            sum.succeeded += more.succeeded;
            sum.skipped += more.skipped;
        }
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
