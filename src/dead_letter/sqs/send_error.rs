//! Why SQS did not accept a letter, whether another attempt may help, and what to do about it.

use std::error::Error as StdError;
use std::fmt;

use aws_credential_types::provider::error::CredentialsError;
use aws_sdk_sqs::config::http::HttpResponse;
use aws_sdk_sqs::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_sqs::types::BatchResultErrorEntry;

use super::outage::REMEMBERED;
use crate::aws::{REFUSED_CREDENTIALS, chain, credentials_error, is_any};

/// Why a letter was not accepted. `queue` is the queue's URL, and the endpoint where that is another host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum SendError {
    /// The client could not build the request.
    Client(String),
    /// There are no credentials.
    Credentials { what: String, transient: bool },
    /// The letter is too large, also when it is compressed. A queue that refuses it does not always say what its limit is.
    TooLarge { plain: usize, compressed: usize, limit: Option<usize> },
    /// SQS responded with an error code, for a whole request or for one entry.
    Refused { code: String, message: String, queue: String, transient: bool },
    /// There was no connection or no response.
    Unreachable { what: String, queue: String },
    /// The response could not be read.
    Garbled { what: String, queue: String },
    /// The response does not mention the entry.
    NotInResponse { queue: String },
    /// An earlier letter of the same FIFO group was not accepted.
    EarlierNotAccepted,
    /// The queue could not be reached a short time ago, for this reason.
    NotTried(Box<SendError>),
}

impl SendError {
    pub(super) fn of_request<E>(error: &SdkError<E, HttpResponse>, queue: &str) -> Self
    where
        E: ProvideErrorMetadata + StdError + 'static,
    {
        let queue = queue.to_owned();
        let status = error.raw_response().map_or(0, |response| response.status().as_u16());
        if let Some((error, what)) = credentials_error(error) {
            let transient =
                !matches!(error, CredentialsError::CredentialsNotLoaded(_) | CredentialsError::InvalidConfiguration(_));
            return Self::Credentials { what, transient };
        }
        match (error, error.code()) {
            (SdkError::ConstructionFailure(_), _) => Self::Client(chain(error)),
            // An error without a code, with a status of success, is a response that cannot be read.
            (SdkError::ServiceError(_), code) if code.is_some() || !(200..300).contains(&status) => Self::Refused {
                code: code.map_or_else(|| format!("status {status}"), str::to_owned),
                message: error.message().unwrap_or_default().to_owned(),
                queue,
                transient: status >= 500 || status == 429 || code.is_some_and(is_transient),
            },
            (SdkError::DispatchFailure(_) | SdkError::TimeoutError(_), _) => {
                Self::Unreachable { what: chain(error), queue }
            }
            _ => Self::Garbled { what: chain(error), queue },
        }
    }

    pub(super) fn of_entry(entry: &BatchResultErrorEntry, queue: &str) -> Self {
        let code = entry.code();
        Self::Refused {
            code: code.to_owned(),
            message: entry.message().unwrap_or_default().to_owned(),
            queue: queue.to_owned(),
            transient: is_transient(code) || (!entry.sender_fault() && advice(code).is_none()),
        }
    }

    /// Whether another attempt may help.
    pub(super) fn is_transient(&self) -> bool {
        match self {
            Self::Refused { transient, .. } | Self::Credentials { transient, .. } => *transient,
            Self::Unreachable { .. } | Self::Garbled { .. } => true,
            Self::Client(_)
            | Self::TooLarge { .. }
            | Self::NotInResponse { .. }
            | Self::EarlierNotAccepted
            | Self::NotTried(_) => false,
        }
    }

    /// Whether it is about the way to the queue, so other letters would fail like this one.
    pub(super) fn is_outage(&self) -> bool {
        matches!(self, Self::Unreachable { .. } | Self::Credentials { .. })
    }

    /// Whether SQS refused the credentials, so new ones may help.
    pub(super) fn is_about_credentials(&self) -> bool {
        matches!(self, Self::Refused { code, .. } if is_any(code, &REFUSED_CREDENTIALS))
    }

    pub(super) fn is_access_denied(&self) -> bool {
        matches!(self, Self::Refused { code, .. } if code.contains("AccessDenied") && !is_kms(code))
    }

    /// Whether a message, or all of a request together, is longer than the queue accepts.
    pub(super) fn is_too_long(&self) -> bool {
        matches!(self, Self::Refused { code, message, .. }
            if code.contains("BatchRequestTooLong") || message.contains("must be shorter than"))
    }

    /// The limit that the message of such a refusal names, as in "Batch requests cannot be longer than 262144 bytes".
    pub(super) fn named_limit(&self) -> Option<usize> {
        let Self::Refused { message, .. } = self else { return None };
        let (_, rest) = message.split_once("er than ")?;
        rest.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
    }
}

