//! An execution environment: one processor, sound or deliberately broken.

use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use lambda_streams::{
    AfterDeadLetter, Deadline, FailurePolicy, HandlerError, Invocation, Lanes, Outcome, Record, RetryPolicy,
    StreamProcessor,
};

use crate::broken;
use crate::plan::{LanesPlan, PolicyPlan};
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
}

impl Subject {
    pub(crate) const BROKEN: [Self; 6] = [
        Self::GoesOnBehindFailures,
        Self::AcknowledgesBeforeTheQueue,
        Self::OrdersByNothing,
        Self::EmptyIdentifier,
        Self::IgnoresTheDeadline,
        Self::LeavesNoMargin,
    ];

    /// The promise that it breaks, and whose violation catches it; the sound processor must break none.
    pub(crate) fn breaks(self) -> Option<&'static str> {
        match self {
            Self::Processor => None,
            Self::GoesOnBehindFailures | Self::OrdersByNothing => Some("P2"),
            Self::AcknowledgesBeforeTheQueue => Some("P1"),
            Self::EmptyIdentifier => Some("P5"),
            Self::IgnoresTheDeadline => Some("P4"),
            Self::LeavesNoMargin => Some("deadline"),
        }
    }
}

/// What came of an invocation.
pub(crate) struct Ran {
    /// The JSON answer, or the function error's message.
    pub(crate) answer: Result<String, String>,
    /// The report's outcomes, where the subject has a report.
    pub(crate) outcomes: Option<Vec<Outcome>>,
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
            let outcomes = report.records().iter().map(|record| record.outcome).collect();
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
        _ if subject == Subject::OrdersByNothing => Lanes::Unordered,
        LanesPlan::PerItem => Lanes::PerItem,
        LanesPlan::PerPartition => Lanes::per_key_attribute("pk"),
        LanesPlan::WholeBatch => Lanes::WholeBatch,
        LanesPlan::Unordered => Lanes::Unordered,
    };
    let mut builder = StreamProcessor::builder()
        .on_insert(of_inserts(handler(world)))
        .on_modify(|_: lambda_streams::Modify<serde::de::IgnoredAny>| async { Ok::<(), HandlerError>(()) })
        .filter({
            let world = Arc::clone(world);
            move |record| world.filter(environment, record)
        })
        .concurrency(plan.concurrency)
        .lanes(lanes)
        .retry(
            RetryPolicy::default()
                .max_attempts(plan.max_attempts)
                .base_delay(Duration::from_millis(10))
                .max_delay(Duration::from_millis(200)),
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

/// A handler of inserted items by way of the record, so that images are decoded as well.
fn of_inserts<H, F>(handler: H) -> impl Fn(lambda_streams::Insert<serde::de::IgnoredAny>) -> F + Send + Sync + 'static
where
    H: Fn(Record) -> F + Send + Sync + 'static,
    F: Future<Output = Result<(), HandlerError>> + Send,
{
    move |change| handler(change.record)
}
