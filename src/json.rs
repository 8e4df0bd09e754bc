//! The grammar of JSON, checked in one pass over a text: nothing is kept but where the values lie. Objects that are read
//! later may be passed over unchecked, by their braces.

mod braces;
mod grammar;
mod members;
mod value;

use self::grammar::{after_space, after_string, after_value};

pub(crate) use self::grammar::end_of_plain_text;
pub(crate) use self::members::{BadMember, Members, Object};
pub(crate) use self::value::{NotJson, Span, Text, Value};

/// A position in a text; what lies before it is JSON.
pub(crate) struct Scanner<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Scanner<'a> {
    pub(crate) fn new(text: &'a str) -> Self {
        Self { text, at: 0 }
    }

    /// The position in the whole text.
    pub(crate) fn at(&self) -> usize {
        self.at
    }

    /// Goes back to a position.
    pub(crate) fn rewind(&mut self, at: usize) {
        self.at = at;
    }

    /// Moves over this text if it follows at once.
    #[inline]
    pub(crate) fn skip(&mut self, text: &str) -> bool {
        let is_next = self.text.as_bytes().get(self.at..self.at + text.len()) == Some(text.as_bytes());
        self.at += if is_next { text.len() } else { 0 };
        is_next
    }

    /// The text from a position up to here.
    pub(crate) fn since(&self, at: usize) -> &'a str {
        &self.text[at..self.at]
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

    /// Moves over a value.
    #[inline]
    pub(crate) fn value(&mut self) -> Result<Value<'a>, NotJson> {
        self.space();
        let start = self.at;
        let is_plain = self.plain_string().is_some();
        if !is_plain {
            self.at = after_value(self.text.as_bytes(), start).ok_or(NotJson)?;
        }
        Ok(Value { json: &self.text[start..self.at], is_plain })
    }

    /// Moves over an object, and does not check that it is JSON.
    #[inline]
    pub(crate) fn unchecked_object(&mut self) -> Result<Value<'a>, NotJson> {
        self.whole(|scanner| {
            scanner.expect(b'{')?;
            scanner.at = braces::after_object(scanner.text.as_bytes(), scanner.at).ok_or(NotJson)?;
            Ok(())
        })
    }

    /// Moves into an array, to its first element; `false` behind its end.
    pub(crate) fn open_array(&mut self) -> Result<bool, NotJson> {
        self.expect(b'[')?;
        self.next_in(true, b']')
    }

    /// Moves from behind an element to the next; `false` behind the array's end.
    #[inline]
    pub(crate) fn next_element(&mut self) -> Result<bool, NotJson> {
        self.next_in(false, b']')
    }

    /// The array that starts there, and that the scanner now stands behind.
    pub(crate) fn array_from(&self, start: usize) -> Value<'a> {
        Value { json: self.since(start), is_plain: false }
    }

    /// Gives the array or object that `read` moves over.
    #[inline]
    pub(crate) fn whole(&mut self, read: impl FnOnce(&mut Self) -> Result<(), NotJson>) -> Result<Value<'a>, NotJson> {
        self.space();
        let start = self.at;
        read(self)?;
        Ok(Value { json: &self.text[start..self.at], is_plain: false })
    }

    /// Moves over an object. `number` knows the names that mean something, each by a number below `N`; `value` moves over
    /// such a member's value, and is told the number.
    #[inline]
    pub(crate) fn object<const N: usize>(
        &mut self,
        members: &mut Members<'a, N>,
        number: impl Fn(&str) -> Option<usize>,
        mut value: impl FnMut(&mut Self, usize) -> Result<Value<'a>, NotJson>,
    ) -> Result<(), NotJson> {
        let mut object = self.open_object(members)?;
        while let Some(number) = self.next_member(&mut object, members, &number)? {
            let value = value(self, number)?;
            self.take(&mut object, members, number, value);
        }
        Ok(())
    }

    /// Moves into an object, whose members are then to be taken one by one.
    #[inline]
    pub(crate) fn open_object<const N: usize>(&mut self, members: &mut Members<'a, N>) -> Result<Object<N>, NotJson> {
        members.clear();
        self.expect(b'{')?;
        Ok(Object::START)
    }

    /// Moves to the value of the next member that means something, and tells its number; `None` behind the object's end.
    #[inline(always)]
    pub(crate) fn next_member<const N: usize>(
        &mut self,
        object: &mut Object<N>,
        members: &mut Members<'a, N>,
        number: impl Fn(&str) -> Option<usize>,
    ) -> Result<Option<usize>, NotJson> {
        loop {
            let (start, is_first) = (self.at, object.is_at_first);
            object.member = start;
            let (expected, name) = members.expected(is_first, object.last);
            if !name.is_empty() && self.skip(name) {
                object.is_at_first = false;
                return Ok(Some(expected));
            }
            if !self.next_in(is_first, b'}')? {
                return Ok(None);
            }
            object.is_at_first = false;
            self.space();
            let at = self.at;
            let number = match self.name()? {
                Some(name) => number(name),
                None => match self.unescaped(at) {
                    Some(name) => number(&name),
                    None => {
                        members.bad = members.bad.or(Some(BadMember { at, repeated: false }));
                        None
                    }
                },
            };
            if let Some(number) = number {
                members.expect(is_first, object.last, number, self.since(start));
                return Ok(Some(number));
            }
            self.value()?;
        }
    }

    /// Takes the value that `next_member` moved to, and that the scanner now stands behind.
    #[inline(always)]
    pub(crate) fn take<const N: usize>(
        &self,
        object: &mut Object<N>,
        members: &mut Members<'a, N>,
        number: usize,
        value: Value<'a>,
    ) {
        object.last = Some(number);
        if std::mem::replace(&mut object.seen[number], true) {
            let at = object.member + self.text[object.member..].find('"').unwrap_or(0);
            members.bad = members.bad.or(Some(BadMember { at, repeated: true }));
        } else {
            members.replace(number, value);
        }
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

    /// Moves over a member's name and its colon; gives the name, unless it is spelt with escapes.
    #[inline]
    fn name(&mut self) -> Result<Option<&'a str>, NotJson> {
        let start = self.at;
        let name = self.plain_string();
        if name.is_none() {
            self.at = after_string(self.text.as_bytes(), start).ok_or(NotJson)?;
        }
        self.expect(b':')?;
        Ok(name)
    }

    /// Moves over a string without escapes that follows at once, and gives what stands between its quotes; else does not
    /// move.
    #[inline]
    fn plain_string(&mut self) -> Option<&'a str> {
        let bytes = self.text.as_bytes();
        if bytes.get(self.at) != Some(&b'"') {
            return None;
        }
        let (start, end) = (self.at + 1, end_of_plain_text(bytes, self.at + 1));
        if bytes.get(end) != Some(&b'"') {
            return None;
        }
        self.at = end + 1;
        self.text.get(start..end)
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

