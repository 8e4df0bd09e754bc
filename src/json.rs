//! The grammar of JSON, checked in one pass over a text: nothing is kept but where the values lie.

mod grammar;

use self::grammar::{after_space, after_string, after_value};

/// The text is no JSON. Whoever tells it asks `serde_json` for the words.
#[derive(Debug)]
pub(crate) struct NotJson;

/// A member that spoils its object.
#[derive(Debug, Clone, Copy)]
pub(crate) struct BadMember {
    /// Where its name starts in the whole text.
    pub(crate) at: usize,
    /// Whether it is known and stands there twice; otherwise its name cannot be read.
    pub(crate) repeated: bool,
}

/// An object's known members, unread, in the order of the names asked for; `null` counts as absent.
pub(crate) type Members<'a, const N: usize> = Result<[Option<&'a str>; N], BadMember>;

/// A position in a text; what lies before it is JSON.
pub(crate) struct Scanner<'a> {
    text: &'a str,
    at: usize,
    /// Room for the ends of what is open while a value is moved over.
    ends: Vec<u8>,
}

impl<'a> Scanner<'a> {
    pub(crate) fn new(text: &'a str) -> Self {
        Self { text, at: 0, ends: Vec::new() }
    }

    /// What the next value begins with; nothing at the end of the text.
    #[inline]
    pub(crate) fn peek_value(&mut self) -> Option<u8> {
        self.space();
        self.text.as_bytes().get(self.at).copied()
    }

    /// Checks that nothing but space is left.
    pub(crate) fn end(&mut self) -> Result<(), NotJson> {
        if self.peek_value().is_none() { Ok(()) } else { Err(NotJson) }
    }

    /// Moves over a value, and gives its text.
    #[inline]
    pub(crate) fn value(&mut self) -> Result<&'a str, NotJson> {
        let start = after_space(self.text.as_bytes(), self.at);
        self.at = after_value(self.text.as_bytes(), start, &mut self.ends).ok_or(NotJson)?;
        Ok(&self.text[start..self.at])
    }

    /// Moves over an array, and has each element read by `element`; gives the array's text.
    pub(crate) fn array(
        &mut self,
        mut element: impl FnMut(&mut Self) -> Result<(), NotJson>,
    ) -> Result<&'a str, NotJson> {
        self.with_text(|scanner| {
            scanner.expect(b'[')?;
            let mut first = true;
            while scanner.next_in(first, b']')? {
                element(scanner)?;
                first = false;
            }
            Ok(())
        })
    }

    /// Gives the text of the value that `read` moves over.
    pub(crate) fn with_text(
        &mut self,
        read: impl FnOnce(&mut Self) -> Result<(), NotJson>,
    ) -> Result<&'a str, NotJson> {
        self.space();
        let start = self.at;
        read(self)?;
        Ok(&self.text[start..self.at])
    }

    /// Moves over an object, and has the values of its known members read by `value`, which is told the name's index.
    pub(crate) fn object<const N: usize>(
        &mut self,
        names: &[&str; N],
        mut value: impl FnMut(&mut Self, usize) -> Result<&'a str, NotJson>,
    ) -> Result<Members<'a, N>, NotJson> {
        let mut members: Members<'a, N> = Ok([None; N]);
        let (mut seen, mut first) = ([false; N], true);
        self.expect(b'{')?;
        while self.next_in(first, b'}')? {
            first = false;
            self.space();
            let at = self.at;
            let index = index_of(self.name()?, names);
            let text = match index {
                Ok(Some(index)) => value(self, index)?,
                _ => self.value()?,
            };
            match index {
                Ok(Some(index)) if !std::mem::replace(&mut seen[index], true) => {
                    if let Ok(members) = &mut members {
                        members[index] = Some(text).filter(|text| *text != "null");
                    }
                }
                Ok(None) => {}
                Ok(Some(_)) => members = members.and(Err(BadMember { at, repeated: true })),
                Err(NotJson) => members = members.and(Err(BadMember { at, repeated: false })),
            }
        }
        Ok(members)
    }

    #[inline]
    fn next_in(&mut self, first: bool, end: u8) -> Result<bool, NotJson> {
        if self.eat(end) {
            return Ok(false);
        }
        if !first {
            self.expect(b',')?;
        }
        Ok(true)
    }

    /// Moves over a member's name and its colon; gives what stands between the quotes.
    #[inline]
    fn name(&mut self) -> Result<&'a str, NotJson> {
        self.space();
        let start = self.at;
        let end = after_string(self.text.as_bytes(), start).ok_or(NotJson)?;
        self.at = end;
        self.expect(b':')?;
        Ok(&self.text[start + 1..end - 1])
    }

    #[inline]
    fn space(&mut self) {
        self.at = after_space(self.text.as_bytes(), self.at);
    }

    /// Moves over one byte of punctuation, where it stands next.
    #[inline]
    fn eat(&mut self, byte: u8) -> bool {
        self.space();
        let found = self.text.as_bytes().get(self.at) == Some(&byte);
        self.at += usize::from(found);
        found
    }

    #[inline]
    fn expect(&mut self, byte: u8) -> Result<(), NotJson> {
        if self.eat(byte) { Ok(()) } else { Err(NotJson) }
    }
}

