//! Bulk handlers: one call for many records, for sinks that take many at once.

use std::fmt;
use std::future::Future;
use std::marker::PhantomData;
use std::pin::Pin;
use std::time::Duration;

use super::HandlerError;
use crate::change::FromRecord;
use crate::decode::DecodeError;
use crate::record::Record;

/// How many records a bulk has at most, unless [`Bulk::max_records`] says otherwise.
const DEFAULT_MAX_RECORDS: usize = 100;

/// Makes a bulk handler from a function that takes many changes at once.
///
/// It goes where a handler goes, and serves sinks that take many records in one request: OpenSearch's `_bulk`, `PutEvents`,
/// `SendMessageBatch`, `PutRecords`, an upsert of many rows. The function takes `Vec<Insert<T>>`, `Vec<Modify<T>>`, `Vec<Remove<T>>`,
/// `Vec<Change<T>>` or `Vec<Record>`, which is never empty, and returns one of:
///
/// | type | meaning |
/// |---|---|
/// | `Vec<Result<(), HandlerError>>` | one answer for each change, in their order |
/// | [`BulkFailures`] | the failures alone, by position in the bulk; all others succeeded |
/// | `Result<(), HandlerError>` | all succeeded, or the bulk failed as a whole |
/// | `Result<Vec<Result<(), HandlerError>>, HandlerError>`, `Result<BulkFailures, HandlerError>` | both: `?` fails the bulk as a whole |
///
/// ```
/// use lambda_streams::{BulkFailures, Change, HandlerError, StreamProcessor, bulk};
/// # #[derive(serde::Deserialize)]
/// # struct Order { id: String }
/// # struct Item { status: u16 }
/// # async fn send(changes: &[Change<Order>]) -> Result<Vec<Item>, std::io::Error> { Ok(Vec::new()) }
///
/// async fn index(changes: Vec<Change<Order>>) -> Result<BulkFailures, HandlerError> {
///     let mut failures = BulkFailures::new();
///     // A request that fails as a whole is retried as a whole.
///     for (position, item) in send(&changes).await?.into_iter().enumerate() {
///         match item.status {
///             200..=299 => {}
///             400 => failures.push(position, HandlerError::permanent("the index refuses the document")),
///             status => failures.push(position, HandlerError::retryable(format!("status {status}"))),
///         }
///     }
///     Ok(failures)
/// }
///
/// let processor = StreamProcessor::builder().on_change(bulk(index).max_records(500)).build()?;
/// # Ok::<(), lambda_streams::Error>(())
/// ```
///
/// # Which records make a bulk
/// A bulk is filled when it starts, with those records of its handler that are ready, at the lowest positions of the batch first and up to
/// its limits. The payload is read further until the bulk is full or the payload ends. There is no timer: once no other record can become
/// ready before something else finishes, the bulk starts with the records that it has. Near the deadline, it starts once decoding has taken
/// as long as the time that is left.
/// A record that does not decode fails alone and enters no bulk.
///
/// A bulk has at most one record of each lane, so the order of an item holds whatever the sink does; see
/// [`within_lane`](Bulk::within_lane) and [`latest_only`](Bulk::latest_only). It takes one permit of the
/// [concurrency limit](crate::ProcessorBuilder::concurrency).
///
/// # What happens to a bulk that fails
/// Each record keeps its own attempts, failure and dead letter. Records that failed retryably are handed over together again, after
/// the longest delay that one of them asked for, and other records join them.
///
/// **No record becomes a dead letter because its bulk failed as a whole.** Only an answer that names the record, or the failure of a bulk of
/// one, can make it a dead letter:
/// - A bulk that failed as a whole with a permanent error, or panicked, is halved at once. The lower half runs first.
/// - A bulk that failed as a whole with a retryable error, or ran into its timeout, is retried. It is halved only where the
///   [failure policy](crate::FailurePolicy) would now make dead letters of its records. After a timeout the lowest record runs alone first.
///
/// Halving waits for no backoff and counts as no attempt. It repeats what the bulk did: an attempt calls the handler with the same record up
/// to log₂ n + 1 times, rounded up, where n is the number of records in the bulk. No record is handed over again after an answer said that it
/// succeeded. If the deadline stops the batch in the middle of this, the records are reported. Give an invocation enough time for these
/// calls, otherwise the checkpoint does not move past a slow record that fails its bulks.
///
/// A wrong number of answers, or a position outside the bulk, is a bug of the handler. The attempt of all its records then fails
/// retryably, none counts as done, and the bulk is not halved. A bulk of one fails as its record does.
///
/// # Limits of some sinks
///
/// | sink | records in a request | bytes in a request |
/// |---|---|---|
/// | EventBridge `PutEvents` | 10 | 1 MiB |
/// | SQS `SendMessageBatch`, SNS `PublishBatch` | 10 | 1 MiB; SNS 256 KiB |
/// | Kinesis `PutRecords` | 500 | 10 MiB |
/// | Firehose `PutRecordBatch` | 500 | 4 MiB |
/// | DynamoDB `TransactWriteItems`, `BatchWriteItem` | 100, 25 | 4 MB, 16 MB |
pub fn bulk<F>(handler: F) -> Bulk<F> {
    Bulk { handler, limits: BulkLimits::default(), change: PhantomData }
}

