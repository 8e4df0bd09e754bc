//! One `SendMessageBatch` request: says whether a message still fits SQS's limits, sends the messages, and sends those again that
//! failed temporarily.

use super::link::Link;
use super::message::Message;
use super::results::SendResults;
use super::retry::Attempts;
use super::send_error::SendError;

/// The most bytes that SQS accepts in one request, and in one message.
pub(super) const MAX_BYTES: usize = 1024 * 1024;
/// The most messages that SQS accepts in one request.
const MAX_MESSAGES: usize = 10;

/// Messages, each with its letter's position in the call.
type Messages<'a> = Vec<(usize, Message<'a>)>;

/// Messages for one request.
#[derive(Default)]
pub(super) struct Request<'a> {
    messages: Messages<'a>,
    bytes: usize,
}

impl<'a> Request<'a> {
    /// Whether the message can be added. Messages of one FIFO group never share a request, because the first could fail and the
    /// second succeed.
    pub(super) fn has_room_for(&self, message: &Message<'_>) -> bool {
        let is_same_group = |other: &Message<'_>| other.group_id.is_some() && other.group_id == message.group_id;
        self.messages.len() < MAX_MESSAGES
            && self.bytes + message.bytes <= MAX_BYTES
            && !self.messages.iter().any(|(_, other)| is_same_group(other))
    }

    pub(super) fn push(&mut self, position: usize, message: Message<'a>) {
        self.bytes += message.bytes;
        self.messages.push((position, message));
    }

    /// Sends the messages until each is accepted or refused for good. Those that the queue finds too long are sent again in halves,
    /// and a single one compressed: not every server of SQS's API accepts as much as SQS.
    pub(super) async fn send(self, link: &Link<'_>, results: &mut SendResults) {
        let mut parts = vec![self.messages];
        while let Some(part) = parts.pop() {
            let mut too_long = send_part(part, link, results).await;
            if too_long.messages.len() > 1 {
                let second = too_long.messages.split_off(too_long.messages.len() / 2);
                parts.extend([second, too_long.messages]);
            } else if let Some((position, message)) = too_long.messages.pop() {
                match message.compressed() {
                    Some(compressed) => parts.push(vec![(position, compressed)]),
                    None => {
                        let error = message.too_large(too_long.limit);
                        results.refuse(position, message.group_id, error);
                    }
                }
            }
        }
    }
}

/// The messages of a request that are too long together, or each by itself.
#[derive(Default)]
struct TooLong<'a> {
    messages: Messages<'a>,
    /// The limit, if the queue has named it.
    limit: Option<usize>,
}

/// Sends one request, and sends again what failed temporarily; returns what is too long.
async fn send_part<'a>(part: Messages<'a>, link: &Link<'_>, results: &mut SendResults) -> TooLong<'a> {
    let mut pending = part;
    let mut too_long = TooLong::default();
    let mut attempts = Attempts::default();
    while !pending.is_empty() {
        if let Some(error) = link.outage.recent() {
            for (position, message) in pending {
                results.refuse(position, message.group_id, error.clone());
            }
            return too_long;
        }
        let errors = send_once(link, &pending).await;
        attempts.note();
        let is_renewed = link.observe(&attempts, errors.iter().flatten());
        let mut again = Vec::new();
        for ((position, message), error) in pending.into_iter().zip(errors) {
            match error {
                None => {}
                Some(error) if attempts.may_help(&error) => again.push((position, message)),
                Some(error) if error.is_too_long() => {
                    too_long.limit = error.named_limit();
                    too_long.messages.push((position, message));
                }
                Some(error) => results.refuse(position, message.group_id, error),
            }
        }
        pending = again;
        if !pending.is_empty() {
            let attempt = attempts.failed;
            tracing::debug!(attempt, letters = pending.len(), "the queue did not accept all dead letters yet");
            attempts.backoff(is_renewed).await;
        }
    }
    too_long
}

/// Sends one request; returns for each message, in order, why it was not accepted.
async fn send_once(link: &Link<'_>, messages: &Messages<'_>) -> Vec<Option<SendError>> {
    let entries: Result<Vec<_>, _> = messages.iter().enumerate().map(|(id, (_, message))| message.entry(id)).collect();
    let response = match entries {
        Ok(entries) => link.client.send_message_batch().queue_url(link.url).set_entries(Some(entries)).send().await,
        Err(error) => Err(error.into()),
    };
    let response = match response {
        Ok(response) => response,
        Err(error) => return vec![Some(SendError::of_request(&error, link.queue)); messages.len()],
    };
    let error_of = |id: usize| {
        let id = id.to_string();
        if let Some(entry) = response.failed().iter().find(|entry| entry.id() == id) {
            return Some(SendError::of_entry(entry, link.queue));
        }
        let is_accepted = response.successful().iter().any(|entry| entry.id() == id);
        (!is_accepted).then(|| SendError::NotInResponse { queue: link.queue.to_owned() })
    };
    (0..messages.len()).map(error_of).collect()
}
