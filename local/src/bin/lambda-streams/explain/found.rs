//! Finds dead letters and on-failure documents, also inside of SQS messages and events.

use lambda_streams::DeadLetter;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::on_failure::Document;

#[derive(Debug)]
pub(super) enum Found {
    DeadLetter(Box<DeadLetter>),
    OnFailure(Box<Document>),
}

/// The members that give a wrapping away.
#[derive(Deserialize)]
struct Clues<'a> {
    /// What `aws sqs receive-message` prints.
    #[serde(borrow, rename = "Messages")]
    messages: Option<&'a RawValue>,
    /// An SQS event, or the payload of an on-failure document.
    #[serde(borrow, rename = "Records")]
    records: Option<&'a RawValue>,
    /// An SNS notification.
    #[serde(rename = "Message")]
    message: Option<String>,
    #[serde(borrow, rename = "requestContext")]
    request_context: Option<&'a RawValue>,
    #[serde(borrow, rename = "DDBStreamBatchInfo")]
    batch: Option<&'a RawValue>,
    #[serde(borrow, rename = "errorKind")]
    error_kind: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Message {
    #[serde(alias = "Body")]
    body: String,
}

/// Reads one document or many, one after the other.
pub(super) fn find(name: &str, text: &str) -> Result<Vec<Found>, String> {
    let values = serde_json::Deserializer::from_str(text).into_iter::<&RawValue>();
    let values = values.collect::<Result<Vec<_>, _>>().map_err(|error| format!("{name} is not valid JSON: {error}"))?;
    let mut all = Vec::new();
    for value in values {
        read(value.get(), &mut all).map_err(|why| match why.is_empty() {
            true => format!(
                "{name} has neither a dead letter of lambda-streams nor an on-failure document of a DynamoDB event source \
                 mapping"
            ),
            false => format!("{name}: {why}"),
        })?;
    }
    if all.is_empty() { Err(format!("{name} has no document")) } else { Ok(all) }
}

/// Reads one value; an empty reason means that it is nothing of the kind.
fn read(json: &str, all: &mut Vec<Found>) -> Result<(), String> {
    // The body of a message, as it was copied.
    if json.starts_with('"') {
        let inner: String = serde_json::from_str(json).map_err(|_| String::new())?;
        return read(inner.trim(), all);
    }
    let clues = serde_json::from_str::<Clues<'_>>(json).map_err(|_| String::new())?;
    if clues.batch.is_some() && clues.request_context.is_some() {
        let document =
            serde_json::from_str(json).map_err(|error| format!("the on-failure document cannot be read: {error}"))?;
        all.push(Found::OnFailure(document));
        return Ok(());
    }
    if clues.error_kind.is_some() {
        let letter = DeadLetter::from_json(json).map_err(|error| error.to_string())?;
        all.push(Found::DeadLetter(Box::new(letter)));
        return Ok(());
    }
    if let Some(message) = clues.message {
        return read(&message, all);
    }
    let messages = clues.messages.or(clues.records).ok_or_else(String::new)?;
    let messages: Vec<Message> = serde_json::from_str(messages.get()).map_err(|_| String::new())?;
    messages.iter().try_for_each(|message| read(&message.body, all))
}