/// A bulk handler with its settings: what [`bulk`] returns.
///
/// `M` says which changes of an item the handler gets: all of them ([`EachChange`]), or with [`latest_only`](Self::latest_only) only the
/// latest ([`LatestChange`]).
///
/// ```
/// use std::time::Duration;
///
/// use lambda_streams::{HandlerError, Insert, StreamProcessor, bulk};
/// # #[derive(serde::Deserialize)]
/// # struct Row { id: String }
///
/// async fn upsert(rows: Vec<Insert<Row>>) -> Result<(), HandlerError> {
///     Ok(())
/// }
///
/// let upsert = bulk(upsert).max_records(1_000).max_bytes(1 << 20).timeout(Duration::from_secs(5));
/// let processor = StreamProcessor::builder().on_insert(upsert).build()?;
/// # Ok::<(), lambda_streams::Error>(())
/// ```
#[derive(Clone, Copy)]
#[must_use]
pub struct Bulk<F, M = EachChange> {
    handler: F,
    limits: BulkLimits,
    change: PhantomData<fn() -> M>,
}

/// The type parameter of a [`Bulk`] whose handler gets each change of an item. The default.
///
/// ```
/// use lambda_streams::{Bulk, EachChange, HandlerError, Record, bulk};
///
/// async fn send(records: Vec<Record>) -> Result<(), HandlerError> {
///     Ok(())
/// }
/// let each: Bulk<_, EachChange> = bulk(send);
/// # let _ = each;
/// ```
#[derive(Debug, Clone, Copy)]
pub struct EachChange;

/// The type parameter of a [`Bulk`] whose handler gets only the latest change of each item: [`Bulk::latest_only`].
///
/// ```
/// use lambda_streams::{Bulk, HandlerError, LatestChange, Record, bulk};
///
/// async fn send(records: Vec<Record>) -> Result<(), HandlerError> {
///     Ok(())
/// }
/// let latest: Bulk<_, LatestChange> = bulk(send).latest_only();
/// # let _ = latest;
/// ```
#[derive(Debug, Clone, Copy)]
pub struct LatestChange;

impl EachChange {
    pub(super) const LATEST_ONLY: bool = false;
}

impl LatestChange {
    pub(super) const LATEST_ONLY: bool = true;
}

/// What a bulk may hold, and how long its handler may take.
#[derive(Debug, Clone, Copy)]
pub(crate) struct BulkLimits {
    pub(crate) max_records: usize,
    pub(crate) max_bytes: Option<usize>,
    /// Whether several records of a lane may share a bulk.
    pub(crate) within_lane: bool,
    /// How long a call may take; `None` for as long as the processor says.
    pub(crate) timeout: Option<Duration>,
}

