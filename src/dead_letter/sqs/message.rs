//! One dead letter as an SQS message, compressed if it would be too large otherwise.

use aws_sdk_sqs::error::BuildError;
use aws_sdk_sqs::types::{
    MessageAttributeValue, MessageSystemAttributeNameForSends, MessageSystemAttributeValue,
    SendMessageBatchRequestEntry,
};

use super::super::DeadLetter;
use super::super::envelope::{self, Attempts, Form};
use super::send_error::SendError;

const STRING: &str = "String";
/// Table names have at most 255 characters. A longer one comes from a malformed ARN.
const MAX_ATTRIBUTE: usize = 255;

/// A message that fits the queue, as far as its limit is known.
pub(super) struct Message<'a> {
    letter: &'a DeadLetter,
    form: Form,
    body: String,
    attributes: Vec<(&'static str, String)>,
    trace_header: Option<String>,
    /// The FIFO group; `None` on a standard queue.
    pub(super) group_id: Option<String>,
    deduplication_id: Option<String>,
    /// The bytes that count against the limits: the body, and the names, types and values of the attributes.
    pub(super) bytes: usize,
}

impl<'a> Message<'a> {
    /// Encodes a letter. If that makes it fit, it says only why the last attempt failed, and then its record is compressed too.
    pub(super) fn new(letter: &'a DeadLetter, limit: usize, group_id: Option<String>) -> Result<Self, SendError> {
        let complete = Self::encode(letter, Form::Plain, Attempts::All, group_id);
        if complete.bytes <= limit {
            return Ok(complete);
        }
        let plain = Self::encode(letter, Form::Plain, Attempts::Last, complete.group_id);
        if plain.bytes <= limit {
            return Ok(plain);
        }
        let compressed = Self::encode(letter, Form::Gzip, Attempts::Last, plain.group_id);
        if compressed.bytes <= limit {
            return Ok(compressed);
        }
        Err(SendError::TooLarge { plain: plain.bytes, compressed: compressed.bytes, limit: Some(limit) })
    }

    /// The same message, compressed; `None` if it is compressed already, or if that would not make it smaller.
    pub(super) fn compressed(&self) -> Option<Self> {
        let compressed = (self.form == Form::Plain)
            .then(|| Self::encode(self.letter, Form::Gzip, Attempts::Last, self.group_id.clone()));
        compressed.filter(|compressed| compressed.bytes < self.bytes)
    }

    /// The error of a message that the queue refuses as too long, with the limit that it names.
    pub(super) fn too_large(&self, limit: Option<usize>) -> SendError {
        let bytes = |form| Self::encode(self.letter, form, Attempts::Last, None).bytes;
        SendError::TooLarge { plain: bytes(Form::Plain), compressed: bytes(Form::Gzip), limit }
    }

    fn encode(letter: &'a DeadLetter, form: Form, attempts: Attempts, group_id: Option<String>) -> Self {
        let body = envelope::write(letter, form, attempts);
        let attributes = attributes(letter, form);
        let counted = attributes.iter().map(|(name, value)| name.len() + STRING.len() + value.len());
        Self {
            letter,
            form,
            bytes: body.len() + counted.sum::<usize>(),
            body,
            attributes,
            trace_header: letter.trace_header().filter(|header| is_trace_header(header)).map(str::to_owned),
            deduplication_id: group_id.is_some().then(|| letter.deduplication_id()),
            group_id,
        }
    }

    /// The message as an entry of a request.
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
    // SQS refuses a message with an empty attribute, or with characters in it that a body may not have either.
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

/// Whether SQS accepts the header. It refuses a message whose trace header is malformed, and then the letter goes without.
fn is_trace_header(header: &str) -> bool {
    header.starts_with("Root=1-") && header.len() <= 500 && header.bytes().all(|byte| byte.is_ascii_graphic())
}
