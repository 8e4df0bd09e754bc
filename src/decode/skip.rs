//! The frame of attribute values, and moving over what nobody asked for: nothing is kept, everything is checked.

use std::borrow::Cow;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::cursor::{Cursor, after_plain_number};
use super::error::{AttributeType, Fault};
use super::names::Names;
use super::number;
use crate::json::end_of_plain_text;

/// DynamoDB's limit, an attribute's own value being level 1
/// ([AWS: constraints](https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Constraints.html)).
const MAX_LEVELS: usize = 32;

impl<'de> Cursor<'de> {
    /// Moves into an attribute value, behind `{"TYPE":`.
    #[inline(always)]
    pub(super) fn open_value(&mut self) -> Result<AttributeType, Fault> {
        match self.open_plain() {
            Some(tag) => Ok(tag),
            None => self.open_any(),
        }
    }

    /// The same for the most frequent types without space and escapes, as DynamoDB writes them; else does not move.
    #[inline(always)]
    fn open_plain(&mut self) -> Option<AttributeType> {
        const FRAME: u64 = u64::from_le_bytes(*b"{\"\0\":\0\0\0");
        const MASK: u64 = u64::from_le_bytes(*b"\xff\xff\0\xff\xff\0\0\0");
        const BOOL: u64 = u64::from_le_bytes(*b"{\"BOOL\":");
        const NULL: u64 = u64::from_le_bytes(*b"{\"NULL\":");
        const TEXTS: u64 = u64::from_le_bytes(*b"{\"SS\":\0\0");
        const SET_MASK: u64 = u64::MAX >> 16;
        let word = u64::from_le_bytes(*self.rest().first_chunk()?);
        let (tag, length) = match word & MASK {
            FRAME => match (word >> 16) as u8 {
                b'S' => (AttributeType::S, 5),
                b'N' => (AttributeType::N, 5),
                b'M' => (AttributeType::M, 5),
                b'L' => (AttributeType::L, 5),
                _ => return None,
            },
            _ => match word {
                BOOL => (AttributeType::Bool, 8),
                NULL => (AttributeType::Null, 8),
                _ if word & SET_MASK == TEXTS => (AttributeType::SS, 6),
                _ => return None,
            },
        };
        if self.depth >= MAX_LEVELS {
            return None;
        }
        self.advance(length);
        Some(tag)
    }

