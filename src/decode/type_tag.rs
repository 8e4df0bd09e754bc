//! Reads what is around the content of an attribute value: `{"S":` and `}`.
//!
//! Invariant: a value is only opened if it is within DynamoDB's limit of nesting.

use super::cursor::{Cursor, after_plain_number};
use super::error::{AttributeType, ErrorImpl};
use crate::json::end_of_plain_text;

/// DynamoDB's limit, an attribute's own value being level 1
/// ([AWS: constraints](https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Constraints.html)).
const MAX_LEVELS: usize = 32;

impl<'de> Cursor<'de> {
    /// Moves into an attribute value, over its `{"TYPE":`.
    #[inline(always)]
    pub(super) fn open_value(&mut self) -> Result<AttributeType, ErrorImpl> {
        match self.open_plain() {
            Some(tag) => Ok(tag),
            None => self.open_any(),
        }
    }

    /// The same for the most frequent types without space and escapes, as DynamoDB writes them; otherwise does not move.
    ///
    /// One word is compared where a `match` on the bytes would compare them one by one. That saves 2 % of the instructions of a
    /// record whose images are decoded (`benches/instructions.sh`, *from the bytes*).
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

    /// Moves over a whole `{"S":"text"}` without space and escapes, as DynamoDB writes it; otherwise does not move. It returns a
    /// `&str` because that stays in registers, whereas a result with a `Cow` in it goes through memory.
    #[inline(always)]
    pub(super) fn plain_text(&mut self) -> Option<&'de str> {
        let start = self.after_prefix(b"{\"S\":\"")?;
        self.plain_content(start, end_of_plain_text(self.text.as_bytes(), start))
    }

    /// The same for an `N` without an exponent.
    #[inline(always)]
    pub(super) fn plain_number(&mut self) -> Option<&'de str> {
        let start = self.after_prefix(b"{\"N\":\"")?;
        self.plain_content(start, after_plain_number(self.text.as_bytes(), start)?)
    }

    /// The position of the content if the value begins with exactly this.
    #[inline(always)]
    fn after_prefix(&self, prefix: &[u8; 6]) -> Option<usize> {
        (self.rest().starts_with(prefix) && self.depth < MAX_LEVELS).then_some(self.at + prefix.len())
    }

    /// Moves over a value whose content is from `start` to `end`.
    #[inline(always)]
    fn plain_content(&mut self, start: usize, end: usize) -> Option<&'de str> {
        if self.text.as_bytes().get(end..)?.first_chunk()? != b"\"}" {
            return None;
        }
        let content = self.text.get(start..end)?;
        self.at = end + 2;
        Some(content)
    }

    /// Moves into a value of any type, however it is spelled.
    #[cold]
    fn open_any(&mut self) -> Result<AttributeType, ErrorImpl> {
        if self.depth >= MAX_LEVELS {
            return self.malformed("values are nested deeper than the 32 levels that DynamoDB allows");
        }
        self.space();
        self.expect(b'{', "a value is not an object with a type such as `S`")?;
        if self.eat(b'}') {
            return self.malformed("a value has no type");
        }
        match AttributeType::from_wire(&self.name()?.text) {
            Some(tag) => Ok(tag),
            None => self.malformed("a value has a type that DynamoDB does not know"),
        }
    }

    #[inline]
    pub(super) fn close_value(&mut self) -> Result<(), ErrorImpl> {
        if self.eat(b'}') { Ok(()) } else { self.unclosed() }
    }

    #[cold]
    fn unclosed(&mut self) -> Result<(), ErrorImpl> {
        if self.eat(b',') {
            self.malformed("a value has more than one type")
        } else {
            self.malformed("a value does not end after its content")
        }
    }

    /// Whether a type of one letter is next, without space and escapes.
    #[inline(always)]
    pub(super) fn has_plain_type(&self) -> bool {
        matches!(self.rest(), [b'{', b'"', b'A'..=b'Z', b'"', b':', ..])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frequent_types_are_opened_at_once() {
        for (text, expected, at) in [
            (r#"{"S":"ab"}"#, Some(AttributeType::S), 5),
            (r#"{"N":"12"}"#, Some(AttributeType::N), 5),
            (r#"{"M":{"a":"#, Some(AttributeType::M), 5),
            (r#"{"L":[{"N"#, Some(AttributeType::L), 5),
            (r#"{"BOOL":tr"#, Some(AttributeType::Bool), 8),
            (r#"{"NULL":tr"#, Some(AttributeType::Null), 8),
            (r#"{"SS":["a""#, Some(AttributeType::SS), 6),
            (r#"{"B":"AA=="}"#, None, 0),
            (r#"{"NS":["1"]}"#, None, 0),
            (r#"{"BOOT":tr"#, None, 0),
            (r#"{"S" :"ab"}"#, None, 0),
            (r#"{ "S":"ab"}"#, None, 0),
            (r#"["S":"ab"}"#, None, 0),
            (r#"{"S":"#, None, 0),
        ] {
            let mut cursor = Cursor::new(text);
            assert_eq!(cursor.open_plain(), expected, "{text}");
            assert_eq!(cursor.at, at, "{text}");
        }
        let mut cursor = Cursor::new(r#"{"S":"ab"}"#);
        cursor.depth = MAX_LEVELS;
        assert_eq!(cursor.open_plain(), None);
    }
}
