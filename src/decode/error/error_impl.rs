//! The inside of a [`DecodeError`](super::DecodeError), and the error type of the deserializers.
//!
//! This is the private type that implements `serde::de::Error`. serde passes values of the item to its constructors, which discard
//! them. It is private so that the public `DecodeError` has no such constructors.

use std::fmt::{self, Display};

use serde::de::{self, Expected, Unexpected};

use super::{AttributeType, Fingerprint, Kind, Path};
use crate::decode::decimal::{self, AnyNumber, NotAnInteger};
use crate::decode::locate::Candidate;

/// One pointer, so results stay small where nothing goes wrong.
#[derive(Clone, PartialEq, Eq)]
pub(in crate::decode) struct ErrorImpl(Box<Inner>);

#[derive(Clone, PartialEq, Eq)]
struct Inner {
    path: Path,
    kind: Kind,
    /// Of the value that a type refused, if serde says which; a public error has none.
    fingerprint: Option<Fingerprint>,
    /// Values that may be that one, if there are several.
    candidates: Vec<Candidate>,
    /// Whether that is text where a floating-point number was wanted.
    wants_float: bool,
}

impl ErrorImpl {
    #[cold]
    pub(super) fn new(kind: Kind) -> Self {
        Self(Box::new(Inner {
            path: Path::default(),
            kind,
            fingerprint: None,
            candidates: Vec::new(),
            wants_float: false,
        }))
    }

    pub(super) fn path(&self) -> &Path {
        &self.0.path
    }

    pub(super) fn path_mut(&mut self) -> &mut Path {
        &mut self.0.path
    }

    pub(super) fn kind(&self) -> &Kind {
        &self.0.kind
    }

    pub(in crate::decode) fn is_malformed(&self) -> bool {
        matches!(self.kind(), Kind::Malformed(_))
    }

    pub(in crate::decode) fn malformed(what: &'static str) -> Self {
        Self::new(Kind::Malformed(what))
    }

    #[cold]
    pub(in crate::decode) fn wrong_type(expected: &dyn Expected, found: AttributeType) -> Self {
        Self::new(Kind::WrongType { expected: expected.to_string(), found: Some(found) })
    }

    pub(in crate::decode) fn no_key_attribute() -> Self {
        Self::new(Kind::NoKeyAttribute)
    }

    #[cold]
    pub(in crate::decode) fn wrong_value(expected: &dyn Expected, found: AttributeType) -> Self {
        Self::new(Kind::WrongValue { expected: expected.to_string(), found: Some(found) })
    }

    #[cold]
    pub(in crate::decode) fn not_an_integer(expected: &dyn Expected, why: NotAnInteger) -> Self {
        match why {
            NotAnInteger::Fraction => Self::new(Kind::Fraction { expected: expected.to_string() }),
            NotAnInteger::OutOfRange => Self::wrong_value(expected, AttributeType::N),
        }
    }

    #[cold]
    pub(in crate::decode) fn not_a_float<E>(expected: &dyn Expected, _: E) -> Self {
        Self::wrong_value(expected, AttributeType::N)
    }

    /// An error about a value that a type refused.
    #[cold]
    fn about(
        unexpected: Unexpected<'_>,
        expected: &dyn Expected,
        kind: fn(String, Option<AttributeType>) -> Kind,
    ) -> Self {
        let expected = expected.to_string();
        let wants_float = matches!(unexpected, Unexpected::Str(_)) && matches!(&*expected, "f64" | "f32");
        let mut error = Self::new(kind(expected, type_of(unexpected)));
        error.0.fingerprint = Fingerprint::of(unexpected);
        error.0.wants_float = wants_float;
        error
    }

    /// The text of a number that was passed on as text where a floating-point number is wanted, by its fingerprint.
    pub(in crate::decode) fn wanted_float(&self) -> Option<Fingerprint> {
        self.0.fingerprint.filter(|_| self.0.wants_float)
    }

    /// The value that was refused, unless the path already leads to it.
    pub(in crate::decode) fn unlocated(&self) -> Option<Fingerprint> {
        self.0.fingerprint.filter(|_| !self.0.path.is_attribute())
    }

    pub(in crate::decode) fn set_candidates(&mut self, candidates: Vec<Candidate>) {
        self.0.candidates = candidates;
    }

    pub(in crate::decode) fn take_candidates(&mut self) -> Vec<Candidate> {
        std::mem::take(&mut self.0.candidates)
    }

    /// Whether another error is about the same value, in the same part of the item.
    pub(in crate::decode) fn is_same(&self, other: &Self) -> bool {
        let facts = |error: &Self| (error.0.path.clone(), error.0.kind.clone(), error.0.fingerprint);
        facts(self) == facts(other)
    }

