//! Objects of attributes as serde sees them: maps, structs, and enums of one attribute.

use std::borrow::Cow;

use serde::de::value::BorrowedStrDeserializer;
use serde::de::{DeserializeSeed, Deserializer, EnumAccess, IntoDeserializer, MapAccess, VariantAccess, Visitor};

use super::cursor::Cursor;
use super::error::{AttributeType, Fault};
use super::key::Key;
use super::names::Names;

/// The attributes of an item or an `M`, one after the other.
pub(super) struct Members<'a, 'de> {
    cursor: &'a mut Cursor<'de>,
    names: Names<'de>,
    next: Next,
    /// Whether it is the item itself, which is no level of nesting.
    bare: bool,
}

/// What comes next.
#[derive(Clone, Copy)]
enum Next {
    Name,
    /// The value of the attribute whose name stands there.
    Value(usize),
    Nothing,
}

impl<'a, 'de> Members<'a, 'de> {
    #[inline]
    pub(super) fn open<'b>(cursor: &'b mut Cursor<'de>, bare: bool) -> Result<Members<'b, 'de>, Fault> {
        let names = cursor.open_members()?;
        cursor.depth += usize::from(!bare);
        Ok(Members { cursor, names, next: Next::Name, bare })
    }

    /// Moves to the next name, where it is a new one that follows at once; else does not move.
    #[inline(always)]
    fn next_plain_name(&mut self) -> Option<&'de str> {
        let Next::Name = self.next else { return None };
        let at = self.cursor.mark().at + usize::from(!self.names.is_empty());
        let name = self.cursor.next_plain_member(&mut self.names)?;
        self.next = Next::Value(at);
        Some(name)
    }

    /// Moves behind the end, where it follows at once; else does not move.
    #[inline(always)]
    fn is_at_end(&mut self) -> bool {
        if matches!(self.next, Next::Name) && self.cursor.plain_end() {
            self.next = Next::Nothing;
        }
        matches!(self.next, Next::Nothing)
    }

    /// Moves to the next name, over a value that nobody wanted.
    fn next_name(&mut self) -> Result<Option<Cow<'de, str>>, Fault> {
        // A type may go on behind an error: it finds nothing more, and the error stays.
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

    /// Moves over the value of the attribute whose name stands there.
    fn skip(&mut self, at: usize) -> Result<(), Fault> {
        let mut result = self.cursor.skip_value();
        if let Err(fault) = &mut result {
            self.cursor.blame(at, fault);
        }
        result
    }

    #[inline(always)]
    fn value<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value, Fault> {
        let Next::Value(at) = self.next else {
            return Err(serde::de::Error::custom("a value was asked for without its name"));
        };
        self.next = Next::Name;
        let mut result = self.cursor.value(seed);
        if let Err(fault) = &mut result {
            self.cursor.blame(at, fault);
        }
        result
    }

    /// Checks what the type has left.
    #[inline]
    pub(super) fn finish(&mut self) -> Result<(), Fault> {
        while !self.is_at_end() && self.next_name()?.is_some() {}
        self.cursor.depth -= usize::from(!self.bare);
        Ok(())
    }

    /// Checks that the variant's attribute was the only one.
    pub(super) fn finish_variant(&mut self) -> Result<(), Fault> {
        if self.next_name()?.is_some() {
            return Err(Fault::wrong_value(&SINGLE, AttributeType::M));
        }
        self.finish()
    }
}

const SINGLE: &str = "a map of one attribute, whose name is the variant";

impl<'de> MapAccess<'de> for &mut Members<'_, 'de> {
    type Error = Fault;

    #[inline]
    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Fault> {
        let name = match self.next_plain_name() {
            Some(name) => Cow::Borrowed(name),
            None if self.is_at_end() => return Ok(None),
            None => match self.next_name()? {
                Some(name) => name,
                None => return Ok(None),
            },
        };
        let mut result = seed.deserialize(Key(name)).map(Some);
        if let (Err(fault), Next::Value(at)) = (&mut result, self.next) {
            self.cursor.blame(at, fault);
        }
        result
    }

    #[inline(always)]
    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Fault> {
        self.value(seed)
    }
}

/// An enum's variant: the name of the only attribute.
pub(super) struct Variant<'a, 'b, 'de>(pub(super) &'a mut Members<'b, 'de>);

impl<'de> EnumAccess<'de> for Variant<'_, '_, 'de> {
    type Error = Fault;
    type Variant = Self;

    fn variant_seed<V: DeserializeSeed<'de>>(self, seed: V) -> Result<(V::Value, Self), Fault> {
        let variant = match self.0.next_name()? {
            Some(Cow::Borrowed(name)) => seed.deserialize(BorrowedStrDeserializer::new(name))?,
            Some(Cow::Owned(name)) => seed.deserialize(name.into_deserializer())?,
            None => return Err(Fault::wrong_value(&SINGLE, AttributeType::M)),
        };
        Ok((variant, self))
    }
}

impl<'de> VariantAccess<'de> for Variant<'_, '_, 'de> {
    type Error = Fault;

    /// Takes any value, as `serde_dynamo` does; it is checked when the enum ends.
    fn unit_variant(self) -> Result<(), Fault> {
        Ok(())
    }

    fn newtype_variant_seed<S: DeserializeSeed<'de>>(self, seed: S) -> Result<S::Value, Fault> {
        self.0.value(seed)
    }

    fn tuple_variant<V: Visitor<'de>>(self, _: usize, visitor: V) -> Result<V::Value, Fault> {
        self.0.value(Sequence(visitor))
    }

    fn struct_variant<V: Visitor<'de>>(self, _: &'static [&'static str], visitor: V) -> Result<V::Value, Fault> {
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
