//! Assigns records to a shard's concurrent batches.
//!
//! *Invariant*: while a record of an item is buffered or in flight, the item's further records go to the same batch, where
//! they wait their turn. So each item keeps its order, whatever the number of batches.

use std::collections::HashMap;

use crate::settings::BatchAssignment;

/// Which batch each item's records go to.
#[derive(Debug)]
pub(crate) struct Assignment {
    batches: usize,
    how: BatchAssignment,
    /// For random assignment, the items that have records buffered or in flight.
    held: HashMap<u64, Held>,
}

#[derive(Debug)]
struct Held {
    batch: usize,
    records: usize,
}

impl Assignment {
    pub(crate) fn new(how: BatchAssignment, batches: usize) -> Self {
        Self { batches, how, held: HashMap::new() }
    }

    /// The batch of an item's next record; `draw` gives a random batch.
    pub(crate) fn assign(&mut self, item: u64, draw: impl FnOnce() -> usize) -> usize {
        match self.how {
            _ if self.batches < 2 => 0,
            BatchAssignment::Hashed => (item % self.batches as u64) as usize,
            BatchAssignment::Random => {
                let held = self.held.entry(item).or_insert_with(|| Held { batch: draw(), records: 0 });
                held.records += 1;
                held.batch
            }
        }
    }

    /// One record of each of these items is no longer buffered or in flight.
    pub(crate) fn release(&mut self, items: &[u64]) {
        for item in items {
            let Some(held) = self.held.get_mut(item) else { continue };
            held.records -= 1;
            if held.records == 0 {
                self.held.remove(item);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_item_keeps_its_batch_while_one_of_its_records_is_held() {
        let mut assignment = Assignment::new(BatchAssignment::Random, 4);
        assert_eq!(assignment.assign(7, || 2), 2);
        assert_eq!(assignment.assign(7, || 3), 2);
        assignment.release(&[7]);
        assert_eq!(assignment.assign(7, || 3), 2, "one record is still held");
        assignment.release(&[7, 7]);
        assert_eq!(assignment.assign(7, || 3), 3);
    }

    #[test]
    fn a_hashed_item_always_has_the_same_batch() {
        let mut assignment = Assignment::new(BatchAssignment::Hashed, 4);
        assert_eq!(assignment.assign(7, || 0), 3);
        assignment.release(&[7]);
        assert_eq!(assignment.assign(7, || 0), 3);
    }
}
