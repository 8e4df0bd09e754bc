//! Finds one attribute of an item without decoding the others, which are passed by their braces.

use super::compare::is_equal;
use super::cursor::Cursor;
use super::error::{DecodeError, ErrorImpl};
use super::keys::KeyValue;
use crate::json;

/// The value of an attribute of an item, as its text; `None` if the item does not have it.
///
/// What comes after the attribute is not looked at, and what comes before it is not checked, neither for its values nor for names that occur
/// twice: decoding does that.
pub(crate) fn attribute<'a>(item: &'a str, wanted: &str) -> Result<Option<&'a str>, DecodeError> {
    let mut cursor = Cursor::new(item);
    cursor.open_members()?;
    let mut is_first = true;
    loop {
        let at = cursor.mark().at + usize::from(!is_first);
        // As DynamoDB writes it: this way the name stays in registers.
        let is_wanted = match cursor.pass_plain_name(is_first) {
            Some(name) => name == wanted,
            None if cursor.next_in(is_first, b'}')? => cursor.name()?.text == wanted,
            None => return Ok(None),
        };
        let value = match cursor.pass_value() {
            Ok(value) => value,
            Err(mut error) => {
                cursor.blame(at, &mut error);
                return Err(error.into());
            }
        };
        if is_wanted {
            return Ok(Some(value));
        }
        is_first = false;
    }
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

/// A value as that of a key attribute; `None` if it is not a well-formed `S`, `N` or `B`.
pub(crate) fn scalar(value: &str) -> Option<KeyValue<'_>> {
    Cursor::new(value).key_value().ok()
}

impl<'de> Cursor<'de> {
    /// Moves over the next name if it is without space and escapes; otherwise does not move.
    #[inline(always)]
    fn pass_plain_name(&mut self, is_first: bool) -> Option<&'de str> {
        let bytes = self.text.as_bytes();
        if !is_first && *bytes.get(self.at)? != b',' {
            return None;
        }
        let start = self.at + usize::from(!is_first) + 1;
        if *bytes.get(start - 1)? != b'"' {
            return None;
        }
        let end = json::end_of_plain_text(bytes, start);
        if *bytes.get(end)? != b'"' || *bytes.get(end + 1)? != b':' {
            return None;
        }
        let name = self.text.get(start..end)?;
        self.at = end + 2;
        Some(name)
    }

    /// Moves over an `S`, `N` or `B` without space and escapes if it is next; otherwise does not move. Its end is found faster than that of
    /// braces (`benches/instructions.sh`, "ours, the third entity by attribute").
    #[inline(always)]
    fn pass_plain_scalar(&mut self) -> Option<()> {
        let [b'{', b'"', _, b'"', b':', b'"', ..] = self.rest() else { return None };
        let bytes = self.text.as_bytes();
        let end = json::end_of_plain_text(bytes, self.at + 6);
        if bytes.get(end..end + 2)? != b"\"}" {
            return None;
        }
        self.at = end + 2;
        Some(())
    }

    /// Moves over an attribute's value by its braces alone, and returns its text.
    #[inline]
    fn pass_value(&mut self) -> Result<&'de str, ErrorImpl> {
        self.space();
        let start = self.mark();
        if self.pass_plain_scalar().is_some() {
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
        assert!(scalar(r#"{"S":"x"}"#).is_some() && scalar(r#"{"L":[]}"#).is_none() && scalar("{").is_none());
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
