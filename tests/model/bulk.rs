//! Bulk handlers that do what the plan says: in each call what its records do alone, and what is drawn for the call itself.

use std::cell::Cell;
use std::sync::Arc;
use std::time::Duration;

use lambda_streams::{ErrorKind, HandlerError, Record};
use tokio::time::{Instant, sleep};

use crate::handler::{HEALED, PanicsInDrop};
use crate::judge_bulk::Class;
use crate::plan::{Answers, Behaviour, CallFault, RecordPlan};
use crate::world::{ON_PURPOSE, World};

/// The answer for each record, or a failure of the whole.
pub(crate) type Said = Result<Vec<Result<(), HandlerError>>, HandlerError>;

/// A record as a bulk handler gets it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Handed {
    pub(crate) id: usize,
    /// As its context says.
    pub(crate) attempt: u32,
    pub(crate) ends_at: Option<Instant>,
    pub(crate) bytes: usize,
}

impl World {
    /// One call of the bulk handler. Some panics come before there is a future.
    pub(crate) fn handle_bulk(
        self: &Arc<Self>,
        environment: usize,
        records: &[Record],
    ) -> impl Future<Output = Said> + Send + use<> {
        let mut running = RunningBulk::start(self, environment, records);
        if running.fault == CallFault::PanicAtOnce || running.has(Member::panics_at_once) {
            running.panic();
        }
        running.answer()
    }
}

/// A record in a call.
#[derive(Debug, Clone)]
struct Member {
    id: usize,
    plan: RecordPlan,
    /// How often it was handed over, now included.
    attempt: u32,
    is_healed: bool,
}

impl Member {
    fn panics_at_once(&self) -> bool {
        match self.plan.behaviour {
            Behaviour::PanicTimes { times } => self.attempt <= times.into(),
            behaviour => behaviour == Behaviour::PanicAtOnce,
        }
    }

    fn panics_later(&self) -> bool {
        matches!(self.plan.behaviour, Behaviour::PanicLater { .. })
    }

    fn hangs(&self) -> bool {
        match self.plan.behaviour {
            Behaviour::HangTimes { times } => self.attempt <= times.into(),
            Behaviour::HangUntilHealed => !self.is_healed,
            behaviour => behaviour == Behaviour::Hang,
        }
    }

    /// What the sink says of it.
    fn result(&self) -> Result<(), HandlerError> {
        match self.plan.behaviour {
            Behaviour::FailTimes { times, .. } if self.attempt <= times.into() => Err("not yet".into()),
            Behaviour::RetryAfter { times, millis } if self.attempt <= times.into() => {
                Err(HandlerError::retry_after("later", Duration::from_millis(millis.into())))
            }
            Behaviour::FailUntilHealed if !self.is_healed => Err("down".into()),
            Behaviour::Permanent { .. } => Err(HandlerError::permanent("never")),
            _ => Ok(()),
        }
    }
}

/// A bulk that runs, as the ledger has it; dropped without an end it was cancelled, ran out of time or has panicked.
struct RunningBulk {
    world: Arc<World>,
    environment: usize,
    invocation: usize,
    members: Vec<Member>,
    fault: CallFault,
    is_part: bool,
    begun: Instant,
    panics: bool,
    ended: bool,
}

impl RunningBulk {
    fn start(world: &Arc<World>, environment: usize, records: &[Record]) -> Self {
        let handed = |record: &Record| Handed {
            id: world.stream.id(record.raw_json()).expect("a handler gets the record as received"),
            attempt: record.context().attempt(),
            ends_at: record.context().ends_at(),
            bytes: record.raw_json().len(),
        };
        let handed: Vec<Handed> = records.iter().map(handed).collect();
        let mut ledger = world.ledger();
        let call = ledger.bulk_calls;
        let fault = world.plan.processor.bulk.as_ref().and_then(|bulk| bulk.calls.get(call)).copied();
        let invocation = handed.first().and_then(|first| ledger.invocation_of(environment, first.id));
        let Some(invocation) = invocation else {
            ledger.violation("bulk size: a bulk is empty".to_owned());
            drop(ledger);
            std::panic::panic_any(ON_PURPOSE)
        };
        let is_part = world.judge().start_bulk(&mut ledger, environment, invocation, &handed);
        let is_healed = world.begun.elapsed() >= HEALED;
        let member = |Handed { id, .. }: &Handed| {
            let plan = world.stream.known[*id].plan.clone();
            Member { id: *id, plan, attempt: ledger.records[*id].attempts, is_healed }
        };
        let members: Vec<Member> = handed.iter().map(member).collect();
        let tally = &world.tally;
        tally.bulks.count();
        if world.plan.processor.routing.bulk_at.is_some() {
            tally.bulks_of_entities.count();
        }
        tally.bulk_records.add(members.len() as u64);
        if is_part {
            tally.halves.count();
        }
        if ledger.invocations[invocation].bulks_running > 1 {
            tally.bulks_at_once.count();
        }
        drop(ledger);
        Self {
            world: Arc::clone(world),
            environment,
            invocation,
            members,
            fault: fault.unwrap_or(CallFault::None),
            is_part,
            begun: Instant::now(),
            panics: false,
            ended: false,
        }
    }

