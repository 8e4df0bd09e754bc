//! Items between the SDK's types and DynamoDB JSON, and when two items are equal.
//!
//! *Invariant*: what is written as JSON is read back as the same item.

use std::collections::{BTreeMap, HashMap};

use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::AttributeValue;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};

/// An item, or its keys, as the SDK has them.
pub(crate) type Item = HashMap<String, AttributeValue>;

/// The item in DynamoDB JSON, its attributes sorted by name.
///
/// # Errors
/// If an attribute is of a type that the SDK does not know.
pub(crate) fn to_json(item: &Item) -> Result<Value, String> {
    let sorted: BTreeMap<&String, &AttributeValue> = item.iter().collect();
    let members = sorted.into_iter().map(|(name, value)| Ok((name.clone(), value_to_json(value)?)));
    members.collect::<Result<Map<_, _>, String>>().map(Value::Object)
}

fn value_to_json(value: &AttributeValue) -> Result<Value, String> {
    Ok(match value {
        AttributeValue::S(text) => json!({"S": text}),
        AttributeValue::N(number) => json!({"N": number}),
        AttributeValue::B(bytes) => json!({"B": STANDARD.encode(bytes)}),
        AttributeValue::Ss(texts) => json!({"SS": texts}),
        AttributeValue::Ns(numbers) => json!({"NS": numbers}),
        AttributeValue::Bs(all) => json!({"BS": all.iter().map(|bytes| STANDARD.encode(bytes)).collect::<Vec<_>>()}),
        AttributeValue::M(item) => json!({"M": to_json(item)?}),
        AttributeValue::L(list) => json!({"L": list.iter().map(value_to_json).collect::<Result<Vec<_>, _>>()?}),
        AttributeValue::Null(is_null) => json!({"NULL": is_null}),
        AttributeValue::Bool(flag) => json!({"BOOL": flag}),
        _ => return Err("an attribute is of a type that this version does not know".to_owned()),
    })
}

/// Reads an item, or its keys, from DynamoDB JSON.
///
/// # Errors
/// If it is not DynamoDB JSON. The error names at most an attribute, and no value.
pub(crate) fn from_json(json: &Value) -> Result<Item, String> {
    let members = json.as_object().ok_or("it is not an object")?;
    let attributes = members.iter().map(|(name, value)| {
        let value = value_from_json(value).ok_or_else(|| format!("its attribute `{name}` is not DynamoDB JSON"))?;
        Ok((name.clone(), value))
    });
    attributes.collect()
}

fn value_from_json(json: &Value) -> Option<AttributeValue> {
    let members = json.as_object().filter(|members| members.len() == 1)?;
    let (tag, value) = members.iter().next()?;
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let blob = |value: &Value| STANDARD.decode(value.as_str()?).ok().map(Blob::new);
    let texts = |value: &Value| value.as_array()?.iter().map(text).collect::<Option<Vec<_>>>();
    Some(match tag.as_str() {
        "S" => AttributeValue::S(text(value)?),
        "N" => AttributeValue::N(text(value)?),
        "B" => AttributeValue::B(blob(value)?),
        "SS" => AttributeValue::Ss(texts(value)?),
        "NS" => AttributeValue::Ns(texts(value)?),
        "BS" => AttributeValue::Bs(value.as_array()?.iter().map(blob).collect::<Option<Vec<_>>>()?),
        "M" => AttributeValue::M(from_json(value).ok()?),
        "L" => AttributeValue::L(value.as_array()?.iter().map(value_from_json).collect::<Option<Vec<_>>>()?),
        "NULL" => AttributeValue::Null(value.as_bool()?),
        "BOOL" => AttributeValue::Bool(value.as_bool()?),
        _ => return None,
    })
}

/// One spelling of equal items: numbers by their value, sets without their order. Two items are equal when this is.
pub(crate) fn canonical(item: &Value) -> Value {
    match item {
        Value::Object(members) => {
            // Sorted by name, also where `serde_json` keeps the order of a text.
            let sorted: BTreeMap<&String, Value> =
                members.iter().map(|(name, value)| (name, canonical_value(value))).collect();
            sorted.into_iter().map(|(name, value)| (name.clone(), value)).collect::<Map<_, _>>().into()
        }
        other => other.clone(),
    }
}

fn canonical_value(value: &Value) -> Value {
    let member = value.as_object().filter(|members| members.len() == 1).and_then(|members| members.iter().next());
    let Some((tag, inner)) = member else { return value.clone() };
    let number = |value: &Value| value.as_str().map_or_else(|| value.clone(), |text| json!(canonical_number(text)));
    let inner = match (tag.as_str(), inner) {
        ("N", inner) => number(inner),
        ("NS", Value::Array(numbers)) => sorted(numbers.iter().map(number)),
        ("SS" | "BS", Value::Array(texts)) => sorted(texts.iter().cloned()),
        ("M", inner) => canonical(inner),
        ("L", Value::Array(list)) => list.iter().map(canonical_value).collect(),
        (_, inner) => inner.clone(),
    };
    json!({tag: inner})
}

