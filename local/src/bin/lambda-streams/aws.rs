//! Clients of AWS, as the AWS CLI would make them.

use std::sync::Arc;

use aws_config::environment::EnvironmentVariableRegionProvider;
use aws_config::meta::region::ProvideRegion;
use aws_config::profile::ProfileFileRegionProvider;
use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_sdk_dynamodb::config::Credentials;
use aws_smithy_http_client::tls;
use lambda_streams_local::{DeployedMapping, DeployedOnFailure, Signer};
use tokio::sync::OnceCell;

use crate::args::AwsArgs;
use crate::failure::Failure;

/// The environment variables that may name another endpoint, in addition to the flag.
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
    near: Near,
    config: OnceCell<SdkConfig>,
    signer: OnceCell<Arc<Signer>>,
}

/// What a place named on the command line says about the way to AWS, if nothing else says it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Near {
    pub(crate) region: Option<String>,
    /// The place is on this machine: an emulator has it.
    pub(crate) is_local: bool,
}

impl<'a> Aws<'a> {
    pub(crate) fn new(args: &'a AwsArgs) -> Self {
        Self::near(args, Near::default())
    }

    /// The configuration for a command that works on this place.
    pub(crate) fn near(args: &'a AwsArgs, near: Near) -> Self {
        Self { args, near, config: OnceCell::new(), signer: OnceCell::new() }
    }

    /// Signs calls of services that have no client here.
    pub(crate) async fn signer(&self) -> Result<Arc<Signer>, Failure> {
        let make = async || Signer::new(self.config().await?).map(Arc::new).map_err(Failure::not_begun);
        self.signer.get_or_try_init(make).await.cloned()
    }

    /// The region of this command.
    pub(crate) async fn region(&self) -> Result<String, Failure> {
        let region = self.config().await?.region().map(ToString::to_string);
        Ok(region.expect("`load` refuses a configuration without a region"))
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
    pub(crate) fn endpoint(&self, variable: &str) -> Option<String> {
        let read = |name| std::env::var(name).ok().filter(|url| !url.is_empty());
        self.args.endpoint_url.clone().or_else(|| read(variable)).or_else(|| read("AWS_ENDPOINT_URL"))
    }

    async fn config(&self) -> Result<&SdkConfig, Failure> {
        self.config.get_or_try_init(|| load(self.args, &self.near)).await
    }
}

async fn load(args: &AwsArgs, near: &Near) -> Result<SdkConfig, Failure> {
    let tls = tls::Provider::Rustls(tls::rustls_provider::CryptoMode::Ring);
    let mut loader = aws_config::defaults(BehaviorVersion::latest())
        .http_client(aws_smithy_http_client::Builder::new().tls_provider(tls).build_https());
    if let Some(profile) = &args.profile {
        loader = loader.profile_name(profile);
    }
    let is_local = near.is_local || is_local(args);
    match &args.region {
        Some(region) => loader = loader.region(Region::new(region.clone())),
        // Both chains would end with a search for a cloud machine's metadata service.
        None if is_local && !is_set("AWS_REGION") => loader = loader.region(Region::new("us-east-1")),
        None => {
            if let Some(region) = configured_or(near, args).await {
                loader = loader.region(region);
            }
        }
    }
    if is_local && args.profile.is_none() && !["AWS_ACCESS_KEY_ID", "AWS_PROFILE"].into_iter().any(is_set) {
        // An emulator takes any.
        loader = loader.credentials_provider(Credentials::new("local", "local", None, None, "loopback endpoint"));
    }
    let config = loader.load().await;
    if config.region().is_none() {
        return Err(Failure::not_begun(
            "no AWS region is configured: set --region or AWS_REGION, or use a profile that has one",
        ));
    }
    Ok(config)
}

/// The region that the environment or the profile names, or that of the place, which is known without any network.
async fn configured_or(near: &Near, args: &AwsArgs) -> Option<Region> {
    let place = near.region.clone().map(Region::new)?;
    let mut profile = ProfileFileRegionProvider::builder();
    if let Some(name) = &args.profile {
        profile = profile.profile_name(name);
    }
    match EnvironmentVariableRegionProvider::new().region().await {
        Some(region) => Some(region),
        None => profile.build().region().await.or(Some(place)),
    }
}

fn is_set(variable: &str) -> bool {
    std::env::var_os(variable).is_some_and(|value| !value.is_empty())
}

fn is_local(args: &AwsArgs) -> bool {
    let from_environment = ENDPOINT_VARIABLES.iter().filter_map(|name| std::env::var(name).ok());
    args.endpoint_url.clone().into_iter().chain(from_environment).any(|url| is_loopback(&url))
}

pub(crate) fn is_loopback(url: &str) -> bool {
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
    fn loopback_is_distinguished_from_other_hosts() {
        for local in ["http://127.0.0.1:8000", "http://localhost/x", "http://[::1]:4566", "https://127.1.2.3"] {
            assert!(is_loopback(local), "{local}");
        }
        for other in ["https://dynamodb.eu-central-1.amazonaws.com", "http://127.0.0.1.example", "http://10.0.0.1", "x"]
        {
            assert!(!is_loopback(other), "{other}");
        }
    }
}
