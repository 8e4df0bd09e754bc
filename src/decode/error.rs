//! Why an item does not decode: where, what was wanted and what was found, and never a value.

mod attribute_type;
mod fault;
mod path;
mod reason;

use std::fmt;

use crate::event_kind::EventKind;

pub use self::attribute_type::AttributeType;

pub(super) use self::fault::Fault;

use self::path::Path;
use self::reason::Reason;

/// Why an item does not decode.
///
/// Its text says where it went wrong, what was wanted and which DynamoDB type was found. It contains names of
/// attributes and fields, and never an attribute's value: what a type's own `Deserialize` says is left out for that.
///
/// ```
/// use lambda_streams::AttributeType;
///
/// let error = lambda_streams::from_image::<std::collections::HashMap<String, Vec<u8>>>(
///     r#"{"sizes": {"L": [{"N": "1"}, {"N": "256"}]}}"#,
/// ).expect_err("256 is no u8");
/// assert_eq!(error.path(), "sizes[1]");
/// assert_eq!(error.expected(), Some("u8"));
/// assert_eq!(error.found(), Some(AttributeType::N));
/// assert_eq!(error.to_string(), "attribute `sizes[1]`: wanted u8, found N with a value that does not fit");
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct DecodeError(Fault);

impl DecodeError {
    pub(crate) fn missing_image(image: &'static str, kind: EventKind, view_type: Option<&str>) -> Self {
        let mut fault = Fault::new(Reason::missing_image(image, kind, view_type));
        fault.path_mut().within(image);
        Self(fault)
    }

    pub(crate) fn wrong_kind(wanted: &'static str, kind: EventKind) -> Self {
        Self(Fault::new(Reason::WrongKind { wanted, kind }))
    }

    /// Puts the member of the record in front of the path.
    pub(crate) fn within(mut self, member: &'static str) -> Self {
        self.0.path_mut().within(member);
        self
    }

    /// Where it went wrong, such as `NewImage.lines[2].price`; empty for an item's whole that stands alone.
    ///
    /// Inside an enum or a flattened part that serde has to read ahead, it is the attribute that was read ahead.
    pub fn path(&self) -> &str {
        self.0.path().as_str()
    }

    /// What the type wanted there, in the words of its `Deserialize`, such as `u32` or `struct Order`.
    pub fn expected(&self) -> Option<&str> {
        self.0.reason().expected()
    }

    /// The type that the attribute has in DynamoDB, where it is known and says something.
    pub fn found(&self) -> Option<AttributeType> {
        self.0.reason().found()
    }

    /// Whether the record does not carry the image at all, because of the stream's view type.
    pub fn is_missing_image(&self) -> bool {
        matches!(self.0.reason(), Reason::MissingImage { .. })
    }

    /// Whether the item is no well-formed DynamoDB JSON, whatever type is asked for.
    pub fn is_malformed(&self) -> bool {
        self.0.is_malformed()
    }
}

impl From<Fault> for DecodeError {
    fn from(fault: Fault) -> Self {
        Self(fault)
    }
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DecodeError({self})")
    }
}

impl std::error::Error for DecodeError {}

#[cfg(test)]
mod tests {
    use super::*;

    fn missing(image: &'static str, kind: EventKind, view_type: Option<&str>) -> String {
        let error = DecodeError::missing_image(image, kind, view_type);
        assert!(error.is_missing_image() && !error.is_malformed());
        assert_eq!(error.path(), image);
        error.to_string()
    }

    #[test]
    fn a_missing_image_names_the_view_type_and_the_remedy() {
        assert_eq!(
            missing("OldImage", EventKind::Modify, Some("KEYS_ONLY")),
            "`OldImage`: the record has none: the stream's view type is KEYS_ONLY: this image needs NEW_AND_OLD_IMAGES or \
             OLD_IMAGE; set one on the table's stream, or handle `Change` or `Record`"
        );
        let unknown = missing("NewImage", EventKind::Insert, None);
        assert!(unknown.contains("is not known: this image needs NEW_AND_OLD_IMAGES or NEW_IMAGE"), "{unknown}");
        assert_eq!(missing("NewImage", EventKind::Insert, Some("a canary")), unknown);
        assert!(
            missing("NewImage", EventKind::Modify, Some("NEW_AND_OLD_IMAGES")).contains("the record is incomplete")
        );
        assert!(missing("NewImage", EventKind::Remove, Some("NEW_IMAGE")).contains("never has this image"));
        assert!(missing("OldImage", EventKind::Insert, Some("KEYS_ONLY")).contains("INSERT never has this image"));
    }

    #[test]
    fn the_member_of_the_record_stands_in_front() {
        let at = |fault: Fault| DecodeError::from(fault).within("NewImage");
        let fault = || Fault::malformed("a fault");
        assert_eq!(at(fault()).to_string(), "`NewImage`: a fault");
        assert_eq!(at(fault().at_name("a")).to_string(), "attribute `NewImage.a`: a fault");
        let deep = at(fault().at_name("price").at_index(2).at_name("lines"));
        assert_eq!(deep.to_string(), "attribute `NewImage.lines[2].price`: a fault");
        assert_eq!(deep.path(), "NewImage.lines[2].price");
    }
}
