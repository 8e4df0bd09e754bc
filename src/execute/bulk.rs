//! Bulks: one call of a handler for many records.
//!
//! Records of a bulk handler are not started one by one. They wait in its queue, and [`Execution::start_ready`] fills a bulk when its
//! turn has come: the queue holds the lowest ready position, there is a permit, and the bulk is full or nothing more can be read.
//!
//! Invariants, in addition to those of `execute.rs`:
//!
//! 1. A bulk holds one record of each lane, or with `within_lane` consecutive ones. Such a record counts as done only after the one
//!    before it.
//! 2. A failure of the bulk as a whole condemns no record. Where it would, the bulk is halved (`halves.rs`), until a bulk of one fails.
//! 3. A change that a later one supersedes has no outcome before that one has.

mod call;
mod fill;
mod halves;
mod queue;
mod verdict;

use std::collections::{BTreeMap, HashSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use futures::future::{BoxFuture, FutureExt};
use futures::stream::FuturesUnordered;
use tokio::time::Instant;

pub(super) use self::call::{BulkAttempt, BulkOutcome};
use self::fill::Filling;
use self::queue::BulkQueue;
use self::verdict::Verdict;
use super::Execution;
use super::batch::Batch;
use super::disposition::{AttemptFailure, Disposition, FailureClass};
use super::gate::Gate;
use super::in_flight::InFlight;
use super::settings::Settings;
use crate::context::BatchContext;
use crate::failure::ErrorKind;
use crate::observe::log;
use crate::observe::metrics::millis;
use crate::outcome::Outcome;

/// A record of a bulk, and the earlier changes of its item that it stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Member {
    position: usize,
    /// In stream order. Only a handler that takes the latest change has any.
    superseded: Vec<usize>,
}

impl Member {
    /// The first of its positions, by which it is queued.
    fn head(&self) -> usize {
        self.superseded.first().copied().unwrap_or(self.position)
    }

    fn positions(&self) -> impl Iterator<Item = usize> {
        self.superseded.iter().copied().chain([self.position])
    }
}

/// A part of a halved bulk, and the parts after it, which run once this one has ended; the next one comes last.
#[derive(Debug)]
struct Part {
    members: VecDeque<Member>,
    rest: Vec<Vec<Member>>,
}

impl Part {
    /// Makes the next of these parts the one that runs; `None` if there is none.
    fn next(mut rest: Vec<Vec<Member>>) -> Option<Self> {
        rest.pop().map(|members| Self { members: members.into(), rest })
    }

    fn all(&self) -> impl Iterator<Item = &Member> {
        self.members.iter().chain(self.rest.iter().flatten())
    }
}

/// Records that failed retryably in one bulk, and come back together.
struct Returning {
    queue: usize,
    heads: Vec<usize>,
}

/// All bulks of a batch.
pub(super) struct Bulks<'a> {
    /// One for each bulk handler.
    queues: Vec<BulkQueue<'a>>,
    /// The bulk that is being filled. It has its permit.
    filling: Option<Filling<'a>>,
    pub(super) running: InFlight<BulkAttempt<'a>>,
    /// Each ends with the number of its records in `returning`.
    pub(super) backoffs: FuturesUnordered<BoxFuture<'static, usize>>,
    returning: BTreeMap<usize, Returning>,
    /// How many have returned or will.
    returns: usize,
}

/// What starts next of the bulks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct NextBulk {
    /// Its lowest position.
    pub(super) position: usize,
    queue: usize,
    is_part: bool,
}

impl<'a> Bulks<'a> {
    pub(super) fn new(settings: &'a Settings, context: &Arc<BatchContext>) -> Self {
        let queues = settings.routes.bulks().iter().map(|route| BulkQueue::new(route, settings, context));
        Self {
            queues: queues.collect(),
            filling: None,
            running: InFlight::new(),
            backoffs: FuturesUnordered::new(),
            returning: BTreeMap::new(),
            returns: 0,
        }
    }

    /// Whether there is no bulk handler.
    pub(super) fn are_unused(&self) -> bool {
        self.queues.is_empty()
    }

    /// Whether nothing is in flight.
    pub(super) fn are_idle(&self) -> bool {
        self.running.is_empty() && self.filling.is_none()
    }

    pub(super) fn is_filling(&self) -> bool {
        self.filling.is_some()
    }

    /// The lowest position that may start, and how.
    pub(super) fn next(&self, gate: Gate) -> Option<NextBulk> {
        let of_queue = |(number, queue): (usize, &BulkQueue<'_>)| {
            let part = queue.parts.first_key_value().map(|(position, _)| (*position, true));
            let ready = queue.ready.first().map(|position| (position, false));
            let (position, is_part) = part.into_iter().chain(ready).min()?;
            gate.admits(position).then_some(NextBulk { position, queue: number, is_part })
        };
        self.queues.iter().enumerate().filter_map(of_queue).min_by_key(|next| next.position)
    }

