//! Reads records from files of events, of records, or of items, and makes one closed shard of them.

mod items;

use std::collections::HashMap;

use lambda_streams::PayloadKind;
use serde_json::value::RawValue;

use crate::event_text::event_in;
use crate::memory::MemorySource;
use crate::source::{SourceError, SourceRecord};

/// The stream of records that name none.
const STREAM_ARN: &str = "arn:aws:dynamodb:us-east-1:123456789012:table/local/stream/2026-01-01T00:00:00.000";
/// The one shard that files become.
const SHARD: &str = "shardId-00000001700000000000-f11e5000";

/// Collects records from JSON text, such as files or standard input, in the order in which they are added.
///
/// The records become one closed shard of a stream, so an event source mapping over it ends when every record is done or discarded.
///
/// ```
/// use lambda_streams_local::RecordFiles;
///
/// let mut files = RecordFiles::new();
/// files.add_events("captured.json", r#"{"Records": [{"eventID": "1", "dynamodb": {"SequenceNumber": "111"}}]}"#)?;
/// files.add_items("items.ndjson", "{\"id\": \"a\", \"stock\": 3}\n{\"id\": \"a\", \"stock\": 2}", &["id"])?;
/// assert_eq!(files.len(), 3); // the second item `a` is a modification
/// let source = files.into_source()?;
/// # Ok::<(), lambda_streams_local::SourceError>(())
/// ```
#[derive(Debug, Default)]
pub struct RecordFiles {
    records: Vec<SourceRecord>,
    stream_arn: Option<String>,
    /// The current items by their keys: another one with the same key is a modification.
    items: HashMap<String, String>,
}

impl RecordFiles {
    /// An empty collection.
    pub fn new() -> Self {
        Self::default()
    }

    /// The number of records.
    pub fn len(&self) -> usize {
        self.records.len()
    }

    /// Whether there are no records.
    pub fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    /// Adds events (`{"Records": […]}`), arrays of records, or single records: one, or any number one after the other, as
    /// in NDJSON. What wraps an event is unwrapped, as [`event_in`](crate::event_in) does: an on-failure document of a bucket
    /// gives its records back. Malformed records are kept as they are, because the function has to deal with them. Returns
    /// the number of records added.
    ///
    /// # Errors
    /// If the text is not valid JSON, or contains something other than a stream's events and records. The error names the text by
    /// `name`.
    pub fn add_events(&mut self, name: &str, text: &str) -> Result<usize, SourceError> {
        let before = self.len();
        for (position, value) in values(name, text)?.into_iter().enumerate() {
            let refuse =
                |why: &dyn std::fmt::Display| SourceError::new(format!("{name}: value {}: {why}", position + 1));
            let event = event_in(value.get()).map_err(|error| refuse(&error))?;
            let value = serde_json::from_str::<&RawValue>(&event).map_err(|error| refuse(&error))?;
            match PayloadKind::of(value.get().as_bytes()) {
                PayloadKind::DynamoDbStream | PayloadKind::UnknownRecords => {
                    #[derive(serde::Deserialize)]
                    struct Event<'a> {
                        #[serde(borrow, rename = "Records")]
                        records: Vec<&'a RawValue>,
                    }
                    let event: Event<'_> = parse(name, position, value)?;
                    self.add(event.records)?;
                }
                PayloadKind::RecordArray => self.add(parse::<Vec<&RawValue>>(name, position, value)?)?,
                PayloadKind::SingleRecord => self.add([value])?,
                kind => {
                    return Err(SourceError::new(format!(
                        "{name}: value {} is neither a stream's event nor a record, but looks like {kind}",
                        position + 1
                    )));
                }
            }
        }
        Ok(self.len() - before)
    }

    /// Adds items, one after the other as in NDJSON, each as a change of a table with the key attributes `keys`: a new key
    /// is an INSERT, a known key a MODIFY, and an unchanged item adds no record. Returns the number of records added.
    ///
    /// Items are plain JSON, DynamoDB JSON (`{"id": {"S": "a"}}`), or a line of DynamoDB's export (`{"Item": {…}}`). An
    /// item is read as DynamoDB JSON if all of its members look like it.
    ///
    /// # Errors
    /// If the text is not valid JSON, or contains something that is not an item, or lacks a key. The error names the text by `name`.
    pub fn add_items(&mut self, name: &str, text: &str, keys: &[&str]) -> Result<usize, SourceError> {
        let before = self.len();
        for (position, value) in values(name, text)?.into_iter().enumerate() {
            let refuse = |why| SourceError::new(format!("{name}: item {}: {why}", position + 1));
            let item = items::Item::read(value, keys).map_err(refuse)?;
            let old = self.items.insert(item.keys.clone(), item.image.clone());
            if old.as_ref() != Some(&item.image) {
                let number = self.len() + 1;
                self.records.push(SourceRecord::from_json(item.into_record(number, old.as_deref(), STREAM_ARN))?);
            }
        }
        Ok(self.len() - before)
    }

    /// The records as a stream of one closed shard. The stream has the ARN that the first record names.
    ///
    /// # Errors
    /// If there is no record.
    pub fn into_source(self) -> Result<MemorySource, SourceError> {
        if self.is_empty() {
            return Err(SourceError::new("there are no records in the input"));
        }
        let arn = self.stream_arn.unwrap_or_else(|| STREAM_ARN.to_owned());
        MemorySource::new(arn).shard(SHARD, None, self.records.iter().map(SourceRecord::json))
    }

    pub(crate) fn records(&self) -> &[SourceRecord] {
        &self.records
    }

    fn add<'a>(&mut self, records: impl IntoIterator<Item = &'a RawValue>) -> Result<(), SourceError> {
        for record in records {
            self.stream_arn = self.stream_arn.take().or_else(|| stream_arn(record));
            self.records.push(SourceRecord::from_json(record.get())?);
        }
        Ok(())
    }
}

