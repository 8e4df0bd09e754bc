//! A position in the JSON text, and the grammar of JSON's parts.

use std::borrow::Cow;

use super::error::Fault;

const UNFINISHED: &str = "the JSON ends in its middle";

/// One pass over the text; every part is checked as the cursor moves over it.
pub(super) struct Cursor<'de> {
    text: &'de str,
    at: usize,
    /// How many `M` and `L` are open around the position.
    pub(super) depth: usize,
    /// Where the value starts that was read last, whole.
    pub(super) finished: usize,
    /// What is malformed. It stays, so that a type that swallows errors cannot make a malformed item pass.
    pub(super) broken: Option<&'static str>,
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

    /// Checks that nothing but space is left.
    pub(super) fn end(&mut self) -> Result<(), Fault> {
        self.space();
        if self.at == self.text.len() { Ok(()) } else { self.malformed("text follows the end of the item") }
    }

    /// Moves to the next member of an object behind its `{`; `None` behind its `}`.
    #[inline]
    pub(super) fn next_member(&mut self, first: bool) -> Result<Option<Cow<'de, str>>, Fault> {
        match self.next_plain_member(first) {
            Some(name) => Ok(Some(Cow::Borrowed(name))),
            None => self.next_any_member(first),
        }
    }

    /// The same where the name follows without space and escapes; else does not move.
    #[inline]
    fn next_plain_member(&mut self, first: bool) -> Option<&'de str> {
        let bytes = self.text.as_bytes();
        let quote = match first {
            true => self.at,
            false if *bytes.get(self.at)? == b',' => self.at + 1,
            false => return None,
        };
        if *bytes.get(quote)? != b'"' {
            return None;
        }
        let end = plain_end(bytes, quote + 1);
        if *bytes.get(end)? != b'"' || *bytes.get(end + 1)? != b':' {
            return None;
        }
        self.at = end + 2;
        self.text.get(quote + 1..end)
    }

    fn next_any_member(&mut self, first: bool) -> Result<Option<Cow<'de, str>>, Fault> {
        if !self.next_in(first, b'}')? {
            return Ok(None);
        }
        let name = self.string("an object has something else than a name")?;
        self.expect(b':', "an object has a name without a value")?;
        Ok(Some(name))
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
    #[inline]
    pub(super) fn plain_string(&mut self) -> Option<&'de str> {
        let bytes = self.text.as_bytes();
        if *bytes.get(self.at)? != b'"' {
            return None;
        }
        let start = self.at + 1;
        let end = plain_end(bytes, start);
        if *bytes.get(end)? != b'"' {
            return None;
        }
        self.at = end + 1;
        self.text.get(start..end)
    }

    /// Reads a string if it is an integer without escapes, as most numbers are; else does not move.
    #[inline]
    pub(super) fn integer(&mut self) -> Option<&'de str> {
        let text = self.rest().strip_prefix(b"\"")?;
        let sign = usize::from(text.first() == Some(&b'-'));
        let digits = text[sign..].iter().take_while(|byte| byte.is_ascii_digit()).count();
        if digits == 0 || text.get(sign + digits) != Some(&b'"') {
            return None;
        }
        let start = self.at + 1;
        self.at = start + sign + digits + 1;
        Some(&self.text[start..self.at - 1])
    }

    fn any_string(&mut self, otherwise: &'static str) -> Result<Cow<'de, str>, Fault> {
        self.space();
        if let Some(text) = self.plain_string() {
            return Ok(Cow::Borrowed(text));
        }
        self.expect(b'"', otherwise)?;
        let mut text = String::new();
        loop {
            let end = plain_end(self.text.as_bytes(), self.at);
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

/// Where a string's next byte stands that means something: a quote, a backslash or a control character.
#[inline]
fn plain_end(bytes: &[u8], mut at: usize) -> usize {
    const ONES: u64 = u64::from_ne_bytes([1; 8]);
    const HIGH: u64 = ONES << 7;
    // Eight bytes at once; a borrow reaches only bytes behind the first hit, which is the one that counts.
    while let Some(chunk) = bytes.get(at..).and_then(<[u8]>::first_chunk) {
        let word = u64::from_le_bytes(*chunk);
        let control = word.wrapping_sub(ONES * 0x20) & !word;
        let (quote, backslash) = (word ^ (ONES * u64::from(b'"')), word ^ (ONES * u64::from(b'\\')));
        let quote = quote.wrapping_sub(ONES) & !quote;
        let backslash = backslash.wrapping_sub(ONES) & !backslash;
        let hits = (control | quote | backslash) & HIGH;
        if hits != 0 {
            return at + hits.trailing_zeros() as usize / 8;
        }
        at += 8;
    }
    while bytes.get(at).is_some_and(|byte| *byte >= 0x20 && *byte != b'"' && *byte != b'\\') {
        at += 1;
    }
    at
}
