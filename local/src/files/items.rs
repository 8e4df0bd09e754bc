//! Turns items, as a developer has them, into the records of a stream.

use std::collections::BTreeMap;
use std::time::SystemTime;

use serde_json::value::{RawValue, to_raw_value};
use serde_json::{Value, json};

/// How deep DynamoDB lets a value nest.
const MAX_DEPTH: usize = 32;
/// The sequence numbers count from here: 21 digits, as the shortest that occur.
const FIRST_SEQUENCE_NUMBER: u128 = 100_000_000_000_000_000_000;

type Attributes<'a> = BTreeMap<String, &'a RawValue>;

/// An item in DynamoDB JSON.
pub(super) struct Item {
    pub(super) keys: String,
    pub(super) image: String,
}

impl Item {
    pub(super) fn read(json: &RawValue, keys: &[&str]) -> Result<Self, String> {
        let json = exported(json).unwrap_or(json);
        let attributes = object(json).ok_or("it is not an object")?;
        let is_tagged = attributes.values().all(|value| is_tagged(value));
        let mut image = BTreeMap::new();
        for (name, value) in attributes {
            let value = if is_tagged { value.to_owned() } else { tagged(value, MAX_DEPTH)? };
            // One spelling, by which the same item is known again; in DynamoDB JSON numbers are text and stay it.
            let value: Value = serde_json::from_str(value.get()).map_err(|error| error.to_string())?;
            image.insert(name, value);
        }
        let mut own_keys = BTreeMap::new();
        for key in keys {
            let value = image.get(*key).ok_or_else(|| format!("it has no key attribute `{key}`"))?;
            if !["S", "N", "B"].iter().any(|tag| value.get(tag).is_some_and(Value::is_string)) {
                return Err(format!("its key attribute `{key}` is not a string, number or binary"));
            }
            own_keys.insert(*key, value);
        }
        Ok(Self { keys: text(&own_keys), image: text(&image) })
    }

    /// The record that a stream would carry of this change.
    pub(super) fn into_record(self, number: usize, old: Option<&str>, stream_arn: &str) -> String {
        let json = |text: &str| RawValue::from_string(text.to_owned()).expect("it was written as JSON");
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let size = self.keys.len() + self.image.len() + old.map_or(0, str::len);
        let mut change = BTreeMap::from([
            ("ApproximateCreationDateTime", raw(&now.as_secs())),
            ("Keys", json(&self.keys)),
            ("NewImage", json(&self.image)),
            ("SequenceNumber", raw(&(FIRST_SEQUENCE_NUMBER + number as u128).to_string())),
            ("SizeBytes", raw(&size)),
            ("StreamViewType", raw(&"NEW_AND_OLD_IMAGES")),
        ]);
        if let Some(old) = old {
            change.insert("OldImage", json(old));
        }
        let record = BTreeMap::from([
            ("eventID", raw(&format!("{number:032x}"))),
            ("eventName", raw(&if old.is_some() { "MODIFY" } else { "INSERT" })),
            ("eventVersion", raw(&"1.1")),
            ("eventSource", raw(&"aws:dynamodb")),
            ("awsRegion", raw(&"us-east-1")),
            ("dynamodb", raw(&change)),
            ("eventSourceARN", raw(&stream_arn)),
        ]);
        text(&record)
    }
}

/// The item of a line of DynamoDB's export to S3.
fn exported(json: &RawValue) -> Option<&RawValue> {
    let attributes = object(json)?;
    match attributes.first_key_value() {
        Some((name, item)) if name == "Item" && attributes.len() == 1 => {
            object(item)?.values().all(|value| is_tagged(value)).then_some(*item)
        }
        _ => None,
    }
}

/// Whether a value looks like DynamoDB JSON: an object of one member that is named as a type.
fn is_tagged(json: &RawValue) -> bool {
    const TAGS: [&str; 10] = ["S", "N", "B", "SS", "NS", "BS", "M", "L", "NULL", "BOOL"];
    object(json).is_some_and(|object| object.len() == 1 && object.keys().all(|tag| TAGS.contains(&tag.as_str())))
}

/// Plain JSON as DynamoDB JSON; numbers keep their text.
fn tagged(json: &RawValue, depth: usize) -> Result<Box<RawValue>, String> {
    if depth == 0 {
        return Err(format!("it nests deeper than DynamoDB's {MAX_DEPTH} levels"));
    }
    let text = json.get();
    let value = match text.as_bytes().first() {
        Some(b'{') => {
            let members = object(json).ok_or("it has an object with a name that is not text")?;
            let members = members.into_iter().map(|(name, value)| Ok((name, tagged(value, depth - 1)?)));
            to_raw_value(&BTreeMap::from([("M", members.collect::<Result<BTreeMap<_, _>, String>>()?)]))
        }
        Some(b'[') => {
            let elements: Vec<&RawValue> = serde_json::from_str(text).map_err(|error| error.to_string())?;
            let elements = elements.into_iter().map(|value| tagged(value, depth - 1)).collect::<Result<Vec<_>, _>>()?;
            to_raw_value(&BTreeMap::from([("L", elements)]))
        }
        Some(b'"') => to_raw_value(&BTreeMap::from([("S", json)])),
        Some(b't' | b'f') => to_raw_value(&BTreeMap::from([("BOOL", json)])),
        Some(b'n') => to_raw_value(&json!({"NULL": true})),
        _ => to_raw_value(&json!({"N": text})),
    };
    value.map_err(|error| error.to_string())
}

fn object(json: &RawValue) -> Option<Attributes<'_>> {
    json.get().starts_with('{').then(|| serde_json::from_str(json.get()).ok()).flatten()
}

fn raw(value: &impl serde::Serialize) -> Box<RawValue> {
    to_raw_value(value).expect("strings, numbers and JSON are serializable")
}

fn text(value: &impl serde::Serialize) -> String {
    raw(value).get().to_owned()
}
