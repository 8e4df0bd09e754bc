//! One attribute value as serde sees it: the data model of `serde_dynamo`, read from the text.

use std::borrow::Cow;

use serde::de::value::BorrowedStrDeserializer;
use serde::de::{DeserializeSeed, Deserializer, IntoDeserializer, Visitor};

use super::access::{Members, Variant};
use super::cursor::{Cursor, Mark};
use super::elements::Elements;
use super::error::{AttributeType, Fault};
use super::number;

impl<'de> Cursor<'de> {
    /// Decodes a whole item.
    pub(super) fn item<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value, Fault> {
        self.space();
        let (mark, tag) = (self.mark(), Some(AttributeType::M));
        // One place for the result, here and below, so that a large one is not moved on its way.
        let mut result = seed.deserialize(Value { cursor: self, start: mark.at, tag, bare: true });
        if self.broken.is_some() || !self.is_settled(mark, &result) {
            self.settle(mark, &mut result, Self::skip_bare);
        }
        result
    }

    /// Decodes an attribute value.
    #[inline(always)]
    pub(super) fn value<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value, Fault> {
        let mark = self.mark();
        let mut result = seed.deserialize(Value { cursor: self, start: mark.at, tag: None, bare: false });
        if !self.is_settled(mark, &result) {
            self.settle(mark, &mut result, Self::skip_typed);
        }
        result
    }

    /// Whether the cursor stands behind the value, and all is well: behind what is malformed no value is closed.
    #[inline(always)]
    fn is_settled<T>(&self, mark: Mark, result: &Result<T, Fault>) -> bool {
        result.is_ok() && self.finished == mark.at
    }

    /// Brings the cursor behind the value, wherever the type has left it: a type may stop early, not look at all, or
    /// swallow an error, and what follows must be read all the same.
    #[cold]
    #[inline(never)]
    fn settle<T>(
        &mut self,
        mark: Mark,
        result: &mut Result<T, Fault>,
        skip: fn(&mut Self) -> Result<AttributeType, Fault>,
    ) {
        if let Some(what) = self.broken {
            if !result.as_ref().is_err_and(Fault::is_malformed) {
                *result = Err(Fault::malformed(what));
            }
            return;
        }
        self.rewind(mark);
        match skip(self) {
            Err(fault) => *result = Err(fault),
            Ok(tag) => {
                if let Err(fault) = result {
                    fault.put_type(tag);
                }
            }
        }
    }
}

/// A value that has not been read yet.
pub(super) struct Value<'a, 'de> {
    cursor: &'a mut Cursor<'de>,
    /// Where it starts; its name in [`Cursor::finished`].
    start: usize,
    /// Its type, once that has been read.
    tag: Option<AttributeType>,
    /// Whether it is the item itself, which stands without a type around it.
    bare: bool,
}

impl<'de> Value<'_, 'de> {
    #[inline]
    fn open(&mut self) -> Result<AttributeType, Fault> {
        let tag = match self.tag {
            Some(tag) => tag,
            None => self.cursor.open_value()?,
        };
        self.tag = Some(tag);
        Ok(tag)
    }

    /// Opens it if it is of this type.
    #[inline]
    fn open_as<V: Visitor<'de>>(&mut self, wanted: AttributeType, visitor: &V) -> Result<(), Fault> {
        let tag = self.open()?;
        if tag == wanted { Ok(()) } else { Err(Fault::wrong_type(visitor, tag)) }
    }

    #[inline]
    fn close(self) -> Result<(), Fault> {
        if !self.bare {
            self.cursor.close_value()?;
        }
        self.cursor.finished = self.start;
        Ok(())
    }

    /// The text of an `S` as DynamoDB writes it; else does not move.
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

    /// The text of an `S`, however it is written.
    #[cold]
    #[inline(never)]
    fn visit_text<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        match self.text(&visitor)? {
            Cow::Borrowed(text) => visitor.visit_borrowed_str(text),
            Cow::Owned(text) => visitor.visit_string(text),
        }
    }

    #[cold]
    #[inline(never)]
    fn text<V: Visitor<'de>>(mut self, visitor: &V) -> Result<Cow<'de, str>, Fault> {
        self.open_as(AttributeType::S, visitor)?;
        let text = self.cursor.text_content()?;
        self.close()?;
        Ok(text)
    }

    /// The text of an `N`, however it is written.
    #[cold]
    #[inline(never)]
    fn number<V: Visitor<'de>>(mut self, visitor: &V) -> Result<Cow<'de, str>, Fault> {
        self.open_as(AttributeType::N, visitor)?;
        let text = self.cursor.number_content()?;
        self.close()?;
        Ok(text)
    }
}

/// Reads a number of one of Rust's types from its text.
macro_rules! number {
    ($($method:ident $visit:ident)*) => {$(
        fn $method<V: Visitor<'de>>(mut self, visitor: V) -> Result<V::Value, Fault> {
            let parsed = match self.plain_number() {
                Some(number) => number.parse(),
                None => self.number(&visitor)?.parse(),
            };
            match parsed {
                Ok(number) => visitor.$visit(number),
                Err(_) => Err(Fault::wrong_value(&visitor, AttributeType::N)),
            }
        }
    )*};
}

impl<'de> Deserializer<'de> for Value<'_, 'de> {
    type Error = Fault;

