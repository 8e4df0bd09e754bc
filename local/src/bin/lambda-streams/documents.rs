//! Finds dead letters and on-failure documents in any text: files of them, queues' messages, topics' notifications.
//!
//! Invariant: nothing that a text has is passed over in silence. What is neither is `Found::Unknown`.

mod on_failure;

use lambda_streams::DeadLetter;
use serde::Deserialize;
use serde_json::value::RawValue;

pub(crate) use self::on_failure::{Document, LastResponse};

/// How deep documents may be wrapped: in a notification, in a message, in an event, each as a text.
const MAX_DEPTH: usize = 12;
const NEITHER: &str =
    "neither a dead letter of lambda-streams nor an on-failure document of a DynamoDB stream's event source mapping";

/// What was found, and in what.
#[derive(Debug)]
pub(crate) struct Found {
    /// The message of a queue that it was in.
    pub(crate) message: Option<Wrapping>,
    pub(crate) what: What,
}

/// A queue's message.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Wrapping {
    pub(crate) id: Option<String>,
    /// The queue's ARN, which events have and `aws sqs receive-message` does not tell.
    pub(crate) queue: Option<String>,
}

#[derive(Debug)]
pub(crate) enum What {
    DeadLetter {
        letter: Box<DeadLetter>,
        /// The envelope as it was read.
        json: String,
    },
    OnFailure(Box<Document>),
    /// Neither, for this reason.
    Unknown(String),
}

/// Reads all documents of a text, one after the other; the lines after a torn one are read too.
pub(crate) fn find(text: &str) -> Vec<Found> {
    let mut found = Vec::new();
    let mut rest = text.trim_start_matches('\u{FEFF}');
    let mut line = 1;
    let mut is_torn = false;
    loop {
        let trimmed = rest.trim_start();
        line += newlines(&rest[..rest.len() - trimmed.len()]);
        rest = trimmed;
        if rest.is_empty() {
            return found;
        }
        let mut values = serde_json::Deserializer::from_str(rest).into_iter::<&RawValue>();
        let end = match values.next() {
            Some(Ok(value)) => {
                is_torn = false;
                read(value.get(), None, 0, &mut found);
                values.byte_offset()
            }
            error => {
                if !std::mem::replace(&mut is_torn, true) {
                    let reason = torn(line, error.and_then(Result::err).as_ref());
                    found.push(Found { message: None, what: What::Unknown(reason) });
                }
                next_start(rest)
            }
        };
        line += newlines(&rest[..end]);
        rest = &rest[end..];
    }
}

/// What is wrong with a document that begins at this line.
fn torn(line: usize, error: Option<&serde_json::Error>) -> String {
    let at = error.map_or(line, |error| line - 1 + error.line().max(1));
    match error {
        Some(error) if error.is_eof() => format!("it ends in the middle of a document, which begins at line {line}"),
        _ if at == line => format!("not valid JSON at line {line}"),
        _ => format!("not valid JSON: a document begins at line {line}, and the error is at line {at}"),
    }
}

fn newlines(text: &str) -> usize {
    text.bytes().filter(|byte| *byte == b'\n').count()
}

/// Where the next line begins that may be a document.
fn next_start(text: &str) -> usize {
    let starts = text.match_indices('\n').map(|(newline, _)| newline + 1);
    starts.into_iter().find(|start| text[*start..].starts_with(['{', '['])).unwrap_or(text.len())
}

