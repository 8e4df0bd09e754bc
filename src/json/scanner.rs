//! Moves through a JSON text part by part: values, arrays, and objects member by member.

use super::grammar::{after_space, after_string, after_value, end_of_plain_text};
use super::member_order::{Expected, MemberOrder};
use super::members::{Last, MemberName, Members, Object, Problem};
use super::raw::RawJson;
use super::{InvalidJson, braces};

/// A position in a text; what is before it is valid JSON.
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

    /// Goes back to an earlier position.
    pub(crate) fn rewind(&mut self, at: usize) {
        self.at = at;
    }

    /// Moves over exactly this text if it is next.
    #[inline]
    pub(crate) fn skip(&mut self, text: &str) -> bool {
        let is_next = self.text.as_bytes().get(self.at..self.at + text.len()) == Some(text.as_bytes());
        self.at += if is_next { text.len() } else { 0 };
        is_next
    }

    /// The text from an earlier position up to here.
    pub(crate) fn since(&self, at: usize) -> &'a str {
        &self.text[at..self.at]
    }

    /// The first byte of the next value; `None` at the end of the text.
    #[inline]
    pub(crate) fn peek_value(&mut self) -> Option<u8> {
        self.space();
        self.text.as_bytes().get(self.at).copied()
    }

    /// Checks that nothing but space is left.
    pub(crate) fn end(&mut self) -> Result<(), InvalidJson> {
        if self.peek_value().is_none() { Ok(()) } else { Err(InvalidJson) }
    }

    /// Moves over a value.
    #[inline]
    pub(crate) fn value(&mut self) -> Result<RawJson<'a>, InvalidJson> {
        self.space();
        let start = self.at;
        let is_plain = self.plain_string().is_some();
        if !is_plain {
            self.at = after_value(self.text.as_bytes(), start).ok_or(InvalidJson)?;
        }
        Ok(RawJson { text: &self.text[start..self.at], is_plain })
    }

    /// Moves over an object without validating it.
    #[inline]
    pub(crate) fn unchecked_object(&mut self) -> Result<RawJson<'a>, InvalidJson> {
        self.nested(|scanner| {
            scanner.expect(b'{')?;
            scanner.at = braces::after_object(scanner.text.as_bytes(), scanner.at).ok_or(InvalidJson)?;
            Ok(())
        })
    }

    /// Moves over an array or an object as `read` does, and returns it.
    #[inline]
    pub(crate) fn nested(
        &mut self,
        read: impl FnOnce(&mut Self) -> Result<(), InvalidJson>,
    ) -> Result<RawJson<'a>, InvalidJson> {
        self.space();
        let start = self.at;
        read(self)?;
        Ok(self.nested_since(start))
    }

    /// The array or object from an earlier position up to here.
    pub(crate) fn nested_since(&self, start: usize) -> RawJson<'a> {
        RawJson { text: self.since(start), is_plain: false }
    }

    /// Moves into an array, to its first element; `false` if it is empty, and the scanner is then after it.
    pub(crate) fn open_array(&mut self) -> Result<bool, InvalidJson> {
        self.expect(b'[')?;
        Ok(!self.eat(b']'))
    }

    /// Moves to the next element of an array; `false` if there is none, and the scanner is then after the array.
    #[inline]
    pub(crate) fn next_element(&mut self) -> Result<bool, InvalidJson> {
        if self.eat(b']') {
            return Ok(false);
        }
        self.expect(b',')?;
        Ok(true)
    }

    /// Moves over an object. `read` moves over the value of each member that `M` names; other members are skipped.
    #[inline]
    pub(crate) fn object<M: MemberName, const N: usize>(
        &mut self,
        members: &mut Members<'a, M, N>,
        mut read: impl FnMut(&mut Self, M) -> Result<RawJson<'a>, InvalidJson>,
    ) -> Result<(), InvalidJson> {
        let mut object = self.open_object(members)?;
        while let Some(member) = self.next_member(&mut object, members)? {
            let value = read(self, member)?;
            self.take(&mut object, members, member, value);
        }
        Ok(())
    }

    /// The same for one of many objects whose members mostly have the same order.
    #[inline]
    pub(crate) fn object_in_order<M: MemberName, const N: usize>(
        &mut self,
        members: &mut Members<'a, M, N>,
        order: &mut MemberOrder<'a, M, N>,
        mut read: impl FnMut(&mut Self, M) -> Result<RawJson<'a>, InvalidJson>,
    ) -> Result<(), InvalidJson> {
        let mut object = self.open_object(members)?;
        loop {
            object.member_start = self.at;
            let member = match order.expected(object.last) {
                Some(expected) if self.skip(expected.prefix) => expected.member,
                _ => {
                    let Some(member) = self.next_member(&mut object, members)? else { return Ok(()) };
                    order.expect(object.last, Expected { member, prefix: self.since(object.member_start) });
                    member
                }
            };
            let value = read(self, member)?;
            self.take(&mut object, members, member, value);
        }
    }

    /// Moves into an object, whose members are then to be read one by one.
    #[inline]
    pub(crate) fn open_object<M: MemberName, const N: usize>(
        &mut self,
        members: &mut Members<'a, M, N>,
    ) -> Result<Object<M, N>, InvalidJson> {
        *members = Members::NONE;
        self.expect(b'{')?;
        Ok(Object::START)
    }

    /// Moves to the value of the next member that `M` names; `None` if there is none, and the scanner is then after the
    /// object.
    #[inline(always)]
    pub(crate) fn next_member<M: MemberName, const N: usize>(
        &mut self,
        object: &mut Object<M, N>,
        members: &mut Members<'a, M, N>,
    ) -> Result<Option<M>, InvalidJson> {
        loop {
            object.member_start = self.at;
            if self.eat(b'}') {
                return Ok(None);
            }
            if !matches!(object.last, Last::None) {
                self.expect(b',')?;
            }
            self.space();
            let at = self.at;
            let member = match self.name()? {
                Some(name) => M::from_name(name),
                None => match self.unescaped(at) {
                    Some(name) => M::from_name(&name),
                    None => {
                        members.set_bad(at, Problem::UnreadableName);
                        None
                    }
                },
            };
            if member.is_some() {
                return Ok(member);
            }
            self.value()?;
            object.last = Last::Skipped;
        }
    }

    /// Keeps the value of the member that `next_member` moved to; the scanner is after it.
    #[inline(always)]
    pub(crate) fn take<M: MemberName, const N: usize>(
        &self,
        object: &mut Object<M, N>,
        members: &mut Members<'a, M, N>,
        member: M,
        value: RawJson<'a>,
    ) {
        object.last = Last::Known(member);
        if std::mem::replace(&mut object.seen[member.index()], true) {
            let quote = self.text[object.member_start..].find('"').expect("a member starts with its name");
            members.set_bad(object.member_start + quote, Problem::Repeated);
        } else {
            members.set(member, value);
        }
    }

    /// Moves over a member's name and its colon, and returns the name unless it has escapes.
    #[inline]
    fn name(&mut self) -> Result<Option<&'a str>, InvalidJson> {
        let start = self.at;
        let name = self.plain_string();
        if name.is_none() {
            self.at = after_string(self.text.as_bytes(), start).ok_or(InvalidJson)?;
        }
        self.expect(b':')?;
        Ok(name)
    }

    /// Moves over a string without escapes, and returns its content; does not move if anything else is next.
    #[inline]
    fn plain_string(&mut self) -> Option<&'a str> {
        let bytes = self.text.as_bytes();
        if bytes.get(self.at) != Some(&b'"') {
            return None;
        }
        let start = self.at + 1;
        let end = end_of_plain_text(bytes, start);
        if bytes.get(end) != Some(&b'"') {
            return None;
        }
        self.at = end + 1;
        self.text.get(start..end)
    }

    /// The name that starts there and has escapes; `None` if it cannot be decoded.
    #[cold]
    fn unescaped(&self, at: usize) -> Option<String> {
        let end = after_string(self.text.as_bytes(), at)?;
        serde_json::from_str(&self.text[at..end]).ok()
    }

    #[inline]
    fn space(&mut self) {
        self.at = after_space(self.text.as_bytes(), self.at);
    }

    /// Moves over a byte of punctuation if it is next, after any space.
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
    fn expect(&mut self, byte: u8) -> Result<(), InvalidJson> {
        if self.eat(byte) { Ok(()) } else { Err(InvalidJson) }
    }
}

