//! Where requests go: to the host of the queue's URL, or to the endpoint that an environment variable names.
//!
//! Invariant: no other host ever gets a dead letter. In particular the SDK does not choose one by the region.

use super::url::{QueueUrl, QueueUrlError};
use crate::aws::{NamedEndpoint, Variables, origin};

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
        let region = queue.region().or_else(|| variables.region()).ok_or_else(QueueUrlError::no_region)?;
        let Some(NamedEndpoint { variable, url }) = NamedEndpoint::of("AWS_ENDPOINT_URL_SQS", variables)? else {
            return Ok(Self { url: queue.origin().to_owned(), region, variable: None });
        };
        let is_other = !origin(&url).is_some_and(|origin| origin.eq_ignore_ascii_case(queue.origin()));
        Ok(Self { region, variable: is_other.then_some(variable), url })
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
        assert_eq!(of(&[all, sqs, ("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "true")]), Ok((own, None)));
        assert_eq!(
            of(&[("AWS_ENDPOINT_URL", "localhost:4566")]).expect_err("it has no scheme"),
            "the environment variable `AWS_ENDPOINT_URL` is not the URL of an endpoint, such as \
             https://sqs.eu-central-1.amazonaws.com"
        );
    }
}
