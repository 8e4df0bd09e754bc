//! A position in the JSON text, and the grammar of JSON's parts.

use std::borrow::Cow;

use super::error::Fault;
use super::names::Names;
use crate::json::end_of_plain_text;

const UNFINISHED: &str = "the JSON ends in its middle";

/// One pass over the text; every part is checked as the cursor moves over it.
pub(super) struct Cursor<'de> {
    pub(super) text: &'de str,
    pub(super) at: usize,
    /// How many `M` and `L` are open around the position.
    pub(super) depth: usize,
    /// Where the value starts that was read last, whole.
    pub(super) finished: usize,
    /// What is malformed. It stays, so that a type that swallows errors cannot make a malformed item pass; and the cursor
    /// stands at the text's end from then on, so that nothing more is found.
    pub(super) broken: Option<&'static str>,
}

/// A member's name.
pub(super) struct Name<'de> {
    /// Where its quote stands.
    pub(super) at: usize,
    pub(super) text: Cow<'de, str>,
}

/// A position to come back to.
#[derive(Clone, Copy)]
pub(super) struct Mark {
    pub(super) at: usize,
    depth: usize,
}

impl<'de> Cursor<'de> {
    pub(super) fn new(text: &'de str) -> Self {
        Self { text, at: 0, depth: 0, finished: usize::MAX, broken: None }
    }

    pub(super) fn mark(&self) -> Mark {
        Mark { at: self.at, depth: self.depth }
    }

    pub(super) fn rewind(&mut self, mark: Mark) {
        self.at = mark.at;
        self.depth = mark.depth;
    }

    #[cold]
    pub(super) fn malformed<T>(&mut self, what: &'static str) -> Result<T, Fault> {
        self.broken = Some(self.broken.unwrap_or(what));
        self.at = self.text.len();
        Err(Fault::malformed(what))
    }

