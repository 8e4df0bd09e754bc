//! Queues: messages are received, deleted, and made visible again.

mod url;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use aws_sdk_lambda::primitives::{DateTime, DateTimeFormat};
use futures::stream::{self, StreamExt, TryStreamExt};
use lambda_streams_local::{CallError, CallResponse, SignedCall, Signer};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::PlaceError;
use crate::aws::{Aws, Near};
use crate::failure::Failure;

use self::url::{QueueName, Url};

/// The most messages in one call.
pub(crate) const MAX_BATCH: usize = 10;
/// Calls of one kind at once.
pub(crate) const MAX_CALLS: usize = 4;
/// Entries of a batch that SQS itself could not do are sent again, so often.
const ATTEMPTS: u32 = 4;
/// The delay before the first of them, which doubles.
const DELAY: Duration = Duration::from_millis(200);

/// A queue that is there.
pub(crate) struct Queue {
    signer: Arc<Signer>,
    region: String,
    endpoint: String,
    url: String,
}

/// A message, as SQS's event source mapping would hand it to a function.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Message {
    #[serde(rename = "MessageId")]
    pub(crate) id: String,
    #[serde(rename = "ReceiptHandle")]
    pub(crate) receipt: String,
    #[serde(default)]
    pub(crate) body: String,
    #[serde(rename = "MD5OfBody", default)]
    md5: String,
    /// SQS's own, such as `SentTimestamp`, `ApproximateReceiveCount`, `MessageGroupId` and `SequenceNumber`.
    #[serde(default)]
    pub(crate) attributes: BTreeMap<String, String>,
    /// The sender's.
    #[serde(default)]
    message_attributes: BTreeMap<String, Value>,
}

impl Message {
    /// A number among SQS's own attributes.
    pub(crate) fn number(&self, attribute: &str) -> Option<u64> {
        self.attributes.get(attribute)?.parse().ok()
    }

    /// When it was sent to the queue.
    pub(crate) fn sent(&self) -> Option<SystemTime> {
        SystemTime::UNIX_EPOCH.checked_add(Duration::from_millis(self.number("SentTimestamp")?))
    }

    /// The record of an invocation by the queue.
    pub(crate) fn to_event_record(&self, queue: &Queue) -> String {
        json!({
            "messageId": self.id,
            "receiptHandle": self.receipt,
            "body": self.body,
            "attributes": self.attributes,
            "messageAttributes": self.message_attributes.iter().map(event_attribute).collect::<BTreeMap<_, _>>(),
            "md5OfBody": self.md5,
            "eventSource": "aws:sqs",
            "eventSourceARN": queue.arn(),
            "awsRegion": queue.region,
        })
        .to_string()
    }
}

/// Lambda writes the members of an attribute with a small letter, and its lists always.
fn event_attribute<'a>((name, value): (&'a String, &Value)) -> (&'a String, Value) {
    let mut members = serde_json::Map::new();
    for (from, to) in [("StringValue", "stringValue"), ("BinaryValue", "binaryValue"), ("DataType", "dataType")] {
        if let Some(value) = value.get(from) {
            members.insert(to.to_owned(), value.clone());
        }
    }
    members.insert("stringListValues".to_owned(), json!([]));
    members.insert("binaryListValues".to_owned(), json!([]));
    (name, members.into())
}

/// What a queue says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct QueueState {
    /// Messages that can be received, about.
    pub(crate) visible: u64,
    /// Messages that somebody has received and not deleted yet, about.
    pub(crate) in_flight: u64,
    /// After so many receives, the queue moves a message to its own dead-letter queue.
    pub(crate) max_receive_count: Option<u64>,
    /// The time on the queue's clock.
    pub(crate) now: SystemTime,
}

