//! One `SendMessageBatch` request: says whether a message still fits SQS's limits, sends the messages, and sends those again that
//! failed for the moment.

use aws_sdk_sqs::Client;

use super::message::Message;
use super::results::SendResults;
use super::retry;
use super::send_error::SendError;
use super::url::QueueUrl;

/// The most bytes that SQS accepts in one request, and in one message.
pub(super) const MAX_BYTES: usize = 1024 * 1024;
/// The most messages that SQS accepts in one request.
const MAX_MESSAGES: usize = 10;

/// Messages for one request, each with its letter's position in the call.
#[derive(Default)]
pub(super) struct Request {
    messages: Vec<(usize, Message)>,
    bytes: usize,
}

impl Request {
    /// Whether the message can be added. Messages of one FIFO group never share a request, because the first could fail and the
    /// second succeed.
    pub(super) fn has_room_for(&self, message: &Message) -> bool {
        let is_same_group = |other: &Message| other.group_id.is_some() && other.group_id == message.group_id;
        self.messages.len() < MAX_MESSAGES
            && self.bytes + message.bytes <= MAX_BYTES
            && !self.messages.iter().any(|(_, other)| is_same_group(other))
    }

    pub(super) fn push(&mut self, position: usize, message: Message) {
        self.bytes += message.bytes;
        self.messages.push((position, message));
    }

    /// Sends the messages until each is accepted or refused for good.
    pub(super) async fn send(self, client: &Client, url: &QueueUrl, results: &mut SendResults) {
        let mut pending = self.messages;
        let mut attempt = 1;
        while !pending.is_empty() {
            let errors = send_once(client, url, &pending).await;
            let mut again = Vec::new();
            for ((position, message), error) in pending.into_iter().zip(errors) {
                match error {
                    None => {}
                    Some(error) if retry::may_help(&error, attempt) => again.push((position, message)),
                    Some(error) => results.refuse(position, message.group_id, error),
                }
            }
            pending = again;
            if !pending.is_empty() {
                tracing::debug!(attempt, letters = pending.len(), "the queue did not accept all dead letters yet");
                retry::backoff(attempt).await;
                attempt += 1;
            }
        }
    }
}

/// Sends one request; returns for each message, in order, why it was not accepted.
async fn send_once(client: &Client, url: &QueueUrl, messages: &[(usize, Message)]) -> Vec<Option<SendError>> {
    let url = url.as_str();
    let entries: Result<Vec<_>, _> = messages.iter().enumerate().map(|(id, (_, message))| message.entry(id)).collect();
    let response = match entries {
        Ok(entries) => client.send_message_batch().queue_url(url).set_entries(Some(entries)).send().await,
        Err(error) => Err(error.into()),
    };
    let response = match response {
        Ok(response) => response,
        Err(error) => return vec![Some(SendError::of_request(&error, url)); messages.len()],
    };
    let error_of = |id: usize| {
        let id = id.to_string();
        if let Some(entry) = response.failed().iter().find(|entry| entry.id() == id) {
            return Some(SendError::of_entry(entry, url));
        }
        let is_accepted = response.successful().iter().any(|entry| entry.id() == id);
        (!is_accepted).then(|| SendError::NotInResponse { url: url.to_owned() })
    };
    (0..messages.len()).map(error_of).collect()
}
