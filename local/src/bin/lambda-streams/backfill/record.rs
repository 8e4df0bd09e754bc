//! A backfill's record: an item, as the stream would carry it, without a sequence number.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use lambda_streams::Record;
use serde_json::value::{RawValue, to_raw_value};

use crate::deliver::Parcel;
use crate::table;

/// What an item is sent as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Insert,
    Modify,
    Remove,
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Self::Insert => "INSERT",
            Self::Modify => "MODIFY",
            Self::Remove => "REMOVE",
        }
    }
}

/// An item and its images, each in DynamoDB JSON.
#[derive(Debug)]
pub(crate) struct Change {
    pub(crate) kind: Kind,
    pub(crate) keys: Box<RawValue>,
    pub(crate) new_image: Option<Box<RawValue>>,
    pub(crate) old_image: Option<Box<RawValue>>,
    /// When it was written, where that is known.
    pub(crate) at: Option<SystemTime>,
    /// Which images there can be.
    pub(crate) view_type: &'static str,
}

/// What the records of one backfill have in common.
#[derive(Debug, Clone)]
pub(crate) struct Source {
    /// The stream of the table, or the table.
    pub(crate) arn: String,
}

impl Source {
    /// The record of a change, ready to be sent.
    ///
    /// The event id tells the item, and is the same in each backfill: a function that counts each id once counts each item
    /// once. The changes of an incremental export are distinguished by when they were written.
    pub(crate) fn parcel(&self, change: &Change, tag: u64) -> Parcel {
        let group = group(&self.arn, &change.keys);
        let since = change.at.and_then(|at| at.duration_since(UNIX_EPOCH).ok());
        let id = format!("backfill-{:032x}", group ^ since.map_or(0, |since| since.as_micros()));
        let images = [Some(&change.keys), change.new_image.as_ref(), change.old_image.as_ref()];
        let size: usize = images.into_iter().flatten().map(|image| image.get().len()).sum();
        let mut data: BTreeMap<&str, &RawValue> = BTreeMap::from([("Keys", &*change.keys)]);
        let (at, size, view_type) = (raw(&seconds(change.at)), raw(&size), raw(&change.view_type));
        data.insert("ApproximateCreationDateTime", &at);
        data.insert("SizeBytes", &size);
        data.insert("StreamViewType", &view_type);
        data.extend(change.new_image.as_deref().map(|image| ("NewImage", image)));
        data.extend(change.old_image.as_deref().map(|image| ("OldImage", image)));
        let json = Json {
            event_id: &id,
            event_name: change.kind.name(),
            event_version: "1.1",
            event_source: "aws:dynamodb",
            aws_region: table::region(&self.arn).unwrap_or_default(),
            dynamodb: data,
            arn: &self.arn,
        };
        let json = raw(&json).get().to_owned();
        // Either half of the hash tells items apart well enough to spread them.
        Parcel { json, name: id, item: group as u64, tag }
    }
}

#[derive(serde::Serialize)]
struct Json<'a> {
    #[serde(rename = "eventID")]
    event_id: &'a str,
    #[serde(rename = "eventName")]
    event_name: &'a str,
    #[serde(rename = "eventVersion")]
    event_version: &'a str,
    #[serde(rename = "eventSource")]
    event_source: &'a str,
    #[serde(rename = "awsRegion")]
    aws_region: &'a str,
    dynamodb: BTreeMap<&'a str, &'a RawValue>,
    #[serde(rename = "eventSourceARN")]
    arn: &'a str,
}

