//! Watches the handlers, and checks that the changes of each item were handled in the stream's order.

use std::collections::HashMap;
use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};

use lambda_streams::{HandlerError, Record, SequenceNumber};
use serde_json::Value;

use crate::handlers::{Entry, Journal};

/// What the watch saw, in the order it happened.
type Seen = Arc<Mutex<Vec<(SequenceNumber, Moment)>>>;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Moment {
    Begun,
    Finished,
}

/// A journal that notes when each change begins and ends.
///
/// In between it lets others run, now for long and now not at all: if the processor did not keep the order of an item,
/// the changes of an item would overtake each other.
#[derive(Debug, Clone, Default)]
pub(crate) struct Watch {
    seen: Seen,
    random: Arc<Mutex<fastrand::Rng>>,
}

impl Watch {
    pub(crate) fn new(seed: u64) -> Self {
        Self { seen: Seen::default(), random: Arc::new(Mutex::new(fastrand::Rng::with_seed(seed))) }
    }

    fn see(&self, record: &Record, moment: Moment) {
        let seen = (*record.sequence_number().expect("a stream's record has one"), moment);
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).push(seen);
    }

    /// Whether every item's changes were handled one after the other, in the order of these records.
    pub(crate) fn check(&self, records: &[Value]) -> BatchResult {
        let mut verdict = BatchResult::default();
        let mut positions = HashMap::new();
        let mut items: HashMap<String, Item> = HashMap::new();
        for (position, record) in records.iter().enumerate() {
            // A record without a number is never seen by this one, which counts as disorder.
            let Some(number) = record["dynamodb"]["SequenceNumber"].as_str() else { continue };
            positions.insert(number.to_owned(), (position, record["dynamodb"]["Keys"].to_string()));
        }
        for (number, moment) in self.seen.lock().unwrap_or_else(PoisonError::into_inner).iter() {
            let Some((position, key)) = positions.get(number.as_str()) else {
                verdict.disorder += 1;
                continue;
            };
            let item = items.entry(key.clone()).or_default();
            verdict.disorder += usize::from(!item.follows(*position, *moment));
            verdict.handled += usize::from(*moment == Moment::Finished);
        }
        verdict.items = items.len();
        verdict
    }
}

impl Journal for Watch {
    fn note(&self, _: &str, _: Entry, record: &Record) -> impl Future<Output = Result<(), HandlerError>> + Send {
        let (watch, record) = (self.clone(), record.clone());
        async move {
            watch.see(&record, Moment::Begun);
            let turns = watch.random.lock().unwrap_or_else(PoisonError::into_inner).u32(0..8);
            for _ in 0..turns {
                tokio::task::yield_now().await;
            }
            watch.see(&record, Moment::Finished);
            Ok(())
        }
    }
}

/// How far one item has come.
#[derive(Debug, Default)]
struct Item {
    running: Option<usize>,
    finished: Option<usize>,
}

impl Item {
    /// Takes the next moment in; whether it may follow the ones before.
    fn follows(&mut self, position: usize, moment: Moment) -> bool {
        match moment {
            Moment::Begun => {
                let alone = self.running.replace(position).is_none();
                alone && self.finished.is_none_or(|finished| finished < position)
            }
            Moment::Finished => {
                self.finished = Some(position);
                self.running.take() == Some(position)
            }
        }
    }
}

/// The result of the check.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct BatchResult {
    pub(crate) items: usize,
    /// Changes that a handler finished.
    pub(crate) handled: usize,
    /// Moments that came before an earlier change of the item was finished.
    pub(crate) disorder: usize,
}
