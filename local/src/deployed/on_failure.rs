//! The deployed on-failure destination: a bucket, a queue or a topic.

use std::fmt;

use aws_config::SdkConfig;
use serde::Deserialize;
use serde_json::json;

use super::DeployedMapping;
use super::call::{CallResponse, SignedCall, Signer, encoded};
use crate::on_failure::{OnFailureDestination, OnFailureDocument, OnFailureError};
use crate::request_id::request_id;

/// Sends on-failure documents to the destination of a deployed mapping: its bucket, queue or topic.
///
/// A bucket gets one object per document, named as Lambda names them: `aws/lambda/<mapping>/<shard>/<yyyy/mm/dd>/<time>-<uuid>`
/// ([AWS: discarded batches](https://docs.aws.amazon.com/lambda/latest/dg/services-dynamodb-errors.html)). The calls use
/// the configuration's credentials, whereas Lambda uses the function's role.
///
/// ```no_run
/// use lambda_streams_local::{DeployedOnFailure, from_deployed};
///
/// # async fn example(config: aws_config::SdkConfig) -> Result<(), Box<dyn std::error::Error>> {
/// let deployed = from_deployed(&aws_sdk_lambda::Client::new(&config), "orders", None).await?;
/// let destination = DeployedOnFailure::new(&deployed, &config)?;
/// assert!(destination.arn().starts_with("arn:aws:s3:::"));
/// # Ok(())
/// # }
/// ```
pub struct DeployedOnFailure {
    arn: String,
    service: &'static str,
    region: String,
    mapping: String,
    endpoint: Option<String>,
    signer: Signer,
}

impl DeployedOnFailure {
    /// The destination of a deployed mapping. `config` has the credentials and the HTTP client.
    ///
    /// # Errors
    /// If the mapping has no destination, or one that is neither a bucket nor a queue nor an SNS topic, such as a Kafka topic.
    pub fn new(deployed: &DeployedMapping, config: &SdkConfig) -> Result<Self, OnFailureError> {
        let uuid = &deployed.uuid;
        let arn = deployed.settings.on_failure.as_deref();
        let arn = arn
            .ok_or_else(|| OnFailureError::new(format!("event source mapping {uuid} has no on-failure destination")))?;
        let service = match part(arn, 2) {
            "s3" => "s3",
            "sqs" => "sqs",
            "sns" => "sns",
            _ if arn.starts_with("kafka://") => {
                return Err(OnFailureError::new(format!(
                    "{arn} is a Kafka topic, which is not supported here: write the documents to a file instead"
                )));
            }
            _ => return Err(OnFailureError::new(format!("{arn} is neither a bucket nor a queue nor a topic"))),
        };
        // A bucket's ARN has no region; the mapping's is that of its stream.
        let region = Some(part(arn, 3)).filter(|region| !region.is_empty()).unwrap_or(part(&deployed.stream_arn, 3));
        Ok(Self {
            service,
            region: region.to_owned(),
            arn: arn.to_owned(),
            mapping: uuid.clone(),
            endpoint: None,
            signer: Signer::new(config).map_err(|error| OnFailureError::new(format!("{arn}: {error}")))?,
        })
    }

    /// Calls the service at another endpoint, such as an emulator. The bucket is then part of the path.
    #[must_use]
    pub fn endpoint_url(mut self, url: impl Into<String>) -> Self {
        self.endpoint = Some(url.into());
        self
    }

    /// The destination's ARN.
    pub fn arn(&self) -> &str {
        &self.arn
    }

    /// The destination's service: `s3`, `sqs` or `sns`.
    pub fn service(&self) -> &str {
        self.service
    }

    /// A call to the service, or to a host below it.
    fn call(&self, host: &str) -> SignedCall {
        let domain = if part(&self.arn, 1) == "aws-cn" { "amazonaws.com.cn" } else { "amazonaws.com" };
        let endpoint = match &self.endpoint {
            Some(url) => url.clone(),
            None => format!("https://{host}{}.{}.{domain}", self.service, self.region),
        };
        SignedCall::new(self.service, &self.region, endpoint).method("POST")
    }

    async fn put_object(&self, document: &OnFailureDocument) -> Result<(), OnFailureError> {
        let bucket = part(&self.arn, 5);
        let key = object_key(&self.mapping, document);
        // A dot in the name would not match the certificate of `*.s3.…`.
        let in_path = self.endpoint.is_some() || bucket.contains('.');
        let host = if in_path { String::new() } else { format!("{bucket}.") };
        let folder = if in_path { format!("/{bucket}") } else { String::new() };
        let call = self.call(&host).method("PUT").path(&format!("{folder}/{key}"));
        let call = call.header("content-type", "application/json").body(document.to_json());
        call.send(&self.signer).await.map(drop).map_err(|error| self.named(&error))
    }

    async fn send_message(&self, document: &OnFailureDocument) -> Result<(), OnFailureError> {
        #[derive(Deserialize)]
        struct Queue {
            #[serde(rename = "QueueUrl")]
            url: String,
        }
        let queue = json!({"QueueName": part(&self.arn, 5), "QueueOwnerAWSAccountId": part(&self.arn, 4)});
        let found = self.sqs("GetQueueUrl", &queue).await?;
        let queue: Queue = serde_json::from_slice(found.bytes()).map_err(|error| self.named(&error))?;
        let message = json!({"QueueUrl": queue.url, "MessageBody": document.to_json()});
        self.sqs("SendMessage", &message).await.map(drop)
    }

    async fn sqs(&self, operation: &str, input: &serde_json::Value) -> Result<CallResponse, OnFailureError> {
        let call = self.call("").header("content-type", "application/x-amz-json-1.0");
        let call = call.header("x-amz-target", &format!("AmazonSQS.{operation}")).body(input.to_string());
        call.send(&self.signer).await.map_err(|error| self.named(&error))
    }

    async fn publish(&self, document: &OnFailureDocument) -> Result<(), OnFailureError> {
        let (topic, message) = (encoded(&self.arn, ""), encoded(&document.to_json(), ""));
        let body = format!("Action=Publish&Version=2010-03-31&TopicArn={topic}&Message={message}");
        let call = self.call("").header("content-type", "application/x-www-form-urlencoded").body(body);
        call.send(&self.signer).await.map(drop).map_err(|error| self.named(&error))
    }

    fn named(&self, error: &dyn std::error::Error) -> OnFailureError {
        OnFailureError::new(format!("{}: {error}", self.arn))
    }
}

impl OnFailureDestination for DeployedOnFailure {
    async fn send(&self, document: &OnFailureDocument) -> Result<(), OnFailureError> {
        match self.service {
            "s3" => self.put_object(document).await,
            "sqs" => self.send_message(document).await,
            _ => self.publish(document).await,
        }
    }
}

impl fmt::Debug for DeployedOnFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DeployedOnFailure").field("arn", &self.arn).finish_non_exhaustive()
    }
}

/// A part of an ARN, of which the last one may contain colons.
fn part(arn: &str, index: usize) -> &str {
    arn.splitn(6, ':').nth(index).unwrap_or_default()
}

/// `aws/lambda/<mapping>/<shard>/2026/01/31/2026-01-31T23.59.59-<uuid>`
fn object_key(mapping: &str, document: &OnFailureDocument) -> String {
    let time = document.timestamp().get(..19).unwrap_or_default();
    let day = time.get(..10).unwrap_or_default().replace('-', "/");
    let uuid = request_id(&mut fastrand::Rng::new());
    format!("aws/lambda/{mapping}/{}/{day}/{}-{uuid}", document.shard_id(), time.replace(':', "."))
}
