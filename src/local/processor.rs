//! A processor in this process as the function.

use std::fmt;
use std::panic::AssertUnwindSafe;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, UNIX_EPOCH};

use futures::FutureExt;
use lambda_runtime::{Context, Diagnostic, LambdaEvent};
use serde::Serialize;
use tower_service::Service;

use super::target::{Answer, Target, TargetError};
use crate::clock::time_of_day;
use crate::event::StreamEvent;

/// A service in this process as the function: a [`StreamProcessor`](crate::StreamProcessor), or layers around one.
///
/// Each invocation calls a clone of the service, as `lambda_runtime::run_concurrent` does, with a context that has a
/// request id and a deadline. An error or a panic is a function error; so is an answer that comes after the time-out,
/// at which the service's future is dropped.
///
/// ```
/// use lambda_streams::{Record, StreamProcessor};
/// use lambda_streams::local::{Answer, ProcessorTarget, Target};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let processor = StreamProcessor::builder().on_record(|record: Record| async move { Ok(()) }).build()?;
/// let target = ProcessorTarget::new(processor);
/// let answer = target.invoke(r#"{"Records": []}"#.to_owned(), std::time::Duration::from_secs(3)).await?;
/// assert_eq!(answer, Answer::Returned(r#"{"batchItemFailures":[]}"#.to_owned()));
/// # Ok(())
/// # }
/// ```
pub struct ProcessorTarget<S> {
    /// Cloned for each call: a service need not be `Sync`.
    service: Mutex<S>,
    function_arn: String,
}

impl<S> ProcessorTarget<S>
where
    S: Service<LambdaEvent<StreamEvent>> + Clone + Send + 'static,
{
    /// Takes the service.
    pub fn new(service: S) -> Self {
        let function_arn = "arn:aws:lambda:us-east-1:123456789012:function:local".to_owned();
        Self { service: Mutex::new(service), function_arn }
    }

    /// The ARN that stands in dead letters and on-failure documents. Default: that of a function `local`.
    #[must_use]
    pub fn with_function_arn(mut self, arn: impl Into<String>) -> Self {
        self.function_arn = arn.into();
        self
    }

    fn context(&self, timeout: Duration) -> Context {
        let mut context = Context::default();
        context.request_id = request_id(&mut fastrand::Rng::new());
        context.invoked_function_arn = self.function_arn.clone();
        let deadline = (time_of_day() + timeout).duration_since(UNIX_EPOCH).unwrap_or_default();
        context.deadline = deadline.as_millis().try_into().unwrap_or(u64::MAX);
        context
    }
}

impl<S> Target for ProcessorTarget<S>
where
    S: Service<LambdaEvent<StreamEvent>> + Clone + Send + 'static,
    S::Response: Serialize + Send,
    S::Error: Into<Diagnostic> + Send,
    S::Future: Send,
{
    async fn invoke(&self, payload: String, timeout: Duration) -> Result<Answer, TargetError> {
        let event = match serde_json::from_str::<StreamEvent>(&payload) {
            Ok(event) => event,
            Err(error) => return Ok(function_error("LambdaStreams.Event", error.to_string())),
        };
        drop(payload);
        let mut service = self.service.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let context = self.context(timeout);
        let call = async move {
            std::future::poll_fn(|cx| service.poll_ready(cx)).await?;
            service.call(LambdaEvent::new(event, context)).await
        };
        match tokio::time::timeout(timeout, AssertUnwindSafe(call).catch_unwind()).await {
            Err(_) => {
                Ok(function_error("Sandbox.Timedout", format!("task timed out after {:.2} s", timeout.as_secs_f64())))
            }
            Ok(Err(_)) => Ok(function_error("Panic", "the function panicked".to_owned())),
            Ok(Ok(Err(error))) => {
                let Diagnostic { error_type, error_message } = error.into();
                Ok(Answer::FunctionError { error_type, message: error_message })
            }
            Ok(Ok(Ok(response))) => Ok(match serde_json::to_string(&response) {
                Ok(json) => Answer::Returned(json),
                Err(error) => function_error("Runtime.MarshalError", error.to_string()),
            }),
        }
    }

    fn function_arn(&self) -> String {
        self.function_arn.clone()
    }
}

fn function_error(error_type: &str, message: String) -> Answer {
    Answer::FunctionError { error_type: error_type.to_owned(), message }
}

/// A random id in the form of Lambda's.
pub(super) fn request_id(random: &mut fastrand::Rng) -> String {
    let (high, low) = (random.u64(..), random.u64(..));
    format!(
        "{:08x}-{:04x}-4{:03x}-8{:03x}-{:012x}",
        high >> 32,
        high >> 16 & 0xffff,
        high & 0xfff,
        low >> 48 & 0xfff,
        low & 0xffff_ffff_ffff
    )
}

impl<S> fmt::Debug for ProcessorTarget<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProcessorTarget").field("function_arn", &self.function_arn).finish_non_exhaustive()
    }
}
