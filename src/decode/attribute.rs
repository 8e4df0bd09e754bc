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
fn attribute<'a>(item: &'a str, wanted: &str) -> Result<Option<&'a str>, DecodeError> {
    let mut cursor = Cursor::new(item);
    cursor.open_members()?;
    let mut is_first = true;
    loop {
        let start = cursor.mark().at + usize::from(!is_first);
        // As DynamoDB writes it: this way the name stays in registers.
        let (is_wanted, at) = match cursor.pass_plain_name(is_first) {
            Some(name) => (name == wanted, start),
            None if cursor.next_in(is_first, b'}')? => {
                let name = cursor.name()?;
                (name.text == wanted, name.at)
            }
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

/// The value of an attribute of an item as that of a key attribute; `None` if the item does not have it, or if it is not of the type `S`,
/// `N` or `B`.
pub(crate) fn scalar_attribute<'a>(item: &'a str, wanted: &str) -> Result<Option<KeyValue<'a>>, DecodeError> {
    let Some(value) = attribute(item, wanted)? else { return Ok(None) };
    Ok(Cursor::new(value).scalar().map_err(|error| error.at_name(wanted))?)
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
        for item in [r#"{"a":7,"b":{"S":""}}"#, r#"{"x":{"S":""}, "a" : 7,"b":{"S":""}}"#, r#"{"x":{"S":""},"a":7}"#] {
            assert!(attribute(item, "b").is_err_and(|error| error.path() == "a"), "{item}");
        }
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