/// Why a text is no JSON, in the words of `serde_json`, if it is none.
#[cold]
pub(crate) fn why_not_json(text: &str) -> Option<serde_json::Error> {
    serde_json::from_str::<&serde_json::value::RawValue>(text).err()
}

/// Whether a text is one JSON value.
pub(crate) fn is_json(text: &str) -> bool {
    let mut scanner = Scanner::new(text);
    scanner.value().is_ok() && scanner.end().is_ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::value::RawValue;

    use super::*;

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
    fn what_was_read_before_changes_nothing() {
        const TEXTS: [&str; 16] = [
            r#"{"a":1,"b":2}"#,
            r#"{"b":1,"a":2}"#,
            r#"{"a":1}"#,
            r#"{"b":1}"#,
            r#"{"x":1,"a":2,"b":3}"#,
            r#"{"a":1,"x":2,"b":3}"#,
            r#"{ "a" : 1 , "b" : 2 }"#,
            r#"{"\u0061":1,"b":2}"#,
            r#"{}"#,
            r#"{"a":null,"b":1}"#,
            r#"{"a":1,"b":2,"a":3}"#,
            r#"{"a":1"b":2}"#,
            r#"{,"b":2}"#,
            r#"{"x":1"b":2}"#,
            r#"{"a":1,"b":2,}"#,
            r#"{"a":1,"b"}"#,
        ];
        fn read<'a>(members: &mut Members<'a, 2>, text: &'a str) -> String {
            let number = |name: &str| ["a", "b"].iter().position(|known| *known == name);
            let read = Scanner::new(text).object(members, number, |scanner, _| scanner.value());
            format!("{read:?} {:?}", members.values())
        }
        for first in TEXTS {
            for second in TEXTS {
                for third in TEXTS {
                    let (mut members, mut fresh) = (Members::NONE, Members::NONE);
                    for before in [first, second] {
                        read(&mut members, before);
                    }
                    assert_eq!(read(&mut members, third), read(&mut fresh, third), "{first} {second} {third}");
                }
            }
        }
    }

    #[test]
    fn members_are_found_by_their_names_and_the_second_of_a_pair_is_told() {
        let read = |text: &'static str| {
            let mut members = Members::<2>::NONE;
            let number = |name: &str| ["a", "b"].iter().position(|known| *known == name);
            Scanner::new(text).object(&mut members, number, |scanner, _| scanner.value()).expect(text);
            members.values().map(|values| values.map(|value| value.map(|value| value.json)))
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
