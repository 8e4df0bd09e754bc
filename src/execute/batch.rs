//! The records of a batch and their states: reads them, skips those that need no handler (redelivered, filtered, or of a kind
//! without one), and makes the report of them in the end.
//!
//! A position is an index into the records, and never changes.

use std::collections::HashMap;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::clock::{Clock, Turn};
use super::duplicates::SequenceNumbers;
use super::gate::Gate;
use super::lanes::{Arrival, Entered, LaneMap};
use super::marks::{ItemMarks, MarkRead, MarkVerdict};
use super::recall::Recall;
use super::record_state::RecordState;
use super::redelivery::Completed;
use super::settings::{EntityNumber, HandlerRef, Settings, Target};
use crate::context::Guarded;
use crate::dead_letter::{DeadLetter, DeadLetterError};
use crate::decode;
use crate::entity::Unmatched;
use crate::error::Error;
use crate::event::{Records, Window};
use crate::failure::{ErrorKind, Failure};
use crate::guard::guard;
use crate::idempotency::{CompletedRecords, Completion, Stale};
use crate::invocation::{Invocation, Origin};
use crate::observe::log::{self, CurrentRecord};
use crate::observe::metrics::Ages;
use crate::outcome::{BatchReport, Outcome, ResponseContext, SkipReason};
use crate::policy::Lanes;
use crate::record::{MalformedRecord, Record, RecordRef};

/// A batch's records and what is known of each so far.
pub(super) struct Batch<'a> {
    settings: &'a Settings,
    unread: Records<'a>,
    /// The rest of the chunk that is being read.
    chunk: std::vec::IntoIter<RecordRef>,
    records: Vec<RecordState>,
    numbers: SequenceNumbers,
    lanes: LaneMap<'a>,
    /// The earlier changes of its item that a failed record stands for.
    superseded: HashMap<usize, Vec<usize>>,
    /// What was completed in earlier invocations, if anything was.
    completed: Option<&'a Completed>,
    /// What was completed after the batch's first record, as the store says.
    recalled: Option<CompletedRecords>,
    /// Whether the store has not said yet what was.
    is_recalling: bool,
    /// The marks of the items, if they are kept.
    pub(super) marks: Option<Box<ItemMarks<'a>>>,
    origin: Origin,
    table: Option<String>,
    /// The positions of records whose keys lack the attribute by which lanes go.
    without_lane_attribute: Vec<usize>,
    /// The positions of records at or below the marks of their items that were made after those.
    regressions: Vec<usize>,
    window: Option<Window>,
    /// Why the payload is not the event of a stream, once that is found; the batch as a whole fails then.
    refusal: Option<Error>,
}

/// What the filter and the conditions of its handler say of a record.
enum Verdict {
    Kept,
    Skipped(SkipReason),
    /// It does not drop the record, but the stop has come while it was asked.
    TooLate,
}

/// The payload is not the event of a stream. [`Batch::is_refused`] is true from then on.
pub(super) struct BatchRefused;

impl<'a> Batch<'a> {
    pub(super) fn new(settings: &'a Settings, unread: Records<'a>, invocation: &Invocation) -> Self {
        if let Some(count) = unread.len() {
            log::note_count(count);
        }
        let completed = settings.completed.as_ref();
        Self {
            records: Vec::with_capacity(unread.estimate()),
            numbers: SequenceNumbers::default(),
            lanes: LaneMap::new(&settings.lanes, unread.estimate()),
            superseded: HashMap::new(),
            completed: completed.filter(|completed| invocation.origin.is_stream() && !completed.is_empty()),
            recalled: None,
            is_recalling: false,
            marks: None,
            origin: invocation.origin,
            table: None,
            without_lane_attribute: Vec::new(),
            regressions: Vec::new(),
            window: None,
            refusal: None,
            settings,
            unread,
            chunk: Vec::new().into_iter(),
        }
    }