    fn has(&self, what: impl Fn(&Member) -> bool) -> bool {
        self.members.iter().any(what)
    }

    fn timeout(&self) -> Option<Duration> {
        let processor = &self.world.plan.processor;
        let own = processor.bulk.as_ref().and_then(|bulk| bulk.timeout_millis);
        own.or(processor.handler_timeout_millis).map(|millis| Duration::from_millis(millis.into()))
    }

    fn panic(&mut self) -> ! {
        self.panics = true;
        std::panic::panic_any(ON_PURPOSE)
    }

    /// It takes as long as the record that takes the longest.
    async fn answer(mut self) -> Said {
        let takes = |member: &&Member| member.plan.millis() + u16::from(member.plan.computes_millis);
        let slowest = self.members.iter().max_by_key(takes).map(|member| member.plan.clone());
        let (millis, computes) = slowest.map_or((0, 0), |plan| (plan.millis(), plan.computes_millis));
        let world = Arc::clone(&self.world);
        world.compute(computes, &world.tally.computing_handlers);
        let panics_in_drop = self.has(|member| member.plan.behaviour == Behaviour::PanicInDrop);
        let armed = PanicsInDrop(Cell::new(panics_in_drop));
        let hangs = self.fault == CallFault::Hang && self.timeout().is_some();
        if hangs || self.has(Member::hangs) {
            std::future::pending::<()>().await;
        }
        if millis > 0 {
            sleep(Duration::from_millis(millis.into())).await;
        }
        if self.fault == CallFault::PanicLater || self.has(Member::panics_later) {
            self.panic();
        }
        armed.0.set(false);
        world.compute(computes, &world.tally.computing_handlers);
        let said = self.said();
        self.end(&said);
        said
    }

    /// What the sink says.
    fn said(&self) -> Said {
        let answers = self.world.plan.processor.bulk.as_ref().map_or(Answers::Each, |bulk| bulk.answers);
        let mut each: Vec<Result<(), HandlerError>> = self.members.iter().map(Member::result).collect();
        match (self.fault, answers) {
            (CallFault::Retryable { after_millis: Some(millis) }, _) => {
                return Err(HandlerError::retry_after("throttled", Duration::from_millis(millis.into())));
            }
            (CallFault::Retryable { .. } | CallFault::Hang, _) => return Err("down".into()),
            (CallFault::Permanent, _) => return Err(HandlerError::permanent("too large")),
            (CallFault::Short | CallFault::Long, Answers::Whole) => return Err("what?".into()),
            (CallFault::Short, Answers::Each) => drop(each.pop()),
            (CallFault::Long, Answers::Each) => each.push(Ok(())),
            // Outside of the bulk.
            (CallFault::Short | CallFault::Long, Answers::Failures) => each.push(Err("what?".into())),
            _ => {}
        }
        if answers == Answers::Whole && each.iter().any(Result::is_err) {
            let worst = each.into_iter().filter_map(Result::err).max_by_key(Class::of);
            return Err(worst.expect("there is an error"));
        }
        Ok(each)
    }

    fn end(&mut self, said: &Said) {
        self.ended = true;
        let ids = self.ids();
        let world = Arc::clone(&self.world);
        world.judge().bulk_answered(&mut world.ledger(), self.invocation, &ids, said, &world.tally);
    }

    fn ids(&self) -> Vec<usize> {
        self.members.iter().map(|member| member.id).collect()
    }

    fn failed(&self, kind: ErrorKind, class: Class) {
        let world = &self.world;
        world.judge().bulk_failed(&mut world.ledger(), self.invocation, &self.ids(), kind, class, &world.tally);
    }
}

impl Drop for RunningBulk {
    fn drop(&mut self) {
        let tally = &self.world.tally;
        if self.panics {
            tally.bulk_panics.count();
            self.failed(ErrorKind::Panic, Class::Permanent);
        } else if !self.ended && self.timeout().is_some_and(|timeout| self.begun.elapsed() >= timeout) {
            tally.bulk_timeouts.count();
            self.failed(ErrorKind::Timeout, Class::Retryable(None));
        } else if !self.ended {
            tally.cancelled_bulks.count();
            if self.is_part && Instant::now() >= self.world.ledger().invocations[self.invocation].stop {
                tally.stops_in_halvings.count();
            }
        }
        let mut ledger = self.world.ledger();
        for member in &self.members {
            ledger.records[member.id].running -= 1;
        }
        ledger.invocations[self.invocation].bulks_running -= 1;
        ledger.environments[self.environment].running -= 1;
    }
}