/// The members that give a wrapping away.
#[derive(Deserialize)]
struct Clues<'a> {
    /// What `aws sqs receive-message` prints.
    #[serde(borrow, rename = "Messages")]
    messages: Option<&'a RawValue>,
    /// An SQS or SNS event, or the payload of an on-failure document.
    #[serde(borrow, rename = "Records")]
    records: Option<&'a RawValue>,
    /// One message of a queue.
    #[serde(borrow, rename = "Body", alias = "body")]
    body: Option<&'a RawValue>,
    #[serde(borrow, rename = "MessageId", alias = "messageId")]
    message_id: Option<&'a RawValue>,
    #[serde(borrow, rename = "eventSourceARN")]
    queue: Option<&'a RawValue>,
    /// An SNS notification, and one in an event.
    #[serde(borrow, rename = "Message")]
    notification: Option<&'a RawValue>,
    #[serde(borrow, rename = "Sns")]
    sns: Option<&'a RawValue>,
    /// An event source mapping's, with the function, and a pipe's, with the pipe.
    #[serde(borrow, rename = "requestContext", alias = "context")]
    context: Option<&'a RawValue>,
    #[serde(borrow, rename = "DDBStreamBatchInfo")]
    batch: Option<&'a RawValue>,
    /// An asynchronous invocation's, with the event.
    #[serde(borrow, rename = "requestPayload")]
    request_payload: Option<&'a RawValue>,
    #[serde(borrow, rename = "errorKind")]
    error_kind: Option<&'a RawValue>,
}

fn read(json: &str, message: Option<&Wrapping>, depth: usize, all: &mut Vec<Found>) {
    let mut add = |what: What| all.push(Found { message: message.cloned(), what });
    if depth > MAX_DEPTH {
        return add(What::Unknown(format!("{NEITHER}: it is nested more than {MAX_DEPTH} times")));
    }
    let json = json.trim_start_matches('\u{FEFF}').trim();
    if json.starts_with('"') {
        // The body of a message, as it was copied.
        return match serde_json::from_str::<String>(json) {
            Ok(inner) => read(&inner, message, depth + 1, all),
            Err(_) => add(What::Unknown(NEITHER.to_owned())),
        };
    }
    if json.starts_with('[') {
        return match serde_json::from_str::<Vec<&RawValue>>(json) {
            Ok(values) => values.iter().for_each(|value| read(value.get(), message, depth + 1, all)),
            Err(_) => add(What::Unknown(NEITHER.to_owned())),
        };
    }
    let Ok(clues) = serde_json::from_str::<Clues<'_>>(json) else { return add(What::Unknown(NEITHER.to_owned())) };
    if clues.error_kind.is_some() {
        return add(match DeadLetter::from_json(json) {
            Ok(letter) => What::DeadLetter { letter: Box::new(letter), json: json.to_owned() },
            Err(error) => What::Unknown(error.to_string()),
        });
    }
    if clues.context.is_some() && (clues.batch.is_some() || is_of_stream(clues.request_payload.map(RawValue::get))) {
        return add(match Document::read(json) {
            Ok(document) => What::OnFailure(Box::new(document)),
            Err(reason) => What::Unknown(reason),
        });
    }
    if let Some(body) = clues.body {
        let text = |value: Option<&RawValue>| value.and_then(|value| serde_json::from_str(value.get()).ok());
        let message = Wrapping { id: text(clues.message_id), queue: text(clues.queue) };
        return read(body.get(), Some(&message), depth + 1, all);
    }
    let inner = [clues.notification, clues.sns, clues.messages, clues.request_payload];
    if let Some(inner) = inner.into_iter().flatten().next() {
        return read(inner.get(), message, depth + 1, all);
    }
    match clues.records {
        Some(records) if is_of_stream(Some(json)) || !records.get().starts_with('[') => {
            add(What::Unknown(format!("{NEITHER}: it is a stream event, which `lambda-streams run --events` reads")));
        }
        Some(records) => read(records.get(), message, depth + 1, all),
        None => add(What::Unknown(NEITHER.to_owned())),
    }
}

/// Whether it is the event of a stream's invocation, as text or as it is.
fn is_of_stream(event: Option<&str>) -> bool {
    let Some(event) = event else { return false };
    let event = lambda_streams_local::event_in(event);
    event.is_ok_and(|event| {
        lambda_streams::PayloadKind::of(event.as_bytes()) == lambda_streams::PayloadKind::DynamoDbStream
    })
}

#[cfg(test)]
mod tests;
