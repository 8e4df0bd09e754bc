//! `--compare-with-table`: whether a record's image is still what the table holds.
//!
//! A check before the act, not a guarantee: the item can change between the check and the invocation.

use std::collections::HashMap;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::KeysAndAttributes;
use serde_json::Value;

use super::attributes::{self, Item};
use super::calls::{self, Backoff};
use crate::failure::Failure;

/// How many items `BatchGetItem` reads at once.
const MAX_KEYS: usize = 100;

/// What the table says of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Currency {
    /// The item is as the record says: equal to the new image, or not there after a removal.
    Current,
    /// The item is another one now, or gone, or back.
    MovedOn,
    /// The record has no image to compare, or no keys that can be read.
    Unknown,
}

/// Looks items up, with consistent reads.
pub(crate) struct Comparison {
    client: Client,
    table: String,
}

/// A record, as far as it can be compared.
struct Compared {
    keys: Value,
    image: Option<Value>,
    is_removal: bool,
}

impl Comparison {
    /// The table by its name or ARN.
    pub(crate) fn new(client: Client, table: impl Into<String>) -> Self {
        Self { client, table: table.into() }
    }

    /// What the table says of each of these records, in their order.
    ///
    /// # Errors
    /// If the items cannot be read: a call is denied, a key is not one of this table, or the endpoint cannot be reached.
    pub(crate) async fn of<R: AsRef<str>>(&self, records: &[R]) -> Result<Vec<Currency>, Failure> {
        let mut compared: Vec<Option<Compared>> =
            records.iter().map(|record| Compared::read(record.as_ref())).collect();
        // The same key twice in one call is an error.
        let mut wanted: HashMap<String, Item> = HashMap::new();
        for record in &mut compared {
            *record = record.take().and_then(|compared| {
                let keys = attributes::from_json(&compared.keys).ok().filter(|keys| !keys.is_empty())?;
                wanted.insert(name(&compared.keys), keys);
                Some(compared)
            });
        }
        let mut found: HashMap<String, Value> = HashMap::new();
        let keys: Vec<Item> = wanted.into_values().collect();
        let names: Vec<String> = keys.first().map(|keys| keys.keys().cloned().collect()).unwrap_or_default();
        for item in get(&self.client, &self.table, keys).await? {
            let item = attributes::to_json(&item);
            let item = item.map_err(|why| Failure::failed(format!("table `{}`: {why}", self.table)))?;
            let keys = names.iter().filter_map(|name| Some((name.clone(), item.get(name)?.clone())));
            found.insert(name(&Value::Object(keys.collect())), item);
        }
        Ok(compared.iter().map(|compared| currency(compared.as_ref(), &found)).collect())
    }
}

/// The items that are there of these keys, which are different ones, with consistent reads. What the service leaves
/// unprocessed is asked for again.
///
/// # Errors
/// If they cannot be read.
pub(crate) async fn get(client: &Client, table: &str, mut keys: Vec<Item>) -> Result<Vec<Item>, Failure> {
    let mut items = Vec::new();
    let mut backoff = Backoff::default();
    while !keys.is_empty() {
        let batch = keys.split_off(keys.len().saturating_sub(MAX_KEYS));
        let request = KeysAndAttributes::builder().set_keys(Some(batch)).consistent_read(true).build();
        let request = request.map_err(Failure::failed)?;
        let call = async || client.batch_get_item().request_items(table, request.clone()).send().await;
        let output = calls::patiently(call).await.map_err(|error| {
            Failure::failed(calls::explain(&format!("table `{table}`"), "dynamodb:BatchGetItem", &error))
        })?;
        items.extend(output.responses.into_iter().flatten().flat_map(|(_, items)| items));
        let left: Vec<Item> = output.unprocessed_keys.into_iter().flatten().flat_map(|(_, left)| left.keys).collect();
        if left.is_empty() {
            backoff = Backoff::default();
        } else {
            keys.extend(left);
            backoff.wait().await;
        }
    }
    Ok(items)
}

impl Compared {
    fn read(record: &str) -> Option<Self> {
        let mut record: Value = serde_json::from_str(record).ok()?;
        let is_removal = record.get("eventName").and_then(Value::as_str) == Some("REMOVE");
        let change = record.get_mut("dynamodb")?;
        let keys = change.get_mut("Keys").map(Value::take).filter(Value::is_object)?;
        let image = change.get_mut("NewImage").map(Value::take).filter(Value::is_object);
        Some(Self { keys, image, is_removal })
    }
}

/// One name of equal keys.
fn name(keys: &Value) -> String {
    attributes::canonical(keys).to_string()
}

fn currency(record: Option<&Compared>, found: &HashMap<String, Value>) -> Currency {
    let Some(record) = record else { return Currency::Unknown };
    match (found.get(&name(&record.keys)), &record.image) {
        (item, _) if record.is_removal => {
            if item.is_none() {
                Currency::Current
            } else {
                Currency::MovedOn
            }
        }
        (None, _) => Currency::MovedOn,
        (Some(_), None) => Currency::Unknown,
        (Some(item), Some(image)) if attributes::canonical(item) == attributes::canonical(image) => Currency::Current,
        (Some(_), Some(_)) => Currency::MovedOn,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// What a table says that has one item.
    fn of(record: &Value, item: Option<Value>) -> Currency {
        let found = item.map(|item| (name(&json!({"id": item["id"]})), item)).into_iter().collect();
        currency(Compared::read(&record.to_string()).as_ref(), &found)
    }

    #[test]
    fn a_record_is_current_if_its_image_is_the_item() {
        let (keys, image) =
            (json!({"id": {"N": "1.0"}}), json!({"id": {"N": "1.0"}, "n": {"N": "2.50"}, "s": {"SS": ["b", "a"]}}));
        let same = json!({"id": {"N": "1"}, "n": {"N": "2.5"}, "s": {"SS": ["a", "b"]}});
        let other = json!({"id": {"N": "1"}, "n": {"N": "3"}, "s": {"SS": ["a", "b"]}});
        let more = json!({"id": {"N": "1"}, "n": {"N": "2.5"}, "s": {"SS": ["a", "b"]}, "m": {"BOOL": true}});
        let insert = json!({"eventName": "INSERT", "dynamodb": {"Keys": keys, "NewImage": image}});
        let keys_only = json!({"eventName": "MODIFY", "dynamodb": {"Keys": keys}});
        let remove = json!({"eventName": "REMOVE", "dynamodb": {"Keys": keys, "OldImage": image}});
        let table = [
            (&insert, Some(&same), Currency::Current),
            (&insert, Some(&other), Currency::MovedOn),
            (&insert, Some(&more), Currency::MovedOn),
            (&insert, None, Currency::MovedOn),
            (&keys_only, Some(&same), Currency::Unknown),
            (&keys_only, None, Currency::MovedOn),
            (&remove, None, Currency::Current),
            (&remove, Some(&same), Currency::MovedOn),
            (&json!({"eventName": "INSERT", "dynamodb": {"NewImage": image}}), Some(&same), Currency::Unknown),
            (&json!(null), None, Currency::Unknown),
        ];
        for (record, item, expected) in table {
            assert_eq!(of(record, item.cloned()), expected, "{record}");
        }
    }
}
