//! Fills a bulk: takes the ready records at the lowest positions, decodes them, and calls the handler.

use std::collections::BTreeSet;

use tokio::sync::SemaphorePermit;
use tokio::time::Instant;

use super::super::Execution;
use super::super::batch::{Batch, BatchRefused};
use super::super::call::{Ended, HandlerCall};
use super::super::disposition::AttemptFailure;
use super::{BulkAttempt, BulkOutcome, Member, NextBulk, Part};
use crate::context::ChangeContext;
use crate::decode::DecodeError;
use crate::guard::{drop_guarded, guard};
use crate::handler::bulk::BulkInput;
use crate::observe::log::RecordScope;

/// A bulk that is being filled.
pub(super) struct Filling<'a> {
    queue: usize,
    input: Input<'a>,
    /// What it holds, in the order of the input.
    members: Vec<Member>,
    /// The bytes of what it holds.
    bytes: usize,
    /// The next records in the lanes of what it holds, where they may share the bulk.
    next_in_lanes: BTreeSet<usize>,
    /// The part of a halved bulk that it is made of.
    part: Option<Part>,
    permit: SemaphorePermit<'a>,
    begun: Instant,
}

/// The decoded records, which are the user's and may panic when they are dropped.
struct Input<'a>(Option<Box<dyn BulkInput<'a> + 'a>>);

impl Drop for Input<'_> {
    fn drop(&mut self) {
        drop_guarded(self.0.take());
    }
}

impl Filling<'_> {
    pub(super) fn all(&self) -> impl Iterator<Item = &Member> {
        self.members.iter().chain(self.part.iter().flat_map(Part::all))
    }

    /// Gives it up: the handler was not called.
    pub(super) fn take_back(self, batch: &mut Batch<'_>) {
        if self.part.is_none() {
            self.members.iter().for_each(|member| batch.take_back_attempt(member.position));
        }
    }
}

/// Whether a record that was to be added was.
enum Added {
    Yes,
    /// It does not decode, or comes too late.
    No,
    /// There is no room for it.
    NoRoom,
    /// The batch has been stopped.
    Stopped,
}

impl<'a> Execution<'a> {
    /// Begins to fill a bulk, for which there is a permit.
    pub(in super::super) fn begin_bulk(&mut self, next: NextBulk, permit: SemaphorePermit<'a>) {
        let queue = &mut self.bulks.queues[next.queue];
        let part = if next.is_part { queue.parts.remove(&next.position) } else { None };
        let input = Input(Some(queue.route.handler.begin()));
        self.bulks.filling = Some(Filling {
            queue: next.queue,
            input,
            members: Vec::new(),
            bytes: 0,
            next_in_lanes: BTreeSet::new(),
            part,
            permit,
            begun: self.clock.now(),
        });
    }

    /// Fills the bulk that has begun until it is full or the turn is over, and calls its handler.
    pub(in super::super) fn fill_bulk(&mut self) {
        let Some(mut filling) = self.bulks.filling.take() else { return };
        while !self.turn.is_over_at(self.clock.now()) {
            self.turn.step();
            let is_full = filling.members.len() >= self.bulks.queues[filling.queue].route.limits.max_records;
            let candidate = if is_full && filling.part.is_none() { None } else { self.candidate(&mut filling) };
            let Some(member) = candidate else {
                // Of changes of an item, those before a report may still begin without the later ones.
                if self.leave_out_held_back(&mut filling) {
                    continue;
                }
                return self.call_bulk(filling);
            };
            match self.add(&mut filling, member) {
                Added::Yes | Added::No => {}
                Added::NoRoom => return self.call_bulk(filling),
                Added::Stopped => {
                    self.bulks.filling = Some(filling);
                    return self.stop();
                }
            }
            if self.batch.is_refused() {
                return self.abort();
            }
        }
        self.bulks.filling = Some(filling);
    }

    /// The next record for the bulk.
    fn candidate(&mut self, filling: &mut Filling<'a>) -> Option<Member> {
        if let Some(part) = &mut filling.part {
            while let Some(member) = part.members.pop_front() {
                let follows = filling.next_in_lanes.contains(&member.head());
                if !self.batch.is_in_bulk(member.head()) {
                    continue;
                }
                let (is_admitted, waits) = (self.gate.admits(member.position), self.batch.waits(member.head()));
                if is_admitted && (follows || !waits) {
                    return Some(member);
                }
                // It waits for the record before it in its lane, or is held back.
                self.leave_bulk(&member);
                if !waits {
                    self.bulks.queues[filling.queue].ready.push(member.head());
                } else if is_admitted {
                    self.batch.take_back_attempt(member.position);
                }
            }
            return None;
        }
        let queue = &self.bulks.queues[filling.queue];
        let head = queue.ready.first().into_iter().chain(filling.next_in_lanes.first().copied()).min()?;
        self.gate.admits(head).then(|| queue.member(head, &self.batch, self.gate))
    }

