//! The world of a schedule: mappings that deliver from their checkpoints, and records that come back.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use lambda_streams::Origin;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};

use super::broken::Subject;
use super::environment::{Environment, Ran, Returned};
use super::ledger::Ledger;
use super::plan::{InvocationPlan, Plan, QueueFault, ReturnFrom, ReturnPlan, StoreFault};
use super::rows::Rows;
use super::stream::{Stream, rows};
use super::tally::{Event, Tally};

/// How long marks are kept by default.
pub(super) const LONG_LIFE: Duration = Duration::from_secs(16 * 24 * 60 * 60);
/// Longer than anything late takes to arrive.
pub(super) const SETTLES: Duration = Duration::from_secs(3 * 60 * 60);
const TOO_MANY_INVOCATIONS: usize = 400;
/// How often everything that is in a queue comes back in the end.
const ROUNDS: usize = 6;

pub(super) struct World {
    pub(super) plan: Plan,
    pub(super) subject: Subject,
    pub(super) stream: Stream,
    pub(super) tally: Tally,
    pub(super) begun: Instant,
    state: Mutex<State>,
}

/// What changes.
pub(super) struct State {
    pub(super) rows: Rows,
    pub(super) ledger: Ledger,
    /// The dead letters of each consumer.
    pub(super) letters: Vec<Vec<Returned>>,
    discarded: Vec<Vec<Returned>>,
    /// The environment of each consumer that is idle, of the mapping and of what comes back.
    idle: HashMap<(usize, bool), Environment>,
    zombies: Vec<JoinHandle<Ran>>,
    store_calls: usize,
    queue_calls: usize,
    /// Whether nothing fails from now on.
    pub(super) is_healed: bool,
}

/// The time of day by the paused clock.
pub(super) fn time_of_day() -> SystemTime {
    let (paused, system) = (Instant::now().into_std(), std::time::Instant::now());
    match paused.checked_duration_since(system) {
        Some(ahead) => SystemTime::now() + ahead,
        None => SystemTime::now() - system.duration_since(paused),
    }
}

/// For how long something is to be kept, free of the moments that have passed since the moment of its expiry was set.
pub(super) fn life_until(expires: SystemTime) -> Duration {
    let life = expires.duration_since(time_of_day()).unwrap_or_default();
    Duration::from_secs(life.as_secs_f64().round() as u64)
}

/// Plays one schedule; the violations, if there are any.
pub(crate) fn run(subject: Subject, plan: &Plan, tally: &Tally) -> Result<(), Vec<String>> {
    rows();
    // The jitter of backoffs.
    fastrand::seed(plan.changes.len() as u64);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
    let mut plan = plan.clone();
    subject.adapt(&mut plan);
    tally.count(Event::Schedule);
    let mut violations = runtime.expect("a runtime can be made").block_on(play(subject, plan, tally.clone()));
    if let Some(promise) = subject.breaks() {
        violations.retain(|violation| violation.starts_with(promise));
    }
    if violations.is_empty() { Ok(()) } else { Err(violations) }
}

async fn play(subject: Subject, plan: Plan, tally: Tally) -> Vec<String> {
    let now = time_of_day();
    let mut rows = Rows::new(subject);
    if plan.is_established {
        (0..plan.consumers).for_each(|consumer| _ = rows.begin(consumer, now - Duration::from_secs(24 * 60 * 60)));
    }
    let state = State {
        rows,
        ledger: Ledger::new(plan.consumers, plan.changes.len()),
        letters: vec![Vec::new(); plan.consumers],
        discarded: vec![Vec::new(); plan.consumers],
        idle: HashMap::new(),
        zombies: Vec::new(),
        store_calls: 0,
        queue_calls: 0,
        is_healed: false,
    };
    let stream = Stream::new(&plan, now);
    let world = Arc::new(World { plan, subject, stream, tally, begun: Instant::now(), state: Mutex::new(state) });
    let mappings = futures::future::join_all((0..world.plan.consumers).map(|consumer| world.deliver(consumer)));
    tokio::join!(mappings, world.bring_back());
    world.settle().await;
    world.bring_everything_back().await;
    world.end();
    world.violations()
}

impl World {
    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn item(&self, id: usize) -> usize {
        self.plan.changes[id].item.into()
    }

    pub(super) fn next_store_fault(&self) -> StoreFault {
        let mut state = self.state();
        state.store_calls += 1;
        let fault = self.plan.store.get(state.store_calls - 1).copied();
        fault.filter(|_| !state.is_healed).unwrap_or(StoreFault::Takes(0))
    }

    pub(super) fn next_queue_fault(&self) -> QueueFault {
        let mut state = self.state();
        state.queue_calls += 1;
        let fault = self.plan.queue.get(state.queue_calls - 1).copied();
        fault.filter(|_| !state.is_healed).unwrap_or(QueueFault::Accepts)
    }

    /// An idle environment, or a new one.
    pub(super) fn take_environment(self: &Arc<Self>, consumer: usize, from_stream: bool, fresh: bool) -> Environment {
        let idle = self.state().idle.remove(&(consumer, from_stream)).filter(|_| !fresh);
        idle.unwrap_or_else(|| Environment::start(self, consumer))
    }

    pub(super) fn give_back(&self, consumer: usize, from_stream: bool, environment: Environment) {
        self.state().idle.insert((consumer, from_stream), environment);
    }

    pub(super) fn leave_behind(&self, zombie: JoinHandle<Ran>) {
        self.state().zombies.push(zombie);
    }

