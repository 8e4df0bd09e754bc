//! Says of an AWS SDK error whether another attempt may help, by its code, its status, and the reasons of a cancelled transaction.
//!
//! Invariant: only an error that is known to be the fault of its own request is permanent. What every record would meet is
//! retryable, so the stream waits until it is fixed, instead of emptying itself into the dead-letter queue.

use std::error::Error as StdError;
use std::fmt;
use std::time::Duration;

use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::result::{SdkError, ServiceError};
use aws_smithy_types::error::metadata::ProvideErrorMetadata;
use aws_smithy_types::error::operation::BuildError;
use serde::Deserialize;

use super::HandlerError;

/// Classifies an error of the AWS SDK as permanent or retryable, so `?` passes it on as such.
///
/// Available with the feature `aws-errors`.
///
/// It works with the clients of every AWS service.
///
/// ```
/// use aws_sdk_dynamodb::Client;
/// use aws_sdk_dynamodb::types::AttributeValue;
/// use lambda_streams::{AwsResultExt, HandlerError, Insert};
/// # #[derive(serde::Deserialize)]
/// # struct Order { id: String }
///
/// async fn copy(client: Client, change: Insert<Order>) -> Result<(), HandlerError> {
///     let id = AttributeValue::S(change.new.id);
///     client.put_item().table_name("copies").item("id", id).send().await.classify()?;
///     Ok(())
/// }
/// ```
///
/// | what failed | class |
/// |---|---|
/// | the request is not valid: `ValidationException`, `InvalidParameterValueException`, `SerializationException`, … | permanent |
/// | it is too large: `ItemCollectionSizeLimitExceededException`, `RequestTooLargeException`, …, status 413 | permanent |
/// | its condition did not hold: `ConditionalCheckFailedException`, `DuplicateItemException`, …, status 412 | permanent |
/// | a transaction was cancelled (`TransactionCanceledException`), and each of its reasons is one of the above | permanent |
/// | a transaction was cancelled, and a reason is a conflict, a throttle, an unknown one, or cannot be read | retryable |
/// | the client could not build the request from its parameters | permanent |
/// | access is denied, a table, queue or key is missing or disabled, a token has expired, a quota is used up, throttling, status 5xx | retryable |
/// | the request timed out, was not sent, or its response cannot be read | retryable |
/// | every other code | retryable |
///
/// *Permanent* is a fault of the record itself. Everything else is likely to affect every record, and the stream then waits until it is
/// fixed. So an unknown code is retryable, whatever its status: a record that fails with one becomes a dead letter once it is older than
/// [`give_up_after`](crate::ProcessorBuilder::give_up_after). A validation error may also be a mistake in the handler that fails every
/// record; the two cannot be told apart. To classify a code in your own way, match on the error before you call
/// [`classify`](Self::classify).
///
/// A condition that does not hold is often what an idempotent handler expects, because the change was made before. Then it is not an error:
/// match on it, and return `Ok`. For a transaction with a `Guard` (feature `dynamodb`), `Guard::outcome` decides this.
///
/// # Text
/// The text is the service's code, message and request id, each once:
/// `ConditionalCheckFailedException: The conditional request failed (request id 5TH…)`. It goes into the log and the dead letter. The
/// message is the service's own, and that of a validation error may quote a value of the request.
///
/// [`HandlerError::source`] of an error with a code has this text, and cannot be downcast to the SDK's error. All other errors are kept
/// unchanged.
///
/// # Delay
/// The delay that a response asks for, in the header `x-amz-retry-after` or `retry-after`, replaces the retry policy's backoff, as for
/// [`HandlerError::retry_after`].
pub trait AwsResultExt<T>: sealed::Sealed {
    /// Turns the SDK's error into a permanent or a retryable [`HandlerError`].
    ///
    /// # Errors
    /// The result's error, classified.
    fn classify(self) -> Result<T, HandlerError>;
}

impl<T, E> AwsResultExt<T> for Result<T, SdkError<E, HttpResponse>>
where
    E: ProvideErrorMetadata + StdError + Send + Sync + 'static,
{
    fn classify(self) -> Result<T, HandlerError> {
        self.map_err(|error| match &error {
            SdkError::ServiceError(returned) => match (is_fault(returned), delay(returned.raw())) {
                (true, _) => HandlerError::permanent(told_once(error)),
                (false, Some(delay)) => HandlerError::retry_after(told_once(error), delay),
                (false, None) => HandlerError::retryable(told_once(error)),
            },
            _ if is_not_buildable(&error) => HandlerError::permanent(error),
            _ => HandlerError::retryable(error),
        })
    }
}

/// Whether what the service returned is the fault of the request.
fn is_fault<E: ProvideErrorMetadata>(returned: &ServiceError<E, HttpResponse>) -> bool {
    let (error, response) = (returned.err().meta(), returned.raw());
    match error.code().map(last_part) {
        Some("TransactionCanceledException") => is_fault_of_transaction(response, error.message()),
        code => code.is_some_and(is_code_of_fault) || matches!(response.status().as_u16(), 412 | 413),
    }
}

/// A code without the prefix before its name, as in `AWS.SimpleQueueService.BatchRequestTooLong`.
fn last_part(code: &str) -> &str {
    code.rsplit(['.', '#']).next().unwrap_or(code)
}

