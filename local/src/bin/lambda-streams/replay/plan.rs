//! What is replayed: each record once, in the order of the stream, and the documents that it is of.

use std::collections::HashMap;

use lambda_streams::SequenceNumber;
use lambda_streams_local::SourceRecord;

use crate::journal::fnv;

/// The records of a replay, in the order in which they are sent.
#[derive(Debug, Default)]
pub(super) struct Plan {
    pub(super) entries: Vec<Entry>,
    places: HashMap<String, usize>,
}

/// A record of a replay.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) record: SourceRecord,
    /// What the journal calls it.
    pub(super) key: String,
    /// What an answer calls it; empty where it can only call it by its position.
    pub(super) name: String,
    /// The documents that it is of; several where batches overlap.
    pub(super) documents: Vec<usize>,
}

impl Plan {
    /// Adds a record of a stream's shard; one that is there already is only noted for this document. A record without a
    /// sequence number is identified by its `place`, which is the same in every run, and by its content.
    pub(super) fn add(
        &mut self,
        (stream, shard): (&str, &str),
        record: SourceRecord,
        document: Option<usize>,
        place: impl FnOnce() -> String,
    ) {
        let number = record.sequence_number().map(SequenceNumber::to_string);
        // Shards of two streams may have one name, and numbers are those of a shard.
        let key = match &number {
            Some(number) => format!("{stream}:{shard}:{number}"),
            None => format!("{}:{:016x}", place(), fnv(&[record.json()])),
        };
        let name = number.or_else(|| event_id(&record)).unwrap_or_default();
        let place = *self.places.entry(key.clone()).or_insert(self.entries.len());
        match self.entries.get_mut(place) {
            Some(entry) => entry.documents.extend(document),
            None => self.entries.push(Entry { record, key, name, documents: Vec::from_iter(document) }),
        }
    }

    /// Sorts by the sequence numbers, so a record of an earlier document comes first. A record without one follows the one before it.
    pub(super) fn sort(&mut self) {
        let mut last = String::new();
        let keyed = std::mem::take(&mut self.entries).into_iter().map(|entry| {
            if let Some(number) = entry.record.sequence_number() {
                last = number.to_padded();
            }
            (last.clone(), entry)
        });
        let mut keyed: Vec<(String, Entry)> = keyed.collect();
        keyed.sort_by(|(one, _), (other, _)| one.cmp(other));
        self.entries = keyed.into_iter().map(|(_, entry)| entry).collect();
        // Positions have changed, and nothing is added to a sorted plan.
        self.places.clear();
    }

    /// The last record of each item.
    pub(super) fn last_of_items(&self) -> Vec<&Entry> {
        let mut last: HashMap<u64, &Entry> = HashMap::new();
        for entry in &self.entries {
            last.insert(entry.record.item(), entry);
        }
        let mut entries: Vec<&Entry> = last.into_values().collect();
        entries.sort_unstable_by(|one, other| one.key.cmp(&other.key));
        entries
    }
}

fn event_id(record: &SourceRecord) -> Option<String> {
    #[derive(serde::Deserialize)]
    struct Named {
        #[serde(rename = "eventID")]
        id: Option<String>,
    }
    serde_json::from_str::<Named>(record.json()).ok()?.id.filter(|id| !id.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHARD: (&str, &str) = ("stream", "shard");

    fn record(number: &str, item: &str) -> SourceRecord {
        let json = format!(
            r#"{{"eventID":"e{number}","eventName":"INSERT","eventSource":"aws:dynamodb","dynamodb":{{"Keys":{{"id":{{"S":"{item}"}}}},"SequenceNumber":"{number}"}}}}"#
        );
        SourceRecord::from_json(json).unwrap()
    }

    #[test]
    fn a_record_of_two_documents_is_sent_once_and_documents_are_sorted_by_their_numbers() {
        let mut plan = Plan::default();
        for (document, number) in [(0, "1100"), (0, "1200"), (1, "900"), (1, "1100")] {
            plan.add(SHARD, record(number, "a"), Some(document), || "place 0".to_owned());
        }
        plan.sort();
        let entries: Vec<(&str, &[usize])> =
            plan.entries.iter().map(|entry| (entry.name.as_str(), entry.documents.as_slice())).collect();
        assert_eq!(entries, [("900", [1].as_slice()), ("1100", &[0, 1]), ("1200", &[0])]);
    }

    #[test]
    fn a_malformed_record_keeps_its_place() {
        let mut plan = Plan::default();
        plan.add(SHARD, record("1100", "a"), Some(0), || "place 0".to_owned());
        plan.add(SHARD, SourceRecord::from_json("null").unwrap(), Some(0), || "place 1".to_owned());
        plan.add(SHARD, record("1200", "a"), Some(0), || "place 2".to_owned());
        plan.add(SHARD, record("900", "b"), Some(1), || "place 0".to_owned());
        plan.add(SHARD, SourceRecord::from_json(r#"{"eventID":"e"}"#).unwrap(), Some(1), || "place 1".to_owned());
        plan.sort();
        let names: Vec<&str> = plan.entries.iter().map(|entry| entry.name.as_str()).collect();
        assert_eq!(names, ["900", "e", "1100", "", "1200"]);
    }

    #[test]
    fn of_an_item_the_last_record_counts() {
        let mut plan = Plan::default();
        for (number, item) in [("100", "a"), ("101", "b"), ("102", "a")] {
            plan.add(SHARD, record(number, item), None, || "place 0".to_owned());
        }
        let last: Vec<&str> = plan.last_of_items().iter().map(|entry| entry.name.as_str()).collect();
        assert_eq!(last, ["101", "102"]);
    }
}
