//! The error while decoding goes on: serde's constructors, stripped of every value.

use std::fmt::{self, Display};

use serde::de::{self, Expected, Unexpected};

use super::{AttributeType, Path, Reason};

/// One pointer, so that the results on the good way stay small.
#[derive(Clone, PartialEq, Eq)]
pub(in crate::decode) struct Fault(Box<(Path, Reason)>);

impl Fault {
    #[cold]
    pub(super) fn new(reason: Reason) -> Self {
        Self(Box::new((Path::default(), reason)))
    }

    pub(super) fn path(&self) -> &Path {
        &self.0.0
    }

    pub(super) fn path_mut(&mut self) -> &mut Path {
        &mut self.0.0
    }

    pub(super) fn reason(&self) -> &Reason {
        &self.0.1
    }

    pub(in crate::decode) fn is_malformed(&self) -> bool {
        matches!(self.reason(), Reason::Malformed(_))
    }

    pub(in crate::decode) fn malformed(what: &'static str) -> Self {
        Self::new(Reason::Malformed(what))
    }

    #[cold]
    pub(in crate::decode) fn wrong_type(expected: &dyn Expected, found: AttributeType) -> Self {
        Self::new(Reason::WrongType { expected: expected.to_string(), found: Some(found) })
    }

    #[cold]
    pub(in crate::decode) fn wrong_value(expected: &dyn Expected, found: AttributeType) -> Self {
        Self::new(Reason::WrongValue { expected: expected.to_string(), found: Some(found) })
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

    /// Says which type the value has in which the error arose.
    #[cold]
    pub(in crate::decode) fn put_type(&mut self, tag: AttributeType) {
        let (path, reason) = &mut *self.0;
        if let Some(found) = reason.found_mut()
            && !path.is_attribute()
            && *found.get_or_insert(tag) != tag
        {
            path.deeper = true;
        }
    }
}

impl de::Error for Fault {
    fn custom<T: Display>(_: T) -> Self {
        Self::new(Reason::Refused { found: None })
    }

    fn invalid_type(unexpected: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Self::new(Reason::WrongType { expected: expected.to_string(), found: type_of(unexpected) })
    }

    fn invalid_value(unexpected: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Self::new(Reason::WrongValue { expected: expected.to_string(), found: type_of(unexpected) })
    }

    fn invalid_length(length: usize, expected: &dyn Expected) -> Self {
        Self::new(Reason::WrongLength { expected: expected.to_string(), length })
    }

    fn unknown_variant(_: &str, expected: &'static [&'static str]) -> Self {
        Self::new(Reason::UnknownVariant(expected))
    }

    /// The path names the attribute where it is one; elsewhere the name is a value.
    fn unknown_field(_: &str, expected: &'static [&'static str]) -> Self {
        Self::new(Reason::UnknownField(expected))
    }

    fn missing_field(field: &'static str) -> Self {
        Self::new(Reason::MissingField(field))
    }

    fn duplicate_field(field: &'static str) -> Self {
        Self::new(Reason::DuplicateField(field))
    }
}

/// The DynamoDB type that serde's value came from, where only one can have given it.
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

impl Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (path, reason) = &*self.0;
        f.write_str(if path.deeper { "inside " } else { "" })?;
        match path.as_str() {
            "" => f.write_str("the item")?,
            text if path.is_attribute() => write!(f, "attribute `{text}`")?,
            text => write!(f, "`{text}`")?,
        }
        write!(f, ": {reason}")
    }
}

impl fmt::Debug for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Display::fmt(self, f)
    }
}

impl std::error::Error for Fault {}