/// Which of the names it is, also where it is spelt with escapes.
#[inline]
fn index_of(name: &str, names: &[&str]) -> Result<Option<usize>, NotJson> {
    match names.iter().position(|known| *known == name) {
        None if has_escape(name) => {
            let name: String = serde_json::from_str(&format!("\"{name}\"")).map_err(|_| NotJson)?;
            Ok(names.iter().position(|known| *known == name))
        }
        index => Ok(index),
    }
}

/// Whether what stands between the quotes of a JSON string is not its text.
#[inline]
pub(crate) fn has_escape(string: &str) -> bool {
    // Every byte is looked at, so that the compiler takes many at once; the strings are short.
    string.bytes().fold(false, |found, byte| found | (byte == b'\\'))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::value::RawValue;

    use super::*;

    fn is_json(text: &str) -> bool {
        let mut scanner = Scanner::new(text);
        scanner.value().is_ok() && scanner.end().is_ok()
    }

    proptest! {
        #[test]
        fn it_takes_what_serde_json_takes(
            parts in prop::collection::vec(
                prop::sample::select(vec![
                    "{", "}", "[", "]", ",", ":", "\"", "\\", "\\\"", "\\u00e9", "\\ud800", "\\u12", "\\x", "\"a\"", "\"a\":", "0",
                    "1", "-", ".5", "e1", "E+", "01", "true", "false", "null", "nul", " ", "\n", "\u{1}", "é", "{}", "[]",
                    "{\"a\":1}", "[1,2]", "\"long enough for a word\"",
                ]),
                0..12,
            )
        ) {
            let text = parts.concat();
            prop_assert_eq!(is_json(&text), serde_json::from_str::<&RawValue>(&text).is_ok(), "{}", text);
        }

        #[test]
        fn it_takes_what_serde_json_takes_of_damaged_documents(at in 0..200_usize, byte in 0..128_u8, cut in any::<bool>()) {
            let mut text = r#"{"Records": [{"a\u0062": {"S": "x\n\ud83d\ude00"}, "n": [-1.5e-7, 0, true, null]}, {}, []], "z": "0123456789"}"#.to_owned();
            let at = at % text.len();
            let byte = char::from(byte).to_string();
            text.replace_range(at..=at, if cut { "" } else { &byte });
            prop_assert_eq!(is_json(&text), serde_json::from_str::<&RawValue>(&text).is_ok(), "{}", text);
        }
    }

    #[test]
    fn no_depth_overflows_the_stack() {
        let deep = "[".repeat(1_000_000);
        assert!(!is_json(&deep));
        assert!(is_json(&(deep + &"]".repeat(1_000_000))));
    }

    #[test]
    fn members_are_found_by_their_names_and_the_second_of_a_pair_is_told() {
        let read = |text: &'static str| {
            let mut scanner = Scanner::new(text);
            scanner.object(&["a", "b"], |scanner, _| scanner.value()).expect(text)
        };
        assert_eq!(
            read(r#"{"x": 1, "b" : [2, {"a": 3}] , "\u0061": "4"}"#).expect("good"),
            [Some("\"4\""), Some("[2, {\"a\": 3}]")]
        );
        assert_eq!(read(r#"{"a": null, "x": 1, "x": 1}"#).expect("good"), [None, None]);
        let repeated = read(r#"{"a": null, "b": 1, "\u0061": 1, "a": 2}"#).expect_err("twice");
        assert_eq!((repeated.at, repeated.repeated), (20, true));
        let unreadable = read(r#"{"\ud800": null, "a": 1}"#).expect_err("half a pair");
        assert_eq!((unreadable.at, unreadable.repeated), (1, false));
    }
}
