//! What is wrong with a record that cannot be read.

use std::fmt;

/// Why a record is malformed: which member, and what is wrong with it; never its value.
#[derive(Clone, PartialEq, Eq)]
pub struct MalformedRecord(pub(super) Fault);

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
    pub(crate) fn repeated_sequence_number(position: usize) -> Self {
        Self(Fault::RepeatedSequenceNumber { position })
    }
}

impl fmt::Display for MalformedRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
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