    /// The event source mapping of a consumer: delivers from the checkpoint, and obeys the response.
    async fn deliver(self: &Arc<Self>, consumer: usize) {
        let all = self.plan.changes.len();
        let (mut at, mut end, mut tries, mut invocations) = (0, 0, 0, 0);
        while at < all {
            if at >= end {
                (end, tries) = (all.min(at + self.plan.batch_size), 0);
            }
            let plan = self.plan.invocations.get(invocations * self.plan.consumers + consumer).copied();
            let plan = plan.unwrap_or(InvocationPlan::CALM);
            invocations += 1;
            if invocations > TOO_MANY_INVOCATIONS {
                return self.state().ledger.violation("the stream never ends".to_owned());
            }
            self.tally.add(Event::Redelivery, if tries > 0 { end - at } else { 0 });
            let batch: Vec<usize> = (at..end).collect();
            let ran = self.execute(consumer, Origin::Stream, batch.into_iter().map(Returned::of).collect(), plan).await;
            let resumes = ran.map(|ran| ran.resumes_at);
            let progress = resumes.unwrap_or_default();
            if progress > 0 && at + progress < end {
                self.tally.count(Event::PartialFailure);
            }
            at += progress;
            tries = if progress > 0 { 1 } else { tries + 1 };
            if at < end && (plan.discards || self.plan.retries.is_some_and(|retries| tries > retries.into())) {
                self.discard(consumer, at..end);
                at = end;
            } else if at < end && self.plan.bisect && progress == 0 {
                end = at + (end - at).div_ceil(2);
            }
            sleep(Duration::from_millis(100)).await;
        }
    }

    fn discard(&self, consumer: usize, ids: std::ops::Range<usize>) {
        self.tally.add(Event::Discarded, ids.len());
        let mut state = self.state();
        for id in ids {
            state.ledger.history(consumer, id).discarded = true;
            state.discarded[consumer].push(Returned::of(id));
        }
    }

    /// Brings records back at the moments of the plan.
    async fn bring_back(self: &Arc<Self>) {
        for plan in &self.plan.returns {
            sleep(plan.after).await;
            self.bring_some_back(usize::from(plan.consumer) % self.plan.consumers, plan).await;
        }
    }

    async fn bring_some_back(self: &Arc<Self>, consumer: usize, plan: &ReturnPlan) {
        let of_stream: Vec<Returned> = (0..self.plan.changes.len()).map(Returned::of).collect();
        let queue = match plan.from {
            ReturnFrom::DeadLetters => self.state().letters[consumer].clone(),
            ReturnFrom::Discarded => self.state().discarded[consumer].clone(),
            ReturnFrom::Stream => of_stream,
        };
        let first = usize::from(plan.first).checked_rem(queue.len()).unwrap_or_default();
        let mut some: Vec<Returned> = queue.into_iter().skip(first).take(plan.count.into()).collect();
        if plan.reversed {
            some.reverse();
        }
        if plan.doubled {
            self.tally.add(Event::ComesTwice, some.len());
            some.extend(some.clone());
        }
        self.bring(consumer, plan.from, some, plan.invocation, plan.stays).await;
    }

    async fn bring(
        self: &Arc<Self>,
        consumer: usize,
        from: ReturnFrom,
        some: Vec<Returned>,
        plan: InvocationPlan,
        stays: bool,
    ) {
        if some.is_empty() {
            return;
        }
        let (origin, event) = match from {
            ReturnFrom::DeadLetters => (Origin::Redrive, Event::Redrive),
            ReturnFrom::Discarded => (Origin::OnDemand, Event::Replay),
            ReturnFrom::Stream => (Origin::OnDemand, Event::ReplayOfStream),
        };
        self.tally.add(event, some.len());
        if from == ReturnFrom::Stream {
            let state = self.state();
            let histories = &state.ledger.histories[consumer];
            let ahead = some.iter().filter(|returned| !histories[returned.id].is_passed()).count();
            self.tally.add(Event::ReplayAhead, ahead);
        }
        let Some(ran) = self.execute(consumer, origin, some.clone(), plan).await else { return };
        if stays {
            return;
        }
        let mut state = self.state();
        let state = &mut *state;
        let queue = match from {
            ReturnFrom::DeadLetters => &mut state.letters[consumer],
            ReturnFrom::Discarded => &mut state.discarded[consumer],
            ReturnFrom::Stream => return,
        };
        for returned in some.iter().zip(&ran.deletes).filter(|(_, deletes)| **deletes).map(|(returned, _)| returned) {
            queue.retain(|other| other != returned);
        }
    }

    /// Waits until nothing is in flight, and lets nothing fail from then on.
    async fn settle(&self) {
        sleep(SETTLES).await;
        let zombies = std::mem::take(&mut self.state().zombies);
        for zombie in zombies {
            if let Err(error) = zombie.await {
                self.state().ledger.violation(format!("an execution that was left behind has ended badly: {error}"));
            }
        }
        self.state().is_healed = true;
    }

    async fn bring_everything_back(self: &Arc<Self>) {
        for consumer in 0..self.plan.consumers {
            for from in [ReturnFrom::Discarded, ReturnFrom::DeadLetters].repeat(ROUNDS) {
                let queue = match from {
                    ReturnFrom::DeadLetters => self.state().letters[consumer].clone(),
                    _ => self.state().discarded[consumer].clone(),
                };
                for some in queue.chunks(self.plan.batch_size) {
                    self.bring(consumer, from, some.to_vec(), InvocationPlan::CALM, false).await;
                }
            }
        }
    }

    /// Whether a change is still in a queue of the consumer.
    pub(super) fn is_in_queue(&self, state: &State, consumer: usize, id: usize) -> bool {
        state.letters[consumer].iter().chain(&state.discarded[consumer]).any(|returned| returned.id == id)
    }

    fn violations(&self) -> Vec<String> {
        let mut state = self.state();
        let mut violations = std::mem::take(&mut state.ledger.violations);
        violations.append(&mut state.rows.falls);
        violations
    }
}
