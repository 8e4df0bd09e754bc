//! Hashes and compares primary keys by value: two records belong to the same item even if their keys are spelled differently (`1` and
//! `1.0`).

use std::borrow::Cow;
use std::hash::{BuildHasher, Hash, Hasher};

use super::cursor::Cursor;
use super::decimal;
use super::error::{AttributeType, DecodeError, ErrorImpl};
use super::seen_names::SeenNames;

/// A primary key in its canonical spelling, which does not depend on the order of attributes, escapes and the spelling of numbers.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(crate) struct CanonicalKeys {
    attributes: Vec<(String, String)>,
}

impl CanonicalKeys {
    /// The attributes, sorted by name, each with its type and canonical value: `Sabc`, `N-125e-4`, `BZm9v`.
    pub(crate) fn attributes(&self) -> impl Iterator<Item = (&str, &str)> {
        self.attributes.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }
}

/// Shows the names, never the values.
impl std::fmt::Debug for CanonicalKeys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(self.attributes().map(|(name, _)| name)).finish()
    }
}

/// The canonical spelling of a primary key.
pub(crate) fn canonical_keys(json: &str) -> Result<CanonicalKeys, DecodeError> {
    let mut attributes = Vec::new();
    read(json, |name, value| attributes.push((name.into_owned(), value.canonical())))?;
    attributes.sort_unstable();
    Ok(CanonicalKeys { attributes })
}

/// A hash of a primary key, the same for all spellings of it.
#[inline]
pub(crate) fn hash_keys(json: &str, hasher: &impl BuildHasher) -> Result<u64, DecodeError> {
    // Attributes may come in any order, so their hashes are added.
    let mut sum = 0_u64;
    read(json, |name, value| sum = sum.wrapping_add(hasher.hash_one((name, value))))?;
    Ok(sum)
}

/// Whether two primary keys, both well-formed, are of one item.
#[inline]
pub(crate) fn are_same_keys(one: &str, other: &str) -> bool {
    one == other || matches!((canonical_keys(one), canonical_keys(other)), (Ok(one), Ok(other)) if one == other)
}

/// The value of one attribute of a primary key; `None` if the key does not have the attribute.
pub(crate) fn key_value<'de>(json: &'de str, wanted: &str) -> Result<Option<KeyValue<'de>>, DecodeError> {
    let mut found = None;
    read(json, |name, value| {
        if name == wanted {
            found = Some(value);
        }
    })?;
    Ok(found)
}

/// The same, but nothing is looked at that comes after the attribute: for a key that is checked elsewhere.
pub(crate) fn find_key_value<'de>(json: &'de str, wanted: &str) -> Result<Option<KeyValue<'de>>, DecodeError> {
    let mut cursor = Cursor::new(json);
    let mut names = cursor.open_members()?;
    while let Some(name) = cursor.next_member(&mut names)? {
        let value = cursor.key_value().map_err(|error| error.at_name(&name.text))?;
        if name.text == wanted {
            return Ok(Some(value));
        }
    }
    cursor.end_of_keys(&names)?;
    Ok(None)
}

/// The names of a primary key's attributes, as far as it is well-formed.
pub(super) fn key_names(json: &str) -> Vec<String> {
    let mut names = Vec::new();
    let _ = read(json, |name, _| names.push(name.into_owned()));
    names
}

/// Checks that a primary key is well-formed: it has at least one attribute, and each is of a type that a key can have.
pub(crate) fn check_keys(json: &str) -> Result<(), DecodeError> {
    read(json, |_, _| {})
}

/// The value of a key attribute. Two are equal if they are the same value, however it is spelled.
pub(crate) struct KeyValue<'de> {
    tag: AttributeType,
    text: Cow<'de, str>,
}

impl<'de> KeyValue<'de> {
    /// An `S`.
    pub(super) fn of_text(text: &'de str) -> Self {
        Self { tag: AttributeType::S, text: Cow::Borrowed(text) }
    }

    /// The text of a value of the type `S`; of another value, its type as the error.
    pub(super) fn into_text(self) -> Result<Cow<'de, str>, AttributeType> {
        match self.tag {
            AttributeType::S => Ok(self.text),
            other => Err(other),
        }
    }
}

