//! Deserializes one attribute value straight from the text, with the data model of `serde_dynamo`.
//!
//! Invariant: after a value the cursor is at its end, and the whole value has been checked, whatever the type did: it may
//! stop early, ask for nothing, or swallow an error.

use std::borrow::Cow;

use serde::de::{DeserializeSeed, Deserializer, IntoDeserializer, Visitor};

use super::attribute_map::{AttributeMap, Variant};
use super::cursor::{Cursor, Mark};
use super::elements::Elements;
use super::error::{AttributeType, ErrorImpl};
use super::{decimal, number};

impl<'de> Cursor<'de> {
    /// Decodes a whole item.
    pub(super) fn item<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value, ErrorImpl> {
        self.space();
        self.bare_value(AttributeType::M, seed)
    }

    /// Decodes a value that has no type around it: the item itself as an `M`, or an element of a set.
    pub(super) fn bare_value<S: DeserializeSeed<'de>>(
        &mut self,
        tag: AttributeType,
        seed: S,
    ) -> Result<S::Value, ErrorImpl> {
        let (mark, bare) = (self.mark(), Some(tag));
        // The result is changed in place, here and below, so a large one is not moved.
        let mut result = seed.deserialize(AttributeValue { cursor: self, start: mark.at, tag: bare, is_bare: true });
        if self.broken.is_some() || !self.is_settled(mark, &result) {
            self.settle(mark, &mut result, bare);
        }
        result
    }

    /// Decodes an attribute value.
    #[inline(always)]
    pub(super) fn value<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value, ErrorImpl> {
        let mark = self.mark();
        let mut result = seed.deserialize(AttributeValue { cursor: self, start: mark.at, tag: None, is_bare: false });
        if !self.is_settled(mark, &result) {
            self.settle(mark, &mut result, None);
        }
        result
    }

    /// Whether the value was decoded to its end without an error. A malformed value never reaches its end.
    #[inline(always)]
    fn is_settled<T>(&self, mark: Mark, result: &Result<T, ErrorImpl>) -> bool {
        result.is_ok() && self.finished == mark.at
    }

    /// Moves the cursor to the end of the value from wherever the type has left it, and checks what the type did not ask for.
    #[cold]
    #[inline(never)]
    fn settle<T>(&mut self, mark: Mark, result: &mut Result<T, ErrorImpl>, bare: Option<AttributeType>) {
        if let Some(what) = self.broken {
            if !result.as_ref().is_err_and(ErrorImpl::is_malformed) {
                *result = Err(ErrorImpl::malformed(what));
            }
            return;
        }
        self.rewind(mark);
        let skipped = match bare {
            Some(tag) => self.skip_bare(tag),
            None => self.skip_typed(),
        };
        match skipped {
            Err(error) => *result = Err(error),
            Ok(tag) => {
                if let Err(error) = result {
                    self.locate(mark, bare, error);
                    error.put_type(tag);
                }
            }
        }
    }
}

/// A value that has not been decoded yet.
pub(super) struct AttributeValue<'a, 'de> {
    cursor: &'a mut Cursor<'de>,
    /// Where it starts, by which [`Cursor::finished`] knows it.
    start: usize,
    /// Its type, once it has been read.
    tag: Option<AttributeType>,
    /// Whether it has no type around it.
    is_bare: bool,
}

