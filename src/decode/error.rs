//! The error of decoding an item: where it went wrong, what was wanted and what was found.
//!
//! Invariant: an error never contains a value of the item, only names of attributes, fields and types.

mod attribute_type;
mod error_impl;
mod fingerprint;
mod kind;
mod path;

use std::fmt;

use crate::event_kind::EventKind;

pub use self::attribute_type::AttributeType;

pub(super) use self::error_impl::ErrorImpl;
pub(super) use self::fingerprint::Fingerprint;

use self::kind::Kind;
use self::path::Path;

/// Why an item does not decode.
///
/// The message says where the fault is, what the type wanted and which DynamoDB type was found. It contains names of attributes and fields,
/// and never an attribute's value. For that reason it leaves out the messages of a type's own `Deserialize`.
///
/// ```
/// use lambda_streams::AttributeType;
///
/// let error = lambda_streams::from_image::<std::collections::HashMap<String, Vec<u8>>>(
///     r#"{"sizes": {"L": [{"N": "1"}, {"N": "256"}]}}"#,
/// ).expect_err("256 is not a u8");
/// assert_eq!(error.path(), "sizes[1]");
/// assert_eq!(error.expected(), Some("u8"));
/// assert_eq!(error.found(), Some(AttributeType::N));
/// assert_eq!(error.to_string(), "attribute `sizes[1]`: wanted u8, found N with a value that does not fit");
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct DecodeError(ErrorImpl);

impl DecodeError {
    pub(crate) fn missing_image(image: &'static str, kind: EventKind, view_type: Option<&str>) -> Self {
        let mut error = ErrorImpl::new(Kind::missing_image(image, kind, view_type));
        error.path_mut().within(image);
        Self(error)
    }

    pub(crate) fn wrong_kind(wanted: &'static str, kind: EventKind) -> Self {
        Self(ErrorImpl::new(Kind::WrongChange { wanted, kind }))
    }

    /// Adds the member of the record to the start of the path.
    pub(crate) fn within(mut self, member: &'static str) -> Self {
        self.0.path_mut().within(member);
        self
    }

    /// Where the fault is, such as `NewImage.lines[2].price`. Empty for the whole of an item that is not part of a record.
    ///
    /// Inside an enum or a flattened part, which serde must buffer, the path may end at the attribute that was buffered:
    /// [`from_image`](crate::from_image#where-serde-buffers) says when.
    pub fn path(&self) -> &str {
        self.0.path().as_str()
    }

    /// What the type wanted there, as its `Deserialize` names it, such as `u32` or `struct Order`.
    pub fn expected(&self) -> Option<&str> {
        self.0.kind().expected()
    }

    /// The DynamoDB type of the attribute, if it is known and explains the error.
    pub fn found(&self) -> Option<AttributeType> {
        self.0.kind().found()
    }

    /// Whether the record lacks the image, because of the stream's view type or the kind of change.
    pub fn is_missing_image(&self) -> bool {
        matches!(self.0.kind(), Kind::MissingImage { .. })
    }

    /// Whether the item is not well-formed DynamoDB JSON, so no type could be decoded from it.
    pub fn is_malformed(&self) -> bool {
        self.0.is_malformed()
    }
}

impl From<ErrorImpl> for DecodeError {
    fn from(mut error: ErrorImpl) -> Self {
        error.finish();
        Self(error)
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
    fn the_path_starts_with_the_member_of_the_record() {
        let at = |error: ErrorImpl| DecodeError::from(error).within("NewImage");
        let error = || ErrorImpl::malformed("broken");
        assert_eq!(at(error()).to_string(), "`NewImage`: broken");
        assert_eq!(at(error().at_name("a")).to_string(), "attribute `NewImage.a`: broken");
        let deep = at(error().at_name("price").at_index(2).at_name("lines"));
        assert_eq!(deep.to_string(), "attribute `NewImage.lines[2].price`: broken");
        assert_eq!(deep.path(), "NewImage.lines[2].price");
    }
}