impl KeyValue<'_> {
    /// The length of its spelling.
    pub(crate) fn len(&self) -> usize {
        self.text.len()
    }

    /// The value of an `S`.
    pub(crate) fn text(&self) -> Option<&str> {
        (self.tag == AttributeType::S).then_some(&*self.text)
    }

    /// Whether it is an `N` of this number, however either is spelled.
    pub(crate) fn is_number(&self, number: &str) -> bool {
        let number = KeyValue { tag: AttributeType::N, text: Cow::Borrowed(number) };
        *self == number
    }

    fn canonical(&self) -> String {
        let mut text = self.tag.as_str().to_owned();
        match self.tag {
            AttributeType::N => decimal::canonical(&self.text, &mut text),
            _ => text.push_str(&self.text),
        }
        text
    }
}

impl PartialEq for KeyValue<'_> {
    fn eq(&self, other: &Self) -> bool {
        let is_equal_number = || self.tag == AttributeType::N && self.canonical() == other.canonical();
        self.tag == other.tag && (self.text == other.text || is_equal_number())
    }
}

impl Hash for KeyValue<'_> {
    #[inline]
    fn hash<H: Hasher>(&self, state: &mut H) {
        match self.tag {
            AttributeType::N => decimal::hash(&self.text, state),
            _ => self.text.hash(state),
        }
    }
}

/// Passes each attribute of a primary key to `visit`, and checks that the key is well-formed.
#[inline]
fn read<'de>(json: &'de str, mut visit: impl FnMut(Cow<'de, str>, KeyValue<'de>)) -> Result<(), DecodeError> {
    let mut cursor = Cursor::new(json);
    let mut names = cursor.open_members()?;
    while let Some(name) = cursor.next_member(&mut names)? {
        let value = cursor.key_value().map_err(|error| error.at_name(&name.text))?;
        visit(name.text, value);
    }
    Ok(cursor.end_of_keys(&names)?)
}

impl<'de> Cursor<'de> {
    /// Checks that nothing comes after a primary key, and that it had an attribute.
    #[inline]
    fn end_of_keys(&mut self, names: &SeenNames<'de>) -> Result<(), ErrorImpl> {
        self.end()?;
        if names.is_empty() { self.malformed("a primary key must have at least one attribute") } else { Ok(()) }
    }

    #[inline]
    pub(super) fn key_value(&mut self) -> Result<KeyValue<'de>, ErrorImpl> {
        match self.scalar()? {
            Some(value) => Ok(value),
            None => self.malformed("an attribute of a primary key must be S, N or B"),
        }
    }

    /// A value of a type that a key can have; `None` for another type, of which no more is looked at.
    #[inline]
    pub(super) fn scalar(&mut self) -> Result<Option<KeyValue<'de>>, ErrorImpl> {
        if let Some(text) = self.plain_text() {
            return Ok(Some(KeyValue::of_text(text)));
        }
        if let Some(number) = self.plain_number() {
            return Ok(Some(KeyValue { tag: AttributeType::N, text: Cow::Borrowed(number) }));
        }
        let tag = self.open_value()?;
        let text = match tag {
            AttributeType::S => self.text_content()?,
            AttributeType::N => self.number_content()?,
            AttributeType::B => self.base64_content()?,
            _ => return Ok(None),
        };
        self.close_value()?;
        Ok(Some(KeyValue { tag, text }))
    }
}

#[cfg(test)]
mod tests {
    use std::hash::RandomState;

    use super::*;

    fn keys(json: &str) -> CanonicalKeys {
        canonical_keys(json).unwrap_or_else(|error| panic!("{json}: {error}"))
    }

    #[test]
    fn a_key_has_one_canonical_spelling() {
        for group in [
            &[
                r#"{"pk":{"S":"a/é"},"sk":{"N":"1"}}"#,
                r#"{"sk":{"N":"1.0"},"pk":{"S":"a\/\u00e9"}}"#,
                " { \"s\\u006b\" : { \"N\" : \"10E-1\" } , \"pk\" : { \"\\u0053\" : \"a/é\" } } ",
            ][..],
            &[r#"{"n":{"N":"0"}}"#, r#"{"n":{"N":"-0"}}"#, r#"{"n":{"N":"0e7"}}"#],
            &[r#"{"b":{"B":"+/+/"}}"#, r#"{"b":{"B":"+\/+\u002f"}}"#],
        ] {
            let hasher = RandomState::new();
            for json in group {
                assert_eq!(keys(json), keys(group[0]), "{json}");
                assert!(are_same_keys(json, group[0]), "{json}");
                assert_eq!(hash_keys(json, &hasher), hash_keys(group[0], &hasher), "{json}");
            }
        }
    }

    #[test]
    fn different_keys_differ() {
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
                assert!(!are_same_keys(one, other), "{one} {other}");
            }
        }
    }

