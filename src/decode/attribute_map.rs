//! Deserializes objects of attributes: an item or an `M` as a map or a struct, and an `M` of one attribute as an enum.
//!
//! Invariant: all attributes are checked, also those that the type does not ask for.

use std::borrow::Cow;

use serde::de::value::CowStrDeserializer;
use serde::de::{DeserializeSeed, Deserializer, EnumAccess, IntoDeserializer, MapAccess, VariantAccess, Visitor};

use super::attribute_name::AttributeName;
use super::cursor::Cursor;
use super::error::{AttributeType, ErrorImpl};
use super::seen_names::SeenNames;

/// The attributes of an item or an `M`, in the order of the text.
pub(super) struct AttributeMap<'a, 'de> {
    cursor: &'a mut Cursor<'de>,
    names: SeenNames<'de>,
    next: Next,
    /// Whether it is the item itself, which does not count as a level of nesting.
    bare: bool,
}

/// What comes next.
#[derive(Clone, Copy)]
enum Next {
    Name,
    /// The value of the attribute whose name starts at this position.
    Value(usize),
    Nothing,
}

impl<'a, 'de> AttributeMap<'a, 'de> {
    #[inline]
    pub(super) fn open<'b>(cursor: &'b mut Cursor<'de>, bare: bool) -> Result<AttributeMap<'b, 'de>, ErrorImpl> {
        let names = cursor.open_members()?;
        cursor.depth += usize::from(!bare);
        Ok(AttributeMap { cursor, names, next: Next::Name, bare })
    }

    /// Moves over the next name if it is a new one, without space and escapes; otherwise does not move.
    #[inline(always)]
    fn next_plain_name(&mut self) -> Option<&'de str> {
        let Next::Name = self.next else { return None };
        let at = self.cursor.mark().at + usize::from(!self.names.is_empty());
        let name = self.cursor.next_plain_member(&mut self.names)?;
        self.next = Next::Value(at);
        Some(name)
    }

    /// Moves over the end if it is next, without space; `false` if the end is not reached.
    #[inline(always)]
    fn take_end(&mut self) -> bool {
        if matches!(self.next, Next::Name) && self.cursor.eat_end() {
            self.next = Next::Nothing;
        }
        matches!(self.next, Next::Nothing)
    }

    /// Moves over the next name, and before that over the value of the last one if the type did not ask for it.
    fn next_name(&mut self) -> Result<Option<Cow<'de, str>>, ErrorImpl> {
        // A type may ask for more after an error. It finds nothing, and the error stays.
        if self.cursor.broken.is_some() {
            return Ok(None);
        }
        match std::mem::replace(&mut self.next, Next::Name) {
            Next::Name => {}
            Next::Value(at) => self.skip(at)?,
            Next::Nothing => {
                self.next = Next::Nothing;
                return Ok(None);
            }
        }
        let name = self.cursor.next_member(&mut self.names)?;
        self.next = name.as_ref().map_or(Next::Nothing, |name| Next::Value(name.at));
        Ok(name.map(|name| name.text))
    }

    /// Moves over the value of the attribute whose name starts at this position.
    fn skip(&mut self, at: usize) -> Result<(), ErrorImpl> {
        let mut result = self.cursor.skip_value();
        if let Err(error) = &mut result {
            self.cursor.blame(at, error);
        }
        result
    }

    #[inline(always)]
    fn value<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value, ErrorImpl> {
        let Next::Value(at) = self.next else {
            return Err(serde::de::Error::custom("a value was asked for without its name"));
        };
        self.next = Next::Name;
        let mut result = self.cursor.value(seed);
        if let Err(error) = &mut result {
            self.cursor.blame(at, error);
        }
        result
    }

    /// Checks the attributes that the type did not ask for.
    #[inline]
    pub(super) fn finish(&mut self) -> Result<(), ErrorImpl> {
        while !self.take_end() && self.next_name()?.is_some() {}
        self.cursor.depth -= usize::from(!self.bare);
        Ok(())
    }

    /// Checks that the attribute of the variant was the only one.
    pub(super) fn finish_variant(&mut self) -> Result<(), ErrorImpl> {
        if self.next_name()?.is_some() {
            return Err(ErrorImpl::wrong_value(&SINGLE, AttributeType::M));
        }
        self.finish()
    }
}

