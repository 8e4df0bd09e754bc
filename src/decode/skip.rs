//! The frame of attribute values, and moving over what nobody asked for: nothing is kept, everything is checked.

use std::borrow::Cow;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::cursor::Cursor;
use super::error::{AttributeType, Fault};
use super::names::Names;
use super::number;

/// DynamoDB's limit, an attribute's own value being level 1
/// ([AWS: constraints](https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Constraints.html)).
const MAX_LEVELS: usize = 32;

impl<'de> Cursor<'de> {
    /// Moves into an attribute value, behind `{"TYPE":`.
    #[inline]
    pub(super) fn open_value(&mut self) -> Result<AttributeType, Fault> {
        if self.depth >= MAX_LEVELS {
            return self.malformed("values are nested deeper than the 32 levels that DynamoDB allows");
        }
        // Without space and escapes, as DynamoDB writes it.
        const FRAME: u64 = u64::from_le_bytes(*b"{\"\0\":\0\0\0");
        const MASK: u64 = u64::from_le_bytes(*b"\xff\xff\0\xff\xff\0\0\0");
        let Some(start) = self.rest().first_chunk() else { return self.open_any() };
        let word = u64::from_le_bytes(*start);
        let (tag, length) = if word & MASK == FRAME {
            match start[2] {
                b'S' => (AttributeType::S, 5),
                b'N' => (AttributeType::N, 5),
                b'M' => (AttributeType::M, 5),
                b'L' => (AttributeType::L, 5),
                _ => return self.open_any(),
            }
        } else {
            match start {
                b"{\"BOOL\":" => (AttributeType::Bool, 8),
                b"{\"NULL\":" => (AttributeType::Null, 8),
                _ => return self.open_any(),
            }
        };
        self.advance(length);
        Ok(tag)
    }

    /// The same for every type and every spelling.
    fn open_any(&mut self) -> Result<AttributeType, Fault> {
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

    pub(super) fn open_members(&mut self) -> Result<(), Fault> {
        self.expect(b'{', "an M or the item itself is no object")
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
        self.space();
        if let Some(number) = self.plain_number() {
            return Ok(Cow::Borrowed(number));
        }
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
        self.open_members()?;
        let mut names = Names::new();
        loop {
            if let Some(name) = self.next_plain_member(&mut names) {
                self.skip_value().map_err(|fault| fault.at_name(name))?;
            } else if self.plain_end() {
                return Ok(());
            } else {
                let Some(name) = self.next_member(&mut names)? else { return Ok(()) };
                self.skip_value().map_err(|fault| fault.at_name(&name.text))?;
            }
        }
    }

    /// Moves over a value.
    pub(super) fn skip_value(&mut self) -> Result<(), Fault> {
        self.space();
        let tag = self.open_value()?;
        self.skip_content(tag)?;
        self.close_value()
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
        match self.plain_number() {
            Some(_) => Ok(()),
            None => self.number_content().map(drop),
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
    fn base64_is_checked_as_it_is_decoded() {
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
