//! Which attributes two images differ in, by DynamoDB's values and not by their text.

use std::borrow::Cow;
use std::cmp::Ordering;

use super::changed::ChangedAttributes;
use super::cursor::Cursor;
use super::error::{AttributeType, DecodeError, Fault};
use super::number;

/// Names the attributes in which two images differ.
pub(crate) fn changed_attributes(old: &str, new: &str) -> Result<ChangedAttributes, DecodeError> {
    let old = item(old).map_err(|fault| DecodeError::from(fault).within("OldImage"))?;
    let new = item(new).map_err(|fault| DecodeError::from(fault).within("NewImage"))?;
    let mut changed = ChangedAttributes::default();
    merge(old, new, |name, old, new| {
        let list = match (old, new) {
            (Some(old), Some(new)) if equal(old, new)? => return Ok(true),
            (Some(_), Some(_)) => &mut changed.different,
            (Some(_), None) => &mut changed.removed,
            (None, _) => &mut changed.added,
        };
        list.push(name.into_owned());
        Ok(true)
    })?;
    Ok(changed)
}

/// The attributes of an item or a map, sorted by name, each with the text of its value.
type Attributes<'a> = Vec<(Cow<'a, str>, &'a str)>;

fn item(json: &str) -> Result<Attributes<'_>, Fault> {
    let mut cursor = Cursor::new(json);
    let attributes = cursor.attributes()?;
    cursor.end()?;
    Ok(attributes)
}

/// Goes through the names of both in order, until one `differs`; `false` if one did.
fn merge<'a>(
    old: Attributes<'a>,
    new: Attributes<'a>,
    mut visit: impl FnMut(Cow<'a, str>, Option<&'a str>, Option<&'a str>) -> Result<bool, Fault>,
) -> Result<bool, Fault> {
    let (mut old, mut new) = (old.into_iter().peekable(), new.into_iter().peekable());
    loop {
        let order = match (old.peek(), new.peek()) {
            (Some((one, _)), Some((other, _))) => one.cmp(other),
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (None, None) => return Ok(true),
        };
        let old = if order == Ordering::Greater { None } else { old.next() };
        let new = if order == Ordering::Less { None } else { new.next() };
        let (old_value, new_value) = (old.as_ref().map(|(_, value)| *value), new.as_ref().map(|(_, value)| *value));
        if let Some((name, _)) = old.or(new)
            && !visit(name, old_value, new_value)?
        {
            return Ok(false);
        }
    }
}

/// Whether two attribute values are the same value.
fn equal(old: &str, new: &str) -> Result<bool, Fault> {
    if old == new {
        return Ok(true);
    }
    Ok(match (Shape::of(old)?, Shape::of(new)?) {
        (Shape::Null, Shape::Null) => true,
        (Shape::Bool(old), Shape::Bool(new)) => old == new,
        // One binary has one strict base64 text, so texts are compared for both.
        (Shape::Text(old_type, old), Shape::Text(new_type, new)) => (old_type, old) == (new_type, new),
        (Shape::Number(old), Shape::Number(new)) => old == new,
        (Shape::TextSet(old_type, old), Shape::TextSet(new_type, new)) => (old_type, old) == (new_type, new),
        (Shape::NumberSet(old), Shape::NumberSet(new)) => old == new,
        (Shape::Map(old), Shape::Map(new)) => merge(old, new, |_, old, new| match (old, new) {
            (Some(old), Some(new)) => equal(old, new),
            _ => Ok(false),
        })?,
        (Shape::List(old), Shape::List(new)) => {
            let mut pairs = old.iter().zip(&new);
            old.len() == new.len() && pairs.try_fold(true, |same, (old, new)| Ok(same && equal(old, new)?))?
        }
        _ => false,
    })
}

/// A value taken apart by one level; sets are sorted and numbers in their one spelling.
enum Shape<'a> {
    Null,
    Bool(bool),
    Text(AttributeType, Cow<'a, str>),
    Number(String),
    TextSet(AttributeType, Vec<Cow<'a, str>>),
    NumberSet(Vec<String>),
    Map(Attributes<'a>),
    List(Vec<&'a str>),
}

impl<'a> Shape<'a> {
    fn of(json: &'a str) -> Result<Self, Fault> {
        let mut cursor = Cursor::new(json);
        let tag = cursor.open_value()?;
        Ok(match tag {
            AttributeType::Null => Self::Null,
            AttributeType::Bool => Self::Bool(cursor.boolean()?),
            AttributeType::S => Self::Text(tag, cursor.text_content()?),
            AttributeType::B => Self::Text(tag, cursor.base64_content()?),
            AttributeType::N => Self::Number(cursor.canonical_number()?),
            AttributeType::SS => Self::TextSet(tag, cursor.set(Cursor::text_content)?),
            AttributeType::BS => Self::TextSet(tag, cursor.set(Cursor::base64_content)?),
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
    fn attributes(&mut self) -> Result<Attributes<'de>, Fault> {
        let mut names = self.open_members()?;
        let mut attributes = Vec::new();
        while let Some(name) = self.next_member(&mut names)? {
            self.space();
            let start = self.mark();
            self.skip_value().map_err(|fault| fault.at_name(&name.text))?;
            attributes.push((name.text, self.since(start)));
        }
        attributes.sort_unstable_by(|(one, _), (other, _)| one.cmp(other));
        Ok(attributes)
    }

    fn canonical_number(&mut self) -> Result<String, Fault> {
        let mut number = String::new();
        number::canonical(&self.number_content()?, &mut number);
        Ok(number)
    }

    fn set<T: Ord>(&mut self, read: impl FnMut(&mut Self) -> Result<T, Fault>) -> Result<Vec<T>, Fault> {
        let mut set = self.elements(read)?;
        set.sort_unstable();
        set.dedup();
        Ok(set)
    }

    fn elements<T>(&mut self, mut read: impl FnMut(&mut Self) -> Result<T, Fault>) -> Result<Vec<T>, Fault> {
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
