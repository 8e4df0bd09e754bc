//! How a queue is named: by its URL, its ARN or its name.

/// What names a queue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum QueueName {
    Url(Url),
    Arn { region: String, account: String, name: String },
    Name(String),
}

impl QueueName {
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let text = text.trim();
        if text.contains("://") {
            let wanted = "such as https://sqs.eu-central-1.amazonaws.com/123456789012/dead-letters";
            return Url::parse(text).map(Self::Url).ok_or_else(|| format!("{text} is not a queue's URL, {wanted}"));
        }
        if text.starts_with("arn:") {
            return match text.split(':').collect::<Vec<_>>()[..] {
                ["arn", _, "sqs", region, account, name]
                    if is_region(region) && !account.is_empty() && is_name(name) =>
                {
                    Ok(Self::Arn { region: region.to_owned(), account: account.to_owned(), name: name.to_owned() })
                }
                _ => Err(format!(
                    "{text} is not a queue's ARN, such as arn:aws:sqs:eu-central-1:123456789012:dead-letters"
                )),
            };
        }
        match is_name(text) {
            true => Ok(Self::Name(text.to_owned())),
            false => Err(format!("{text:?} is not a queue: expected a queue's URL, ARN or name")),
        }
    }
}

/// A queue's URL: `https://HOST/ACCOUNT/NAME`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Url(String);

impl Url {
    pub(super) fn parse(url: &str) -> Option<Self> {
        let (scheme, rest) = url.split_once("://")?;
        let (authority, path) = rest.split_once('/')?;
        let is_host = !authority.is_empty() && !authority.contains(char::is_whitespace);
        let is_queue = path.rsplit('/').next().is_some_and(is_name);
        (matches!(scheme, "http" | "https") && is_host && is_queue).then(|| Self(url.to_owned()))
    }

    pub(super) fn as_str(&self) -> &str {
        &self.0
    }

    /// The scheme, the host and the port.
    pub(super) fn origin(&self) -> &str {
        let start = self.0.find("://").map_or(0, |scheme| scheme + 3);
        let end = self.0[start..].find('/').map_or(self.0.len(), |host| start + host);
        &self.0[..end]
    }

    /// The region that the URL names, if it does: in the name of a public endpoint of SQS, of a VPC's interface endpoint, or of
    /// an emulator that names its queues alike.
    pub(super) fn region(&self) -> Option<String> {
        let origin = self.origin();
        let host = origin.split_once("://").map_or("", |(_, host)| host).to_ascii_lowercase();
        let host = host.split(':').next().unwrap_or_default();
        let labels: Vec<&str> = host.split('.').collect();
        // `sqs.REGION.…`, and `vpce-….sqs.REGION.vpce.…`.
        let after_service = labels.windows(2).find(|pair| matches!(pair[0], "sqs" | "sqs-fips") && is_region(pair[1]));
        let region = match (after_service, &labels[..]) {
            (Some(pair), _) => Some(pair[1]),
            (None, [region, "queue", ..]) if is_region(region) => Some(*region),
            // The oldest name of the first region.
            (None, ["queue", "amazonaws", "com"]) => Some("us-east-1"),
            // LocalStack's `http://HOST/queue/REGION/ACCOUNT/NAME`.
            _ => {
                let path = self.0[origin.len()..].strip_prefix("/queue/");
                path.and_then(|path| path.split('/').next()).filter(|region| is_region(region))
            }
        };
        region.map(str::to_owned)
    }
}

/// Whether it looks like the name of a region, such as `eu-central-1` and `us-gov-west-1`.
fn is_region(name: &str) -> bool {
    let Some((words, number)) = name.rsplit_once('-') else { return false };
    let is_word = |word: &str| !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_lowercase());
    words.contains('-')
        && words.split('-').all(is_word)
        && !number.is_empty()
        && number.bytes().all(|byte| byte.is_ascii_digit())
}

/// Up to 80 letters, digits, hyphens and underscores, `.fifo` included.
fn is_name(name: &str) -> bool {
    let stem = name.strip_suffix(".fifo").unwrap_or(name);
    let usable = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    !stem.is_empty() && name.len() <= 80 && stem.bytes().all(usable)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_region_is_read_from_every_kind_of_url() {
        let table = [
            ("https://sqs.eu-central-1.amazonaws.com/1/q", Some("eu-central-1")),
            ("https://sqs-fips.us-gov-west-1.amazonaws.com/1/q.fifo", Some("us-gov-west-1")),
            ("https://vpce-0.sqs.eu-west-1.vpce.amazonaws.com/1/q", Some("eu-west-1")),
            ("https://eu-west-2.queue.amazonaws.com/1/q", Some("eu-west-2")),
            ("https://queue.amazonaws.com/1/q", Some("us-east-1")),
            ("http://localhost:4566/queue/eu-west-3/000000000000/q", Some("eu-west-3")),
            ("http://127.0.0.1:4566/000000000000/q", None),
        ];
        for (url, region) in table {
            assert_eq!(Url::parse(url).expect(url).region().as_deref(), region, "{url}");
        }
        let url = Url::parse("http://127.0.0.1:4566/000000000000/q").expect("it is one");
        assert_eq!(url.origin(), "http://127.0.0.1:4566");
    }

    #[test]
    fn names_are_distinguished() {
        let arn = QueueName::parse("arn:aws:sqs:eu-central-1:123456789012:q");
        let (region, account, name) = ("eu-central-1".to_owned(), "123456789012".to_owned(), "q".to_owned());
        assert_eq!(arn, Ok(QueueName::Arn { region, account, name }));
        assert_eq!(QueueName::parse("dead-letters.fifo"), Ok(QueueName::Name("dead-letters.fifo".to_owned())));
        for wrong in
            ["", "a b", "https://sqs.eu-central-1.amazonaws.com", "ftp://x/1/q", "arn:aws:sns:eu-central-1:1:q"]
        {
            assert!(QueueName::parse(wrong).is_err(), "{wrong}");
        }
    }
}
