//! One dead letter as an SQS message, and what it counts against the limits.

use aws_sdk_sqs::error::BuildError;
use aws_sdk_sqs::types::{
    MessageAttributeValue, MessageSystemAttributeNameForSends, MessageSystemAttributeValue,
    SendMessageBatchRequestEntry,
};

use super::super::DeadLetter;
use super::super::envelope::{self, Form};
use super::fault::Fault;

const STRING: &str = "String";
/// Table names have at most 255 characters; what is longer comes from an ARN that is none.
const MAX_ATTRIBUTE: usize = 255;

/// A message that fits the queue.
pub(super) struct Message {
    body: String,
    attributes: Vec<(&'static str, String)>,
    trace_header: Option<String>,
    pub(super) group_id: Option<String>,
    deduplication_id: Option<String>,
    /// The bytes that count: body, and names, types and values of the attributes.
    pub(super) size: usize,
}

impl Message {
    /// Encodes a letter, compressed if that makes it fit.
    pub(super) fn new(letter: &DeadLetter, limit: usize, fifo: bool) -> Result<Self, Fault> {
        let plain = Self::encode(letter, Form::Plain, fifo);
        if plain.size <= limit {
            return Ok(plain);
        }
        let compressed = Self::encode(letter, Form::Gzip, fifo);
        if compressed.size <= limit {
            return Ok(compressed);
        }
        Err(Fault::TooLarge { plain: plain.size, compressed: compressed.size, limit })
    }

    fn encode(letter: &DeadLetter, form: Form, fifo: bool) -> Self {
        let body = envelope::write(letter, form);
        let attributes = attributes(letter, form);
        let counted = attributes.iter().map(|(name, value)| name.len() + STRING.len() + value.len());
        Self {
            size: body.len() + counted.sum::<usize>(),
            body,
            attributes,
            trace_header: letter.trace_header().filter(|header| is_trace_header(header)).map(str::to_owned),
            group_id: fifo.then(|| letter.group_id()),
            deduplication_id: fifo.then(|| letter.deduplication_id()),
        }
    }

    /// The message as entry of a batch.
    pub(super) fn entry(&self, id: usize) -> Result<SendMessageBatchRequestEntry, BuildError> {
        let mut entry = SendMessageBatchRequestEntry::builder()
            .id(id.to_string())
            .message_body(&self.body)
            .set_message_group_id(self.group_id.clone())
            .set_message_deduplication_id(self.deduplication_id.clone());
        for (name, value) in &self.attributes {
            let value = MessageAttributeValue::builder().data_type(STRING).string_value(value).build()?;
            entry = entry.message_attributes(*name, value);
        }
        if let Some(header) = &self.trace_header {
            let value = MessageSystemAttributeValue::builder().data_type(STRING).string_value(header).build()?;
            entry = entry.message_system_attributes(MessageSystemAttributeNameForSends::AwsTraceHeader, value);
        }
        entry.build()
    }
}

fn attributes(letter: &DeadLetter, form: Form) -> Vec<(&'static str, String)> {
    // An attribute must not be empty, and follows the same rule of characters as the body.
    let usable =
        |value: &&str| (1..=MAX_ATTRIBUTE).contains(&value.len()) && value.bytes().all(|byte| byte.is_ascii_graphic());
    [
        ("errorKind", Some(letter.error_kind().as_str())),
        ("eventKind", letter.kind().map(|kind| kind.as_str())),
        ("table", letter.table_name().filter(usable)),
        ("contentEncoding", (form == Form::Gzip).then_some("gzip")),
    ]
    .into_iter()
    .filter_map(|(name, value)| Some((name, value?.to_owned())))
    .collect()
}

/// SQS refuses a message whose trace header is malformed, and a letter is worth more than its trace.
fn is_trace_header(header: &str) -> bool {
    header.starts_with("Root=1-") && header.len() <= 500 && header.bytes().all(|byte| byte.is_ascii_graphic())
}
