//! The items: generated, or the user's own.

use std::collections::{HashMap, HashSet};
use std::path::Path;

use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::AttributeValue;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value};

use crate::Failure;

pub(crate) type Item = HashMap<String, AttributeValue>;

const GENERATED: usize = 1_500;

/// One in this many generated items does not decode.
const BROKEN_EVERY: usize = 200;

/// Orders of a shop; a handful has no `status`. (One that is a number would not get past the table's index.)
pub(crate) fn generate(random: &mut fastrand::Rng) -> Vec<Item> {
    let item = |number: usize| {
        let mut item = Item::from([
            ("id".to_owned(), AttributeValue::S(format!("order-{number:05}"))),
            ("timestamp".to_owned(), AttributeValue::N((1_767_225_600 + number).to_string())),
            ("status".to_owned(), AttributeValue::S("new".to_owned())),
            ("total".to_owned(), AttributeValue::N(format!("{}.{:02}", random.u32(1..500), random.u32(0..100)))),
            ("tags".to_owned(), AttributeValue::Ss(vec!["shop".to_owned(), format!("region-{}", random.u32(0..5))])),
        ]);
        if number % BROKEN_EVERY == BROKEN_EVERY / 2 {
            item.remove("status");
        }
        item
    };
    (0..GENERATED).map(item).collect()
}

/// Reads a file of one item a line.
pub(crate) fn read(path: &Path) -> Result<Vec<Item>, Failure> {
    let name = path.display();
    let text = std::fs::read_to_string(path).map_err(|error| Failure::setup(format!("cannot read {name}: {error}")))?;
    let mut keys = HashSet::new();
    let mut items = Vec::new();
    for (number, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        let at = |what: String| Failure::setup(format!("{name}:{}: {what}", number + 1));
        let item = parse(line).map_err(at)?;
        if !keys.insert((format!("{:?}", item["id"]), format!("{:?}", item["timestamp"]))) {
            return Err(at("an earlier line has the same `id` and `timestamp`".to_owned()));
        }
        items.push(item);
    }
    if items.is_empty() { Err(Failure::setup(format!("{name} holds no items"))) } else { Ok(items) }
}

/// Plain JSON, DynamoDB JSON, or a line of an export; distinguished by what `id` is.
fn parse(line: &str) -> Result<Item, String> {
    let json: Map<String, Value> = serde_json::from_str(line).map_err(|error| format!("not a JSON object: {error}"))?;
    let json = match (json.len(), json.get("Item")) {
        (1, Some(Value::Object(item))) => item.clone(),
        _ => json,
    };
    let convert = if json.get("id").is_some_and(Value::is_object) { from_typed } else { from_plain };
    let attribute = |(name, value): (String, Value)| match convert(&value) {
        Some(value) => Ok((name, value)),
        None => Err(format!("`{name}` is not a DynamoDB attribute")),
    };
    let item: Item = json.into_iter().map(attribute).collect::<Result<_, _>>()?;
    match (item.get("id"), item.get("timestamp")) {
        (Some(AttributeValue::S(_)), Some(AttributeValue::N(_))) => Ok(item),
        _ => Err("the item needs its key: `id` (text) and `timestamp` (number)".to_owned()),
    }
}

fn from_plain(value: &Value) -> Option<AttributeValue> {
    Some(match value {
        Value::Null => AttributeValue::Null(true),
        Value::Bool(flag) => AttributeValue::Bool(*flag),
        Value::Number(number) => AttributeValue::N(number.to_string()),
        Value::String(text) => AttributeValue::S(text.clone()),
        Value::Array(list) => AttributeValue::L(list.iter().map(from_plain).collect::<Option<_>>()?),
        Value::Object(map) => AttributeValue::M(members(map, from_plain)?),
    })
}

fn from_typed(value: &Value) -> Option<AttributeValue> {
    let mut members_of = value.as_object()?.iter();
    let ((kind, value), None) = (members_of.next()?, members_of.next()) else { return None };
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let blob = |value: &Value| STANDARD.decode(value.as_str()?).ok().map(Blob::new);
    Some(match kind.as_str() {
        "S" => AttributeValue::S(text(value)?),
        "N" => AttributeValue::N(text(value)?),
        "B" => AttributeValue::B(blob(value)?),
        "BOOL" => AttributeValue::Bool(value.as_bool()?),
        "NULL" => AttributeValue::Null(value.as_bool()?),
        "L" => AttributeValue::L(list(value, from_typed)?),
        "M" => AttributeValue::M(members(value.as_object()?, from_typed)?),
        "SS" => AttributeValue::Ss(list(value, text)?),
        "NS" => AttributeValue::Ns(list(value, text)?),
        "BS" => AttributeValue::Bs(list(value, blob)?),
        _ => return None,
    })
}

fn list<T>(value: &Value, element: impl Fn(&Value) -> Option<T>) -> Option<Vec<T>> {
    value.as_array()?.iter().map(element).collect()
}

fn members(map: &Map<String, Value>, member: impl Fn(&Value) -> Option<AttributeValue>) -> Option<Item> {
    map.iter().map(|(name, value)| Some((name.clone(), member(value)?))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_item_reads_the_same_in_all_three_forms() {
        let plain = parse(r#"{"id": "a", "timestamp": 1, "ok": true, "list": [null, {"deep": 1.5}]}"#).expect("plain");
        let typed = r#"{"id": {"S": "a"}, "timestamp": {"N": "1"}, "ok": {"BOOL": true},
            "list": {"L": [{"NULL": true}, {"M": {"deep": {"N": "1.5"}}}]}}"#;
        assert_eq!(parse(typed).expect("DynamoDB JSON"), plain);
        assert_eq!(parse(&format!(r#"{{"Item": {typed}}}"#)).expect("an export's line"), plain);
    }

    #[test]
    fn a_bad_line_is_named_with_what_is_wrong() {
        let file = std::env::temp_dir().join(format!("lambda-streams-items-{}.ndjson", std::process::id()));
        let table = [
            ("{\"id\": \"a\", \"timestamp\": 1}\n\n{\"id\": 2}", ":3: the item needs its key"),
            ("{\"id\": {\"S\": \"a\"}, \"timestamp\": {\"X\": \"1\"}}", ":1: `timestamp` is not a DynamoDB attribute"),
            ("[1]", ":1: not a JSON object"),
            (
                "{\"id\": \"a\", \"timestamp\": 1}\n{\"timestamp\": 1, \"id\": \"a\"}",
                ":2: an earlier line has the same",
            ),
            ("\n", "holds no items"),
        ];
        for (content, message) in table {
            std::fs::write(&file, content).expect("the temporary folder can be written");
            let failure = read(&file).expect_err("it is a bad file").to_string();
            assert!(failure.contains(message), "{failure} does not say {message}");
        }
        std::fs::remove_file(&file).expect("it was just written");
        assert!(read(&file).expect_err("it is gone").to_string().contains("cannot read"));
    }
}
