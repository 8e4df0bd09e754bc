//! Handlers that do what the plan says, and write down what they did.

use std::sync::Arc;
use std::time::Duration;

use lambda_streams::{HandlerError, Record};
use tokio::time::{Instant, sleep};

use crate::plan::{Behaviour, PANIC_IN_DROP_MILLIS, RecordPlan, Shape};
use crate::routing::Destination;
use crate::world::{ON_PURPOSE, World};

/// After so long whatever was down is up again.
pub(crate) const HEALED: Duration = Duration::from_secs(600);

impl World {
    /// One attempt at a record: what every handler does.
    pub(crate) async fn handle(
        self: &Arc<Self>,
        environment: usize,
        at: Destination,
        json: &str,
    ) -> Result<(), HandlerError> {
        let running = Running::start(self, environment, at, json);
        let RecordPlan { behaviour, computes_millis, .. } = self.stream.known[running.id].plan;
        self.compute(computes_millis, &self.tally.computing_handlers);
        let result = self.behave(behaviour, running.attempt).await;
        self.compute(computes_millis, &self.tally.computing_handlers);
        running.end(&result);
        result
    }

    /// What the processor's filter does.
    pub(crate) fn filter(&self, environment: usize, record: &Record) -> bool {
        let id = self.stream.id(record.raw_json()).expect("a filter gets the record as received");
        let mut ledger = self.ledger();
        let invocation = ledger.invocation_of(environment, id).expect("a filter runs inside its invocation");
        self.judge().ask_filter(&mut ledger, invocation, id);
        let keep = self.stream.known[id].plan.shape != Shape::FilteredOut;
        if !keep {
            ledger.invocations[invocation].filtered_out.insert(id);
        }
        drop(ledger);
        self.compute(self.plan.processor.filter_millis, &self.tally.computing_filters);
        let mut ledger = self.ledger();
        let log = &mut ledger.invocations[invocation];
        if keep && Instant::now() < log.stop {
            log.kept.insert(id);
        }
        keep
    }

    async fn behave(&self, behaviour: Behaviour, attempt: u32) -> Result<(), HandlerError> {
        let pause = |millis: u16| sleep(Duration::from_millis(millis.into()));
        let healed = self.begun.elapsed() >= HEALED;
        match behaviour {
            Behaviour::Succeed { millis } => pause(millis).await,
            Behaviour::FailTimes { times, millis } => {
                pause(millis).await;
                if attempt <= times.into() {
                    return Err("not yet".into());
                }
            }
            Behaviour::RetryAfter { times, millis } if attempt <= times.into() => {
                return Err(HandlerError::retry_after("later", Duration::from_millis(millis.into())));
            }
            Behaviour::FailUntilHealed if !healed => return Err("down".into()),
            Behaviour::HangTimes { times } if attempt <= times.into() => std::future::pending().await,
            Behaviour::HangUntilHealed if !healed => std::future::pending().await,
            Behaviour::Hang => std::future::pending().await,
            Behaviour::Permanent { millis } => {
                pause(millis).await;
                return Err(HandlerError::permanent("never"));
            }
            Behaviour::PanicAtOnce => std::panic::panic_any(ON_PURPOSE),
            Behaviour::PanicLater { millis } => {
                pause(millis).await;
                std::panic::panic_any(ON_PURPOSE)
            }
            Behaviour::PanicTimes { times } if attempt <= times.into() => std::panic::panic_any(ON_PURPOSE),
            Behaviour::PanicInDrop => {
                let armed = PanicsInDrop(std::cell::Cell::new(true));
                pause(PANIC_IN_DROP_MILLIS).await;
                armed.0.set(false);
            }
            _ => {}
        }
        Ok(())
    }
}

pub(crate) struct PanicsInDrop(pub(crate) std::cell::Cell<bool>);

impl Drop for PanicsInDrop {
    fn drop(&mut self) {
        if self.0.get() && !std::thread::panicking() {
            std::panic::panic_any(ON_PURPOSE);
        }
    }
}

/// A handler that runs, as the ledger has it; dropped without an end it was cancelled or has panicked.
struct Running {
    world: Arc<World>,
    environment: usize,
    invocation: usize,
    id: usize,
    attempt: u32,
    begun: Instant,
    ended: bool,
}

impl Running {
    fn start(world: &Arc<World>, environment: usize, at: Destination, json: &str) -> Self {
        let id = world.stream.id(json).expect("a handler gets the record as received");
        let mut ledger = world.ledger();
        let invocation = ledger.invocation_of(environment, id).expect("a handler runs inside its invocation");
        world.judge().arrive(&mut ledger, id, at);
        world.judge().start(&mut ledger, environment, invocation, id);
        if at.entity.is_some() {
            world.tally.of_entities.count();
        }
        if world.judge().changes_entity(&ledger.invocations[invocation], id) {
            world.tally.changes_of_entity.count();
        }
        ledger.invocations[invocation].started.insert(id);
        *ledger.invocations[invocation].attempts.entry(id).or_default() += 1;
        ledger.environments[environment].running += 1;
        ledger.records[id].running += 1;
        ledger.records[id].attempts += 1;
        world.tally.attempts.count();
        let attempt = ledger.records[id].attempts;
        drop(ledger);
        Self { world: Arc::clone(world), environment, invocation, id, attempt, begun: Instant::now(), ended: false }
    }

    fn end(mut self, result: &Result<(), HandlerError>) {
        self.ended = true;
        match result {
            Ok(()) => {
                let mut ledger = self.world.ledger();
                ledger.records[self.id].succeeded = true;
                ledger.environments[self.environment].done.insert(self.id);
                ledger.invocations[self.invocation].succeeded.insert(self.id);
            }
            Err(error) => self.failed(error.is_retryable()),
        }
    }

    fn is_timed_out(&self) -> bool {
        let timeout = self.world.plan.processor.handler_timeout_millis;
        timeout.is_some_and(|millis| self.begun.elapsed() >= Duration::from_millis(millis.into()))
    }

    fn failed(&self, retryable: bool) {
        let mut ledger = self.world.ledger();
        let log = &mut ledger.invocations[self.invocation];
        let attempts = log.attempts.get(&self.id).copied().unwrap_or_default();
        if self.world.judge().is_reported(retryable, attempts, self.world.begun.elapsed()) {
            log.report(self.id);
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if !self.ended && self.is_timed_out() {
            // It may panic as well, when it is dropped: it has run out of time anyway.
            self.world.tally.timeouts.count();
            self.failed(true);
        } else if std::thread::panicking() {
            self.world.tally.panics.count();
            self.failed(false);
        } else if !self.ended {
            self.world.tally.cancellations.count();
        }
        let mut ledger = self.world.ledger();
        ledger.records[self.id].running -= 1;
        ledger.environments[self.environment].running -= 1;
    }
}
