//! What is invoked.

use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

/// What is invoked: a function.
///
/// ```
/// use std::time::Duration;
/// use lambda_streams::local::{Answer, Target, TargetError};
///
/// struct AlwaysDone;
///
/// impl Target for AlwaysDone {
///     async fn invoke(&self, _payload: String, _timeout: Duration) -> Result<Answer, TargetError> {
///         Ok(Answer::Returned("null".to_owned()))
///     }
///
///     fn function_arn(&self) -> String {
///         "arn:aws:lambda:eu-central-1:123456789012:function:done".to_owned()
///     }
/// }
/// ```
pub trait Target: Send + Sync + 'static {
    /// Invokes once with this payload; `timeout` is the function's time-out, which ends in a function error.
    ///
    /// # Errors
    /// If the function cannot be invoked at all, which ends the run. What goes wrong *in* the function, time-outs and
    /// crashes included, is [`Answer::FunctionError`].
    ///
    /// # Cancellation
    /// Dropping the future abandons the invocation.
    fn invoke(&self, payload: String, timeout: Duration) -> impl Future<Output = Result<Answer, TargetError>> + Send;

    /// The function's ARN, as it stands in on-failure documents.
    fn function_arn(&self) -> String;
}

/// Shared between several mappings, as a function is that has several triggers.
impl<T: Target> Target for Arc<T> {
    fn invoke(&self, payload: String, timeout: Duration) -> impl Future<Output = Result<Answer, TargetError>> + Send {
        T::invoke(self, payload, timeout)
    }

    fn function_arn(&self) -> String {
        T::function_arn(self)
    }
}

/// How an invocation ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// The function returned this JSON.
    Returned(String),
    /// The function failed: an error, a panic, a time-out, a crash, a failed start.
    FunctionError {
        /// The error's type, such as `Sandbox.Timedout`.
        error_type: String,
        /// What it said.
        message: String,
    },
    /// The function had no capacity left; such an invocation costs no retry.
    Throttled,
}

/// Why a function cannot be invoked, and what to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TargetError(String);

impl TargetError {
    /// Takes the message: what happened, where, and what to do.
    pub fn new(message: impl Into<String>) -> Self {
        Self(message.into())
    }
}

impl fmt::Display for TargetError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for TargetError {}
