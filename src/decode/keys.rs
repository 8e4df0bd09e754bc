//! A primary key in one spelling, so that records of one item are found to be of one item.

use std::borrow::Cow;
use std::ops::Range;

use super::cursor::Cursor;
use super::error::{AttributeType, DecodeError, Fault};
use super::number;

/// A primary key in one canonical spelling, whatever the order of its attributes, their escapes and their numbers.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(crate) struct CanonicalKeys {
    /// For each attribute, the last by name first: `NAME:LENGTH` and `VALUE:LENGTH`, where the value begins with its
    /// type. A length stands behind its text so that a number is written only once.
    text: String,
}

impl CanonicalKeys {
    /// The attributes, sorted by name: each with its type and value, in one spelling: `Sabc`, `N-125e-4`, `BZm9v`.
    pub(crate) fn attributes(&self) -> impl Iterator<Item = (&str, &str)> {
        attributes(&self.text)
    }
}

fn attributes(mut rest: &str) -> impl Iterator<Item = (&str, &str)> {
    std::iter::from_fn(move || {
        let value = part(&mut rest)?;
        Some((part(&mut rest)?, value))
    })
}

/// The primary keys of many records in one canonical spelling, one behind the other in one text.
#[derive(Default)]
pub(crate) struct KeyTexts<'de> {
    text: String,
    /// Those of one key; kept for its memory alone.
    attributes: Vec<KeyAttribute<'de>>,
}

impl<'de> KeyTexts<'de> {
    /// Takes another key; returns where it stands in the text.
    pub(crate) fn push(&mut self, json: &'de str) -> Result<Range<usize>, DecodeError> {
        self.attributes.clear();
        read(json, |key| self.attributes.push(key))?;
        self.attributes.sort_unstable_by(|one, other| other.name.cmp(&one.name));
        let start = self.text.len();
        // The lengths take about as much room as the frames of the values did.
        self.text.reserve(json.len());
        for KeyAttribute { name, tag, value } in &self.attributes {
            push_part(&mut self.text, |text| text.push_str(name));
            push_part(&mut self.text, |text| {
                text.push_str(tag.as_str());
                match tag {
                    AttributeType::N => number::canonical(value, text),
                    _ => text.push_str(value),
                }
            });
        }
        Ok(start..self.text.len())
    }

    /// A key that was taken before.
    pub(crate) fn get(&self, key: Range<usize>) -> &str {
        &self.text[key]
    }

    /// Where one attribute's type and value of a key stand; `None` if the key does not have it.
    pub(crate) fn attribute(&self, key: Range<usize>, name: &str) -> Option<Range<usize>> {
        let start = key.start;
        let value = attributes(&self.text[key.clone()]).find_map(|(found, value)| (found == name).then_some(value))?;
        let offset = value.as_ptr().addr() - self.text[key].as_ptr().addr();
        Some(start + offset..start + offset + value.len())
    }
}

/// Cuts `TEXT:LENGTH` off the end.
fn part<'a>(rest: &mut &'a str) -> Option<&'a str> {
    let (text, length) = rest.rsplit_once(':')?;
    let (before, part) = text.split_at_checked(text.len().checked_sub(length.parse().ok()?)?)?;
    *rest = before;
    Some(part)
}

fn push_part(text: &mut String, push: impl FnOnce(&mut String)) {
    let start = text.len();
    push(text);
    let length = text.len() - start;
    text.push(':');
    number::push_decimal(length as u64, text);
}

/// Shows the names, and nothing of the values.
impl std::fmt::Debug for CanonicalKeys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(self.attributes().map(|(name, _)| name)).finish()
    }
}

/// The primary key in one canonical spelling.
pub(crate) fn canonical_keys(json: &str) -> Result<CanonicalKeys, DecodeError> {
    let mut keys = KeyTexts::default();
    keys.push(json)?;
    Ok(CanonicalKeys { text: keys.text })
}

/// Checks that a primary key is well-formed: attributes, at least one, that a key can have.
pub(super) fn check(json: &str) -> Result<(), DecodeError> {
    read(json, drop)
}

struct KeyAttribute<'de> {
    name: Cow<'de, str>,
    tag: AttributeType,
    value: Cow<'de, str>,
}

fn read<'de>(json: &'de str, mut keep: impl FnMut(KeyAttribute<'de>)) -> Result<(), DecodeError> {
    let mut cursor = Cursor::new(json);
    let mut names = cursor.open_members()?;
    while let Some(name) = cursor.next_member(&mut names)? {
        let (tag, value) = cursor.key_value().map_err(|fault| fault.at_name(&name.text))?;
        keep(KeyAttribute { name: name.text, tag, value });
    }
    cursor.end()?;
    if names.is_empty() { Ok(cursor.malformed("a primary key has at least one attribute")?) } else { Ok(()) }
}

