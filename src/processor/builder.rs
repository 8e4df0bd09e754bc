//! Puts a processor together, and refuses settings that contradict each other.

use std::error::Error as StdError;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use serde::de::DeserializeOwned;
use tokio::sync::Semaphore;

use super::{FilterAnswer, StreamProcessor};
use crate::change::{Change, Insert, Modify, Remove};
use crate::dead_letter::{self, DeadLetterQueue};
use crate::entity::{Entity, Unmatched};
use crate::error::Error;
use crate::event_kind::EventKind;
use crate::execute::redelivery::Completed;
use crate::execute::settings::{Changes, EntityNumber, FailureRules, Filter, PermanentIf, Routes, Settings, Warned};
use crate::handler::Register;
use crate::handler::bulk::BulkRoute;
use crate::handler::register::sealed::Route;
use crate::handler::when_changed::Condition;
use crate::idempotency::{Idempotency, Marks};
use crate::observe::metrics::Meter;
use crate::policy::{AfterDeadLetter, FailurePolicy, Lanes, RetryPolicy};
use crate::record::Record;

const SIX_HOURS: Duration = Duration::from_secs(6 * 60 * 60);

/// Puts a [`StreamProcessor`] together.
///
/// ```
/// use lambda_streams::{HandlerError, Insert, Lanes, StreamProcessor};
/// # #[derive(serde::Deserialize)]
/// # struct Order { id: String }
///
/// let processor = StreamProcessor::builder()
///     .on_insert(|change: Insert<Order>| async move {
///         println!("order {}", change.new.id);
///         Ok(())
///     })
///     .concurrency(64)
///     .lanes(Lanes::per_key_attribute("customer"))
///     .build()?;
/// # Ok::<(), lambda_streams::Error>(())
/// ```
///
/// A handler of the wrong kind of change does not compile:
///
/// ```compile_fail,E0277
/// use lambda_streams::{HandlerError, Remove, StreamProcessor};
/// # #[derive(serde::Deserialize)]
/// # struct Order { id: String }
///
/// async fn archive(change: Remove<Order>) -> Result<(), HandlerError> {
///     Ok(())
/// }
/// StreamProcessor::builder().on_insert::<Order, _>(archive);
/// ```
#[must_use]
pub struct ProcessorBuilder {
    routes: Routes,
    /// The first fault of what was registered.
    fault: Option<String>,
    filter: Option<Filter>,
    concurrency: usize,
    lanes: Lanes,
    retry: RetryPolicy,
    permanent_if: Option<PermanentIf>,
    handler_timeout: Option<Duration>,
    failure_policy: Option<FailurePolicy>,
    give_up_after: Option<Duration>,
    give_up_after_of_environment: Option<Duration>,
    after_dead_letter: AfterDeadLetter,
    queue: QueueChoice,
    queue_of_environment: Option<Queue>,
    deadline_margin: Option<Duration>,
    skip_redelivered: bool,
    report_batch_item_failures: bool,
    delete_skipped_on_redrive: bool,
    idempotency: Option<Idempotency>,
    idempotency_of_environment: Option<Idempotency>,
    marks: Option<Marks>,
}

/// What the code says of the dead-letter queue.
enum QueueChoice {
    /// Nothing: it is that of the environment, if there is one.
    Unsaid,
    /// There is none, on purpose.
    Declined,
    This(Queue),
}

type Queue = Arc<dyn dead_letter::ErasedDeadLetterQueue>;

impl StreamProcessor {
    /// Starts a processor with default settings, whatever the environment says. At least one handler must be added.
    ///
    /// ```
    /// use lambda_streams::{Record, StreamProcessor};
    ///
    /// let processor = StreamProcessor::builder().on_record(|_: Record| async { Ok(()) }).build()?;
    /// # Ok::<(), lambda_streams::Error>(())
    /// ```
    pub fn builder() -> ProcessorBuilder {
        ProcessorBuilder::new()
    }
}

impl ProcessorBuilder {
    fn new() -> Self {
        Self {
            routes: Routes::default(),
            fault: None,
            filter: None,
            concurrency: 10,
            lanes: Lanes::default(),
            retry: RetryPolicy::default(),
            permanent_if: None,
            handler_timeout: None,
            failure_policy: None,
            give_up_after: None,
            give_up_after_of_environment: None,
            after_dead_letter: AfterDeadLetter::default(),
            queue: QueueChoice::Unsaid,
            queue_of_environment: None,
            deadline_margin: None,
            skip_redelivered: true,
            report_batch_item_failures: true,
            delete_skipped_on_redrive: false,
            idempotency: None,
            idempotency_of_environment: None,
            marks: None,
        }
    }

    /// Handles created items, the records of the kind `INSERT`. The stream must carry new images, otherwise each such record fails.
    ///
    /// ```
    /// use lambda_streams::{HandlerError, Insert, StreamProcessor};
    /// # #[derive(serde::Deserialize)]
    /// # struct Order { id: String }
    ///
    /// async fn created(change: Insert<Order>) -> Result<(), HandlerError> {
    ///     println!("order {} was created", change.new.id);
    ///     Ok(())
    /// }
    /// let processor = StreamProcessor::builder().on_insert(created).build()?;
    /// # Ok::<(), lambda_streams::Error>(())
    /// ```
    pub fn on_insert<T, H>(self, handler: H) -> Self
    where
        T: DeserializeOwned + Send + 'static,
        H: Register<Insert<T>>,
    {
        self.register(Changes::Of(EventKind::Insert), handler.into_route(), "on_insert")
    }

