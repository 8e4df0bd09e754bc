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

/// Turns an invocation of a function by a DynamoDB stream into typed handler calls and a truthful answer.
///
/// Hand it to [`run`](crate::run). It is also a [`tower::Service`](tower_service::Service) of `LambdaEvent<StreamEvent>`, for
/// `lambda_runtime::run`, or for `run_concurrent` on Lambda Managed Instances; that takes the events of streams alone. Clones share one concurrency limit and one memory of what succeeded
/// behind a checkpoint.
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

    /// Processes one batch, without Lambda: the core that the tower service is a thin wrapper around.
    ///
    /// `invocation` is a [`Deadline`](crate::Deadline), Lambda's `&Context`, or an [`Invocation`]. It returns when every
    /// record is finished or reported, at the latest a little before the deadline.
    ///
    /// # Cancellation
    /// Nothing is spawned: dropping the future drops all handlers that run and all dead letters that are under way. Then
    /// nothing is remembered of this batch, and it must be delivered again as a whole.
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
    /// Processes the payload of an invocation by a stream, as it was received.
    ///
    /// It costs less than [`process`](Self::process) of [`StreamEvent::from_vec`], for it reads the payload while its records
    /// are processed, and the images only once.
    ///
    /// # Errors
    /// If the payload is not JSON, or is not the event of a DynamoDB stream ([`Error::is_event`]), as far as that shows in
    /// its first records; also if a command has made it ([`process_invocation`](Self::process_invocation) takes it). What shows only behind them, or inside of an image, is the error of the report's
    /// [`response`](BatchReport::response): handlers may have been called by then for earlier records, and the report holds the
    /// records up to there.
    ///
    /// # Cancellation
    /// As for [`process`](Self::process).
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
    /// Each record stands for itself: what fails again is named in the response, so that SQS keeps its message and moves
    /// it to that queue's own dead-letter queue in the end. Records of one item still run in the order of their messages.
    /// What no handler takes or the filter drops is named as well, and logged, because another function may have to process it; see
    /// [`delete_skipped_on_redrive`](ProcessorBuilder::delete_skipped_on_redrive).
    /// A FIFO queue keeps the order of each message group. The letters that `SqsDeadLetterQueue` sends have a
    /// group for each item, and after a failure the rest of the item is named too.
    ///
    /// The source mapping of the queue needs `ReportBatchItemFailures`
    /// ([AWS: SQS errors](https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-errorhandling.html)).
    ///
    /// # Cancellation
    /// As for [`process`](Self::process).
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
    pub async fn redrive(&self, event: DeadLetterEvent, invocation: impl Into<Invocation>) -> RedriveReport {
        let mut invocation = invocation.into();
        invocation.origin = Origin::Redrive;
        let (records, messages) = event.open();
        let batch = self.process(records, invocation).instrument(info_span!("redrive", source = "redrive")).await;
        RedriveReport::new(batch, messages, self.settings.delete_skipped_on_redrive)
    }
}

impl StreamProcessor {
    /// The `FilterCriteria`, as JSON, of an event source mapping that spares invocations in which everything would be skipped; `None`
    /// where every record may have to be processed.
    ///
    /// It is sound, and not exact: of well-formed records, whatever the filter drops the processor would have skipped, because no handler
    /// takes it. It is made of the kinds of change that have handlers, and of [entities](ProcessorBuilder::entity) that are told by a key
    /// attribute that is a text. It never looks at images, [`when_changed`](crate::when_changed) or [`filter`](ProcessorBuilder::filter). Where
    /// that would take more than five patterns, or one of more than 4,096 bytes, it lets more through. A malformed record, which would be
    /// a dead letter, may be dropped by it.
    ///
    /// **What the filter drops is lost**: deploy and roll back the filter together with the code, and add a handler to the
    /// deployed function before its pattern
    /// ([AWS: event filtering](https://docs.aws.amazon.com/lambda/latest/dg/invocation-eventfiltering.html)).
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
