//! Execution environments: a processor each, that lives, crashes at any await, or continues when its invocation has ended.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use lambda_streams::{
    AfterDeadLetter, BatchReport, DeadLetter, DeadLetterError, DeadLetterEvent, DeadLetterQueue, Deadline, Idempotency,
    Invocation, Lanes, Marks, OnMarksUnavailable, Origin, Outcome, Record, RetryPolicy, Stale, StreamProcessor, bulk,
};
use serde_json::{Value, json};
use tokio::time::timeout;

use super::plan::{BulkPlan, End, InvocationPlan, QueueFault};
use super::store::EnvironmentStore;
use super::stream::{PARTITION, consumer, id, number};
use super::tally::Event;
use super::world::World;

/// How long an invocation may take.
const FUNCTION_TIMEOUT: Duration = Duration::from_secs(10);

/// A record that is delivered: alone, or as a dead letter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Returned {
    pub(super) id: usize,
    pub(super) letter: Option<Arc<str>>,
}

impl Returned {
    pub(super) fn of(id: usize) -> Self {
        Self { id, letter: None }
    }
}

/// What came of an execution.
#[derive(Debug)]
pub(super) struct Ran {
    /// From where on the stream is delivered again; the batch's length if it is not.
    pub(super) resumes_at: usize,
    /// Whether each record can be deleted from its queue.
    pub(super) deletes: Vec<bool>,
}

pub(super) struct Environment {
    number: usize,
    processor: StreamProcessor,
}

/// Ends an execution, also when it is dropped.
struct Running<'a>(&'a World, usize);

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.0.state().ledger.executions[self.1].is_open = false;
    }
}

impl Environment {
    pub(super) fn start(world: &Arc<World>, consumer: usize) -> Self {
        world.tally.count(Event::Environment);
        let number = world.state().ledger.new_environment();
        Self { number, processor: processor(world, consumer, number) }
    }
}

fn processor(world: &Arc<World>, number: usize, environment: usize) -> StreamProcessor {
    let settings = world.plan.settings;
    let store = EnvironmentStore { world: Arc::clone(world), environment };
    let mut builder = StreamProcessor::builder()
        .idempotency(Idempotency::new(consumer(number), store))
        .concurrency(settings.concurrency)
        .report_batch_item_failures(settings.reports_failures)
        .retry(RetryPolicy::default().max_attempts(2).base_delay(Duration::from_millis(10)));
    if let Some(marks) = settings.marks {
        let stale = if marks.skips_stale { Stale::Skip } else { Stale::Process };
        let unavailable =
            if marks.reports_unavailable { OnMarksUnavailable::Report } else { OnMarksUnavailable::Proceed };
        builder = builder.marks(Marks::new(stale).on_unavailable(unavailable).life(marks.life));
    }
    if settings.per_partition {
        builder = builder.lanes(Lanes::per_key_attribute(PARTITION));
    }
    if settings.queue {
        builder = builder.dead_letter_queue(Letters { world: Arc::clone(world), environment });
        if settings.follow_lane {
            builder = builder.after_dead_letter(AfterDeadLetter::FollowLane);
        }
    }
    let one = Arc::clone(world);
    let handle = move |record: Record| {
        let world = Arc::clone(&one);
        async move { world.handle(environment, &record).await }
    };
    let many = Arc::clone(world);
    let handle_all = move |records: Vec<Record>| {
        let world = Arc::clone(&many);
        async move { world.handle_all(environment, &records).await }
    };
    let builder = match settings.bulk {
        None => builder.on_record(handle),
        Some(BulkPlan::Each) => builder.on_record(bulk(handle_all).max_records(3)),
        Some(BulkPlan::LatestOnly) => builder.on_record(bulk(handle_all).max_records(3).latest_only()),
    };
    builder.build().expect("the plan's settings are right")
}

/// Polls a future so many times at most, and drops it then.
async fn cut<F: Future>(future: F, polls: u16) -> Option<F::Output> {
    let mut future = pin!(future);
    let mut polled = 0;
    poll_fn(move |context| {
        polled += 1;
        match future.as_mut().poll(context) {
            Poll::Ready(output) => Poll::Ready(Some(output)),
            Poll::Pending if polled >= polls => Poll::Ready(None),
            Poll::Pending => Poll::Pending,
        }
    })
    .await
}

