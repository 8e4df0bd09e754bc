//! A builder that starts from the environment, so that what a deployment says reaches the processor.

use super::{ProcessorBuilder, StreamProcessor};
use crate::error::Error;
use crate::variables::{Environment, Faults};

impl StreamProcessor {
    /// Starts a processor with the settings that the function's environment names, and the dead-letter queue of `DLQ_URL`.
    ///
    /// [`environment`](crate::environment) lists the variables. What the environment does not name has the default of
    /// [`builder`](Self::builder). What you set on the builder overrides the environment.
    ///
    /// # Errors
    /// If a variable has a value that is not valid, if two contradict each other, or if one begins with `LAMBDA_STREAMS_` and is not
    /// known ([`Error::is_configuration`]). The error tells all such faults at once. `DLQ_URL` without the feature `sqs` is one of
    /// them.
    ///
    /// ```no_run
    /// use lambda_streams::{HandlerError, Insert, StreamProcessor};
    ///
    /// #[derive(serde::Deserialize)]
    /// struct Order { id: String }
    ///
    /// async fn created(change: Insert<Order>) -> Result<(), HandlerError> {
    ///     tracing::info!(order = change.new.id, "created");
    ///     Ok(())
    /// }
    ///
    /// #[tokio::main(flavor = "current_thread")]
    /// async fn main() -> Result<(), lambda_runtime::Error> {
    ///     let processor = StreamProcessor::builder_from_env()?.on_insert(created).build()?;
    ///     lambda_streams::run(processor).await
    /// }
    /// ```
    pub fn builder_from_env() -> Result<ProcessorBuilder, Error> {
        let (environment, mut faults) = Environment::read(std::env::vars_os());
        let builder = with_queue(StreamProcessor::builder(), &environment, &mut faults);
        faults.into_result()?;
        Ok(with_settings(builder, &environment))
    }
}

fn with_settings(mut builder: ProcessorBuilder, environment: &Environment) -> ProcessorBuilder {
    builder = builder.retry(environment.retry);
    if let Some(limit) = environment.concurrency {
        builder = builder.concurrency(limit);
    }
    if let Some(timeout) = environment.handler_timeout {
        builder = builder.handler_timeout(timeout);
    }
    if let Some(margin) = environment.deadline_margin {
        builder = builder.deadline_margin(margin);
    }
    if let Some(age) = environment.give_up_after {
        builder = builder.give_up_after(age);
    }
    if let Some(enabled) = environment.report_batch_item_failures {
        builder = builder.report_batch_item_failures(enabled);
    }
    builder
}

#[cfg(feature = "sqs")]
fn with_queue(builder: ProcessorBuilder, environment: &Environment, faults: &mut Faults) -> ProcessorBuilder {
    let Some(url) = &environment.queue_url else { return builder };
    match crate::dead_letter::SqsDeadLetterQueue::of_variable(url) {
        Ok(queue) => builder.dead_letter_queue(queue),
        Err(error) => {
            faults.add(error.to_string());
            builder
        }
    }
}

#[cfg(not(feature = "sqs"))]
fn with_queue(builder: ProcessorBuilder, environment: &Environment, faults: &mut Faults) -> ProcessorBuilder {
    if environment.queue_url.is_some() {
        faults.add("`DLQ_URL` is set, and the feature `sqs` of `lambda-streams` is not enabled: enable it, or remove the variable");
    }
    builder
}
