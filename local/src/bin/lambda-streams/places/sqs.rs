//! Queues: messages are received, deleted, and made visible again.

mod batch;
mod message;
mod url;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use aws_sdk_lambda::primitives::{DateTime, DateTimeFormat};
use lambda_streams_local::{CallError, CallResponse, SignedCall, Signer};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::PlaceError;
use crate::aws::{Aws, Near};
use crate::failure::Failure;

pub(crate) use self::message::Message;

use self::url::{QueueName, Url};

/// The most messages in one call.
pub(crate) const MAX_BATCH: usize = 10;
/// Calls of one kind at once.
pub(crate) const MAX_CALLS: usize = 4;

/// A queue that is there.
pub(crate) struct Queue {
    signer: Arc<Signer>,
    region: String,
    endpoint: String,
    url: String,
}

/// What a queue says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct QueueState {
    /// Messages that can be received, about.
    pub(crate) visible: u64,
    /// Messages that somebody has received and not deleted yet, about.
    pub(crate) in_flight: u64,
    /// After this many receives, the queue moves a message to its own dead-letter queue.
    pub(crate) max_receive_count: Option<u64>,
    /// The time on the queue's clock.
    pub(crate) now: SystemTime,
}

/// What a queue's name says of the way to AWS.
pub(crate) fn near(queue: &str) -> Near {
    match QueueName::parse(queue) {
        Ok(QueueName::Url(url)) => Near { region: url.region(), is_local: crate::aws::is_loopback(url.as_str()) },
        Ok(QueueName::Arn { region, .. }) => Near { region: Some(region), is_local: false },
        _ => Near::default(),
    }
}

impl Queue {
    /// Finds a queue by its URL, its ARN, or its name in the command's region.
    pub(crate) async fn resolve(queue: &str, aws: &Aws<'_>) -> Result<Self, Failure> {
        let name = QueueName::parse(queue).map_err(Failure::not_begun)?;
        let (signer, named) = (aws.signer().await?, aws.endpoint("AWS_ENDPOINT_URL_SQS"));
        let (region, lookup) = match name {
            QueueName::Url(url) => {
                let region = match url.region() {
                    Some(region) => region,
                    None => aws.region().await?,
                };
                let endpoint = named.unwrap_or_else(|| url.origin().to_owned());
                return Ok(Self { signer, region, endpoint, url: url.as_str().to_owned() });
            }
            QueueName::Arn { region, account, name } => {
                (region, json!({"QueueName": name, "QueueOwnerAWSAccountId": account}))
            }
            QueueName::Name(name) => (aws.region().await?, json!({"QueueName": name})),
        };
        let domain = if region.starts_with("cn-") { "amazonaws.com.cn" } else { "amazonaws.com" };
        let endpoint = named.clone().unwrap_or_else(|| format!("https://sqs.{region}.{domain}"));
        #[derive(Deserialize)]
        struct Found {
            #[serde(rename = "QueueUrl")]
            url: String,
        }
        let by_name = Self { signer, region, endpoint, url: queue.to_owned() };
        let found: Found = by_name.call("GetQueueUrl", "sqs:GetQueueUrl", lookup).await.map_err(Failure::not_begun)?;
        let url = Url::parse(&found.url);
        let url = url.ok_or_else(|| Failure::not_begun(format!("{queue}: its URL cannot be read: {}", found.url)))?;
        let endpoint = named.unwrap_or_else(|| url.origin().to_owned());
        Ok(Self { endpoint, url: found.url, ..by_name })
    }

    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// Whether it keeps order: a message blocks the later ones of its group until it is deleted.
    pub(crate) fn is_fifo(&self) -> bool {
        self.url.ends_with(".fifo")
    }

    /// Its ARN, with the region and the account.
    pub(crate) fn arn(&self) -> String {
        let mut parts = self.url.rsplit('/');
        let (name, account) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
        let partition = match self.region.split_once('-') {
            Some(("cn", _)) => "aws-cn",
            Some(("us", rest)) if rest.starts_with("gov-") => "aws-us-gov",
            _ => "aws",
        };
        format!("arn:{partition}:sqs:{}:{account}:{name}", self.region)
    }

