//! What went wrong. No variant can hold a value of the item.

use std::fmt;

use super::AttributeType;
use crate::event_kind::EventKind;

#[derive(Clone, PartialEq, Eq)]
pub(super) enum Kind {
    MissingImage {
        image: &'static str,
        kind: EventKind,
        view_type: Option<&'static str>,
    },
    WrongChange {
        wanted: &'static str,
        kind: EventKind,
    },
    Malformed(&'static str),
    WrongType {
        expected: String,
        found: Option<AttributeType>,
    },
    WrongValue {
        expected: String,
        found: Option<AttributeType>,
    },
    /// A number with a fraction, where a whole one is wanted.
    Fraction {
        expected: String,
    },
    /// A type of whole numbers that serde does not buffer.
    NotBuffered(&'static str),
    WrongLength {
        expected: String,
        length: usize,
    },
    MissingField(&'static str),
    NoKeyAttribute,
    DuplicateField(&'static str),
    UnknownField(&'static [&'static str]),
    UnknownVariant(&'static [&'static str]),
    /// A `Deserialize` refused it with a message of its own, which is dropped because it may contain the value.
    Refused {
        found: Option<AttributeType>,
    },
}

impl Kind {
    /// An unknown view type is dropped, because it may be any text of the payload.
    pub(super) fn missing_image(image: &'static str, kind: EventKind, view_type: Option<&str>) -> Self {
        let known = ["KEYS_ONLY", "NEW_IMAGE", "OLD_IMAGE", "NEW_AND_OLD_IMAGES"];
        let view_type = known.into_iter().find(|known| view_type == Some(*known));
        Self::MissingImage { image, kind, view_type }
    }

    pub(super) fn expected(&self) -> Option<&str> {
        match self {
            Self::WrongType { expected, .. }
            | Self::WrongValue { expected, .. }
            | Self::Fraction { expected }
            | Self::WrongLength { expected, .. } => Some(expected),
            Self::NotBuffered(expected) => Some(expected),
            _ => None,
        }
    }

    pub(super) fn found(&self) -> Option<AttributeType> {
        match self {
            Self::WrongType { found, .. } | Self::WrongValue { found, .. } | Self::Refused { found } => *found,
            Self::Fraction { .. } => Some(AttributeType::N),
            _ => None,
        }
    }

    pub(super) fn found_mut(&mut self) -> Option<&mut Option<AttributeType>> {
        match self {
            Self::WrongType { found, .. } | Self::WrongValue { found, .. } | Self::Refused { found } => Some(found),
            _ => None,
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::MissingImage { image, kind, view_type } => missing_image(f, image, *kind, *view_type),
            Self::WrongChange { wanted, kind } => write!(f, "its record is of the kind {kind}, not `{wanted}`"),
            Self::Malformed(what) => f.write_str(what),
            Self::WrongType { expected, found } => {
                match found {
                    Some(found) => write!(f, "wanted {expected}, found {found}")?,
                    None => write!(f, "wanted {expected}, found something else")?,
                }
                f.write_str(remedy(expected, *found))
            }
            Self::WrongValue { expected, found: Some(found) } => {
                write!(f, "wanted {expected}, found {found} with a value that does not fit")
            }
            Self::WrongValue { expected, found: None } => {
                write!(f, "wanted {expected}, found a value that does not fit")
            }
            Self::Fraction { expected } => write!(f, "wanted {expected}, found N with a value that is not whole"),
            Self::NotBuffered(expected) => write!(
                f,
                "wanted {expected}, which serde cannot buffer for `flatten`, `tag` and `untagged`; use \
                 `#[serde(with = \"lambda_streams::number\")]`"
            ),
            Self::WrongLength { expected, length } => write!(f, "wanted {expected}, found {length} elements"),
            Self::NoKeyAttribute => f.write_str("the item's primary key does not have this attribute"),
            Self::MissingField(field) => write!(f, "`{field}` is missing"),
            Self::DuplicateField(field) => write!(f, "more than one attribute is read into the field `{field}`"),
            Self::UnknownField(known) => write!(f, "the type does not have this attribute, it has {}", List(known)),
            Self::UnknownVariant(known) => write!(f, "wanted one of {}, found another variant", List(known)),
            Self::Refused { found } => {
                f.write_str("refused by the type's own deserialization")?;
                found.iter().try_for_each(|found| write!(f, ", found {found}"))
            }
        }
    }
}

/// How to change a type that can never be decoded from a value of this type.
fn remedy(expected: &str, found: Option<AttributeType>) -> &'static str {
    let is_sequence = ["a sequence", "an array", "a tuple"].iter().any(|start| expected.starts_with(start));
    match expected {
        "a borrowed string" => "; text cannot be borrowed, use `String` or `Cow<str>`",
        "a borrowed path" => "; text cannot be borrowed, use `PathBuf`",
        "a borrowed byte array" => "; bytes cannot be borrowed, use `Vec<u8>` with `serde_bytes`",
        _ if is_sequence && found == Some(AttributeType::B) => "; for bytes, use `serde_bytes`",
        _ => "",
    }
}

fn missing_image(f: &mut fmt::Formatter<'_>, image: &str, kind: EventKind, view_type: Option<&str>) -> fmt::Result {
    write!(f, "the record has none: ")?;
    match (kind, image, view_type) {
        (EventKind::Insert, "OldImage", _) | (EventKind::Remove, "NewImage", _) => {
            write!(
                f,
                "a change of kind {kind} never has this image, whatever the stream's view type; ask for the other one"
            )
        }
        (_, _, Some("NEW_AND_OLD_IMAGES")) => {
            write!(f, "the stream's view type is NEW_AND_OLD_IMAGES, so the record is incomplete")
        }
        (_, _, view_type) => {
            let needed = if image == "NewImage" { "NEW_IMAGE" } else { "OLD_IMAGE" };
            write!(f, "the stream's view type is {}: this image needs ", view_type.unwrap_or("not known"))?;
            write!(f, "NEW_AND_OLD_IMAGES or {needed}; set one on the table's stream, or handle `Change` or `Record`")
        }
    }
}

/// Names in a list: "`a`, `b`".
struct List<'a>(&'a [&'a str]);

impl fmt::Display for List<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some((last, others)) = self.0.split_last() else { return f.write_str("none") };
        others.iter().try_for_each(|name| write!(f, "`{name}`, "))?;
        write!(f, "`{last}`")
    }
}