    /// Moves over a whole `{"S":"text"}` without space and escapes, as DynamoDB writes it; else does not move. (A text stays
    /// in registers, where a result with a `Cow` in it goes through memory.)
    #[inline(always)]
    pub(super) fn plain_text(&mut self) -> Option<&'de str> {
        let start = self.after_frame(u64::from_le_bytes(*b"{\"S\":\"\0\0"))?;
        self.plain_content(start, end_of_plain_text(self.text.as_bytes(), start))
    }

    /// The same for an `N` without an exponent.
    #[inline(always)]
    pub(super) fn plain_number(&mut self) -> Option<&'de str> {
        let start = self.after_frame(u64::from_le_bytes(*b"{\"N\":\"\0\0"))?;
        self.plain_content(start, after_plain_number(self.text.as_bytes(), start)?)
    }

    #[inline(always)]
    fn after_frame(&self, frame: u64) -> Option<usize> {
        const MASK: u64 = u64::from_le_bytes(*b"\xff\xff\xff\xff\xff\xff\0\0");
        let word = u64::from_le_bytes(*self.rest().first_chunk()?);
        (word & MASK == frame && self.depth < MAX_LEVELS).then_some(self.at + 6)
    }

    /// Moves over a value whose content ends there.
    #[inline(always)]
    fn plain_content(&mut self, start: usize, end: usize) -> Option<&'de str> {
        if self.text.as_bytes().get(end..)?.first_chunk()? != b"\"}" {
            return None;
        }
        let content = self.text.get(start..end)?;
        self.at = end + 2;
        Some(content)
    }

    /// The same for every type and every spelling.
    #[cold]
    fn open_any(&mut self) -> Result<AttributeType, Fault> {
        if self.depth >= MAX_LEVELS {
            return self.malformed("values are nested deeper than the 32 levels that DynamoDB allows");
        }
        self.space();
        self.expect(b'{', "a value is no object with a type such as `S`")?;
        match self.next_name(true)? {
            None => self.malformed("a value has no type"),
            Some(tag) => match AttributeType::from_wire(tag.text.as_bytes()) {
                Some(tag) => Ok(tag),
                None => self.malformed("a value has a type that DynamoDB does not know"),
            },
        }
    }

    #[inline]
    pub(super) fn close_value(&mut self) -> Result<(), Fault> {
        if self.eat(b'}') { Ok(()) } else { self.unclosed() }
    }

    #[cold]
    fn unclosed(&mut self) -> Result<(), Fault> {
        let second = self.eat(b',');
        self.malformed(if second {
            "a value has more than one type"
        } else {
            "a value does not end behind its content"
        })
    }

    /// Moves into an object of attributes; its names are to be taken one by one.
    #[inline]
    pub(super) fn open_members(&mut self) -> Result<Names<'de>, Fault> {
        self.expect(b'{', "an M or the item itself is no object")?;
        Ok(Names::of(self.text))
    }

    pub(super) fn open_elements(&mut self) -> Result<(), Fault> {
        self.expect(b'[', "an L or a set is no array")
    }

    #[inline]
    pub(super) fn text_content(&mut self) -> Result<Cow<'de, str>, Fault> {
        self.string("an S is no text")
    }

    #[inline]
    pub(super) fn number_content(&mut self) -> Result<Cow<'de, str>, Fault> {
        let text = self.string("an N is no text")?;
        if number::is_number(&text) { Ok(text) } else { self.malformed("an N is no decimal number") }
    }

    pub(super) fn binary_content(&mut self) -> Result<Vec<u8>, Fault> {
        let text = self.string("a B is no text")?;
        match STANDARD.decode(text.as_bytes()) {
            Ok(bytes) => Ok(bytes),
            Err(_) => self.malformed("a B is no standard base64 with padding"),
        }
    }

    /// The text of a binary, checked and not decoded; a binary has only one.
    pub(super) fn base64_content(&mut self) -> Result<Cow<'de, str>, Fault> {
        let text = self.string("a B is no text")?;
        if is_base64(text.as_bytes()) { Ok(text) } else { self.malformed("a B is no standard base64 with padding") }
    }

    pub(super) fn null_content(&mut self) -> Result<(), Fault> {
        match self.boolean()? {
            true => Ok(()),
            false => self.malformed("a NULL is not true"),
        }
    }

    /// Moves over an item, or over the content of an `M`.
    pub(super) fn skip_item(&mut self) -> Result<(), Fault> {
        let mut names = self.open_members()?;
        loop {
            if let Some(name) = self.next_plain_member(&mut names) {
                self.skip_value().map_err(|fault| fault.at_name(name))?;
            } else {
                let Some(name) = self.next_member(&mut names)? else { return Ok(()) };
                self.skip_value().map_err(|fault| fault.at_name(&name.text))?;
            }
        }
    }

    /// Whether a type of one letter follows without space and escapes.
    #[inline(always)]
    pub(super) fn has_plain_type(&self) -> bool {
        matches!(self.rest(), [b'{', b'"', b'A'..=b'Z', b'"', b':', ..])
    }

    /// Moves over a value, and tells its type.
    #[inline]
    pub(super) fn skip_typed(&mut self) -> Result<AttributeType, Fault> {
        let tag = self.open_value()?;
        self.skip_content(tag)?;
        self.close_value()?;
        Ok(tag)
    }

    /// The same for an item, which stands without a type around it.
    pub(super) fn skip_bare(&mut self) -> Result<AttributeType, Fault> {
        self.skip_item()?;
        Ok(AttributeType::M)
    }

    /// Moves over a value.
    pub(super) fn skip_value(&mut self) -> Result<(), Fault> {
        self.skip_typed().map(drop)
    }

    pub(super) fn skip_content(&mut self, tag: AttributeType) -> Result<(), Fault> {
        match tag {
            AttributeType::S => self.skip_text(),
            AttributeType::N => self.skip_number(),
            AttributeType::B => self.skip_binary(),
            AttributeType::Bool => self.boolean().map(drop),
            AttributeType::Null => self.null_content(),
            AttributeType::M => {
                self.depth += 1;
                self.skip_item()?;
                self.depth -= 1;
                Ok(())
            }
            AttributeType::L => {
                self.depth += 1;
                self.skip_elements(Self::skip_value)?;
                self.depth -= 1;
                Ok(())
            }
            AttributeType::SS => self.skip_elements(Self::skip_text),
            AttributeType::NS => self.skip_elements(Self::skip_number),
            AttributeType::BS => self.skip_elements(Self::skip_binary),
        }
    }

    fn skip_elements(&mut self, skip: impl Fn(&mut Self) -> Result<(), Fault>) -> Result<(), Fault> {
        self.open_elements()?;
        let mut index = 0;
        while self.next_in(index == 0, b']')? {
            skip(self).map_err(|fault| fault.at_index(index))?;
            index += 1;
        }
        Ok(())
    }

    fn skip_text(&mut self) -> Result<(), Fault> {
        match self.plain_string() {
            Some(_) => Ok(()),
            None => self.text_content().map(drop),
        }
    }

    fn skip_number(&mut self) -> Result<(), Fault> {
        match after_plain_number(self.text.as_bytes(), self.at + 1) {
            Some(end) if self.peek() == Some(b'"') && self.text.as_bytes().get(end) == Some(&b'"') => {
                self.at = end + 1;
                Ok(())
            }
            _ => self.number_content().map(drop),
        }
    }

    fn skip_binary(&mut self) -> Result<(), Fault> {
        self.base64_content().map(drop)
    }
}

/// Whether `STANDARD` would decode it, without room for the whole.
fn is_base64(text: &[u8]) -> bool {
    const CHUNK: usize = 1024;
    let mut bytes = [0; CHUNK / 4 * 3];
    let last = text.len().saturating_sub(1) / CHUNK;
    text.chunks(CHUNK).enumerate().all(|(index, chunk)| match STANDARD.decode_slice(chunk, &mut bytes) {
        // Padding is for the end alone.
        Ok(length) => index == last || length == bytes.len(),
        Err(_) => false,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_check_of_base64_agrees_with_its_decoder() {
        let mut random = fastrand::Rng::with_seed(7);
        for length in [0, 1, 3, 4, 5, 8, 1020, 1023, 1024, 1025, 1028, 2048, 4096] {
            for _ in 0..200 {
                let mut text: Vec<u8> = (0..length).map(|_| b"ABCDwxyz0189+/"[random.usize(..14)]).collect();
                for _ in 0..random.usize(..3) {
                    if let Some(byte) =
                        text.len().checked_sub(1).map(|last| random.usize(last.saturating_sub(6)..=last))
                    {
                        text[byte] = b"=-_*A"[random.usize(..5)];
                    }
                }
                if length >= 1024 && random.bool() {
                    text[1023] = b'=';
                }
                assert_eq!(is_base64(&text), STANDARD.decode(&text).is_ok(), "{}", String::from_utf8_lossy(&text));
            }
        }
    }
}