    /// Handles changed items, the records of the kind `MODIFY`. The stream must carry both images (`NEW_AND_OLD_IMAGES`), otherwise each
    /// such record fails; for streams with one image there is [`on_change`](Self::on_change).
    ///
    /// ```
    /// use lambda_streams::{HandlerError, Modify, StreamProcessor};
    /// # #[derive(serde::Deserialize)]
    /// # struct Order { status: String }
    ///
    /// async fn changed(change: Modify<Order>) -> Result<(), HandlerError> {
    ///     println!("{} -> {}", change.old.status, change.new.status);
    ///     Ok(())
    /// }
    /// let processor = StreamProcessor::builder().on_modify(changed).build()?;
    /// # Ok::<(), lambda_streams::Error>(())
    /// ```
    pub fn on_modify<T, H>(self, handler: H) -> Self
    where
        T: DeserializeOwned + Send + 'static,
        H: Register<Modify<T>>,
    {
        self.register(Changes::Of(EventKind::Modify), handler.into_route(), "on_modify")
    }

    /// Handles deleted items, the records of the kind `REMOVE`: those that a caller deletes, and those that expire
    /// ([`Record::is_ttl_expiry`]). The stream must carry old images, otherwise each such record fails.
    ///
    /// ```
    /// use lambda_streams::{HandlerError, Remove, StreamProcessor};
    /// # #[derive(serde::Deserialize)]
    /// # struct Order { id: String }
    ///
    /// async fn removed(change: Remove<Order>) -> Result<(), HandlerError> {
    ///     println!("order {} is gone", change.old.id);
    ///     Ok(())
    /// }
    /// let processor = StreamProcessor::builder().on_remove(removed).build()?;
    /// # Ok::<(), lambda_streams::Error>(())
    /// ```
    pub fn on_remove<T, H>(self, handler: H) -> Self
    where
        T: DeserializeOwned + Send + 'static,
        H: Register<Remove<T>>,
    {
        self.register(Changes::Of(EventKind::Remove), handler.into_route(), "on_remove")
    }

    /// Handles every change whose kind has no handler, whichever images the stream carries.
    ///
    /// It excludes [`on_record`](Self::on_record): a processor has one of the two.
    ///
    /// ```
    /// use lambda_streams::{Change, HandlerError, StreamProcessor};
    /// # #[derive(serde::Deserialize)]
    /// # struct Order { id: String }
    ///
    /// async fn any(change: Change<Order>) -> Result<(), HandlerError> {
    ///     if let Some(order) = change.new.as_ref().or(change.old.as_ref()) {
    ///         println!("{} of order {}", change.kind(), order.id);
    ///     }
    ///     Ok(())
    /// }
    /// let processor = StreamProcessor::builder().on_change(any).build()?;
    /// # Ok::<(), lambda_streams::Error>(())
    /// ```
    pub fn on_change<T, H>(self, handler: H) -> Self
    where
        T: DeserializeOwned + Send + 'static,
        H: Register<Change<T>>,
    {
        self.register(Changes::Other, handler.into_route(), "on_change` or `on_record")
    }

    /// Handles every change whose kind has no handler, as the [`Record`] that Lambda delivered. Nothing is decoded before the handler asks for it.
    ///
    /// It excludes [`on_change`](Self::on_change): a processor has one of the two.
    ///
    /// ```
    /// use lambda_streams::{HandlerError, Record, StreamProcessor};
    ///
    /// async fn forward(record: Record) -> Result<(), HandlerError> {
    ///     println!("{} of {} bytes", record.kind(), record.raw_json().len());
    ///     Ok(())
    /// }
    /// let processor = StreamProcessor::builder().on_record(forward).build()?;
    /// # Ok::<(), lambda_streams::Error>(())
    /// ```
    pub fn on_record<H>(self, handler: H) -> Self
    where
        H: Register<Record>,
    {
        self.register(Changes::Other, handler.into_route(), "on_change` or `on_record")
    }

    /// Registers handlers for one entity: one of several types of items in a table.
    ///
    /// ```
    /// use lambda_streams::{Entity, HandlerError, Insert, Modify, Remove, StreamProcessor};
    /// # #[derive(serde::Deserialize)]
    /// # struct Order { id: String }
    /// # #[derive(serde::Deserialize)]
    /// # struct Customer { id: String }
    ///
    /// async fn created(change: Insert<Order>) -> Result<(), HandlerError> {
    ///     Ok(())
    /// }
    /// async fn changed(change: Modify<Order>) -> Result<(), HandlerError> {
    ///     Ok(())
    /// }
    /// async fn erased(change: Remove<Customer>) -> Result<(), HandlerError> {
    ///     Ok(())
    /// }
    ///
    /// let processor = StreamProcessor::builder()
    ///     .entity(Entity::key_prefix("sk", "ORDER#"), |order| order.on_insert(created).on_modify(changed))
    ///     .entity(Entity::attribute("entity", "customer"), |customer| customer.on_remove(erased))
    ///     .build()?;
    /// # Ok::<(), lambda_streams::Error>(())
    /// ```
    ///
    /// The first entity that takes a record, in the order of registration, is the record's entity. If it has no handler of the record's
    /// kind, the record is [skipped](crate::SkipReason::NoHandler): it does not fall through to another entity or to the top level. Handlers
    /// at the top level take the records that no entity takes. A record without a handler there either is [`unmatched`](Self::unmatched). A
    /// record is decoded once, for the handler that it goes to.
    ///
    /// A record fails if its entity cannot be determined: its keys or the attribute of [`Entity::attribute`] are malformed, or the stream does
    /// not carry the image that has the attribute. The error then names the stream's view type. Reports
    /// ([`RecordReport::entity`](crate::RecordReport::entity)), log lines and metrics name the entity.
    pub fn entity(mut self, entity: Entity, handlers: impl FnOnce(EntityHandlers) -> EntityHandlers) -> Self {
        if let Some(earlier) = self.routes.entities().find(|earlier| entity.is_shadowed_by(earlier)) {
            self.fault.get_or_insert_with(|| {
                format!(
                    "the entity `{entity}` never takes a record, because `{earlier}` comes before it and takes them all"
                )
            });
        }
        let same_name = |earlier: &&Entity| earlier.name() == entity.name();
        if self.routes.entities().any(|earlier| same_name(&earlier)) {
            let name = entity.name().to_owned();
            self.fault.get_or_insert_with(|| {
                format!("two entities have the name `{name}`: name one of them differently with `Entity::named`")
            });
        }
        let Some(number) = self.routes.add_entity(entity) else {
            let most = Routes::MAX_ENTITIES;
            self.fault
                .get_or_insert_with(|| format!("the processor has more than {most} entities, which is the limit"));
            return self;
        };
        handlers(EntityHandlers { builder: self, number }).builder
    }

