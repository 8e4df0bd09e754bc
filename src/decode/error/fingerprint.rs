//! A hash of a value, by which an error finds the attribute that it is about without keeping its value.

use std::hash::{DefaultHasher, Hash, Hasher};

use serde::de::Unexpected;

/// A value as serde's errors show it, hashed.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(in crate::decode) struct Fingerprint(u64);

impl Fingerprint {
    /// `None` if serde does not say which value it was.
    pub(super) fn of(unexpected: Unexpected<'_>) -> Option<Self> {
        Some(match unexpected {
            Unexpected::Str(text) => Self::text(text),
            Unexpected::Signed(number) => Self::integer(number.into()),
            Unexpected::Unsigned(number) => Self::integer(number.into()),
            Unexpected::Float(number) => Self::float(number),
            Unexpected::Bytes(bytes) => Self::bytes(bytes),
            Unexpected::Bool(value) => Self::bool(value),
            Unexpected::Unit => Self::null(),
            Unexpected::Map => Self::map(),
            Unexpected::Seq => Self::sequence(),
            _ => return None,
        })
    }

    pub(in crate::decode) fn text(text: &str) -> Self {
        Self::hash((0, text))
    }

    pub(in crate::decode) fn integer(number: i128) -> Self {
        Self::hash((1, number))
    }

    pub(in crate::decode) fn float(number: f64) -> Self {
        Self::hash((2, number.to_bits()))
    }

    pub(in crate::decode) fn bytes(bytes: &[u8]) -> Self {
        Self::hash((3, bytes))
    }

    pub(in crate::decode) fn bool(value: bool) -> Self {
        Self::hash((4, value))
    }

    pub(in crate::decode) fn null() -> Self {
        Self::hash(5)
    }

    pub(in crate::decode) fn map() -> Self {
        Self::hash(6)
    }

    pub(in crate::decode) fn sequence() -> Self {
        Self::hash(7)
    }

    fn hash(value: impl Hash) -> Self {
        let mut hasher = DefaultHasher::new();
        value.hash(&mut hasher);
        Self(hasher.finish())
    }
}