    /// Decodes a record and adds it to the bulk. Of several changes of an item, the latest that decodes is added.
    fn add(&mut self, filling: &mut Filling<'a>, mut member: Member) -> Added {
        let head = member.head();
        let limits = &self.bulks.queues[filling.queue].route.limits;
        let (max_bytes, within_lane) = (limits.max_bytes, limits.within_lane);
        loop {
            let position = member.position;
            let bytes = filling.bytes.saturating_add(self.batch.bytes(position));
            let is_too_much = max_bytes.is_some_and(|most| bytes > most);
            if is_too_much && filling.part.is_none() && !filling.members.is_empty() {
                return Added::NoRoom;
            }
            let Err(failure) = self.decode(filling, position) else {
                filling.bytes = bytes;
                break;
            };
            if let Err(BatchRefused) = self.batch.verify_images(position) {
                return Added::No;
            }
            self.batch.note_undecodable(position);
            if let Some(earlier) = member.superseded.pop() {
                if filling.part.is_none() {
                    self.batch.take_back_attempt(position);
                }
                self.batch.set_in_bulk(position, false);
                member.position = earlier;
                continue;
            }
            return self.fails_alone(filling, head, failure);
        }
        if filling.part.is_none() && !filling.next_in_lanes.remove(&head) {
            self.bulks.queues[filling.queue].ready.pop();
        }
        member.positions().for_each(|position| self.batch.set_in_bulk(position, true));
        if within_lane {
            let next = self.batch.next_in_lane(member.position);
            let next = if filling.part.is_some() { next } else { self.batch.next_in_bulk(member.position).and(next) };
            filling.next_in_lanes.extend(next);
        }
        filling.members.push(member);
        if !self.stopped && self.clock.is_stop_reached() { Added::Stopped } else { Added::Yes }
    }

    /// Counts an attempt, unless the bulk is a part of one that was counted, and decodes the record into the bulk.
    fn decode(&mut self, filling: &mut Filling<'a>, position: usize) -> Result<(), AttemptFailure> {
        let record = match filling.part {
            Some(_) => self.batch.record(position),
            None => self.batch.begin_attempt(position),
        };
        let context = &self.bulks.queues[filling.queue].context;
        let context = ChangeContext::of_attempt(context, filling.begun, self.batch.attempts(position));
        let record = record.in_context(context);
        let Some(input) = &mut filling.input.0 else { return Ok(()) };
        let decoded = guard("handler", || input.push(record));
        self.clock.read();
        match decoded {
            Ok(decoded) => decoded.map_err(AttemptFailure::from),
            Err(panic) => Err(AttemptFailure::permanent(panic)),
        }
    }

    /// A record does not decode. It fails by itself, in its turn: not before the record before it in its lane.
    fn fails_alone(&mut self, filling: &mut Filling<'a>, position: usize, failed: AttemptFailure) -> Added {
        let AttemptFailure { failure, class } = failed;
        self.batch.set_in_bulk(position, false);
        if filling.next_in_lanes.remove(&position) {
            if filling.part.is_none() {
                self.batch.take_back_attempt(position);
            }
        } else {
            if filling.part.is_none() {
                self.bulks.queues[filling.queue].ready.pop();
            }
            self.batch.note_failure(position, failure, filling.begun);
            self.fail(position, class);
        }
        if !self.stopped && self.clock.is_stop_reached() { Added::Stopped } else { Added::No }
    }

    /// Calls the handler of a bulk that is full.
    fn call_bulk(&mut self, mut filling: Filling<'a>) {
        self.leave_out_held_back(&mut filling);
        let Filling { queue, mut input, members, part, permit, begun, .. } = filling;
        let rest = part.map(|part| part.rest).unwrap_or_default();
        let Some(input) = input.0.take().filter(|_| !members.is_empty()) else {
            return self.bulks.add_part(queue, rest);
        };
        self.measured.concurrency = self.measured.concurrency.max(self.settings.handlers_running());
        let limit = self.bulks.queues[queue].context.handler_timeout;
        let scope = RecordScope::of_bulk(members.len());
        let outcome = match HandlerCall::begin(|| Ok::<_, DecodeError>(input.call()), begun, limit, permit, scope) {
            Ok(call) => self.bulks.running.start(BulkAttempt { queue, members, rest, call }),
            Err(failure) => {
                let ended = Ended::Failed(failure);
                Some(BulkOutcome { queue, members, rest, begun, ended })
            }
        };
        self.clock.read();
        if let Some(outcome) = outcome {
            self.bulk_ended(outcome);
        }
    }

    /// Takes out what was reported, or comes after it, since it was added; returns whether there was any.
    fn leave_out_held_back(&mut self, filling: &mut Filling<'a>) -> bool {
        let before = filling.members.len();
        let Filling { queue, input, members, bytes, part, .. } = filling;
        for index in (0..members.len()).rev() {
            if self.gate.admits(members[index].position) {
                continue;
            }
            let member = members.remove(index);
            *bytes = bytes.saturating_sub(self.batch.bytes(member.position));
            if let Some(input) = &mut input.0 {
                let _ = guard("value", || input.remove(index));
            }
            if part.is_none() {
                self.batch.take_back_attempt(member.position);
            }
            self.leave_bulk(&member);
            if !self.batch.waits(member.head()) {
                self.bulks.queues[*queue].ready.push(member.head());
            }
        }
        members.len() < before
    }
}
