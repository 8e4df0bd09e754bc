//! The types of attribute values, under the names that DynamoDB gives them in JSON.

use std::fmt;

/// The types of DynamoDB's attribute values
/// ([AWS: AttributeValue](https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_streams_AttributeValue.html)).
///
/// ```
/// use lambda_streams::AttributeType;
///
/// let error = lambda_streams::from_image::<std::collections::HashMap<String, u32>>(r#"{"id": {"S": "a"}}"#).unwrap_err();
/// assert_eq!(error.found(), Some(AttributeType::S));
/// assert_eq!(AttributeType::SS.as_str(), "SS");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum AttributeType {
    /// A string.
    S,
    /// A number.
    N,
    /// Binary.
    B,
    /// A set of strings.
    SS,
    /// A set of numbers.
    NS,
    /// A set of binary values.
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

    /// The type of the elements of a set; `None` if it is not a set.
    #[inline]
    pub(in crate::decode) fn of_elements(self) -> Option<Self> {
        match self {
            Self::SS => Some(Self::S),
            Self::NS => Some(Self::N),
            Self::BS => Some(Self::B),
            _ => None,
        }
    }

    #[inline]
    pub(in crate::decode) fn from_wire(name: &str) -> Option<Self> {
        Some(match name {
            "S" => Self::S,
            "N" => Self::N,
            "B" => Self::B,
            "SS" => Self::SS,
            "NS" => Self::NS,
            "BS" => Self::BS,
            "M" => Self::M,
            "L" => Self::L,
            "NULL" => Self::Null,
            "BOOL" => Self::Bool,
            _ => return None,
        })
    }
}

impl fmt::Display for AttributeType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
