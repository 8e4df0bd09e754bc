//! Compares two images attribute by attribute: by value, as DynamoDB does, and not by text.

use std::borrow::Cow;
use std::collections::BTreeMap;

use super::changed::ChangedAttributes;
use super::cursor::Cursor;
use super::decimal;
use super::error::{AttributeType, DecodeError, ErrorImpl};

/// Names the attributes in which two images differ.
pub(crate) fn changed_attributes(old: &str, new: &str) -> Result<ChangedAttributes, DecodeError> {
    let old = item(old).map_err(|error| DecodeError::from(error).within("OldImage"))?;
    let new = item(new).map_err(|error| DecodeError::from(error).within("NewImage"))?;
    let mut changed = ChangedAttributes::default();
    for (name, old) in &old {
        match new.get(name) {
            None => changed.removed.push(name.to_string()),
            Some(new) if is_equal(old, new)? => {}
            Some(_) => changed.different.push(name.to_string()),
        }
    }
    changed.added.extend(new.keys().filter(|name| !old.contains_key(*name)).map(ToString::to_string));
    Ok(changed)
}

/// The attributes of an item or a map: the text of each value by its name, sorted as the names of a change are.
type Attributes<'a> = BTreeMap<Cow<'a, str>, &'a str>;

fn item(json: &str) -> Result<Attributes<'_>, ErrorImpl> {
    let mut cursor = Cursor::new(json);
    let attributes = cursor.attributes()?;
    cursor.end()?;
    Ok(attributes)
}

/// Whether two attribute values are the same value.
pub(super) fn is_equal(old: &str, new: &str) -> Result<bool, ErrorImpl> {
    if old == new {
        return Ok(true);
    }
    match (Normalized::of(old)?, Normalized::of(new)?) {
        (Normalized::Null, Normalized::Null) => Ok(true),
        (Normalized::Bool(old), Normalized::Bool(new)) => Ok(old == new),
        (Normalized::String(old), Normalized::String(new)) | (Normalized::Binary(old), Normalized::Binary(new)) => {
            Ok(old == new)
        }
        (Normalized::Number(old), Normalized::Number(new)) => Ok(old == new),
        (Normalized::StringSet(old), Normalized::StringSet(new))
        | (Normalized::BinarySet(old), Normalized::BinarySet(new)) => Ok(old == new),
        (Normalized::NumberSet(old), Normalized::NumberSet(new)) => Ok(old == new),
        (Normalized::Map(old), Normalized::Map(new)) => are_equal_maps(&old, &new),
        (Normalized::List(old), Normalized::List(new)) => are_equal_lists(&old, &new),
        _ => Ok(false),
    }
}

fn are_equal_maps(old: &Attributes<'_>, new: &Attributes<'_>) -> Result<bool, ErrorImpl> {
    if old.len() != new.len() {
        return Ok(false);
    }
    for (name, old) in old {
        match new.get(name) {
            Some(new) if is_equal(old, new)? => {}
            _ => return Ok(false),
        }
    }
    Ok(true)
}

fn are_equal_lists(old: &[&str], new: &[&str]) -> Result<bool, ErrorImpl> {
    if old.len() != new.len() {
        return Ok(false);
    }
    for (old, new) in old.iter().zip(new) {
        if !is_equal(old, new)? {
            return Ok(false);
        }
    }
    Ok(true)
}

