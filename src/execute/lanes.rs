//! Which lane a record belongs to, and who stands there before it.

use std::hash::BuildHasher;
use std::ops::Range;

use foldhash::fast::RandomState;
use hashbrown::HashTable;

use crate::decode::{DecodeError, KeyTexts};
use crate::policy::Lanes;
use crate::record::Facts;

/// The lanes of a batch, which its records enter in stream order.
pub(super) struct LaneMap<'a> {
    policy: &'a Lanes,
    lanes: Vec<Lane>,
    /// The lanes' numbers, found by what the lanes go by.
    numbers: HashTable<usize>,
    hasher: RandomState,
    texts: KeyTexts<'a>,
    /// A record of each stream ARN, and the number of its table. A batch comes from one stream, so that the last is always it.
    streams: Vec<(Facts, usize)>,
    /// A record of each table.
    tables: Vec<Facts>,
}

struct Lane {
    goes_by: LaneKey,
    /// The position of its last record.
    last: usize,
}

/// Records of the same table, by number, and the same text of what the lane goes by.
#[derive(Clone)]
struct LaneKey {
    table: usize,
    key: Option<Range<usize>>,
}

impl<'a> LaneMap<'a> {
    /// For about so many records.
    pub(super) fn new(policy: &'a Lanes, records: usize) -> Self {
        Self {
            policy,
            lanes: Vec::with_capacity(records),
            numbers: HashTable::with_capacity(records),
            hasher: RandomState::default(),
            texts: KeyTexts::default(),
            streams: Vec::new(),
            tables: Vec::new(),
        }
    }

    /// Has the next record enter its lane; gives the one before it there, or says why its keys cannot be read: then it stands
    /// alone, but in a batch of strict order.
    pub(super) fn enter(
        &mut self,
        position: usize,
        facts: &Facts,
        keys: Option<&'a str>,
    ) -> (Option<usize>, Option<DecodeError>) {
        let (key, error) = match keys.map(|json| self.key(json, facts)) {
            Some(Ok(key)) => (key, None),
            Some(Err(error)) => (self.without_keys(), Some(error.within("Keys"))),
            None => (self.without_keys(), None),
        };
        (key.and_then(|key| self.put_last(key, position)), error)
    }

    fn put_last(&mut self, key: LaneKey, position: usize) -> Option<usize> {
        let Self { lanes, numbers, hasher, texts, .. } = self;
        let text = |key: &LaneKey| key.key.clone().map(|key| texts.get(key));
        let hash = |key: &LaneKey| hasher.hash_one((key.table, text(key)));
        let is_same = |other: &LaneKey| other.table == key.table && text(other) == text(&key);
        let hashed = hash(&key);
        if let Some(number) = numbers.find(hashed, |number| is_same(&lanes[*number].goes_by)) {
            return Some(std::mem::replace(&mut lanes[*number].last, position));
        }
        numbers.insert_unique(hashed, lanes.len(), |number| hash(&lanes[*number].goes_by));
        lanes.push(Lane { goes_by: key, last: position });
        None
    }

    fn without_keys(&self) -> Option<LaneKey> {
        matches!(self.policy, Lanes::WholeBatch).then_some(LaneKey { table: 0, key: None })
    }

    fn key(&mut self, json: &'a str, facts: &Facts) -> Result<Option<LaneKey>, DecodeError> {
        let key = self.texts.push(json)?;
        Ok(match self.policy {
            Lanes::WholeBatch | Lanes::Unordered => self.without_keys(),
            Lanes::PerItem => Some(LaneKey { table: self.table(facts), key: Some(key) }),
            Lanes::PerKeyAttribute(name) => {
                Some(LaneKey { table: self.table(facts), key: self.texts.attribute(key, name) })
            }
        })
    }

    /// The number of the record's table.
    fn table(&mut self, facts: &Facts) -> usize {
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

/// What tells a record's table from others.
fn name(facts: &Facts) -> Option<&str> {
    facts.table_arn().or_else(|| facts.stream_arn())
}