    /// What happens to a record that no [entity](Self::entity) takes, and whose kind has no handler at the top level either.
    /// Default: [`Unmatched::Skip`].
    ///
    /// ```
    /// use lambda_streams::{Entity, MemoryDeadLetterQueue, Record, StreamProcessor, Unmatched};
    ///
    /// let processor = StreamProcessor::builder()
    ///     .entity(Entity::key_prefix("sk", "ORDER#"), |order| order.on_record(|_: Record| async { Ok(()) }))
    ///     .unmatched(Unmatched::DeadLetter)
    ///     .dead_letter_queue(MemoryDeadLetterQueue::new())
    ///     .build()?;
    /// # Ok::<(), lambda_streams::Error>(())
    /// ```
    pub fn unmatched(mut self, unmatched: Unmatched) -> Self {
        self.routes.unmatched = unmatched;
        self
    }

    /// Skips the records for which `keep` returns `false`. They count as done. Default: every record is kept.
    ///
    /// ```
    /// use lambda_streams::{EventKind, Record, StreamProcessor};
    ///
    /// let processor = StreamProcessor::builder()
    ///     .on_record(|_: Record| async { Ok(()) })
    ///     // Created and deleted items have one image, and so no changed attributes.
    ///     .filter(|record| Ok(record.kind() != EventKind::Modify || record.changed_attributes()?.contains("status")))
    ///     .build()?;
    /// # Ok::<(), lambda_streams::Error>(())
    /// ```
    ///
    /// `keep` returns `bool`, or `Result<bool, DecodeError>` if it decodes something. An error fails the record as one that does not
    /// decode: it becomes a dead letter or is reported, and is never skipped. So a filter that asks for an image which the stream's view
    /// type lacks does not drop the whole stream.
    ///
    /// `keep` is called once for each well-formed record that has a handler, in stream order, before the record waits for its turn. A panic in
    /// it fails the record. After the deadline has stopped the batch, it is no longer called, and the remaining records are unfinished.
    ///
    /// [Filter patterns](StreamProcessor::filter_criteria) of the event source mapping are cheaper, because the records that they drop do not
    /// invoke the function.
    pub fn filter<A: FilterAnswer>(mut self, keep: impl Fn(&Record) -> A + Send + Sync + 'static) -> Self {
        self.filter = Some(Box::new(move |record| keep(record).into_result()));
        self
    }

    /// The maximum number of handlers that run at the same time, over all clones and invocations of this processor: at least 1. Default: 10.
    ///
    /// The handlers run concurrently on one task, and share its thread while they wait. A function that mostly waits for other services gains
    /// from a higher limit. A [bulk](crate::bulk) counts as one handler.
    ///
    /// ```
    /// use lambda_streams::{Record, StreamProcessor};
    ///
    /// let processor = StreamProcessor::builder().on_record(|_: Record| async { Ok(()) }).concurrency(64).build()?;
    /// assert_eq!(processor.settings().concurrency, 64);
    /// # Ok::<(), lambda_streams::Error>(())
    /// ```
    pub fn concurrency(mut self, limit: usize) -> Self {
        self.concurrency = limit;
        self
    }

    /// Which records run one after the other. Default: [`Lanes::PerItem`], the changes of each item in order.
    ///
    /// ```
    /// use lambda_streams::{Lanes, Record, StreamProcessor};
    ///
    /// let processor = StreamProcessor::builder()
    ///     .on_record(|_: Record| async { Ok(()) })
    ///     .lanes(Lanes::per_key_attribute("customer")) // All items of a customer, in order.
    ///     .build()?;
    /// # Ok::<(), lambda_streams::Error>(())
    /// ```
    pub fn lanes(mut self, lanes: Lanes) -> Self {
        self.lanes = lanes;
        self
    }

    /// How often a retryable failure is tried again in place, and after which delays. Default: 3 attempts in all, with random delays of up to
    /// 100 ms and 200 ms ([`RetryPolicy`]).
    ///
    /// ```
    /// use lambda_streams::{Record, RetryPolicy, StreamProcessor};
    ///
    /// let processor = StreamProcessor::builder()
    ///     .on_record(|_: Record| async { Ok(()) })
    ///     .retry(RetryPolicy::default().max_attempts(5))
    ///     .build()?;
    /// assert_eq!(processor.settings().max_attempts, 5);
    /// # Ok::<(), lambda_streams::Error>(())
    /// ```
    pub fn retry(mut self, policy: RetryPolicy) -> Self {
        self.retry = policy;
        self
    }