impl Default for BulkLimits {
    fn default() -> Self {
        Self { max_records: DEFAULT_MAX_RECORDS, max_bytes: None, within_lane: false, timeout: None }
    }
}

impl<F, M> Bulk<F, M> {
    /// The maximum number of records in a bulk: at least 1. Default: 100.
    ///
    /// ```
    /// use lambda_streams::{HandlerError, Record, StreamProcessor, bulk};
    ///
    /// async fn put_events(records: Vec<Record>) -> Result<(), HandlerError> {
    ///     assert!(records.len() <= 10);
    ///     Ok(())
    /// }
    /// let processor = StreamProcessor::builder().on_record(bulk(put_events).max_records(10)).build()?;
    /// # Ok::<(), lambda_streams::Error>(())
    /// ```
    pub fn max_records(mut self, records: usize) -> Self {
        self.limits.max_records = records;
        self
    }

    /// The maximum number of bytes of all records of a bulk together: at least 1. Default: no limit.
    ///
    /// It counts the JSON of the records as received, with keys and both images. That is the handler's input, and not the size of the request
    /// that the handler makes from it: leave room. A record that is larger than the limit is handed over alone.
    pub fn max_bytes(mut self, bytes: usize) -> Self {
        self.limits.max_bytes = Some(bytes);
        self
    }

    /// Lets consecutive records of a lane share a bulk, in their order. Default: a bulk has at most one record of each lane.
    ///
    /// It is for a sink that applies a request in order, **and ends up in the same state when an older change and then a newer one are applied
    /// again**: full images by id, or writes with external versions. It is not for `PutRecords`, FIFO queues or partial updates.
    ///
    /// When a record fails, only that record fails. The records of its lane after it in the bulk are not done, even if the handler returned `Ok`
    /// for them. They are handed over again after it, and no attempt is counted for them.
    ///
    /// ```
    /// use lambda_streams::{Change, HandlerError, StreamProcessor, bulk};
    /// # #[derive(serde::Deserialize)]
    /// # struct Order { id: String }
    ///
    /// async fn index(changes: Vec<Change<Order>>) -> Result<(), HandlerError> {
    ///     Ok(()) // Writes each change as a document with an external version.
    /// }
    /// let processor = StreamProcessor::builder().on_change(bulk(index).within_lane()).build()?;
    /// # Ok::<(), lambda_streams::Error>(())
    /// ```
    pub fn within_lane(mut self) -> Self {
        self.limits.within_lane = true;
        self
    }

    /// How long one call of the handler may take: more than zero. Default: the processor's
    /// [`handler_timeout`](crate::ProcessorBuilder::handler_timeout).
    ///
    /// The time starts when the bulk begins to be filled, and includes decoding. A bulk that runs into the timeout only because it is large is
    /// retried as a whole, and halved only where its records would become dead letters: choose a smaller [`max_records`](Self::max_records).
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.limits.timeout = Some(timeout);
        self
    }
}

impl<F> Bulk<F, EachChange> {
    /// Hands over only the latest of consecutive changes of an item, for projections that need only the last state.
    ///
    /// ```
    /// use lambda_streams::{Change, HandlerError, StreamProcessor, bulk};
    /// # #[derive(serde::Deserialize)]
    /// # struct Order { id: String }
    ///
    /// async fn project(changes: Vec<Change<Order>>) -> Result<(), HandlerError> {
    ///     Ok(())
    /// }
    /// let processor = StreamProcessor::builder().on_change(bulk(project).latest_only()).build()?;
    /// # Ok::<(), lambda_streams::Error>(())
    /// ```
    ///
    /// It exists for functions that take `Vec<Change<T>>` or `Vec<Record>`. A change that a later one of the bulk supersedes is
    /// [skipped](crate::SkipReason::Superseded), but only once the later one is finished: if that one is reported, so is the superseded one. A
    /// dead letter says [how many](crate::DeadLetter::superseded) changes its record superseded. If the latest change does not decode, the one
    /// before it is handed over, and the latest fails afterwards.
    ///
    /// [`Change::old`](crate::Change::old) and the [changed attributes](crate::Record::changed_attributes) are those of the latest change, not
    /// of the whole run. For [`give_up_after`](crate::ProcessorBuilder::give_up_after), a failed run is as old as its first change. On a
    /// [redrive](crate::StreamProcessor::redrive) each change is handed over, because a queue may return dead letters in another order.
    /// [`build`](crate::ProcessorBuilder::build) refuses it with [`Lanes::Unordered`](crate::Lanes::Unordered).
    pub fn latest_only(self) -> Bulk<F, LatestChange> {
        Bulk { handler: self.handler, limits: self.limits, change: PhantomData }
    }
}

