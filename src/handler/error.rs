use std::error::Error as StdError;
use std::fmt;
use std::time::Duration;

type BoxError = Box<dyn StdError + Send + Sync>;

/// Why a handler failed, and whether another attempt may help.
///
/// `?` turns any error into a retryable one, unless it is a [`DecodeError`](crate::DecodeError), which no attempt changes, or
/// the processor knows better ([`permanent_if`](crate::ProcessorBuilder::permanent_if)). The type does not implement
/// [`std::error::Error`] itself, which is what makes that conversion possible; [`source`](Self::source) is the error that
/// was given.
///
/// Its text is written to the log and into the dead letter: leave item data out of it.
///
/// ```
/// use lambda_streams::HandlerError;
///
/// fn amount(text: &str) -> Result<u64, HandlerError> {
///     let amount: u64 = text.parse()?; // retryable
///     if amount == 0 {
///         return Err(HandlerError::permanent("an order of nothing"));
///     }
///     Ok(amount)
/// }
/// assert!(amount("many").unwrap_err().is_retryable());
/// assert!(!amount("0").unwrap_err().is_retryable());
/// ```
pub struct HandlerError {
    source: BoxError,
    class: Class,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Class {
    /// What `?` makes of any error.
    Unsaid,
    Retryable {
        after: Option<Duration>,
    },
    Permanent,
}

impl HandlerError {
    /// Another attempt may help: the record is tried again under the retry policy.
    pub fn retryable(error: impl Into<BoxError>) -> Self {
        Self { source: error.into(), class: Class::Retryable { after: None } }
    }

    /// No attempt will help: the record goes where the failure policy says, without retry.
    pub fn permanent(error: impl Into<BoxError>) -> Self {
        Self { source: error.into(), class: Class::Permanent }
    }

    /// Another attempt may help, but not before `delay` has passed; it takes the place of the retry policy's backoff.
    pub fn retry_after(error: impl Into<BoxError>, delay: Duration) -> Self {
        Self { source: error.into(), class: Class::Retryable { after: Some(delay) } }
    }

    /// Whether another attempt may help.
    pub fn is_retryable(&self) -> bool {
        !matches!(self.class, Class::Permanent)
    }

    /// Whether only `?` has made it, so that nobody has said of what class it is.
    pub(crate) fn is_unsaid(&self) -> bool {
        self.class == Class::Unsaid
    }

    /// The delay that [`retry_after`](Self::retry_after) asked for.
    pub fn delay(&self) -> Option<Duration> {
        match self.class {
            Class::Retryable { after } => after,
            Class::Unsaid | Class::Permanent => None,
        }
    }

    /// The error that was given.
    pub fn source(&self) -> &(dyn StdError + Send + Sync + 'static) {
        &*self.source
    }
}

impl<E: Into<BoxError>> From<E> for HandlerError {
    fn from(error: E) -> Self {
        Self { source: error.into(), class: Class::Unsaid }
    }
}

impl fmt::Display for HandlerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.source.fmt(f)
    }
}

impl fmt::Debug for HandlerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HandlerError").field("source", &self.source).field("class", &self.class).finish()
    }
}
