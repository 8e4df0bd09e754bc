//! Where records wait outside of the stream: buckets and queues, by signed calls.

pub(crate) mod s3;
pub(crate) mod sqs;
mod xml;

use std::fmt;

use lambda_streams_local::CallError;

use crate::failure::Failure;

/// The most bytes of documents that a run takes.
pub(crate) const MAX_BYTES: usize = 512 * 1024 * 1024;

/// Why a place did not do what it was asked for, and what to do about it.
#[derive(Debug, Clone)]
pub(crate) struct PlaceError {
    /// How the user knows the place, such as a queue's URL.
    place: String,
    /// The permission that the call needs, such as `sqs:ReceiveMessage`.
    action: &'static str,
    error: CallError,
}

impl PlaceError {
    pub(crate) fn new(place: &str, action: &'static str, error: CallError) -> Self {
        Self { place: place.to_owned(), action, error }
    }

    /// Whether the permission is missing, and not the place.
    pub(crate) fn is_access_denied(&self) -> bool {
        self.code().contains("AccessDenied")
    }

    /// Whether too many messages of a queue are in flight.
    pub(crate) fn is_over_limit(&self) -> bool {
        self.code().contains("OverLimit")
    }

    pub(crate) fn code(&self) -> &str {
        self.error.code().unwrap_or_default()
    }

    fn advice(&self) -> Option<String> {
        let (code, action) = (self.code(), self.action);
        let of_key = format!("{code} {}", self.error).to_ascii_lowercase().contains("kms");
        Some(match code {
            _ if of_key && code.contains("AccessDenied") => {
                "it is encrypted with a KMS key: allow kms:Decrypt on that key, in the key's policy and for your identity"
                    .to_owned()
            }
            _ if of_key => "it is encrypted with a KMS key that cannot be used: check the state of the key".to_owned(),
            "AccessDenied" | "AccessDeniedException" => format!("allow {action} on it for your identity"),
            "QueueDoesNotExist" | "AWS.SimpleQueueService.NonExistentQueue" | "NoSuchBucket" => {
                "check its name, the region, the account and the endpoint".to_owned()
            }
            "NoSuchKey" => "the object no longer exists".to_owned(),
            "ExpiredToken" | "ExpiredTokenException" => "sign in again: the credentials have expired".to_owned(),
            "InvalidClientTokenId" | "UnrecognizedClientException" | "InvalidAccessKeyId" => {
                "check the credentials: the service does not accept them".to_owned()
            }
            _ => return None,
        })
    }
}

impl fmt::Display for PlaceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.error)?;
        self.advice().map_or(Ok(()), |advice| write!(f, ": {advice}"))
    }
}

impl std::error::Error for PlaceError {}

/// # Errors
/// If a run does not take this many bytes of documents.
pub(crate) fn check_size(bytes: usize) -> Result<(), Failure> {
    if bytes <= MAX_BYTES {
        return Ok(());
    }
    Err(Failure::not_begun(format!(
        "there are more than {} MB of documents: replay a part at a time, such as one day of one shard: \
         s3://bucket/aws/lambda/<mapping>/<shard>/2026/01/31/",
        MAX_BYTES / 1_048_576
    )))
}
