//! An execution environment: one processor, sound or deliberately broken.

use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;
use lambda_streams::{
    AfterDeadLetter, Bulk, BulkAnswer, BulkFailures, Change, Deadline, FailurePolicy, HandlerError, Insert, Invocation,
    Lanes, Modify, Outcome, ProcessorBuilder, Record, RetryPolicy, StreamProcessor, bulk,
};
use serde::de::IgnoredAny;

use crate::broken;
use crate::bulk::Said;
use crate::judge_bulk::MAX_BACKOFF;
use crate::plan::{Answers, BulkPlan, LanesPlan, Plan, PolicyPlan, Takes};
use crate::queue::ModelQueue;
use crate::world::World;

/// What is judged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Subject {
    /// The crate's own.
    Processor,
    /// Reports every failure, but goes on behind it, and forgets what it did.
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
    pub(crate) const BROKEN: [Self; 14] = [
        Self::GoesOnBehindFailures,
        Self::AcknowledgesBeforeTheQueue,
        Self::OrdersByNothing,
        Self::EmptyIdentifier,
        Self::IgnoresTheDeadline,
        Self::LeavesNoMargin,
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
            | Self::SwallowsErrorsOfBulks
            | Self::PadsAnswers
            | Self::CountsSupersededAtOnce => Some("P1"),
            Self::EmptyIdentifier => Some("P5"),
            Self::IgnoresTheDeadline => Some("P4"),
            Self::LeavesNoMargin => Some("deadline"),
            Self::OverfillsBulks => Some("bulk size"),
            Self::RunsBulksWithoutPermit => Some("P3"),
            Self::CondemnsInnocents => Some("P6"),
            Self::RepeatsSuccesses => Some("repetition"),
        }
    }

    fn is_of_bulks(self) -> bool {
        Self::BROKEN.iter().position(|subject| *subject == self).is_some_and(|position| position >= 6)
    }

    /// Makes the plan one in which the subject can break its promise.
    pub(crate) fn adapt(self, plan: &mut Plan) {
        if self == Self::Processor {
            return;
        }
        plan.processor.lanes = LanesPlan::PerItem;
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

/// What came of an invocation.
pub(crate) struct Ran {
    /// The JSON answer, or the function error's message.
    pub(crate) answer: Result<String, String>,
    /// The report's outcomes and attempts, where the subject has a report.
    pub(crate) outcomes: Option<Vec<(Outcome, u32)>>,
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
            let outcomes = report.records().iter().map(|record| (record.outcome, record.attempts)).collect();
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
    let handler = |world: &Arc<World>| {
        let world = Arc::clone(world);
        move |record: Record| {
            let world = Arc::clone(&world);
            async move { world.handle(environment, record.raw_json()).await }
        }
    };
    let lanes = match plan.lanes {
        _ if matches!(subject, Subject::OrdersByNothing | Subject::SplitsLanesOverBulks) => Lanes::Unordered,
        LanesPlan::PerItem => Lanes::PerItem,
        LanesPlan::PerPartition => Lanes::per_key_attribute("pk"),
        LanesPlan::WholeBatch => Lanes::WholeBatch,
        LanesPlan::Unordered => Lanes::Unordered,
    };
    let mut builder = StreamProcessor::builder();
    builder = match &plan.bulk {
        None => {
            let of_record = handler(world);
            builder.on_insert(move |change: Insert<IgnoredAny>| of_record(change.record))
        }
        Some(BulkPlan { answers: Answers::Each, .. }) => bulks(subject, world, environment).add(builder, |said| said),
        Some(BulkPlan { answers: Answers::Failures, .. }) => {
            bulks(subject, world, environment).add(builder, only_failures)
        }
        Some(BulkPlan { answers: Answers::Whole, .. }) => {
            bulks(subject, world, environment).add(builder, |said| said.map(drop))
        }
    };
    let of_record = handler(world);
    builder = builder
        .on_modify(move |change: Modify<IgnoredAny>| of_record(change.record))
        .filter({
            let world = Arc::clone(world);
            move |record| world.filter(environment, record)
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
    if plan.follow_lane && subject != Subject::OrdersByNothing {
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

/// The bulk handler of a plan.
fn bulks(subject: Subject, world: &Arc<World>, environment: usize) -> Bulks {
    Bulks { subject, world: Arc::clone(world), environment }
}

#[derive(Clone)]
struct Bulks {
    subject: Subject,
    world: Arc<World>,
    environment: usize,
}

impl Bulks {
    /// Adds it, with answers of this type.
    fn add<A: BulkAnswer + 'static>(self, builder: ProcessorBuilder, answer: fn(Said) -> A) -> ProcessorBuilder {
        let takes = self.world.plan.processor.bulk.as_ref().map(|bulk| bulk.takes);
        let records = |of: &Self| of.limited(bulk(of.clone().handler(|record: Record| record, answer)));
        let changes =
            |of: &Self| of.limited(bulk(of.clone().handler(|change: Change<IgnoredAny>| change.record, answer)));
        match takes.unwrap_or(Takes::Inserts) {
            Takes::Inserts => {
                let handler = self.clone().handler(|change: Insert<IgnoredAny>| change.record, answer);
                builder.on_insert(self.limited(bulk(handler)))
            }
            Takes::Changes => builder.on_change(changes(&self)),
            Takes::LatestChanges => builder.on_change(changes(&self).latest_only()),
            Takes::LatestRecords if self.subject != Subject::CountsSupersededAtOnce => {
                builder.on_record(records(&self).latest_only())
            }
            Takes::Records | Takes::LatestRecords => builder.on_record(records(&self)),
        }
    }

    fn handler<C: Send + 'static, A: 'static>(
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
