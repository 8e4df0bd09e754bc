//! Why a run ends early: the stream cannot be read, or the function cannot be invoked.

use std::fmt;

use crate::function::InvokeError;
use crate::source::SourceError;

/// Why a run ended early.
///
/// What goes wrong *in* the function is no such error: it is retried, bisected or discarded, as the settings say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunError(Kind);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Kind {
    Source(SourceError),
    Invoke(InvokeError),
}

impl RunError {
    pub(crate) fn source(error: SourceError) -> Self {
        Self(Kind::Source(error))
    }

    pub(crate) fn invoke(error: InvokeError) -> Self {
        Self(Kind::Invoke(error))
    }

    /// Whether the stream could not be read.
    pub fn is_source(&self) -> bool {
        matches!(self.0, Kind::Source(_))
    }

    /// Whether the function could not be invoked.
    pub fn is_invoke(&self) -> bool {
        matches!(self.0, Kind::Invoke(_))
    }
}

impl fmt::Display for RunError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Kind::Source(error) => write!(f, "the stream cannot be read: {error}"),
            Kind::Invoke(error) => write!(f, "the function cannot be invoked: {error}"),
        }
    }
}

impl std::error::Error for RunError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match &self.0 {
            Kind::Source(error) => Some(error),
            Kind::Invoke(error) => Some(error),
        }
    }
}