    /// Adds the path of another error at the end of the path.
    pub(in crate::decode) fn append_path(&mut self, inner: &Self) {
        self.0.path.append(&inner.0.path);
    }

    /// Sets the type of the value that was refused.
    pub(in crate::decode) fn set_found(&mut self, tag: AttributeType) {
        if let Some(found) = self.0.kind.found_mut() {
            *found = Some(tag);
        }
    }

    /// The same error, which is about the value where it is raised, and not about a part of it.
    pub(in crate::decode) fn at_value(mut self) -> Self {
        self.finish();
        self
    }

    /// Drops what is not for the public error.
    pub(super) fn finish(&mut self) {
        self.0.fingerprint = None;
        self.0.candidates = Vec::new();
        self.0.wants_float = false;
    }

    #[cold]
    pub(in crate::decode) fn at_name(mut self, name: &str) -> Self {
        self.put_name(name);
        self
    }

    pub(in crate::decode) fn put_name(&mut self, name: &str) {
        self.path_mut().prefix_name(name);
    }

    #[cold]
    pub(in crate::decode) fn at_index(mut self, index: usize) -> Self {
        self.put_index(index);
        self
    }

    pub(in crate::decode) fn put_index(&mut self, index: usize) {
        self.path_mut().prefix_index(index);
    }

    /// Adds the type of the value that was being decoded, unless the error lies deeper, in another value.
    #[cold]
    pub(in crate::decode) fn put_type(&mut self, tag: AttributeType) {
        let Inner { path, kind, fingerprint, .. } = &mut *self.0;
        let Some(found) = kind.found_mut().filter(|_| !path.is_attribute()) else { return };
        if found.is_none() && fingerprint.is_none() {
            *found = Some(tag);
        }
        path.deeper = *found != Some(tag);
    }
}

impl de::Error for ErrorImpl {
    fn custom<T: Display>(message: T) -> Self {
        match &*message.to_string() {
            // serde's own words.
            "u128 is not supported" => Self::new(Kind::NotBuffered("u128")),
            "i128 is not supported" => Self::new(Kind::NotBuffered("i128")),
            _ => Self::new(Kind::Refused { found: None }),
        }
    }

    fn invalid_type(unexpected: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Self::about(unexpected, expected, |expected, found| Kind::WrongType { expected, found })
    }

    fn invalid_value(unexpected: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Self::about(unexpected, expected, |expected, found| Kind::WrongValue { expected, found })
    }

    fn invalid_length(length: usize, expected: &dyn Expected) -> Self {
        Self::new(Kind::WrongLength { expected: expected.to_string(), length })
    }

    fn unknown_variant(variant: &str, expected: &'static [&'static str]) -> Self {
        let mut error = Self::new(Kind::UnknownVariant(expected));
        error.0.fingerprint = Some(Fingerprint::text(variant));
        error
    }

    /// The unknown name is dropped: if it is an attribute's, the path has it; otherwise it is a value.
    fn unknown_field(_: &str, expected: &'static [&'static str]) -> Self {
        Self::new(Kind::UnknownField(expected))
    }

    fn missing_field(field: &'static str) -> Self {
        Self::new(Kind::MissingField(field))
    }

    fn duplicate_field(field: &'static str) -> Self {
        Self::new(Kind::DuplicateField(field))
    }
}

/// The DynamoDB type of serde's value, if only one has such values.
fn type_of(unexpected: Unexpected<'_>) -> Option<AttributeType> {
    match unexpected {
        // It may be a number that was passed on as text.
        Unexpected::Str(text) if decimal::is_number(text) && decimal::any(text) == AnyNumber::Text => None,
        Unexpected::Str(_) | Unexpected::Char(_) => Some(AttributeType::S),
        Unexpected::Unsigned(_) | Unexpected::Signed(_) | Unexpected::Float(_) => Some(AttributeType::N),
        Unexpected::Bytes(_) => Some(AttributeType::B),
        Unexpected::Bool(_) => Some(AttributeType::Bool),
        Unexpected::Unit => Some(AttributeType::Null),
        Unexpected::Map => Some(AttributeType::M),
        _ => None,
    }
}

impl Display for ErrorImpl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Inner { path, kind, .. } = &*self.0;
        f.write_str(if path.deeper { "inside " } else { "" })?;
        match path.as_str() {
            "" => f.write_str("the item")?,
            text if path.is_attribute() => write!(f, "attribute `{text}`")?,
            text => write!(f, "`{text}`")?,
        }
        write!(f, ": {kind}")
    }
}

impl fmt::Debug for ErrorImpl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Display::fmt(self, f)
    }
}

impl std::error::Error for ErrorImpl {}
