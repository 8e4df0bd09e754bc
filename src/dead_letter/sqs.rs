//! The dead-letter queue on Amazon SQS: splits the letters of a call into requests, and sends them. `Request::has_room_for` knows
//! SQS's limits.

mod endpoint;
mod link;
mod message;
mod outage;
mod request;
mod results;
mod retry;
mod send_error;
#[cfg(test)]
mod tests;
mod url;

use std::ffi::OsStr;
use std::fmt;
use std::sync::OnceLock;
use std::time::Duration;

use aws_sdk_sqs::Client;
use aws_sdk_sqs::config::SharedHttpClient;
use aws_sdk_sqs::config::retry::RetryConfig;
use tokio::sync::Mutex;
use tokio::time::Instant;

pub use self::url::QueueUrlError;

use self::endpoint::Endpoint;
use self::link::Link;
use self::message::Message;
use self::outage::Outage;
use self::request::Request;
use self::results::SendResults;
use self::send_error::SendError;
use self::url::QueueUrl;
use super::{DeadLetter, DeadLetterError, DeadLetterQueue};
use crate::aws::{Connection, FunctionCredentials, Variables, http_client, is_remote_http};
use crate::variables::DLQ_URL;

/// How long the queue's limit is relied on. It may be changed, and the permission to ask for it be granted.
const LIMIT_KEPT: Duration = Duration::from_secs(15 * 60);

/// A dead-letter queue on Amazon SQS, standard or FIFO.
///
/// Available with the feature `sqs`, which is enabled by default.
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
/// # Endpoint
/// Requests go to the host that the queue's URL names, and to no other: a public endpoint of SQS, an interface endpoint in a VPC,
/// or an emulator. `AWS_ENDPOINT_URL_SQS`, or `AWS_ENDPOINT_URL` if that is not set, names another endpoint, as for every SDK of AWS. It
/// replaces the URL's host, and the first letter logs this. `AWS_IGNORE_CONFIGURED_ENDPOINT_URLS=true` disables both. Plain HTTP
/// to another machine is logged as a warning.
///
/// Requests are signed for the region that the URL names (`sqs.REGION.…`, `….sqs.REGION.vpce.…`, `REGION.queue.…`). If it names
/// none, `AWS_REGION` does, and then `AWS_DEFAULT_REGION`.
///
/// # Size
/// The queue's `MaximumMessageSize` is read with the first letter, and then every 15 minutes. It limits the body and the attributes of a
/// message together, after encoding
/// ([AWS: message quotas](https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/quotas-messages.html)).
/// A letter that does not fit is compressed. One that still does not fit is not accepted, and the error says by how many
/// bytes it is too large.
///
/// # Permissions
/// The function's role needs `sqs:SendMessage`, and for a queue with a customer managed key `kms:GenerateDataKey` and `kms:Decrypt`.
/// Without `sqs:GetQueueAttributes`, it logs a warning and assumes a limit of 1 MiB. Letters that the queue then refuses as too long are
/// sent in smaller requests, and a single one compressed.
///
/// # Failures
/// A request that fails temporarily (no connection, no response within 5 s, throttling, an error of the service) is sent again, and so are
/// the entries of a batch that fail temporarily. There are at most 4 attempts in all, after random delays of up to 100, 200 and 400 ms:
/// exponential backoff with full jitter. Every other failure is final at once, with an error that says what to do about a missing queue,
/// key or permission.
///
/// If all 4 attempts of a request fail to reach the queue, this is remembered for 10 s. Other letters then fail at once, with that error,
/// and make no attempts. The same applies to a queue whose limit cannot be read.
/// Without a route to SQS, all letters of an invocation fail within about 13 s, the time that a single one takes.
///
/// # FIFO queues
/// If the queue's URL ends in `.fifo`, the letters of one item are sent in order, as one message group ([`DeadLetter::group_id`]). If a
/// letter is not accepted, the later ones of its item in the same call are not sent. Within five minutes, SQS drops repetitions with the
/// same `eventID`, so two functions must not share one FIFO queue.
///
/// # Client
/// [`from_env`](Self::from_env) and [`from_url`](Self::from_url) create their client with the first letter, so a function
/// without dead letters does not pay for it. The SDK's own retries are disabled, because the retries above replace them.
///
/// The client uses the credentials that Lambda gives the function:
///
/// - `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY` and `AWS_SESSION_TOKEN`, which are read for each request; or
/// - those of a local endpoint, as with SnapStart and on ECS. `AWS_CONTAINER_CREDENTIALS_FULL_URI` or
///   `AWS_CONTAINER_CREDENTIALS_RELATIVE_URI` names it, and `AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE` or
///   `AWS_CONTAINER_AUTHORIZATION_TOKEN` has its token. They are fetched again five minutes before they expire.
///
/// If SQS refuses the credentials (`ExpiredToken` and the like), they are read again and the request is repeated once. For profiles,
/// assumed roles and proxies, use [`with_client`](Self::with_client).
pub struct SqsDeadLetterQueue {
    url: QueueUrl,
    /// How errors name the queue: its URL, and the endpoint where that is another host.
    name: String,
    source: ClientSource,
    caller: OnceLock<Caller>,
    /// Locked while the queue is asked, so letters at the same time ask once.
    limit: Mutex<Option<Limit>>,
    outage: Outage,
}

