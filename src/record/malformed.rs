//! What is wrong with a record that cannot be read.

use std::fmt;
use std::time::SystemTime;

use super::{Facts, SequenceNumber};

/// A record that cannot be read: which member is wrong, and what could be read all the same.
///
/// The message names the member and what is wrong with it, and never its value. What could be read still has its use: the
/// sequence number may be a checkpoint, and the keys say which item the record belongs to.
///
/// ```
/// use lambda_streams::Record;
///
/// let malformed = Record::from_json(r#"{"eventName": "INSERT", "dynamodb": {"SequenceNumber": "111"}}"#).unwrap_err();
/// assert_eq!(malformed.to_string(), "`eventSource` is missing");
/// assert_eq!(malformed.sequence_number().expect("it has one").as_str(), "111");
/// ```
#[derive(Clone)]
pub struct MalformedRecord {
    pub(super) fault: Fault,
    pub(super) facts: Facts,
}

#[derive(Clone, PartialEq, Eq)]
pub(super) enum Fault {
    NotAnObject(&'static str),
    /// A member stands in it twice, or has a name that cannot be read.
    Unreadable {
        part: &'static str,
        line: usize,
        column: usize,
        duplicate: bool,
    },
    Missing(&'static str),
    Wrong {
        member: &'static str,
        wanted: &'static str,
    },
    RepeatedSequenceNumber {
        position: usize,
    },
}

impl MalformedRecord {
    /// A record whose sequence number is already that of the record at this position of the batch.
    pub(crate) fn repeated_sequence_number(facts: Facts, position: usize) -> Self {
        Self { fault: Fault::RepeatedSequenceNumber { position }, facts }
    }

    /// The record as received, byte for byte.
    pub fn raw_json(&self) -> &str {
        self.facts.raw_json()
    }

    /// The record's place in its shard; `None` where it has no usable one.
    pub fn sequence_number(&self) -> Option<&SequenceNumber> {
        self.facts.sequence_number()
    }

    /// When the change was made; `None` where the record does not say.
    pub fn created_at(&self) -> Option<SystemTime> {
        self.facts.created_at()
    }

    /// A name that all records of one item share, as [`Record::group_id`](crate::Record::group_id); a record whose keys
    /// cannot be read is a group of its own.
    pub fn group_id(&self) -> String {
        self.facts.group_id()
    }
}

impl fmt::Display for MalformedRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.fault {
            Fault::NotAnObject(found) => write!(f, "the record is {found}, not an object"),
            Fault::Unreadable { part, line, column, duplicate } => {
                let what = if *duplicate { "has a duplicate member" } else { "cannot be read" };
                write!(f, "{part} {what}, at line {line}, column {column} of it")
            }
            Fault::Missing(member) => write!(f, "`{member}` is missing"),
            Fault::Wrong { member, wanted } => write!(f, "`{member}` is not {wanted}"),
            Fault::RepeatedSequenceNumber { position } => {
                write!(f, "`dynamodb.SequenceNumber` is already that of the record at position {position} of the batch")
            }
        }
    }
}

impl fmt::Debug for MalformedRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MalformedRecord({self})")
    }
}

impl std::error::Error for MalformedRecord {}
