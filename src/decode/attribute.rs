//! Finds one attribute of an item without decoding the others, which are passed by their braces.

use super::compare::is_equal;
use super::cursor::Cursor;
use super::error::{DecodeError, ErrorImpl};
use super::keys::KeyValue;
use crate::json;

/// Where the value of an attribute of an item begins; `None` if the item does not have the attribute.
///
/// What comes after the attribute is not looked at, and what comes before it is not checked, neither for its values nor for names that occur
/// twice: decoding does that.
fn find(item: &str, wanted: &str) -> Result<Option<usize>, DecodeError> {
    match pass_plain_members(item, 0, wanted) {
        Passed::UpToValue(at) => Ok(Some(at)),
        Passed::UpToOther(at) => find_from(item, at, wanted),
    }
}

/// The same, starting at a brace or a comma before which there is no such attribute. Apart from the pass that nearly every item ends with, which
/// saves 15 instructions of a record (`benches/instructions.sh`, "ours, the third entity by attribute").
#[inline(never)]
fn find_from(item: &str, mut at: usize, wanted: &str) -> Result<Option<usize>, DecodeError> {
    loop {
        let mut cursor = cursor_at(item, at);
        if at == 0 {
            cursor.open_members()?;
        }
        if !cursor.next_in(at == 0, b'}')? {
            return Ok(None);
        }
        let name = cursor.name()?;
        if name.text == wanted {
            return Ok(Some(cursor.at));
        }
        cursor.pass_value().map_err(|error| error.at_name(&name.text))?;
        at = match pass_plain_members(item, cursor.at, wanted) {
            Passed::UpToValue(at) => return Ok(Some(at)),
            Passed::UpToOther(at) => at,
        };
    }
}

fn cursor_at(item: &str, at: usize) -> Cursor<'_> {
    Cursor { at, ..Cursor::new(item) }
}

/// How far the members of an item were passed.
enum Passed {
    /// Up to the value of the attribute that is wanted.
    UpToValue(usize),
    /// Up to the brace or the comma before a member that is not written as DynamoDB writes it, or to the end.
    UpToOther(usize),
}

/// Passes the members that are written as DynamoDB writes them, without space and escapes, starting at a brace or a comma.
///
/// What is between a name and a text, and between a text and the next name, is compared as one word, and the rest stays in registers. That
/// saves 1.3 % of the instructions of a record (`benches/instructions.sh`, "ours, the third entity by attribute").
#[inline(always)]
fn pass_plain_members(item: &str, mut at: usize, wanted: &str) -> Passed {
    const BEFORE_TEXT: u64 = u64::from_le_bytes(*b"\":{\"\0\":\"");
    const ANY_TYPE: u64 = !u64::from_le_bytes(*b"\0\0\0\0\xff\0\0\0");
    let json = item.as_bytes();
    while let Some(mut rest) = after_opening_quote(json, at) {
        let after = loop {
            let Some((name, after)) = rest.split_at_checked(json::end_of_plain_text(rest, 0)) else { break None };
            if name == wanted.as_bytes() && after.starts_with(b"\":") {
                return Passed::UpToValue(json.len() - after.len() + 2);
            }
            let Some((word, text)) = after.split_first_chunk() else { break None };
            if u64::from_le_bytes(*word) & ANY_TYPE == BEFORE_TEXT
                && let Some((_, end)) = text.split_at_checked(json::end_of_plain_text(text, 0))
                && let Some((word, next)) = end.split_first_chunk()
                && word == b"\"},\""
            {
                at = json.len() - next.len() - 2;
                rest = next;
            } else if word.starts_with(b"\":{") {
                break after_braces(item, json.len() - after.len() + 2);
            } else {
                break None;
            }
        };
        let Some(after) = after else { break };
        at = after;
    }
    Passed::UpToOther(at)
}

/// The rest, starting at a member's name, if only the item's brace or a comma is before its quote.
#[inline(always)]
fn after_opening_quote(json: &[u8], at: usize) -> Option<&[u8]> {
    let (opening, rest) = json.get(at..)?.split_first_chunk()?;
    (opening == if at == 0 { b"{\"" } else { b",\"" }).then_some(rest)
}

/// The position after the object that begins there, found by its braces alone.
fn after_braces(item: &str, at: usize) -> Option<usize> {
    let json = item.as_bytes();
    if json.get(at) != Some(&b'{') {
        return None;
    }
    json::after_object(json, at + 1).filter(|after| item.is_char_boundary(*after))
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

/// The value of an attribute of an item, as its text; `None` if the item does not have it.
fn attribute<'a>(item: &'a str, wanted: &str) -> Result<Option<&'a str>, DecodeError> {
    let Some(at) = find(item, wanted)? else { return Ok(None) };
    Ok(Some(cursor_at(item, at).pass_value().map_err(|error| error.at_name(wanted))?))
}

