//! Why a record failed: the kind of error, its message, and the chain of its sources.

use std::error::Error as StdError;
use std::fmt;

use serde::{Deserialize, Serialize};

/// What kind of error failed a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ErrorKind {
    /// The record's envelope cannot be read.
    Malformed,
    /// An image or the keys are malformed, missing, or do not fit the handler's type, or one that it decodes by itself.
    Decode,
    /// The handler returned an error.
    Handler,
    /// The handler panicked.
    Panic,
    /// The handler was not done after its [timeout](crate::ProcessorBuilder::handler_timeout).
    Timeout,
    /// An earlier record of the same item became a dead letter, and the rest of its lane follows it.
    Predecessor,
}

impl ErrorKind {
    /// The kind in one lower-case word, as dead letters, metrics and logs spell it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Malformed => "malformed",
            Self::Decode => "decode",
            Self::Handler => "handler",
            Self::Panic => "panic",
            Self::Timeout => "timeout",
            Self::Predecessor => "predecessor",
        }
    }
}

impl fmt::Display for ErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Why a record failed: the kind of error, its message, and the chain of its sources.
///
/// `Display` and `Debug` leave out what a panic said, which may quote the item: it stands in [`message`](Self::message),
/// and so in the dead letter.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Failure {
    /// What kind of error it was.
    pub kind: ErrorKind,
    /// What the error said.
    pub message: String,
    /// What its sources said, the nearest first.
    pub sources: Vec<String>,
}

impl Failure {
    pub(crate) fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), sources: Vec::new() }
    }

    pub(crate) fn of(kind: ErrorKind, error: &(dyn StdError + 'static)) -> Self {
        let sources =
            std::iter::successors(error.source(), |error| (*error).source()).map(ToString::to_string).collect();
        Self { kind, message: error.to_string(), sources }
    }
}

impl Failure {
    /// The message, of a panic up to the colon that its own words stand behind.
    fn public_message(&self) -> &str {
        match self.kind {
            ErrorKind::Panic => self.message.split(": ").next().unwrap_or_default(),
            _ => &self.message,
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.public_message())?;
        self.sources.iter().try_for_each(|source| write!(f, ": {source}"))
    }
}

impl fmt::Debug for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Failure")
            .field("kind", &self.kind)
            .field("message", &self.public_message())
            .field("sources", &self.sources)
            .finish()
    }
}
