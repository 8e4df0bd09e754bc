//! Why a record failed: the kind of error, its message, and the chain of its sources.
//!
//! Invariant: what a panic said may quote the item, so it is in the public field `message`, which goes into the dead
//! letter, and never in `Display` or `Debug`, which go into the log.

use std::any::Any;
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
    /// An earlier record of the same lane became a dead letter, and this one followed it into the queue.
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
/// `Display` and `Debug` leave out what a panic said, which may quote the item. It is part of [`message`](Self::message),
/// and so of the dead letter.
#[derive(Clone)]
#[non_exhaustive]
pub struct Failure {
    /// What kind of error it was.
    pub kind: ErrorKind,
    /// What the error said.
    pub message: String,
    /// What its sources said, the nearest first.
    pub sources: Vec<String>,
    /// What `Display` and `Debug` say of a panic instead of the message.
    loggable: Option<String>,
}

impl Failure {
    pub(crate) fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), sources: Vec::new(), loggable: None }
    }

    /// The failure that an error and its sources describe.
    pub(crate) fn of(kind: ErrorKind, error: &(dyn StdError + 'static)) -> Self {
        let sources = std::iter::successors(error.source(), |error| (*error).source());
        Self { sources: sources.map(ToString::to_string).collect(), ..Self::new(kind, error.to_string()) }
    }

    /// A panic of the user's code, such as the handler, with what the panic said.
    pub(crate) fn panicked(what: &str, words: Option<&str>) -> Self {
        let loggable = format!("the {what} panicked");
        let message = words.map_or_else(|| loggable.clone(), |words| format!("{loggable}: {words}"));
        Self { loggable: Some(loggable), ..Self::new(ErrorKind::Panic, message) }
    }

    /// A failure that was read from a dead letter, which does not say which part of a panic's message are its words.
    pub(crate) fn of_dead_letter(kind: ErrorKind, message: String, sources: Vec<String>) -> Self {
        Self { sources, ..Self::new(kind, message) }
    }

    fn loggable(&self) -> &str {
        match (&self.loggable, self.kind) {
            (Some(loggable), _) => loggable,
            (None, ErrorKind::Panic) => "a panic",
            (None, _) => &self.message,
        }
    }
}

/// What a panic said: its payload, where that is text.
pub(crate) fn panic_words(payload: &(dyn Any + Send)) -> Option<&str> {
    payload.downcast_ref::<&str>().copied().or_else(|| payload.downcast_ref::<String>().map(String::as_str))
}

/// By what is public: a failure equals the one that is read back from its dead letter.
impl PartialEq for Failure {
    fn eq(&self, other: &Self) -> bool {
        self.kind == other.kind && self.message == other.message && self.sources == other.sources
    }
}

impl Eq for Failure {}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.loggable())?;
        self.sources.iter().try_for_each(|source| write!(f, ": {source}"))
    }
}

impl fmt::Debug for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Failure")
            .field("kind", &self.kind)
            .field("message", &self.loggable())
            .field("sources", &self.sources)
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_of_a_panic_are_never_logged() {
        let caught = Failure::panicked("handler", Some("customer 17: no address"));
        assert_eq!(caught.message, "the handler panicked: customer 17: no address");
        assert_eq!(caught.to_string(), "the handler panicked");
        let read = Failure::of_dead_letter(caught.kind, caught.message.clone(), Vec::new());
        assert_eq!(read.message, caught.message);
        assert_eq!(read, caught, "what is public is the same");
        for failure in [caught, read] {
            assert!(!format!("{failure} {failure:?}").contains("customer"), "{failure:?}");
        }
    }
}