    pub(crate) async fn state(&self) -> Result<QueueState, PlaceError> {
        #[derive(Deserialize)]
        #[serde(rename_all = "PascalCase")]
        struct Attributes {
            #[serde(default)]
            attributes: BTreeMap<String, String>,
        }
        let names = json!(["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible", "RedrivePolicy"]);
        let action = "sqs:GetQueueAttributes";
        let response = self.send("GetQueueAttributes", action, &self.input(json!({"AttributeNames": names}))).await?;
        let Attributes { attributes } = self.read(action, &response)?;
        let number = |name: &str| attributes.get(name).and_then(|count| count.parse().ok()).unwrap_or_default();
        let policy = attributes.get("RedrivePolicy").and_then(|policy| serde_json::from_str::<Value>(policy).ok());
        // Some write it as a number, and others as a text.
        let count = policy.and_then(|policy| match &policy["maxReceiveCount"] {
            Value::String(text) => text.parse().ok(),
            count => count.as_u64(),
        });
        Ok(QueueState {
            visible: number("ApproximateNumberOfMessages"),
            in_flight: number("ApproximateNumberOfMessagesNotVisible"),
            max_receive_count: count,
            now: response.header("date").and_then(time).unwrap_or_else(SystemTime::now),
        })
    }

    /// Takes up to ten messages, which others do not get for that time. An empty answer after a wait of a second or more is one of all
    /// the queue's servers.
    pub(crate) async fn receive(&self, visibility: Duration, wait: Duration) -> Result<Vec<Message>, PlaceError> {
        #[derive(Deserialize)]
        #[serde(rename_all = "PascalCase")]
        struct Received {
            #[serde(default)]
            messages: Option<Vec<Message>>,
        }
        let input = json!({
            "MaxNumberOfMessages": MAX_BATCH,
            "VisibilityTimeout": visibility.as_secs(),
            "WaitTimeSeconds": wait.as_secs(),
            "MessageSystemAttributeNames": ["All"],
            "MessageAttributeNames": ["All"],
        });
        let received: Received = self.call("ReceiveMessage", "sqs:ReceiveMessage", self.input(input)).await?;
        Ok(received.messages.unwrap_or_default())
    }

    fn input(&self, mut input: Value) -> Value {
        input["QueueUrl"] = self.url.as_str().into();
        input
    }

    async fn call<T: DeserializeOwned>(
        &self,
        operation: &str,
        action: &'static str,
        input: Value,
    ) -> Result<T, PlaceError> {
        self.read(action, &self.send(operation, action, &input).await?)
    }

    fn read<T: DeserializeOwned>(&self, action: &'static str, response: &CallResponse) -> Result<T, PlaceError> {
        // An empty answer is one without members.
        let body = if response.bytes().is_empty() { b"{}" } else { response.bytes() };
        serde_json::from_slice(body).map_err(|error| {
            // Where it is not valid, and nothing of what it has.
            let (line, column) = (error.line(), error.column());
            let message = format!("the response cannot be read at line {line}, column {column}");
            PlaceError::new(&self.url, action, CallError::new(message))
        })
    }

    async fn send(&self, operation: &str, action: &'static str, input: &Value) -> Result<CallResponse, PlaceError> {
        let call = SignedCall::new("sqs", &self.region, &self.endpoint)
            .method("POST")
            .header("content-type", "application/x-amz-json-1.0")
            .header("x-amz-target", &format!("AmazonSQS.{operation}"))
            .body(input.to_string());
        call.send(&self.signer).await.map_err(|error| PlaceError::new(&self.url, action, error))
    }
}

fn time(http_date: &str) -> Option<SystemTime> {
    DateTime::from_str(http_date, DateTimeFormat::HttpDate).ok()?.try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_of_the_queue_is_read() {
        let expected = SystemTime::UNIX_EPOCH + Duration::from_secs(1_767_225_600);
        assert_eq!(time("Thu, 01 Jan 2026 00:00:00 GMT"), Some(expected));
        assert_eq!(time("soon"), None);
    }
}
