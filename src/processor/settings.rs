//! What a processor was built with, for whoever wants to show it.

use std::time::Duration;

use super::StreamProcessor;
use crate::policy::{FailurePolicy, Lanes};

/// The settings that a [`StreamProcessor`] was built with, from the code and from the environment.
///
/// [`run`](crate::run) logs them when the function starts. A function can also show them itself, for instance in the response to a
/// health check.
///
/// ```
/// use lambda_streams::{Record, StreamProcessor};
///
/// let processor = StreamProcessor::builder().on_record(|_: Record| async { Ok(()) }).concurrency(64).build()?;
/// assert_eq!(processor.settings().concurrency, 64);
/// # Ok::<(), lambda_streams::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ProcessorSettings {
    /// How many handlers run at once.
    pub concurrency: usize,
    /// Which records keep their order.
    pub lanes: Lanes,
    /// Attempts at a record within one invocation, the first included.
    pub max_attempts: u32,
    /// The longest delay before the second attempt.
    pub retry_base: Duration,
    /// The longest delay before any attempt.
    pub retry_max: Duration,
    /// How long an attempt may take; `None` if it may take as long as the invocation.
    pub handler_timeout: Option<Duration>,
    /// How long before the function's timeout an invocation stops; `None` for a tenth of the time that it has.
    pub deadline_margin: Option<Duration>,
    /// Which failures become dead letters.
    pub failure_policy: FailurePolicy,
    /// The age at which a record that still fails becomes a dead letter.
    pub give_up_after: Duration,
    /// Whether there is a dead-letter queue.
    pub has_dead_letter_queue: bool,
    /// Whether the event source mapping is said to have `ReportBatchItemFailures`.
    pub report_batch_item_failures: bool,
    /// The consumer's name in the idempotency store; `None` without a store.
    pub consumer: Option<String>,
    /// Whether marks of items are kept.
    pub has_marks: bool,
}

impl StreamProcessor {
    /// The settings that this processor was built with.
    pub fn settings(&self) -> ProcessorSettings {
        let settings = &self.settings;
        let retry = settings.failing.retry;
        ProcessorSettings {
            concurrency: settings.concurrency,
            lanes: settings.lanes.clone(),
            max_attempts: retry.max_attempts,
            retry_base: retry.base_delay,
            retry_max: retry.max_delay,
            handler_timeout: settings.handler_timeout,
            deadline_margin: settings.deadline_margin,
            failure_policy: settings.failing.policy,
            give_up_after: settings.failing.max_record_age,
            has_dead_letter_queue: settings.failing.has_queue,
            report_batch_item_failures: settings.report_batch_item_failures,
            consumer: settings.idempotency.as_ref().map(|idempotency| idempotency.consumer.to_string()),
            has_marks: settings.marks.is_some(),
        }
    }
}
