//! An execution environment: one processor, sound or deliberately broken.

use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;
use lambda_streams::{
    AfterDeadLetter, Bulk, BulkAnswer, BulkFailures, Change, Deadline, EntityHandlers, FailurePolicy, Handler,
    HandlerError, Insert, Invocation, Lanes, Modify, Outcome, ProcessorBuilder, Record, RecordReport, Register, Remove,
    RetryPolicy, StreamProcessor, Unmatched, bulk, when_changed,
};
use serde::de::IgnoredAny;

use crate::broken;
use crate::bulk::Said;
use crate::judge_bulk::MAX_BACKOFF;
use crate::plan::{Answers, BulkPlan, ImagesPlan, LanesPlan, Plan, PolicyPlan, Takes};
use crate::queue::ModelQueue;
use crate::routing::{Destination, EntityPlan, HandlersPlan, Kind, PARTITION, RoutingPlan, ToldBy, WATCHED};
use crate::world::World;

/// What is judged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Subject {
    /// The crate's own.
    Processor,
    /// Reports every failure, but continues after it, and forgets what it did.
    GoesOnBehindFailures,
    /// Takes a dead letter as accepted before the queue has.
    AcknowledgesBeforeTheQueue,
    /// Knows no order.
    OrdersByNothing,
    /// Names a failed record with the empty identifier.
    EmptyIdentifier,
    /// Never stops for the deadline.
    IgnoresTheDeadline,
    /// Stops at the deadline, and not a margin before it.
    LeavesNoMargin,
    /// Gives the top level what an entity has no handler for.
    FallsThrough,
    /// Tells the entity of a modification by the item as it was before.
    RoutesByOldImage,
    /// Skips a modification if its condition is unknown.
    SkipsWhatItCannotTell,
    /// Takes a bulk's failures for successes.
    SwallowsErrorsOfBulks,
    /// Has records of one lane in two bulks at once.
    SplitsLanesOverBulks,
    /// Has more records in a bulk than it may.
    OverfillsBulks,
    /// Runs more bulks than it has permits.
    RunsBulksWithoutPermit,
    /// Takes the answers that are missing for successes.
    PadsAnswers,
    /// Gives up all records of a bulk that failed as a whole.
    CondemnsInnocents,
    /// Fails the whole bulk for one failure, and repeats what succeeded.
    RepeatsSuccesses,
    /// Counts superseded changes as done before their successor is.
    CountsSupersededAtOnce,
}

impl Subject {
    pub(crate) const BROKEN: [Self; 17] = [
        Self::GoesOnBehindFailures,
        Self::AcknowledgesBeforeTheQueue,
        Self::OrdersByNothing,
        Self::EmptyIdentifier,
        Self::IgnoresTheDeadline,
        Self::LeavesNoMargin,
        Self::FallsThrough,
        Self::RoutesByOldImage,
        Self::SkipsWhatItCannotTell,
        Self::SwallowsErrorsOfBulks,
        Self::SplitsLanesOverBulks,
        Self::OverfillsBulks,
        Self::RunsBulksWithoutPermit,
        Self::PadsAnswers,
        Self::CondemnsInnocents,
        Self::RepeatsSuccesses,
        Self::CountsSupersededAtOnce,
    ];

