//! The queue's URL: parsed and checked before a letter needs it.

use std::error::Error as StdError;
use std::fmt;

use crate::aws::{NotAnEndpoint, host, is_authority, origin};

/// A queue's URL: `https://HOST/ACCOUNT/NAME`. Requests are sent to its host, unless an environment variable names another.
#[derive(Clone)]
pub(super) struct QueueUrl(String);

impl QueueUrl {
    pub(super) fn parse(url: &str) -> Result<Self, QueueUrlError> {
        let url = url.trim();
        if url.starts_with("arn:") {
            return Err(QueueUrlError { variable: None, kind: Kind::Arn });
        }
        match parts(url) {
            Some(Parts { authority, path })
                if is_authority(authority) && path.rsplit('/').next().is_some_and(is_name) =>
            {
                Ok(Self(url.to_owned()))
            }
            _ => Err(QueueUrlError::not_a_url()),
        }
    }

    pub(super) fn as_str(&self) -> &str {
        &self.0
    }

    pub(super) fn is_fifo(&self) -> bool {
        self.0.ends_with(".fifo")
    }

    /// Where its requests go: the scheme, the host and the port.
    pub(super) fn origin(&self) -> &str {
        origin(&self.0).expect("a parsed URL has a host")
    }

    /// The region that the URL names, if it does: in the name of a public endpoint of SQS, of a VPC's interface endpoint, or of an
    /// emulator that names its queues alike.
    pub(super) fn region(&self) -> Option<String> {
        let Parts { authority, path } = parts(&self.0)?;
        let host = host(authority).to_ascii_lowercase();
        let labels: Vec<&str> = host.split('.').collect();
        // `sqs.REGION.…`, and `vpce-….sqs.REGION.vpce.…`.
        let after_service = labels.windows(2).find(|pair| matches!(pair[0], "sqs" | "sqs-fips") && is_region(pair[1]));
        let region = match (after_service, &labels[..]) {
            (Some(pair), _) => Some(pair[1]),
            (None, [region, "queue", ..]) if is_region(region) => Some(*region),
            // The oldest name of the first region.
            (None, ["queue", "amazonaws", "com"]) => Some("us-east-1"),
            // LocalStack's `http://HOST/queue/REGION/ACCOUNT/NAME`.
            _ => path.strip_prefix("queue/").and_then(|path| path.split('/').next()).filter(|region| is_region(region)),
        };
        region.map(str::to_owned)
    }
}

struct Parts<'a> {
    authority: &'a str,
    path: &'a str,
}

fn parts(url: &str) -> Option<Parts<'_>> {
    let (scheme, rest) = url.split_once("://")?;
    let (authority, path) = rest.split_once('/')?;
    matches!(scheme, "http" | "https").then_some(Parts { authority, path })
}

/// Whether it looks like the name of a region, such as `eu-central-1` and `us-gov-west-1`.
fn is_region(name: &str) -> bool {
    let parts: Vec<&str> = name.split('-').collect();
    let Some((number, words)) = parts.split_last() else { return false };
    let is_word = |word: &&str| !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_lowercase());
    words.len() >= 2
        && words.iter().all(is_word)
        && !number.is_empty()
        && number.bytes().all(|byte| byte.is_ascii_digit())
}

/// Up to 80 letters, digits, hyphens and underscores, `.fifo` included.
fn is_name(name: &str) -> bool {
    let stem = name.strip_suffix(".fifo").unwrap_or(name);
    let usable = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    !stem.is_empty() && name.len() <= 80 && stem.bytes().all(usable)
}

/// Why an [`SqsDeadLetterQueue`](crate::SqsDeadLetterQueue) cannot be made: the queue's URL, its region or its endpoint is missing or
/// malformed.
///
/// Available with the feature `sqs`, which is enabled by default.
///
/// ```
/// use lambda_streams::SqsDeadLetterQueue;
///
/// let error = SqsDeadLetterQueue::from_url("arn:aws:sqs:eu-central-1:123456789012:dead-letters").unwrap_err();
/// assert_eq!(
///     error.to_string(),
///     "this is the queue's ARN; use its URL instead, such as https://sqs.eu-central-1.amazonaws.com/123456789012/dead-letters"
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
    /// Neither the URL nor the environment names a region.
    NoRegion,
    /// An environment variable that is to name an endpoint does not.
    NotAnEndpoint,
}

impl QueueUrlError {
    pub(super) fn unset(variable: &'static str) -> Self {
        Self { variable: Some(variable), kind: Kind::Unset }
    }

    pub(super) fn not_a_url() -> Self {
        Self { variable: None, kind: Kind::NotAUrl }
    }

    pub(super) fn no_region() -> Self {
        Self { variable: None, kind: Kind::NoRegion }
    }