    /// The text from a mark up to here.
    pub(super) fn since(&self, mark: Mark) -> &'de str {
        &self.text[mark.at..self.at]
    }

    #[inline]
    pub(super) fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    #[inline]
    pub(super) fn rest(&self) -> &'de [u8] {
        &self.text.as_bytes()[self.at..]
    }

    #[inline]
    pub(super) fn advance(&mut self, bytes: usize) {
        self.at += bytes;
    }

    #[inline]
    pub(super) fn space(&mut self) {
        while let Some(b' ' | b'\n' | b'\r' | b'\t') = self.peek() {
            self.at += 1;
        }
    }

    /// Moves over one byte of punctuation, where it stands next.
    #[inline]
    pub(super) fn eat(&mut self, byte: u8) -> bool {
        if self.peek() != Some(byte) {
            self.space();
            if self.peek() != Some(byte) {
                return false;
            }
        }
        self.at += 1;
        true
    }

    #[inline]
    pub(super) fn expect(&mut self, byte: u8, otherwise: &'static str) -> Result<(), Fault> {
        if self.eat(byte) { Ok(()) } else { self.malformed(otherwise) }
    }

    /// Moves behind an object's end that follows at once; else does not move.
    #[inline(always)]
    pub(super) fn plain_end(&mut self) -> bool {
        let is_end = self.peek() == Some(b'}');
        self.at += usize::from(is_end);
        is_end
    }

    /// Checks that nothing but space is left.
    pub(super) fn end(&mut self) -> Result<(), Fault> {
        self.space();
        if self.at == self.text.len() { Ok(()) } else { self.malformed("text follows the end of the item") }
    }

    /// Moves to the value of the next member of an object, behind its `{`; `None` behind its `}`. A name that was there
    /// before is malformed.
    #[inline]
    pub(super) fn next_member(&mut self, names: &mut Names<'de>) -> Result<Option<Name<'de>>, Fault> {
        let start = self.at + usize::from(!names.is_empty());
        match self.next_plain_member(names) {
            Some(text) => Ok(Some(Name { at: start, text: Cow::Borrowed(text) })),
            None if self.plain_end() => Ok(None),
            None => self.next_any_member(names),
        }
    }

    /// The same for a new name that follows without space and escapes, as DynamoDB writes it; else does not move. (A text
    /// stays in registers, where a result with a `Cow` in it goes through memory.)
    #[inline(always)]
    pub(super) fn next_plain_member(&mut self, names: &mut Names<'de>) -> Option<&'de str> {
        let bytes = self.text.as_bytes();
        let mut quote = self.at;
        if !names.is_empty() {
            if *bytes.get(quote)? != b',' {
                return None;
            }
            quote += 1;
        }
        if *bytes.get(quote)? != b'"' {
            return None;
        }
        let (start, end) = (quote + 1, end_of_plain_text(bytes, quote + 1));
        if *bytes.get(end)? != b'"' || *bytes.get(end + 1)? != b':' {
            return None;
        }
        let text = self.text.get(start..end)?;
        if !names.insert_plain(self.text, start, end) {
            return None;
        }
        self.at = end + 2;
        Some(text)
    }

    #[cold]
    fn next_any_member(&mut self, names: &mut Names<'de>) -> Result<Option<Name<'de>>, Fault> {
        let Some(name) = self.next_name(names.is_empty())? else { return Ok(None) };
        if names.insert_hashed(self.text, name.text.clone()) {
            return Ok(Some(name));
        }
        self.malformed("the attribute occurs twice").map_err(|fault: Fault| fault.at_name(&name.text))
    }

    /// Moves to the value of the next member, whatever its name.
    pub(super) fn next_name(&mut self, first: bool) -> Result<Option<Name<'de>>, Fault> {
        if !self.next_in(first, b'}')? {
            return Ok(None);
        }
        self.space();
        let at = self.at;
        let text = self.string("an object has something else than a name")?;
        self.expect(b':', "an object has a name without a value")?;
        Ok(Some(Name { at, text }))
    }

    /// Says which attribute a fault lies in: the one whose name stands there.
    #[cold]
    #[inline(never)]
    pub(super) fn blame(&self, at: usize, fault: &mut Fault) {
        let mut cursor = Cursor { at, ..Cursor::new(self.text) };
        if let Ok(name) = cursor.string("") {
            fault.put_name(&name);
        }
    }

    /// Moves to the next element of an array or object; `false` behind its end.
    #[inline]
    pub(super) fn next_in(&mut self, first: bool, end: u8) -> Result<bool, Fault> {
        if self.eat(end) {
            return Ok(false);
        }
        if !first {
            self.expect(b',', "the JSON has no comma where one must be")?;
        }
        Ok(true)
    }

    /// Reads `true` or `false`.
    pub(super) fn boolean(&mut self) -> Result<bool, Fault> {
        self.space();
        let rest = self.rest();
        if rest.starts_with(b"true") {
            self.at += 4;
            Ok(true)
        } else if rest.starts_with(b"false") {
            self.at += 5;
            Ok(false)
        } else {
            self.malformed("a BOOL or NULL is neither true nor false")
        }
    }

    /// Reads a string, without a copy where it has no escapes.
    #[inline]
    pub(super) fn string(&mut self, otherwise: &'static str) -> Result<Cow<'de, str>, Fault> {
        match self.plain_string() {
            Some(text) => Ok(Cow::Borrowed(text)),
            None => self.any_string(otherwise),
        }
    }

    /// Reads a string that follows without space and has no escapes; else does not move.
    #[inline(always)]
    pub(super) fn plain_string(&mut self) -> Option<&'de str> {
        let bytes = self.text.as_bytes();
        if *bytes.get(self.at)? != b'"' {
            return None;
        }
        let start = self.at + 1;
        let end = end_of_plain_text(bytes, start);
        if *bytes.get(end)? != b'"' {
            return None;
        }
        self.at = end + 1;
        self.text.get(start..end)
    }

    fn any_string(&mut self, otherwise: &'static str) -> Result<Cow<'de, str>, Fault> {
        self.space();
        if let Some(text) = self.plain_string() {
            return Ok(Cow::Borrowed(text));
        }
        self.expect(b'"', otherwise)?;
        let mut text = String::new();
        loop {
            let end = end_of_plain_text(self.text.as_bytes(), self.at);
            text.push_str(&self.text[self.at..end]);
            self.at = end;
            match self.peek() {
                Some(b'"') => break,
                Some(b'\\') => text.push(self.escape()?),
                Some(_) => return self.malformed("a string has a control character that is not escaped"),
                None => return self.malformed(UNFINISHED),
            }
        }
        self.at += 1;
        Ok(Cow::Owned(text))
    }

    /// Reads an escape from its backslash on.
    fn escape(&mut self) -> Result<char, Fault> {
        self.at += 1;
        let Some(kind) = self.peek() else { return self.malformed(UNFINISHED) };
        let char = match kind {
            b'"' | b'\\' | b'/' => char::from(kind),
            b'b' => '\u{8}',
            b'f' => '\u{c}',
            b'n' => '\n',
            b'r' => '\r',
            b't' => '\t',
            b'u' => {
                self.at += 1;
                return self.unicode_escape();
            }
            _ => return self.malformed("a string has an escape that JSON does not know"),
        };
        self.at += 1;
        Ok(char)
    }

    fn unicode_escape(&mut self) -> Result<char, Fault> {
        const LONE: &str = "a string has half of a surrogate pair";
        let unit = self.hex()?;
        let code = match unit {
            0xD800..=0xDBFF => {
                if !self.rest().starts_with(b"\\u") {
                    return self.malformed(LONE);
                }
                self.at += 2;
                match self.hex()? {
                    low @ 0xDC00..=0xDFFF => 0x10000 + ((unit - 0xD800) << 10) + (low - 0xDC00),
                    _ => return self.malformed(LONE),
                }
            }
            _ => unit,
        };
        match char::from_u32(code) {
            Some(char) => Ok(char),
            None => self.malformed(LONE),
        }
    }

    fn hex(&mut self) -> Result<u32, Fault> {
        let digits = self.rest().first_chunk::<4>();
        let unit = digits.and_then(|digits| {
            digits.iter().try_fold(0, |unit, digit| Some(unit << 4 | char::from(*digit).to_digit(16)?))
        });
        match unit {
            Some(unit) => {
                self.at += 4;
                Ok(unit)
            }
            None => self.malformed("a string has a \\u escape without four hexadecimal digits"),
        }
    }
}

/// Behind a decimal number without an exponent.
#[inline(always)]
pub(super) fn after_plain_number(bytes: &[u8], start: usize) -> Option<usize> {
    let end = after_digits(bytes, start + usize::from(*bytes.get(start)? == b'-'))?;
    if *bytes.get(end)? == b'.' { after_digits(bytes, end + 1) } else { Some(end) }
}

/// Behind digits, of which there is at least one.
#[inline(always)]
fn after_digits(bytes: &[u8], start: usize) -> Option<usize> {
    let mut end = start;
    while bytes.get(end).is_some_and(u8::is_ascii_digit) {
        end += 1;
    }
    (end > start).then_some(end)
}
