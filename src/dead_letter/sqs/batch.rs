//! One `SendMessageBatch` request: what it takes, its attempts, and its answer taken apart.

use std::collections::HashSet;
use std::time::Duration;

use aws_sdk_sqs::Client;

use super::fault::Fault;
use super::message::Message;
use super::url::QueueUrl;

/// The most bytes that SQS takes, in one message and in one request.
pub(super) const MAX_MESSAGE: usize = 1024 * 1024;
/// The most entries of one request.
const MAX_ENTRIES: usize = 10;
/// How often a message is sent, the first time included.
const ATTEMPTS: u32 = 4;
/// The longest delay before the second attempt; it doubles with each further one.
const DELAY: Duration = Duration::from_millis(100);

/// The messages of the next request, each with its letter's position in the call.
#[derive(Default)]
pub(super) struct Batch {
    messages: Vec<(usize, Message)>,
    size: usize,
    /// FIFO groups of letters of this call that were not accepted.
    blocked: HashSet<String>,
}

impl Batch {
    /// Whether the message still fits. Letters of one FIFO group never share a request, in which the first could fail
    /// and the second succeed.
    pub(super) fn takes(&self, message: &Message) -> bool {
        let same_group = |other: &Message| other.group_id.is_some() && other.group_id == message.group_id;
        self.messages.len() < MAX_ENTRIES
            && self.size + message.size <= MAX_MESSAGE
            && !self.messages.iter().any(|(_, other)| same_group(other))
    }

    pub(super) fn push(&mut self, position: usize, message: Message) {
        self.size += message.size;
        self.messages.push((position, message));
    }

    /// Keeps what follows in this FIFO group from overtaking a letter that was not accepted.
    pub(super) fn block(&mut self, group_id: Option<String>) {
        self.blocked.extend(group_id);
    }

    pub(super) fn is_blocked(&self, message: &Message) -> bool {
        message.group_id.as_ref().is_some_and(|group| self.blocked.contains(group))
    }

    /// Sends what is there, again as long as that may help, and writes down every refusal.
    pub(super) async fn send(&mut self, client: &Client, url: &QueueUrl, answers: &mut [Result<(), Fault>]) {
        let mut pending = std::mem::take(&mut self.messages);
        self.size = 0;
        let mut attempt = 1;
        while !pending.is_empty() {
            let faults = request(client, url, &pending).await;
            let mut again = Vec::new();
            for ((position, message), fault) in pending.into_iter().zip(faults) {
                match fault {
                    None => {}
                    Some(fault) if fault.is_transient() && attempt < ATTEMPTS => again.push((position, message)),
                    Some(fault) => {
                        self.block(message.group_id);
                        answers[position] = Err(fault);
                    }
                }
            }
            pending = again;
            if !pending.is_empty() {
                tracing::debug!(attempt, letters = pending.len(), "the queue did not accept all dead letters yet");
                backoff(attempt).await;
                attempt += 1;
            }
        }
    }
}

/// Sends one request; says for each message, in their order, why it was not accepted.
async fn request(client: &Client, url: &QueueUrl, messages: &[(usize, Message)]) -> Vec<Option<Fault>> {
    let url = url.as_str();
    let entries: Result<Vec<_>, _> = messages.iter().enumerate().map(|(id, (_, message))| message.entry(id)).collect();
    let answer = match entries {
        Ok(entries) => client.send_message_batch().queue_url(url).set_entries(Some(entries)).send().await,
        Err(error) => Err(error.into()),
    };
    let answer = match answer {
        Ok(answer) => answer,
        Err(error) => return vec![Some(Fault::of_request(&error, url)); messages.len()],
    };
    let judge = |id: usize| {
        let id = id.to_string();
        if let Some(entry) = answer.failed().iter().find(|entry| entry.id() == id) {
            return Some(Fault::of_entry(entry, url));
        }
        let accepted = answer.successful().iter().any(|entry| entry.id() == id);
        (!accepted).then(|| Fault::Missing { url: url.to_owned() })
    };
    (0..messages.len()).map(judge).collect()
}

/// Calls until it succeeds, fails for good, or has used its attempts.
pub(super) async fn retrying<T, F>(mut call: impl FnMut() -> F) -> Result<T, Fault>
where
    F: Future<Output = Result<T, Fault>>,
{
    let mut attempt = 1;
    loop {
        match call().await {
            Err(fault) if fault.is_transient() && attempt < ATTEMPTS => {
                backoff(attempt).await;
                attempt += 1;
            }
            answer => return answer,
        }
    }
}

/// Exponential backoff with full jitter.
async fn backoff(attempt: u32) {
    let most = DELAY * 2u32.pow(attempt - 1);
    tokio::time::sleep(most.mul_f64(fastrand::f64())).await;
}
