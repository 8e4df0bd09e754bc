//! The processor: one batch from event to report.

mod builder;
mod filter;
mod from_env;
mod invocation_report;
mod settings;

use std::fmt;
use std::sync::Arc;

use tokio::time::Instant;
use tracing::{Instrument, info_span};

use crate::error::Error;
use crate::event::{self, Records, StreamEvent};
use crate::execute;
use crate::execute::settings::Settings;
use crate::guard::guard;
use crate::idempotency::Stale;
use crate::invocation::{Invocation, Origin};
use crate::observe::InvocationMetrics;
use crate::observe::log;
use crate::outcome::{BatchReport, Totals};
use crate::redrive::{DeadLetterEvent, RedriveReport};

pub use self::builder::{EntityHandlers, ProcessorBuilder};
pub use self::filter::FilterAnswer;
pub use self::invocation_report::{InvocationReport, InvocationResponse};
pub use self::settings::ProcessorSettings;

/// Turns an invocation of a function by a DynamoDB stream into typed handler calls and a truthful response.
///
/// Pass it to [`run`](crate::run). It is also a [`tower::Service`](tower_service::Service) of `LambdaEvent<StreamEvent>`, for
/// `lambda_runtime::run`, or for `run_concurrent` on Lambda Managed Instances. The service takes only the events of streams. Clones share
/// one concurrency limit, and one memory of the records that are done after a checkpoint.
///
/// ```no_run
/// use lambda_streams::{HandlerError, Insert, StreamProcessor};
///
/// #[derive(serde::Deserialize)]
/// struct Order { id: String }
///
/// #[tokio::main(flavor = "current_thread")]
/// async fn main() -> Result<(), lambda_runtime::Error> {
///     let processor = StreamProcessor::builder()
///         .on_insert(|change: Insert<Order>| async move {
///             println!("order {}", change.new.id);
///             Ok(())
///         })
///         .build()?;
///     lambda_streams::run(processor).await
/// }
/// ```
#[derive(Clone)]
pub struct StreamProcessor {
    settings: Arc<Settings>,
}

impl StreamProcessor {
    pub(crate) fn new(settings: Settings) -> Self {
        Self { settings: Arc::new(settings) }
    }

    /// Processes one batch without Lambda. The tower service is a thin wrapper around it.
    ///
    /// `invocation` is a [`Deadline`](crate::Deadline), Lambda's `&Context`, or an [`Invocation`]. The future returns when every record is done
    /// or reported, at the latest a little before the deadline ([`deadline_margin`](ProcessorBuilder::deadline_margin)).
    ///
    /// ```
    /// use lambda_streams::{Deadline, HandlerError, Record, StreamEvent, StreamProcessor};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), lambda_streams::Error> {
    /// let processor = StreamProcessor::builder().on_record(|record: Record| async move { Ok(()) }).build()?;
    /// let event = StreamEvent::from_slice(br#"{"Records": []}"#)?;
    /// let report = processor.process(event, Deadline::none()).await;
    /// assert!(report.checkpoint().is_none());
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Cancellation
    /// Nothing is spawned: dropping the future drops all handlers that run and all dead letters in flight. The processor then remembers nothing
    /// of this batch, and it must be delivered again as a whole.
    ///
    /// # Panics
    /// A panic of a handler, the filter or a queue fails only its record. The future needs a tokio runtime with time enabled, and may panic
    /// without one.
    pub async fn process(&self, event: StreamEvent, invocation: impl Into<Invocation>) -> BatchReport {
        self.process_records(Records::of_event(&event), invocation.into(), None).await
    }

    /// Processes records; `stale` stands for what the settings say of stale ones.
    async fn process_records(&self, records: Records<'_>, invocation: Invocation, stale: Option<Stale>) -> BatchReport {
        let begun = Instant::now();
        let invocation = Arc::new(invocation);
        let metrics = InvocationMetrics::begin();
        let span = log::batch_span(&invocation);
        let batch = execute::run(&self.settings, records, Arc::clone(&invocation), stale);
        let (report, measured) = batch.instrument(span.clone()).await;
        let duration = begun.elapsed();
        let totals = Totals::of(&report);
        span.in_scope(|| log::batch(&report, &totals, duration));
        metrics.record_and_flush(&invocation.request_id, || {
            // The recorder may be the user's own, and the batch is done: a panic in it must not repeat the batch.
            let _ = guard("metrics recorder", || self.settings.meter.record(&report, &totals, &measured, duration));
        });
        report
    }
}

impl StreamProcessor {
    /// Processes the payload of an invocation by a stream, as received.
    ///
    /// It costs less than [`process`](Self::process) of [`StreamEvent::from_vec`], because it reads the payload while its records are
    /// processed, and each image only once.
    ///
    /// ```
    /// use lambda_streams::{Deadline, Record, StreamProcessor};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), lambda_streams::Error> {
    /// let processor = StreamProcessor::builder().on_record(|record: Record| async move { Ok(()) }).build()?;
    /// let report = processor.process_payload(br#"{"Records": []}"#.to_vec(), Deadline::none()).await?;
    /// assert!(report.checkpoint().is_none());
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// If the first records show that the payload is not valid JSON, or not the event of a DynamoDB stream ([`Error::is_event`]). A payload
    /// that a command made is refused as well; [`process_invocation`](Self::process_invocation) takes it.
    ///
    /// A fault after the first records, or inside of an image, is found only when handlers may have been called for earlier records. It is
    /// then the error of the report's [`response`](BatchReport::response), and the report holds the records up to the fault.
    ///
    /// # Cancellation
    /// As for [`process`](Self::process).
    pub async fn process_payload(
        &self,
        payload: Vec<u8>,
        invocation: impl Into<Invocation>,
    ) -> Result<BatchReport, Error> {
        let text = event::text(payload)?;
        event::check_not_by_command(&text)?;
        self.process_text(&Arc::new(text), &invocation.into()).await
    }

