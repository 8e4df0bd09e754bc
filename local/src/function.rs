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
    /// Invokes once with this payload; `timeout` is the function's timeout, which ends in a function error.
    ///
    /// # Errors
    /// If the function cannot be invoked at all, which ends the run. What goes wrong *in* the function, timeouts and
    /// crashes included, is [`Response::FunctionError`].
    ///
    /// # Cancellation
    /// Dropping the future abandons the invocation.
    fn invoke(&self, payload: String, timeout: Duration) -> impl Future<Output = Result<Response, InvokeError>> + Send;

    /// The function's ARN, for on-failure documents.
    fn function_arn(&self) -> String;
}

/// Shared between several mappings, as a function is that has several triggers.
impl<T: Function> Function for Arc<T> {
    fn invoke(&self, payload: String, timeout: Duration) -> impl Future<Output = Result<Response, InvokeError>> + Send {
        T::invoke(self, payload, timeout)
    }

    fn function_arn(&self) -> String {
        T::function_arn(self)
    }
}

/// How an invocation ended: the function's response, or why there is none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Response {
    /// The function returned this JSON.
    Returned(String),
    /// The function failed: an error, a panic, a timeout, a crash, a failed start.
    FunctionError {
        /// The error's type, such as `Sandbox.Timedout`.
        error_type: String,
        /// The error's message.
        message: String,
    },
    /// The function had no capacity left; such an invocation costs no retry.
    Throttled,
}

/// Why a function cannot be invoked, and what to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InvokeError {
    message: String,
    is_refused: bool,
}

impl InvokeError {
    /// Takes the message: what happened, where, and what to do.
    pub fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), is_refused: false }
    }

    /// The same, where it is certain that the function did not get the event.
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
