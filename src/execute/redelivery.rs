//! Remembers records that completed after the checkpoint. Lambda redelivers the checkpoint and everything after it; records that
//! are remembered here are skipped, within one execution environment. `Batch::read_next` asks as each record is read, before it
//! enters its lane.

use std::collections::{HashMap, VecDeque};
use std::hash::{BuildHasher, RandomState};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::idempotency::Completion;
use crate::outcome::{BatchReport, Outcome, RecordReport, SkipReason};
use crate::record::RecordRef;

/// The bound in number: about 8 MB, and several of the largest batches.
const MAX_RECORDS: usize = 50_000;
/// The bound in age: far longer than Lambda waits between two deliveries of a failing batch.
const MAX_AGE: Duration = Duration::from_secs(60 * 60);

/// Identifies a record of a stream: a hash of 128 bits, with keys of this process's own, of the stream's ARN, the sequence number
/// and the event id. The strings themselves would take five times the memory. A collision among all records that a process ever
/// meets is practically impossible.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct RecordId([u64; 2]);

/// The records that an execution environment completed and will receive again; shared by a processor's clones.
#[derive(Debug, Default)]
pub(crate) struct Completed {
    hashers: [RandomState; 2],
    records: Mutex<Remembered>,
}

#[derive(Debug, Default)]
struct Remembered {
    records: HashMap<RecordId, (Instant, Completion)>,
    /// In the order of remembering. Also holds records that have been forgotten or remembered again since.
    order: VecDeque<(Instant, RecordId)>,
}

impl Completed {
    /// How an earlier invocation completed this record; `None` where none did, or no sequence number names it.
    pub(super) fn find(&self, record: &RecordRef, nameable: bool, now: Instant) -> Option<Completion> {
        self.find_id(self.id(record, nameable)?, now)
    }

    fn find_id(&self, id: RecordId, now: Instant) -> Option<Completion> {
        let (since, completion) = *self.lock().records.get(&id)?;
        (now.duration_since(since) <= MAX_AGE).then_some(completion)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.lock().records.is_empty()
    }

    /// Remembers what an invocation completed although Lambda delivers it again, and forgets what was redelivered and is
    /// before the checkpoint now.
    pub(super) fn learn(&self, report: &BatchReport, now: Instant) {
        let redelivered_from = report.redelivered_from();
        let mut completed = Vec::new();
        let mut passed = Vec::new();
        for entry in report.records() {
            let was_redelivered = entry.outcome == Outcome::Skipped(SkipReason::Redelivered);
            if entry.position < redelivered_from && !was_redelivered {
                continue;
            }
            let (Some(completion), Some(id)) = (completion(entry), self.id(&entry.record, entry.nameable)) else {
                continue;
            };
            if entry.position >= redelivered_from {
                completed.push((id, completion));
            } else {
                passed.push(id);
            }
        }
        self.update(completed, passed, now);
    }

    fn update(&self, remember: Vec<(RecordId, Completion)>, forget: Vec<RecordId>, now: Instant) {
        if remember.is_empty() && forget.is_empty() {
            return;
        }
        let mut records = self.lock();
        for id in forget {
            records.records.remove(&id);
        }
        for (id, completion) in remember {
            records.records.insert(id, (now, completion));
            records.order.push_back((now, id));
        }
        records.evict(now);
    }

    /// `None` where the sequence number does not name the record.
    fn id(&self, record: &RecordRef, nameable: bool) -> Option<RecordId> {
        let number = record.sequence_number().filter(|_| nameable)?;
        Some(self.hash((record.stream_arn(), number.as_str(), record.event_id())))
    }

    fn hash(&self, identity: (Option<&str>, &str, Option<&str>)) -> RecordId {
        RecordId([0, 1].map(|half: usize| self.hashers[half].hash_one(identity)))
    }