impl<'de> AttributeValue<'_, 'de> {
    #[inline]
    fn open(&mut self) -> Result<AttributeType, ErrorImpl> {
        let tag = match self.tag {
            Some(tag) => tag,
            None => self.cursor.open_value()?,
        };
        self.tag = Some(tag);
        Ok(tag)
    }

    /// Opens the value if it is of this type.
    #[inline]
    fn open_as<V: Visitor<'de>>(&mut self, wanted: AttributeType, visitor: &V) -> Result<(), ErrorImpl> {
        let tag = self.open()?;
        if tag == wanted { Ok(()) } else { Err(ErrorImpl::wrong_type(visitor, tag)) }
    }

    #[inline]
    fn close(&mut self) -> Result<(), ErrorImpl> {
        if !self.is_bare {
            self.cursor.close_value()?;
        }
        self.cursor.finished = self.start;
        Ok(())
    }

    /// The content of an `S` as DynamoDB writes it; otherwise does not move.
    #[inline(always)]
    fn plain_text(&mut self) -> Option<&'de str> {
        if self.tag.is_some() {
            return None;
        }
        let text = self.cursor.plain_text()?;
        self.cursor.finished = self.start;
        Some(text)
    }

    /// The same for an `N` without an exponent.
    #[inline(always)]
    fn plain_number(&mut self) -> Option<&'de str> {
        if self.tag.is_some() {
            return None;
        }
        let number = self.cursor.plain_number()?;
        self.cursor.finished = self.start;
        Some(number)
    }

    /// The content of an `S`, however it is spelled.
    #[cold]
    #[inline(never)]
    fn visit_text<V: Visitor<'de>>(mut self, visitor: V) -> Result<V::Value, ErrorImpl> {
        match self.text(&visitor)? {
            Cow::Borrowed(text) => visitor.visit_str(text),
            Cow::Owned(text) => visitor.visit_string(text),
        }
    }

    #[cold]
    #[inline(never)]
    fn text<V: Visitor<'de>>(&mut self, visitor: &V) -> Result<Cow<'de, str>, ErrorImpl> {
        self.open_as(AttributeType::S, visitor)?;
        let text = self.cursor.text_content()?;
        self.close()?;
        Ok(text)
    }

    /// The content of an `N`, however it is spelled.
    #[cold]
    #[inline(never)]
    fn number<V: Visitor<'de>>(&mut self, visitor: &V) -> Result<Cow<'de, str>, ErrorImpl> {
        self.open_as(AttributeType::N, visitor)?;
        let text = self.cursor.number_content()?;
        self.close()?;
        Ok(text)
    }

    /// Passes on the text of a number, with all of its digits. It may come from an `S` that was written for a number.
    #[inline(never)]
    fn visit_exact<V: Visitor<'de>>(mut self, visitor: V) -> Result<V::Value, ErrorImpl> {
        if self.open()? != AttributeType::S {
            let number = self.number(&visitor)?;
            return visitor.visit_str(&number);
        }
        let text = self.text(&visitor)?;
        if number::is_written_as_text(&text) {
            return visitor.visit_str(&text);
        }
        Err(ErrorImpl::wrong_type(&visitor, AttributeType::S))
    }
}

/// Parses a number of one of Rust's types.
macro_rules! number {
    ($parse:path, $not_parsed:path: $($method:ident $visit:ident)*) => {$(
        fn $method<V: Visitor<'de>>(mut self, visitor: V) -> Result<V::Value, ErrorImpl> {
            let parsed = match self.plain_number() {
                Some(number) => $parse(number),
                None => $parse(&self.number(&visitor)?),
            };
            match parsed {
                Ok(number) => visitor.$visit(number),
                Err(why) => Err($not_parsed(&visitor, why)),
            }
        }
    )*};
}

impl<'de> Deserializer<'de> for AttributeValue<'_, 'de> {
    type Error = ErrorImpl;

