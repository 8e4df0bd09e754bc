use std::collections::HashMap;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::attempt::guard;
use super::lanes::LaneMap;
use crate::clock::Clock;
use crate::dead_letter::{DeadLetter, DeadLetterError};
use crate::error::Error;
use crate::event::Records;
use crate::event::Window;
use crate::execute::redelivery::{Replay, ReplayKey};
use crate::execute::settings::Settings;
use crate::failure::{ErrorKind, Failure};
use crate::invocation::Invocation;
use crate::observe::log;
use crate::observe::metrics::Ages;
use crate::outcome::{Answer, BatchReport, Outcome, RecordReport, SkipReason};
use crate::policy::AfterDeadLetter;
use crate::record::{MalformedRecord, Record, RecordRef, SequenceNumber};

/// A batch's records and what is known of each so far.
pub(super) struct Batch<'a> {
    settings: &'a Settings,
    records: Records<'a>,
    slots: Vec<Slot>,
    numbers: Numbers,
    lanes: LaneMap<'a>,
    /// What was done in earlier invocations, if anything was.
    replay: Option<&'a Replay>,
    from_stream: bool,
    table: Option<String>,
    window: Option<Window>,
    /// Why the payload is no stream's event, once that is found: then the batch as a whole fails.
    refusal: Option<Error>,
}

/// What a record that was just read is to do.
pub(super) enum Arrival {
    /// To begin: nothing stands before it in its lane.
    Ready,
    /// To follow a dead letter of its lane.
    Follower,
}

/// A record and what is known of it: little, so that many lie close together.
struct Slot {
    facts: RecordRef,
    trouble: Option<Box<Trouble>>,
    /// The position behind it in its lane, which is not the first of all.
    next_in_lane: Option<NonZeroUsize>,
    attempts: u32,
    /// What it comes to if nothing else happens, until it is settled.
    outcome: Outcome,
    settled: bool,
    /// Whether its images, which no handler has seen, were checked to be JSON.
    is_checked: bool,
    /// Whether the sequence number names this record and no other of the batch.
    nameable: bool,
}

/// What is known of a record that has failed.
#[derive(Default)]
struct Trouble {
    failure: Option<Failure>,
    dead_letter_error: Option<DeadLetterError>,
    /// When its first attempt began.
    first_seen: Option<Instant>,
}

impl Slot {
    fn new(facts: RecordRef) -> Self {
        Self {
            facts,
            trouble: None,
            next_in_lane: None,
            attempts: 0,
            outcome: Outcome::Unfinished,
            settled: false,
            is_checked: false,
            nameable: false,
        }
    }

    fn settle(&mut self, outcome: Outcome) {
        self.settled = true;
        self.outcome = outcome;
    }

    fn failure(&self) -> Option<&Failure> {
        self.trouble.as_ref()?.failure.as_ref()
    }

    fn trouble(&mut self) -> &mut Trouble {
        self.trouble.get_or_insert_default()
    }

    /// Notes why it cannot be processed, unless that is known already.
    fn fail_in_reading(&mut self, failure: Failure) {
        self.trouble().failure.get_or_insert(failure);
    }

    /// What the memory of earlier invocations knows it by.
    fn replay_key(&self) -> Option<ReplayKey> {
        replay_key(&self.facts, self.nameable)
    }

    fn into_report(self, position: usize) -> RecordReport {
        let trouble = self.trouble.map(|trouble| *trouble).unwrap_or_default();
        RecordReport {
            position,
            kind: self.facts.kind(),
            outcome: self.outcome,
            attempts: self.attempts,
            failure: trouble.failure,
            dead_letter_error: trouble.dead_letter_error,
            facts: self.facts,
            nameable: self.nameable,
        }
    }
}

fn replay_key(facts: &RecordRef, nameable: bool) -> Option<ReplayKey> {
    let number = facts.sequence_number().filter(|_| nameable)?;
    Some(ReplayKey::new(facts.stream_arn(), number.as_str(), facts.event_id()))
}