    fn deserialize_any<V: Visitor<'de>>(mut self, visitor: V) -> Result<V::Value, Fault> {
        match self.open()? {
            AttributeType::S => self.deserialize_str(visitor),
            AttributeType::N => number::any(&self.number(&visitor)?, visitor),
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
        deserialize_i8 visit_i8 deserialize_i16 visit_i16 deserialize_i32 visit_i32 deserialize_i64 visit_i64
        deserialize_i128 visit_i128 deserialize_u8 visit_u8 deserialize_u16 visit_u16 deserialize_u32 visit_u32
        deserialize_u64 visit_u64 deserialize_u128 visit_u128 deserialize_f32 visit_f32 deserialize_f64 visit_f64
    }

    #[inline(always)]
    fn deserialize_str<V: Visitor<'de>>(mut self, visitor: V) -> Result<V::Value, Fault> {
        match self.plain_text() {
            Some(text) => visitor.visit_borrowed_str(text),
            None => self.visit_text(visitor),
        }
    }

    #[inline(always)]
    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        self.deserialize_str(visitor)
    }

    fn deserialize_identifier<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        self.deserialize_str(visitor)
    }

    fn deserialize_char<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        let text = self.text(&visitor)?;
        let mut chars = text.chars();
        match (chars.next(), chars.next()) {
            (Some(char), None) => visitor.visit_char(char),
            _ => Err(Fault::wrong_value(&visitor, AttributeType::S)),
        }
    }

    fn deserialize_bool<V: Visitor<'de>>(mut self, visitor: V) -> Result<V::Value, Fault> {
        self.open_as(AttributeType::Bool, &visitor)?;
        let value = self.cursor.boolean()?;
        self.close()?;
        visitor.visit_bool(value)
    }

    fn deserialize_bytes<V: Visitor<'de>>(mut self, visitor: V) -> Result<V::Value, Fault> {
        self.open_as(AttributeType::B, &visitor)?;
        let bytes = self.cursor.binary_content()?;
        self.close()?;
        visitor.visit_byte_buf(bytes)
    }

    fn deserialize_byte_buf<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        self.deserialize_bytes(visitor)
    }

    fn deserialize_unit<V: Visitor<'de>>(mut self, visitor: V) -> Result<V::Value, Fault> {
        self.open_as(AttributeType::Null, &visitor)?;
        self.cursor.null_content()?;
        self.close()?;
        visitor.visit_unit()
    }

    fn deserialize_unit_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Result<V::Value, Fault> {
        self.deserialize_unit(visitor)
    }

    #[inline]
    fn deserialize_option<V: Visitor<'de>>(mut self, visitor: V) -> Result<V::Value, Fault> {
        if self.tag.is_none() && self.cursor.has_plain_type() || self.open()? != AttributeType::Null {
            return visitor.visit_some(self);
        }
        self.cursor.null_content()?;
        self.close()?;
        visitor.visit_none()
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Result<V::Value, Fault> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_seq<V: Visitor<'de>>(mut self, visitor: V) -> Result<V::Value, Fault> {
        let tag = self.open()?;
        let Some(mut elements) = Elements::open(self.cursor, tag)? else {
            return Err(Fault::wrong_type(&visitor, tag));
        };
        let value = visitor.visit_seq(&mut elements)?;
        elements.finish()?;
        self.close()?;
        Ok(value)
    }

    fn deserialize_tuple<V: Visitor<'de>>(self, _: usize, visitor: V) -> Result<V::Value, Fault> {
        self.deserialize_seq(visitor)
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: usize,
        visitor: V,
    ) -> Result<V::Value, Fault> {
        self.deserialize_seq(visitor)
    }

    #[inline]
    fn deserialize_map<V: Visitor<'de>>(mut self, visitor: V) -> Result<V::Value, Fault> {
        self.open_as(AttributeType::M, &visitor)?;
        let mut members = Members::open(self.cursor, self.bare)?;
        let mut value = visitor.visit_map(&mut members);
        if value.is_ok()
            && let Err(fault) = members.finish().and_then(|()| self.close())
        {
            value = Err(fault);
        }
        value
    }

    #[inline]
    fn deserialize_struct<V: Visitor<'de>>(
        mut self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Fault> {
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
    ) -> Result<V::Value, Fault> {
        match self.open()? {
            AttributeType::S => match self.text(&visitor)? {
                Cow::Borrowed(text) => visitor.visit_enum(BorrowedStrDeserializer::new(text)),
                Cow::Owned(text) => visitor.visit_enum(text.into_deserializer()),
            },
            AttributeType::M => {
                let mut members = Members::open(self.cursor, self.bare)?;
                let value = visitor.visit_enum(Variant(&mut members))?;
                members.finish_variant()?;
                self.close()?;
                Ok(value)
            }
            tag => Err(Fault::wrong_type(&visitor, tag)),
        }
    }

    /// Checks the value like any other, and shows nothing of it.
    fn deserialize_ignored_any<V: Visitor<'de>>(mut self, visitor: V) -> Result<V::Value, Fault> {
        if self.bare {
            self.cursor.skip_item()?;
        } else {
            let tag = self.open()?;
            self.cursor.skip_content(tag)?;
        }
        self.close()?;
        visitor.visit_unit()
    }
}
