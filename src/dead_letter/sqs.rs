//! The dead-letter queue on Amazon SQS: splits the letters of a call into requests, and sends them. `Request::has_room_for` knows
//! SQS's limits.

mod client;
mod message;
mod request;
mod results;
mod retry;
mod send_error;
mod url;

use std::fmt;

use aws_sdk_sqs::Client;
use aws_sdk_sqs::types::QueueAttributeName;
use futures::TryFutureExt;
use tokio::sync::OnceCell;

pub use self::url::QueueUrlError;

use self::message::Message;
use self::request::{MAX_BYTES, Request};
use self::results::SendResults;
use self::send_error::SendError;
use self::url::QueueUrl;
use super::{DeadLetter, DeadLetterError, DeadLetterQueue};

/// The environment variable that holds the queue's URL.
const DLQ_URL: &str = "DLQ_URL";

/// A dead-letter queue on Amazon SQS, standard or FIFO.
///
/// Letters are sent by `SendMessageBatch`, in as few requests as their sizes allow: at most 10 letters and 1 MiB each. The body of a
/// message is the letter's [envelope](DeadLetter#the-envelope). Its message attributes, for filters and consoles, are
/// `errorKind`, `eventKind`, `table`, and `contentEncoding`, which is `gzip` where the record is compressed; those that the
/// record does not have are absent. The X-Ray trace header is sent as the system attribute `AWSTraceHeader`.
///
/// ```
/// use lambda_streams::SqsDeadLetterQueue;
///
/// let queue = SqsDeadLetterQueue::from_url("https://sqs.eu-central-1.amazonaws.com/123456789012/dead-letters")?;
/// # let _ = queue;
/// # Ok::<(), lambda_streams::QueueUrlError>(())
/// ```
///
/// # Size
/// With the first letter, the queue is asked once for its `MaximumMessageSize`. A message counts with its body and its
/// attributes, after encoding
/// ([AWS: message quotas](https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/quotas-messages.html)).
/// A letter that does not fit is compressed; one that still does not fit is not accepted, and the error says by how many
/// bytes it is too large. A function that may not call `sqs:GetQueueAttributes` logs a warning and assumes 1 MiB; what a queue
/// with a lower limit refuses is then an error like any other. The function's role always needs `sqs:SendMessage`, and for a
/// queue with a customer managed key `kms:GenerateDataKey` and `kms:Decrypt`.
///
/// # Failures
/// A request that fails for the moment (no connection, no response within 5 s, throttling, an error of the service) is sent
/// again, as are the entries of a batch that do: at most 4 attempts in all, after a random delay of up to 100, 200 and 400 ms,
/// which is exponential backoff with full jitter. Every other failure is final at once, with an error that says what to do
/// about a missing queue, key or permission.
///
/// # FIFO queues
/// To a queue whose URL ends in `.fifo`, the letters of one item are sent as one message group ([`DeadLetter::group_id`]), in
/// order: if a letter is not accepted, the later ones of its item in the same call are not sent. SQS drops repetitions within
/// five minutes by the record's `eventID`, so do not let two functions share one FIFO queue.
///
/// # Client
/// [`from_env`](Self::from_env) and [`from_url`](Self::from_url) create their client with the first letter, so that a function
/// without dead letters does not pay for it. Its region is that of the queue's URL, else `AWS_REGION`, else
/// `AWS_DEFAULT_REGION`; its credentials are `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY` and `AWS_SESSION_TOKEN`, which
/// Lambda sets. `AWS_ENDPOINT_URL_SQS`, else `AWS_ENDPOINT_URL`, replaces the endpoint. The SDK's own retries are disabled,
/// because the retries above replace them. For profiles, containers, proxies and FIPS endpoints, use
/// [`with_client`](Self::with_client).
pub struct SqsDeadLetterQueue {
    url: QueueUrl,
    given: Option<Client>,
    queue: OnceCell<Queue>,
}

/// What is created with the first letter.
struct Queue {
    client: Client,
    /// The maximum size of a message in bytes.
    limit: usize,
}

