//! Clients of AWS, as the AWS CLI would make them.

use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_sdk_dynamodb::config::Credentials;
use aws_smithy_http_client::tls;
use lambda_streams_local::{DeployedMapping, DeployedOnFailure};
use tokio::sync::OnceCell;

use crate::args::AwsArgs;
use crate::failure::Failure;

/// What may name another endpoint, besides the flag.
const ENDPOINT_VARIABLES: [&str; 7] = [
    "AWS_ENDPOINT_URL",
    "AWS_ENDPOINT_URL_DYNAMODB",
    "AWS_ENDPOINT_URL_DYNAMODB_STREAMS",
    "AWS_ENDPOINT_URL_LAMBDA",
    "AWS_ENDPOINT_URL_S3",
    "AWS_ENDPOINT_URL_SNS",
    "AWS_ENDPOINT_URL_SQS",
];

/// The AWS configuration of this command, read when the first client is asked for: a program that reads files on this
/// machine needs none.
pub(crate) struct Aws<'a> {
    args: &'a AwsArgs,
    config: OnceCell<SdkConfig>,
}

impl<'a> Aws<'a> {
    pub(crate) fn new(args: &'a AwsArgs) -> Self {
        Self { args, config: OnceCell::new() }
    }

    pub(crate) async fn dynamodb(&self) -> Result<aws_sdk_dynamodb::Client, Failure> {
        let mut config = aws_sdk_dynamodb::config::Builder::from(self.config().await?);
        config.set_endpoint_url(self.endpoint("AWS_ENDPOINT_URL_DYNAMODB"));
        Ok(aws_sdk_dynamodb::Client::from_conf(config.build()))
    }

    pub(crate) async fn streams(&self) -> Result<aws_sdk_dynamodbstreams::Client, Failure> {
        let mut config = aws_sdk_dynamodbstreams::config::Builder::from(self.config().await?);
        config.set_endpoint_url(self.endpoint("AWS_ENDPOINT_URL_DYNAMODB_STREAMS"));
        Ok(aws_sdk_dynamodbstreams::Client::from_conf(config.build()))
    }

    pub(crate) async fn lambda(&self) -> Result<aws_sdk_lambda::Client, Failure> {
        let mut config = aws_sdk_lambda::config::Builder::from(self.config().await?);
        config.set_endpoint_url(self.endpoint("AWS_ENDPOINT_URL_LAMBDA"));
        Ok(aws_sdk_lambda::Client::from_conf(config.build()))
    }

    /// Where the deployed mapping sends on-failure documents.
    pub(crate) async fn on_failure(&self, deployed: &DeployedMapping) -> Result<DeployedOnFailure, Failure> {
        let destination = DeployedOnFailure::new(deployed, self.config().await?).map_err(Failure::not_begun)?;
        let variable = format!("AWS_ENDPOINT_URL_{}", destination.service().to_uppercase());
        Ok(match self.endpoint(&variable) {
            Some(url) => destination.endpoint_url(url),
            None => destination,
        })
    }

    /// The endpoint of a service: the flag's, its own variable's, or the one for all; from the profile, if none is set.
    fn endpoint(&self, variable: &str) -> Option<String> {
        let read = |name| std::env::var(name).ok().filter(|url| !url.is_empty());
        self.args.endpoint_url.clone().or_else(|| read(variable)).or_else(|| read("AWS_ENDPOINT_URL"))
    }

    async fn config(&self) -> Result<&SdkConfig, Failure> {
        self.config.get_or_try_init(|| load(self.args)).await
    }
}

async fn load(args: &AwsArgs) -> Result<SdkConfig, Failure> {
    let tls = tls::Provider::Rustls(tls::rustls_provider::CryptoMode::Ring);
    let mut loader = aws_config::defaults(BehaviorVersion::latest())
        .http_client(aws_smithy_http_client::Builder::new().tls_provider(tls).build_https());
    if let Some(profile) = &args.profile {
        loader = loader.profile_name(profile);
    }
    let is_local = is_local(args);
    match &args.region {
        Some(region) => loader = loader.region(Region::new(region.clone())),
        // Both chains would end with a search for a cloud machine's metadata service.
        None if is_local && !is_set("AWS_REGION") => loader = loader.region(Region::new("us-east-1")),
        None => {}
    }
    if is_local && args.profile.is_none() && !["AWS_ACCESS_KEY_ID", "AWS_PROFILE"].into_iter().any(is_set) {
        // An emulator takes any.
        loader = loader.credentials_provider(Credentials::new("local", "local", None, None, "loopback endpoint"));
    }
    let config = loader.load().await;
    if config.region().is_none() {
        return Err(Failure::not_begun("no region is known: set --region, AWS_REGION, or a profile that has one"));
    }
    Ok(config)
}

fn is_set(variable: &str) -> bool {
    std::env::var_os(variable).is_some_and(|value| !value.is_empty())
}

fn is_local(args: &AwsArgs) -> bool {
    let from_environment = ENDPOINT_VARIABLES.iter().filter_map(|name| std::env::var(name).ok());
    args.endpoint_url.clone().into_iter().chain(from_environment).any(|url| is_loopback(&url))
}

fn is_loopback(url: &str) -> bool {
    let Some((_, rest)) = url.split_once("://") else { return false };
    let authority = rest.split(['/', '?']).next().unwrap_or_default();
    let host = match authority.strip_prefix('[') {
        Some(v6) => v6.split(']').next().unwrap_or_default(),
        None => authority.split(':').next().unwrap_or_default(),
    };
    host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loopback_is_told_from_other_hosts() {
        for local in ["http://127.0.0.1:8000", "http://localhost/x", "http://[::1]:4566", "https://127.1.2.3"] {
            assert!(is_loopback(local), "{local}");
        }
        for other in ["https://dynamodb.eu-central-1.amazonaws.com", "http://127.0.0.1.example", "http://10.0.0.1", "x"]
        {
            assert!(!is_loopback(other), "{other}");
        }
    }
}