    /// Says which errors are permanent, of those that handlers return by `?`: no further attempt can succeed. Default: none.
    ///
    /// ```
    /// use lambda_streams::{HandlerError, Record, StreamProcessor};
    ///
    /// #[derive(Debug)]
    /// enum OrderError { NoSuchCustomer, IndexIsDown }
    /// # impl std::fmt::Display for OrderError {
    /// #     fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result { f.write_str("no luck") }
    /// # }
    /// # impl std::error::Error for OrderError {}
    ///
    /// async fn index(record: Record) -> Result<(), HandlerError> {
    ///     Err(OrderError::NoSuchCustomer)?
    /// }
    ///
    /// let processor = StreamProcessor::builder()
    ///     .on_record(index)
    ///     .permanent_if(|error| matches!(error.downcast_ref(), Some(OrderError::NoSuchCustomer)))
    ///     .build()?;
    /// # Ok::<(), lambda_streams::Error>(())
    /// ```
    ///
    /// `is_permanent` gets the error that `?` converted. If your code wrapped an `OrderError` in another error type, `downcast_ref` does not
    /// find it: walk the chain of [`source`](std::error::Error::source)s. An `anyhow::Error` is seen as its own type, so the error that it
    /// wraps cannot be found by `downcast_ref`; the errors below its outermost context can, by `source`.
    ///
    /// An error that was made by [`HandlerError::retryable`](crate::HandlerError::retryable),
    /// [`retry_after`](crate::HandlerError::retry_after) or [`permanent`](crate::HandlerError::permanent) keeps its class. If
    /// `is_permanent` panics, the record fails as if its handler had panicked.
    ///
    /// Without a dead-letter queue, a permanent failure is reported at once, without another attempt in this invocation, and Lambda redelivers
    /// the record.
    pub fn permanent_if(
        mut self,
        is_permanent: impl Fn(&(dyn StdError + Send + Sync + 'static)) -> bool + Send + Sync + 'static,
    ) -> Self {
        self.permanent_if = Some(Box::new(is_permanent));
        self
    }

    /// How long one attempt of a handler may take: more than zero. Default: no limit except the end of the invocation.
    ///
    /// ```
    /// use std::time::Duration;
    /// use lambda_streams::{Deadline, ErrorKind, Record, RetryPolicy, StreamEvent, StreamProcessor};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), lambda_streams::Error> {
    /// let processor = StreamProcessor::builder()
    ///     .on_record(|record: Record| std::future::pending())
    ///     .handler_timeout(Duration::from_millis(1))
    ///     .retry(RetryPolicy::none())
    ///     .build()?;
    /// let event = StreamEvent::from_slice(br#"{"Records": [{"eventSource": "aws:dynamodb", "eventName": "REMOVE",
    ///     "dynamodb": {"Keys": {"id": {"S": "a"}}, "SequenceNumber": "1"}}]}"#)?;
    /// let report = processor.process(event, Deadline::none()).await;
    /// assert_eq!(report.records()[0].failure.as_ref().map(|failure| failure.kind), Some(ErrorKind::Timeout));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// The time runs from the start of the attempt. It includes decoding the item, computing, and waiting for other services. At its end the
    /// handler's future is dropped at its current `await`, and the attempt has failed with the error kind
    /// [`Timeout`](crate::ErrorKind::Timeout). That failure is retryable.
    ///
    /// **Without a timeout, a record whose handler hangs is unfinished in every invocation.** It never becomes a dead letter, and it blocks its
    /// shard until Lambda discards it together with the good records after it.
    ///
    /// Neither the timeout nor the deadline can interrupt code that computes without an `await`.
    pub fn handler_timeout(mut self, timeout: Duration) -> Self {
        self.handler_timeout = Some(timeout);
        self
    }

    /// Whether a failed record becomes a dead letter or is reported. Default: [`FailurePolicy::DeadLetterPermanent`] with a dead-letter queue,
    /// [`FailurePolicy::ReportAll`] without one.
    ///
    /// ```
    /// use lambda_streams::{FailurePolicy, MemoryDeadLetterQueue, Record, StreamProcessor};
    ///
    /// let processor = StreamProcessor::builder()
    ///     .on_record(|_: Record| async { Ok(()) })
    ///     .dead_letter_queue(MemoryDeadLetterQueue::new())
    ///     .failure_policy(FailurePolicy::DeadLetterAll) // The stream never waits for a failed record.
    ///     .build()?;
    /// # Ok::<(), lambda_streams::Error>(())
    /// ```
    pub fn failure_policy(mut self, policy: FailurePolicy) -> Self {
        self.failure_policy = Some(policy);
        self
    }

    /// The age from which a record that still fails retryably becomes a dead letter, once its attempts are used up. Younger records are
    /// reported, and Lambda redelivers them. Default: 6 hours. The age counts from the record's creation time.
    ///
    /// It needs a dead-letter queue. Keep it well below the limits of the event source mapping (`MaximumRecordAgeInSeconds`) and of the stream
    /// (24 hours): where those end, Lambda discards the record *together with the good records after it*, and keeps only their metadata
    /// ([AWS: event source mapping](https://docs.aws.amazon.com/lambda/latest/dg/services-ddb-params.html)). Above 24 hours, the log warns once.
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// use lambda_streams::{MemoryDeadLetterQueue, Record, StreamProcessor};
    ///
    /// let processor = StreamProcessor::builder()
    ///     .on_record(|_: Record| async { Ok(()) })
    ///     .dead_letter_queue(MemoryDeadLetterQueue::new())
    ///     .give_up_after(Duration::from_secs(60 * 60))
    ///     .build()?;
    /// # Ok::<(), lambda_streams::Error>(())
    /// ```
    pub fn give_up_after(mut self, age: Duration) -> Self {
        self.give_up_after = Some(age);
        self
    }

    /// The age of the environment, which may be there although the code wants no queue.
    pub(super) fn give_up_after_of_environment(mut self, age: Duration) -> Self {
        self.give_up_after_of_environment = Some(age);
        self
    }

    /// What happens to the rest of a lane after one of its records has become a dead letter. Default: [`AfterDeadLetter::Continue`].
    ///
    /// [`AfterDeadLetter::FollowLane`] needs a dead-letter queue, and lanes of more than one record. Its effect ends with the batch: a consumer
    /// that can never skip a change of an item needs [`FailurePolicy::ReportAll`].
    ///
    /// ```
    /// use lambda_streams::{AfterDeadLetter, MemoryDeadLetterQueue, Record, StreamProcessor};
    ///
    /// let processor = StreamProcessor::builder()
    ///     .on_record(|_: Record| async { Ok(()) })
    ///     .dead_letter_queue(MemoryDeadLetterQueue::new())
    ///     .after_dead_letter(AfterDeadLetter::FollowLane)
    ///     .build()?;
    /// # Ok::<(), lambda_streams::Error>(())
    /// ```
    pub fn after_dead_letter(mut self, rest: AfterDeadLetter) -> Self {
        self.after_dead_letter = rest;
        self
    }

    /// Reports every failure, even if the environment names a queue.
    ///
    /// Lambda then redelivers the records, starting at the earliest failure, until that record succeeds or expires. This is also the default of
    /// [`StreamProcessor::builder`], but there the log warns at the first batch of a stream that there is no queue. With
    /// [`StreamProcessor::builder_from_env`], it overrides `DLQ_URL`.
    ///
    /// ```
    /// use lambda_streams::{Record, StreamProcessor};
    ///
    /// let processor = StreamProcessor::builder().on_record(|_: Record| async { Ok(()) }).without_dead_letter_queue().build()?;
    /// assert!(!processor.settings().has_dead_letter_queue);
    /// # Ok::<(), lambda_streams::Error>(())
    /// ```
    pub fn without_dead_letter_queue(mut self) -> Self {
        self.queue = QueueChoice::Declined;
        self
    }

    /// The queue for the records that the processor gives up on. Default: none, and every failure is reported.
    ///
    /// ```no_run
    /// use lambda_streams::{FileDeadLetterQueue, Record, StreamProcessor};
    ///
    /// let processor = StreamProcessor::builder()
    ///     .on_record(|_: Record| async { Ok(()) })
    ///     .dead_letter_queue(FileDeadLetterQueue::open("dead-letters.ndjson")?)
    ///     .build()?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn dead_letter_queue(mut self, queue: impl DeadLetterQueue) -> Self {
        self.queue = QueueChoice::This(dead_letter::erase(queue));
        self
    }

    /// The queue of the environment, which may be there although the code has every failure reported.
    #[cfg(feature = "sqs")]
    pub(super) fn dead_letter_queue_of_environment(mut self, queue: impl DeadLetterQueue) -> Self {
        self.queue_of_environment = Some(dead_letter::erase(queue));
        self
    }

    /// How long before the deadline the processor stops. Default: a tenth of the time left at the start of the invocation, at least 250 ms and
    /// at most 10 s.
    ///
    /// From the stop until the deadline, no handler starts and the filter is not called. Handlers that still run are dropped, and dead letters
    /// may be sent for another three quarters of the margin. The time is checked after each piece of your code. So the response is late only if
    /// one handler, filter or call of the queue computes for longer than the margin leaves, without an `await`, or if the handlers that are
    /// dropped at the stop do so together.
    ///
    /// A margin that is not below the time left would leave no time for records. The default is used then, and the log warns once.
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// use lambda_streams::{Record, StreamProcessor};
    ///
    /// let processor = StreamProcessor::builder()
    ///     .on_record(|_: Record| async { Ok(()) })
    ///     .deadline_margin(Duration::from_secs(2))
    ///     .build()?;
    /// assert_eq!(processor.settings().deadline_margin, Some(Duration::from_secs(2)));
    /// # Ok::<(), lambda_streams::Error>(())
    /// ```
    pub fn deadline_margin(mut self, margin: Duration) -> Self {
        self.deadline_margin = Some(margin);
        self
    }

    /// Whether records that are done are skipped when Lambda redelivers them to the same execution environment. These are the records after a
    /// checkpoint that succeeded or became dead letters. Default: `true`.
    ///
    /// An environment remembers at most 50,000 records, for at most an hour. A new environment remembers none, so delivery stays at least once;
    /// [`idempotency`](Self::idempotency) shares the memory between environments.
    ///
    /// ```
    /// use lambda_streams::{Record, StreamProcessor};
    ///
    /// // Each delivery of a record reaches the handler, for instance in a test of its idempotence.
    /// let processor = StreamProcessor::builder().on_record(|_: Record| async { Ok(()) }).skip_redelivered(false).build()?;
    /// # Ok::<(), lambda_streams::Error>(())
    /// ```
    pub fn skip_redelivered(mut self, skip: bool) -> Self {
        self.skip_redelivered = skip;
        self
    }

    /// Keeps in a store which records after a checkpoint are done, so no execution environment does them again. Default: only the
    /// environment's own memory.
    ///
    /// ```
    /// use lambda_streams::{Idempotency, MemoryIdempotencyStore, Record, StreamProcessor};
    ///
    /// let processor = StreamProcessor::builder()
    ///     .on_record(|_: Record| async { Ok(()) })
    ///     .idempotency(Idempotency::new("order-totals", MemoryIdempotencyStore::new()))
    ///     .build()?;
    /// assert_eq!(processor.settings().consumer.as_deref(), Some("order-totals"));
    /// # Ok::<(), lambda_streams::Error>(())
    /// ```
    ///
    /// [`Idempotency`] says what it promises and what it costs.
    pub fn idempotency(mut self, idempotency: Idempotency) -> Self {
        self.idempotency = Some(idempotency);
        self
    }

    /// The store of the environment, unless the code sets one, or skips nothing.
    #[cfg(feature = "dynamodb")]
    pub(super) fn idempotency_of_environment(mut self, idempotency: Idempotency) -> Self {
        self.idempotency_of_environment = Some(idempotency);
        self
    }

    /// The store that the processor gets.
    fn store(&self) -> Option<&Idempotency> {
        let of_environment = || self.idempotency_of_environment.as_ref().filter(|_| self.skip_redelivered);
        self.idempotency.as_ref().or_else(of_environment)
    }

    /// Keeps a high-water mark of each item in the store of [`idempotency`](Self::idempotency), against crashes, timeouts, and records that
    /// arrive late. Default: none.
    ///
    /// ```
    /// use lambda_streams::{Idempotency, Marks, MemoryIdempotencyStore, Record, Stale, StreamProcessor};
    ///
    /// let processor = StreamProcessor::builder()
    ///     .on_record(|_: Record| async { Ok(()) })
    ///     .idempotency(Idempotency::new("search-index", MemoryIdempotencyStore::new()))
    ///     .marks(Marks::new(Stale::Skip))
    ///     .build()?;
    /// assert!(processor.settings().has_marks);
    /// # Ok::<(), lambda_streams::Error>(())
    /// ```
    ///
    /// # What it promises
    /// A record is not handed to a handler again if its success was noted in the mark before the mark was read. A crash between a handler's
    /// success and the write of the mark causes one repetition.
    ///
    /// Two executions may overlap, and then both may run a handler: after a timeout whose request is still in flight, with two mappings, or in
    /// a redrive next to the live stream. Marks only move upwards, so no record is lost.
    ///
    /// # How it works
    /// - **From the stream**, a record at or below the mark that the stream has passed is skipped
    ///   ([`SkipReason::AlreadyDone`](crate::SkipReason::AlreadyDone)). A record whose creation time is later than that of the mark is processed
    ///   anyway, and counted (`MarkRegressions`): that sequence numbers rise from a shard to its successors is observed, but AWS does not
    ///   promise it.
    /// - **From elsewhere** (a redrive, a replay, or [`Origin::OnDemand`](crate::Origin::OnDemand)), only the mark of what was applied counts. A
    ///   record that equals it is skipped, and a newer one is processed. An older one is *stale*: [`Stale`](crate::Stale) decides, or
    ///   `lambda-streams replay --stale` in its place.
    /// - **From a [backfill](crate::Origin::Backfill)**, a record has no sequence number. It is processed, and moves no mark.
    ///
    /// A handler's success moves the mark. So does a dead letter that the queue has accepted, but only if its record is from the stream. A
    /// skipped record moves no mark. Without a [guard](crate::guide::idempotency), [`Stale::Skip`](crate::Stale::Skip) checks before it acts:
    /// a live change that passes in between may be overwritten.
    ///
    /// # What it costs
    /// - One strongly consistent read for each item of a batch that has a handler, filtered or not, 100 items a call: one read unit each in
    ///   DynamoDB. The first records of a batch wait for the first read. Later reads are made while earlier records are processed.
    /// - One write for each changed item of a batch, even if it does not raise the mark: one write unit each, and about two for an item that
    ///   is changed again after its mark has been written. The invocation answers once the writes have ended.
    pub fn marks(mut self, marks: Marks) -> Self {
        self.marks = Some(marks);
        self
    }

    /// Whether the event source mapping has `ReportBatchItemFailures` among its `FunctionResponseTypes`. Default: `true`.
    ///
    /// **It must agree with what is deployed.** If the mapping does not have it, Lambda ignores the response, and reported records would be
    /// lost. With `false`, a reported record fails the whole invocation instead, and Lambda redelivers the whole batch. If the mapping has it
    /// and this is `false`, nothing is lost, but every failure repeats its whole batch
    /// ([AWS: partial batch response](https://docs.aws.amazon.com/lambda/latest/dg/services-ddb-batchfailurereporting.html)).
    ///
    /// ```
    /// use lambda_streams::testing::TestStream;
    /// use lambda_streams::{Deadline, Record, StreamProcessor};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), lambda_streams::Error> {
    /// let processor = StreamProcessor::builder()
    ///     .on_record(|_: Record| async { Err("the index is down".into()) })
    ///     .report_batch_item_failures(false)
    ///     .build()?;
    /// let event = TestStream::new("orders", &["id"]).insert(serde_json::json!({"id": {"S": "a"}})).event()?;
    /// let report = processor.process(event, Deadline::none()).await;
    /// assert!(report.response().unwrap_err().is_batch_failed(), "the invocation fails as a whole");
    /// # Ok(())
    /// # }
    /// ```
    pub fn report_batch_item_failures(mut self, enabled: bool) -> Self {
        self.report_batch_item_failures = enabled;
        self
    }

    /// Whether a [redrive](StreamProcessor::redrive) deletes the dead letters that it skips, because no handler takes their kind of change or
    /// the filter drops them. Default: `false`.
    ///
    /// By default, the response names their messages as failed. They stay in the queue until they have been received as often as its redrive
    /// policy allows, and then go to that queue's own dead-letter queue. So a function with fewer handlers, or with another filter, does not
    /// empty a queue that it shares. With `true`, a skipped dead letter is lost.
    ///
    /// ```
    /// use lambda_streams::{Record, StreamProcessor};
    ///
    /// let processor = StreamProcessor::builder()
    ///     .on_record(|_: Record| async { Ok(()) })
    ///     .filter(|record| record.table_name() == Some("orders"))
    ///     .delete_skipped_on_redrive(true) // The queue belongs to this function alone.
    ///     .build()?;
    /// # Ok::<(), lambda_streams::Error>(())
    /// ```
    pub fn delete_skipped_on_redrive(mut self, delete: bool) -> Self {
        self.delete_skipped_on_redrive = delete;
        self
    }

    /// Builds the processor.
    ///
    /// ```
    /// use lambda_streams::{Record, StreamProcessor};
    ///
    /// let error = StreamProcessor::builder().on_record(|_: Record| async { Ok(()) }).concurrency(0).build().unwrap_err();
    /// assert!(error.is_configuration() && error.to_string().starts_with("`concurrency` is 0"));
    /// ```
    ///
    /// # Errors
    /// An error for which [`Error::is_configuration`] holds, and whose message names the setting and the fix, if
    ///
    /// - there is no handler, or there are two for the same kind of change;
    /// - a limit or a timeout is zero, or the delays of the [retry policy](Self::retry) contradict each other;
    /// - a [`bulk`](crate::bulk) handler does not fit the lanes, or [`when_changed`](crate::when_changed) names no attribute;
    /// - an [`entity`](Self::entity) can never take a record, or two entities have one name;
    /// - there is no dead-letter queue, but a setting makes dead letters: [`failure_policy`](Self::failure_policy),
    ///   [`give_up_after`](Self::give_up_after), [`FollowLane`](AfterDeadLetter::FollowLane) or [`Unmatched::DeadLetter`];
    /// - the code sets a [`dead_letter_queue`](Self::dead_letter_queue) or [`Unmatched::DeadLetter`], but the failure policy is
    ///   [`ReportAll`](FailurePolicy::ReportAll), which makes no dead letters;
    /// - [`FollowLane`](AfterDeadLetter::FollowLane) or [`marks`](Self::marks) are set together with [`Lanes::Unordered`], which keeps no order;
    /// - [`marks`](Self::marks) are set without [`idempotency`](Self::idempotency), or `idempotency` while
    ///   [`skip_redelivered`](Self::skip_redelivered) is off, or a value of either is out of its range.
    ///
    /// A variable of the environment is refused only if nothing in the code overrides it. With
    /// [`without_dead_letter_queue`](Self::without_dead_letter_queue), `LAMBDA_STREAMS_GIVE_UP_AFTER_SECONDS` has no effect; nor has `DLQ_URL`
    /// with [`ReportAll`](FailurePolicy::ReportAll).
    pub fn build(self) -> Result<StreamProcessor, Error> {
        self.validate()?;
        let is_queue_declined = self.is_queue_declined();
        let idempotency = self.store().cloned();
        let give_up_after = self.give_up_after.or(self.give_up_after_of_environment).unwrap_or(SIX_HOURS);
        let queue = match self.queue {
            QueueChoice::This(queue) => Some(queue),
            QueueChoice::Unsaid => self.queue_of_environment,
            QueueChoice::Declined => None,
        };
        let default_policy = match queue {
            Some(_) => FailurePolicy::DeadLetterPermanent,
            None => FailurePolicy::ReportAll,
        };
        Ok(StreamProcessor::new(Settings {
            routes: self.routes,
            filter: self.filter,
            limit: Semaphore::new(self.concurrency),
            concurrency: self.concurrency,
            lanes: self.lanes,
            failing: FailureRules {
                retry: self.retry,
                policy: self.failure_policy.unwrap_or(default_policy),
                max_record_age: give_up_after,
                has_queue: queue.is_some(),
            },
            permanent_if: self.permanent_if,
            handler_timeout: self.handler_timeout,
            after_dead_letter: self.after_dead_letter,
            queue,
            is_queue_declined,
            deadline_margin: self.deadline_margin,
            completed: self.skip_redelivered.then(Completed::default),
            idempotency,
            marks: self.marks,
            report_batch_item_failures: self.report_batch_item_failures,
            delete_skipped_on_redrive: self.delete_skipped_on_redrive,
            meter: Meter::default(),
            warned: Warned::default(),
        }))
    }

    fn validate(&self) -> Result<(), Error> {
        let fault = if let Some(fault) = &self.fault {
            fault.clone()
        } else if self.routes.conditions().any(Condition::names_nothing) {
            "`when_changed` names no attribute, so its handler would never be called for a modification".to_owned()
        } else if self.routes.is_empty() {
            "the processor has no handler: register one with `on_insert`, `on_modify`, `on_remove`, `on_change` or \
             `on_record`"
                .to_owned()
        } else if !(1..=Semaphore::MAX_PERMITS).contains(&self.concurrency) {
            format!("`concurrency` is {}: it must be 1 to {}", self.concurrency, Semaphore::MAX_PERMITS)
        } else if self.retry.max_attempts == 0 {
            "`max_attempts` of the retry policy is 0: the first attempt counts, so it must be at least 1".to_owned()
        } else if self.retry.base_delay > self.retry.max_delay {
            "`base_delay` of the retry policy is longer than its `max_delay`".to_owned()
        } else if self.handler_timeout == Some(Duration::ZERO) {
            "`handler_timeout` is zero: it must be longer".to_owned()
        } else if let Some(fault) = self.routes.bulks().iter().find_map(|bulk| self.fault_of(bulk)) {
            fault.to_owned()
        } else if let Some(contradiction) = self.contradiction() {
            contradiction
        } else {
            return Ok(());
        };
        Err(Error::configuration(fault))
    }

    /// Two settings that contradict each other.
    fn contradiction(&self) -> Option<String> {
        let follows = self.after_dead_letter == AfterDeadLetter::FollowLane;
        if follows && self.lanes == Lanes::Unordered {
            return Some(
                "`after_dead_letter` is `FollowLane`, but with `Lanes::Unordered` no record follows another".to_owned(),
            );
        }
        if let Some(fault) = self.fault_of_idempotency() {
            return Some(fault);
        }
        let reports_all = self.failure_policy == Some(FailurePolicy::ReportAll);
        if reports_all && self.routes.unmatched == Unmatched::DeadLetter {
            return Some(
                "`Unmatched::DeadLetter` makes dead letters, but the failure policy is `ReportAll`".to_owned(),
            );
        }
        if reports_all && matches!(self.queue, QueueChoice::This(_)) {
            let fault =
                "the failure policy is `ReportAll`, but there is a `dead_letter_queue`, which would get nothing";
            return Some(fault.to_owned());
        }
        if self.has_queue() {
            return None;
        }
        let gives_up = self.give_up_after_of_environment.is_some() && !self.is_queue_declined();
        let makes_letters = [
            (self.failure_policy.is_some() && !reports_all, "the failure policy makes dead letters"),
            (follows, "`after_dead_letter` is `FollowLane`"),
            (self.give_up_after.is_some(), "`give_up_after` makes dead letters"),
            (self.routes.unmatched == Unmatched::DeadLetter, "`Unmatched::DeadLetter` makes dead letters"),
            (gives_up, "`LAMBDA_STREAMS_GIVE_UP_AFTER_SECONDS` is set"),
        ];
        let (_, what) = makes_letters.into_iter().find(|(is_set, _)| *is_set)?;
        let remedy = if gives_up { ", or `without_dead_letter_queue` if every failure is to be reported" } else { "" };
        Some(format!(
            "{what}, but there is no dead-letter queue: set `DLQ_URL` and start with `builder_from_env`, or call \
             `dead_letter_queue`{remedy}"
        ))
    }

    /// What is wrong with what is kept outside, by itself or with other settings.
    fn fault_of_idempotency(&self) -> Option<String> {
        let fault = match (self.store(), &self.marks) {
            (None, None) => return None,
            (None, Some(_)) => "there are `marks`, but no store to keep them in: call `idempotency`",
            (Some(_), Some(_)) if self.lanes == Lanes::Unordered => {
                "`marks` need the order of an item, which `Lanes::Unordered` does not keep: choose other lanes, or guard each \
                 record with `Guard::once` instead"
            }
            (Some(_), _) if !self.skip_redelivered => {
                "`skip_redelivered` is off, but there is an idempotency store, which exists to skip: remove one of the two"
            }
            (Some(idempotency), marks) => {
                return idempotency.fault().or_else(|| marks.as_ref().and_then(Marks::fault));
            }
        };
        Some(fault.to_owned())
    }

    /// Whether the code says that no queue is wanted.
    fn is_queue_declined(&self) -> bool {
        matches!(self.queue, QueueChoice::Declined) || self.failure_policy == Some(FailurePolicy::ReportAll)
    }

    fn has_queue(&self) -> bool {
        match self.queue {
            QueueChoice::This(_) => true,
            QueueChoice::Unsaid => self.queue_of_environment.is_some(),
            QueueChoice::Declined => false,
        }
    }

    /// What is wrong with the settings of a bulk handler.
    fn fault_of(&self, bulk: &BulkRoute) -> Option<&'static str> {
        let BulkRoute { limits, latest_only, .. } = bulk;
        if limits.max_records == 0 {
            Some("`max_records` of a bulk handler is 0: it must be at least 1")
        } else if limits.max_bytes == Some(0) {
            Some("`max_bytes` of a bulk handler is 0: it must be at least 1")
        } else if limits.timeout == Some(Duration::ZERO) {
            Some("`timeout` of a bulk handler is zero: it must be longer")
        } else if self.lanes == Lanes::WholeBatch && !limits.within_lane {
            Some(
                "a bulk holds one record of each lane, so each bulk would be one record under `Lanes::WholeBatch`: choose \
                 other lanes, or `within_lane` if the sink applies a request in order",
            )
        } else if self.lanes == Lanes::Unordered && *latest_only {
            Some("`latest_only` needs the order of an item, which `Lanes::Unordered` does not keep")
        } else {
            None
        }
    }