impl fmt::Display for SendError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Client(what) => write!(f, "there is no client for the dead-letter queue: {what}"),
            Self::Credentials { what, .. } => write!(f, "there are no credentials for the dead-letter queue: {what}"),
            Self::TooLarge { plain, compressed, limit: Some(limit) } => {
                let over = plain.min(compressed).saturating_sub(*limit);
                write!(
                    f,
                    "the dead letter is {over} bytes too large for the queue: {plain} bytes, {compressed} compressed, and \
                     the queue takes at most {limit}"
                )
            }
            Self::TooLarge { plain, compressed, limit: None } => write!(
                f,
                "the dead letter is too large for the queue, which does not say how many bytes it takes: {plain} bytes, \
                 {compressed} compressed"
            ),
            Self::Refused { code, message, queue, .. } => {
                write!(f, "{queue} refused the dead letter with {code}")?;
                if !message.is_empty() {
                    write!(f, " ({})", message.trim_end_matches('.'))?;
                }
                advice(code).map_or(Ok(()), |advice| write!(f, ": {advice}"))
            }
            Self::Unreachable { what, queue } => write!(
                f,
                "{queue} gave no answer to the dead letter: {what}; check that the function's network has a route to this host, \
                 such as an interface endpoint for SQS in its VPC (`AWS_ENDPOINT_URL_SQS` names another host)"
            ),
            Self::Garbled { what, queue } => {
                write!(f, "{queue} gave no answer to the dead letter that can be read: {what}")
            }
            Self::NotInResponse { queue } => {
                write!(f, "{queue} did not mention the dead letter in its answer, so it does not count as accepted")
            }
            Self::EarlierNotAccepted => f.write_str("an earlier dead letter of the same item was not accepted"),
            Self::NotTried(cause) => {
                let seconds = REMEMBERED.as_secs();
                write!(
                    f,
                    "the dead letter was not sent, because an earlier one failed less than {seconds} s ago: {cause}"
                )
            }
        }
    }
}

impl StdError for SendError {}

/// Whether a code, in any of its spellings, means throttling or an error of the service.
fn is_transient(code: &str) -> bool {
    let code = code.to_ascii_lowercase();
    is_any(&code, &["throttl", "slowdown", "toomanyrequests", "timeout", "internal", "unavailable"])
}

/// Whether a code is about the queue's key. `KmsDisabled` in JSON is `KMS.DisabledException` in the older protocol, whose codes
/// SQS still sends.
fn is_kms(code: &str) -> bool {
    code.get(..3).is_some_and(|start| start.eq_ignore_ascii_case("kms"))
}

/// What to do about a queue, key or permission; `None` if the configuration is not at fault.
fn advice(code: &str) -> Option<&'static str> {
    if is_transient(code) {
        return None;
    }
    if is_kms(code) {
        return Some(if code.contains("AccessDenied") {
            "grant the function kms:GenerateDataKey and kms:Decrypt on the queue's key"
        } else {
            "check that the queue's KMS key exists and is enabled"
        });
    }
    if is_any(code, &["QueueDoesNotExist", "NonExistentQueue"]) {
        return Some("check that the queue exists in the region of the client");
    }
    if is_any(code, &["AccessDenied"]) {
        return Some("grant the function sqs:SendMessage on the queue");
    }
    let is_about_credentials = is_any(code, &REFUSED_CREDENTIALS) || is_any(code, &["Signature"]);
    is_about_credentials.then_some("check the credentials of the client")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(code: &str, sender_fault: bool) -> SendError {
        let entry = BatchResultErrorEntry::builder().id("0").code(code).sender_fault(sender_fault).build();
        SendError::of_entry(&entry.expect("all members are there"), "https://host/1/q")
    }

    #[test]
    fn transient_errors_are_told_from_those_of_the_configuration() {
        for (code, sender_fault, transient) in [
            ("RequestThrottled", true, true),
            ("KmsThrottled", false, true),
            ("KMS.ThrottlingException", true, true),
            ("InternalError", false, true),
            ("ServiceUnavailable", false, true),
            ("SomethingNew", false, true),
            ("SomethingNew", true, false),
            ("InvalidMessageContents", true, false),
            ("InvalidParameterValue", true, false),
            ("KmsAccessDenied", false, false),
            ("KMS.DisabledException", false, false),
            ("AWS.SimpleQueueService.NonExistentQueue", false, false),
            ("AccessDenied", false, false),
        ] {
            assert_eq!(entry(code, sender_fault).is_transient(), transient, "{code}, sender fault: {sender_fault}");
        }
    }

    #[test]
    fn a_request_that_the_client_cannot_make_is_not_tried_again() {
        use aws_sdk_sqs::operation::send_message_batch::SendMessageBatchError;

        let error: SdkError<SendMessageBatchError, HttpResponse> = SdkError::construction_failure("no queue is named");
        let error = SendError::of_request(&error, "https://host/1/q");
        let text = error.to_string();
        assert!(
            text.starts_with("there is no client for the dead-letter queue: ") && text.ends_with("no queue is named")
        );
        assert!(!error.is_transient() && !error.is_outage());
    }

    #[test]
    fn messages_say_what_to_do() {
        for (code, advice) in [
            ("KmsAccessDenied", "kms:GenerateDataKey"),
            ("KMS.AccessDeniedException", "kms:GenerateDataKey"),
            ("KmsDisabled", "is enabled"),
            ("QueueDoesNotExist", "exists in the region"),
            ("AccessDeniedException", "grant the function sqs:SendMessage"),
            ("SignatureDoesNotMatch", "credentials"),
        ] {
            let text = entry(code, true).to_string();
            assert!(text.contains(advice), "{text}");
        }
    }
}