enum ClientSource {
    Given(Client),
    /// The function's own; `http` is `None` if it calls the network.
    Function {
        endpoint: Endpoint,
        variables: Variables,
        http: Option<SharedHttpClient>,
    },
}

/// What is created with the first letter.
struct Caller {
    client: Client,
    /// `None` for a client that was given.
    credentials: Option<FunctionCredentials>,
}

/// The queue's `MaximumMessageSize`.
#[derive(Clone, Copy)]
struct Limit {
    bytes: usize,
    asked: Instant,
}

impl SqsDeadLetterQueue {
    /// The queue whose URL is in the environment variable `DLQ_URL`.
    ///
    /// [`StreamProcessor::builder_from_env`](crate::StreamProcessor::builder_from_env) calls it if the variable is set.
    ///
    /// ```no_run
    /// use lambda_streams::{Record, SqsDeadLetterQueue, StreamProcessor};
    ///
    /// let processor = StreamProcessor::builder()
    ///     .on_record(|_: Record| async { Ok(()) })
    ///     .dead_letter_queue(SqsDeadLetterQueue::from_env()?)
    ///     .build()?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// As [`from_url`](Self::from_url), and if the variable is not set.
    pub fn from_env() -> Result<Self, QueueUrlError> {
        Self::of_variable(&std::env::var_os(DLQ_URL).ok_or_else(|| QueueUrlError::unset(DLQ_URL))?)
    }

    /// The queue whose URL is this value of `DLQ_URL`.
    pub(crate) fn of_variable(value: &OsStr) -> Result<Self, QueueUrlError> {
        let url = value.to_str().ok_or_else(QueueUrlError::not_a_url).and_then(QueueUrl::parse);
        Self::of_function(url.map_err(|error| error.of_variable(DLQ_URL))?, Variables::of_process(), None)
    }

    /// The queue at this URL, as in `https://sqs.eu-central-1.amazonaws.com/123456789012/dead-letters`.
    ///
    /// # Errors
    /// If it is not the URL of a queue, if neither it nor the environment names a region, or if an environment variable names an
    /// endpoint that is not a URL.
    pub fn from_url(url: &str) -> Result<Self, QueueUrlError> {
        Self::of_function(QueueUrl::parse(url)?, Variables::of_process(), None)
    }

    /// The queue at this URL, called by your own client.
    ///
    /// The client's configuration is used as it is, its endpoint included. If the client retries by itself, the number of requests is its
    /// attempts times those of this queue.
    ///
    /// # Errors
    /// If the text is not the URL of a queue.
    pub fn with_client(client: Client, url: &str) -> Result<Self, QueueUrlError> {
        let url = QueueUrl::parse(url)?;
        let name = url.as_str().to_owned();
        Ok(Self::new(url, name, ClientSource::Given(client)))
    }

    fn of_function(url: QueueUrl, variables: Variables, http: Option<SharedHttpClient>) -> Result<Self, QueueUrlError> {
        let endpoint = Endpoint::of(&url, &variables)?;
        let name = match endpoint.variable {
            Some(variable) => format!("{} at {} (`{variable}`)", url.as_str(), endpoint.url),
            None => url.as_str().to_owned(),
        };
        Ok(Self::new(url, name, ClientSource::Function { endpoint, variables, http }))
    }