    fn register(self, changes: Changes, route: Route, method: &'static str) -> Self {
        self.register_for(EntityNumber::NONE, changes, route, method)
    }

    fn register_for(mut self, entity: EntityNumber, changes: Changes, route: Route, method: &'static str) -> Self {
        if self.routes.register(entity, changes, route) {
            let whose =
                self.routes.name_of(entity).map_or("the processor".to_owned(), |name| format!("the entity `{name}`"));
            self.fault
                .get_or_insert_with(|| format!("{whose} has two handlers for the same changes: call `{method}` once"));
        }
        self
    }
}

/// Registers the handlers of one entity: the argument of the closure of [`ProcessorBuilder::entity`].
///
/// Its methods are those of [`ProcessorBuilder`], for the records of the entity.
///
/// ```
/// use lambda_streams::{Entity, Insert, Record, StreamProcessor};
/// # #[derive(serde::Deserialize)]
/// # struct Order { id: String }
///
/// let processor = StreamProcessor::builder()
///     .entity(Entity::key_prefix("sk", "ORDER#"), |order| {
///         order.on_insert(|change: Insert<Order>| async { Ok(()) }).on_record(|other: Record| async { Ok(()) })
///     })
///     .build()?;
/// # Ok::<(), lambda_streams::Error>(())
/// ```
#[must_use]
pub struct EntityHandlers {
    builder: ProcessorBuilder,
    number: EntityNumber,
}