impl<'a> Batch<'a> {
    pub(super) fn new(settings: &'a Settings, records: Records<'a>, invocation: &Invocation) -> Self {
        let from_stream = invocation.from_stream;
        if let Some(count) = records.len() {
            log::note_count(count);
        }
        Self {
            slots: Vec::with_capacity(records.estimate()),
            numbers: Numbers::default(),
            lanes: LaneMap::new(&settings.lanes, records.estimate()),
            replay: settings.replay.as_ref().filter(|replay| from_stream && !replay.is_empty()),
            from_stream,
            table: None,
            window: None,
            refusal: None,
            settings,
            records,
        }
    }

    /// The position of the next record to be read; `None` once all are.
    pub(super) fn unread(&self) -> Option<usize> {
        self.records.has_next().then_some(self.slots.len())
    }

    /// Reads the next records: skips those that need no handler, puts the rest into their lanes, and tells what each is to
    /// do, if it is not to wait for the one before it.
    pub(super) fn read_on(&mut self, mut tell: impl FnMut(usize, Arrival)) {
        let text = self.records.text();
        for facts in self.records.next() {
            let (position, keys) = (self.slots.len(), facts.keys_json_in(text));
            let slot = self.slots.push_mut(Slot::new(facts));
            if self.table.is_none() {
                self.table = slot.facts.table_name().map(str::to_owned);
                log::note_table(self.table.as_deref());
            }
            if let Some(error) = slot.facts.malformed() {
                slot.fail_in_reading(Failure::of(ErrorKind::Malformed, &error));
            }
            self.name(position);
            self.skip(position);
            let arrival = self.enter_lane(position, keys);
            let slot = &self.slots[position];
            if slot.settled || slot.failure().is_some() {
                self.check_json(position);
            }
            if let Some(arrival) = arrival {
                tell(position, arrival);
            }
        }
        if !self.records.has_next() {
            if self.records.len().is_none() {
                log::note_count(self.slots.len());
            }
            match self.records.finish() {
                Ok(window) => self.window = window,
                Err(error) => self.refusal = Some(error),
            }
        }
    }

    /// Checks that the images of a record which no handler has seen are JSON; a handler's are checked when they are decoded.
    fn check_json(&mut self, position: usize) {
        let slot = &mut self.slots[position];
        if slot.attempts == 0 && !std::mem::replace(&mut slot.is_checked, true) {
            self.has_json_images(position);
        }
    }

    /// Whether a record's images are JSON; if one is not, the batch fails.
    pub(super) fn has_json_images(&mut self, position: usize) -> bool {
        let facts = &self.slots[position].facts;
        let is_json = facts.has_json_images();
        if !is_json {
            // Once: that goes over the whole payload, and says the same for every image.
            self.refusal.get_or_insert_with(|| Error::not_json(facts.why_not_json()));
        }
        is_json
    }

    /// Whether the payload was found to be no stream's event.
    pub(super) fn is_refused(&self) -> bool {
        self.refusal.is_some()
    }

    /// Finds out whether the sequence number names this record; a repeated one makes the later record malformed.
    fn name(&mut self, position: usize) {
        let (earlier, rest) = self.slots.split_at_mut(position);
        let [slot, ..] = rest else { return };
        let Some(number) = slot.facts.sequence_number() else { return };
        let earlier = || earlier.iter().map(|slot| slot.facts.sequence_number().copied());
        match self.numbers.enter(*number, position, earlier) {
            None => slot.nameable = true,
            Some(first) => {
                let error = MalformedRecord::repeated_sequence_number(slot.facts.clone(), first);
                slot.fail_in_reading(Failure::of(ErrorKind::Malformed, &error));
            }
        }
    }