    /// Whether this bulk is as full as it can be with what was read so far.
    pub(super) fn is_full(&self, next: NextBulk, batch: &Batch<'_>, gate: Gate) -> bool {
        next.is_part || self.queues[next.queue].is_full(batch, gate)
    }

    /// Whether records that back off will start again.
    pub(super) fn is_retry_pending(&self, gate: Gate) -> bool {
        self.returning.values().flat_map(|returning| &returning.heads).any(|head| gate.admits(*head))
    }

    /// Queues a record that is ready; returns whether it goes to a bulk handler.
    pub(super) fn push(&mut self, position: usize, batch: &Batch<'_>) -> bool {
        let Some(number) = batch.bulk_of(position) else { return false };
        self.queues[number].ready.push(position);
        true
    }

    fn wait(&mut self, queue: usize, heads: Vec<usize>, delay: Duration) {
        let number = self.returns;
        self.returns += 1;
        self.returning.insert(number, Returning { queue, heads });
        self.backoffs.push(Box::pin(tokio::time::sleep(delay).map(move |()| number)));
    }

    /// Queues records whose backoff has ended.
    pub(super) fn backed_off(&mut self, number: usize) {
        if let Some(Returning { queue, heads }) = self.returning.remove(&number) {
            heads.into_iter().for_each(|head| self.queues[queue].ready.push(head));
        }
    }

    fn add_part(&mut self, queue: usize, rest: Vec<Vec<Member>>) {
        if let Some(part) = Part::next(rest)
            && let Some(first) = part.members.front()
        {
            self.queues[queue].parts.insert(first.head(), part);
        }
    }

    /// Everything that has begun and not ended, or waits.
    fn members_waiting(&self, batch: &Batch<'_>, gate: Gate) -> Vec<Member> {
        let running = self.running.iter().flat_map(|bulk| bulk.members.iter().chain(bulk.rest.iter().flatten()));
        let filling = self.filling.iter().flat_map(Filling::all);
        let parts = self.queues.iter().flat_map(|queue| queue.parts.values()).flat_map(Part::all);
        let mut members: Vec<Member> = running.chain(filling).chain(parts).cloned().collect();
        let returning = self.returning.values().flat_map(|it| it.heads.iter().map(|head| (it.queue, *head)));
        let ready =
            self.queues.iter().enumerate().flat_map(|(number, queue)| queue.ready.iter().map(move |it| (number, it)));
        for (queue, head) in returning.chain(ready) {
            let mut member = self.queues[queue].member(head, batch, gate);
            // Of a run of changes, the latest that has failed stands for those before it.
            while !batch.has_failed(member.position)
                && let Some(earlier) = member.superseded.pop()
            {
                member.position = earlier;
            }
            members.push(member);
        }
        members
    }

    /// Drops all that runs or waits.
    pub(super) fn clear(&mut self, batch: &mut Batch<'_>) {
        if let Some(filling) = self.filling.take() {
            filling.take_back(batch);
        }
        self.running.clear();
        self.backoffs.clear();
        self.returning.clear();
        for queue in &mut self.queues {
            queue.parts.clear();
        }
    }
}