/// The value of an attribute of an item as that of a key attribute; `None` if the item does not have it, or if it is not of the type `S`,
/// `N` or `B`.
pub(crate) fn scalar_attribute<'a>(item: &'a str, wanted: &str) -> Result<Option<KeyValue<'a>>, DecodeError> {
    let Some(at) = find(item, wanted)? else { return Ok(None) };
    if let Some(text) = cursor_at(item, at).plain_text() {
        return Ok(Some(KeyValue::of_text(text)));
    }
    let value = cursor_at(item, at).pass_value().map_err(|error| error.at_name(wanted))?;
    Ok(Cursor::new(value).scalar().map_err(|error| error.at_name(wanted))?)
}

impl<'de> Cursor<'de> {
    /// Moves over an attribute's value by its braces alone, and returns its text.
    fn pass_value(&mut self) -> Result<&'de str, ErrorImpl> {
        self.space();
        let start = self.mark();
        if self.peek() != Some(b'{') {
            return self.malformed("a value is not an object with a type such as S");
        }
        match after_braces(self.text, self.at) {
            Some(after) => {
                self.at = after;
                Ok(self.since(start))
            }
            None => self.malformed("the JSON is incomplete"),
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

    /// Members as DynamoDB writes them and otherwise, so each is passed in the company of both.
    const MEMBERS: [(&str, &str, &str); 10] = [
        ("id", r#""id":"#, r#"{"S":"order-00000001"}"#),
        ("spaced", r#" "spaced" : "#, r#"{ "S" : "x" } "#),
        ("at", r#""at":"#, r#"{"N":"-1.50"}"#),
        ("flag", r#""fl\u0061g":"#, r#"{"BOOL":true}"#),
        ("as", r#""as":"#, r#"{"S":""}"#),
        ("a name of more than sixteen bytes", r#""a name of more than sixteen bytes":"#, r#"{"B":"Zm9v"}"#),
        ("escaped", r#""escaped":"#, r#"{"S":"\"},\"id\":{\"S\":\""}"#),
        ("text", r#""text":"#, r#"{"S":"more than sixteen bytes, and an é"}"#),
        ("nested", r#""nested":"#, r#"{"M":{"id":{"S":"}"},"at":{"L":[{"NULL":true}]}}}"#),
        ("last", r#""last":"#, r#"{"S":"x"}"#),
    ];

    /// Items with these members, each of which comes first in one of them.
    fn items() -> impl Iterator<Item = String> {
        (0..MEMBERS.len()).map(|first| {
            let members = MEMBERS.iter().cycle().skip(first).take(MEMBERS.len());
            let members: Vec<String> = members.map(|(_, name, value)| format!("{name}{value}")).collect();
            format!("{{{}}}", members.join(","))
        })
    }

    #[test]
    fn an_attribute_is_found_before_and_after_any_other() {
        for item in items() {
            for (name, _, value) in MEMBERS {
                assert_eq!(attribute(&item, name), Ok(Some(value.trim_end())), "{name} in {item}");
                let text = value.contains("\"S\"").then(|| value.trim_end());
                let text = text.and_then(|value| serde_json::from_str::<serde_json::Value>(value).ok());
                let text = text.and_then(|value| value["S"].as_str().map(str::to_owned)).filter(|_| name != "nested");
                let found = scalar_attribute(&item, name).expect(name);
                assert_eq!(found.as_ref().and_then(KeyValue::text), text.as_deref(), "{name} in {item}");
            }
            for name in ["", "i", "idd", "S", "name", r"fl\u0061g"] {
                assert_eq!(attribute(&item, name), Ok(None), "{name} in {item}");
            }
        }
    }

    #[test]
    fn a_truncated_item_has_an_attribute_as_a_whole_or_is_malformed() {
        for item in items() {
            for end in (0..item.len()).filter(|end| item.is_char_boundary(*end)) {
                let truncated = &item[..end];
                for (name, _, value) in MEMBERS {
                    match attribute(truncated, name) {
                        Ok(found) => assert_eq!(found, Some(value.trim_end()), "{name} in {truncated}"),
                        Err(error) => assert!(error.is_malformed(), "{name} in {truncated}"),
                    }
                }
                assert!(attribute(truncated, "none").is_err(), "{truncated}");
            }
        }
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
