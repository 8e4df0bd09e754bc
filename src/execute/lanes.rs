//! Which lane a record belongs to, and who stands there before it.

use std::hash::BuildHasher;

use foldhash::fast::RandomState;
use hashbrown::HashTable;

use crate::decode::{self, DecodeError, KeyValue};
use crate::policy::Lanes;
use crate::record::RecordRef;

/// The lanes of a batch, which its records enter in stream order.
pub(super) struct LaneMap<'a> {
    policy: &'a Lanes,
    lanes: Vec<Lane<'a>>,
    /// The lanes' numbers, found by what the lanes go by.
    numbers: HashTable<usize>,
    hasher: RandomState,
    /// A record of each stream ARN, and the number of its table. A batch comes from one stream, so that the last is always it.
    streams: Vec<(RecordRef, usize)>,
    /// A record of each table.
    tables: Vec<RecordRef>,
}

struct Lane<'a> {
    key: LaneKey<'a>,
    /// The position of its last record.
    last: usize,
}

/// What a lane goes by: its table, by number, and what its records have in common.
struct LaneKey<'a> {
    table: usize,
    common: Common<'a>,
    hash: u64,
}

enum Common<'a> {
    /// The item's primary key, as one of the records spells it.
    Item(&'a str),
    /// The value of a key attribute, or that they do not have it.
    Attribute(Option<KeyValue<'a>>),
    Batch,
}

impl<'a> LaneMap<'a> {
    /// For about so many records.
    pub(super) fn new(policy: &'a Lanes, records: usize) -> Self {
        Self {
            policy,
            lanes: Vec::with_capacity(records),
            numbers: HashTable::with_capacity(records),
            hasher: RandomState::default(),
            streams: Vec::new(),
            tables: Vec::new(),
        }
    }

    /// Has the next record enter its lane; gives the one before it there, or says why its keys cannot be read: then it stands
    /// alone, but in a batch of strict order.
    pub(super) fn enter(
        &mut self,
        position: usize,
        facts: &RecordRef,
        keys: Option<&'a str>,
    ) -> (Option<usize>, Option<DecodeError>) {
        let (key, error) = match keys.map(|json| self.key(json, facts)) {
            Some(Ok(key)) => (key, None),
            Some(Err(error)) => (self.without_keys(), Some(error.within("Keys"))),
            None => (self.without_keys(), None),
        };
        (key.and_then(|key| self.put_last(key, position)), error)
    }

    fn put_last(&mut self, key: LaneKey<'a>, position: usize) -> Option<usize> {
        let Self { lanes, numbers, .. } = self;
        if let Some(number) = numbers.find(key.hash, |number| lanes[*number].key == key) {
            return Some(std::mem::replace(&mut lanes[*number].last, position));
        }
        numbers.insert_unique(key.hash, lanes.len(), |number| lanes[*number].key.hash);
        lanes.push(Lane { key, last: position });
        None
    }

    fn without_keys(&self) -> Option<LaneKey<'a>> {
        matches!(self.policy, Lanes::WholeBatch).then_some(LaneKey { table: 0, common: Common::Batch, hash: 0 })
    }

    fn key(&mut self, json: &'a str, facts: &RecordRef) -> Result<Option<LaneKey<'a>>, DecodeError> {
        let (common, hash) = match self.policy {
            Lanes::WholeBatch | Lanes::Unordered => {
                decode::check_keys(json)?;
                return Ok(self.without_keys());
            }
            Lanes::PerItem => (Common::Item(json), decode::hash_keys(json, &self.hasher)?),
            Lanes::PerKeyAttribute(name) => {
                let value = decode::key_value(json, name)?;
                let hash = self.hasher.hash_one(&value);
                (Common::Attribute(value), hash)
            }
        };
        let table = self.table(facts);
        Ok(Some(LaneKey { table, common, hash: hash.wrapping_add(table as u64) }))
    }

    /// The number of the record's table.
    fn table(&mut self, facts: &RecordRef) -> usize {
        let stream = facts.stream_arn();
        if let Some((_, table)) = self.streams.iter().rfind(|(known, _)| known.stream_arn() == stream) {
            return *table;
        }
        let table = self.tables.iter().position(|known| name(known) == name(facts)).unwrap_or(self.tables.len());
        if table == self.tables.len() {
            self.tables.push(facts.clone());
        }
        self.streams.push((facts.clone(), table));
        table
    }
}

impl PartialEq for LaneKey<'_> {
    fn eq(&self, other: &Self) -> bool {
        // The hash first: it tells nearly all apart, and two spellings of a key cost more to compare.
        (self.hash, self.table) == (other.hash, other.table)
            && match (&self.common, &other.common) {
                (Common::Item(one), Common::Item(other)) => decode::are_same_keys(one, other),
                (Common::Attribute(one), Common::Attribute(other)) => one == other,
                (Common::Batch, Common::Batch) => true,
                _ => false,
            }
    }
}

/// What tells a record's table from others.
fn name(facts: &RecordRef) -> Option<&str> {
    facts.table_arn().or_else(|| facts.stream_arn())
}