    fn deserialize_any<V: Visitor<'de>>(mut self, visitor: V) -> Result<V::Value, ErrorImpl> {
        match self.open()? {
            AttributeType::S => self.deserialize_str(visitor),
            AttributeType::N => {
                let number = self.number(&visitor)?;
                self.cursor.rounded.pass_on(&number, visitor)
            }
            AttributeType::B => self.deserialize_bytes(visitor),
            AttributeType::Bool => self.deserialize_bool(visitor),
            AttributeType::Null => self.deserialize_unit(visitor),
            AttributeType::M => self.deserialize_map(visitor),
            AttributeType::L | AttributeType::SS | AttributeType::NS | AttributeType::BS => {
                self.deserialize_seq(visitor)
            }
        }
    }

    number! {
        decimal::integer, ErrorImpl::not_an_integer:
        deserialize_i8 visit_i8 deserialize_i16 visit_i16 deserialize_i32 visit_i32 deserialize_i64 visit_i64
        deserialize_i128 visit_i128 deserialize_u8 visit_u8 deserialize_u16 visit_u16 deserialize_u32 visit_u32
        deserialize_u64 visit_u64 deserialize_u128 visit_u128
    }

    number! {
        str::parse, ErrorImpl::not_a_float:
        deserialize_f32 visit_f32 deserialize_f64 visit_f64
    }

    #[inline(always)]
    fn deserialize_str<V: Visitor<'de>>(mut self, visitor: V) -> Result<V::Value, ErrorImpl> {
        match self.plain_text() {
            Some(text) => visitor.visit_str(text),
            None => self.visit_text(visitor),
        }
    }

    #[inline(always)]
    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ErrorImpl> {
        self.deserialize_str(visitor)
    }

    fn deserialize_identifier<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ErrorImpl> {
        self.deserialize_str(visitor)
    }

    fn deserialize_char<V: Visitor<'de>>(mut self, visitor: V) -> Result<V::Value, ErrorImpl> {
        let text = self.text(&visitor)?;
        let mut chars = text.chars();
        match (chars.next(), chars.next()) {
            (Some(char), None) => visitor.visit_char(char),
            _ => Err(ErrorImpl::wrong_value(&visitor, AttributeType::S)),
        }
    }

    fn deserialize_bool<V: Visitor<'de>>(mut self, visitor: V) -> Result<V::Value, ErrorImpl> {
        self.open_as(AttributeType::Bool, &visitor)?;
        let value = self.cursor.boolean()?;
        self.close()?;
        visitor.visit_bool(value)
    }

    fn deserialize_bytes<V: Visitor<'de>>(mut self, visitor: V) -> Result<V::Value, ErrorImpl> {
        self.open_as(AttributeType::B, &visitor)?;
        let bytes = self.cursor.binary_content()?;
        self.close()?;
        visitor.visit_byte_buf(bytes)
    }

    fn deserialize_byte_buf<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ErrorImpl> {
        self.deserialize_bytes(visitor)
    }

    fn deserialize_unit<V: Visitor<'de>>(mut self, visitor: V) -> Result<V::Value, ErrorImpl> {
        self.open_as(AttributeType::Null, &visitor)?;
        self.cursor.null_content()?;
        self.close()?;
        visitor.visit_unit()
    }

    fn deserialize_unit_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Result<V::Value, ErrorImpl> {
        self.deserialize_unit(visitor)
    }

    #[inline]
    fn deserialize_option<V: Visitor<'de>>(mut self, visitor: V) -> Result<V::Value, ErrorImpl> {
        if self.tag.is_none() && self.cursor.has_plain_type() || self.open()? != AttributeType::Null {
            return visitor.visit_some(self);
        }
        self.cursor.null_content()?;
        self.close()?;
        visitor.visit_none()
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, ErrorImpl> {
        if name == number::TOKEN { self.visit_exact(visitor) } else { visitor.visit_newtype_struct(self) }
    }

    fn deserialize_seq<V: Visitor<'de>>(mut self, visitor: V) -> Result<V::Value, ErrorImpl> {
        let tag = self.open()?;
        let Some(mut elements) = Elements::open(self.cursor, tag)? else {
            return Err(ErrorImpl::wrong_type(&visitor, tag));
        };
        let value = visitor.visit_seq(&mut elements)?;
        elements.finish()?;
        self.close()?;
        Ok(value)
    }

    fn deserialize_tuple<V: Visitor<'de>>(self, _: usize, visitor: V) -> Result<V::Value, ErrorImpl> {
        self.deserialize_seq(visitor)
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: usize,
        visitor: V,
    ) -> Result<V::Value, ErrorImpl> {
        self.deserialize_seq(visitor)
    }

    #[inline]
    fn deserialize_map<V: Visitor<'de>>(mut self, visitor: V) -> Result<V::Value, ErrorImpl> {
        self.open_as(AttributeType::M, &visitor)?;
        let mut members = AttributeMap::open(self.cursor, self.is_bare)?;
        let mut value = visitor.visit_map(&mut members);
        if value.is_ok()
            && let Err(error) = members.finish().and_then(|()| self.close())
        {
            value = Err(error);
        }
        value
    }

    #[inline]
    fn deserialize_struct<V: Visitor<'de>>(
        mut self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, ErrorImpl> {
        match self.open()? {
            AttributeType::L => self.deserialize_seq(visitor),
            _ => self.deserialize_map(visitor),
        }
    }

    fn deserialize_enum<V: Visitor<'de>>(
        mut self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, ErrorImpl> {
        match self.open()? {
            AttributeType::S => match self.text(&visitor)? {
                Cow::Borrowed(text) => visitor.visit_enum(text.into_deserializer()),
                Cow::Owned(text) => visitor.visit_enum(text.into_deserializer()),
            },
            AttributeType::M => {
                let mut members = AttributeMap::open(self.cursor, self.is_bare)?;
                let value = visitor.visit_enum(Variant(&mut members))?;
                members.finish_variant()?;
                self.close()?;
                Ok(value)
            }
            tag => Err(ErrorImpl::wrong_type(&visitor, tag)),
        }
    }

    /// Checks the value like any other, although the type does not see it.
    fn deserialize_ignored_any<V: Visitor<'de>>(mut self, visitor: V) -> Result<V::Value, ErrorImpl> {
        let tag = self.open()?;
        if self.is_bare {
            self.cursor.skip_bare(tag).map(drop)?
        } else {
            self.cursor.skip_content(tag)?
        }
        self.close()?;
        visitor.visit_unit()
    }
}

