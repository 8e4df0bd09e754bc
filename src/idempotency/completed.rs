//! The set of records after a checkpoint that are done. It is exact: a record is in it only if it was put into it.

use std::collections::BTreeMap;
use std::fmt;

use super::key::{Digest, digest};
use crate::record::{Record, RecordRef};

/// How a record was completed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Completion {
    Succeeded,
    DeadLettered,
}

/// The records after a checkpoint that are done, which Lambda redelivers with it.
///
/// The processor makes it when an invocation ends, and an [`IdempotencyStore`](crate::IdempotencyStore) keeps it. For each record it holds
/// 16 bytes of a SHA-256 hash of the stream, sequence number and event id, and whether the record became a dead letter. That is 17 bytes a
/// record, and no item data.
///
/// A test can make it from records, as if an earlier environment had processed them successfully.
///
/// ```
/// use lambda_streams::CompletedRecords;
/// use lambda_streams::testing::TestStream;
/// use serde_json::json;
///
/// let event = TestStream::new("orders", &["id"]).insert(json!({"id": {"S": "a"}})).insert(json!({"id": {"S": "b"}})).event()?;
/// let records = event.records().collect::<Result<Vec<_>, _>>()?;
/// let completed = CompletedRecords::from_iter(&records[1..]);
/// assert_eq!(completed.len(), 1);
/// assert!(CompletedRecords::from_bytes(&completed.to_bytes()).is_some_and(|read| read == completed));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, PartialEq, Eq, Default)]
pub struct CompletedRecords {
    records: BTreeMap<Digest, Completion>,
}

/// The version of the bytes below. Others are not read.
const VERSION: u8 = 1;
const ENTRY: usize = size_of::<Digest>() + 1;

impl CompletedRecords {
    /// The number of records.
    pub fn len(&self) -> usize {
        self.records.len()
    }

    /// Whether there are no records.
    pub fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    /// The set as bytes, for a store to keep: 1 byte, and 17 bytes a record. A batch has at most 10,000 records.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(1 + self.len() * ENTRY);
        bytes.push(VERSION);
        for (record, completion) in &self.records {
            bytes.extend_from_slice(record);
            bytes.push(u8::from(*completion == Completion::DeadLettered));
        }
        bytes
    }

    /// Reads what [`to_bytes`](Self::to_bytes) has written; `None` for anything else.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (&VERSION, entries) = bytes.split_first()? else { return None };
        let (entries, []) = entries.as_chunks::<ENTRY>() else { return None };
        let read = |entry: &[u8; ENTRY]| {
            let (record, [completion]) = entry.split_first_chunk()? else { return None };
            let completion = match completion {
                0 => Completion::Succeeded,
                1 => Completion::DeadLettered,
                _ => return None,
            };
            Some((*record, completion))
        };
        let records = entries.iter().map(read).collect::<Option<_>>()?;
        Some(Self { records })
    }

    /// How the record was completed; `None` if it is not in the set, or no sequence number names it.
    pub(crate) fn find(&self, record: &RecordRef) -> Option<Completion> {
        self.records.get(&id(record)?).copied()
    }

    /// Adds a record, if a sequence number names it.
    pub(crate) fn insert(&mut self, record: &RecordRef, completion: Completion) {
        if let Some(id) = id(record) {
            self.records.insert(id, completion);
        }
    }
}

/// What distinguishes a record from all others; `None` for a record without a sequence number.
fn id(record: &RecordRef) -> Option<Digest> {
    let number = record.sequence_number()?.as_str();
    Some(digest(["record", record.stream_arn().unwrap_or_default(), number, record.event_id().unwrap_or_default()]))
}

/// Records that succeeded.
impl<'a> FromIterator<&'a Record> for CompletedRecords {
    fn from_iter<I: IntoIterator<Item = &'a Record>>(records: I) -> Self {
        let mut completed = Self::default();
        for record in records {
            completed.insert(record.reference(), Completion::Succeeded);
        }
        completed
    }
}

/// Shows how many records there are.
impl fmt::Debug for CompletedRecords {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CompletedRecords").field("len", &self.len()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(number: usize) -> RecordRef {
        let json = format!(
            r#"{{"eventID":"e{number}","eventName":"REMOVE","eventSource":"aws:dynamodb","eventSourceARN":"arn",
                "dynamodb":{{"Keys":{{"id":{{"S":"a"}}}},"SequenceNumber":"{number}"}}}}"#
        );
        RecordRef::of_text(json)
    }

    #[test]
    fn a_set_survives_its_bytes_and_holds_nothing_else() {
        let mut completed = CompletedRecords::default();
        for number in 0..100 {
            completed.insert(
                &record(number),
                if number % 3 == 0 { Completion::DeadLettered } else { Completion::Succeeded },
            );
        }
        let bytes = completed.to_bytes();
        assert_eq!(bytes.len(), 1 + 100 * 17);
        let read = CompletedRecords::from_bytes(&bytes).expect("our own bytes");
        assert_eq!(read, completed);
        assert_eq!(read.find(&record(3)), Some(Completion::DeadLettered));
        assert_eq!(read.find(&record(4)), Some(Completion::Succeeded));
        assert_eq!(read.find(&record(100)), None);
    }

    #[test]
    fn records_without_a_number_are_not_in_it() {
        let nameless = RecordRef::of_text(r#"{"eventID":"e1","dynamodb":{}}"#.to_owned());
        let mut completed = CompletedRecords::default();
        completed.insert(&nameless, Completion::Succeeded);
        assert!(completed.is_empty() && completed.find(&nameless).is_none());
    }

    #[test]
    fn records_are_told_apart_by_stream_number_and_event_id() {
        let completed = CompletedRecords::from_iter([&record(1).record().expect("well-formed")]);
        let other = |from: &str, to: &str| RecordRef::of_text(record(1).raw_json().replace(from, to));
        assert!(completed.find(&record(1)).is_some());
        for (from, to) in
            [("\"arn\"", "\"arm\""), ("\"e1\"", "\"e2\""), ("SequenceNumber\":\"1", "SequenceNumber\":\"2")]
        {
            assert!(completed.find(&other(from, to)).is_none(), "{to}");
        }
    }

    #[test]
    fn other_bytes_are_not_read() {
        let good = CompletedRecords::from_iter([&record(1).record().expect("well-formed")]).to_bytes();
        let changed = |at: usize, to: u8| {
            let mut bytes = good.clone();
            bytes[at] = to;
            bytes
        };
        for bytes in [&[][..], &[0], &good[..17], &changed(0, 2), &changed(17, 2), &[&good[..], &[0]].concat()] {
            assert!(CompletedRecords::from_bytes(bytes).is_none(), "{bytes:?}");
        }
        assert!(CompletedRecords::from_bytes(&[1]).is_some_and(|set| set.is_empty()));
    }
}