    pub(super) fn of_variable(self, variable: &'static str) -> Self {
        Self { variable: Some(variable), ..self }
    }
}

impl fmt::Display for QueueUrlError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const EXAMPLE: &str = "such as https://sqs.eu-central-1.amazonaws.com/123456789012/dead-letters";
        if self.kind == Kind::NoRegion {
            return f.write_str(
                "the URL of the dead-letter queue does not name a region: set the environment variable `AWS_REGION` to that of the \
                 queue",
            );
        }
        match self.variable {
            Some(variable) => write!(f, "the environment variable `{variable}` ")?,
            None => f.write_str("this ")?,
        }
        match self.kind {
            Kind::Unset => write!(f, "is not set: set it to the URL of the dead-letter queue, {EXAMPLE}"),
            Kind::Arn => write!(f, "is the queue's ARN; use its URL instead, {EXAMPLE}"),
            Kind::NotAUrl => write!(f, "is not the URL of an SQS queue, {EXAMPLE}"),
            Kind::NotAnEndpoint => {
                f.write_str("is not the URL of an endpoint, such as https://sqs.eu-central-1.amazonaws.com")
            }
            Kind::NoRegion => Ok(()),
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

impl From<NotAnEndpoint> for QueueUrlError {
    fn from(NotAnEndpoint(variable): NotAnEndpoint) -> Self {
        Self { variable: Some(variable), kind: Kind::NotAnEndpoint }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_region_is_read_from_the_url() {
        for (url, region) in [
            ("https://sqs.eu-central-1.amazonaws.com/1/q", Some("eu-central-1")),
            ("https://sqs.central.amazonaws.com/1/q", None),
            ("https://sqs.central-1.amazonaws.com/1/q", None),
            ("https://sqs.eu-central-.amazonaws.com/1/q", None),
            ("https://sqs.eu-central-x1.amazonaws.com/1/q", None),
            ("https://sqs.eu-2-1.amazonaws.com/1/q", None),
            ("https://sqs.-central-1.amazonaws.com/1/q", None),
            ("http://local.queue.localhost/1/q", None),
            ("https://SQS.eu-central-1.amazonaws.com:443/1/q", Some("eu-central-1")),
            ("https://sqs.cn-north-1.amazonaws.com.cn/1/q", Some("cn-north-1")),
            ("https://sqs.us-gov-west-1.amazonaws.com/1/q", Some("us-gov-west-1")),
            ("https://sqs.us-iso-east-1.c2s.ic.gov/1/q", Some("us-iso-east-1")),
            ("https://sqs.eusc-de-east-1.amazonaws.eu/1/q", Some("eusc-de-east-1")),
            ("https://sqs-fips.us-east-1.amazonaws.com/1/q", Some("us-east-1")),
            ("https://sqs.us-west-2.api.aws/1/q", Some("us-west-2")),
            ("https://eu-west-1.queue.amazonaws.com/1/q", Some("eu-west-1")),
            ("https://queue.amazonaws.com/1/q", Some("us-east-1")),
            ("https://vpce-0aa-abc.sqs.eu-west-1.vpce.amazonaws.com/1/q", Some("eu-west-1")),
            ("https://vpce-0aa-abc-eu-west-1a.sqs.eu-west-1.vpce.amazonaws.com/1/q", Some("eu-west-1")),
            ("http://sqs.us-east-1.localhost:4566/000000000000/q", Some("us-east-1")),
            ("http://eu-west-1.queue.localhost.localstack.cloud:4566/000000000000/q", Some("eu-west-1")),
            ("http://localhost:4566/queue/eu-west-1/000000000000/q", Some("eu-west-1")),
            ("http://127.0.0.1:4566/000000000000/q", None),
            ("http://[::1]:4566/000000000000/q", None),
            ("https://sqs.amazonaws.com/1/q", None),
        ] {
            assert_eq!(QueueUrl::parse(url).expect(url).region().as_deref(), region, "{url}");
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
            "https://:80/1/q",
            "https://user:word@host/1/q",
            "https://host name/1/q",
            "https://host/1/q?Action=SendMessage",
            "https://host/1/with space",
            "https://host/1/.fifo",
            "arn:aws:sqs:eu-central-1:1:q",
        ] {
            assert!(QueueUrl::parse(url).is_err(), "{url}");
        }
        assert!(QueueUrl::parse(&format!("https://host/1/{}", "q".repeat(81))).is_err());
    }

    #[test]
    fn main_shows_what_is_wrong() {
        let error = QueueUrlError::not_a_url().of_variable("DLQ_URL");
        let shown = "QueueUrlError(the environment variable `DLQ_URL` is not the URL of an SQS queue, such as ";
        assert!(format!("{error:?}").starts_with(shown), "{error:?}");
    }
}
