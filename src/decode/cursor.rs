//! The JSON reader of the decoder: a position in the text, and the grammar of objects, arrays and strings.
//!
//! Invariant: what is before the position is well-formed, and once something is malformed, the position is the end of the text
//! and stays there.
//!
//! [`json::Scanner`](crate::json::Scanner) is another reader of JSON. It takes any JSON and fails without a reason. This one
//! takes DynamoDB JSON, names the attribute in which something is malformed, counts levels of nesting, and finds duplicate
//! names. The two share [`end_of_plain_text`], where most of the time goes.

use std::borrow::Cow;

use super::error::ErrorImpl;
use super::locate::Trial;
use super::rounded::Rounded;
use super::seen_names::SeenNames;
use crate::json::end_of_plain_text;

const UNFINISHED: &str = "the JSON is incomplete";

/// One pass over the text, which is checked as the cursor moves over it.
pub(super) struct Cursor<'de> {
    pub(super) text: &'de str,
    pub(super) at: usize,
    /// How many `M` and `L` are open around the position.
    pub(super) depth: usize,
    /// Where the last value starts that was decoded to its end.
    pub(super) finished: usize,
    /// What is malformed. It is kept, so a malformed item fails even if its type swallows errors.
    pub(super) broken: Option<&'static str>,
    pub(super) rounded: Rounded,
    /// Where the name of an attribute starts that is left out, to find out what an error is about; `usize::MAX` for none.
    pub(super) hidden: usize,
    pub(super) trial: Option<Box<Trial>>,
}

/// A member's name.
pub(super) struct Name<'de> {
    /// Where its opening quote is.
    pub(super) at: usize,
    pub(super) text: Cow<'de, str>,
}

/// A position to return to.
#[derive(Clone, Copy)]
pub(super) struct Mark {
    pub(super) at: usize,
    depth: usize,
}

impl<'de> Cursor<'de> {
    pub(super) fn new(text: &'de str) -> Self {
        Self {
            text,
            at: 0,
            depth: 0,
            finished: usize::MAX,
            broken: None,
            rounded: Rounded::default(),
            hidden: usize::MAX,
            trial: None,
        }
    }

    pub(super) fn mark(&self) -> Mark {
        Mark { at: self.at, depth: self.depth }
    }

    pub(super) fn rewind(&mut self, mark: Mark) {
        self.at = mark.at;
        self.depth = mark.depth;
    }

    #[cold]
    pub(super) fn malformed<T>(&mut self, what: &'static str) -> Result<T, ErrorImpl> {
        self.broken = Some(self.broken.unwrap_or(what));
        self.at = self.text.len();
        Err(ErrorImpl::malformed(what))
    }

    /// The text from a mark to here.
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

    /// Moves over a byte of punctuation if it is next, after any space.
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
    pub(super) fn expect(&mut self, byte: u8, otherwise: &'static str) -> Result<(), ErrorImpl> {
        if self.eat(byte) { Ok(()) } else { self.malformed(otherwise) }
    }

    /// Moves over the end of an object if it is next, without space; otherwise does not move.
    #[inline(always)]
    pub(super) fn eat_end(&mut self) -> bool {
        let is_end = self.peek() == Some(b'}');
        self.at += usize::from(is_end);
        is_end
    }

    /// Checks that nothing but space is left.
    pub(super) fn end(&mut self) -> Result<(), ErrorImpl> {
        self.space();
        if self.at == self.text.len() { Ok(()) } else { self.malformed("text follows the end of the item") }
    }