impl EntityHandlers {
    /// Handles created items of the entity, as [`ProcessorBuilder::on_insert`]. The stream must carry new images.
    pub fn on_insert<T, H>(self, handler: H) -> Self
    where
        T: DeserializeOwned + Send + 'static,
        H: Register<Insert<T>>,
    {
        self.register(Changes::Of(EventKind::Insert), handler.into_route(), "on_insert")
    }

    /// Handles changed items of the entity, as [`ProcessorBuilder::on_modify`]. The stream must carry both images (`NEW_AND_OLD_IMAGES`).
    pub fn on_modify<T, H>(self, handler: H) -> Self
    where
        T: DeserializeOwned + Send + 'static,
        H: Register<Modify<T>>,
    {
        self.register(Changes::Of(EventKind::Modify), handler.into_route(), "on_modify")
    }

    /// Handles deleted items of the entity, as [`ProcessorBuilder::on_remove`]. The stream must carry old images.
    pub fn on_remove<T, H>(self, handler: H) -> Self
    where
        T: DeserializeOwned + Send + 'static,
        H: Register<Remove<T>>,
    {
        self.register(Changes::Of(EventKind::Remove), handler.into_route(), "on_remove")
    }

    /// Handles every change of the entity whose kind has no handler, whichever images the stream carries.
    pub fn on_change<T, H>(self, handler: H) -> Self
    where
        T: DeserializeOwned + Send + 'static,
        H: Register<Change<T>>,
    {
        self.register(Changes::Other, handler.into_route(), "on_change` or `on_record")
    }

    /// Handles every change of the entity whose kind has no handler, as the [`Record`] that Lambda delivered.
    pub fn on_record<H>(self, handler: H) -> Self
    where
        H: Register<Record>,
    {
        self.register(Changes::Other, handler.into_route(), "on_change` or `on_record")
    }

    fn register(self, changes: Changes, route: Route, method: &'static str) -> Self {
        let Self { builder, number } = self;
        Self { builder: builder.register_for(number, changes, route, method), number }
    }
}

impl fmt::Debug for EntityHandlers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = self.builder.routes.name_of(self.number);
        f.debug_struct("EntityHandlers").field("entity", &name).finish_non_exhaustive()
    }
}

impl fmt::Debug for ProcessorBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProcessorBuilder")
            .field("concurrency", &self.concurrency)
            .field("lanes", &self.lanes)
            .field("retry", &self.retry)
            .field("handler_timeout", &self.handler_timeout)
            .field("failure_policy", &self.failure_policy)
            .field("give_up_after", &self.give_up_after.or(self.give_up_after_of_environment))
            .field("dead_letter_queue", &self.has_queue())
            .field("report_batch_item_failures", &self.report_batch_item_failures)
            .finish_non_exhaustive()
    }
}
