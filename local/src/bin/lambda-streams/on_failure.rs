//! Where on-failure documents go, as the flags choose.

use lambda_streams_local::{
    DeployedMapping, DeployedOnFailure, FileOnFailure, OnFailureDestination, OnFailureDocument, OnFailureError,
};

use crate::args::MappingArgs;
use crate::aws::Aws;
use crate::failure::Failure;

pub(crate) enum OnFailure {
    File(FileOnFailure),
    Deployed(Box<DeployedOnFailure>),
    /// The deployed mapping has this destination, and no flag asks for it to be used.
    NotSent(String),
    None,
}

impl OnFailure {
    pub(crate) async fn choose(
        args: &MappingArgs,
        aws: &Aws<'_>,
        deployed: Option<&DeployedMapping>,
    ) -> Result<Self, Failure> {
        Ok(match (&args.on_failure, deployed) {
            (Some(path), _) => Self::File(FileOnFailure::new(path)),
            (None, Some(deployed)) if args.on_failure_deployed => {
                Self::Deployed(Box::new(aws.on_failure(deployed).await?))
            }
            (None, Some(deployed)) => deployed.settings.on_failure.clone().map_or(Self::None, Self::NotSent),
            (None, None) => Self::None,
        })
    }

    pub(crate) fn describe(&self) -> Option<String> {
        match self {
            Self::File(file) => Some(file.path().display().to_string()),
            Self::Deployed(destination) => Some(destination.arn().to_owned()),
            Self::NotSent(topic) if is_kafka(topic) => Some(format!(
                "{topic}, NOT used: this command cannot send to Kafka. --on-failure writes to a file instead"
            )),
            Self::NotSent(arn) => Some(format!("{arn}, NOT used without --on-failure-deployed")),
            Self::None => None,
        }
    }
}

fn is_kafka(destination: &str) -> bool {
    destination.starts_with("kafka://")
}

impl OnFailureDestination for OnFailure {
    async fn send(&self, document: &OnFailureDocument) -> Result<(), OnFailureError> {
        match self {
            Self::File(file) => file.send(document).await,
            Self::Deployed(destination) => destination.send(document).await,
            // The run warns of each document that was not sent.
            Self::NotSent(topic) if is_kafka(topic) => {
                Err(OnFailureError::new(format!("this command cannot send to {topic}: use --on-failure")))
            }
            Self::NotSent(_) | Self::None => {
                Err(OnFailureError::new("the deployed destination is only used with --on-failure-deployed"))
            }
        }
    }
}
