//! Why a call failed, in the service's own words.

use std::error::Error;
use std::fmt;

use serde::Deserialize;

/// Why a [`SignedCall`](crate::SignedCall) failed.
/// ```
/// use lambda_streams_local::CallError;
///
/// let error = CallError::new("the response cannot be read");
/// assert_eq!((error.code(), error.status(), error.is_throttled()), (None, None, false));
/// ```
#[derive(Clone)]
pub struct CallError {
    message: String,
    code: Option<String>,
    status: Option<u16>,
    headers: Vec<(String, String)>,
}

impl CallError {
    /// An error that does not come from a service, such as a response that cannot be read.
    pub fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), code: None, status: None, headers: Vec::new() }
    }

    /// By its innermost cause: the outer ones say that something failed.
    pub(super) fn of(error: &(dyn Error + 'static)) -> Self {
        let innermost = std::iter::successors(Some(error), |error| (*error).source()).last();
        Self::new(innermost.map(ToString::to_string).unwrap_or_default())
    }

    pub(super) fn refused(status: u16, headers: Vec<(String, String)>, body: &[u8]) -> Self {
        let Reason { code, message } = reason(&String::from_utf8_lossy(body));
        let words = match (&code, message) {
            (Some(code), Some(message)) => format!("{code}: {}", message.trim_end_matches('.')),
            (Some(code), None) => code.clone(),
            (None, _) => "refused without a reason".to_owned(),
        };
        Self { message: format!("{words} ({status})"), code, status: Some(status), headers }
    }

    /// The service's error code, such as `AccessDenied`; `None` if the service was not reached or gave no code.
    pub fn code(&self) -> Option<&str> {
        self.code.as_deref()
    }

    /// The HTTP status; `None` if there was no response.
    pub fn status(&self) -> Option<u16> {
        self.status
    }

    /// The value of a header of the response. Upper and lower case of its name do not matter.
    pub fn header(&self, name: &str) -> Option<&str> {
        super::find(&self.headers, name)
    }

    /// Whether the service throttled the call.
    pub fn is_throttled(&self) -> bool {
        let code = self.code.as_deref().unwrap_or_default();
        self.status == Some(429)
            || ["Throttl", "SlowDown", "RequestLimitExceeded", "TooManyRequests", "BandwidthLimitExceeded"]
                .iter()
                .any(|part| code.contains(part))
    }
}

/// Shows the status and the code.
impl fmt::Debug for CallError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CallError")
            .field("message", &self.message)
            .field("status", &self.status)
            .finish_non_exhaustive()
    }
}

impl fmt::Display for CallError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl Error for CallError {}

struct Reason {
    code: Option<String>,
    message: Option<String>,
}

/// The code and the message, which are XML members with some services and JSON members with others.
fn reason(body: &str) -> Reason {
    #[derive(Deserialize)]
    struct ApiError {
        #[serde(rename = "__type")]
        code: String,
        #[serde(alias = "Message")]
        message: Option<String>,
    }
    let element = |name: &str| {
        let (_, rest) = body.split_once(&format!("<{name}>"))?;
        rest.split_once("</").map(|(text, _)| text.to_owned())
    };
    match serde_json::from_str::<ApiError>(body) {
        Ok(error) => Reason { code: error.code.rsplit('#').next().map(str::to_owned), message: error.message },
        Err(_) => Reason { code: element("Code"), message: element("Message") },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_is_reported_in_the_services_words() {
        let table = [
            (
                "<?xml version=\"1.0\"?><Error><Code>AccessDenied</Code><Message>Access Denied.</Message></Error>",
                "AccessDenied: Access Denied (400)",
            ),
            (
                r#"{"__type":"com.amazonaws.sqs#QueueDoesNotExist","message":"no queue"}"#,
                "QueueDoesNotExist: no queue (400)",
            ),
            (r#"{"__type":"InvalidAddress"}"#, "InvalidAddress (400)"),
            ("<html>", "refused without a reason (400)"),
            ("", "refused without a reason (400)"),
        ];
        for (body, expected) in table {
            assert_eq!(CallError::refused(400, Vec::new(), body.as_bytes()).to_string(), expected);
        }
    }

    #[test]
    fn throttling_is_distinguished_from_refusals() {
        let error = |code: &str| CallError::refused(400, Vec::new(), format!(r#"{{"__type":"{code}"}}"#).as_bytes());
        for code in ["RequestThrottled", "ThrottlingException", "SlowDown", "KmsThrottled"] {
            assert!(error(code).is_throttled(), "{code}");
        }
        assert!(!error("AccessDenied").is_throttled());
        assert!(CallError::refused(429, Vec::new(), b"").is_throttled());
    }
}