    /// The position of the next record to be read; `None` once all are.
    pub(super) fn next_unread(&self) -> Option<usize> {
        let is_ahead = || self.marks.as_ref().is_some_and(|marks| marks.reader.has_records());
        (self.chunk.len() > 0 || self.unread.has_next() || is_ahead()).then_some(self.records.len())
    }

    /// The position of the next record that can be read now. All but the first wait for what the store says of the records after it, and each
    /// waits for the mark of its item.
    pub(super) fn next_readable(&self) -> Option<usize> {
        let recalls =
            |position: usize| self.is_recalling && (position > 0 || !self.settings.report_batch_item_failures);
        let asks = || self.chunk.len() == 0 && self.marks.as_ref().is_some_and(|marks| !marks.reader.is_readable());
        self.next_unread().filter(|position| !recalls(*position) && !asks())
    }

    /// Keeps marks in this batch, if the settings say so.
    pub(super) fn keep_marks(&mut self, stale: Option<Stale>, guarded: &Guarded) {
        self.marks = ItemMarks::new(self.settings, self.origin.is_stream(), stale, guarded).map(Box::new);
    }

    /// Begins to read the marks of the next records, if there are any to be read.
    pub(super) fn read_marks(&mut self, now: Instant) {
        if let Some(marks) = &mut self.marks {
            marks.reader.begin(&mut self.unread, self.completed, now);
        }
        self.note_refusal();
        // What was there may have been the end of the payload and no record.
        if self.next_unread().is_none() {
            self.finish_reading();
        }
    }

    /// Takes what the store has said of the marks of the next records.
    pub(super) fn take_marks(&mut self, read: MarkRead) {
        if let Some(marks) = &mut self.marks {
            marks.take_read(read);
        }
    }

