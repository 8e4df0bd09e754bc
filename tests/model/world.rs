//! The world of a schedule: the mapping, environments that come and go, and handlers that do what the plan says.

use std::any::Any;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures::FutureExt;
use lambda_streams_local::{
    BatchAssignment, Discard, EventSourceMapping, Function, InvokeError, OnFailureDestination, OnFailureDocument,
    OnFailureError, Response, RunError, Settings, Summary, Unspecified,
};
use serde_json::value::RawValue;
use tokio::time::Instant;

use crate::environment::{Environment, Ran, Reported, Subject};
use crate::judge::Judge;
use crate::ledger::Ledger;
use crate::plan::{InvocationFault, InvocationPlan, Plan};
use crate::stream::{Shared, Stream};
use crate::tally::{Count, Tally};

/// The message of every deliberate panic.
pub(crate) const ON_PURPOSE: &str = "on purpose";

pub(crate) fn is_on_purpose(panic: &(dyn Any + Send)) -> bool {
    panic.downcast_ref::<&str>().is_some_and(|text| *text == ON_PURPOSE)
}

/// A stream that has not ended by then never will.
const NEVER: Duration = Duration::from_secs(48 * 60 * 60);
const TOO_MANY_INVOCATIONS: usize = 5_000;

pub(crate) struct World {
    pub(crate) plan: Plan,
    pub(crate) stream: Arc<Stream>,
    pub(crate) tally: Tally,
    subject: Subject,
    ledger: Mutex<Ledger>,
    pub(crate) begun: Instant,
}

/// Plays one schedule; the violations, if there are any.
pub(crate) fn run(subject: Subject, plan: &Plan, tally: &Tally) -> Result<(), Vec<String>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
    let mut plan = plan.clone();
    subject.adapt(&mut plan);
    fastrand::seed(plan.seed);
    tally.schedules.count();
    let mut violations = runtime.expect("a runtime can be made").block_on(play(subject, plan, tally.clone()));
    if let Some(promise) = subject.breaks() {
        violations.retain(|violation| violation.starts_with(promise));
    }
    if violations.is_empty() { Ok(()) } else { Err(violations) }
}

async fn play(subject: Subject, plan: Plan, tally: Tally) -> Vec<String> {
    let stream = Arc::new(Stream::new(&plan));
    let ledger = Mutex::new(Ledger::new(plan.records.len()));
    let world = Arc::new(World { stream, ledger, tally, subject, begun: Instant::now(), plan });
    let settings = settings(&world.plan);
    let environments =
        Environments { world: Arc::clone(&world), idle: Mutex::default(), invocations: AtomicUsize::new(0) };
    let mapping = EventSourceMapping::new(settings, Shared(Arc::clone(&world.stream)), environments)
        .expect("the plan's settings are right")
        .on_failure(Told(Arc::clone(&world)))
        .function_timeout(Duration::from_secs(world.plan.mapping.timeout_seconds));
    let ended = tokio::time::timeout(NEVER, mapping.run(std::future::pending())).await;
    world.end(ended.ok());
    std::mem::take(&mut world.ledger().violations)
}

fn settings(plan: &Plan) -> Settings {
    let mapping = &plan.mapping;
    Settings {
        batch_size: mapping.batch_size,
        maximum_batching_window_in_seconds: mapping.window_seconds,
        parallelization_factor: mapping.parallelization,
        maximum_retry_attempts: mapping.retries,
        maximum_record_age_in_seconds: mapping.record_age,
        bisect_batch_on_function_error: mapping.bisect,
        report_batch_item_failures: mapping.report_batch_item_failures,
        filter_patterns: mapping
            .filter
            .then(|| r#"{"eventName":["INSERT","MODIFY"]}"#.to_owned())
            .into_iter()
            .collect(),
        // A bucket gets the records themselves.
        on_failure: Some("arn:aws:s3:::failed".to_owned()),
        unspecified: Unspecified {
            halves_inherit_retries: mapping.halves_inherit,
            discard: if mapping.discard_first_only { Discard::FirstRecord } else { Discard::RemainingBatch },
            batch_assignment: if mapping.scramble { BatchAssignment::Random } else { BatchAssignment::Hashed },
            seed: plan.seed,
            ..Unspecified::default()
        },
        ..Settings::default()
    }
}

impl World {
    /// Keeps the thread, as code does that computes without awaiting.
    pub(crate) fn compute(&self, millis: u8, count: &Count) {
        if millis > 0 {
            count.count();
            // It moves the paused clock at once; what it awaits after that is not waited for.
            let _ = tokio::time::advance(Duration::from_millis(millis.into())).now_or_never();
        }
    }

    /// When an invocation that begins now stops starting records.
    fn stop(&self, timeout: Duration) -> Instant {
        let margin = self.plan.processor.margin_millis.map(Duration::from_millis);
        let margin = margin.unwrap_or((timeout / 10).clamp(Duration::from_millis(250), Duration::from_secs(10)));
        Instant::now() + timeout - margin.min(timeout)
    }

    pub(crate) fn ledger(&self) -> MutexGuard<'_, Ledger> {
        self.ledger.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn judge(&self) -> Judge<'_> {
        let remembers = self.subject != Subject::GoesOnBehindFailures;
        Judge { plan: &self.plan, stream: &self.stream, remembers, begun: self.begun }
    }

    fn end(&self, ended: Option<Result<Summary, RunError>>) {
        let mut ledger = self.ledger();
        match ended {
            None => ledger.violation(format!("P4: the stream has not ended after {NEVER:?}")),
            Some(Err(error)) => ledger.violation(format!("the mapping failed: {error}")),
            Some(Ok(summary)) => {
                if summary.left > 0 || summary.done + summary.discarded + summary.filtered != summary.read {
                    ledger.violation(format!("the mapping lost count: {summary:?}"));
                }
                self.tally.add(&summary);
                self.judge().end(&mut ledger);
            }
        }
        if ledger.records.iter().any(|history| history.running > 0) {
            ledger.violation("P3: a handler runs although everything has ended".to_owned());
        }
    }
}