impl Execution<'_> {
    /// The records of bulk handlers that have failed and are in another bulk, or wait for one.
    pub(super) fn failed_in_bulks(&mut self) -> Vec<usize> {
        let members = self.bulks.members_waiting(&self.batch, self.gate);
        let failed = members
            .into_iter()
            .filter(|member| self.gate.admits(member.head()) && self.batch.has_failed(member.position));
        let failed: Vec<Member> = failed.collect();
        let positions = failed.iter().map(|member| member.position).collect();
        for Member { position, superseded } in failed {
            self.batch.note_superseded(position, superseded);
        }
        positions
    }

    pub(super) fn bulk_ended(&mut self, outcome: BulkOutcome) {
        let BulkOutcome { queue, members, rest, begun, ended } = outcome;
        let Some(first) = members.first() else { return };
        self.measured.attempts.push((first.position, millis(self.clock.since(begun))));
        self.measured.bulks.push((first.position, members.len() as f64));
        let verdict = Verdict::of(ended, members.len(), self.settings.permanent_if.as_ref());
        self.clock.read();
        match verdict {
            Verdict::Each(results) => {
                let failed = self.sort_out(members, results);
                let retried = self.act_on_failures(failed, begun);
                self.retry_together(queue, retried);
                self.bulks.add_part(queue, rest);
            }
            Verdict::Whole(failure) => self.bulk_failed(queue, members, rest, failure, begun, true),
            Verdict::WrongCount(failure) => self.bulk_failed(queue, members, rest, failure, begun, false),
        }
    }

    /// Gives those that succeeded their outcome; returns those that failed. A record whose lane is blocked by a failed one before it
    /// is neither, whatever the handler answered.
    fn sort_out(
        &mut self,
        members: Vec<Member>,
        results: Vec<Option<AttemptFailure>>,
    ) -> Vec<(Member, AttemptFailure)> {
        let mut blocked = HashSet::new();
        let mut succeeded = Vec::with_capacity(members.len());
        let mut failed = Vec::new();
        for (member, result) in members.into_iter().zip(results) {
            let is_blocked = blocked.contains(&member.head());
            if is_blocked || result.is_some() {
                blocked.extend(self.batch.next_in_lane(member.position));
            }
            match result {
                _ if is_blocked => {
                    self.batch.take_back_attempt(member.position);
                    self.leave_bulk(&member);
                }
                Some(failure) => failed.push((member, failure)),
                None => succeeded.push(member),
            }
        }
        for Member { position, superseded } in succeeded {
            self.batch.note_superseded(position, superseded);
            log::succeeded(&self.batch.about(position));
            self.settle(position, Outcome::Succeeded);
        }
        // Not before: a failed record whose turn has come just now has had it in this bulk.
        for (member, _) in &failed {
            self.leave_bulk(member);
        }
        failed
    }

    fn leave_bulk(&mut self, member: &Member) {
        member.positions().for_each(|position| self.batch.set_in_bulk(position, false));
    }

    /// Decides what happens to each record that failed by itself, and does it; returns those that are retried, and when.
    fn act_on_failures(&mut self, failed: Vec<(Member, AttemptFailure)>, begun: Instant) -> Vec<(Member, Duration)> {
        let mut retried = Vec::new();
        for (member, AttemptFailure { failure, class }) in failed {
            self.batch.note_failure(member.position, failure, begun);
            match self.disposition(member.position, member.head(), class) {
                Disposition::Retry(delay) => retried.push((member, delay)),
                other => self.act_on(member, other),
            }
        }
        retried
    }

    /// Acts on a disposition that is not another attempt.
    fn act_on(&mut self, member: Member, disposition: Disposition) {
        let Member { position, superseded } = member;
        self.batch.note_superseded(position, superseded);
        self.act(position, disposition);
    }

    /// Lets records come back together, after the longest of their delays.
    fn retry_together(&mut self, queue: usize, retried: Vec<(Member, Duration)>) {
        let Some(delay) = retried.iter().map(|(_, delay)| *delay).max() else { return };
        for (member, _) in &retried {
            log::failed(&self.batch.about(member.position), "retried", Some(delay));
        }
        self.bulks.wait(queue, retried.iter().map(|(member, _)| member.head()).collect(), delay);
    }

    /// A bulk of several records failed as a whole. It is retried, or halved if it may be, or its records are reported.
    fn bulk_failed(
        &mut self,
        queue: usize,
        members: Vec<Member>,
        mut rest: Vec<Vec<Member>>,
        failed: AttemptFailure,
        begun: Instant,
        may_be_halved: bool,
    ) {
        let AttemptFailure { failure, class } = failed;
        let has_timed_out = failure.kind == ErrorKind::Timeout;
        let (mut retried, mut halved, mut others) = (Vec::new(), Vec::new(), Vec::new());
        // The next records in the lanes of those that are halved, and of all others.
        let (mut follow, mut blocked) = (HashSet::new(), HashSet::new());
        for member in members {
            self.batch.note_failure(member.position, failure.clone(), begun);
            self.batch.note_failed_with_bulk(member.position);
            let next_in_lane = self.batch.next_in_lane(member.position);
            let disposition = match self.disposition(member.position, member.head(), class) {
                // The rest of a lane goes with the record before it, or waits for it.
                _ if follow.contains(&member.head()) => Disposition::DeadLetter,
                Disposition::DeadLetter if !may_be_halved => Disposition::Report,
                Disposition::Report if may_be_halved && class == FailureClass::Permanent => Disposition::DeadLetter,
                other => other,
            };
            if blocked.contains(&member.head()) {
                blocked.extend(next_in_lane);
                self.leave_bulk(&member);
                continue;
            }
            if disposition == Disposition::DeadLetter {
                follow.extend(next_in_lane);
                halved.push(member);
                continue;
            }
            blocked.extend(next_in_lane);
            self.leave_bulk(&member);
            match disposition {
                Disposition::Retry(delay) => retried.push((member, delay)),
                other => others.push((member, other)),
            }
        }
        for (member, disposition) in others {
            self.act_on(member, disposition);
        }
        self.retry_together(queue, retried);
        if let Some(first) = halved.first() {
            log::halved(&self.batch.about(first.position), halved.len());
            halves::split(halved, has_timed_out, &mut rest);
        }
        self.bulks.add_part(queue, rest);
    }
}
