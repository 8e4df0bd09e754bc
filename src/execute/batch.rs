use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::attempt::guard;
use super::lanes;
use crate::clock::Clock;
use crate::dead_letter::{DeadLetter, DeadLetterError};
use crate::event::StreamEvent;
use crate::invocation::Invocation;
use crate::log;
use crate::metrics::{Ages, Measurements};
use crate::outcome::{Answer, BatchReport, ErrorKind, Failure, Outcome, RecordReport, SkipReason};
use crate::payload::Window;
use crate::processor::Settings;
use crate::record::{Facts, MalformedRecord, Record, SequenceNumber};
use crate::replay::{Replay, ReplayKey};

/// A batch's records and what is known of each so far.
pub(super) struct Batch {
    slots: Vec<Slot>,
    lane_heads: Vec<usize>,
    window: Option<Window>,
    from_stream: bool,
    /// Whether an image was found that is no JSON: then the payload is none, and the batch as a whole fails.
    is_no_json: bool,
}

struct Slot {
    report: RecordReport,
    /// Whether the report's outcome is one, and not only what it comes to if nothing else happens.
    settled: bool,
    /// Whether its images, which no handler has seen, were checked to be JSON.
    is_checked: bool,
    first_seen: Option<Instant>,
    next_in_lane: Option<usize>,
}

impl Slot {
    fn new(position: usize, facts: Facts) -> Self {
        let mut report = RecordReport::open(position, facts);
        report.failure = report.facts.malformed().map(|error| Failure::of(ErrorKind::Malformed, &error));
        Self { report, settled: false, is_checked: false, first_seen: None, next_in_lane: None }
    }

    fn facts(&self) -> &Facts {
        &self.report.facts
    }

    fn settle(&mut self, outcome: Outcome) {
        self.settled = true;
        self.report.outcome = outcome;
    }
}

/// What the memory of earlier invocations knows a record by.
fn replay_key(record: &RecordReport) -> Option<ReplayKey> {
    let number = record.sequence_number().filter(|_| record.nameable)?;
    Some(ReplayKey::new(record.facts.stream_arn(), number.as_str(), record.event_id()))
}

impl Batch {
    /// Reads the envelopes, skips what needs no handler, and puts the rest into lanes.
    pub(super) fn read(settings: &Settings, event: StreamEvent, invocation: &Invocation) -> Self {
        let slots = event.facts().enumerate().map(|(position, facts)| Slot::new(position, facts)).collect();
        let window = event.into_window();
        let from_stream = invocation.from_stream;
        let mut batch = Self { slots, lane_heads: Vec::new(), window, from_stream, is_no_json: false };
        batch.name();
        batch.skip(settings);
        batch.assign_lanes(settings);
        batch.check_json(|slot| slot.settled || slot.report.failure.is_some());
        batch
    }

    /// Checks that the images which no handler has seen are JSON; a handler's are checked when they are decoded.
    fn check_json(&mut self, is_wanted: impl Fn(&Slot) -> bool) {
        for slot in &mut self.slots {
            if slot.report.attempts == 0 && !slot.is_checked && is_wanted(slot) {
                slot.is_checked = true;
                self.is_no_json |= !slot.report.facts.has_json_images();
            }
        }
    }

    /// Whether a record's images are JSON; if one is not, the batch fails.
    pub(super) fn has_json_images(&mut self, position: usize) -> bool {
        self.is_no_json |= !self.slots[position].facts().has_json_images();
        !self.is_no_json
    }

    pub(super) fn is_no_json(&self) -> bool {
        self.is_no_json
    }

    /// Finds out which sequence numbers name one record; a repeated one makes the later record malformed.
    fn name(&mut self) {
        let numbers = self.slots.iter().filter_map(|slot| slot.facts().sequence_number());
        // A stream's numbers ascend, and what ascends does not repeat.
        let ascending = numbers.is_sorted_by(|one, other| one.is_below(other));
        let mut first: HashMap<SequenceNumber, usize> = HashMap::new();
        for (position, slot) in self.slots.iter_mut().enumerate() {
            let Some(number) = slot.facts().sequence_number().copied() else { continue };
            if ascending {
                slot.report.nameable = true;
                continue;
            }
            let earlier = *first.entry(number).or_insert(position);
            slot.report.nameable = earlier == position;
            if !slot.report.nameable {
                let error = MalformedRecord::repeated_sequence_number(earlier);
                slot.report.failure.get_or_insert_with(|| Failure::of(ErrorKind::Malformed, &error));
            }
        }
    }

    fn skip(&mut self, settings: &Settings) {
        let replay = settings.replay.as_ref().filter(|replay| self.from_stream && !replay.is_empty());
        for slot in &mut self.slots {
            if replay.is_some_and(|replay| replay_key(&slot.report).is_some_and(|key| replay.contains(&key))) {
                slot.settle(Outcome::Skipped(SkipReason::Redelivered));
                continue;
            }
            let (None, Some(kind)) = (&slot.report.failure, slot.report.kind) else { continue };
            if settings.routes.of(kind).is_none() {
                slot.settle(Outcome::Skipped(SkipReason::NoHandler));
            } else if let (Some(filter), Some(record)) = (&settings.filter, slot.facts().record()) {
                match guard("filter", || filter(&record)) {
                    Ok(true) => {}
                    Ok(false) => slot.settle(Outcome::Skipped(SkipReason::Filtered)),
                    Err(panic) => slot.report.failure = Some(panic),
                }
            }
        }
    }

