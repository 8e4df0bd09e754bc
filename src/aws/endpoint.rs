//! The endpoint that an environment variable names in place of a service's own, and the parts of its URL.

use std::net::IpAddr;

use super::Variables;

/// The variable that names the endpoint of all services; that of one service comes before it.
const ALL_SERVICES: &str = "AWS_ENDPOINT_URL";
/// Disables both, as in every SDK of AWS.
const IGNORED: &str = "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS";
/// Names that resolve to this machine, apart from addresses.
const THIS_MACHINE: [&str; 3] = ["localhost", "localhost.localstack.cloud", "host.docker.internal"];

/// An endpoint that a variable names.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct NamedEndpoint {
    pub(crate) variable: &'static str,
    pub(crate) url: String,
}

/// The value of this variable is not the URL of an endpoint.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct NotAnEndpoint(pub(crate) &'static str);

impl NamedEndpoint {
    /// The endpoint of a service whose own variable is this, such as `AWS_ENDPOINT_URL_SQS`; `None` if no variable names one.
    pub(crate) fn of(service: &'static str, variables: &Variables) -> Result<Option<Self>, NotAnEndpoint> {
        if variables.get(IGNORED).is_some_and(|value| value.eq_ignore_ascii_case("true")) {
            return Ok(None);
        }
        let named = [service, ALL_SERVICES].into_iter().find_map(|name| Some((name, variables.get(name)?)));
        let Some((variable, url)) = named else { return Ok(None) };
        origin(&url).ok_or(NotAnEndpoint(variable))?;
        Ok(Some(Self { variable, url }))
    }
}

/// Whether a URL is plain HTTP to another machine.
pub(crate) fn is_remote_http(url: &str) -> bool {
    url.strip_prefix("http://").is_some_and(|rest| {
        let host = host(rest.split(['/', '?', '#']).next().unwrap_or_default()).to_ascii_lowercase();
        let is_loopback = host.parse().is_ok_and(|address: IpAddr| address.is_loopback());
        let is_named = |name: &&str| host.strip_suffix(*name).is_some_and(|sub| sub.is_empty() || sub.ends_with('.'));
        !(is_loopback || THIS_MACHINE.iter().any(is_named))
    })
}

/// The part of a URL that says where a request goes; `None` if it is not an HTTP URL.
pub(crate) fn origin(url: &str) -> Option<&str> {
    let (scheme, rest) = url.split_once("://").filter(|(scheme, _)| matches!(*scheme, "http" | "https"))?;
    let authority = rest.split(['/', '?', '#']).next().filter(|authority| is_authority(authority))?;
    Some(&url[..scheme.len() + "://".len() + authority.len()])
}

/// The host of an authority, without its port and without the brackets of an IPv6 address.
pub(crate) fn host(authority: &str) -> &str {
    match authority.strip_prefix('[') {
        Some(address) => address.split(']').next().unwrap_or_default(),
        None => authority.split(':').next().unwrap_or_default(),
    }
}

/// A host, with a port where there is one. A user's name and password do not belong there.
pub(crate) fn is_authority(authority: &str) -> bool {
    let is_usable = |byte: u8| byte.is_ascii_alphanumeric() || b"-._:[]".contains(&byte);
    !host(authority).is_empty() && authority.bytes().all(is_usable)
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;

    fn named(variables: &[(&str, &str)]) -> Result<Option<(&'static str, String)>, NotAnEndpoint> {
        let variables: HashMap<String, String> =
            variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let variables = Variables::new(move |name| variables.get(name).cloned());
        let named = NamedEndpoint::of("AWS_ENDPOINT_URL_SQS", &variables)?;
        Ok(named.map(|NamedEndpoint { variable, url }| (variable, url)))
    }

    #[test]
    fn the_services_variable_overrides_the_general_one() {
        let (all, sqs) = (("AWS_ENDPOINT_URL", "http://all"), ("AWS_ENDPOINT_URL_SQS", "http://sqs/"));
        let other = ("AWS_ENDPOINT_URL_DYNAMODB", "http://dynamodb");
        assert_eq!(named(&[other]), Ok(None));
        assert_eq!(named(&[all, other]), Ok(Some(("AWS_ENDPOINT_URL", "http://all".to_owned()))));
        assert_eq!(named(&[all, sqs]), Ok(Some(("AWS_ENDPOINT_URL_SQS", "http://sqs/".to_owned()))));
        assert_eq!(named(&[all, sqs, (IGNORED, "true")]), Ok(None));
        assert_eq!(named(&[("AWS_ENDPOINT_URL", "localhost:4566")]), Err(NotAnEndpoint("AWS_ENDPOINT_URL")));
    }

    #[test]
    fn the_origin_ends_before_the_path() {
        for (url, expected) in [
            ("http://127.0.0.1:4566/000000000000/q", Some("http://127.0.0.1:4566")),
            ("http://[::1]:4566", Some("http://[::1]:4566")),
            ("https://queue.example?x", Some("https://queue.example")),
            ("localhost:4566", None),
            ("http://", None),
            ("ftp://host", None),
        ] {
            assert_eq!(origin(url), expected, "{url}");
        }
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
            assert_eq!(is_remote_http(url), expected, "{url}");
        }
    }
}
