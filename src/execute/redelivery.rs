//! Remembers records that completed after the checkpoint. Lambda redelivers everything from the checkpoint on; records that
//! are remembered here are skipped, within one execution environment. `Batch::find_skip_reason` asks as each record is read,
//! before it enters its lane.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::outcome::{BatchReport, Outcome, SkipReason};
use crate::record::RecordRef;

/// The bound in number: about 10 MB, and several of the largest batches.
const MAX_RECORDS: usize = 50_000;
/// The bound in age: far longer than Lambda waits between two deliveries of a failing batch.
const MAX_AGE: Duration = Duration::from_secs(60 * 60);

/// Identifies a record of a stream: the stream's ARN, the sequence number and the event id in one text.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct RecordId(Box<str>);

impl RecordId {
    /// `None` where the sequence number does not name the record.
    pub(super) fn of(facts: &RecordRef, nameable: bool) -> Option<Self> {
        let number = facts.sequence_number().filter(|_| nameable)?;
        Some(Self::new(facts.stream_arn(), number.as_str(), facts.event_id()))
    }

    fn new(stream_arn: Option<&str>, sequence_number: &str, event_id: Option<&str>) -> Self {
        Self(format!("{} {sequence_number} {}", stream_arn.unwrap_or("-"), event_id.unwrap_or("-")).into())
    }
}

/// The records that an execution environment completed and will receive again; shared by a processor's clones.
#[derive(Debug, Default)]
pub(crate) struct Completed {
    records: Mutex<Remembered>,
}

#[derive(Debug, Default)]
struct Remembered {
    since: HashMap<RecordId, Instant>,
    /// In the order of remembering. Also holds records that have been forgotten or remembered anew since.
    order: VecDeque<(Instant, RecordId)>,
}

impl Completed {
    pub(super) fn contains(&self, record: &RecordId) -> bool {
        let oldest = Instant::now().checked_sub(MAX_AGE);
        self.lock().since.get(record).is_some_and(|since| oldest.is_none_or(|oldest| *since >= oldest))
    }

    pub(super) fn is_empty(&self) -> bool {
        self.lock().since.is_empty()
    }

    /// Remembers what an invocation completed although Lambda delivers it again, and forgets what was redelivered and is
    /// before the checkpoint now.
    pub(super) fn learn(&self, report: &BatchReport) {
        let redelivered_from = report.redelivered_from();
        let mut completed = Vec::new();
        let mut passed = Vec::new();
        for entry in report.records() {
            let was_redelivered = entry.outcome == Outcome::Skipped(SkipReason::Redelivered);
            let is_complete = was_redelivered || matches!(entry.outcome, Outcome::Succeeded | Outcome::DeadLettered);
            if entry.position >= redelivered_from && is_complete {
                completed.extend(RecordId::of(&entry.record, entry.nameable));
            } else if was_redelivered {
                passed.extend(RecordId::of(&entry.record, entry.nameable));
            }
        }
        self.update(completed, passed);
    }

    fn update(&self, remember: Vec<RecordId>, forget: Vec<RecordId>) {
        if remember.is_empty() && forget.is_empty() {
            return;
        }
        let mut records = self.lock();
        for record in forget {
            records.since.remove(&record);
        }
        let now = Instant::now();
        for record in remember {
            records.since.insert(record.clone(), now);
            records.order.push_back((now, record));
        }
        records.evict(now);
    }

    fn lock(&self) -> MutexGuard<'_, Remembered> {
        // Nothing panics while the lock is held; and if it did, the maps are whole between any two calls.
        self.records.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Remembered {
    fn evict(&mut self, now: Instant) {
        while let Some((since, record)) = self.order.front() {
            let is_current = self.since.get(record) == Some(since);
            let is_expired = now.duration_since(*since) > MAX_AGE;
            let is_in_bounds = self.since.len() <= MAX_RECORDS && self.order.len() <= 2 * MAX_RECORDS;
            if is_current && !is_expired && is_in_bounds {
                break;
            }
            if is_current {
                self.since.remove(record);
            }
            self.order.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ids(numbers: std::ops::Range<usize>) -> Vec<RecordId> {
        numbers.map(|number| RecordId::new(Some("arn"), &number.to_string(), None)).collect()
    }

    #[tokio::test(start_paused = true)]
    async fn the_memory_is_bounded_in_age() {
        let completed = Completed::default();
        completed.update(ids(0..1), Vec::new());
        tokio::time::advance(MAX_AGE).await;
        assert!(completed.contains(&ids(0..1)[0]));
        tokio::time::advance(Duration::from_secs(1)).await;
        assert!(!completed.contains(&ids(0..1)[0]));
        completed.update(ids(1..2), Vec::new());
        assert_eq!(completed.lock().since.len(), 1, "expired records are forgotten");
    }

    #[tokio::test(start_paused = true)]
    async fn the_oldest_records_are_forgotten_first() {
        let completed = Completed::default();
        completed.update(ids(0..MAX_RECORDS), Vec::new());
        completed.update(ids(MAX_RECORDS..MAX_RECORDS + 10), Vec::new());
        assert!(!completed.contains(&ids(9..10)[0]));
        assert!(completed.contains(&ids(10..11)[0]));
        assert_eq!(completed.lock().since.len(), MAX_RECORDS);
    }

    #[tokio::test(start_paused = true)]
    async fn the_memory_does_not_grow_with_repeated_updates() {
        let completed = Completed::default();
        completed.update(ids(0..1), Vec::new());
        for _ in 0..3 * MAX_RECORDS {
            completed.update(ids(1..2), Vec::new());
        }
        let records = completed.lock();
        assert!(records.order.len() <= 2 * MAX_RECORDS + 1, "{}", records.order.len());
    }
}
