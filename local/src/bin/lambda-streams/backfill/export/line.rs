//! A line of a data file, as a change.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::backfill::record::{Change, Kind};

/// The change that a line describes.
///
/// `keys` are the names of the key attributes, which a full export does not tell.
///
/// # Errors
/// If it is not a line of an export, or lacks a key. The error has nothing of the item.
pub(in crate::backfill) fn change(line: &[u8], keys: &[String], view_type: &'static str) -> Result<Change, String> {
    #[derive(Deserialize)]
    struct Line<'a> {
        #[serde(borrow, rename = "Item")]
        item: Option<BTreeMap<String, &'a RawValue>>,
        #[serde(rename = "Metadata")]
        metadata: Option<Metadata>,
        #[serde(borrow, rename = "Keys")]
        keys: Option<&'a RawValue>,
        #[serde(borrow, rename = "NewImage")]
        new_image: Option<&'a RawValue>,
        #[serde(borrow, rename = "OldImage")]
        old_image: Option<&'a RawValue>,
    }
    let line: Line<'_> =
        serde_json::from_slice(line).map_err(|error| format!("it is not a line of an export ({})", place(&error)))?;
    if let Some(item) = line.item {
        return inserted(&item, keys);
    }
    let own_keys = line.keys.ok_or("it has neither `Item` nor `Keys`: it is not a line of an export")?;
    let kind = match (line.new_image, line.old_image) {
        (Some(_), Some(_)) => Kind::Modify,
        (Some(_), None) => Kind::Insert,
        (None, _) => Kind::Remove,
    };
    Ok(Change {
        kind,
        keys: own_keys.to_owned(),
        new_image: line.new_image.map(ToOwned::to_owned),
        old_image: line.old_image.map(ToOwned::to_owned),
        at: line.metadata.and_then(|metadata| metadata.at()),
        view_type,
    })
}

/// The INSERT of an item that is there.
pub(in crate::backfill) fn inserted(item: &BTreeMap<String, &RawValue>, keys: &[String]) -> Result<Change, String> {
    let mut own_keys = BTreeMap::new();
    for key in keys {
        let value = item.get(key).ok_or_else(|| format!("its item has no key attribute `{key}`"))?;
        own_keys.insert(key, value);
    }
    let raw = |value: serde_json::Result<Box<RawValue>>| value.map_err(|error| error.to_string());
    Ok(Change {
        kind: Kind::Insert,
        keys: raw(serde_json::value::to_raw_value(&own_keys))?,
        new_image: Some(raw(serde_json::value::to_raw_value(item))?),
        old_image: None,
        at: None,
        view_type: "NEW_AND_OLD_IMAGES",
    })
}

#[derive(Deserialize)]
struct Metadata {
    #[serde(rename = "WriteTimestampMicros")]
    at: Option<Micros>,
}

/// DynamoDB JSON in the files; the documentation shows the number's text alone.
#[derive(Deserialize)]
#[serde(untagged)]
enum Micros {
    Tagged {
        #[serde(rename = "N")]
        number: String,
    },
    Text(String),
    Number(u64),
}

impl Metadata {
    fn at(self) -> Option<SystemTime> {
        let micros = match self.at? {
            Micros::Tagged { number } | Micros::Text(number) => number.parse().ok()?,
            Micros::Number(number) => number,
        };
        UNIX_EPOCH.checked_add(Duration::from_micros(micros))
    }
}

/// Where reading JSON failed: the error itself may quote the data.
fn place(error: &serde_json::Error) -> String {
    let what = match error.classify() {
        serde_json::error::Category::Data => "of another shape",
        _ => "not valid JSON",
    };
    format!("{what}, column {}", error.column())
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn a_line_of_each_form_is_a_change() {
        let keys = ["id".to_owned()];
        let id = json!({"id": {"S": "a"}});
        let (old, new) = (json!({"id": {"S": "a"}, "n": {"N": "1"}}), json!({"id": {"S": "a"}, "n": {"N": "2"}}));
        let micros = json!({"WriteTimestampMicros": {"N": "1680109764000001"}});
        let text = json!({"WriteTimestampMicros": "1680109764000001"});
        let number = json!({"WriteTimestampMicros": 1_680_109_764_000_001_u64});
        let at = Some(UNIX_EPOCH + Duration::from_micros(1_680_109_764_000_001));
        let table = [
            (json!({"Item": new}), Kind::Insert, Some(&new), None, None),
            (json!({"Metadata": micros, "Keys": id, "NewImage": new}), Kind::Insert, Some(&new), None, at),
            (
                json!({"Metadata": text, "Keys": id, "NewImage": new, "OldImage": old}),
                Kind::Modify,
                Some(&new),
                Some(&old),
                at,
            ),
            (json!({"Metadata": number, "Keys": id, "OldImage": old}), Kind::Remove, None, Some(&old), at),
            (json!({"Keys": id}), Kind::Remove, None, None, None),
        ];
        let parse = |image: Option<Box<RawValue>>| image.map(|raw| serde_json::from_str::<Value>(raw.get()).unwrap());
        for (line, kind, new, old, at) in table {
            let change = change(line.to_string().as_bytes(), &keys, "NEW_IMAGE").unwrap();
            assert_eq!((change.kind, change.at), (kind, at), "{line}");
            assert_eq!(parse(Some(change.keys)), Some(id.clone()));
            assert_eq!((parse(change.new_image).as_ref(), parse(change.old_image).as_ref()), (new, old), "{line}");
        }
    }

    #[test]
    fn a_malformed_line_is_reported_without_its_data() {
        let keys = ["id".to_owned()];
        let table = [
            (r#"{"Item":{"name":{"S":"secret"}}}"#, "its item has no key attribute `id`"),
            (r#"{"name":{"S":"secret"}}"#, "it has neither `Item` nor `Keys`: it is not a line of an export"),
            (r#"{"Item":"secret"}"#, "it is not a line of an export (of another shape, column 16)"),
            (r#"{"Item":{"id":{"S":"secret"#, "it is not a line of an export (not valid JSON, column 26)"),
        ];
        for (line, expected) in table {
            assert_eq!(change(line.as_bytes(), &keys, "NEW_IMAGE").map(|_| ()), Err(expected.to_owned()));
        }
    }
}
