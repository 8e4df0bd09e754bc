//! The queue's URL: parsed and checked before a letter needs it.

use std::error::Error as StdError;
use std::fmt;

/// A queue's URL: `https://HOST/ACCOUNT/NAME`. It only names the queue; requests are sent to the client's endpoint.
#[derive(Clone)]
pub(super) struct QueueUrl(String);

impl QueueUrl {
    pub(super) fn parse(url: &str) -> Result<Self, QueueUrlError> {
        let url = url.trim();
        if url.starts_with("arn:") {
            return Err(QueueUrlError { variable: None, kind: Kind::Arn });
        }
        match parts(url) {
            Some((host, name)) if !host.is_empty() && is_name(name) => Ok(Self(url.to_owned())),
            _ => Err(QueueUrlError::not_a_url()),
        }
    }

    pub(super) fn as_str(&self) -> &str {
        &self.0
    }

    pub(super) fn is_fifo(&self) -> bool {
        self.0.ends_with(".fifo")
    }

    /// The region, if the URL is one of AWS's: `https://sqs.REGION.amazonaws.com/…`.
    pub(super) fn region(&self) -> Option<&str> {
        let (host, _) = parts(&self.0)?;
        let service = host.strip_prefix("sqs.").or_else(|| host.strip_prefix("sqs-fips."))?;
        let (region, domain) = service.split_once('.')?;
        matches!(domain, "amazonaws.com" | "amazonaws.com.cn" | "api.aws").then_some(region)
    }
}

/// The host, and the name of the queue, which is the last segment of the path.
fn parts(url: &str) -> Option<(&str, &str)> {
    let rest = url.strip_prefix("https://").or_else(|| url.strip_prefix("http://"))?;
    let (host, path) = rest.split_once('/')?;
    Some((host, path.rsplit('/').next()?))
}

/// Up to 80 letters, digits, hyphens and underscores, `.fifo` included.
fn is_name(name: &str) -> bool {
    let stem = name.strip_suffix(".fifo").unwrap_or(name);
    let usable = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    !stem.is_empty() && name.len() <= 80 && stem.bytes().all(usable)
}

/// Why there is no queue to send dead letters to: its URL is missing or malformed.
///
/// ```
/// use lambda_streams::SqsDeadLetterQueue;
///
/// let error = SqsDeadLetterQueue::from_url("arn:aws:sqs:eu-central-1:123456789012:dead-letters").unwrap_err();
/// assert_eq!(
///     error.to_string(),
///     "this is the queue's ARN; its URL is wanted, such as https://sqs.eu-central-1.amazonaws.com/123456789012/dead-letters"
/// );
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct QueueUrlError {
    variable: Option<&'static str>,
    kind: Kind,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Kind {
    Unset,
    Arn,
    NotAUrl,
}

impl QueueUrlError {
    pub(super) fn unset(variable: &'static str) -> Self {
        Self { variable: Some(variable), kind: Kind::Unset }
    }

    pub(super) fn not_a_url() -> Self {
        Self { variable: None, kind: Kind::NotAUrl }
    }

    pub(super) fn of_variable(self, variable: &'static str) -> Self {
        Self { variable: Some(variable), ..self }
    }
}

impl fmt::Display for QueueUrlError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const EXAMPLE: &str = "such as https://sqs.eu-central-1.amazonaws.com/123456789012/dead-letters";
        match self.variable {
            Some(variable) => write!(f, "the environment variable `{variable}` ")?,
            None => f.write_str("this ")?,
        }
        match self.kind {
            Kind::Unset => write!(f, "is not set: it names the dead-letter queue by its URL, {EXAMPLE}"),
            Kind::Arn => write!(f, "is the queue's ARN; its URL is wanted, {EXAMPLE}"),
            Kind::NotAUrl => write!(f, "is not the URL of an SQS queue, {EXAMPLE}"),
        }
    }
}

/// Shows the message, because `main` prints its error by `Debug`.
impl fmt::Debug for QueueUrlError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "QueueUrlError({self})")
    }
}

impl StdError for QueueUrlError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_region_is_read_from_the_url() {
        for (url, region) in [
            ("https://sqs.eu-central-1.amazonaws.com/1/q", Some("eu-central-1")),
            ("https://sqs.cn-north-1.amazonaws.com.cn/1/q", Some("cn-north-1")),
            ("https://sqs-fips.us-east-1.amazonaws.com/1/q", Some("us-east-1")),
            ("https://sqs.us-west-2.api.aws/1/q", Some("us-west-2")),
            ("http://127.0.0.1:4566/000000000000/q", None),
            ("http://sqs.us-east-1.localhost:4566/000000000000/q", None),
            ("https://queue.amazonaws.com/1/q", None),
        ] {
            assert_eq!(QueueUrl::parse(url).expect(url).region(), region, "{url}");
        }
    }

    #[test]
    fn urls_of_something_else_are_refused() {
        for url in [
            "",
            "dead-letters",
            "sqs.eu-central-1.amazonaws.com/1/q",
            "ftp://host/1/q",
            "https://host",
            "https://host/",
            "https:///1/q",
            "https://host/1/q?Action=SendMessage",
            "https://host/1/with space",
            "https://host/1/.fifo",
            "arn:aws:sqs:eu-central-1:1:q",
        ] {
            assert!(QueueUrl::parse(url).is_err(), "{url}");
        }
        assert!(QueueUrl::parse(&format!("https://host/1/{}", "q".repeat(81))).is_err());
    }
}