    /// Moves to the value of an object's next member; `None` if there is none, and the cursor is then after the object. It is
    /// malformed if the object had the name before.
    #[inline]
    pub(super) fn next_member(&mut self, names: &mut SeenNames<'de>) -> Result<Option<Name<'de>>, ErrorImpl> {
        let start = self.at + usize::from(!names.is_empty());
        match self.next_plain_member(names) {
            Some(text) => Ok(Some(Name { at: start, text: Cow::Borrowed(text) })),
            None if self.eat_end() => Ok(None),
            None => self.next_any_member(names),
        }
    }

    /// The same for a new name without space and escapes, as DynamoDB writes it; otherwise does not move. It returns a `&str`
    /// because that stays in registers, whereas a result with a `Cow` in it goes through memory.
    #[inline(always)]
    pub(super) fn next_plain_member(&mut self, names: &mut SeenNames<'de>) -> Option<&'de str> {
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
        let start = quote + 1;
        let end = end_of_plain_text(bytes, start);
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
    fn next_any_member(&mut self, names: &mut SeenNames<'de>) -> Result<Option<Name<'de>>, ErrorImpl> {
        let name = loop {
            if !self.next_in(names.is_empty(), b'}')? {
                return Ok(None);
            }
            let name = self.name()?;
            if !names.insert_in_set(self.text, name.text.clone()) {
                break name;
            }
            if name.at != self.hidden {
                return Ok(Some(name));
            }
            self.skip_value()?;
        };
        self.malformed("the attribute occurs twice").map_err(|error: ErrorImpl| error.at_name(&name.text))
    }

    /// Reads a member's name, and moves to its value.
    pub(super) fn name(&mut self) -> Result<Name<'de>, ErrorImpl> {
        self.space();
        let at = self.at;
        let text = self.string("an object has something other than a name")?;
        self.expect(b':', "an object has a name without a value")?;
        Ok(Name { at, text })
    }

    /// Adds to the path of an error the attribute whose name starts at this position.
    #[cold]
    #[inline(never)]
    pub(super) fn blame(&self, at: usize, error: &mut ErrorImpl) {
        let mut cursor = Cursor { at, ..Cursor::new(self.text) };
        if let Ok(name) = cursor.string("") {
            error.put_name(&name);
        }
    }

    /// Moves to the next part of an array or an object; `false` if there is none, and the cursor is then after it.
    #[inline]
    pub(super) fn next_in(&mut self, is_first: bool, end: u8) -> Result<bool, ErrorImpl> {
        if self.eat(end) {
            return Ok(false);
        }
        if !is_first {
            self.expect(b',', "the JSON has no comma where one must be")?;
        }
        Ok(true)
    }

    /// Reads `true` or `false`.
    pub(super) fn boolean(&mut self) -> Result<bool, ErrorImpl> {
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

    /// Reads a string, without a copy if it has no escapes.
    #[inline]
    pub(super) fn string(&mut self, otherwise: &'static str) -> Result<Cow<'de, str>, ErrorImpl> {
        match self.plain_string() {
            Some(text) => Ok(Cow::Borrowed(text)),
            None => self.any_string(otherwise),
        }
    }

    /// Reads a string that is next, without space and escapes; otherwise does not move.
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

    fn any_string(&mut self, otherwise: &'static str) -> Result<Cow<'de, str>, ErrorImpl> {
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

    /// Reads an escape; its backslash is next.
    fn escape(&mut self) -> Result<char, ErrorImpl> {
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
            _ => return self.malformed("a string has an unknown escape"),
        };
        self.at += 1;
        Ok(char)
    }

    fn unicode_escape(&mut self) -> Result<char, ErrorImpl> {
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

    fn hex(&mut self) -> Result<u32, ErrorImpl> {
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

/// The position after a decimal number without an exponent.
#[inline(always)]
pub(super) fn after_plain_number(bytes: &[u8], start: usize) -> Option<usize> {
    let end = after_digits(bytes, start + usize::from(*bytes.get(start)? == b'-'))?;
    if *bytes.get(end)? == b'.' { after_digits(bytes, end + 1) } else { Some(end) }
}

/// The position after one or more digits.
#[inline(always)]
fn after_digits(bytes: &[u8], start: usize) -> Option<usize> {
    let mut end = start;
    while bytes.get(end).is_some_and(u8::is_ascii_digit) {
        end += 1;
    }
    (end > start).then_some(end)
}
