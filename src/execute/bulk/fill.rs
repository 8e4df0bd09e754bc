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
    /// Changes of an item of which the latest did not decode, so the one before it is next.
    shortened: Option<Member>,
    /// The part of a halved bulk that it consists of.
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
            shortened: None,
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
            let candidate = if self.is_filled(&filling) { None } else { self.candidate(&mut filling) };
            let Some(member) = candidate else {
                // Of changes of an item, those before a report may still begin without the later ones.
                if self.leave_out_held_back(&mut filling) {
                    continue;
                }
                return self.call_bulk(filling);
            };
            if !self.has_room(&filling, &member) {
                return self.call_bulk(filling);
            }
            self.add(&mut filling, member);
            if self.batch.is_refused() {
                return self.abort();
            }
            if self.clock.is_stop_reached() {
                self.bulks.filling = Some(filling);
                return self.stop();
            }
        }
        self.bulks.filling = Some(filling);
    }

    /// Whether the bulk is to be called with what it holds: it is full, or decoding took as long as is left for its handler. The rest would
    /// otherwise be decoded up to the deadline in each invocation, and the handler never be called.
    fn is_filled(&self, filling: &Filling<'a>) -> bool {
        let has_room = filling.members.len() < self.bulks.queues[filling.queue].route.limits.max_records;
        let is_late = || self.clock.time_left().is_some_and(|left| left <= self.clock.since(filling.begun));
        filling.part.is_none() && !filling.members.is_empty() && (!has_room || is_late())
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
        // A lower record may have become ready since, or one in its place may have been reported.
        let is_next = |member: &Member| member.head() == head && self.gate.admits(member.position);
        let shortened = filling.shortened.take().filter(is_next);
        self.gate.admits(head).then(|| shortened.unwrap_or_else(|| queue.member(head, &self.batch, self.gate)))
    }

    /// Whether the bulk has room for a record. A single record always has, and so has a part of a bulk that had it.
    fn has_room(&self, filling: &Filling<'a>, member: &Member) -> bool {
        let most = self.bulks.queues[filling.queue].route.limits.max_bytes;
        let bytes = filling.bytes.saturating_add(self.batch.bytes(member.position));
        filling.part.is_some() || filling.members.is_empty() || most.is_none_or(|most| bytes <= most)
    }

    /// Decodes a record and adds it to the bulk. If it is the latest of several changes of an item and does not decode, the one before it
    /// is the next to be added.
    fn add(&mut self, filling: &mut Filling<'a>, mut member: Member) {
        let (head, position) = (member.head(), member.position);
        if let Err(failure) = self.decode(filling, position) {
            if let Err(BatchRefused) = self.batch.verify_images(position) {
                return;
            }
            self.batch.note_undecodable(position);
            let Some(earlier) = member.superseded.pop() else { return self.fails_alone(filling, head, failure) };
            self.batch.take_back_attempt(position);
            self.batch.set_in_bulk(position, false);
            member.position = earlier;
            match &mut filling.part {
                Some(part) => {
                    // The attempt of a part is counted before.
                    self.batch.begin_attempt(earlier);
                    part.members.push_front(member);
                }
                None => filling.shortened = Some(member),
            }
            return;
        }
        filling.bytes = filling.bytes.saturating_add(self.batch.bytes(position));
        if filling.part.is_none() && !filling.next_in_lanes.remove(&head) {
            self.bulks.queues[filling.queue].ready.pop();
        }
        member.positions().for_each(|position| self.batch.set_in_bulk(position, true));
        if self.bulks.queues[filling.queue].route.limits.within_lane {
            let next = self.batch.next_in_lane(position);
            let next = if filling.part.is_some() { next } else { self.batch.next_in_bulk(position).and(next) };
            filling.next_in_lanes.extend(next);
        }
        filling.members.push(member);
    }

    /// Counts an attempt, unless the bulk is a part of one that was counted, and decodes the record into the bulk.
    fn decode(&mut self, filling: &mut Filling<'a>, position: usize) -> Result<(), AttemptFailure> {
        let record = match filling.part {
            Some(_) => self.batch.record(position),
            None => self.batch.begin_attempt(position),
        };
        let context = &self.bulks.queues[filling.queue].context;
        let context = ChangeContext::of_attempt(
            context,
            filling.begun,
            self.batch.attempts(position),
            self.batch.is_stale(position),
        );
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
    fn fails_alone(&mut self, filling: &mut Filling<'a>, position: usize, failed: AttemptFailure) {
        let AttemptFailure { failure, class } = failed;
        self.batch.set_in_bulk(position, false);
        if filling.next_in_lanes.remove(&position) {
            self.batch.take_back_attempt(position);
        } else {
            if filling.part.is_none() {
                self.bulks.queues[filling.queue].ready.pop();
            }
            self.batch.note_failure(position, failure, filling.begun);
            self.fail(position, class);
        }
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