    /// Begins to read what is done after the batch's first record, if a store keeps that and there are records after it.
    pub(super) fn begin_recall(&mut self) -> Option<Recall<'a>> {
        let idempotency = self.settings.idempotency.as_ref().filter(|_| self.origin.is_stream())?;
        let (first, count) = match &mut self.marks {
            Some(marks) => marks.reader.first(&mut self.unread),
            None => {
                self.fill_chunk();
                (self.chunk.as_slice().first(), self.chunk.len())
            }
        };
        if count == 1 && !self.unread.has_next() {
            return None;
        }
        let Some(first) = first else {
            // An empty event counts as one step, which has just been taken.
            self.finish_reading();
            return None;
        };
        let recall = Recall::begin(idempotency, first);
        self.is_recalling = recall.is_some();
        recall
    }

    /// Notes what the store says; `None` if that is nothing, or could not be read.
    pub(super) fn end_recall(&mut self, recalled: Option<CompletedRecords>) {
        self.is_recalling = false;
        self.recalled = recalled;
    }

    pub(super) fn take_recalled(&mut self) -> Option<CompletedRecords> {
        self.recalled.take()
    }

    fn fill_chunk(&mut self) {
        if self.chunk.len() == 0 {
            let ahead = self.marks.as_mut().map(|marks| marks.reader.take()).unwrap_or_default();
            self.chunk = ahead.unwrap_or_else(|| self.unread.next()).into_iter();
            self.note_refusal();
        }
    }

    /// Notes that the payload is not the event of a stream as soon as that is known, so none of the records that wait starts.
    fn note_refusal(&mut self) {
        if self.refusal.is_none() {
            self.refusal = self.unread.refusal();
        }
    }

    /// Reads no more marks: the records that are left do not start.
    pub(super) fn give_up_marks(&mut self) {
        if let Some(marks) = &mut self.marks {
            marks.reader.give_up();
        }
    }

    /// Reads the next records, up to the end of a chunk or of the turn: skips those that need no handler, enters the rest into their
    /// lanes, and returns those that need not wait for an earlier record. What must not start, because of the gate or the deadline,
    /// enters no lane, and the filter is not asked about it.
    pub(super) fn read_next(&mut self, gate: Gate, clock: &mut Clock, turn: &mut Turn) -> Vec<Arrival> {
        let text = self.unread.text();
        self.fill_chunk();
        let mut arrivals = Vec::with_capacity(self.chunk.len());
        let asks_user = self.settings.filter.is_some() || self.lanes.asks_user();
        while let Some(facts) = self.chunk.next() {
            let position = self.records.len();
            let keys = facts.keys_json_in(text);
            let record = self.records.push_mut(RecordState::new(facts));
            if self.table.is_none() {
                self.table = record.facts.table_name().map(str::to_owned);
                log::note_table(self.table.as_deref());
            }
            if let Some(error) = record.facts.malformed() {
                record.fail_in_reading(Failure::of(ErrorKind::Malformed, &error));
            }
            self.name(position);
            if let Some(reason) = self.find_completed(position, clock) {
                self.records[position].settle(Outcome::Skipped(reason));
                // Where the rest of a lane follows a dead letter, one of an earlier invocation is among those that it follows.
                let may_be_followed = gate.admits(position) && !clock.is_stop_reached();
                if self.records[position].was_dead_lettered && may_be_followed {
                    self.enter_lane(position, keys, clock);
                }
            } else if let Some(reason) = self.find_no_handler(position) {
                self.records[position].settle(Outcome::Skipped(reason));
            } else if gate.admits(position) && !clock.is_stop_reached() {
                match self.ask_filter(position, clock) {
                    Verdict::Kept => {
                        if let Some(marks) = &mut self.marks {
                            marks.enter(position);
                        }
                        arrivals.extend(self.enter_lane(position, keys, clock));
                    }
                    Verdict::Skipped(reason) => self.records[position].settle(Outcome::Skipped(reason)),
                    Verdict::TooLate => {}
                }
            }
            let record = &self.records[position];
            if record.settled || record.failure().is_some() {
                self.check_unseen_images(position);
            }
            turn.step();
            // Nothing else takes time here.
            if asks_user && turn.is_late_at(clock.now()) || self.is_recalling {
                break;
            }
        }
        if self.next_unread().is_none() {
            self.finish_reading();
        }
        arrivals
    }

    fn finish_reading(&mut self) {
        if self.unread.len().is_none() {
            log::note_count(self.records.len());
        }
        match self.unread.finish() {
            Ok(window) => self.window = window,
            Err(error) => self.refusal = Some(error),
        }
    }

    /// Checks once that the images of a record that no handler has seen are JSON. A handler's are checked when they are
    /// decoded.
    fn check_unseen_images(&mut self, position: usize) {
        let record = &mut self.records[position];
        if record.attempts == 0 && !record.is_checked {
            record.is_checked = true;
            // An error is kept in `refusal`.
            let _ = self.verify_images(position);
        }
    }

    /// Checks that a record's images are JSON; if one is not, the batch fails.
    pub(super) fn verify_images(&mut self, position: usize) -> Result<(), BatchRefused> {
        let facts = &self.records[position].facts;
        if facts.has_json_images() {
            return Ok(());
        }
        // Once, because that goes over the whole payload and says the same for every image.
        self.refusal.get_or_insert_with(|| Error::not_json(facts.why_not_json()));
        Err(BatchRefused)
    }

    /// Whether the payload was found not to be the event of a stream.
    pub(super) fn is_refused(&self) -> bool {
        self.refusal.is_some()
    }

    /// Finds out whether the record's sequence number names it. One that repeats an earlier record's does not, and the record is
    /// malformed; but what comes back may have come twice, or from two streams.
    fn name(&mut self, position: usize) {
        let (earlier, rest) = self.records.split_at_mut(position);
        let [record, ..] = rest else { return };
        let Some(number) = record.facts.sequence_number() else { return };
        if !self.origin.is_stream() {
            record.nameable = true;
            return;
        }
        let earlier = || earlier.iter().map(|record| record.facts.sequence_number().copied());
        match self.numbers.insert(*number, position, earlier) {
            None => record.nameable = true,
            Some(first) => {
                let error = MalformedRecord::repeated_sequence_number(record.facts.clone(), first);
                record.fail_in_reading(Failure::of(ErrorKind::Malformed, &error));
            }
        }
    }

    /// Whether an earlier invocation has completed the record, and who says so.
    #[inline]
    fn find_completed(&mut self, position: usize, clock: &Clock) -> Option<SkipReason> {
        let record = &mut self.records[position];
        let find = |completed: &Completed| completed.find(&record.facts, record.nameable, clock.now());
        let remembered = self.completed.and_then(find).map(|completion| (completion, SkipReason::Redelivered));
        let recall = |recalled: &CompletedRecords| recalled.find(&record.facts).filter(|_| record.nameable);
        let recalled = || Some((self.recalled.as_ref().and_then(recall)?, SkipReason::AlreadyDone));
        if let Some((completion, reason)) = remembered.or_else(recalled) {
            record.was_dead_lettered = completion == Completion::DeadLettered;
            return Some(reason);
        }
        if self.marks.is_some() { self.ask_mark(position, clock) } else { None }
    }

    /// Why a record is skipped by the mark of its item, if it is. What else the mark says of it is noted.
    pub(super) fn ask_mark(&mut self, position: usize, clock: &Clock) -> Option<SkipReason> {
        let record = &mut self.records[position];
        // A record without a name of its own is malformed: the mark of its number may be that of another one.
        let marks = self.marks.as_ref().filter(|_| record.nameable)?;
        let verdict = marks.verdict(position, &record.facts, clock.time_of_day(clock.now()));
        record.is_stale = verdict == MarkVerdict::Stale;
        record.is_mark_unknown = verdict == MarkVerdict::Unknown;
        match verdict {
            MarkVerdict::Open | MarkVerdict::Stale | MarkVerdict::Unknown => {}
            MarkVerdict::Regressed => self.regressions.push(position),
            MarkVerdict::Done { was_dead_lettered } => {
                record.was_dead_lettered = was_dead_lettered;
                return Some(SkipReason::AlreadyDone);
            }
            MarkVerdict::SkipStale => return Some(SkipReason::Stale),
        }
        None
    }

    /// Whether the record is to be reported because the mark of its item is unknown.
    pub(super) fn is_mark_unknown(&self, position: usize) -> bool {
        self.records[position].is_mark_unknown
    }

    /// Whether the record is older than what is applied to its item.
    pub(super) fn is_stale(&self, position: usize) -> bool {
        self.records[position].is_stale
    }

    /// Finds the entity of a well-formed record, and why no handler takes it, if none does. If that is not known, the record fails.
    fn find_no_handler(&mut self, position: usize) -> Option<SkipReason> {
        let routes = &self.settings.routes;
        let record = &mut self.records[position];
        let kind = record.facts.kind().filter(|_| record.failure().is_none())?;
        if routes.has_entities() {
            // With `Unmatched::DeadLetter` a record of any kind may have to fail, so its entity is always looked up.
            if !routes.takes(kind) && routes.unmatched == Unmatched::Skip {
                return Some(SkipReason::NoHandler);
            }
            match routes.entity_of(&record.facts.record()?) {
                Ok(entity) => record.entity = entity,
                Err(error) => {
                    record.fail_in_reading(Failure::of(ErrorKind::Decode, &error));
                    return None;
                }
            }
        }
        if routes.target(record.entity, kind).is_some() {
            return None;
        }
        if record.entity != EntityNumber::NONE {
            return Some(SkipReason::NoHandler);
        }
        if routes.unmatched == Unmatched::Skip {
            return Some(if routes.has_entities() { SkipReason::Unmatched } else { SkipReason::NoHandler });
        }
        let why = "no entity takes the record, and its kind of change has no handler at the top level";
        record.fail_in_reading(Failure::new(ErrorKind::Unmatched, why));
        None
    }

    /// Where a well-formed record goes that has a handler.
    #[inline]
    pub(super) fn target(&self, position: usize) -> Option<&'a Target> {
        let RecordState { facts, entity, .. } = &self.records[position];
        self.settings.routes.target(*entity, facts.kind()?)
    }

    /// Asks the filter and the conditions of its handler about a well-formed record. A panic, or an error, fails the record.
    #[inline]
    fn ask_filter(&mut self, position: usize, clock: &mut Clock) -> Verdict {
        if self.settings.filter.is_none() && !self.settings.routes.has_conditions() {
            return Verdict::Kept;
        }
        self.ask_filter_and_conditions(position, clock)
    }

    fn ask_filter_and_conditions(&mut self, position: usize, clock: &mut Clock) -> Verdict {
        let verdict = self.ask_filter_alone(position, clock);
        let Verdict::Kept = verdict else { return verdict };
        let conditions = self.target(position).map_or(&[][..], |target| &target.conditions);
        if conditions.is_empty() {
            return Verdict::Kept;
        }
        let record = &mut self.records[position];
        let Some(asked) = record.facts.record().filter(|_| record.failure().is_none()) else { return Verdict::Kept };
        for condition in conditions {
            match condition.holds(&asked) {
                Ok(true) => {}
                Ok(false) => return Verdict::Skipped(SkipReason::Unchanged),
                Err(error) => {
                    record.fail_in_reading(Failure::of(ErrorKind::Decode, &error));
                    return Verdict::Kept;
                }
            }
        }
        Verdict::Kept
    }

    fn ask_filter_alone(&mut self, position: usize, clock: &mut Clock) -> Verdict {
        let Some(filter) = &self.settings.filter else { return Verdict::Kept };
        let record = &mut self.records[position];
        let asked = record.facts.record().filter(|_| record.failure().is_none());
        let Some(asked) = asked else { return Verdict::Kept };
        let answer = CurrentRecord::new(&record.facts).in_scope(|| guard("filter", || filter(&asked)));
        clock.read();
        match answer {
            Ok(Ok(false)) => return Verdict::Skipped(SkipReason::Filtered),
            Ok(Ok(true)) => {}
            Ok(Err(error)) => record.fail_in_reading(Failure::of(ErrorKind::Decode, &error)),
            Err(panic) => record.fail_in_reading(panic),
        }
        if clock.is_stop_reached() { Verdict::TooLate } else { Verdict::Kept }
    }

    /// Enters a record that needs a handler into its lane; returns it unless it must wait there.
    fn enter_lane(&mut self, position: usize, keys: Option<&'a str>, clock: &mut Clock) -> Option<Arrival> {
        let record = &mut self.records[position];
        let Entered { predecessor, keys, lacks_attribute } = self.lanes.enter(position, &record.facts, keys);
        if self.lanes.asks_user() {
            clock.read();
        }
        if let Err(failure) = keys {
            record.fail_in_reading(*failure);
            // Nothing keeps later changes of its item from overtaking it.
            if let Some(marks) = &mut self.marks {
                marks.block(position);
            }
        }
        if lacks_attribute {
            self.without_lane_attribute.push(position);
            let warned = &self.settings.warned.lane_attribute;
            warned.call(|| log::lacks_lane_attribute(&self.settings.lanes, &record.facts));
        }
        let Some(predecessor) = predecessor else { return Some(Arrival::Ready(position)) };
        self.records[predecessor].next_in_lane = NonZeroUsize::new(position);
        let predecessor = &self.records[predecessor];
        if !predecessor.settled || predecessor.waits {
            self.records[position].waits = true;
            return None;
        }
        Arrival::after(predecessor.outcome_in_lane(), self.settings.after_dead_letter, position)
    }

    /// Gives a record its outcome; returns the next record of its lane, unless that is to wait for another delivery.
    #[inline]
    pub(super) fn settle(&mut self, position: usize, outcome: Outcome) -> Option<Arrival> {
        let record = &mut self.records[position];
        record.settle(outcome);
        if let Some(marks) = &mut self.marks {
            marks.settle(position, &record.facts, outcome);
        }
        record.next_in_lane?;
        self.next_arrival(position)
    }

    /// The record after a settled one in its lane, if it is its turn.
    fn next_arrival(&mut self, position: usize) -> Option<Arrival> {
        let mut record = &self.records[position];
        loop {
            let next = record.next_in_lane?.get();
            let arrival = Arrival::after(record.outcome_in_lane(), self.settings.after_dead_letter, next)?;
            self.records[next].waits = false;
            record = &self.records[next];
            // What was dead-lettered in an earlier invocation is settled already.
            if !record.settled {
                return Some(arrival);
            }
        }
    }

    /// Where the records come from.
    pub(super) fn origin(&self) -> Origin {
        self.origin
    }

    /// Whether Lambda resumes at a checkpoint, or each record is answered by itself.
    pub(super) fn is_from_stream(&self) -> bool {
        self.origin.is_stream()
    }

    /// Whether the record failed before any attempt.
    pub(super) fn has_failed_in_reading(&self, position: usize) -> bool {
        self.records[position].failure().is_some() && !self.has_failed(position)
    }

    /// Whether an attempt at the record has failed, be it one that was taken back.
    pub(super) fn has_failed(&self, position: usize) -> bool {
        self.records[position].failed().is_some_and(|failed| failed.first_seen.is_some())
    }

    /// Counts an attempt at a well-formed record, and returns the record to make it with.
    pub(super) fn begin_attempt(&mut self, position: usize) -> Record {
        let record = &mut self.records[position];
        record.attempts += 1;
        record.facts.record().expect("a malformed record has failed in reading, and gets no attempt")
    }

    /// Takes back the attempt that was counted last: the handler was not asked about the record, or its answer does not count.
    pub(super) fn take_back_attempt(&mut self, position: usize) {
        let attempts = &mut self.records[position].attempts;
        *attempts = attempts.saturating_sub(1);
    }

    /// The record, for another call of the attempt that was counted last.
    pub(super) fn record(&self, position: usize) -> Record {
        self.records[position].facts.record().expect("a malformed record has failed in reading, and gets no attempt")
    }

    /// The bulk handler that a well-formed record goes to.
    pub(super) fn bulk_of(&self, position: usize) -> Option<usize> {
        if self.has_failed_in_reading(position) || self.is_mark_unknown(position) {
            return None;
        }
        match self.target(position)?.handler {
            HandlerRef::Bulk(number) => Some(number),
            HandlerRef::Each(_) => None,
        }
    }

    /// The bytes of the record's JSON.
    pub(super) fn bytes(&self, position: usize) -> usize {
        self.records[position].facts.raw_json().len()
    }

    pub(super) fn next_in_lane(&self, position: usize) -> Option<usize> {
        self.records[position].next_in_lane.map(NonZeroUsize::get)
    }

    /// The record after this one in its lane, if it goes to the same bulk handler, only waits for this one, and is not known to fail.
    pub(super) fn next_in_bulk(&self, position: usize) -> Option<usize> {
        // Elsewhere, whether this one is applied decides whether the next one is stale, or done.
        if self.marks.is_some() && !self.origin.is_stream() {
            return None;
        }
        let next = self.next_in_lane(position)?;
        let record = &self.records[next];
        let is_moving = || self.marks.as_ref().is_some_and(|marks| marks.is_moving(next));
        let is_free = !record.settled && !record.in_bulk && !record.is_undecodable && !is_moving();
        (is_free && self.bulk_of(next) == self.bulk_of(position)).then_some(next)
    }

    /// Notes that the record does not decode, so it is not decoded again before its turn has come.
    pub(super) fn note_undecodable(&mut self, position: usize) {
        self.records[position].is_undecodable = true;
    }

    /// Whether two records of a lane are changes of the same item.
    pub(super) fn are_of_one_item(&self, one: usize, other: usize) -> bool {
        let (one, other) = (&self.records[one].facts, &self.records[other].facts);
        matches!(self.settings.lanes, Lanes::PerItem)
            || one.table_arn() == other.table_arn()
                && one.stream_arn() == other.stream_arn()
                && one.keys_json().zip(other.keys_json()).is_some_and(|(one, other)| decode::are_same_keys(one, other))
    }

    /// Whether the record waits for the one before it in its lane.
    pub(super) fn waits(&self, position: usize) -> bool {
        self.records[position].waits
    }

    pub(super) fn is_in_bulk(&self, position: usize) -> bool {
        self.records[position].in_bulk
    }

    /// Notes whether the record is in a bulk that runs, or in a part of a halved one.
    pub(super) fn set_in_bulk(&mut self, position: usize, in_bulk: bool) {
        self.records[position].in_bulk = in_bulk;
    }

    /// Whether the record last failed together with its whole bulk, which says nothing of the record itself.
    pub(super) fn has_failed_with_bulk(&self, position: usize) -> bool {
        self.records[position].failed().is_some_and(|failed| failed.with_bulk)
    }

    /// Notes that the failure that was noted last is the whole bulk's.
    pub(super) fn note_failed_with_bulk(&mut self, position: usize) {
        self.records[position].failed_mut().with_bulk = true;
    }

    /// Notes which earlier changes of its item a failed record stands for: they get their outcome with it.
    pub(super) fn note_superseded(&mut self, position: usize, superseded: Vec<usize>) {
        if !superseded.is_empty() {
            self.superseded.insert(position, superseded);
        }
    }

    /// The first of the changes that a record stands for, which may be the record itself.
    pub(super) fn first_superseded(&self, position: usize) -> usize {
        self.superseded.get(&position).and_then(|superseded| superseded.first()).copied().unwrap_or(position)
    }

    /// Gives the changes that a record stands for their outcome, which follows from the record's own.
    pub(super) fn settle_superseded(&mut self, position: usize, outcome: Outcome) {
        if self.superseded.is_empty() {
            return;
        }
        let Some(superseded) = self.superseded.remove(&position) else { return };
        // It waited for nothing but those.
        self.records[position].waits = false;
        for earlier in superseded {
            if !outcome.is_done()
                && let Some(failure) = self.records[position].failure().cloned()
            {
                self.records[earlier].fail_in_reading(failure);
            }
            let outcome = if outcome.is_done() { Outcome::Skipped(SkipReason::Superseded) } else { outcome };
            let record = &mut self.records[earlier];
            record.settle(outcome);
            if let Some(marks) = &mut self.marks {
                marks.settle(earlier, &record.facts, outcome);
            }
        }
    }

    /// How many attempts were made at the record.
    pub(super) fn attempts(&self, position: usize) -> u32 {
        self.records[position].attempts
    }

    /// Notes why the last attempt failed, and when it began.
    pub(super) fn note_failure(&mut self, position: usize, failure: Failure, begun: Instant) {
        self.records[position].fail_attempt(failure);
        let failed = self.records[position].failed_mut();
        failed.first_seen.get_or_insert(begun);
        failed.with_bulk = false;
    }

    /// Notes why a record that had no attempt of its own becomes a dead letter, unless it has a reason of its own.
    pub(super) fn fail_without_attempt(&mut self, position: usize, failure: Failure) {
        let record = &mut self.records[position];
        if record.failed().is_some_and(|failed| failed.with_bulk) {
            record.fail_attempt(failure);
            record.failed_mut().with_bulk = false;
        } else {
            record.fail_in_reading(failure);
        }
    }

    /// Notes why the dead-letter queue did not accept the record.
    pub(super) fn note_dead_letter_error(&mut self, position: usize, error: DeadLetterError) {
        self.records[position].failed_mut().dead_letter_error = Some(error);
    }

    /// What a log line says of a record.
    pub(super) fn about(&self, position: usize) -> log::LoggedRecord<'_> {
        let record = &self.records[position];
        let dead_letter_error = record.failed().and_then(|failed| failed.dead_letter_error.as_ref());
        log::LoggedRecord {
            position,
            record: &record.facts,
            failure: record.failure(),
            dead_letter_error,
            attempts: record.attempts,
            entity: self.settings.routes.name_of(record.entity).map(|name| &**name),
        }
    }

    /// The positions of records at or below the marks of their items that were made after those.
    pub(super) fn take_regressions(&mut self) -> Vec<usize> {
        std::mem::take(&mut self.regressions)
    }

    /// The name of the table whose stream it is.
    pub(super) fn take_table(&mut self) -> Option<String> {
        self.table.take()
    }

    /// The positions of records whose keys lack the attribute by which lanes go.
    pub(super) fn take_without_lane_attribute(&mut self) -> Vec<usize> {
        std::mem::take(&mut self.without_lane_attribute)
    }

    pub(super) fn ages(&self, clock: &Clock) -> Option<Ages> {
        // What comes back is old, which does not mean that the function lags.
        let times = self.records.iter().filter(|_| self.origin.is_stream()).map(|record| record.facts.created_at());
        Ages::of(times, clock.batch_began_at())
    }

    /// About how many records there are.
    pub(super) fn estimate(&self) -> usize {
        self.unread.estimate()
    }

    /// How long ago the change was made; `None` where the record does not say, or says a time in the future.
    pub(super) fn age(&self, position: usize, clock: &Clock) -> Option<Duration> {
        clock.time_of_day(clock.now()).duration_since(self.records[position].facts.created_at()?).ok()
    }

    pub(super) fn dead_letter(&self, position: usize, invocation: &Arc<Invocation>, clock: &Clock) -> DeadLetter {
        let record = &self.records[position];
        let now = clock.time_of_day(clock.now());
        let first_seen = record.failed().and_then(|failed| failed.first_seen);
        let failure = record.failure().expect("a record becomes a dead letter because it failed");
        DeadLetter {
            record: record.facts.clone(),
            failure: failure.clone(),
            earlier: record.failed().map(|failed| failed.earlier.clone()).unwrap_or_default(),
            attempts: record.attempts,
            superseded: self.superseded.get(&position).map_or(0, Vec::len),
            first_seen: first_seen.map_or(now, |instant| clock.time_of_day(instant)),
            dead_lettered: now,
            invocation: Arc::clone(invocation),
        }
    }

    /// Ends the batch, all of which has been read: records without an outcome are held back after a reported one, and
    /// unfinished otherwise. Records that come from elsewhere than the stream are answered one by one, so a reported one holds back only
    /// the rest of its lane. Remembers what completed after the checkpoint.
    pub(super) fn into_report(mut self, stopped_at_deadline: bool, now: Instant) -> BatchReport {
        let reported = self.records.iter().position(|record| record.outcome == Outcome::Reported);
        for position in reported.unwrap_or(self.records.len())..self.records.len() {
            let record = &mut self.records[position];
            if self.origin.is_stream() {
                record.hold_back();
            } else if matches!(record.outcome, Outcome::Reported | Outcome::HeldBack)
                && let Some(next) = record.next_in_lane
            {
                self.records[next.get()].hold_back();
            }
        }
        (0..self.records.len()).for_each(|position| self.check_unseen_images(position));
        let context = ResponseContext {
            refusal: self.refusal,
            report_batch_item_failures: self.settings.report_batch_item_failures,
            state: self.window.map(|window| window.state),
            deadline_stop: stopped_at_deadline,
            from_stream: self.origin.is_stream(),
        };
        let records = self.records.into_iter().enumerate().map(|(position, record)| {
            let entity = self.settings.routes.name_of(record.entity);
            record.into_report(position, entity)
        });
        let report = BatchReport::new(records.collect(), context);
        if let Some(completed) = self.settings.completed.as_ref().filter(|_| self.origin.is_stream()) {
            completed.learn(&report, now);
        }
        report
    }
}