impl<F, M> fmt::Debug for Bulk<F, M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Bulk").field("limits", &self.limits).finish_non_exhaustive()
    }
}

/// The records of a bulk that failed, by their position in the bulk, from 0. All others succeeded.
///
/// ```
/// use lambda_streams::{BulkFailures, HandlerError};
///
/// let statuses = [200, 429, 400];
/// let failed = statuses.into_iter().enumerate().filter_map(|(position, status)| match status {
///     200 => None,
///     400 => Some((position, HandlerError::permanent("refused"))),
///     _ => Some((position, HandlerError::retryable("busy"))),
/// });
/// let failures: BulkFailures = failed.collect();
/// assert_eq!(failures.len(), 2);
/// ```
#[derive(Debug, Default)]
pub struct BulkFailures {
    failures: Vec<(usize, HandlerError)>,
}

impl BulkFailures {
    /// No failures yet: the whole bulk succeeded.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds the failure of the record at this position in the bulk, counted from 0. Of several failures of one position, the first counts.
    pub fn push(&mut self, position: usize, error: HandlerError) {
        self.failures.push((position, error));
    }

    /// The number of failures.
    pub fn len(&self) -> usize {
        self.failures.len()
    }

    /// Whether the whole bulk succeeded.
    pub fn is_empty(&self) -> bool {
        self.failures.is_empty()
    }
}

impl FromIterator<(usize, HandlerError)> for BulkFailures {
    fn from_iter<I: IntoIterator<Item = (usize, HandlerError)>>(failures: I) -> Self {
        Self { failures: failures.into_iter().collect() }
    }
}

impl Extend<(usize, HandlerError)> for BulkFailures {
    fn extend<I: IntoIterator<Item = (usize, HandlerError)>>(&mut self, failures: I) {
        self.failures.extend(failures);
    }
}

/// What a bulk handler can return. [`bulk`] lists the types.
///
/// ```
/// use lambda_streams::{BulkAnswer, BulkFailures, HandlerError};
///
/// fn is_answer<A: BulkAnswer>() {}
/// is_answer::<Vec<Result<(), HandlerError>>>();
/// is_answer::<Result<BulkFailures, HandlerError>>();
/// ```
#[diagnostic::on_unimplemented(
    message = "a bulk handler cannot return `{Self}`",
    label = "not the answer of a bulk handler",
    note = "a bulk handler returns `Result<(), HandlerError>`, `Vec<Result<(), HandlerError>>`, `BulkFailures`, or a `Result` of the last two with a `HandlerError`"
)]
pub trait BulkAnswer: sealed::IntoAnswer {}

/// Nobody else can name what an answer turns into.
pub(crate) mod sealed {
    use super::HandlerError;

    /// The answer of a bulk handler.
    #[derive(Debug)]
    pub enum Answer {
        Done,
        /// One answer for each record.
        Each(Vec<Result<(), HandlerError>>),
        /// The failures by position.
        Failures(Vec<(usize, HandlerError)>),
        /// The bulk failed as a whole.
        Failed(HandlerError),
    }

    pub trait IntoAnswer {
        fn into_answer(self) -> Answer;
    }
}

pub(crate) use self::sealed::Answer;
use self::sealed::IntoAnswer;