fn sorted(elements: impl Iterator<Item = Value>) -> Value {
    let mut elements: Vec<Value> = elements.collect();
    elements.sort_by_cached_key(Value::to_string);
    Value::Array(elements)
}

/// The digits without zeros at either end, and the exponent of the last one: `1`, `1.0` and `10e-1` are `1e0`. What is not a
/// number stays as it is.
fn canonical_number(text: &str) -> String {
    let (sign, unsigned) = match text.strip_prefix('-') {
        Some(rest) => ("-", rest),
        None => ("", text.strip_prefix('+').unwrap_or(text)),
    };
    let (mantissa, exponent) = unsigned.split_once(['e', 'E']).unwrap_or((unsigned, "0"));
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = format!("{whole}{fraction}");
    let is_number = !digits.is_empty() && digits.bytes().all(|digit| digit.is_ascii_digit());
    let Some(exponent) = exponent.parse::<i64>().ok().filter(|_| is_number) else { return text.to_owned() };
    let significant = digits.trim_end_matches('0');
    let trimmed = digits.len() - significant.len();
    // A length of text fits, and the exponents of DynamoDB's numbers have three digits.
    let last = exponent.saturating_sub(fraction.len() as i64).saturating_add(trimmed as i64);
    match significant.trim_start_matches('0') {
        "" => "0".to_owned(),
        digits => format!("{sign}{digits}e{last}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_type_is_read_back_as_it_was_written() {
        let json = json!({
            "s": {"S": "é\u{1}"}, "n": {"N": "1.50"}, "b": {"B": "+/8="}, "ss": {"SS": ["b", "a"]},
            "ns": {"NS": ["1e3"]}, "bs": {"BS": ["AA==", ""]}, "null": {"NULL": true}, "bool": {"BOOL": false},
            "l": {"L": [{"BOOL": true}, {"L": []}]}, "m": {"M": {"n": {"N": "-0"}, "m": {"M": {}}}},
        });
        assert_eq!(to_json(&from_json(&json).expect("it is DynamoDB JSON")), Ok(json));
    }

    #[test]
    fn what_is_not_dynamodb_json_is_reported_without_its_value() {
        let table = [
            (json!([]), "it is not an object"),
            (json!({"id": "secret"}), "its attribute `id` is not DynamoDB JSON"),
            (json!({"id": {"S": 1}}), "its attribute `id` is not DynamoDB JSON"),
            (json!({"id": {"S": "secret", "N": "1"}}), "its attribute `id` is not DynamoDB JSON"),
            (json!({"id": {"B": "secret!"}}), "its attribute `id` is not DynamoDB JSON"),
            (json!({"m": {"M": {"id": {"X": "secret"}}}}), "its attribute `m` is not DynamoDB JSON"),
        ];
        for (json, expected) in table {
            assert_eq!(from_json(&json), Err(expected.to_owned()));
        }
    }

    #[test]
    fn numbers_are_equal_by_their_value() {
        let equal: [&[&str]; 5] = [
            &["1", "1.0", "01", "+1", "1e0", "10e-1", "0.1E1"],
            &["0", "-0", "0.00", "0e7", "-0.0e-3"],
            &["100", "1e2", "1E+2", "100.00"],
            &["-1.5", "-15e-1", "-01.50"],
            &["12345678901234567890123456789012345678", "1234567890123456789012345678901234567.8e1"],
        ];
        for (place, group) in equal.iter().enumerate() {
            for text in *group {
                assert_eq!(canonical_number(text), canonical_number(group[0]), "{text}");
                for (other, another) in equal.iter().enumerate() {
                    assert_eq!(canonical_number(text) == canonical_number(another[0]), place == other, "{text}");
                }
            }
        }
        for text in ["", "-", "abc", "1.2.3", "1e", "."] {
            assert_eq!(canonical_number(text), text);
        }
    }

    #[test]
    fn items_are_equal_whatever_the_order_of_their_sets() {
        let item = json!({"ss": {"SS": ["b", "a"]}, "ns": {"NS": ["2.0", "1"]}, "l": {"L": [{"N": "1.0"}]},
            "m": {"M": {"n": {"N": "3.0"}}}});
        let same = json!({"m": {"M": {"n": {"N": "3"}}}, "ns": {"NS": ["1", "2"]}, "ss": {"SS": ["a", "b"]},
            "l": {"L": [{"N": "1"}]}});
        assert_eq!(canonical(&item), canonical(&same));
        for other in
            [json!({"ss": {"SS": ["a"]}}), json!({"l": {"L": [{"N": "1"}, {"N": "2"}]}}), json!({"n": {"S": "1"}})]
        {
            assert_ne!(canonical(&item), canonical(&other));
        }
        let (text, number) = (json!({"a": {"S": "1.0"}}), json!({"a": {"S": "1"}}));
        assert_ne!(canonical(&text), canonical(&number), "strings are not numbers");
        let (list, swapped) =
            (json!({"l": {"L": [{"S": "a"}, {"S": "b"}]}}), json!({"l": {"L": [{"S": "b"}, {"S": "a"}]}}));
        assert_ne!(canonical(&list), canonical(&swapped), "lists have an order");
    }
}
