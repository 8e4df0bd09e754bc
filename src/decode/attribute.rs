//! Finds one attribute of an item without decoding the others, which are passed by their braces.

use super::compare::is_equal;
use super::cursor::Cursor;
use super::error::{DecodeError, ErrorImpl};
use super::keys::KeyValue;
use crate::json;

/// The value of an attribute of an item, as its text; `None` if the item does not have it.
///
/// What comes after the attribute is not looked at, and the values before it are not checked.
fn attribute<'a>(item: &'a str, wanted: &str) -> Result<Option<&'a str>, DecodeError> {
    let mut cursor = Cursor::new(item);
    let mut names = cursor.open_members()?;
    while let Some(name) = cursor.next_member(&mut names)? {
        let value = cursor.pass_value().map_err(|error| error.at_name(&name.text))?;
        if name.text == wanted {
            return Ok(Some(value));
        }
    }
    Ok(None)
}

/// Whether two items have the same value of an attribute, or both lack it. Values are compared as DynamoDB does, not as text.
pub(crate) fn is_same_attribute(old: &str, new: &str, name: &str) -> Result<bool, DecodeError> {
    let of = |item, member| attribute(item, name).map_err(|error| error.within(member));
    match (of(old, "OldImage")?, of(new, "NewImage")?) {
        (Some(old), Some(new)) => Ok(is_equal(old, new).map_err(|error| error.at_name(name))?),
        (None, None) => Ok(true),
        _ => Ok(false),
    }
}

/// The value of an attribute of an item as that of a key attribute; `None` if the item does not have it, or if it is not of the type `S`,
/// `N` or `B`.
pub(crate) fn scalar_attribute<'a>(item: &'a str, wanted: &str) -> Result<Option<KeyValue<'a>>, DecodeError> {
    let Some(value) = attribute(item, wanted)? else { return Ok(None) };
    Ok(Cursor::new(value).scalar().map_err(|error| error.at_name(wanted))?)
}

impl<'de> Cursor<'de> {
    /// Moves over an attribute's value by its braces alone, and returns its text.
    fn pass_value(&mut self) -> Result<&'de str, ErrorImpl> {
        self.space();
        let start = self.mark();
        // A short text is read faster than its braces are found (`benches/instructions.sh`, "ours, the third entity by attribute").
        if self.plain_text().is_some() {
            return Ok(self.since(start));
        }
        self.expect(b'{', "a value is not an object with a type such as S")?;
        match json::after_object(self.text.as_bytes(), self.at) {
            Some(after) if self.text.is_char_boundary(after) => {
                self.at = after;
                Ok(self.since(start))
            }
            _ => self.malformed("the JSON is incomplete"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_attribute_is_found_among_others() {
        let item =
            r#"{"a":{"M":{"b":{"S":"}{\"b\":"}}}, "b" : {"N":"1"},"\u0063":{"L":[{"S":"x"}]},"d":{"BOOL":true}}"#;
        let found = |name| attribute(item, name).expect("the item is well-formed");
        assert_eq!(found("b"), Some(r#"{"N":"1"}"#));
        assert_eq!(found("c"), Some(r#"{"L":[{"S":"x"}]}"#), "by its name, however it is spelled");
        assert_eq!((found("d"), found("x"), found("")), (Some(r#"{"BOOL":true}"#), None, None));
    }

    #[test]
    fn a_scalar_attribute_is_well_formed_or_of_another_type() {
        let item = r#"{"s":{"S":"x"},"l":{"L":[]},"m":{"S":{}},"n":{"N":"many"},"u":{"X":"x"}}"#;
        let found = |name| scalar_attribute(item, name);
        assert!(found("s").is_ok_and(|value| value.is_some_and(|value| value.text() == Some("x"))));
        assert!(["l", "x"].into_iter().all(|name| found(name).is_ok_and(|value| value.is_none())));
        assert!(["m", "n", "u"].into_iter().all(|name| found(name).is_err_and(|error| error.path() == name)));
    }

    #[test]
    fn a_malformed_item_is_an_error_that_names_the_attribute_and_no_value() {
        for item in ["", "[]", "7", r#"{"a":"canary"}"#, r#"{"a":{"S":"canary"}"#, r#"{"a":{"S":"canary"#, r#"{"a"{}}"#]
        {
            let error = attribute(item, "b").expect_err(item);
            assert!(error.is_malformed() && !error.to_string().contains("canary"), "{item}: {error}");
        }
        assert!(attribute(r#"{"a":7,"b":{"S":""}}"#, "b").is_err_and(|error| error.path() == "a"));
    }

    #[test]
    fn attributes_are_compared_as_values() {
        let same = |old: &str, new: &str| is_same_attribute(old, new, "a").expect("both are well-formed");
        assert!(same(r#"{"a":{"N":"1.0"}}"#, r#"{"b":{"S":""},"a":{"N":"1"}}"#));
        assert!(same(r#"{"a":{"SS":["x","y"]}}"#, r#"{"a":{"SS":["y","x"]}}"#));
        assert!(same("{}", r#"{"b":{"S":""}}"#), "both lack it");
        assert!(!same("{}", r#"{"a":{"S":""}}"#) && !same(r#"{"a":{"S":"1"}}"#, r#"{"a":{"N":"1"}}"#));
    }
}