    fn assign_lanes(&mut self, settings: &Settings) {
        let waiting = self.slots.iter().enumerate().filter(|(_, slot)| !slot.settled);
        let assignment = lanes::assign(&settings.lanes, waiting.map(|(position, slot)| (position, slot.facts())));
        for (position, error) in assignment.faults {
            self.slots[position].report.failure.get_or_insert_with(|| Failure::of(ErrorKind::Decode, &error));
        }
        for (position, predecessor) in assignment.records {
            match predecessor {
                Some(predecessor) => self.slots[predecessor].next_in_lane = Some(position),
                None => self.lane_heads.push(position),
            }
        }
    }

    /// Whether Lambda resumes at a checkpoint, or each record stands for itself.
    pub(super) fn is_from_stream(&self) -> bool {
        self.from_stream
    }

    /// The first record of each lane, ascending.
    pub(super) fn take_lane_heads(&mut self) -> Vec<usize> {
        std::mem::take(&mut self.lane_heads)
    }

    pub(super) fn next_in_lane(&self, position: usize) -> Option<usize> {
        self.slots[position].next_in_lane
    }

    /// Whether the record failed before any attempt.
    pub(super) fn failed_in_reading(&self, position: usize) -> bool {
        let report = &self.slots[position].report;
        report.attempts == 0 && report.failure.is_some()
    }

    /// Counts an attempt, and gives the record to make it with.
    pub(super) fn begin_attempt(&mut self, position: usize, now: Instant) -> Option<Record> {
        let slot = &mut self.slots[position];
        slot.report.attempts += 1;
        slot.first_seen.get_or_insert(now);
        slot.facts().record()
    }

    /// Notes why the last attempt failed; returns how many there were.
    pub(super) fn fail(&mut self, position: usize, failure: Failure) -> u32 {
        let report = &mut self.slots[position].report;
        report.failure = Some(failure);
        report.attempts
    }

    pub(super) fn refuse(&mut self, position: usize, error: DeadLetterError) {
        self.slots[position].report.dead_letter_error = Some(error);
    }

    pub(super) fn settle(&mut self, position: usize, outcome: Outcome) {
        let slot = &mut self.slots[position];
        if outcome == Outcome::Succeeded {
            slot.report.failure = None;
        }
        slot.settle(outcome);
    }

    /// What a log line says of a record.
    pub(super) fn about(&self, position: usize) -> log::About<'_> {
        let report = &self.slots[position].report;
        log::About {
            position,
            facts: &report.facts,
            failure: report.failure.as_ref(),
            dead_letter_error: report.dead_letter_error.as_ref(),
            attempts: report.attempts,
        }
    }

    /// What is known before the first record begins.
    pub(super) fn measure(&self, clock: &Clock) -> Measurements {
        Measurements {
            table: self.slots.iter().find_map(|slot| slot.facts().table_name()).map(str::to_owned),
            // A dead letter that is put back is old, and the function not behind for it.
            ages: if self.from_stream { self.ages(clock) } else { None },
            attempts: Vec::with_capacity(self.slots.len()),
            ..Measurements::default()
        }
    }

    fn ages(&self, clock: &Clock) -> Option<Ages> {
        Ages::of(self.slots.iter().map(|slot| slot.facts().created_at()), clock.now())
    }

    /// How long ago the change was made.
    pub(super) fn age(&self, position: usize, clock: &Clock) -> Option<Duration> {
        clock.now().duration_since(self.slots[position].facts().created_at()?).ok()
    }

    pub(super) fn dead_letter(&self, position: usize, invocation: &Arc<Invocation>, clock: &Clock) -> DeadLetter {
        let slot = &self.slots[position];
        let now = clock.now();
        let unknown = || Failure::new(ErrorKind::Malformed, "the record failed for an unknown reason");
        DeadLetter {
            facts: slot.facts().clone(),
            failure: slot.report.failure.clone().unwrap_or_else(unknown),
            attempts: slot.report.attempts,
            first_seen: slot.first_seen.map_or(now, |instant| clock.at(instant)),
            dead_lettered: now,
            invocation: Arc::clone(invocation),
        }
    }

    /// Ends the batch: what has no outcome yet is reported, and what is done behind the checkpoint remembered.
    pub(super) fn into_report(mut self, settings: &Settings, deadline_stop: bool) -> BatchReport {
        let reported = self.slots.iter().position(|slot| slot.report.outcome == Outcome::Reported);
        for slot in self.slots.iter_mut().skip(reported.unwrap_or(usize::MAX)).filter(|slot| !slot.settled) {
            slot.report.outcome = Outcome::HeldBack;
        }
        self.check_json(|_| true);
        let answer = Answer {
            not_json: self.slots.first().filter(|_| self.is_no_json).map(|slot| slot.facts().why_not_json()),
            report_batch_item_failures: settings.report_batch_item_failures,
            state: self.window.take().map(|window| window.state),
            deadline_stop,
        };
        let report = BatchReport::new(self.slots.into_iter().map(|slot| slot.report).collect(), answer);
        if let Some(replay) = settings.replay.as_ref().filter(|_| self.from_stream) {
            remember(replay, &report);
        }
        report
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
            done.extend(replay_key(record));
        } else if redelivered {
            gone_through.extend(replay_key(record));
        }
    }
    replay.settle(done, gone_through);
}