#[cfg(test)]
mod tests {
    use super::super::members::member_names;
    use super::*;

    member_names! {
        enum Letter {
            A = "a",
            B = "b",
        }
    }

    type Letters<'a> = Members<'a, Letter, { Letter::COUNT }>;

    fn values<'a>(members: &Letters<'a>) -> [Option<&'a str>; 2] {
        [Letter::A, Letter::B].map(|letter| members.get(letter).map(|value| value.text))
    }

    #[test]
    fn earlier_objects_do_not_affect_a_later_one() {
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
        type Order<'a> = MemberOrder<'a, Letter, { Letter::COUNT }>;
        fn read<'a>(members: &mut Letters<'a>, order: &mut Order<'a>, text: &'a str) -> String {
            let read = Scanner::new(text).object_in_order(members, order, |scanner, _| scanner.value());
            format!("{read:?} {:?}", members.checked().map(values))
        }
        fn read_without_order(text: &str) -> String {
            let mut members = Members::NONE;
            let read = Scanner::new(text).object(&mut members, |scanner, _: Letter| scanner.value());
            format!("{read:?} {:?}", members.checked().map(values))
        }
        for first in TEXTS {
            for second in TEXTS {
                for third in TEXTS {
                    let (mut members, mut order) = (Members::NONE, MemberOrder::UNKNOWN);
                    for before in [first, second] {
                        read(&mut members, &mut order, before);
                    }
                    let after = read(&mut members, &mut order, third);
                    assert_eq!(after, read_without_order(third), "{first} {second} {third}");
                }
            }
        }
    }

    #[test]
    fn members_are_found_by_name_and_a_repeated_one_is_reported() {
        let read = |text: &'static str| {
            let mut members = Letters::NONE;
            Scanner::new(text).object(&mut members, |scanner, _| scanner.value()).expect(text);
            members.checked().map(values)
        };
        assert_eq!(
            read(r#"{"x": 1, "b" : [2, {"a": 3}] , "\u0061": "4"}"#).expect("good"),
            [Some("\"4\""), Some("[2, {\"a\": 3}]")]
        );
        assert_eq!(read(r#"{"a": null, "x": 1, "x": 1}"#).expect("good"), [None, None]);
        let repeated = read(r#"{"a": null, "b": 1, "\u0061": 1, "a": 2}"#).expect_err("twice");
        assert_eq!((repeated.at, repeated.problem), (20, Problem::Repeated));
        let unreadable = read(r#"{"\ud800": null, "a": 1}"#).expect_err("half a pair");
        assert_eq!((unreadable.at, unreadable.problem), (1, Problem::UnreadableName));
    }
}
