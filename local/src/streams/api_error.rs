//! Errors of AWS's APIs by what to do about them, and the backoff between tries.
//!
//! Throttling and transient errors are retried for about a minute; everything else fails at once.

use std::error::Error;
use std::time::Duration;

use aws_sdk_dynamodbstreams::error::{ProvideErrorMetadata, SdkError};

use crate::source::SourceError;

/// The first wait; each further one may be twice as long.
const BASE: Duration = Duration::from_millis(100);
/// The longest wait.
const CAP: Duration = Duration::from_secs(10);
/// With these waits a little over a minute, on average half of it.
const ATTEMPTS: u32 = 14;

/// What a failed call means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum ApiError {
    /// The iterator is older than 15 minutes.
    Expired,
    /// The position lies before the oldest record that the stream keeps.
    Trimmed,
    /// The stream, the shard or the table is not there.
    Gone(String),
    /// Too many calls.
    Throttled(String),
    /// The service or the network, for now.
    Transient(String),
    /// What another try does not change.
    Fatal(String),
}

impl ApiError {
    pub(crate) fn of<E>(error: &SdkError<E>) -> Self
    where
        E: ProvideErrorMetadata + Error + 'static,
    {
        match error {
            SdkError::ServiceError(service) => Self::of_service(service.err()),
            SdkError::TimeoutError(_) => Self::Transient("the endpoint did not answer in time".to_owned()),
            SdkError::DispatchFailure(failure) if failure.is_io() || failure.is_timeout() => {
                Self::Transient(format!("the endpoint cannot be reached: {}", cause(error)))
            }
            SdkError::ResponseError(_) => {
                Self::Transient(format!("the endpoint's response cannot be read: {}", cause(error)))
            }
            _ => Self::Fatal(cause(error)),
        }
    }

    fn of_service(error: &impl ProvideErrorMetadata) -> Self {
        let code = error.code().unwrap_or("an error without a code");
        let message = match error.message() {
            Some(message) => format!("{code}: {}", message.trim_end_matches('.')),
            None => code.to_owned(),
        };
        match code {
            "ExpiredIteratorException" => Self::Expired,
            "TrimmedDataAccessException" => Self::Trimmed,
            "ResourceNotFoundException" => Self::Gone(message),
            "LimitExceededException"
            | "ProvisionedThroughputExceededException"
            | "RequestLimitExceeded"
            | "ThrottledException"
            | "ThrottlingException"
            | "TooManyRequestsException" => Self::Throttled(message),
            "InternalFailure" | "InternalServerError" | "ServiceUnavailable" | "ServiceException" => {
                Self::Transient(message)
            }
            _ => Self::Fatal(message),
        }
    }

    /// The error of `what` failed, with what to do about it.
    pub(crate) fn into_error(self, what: &str) -> SourceError {
        SourceError::new(self.into_message(what))
    }

    pub(crate) fn into_message(self, what: &str) -> String {
        match self {
            Self::Expired => {
                format!("{what}: the shard iterator expires again and again: check the clock of this machine")
            }
            Self::Trimmed => {
                format!("{what}: the stream reports again and again that it has trimmed this data, even at its horizon")
            }
            Self::Gone(message) => {
                format!("{what} does not exist here: check its name, the region and the endpoint ({message})")
            }
            Self::Throttled(message) => {
                format!("{what}: throttled for too long: reduce the number of readers of the stream ({message})")
            }
            Self::Transient(message) => format!("{what}: {message}"),
            Self::Fatal(message) => format!("{what}: {message}{}", advice(&message)),
        }
    }

    fn is_worth_another_try(&self) -> bool {
        matches!(self, Self::Expired | Self::Trimmed | Self::Throttled(_) | Self::Transient(_))
    }
}

fn advice(message: &str) -> &'static str {
    if message.starts_with("AccessDenied") {
        ": your credentials lack this permission"
    } else if message.starts_with("ExpiredToken") || message.starts_with("UnrecognizedClient") {
        ": sign in again"
    } else {
        ""
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

/// Exponential backoff with full jitter, on tokio's clock.
pub(crate) struct Backoff {
    what: String,
    attempt: u32,
}

impl Backoff {
    pub(crate) fn new(what: String) -> Self {
        Self { what, attempt: 0 }
    }

    /// Waits before the next try, or says why there is none.
    pub(crate) async fn wait(&mut self, error: ApiError) -> Result<(), SourceError> {
        self.attempt += 1;
        if let ApiError::Gone(message) = &error {
            return Err(SourceError::new(format!("{}: it no longer exists ({message})", self.what)));
        }
        if !error.is_worth_another_try() || self.attempt >= ATTEMPTS {
            return Err(error.into_error(&self.what));
        }
        let longest = CAP.min(BASE * 2_u32.saturating_pow(self.attempt - 1));
        tracing::debug!(attempt = self.attempt, ?error, "{}: trying again", self.what);
        tokio::time::sleep(longest.mul_f64(fastrand::f64())).await;
        Ok(())
    }
}
