//! The grammar of JSON, checked in one pass over a text: nothing is kept but where the values lie.

mod grammar;

use self::grammar::{after_name, after_space, after_string, after_value};

pub(crate) use self::grammar::end_of_plain_text;

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

/// An object's known members, unread; `null` counts as absent.
#[derive(Clone, Copy)]
pub(crate) struct Members<'a, const N: usize> {
    texts: [Option<&'a str>; N],
    bad: Option<BadMember>,
}

impl<'a, const N: usize> Members<'a, N> {
    pub(crate) const NONE: Self = Self { texts: [None; N], bad: None };

    /// In the order of their names' numbers.
    pub(crate) fn texts(&self) -> Result<&[Option<&'a str>; N], BadMember> {
        self.bad.map_or(Ok(&self.texts), Err)
    }
}

/// A position in a text; what lies before it is JSON.
pub(crate) struct Scanner<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Scanner<'a> {
    pub(crate) fn new(text: &'a str) -> Self {
        Self { text, at: 0 }
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
        self.at = after_value(self.text.as_bytes(), start).ok_or(NotJson)?;
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
    #[inline]
    pub(crate) fn with_text(
        &mut self,
        read: impl FnOnce(&mut Self) -> Result<(), NotJson>,
    ) -> Result<&'a str, NotJson> {
        self.space();
        let start = self.at;
        read(self)?;
        Ok(&self.text[start..self.at])
    }

    /// Moves over an object. `number` knows the names that mean something, each by a number below `N`; `value` moves over
    /// such a member's value, and is told the number.
    #[inline]
    pub(crate) fn object<const N: usize>(
        &mut self,
        members: &mut Members<'a, N>,
        number: impl Fn(&str) -> Option<usize>,
        mut value: impl FnMut(&mut Self, usize) -> Result<&'a str, NotJson>,
    ) -> Result<(), NotJson> {
        let (mut seen, mut first) = ([false; N], true);
        self.expect(b'{')?;
        while self.next_in(first, b'}')? {
            first = false;
            self.space();
            let at = self.at;
            let number = match self.name()? {
                Some(name) => number(name),
                None => match self.unescaped(at) {
                    Some(name) => number(&name),
                    None => {
                        self.value()?;
                        members.bad = members.bad.or(Some(BadMember { at, repeated: false }));
                        continue;
                    }
                },
            };
            let Some(number) = number else {
                self.value()?;
                continue;
            };
            let text = value(self, number)?;
            if std::mem::replace(&mut seen[number], true) {
                members.bad = members.bad.or(Some(BadMember { at, repeated: true }));
            } else if text != "null" {
                members.texts[number] = Some(text);
            }
        }
        Ok(())
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

    /// Moves over a member's name, its colon and the space around; gives the name, unless it is spelt with escapes.
    #[inline]
    fn name(&mut self) -> Result<Option<&'a str>, NotJson> {
        let bytes = self.text.as_bytes();
        let start = self.at + 1;
        let end = end_of_plain_text(bytes, start);
        self.at = after_name(bytes, self.at).ok_or(NotJson)?;
        Ok(if bytes.get(end) == Some(&b'"') { self.text.get(start..end) } else { None })
    }

    /// A name that is spelt with escapes; `None` if it cannot be read.
    #[cold]
    fn unescaped(&self, at: usize) -> Option<String> {
        let end = after_string(self.text.as_bytes(), at)?;
        serde_json::from_str(&self.text[at..end]).ok()
    }

    #[inline]
    fn space(&mut self) {
        self.at = after_space(self.text.as_bytes(), self.at);
    }

    /// Moves over one byte of punctuation, where it stands next.
    #[inline]
    fn eat(&mut self, byte: u8) -> bool {
        if self.text.as_bytes().get(self.at) != Some(&byte) {
            self.space();
            if self.text.as_bytes().get(self.at) != Some(&byte) {
                return false;
            }
        }
        self.at += 1;
        true
    }

    #[inline]
    fn expect(&mut self, byte: u8) -> Result<(), NotJson> {
        if self.eat(byte) { Ok(()) } else { Err(NotJson) }
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
            let mut members = Members::<2>::NONE;
            let number = |name: &str| ["a", "b"].iter().position(|known| *known == name);
            Scanner::new(text).object(&mut members, number, |scanner, _| scanner.value()).expect(text);
            members.texts().copied()
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