    async fn process_text(&self, text: &Arc<String>, invocation: &Invocation) -> Result<BatchReport, Error> {
        let has_handler = |kind| self.settings.routes.takes(kind);
        let records = Records::of_payload(text, &has_handler)?;
        Ok(self.process_records(records, invocation.clone(), None).await)
    }

    /// Processes dead letters that are put back: an SQS event whose messages are [envelopes](crate::DeadLetter#the-envelope).
    ///
    /// ```
    /// use lambda_streams::{DeadLetterEvent, Deadline, Record, StreamProcessor};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), lambda_streams::Error> {
    /// let processor = StreamProcessor::builder().on_record(|record: Record| async move { Ok(()) }).build()?;
    /// let event = DeadLetterEvent::from_slice(br#"{"Records": [
    ///     {"messageId": "m-1", "eventSource": "aws:sqs", "body": "something else"}
    /// ]}"#)?;
    /// let report = processor.redrive(event, Deadline::none()).await;
    /// assert_eq!(report.response().unwrap_err().to_string(), "no message of the SQS event holds a dead letter");
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// There is no checkpoint: each message has its own result. The response names the messages whose records fail again, so SQS keeps them,
    /// and in the end moves them to that queue's own dead-letter queue. Records of one item still run in the order of their messages.
    ///
    /// The response also names records that no handler takes or that the filter drops, and the log says so, because another function may have
    /// to process them. [`delete_skipped_on_redrive`](ProcessorBuilder::delete_skipped_on_redrive) changes this.
    ///
    /// A FIFO queue keeps the order of each message group. The letters that `SqsDeadLetterQueue` sends have one group for each item, and after
    /// a failure the rest of the item is named too.
    ///
    /// The event source mapping of the queue needs `ReportBatchItemFailures`
    /// ([AWS: SQS errors](https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-errorhandling.html)).
    ///
    /// # Cancellation
    /// As for [`process`](Self::process).
    pub async fn redrive(&self, event: DeadLetterEvent, invocation: impl Into<Invocation>) -> RedriveReport {
        let mut invocation = invocation.into();
        invocation.origin = Origin::Redrive;
        let (records, messages) = event.open();
        let batch = self.process(records, invocation).instrument(info_span!("redrive", source = "redrive")).await;
        RedriveReport::new(batch, messages, self.settings.delete_skipped_on_redrive)
    }
}

impl StreamProcessor {
    /// Returns the `FilterCriteria`, as JSON, for an event source mapping: patterns that avoid invocations in which every record would be
    /// skipped. `None` if every record may have to be processed.
    ///
    /// ```
    /// use lambda_streams::{Entity, Record, StreamProcessor};
    ///
    /// let processor = StreamProcessor::builder()
    ///     .entity(Entity::key_prefix("sk", "ORDER#"), |order| order.on_record(|record: Record| async { Ok(()) }))
    ///     .build()?;
    /// assert_eq!(
    ///     processor.filter_criteria().as_deref(),
    ///     Some(r##"{"Filters":[{"Pattern":"{\"dynamodb\":{\"Keys\":{\"sk\":{\"S\":[{\"prefix\":\"ORDER#\"}]}}}}"}]}"##)
    /// );
    /// # Ok::<(), lambda_streams::Error>(())
    /// ```
    ///
    /// The patterns are sound, but not exact: every well-formed record that they drop is one that the processor would skip for lack of a
    /// handler. They are made from the kinds of change that have handlers, and from the [entities](ProcessorBuilder::entity) that a string key
    /// attribute identifies. They never look at images, [`when_changed`](crate::when_changed) or [`filter`](ProcessorBuilder::filter). If exact
    /// patterns would be more than five, or one of them longer than 4,096 bytes, which are Lambda's limits, they let more records through. They
    /// may drop a malformed record, which would otherwise become a dead letter.
    ///
    /// **What the patterns drop is lost.** Deploy and roll back the patterns together with the code, and deploy a new handler before the
    /// pattern that lets its records through
    /// ([AWS: event filtering](https://docs.aws.amazon.com/lambda/latest/dg/invocation-eventfiltering.html)).
    pub fn filter_criteria(&self) -> Option<String> {
        self.settings.routes.filter_criteria()
    }
}

impl fmt::Debug for StreamProcessor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StreamProcessor")
            .field("lanes", &self.settings.lanes)
            .field("retry", &self.settings.failing.retry)
            .field("failure_policy", &self.settings.failing.policy)
            .field("free_permits", &self.settings.limit.available_permits())
            .finish_non_exhaustive()
    }
}