    fn new(url: QueueUrl, name: String, source: ClientSource) -> Self {
        Self { url, name, source, caller: OnceLock::new(), limit: Mutex::default(), outage: Outage::default() }
    }

    fn caller(&self) -> Caller {
        let (endpoint, variables, http) = match &self.source {
            ClientSource::Given(client) => return Caller { client: client.clone(), credentials: None },
            ClientSource::Function { endpoint, variables, http } => (endpoint, variables, http),
        };
        if let Some(variable) = endpoint.variable {
            let (queue_url, endpoint) = (self.url.as_str(), &endpoint.url);
            tracing::info!(queue_url, endpoint, variable, "dead letters go to the endpoint that the variable names");
        }
        if is_remote_http(&endpoint.url) {
            tracing::warn!(endpoint = endpoint.url, "dead letters leave this machine unencrypted: use https");
        }
        let http = http.clone().unwrap_or_else(|| http_client(Some(&endpoint.url), variables));
        let credentials = FunctionCredentials::new(variables.clone(), http.clone());
        let connection = Connection {
            region: &endpoint.region,
            endpoint: Some(&endpoint.url),
            // `Request` retries whole requests and single entries by one policy.
            retries: RetryConfig::disabled(),
            credentials: credentials.clone(),
            http,
        };
        Caller { client: Client::new(&connection.into_config()), credentials: Some(credentials) }
    }

    fn link(&self) -> Link<'_> {
        let Caller { client, credentials } = self.caller.get_or_init(|| self.caller());
        let (url, credentials) = (self.url.as_str(), credentials.as_ref());
        Link { client, url, queue: &self.name, outage: &self.outage, credentials }
    }

    /// The maximum size of a message in bytes: as known, or asked again. If the queue cannot be asked, all letters that wait for its
    /// answer fail at once.
    async fn limit(&self, link: &Link<'_>) -> Result<usize, SendError> {
        let mut known = self.limit.lock().await;
        if let Some(limit) = known.filter(|limit| limit.asked.elapsed() < LIMIT_KEPT) {
            return Ok(limit.bytes);
        }
        if let Some(error) = link.outage.recent() {
            return Err(error);
        }
        let bytes = match (link.ask_for_limit().await, &*known) {
            (Ok(bytes), _) => bytes,
            (Err(error), Some(limit)) if !error.is_outage() => {
                tracing::debug!(%error, "the queue's MaximumMessageSize can no longer be read");
                limit.bytes
            }
            (Err(error), _) => {
                link.outage.begin(&error);
                return Err(error);
            }
        };
        *known = Some(Limit { bytes, asked: Instant::now() });
        Ok(bytes)
    }

    /// Sends the letters in order, in requests as large as possible.
    async fn send_all(&self, letters: &[DeadLetter]) -> Result<Vec<Result<(), SendError>>, SendError> {
        let link = self.link();
        let limit = self.limit(&link).await?;
        let mut results = SendResults::new(letters.len());
        let mut request = Request::default();
        for (position, letter) in letters.iter().enumerate() {
            let group_id = self.url.is_fifo().then(|| letter.group_id());
            let message = match Message::new(letter, limit, group_id.clone()) {
                Ok(message) => message,
                Err(error) => {
                    results.refuse(position, group_id, error);
                    continue;
                }
            };
            if !request.has_room_for(&message) {
                std::mem::take(&mut request).send(&link, &mut results).await;
            }
            if results.is_blocked(group_id.as_deref()) {
                results.refuse(position, group_id, SendError::EarlierNotAccepted);
            } else {
                request.push(position, message);
            }
        }
        request.send(&link, &mut results).await;
        Ok(results.into_vec())
    }
}

impl DeadLetterQueue for SqsDeadLetterQueue {
    async fn send(&self, letters: &[DeadLetter]) -> Vec<Result<(), DeadLetterError>> {
        let results = self.send_all(letters).await;
        let results = results.unwrap_or_else(|error| letters.iter().map(|_| Err(error.clone())).collect());
        results.into_iter().map(|result| result.map_err(DeadLetterError::new)).collect()
    }
}

impl fmt::Debug for SqsDeadLetterQueue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SqsDeadLetterQueue").field("url", &self.url.as_str()).finish_non_exhaustive()
    }
}