const SINGLE: &str = "a map of one attribute, whose name is the variant";

impl<'de> MapAccess<'de> for &mut AttributeMap<'_, 'de> {
    type Error = ErrorImpl;

    #[inline]
    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, ErrorImpl> {
        let name = match self.next_plain_name() {
            Some(name) => Cow::Borrowed(name),
            None if self.take_end() => return Ok(None),
            None => match self.next_name()? {
                Some(name) => name,
                None => return Ok(None),
            },
        };
        let mut result = seed.deserialize(AttributeName(name)).map(Some);
        if let (Err(error), Next::Value(at)) = (&mut result, self.next) {
            self.cursor.blame(at, error);
        }
        result
    }

    #[inline(always)]
    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, ErrorImpl> {
        self.value(seed)
    }
}

/// An enum whose variant is the name of the only attribute.
pub(super) struct Variant<'a, 'b, 'de>(pub(super) &'a mut AttributeMap<'b, 'de>);

impl<'de> EnumAccess<'de> for Variant<'_, '_, 'de> {
    type Error = ErrorImpl;
    type Variant = Self;

    fn variant_seed<V: DeserializeSeed<'de>>(self, seed: V) -> Result<(V::Value, Self), ErrorImpl> {
        let variant = match self.0.next_name()? {
            Some(name) => {
                let name: CowStrDeserializer<'_, ErrorImpl> = name.into_deserializer();
                seed.deserialize(name).map_err(ErrorImpl::at_value)?
            }
            None => return Err(ErrorImpl::wrong_value(&SINGLE, AttributeType::M)),
        };
        Ok((variant, self))
    }
}

impl<'de> VariantAccess<'de> for Variant<'_, '_, 'de> {
    type Error = ErrorImpl;

    /// Accepts any value, as `serde_dynamo` does. The value is checked in [`AttributeMap::finish_variant`].
    fn unit_variant(self) -> Result<(), ErrorImpl> {
        Ok(())
    }

    fn newtype_variant_seed<S: DeserializeSeed<'de>>(self, seed: S) -> Result<S::Value, ErrorImpl> {
        self.0.value(seed)
    }

    fn tuple_variant<V: Visitor<'de>>(self, _: usize, visitor: V) -> Result<V::Value, ErrorImpl> {
        self.0.value(Sequence(visitor))
    }

    fn struct_variant<V: Visitor<'de>>(self, _: &'static [&'static str], visitor: V) -> Result<V::Value, ErrorImpl> {
        self.0.value(Map(visitor))
    }
}

struct Sequence<V>(V);

impl<'de, V: Visitor<'de>> DeserializeSeed<'de> for Sequence<V> {
    type Value = V::Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<V::Value, D::Error> {
        deserializer.deserialize_seq(self.0)
    }
}

struct Map<V>(V);

impl<'de, V: Visitor<'de>> DeserializeSeed<'de> for Map<V> {
    type Value = V::Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<V::Value, D::Error> {
        deserializer.deserialize_map(self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plain_map_takes_the_shortcuts() {
        let mut cursor = Cursor::new(r#"{"a":{"N":"1"}}"#);
        let mut map = AttributeMap::open(&mut cursor, true).expect("a map");
        assert!(!map.take_end());
        assert_eq!(map.next_plain_name(), Some("a"));
        assert!(map.next_plain_name().is_none() && !map.take_end(), "its value is next");
        assert_eq!(map.value(std::marker::PhantomData::<u32>).expect("a number"), 1);
        assert!(map.take_end());
    }
}
