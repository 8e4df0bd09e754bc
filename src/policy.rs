//! The policies that a user chooses: which records keep their order, how often a failure is retried, and what happens after
//! that.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;
use std::time::Duration;

use crate::decode::{DecodeError, Keys};

/// Which records run one after the other. All others run concurrently, up to the
/// [concurrency limit](crate::ProcessorBuilder::concurrency).
///
/// A *lane* is a sequence of records that run in stream order, one at a time. Pub/Sub calls it an ordering key, and SQS a message group.
///
/// ```
/// use lambda_streams::Lanes;
///
/// assert_eq!(Lanes::default(), Lanes::PerItem);
/// let all_of_a_customer = Lanes::per_key_attribute("customer");
/// assert_ne!(all_of_a_customer, Lanes::PerItem);
/// ```
///
/// Lanes order the records of one batch. A mapping with a `ParallelizationFactor` above 1 delivers several batches of a shard at once, and then
/// keeps the order [of each item only](https://docs.aws.amazon.com/lambda/latest/dg/services-ddb-params.html): lanes that hold several items
/// need a factor of 1. The construct in `infra-cdk/` sets 10.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum Lanes {
    /// One lane for each item, identified by its full primary key. The default.
    #[default]
    PerItem,
    /// One lane for all items with the same value of this key attribute, such as the partition key.
    ///
    /// It must be the name of a key attribute. Records whose keys lack it share one lane, and run one after the other. The log then warns once
    /// in each execution environment, and the metric `RecordsWithoutLaneAttribute` counts them.
    PerKeyAttribute(String),
    /// One lane for all items for whose key a function returns the same string: [`by_keys`](Self::by_keys).
    ByKeys(KeyLanes),
    /// One lane for the whole batch.
    WholeBatch,
    /// A lane for each record: no order at all.
    Unordered,
}

impl Lanes {
    /// One lane for all items with the same value of this key attribute, such as the partition key ([`PerKeyAttribute`](Self::PerKeyAttribute)).
    ///
    /// ```
    /// use lambda_streams::Lanes;
    ///
    /// let lanes = Lanes::per_key_attribute("customer");
    /// assert!(matches!(lanes, Lanes::PerKeyAttribute(name) if name == "customer"));
    /// ```
    pub fn per_key_attribute(name: impl Into<String>) -> Self {
        Self::PerKeyAttribute(name.into())
    }

    /// One lane for all items of a table for whose key `name` returns the same string.
    ///
    /// This is for keys of several parts. With `pk = TENANT#1` and `sk = AGGREGATE#42#EVENT#7`, it orders the events of each aggregate:
    ///
    /// ```
    /// use lambda_streams::Lanes;
    ///
    /// let per_aggregate = Lanes::by_keys(|keys| {
    ///     let (tenant, event) = (keys.text("pk")?, keys.text("sk")?);
    ///     let (aggregate, _) = event.split_once("#EVENT#").unwrap_or((&event, ""));
    ///     Ok(format!("{tenant}/{aggregate}"))
    /// });
    /// ```
    ///
    /// The function gets only the key, because an item never changes its key and so never leaves its lane. It must always return the same string
    /// for the same key. It is called once for each record that has a handler and that the filter keeps, in stream order. If it returns an
    /// error, for example because a key attribute is missing, the record fails as one that does not decode. So it does if the function panics.
    ///
    /// The stream itself only keeps the order of each item. Records of several items in one lane run one after the other, in the order in which
    /// they were delivered.
    pub fn by_keys(name: impl Fn(Keys<'_>) -> Result<String, DecodeError> + Send + Sync + 'static) -> Self {
        Self::ByKeys(KeyLanes(Arc::new(name)))
    }
}

impl Lanes {
    /// The attribute by which lanes go.
    pub(crate) fn attribute(&self) -> Option<&str> {
        match self {
            Self::PerKeyAttribute(name) => Some(name),
            _ => None,
        }
    }
}

/// The function of [`Lanes::by_keys`]. It is equal only to its clones.
///
/// ```
/// use lambda_streams::Lanes;
///
/// let per_tenant = Lanes::by_keys(|keys| Ok(keys.text("pk")?.into_owned()));
/// assert_eq!(per_tenant, per_tenant.clone());
/// assert_ne!(per_tenant, Lanes::by_keys(|keys| Ok(keys.text("pk")?.into_owned())));
/// ```
#[derive(Clone)]
pub struct KeyLanes(Arc<KeyFunction>);

type KeyFunction = dyn Fn(Keys<'_>) -> Result<String, DecodeError> + Send + Sync;

impl KeyLanes {
    /// The lane of the item with this key.
    pub(crate) fn name(&self, keys: Keys<'_>) -> Result<String, DecodeError> {
        (self.0)(keys)
    }
}

impl PartialEq for KeyLanes {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for KeyLanes {}

impl Hash for KeyLanes {
    fn hash<H: Hasher>(&self, state: &mut H) {
        Arc::as_ptr(&self.0).cast::<()>().hash(state);
    }
}

impl fmt::Debug for KeyLanes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KeyLanes")
    }
}

/// How often, and after which delay, a retryable failure is retried within one invocation.
///
/// The delay before attempt *n* + 1 is random between zero and `base_delay` · 2ⁿ⁻¹, at most `max_delay`: exponential
/// backoff with full jitter ([AWS Builders' Library][jitter]). If the delay would reach past the deadline, there is no
/// further attempt.
///
/// [jitter]: https://aws.amazon.com/builders-library/timeouts-retries-and-backoff-with-jitter/
///
/// ```
/// use std::time::Duration;
/// use lambda_streams::RetryPolicy;
///
/// let policy = RetryPolicy::default().max_attempts(5).base_delay(Duration::from_millis(50));
/// assert_ne!(policy, RetryPolicy::default());
/// assert_ne!(policy, RetryPolicy::none());
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub struct RetryPolicy {
    pub(crate) max_attempts: u32,
    pub(crate) base_delay: Duration,
    pub(crate) max_delay: Duration,
}

impl Default for RetryPolicy {
    /// 3 attempts, 100 ms to 2 s.
    fn default() -> Self {
        Self { max_attempts: 3, base_delay: Duration::from_millis(100), max_delay: Duration::from_secs(2) }
    }
}

impl RetryPolicy {
    /// One attempt and no retry.
    ///
    /// ```
    /// use lambda_streams::RetryPolicy;
    ///
    /// assert_eq!(RetryPolicy::none(), RetryPolicy::default().max_attempts(1));
    /// ```
    pub fn none() -> Self {
        Self::default().max_attempts(1)
    }