    fn lock(&self) -> MutexGuard<'_, Remembered> {
        // Nothing panics while the lock is held; and if it did, the maps are whole between any two calls.
        self.records.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How the record was completed, in this invocation or an earlier one; `None` if it was not.
pub(super) fn completion(entry: &RecordReport) -> Option<Completion> {
    match entry.outcome {
        Outcome::Succeeded | Outcome::Skipped(SkipReason::Superseded) => Some(Completion::Succeeded),
        Outcome::DeadLettered => Some(Completion::DeadLettered),
        Outcome::Skipped(SkipReason::Redelivered | SkipReason::AlreadyDone) if entry.was_dead_lettered => {
            Some(Completion::DeadLettered)
        }
        Outcome::Skipped(SkipReason::Redelivered | SkipReason::AlreadyDone) => Some(Completion::Succeeded),
        _ => None,
    }
}

impl Remembered {
    fn evict(&mut self, now: Instant) {
        while let Some((since, id)) = self.order.front() {
            let is_current = self.records.get(id).is_some_and(|(current, _)| current == since);
            let is_expired = now.duration_since(*since) > MAX_AGE;
            let is_in_bounds = self.records.len() <= MAX_RECORDS && self.order.len() <= 2 * MAX_RECORDS;
            if is_current && !is_expired && is_in_bounds {
                break;
            }
            if is_current {
                self.records.remove(id);
            }
            self.order.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ids(completed: &Completed, numbers: std::ops::Range<usize>) -> Vec<(RecordId, Completion)> {
        let id = |number: usize| completed.hash((Some("arn"), &number.to_string(), None));
        numbers.map(|number| (id(number), Completion::Succeeded)).collect()
    }

    fn remembers(completed: &Completed, number: usize) -> bool {
        completed.find_id(ids(completed, number..number + 1)[0].0, Instant::now()).is_some()
    }

    #[tokio::test(start_paused = true)]
    async fn the_memory_is_bounded_in_age() {
        let completed = Completed::default();
        completed.update(ids(&completed, 0..1), Vec::new(), Instant::now());
        tokio::time::advance(MAX_AGE).await;
        completed.update(ids(&completed, 1..2), Vec::new(), Instant::now());
        assert!(remembers(&completed, 0), "until it is older");
        tokio::time::advance(Duration::from_secs(1)).await;
        assert!(!remembers(&completed, 0));
        completed.update(ids(&completed, 2..3), Vec::new(), Instant::now());
        assert_eq!(completed.lock().records.len(), 2, "expired records are forgotten");
    }

    #[tokio::test(start_paused = true)]
    async fn the_oldest_records_are_forgotten_first() {
        let completed = Completed::default();
        completed.update(ids(&completed, 0..MAX_RECORDS), Vec::new(), Instant::now());
        completed.update(ids(&completed, MAX_RECORDS..MAX_RECORDS + 10), Vec::new(), Instant::now());
        assert!(!remembers(&completed, 9));
        assert!(remembers(&completed, 10));
        assert_eq!(completed.lock().records.len(), MAX_RECORDS);
    }

    #[tokio::test(start_paused = true)]
    async fn the_memory_does_not_grow_with_repeated_updates() {
        let completed = Completed::default();
        completed.update(ids(&completed, 0..1), Vec::new(), Instant::now());
        for number in 0..3 * MAX_RECORDS {
            completed.update(ids(&completed, 1..2), Vec::new(), Instant::now());
            assert!(remembers(&completed, 0) || number >= 2 * MAX_RECORDS - 1, "forgotten after {number}");
        }
        let records = completed.lock();
        assert!(records.order.len() <= 2 * MAX_RECORDS + 1, "{}", records.order.len());
    }

    #[test]
    fn a_full_memory_takes_8_megabytes() {
        let entry = size_of::<(RecordId, (Instant, Completion))>() + 1;
        // Hash maps double at seven eighths, deques when they are full.
        let map = (MAX_RECORDS * 8 / 7).next_power_of_two() * entry;
        let order = (2 * MAX_RECORDS).next_power_of_two() * size_of::<(Instant, RecordId)>();
        assert!(map + order < 8_000_000, "{}", map + order);
    }
}