/// Whether this code refuses a request for what is in it.
fn is_code_of_fault(code: &str) -> bool {
    matches!(
        code,
        // Not valid.
        "ValidationException"
            | "ValidationError"
            | "SerializationException"
            | "BadRequestException"
            | "InvalidArgument"
            | "InvalidArgumentException"
            | "InvalidInputException"
            | "InvalidParameter"
            | "InvalidParameterException"
            | "InvalidParameterCombination"
            | "InvalidParameterCombinationException"
            | "InvalidParameterValue"
            | "InvalidParameterValueException"
            | "InvalidMessageContents"
            | "InvalidRequestContentException"
            | "InvalidExecutionInput"
            | "IdempotentParameterMismatchException"
            // Too large.
            | "ItemCollectionSizeLimitExceededException"
            | "BatchRequestTooLong"
            | "EntityTooLarge"
            | "KeyTooLongError"
            | "MessageTooLong"
            | "MetadataTooLarge"
            | "PayloadTooLargeException"
            | "RequestEntityTooLarge"
            | "RequestEntityTooLargeException"
            | "RequestTooLargeException"
            // A condition that did not hold.
            | "ConditionalCheckFailedException"
            | "DuplicateItemException"
            | "ExecutionAlreadyExists"
            | "PreconditionFailed"
    )
}

/// Whether a transaction was cancelled for what is in its requests, and for nothing else.
fn is_fault_of_transaction(response: &HttpResponse, message: Option<&str>) -> bool {
    let reasons = reasons_in_body(response).or_else(|| reasons_in_message(message?)).unwrap_or_default();
    let mut reasons = reasons.iter().map(String::as_str).filter(|code| *code != "None").peekable();
    let is_fault = |code| {
        matches!(
            code,
            "ConditionalCheckFailed" | "ItemCollectionSizeLimitExceeded" | "ValidationError" | "DuplicateItem"
        )
    };
    reasons.peek().is_some() && reasons.all(is_fault)
}

/// The codes of a transaction's cancellation reasons. Their type is that of the SDK's DynamoDB crate, which takes long to compile, and
/// the response's body has them too.
fn reasons_in_body(response: &HttpResponse) -> Option<Vec<String>> {
    #[derive(Deserialize)]
    struct Body {
        #[serde(rename = "CancellationReasons")]
        reasons: Vec<Reason>,
    }
    #[derive(Deserialize)]
    struct Reason {
        #[serde(rename = "Code")]
        code: Option<String>,
    }
    let body: Body = serde_json::from_slice(response.body().bytes()?).ok()?;
    Some(body.reasons.into_iter().filter_map(|reason| reason.code).collect())
}

/// The codes as the message ends with them: `… for specific reasons [ConditionalCheckFailed, None]`.
fn reasons_in_message(message: &str) -> Option<Vec<String>> {
    let (_, list) = message.rsplit_once('[')?;
    let (list, _) = list.split_once(']')?;
    Some(list.split(',').map(|code| code.trim().to_owned()).collect())
}

/// Whether the client could not make a request of the parameters that it was given.
fn is_not_buildable<E: StdError + 'static>(error: &SdkError<E, HttpResponse>) -> bool {
    matches!(error, SdkError::ConstructionFailure(_)) && error.source().is_some_and(|source| source.is::<BuildError>())
}

/// The delay that the response asks for: in milliseconds as the SDK reads it, or in seconds as HTTP does.
fn delay(response: &HttpResponse) -> Option<Duration> {
    let number = |name| header(response, &[name])?.parse().ok().filter(|number| *number > 0);
    let millis = number("x-amz-retry-after").map(Duration::from_millis);
    millis.or_else(|| number("retry-after").map(Duration::from_secs))
}

fn header<'a>(response: &'a HttpResponse, names: &[&'static str]) -> Option<&'a str> {
    names.iter().find_map(|name| response.headers().get(*name))
}

/// What a service returned, by its code. Otherwise each of the SDK's errors that wrap it would repeat its text.
#[derive(Debug)]
struct ReturnedError {
    code: String,
    message: Option<String>,
    request_id: Option<String>,
}

/// The error itself, if it has no code: then it may say more than its metadata, such as why a response cannot be read.
fn told_once<E>(error: SdkError<E, HttpResponse>) -> Box<dyn StdError + Send + Sync>
where
    E: ProvideErrorMetadata + StdError + Send + Sync + 'static,
{
    let Some(code) = error.code() else { return error.into() };
    let id = error.raw_response().and_then(|response| header(response, &["x-amzn-requestid", "x-amz-request-id"]));
    ReturnedError {
        code: code.to_owned(),
        message: error.message().map(str::to_owned),
        request_id: id.map(str::to_owned),
    }
    .into()
}

impl fmt::Display for ReturnedError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.code)?;
        if let Some(message) = &self.message {
            write!(f, ": {message}")?;
        }
        if let Some(id) = &self.request_id {
            write!(f, " (request id {id})")?;
        }
        Ok(())
    }
}

impl StdError for ReturnedError {}

mod sealed {
    use super::{HttpResponse, SdkError};

    pub trait Sealed {}

    impl<T, E> Sealed for Result<T, SdkError<E, HttpResponse>> {}
}