/// Where the mapping reports what it has given up.
struct Told(Arc<World>);

impl OnFailureDestination for Told {
    async fn send(&self, document: &OnFailureDocument) -> Result<(), OnFailureError> {
        let records = records(document.payload().expect("a bucket gets the records"));
        let mut ledger = self.0.ledger();
        for json in records {
            let id = self.0.stream.id(json.get()).expect("the document has records of the stream");
            ledger.records[id].discarded = true;
        }
        Ok(())
    }
}

fn records(payload: &str) -> Vec<&RawValue> {
    #[derive(serde::Deserialize)]
    struct Event<'a> {
        #[serde(borrow, rename = "Records")]
        records: Vec<&'a RawValue>,
    }
    serde_json::from_str::<Event<'_>>(payload).expect("the mapping sends events").records
}

/// The function: environments that are idle, and those that are made when none is.
struct Environments {
    world: Arc<World>,
    idle: Mutex<Vec<Arc<Environment>>>,
    invocations: AtomicUsize,
}

impl Environments {
    fn take(&self, fresh: bool) -> Arc<Environment> {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        if fresh {
            idle.pop();
        }
        let environment = idle.pop().unwrap_or_else(|| {
            self.world.tally.environments.count();
            Arc::new(Environment::start(self.world.subject, &self.world))
        });
        if self.world.plan.managed {
            idle.push(Arc::clone(&environment));
        }
        environment
    }

    fn give_back(&self, environment: Arc<Environment>) {
        if !self.world.plan.managed {
            self.idle.lock().unwrap_or_else(PoisonError::into_inner).push(environment);
        }
    }
}

/// Closes an invocation, also when it is dropped.
struct Open<'a>(&'a World, usize);

impl Drop for Open<'_> {
    fn drop(&mut self) {
        self.0.ledger().invocations[self.1].open = false;
    }
}

fn crashed(message: &str) -> Response {
    Response::FunctionError { error_type: "Runtime.ExitError".to_owned(), message: message.to_owned() }
}

impl Function for Environments {
    async fn invoke(&self, payload: String, timeout: Duration) -> Result<Response, InvokeError> {
        let world = &self.world;
        let at = self.invocations.fetch_add(1, Ordering::Relaxed);
        let InvocationPlan { fault, fresh } = world
            .plan
            .invocations
            .get(at)
            .copied()
            .unwrap_or(InvocationPlan { fault: InvocationFault::None, fresh: false });
        if at > TOO_MANY_INVOCATIONS {
            world.ledger().violation("P4: the stream never ends".to_owned());
            std::future::pending::<()>().await;
        }
        if fault == InvocationFault::Throttled {
            return Ok(Response::Throttled);
        }
        let environment = self.take(fresh);
        let ids =
            records(&payload).into_iter().map(|json| world.stream.id(json.get()).expect("a record of the stream"));
        let invocation = world.ledger().open_invocation(environment.id, ids.collect(), world.stop(timeout));
        let open = Open(world, invocation);
        let run = environment.invoke(payload, invocation, timeout);
        let limit = match fault {
            InvocationFault::CrashAfter { millis } => timeout.min(Duration::from_millis(millis.into())),
            _ => timeout,
        };
        let begun = Instant::now();
        let ran = tokio::time::timeout(limit, run).await.ok();
        // An answer that is there may be late anyway, if what made it computed.
        let Some(Ran { answer, outcomes }) = ran.filter(|_| begun.elapsed() <= limit) else {
            world.tally.crashes.count();
            if limit == timeout {
                world.ledger().violation("P4: the invocation ran into its timeout".to_owned());
            }
            return Ok(crashed("gone"));
        };
        self.judge(invocation, &answer, outcomes);
        drop(open);
        if let InvocationFault::AnswerLost { environment_lives } = fault {
            world.tally.lost_answers.count();
            if environment_lives {
                self.give_back(environment);
            }
            return Ok(crashed("the answer got lost"));
        }
        self.give_back(environment);
        Ok(match answer {
            Ok(json) => Response::Returned(json),
            Err(message) => crashed(&message),
        })
    }

    fn function_arn(&self) -> String {
        "arn:aws:lambda:us-east-1:123456789012:function:model".to_owned()
    }
}

impl Environments {
    fn judge(&self, invocation: usize, answer: &Result<String, String>, outcomes: Option<Vec<Reported>>) {
        let (judge, mut ledger) = (self.world.judge(), self.world.ledger());
        let from = judge.answer(&mut ledger, invocation, answer.as_deref().map_err(String::as_str));
        if let Some(outcomes) = outcomes {
            judge.outcomes(&mut ledger, invocation, &outcomes, &self.world.tally);
        }
        judge.remember(&mut ledger, invocation, from);
    }
}
