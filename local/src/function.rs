//! The function that a mapping invokes: the trait, and how an invocation ends.

use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

/// A function that a mapping invokes.
///
/// ```
/// use std::time::Duration;
/// use lambda_streams_local::{Function, InvokeError, Response};
///
/// struct AlwaysDone;
///
/// impl Function for AlwaysDone {
///     async fn invoke(&self, _payload: String, _timeout: Duration) -> Result<Response, InvokeError> {
///         Ok(Response::Returned("null".to_owned()))
///     }
///
///     fn function_arn(&self) -> String {
///         "arn:aws:lambda:eu-central-1:123456789012:function:done".to_owned()
///     }
/// }
/// ```
pub trait Function: Send + Sync + 'static {
    /// Invokes the function once with this payload. An invocation that takes longer than `timeout` is a function error.
    ///
    /// # Errors
    /// If the function cannot be invoked at all, which ends the run. A failure *in* the function, a timeout or crash
    /// included, is not an error but [`Response::FunctionError`].
    ///
    /// # Cancellation
    /// Dropping the future abandons the invocation.
    fn invoke(&self, payload: String, timeout: Duration) -> impl Future<Output = Result<Response, InvokeError>> + Send;

    /// The function's ARN, for on-failure documents.
    fn function_arn(&self) -> String;
}

/// Shared between several mappings, like a function with several triggers.
impl<T: Function> Function for Arc<T> {
    fn invoke(&self, payload: String, timeout: Duration) -> impl Future<Output = Result<Response, InvokeError>> + Send {
        T::invoke(self, payload, timeout)
    }

    fn function_arn(&self) -> String {
        T::function_arn(self)
    }
}

/// How an invocation ended: the function's response, or why there is none.
/// ```
/// use lambda_streams_local::{BatchResult, Evaluation, Response};
///
/// let response = Response::FunctionError {
///     error_type: "Sandbox.Timedout".to_owned(),
///     message: "Task timed out after 3.00 seconds".to_owned(),
/// };
/// let evaluation = Evaluation::of(response, r#"{"Records": []}"#, true);
/// assert!(matches!(evaluation.result, BatchResult::FunctionError { .. }), "the whole batch is delivered again");
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Response {
    /// The function returned this text, which should be JSON.
    Returned(String),
    /// The function failed: by an error, a panic, a timeout, a crash or a failed start.
    FunctionError {
        /// The error's type, such as `Sandbox.Timedout`.
        error_type: String,
        /// The error's message.
        message: String,
    },
    /// The invocation did not take place, because the function had no capacity left. It costs no retry.
    Throttled,
}

/// Why a function cannot be invoked, and what to do about it.
/// ```
/// use lambda_streams_local::InvokeError;
///
/// let missing = InvokeError::refused("function `orders` does not exist here: check its name and the region");
/// assert!(missing.is_refused(), "nothing has happened");
/// let broken = InvokeError::new("function `orders`: the connection was reset");
/// assert!(!broken.is_refused(), "the function may have got the event");
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InvokeError {
    message: String,
    is_refused: bool,
}

impl InvokeError {
    /// An error with this message: what happened, where, and what to do. The function may have got the event.
    pub fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), is_refused: false }
    }

    /// As [`new`](Self::new), if it is certain that the function did not get the event.
    pub fn refused(message: impl Into<String>) -> Self {
        Self { message: message.into(), is_refused: true }
    }

    /// Whether it is certain that the function did not get the event.
    pub fn is_refused(&self) -> bool {
        self.is_refused
    }
}

impl fmt::Display for InvokeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for InvokeError {}