/// A value whose outermost level can be compared: sets are sorted, and numbers have their canonical spelling.
///
/// Binary values are compared as text, because strict base64 has one text for each of them.
enum Normalized<'a> {
    Null,
    Bool(bool),
    String(Cow<'a, str>),
    Number(String),
    Binary(Cow<'a, str>),
    StringSet(Vec<Cow<'a, str>>),
    NumberSet(Vec<String>),
    BinarySet(Vec<Cow<'a, str>>),
    Map(Attributes<'a>),
    List(Vec<&'a str>),
}

impl<'a> Normalized<'a> {
    fn of(json: &'a str) -> Result<Self, ErrorImpl> {
        let mut cursor = Cursor::new(json);
        Ok(match cursor.open_value()? {
            AttributeType::Null => Self::Null,
            AttributeType::Bool => Self::Bool(cursor.boolean()?),
            AttributeType::S => Self::String(cursor.text_content()?),
            AttributeType::B => Self::Binary(cursor.base64_content()?),
            AttributeType::N => Self::Number(cursor.canonical_number()?),
            AttributeType::SS => Self::StringSet(cursor.set(Cursor::text_content)?),
            AttributeType::BS => Self::BinarySet(cursor.set(Cursor::base64_content)?),
            AttributeType::NS => Self::NumberSet(cursor.set(Cursor::canonical_number)?),
            AttributeType::M => Self::Map(cursor.attributes()?),
            AttributeType::L => Self::List(cursor.elements(|cursor| {
                cursor.space();
                let start = cursor.mark();
                cursor.skip_value()?;
                Ok(cursor.since(start))
            })?),
        })
    }
}

impl<'de> Cursor<'de> {
    fn attributes(&mut self) -> Result<Attributes<'de>, ErrorImpl> {
        let mut names = self.open_members()?;
        let mut attributes = Attributes::new();
        while let Some(name) = self.next_member(&mut names)? {
            self.space();
            let start = self.mark();
            self.skip_value().map_err(|error| error.at_name(&name.text))?;
            attributes.insert(name.text, self.since(start));
        }
        Ok(attributes)
    }

    fn canonical_number(&mut self) -> Result<String, ErrorImpl> {
        let mut number = String::new();
        decimal::canonical(&self.number_content()?, &mut number);
        Ok(number)
    }

    fn set<T: Ord>(&mut self, read: impl FnMut(&mut Self) -> Result<T, ErrorImpl>) -> Result<Vec<T>, ErrorImpl> {
        let mut set = self.elements(read)?;
        set.sort_unstable();
        set.dedup();
        Ok(set)
    }

    fn elements<T>(&mut self, mut read: impl FnMut(&mut Self) -> Result<T, ErrorImpl>) -> Result<Vec<T>, ErrorImpl> {
        self.open_elements()?;
        let mut elements = Vec::new();
        while self.next_in(elements.is_empty(), b']')? {
            elements.push(read(self)?);
        }
        Ok(elements)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn changed(old: &str, new: &str) -> ChangedAttributes {
        changed_attributes(old, new).unwrap_or_else(|error| panic!("{old} {new}: {error}"))
    }

    fn is_same(old: &str, new: &str) -> bool {
        let (old, new) = (format!(r#"{{"v":{old}}}"#), format!(r#"{{"v":{new}}}"#));
        let (there, back) = (changed(&old, &new), changed(&new, &old));
        assert_eq!(there, back, "{old} {new}");
        assert!(there.added.is_empty() && there.removed.is_empty());
        there.is_empty()
    }

    #[test]
    fn changed_names_are_classified_and_sorted() {
        let changed = changed(
            r#"{"z":{"S":"1"},"same":{"S":"1"},"gone":{"N":"1"},"a":{"S":"1"},"away":{"NULL":true}}"#,
            r#"{"new":{"M":{}},"a":{"S":"2"},"\u0073ame":{"S":"1"},"z":{"N":"1"},"extra":{"S":"1"}}"#,
        );
        assert_eq!(changed.added, ["extra", "new"]);
        assert_eq!(changed.removed, ["away", "gone"]);
        assert_eq!(changed.different, ["a", "z"]);
        assert!(changed.contains("gone") && !changed.contains("same"));
    }

    #[test]
    fn another_order_of_attributes_is_not_a_change() {
        let old = r#"{"a":{"S":"x"},"b":{"M":{"c":{"N":"1"},"d":{"L":[{"NS":["1","2"]}]}}}}"#;
        let new = r#" {"b" : {"M":{"d":{"L":[{"NS":["2.0","1e0"]}]},"c":{"N":"01"}}}, "a":{"\u0053":"\u0078"}} "#;
        assert!(changed(old, new).is_empty());
        assert!(changed("{}", "{}").is_empty());
    }

    #[test]
    fn spellings_of_one_value_are_equal() {
        for (old, new) in [
            (r#"{"S":"é"}"#, r#"{"S":"\u00e9"}"#),
            (r#"{"S":"/😀"}"#, r#"{"S":"\/\ud83d\ude00"}"#),
            (r#"{"N":"1"}"#, r#"{"N":"1.00"}"#),
            (r#"{"N":"-0"}"#, r#"{"N":"0e5"}"#),
            (r#"{"N":"1e999999999"}"#, r#"{"N":"0.1E+1000000000"}"#),
            (
                r#"{"N":"12345678901234567890123456789012345678"}"#,
                r#"{"N":"1.2345678901234567890123456789012345678e37"}"#,
            ),
            (r#"{"B":"+/+/"}"#, r#"{"B":"\u002b\/+/"}"#),
            (r#"{"BOOL":true}"#, r#"{"BOOL" : true }"#),
            (r#"{"NULL":true}"#, r#"{ "NULL":true}"#),
            (r#"{"SS":["a","b"]}"#, r#"{"SS":["b","a"]}"#),
            (r#"{"NS":["1","20"]}"#, r#"{"NS":["2e1","1.0"]}"#),
            (r#"{"BS":["AAAA","BBBB"]}"#, r#"{"BS":["BBBB","AAAA"]}"#),
            (r#"{"SS":[]}"#, r#"{"SS":[ ]}"#),
            (r#"{"L":[{"SS":["a","b"]},{"N":"1"}]}"#, r#"{"L":[{"SS":["b","a"]},{"N":"1.0"}]}"#),
            (
                r#"{"M":{"a":{"N":"1"},"b":{"M":{"c":{"S":"1"}}}}}"#,
                r#"{"M":{"b":{"M":{"\u0063":{"S":"1"}}},"a":{"N":"1"}}}"#,
            ),
        ] {
            assert!(is_same(old, new), "{old} {new}");
        }
    }

    #[test]
    fn other_values_and_types_differ() {
        let values = [
            r#"{"S":"1"}"#,
            r#"{"S":"1 "}"#,
            r#"{"S":""}"#,
            r#"{"N":"1"}"#,
            r#"{"N":"-1"}"#,
            r#"{"N":"10"}"#,
            r#"{"N":"0.1"}"#,
            r#"{"N":"1e999999999"}"#,
            r#"{"N":"1e-999999999"}"#,
            r#"{"N":"12345678901234567890123456789012345678"}"#,
            r#"{"N":"12345678901234567890123456789012345679"}"#,
            r#"{"B":"AAAA"}"#,
            r#"{"S":"AAAA"}"#,
            r#"{"B":""}"#,
            r#"{"BOOL":true}"#,
            r#"{"BOOL":false}"#,
            r#"{"NULL":true}"#,
            r#"{"SS":["1"]}"#,
            r#"{"NS":["1"]}"#,
            r#"{"BS":["AAAA"]}"#,
            r#"{"SS":["AAAA"]}"#,
            r#"{"SS":["1","2"]}"#,
            r#"{"NS":["1","2"]}"#,
            r#"{"SS":[]}"#,
            r#"{"NS":[]}"#,
            r#"{"BS":[]}"#,
            r#"{"L":[]}"#,
            r#"{"M":{}}"#,
            r#"{"L":[{"S":"1"}]}"#,
            r#"{"L":[{"S":"1"},{"S":"2"}]}"#,
            r#"{"L":[{"S":"2"},{"S":"1"}]}"#,
            r#"{"L":[{"N":"1"}]}"#,
            r#"{"M":{"a":{"S":"1"}}}"#,
            r#"{"M":{"b":{"S":"1"}}}"#,
            r#"{"M":{"a":{"N":"1"}}}"#,
            r#"{"M":{"a":{"S":"1"},"b":{"S":"1"}}}"#,
            r#"{"L":[{"M":{"a":{"SS":["x"]}}}]}"#,
            r#"{"L":[{"M":{"a":{"SS":["y"]}}}]}"#,
        ];
        for (index, one) in values.iter().enumerate() {
            assert!(is_same(one, one));
            for other in &values[index + 1..] {
                assert!(!is_same(one, other), "{one} {other}");
            }
        }
    }

    #[test]
    fn a_malformed_image_is_named() {
        let bad = r#"{"v":{"L":[{"S":"a"},{"N":"x"}]}}"#;
        let error = changed_attributes(bad, "{}").expect_err("the old image is malformed");
        assert_eq!((error.path(), error.is_malformed()), ("OldImage.v[1]", true));
        let error = changed_attributes("{}", bad).expect_err("the new image is malformed");
        assert_eq!((error.path(), error.is_malformed()), ("NewImage.v[1]", true));
        for bad in ["", "[]", "{} {}", r#"{"a":{"S":"1"},"a":{"S":"1"}}"#] {
            assert!(changed_attributes(bad, "{}").is_err(), "{bad}");
        }
    }
}
