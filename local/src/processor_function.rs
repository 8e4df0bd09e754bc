//! A function in this process: a processor, or any service that takes a stream event.

use std::fmt;
use std::panic::AssertUnwindSafe;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, UNIX_EPOCH};

use futures::FutureExt;
use lambda_runtime::{Context, Diagnostic, LambdaEvent};
use lambda_streams::StreamEvent;
use serde::Serialize;
use tokio::time::Instant;
use tower_service::Service;

use crate::clock::time_of_day;
use crate::function::{Function, InvokeError, Response};
use crate::request_id::request_id;

/// Runs a service in this process as the function: a [`StreamProcessor`](lambda_streams::StreamProcessor), or layers around one.
///
/// Each invocation calls a clone of the service, as `lambda_runtime::run_concurrent` does, with a context that has a
/// request id and a deadline. An error or a panic is a function error, and so is an answer after the timeout. At the timeout
/// the service's future is dropped. One that computes without awaiting cannot be dropped: its answer is discarded when it comes.
///
/// ```
/// use lambda_streams::{Record, StreamProcessor};
/// use lambda_streams_local::{Function, ProcessorFunction, Response};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let processor = StreamProcessor::builder().on_record(|record: Record| async move { Ok(()) }).build()?;
/// let function = ProcessorFunction::new(processor);
/// let response = function.invoke(r#"{"Records": []}"#.to_owned(), std::time::Duration::from_secs(3)).await?;
/// assert_eq!(response, Response::Returned(r#"{"batchItemFailures":[]}"#.to_owned()));
/// # Ok(())
/// # }
/// ```
pub struct ProcessorFunction<S> {
    /// Cloned for each call: a service need not be `Sync`.
    service: Mutex<S>,
    function_arn: String,
}

impl<S> ProcessorFunction<S>
where
    S: Service<LambdaEvent<StreamEvent>> + Clone + Send + 'static,
{
    /// A function that calls clones of this service.
    pub fn new(service: S) -> Self {
        let function_arn = "arn:aws:lambda:us-east-1:123456789012:function:local".to_owned();
        Self { service: Mutex::new(service), function_arn }
    }

    /// The ARN in dead letters and on-failure documents. Default: that of a function `local`.
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

impl<S> Function for ProcessorFunction<S>
where
    S: Service<LambdaEvent<StreamEvent>> + Clone + Send + 'static,
    S::Response: Serialize + Send,
    S::Error: Into<Diagnostic> + Send,
    S::Future: Send,
{
    async fn invoke(&self, payload: String, timeout: Duration) -> Result<Response, InvokeError> {
        let event = match serde_json::from_str::<StreamEvent>(&payload) {
            Ok(event) => event,
            Err(error) => return Ok(function_error("LambdaStreams.Event", error.to_string())),
        };
        drop(payload);
        let mut service = self.service.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let context = self.context(timeout);
        let begun = Instant::now();
        let call = async move {
            std::future::poll_fn(|cx| service.poll_ready(cx)).await?;
            service.call(LambdaEvent::new(event, context)).await
        };
        let response = match tokio::time::timeout(timeout, AssertUnwindSafe(call).catch_unwind()).await {
            Err(_) => return Ok(timed_out(timeout)),
            Ok(Err(_)) => function_error("Panic", "the function panicked".to_owned()),
            Ok(Ok(Err(error))) => {
                let Diagnostic { error_type, error_message } = error.into();
                Response::FunctionError { error_type, message: error_message }
            }
            Ok(Ok(Ok(response))) => match serde_json::to_string(&response) {
                Ok(json) => Response::Returned(json),
                Err(error) => function_error("Runtime.MarshalError", error.to_string()),
            },
        };
        // The timer asks the service first: one that computed past the timeout within one poll is ready by then.
        Ok(if begun.elapsed() > timeout { timed_out(timeout) } else { response })
    }

    fn function_arn(&self) -> String {
        self.function_arn.clone()
    }
}

fn timed_out(timeout: Duration) -> Response {
    function_error("Sandbox.Timedout", format!("task timed out after {:.2} s", timeout.as_secs_f64()))
}

fn function_error(error_type: &str, message: String) -> Response {
    Response::FunctionError { error_type: error_type.to_owned(), message }
}

impl<S> fmt::Debug for ProcessorFunction<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProcessorFunction").field("function_arn", &self.function_arn).finish_non_exhaustive()
    }
}
