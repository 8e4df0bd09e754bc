//! The public error for a record that is malformed: what is wrong with it, never a value of it.

use std::fmt;
use std::time::SystemTime;

use crate::json::Problem;

use super::{RecordRef, SequenceNumber};

/// A malformed record: which member is wrong, and everything that could be read of the others.
///
/// The message names the member and what is wrong with it, never its value. The members that could be read are still used: the sequence
/// number can be a checkpoint, and the keys say which item the record belongs to. Like a [`Record`](crate::Record), it keeps the text of its
/// whole batch in memory.
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
    pub(super) kind: Kind,
    pub(super) record: RecordRef,
}

/// What is wrong with the record.
#[derive(Clone, PartialEq, Eq)]
pub(super) enum Kind {
    InvalidJson,
    /// What the record is instead.
    NotAnObject(&'static str),
    /// A member of the record or of its `dynamodb` that makes the whole unreadable.
    BadMember {
        part: &'static str,
        line: usize,
        column: usize,
        problem: Problem,
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
    /// A record that has the sequence number of an earlier one, which is at this position of the batch.
    pub(crate) fn repeated_sequence_number(record: RecordRef, position: usize) -> Self {
        Self { kind: Kind::RepeatedSequenceNumber { position }, record }
    }

    /// The record as received, byte for byte.
    pub fn raw_json(&self) -> &str {
        self.record.raw_json()
    }

    /// The record's place in its shard; `None` if it has no usable one.
    pub fn sequence_number(&self) -> Option<&SequenceNumber> {
        self.record.sequence_number()
    }

    /// When the change was made; `None` if the record does not say.
    pub fn created_at(&self) -> Option<SystemTime> {
        self.record.created_at()
    }

    /// A name that all records of one item share, like [`Record::group_id`](crate::Record::group_id). A record whose keys cannot be read has its
    /// own group.
    pub fn group_id(&self) -> String {
        self.record.group_id()
    }
}

impl fmt::Display for MalformedRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.kind {
            Kind::InvalidJson => f.write_str("the record is not valid JSON"),
            Kind::NotAnObject(found) => write!(f, "the record is {found}, not an object"),
            Kind::BadMember { part, line, column, problem } => {
                let what = match problem {
                    Problem::Repeated => "has a duplicate member",
                    Problem::UnreadableName => "cannot be read",
                };
                write!(f, "{part} {what}, at line {line}, column {column} of it")
            }
            Kind::Missing(member) => write!(f, "`{member}` is missing"),
            Kind::Wrong { member, wanted } => write!(f, "`{member}` is not {wanted}"),
            Kind::RepeatedSequenceNumber { position } => {
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
