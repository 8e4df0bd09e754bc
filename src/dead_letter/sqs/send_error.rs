//! Why SQS did not accept a letter, whether another attempt may help, and what to do about it.

use std::error::Error as StdError;
use std::fmt;

use aws_sdk_sqs::config::http::HttpResponse;
use aws_sdk_sqs::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_sqs::types::BatchResultErrorEntry;

/// Why a letter was not accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum SendError {
    /// The client could not be created, or could not build the request.
    Client(String),
    /// The letter is too large, also when it is compressed.
    TooLarge { plain: usize, compressed: usize, limit: usize },
    /// SQS responded with an error code, for a whole request or for one entry.
    Refused { code: String, message: String, url: String, transient: bool },
    /// There was no response, or none that could be read.
    NoResponse { what: String, url: String },
    /// The response does not mention the entry.
    NotInResponse { url: String },
    /// An earlier letter of the same FIFO group was not accepted.
    EarlierNotAccepted,
}

impl SendError {
    pub(super) fn of_request<E>(error: &SdkError<E, HttpResponse>, url: &str) -> Self
    where
        E: ProvideErrorMetadata + StdError + 'static,
    {
        let status = error.raw_response().map_or(0, |response| response.status().as_u16());
        match (error, error.code()) {
            (SdkError::ConstructionFailure(_), _) => Self::Client(chain(error)),
            // An error without a code, with a status of success, is a response that cannot be read.
            (SdkError::ServiceError(_), code) if code.is_some() || !(200..300).contains(&status) => Self::Refused {
                code: code.map_or_else(|| format!("status {status}"), str::to_owned),
                message: error.message().unwrap_or_default().to_owned(),
                url: url.to_owned(),
                transient: status >= 500 || status == 429 || code.is_some_and(is_transient),
            },
            _ => Self::NoResponse { what: chain(error), url: url.to_owned() },
        }
    }

    pub(super) fn of_entry(entry: &BatchResultErrorEntry, url: &str) -> Self {
        let code = entry.code();
        Self::Refused {
            code: code.to_owned(),
            message: entry.message().unwrap_or_default().to_owned(),
            url: url.to_owned(),
            transient: is_transient(code) || (!entry.sender_fault() && advice(code).is_none()),
        }
    }

    /// Whether another attempt may help.
    pub(super) fn is_transient(&self) -> bool {
        match self {
            Self::Refused { transient, .. } => *transient,
            Self::NoResponse { .. } => true,
            Self::Client(_) | Self::TooLarge { .. } | Self::NotInResponse { .. } | Self::EarlierNotAccepted => false,
        }
    }

    pub(super) fn is_access_denied(&self) -> bool {
        matches!(self, Self::Refused { code, .. } if code.contains("AccessDenied") && !is_kms(code))
    }
}

impl fmt::Display for SendError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Client(what) => write!(f, "there is no client for the dead-letter queue: {what}"),
            Self::TooLarge { plain, compressed, limit } => {
                let over = plain.min(compressed).saturating_sub(*limit);
                write!(
                    f,
                    "the dead letter is {over} bytes too large for the queue: {plain} bytes, {compressed} compressed, of \
                     {limit} that the queue takes"
                )
            }
            Self::Refused { code, message, url, .. } => {
                write!(f, "{url} refused the dead letter with {code}")?;
                if !message.is_empty() {
                    write!(f, " ({})", message.trim_end_matches('.'))?;
                }
                advice(code).map_or(Ok(()), |advice| write!(f, ": {advice}"))
            }
            Self::NoResponse { what, url } => write!(f, "{url} gave no answer to the dead letter: {what}"),
            Self::NotInResponse { url } => {
                write!(f, "{url} did not mention the dead letter in its answer, so that it does not count as accepted")
            }
            Self::EarlierNotAccepted => f.write_str("an earlier dead letter of the same item was not accepted"),
        }
    }
}

impl StdError for SendError {}

/// The error and its sources.
fn chain(error: &dyn StdError) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text.push_str(": ");
        text.push_str(&error.to_string());
        source = error.source();
    }
    text
}

/// Whether a code, in any of its spellings, means throttling or an error of the service.
fn is_transient(code: &str) -> bool {
    let code = code.to_ascii_lowercase();
    ["throttl", "slowdown", "toomanyrequests", "timeout", "internal", "unavailable"]
        .iter()
        .any(|word| code.contains(word))
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
    let is = |words: &[&str]| words.iter().any(|word| code.contains(word));
    if is(&["QueueDoesNotExist", "NonExistentQueue"]) {
        return Some("check that the queue exists in the region of the client");
    }
    if is(&["AccessDenied"]) {
        return Some("grant the function sqs:SendMessage on the queue");
    }
    is(&["InvalidClientTokenId", "UnrecognizedClient", "Signature", "ExpiredToken", "InvalidSecurity"])
        .then_some("check the credentials of the client")
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
