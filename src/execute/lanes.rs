//! Assigns records to lanes, and says what the rest of a lane does after a success or a dead letter.
//!
//! Records of one lane run one at a time, in stream order. (Elsewhere a lane's key is called an ordering key or a message group.)
//! The lane of an item is found by the hash of its keys, `decode::hash_keys`. `Execution::arrive` acts on what [`Arrival`] says,
//! and keeps records after a reported one from following a dead letter.

use std::collections::HashMap;
use std::hash::BuildHasher;

use foldhash::fast::RandomState;
use hashbrown::HashTable;

use crate::decode::{self, DecodeError, KeyValue, Keys};
use crate::failure::{ErrorKind, Failure};
use crate::guard::guard;
use crate::observe::log::CurrentRecord;
use crate::outcome::Outcome;
use crate::policy::{AfterDeadLetter, KeyLanes, Lanes};
use crate::record::RecordRef;

/// The lanes of a batch. Records enter in stream order.
///
/// A lane is found by a hash of the keys as they are in the payload, and the keys are compared only where hashes agree. Writing
/// each key once more, in one canonical spelling, took 575 more instructions a record (`make instructions`).
pub(super) struct LaneMap<'a> {
    policy: &'a Lanes,
    lanes: Vec<Lane<'a>>,
    /// The index of each lane by its key.
    numbers: HashTable<usize>,
    hasher: RandomState,
    /// The last record, and its table's number. A batch of a stream has one table, so the next record has the same.
    last: Option<(RecordRef, usize)>,
    /// The number of each table by what identifies it.
    tables: HashMap<Option<Box<str>>, usize>,
}

/// A record that has entered its lane.
pub(super) struct Entered {
    /// The record before it in the lane.
    pub(super) predecessor: Option<usize>,
    /// Why the record's keys cannot be read. Such a record has no predecessor, except where the whole batch is one lane.
    pub(super) keys: Result<(), Box<Failure>>,
    /// Whether the keys lack the attribute by which lanes go.
    pub(super) lacks_attribute: bool,
}

/// A record that need not wait for another: it was just read, or the record before it in its lane was settled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Arrival {
    /// It may start.
    Ready(usize),
    /// It is to become a dead letter, as the record before it in its lane did.
    FollowsDeadLetter(usize),
}

impl Arrival {
    /// What the next record of a lane does once the record before it has this outcome; `None` if it waits for another
    /// delivery.
    pub(super) fn after(outcome: Outcome, rest_of_lane: AfterDeadLetter, next: usize) -> Option<Self> {
        match (outcome, rest_of_lane) {
            (Outcome::Succeeded | Outcome::Skipped(_), _) | (Outcome::DeadLettered, AfterDeadLetter::Continue) => {
                Some(Self::Ready(next))
            }
            (Outcome::DeadLettered, AfterDeadLetter::FollowLane) => Some(Self::FollowsDeadLetter(next)),
            _ => None,
        }
    }
}

struct Lane<'a> {
    key: LaneKey<'a>,
    /// The position of its last record.
    last: usize,
}

/// What the records of a lane share: the table, by its number, and the key.
struct LaneKey<'a> {
    table: usize,
    common: Common<'a>,
    hash: u64,
}

enum Common<'a> {
    /// The item's primary key, as one of the records spells it.
    Item(&'a str),
    /// The value of a key attribute; `None` where the records lack it.
    Attribute(Option<KeyValue<'a>>),
    /// What the user's function returned.
    Named(String),
    Batch,
}

impl Common<'_> {
    /// The length of its spelling.
    fn len(&self) -> usize {
        match self {
            Self::Item(json) => json.len(),
            Self::Attribute(value) => value.as_ref().map_or(0, KeyValue::len),
            Self::Named(name) => name.len(),
            Self::Batch => 0,
        }
    }
}

impl<'a> LaneMap<'a> {
    /// Makes room for about this many records.
    pub(super) fn new(policy: &'a Lanes, records: usize) -> Self {
        Self {
            policy,
            lanes: Vec::with_capacity(records),
            numbers: HashTable::with_capacity(records),
            hasher: RandomState::default(),
            last: None,
            tables: HashMap::new(),
        }
    }

