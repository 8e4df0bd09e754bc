//! Dead letters on Amazon SQS.

mod batch;
mod client;
mod fault;
mod message;
mod url;

use std::fmt;

use aws_sdk_sqs::Client;
use aws_sdk_sqs::types::QueueAttributeName;
use futures::TryFutureExt;
use tokio::sync::OnceCell;

pub use self::url::QueueUrlError;

use self::batch::{Batch, MAX_MESSAGE};
use self::fault::Fault;
use self::message::Message;
use self::url::QueueUrl;
use super::{DeadLetter, DeadLetterError, DeadLetterQueue};

/// The environment variable that holds the queue's URL.
const DLQ_URL: &str = "DLQ_URL";

/// A dead-letter queue on Amazon SQS, standard or FIFO.
///
/// Letters go out as `SendMessageBatch` requests: the letters of one [`send`](DeadLetterQueue::send) share as many as
/// their sizes need, at most 10 letters and 1 MiB each. The body of a message is the letter's
/// [envelope](DeadLetter#the-envelope). Its message attributes, for filters and consoles, are `errorKind`, `eventKind`,
/// `table`, and `contentEncoding`, which is `gzip` where the record is compressed; what the record does not say is
/// absent. The X-Ray trace header goes along as the system attribute `AWSTraceHeader`.
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
/// The first letter asks for the queue's `MaximumMessageSize`, which is remembered. A message counts its body and its
/// attributes, after encoding
/// ([AWS: message quotas](https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/quotas-messages.html)).
/// A letter that does not fit is compressed; one that still does not fit is not accepted, and the error says by how many
/// bytes. A function that may not call `sqs:GetQueueAttributes` logs a warning, and 1 MiB is taken for granted: what a
/// smaller queue refuses is then an error of its own. Its role needs `sqs:SendMessage` in any case, and for a queue with
/// a customer managed key `kms:GenerateDataKey` and `kms:Decrypt`.
///
/// # Failures
/// A request that fails for the moment (no connection, no answer within 5 s, throttling, a fault of the service) and the
/// entries of a batch that do are sent again, at most 4 times in all, after a random delay of up to 100, 200 and 400 ms:
/// exponential backoff with full jitter. Everything else is not accepted at once, with an error that says what to do
/// about a queue, key or permission that is missing.
///
/// # FIFO queues
/// A queue whose URL ends in `.fifo` gets the letters of one item as one message group ([`DeadLetter::group_id`]), in
/// their order: a letter is not sent while an earlier one of its item in the same call was not accepted. Repetitions
/// within five minutes are dropped by the record's `eventID`, so let no two functions share one FIFO queue.
///
/// # Client
/// [`from_env`](Self::from_env) and [`from_url`](Self::from_url) create their client with the first letter: a function
/// without dead letters does not pay for it. Its region is that of the queue's URL, else `AWS_REGION`, else
/// `AWS_DEFAULT_REGION`; its credentials are `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY` and `AWS_SESSION_TOKEN`, which
/// Lambda sets. `AWS_ENDPOINT_URL_SQS`, else `AWS_ENDPOINT_URL`, replaces the endpoint. The SDK's own retries are off,
/// because the ones above take their place. Profiles, containers, proxies, FIPS endpoints:
/// [`with_client`](Self::with_client).
pub struct SqsDeadLetterQueue {
    url: QueueUrl,
    given: Option<Client>,
    queue: OnceCell<Queue>,
}

/// What the first letter finds out.
struct Queue {
    client: Client,
    /// The most bytes of one message.
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

    /// The queue at this URL, by a client of your own.
    ///
    /// Its configuration is used as it is; retries of its own come below those of this queue, so that both multiply.
    ///
    /// # Errors
    /// If it is not the URL of a queue.
    pub fn with_client(client: Client, url: &str) -> Result<Self, QueueUrlError> {
        Ok(Self::new(QueueUrl::parse(url)?, Some(client)))
    }

    fn new(url: QueueUrl, given: Option<Client>) -> Self {
        Self { url, given, queue: OnceCell::new() }
    }

    /// The client and the queue's limit, found out once; a failure is not remembered.
    async fn queue(&self) -> Result<&Queue, Fault> {
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

    async fn limit(&self, client: &Client) -> Result<usize, Fault> {
        let url = self.url.as_str();
        let name = QueueAttributeName::MaximumMessageSize;
        let request = || {
            let answer = client.get_queue_attributes().queue_url(url).attribute_names(name.clone()).send();
            answer.map_err(|error| Fault::of_request(&error, url))
        };
        match batch::retrying(request).await {
            Ok(answer) => {
                let limit = answer.attributes().and_then(|attributes| attributes.get(&name)?.parse().ok());
                Ok(limit.map_or(MAX_MESSAGE, |limit: usize| limit.min(MAX_MESSAGE)))
            }
            Err(fault) if fault.is_access_denied() => {
                tracing::warn!(
                    queue_url = url,
                    limit = MAX_MESSAGE,
                    "the function may not ask for the queue's MaximumMessageSize: grant sqs:GetQueueAttributes"
                );
                Ok(MAX_MESSAGE)
            }
            Err(fault) => Err(fault),
        }
    }

    /// Sends the letters in their order, in batches as large as may be.
    async fn send_all(&self, queue: &Queue, letters: &[DeadLetter]) -> Vec<Result<(), Fault>> {
        let mut answers: Vec<Result<(), Fault>> = letters.iter().map(|_| Ok(())).collect();
        let mut batch = Batch::default();
        for (position, letter) in letters.iter().enumerate() {
            let message = match Message::new(letter, queue.limit, self.url.is_fifo()) {
                Ok(message) => message,
                Err(fault) => {
                    answers[position] = Err(fault);
                    batch.block(self.url.is_fifo().then(|| letter.group_id()));
                    continue;
                }
            };
            if !batch.takes(&message) {
                batch.send(&queue.client, &self.url, &mut answers).await;
            }
            if batch.is_blocked(&message) {
                answers[position] = Err(Fault::Behind);
            } else {
                batch.push(position, message);
            }
        }
        batch.send(&queue.client, &self.url, &mut answers).await;
        answers
    }
}

impl DeadLetterQueue for SqsDeadLetterQueue {
    async fn send(&self, letters: &[DeadLetter]) -> Vec<Result<(), DeadLetterError>> {
        let answers = match self.queue().await {
            Ok(queue) => self.send_all(queue, letters).await,
            Err(fault) => letters.iter().map(|_| Err(fault.clone())).collect(),
        };
        answers.into_iter().map(|answer| answer.map_err(DeadLetterError::new)).collect()
    }
}

impl fmt::Debug for SqsDeadLetterQueue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SqsDeadLetterQueue").field("url", &self.url.as_str()).finish_non_exhaustive()
    }
}
