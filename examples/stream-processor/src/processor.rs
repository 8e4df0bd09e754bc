//! The processor of the table's changes, as the function and the local run build it.

use std::time::Duration;

use lambda_streams::{ProcessorBuilder, RetryPolicy, StreamProcessor};

use super::handlers::{Handlers, Journal};

/// What the function's configuration says about processing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Settings {
    pub(crate) concurrency: usize,
    pub(crate) max_attempts: u32,
    pub(crate) retry_base: Duration,
    pub(crate) retry_max: Duration,
    pub(crate) handler_timeout: Duration,
    pub(crate) give_up_after: Duration,
    /// Must say what the event source mapping has among its `FunctionResponseTypes`.
    pub(crate) report_batch_item_failures: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            concurrency: 10,
            max_attempts: 3,
            retry_base: Duration::from_millis(100),
            retry_max: Duration::from_secs(2),
            handler_timeout: Duration::from_secs(15),
            give_up_after: Duration::from_secs(6 * 60 * 60),
            report_batch_item_failures: true,
        }
    }
}

/// The processor but for its dead-letter queue, which is not the same for the stream, the API and the local run.
pub(crate) fn builder<J: Journal>(settings: &Settings, handlers: &Handlers<J>) -> ProcessorBuilder {
    let retry = RetryPolicy::default()
        .max_attempts(settings.max_attempts)
        .base_delay(settings.retry_base)
        .max_delay(settings.retry_max);
    StreamProcessor::builder()
        .on_insert(handlers.clone())
        .on_modify(handlers.clone())
        .on_remove(handlers.clone())
        .concurrency(settings.concurrency)
        .retry(retry)
        .handler_timeout(settings.handler_timeout)
        .give_up_after(settings.give_up_after)
        .report_batch_item_failures(settings.report_batch_item_failures)
}
