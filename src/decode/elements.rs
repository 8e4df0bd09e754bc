//! Deserializes lists and sets: `L`, `SS`, `NS` and `BS` as sequences.
//!
//! Invariant: all elements are checked, also those that the type does not ask for.

use std::borrow::Cow;

use serde::de::value::CowStrDeserializer;
use serde::de::{DeserializeSeed, Deserializer, IntoDeserializer, SeqAccess, Visitor};
use serde::forward_to_deserialize_any;

use super::cursor::Cursor;
use super::error::{AttributeType, ErrorImpl};
use super::rounded::Rounded;
use super::{decimal, number};

/// What the elements are.
#[derive(Clone, Copy, PartialEq)]
enum ElementType {
    AttributeValue,
    String,
    Number,
    Binary,
}

/// The elements of an `L`, `SS`, `NS` or `BS`, in the order of the text.
pub(super) struct Elements<'a, 'de> {
    cursor: &'a mut Cursor<'de>,
    element: ElementType,
    index: usize,
    done: bool,
}

impl<'de> Elements<'_, 'de> {
    /// `None` if the type is not a sequence.
    pub(super) fn open<'b>(
        cursor: &'b mut Cursor<'de>,
        tag: AttributeType,
    ) -> Result<Option<Elements<'b, 'de>>, ErrorImpl> {
        let element = match tag {
            AttributeType::L => ElementType::AttributeValue,
            AttributeType::SS => ElementType::String,
            AttributeType::NS => ElementType::Number,
            AttributeType::BS => ElementType::Binary,
            _ => return Ok(None),
        };
        cursor.open_elements()?;
        cursor.depth += usize::from(element == ElementType::AttributeValue);
        Ok(Some(Elements { cursor, element, index: 0, done: false }))
    }

    fn next<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value, ErrorImpl> {
        match self.element {
            ElementType::AttributeValue => self.cursor.value(seed),
            ElementType::String => seed.deserialize(Text(self.cursor.text_content()?)),
            ElementType::Number => {
                let text = self.cursor.number_content()?;
                seed.deserialize(Number { text, rounded: &self.cursor.rounded })
            }
            ElementType::Binary => seed.deserialize(Binary(self.cursor.binary_content()?)),
        }
    }

    /// Checks the elements that the type did not ask for.
    pub(super) fn finish(&mut self) -> Result<(), ErrorImpl> {
        while self.next_element::<serde::de::IgnoredAny>()?.is_some() {}
        self.cursor.depth -= usize::from(self.element == ElementType::AttributeValue);
        Ok(())
    }
}

impl<'de> SeqAccess<'de> for Elements<'_, 'de> {
    type Error = ErrorImpl;

    fn next_element_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, ErrorImpl> {
        // A type may ask for more after an error. It finds nothing, and the error stays.
        if self.done || self.cursor.broken.is_some() {
            return Ok(None);
        }
        if !self.cursor.next_in(self.index == 0, b']')? {
            self.done = true;
            return Ok(None);
        }
        let index = self.index;
        self.index += 1;
        self.next(seed).map(Some).map_err(|error| error.at_index(index))
    }
}

/// An element of an `SS`. It is read as an `S` of a list is.
struct Text<'de>(Cow<'de, str>);

impl<'de> Deserializer<'de> for Text<'de> {
    type Error = ErrorImpl;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ErrorImpl> {
        match self.0 {
            Cow::Borrowed(text) => visitor.visit_str(text),
            Cow::Owned(text) => visitor.visit_string(text),
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ErrorImpl> {
        visitor.visit_some(self)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, ErrorImpl> {
        if name != number::TOKEN {
            visitor.visit_newtype_struct(self)
        } else if number::is_written_as_text(&self.0) {
            visitor.visit_str(&self.0)
        } else {
            Err(ErrorImpl::wrong_type(&visitor, AttributeType::S))
        }
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, ErrorImpl> {
        let text: CowStrDeserializer<'_, ErrorImpl> = self.0.into_deserializer();
        visitor.visit_enum(text)
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit unit_struct seq tuple
        tuple_struct map struct identifier ignored_any
    }
}

/// An element of an `NS`. It is read as an `N` of a list is.
struct Number<'a, 'de> {
    text: Cow<'de, str>,
    rounded: &'a Rounded,
}

macro_rules! number {
    ($parse:path, $not_parsed:path: $($method:ident $visit:ident)*) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ErrorImpl> {
            match $parse(&self.text) {
                Ok(number) => visitor.$visit(number),
                Err(why) => Err($not_parsed(&visitor, why)),
            }
        }
    )*};
}

impl<'de> Deserializer<'de> for Number<'_, 'de> {
    type Error = ErrorImpl;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ErrorImpl> {
        self.rounded.pass_on(&self.text, visitor)
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

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ErrorImpl> {
        visitor.visit_some(self)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, ErrorImpl> {
        if name == number::TOKEN { visitor.visit_str(&self.text) } else { visitor.visit_newtype_struct(self) }
    }

    forward_to_deserialize_any! {
        bool char str string bytes byte_buf unit unit_struct seq tuple tuple_struct map struct enum identifier ignored_any
    }
}

/// An element of a `BS`. It is read as a `B` of a list is.
struct Binary(Vec<u8>);

impl<'de> Deserializer<'de> for Binary {
    type Error = ErrorImpl;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ErrorImpl> {
        visitor.visit_byte_buf(self.0)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ErrorImpl> {
        visitor.visit_some(self)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Result<V::Value, ErrorImpl> {
        visitor.visit_newtype_struct(self)
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit unit_struct seq tuple
        tuple_struct map struct enum identifier ignored_any
    }
}