    fn skip(&mut self, position: usize) {
        let slot = &mut self.slots[position];
        if self.replay.is_some_and(|replay| slot.replay_key().is_some_and(|key| replay.contains(&key))) {
            return slot.settle(Outcome::Skipped(SkipReason::Redelivered));
        }
        let (None, Some(kind)) = (slot.failure(), slot.facts.kind()) else { return };
        if self.settings.routes.of(kind).is_none() {
            slot.settle(Outcome::Skipped(SkipReason::NoHandler));
        } else if let (Some(filter), Some(record)) = (&self.settings.filter, slot.facts.record()) {
            match guard("filter", || filter(&record)) {
                Ok(true) => {}
                Ok(false) => slot.settle(Outcome::Skipped(SkipReason::Filtered)),
                Err(panic) => slot.fail_in_reading(panic),
            }
        }
    }

    /// Puts a record that needs a handler into its lane.
    fn enter_lane(&mut self, position: usize, keys: Option<&'a str>) -> Option<Arrival> {
        let slot = &mut self.slots[position];
        if slot.settled {
            return None;
        }
        let (predecessor, error) = self.lanes.enter(position, &slot.facts, keys);
        if let Some(error) = error {
            slot.fail_in_reading(Failure::of(ErrorKind::Decode, &error));
        }
        let Some(predecessor) = predecessor else { return Some(Arrival::Ready) };
        let predecessor = &mut self.slots[predecessor];
        if !predecessor.settled {
            predecessor.next_in_lane = NonZeroUsize::new(position);
            return None;
        }
        match (predecessor.outcome, self.settings.after_dead_letter) {
            (Outcome::Succeeded, _) | (Outcome::DeadLettered, AfterDeadLetter::Continue) => Some(Arrival::Ready),
            (Outcome::DeadLettered, AfterDeadLetter::FollowLane) => Some(Arrival::Follower),
            _ => None,
        }
    }

    /// Whether Lambda resumes at a checkpoint, or each record stands for itself.
    pub(super) fn is_from_stream(&self) -> bool {
        self.from_stream
    }

    pub(super) fn next_in_lane(&self, position: usize) -> Option<usize> {
        self.slots[position].next_in_lane.map(NonZeroUsize::get)
    }

    /// Whether the record failed before any attempt.
    pub(super) fn failed_in_reading(&self, position: usize) -> bool {
        let slot = &self.slots[position];
        slot.attempts == 0 && slot.failure().is_some()
    }

    /// Whether an attempt at the record has failed.
    pub(super) fn has_failed(&self, position: usize) -> bool {
        let slot = &self.slots[position];
        slot.attempts > 0 && slot.failure().is_some()
    }

    /// Counts an attempt, and gives the record to make it with.
    pub(super) fn begin_attempt(&mut self, position: usize) -> Option<Record> {
        let slot = &mut self.slots[position];
        slot.attempts += 1;
        slot.facts.record()
    }

    /// Notes why the last attempt failed, and when it began if there was one; returns how many there were.
    pub(super) fn fail(&mut self, position: usize, failure: Failure, begun: Option<Instant>) -> u32 {
        let slot = &mut self.slots[position];
        let trouble = slot.trouble();
        trouble.failure = Some(failure);
        trouble.first_seen = trouble.first_seen.or(begun);
        slot.attempts
    }

    pub(super) fn refuse(&mut self, position: usize, error: DeadLetterError) {
        self.slots[position].trouble().dead_letter_error = Some(error);
    }

    pub(super) fn settle(&mut self, position: usize, outcome: Outcome) {
        let slot = &mut self.slots[position];
        if outcome == Outcome::Succeeded {
            slot.trouble = None;
        }
        slot.settle(outcome);
    }

