//! The inside of a [`DecodeError`](super::DecodeError), and the error type of the deserializers.
//!
//! This is the private type that implements `serde::de::Error`. serde passes values of the item to its constructors, which discard
//! them. It is private so that the public `DecodeError` has no such constructors.

use std::fmt::{self, Display};

use serde::de::{self, Expected, Unexpected};

use super::{AttributeType, Kind, Path};

/// One pointer, so that results stay small where nothing goes wrong.
#[derive(Clone, PartialEq, Eq)]
pub(in crate::decode) struct ErrorImpl(Box<Inner>);

#[derive(Clone, PartialEq, Eq)]
struct Inner {
    path: Path,
    kind: Kind,
}

impl ErrorImpl {
    #[cold]
    pub(super) fn new(kind: Kind) -> Self {
        Self(Box::new(Inner { path: Path::default(), kind }))
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

    #[cold]
    pub(in crate::decode) fn wrong_value(expected: &dyn Expected, found: AttributeType) -> Self {
        Self::new(Kind::WrongValue { expected: expected.to_string(), found: Some(found) })
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
        self.path_mut().prefix_index(index);
        self
    }

    /// Adds the type of the value that was being decoded, unless the error lies deeper, in another value.
    #[cold]
    pub(in crate::decode) fn put_type(&mut self, tag: AttributeType) {
        let Inner { path, kind } = &mut *self.0;
        if let Some(found) = kind.found_mut()
            && !path.is_attribute()
            && *found.get_or_insert(tag) != tag
        {
            path.deeper = true;
        }
    }
}

impl de::Error for ErrorImpl {
    fn custom<T: Display>(_: T) -> Self {
        Self::new(Kind::Refused { found: None })
    }

    fn invalid_type(unexpected: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Self::new(Kind::WrongType { expected: expected.to_string(), found: type_of(unexpected) })
    }

    fn invalid_value(unexpected: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Self::new(Kind::WrongValue { expected: expected.to_string(), found: type_of(unexpected) })
    }

    fn invalid_length(length: usize, expected: &dyn Expected) -> Self {
        Self::new(Kind::WrongLength { expected: expected.to_string(), length })
    }

    fn unknown_variant(_: &str, expected: &'static [&'static str]) -> Self {
        Self::new(Kind::UnknownVariant(expected))
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
        let Inner { path, kind } = &*self.0;
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
