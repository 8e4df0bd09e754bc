use std::collections::HashMap;
use std::ops::Range;

use foldhash::fast::RandomState;

use crate::decode::{DecodeError, KeyTexts};
use crate::policy::Lanes;
use crate::record::Facts;

/// Where records stand in their lanes.
#[derive(Default)]
pub(super) struct Assignment {
    /// Each record, in stream order, with the one before it in its lane.
    pub(super) records: Vec<(usize, Option<usize>)>,
    /// The records whose keys cannot be read; they stand alone, but in a batch of strict order.
    pub(super) faults: Vec<(usize, DecodeError)>,
}

/// Puts records into lanes.
pub(super) fn assign<'a>(lanes: &Lanes, records: impl Iterator<Item = (usize, &'a Facts)>) -> Assignment {
    let mut assignment = Assignment::default();
    let mut keys = Keys::default();
    let mut places = Vec::new();
    for (position, facts) in records {
        let place = keys.place(lanes, facts).unwrap_or_else(|error| {
            assignment.faults.push((position, error));
            Place::without_keys(lanes)
        });
        places.push((position, place));
    }
    let mut last = HashMap::with_capacity_and_hasher(places.len(), RandomState::default());
    assignment.records.extend(places.into_iter().map(|(position, place)| {
        let predecessor = match place {
            Place::Alone => None,
            Place::Lane { table, key } => last.insert((table, key.map(|key| keys.texts.get(key))), position),
        };
        (position, predecessor)
    }));
    assignment
}

/// Which lane a record belongs to.
enum Place {
    Alone,
    /// Records of the same table, by number, and the same text of what the lane goes by.
    Lane {
        table: usize,
        key: Option<Range<usize>>,
    },
}

impl Place {
    fn without_keys(lanes: &Lanes) -> Self {
        match lanes {
            Lanes::WholeBatch => Self::Lane { table: 0, key: None },
            _ => Self::Alone,
        }
    }
}

/// The keys of a batch: each text once, so that a record costs no allocation of its own.
#[derive(Default)]
struct Keys<'a> {
    texts: KeyTexts<'a>,
    /// The distinct stream ARNs, and their tables. A batch comes from one stream, so that the last is always it.
    streams: Vec<(Option<&'a str>, usize)>,
    tables: Vec<Option<&'a str>>,
}

impl<'a> Keys<'a> {
    fn place(&mut self, lanes: &Lanes, facts: &'a Facts) -> Result<Place, DecodeError> {
        let Some(json) = facts.keys_json() else { return Ok(Place::without_keys(lanes)) };
        let key = self.texts.push(json).map_err(|error| error.within("Keys"))?;
        Ok(match lanes {
            Lanes::WholeBatch | Lanes::Unordered => Place::without_keys(lanes),
            Lanes::PerItem => Place::Lane { table: self.table(facts), key: Some(key) },
            Lanes::PerKeyAttribute(name) => {
                Place::Lane { table: self.table(facts), key: self.texts.attribute(key, name) }
            }
        })
    }

    /// The number of the record's table.
    fn table(&mut self, facts: &'a Facts) -> usize {
        let stream = facts.stream_arn();
        if let Some((_, table)) = self.streams.iter().rfind(|(known, _)| *known == stream) {
            return *table;
        }
        let name = facts.table_arn().or(stream);
        let table = self.tables.iter().position(|known| *known == name).unwrap_or(self.tables.len());
        if table == self.tables.len() {
            self.tables.push(name);
        }
        self.streams.push((stream, table));
        table
    }
}
