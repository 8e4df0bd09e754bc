//! The kinds of change, under the names that the stream gives them.

use std::fmt;

/// What happened to the item: the stream's `eventName`
/// ([AWS: Record](https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_streams_Record.html)).
///
/// ```
/// use lambda_streams::EventKind;
///
/// assert_eq!(EventKind::Modify.as_str(), "MODIFY");
/// assert_eq!(EventKind::Remove.to_string(), "REMOVE");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum EventKind {
    /// An item was created.
    Insert,
    /// At least one attribute of an item was changed.
    Modify,
    /// An item was deleted, by a caller or by its time to live.
    Remove,
}

impl EventKind {
    pub(crate) const ALL: [Self; 3] = [Self::Insert, Self::Modify, Self::Remove];

    /// The kind as the stream writes it: `INSERT`, `MODIFY` or `REMOVE`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Insert => "INSERT",
            Self::Modify => "MODIFY",
            Self::Remove => "REMOVE",
        }
    }

    pub(crate) fn from_wire(name: &str) -> Option<Self> {
        match name {
            "INSERT" => Some(Self::Insert),
            "MODIFY" => Some(Self::Modify),
            "REMOVE" => Some(Self::Remove),
            _ => None,
        }
    }
}

impl fmt::Display for EventKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
