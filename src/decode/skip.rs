//! Reads the content of attribute values, and skips what no type asked for: it is checked in full, and not kept.

use std::borrow::Cow;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::cursor::{Cursor, after_plain_number};
use super::decimal;
use super::error::{AttributeType, ErrorImpl};
use super::seen_names::SeenNames;

impl<'de> Cursor<'de> {
    /// Moves into an object of attributes, whose names are to be read one by one.
    #[inline]
    pub(super) fn open_members(&mut self) -> Result<SeenNames<'de>, ErrorImpl> {
        self.expect(b'{', "an M or the item itself is not an object")?;
        let mut names = SeenNames::of(self.text);
        if self.hidden != usize::MAX {
            names.refuse_plain();
        }
        Ok(names)
    }

    pub(super) fn open_elements(&mut self) -> Result<(), ErrorImpl> {
        self.expect(b'[', "an L or a set is not an array")
    }

    #[inline]
    pub(super) fn text_content(&mut self) -> Result<Cow<'de, str>, ErrorImpl> {
        self.string("an S is not a string")
    }

    #[inline]
    pub(super) fn number_content(&mut self) -> Result<Cow<'de, str>, ErrorImpl> {
        let text = self.string("an N is not a string")?;
        if decimal::is_number(&text) { Ok(text) } else { self.malformed("an N is not a decimal number") }
    }

    pub(super) fn binary_content(&mut self) -> Result<Vec<u8>, ErrorImpl> {
        let text = self.string("a B is not a string")?;
        match STANDARD.decode(text.as_bytes()) {
            Ok(bytes) => Ok(bytes),
            Err(_) => self.malformed("a B is not standard base64 with padding"),
        }
    }

    /// The base64 text of a binary, checked but not decoded.
    pub(super) fn base64_content(&mut self) -> Result<Cow<'de, str>, ErrorImpl> {
        let text = self.string("a B is not a string")?;
        if is_base64(text.as_bytes()) { Ok(text) } else { self.malformed("a B is not standard base64 with padding") }
    }

    pub(super) fn null_content(&mut self) -> Result<(), ErrorImpl> {
        if self.boolean()? { Ok(()) } else { self.malformed("a NULL is not true") }
    }

    /// Skips an item, or the content of an `M`.
    pub(super) fn skip_item(&mut self) -> Result<(), ErrorImpl> {
        let mut names = self.open_members()?;
        loop {
            if let Some(name) = self.next_plain_member(&mut names) {
                self.skip_value().map_err(|error| error.at_name(name))?;
            } else {
                let Some(name) = self.next_member(&mut names)? else { return Ok(()) };
                self.skip_value().map_err(|error| error.at_name(&name.text))?;
            }
        }
    }

    /// Skips a value, and returns its type.
    #[inline]
    pub(super) fn skip_typed(&mut self) -> Result<AttributeType, ErrorImpl> {
        let tag = self.open_value()?;
        self.skip_content(tag)?;
        self.close_value()?;
        Ok(tag)
    }

    /// The same for a value that has no type around it: the item itself as an `M`, or an element of a set.
    pub(super) fn skip_bare(&mut self, tag: AttributeType) -> Result<AttributeType, ErrorImpl> {
        match tag {
            AttributeType::M => self.skip_item()?,
            tag => self.skip_content(tag)?,
        }
        Ok(tag)
    }

    /// Skips a value.
    pub(super) fn skip_value(&mut self) -> Result<(), ErrorImpl> {
        self.skip_typed().map(drop)
    }

    pub(super) fn skip_content(&mut self, tag: AttributeType) -> Result<(), ErrorImpl> {
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

    fn skip_elements(&mut self, skip: impl Fn(&mut Self) -> Result<(), ErrorImpl>) -> Result<(), ErrorImpl> {
        self.open_elements()?;
        let mut index = 0;
        while self.next_in(index == 0, b']')? {
            skip(self).map_err(|error| error.at_index(index))?;
            index += 1;
        }
        Ok(())
    }

    fn skip_text(&mut self) -> Result<(), ErrorImpl> {
        match self.plain_string() {
            Some(_) => Ok(()),
            None => self.text_content().map(drop),
        }
    }

    fn skip_number(&mut self) -> Result<(), ErrorImpl> {
        match after_plain_number(self.text.as_bytes(), self.at + 1) {
            Some(end) if self.peek() == Some(b'"') && self.text.as_bytes().get(end) == Some(&b'"') => {
                self.at = end + 1;
                Ok(())
            }
            _ => self.number_content().map(drop),
        }
    }

    fn skip_binary(&mut self) -> Result<(), ErrorImpl> {
        self.base64_content().map(drop)
    }
}

/// Whether `STANDARD` would decode the text, found chunk by chunk in a buffer on the stack.
fn is_base64(text: &[u8]) -> bool {
    const CHUNK: usize = 1024;
    let mut bytes = [0; CHUNK / 4 * 3];
    let last = text.len().saturating_sub(1) / CHUNK;
    text.chunks(CHUNK).enumerate().all(|(index, chunk)| match STANDARD.decode_slice(chunk, &mut bytes) {
        // Padding is only allowed at the end.
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
