//! A deployed function, its event source mapping's settings, and that mapping's on-failure destination.

mod call;
mod mapping;
mod on_failure;

use std::fmt;
use std::time::Duration;

use aws_sdk_lambda::Client;
use aws_sdk_lambda::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_lambda::operation::invoke;
use aws_sdk_lambda::primitives::Blob;
use serde::Deserialize;

use crate::function::{Function, InvokeError, Response};
use crate::streams::ApiError;

pub use self::call::{CallError, CallResponse, SignedCall, Signer};
pub use self::mapping::{DeployedMapping, from_deployed};
pub use self::on_failure::DeployedOnFailure;

/// Invokes a deployed function, through Lambda's `Invoke`.
///
/// The local event source mapping replaces the deployed one: disable the deployed one first, or each record is processed
/// twice. The function's own timeout applies. The mapping's timeout only limits how long the response is waited for.
///
/// ```no_run
/// use lambda_streams_local::DeployedFunction;
///
/// # async fn example(client: aws_sdk_lambda::Client) -> Result<(), Box<dyn std::error::Error>> {
/// let function = DeployedFunction::connect(client, "orders").await?;
/// println!("its timeout is {:?}", function.timeout());
/// # Ok(())
/// # }
/// ```
pub struct DeployedFunction {
    client: Client,
    arn: String,
    timeout: Duration,
    log_group: String,
}

/// How much longer than its timeout a function's response may take.
const NETWORK: Duration = Duration::from_secs(10);

impl DeployedFunction {
    /// Connects to a function by its name or ARN, with or without a version or alias, and checks that it exists.
    ///
    /// # Errors
    /// If its configuration cannot be read: because it does not exist, the call is denied, or the endpoint cannot be reached.
    pub async fn connect(client: Client, function: &str) -> Result<Self, InvokeError> {
        let configuration = client.get_function_configuration().function_name(function).send().await;
        let configuration = configuration
            .map_err(|error| InvokeError::new(ApiError::of(&error).into_message(&format!("function `{function}`"))))?;
        let timeout = configuration.timeout.and_then(|seconds| u64::try_from(seconds).ok()).unwrap_or(3);
        let log_group = configuration.logging_config.and_then(|logging| logging.log_group);
        let name = configuration.function_name.unwrap_or_else(|| function.to_owned());
        let log_group = log_group.filter(|group| !group.is_empty()).unwrap_or_else(|| format!("/aws/lambda/{name}"));
        let arn = configuration.function_arn.unwrap_or_else(|| function.to_owned());
        Ok(Self { client, arn, timeout: Duration::from_secs(timeout), log_group })
    }

    /// The deployed function's timeout.
    pub fn timeout(&self) -> Duration {
        self.timeout
    }

    /// The log group that it writes to.
    pub fn log_group(&self) -> &str {
        &self.log_group
    }
}

impl Function for DeployedFunction {
    async fn invoke(&self, payload: String, timeout: Duration) -> Result<Response, InvokeError> {
        let limit = timeout.max(self.timeout).saturating_add(NETWORK);
        let call = self.client.invoke().function_name(&self.arn).payload(Blob::new(payload)).send();
        let Ok(responded) = tokio::time::timeout(limit, call).await else {
            let message = format!("no response within {:.2} seconds", limit.as_secs_f64());
            return Ok(Response::FunctionError { error_type: "Sandbox.Timedout".to_owned(), message });
        };
        match responded {
            Ok(output) => {
                let payload = output.payload.map(Blob::into_inner).unwrap_or_default();
                let text = String::from_utf8_lossy(&payload).into_owned();
                Ok(if output.function_error.is_some() { function_error(&text) } else { Response::Returned(text) })
            }
            Err(error) if is_throttled(&error) => Ok(Response::Throttled),
            Err(error) => {
                let message = ApiError::of(&error).into_message(&format!("invoking {}", self.arn));
                // Lambda itself has answered, such as that the call is denied. Anything else may have happened on the way back.
                let is_refused = error.as_service_error().is_some();
                Err(if is_refused { InvokeError::refused(message) } else { InvokeError::new(message) })
            }
        }
    }

    fn function_arn(&self) -> String {
        self.arn.clone()
    }
}

/// What ends for want of capacity costs an event source mapping no retry.
fn is_throttled(error: &SdkError<invoke::InvokeError>) -> bool {
    let code = error.as_service_error().and_then(ProvideErrorMetadata::code).unwrap_or_default();
    matches!(code, "TooManyRequestsException" | "EC2ThrottledException" | "ENILimitReachedException")
}

/// Lambda's payload when the function has failed.
fn function_error(payload: &str) -> Response {
    #[derive(Default, Deserialize)]
    #[serde(rename_all = "camelCase", default)]
    struct Payload {
        error_type: Option<String>,
        error_message: Option<String>,
    }
    let payload: Payload = serde_json::from_str(payload).unwrap_or_default();
    Response::FunctionError {
        error_type: payload.error_type.unwrap_or_else(|| "Unhandled".to_owned()),
        message: payload.error_message.unwrap_or_default(),
    }
}

impl fmt::Debug for DeployedFunction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DeployedFunction")
            .field("arn", &self.arn)
            .field("timeout", &self.timeout)
            .finish_non_exhaustive()
    }
}