    /// The promise that it breaks, and whose violation catches it; the sound processor must break none.
    pub(crate) fn breaks(self) -> Option<&'static str> {
        match self {
            Self::Processor => None,
            Self::GoesOnBehindFailures | Self::OrdersByNothing | Self::SplitsLanesOverBulks => Some("P2"),
            Self::AcknowledgesBeforeTheQueue
            | Self::SkipsWhatItCannotTell
            | Self::SwallowsErrorsOfBulks
            | Self::PadsAnswers
            | Self::CountsSupersededAtOnce => Some("P1"),
            Self::EmptyIdentifier => Some("P5"),
            Self::FallsThrough | Self::RoutesByOldImage => Some("routing"),
            Self::IgnoresTheDeadline => Some("P4"),
            Self::LeavesNoMargin => Some("deadline"),
            Self::OverfillsBulks => Some("bulk size"),
            Self::RunsBulksWithoutPermit => Some("P3"),
            Self::CondemnsInnocents => Some("P6"),
            Self::RepeatsSuccesses => Some("repetition"),
        }
    }

    fn is_unordered(self) -> bool {
        matches!(self, Self::OrdersByNothing | Self::SplitsLanesOverBulks)
    }

    fn is_of_bulks(self) -> bool {
        Self::BROKEN.iter().position(|subject| *subject == self).is_some_and(|position| position >= 9)
    }

    fn is_of_routing(self) -> bool {
        matches!(self, Self::FallsThrough | Self::RoutesByOldImage | Self::SkipsWhatItCannotTell)
    }

    fn adapt_routing(self, routing: &mut RoutingPlan) {
        routing.unmatched_fails = false;
        routing.top_level = HandlersPlan { watches: self == Self::SkipsWhatItCannotTell, ..HandlersPlan::default() };
        let told_by = match self {
            Self::FallsThrough => ToldBy::Partition(0),
            Self::RoutesByOldImage => ToldBy::Type(0),
            _ => ToldBy::Table(1),
        };
        let handlers = match self {
            Self::RoutesByOldImage => HandlersPlan::default(),
            _ => HandlersPlan::NONE,
        };
        routing.entities = vec![EntityPlan { told_by, handlers }];
    }

    /// Makes the plan one in which the subject can break its promise.
    pub(crate) fn adapt(self, plan: &mut Plan) {
        if self == Self::Processor {
            return;
        }
        plan.processor.lanes = LanesPlan::PerItem;
        if self.is_of_routing() {
            plan.processor.bulk = None;
            self.adapt_routing(&mut plan.processor.routing);
            return;
        }
        plan.processor.routing = RoutingPlan::default();
        plan.records.iter_mut().for_each(|record| record.images = ImagesPlan::default());
        if !self.is_of_bulks() {
            plan.processor.bulk = None;
            return;
        }
        let bulk = plan.processor.bulk.get_or_insert_with(BulkPlan::default);
        match self {
            Self::SplitsLanesOverBulks => (bulk.takes, bulk.max_records) = (Takes::Inserts, 1),
            Self::CountsSupersededAtOnce => (bulk.takes, bulk.within_lane) = (Takes::LatestRecords, true),
            _ => {}
        }
    }
}

/// What a report says of a record.
#[derive(Debug)]
pub(crate) struct Reported {
    pub(crate) outcome: Outcome,
    pub(crate) attempts: u32,
    pub(crate) entity: Option<String>,
}

/// What came of an invocation.
pub(crate) struct Ran {
    /// The JSON answer, or the function error's message.
    pub(crate) answer: Result<String, String>,
    /// The report, where the subject has one.
    pub(crate) outcomes: Option<Vec<Reported>>,
}

pub(crate) struct Environment {
    subject: Subject,
    world: Arc<World>,
    pub(crate) id: usize,
    processor: StreamProcessor,
}

impl Environment {
    pub(crate) fn start(subject: Subject, world: &Arc<World>) -> Self {
        let id = world.ledger().new_environment();
        Self { subject, world: Arc::clone(world), id, processor: processor(subject, world, id) }
    }

    /// Invokes once.
    pub(crate) fn invoke(&self, payload: String, invocation: usize, timeout: Duration) -> BoxFuture<'static, Ran> {
        let (subject, world, id) = (self.subject, Arc::clone(&self.world), self.id);
        if subject == Subject::GoesOnBehindFailures {
            return Box::pin(broken::goes_on_behind_failures(world, id, payload, timeout));
        }
        let deadline = if subject == Subject::IgnoresTheDeadline { Deadline::none() } else { Deadline::after(timeout) };
        let mut context = Invocation::from(deadline);
        context.request_id = invocation.to_string();
        let processor = self.processor.clone();
        Box::pin(async move {
            let report = match processor.process_payload(payload.into_bytes(), context).await {
                Ok(report) => report,
                Err(error) => return Ran { answer: Err(error.to_string()), outcomes: None },
            };
            let reported = |record: &RecordReport| Reported {
                outcome: record.outcome,
                attempts: record.attempts,
                entity: record.entity().map(str::to_owned),
            };
            let outcomes = report.records().iter().map(reported).collect();
            let response = report.response().map_err(|error| error.to_string());
            let answer = response.map(|response| serde_json::to_string(&response).expect("a response is JSON"));
            let answer =
                if subject == Subject::EmptyIdentifier { answer.map(broken::empty_identifier) } else { answer };
            Ran { answer, outcomes: Some(outcomes) }
        })
    }
}