fn stream_arn(record: &RawValue) -> Option<String> {
    #[derive(serde::Deserialize)]
    struct Named {
        #[serde(rename = "eventSourceARN")]
        arn: Option<String>,
    }
    serde_json::from_str::<Named>(record.get()).ok()?.arn
}

/// The JSON values of a text, one after the other.
fn values<'a>(name: &str, text: &'a str) -> Result<Vec<&'a RawValue>, SourceError> {
    let text = text.strip_prefix('\u{FEFF}').unwrap_or(text);
    let values = serde_json::Deserializer::from_str(text).into_iter::<&RawValue>().collect::<Result<Vec<_>, _>>();
    values.map_err(|error| SourceError::new(format!("{name} is not valid JSON: {error}")))
}

fn parse<'a, T: serde::Deserialize<'a>>(name: &str, position: usize, value: &'a RawValue) -> Result<T, SourceError> {
    serde_json::from_str(value.get())
        .map_err(|error| SourceError::new(format!("{name}: value {} cannot be read: {error}", position + 1)))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    const RECORD: &str = r#"{"eventID":"1","eventSource":"aws:dynamodb","dynamodb":{"SequenceNumber":"111"}}"#;

    fn texts(files: &RecordFiles) -> Vec<&str> {
        files.records.iter().map(SourceRecord::json).collect()
    }

    #[test]
    fn every_form_of_events_gives_its_records_as_they_are() {
        let table = [
            (format!(r#"{{"Records": [{RECORD}, null, {{"x":1}}]}}"#), vec![RECORD, "null", r#"{"x":1}"#]),
            (format!("\u{FEFF}{{\"Records\":[{RECORD}]}}\n{{\"Records\":[]}}\n"), vec![RECORD]),
            (format!("{RECORD}\n\n{RECORD}\n"), vec![RECORD, RECORD]),
            (format!("[{RECORD}]"), vec![RECORD]),
            (r#"{"Records": [null]}"#.to_owned(), vec!["null"]),
            (serde_json::to_string(&format!("[{RECORD}]")).expect("a text"), vec![RECORD]),
            (String::new(), vec![]),
        ];
        for (text, expected) in table {
            let mut files = RecordFiles::new();
            assert_eq!(files.add_events("it", &text).expect("it is read"), expected.len(), "{text}");
            assert_eq!(texts(&files), expected);
        }
    }

    #[test]
    fn what_is_not_an_event_is_refused_with_what_it_looks_like() {
        let table = [
            ("{", "it is not valid JSON: EOF while parsing an object at line 1 column 1"),
            (
                r#"{"id": "a"}"#,
                "it: value 1 is neither a stream's event nor a record, but looks like an object without `Records`",
            ),
            (
                r#"{"Records":[{"eventSource":"aws:sqs"}]}"#,
                "it: value 1 is neither a stream's event nor a record, but looks like an SQS event",
            ),
        ];
        for (text, expected) in table {
            let error = RecordFiles::new().add_events("it", text).expect_err(text);
            assert_eq!(error.to_string(), expected);
        }
        let error = RecordFiles::new().into_source().expect_err("nothing is in it");
        assert_eq!(error.to_string(), "there are no records in the input");
    }

    #[test]
    fn items_become_the_changes_of_a_table() {
        let mut files = RecordFiles::new();
        let text = r#"{"id": "a", "n": 1.50, "l": [true, null, {"x": "y"}]}
            {"id": {"S": "a"}, "n": {"N": "2"}}
            {"Item": {"id": {"S": "a"}, "n": {"N": "2"}}}
            {"id": "b"}"#;
        assert_eq!(files.add_items("it", text, &["id"]).expect("they are read"), 3);
        let records: Vec<Value> = texts(&files).iter().map(|text| serde_json::from_str(text).expect("JSON")).collect();
        let first = json!({"id": {"S": "a"}, "n": {"N": "1.50"},
            "l": {"L": [{"BOOL": true}, {"NULL": true}, {"M": {"x": {"S": "y"}}}]}});
        let expected = [
            ("INSERT", "a", first.clone(), Value::Null),
            ("MODIFY", "a", json!({"id": {"S": "a"}, "n": {"N": "2"}}), first),
            ("INSERT", "b", json!({"id": {"S": "b"}}), Value::Null),
        ];
        for (record, (kind, key, new, old)) in records.iter().zip(expected) {
            assert_eq!(record["eventName"], kind);
            assert_eq!(record["dynamodb"]["Keys"], json!({"id": {"S": key}}));
            assert_eq!(record["dynamodb"]["NewImage"], new);
            assert_eq!(record["dynamodb"]["OldImage"], old);
        }
        let numbers: Vec<_> = files.records.iter().filter_map(SourceRecord::sequence_number).collect();
        assert_eq!(numbers.len(), 3);
        assert!(numbers.iter().map(|number| number.as_str()).is_sorted());
    }

    #[test]
    fn an_item_without_its_key_is_refused() {
        let deep = format!("{}1{}", "[".repeat(40), "]".repeat(40));
        let table = [
            (r#"{"id": "a"}{"name": "b"}"#.to_owned(), "it: item 2: it has no key attribute `id`"),
            (r#"{"id": true}"#.to_owned(), "it: item 1: its key attribute `id` is not a string, number or binary"),
            ("[1]".to_owned(), "it: item 1: it is not an object"),
            (format!(r#"{{"id": "a", "l": {deep}}}"#), "it: item 1: it nests deeper than DynamoDB's 32 levels"),
        ];
        for (text, expected) in table {
            let error = RecordFiles::new().add_items("it", &text, &["id"]).expect_err(&text);
            assert_eq!(error.to_string(), expected);
        }
    }
}
