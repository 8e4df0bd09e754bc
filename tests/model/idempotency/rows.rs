//! The rows of the store, kept by plain rules of the model's own, and the deliberately broken ones.

use std::collections::HashMap;
use std::time::{Duration, SystemTime};

use lambda_streams::{CompletedRecords, Mark, SequenceNumber};
use tokio::time::Instant;

use super::broken::Subject;
use super::stream::{id, number};

/// The mark of an item, by the changes' ids.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct MarkRow {
    pub(super) passed: Option<usize>,
    pub(super) passed_created_at: Option<SystemTime>,
    pub(super) applied: Option<usize>,
}

impl MarkRow {
    pub(super) fn of(mark: &Mark) -> Self {
        Self {
            passed: mark.passed.as_ref().map(id),
            passed_created_at: mark.passed_created_at,
            applied: mark.applied.as_ref().map(id),
        }
    }

    pub(super) fn mark(&self) -> Mark {
        let to = |id: usize| SequenceNumber::new(&number(id)).expect("digits");
        let Self { passed, passed_created_at, applied } = *self;
        Mark { passed: passed.map(to), passed_created_at, applied: applied.map(to) }
    }
}

/// A row that is kept until a moment.
#[derive(Debug, Clone)]
struct Kept<T> {
    row: T,
    expires: Instant,
}

/// What is done after a checkpoint.
#[derive(Debug, Clone)]
pub(super) struct CheckpointRow {
    pub(super) completed: CompletedRecords,
    /// The execution that wrote it.
    pub(super) writer: usize,
}

/// All rows, each with its consumer's number first.
#[derive(Debug)]
pub(super) struct Rows {
    subject: Subject,
    marks: HashMap<(usize, usize), Kept<MarkRow>>,
    /// Each with the one before it.
    checkpoints: HashMap<(usize, usize), [Option<Kept<CheckpointRow>>; 2]>,
    beginnings: HashMap<usize, SystemTime>,
    /// The rows of single records.
    once: HashMap<(usize, usize), Instant>,
    /// Whose rows those are, by their keys.
    pub(super) once_keys: HashMap<String, (usize, usize)>,
    /// Marks that have fallen.
    pub(super) falls: Vec<String>,
}

impl Rows {
    pub(super) fn new(subject: Subject) -> Self {
        Self {
            subject,
            marks: HashMap::new(),
            checkpoints: HashMap::new(),
            beginnings: HashMap::new(),
            once: HashMap::new(),
            once_keys: HashMap::new(),
            falls: Vec::new(),
        }
    }

    fn owner(&self, consumer: usize) -> usize {
        if self.subject == Subject::NoConsumerInKey { 0 } else { consumer }
    }

    fn expires(&self, life: Duration) -> Instant {
        let life = if self.subject == Subject::ForgetsEarly { life / 16 } else { life };
        Instant::now() + life
    }

    pub(super) fn mark(&self, consumer: usize, item: usize) -> MarkRow {
        let kept = self.marks.get(&(self.owner(consumer), item));
        kept.filter(|kept| kept.expires > Instant::now()).map(|kept| kept.row).unwrap_or_default()
    }

    /// Raises a mark, which is kept for so long from now on if it rises.
    pub(super) fn raise(&mut self, consumer: usize, item: usize, to: MarkRow, life: Duration) {
        let (old, expires) = (self.mark(consumer, item), self.expires(life));
        let mut new = old;
        if self.is_newer(to.passed, old.passed) {
            (new.passed, new.passed_created_at) = (to.passed, to.passed_created_at);
        }
        if self.is_newer(to.applied, old.applied) {
            new.applied = to.applied;
        }
        if new.passed < old.passed || new.applied < old.applied {
            self.falls.push(format!("P5: the mark of item {item} falls from {old:?} to {new:?}"));
        }
        if new != old {
            self.marks.insert((self.owner(consumer), item), Kept { row: new, expires });
        }
    }

    fn is_newer(&self, to: Option<usize>, than: Option<usize>) -> bool {
        match self.subject {
            Subject::RaisesUnconditionally => to.is_some(),
            Subject::ComparesText => to.map(number) > than.map(number),
            _ => to > than,
        }
    }

    /// What is done after a checkpoint, as it is now or as it was before it was written last.
    pub(super) fn checkpoint(&self, consumer: usize, first: usize, is_old: bool) -> Option<&CheckpointRow> {
        let kept = self.checkpoints.get(&(self.owner(consumer), first))?[usize::from(is_old)].as_ref();
        kept.filter(|kept| kept.expires > Instant::now()).map(|kept| &kept.row)
    }

    pub(super) fn save(&mut self, consumer: usize, first: usize, row: CheckpointRow, life: Duration) {
        let (key, kept) = ((self.owner(consumer), first), Kept { row, expires: self.expires(life) });
        let before = self.checkpoints.remove(&key).and_then(|[now, _]| now);
        self.checkpoints.insert(key, [Some(kept), before]);
    }

    /// Whether there was a mark that has expired.
    pub(super) fn has_expired(&self, consumer: usize, item: usize) -> bool {
        let kept = self.marks.get(&(self.owner(consumer), item));
        kept.is_some_and(|kept| kept.expires <= Instant::now())
    }

    /// When the marks of a consumer began: then, unless they had begun before.
    pub(super) fn begin(&mut self, consumer: usize, at: SystemTime) -> SystemTime {
        *self.beginnings.entry(consumer).or_insert(at)
    }

    pub(super) fn beginning(&self, consumer: usize) -> Option<SystemTime> {
        self.beginnings.get(&consumer).copied()
    }

    /// Whether a record has no row yet; it has one for so long from now on.
    pub(super) fn insert_once(&mut self, consumer: usize, id: usize, life: Duration) -> bool {
        let (now, owner) = (Instant::now(), self.owner(consumer));
        let is_new = self.once.get(&(owner, id)).is_none_or(|expires| *expires <= now);
        if is_new {
            let expires = self.expires(life);
            self.once.insert((owner, id), expires);
        }
        is_new
    }
}
