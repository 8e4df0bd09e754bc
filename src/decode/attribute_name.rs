//! Deserializes an attribute's name: as a string, or as whatever key type a map has.

use std::borrow::Cow;

use serde::de::value::CowStrDeserializer;
use serde::de::{Deserializer, IntoDeserializer, Visitor};
use serde::forward_to_deserialize_any;

use super::error::{AttributeType, ErrorImpl};
use super::{decimal, number};

/// An attribute's name.
pub(super) struct AttributeName<'de>(pub(super) Cow<'de, str>);

macro_rules! integer {
    ($($method:ident $visit:ident)*) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ErrorImpl> {
            match self.0.parse() {
                Ok(number) => visitor.$visit(number),
                Err(_) => Err(ErrorImpl::wrong_value(&visitor, AttributeType::S)),
            }
        }
    )*};
}

impl<'de> Deserializer<'de> for AttributeName<'de> {
    type Error = ErrorImpl;

    #[inline]
    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ErrorImpl> {
        match self.0 {
            Cow::Borrowed(name) => visitor.visit_str(name),
            Cow::Owned(name) => visitor.visit_string(name),
        }
    }

    integer! {
        deserialize_i8 visit_i8 deserialize_i16 visit_i16 deserialize_i32 visit_i32 deserialize_i64 visit_i64
        deserialize_i128 visit_i128 deserialize_u8 visit_u8 deserialize_u16 visit_u16 deserialize_u32 visit_u32
        deserialize_u64 visit_u64 deserialize_u128 visit_u128
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ErrorImpl> {
        match &*self.0 {
            "true" => visitor.visit_bool(true),
            "false" => visitor.visit_bool(false),
            _ => Err(ErrorImpl::wrong_value(&visitor, AttributeType::S)),
        }
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, ErrorImpl> {
        let name: CowStrDeserializer<'_, ErrorImpl> = self.0.into_deserializer();
        visitor.visit_enum(name)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, ErrorImpl> {
        if name == number::TOKEN {
            return if decimal::is_number(&self.0) {
                visitor.visit_str(&self.0)
            } else {
                Err(ErrorImpl::wrong_value(&visitor, AttributeType::S))
            };
        }
        visitor.visit_newtype_struct(self)
    }

    forward_to_deserialize_any! {
        f32 f64 char str string bytes byte_buf option unit unit_struct seq tuple tuple_struct map struct identifier
        ignored_any
    }
}
