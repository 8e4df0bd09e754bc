//! Calls of AWS: what their errors mean, and how long a call is repeated.
//!
//! Throttling is waited out, however long it lasts: the service asks for exactly that. A failure of the service or of the
//! network is repeated for about a minute. Everything else is final at once.

use std::error::Error;
use std::time::Duration;

use aws_sdk_dynamodb::error::{ProvideErrorMetadata, SdkError};

/// The longest first wait; each further one may be twice as long.
const BASE: Duration = Duration::from_millis(200);
/// The longest wait.
const CAP: Duration = Duration::from_secs(10);
/// How often a failure of the service or of the network is repeated.
const REPEATS: u32 = 12;

/// What a failed call means for the next try.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Meaning {
    /// Too many calls.
    Throttled,
    /// The service or the network, for now.
    Transient,
    /// Another try changes nothing.
    Final,
}

impl Meaning {
    pub(crate) fn of<E>(error: &SdkError<E>) -> Self
    where
        E: ProvideErrorMetadata,
    {
        match error {
            SdkError::TimeoutError(_) | SdkError::ResponseError(_) => Self::Transient,
            SdkError::DispatchFailure(failure) if failure.is_io() || failure.is_timeout() => Self::Transient,
            SdkError::ServiceError(service) => Self::of_code(service.err().code().unwrap_or_default()),
            _ => Self::Final,
        }
    }

    fn of_code(code: &str) -> Self {
        match code {
            "ProvisionedThroughputExceededException"
            | "RequestLimitExceeded"
            | "ThrottledException"
            | "ThrottlingException"
            | "TooManyRequestsException" => Self::Throttled,
            "InternalFailure"
            | "InternalServerError"
            | "InternalServerErrorException"
            | "ServiceException"
            | "ServiceUnavailable"
            | "ServiceUnavailableException"
            // Another transaction holds the item.
            | "TransactionConflictException"
            | "TransactionInProgressException" => Self::Transient,
            _ => Self::Final,
        }
    }
}

/// Exponential backoff with full jitter, on tokio's clock.
#[derive(Debug, Default)]
pub(crate) struct Backoff {
    tries: u32,
}

impl Backoff {
    pub(crate) async fn wait(&mut self) {
        let longest = CAP.min(BASE * 2_u32.saturating_pow(self.tries.min(16)));
        self.tries += 1;
        tokio::time::sleep(longest.mul_f64(fastrand::f64())).await;
    }
}

/// Repeats a call for as long as another try may succeed.
pub(crate) async fn patiently<T, E>(call: impl AsyncFn() -> Result<T, SdkError<E>>) -> Result<T, SdkError<E>>
where
    E: ProvideErrorMetadata,
{
    let mut backoff = Backoff::default();
    let mut failures = 0;
    loop {
        let error = match call().await {
            Err(error) if Meaning::of(&error) != Meaning::Final => error,
            done => return done,
        };
        failures += u32::from(Meaning::of(&error) == Meaning::Transient);
        if failures > REPEATS {
            return Err(error);
        }
        backoff.wait().await;
    }
}

/// One line of what failed, and what to do about it. `permission` is the action of IAM that the call needs.
pub(crate) fn explain<E>(what: &str, permission: &str, error: &SdkError<E>) -> String
where
    E: ProvideErrorMetadata + Error + 'static,
{
    let SdkError::ServiceError(service) = error else {
        return match error {
            SdkError::TimeoutError(_) => format!("{what}: the endpoint did not answer in time"),
            SdkError::DispatchFailure(failure) if failure.is_io() || failure.is_timeout() => {
                format!("{what}: the endpoint cannot be reached: {}", cause(error))
            }
            _ => format!("{what}: {}", cause(error)),
        };
    };
    let code = service.err().code().unwrap_or("an error without a code");
    let message = match service.err().message() {
        Some(message) => format!("{code}: {}", message.trim_end_matches('.')),
        None => code.to_owned(),
    };
    match code {
        "ResourceNotFoundException" => {
            format!("{what} does not exist here: check its name, the region and the endpoint ({message})")
        }
        code if code.starts_with("AccessDenied") => {
            format!("{what}: {message}: your credentials lack the permission {permission}")
        }
        code if code.starts_with("ExpiredToken") || code.starts_with("UnrecognizedClient") => {
            format!("{what}: {message}: sign in again")
        }
        _ => format!("{what}: {message}"),
    }
}

/// What the innermost error of the chain says, and what to do if the credentials are the cause.
fn cause(error: &(dyn Error + 'static)) -> String {
    let chain: Vec<String> =
        std::iter::successors(Some(error), |error| (*error).source()).map(ToString::to_string).collect();
    let innermost = chain.last().cloned().unwrap_or_default();
    if !chain.iter().any(|error| error.contains("credential")) {
        return innermost;
    }
    let advice = "there are no usable AWS credentials: sign in, or choose a profile (AWS_PROFILE)";
    // What each provider lacks, in several lines, is longer than the advice, and says no more.
    if innermost.contains('\n') { advice.to_owned() } else { format!("{advice}: {innermost}") }
}