#[cfg(test)]
mod tests {
    use std::marker::PhantomData;

    use serde::Deserialize;

    use super::*;

    /// Whether a type decodes all of a value, so nothing is left to be checked.
    fn is_settled<'de, T: Deserialize<'de>>(json: &'de str) -> bool {
        let mut cursor = Cursor::new(json);
        let mark = cursor.mark();
        let value = AttributeValue { cursor: &mut cursor, start: mark.at, tag: None, is_bare: false };
        let result = PhantomData::<T>.deserialize(value);
        cursor.is_settled(mark, &result)
    }

    #[test]
    fn what_is_decoded_is_not_read_twice() {
        assert!(is_settled::<String>(r#"{"S":"a"}"#));
        assert!(is_settled::<String>(r#"{"S":"\n"}"#));
        assert!(is_settled::<u32>(r#"{"N":"7"}"#));
        assert!(is_settled::<bool>(r#"{"BOOL":true}"#));
        assert!(is_settled::<Vec<u32>>(r#"{"L":[{"N":"7"},{"N":"8"}]}"#));
        assert!(is_settled::<std::collections::HashMap<String, u32>>(r#"{"M":{"a":{"N":"7"}}}"#));
        assert!(!is_settled::<u32>(r#"{"S":"a"}"#));
    }

    #[test]
    fn plain_strings_and_numbers_take_the_shortcut() {
        let (mut text, mut number) = (Cursor::new(r#"{"S":"a"}"#), Cursor::new(r#"{"N":"7"}"#));
        let value = |cursor| AttributeValue { cursor, start: 0, tag: None, is_bare: false };
        assert_eq!((value(&mut text).plain_text(), value(&mut number).plain_number()), (Some("a"), Some("7")));
    }
}
