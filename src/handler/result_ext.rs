//! Says of any error whether another attempt may help, where `?` would leave that open.

use std::error::Error as StdError;
use std::time::Duration;

use super::HandlerError;

type BoxError = Box<dyn StdError + Send + Sync>;

/// Classifies the error in a result as permanent or retryable, so `?` passes it on as such.
///
/// ```
/// use std::time::Duration;
///
/// use lambda_streams::{HandlerError, HandlerResultExt};
///
/// fn amount(text: &str) -> Result<u64, HandlerError> {
///     let amount = text.parse().permanent()?; // No attempt can parse the same text.
///     Ok(amount)
/// }
/// assert!(!amount("many").unwrap_err().is_retryable());
///
/// let busy: Result<(), &str> = Err("the service is busy");
/// assert_eq!(busy.retry_after(Duration::from_secs(1)).unwrap_err().delay(), Some(Duration::from_secs(1)));
/// ```
pub trait HandlerResultExt<T>: sealed::Sealed {
    /// No attempt can succeed: [`HandlerError::permanent`].
    ///
    /// # Errors
    /// The result's error, as a permanent one.
    fn permanent(self) -> Result<T, HandlerError>;

    /// Another attempt may succeed, whatever [`permanent_if`](crate::ProcessorBuilder::permanent_if) says: [`HandlerError::retryable`].
    ///
    /// # Errors
    /// The result's error, as a retryable one.
    fn retryable(self) -> Result<T, HandlerError>;

    /// Another attempt may succeed, but not before `delay` has passed: [`HandlerError::retry_after`].
    ///
    /// # Errors
    /// The result's error, as a retryable one.
    fn retry_after(self, delay: Duration) -> Result<T, HandlerError>;
}

impl<T, E: Into<BoxError>> HandlerResultExt<T> for Result<T, E> {
    fn permanent(self) -> Result<T, HandlerError> {
        self.map_err(HandlerError::permanent)
    }

    fn retryable(self) -> Result<T, HandlerError> {
        self.map_err(HandlerError::retryable)
    }

    fn retry_after(self, delay: Duration) -> Result<T, HandlerError> {
        self.map_err(|error| HandlerError::retry_after(error, delay))
    }
}

mod sealed {
    pub trait Sealed {}

    impl<T, E: Into<super::BoxError>> Sealed for Result<T, E> {}
}