fn processor(subject: Subject, world: &Arc<World>, environment: usize) -> StreamProcessor {
    let plan = &world.plan.processor;
    let lanes = match plan.lanes {
        _ if subject.is_unordered() => Lanes::Unordered,
        LanesPlan::PerItem => Lanes::PerItem,
        LanesPlan::PerPartition => Lanes::per_key_attribute(PARTITION),
        LanesPlan::WholeBatch => Lanes::WholeBatch,
        LanesPlan::Unordered => Lanes::Unordered,
    };
    let mut builder = StreamProcessor::builder();
    let handlers = Handlers { subject, world: Arc::clone(world), environment };
    builder = handlers.add_all(builder);
    builder = builder
        .filter({
            let world = Arc::clone(world);
            move |record| {
                let is_kept = world.filter(environment, record);
                is_kept && !(subject == Subject::SkipsWhatItCannotTell && broken::has_untold_condition(&world, record))
            }
        })
        .concurrency(plan.concurrency + usize::from(subject == Subject::RunsBulksWithoutPermit))
        .lanes(lanes)
        .retry(
            RetryPolicy::default()
                .max_attempts(plan.max_attempts)
                .base_delay(Duration::from_millis(10))
                .max_delay(MAX_BACKOFF),
        )
        .skip_redelivered(plan.remember)
        .report_batch_item_failures(world.plan.mapping.report_batch_item_failures);
    if plan.follow_lane && !subject.is_unordered() {
        builder = builder.after_dead_letter(AfterDeadLetter::FollowLane);
    }
    if let Some(millis) = plan.handler_timeout_millis {
        builder = builder.handler_timeout(Duration::from_millis(millis.into()));
    }
    if subject == Subject::LeavesNoMargin {
        builder = builder.deadline_margin(Duration::ZERO);
    } else if let Some(millis) = plan.margin_millis {
        builder = builder.deadline_margin(Duration::from_millis(millis));
    }
    if plan.queue {
        let acknowledges_at_once = subject == Subject::AcknowledgesBeforeTheQueue;
        builder = builder
            .dead_letter_queue(ModelQueue { world: Arc::clone(world), environment, acknowledges_at_once })
            .give_up_after(Duration::from_secs(plan.give_up_after_seconds));
    }
    match plan.policy {
        PolicyPlan::Default => {}
        PolicyPlan::DeadLetterAll => builder = builder.failure_policy(FailurePolicy::DeadLetterAll),
        PolicyPlan::ReportAll => builder = builder.failure_policy(FailurePolicy::ReportAll),
    }
    builder.build().expect("the plan's settings are right")
}

/// What the builder and the handlers of an entity have in common.
trait Registers: Sized {
    fn insert(self, handler: impl Register<Insert<IgnoredAny>>) -> Self;
    fn modify(self, handler: impl Register<Modify<IgnoredAny>>) -> Self;
    fn remove(self, handler: impl Register<Remove<IgnoredAny>>) -> Self;
    fn change(self, handler: impl Register<Change<IgnoredAny>>) -> Self;
    fn record(self, handler: impl Register<Record>) -> Self;
}

macro_rules! registers {
    ($($builder:ty)*) => {$(
        impl Registers for $builder {
            fn insert(self, handler: impl Register<Insert<IgnoredAny>>) -> Self {
                self.on_insert(handler)
            }

            fn modify(self, handler: impl Register<Modify<IgnoredAny>>) -> Self {
                self.on_modify(handler)
            }

            fn remove(self, handler: impl Register<Remove<IgnoredAny>>) -> Self {
                self.on_remove(handler)
            }

            fn change(self, handler: impl Register<Change<IgnoredAny>>) -> Self {
                self.on_change(handler)
            }

            fn record(self, handler: impl Register<Record>) -> Self {
                self.on_record(handler)
            }
        }
    )*};
}

registers! { ProcessorBuilder EntityHandlers }

/// The handlers of a plan.
#[derive(Clone)]
struct Handlers {
    subject: Subject,
    world: Arc<World>,
    environment: usize,
}

impl Handlers {
    /// Adds those of all entities, and of the top level.
    fn add_all(&self, mut builder: ProcessorBuilder) -> ProcessorBuilder {
        let routing = &self.world.plan.processor.routing;
        if self.subject == Subject::RoutesByOldImage {
            let (world, environment) = (Arc::clone(&self.world), self.environment);
            return builder
                .on_record(move |record: Record| broken::by_old_image(Arc::clone(&world), environment, record));
        }
        for (at, entity) in routing.entities.iter().enumerate() {
            builder = builder.entity(entity.told_by.entity(), |handlers| self.add(handlers, Some(at)));
        }
        if routing.unmatched_fails {
            builder = builder.unmatched(Unmatched::DeadLetter);
        }
        self.add(builder, None)
    }

