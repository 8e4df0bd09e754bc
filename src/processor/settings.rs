//! What a processor was built with, for a function that shows it.

use std::time::Duration;

use super::StreamProcessor;
use crate::policy::{FailurePolicy, Lanes};

/// The settings that a [`StreamProcessor`] was built with, from the code and from the environment.
///
/// [`run`](crate::run) logs them when the function starts. A function can also show them, for instance in the response to a health check.
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
    /// The maximum number of handlers that run at the same time ([`concurrency`](crate::ProcessorBuilder::concurrency)).
    pub concurrency: usize,
    /// Which records run one after the other ([`lanes`](crate::ProcessorBuilder::lanes)).
    pub lanes: Lanes,
    /// The maximum number of attempts at a record in one invocation, including the first ([`retry`](crate::ProcessorBuilder::retry)).
    pub max_attempts: u32,
    /// The longest delay before the second attempt ([`RetryPolicy::base_delay`](crate::RetryPolicy::base_delay)).
    pub retry_base: Duration,
    /// The longest delay before any attempt ([`RetryPolicy::max_delay`](crate::RetryPolicy::max_delay)).
    pub retry_max: Duration,
    /// How long an attempt may take; `None` if only the invocation limits it
    /// ([`handler_timeout`](crate::ProcessorBuilder::handler_timeout)).
    pub handler_timeout: Option<Duration>,
    /// How long before the deadline an invocation stops; `None` for a tenth of the time that it has
    /// ([`deadline_margin`](crate::ProcessorBuilder::deadline_margin)).
    pub deadline_margin: Option<Duration>,
    /// Which failures become dead letters ([`failure_policy`](crate::ProcessorBuilder::failure_policy)).
    pub failure_policy: FailurePolicy,
    /// The age from which a record that still fails becomes a dead letter ([`give_up_after`](crate::ProcessorBuilder::give_up_after)).
    pub give_up_after: Duration,
    /// Whether there is a dead-letter queue ([`dead_letter_queue`](crate::ProcessorBuilder::dead_letter_queue), `DLQ_URL`).
    pub has_dead_letter_queue: bool,
    /// Whether the event source mapping is expected to have `ReportBatchItemFailures`
    /// ([`report_batch_item_failures`](crate::ProcessorBuilder::report_batch_item_failures)).
    pub report_batch_item_failures: bool,
    /// The consumer's name in the idempotency store; `None` without a store ([`idempotency`](crate::ProcessorBuilder::idempotency)).
    pub consumer: Option<String>,
    /// Whether the processor keeps marks of items ([`marks`](crate::ProcessorBuilder::marks)).
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
