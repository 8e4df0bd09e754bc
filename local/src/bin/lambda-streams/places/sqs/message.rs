//! A message, and the record that it is in an invocation by its queue.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use serde::Deserialize;
use serde_json::{Value, json};

use super::Queue;

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
}
