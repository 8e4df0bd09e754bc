//! A builder that starts from the environment, so what a deployment says reaches the processor.

use super::{ProcessorBuilder, StreamProcessor};
use crate::error::Error;
#[cfg(feature = "dynamodb")]
use crate::idempotency::{DynamoDbIdempotencyStore, Idempotency, consumer_fault};
#[cfg(not(feature = "dynamodb"))]
use crate::variables::IDEMPOTENCY_TABLE;
use crate::variables::{Environment, Faults};
#[cfg(feature = "dynamodb")]
use crate::variables::{IDEMPOTENCY_CONSUMER, StoreVariables};

impl StreamProcessor {
    /// Starts a processor with the settings of the function's environment, the dead-letter queue of `DLQ_URL`, and the idempotency store of
    /// `LAMBDA_STREAMS_IDEMPOTENCY_TABLE`.
    ///
    /// [`environment`](crate::guide::environment) lists the variables. A setting that the environment does not name has the default of
    /// [`builder`](Self::builder). What you set on the builder overrides the environment.
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
    ///
    /// # Errors
    /// If a variable has an invalid value, if two contradict each other, or if an unknown one begins with `LAMBDA_STREAMS_`
    /// ([`Error::is_configuration`]). One error names all such faults. `DLQ_URL` without the feature `sqs` is one of them, and so is
    /// `LAMBDA_STREAMS_IDEMPOTENCY_TABLE` without the feature `dynamodb`.
    pub fn builder_from_env() -> Result<ProcessorBuilder, Error> {
        let (environment, mut faults) = Environment::read(std::env::vars_os());
        let builder = with_queue(StreamProcessor::builder(), &environment, &mut faults);
        let builder = with_store(builder, &environment, &mut faults);
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
        builder = builder.give_up_after_of_environment(age);
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
        Ok(queue) => builder.dead_letter_queue_of_environment(queue),
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

#[cfg(feature = "dynamodb")]
fn with_store(builder: ProcessorBuilder, environment: &Environment, faults: &mut Faults) -> ProcessorBuilder {
    let Some(StoreVariables { table, consumer }) = &environment.store else { return builder };
    if let Some(fault) = consumer_fault(consumer) {
        faults.add(format!("the consumer's name in `{IDEMPOTENCY_CONSUMER}` {fault}"));
    }
    match DynamoDbIdempotencyStore::of_variable(table) {
        Ok(store) => builder.idempotency_of_environment(Idempotency::new(consumer, store)),
        Err(error) => {
            faults.add(error.to_string());
            builder
        }
    }
}

#[cfg(not(feature = "dynamodb"))]
fn with_store(builder: ProcessorBuilder, environment: &Environment, faults: &mut Faults) -> ProcessorBuilder {
    if environment.store.is_some() {
        faults.add(format!(
            "`{IDEMPOTENCY_TABLE}` is set, and the feature `dynamodb` of `lambda-streams` is not enabled: enable it, or remove the \
             variable"
        ));
    }
    builder
}

#[cfg(test)]
mod store_tests {
    use super::*;

    /// What is wrong with a function that has these variables and a region.
    fn faults(table: &str, consumer: &str) -> String {
        let variables = [("LAMBDA_STREAMS_IDEMPOTENCY_TABLE", table), ("LAMBDA_STREAMS_CONSUMER", consumer)];
        let (environment, mut faults) = Environment::read(variables.map(|(name, value)| (name.into(), value.into())));
        let _ = with_store(StreamProcessor::builder(), &environment, &mut faults);
        faults.into_result().map_or_else(|error| error.to_string(), |()| String::new())
    }

    #[cfg(feature = "dynamodb")]
    #[test]
    fn a_table_and_a_consumer_are_checked() {
        // The ARN names the region, whatever the process's environment has.
        let arn = "arn:aws:dynamodb:eu-central-1:123456789012:table/done";
        assert_eq!(faults(arn, "order-totals"), "");
        let both = faults("not a table", "a\nb");
        assert!(both.contains("`LAMBDA_STREAMS_CONSUMER` has 3 bytes"), "{both}");
        assert!(
            both.contains("`LAMBDA_STREAMS_IDEMPOTENCY_TABLE` is \"not a table\": it must be the name or the ARN"),
            "{both}"
        );
    }

    #[cfg(feature = "dynamodb")]
    #[test]
    fn the_processor_has_the_store() {
        use crate::idempotency::{Marks, Stale};

        // Marks are refused without a store.
        let with_marks = |variables: &[(&str, &str)]| {
            let variables = variables.iter().map(|(name, value)| (name.into(), value.into()));
            let (environment, mut faults) = Environment::read(variables);
            let builder = with_store(StreamProcessor::builder(), &environment, &mut faults);
            faults.into_result().expect("valid variables");
            builder.on_record(|_: crate::record::Record| async { Ok(()) }).marks(Marks::new(Stale::Skip)).build()
        };
        assert!(with_marks(&[]).is_err());
        let table = "arn:aws:dynamodb:eu-central-1:123456789012:table/done";
        let both = [("LAMBDA_STREAMS_IDEMPOTENCY_TABLE", table), ("LAMBDA_STREAMS_CONSUMER", "order-totals")];
        assert!(with_marks(&both).is_ok());
    }

    #[cfg(not(feature = "dynamodb"))]
    #[test]
    fn a_table_needs_the_feature() {
        let fault = faults("done", "order-totals");
        assert!(fault.contains("the feature `dynamodb` of `lambda-streams` is not enabled"), "{fault}");
    }
}

#[cfg(all(test, feature = "sqs"))]
mod tests {
    use super::*;
    use crate::dead_letter::MemoryDeadLetterQueue;
    use crate::policy::{AfterDeadLetter, FailurePolicy};
    use crate::record::Record;

    /// A builder of a function whose environment is this.
    fn of(variables: &[(&str, &str)]) -> ProcessorBuilder {
        let variables = variables.iter().map(|(name, value)| (name.into(), value.into()));
        let (environment, mut faults) = Environment::read(variables);
        let builder = StreamProcessor::builder().on_record(|_: Record| async { Ok(()) });
        let builder = with_queue(builder, &environment, &mut faults);
        faults.into_result().expect("valid variables");
        with_settings(builder, &environment)
    }

    /// What the construct writes into every function.
    const WRITTEN: [(&str, &str); 2] = [
        ("DLQ_URL", "https://sqs.eu-central-1.amazonaws.com/123456789012/letters"),
        ("LAMBDA_STREAMS_GIVE_UP_AFTER_SECONDS", "3600"),
    ];

    #[test]
    fn what_the_construct_writes_goes_with_whatever_the_code_says() {
        let builders = [
            of(&WRITTEN),
            of(&WRITTEN).without_dead_letter_queue(),
            of(&WRITTEN).failure_policy(FailurePolicy::ReportAll),
            of(&WRITTEN).without_dead_letter_queue().failure_policy(FailurePolicy::ReportAll),
            of(&WRITTEN).failure_policy(FailurePolicy::DeadLetterAll),
            of(&WRITTEN).after_dead_letter(AfterDeadLetter::FollowLane),
            of(&WRITTEN).dead_letter_queue(MemoryDeadLetterQueue::new()),
        ];
        for (number, builder) in builders.into_iter().enumerate() {
            let built = builder.build().map(|processor| processor.settings());
            assert!(built.is_ok_and(|settings| settings.give_up_after.as_secs() == 3_600), "{number}");
        }
    }

    #[test]
    fn the_code_overrides_the_environment() {
        let settings = |builder: ProcessorBuilder| builder.build().map(|processor| processor.settings());
        let has_queue = |builder| settings(builder).map(|settings| settings.has_dead_letter_queue).ok();
        assert_eq!(has_queue(of(&WRITTEN)), Some(true));
        assert_eq!(has_queue(of(&WRITTEN).without_dead_letter_queue()), Some(false));
        let hour = std::time::Duration::from_secs(7_200);
        let later = settings(of(&WRITTEN).give_up_after(hour)).map(|settings| settings.give_up_after);
        assert_eq!(later.ok(), Some(hour));
    }

    #[test]
    fn an_age_to_give_up_at_needs_a_queue_or_none_on_purpose() {
        let age = || of(&WRITTEN[1..]);
        let error = age().build().expect_err("nothing is said of a queue");
        assert!(error.to_string().starts_with("`LAMBDA_STREAMS_GIVE_UP_AFTER_SECONDS` is set"), "{error}");
        for builder in [
            age().without_dead_letter_queue(),
            age().failure_policy(FailurePolicy::ReportAll),
            age().dead_letter_queue(MemoryDeadLetterQueue::new()),
        ] {
            assert!(builder.build().is_ok());
        }
    }
}