impl SqsDeadLetterQueue {
    /// The queue whose URL is in the environment variable `DLQ_URL`.
    ///
    /// # Errors
    /// If the variable is not set, or is not the URL of a queue.
    pub fn from_env() -> Result<Self, QueueUrlError> {
        match std::env::var(DLQ_URL) {
            Ok(url) => Ok(Self::new(QueueUrl::parse(&url).map_err(|error| error.of_variable(DLQ_URL))?, None)),
            Err(std::env::VarError::NotPresent) => Err(QueueUrlError::unset(DLQ_URL)),
            Err(std::env::VarError::NotUnicode(_)) => Err(QueueUrlError::not_a_url().of_variable(DLQ_URL)),
        }
    }

    /// The queue at this URL, as in `https://sqs.eu-central-1.amazonaws.com/123456789012/dead-letters`.
    ///
    /// # Errors
    /// If it is not the URL of a queue.
    pub fn from_url(url: &str) -> Result<Self, QueueUrlError> {
        Ok(Self::new(QueueUrl::parse(url)?, None))
    }

    /// The queue at this URL, called by a client of your own.
    ///
    /// The client's configuration is used as it is. If it has retries of its own, each attempt of this queue multiplies them.
    ///
    /// # Errors
    /// If it is not the URL of a queue.
    pub fn with_client(client: Client, url: &str) -> Result<Self, QueueUrlError> {
        Ok(Self::new(QueueUrl::parse(url)?, Some(client)))
    }

    fn new(url: QueueUrl, given: Option<Client>) -> Self {
        Self { url, given, queue: OnceCell::new() }
    }

    /// Creates the client and asks for the queue's limit, once; after a failure the next call tries again.
    async fn queue(&self) -> Result<&Queue, SendError> {
        self.queue
            .get_or_try_init(|| async {
                let client = match &self.given {
                    Some(client) => client.clone(),
                    None => client::from_env(&self.url)?,
                };
                let limit = self.limit(&client).await?;
                Ok(Queue { client, limit })
            })
            .await
    }

    async fn limit(&self, client: &Client) -> Result<usize, SendError> {
        let url = self.url.as_str();
        let name = QueueAttributeName::MaximumMessageSize;
        let request = || {
            let response = client.get_queue_attributes().queue_url(url).attribute_names(name.clone()).send();
            response.map_err(|error| SendError::of_request(&error, url))
        };
        match retry::retrying(request).await {
            Ok(response) => {
                let limit = response.attributes().and_then(|attributes| attributes.get(&name)?.parse().ok());
                Ok(limit.map_or(MAX_BYTES, |limit: usize| limit.min(MAX_BYTES)))
            }
            Err(error) if error.is_access_denied() => {
                tracing::warn!(
                    queue_url = url,
                    limit = MAX_BYTES,
                    "the function may not ask for the queue's MaximumMessageSize: grant sqs:GetQueueAttributes"
                );
                Ok(MAX_BYTES)
            }
            Err(error) => Err(error),
        }
    }

    /// Sends the letters in order, in requests as large as possible.
    async fn send_all(&self, queue: &Queue, letters: &[DeadLetter]) -> Vec<Result<(), SendError>> {
        let mut results = SendResults::new(letters.len());
        let mut request = Request::default();
        for (position, letter) in letters.iter().enumerate() {
            let group_id = self.url.is_fifo().then(|| letter.group_id());
            let message = match Message::new(letter, queue.limit, group_id.clone()) {
                Ok(message) => message,
                Err(error) => {
                    results.refuse(position, group_id, error);
                    continue;
                }
            };
            if !request.has_room_for(&message) {
                std::mem::take(&mut request).send(&queue.client, &self.url, &mut results).await;
            }
            if results.is_blocked(group_id.as_deref()) {
                results.refuse(position, group_id, SendError::EarlierNotAccepted);
            } else {
                request.push(position, message);
            }
        }
        request.send(&queue.client, &self.url, &mut results).await;
        results.into_vec()
    }
}

impl DeadLetterQueue for SqsDeadLetterQueue {
    async fn send(&self, letters: &[DeadLetter]) -> Vec<Result<(), DeadLetterError>> {
        let results = match self.queue().await {
            Ok(queue) => self.send_all(queue, letters).await,
            Err(error) => letters.iter().map(|_| Err(error.clone())).collect(),
        };
        results.into_iter().map(|result| result.map_err(DeadLetterError::new)).collect()
    }
}

impl fmt::Debug for SqsDeadLetterQueue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SqsDeadLetterQueue").field("url", &self.url.as_str()).finish_non_exhaustive()
    }
}