    /// What a log line says of a record.
    pub(super) fn about(&self, position: usize) -> log::About<'_> {
        let slot = &self.slots[position];
        let dead_letter_error = slot.trouble.as_ref().and_then(|trouble| trouble.dead_letter_error.as_ref());
        log::About { position, facts: &slot.facts, failure: slot.failure(), dead_letter_error, attempts: slot.attempts }
    }

    /// The name of the table whose stream it is.
    pub(super) fn take_table(&mut self) -> Option<String> {
        self.table.take()
    }

    pub(super) fn ages(&self, clock: &Clock) -> Option<Ages> {
        // A dead letter that is put back is old, and the function not behind for it.
        let times = self.slots.iter().filter(|_| self.from_stream).map(|slot| slot.facts.created_at());
        Ages::of(times, clock.start_time())
    }

    /// About how many records there are.
    pub(super) fn estimate(&self) -> usize {
        self.records.estimate()
    }

    /// How long ago the change was made.
    pub(super) fn age(&self, position: usize, clock: &Clock) -> Option<Duration> {
        clock.now().duration_since(self.slots[position].facts.created_at()?).ok()
    }

    pub(super) fn dead_letter(&self, position: usize, invocation: &Arc<Invocation>, clock: &Clock) -> DeadLetter {
        let slot = &self.slots[position];
        let first_seen = slot.trouble.as_ref().and_then(|trouble| trouble.first_seen);
        let now = clock.now();
        let unknown = || Failure::new(ErrorKind::Malformed, "the record failed for an unknown reason");
        DeadLetter {
            facts: slot.facts.clone(),
            failure: slot.failure().cloned().unwrap_or_else(unknown),
            attempts: slot.attempts,
            first_seen: first_seen.map_or(now, |instant| clock.at(instant)),
            dead_lettered: now,
            invocation: Arc::clone(invocation),
        }
    }

    /// Ends the batch, which has been read whole: what has no outcome yet is reported, and what is done behind the checkpoint
    /// remembered.
    pub(super) fn into_report(mut self, deadline_stop: bool) -> BatchReport {
        let reported = self.slots.iter().position(|slot| slot.outcome == Outcome::Reported);
        for slot in self.slots.iter_mut().skip(reported.unwrap_or(usize::MAX)).filter(|slot| !slot.settled) {
            slot.outcome = Outcome::HeldBack;
        }
        (0..self.slots.len()).for_each(|position| self.check_json(position));
        let answer = Answer {
            refusal: self.refusal,
            report_batch_item_failures: self.settings.report_batch_item_failures,
            state: self.window.map(|window| window.state),
            deadline_stop,
        };
        let records = self.slots.into_iter().enumerate().map(|(position, slot)| slot.into_report(position)).collect();
        let report = BatchReport::new(records, answer);
        if let Some(replay) = self.settings.replay.as_ref().filter(|_| self.from_stream) {
            remember(replay, &report);
        }
        report
    }
}

/// The sequence numbers of the records so far.
#[derive(Default)]
struct Numbers {
    last: Option<SequenceNumber>,
    /// Where each stood first; none as long as they ascend, as a stream's do: what ascends does not repeat.
    first: Option<HashMap<SequenceNumber, usize>>,
}

impl Numbers {
    /// Takes the next; gives the position that had it before. `earlier` are those before it.
    fn enter<I: Iterator<Item = Option<SequenceNumber>>>(
        &mut self,
        number: SequenceNumber,
        position: usize,
        earlier: impl FnOnce() -> I,
    ) -> Option<usize> {
        let ascends = self.last.replace(number).is_none_or(|last| last.is_below(&number));
        if ascends && self.first.is_none() {
            return None;
        }
        let first = self.first.get_or_insert_with(|| {
            let numbers = earlier().enumerate();
            numbers.filter_map(|(position, number)| Some((number?, position))).collect()
        });
        let first = *first.entry(number).or_insert(position);
        (first < position).then_some(first)
    }
}

/// What is done although it will be delivered again is remembered; what was skipped for that reason, and will not come
/// again, forgotten.
fn remember(replay: &Replay, report: &BatchReport) {
    let redelivered_from = report.redelivered_from();
    let (mut done, mut gone_through) = (Vec::new(), Vec::new());
    for record in report.records() {
        let redelivered = record.outcome == Outcome::Skipped(SkipReason::Redelivered);
        let worth_it = redelivered || matches!(record.outcome, Outcome::Succeeded | Outcome::DeadLettered);
        if record.position >= redelivered_from && worth_it {
            done.extend(replay_key(&record.facts, record.nameable));
        } else if redelivered {
            gone_through.extend(replay_key(&record.facts, record.nameable));
        }
    }
    replay.settle(done, gone_through);
}