impl<'de> Cursor<'de> {
    #[inline]
    fn key_value(&mut self) -> Result<(AttributeType, Cow<'de, str>), Fault> {
        if let Some(text) = self.plain_text() {
            return Ok((AttributeType::S, Cow::Borrowed(text)));
        }
        if let Some(number) = self.plain_number() {
            return Ok((AttributeType::N, Cow::Borrowed(number)));
        }
        let tag = self.open_value()?;
        let value = match tag {
            AttributeType::S => self.text_content()?,
            AttributeType::N => self.number_content()?,
            AttributeType::B => self.base64_content()?,
            _ => return self.malformed("an attribute of a primary key is S, N or B"),
        };
        self.close_value()?;
        Ok((tag, value))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(json: &str) -> CanonicalKeys {
        canonical_keys(json).unwrap_or_else(|error| panic!("{json}: {error}"))
    }

    #[test]
    fn one_key_has_one_spelling() {
        for group in [
            &[
                r#"{"pk":{"S":"a/é"},"sk":{"N":"1"}}"#,
                r#"{"sk":{"N":"1.0"},"pk":{"S":"a\/\u00e9"}}"#,
                " { \"s\\u006b\" : { \"N\" : \"10E-1\" } , \"pk\" : { \"\\u0053\" : \"a/é\" } } ",
            ][..],
            &[r#"{"n":{"N":"0"}}"#, r#"{"n":{"N":"-0"}}"#, r#"{"n":{"N":"0e7"}}"#],
            &[r#"{"b":{"B":"+/+/"}}"#, r#"{"b":{"B":"+\/+\u002f"}}"#],
        ] {
            assert!(group.iter().all(|json| keys(json) == keys(group[0])), "{group:?}");
        }
    }

    #[test]
    fn different_keys_have_different_spellings() {
        let all = [
            r#"{"a":{"S":"1"}}"#,
            r#"{"a":{"N":"1"}}"#,
            r#"{"a":{"N":"-1"}}"#,
            r#"{"a":{"B":"1111"}}"#,
            r#"{"a":{"S":"1111"}}"#,
            r#"{"b":{"S":"1"}}"#,
            r#"{"a":{"S":"1"},"b":{"S":"1"}}"#,
            r#"{"a":{"S":"1:b2:S1"}}"#,
            r#"{"a2:S1":{"S":"1"}}"#,
            r#"{"a":{"S":"11:b2:S1"}}"#,
            r#"{"":{"S":""}}"#,
        ];
        for (index, one) in all.iter().enumerate() {
            for other in &all[index + 1..] {
                assert_ne!(keys(one), keys(other), "{one} {other}");
            }
        }
    }

    #[test]
    fn an_attribute_is_found_by_its_name() {
        let json = r#"{"s":{"S":"ü:1"},"é":{"N":"-0.0125"},"b":{"B":"Zm9v"}}"#;
        let mut texts = KeyTexts::default();
        texts.push(r#"{"s":{"S":"other"}}"#).unwrap_or_else(|error| panic!("{error}"));
        let key = texts.push(json).unwrap_or_else(|error| panic!("{error}"));
        for (name, value) in [("s", Some("Sü:1")), ("é", Some("N-125e-4")), ("b", Some("BZm9v")), ("a", None)] {
            assert_eq!(texts.attribute(key.clone(), name).map(|part| texts.get(part)), value);
        }
        assert_eq!(texts.get(key), &*keys(json).text);
        assert_eq!(keys(json).attributes().map(|(name, _)| name).collect::<Vec<_>>(), ["b", "s", "é"]);
        assert_eq!(format!("{:?}", keys(json)), r#"{"b", "s", "é"}"#);
    }

    #[test]
    fn what_is_no_key_is_refused() {
        for json in [
            "",
            "{}",
            "[]",
            "null",
            r#"{"a":null}"#,
            r#"{"a":{"M":{}}}"#,
            r#"{"a":{"SS":["a"]}}"#,
            r#"{"a":{"BOOL":true}}"#,
            r#"{"a":{"NULL":true}}"#,
            r#"{"a":{"N":"x"}}"#,
            r#"{"a":{"B":"*"}}"#,
            r#"{"a":{"S":"a"},"a":{"S":"a"}}"#,
            r#"{"a":{"S":"a"}}}"#,
            r#"{"a":{"S":"a","N":"1"}}"#,
            r#"{"a":{"S":"a"},}"#,
            r#"{"a":{"S":"\ud800"}}"#,
        ] {
            let error = canonical_keys(json).expect_err(json);
            assert!(error.is_malformed(), "{json}: {error}");
            assert_eq!(check(json), Err(error));
        }
    }
}