impl IntoAnswer for () {
    fn into_answer(self) -> Answer {
        Answer::Done
    }
}

impl IntoAnswer for Vec<Result<(), HandlerError>> {
    fn into_answer(self) -> Answer {
        Answer::Each(self)
    }
}

impl IntoAnswer for BulkFailures {
    fn into_answer(self) -> Answer {
        Answer::Failures(self.failures)
    }
}

impl<A: IntoAnswer> IntoAnswer for Result<A, HandlerError> {
    fn into_answer(self) -> Answer {
        self.map_or_else(Answer::Failed, A::into_answer)
    }
}

impl BulkAnswer for Vec<Result<(), HandlerError>> {}
impl BulkAnswer for BulkFailures {}
impl BulkAnswer for Result<(), HandlerError> {}
impl BulkAnswer for Result<Vec<Result<(), HandlerError>>, HandlerError> {}
impl BulkAnswer for Result<BulkFailures, HandlerError> {}

/// A bulk handler with its types erased, and its settings.
pub(crate) struct BulkRoute {
    pub(crate) handler: Box<dyn ErasedBulk>,
    pub(crate) limits: BulkLimits,
    pub(crate) latest_only: bool,
}

/// A bulk handler's future.
pub(crate) type BulkCall<'a> = Pin<Box<dyn Future<Output = Answer> + Send + 'a>>;

/// A bulk handler with its types erased.
pub(crate) trait ErasedBulk: Send + Sync {
    /// An empty bulk.
    fn begin(&self) -> Box<dyn BulkInput<'_> + '_>;
}

/// The decoded records of a bulk that is being filled.
pub(crate) trait BulkInput<'a>: Send {
    /// Decodes a record and adds it.
    fn push(&mut self, record: Record) -> Result<(), DecodeError>;
    /// Takes the record at this index out again.
    fn remove(&mut self, index: usize);
    /// Calls the handler, whose future owns what was decoded.
    fn call(self: Box<Self>) -> BulkCall<'a>;
}

struct Erased<F, C> {
    handler: F,
    change: PhantomData<fn(C)>,
}

struct Input<'a, F, C> {
    handler: &'a F,
    changes: Vec<C>,
}

impl<F, M> Bulk<F, M> {
    pub(crate) fn into_bulk_route<C, Fut>(self, latest_only: bool) -> BulkRoute
    where
        C: FromRecord,
        F: Fn(Vec<C>) -> Fut + Send + Sync + 'static,
        Fut: Future<Output: BulkAnswer> + Send + 'static,
    {
        let handler = Box::new(Erased { handler: self.handler, change: PhantomData });
        BulkRoute { handler, limits: self.limits, latest_only }
    }
}

impl<C, F, Fut> ErasedBulk for Erased<F, C>
where
    C: FromRecord,
    F: Fn(Vec<C>) -> Fut + Send + Sync + 'static,
    Fut: Future<Output: BulkAnswer> + Send + 'static,
{
    fn begin(&self) -> Box<dyn BulkInput<'_> + '_> {
        Box::new(Input { handler: &self.handler, changes: Vec::new() })
    }
}

impl<'a, C, F, Fut> BulkInput<'a> for Input<'a, F, C>
where
    C: FromRecord,
    F: Fn(Vec<C>) -> Fut + Send + Sync + 'static,
    Fut: Future<Output: BulkAnswer> + Send + 'static,
{
    fn push(&mut self, record: Record) -> Result<(), DecodeError> {
        self.changes.push(C::from_record(record)?);
        Ok(())
    }

    fn remove(&mut self, index: usize) {
        self.changes.remove(index);
    }

    fn call(self: Box<Self>) -> BulkCall<'a> {
        let called = (self.handler)(self.changes);
        Box::pin(async move { called.await.into_answer() })
    }
}

impl fmt::Debug for BulkRoute {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BulkRoute")
            .field("limits", &self.limits)
            .field("latest_only", &self.latest_only)
            .finish_non_exhaustive()
    }
}
