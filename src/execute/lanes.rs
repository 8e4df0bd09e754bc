use std::collections::HashMap;

use crate::decode::{self, CanonicalKeys, DecodeError};
use crate::policy::Lanes;
use crate::record::Facts;

/// What records of one lane have in common.
#[derive(PartialEq, Eq, Hash)]
enum LaneKey {
    Batch,
    Item { table: Option<String>, keys: CanonicalKeys },
    KeyAttribute { table: Option<String>, value: Option<String> },
}

/// Puts records into lanes as they come.
pub(super) struct LaneAssignment<'a> {
    lanes: &'a Lanes,
    /// The last record of each lane so far.
    last: HashMap<LaneKey, usize>,
}

impl<'a> LaneAssignment<'a> {
    pub(super) fn new(lanes: &'a Lanes) -> Self {
        Self { lanes, last: HashMap::new() }
    }

    /// Puts a record behind its predecessor, which is returned; a record without readable keys stands alone.
    ///
    /// # Errors
    /// If the keys cannot be read; the record stands alone then, too, but in a batch of strict order.
    pub(super) fn push(&mut self, position: usize, facts: &Facts) -> (Option<usize>, Result<(), DecodeError>) {
        let keys = facts.keys_json().map(decode::canonical_keys).transpose();
        let (keys, fault) = match keys {
            Ok(keys) => (keys, Ok(())),
            Err(error) => (None, Err(error.within("Keys"))),
        };
        let lane = match (self.lanes, keys) {
            (Lanes::WholeBatch, _) => Some(LaneKey::Batch),
            (Lanes::Unordered, _) | (_, None) => None,
            (Lanes::PerItem, Some(keys)) => Some(LaneKey::Item { table: table(facts), keys }),
            (Lanes::PerKeyAttribute(name), Some(keys)) => {
                Some(LaneKey::KeyAttribute { table: table(facts), value: keys.get(name).map(str::to_owned) })
            }
        };
        (lane.and_then(|lane| self.last.insert(lane, position)), fault)
    }
}

fn table(facts: &Facts) -> Option<String> {
    facts.table_arn().or(facts.stream_arn.as_deref()).map(str::to_owned)
}