    /// Enters the next record into its lane.
    pub(super) fn enter(&mut self, position: usize, facts: &RecordRef, keys: Option<&'a str>) -> Entered {
        let (key, keys) = match keys.map(|json| self.key(json, facts)) {
            Some(Ok(key)) => (key, Ok(())),
            Some(Err(failure)) => (self.without_keys(), Err(failure)),
            None => (self.without_keys(), Ok(())),
        };
        let lacks_attribute = matches!(key, Some(LaneKey { common: Common::Attribute(None), .. }));
        Entered { predecessor: key.and_then(|key| self.put_last(key, position)), keys, lacks_attribute }
    }

    /// Whether entering a record runs the user's code.
    pub(super) fn asks_user(&self) -> bool {
        matches!(self.policy, Lanes::ByKeys(_))
    }

    fn put_last(&mut self, key: LaneKey<'a>, position: usize) -> Option<usize> {
        let Self { lanes, numbers, .. } = self;
        if let Some(number) = numbers.find(key.hash, |number| lanes[*number].key == key) {
            let lane = &mut lanes[*number];
            // The next record is compared with the shorter spelling, so no record costs more than its own length.
            if key.common.len() < lane.key.common.len() {
                lane.key = key;
            }
            return Some(std::mem::replace(&mut lane.last, position));
        }
        numbers.insert_unique(key.hash, lanes.len(), |number| lanes[*number].key.hash);
        lanes.push(Lane { key, last: position });
        None
    }

    fn without_keys(&self) -> Option<LaneKey<'a>> {
        matches!(self.policy, Lanes::WholeBatch).then_some(LaneKey { table: 0, common: Common::Batch, hash: 0 })
    }

    fn key(&mut self, json: &'a str, facts: &RecordRef) -> Result<Option<LaneKey<'a>>, Box<Failure>> {
        let (common, hash) = match self.policy {
            Lanes::WholeBatch | Lanes::Unordered => {
                decode::check_keys(json).map_err(undecoded)?;
                return Ok(self.without_keys());
            }
            Lanes::PerItem => (Common::Item(json), decode::hash_keys(json, &self.hasher).map_err(undecoded)?),
            Lanes::PerKeyAttribute(name) => {
                let value = decode::key_value(json, name).map_err(undecoded)?;
                let hash = self.hasher.hash_one(&value);
                (Common::Attribute(value), hash)
            }
            Lanes::ByKeys(lanes) => {
                let name = named(lanes, Keys::from_json(json).map_err(undecoded)?, facts)?;
                let hash = self.hasher.hash_one(&name);
                (Common::Named(name), hash)
            }
        };
        let table = self.table(facts);
        Ok(Some(LaneKey { table, common, hash: hash.wrapping_add(table as u64) }))
    }

    /// The number of the record's table.
    fn table(&mut self, facts: &RecordRef) -> usize {
        if let Some((last, table)) = &self.last
            && last.stream_arn() == facts.stream_arn()
        {
            return *table;
        }
        let next = self.tables.len();
        let table = *self.tables.entry(name(facts).map(Box::from)).or_insert(next);
        self.last = Some((facts.clone(), table));
        table
    }
}

impl PartialEq for LaneKey<'_> {
    fn eq(&self, other: &Self) -> bool {
        // The hash is compared first: it distinguishes nearly all keys, and comparing two spellings of a key costs more.
        (self.hash, self.table) == (other.hash, other.table)
            && match (&self.common, &other.common) {
                (Common::Item(one), Common::Item(other)) => decode::are_same_keys(one, other),
                (Common::Attribute(one), Common::Attribute(other)) => one == other,
                (Common::Named(one), Common::Named(other)) => one == other,
                (Common::Batch, Common::Batch) => true,
                _ => false,
            }
    }
}

/// Asks the user's function for the lane of the record with these keys.
fn named(lanes: &KeyLanes, keys: Keys<'_>, facts: &RecordRef) -> Result<String, Box<Failure>> {
    let name = || guard("function of `Lanes::by_keys`", || lanes.name(keys));
    CurrentRecord::new(facts).in_scope(name).map_err(Box::new)?.map_err(undecoded)
}

/// The failure of a record whose keys do not decode.
#[cold]
fn undecoded(error: DecodeError) -> Box<Failure> {
    Box::new(Failure::of(ErrorKind::Decode, &error.within("Keys")))
}

/// Identifies a record's table.
fn name(facts: &RecordRef) -> Option<&str> {
    facts.table_arn().or_else(|| facts.stream_arn())
}