impl World {
    /// Hands a batch to an environment; `None` if no answer comes.
    pub(super) async fn execute(
        self: &Arc<Self>,
        consumer: usize,
        origin: Origin,
        batch: Vec<Returned>,
        plan: InvocationPlan,
    ) -> Option<Ran> {
        let from_stream = origin == Origin::Stream;
        let environment = self.take_environment(consumer, from_stream, plan.fresh);
        let ids: Vec<usize> = batch.iter().map(|returned| returned.id).collect();
        let begun = self.state().ledger.begin(environment.number, consumer, from_stream, ids);
        let (execution, overlaps) = begun;
        self.tally.count(Event::Execution);
        self.tally.add(Event::Record, batch.len());
        self.tally.add(Event::Overlap, overlaps.into());
        let processor = environment.processor.clone();
        let work = work(Arc::clone(self), processor, execution, origin, batch);
        let ran = match plan.end {
            End::Answers => Some(work.await),
            End::AnswerLost => {
                work.await;
                self.tally.count(Event::AnswerLost);
                return None;
            }
            End::CrashAtPoll(polls) => self.crash(cut(work, polls).await),
            End::CrashAfter(millis) => self.crash(timeout(Duration::from_millis(millis.into()), work).await.ok()),
            End::Zombie(millis) => {
                let mut zombie = tokio::spawn(work);
                match timeout(Duration::from_millis(millis.into()), &mut zombie).await {
                    Ok(ran) => Some(ran.expect("an execution does not panic")),
                    Err(_) => {
                        self.tally.count(Event::Zombie);
                        self.leave_behind(zombie);
                        None
                    }
                }
            }
        };
        if ran.is_some() {
            self.give_back(consumer, from_stream, environment);
        }
        ran
    }

    /// Counts an execution that has crashed, if it has.
    fn crash(&self, ran: Option<Ran>) -> Option<Ran> {
        if ran.is_none() {
            self.tally.count(Event::Crash);
        }
        ran
    }
}

/// Runs a batch, and judges its report.
async fn work(
    world: Arc<World>,
    processor: StreamProcessor,
    execution: usize,
    origin: Origin,
    batch: Vec<Returned>,
) -> Ran {
    let running = Running(&world, execution);
    let mut invocation = Invocation::from(Deadline::after(FUNCTION_TIMEOUT));
    invocation.origin = origin;
    let ran = if origin == Origin::Redrive {
        let messages: Vec<Value> = batch.iter().enumerate().map(message).collect();
        let event = json!({"Records": messages}).to_string();
        let event = DeadLetterEvent::from_slice(event.as_bytes()).expect("an event of a queue");
        let report = processor.redrive(event, invocation).await;
        world.judge(execution, report.batch(), batch.len());
        let response = report.response().map(|response| {
            let kept = response.batch_item_failures.into_iter().map(|failure| failure.item_identifier);
            kept.collect::<Vec<_>>()
        });
        let is_kept =
            |position: usize| response.as_ref().map_or(true, |kept| kept.contains(&Some(position.to_string())));
        Ran { resumes_at: batch.len(), deletes: (0..batch.len()).map(|position| !is_kept(position)).collect() }
    } else {
        let ids: Vec<usize> = batch.iter().map(|returned| returned.id).collect();
        let report = processor.process(world.stream.event(&ids), invocation).await;
        let resumes_at = resumes_at(&report, &ids);
        world.judge(execution, &report, if origin == Origin::Stream { resumes_at } else { ids.len() });
        Ran { resumes_at, deletes: report.outcomes().into_iter().map(Outcome::is_done).collect() }
    };
    drop(running);
    ran
}

fn message((position, returned): (usize, &Returned)) -> Value {
    let body = returned.letter.as_deref().expect("a dead letter");
    json!({"messageId": position.to_string(), "eventSource": "aws:sqs", "body": body})
}

/// From where on the response has the stream delivered again.
fn resumes_at(report: &BatchReport, ids: &[usize]) -> usize {
    let Ok(response) = report.response() else { return 0 };
    let response = serde_json::to_value(&response).expect("a response is JSON");
    let named = response["batchItemFailures"].get(0).and_then(|failure| failure["itemIdentifier"].as_str());
    named.map_or(ids.len(), |named| ids.iter().position(|id| number(*id) == named).expect("a record of the batch"))
}

/// The dead-letter queue of a consumer.
struct Letters {
    world: Arc<World>,
    environment: usize,
}

impl DeadLetterQueue for Letters {
    async fn send(&self, letters: &[DeadLetter]) -> Vec<Result<(), DeadLetterError>> {
        letters.iter().map(|letter| self.take(letter)).collect()
    }
}

impl Letters {
    fn take(&self, letter: &DeadLetter) -> Result<(), DeadLetterError> {
        let fault = self.world.next_queue_fault();
        if fault == QueueFault::Refuses {
            return Err(DeadLetterError::new("the queue is down"));
        }
        let id = id(letter.sequence_number().expect("every record has a number"));
        self.world.tally.count(Event::DeadLetter);
        self.world.accept(self.environment, id, letter.to_json(), fault == QueueFault::Accepts);
        if fault == QueueFault::Denies {
            self.world.tally.count(Event::LetterDenied);
            return Err(DeadLetterError::new("the answer was lost"));
        }
        Ok(())
    }
}
