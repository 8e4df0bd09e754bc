use std::fmt;

/// The types of DynamoDB's attribute values
/// ([AWS: AttributeValue](https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_streams_AttributeValue.html)).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum AttributeType {
    /// Text.
    S,
    /// A number.
    N,
    /// Binary.
    B,
    /// A set of texts.
    SS,
    /// A set of numbers.
    NS,
    /// A set of binaries.
    BS,
    /// A map.
    M,
    /// A list.
    L,
    /// Null.
    Null,
    /// True or false.
    Bool,
}

impl AttributeType {
    /// The type as DynamoDB spells it, such as `SS` or `NULL`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::S => "S",
            Self::N => "N",
            Self::B => "B",
            Self::SS => "SS",
            Self::NS => "NS",
            Self::BS => "BS",
            Self::M => "M",
            Self::L => "L",
            Self::Null => "NULL",
            Self::Bool => "BOOL",
        }
    }

    #[inline]
    pub(in crate::decode) fn from_wire(name: &[u8]) -> Option<Self> {
        Some(match name {
            b"S" => Self::S,
            b"N" => Self::N,
            b"B" => Self::B,
            b"SS" => Self::SS,
            b"NS" => Self::NS,
            b"BS" => Self::BS,
            b"M" => Self::M,
            b"L" => Self::L,
            b"NULL" => Self::Null,
            b"BOOL" => Self::Bool,
            _ => return None,
        })
    }
}

impl fmt::Display for AttributeType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
