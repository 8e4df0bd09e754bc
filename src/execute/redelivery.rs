//! What succeeded, or became a dead letter, behind a checkpoint: Lambda delivers it again, and it is skipped.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// The bound in number: about 10 MB, and several of the largest batches.
const MAX_RECORDS: usize = 50_000;
/// The bound in age: far longer than Lambda waits between two deliveries of a failing batch.
const MAX_AGE: Duration = Duration::from_secs(60 * 60);

/// A record of a stream: the stream's ARN, the sequence number and the event id in one text.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct ReplayKey(Box<str>);

impl ReplayKey {
    pub(crate) fn new(stream_arn: Option<&str>, sequence_number: &str, event_id: Option<&str>) -> Self {
        Self(format!("{} {sequence_number} {}", stream_arn.unwrap_or("-"), event_id.unwrap_or("-")).into())
    }
}

/// The memory of an execution environment, shared by a processor's clones.
#[derive(Debug, Default)]
pub(crate) struct Replay {
    done: Mutex<Done>,
}

#[derive(Debug, Default)]
struct Done {
    since: HashMap<ReplayKey, Instant>,
    /// In the order of remembering; also what has been forgotten or remembered anew since.
    order: VecDeque<(Instant, ReplayKey)>,
}

impl Replay {
    pub(crate) fn contains(&self, key: &ReplayKey) -> bool {
        let oldest = Instant::now().checked_sub(MAX_AGE);
        self.lock().since.get(key).is_some_and(|since| oldest.is_none_or(|oldest| *since >= oldest))
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.lock().since.is_empty()
    }

    /// Takes note of what an invocation finished although Lambda delivers it again, and forgets what it went past.
    pub(crate) fn settle(&self, remember: Vec<ReplayKey>, forget: Vec<ReplayKey>) {
        if remember.is_empty() && forget.is_empty() {
            return;
        }
        let mut done = self.lock();
        for key in forget {
            done.since.remove(&key);
        }
        let now = Instant::now();
        for key in remember {
            done.since.insert(key.clone(), now);
            done.order.push_back((now, key));
        }
        done.evict(now);
    }

    fn lock(&self) -> MutexGuard<'_, Done> {
        // Nothing panics while the lock is held; and if it did, the maps are whole between any two calls.
        self.done.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Done {
    fn evict(&mut self, now: Instant) {
        while let Some((since, key)) = self.order.front() {
            let current = self.since.get(key) == Some(since);
            let expired = now.duration_since(*since) > MAX_AGE;
            if current && !expired && self.since.len() <= MAX_RECORDS && self.order.len() <= 2 * MAX_RECORDS {
                break;
            }
            if current {
                self.since.remove(key);
            }
            self.order.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(numbers: std::ops::Range<usize>) -> Vec<ReplayKey> {
        numbers.map(|number| ReplayKey::new(Some("arn"), &number.to_string(), None)).collect()
    }

    #[tokio::test(start_paused = true)]
    async fn it_is_bounded_in_age() {
        let replay = Replay::default();
        replay.settle(keys(0..1), Vec::new());
        tokio::time::advance(MAX_AGE).await;
        assert!(replay.contains(&keys(0..1)[0]));
        tokio::time::advance(Duration::from_secs(1)).await;
        assert!(!replay.contains(&keys(0..1)[0]));
        replay.settle(keys(1..2), Vec::new());
        assert_eq!(replay.lock().since.len(), 1, "what expired is gone");
    }

    #[tokio::test(start_paused = true)]
    async fn it_is_bounded_in_number_and_the_oldest_go_first() {
        let replay = Replay::default();
        replay.settle(keys(0..MAX_RECORDS), Vec::new());
        replay.settle(keys(MAX_RECORDS..MAX_RECORDS + 10), Vec::new());
        assert!(!replay.contains(&keys(9..10)[0]));
        assert!(replay.contains(&keys(10..11)[0]));
        assert_eq!(replay.lock().since.len(), MAX_RECORDS);
    }

    #[tokio::test(start_paused = true)]
    async fn remembering_and_forgetting_for_ever_does_not_grow() {
        let replay = Replay::default();
        replay.settle(keys(0..1), Vec::new());
        for _ in 0..3 * MAX_RECORDS {
            replay.settle(keys(1..2), Vec::new());
        }
        let done = replay.lock();
        assert!(done.order.len() <= 2 * MAX_RECORDS + 1, "{}", done.order.len());
    }
}