    /// Adds those of an entity or of the top level.
    fn add<B: Registers>(&self, mut builder: B, entity: Option<usize>) -> B {
        let plan = &self.world.plan.processor;
        let HandlersPlan { watches, .. } = plan.handlers(entity);
        let bulk = plan.bulk_of(entity);
        for kind in Kind::ALL {
            let is_for_bulk = bulk.is_some() && kind == Kind::Insert;
            let own = plan.handlers(entity).has(kind) && !is_for_bulk;
            let falls = self.subject == Subject::FallsThrough && plan.handlers(None).has(kind);
            let at = match (own, falls) {
                (true, _) => Destination { entity, kind: Some(kind) },
                (false, true) => Destination { entity: None, kind: Some(kind) },
                (false, false) => continue,
            };
            builder = match kind {
                Kind::Insert => builder.insert(self.each(at, |change: Insert<IgnoredAny>| change.record)),
                Kind::Remove => builder.remove(self.each(at, |change: Remove<IgnoredAny>| change.record)),
                Kind::Modify => {
                    let handler = self.each(at, |change: Modify<IgnoredAny>| change.record);
                    if watches { builder.modify(when_changed([WATCHED], handler)) } else { builder.modify(handler) }
                }
            };
        }
        match bulk.map(|bulk| bulk.answers) {
            None => builder,
            Some(Answers::Each) => self.add_bulk(builder, watches, |said| said),
            Some(Answers::Failures) => self.add_bulk(builder, watches, only_failures),
            Some(Answers::Whole) => self.add_bulk(builder, watches, |said| said.map(drop)),
        }
    }

    /// A handler of one record.
    fn each<C: Send + 'static>(&self, at: Destination, record: fn(C) -> Record) -> impl Handler<C> + use<C> {
        let (world, environment) = (Arc::clone(&self.world), self.environment);
        move |change: C| {
            let (world, record) = (Arc::clone(&world), record(change));
            async move { world.handle(environment, at, record.raw_json()).await }
        }
    }

    /// Adds the bulk handler, with answers of this type.
    fn add_bulk<B: Registers, A: BulkAnswer + 'static>(&self, builder: B, watches: bool, answer: fn(Said) -> A) -> B {
        let takes = self.world.plan.processor.bulk.as_ref().map(|bulk| bulk.takes);
        let records = || self.limited(bulk(self.clone().many(|record: Record| record, answer)));
        let changes = || self.limited(bulk(self.clone().many(|change: Change<IgnoredAny>| change.record, answer)));
        match takes.unwrap_or(Takes::Inserts) {
            Takes::Inserts => {
                let handler = self.clone().many(|change: Insert<IgnoredAny>| change.record, answer);
                builder.insert(self.limited(bulk(handler)))
            }
            Takes::Changes if watches => builder.change(when_changed([WATCHED], changes())),
            Takes::Changes => builder.change(changes()),
            Takes::LatestChanges if watches => builder.change(when_changed([WATCHED], changes().latest_only())),
            Takes::LatestChanges => builder.change(changes().latest_only()),
            Takes::LatestRecords if self.subject != Subject::CountsSupersededAtOnce => {
                builder.record(records().latest_only())
            }
            Takes::Records | Takes::LatestRecords => builder.record(records()),
        }
    }

    /// A handler of many records.
    fn many<C: Send + 'static, A: 'static>(
        self,
        record: fn(C) -> Record,
        answer: fn(Said) -> A,
    ) -> impl Fn(Vec<C>) -> BoxFuture<'static, A> + Send + Sync + 'static {
        move |changes| {
            let records: Vec<Record> = changes.into_iter().map(record).collect();
            let said = broken::bulk(self.subject, &self.world, self.environment, records);
            Box::pin(said.map(answer))
        }
    }

    fn limited<F, M>(&self, bulk: Bulk<F, M>) -> Bulk<F, M> {
        let Some(plan) = &self.world.plan.processor.bulk else { return bulk };
        let more = usize::from(self.subject == Subject::OverfillsBulks);
        let mut bulk = bulk.max_records(plan.max_records + more);
        if let Some(bytes) = plan.max_bytes {
            bulk = bulk.max_bytes(bytes);
        }
        if plan.within_lane {
            bulk = bulk.within_lane();
        }
        if let Some(millis) = plan.timeout_millis {
            bulk = bulk.timeout(Duration::from_millis(millis.into()));
        }
        bulk
    }
}

fn only_failures(said: Said) -> Result<BulkFailures, HandlerError> {
    let failure = |(position, result): (usize, Result<(), HandlerError>)| Some((position, result.err()?));
    said.map(|each| each.into_iter().enumerate().filter_map(failure).collect())
}