    /// The maximum number of attempts at a record in one invocation, including the first: at least 1. Default: 3.
    pub fn max_attempts(mut self, attempts: u32) -> Self {
        self.max_attempts = attempts;
        self
    }

    /// The maximum delay before the second attempt. It doubles with each further attempt. Default: 100 ms.
    pub fn base_delay(mut self, delay: Duration) -> Self {
        self.base_delay = delay;
        self
    }

    /// The upper limit of every delay, which must not be below [`base_delay`](Self::base_delay). Default: 2 s.
    pub fn max_delay(mut self, delay: Duration) -> Self {
        self.max_delay = delay;
        self
    }

    /// A random delay after that many attempts.
    pub(crate) fn delay_after(&self, attempts: u32) -> Duration {
        let doubled =
            2_u32.checked_pow(attempts.saturating_sub(1)).and_then(|factor| self.base_delay.checked_mul(factor));
        doubled.map_or(self.max_delay, |delay| delay.min(self.max_delay)).mul_f64(fastrand::f64())
    }
}

/// What happens to a failed record: it becomes a dead letter, or it is reported to Lambda, which then redelivers it.
///
/// Without a dead-letter queue every failure is reported, so no record is lost because a queue was not configured.
///
/// In a replay and in a backfill, the response names a reported record and the command repeats it, however old it is. The records of a
/// redrive and of a request are always reported, whatever the policy ([`Origin`](crate::Origin)).
///
/// ```
/// use lambda_streams::{FailurePolicy, MemoryDeadLetterQueue, Record, StreamProcessor};
///
/// let builder = StreamProcessor::builder().on_record(|_: Record| async { Ok(()) });
/// let reporting = builder.build()?;
/// assert_eq!(reporting.settings().failure_policy, FailurePolicy::ReportAll);
///
/// let builder = StreamProcessor::builder().on_record(|_: Record| async { Ok(()) });
/// let with_queue = builder.dead_letter_queue(MemoryDeadLetterQueue::new()).build()?;
/// assert_eq!(with_queue.settings().failure_policy, FailurePolicy::DeadLetterPermanent);
/// # Ok::<(), lambda_streams::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum FailurePolicy {
    /// Permanent failures become dead letters. Retryable failures are reported once their attempts are used up, so Lambda waits until the
    /// cause has recovered; once the record is older than [`give_up_after`](crate::ProcessorBuilder::give_up_after), they become dead letters
    /// too. The default with a dead-letter queue.
    DeadLetterPermanent,
    /// Every failure becomes a dead letter: a permanent one at once, a retryable one once its attempts are used up. The stream never stops.
    DeadLetterAll,
    /// Every failure is reported. The stream stops at the record until it succeeds or Lambda discards it. The default without a dead-letter
    /// queue.
    ReportAll,
}

/// What happens to the rest of a lane after one of its records has become a dead letter.
///
/// ```
/// use lambda_streams::{AfterDeadLetter, MemoryDeadLetterQueue, Record, StreamProcessor};
///
/// let processor = StreamProcessor::builder()
///     .on_record(|_: Record| async { Ok(()) })
///     .dead_letter_queue(MemoryDeadLetterQueue::new())
///     .after_dead_letter(AfterDeadLetter::FollowLane)
///     .build()?;
/// assert_eq!(AfterDeadLetter::default(), AfterDeadLetter::Continue);
/// # Ok::<(), lambda_streams::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum AfterDeadLetter {
    /// The lane continues with the next record. The default.
    #[default]
    Continue,
    /// The lane's later records of this batch become dead letters too, so no change is handled on top of one that was not. Their error kind is
    /// [`Predecessor`](crate::ErrorKind::Predecessor).
    ///
    /// **It ends with the batch.** A later batch is handled again, although the queue holds an earlier change of the item. So is the rest of
    /// this batch once the checkpoint has passed the dead letter. A consumer that can never skip a change of an item needs
    /// [`FailurePolicy::ReportAll`], with which the stream waits.
    FollowLane,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_delay_doubles_to_its_limit_with_full_jitter() {
        let policy = RetryPolicy::default();
        for (attempts, limit) in [(1, 100), (2, 200), (3, 400), (5, 1_600), (6, 2_000), (40, 2_000), (u32::MAX, 2_000)]
        {
            let limit = Duration::from_millis(limit);
            let delays: Vec<_> = (0..200).map(|_| policy.delay_after(attempts)).collect();
            assert!(delays.iter().all(|delay| *delay <= limit), "attempt {attempts}");
            assert!(delays.iter().any(|delay| *delay < limit / 4) && delays.iter().any(|delay| *delay > limit * 3 / 4));
        }
    }

    #[test]
    fn enormous_settings_do_not_overflow() {
        let policy = RetryPolicy::default().base_delay(Duration::MAX).max_delay(Duration::from_secs(1));
        assert!(policy.delay_after(30) <= Duration::from_secs(1));
    }
}