/// A message that a batch could not be done for, by its position in the call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refused {
    pub(crate) position: usize,
    pub(crate) why: String,
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
        format!("arn:aws:sqs:{}:{account}:{name}", self.region)
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

    /// Deletes messages by their receipts; returns those that are still there.
    pub(crate) async fn delete(&self, receipts: &[String]) -> Result<Vec<Refused>, PlaceError> {
        let entry = |receipt: &String| json!({"ReceiptHandle": receipt});
        self.batches("DeleteMessageBatch", "sqs:DeleteMessage", receipts, entry).await
    }

    /// Hides messages from now on for that time, or makes them visible at once; returns those that are not hidden any more.
    pub(crate) async fn hide(&self, receipts: &[String], time: Duration) -> Result<Vec<Refused>, PlaceError> {
        let entry = |receipt: &String| json!({"ReceiptHandle": receipt, "VisibilityTimeout": time.as_secs()});
        self.batches("ChangeMessageVisibilityBatch", "sqs:ChangeMessageVisibility", receipts, entry).await
    }

    async fn batches(
        &self,
        operation: &str,
        action: &'static str,
        receipts: &[String],
        entry: impl Fn(&String) -> Value,
    ) -> Result<Vec<Refused>, PlaceError> {
        let batches = receipts.chunks(MAX_BATCH).enumerate().map(|(number, batch)| {
            let entries = batch.iter().enumerate().map(|(position, receipt)| {
                let mut entry = entry(receipt);
                entry["Id"] = (number * MAX_BATCH + position).to_string().into();
                entry
            });
            self.batch(operation, action, entries.collect())
        });
        let batches: Vec<_> = batches.collect();
        let refused: Vec<Vec<Refused>> = stream::iter(batches).buffer_unordered(MAX_CALLS).try_collect().await?;
        Ok(refused.concat())
    }

    async fn batch(
        &self,
        operation: &str,
        action: &'static str,
        mut entries: Vec<Value>,
    ) -> Result<Vec<Refused>, PlaceError> {
        #[derive(Deserialize)]
        #[serde(rename_all = "PascalCase")]
        struct Failed {
            id: String,
            #[serde(default)]
            code: String,
            #[serde(default)]
            sender_fault: bool,
            message: Option<String>,
        }
        #[derive(Deserialize)]
        struct Answer {
            #[serde(rename = "Failed", default)]
            failed: Option<Vec<Failed>>,
        }
        let mut refused = Vec::new();
        for attempt in 1.. {
            let answer: Answer = self.call(operation, action, self.input(json!({"Entries": entries}))).await?;
            let failed = answer.failed.unwrap_or_default();
            let is_again = |failed: &&Failed| !failed.sender_fault || failed.code.contains("Throttl");
            let again: Vec<&str> = failed.iter().filter(is_again).map(|failed| failed.id.as_str()).collect();
            let is_last = again.is_empty() || attempt >= ATTEMPTS;
            refused.extend(failed.iter().filter(|failed| is_last || !is_again(failed)).map(|failed| Refused {
                position: failed.id.parse().unwrap_or(usize::MAX),
                why: match &failed.message {
                    Some(message) => format!("{}: {}", failed.code, message.trim_end_matches('.')),
                    None => failed.code.clone(),
                },
            }));
            if is_last {
                break;
            }
            entries.retain(|entry| entry["Id"].as_str().is_some_and(|id| again.contains(&id)));
            tokio::time::sleep(DELAY * 2_u32.pow(attempt - 1)).await;
        }
        Ok(refused)
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
    fn a_message_becomes_the_record_of_an_event() {
        let message: Message = serde_json::from_value(json!({
            "MessageId": "m1", "ReceiptHandle": "r1", "Body": "{}", "MD5OfBody": "5",
            "Attributes": {"SentTimestamp": "1767225600123", "MessageGroupId": "g"},
            "MessageAttributes": {"table": {"StringValue": "orders", "DataType": "String"}},
        }))
        .expect("it is one");
        assert_eq!(message.sent(), Some(SystemTime::UNIX_EPOCH + Duration::from_millis(1_767_225_600_123)));
        let attribute = message.message_attributes.iter().map(event_attribute).collect::<BTreeMap<_, _>>();
        let expected = json!({"table": {"stringValue": "orders", "dataType": "String", "stringListValues": [], "binaryListValues": []}});
        assert_eq!(json!(attribute), expected);
    }

    #[test]
    fn the_time_of_the_queue_is_read() {
        let expected = SystemTime::UNIX_EPOCH + Duration::from_secs(1_767_225_600);
        assert_eq!(time("Thu, 01 Jan 2026 00:00:00 GMT"), Some(expected));
        assert_eq!(time("soon"), None);
    }
}