/// The hash of the table and the keys that all records of an item share.
pub(crate) fn group(arn: &str, keys: &RawValue) -> u128 {
    let arn = raw(&arn);
    let record = format!(r#"{{"dynamodb":{{"Keys":{}}},"eventSourceARN":{}}}"#, keys.get(), arn.get());
    group_of_record(&record)
}

/// The same of a record.
pub(crate) fn group_of_record(record: &str) -> u128 {
    let group = match Record::from_json(record) {
        Ok(record) => record.group_id(),
        Err(malformed) => malformed.group_id(),
    };
    u128::from_str_radix(&group, 16).expect("a group id is 32 hexadecimal digits")
}

/// The seconds of a time, of now where it is not known; with a fraction only where there is one.
fn seconds(at: Option<SystemTime>) -> serde_json::Number {
    let since = |at: SystemTime| at.duration_since(UNIX_EPOCH).unwrap_or_default();
    match at.map(since) {
        None => Duration::as_secs(&since(SystemTime::now())).into(),
        Some(at) if at.subsec_nanos() == 0 => at.as_secs().into(),
        Some(at) => serde_json::Number::from_f64(at.as_secs_f64()).unwrap_or_else(|| at.as_secs().into()),
    }
}

fn raw(value: &impl serde::Serialize) -> Box<RawValue> {
    to_raw_value(value).expect("strings, numbers and JSON are serializable")
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    const ARN: &str = "arn:aws:dynamodb:eu-central-1:123456789012:table/orders/stream/2026-01-01T00:00:00.000";

    fn change(id: &str) -> Change {
        Change {
            kind: Kind::Insert,
            keys: raw(&json!({"id": {"S": id}})),
            new_image: Some(raw(&json!({"id": {"S": id}, "n": {"N": "1.50"}}))),
            old_image: None,
            at: Some(UNIX_EPOCH + Duration::from_millis(1_767_225_600_500)),
            view_type: "NEW_AND_OLD_IMAGES",
        }
    }

    #[test]
    fn a_record_is_one_of_the_stream_without_a_number() {
        let source = Source { arn: ARN.to_owned() };
        let parcel = source.parcel(&change("a"), 3);
        let mut record: Value = serde_json::from_str(&parcel.json).expect("it is JSON");
        let id = record["eventID"].take();
        assert_eq!(id, parcel.name.as_str());
        assert!(parcel.name.len() == "backfill-".len() + 32, "{}", parcel.name);
        let expected = json!({
            "eventID": null, "eventName": "INSERT", "eventVersion": "1.1", "eventSource": "aws:dynamodb",
            "awsRegion": "eu-central-1", "eventSourceARN": ARN,
            "dynamodb": {
                "ApproximateCreationDateTime": 1_767_225_600.5, "Keys": {"id": {"S": "a"}},
                "NewImage": {"id": {"S": "a"}, "n": {"N": "1.50"}}, "SizeBytes": 49,
                "StreamViewType": "NEW_AND_OLD_IMAGES"
            }
        });
        assert_eq!(record, expected);
        assert!(Record::from_json(parcel.json.as_str()).is_ok(), "the library takes it without a number");
        assert_eq!(parcel.tag, 3);
    }

    #[test]
    fn an_item_has_one_name_and_its_changes_of_an_incremental_export_have_others() {
        let source = Source { arn: ARN.to_owned() };
        let item = |id: &str| Change { at: None, ..change(id) };
        let (a, b) = (source.parcel(&item("a"), 0), source.parcel(&item("b"), 1));
        let again = source.parcel(&Change { new_image: None, ..item("a") }, 2);
        assert_eq!((&a.name, a.item), (&again.name, again.item));
        assert!(a.name != b.name && a.item != b.item);
        assert_eq!(a.name, format!("backfill-{:032x}", group(ARN, &item("a").keys)));
        let later = |micros| Change { at: Some(UNIX_EPOCH + Duration::from_micros(micros)), ..change("a") };
        let (first, second) = (source.parcel(&later(1), 0), source.parcel(&later(2), 0));
        assert!(first.name != a.name && first.name != second.name, "{first:?}");
        assert_eq!((first.item, second.item), (a.item, a.item), "and their order is kept");
        assert_eq!(group(ARN, &item("a").keys), group_of_record(&a.json));
    }
}