    #[test]
    fn an_attribute_is_found_by_its_name() {
        let json = r#"{"s":{"S":"ü:1"},"é":{"N":"-0.0125"},"b":{"B":"Zm9v"}}"#;
        let all = [("b", "BZm9v"), ("s", "Sü:1"), ("é", "N-125e-4")];
        for (name, value) in all {
            let found = key_value(json, name).unwrap_or_else(|error| panic!("{error}"));
            assert_eq!(found.map(|found| found.canonical()).as_deref(), Some(value));
            let found = find_key_value(json, name).unwrap_or_else(|error| panic!("{error}"));
            assert_eq!(found.map(|found| found.canonical()).as_deref(), Some(value));
        }
        assert!(key_value(json, "a").is_ok_and(|found| found.is_none()));
        assert!(find_key_value(json, "a").is_ok_and(|found| found.is_none()));
        assert_eq!(keys(json).attributes().collect::<Vec<_>>(), all);
        assert_eq!(format!("{:?}", keys(json)), r#"{"b", "s", "é"}"#);
    }

    #[test]
    fn what_comes_after_an_attribute_is_looked_at_by_key_value_alone() {
        for json in [r#"{"a":{"S":"x"},"b":{"BOOL":true}}"#, r#"{"a":{"S":"x"},"a":{"S":"y"}}"#, r#"{"a":{"S":"x"}"#] {
            assert!(key_value(json, "a").is_err(), "{json}");
            let found = find_key_value(json, "a").unwrap_or_else(|error| panic!("{json}: {error}"));
            assert_eq!(found.as_ref().and_then(KeyValue::text), Some("x"), "{json}");
            assert!(find_key_value(json, "c").is_err(), "{json}");
        }
        assert!(find_key_value("{}", "a").is_err(), "a primary key has an attribute");
    }

    #[test]
    fn a_value_equals_its_spellings_alone() {
        let value = |json: &'static str| key_value(json, "a").ok().flatten().expect("it has the attribute");
        let hasher = RandomState::new();
        let same =
            [r#"{"a":{"N":"-12.50"}}"#, r#"{"a":{"N":"-1250e-2"},"b":{"S":""}}"#, r#"{"\u0061":{"N":"-012.5"}}"#];
        for json in same {
            assert!(value(json) == value(same[0]), "{json}");
            assert_eq!(hasher.hash_one(value(json)), hasher.hash_one(value(same[0])), "{json}");
        }
        for json in [r#"{"a":{"N":"12.5"}}"#, r#"{"a":{"N":"-125"}}"#, r#"{"a":{"S":"-12.50"}}"#] {
            assert!(value(json) != value(same[0]), "{json}");
        }
    }

    #[test]
    fn numbers_that_differ_have_different_hashes() {
        let hasher = RandomState::new();
        let hash = |number: String| hash_keys(&format!(r#"{{"id":{{"N":"{number}"}}}}"#), &hasher);
        let spellings = (0..1_000).flat_map(|power| [format!("1e{power}"), format!("1e-{}", power + 1)]);
        let hashes: std::collections::HashSet<u64> = spellings.map(|number| hash(number).expect("a key")).collect();
        assert_eq!(hashes.len(), 2_000, "a batch of them must not fall into one bucket");
        assert_eq!(hash("1e3".to_owned()), hash("1000".to_owned()));
        assert_eq!(hash("0".to_owned()), hash("-0e5".to_owned()));
    }

    #[test]
    fn malformed_keys_are_refused() {
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
            assert_eq!(hash_keys(json, &RandomState::new()), Err(error.clone()));
            assert_eq!(check_keys(json), Err(error));
        }
    }
}
