//! Where requests go: to the host of the queue's URL, or to the endpoint that an environment variable names.
//!
//! Invariant: no other host ever gets a dead letter. In particular the SDK does not choose one by the region.

use std::net::IpAddr;
use std::sync::Arc;

use super::url::{self, QueueUrl, QueueUrlError};

/// The variables that name another endpoint; the first that is set counts.
const ENDPOINTS: [&str; 2] = ["AWS_ENDPOINT_URL_SQS", "AWS_ENDPOINT_URL"];
/// Disables both, as in every SDK of AWS.
const IGNORED: &str = "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS";
const REGIONS: [&str; 2] = ["AWS_REGION", "AWS_DEFAULT_REGION"];
/// Names that resolve to this machine, apart from addresses.
const THIS_MACHINE: [&str; 3] = ["localhost", "localhost.localstack.cloud", "host.docker.internal"];

type ReadVariable = dyn Fn(&str) -> Option<String> + Send + Sync;

/// The environment variables, read anew each time.
#[derive(Clone)]
pub(super) struct Variables(Arc<ReadVariable>);

impl Variables {
    /// Those of this process.
    pub(super) fn of_process() -> Self {
        Self(Arc::new(|name| std::env::var(name).ok()))
    }

    #[cfg(test)]
    pub(super) fn new(read: impl Fn(&str) -> Option<String> + Send + Sync + 'static) -> Self {
        Self(Arc::new(read))
    }

    /// The value of a variable, if it is not empty.
    pub(super) fn get(&self, name: &str) -> Option<String> {
        (self.0)(name).map(|value| value.trim().to_owned()).filter(|value| !value.is_empty())
    }
}

/// The endpoint of a queue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Endpoint {
    /// Its URL.
    pub(super) url: String,
    /// The region that requests are signed for.
    pub(super) region: String,
    /// The variable that names it, if the queue's URL has another host.
    pub(super) variable: Option<&'static str>,
}

impl Endpoint {
    /// The endpoint of a queue.
    ///
    /// # Errors
    /// If a variable that is to name an endpoint does not, or if no region is known.
    pub(super) fn of(queue: &QueueUrl, variables: &Variables) -> Result<Self, QueueUrlError> {
        let region = queue.region().or_else(|| REGIONS.iter().find_map(|name| variables.get(name)));
        let region = region.ok_or_else(QueueUrlError::no_region)?;
        let is_ignored = variables.get(IGNORED).is_some_and(|value| value.eq_ignore_ascii_case("true"));
        let named = ENDPOINTS.into_iter().filter(|_| !is_ignored).find_map(|name| Some((name, variables.get(name)?)));
        let Some((variable, url)) = named else {
            return Ok(Self { url: queue.origin().to_owned(), region, variable: None });
        };
        let origin = url::origin(&url).ok_or_else(|| QueueUrlError::not_an_endpoint(variable))?;
        let is_other = !origin.eq_ignore_ascii_case(queue.origin());
        Ok(Self { region, variable: is_other.then_some(variable), url })
    }

    pub(super) fn is_plain_http(&self) -> bool {
        self.url.starts_with("http://")
    }

    /// Whether it is plain HTTP to another machine.
    pub(super) fn is_remote_http(&self) -> bool {
        self.url.strip_prefix("http://").is_some_and(|rest| {
            let host = url::host(rest.split(['/', '?', '#']).next().unwrap_or_default()).to_ascii_lowercase();
            let is_loopback = host.parse().is_ok_and(|address: IpAddr| address.is_loopback());
            let is_named =
                |name: &&str| host.strip_suffix(*name).is_some_and(|sub| sub.is_empty() || sub.ends_with('.'));
            !(is_loopback || THIS_MACHINE.iter().any(is_named))
        })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;

    const AWS: &str = "https://sqs.eu-central-1.amazonaws.com/1/q";

    fn endpoint(url: &str, variables: &[(&str, &str)]) -> Result<Endpoint, String> {
        let variables: HashMap<String, String> =
            variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let url = QueueUrl::parse(url).expect("the tests' URLs are those of queues");
        Endpoint::of(&url, &Variables::new(move |name| variables.get(name).cloned())).map_err(|error| error.to_string())
    }

    #[test]
    fn the_region_comes_from_url_then_environment() {
        let local = "http://127.0.0.1:4566/1/q";
        let both = [("AWS_REGION", "us-east-1"), ("AWS_DEFAULT_REGION", "us-west-2")];
        assert_eq!(endpoint(AWS, &both).expect("a region").region, "eu-central-1");
        assert_eq!(endpoint(local, &both).expect("a region").region, "us-east-1");
        let default = [("AWS_REGION", ""), ("AWS_DEFAULT_REGION", "us-west-2")];
        assert_eq!(endpoint(local, &default).expect("a region").region, "us-west-2");
        assert_eq!(
            endpoint(local, &[]).expect_err("there is no region"),
            "the URL of the dead-letter queue does not name a region: set the environment variable `AWS_REGION` to that of the queue"
        );
    }

    #[test]
    fn the_sqs_endpoint_overrides_the_general_one() {
        let of =
            |variables: &[(&str, &str)]| endpoint(AWS, variables).map(|endpoint| (endpoint.url, endpoint.variable));
        let own = "https://sqs.eu-central-1.amazonaws.com".to_owned();
        let (all, sqs) = (("AWS_ENDPOINT_URL", "http://all"), ("AWS_ENDPOINT_URL_SQS", "http://sqs/"));
        assert_eq!(of(&[]), Ok((own.clone(), None)));
        assert_eq!(of(&[all]), Ok(("http://all".to_owned(), Some("AWS_ENDPOINT_URL"))));
        assert_eq!(of(&[all, sqs]), Ok(("http://sqs/".to_owned(), Some("AWS_ENDPOINT_URL_SQS"))));
        assert_eq!(of(&[all, ("AWS_ENDPOINT_URL_SQS", &own)]), Ok((own.clone(), None)), "it is the same host");
        assert_eq!(of(&[all, sqs, (IGNORED, "true")]), Ok((own, None)));
        assert_eq!(
            of(&[("AWS_ENDPOINT_URL", "localhost:4566")]).expect_err("it has no scheme"),
            "the environment variable `AWS_ENDPOINT_URL` is not the URL of an endpoint, such as \
             https://sqs.eu-central-1.amazonaws.com"
        );
    }

    #[test]
    fn plain_http_is_for_this_machine() {
        for (url, expected) in [
            ("http://127.0.0.1:4566", false),
            ("http://localhost:4566/", false),
            ("http://[::1]:4566", false),
            ("http://[::1]", false),
            ("http://sqs.localhost:1", false),
            ("http://localhost.localstack.cloud:4566", false),
            ("http://sqs.us-east-1.localhost.localstack.cloud:4566", false),
            ("https://queue.example", false),
            ("http://queue.example:4566", true),
            ("http://notlocalhost", true),
            ("http://10.0.0.1", true),
        ] {
            let endpoint = Endpoint { url: url.to_owned(), region: String::new(), variable: None };
            assert_eq!(endpoint.is_remote_http(), expected, "{url}");
        }
    }
}
