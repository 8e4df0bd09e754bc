//! What a handler's error says of a further attempt: it may help, it will not, or the handler has not said.

use std::error::Error as StdError;
use std::fmt;
use std::time::Duration;

type BoxError = Box<dyn StdError + Send + Sync>;

/// Why a handler failed, and whether another attempt may help.
///
/// `?` turns any error into a retryable one. There are two exceptions: a [`DecodeError`](crate::DecodeError), which no attempt
/// changes, and what the processor classifies as permanent ([`permanent_if`](crate::ProcessorBuilder::permanent_if)). The type
/// does not implement [`std::error::Error`] itself, because that would rule out the conversion; [`source`](Self::source)
/// returns the error that it was made from. For errors of the AWS SDK, there is `AwsResultExt` (feature `aws-errors`).
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
    /// What `?` makes of any error: retryable, unless the processor classifies it otherwise.
    Unclassified,
    Retryable {
        after: Option<Duration>,
    },
    Permanent,
}

impl HandlerError {
    /// Another attempt may succeed: the record is retried under the [retry policy](crate::RetryPolicy).
    pub fn retryable(error: impl Into<BoxError>) -> Self {
        Self { source: error.into(), class: Class::Retryable { after: None } }
    }

    /// No attempt can succeed: the [failure policy](crate::FailurePolicy) applies at once, without a retry.
    pub fn permanent(error: impl Into<BoxError>) -> Self {
        Self { source: error.into(), class: Class::Permanent }
    }

    /// Another attempt may succeed, but not before `delay` has passed. The delay replaces the retry policy's backoff.
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// use lambda_streams::HandlerError;
    ///
    /// let error = HandlerError::retry_after("status 429", Duration::from_secs(1));
    /// assert_eq!(error.delay(), Some(Duration::from_secs(1)));
    /// ```
    pub fn retry_after(error: impl Into<BoxError>, delay: Duration) -> Self {
        Self { source: error.into(), class: Class::Retryable { after: Some(delay) } }
    }

    /// Whether another attempt may succeed.
    pub fn is_retryable(&self) -> bool {
        !matches!(self.class, Class::Permanent)
    }

    /// Whether `?` made it, so neither the handler nor the processor has classified it yet.
    pub(crate) fn is_unclassified(&self) -> bool {
        self.class == Class::Unclassified
    }

    /// The delay that [`retry_after`](Self::retry_after) asked for; `None` for every other error.
    pub fn delay(&self) -> Option<Duration> {
        match self.class {
            Class::Retryable { after } => after,
            Class::Unclassified | Class::Permanent => None,
        }
    }

    /// Takes out the error that this one was made from, for example to return it from a test that ends in `Box<dyn Error + Send + Sync>`.
    ///
    /// ```
    /// use lambda_streams::HandlerError;
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    /// let result: Result<(), HandlerError> = Ok(()); // from a handler that the test calls
    /// result.map_err(HandlerError::into_source)?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn into_source(self) -> Box<dyn StdError + Send + Sync> {
        self.source
    }

    /// The error that this one was made from.
    pub fn source(&self) -> &(dyn StdError + Send + Sync + 'static) {
        &*self.source
    }
}

impl<E: Into<BoxError>> From<E> for HandlerError {
    fn from(error: E) -> Self {
        Self { source: error.into(), class: Class::Unclassified }
    }
}

/// Lets `?` pass a handler's error on, in a test that returns `Result<(), Box<dyn Error>>`.
impl From<HandlerError> for Box<dyn StdError> {
    fn from(error: HandlerError) -> Self {
        error.into_source()
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
