//! The judge: what the promises say of a schedule, by the ledger alone.

use std::collections::HashSet;
use std::time::Duration;

use lambda_streams::{Outcome, SkipReason};
use serde_json::Value;
use tokio::time::Instant;

use crate::environment::Reported;
use crate::ledger::{InvocationLog, Ledger};
use crate::plan::{LanesPlan, Plan, PolicyPlan, Shape};
use crate::routing::{Destination, Kind, Route};
use crate::stream::{Known, Stream};
use crate::tally::Tally;

/// The processor's memory holds for an hour.
const MEMORY: Duration = Duration::from_secs(3_540);

pub(crate) struct Judge<'a> {
    pub(crate) plan: &'a Plan,
    pub(crate) stream: &'a Stream,
    /// Whether the subject promises to remember.
    pub(crate) remembers: bool,
    /// When the schedule began.
    pub(crate) begun: Instant,
}

impl Judge<'_> {
    fn known(&self, id: usize) -> &Known {
        &self.stream.known[id]
    }

    /// Routing: is this the handler that the record goes to?
    pub(crate) fn arrive(&self, ledger: &mut Ledger, id: usize, at: Destination) {
        let Known { route, decodes, .. } = self.known(id);
        if *route != Route::To(at) || !decodes {
            let made = if *decodes { "" } else { ", which does not decode from it" };
            ledger
                .violation(format!("routing: record {id}, of which comes {route:?}, reaches the handler {at:?}{made}"));
        }
    }

    /// P2, P3 and the memory: may this handler start now?
    pub(crate) fn start(&self, ledger: &mut Ledger, environment: usize, invocation: usize, id: usize) {
        let running = ledger.environments[environment].running;
        if running >= self.plan.processor.concurrency {
            ledger.violation(format!("P3: {} handlers run at once", running + 1));
        }
        let mut wrong = self.may_start(ledger, environment, invocation, id, &HashSet::new());
        ledger.violations.append(&mut wrong);
    }

    /// P2 and the memory: may this record start now, with these before it?
    pub(crate) fn may_start(
        &self,
        ledger: &Ledger,
        environment: usize,
        invocation: usize,
        id: usize,
        with: &HashSet<usize>,
    ) -> Vec<String> {
        let mut wrong = Vec::new();
        let (log, room) = (&ledger.invocations[invocation], &ledger.environments[environment]);
        if ledger.records[id].running > 0 {
            wrong.push(format!("P2: record {id} runs twice at once"));
        }
        let is_open = |earlier: &usize| !with.contains(earlier) && !self.is_over(ledger, *earlier);
        if let Some(earlier) = self.predecessors(log, id).into_iter().find(is_open) {
            wrong.push(format!("P2: record {id} starts before its predecessor {earlier} has ever been finished"));
        }
        let in_batch = |earlier: &usize| !with.contains(earlier) && !self.is_over_in(ledger, log, *earlier);
        if let Some(earlier) = self.predecessors_in(log, id).into_iter().find(in_batch) {
            wrong.push(format!("P2: record {id} starts before its predecessor {earlier} in the batch is finished"));
        }
        if let Some(reported) = log.reported
            && reported < log.position(id)
        {
            wrong.push(format!("checkpoint: record {id} starts after position {reported}, which is reported"));
        }
        if Instant::now() >= log.stop {
            wrong.push(format!("deadline: record {id} starts after the stop"));
        }
        let remembered = room.remembered.get(&id).is_some_and(|since| since.elapsed() < MEMORY);
        let nameable = self.nameable(&log.batch).contains(&id);
        if self.remembers && self.plan.processor.remember && remembered && nameable {
            wrong.push(format!("redelivery: record {id} was finished after a checkpoint, and is repeated"));
        }
        wrong
    }

    /// How long the schedule has run.
    pub(crate) fn elapsed(&self) -> Duration {
        self.begun.elapsed()
    }

    /// May the filter be asked now?
    pub(crate) fn ask_filter(&self, ledger: &mut Ledger, invocation: usize, id: usize) {
        if Instant::now() >= ledger.invocations[invocation].stop {
            ledger.violation(format!("deadline: the filter is asked about record {id} after the stop"));
        }
    }

    /// Whether a record that failed so, for that many times in its invocation, can only be reported.
    pub(crate) fn is_reported(&self, retryable: bool, attempts: u32, now: Duration) -> bool {
        let processor = &self.plan.processor;
        if !processor.queue || processor.policy == PolicyPlan::ReportAll {
            return !retryable || attempts >= processor.max_attempts;
        }
        let young = processor.give_up_after_seconds > now.as_secs() + 60;
        retryable && attempts >= processor.max_attempts && processor.policy == PolicyPlan::Default && young
    }

    /// Earlier records of the same item, in the whole stream.
    fn predecessors(&self, log: &InvocationLog, id: usize) -> Vec<usize> {
        let Some(item) = self.known(id).item.filter(|_| self.plan.processor.lanes != LanesPlan::Unordered) else {
            return Vec::new();
        };
        debug_assert!(log.batch.contains(&id));
        (0..id).filter(|earlier| self.known(*earlier).item == Some(item)).collect()
    }

    /// Earlier records of the same lane, in the batch.
    pub(crate) fn predecessors_in(&self, log: &InvocationLog, id: usize) -> Vec<usize> {
        let earlier = log.batch.iter().take_while(|earlier| **earlier != id);
        earlier.filter(|earlier| self.share_lane(**earlier, id)).copied().collect()
    }

    /// Whether two records of a batch are in one lane.
    pub(crate) fn share_lane(&self, one: usize, other: usize) -> bool {
        let (one, other) = (self.known(one).item, self.known(other).item);
        let partition = |item: Option<(u8, u8)>| item.map(|(table, item)| (table, item % 2));
        match self.plan.processor.lanes {
            LanesPlan::PerItem => one.is_some() && one == other,
            LanesPlan::PerPartition => one.is_some() && partition(one) == partition(other),
            LanesPlan::WholeBatch => true,
            LanesPlan::Unordered => false,
        }
    }

    /// Whether the processor rightly has nothing to do with a record of a batch, however it finds that out.
    pub(crate) fn is_skipped(&self, log: &InvocationLog, id: usize) -> bool {
        self.known(id).is_skipped() && !self.is_repeated(log, id)
    }

    /// Whether a record has the sequence number of an earlier one of the batch, which makes it malformed.
    pub(crate) fn is_repeated(&self, log: &InvocationLog, id: usize) -> bool {
        self.known(id).plan.shape == Shape::SequenceRepeated && !self.nameable(&log.batch).contains(&id)
    }

    /// Whether a record was ever finished, or is nothing that will be.
    fn is_over(&self, ledger: &Ledger, id: usize) -> bool {
        let history = &ledger.records[id];
        let known = self.known(id);
        let over = history.succeeded || history.superseded || history.accepted || history.discarded;
        history.running == 0 && (over || known.is_skipped() || known.is_dropped(self.plan))
    }

    /// Whether a record is finished as far as this invocation goes.
    fn is_over_in(&self, ledger: &Ledger, log: &InvocationLog, id: usize) -> bool {
        let earlier = ledger.environments[log.environment].done.contains(&id) && !log.started.contains(&id);
        ledger.records[id].running == 0 && (log.finished(id) || self.is_skipped(log, id) || earlier)
    }

    /// Which records of a batch a sequence number names: those that have a usable one, and had it first.
    pub(crate) fn nameable(&self, batch: &[usize]) -> HashSet<usize> {
        let mut seen = HashSet::new();
        let named = |id: &&usize| self.known(**id).sequence_number.as_ref().is_some_and(|number| seen.insert(number));
        batch.iter().filter(named).copied().collect()
    }

    /// P4 and P5: does the answer say what the ledger says? Gives back from where on Lambda delivers again.
    pub(crate) fn answer(&self, ledger: &mut Ledger, invocation: usize, answer: Result<&str, &str>) -> usize {
        let log = &ledger.invocations[invocation];
        let answered = match answer {
            Ok(json) => match self.read(log, json) {
                Ok(position) => position,
                Err(wrong) => {
                    ledger.violation(wrong);
                    return 0;
                }
            },
            Err(_) => None,
        };
        let from = if answer.is_err() { 0 } else { answered.unwrap_or(log.batch.len()) };
        let lost = log.batch[..from].iter().find(|id| !self.is_over(ledger, **id)).copied();
        let (expected, also) = self.expected(ledger, log);
        let wrong = match (answer, lost) {
            (_, Some(lost)) => Some(format!("P1: the answer passes over record {lost}, which nobody has finished")),
            (Ok(json), None) if expected != Ok(answered) && !also.contains(&Ok(answered)) => Some(format!(
                "P5: the answer is {json}, position {answered:?}, where {expected:?} is the earliest unfinished"
            )),
            (Err(error), None) if expected.is_ok() && !also.contains(&Err(())) => {
                Some(format!("P5: the invocation fails ({error}), where {expected:?} should be answered"))
            }
            _ => None,
        };
        ledger.violations.extend(wrong);
        from
    }

    /// The position that an answer names.
    fn read(&self, log: &InvocationLog, json: &str) -> Result<Option<usize>, String> {
        let answer: Value =
            serde_json::from_str(json).map_err(|error| format!("P5: the answer is not valid JSON: {error}"))?;
        let Some(failures) = answer["batchItemFailures"].as_array() else {
            return Err(format!("P5: the answer has no list of failures: {json}"));
        };
        let [failure] = failures.as_slice() else {
            return if failures.is_empty() { Ok(None) } else { Err(format!("P5: the answer is ambiguous: {json}")) };
        };
        let named = failure["itemIdentifier"].as_str().unwrap_or_default();
        let of = |id: &usize| self.known(*id).sequence_number.as_deref() == Some(named);
        log.batch
            .iter()
            .position(of)
            .map(Some)
            .ok_or_else(|| format!("P5: the answer names no record of the batch: {json}"))
    }

    /// What must be answered, `Err` for a failed invocation; and what may be, where it depends on what an environment
    /// has forgotten.
    #[allow(clippy::type_complexity)]
    fn expected(
        &self,
        ledger: &Ledger,
        log: &InvocationLog,
    ) -> (Result<Option<usize>, ()>, Vec<Result<Option<usize>, ()>>) {
        let before = &ledger.environments[log.environment].done;
        // What the filter or a condition drops is done once it was asked, which it is not after the stop.
        let skipped = |id: usize| match self.known(id).route {
            Route::Skipped(SkipReason::Filtered) => log.filtered_out.contains(&id),
            Route::Skipped(SkipReason::Unchanged) => log.kept.contains(&id),
            _ => self.is_skipped(log, id),
        };
        let open = |id: usize| !log.finished(id) && !skipped(id);
        let unsure = |id: usize| open(id) && before.contains(&id) && !log.started.contains(&id);
        let first = log.batch.iter().position(|id| open(*id) && !unsure(*id)).unwrap_or(log.batch.len());
        let earlier = log.batch[..first].iter().enumerate().filter(|(_, id)| unsure(**id));
        (self.named(log, first), earlier.map(|(position, _)| self.named(log, position)).collect())
    }

    /// What is to be answered if this is the first unfinished position.
    fn named(&self, log: &InvocationLog, first: usize) -> Result<Option<usize>, ()> {
        if first == log.batch.len() {
            return Ok(None);
        }
        let nameable = self.nameable(&log.batch);
        let named = log.batch[..=first].iter().rposition(|id| nameable.contains(id));
        named.filter(|_| self.plan.mapping.report_batch_item_failures).map(Some).ok_or(())
    }

    /// Whether the report's outcomes, attempts and entities are what the ledger says.
    pub(crate) fn outcomes(&self, ledger: &mut Ledger, invocation: usize, outcomes: &[Reported], tally: &Tally) {
        let log = &ledger.invocations[invocation];
        let before = &ledger.environments[log.environment].done;
        let mut wrong = Vec::new();
        for (id, Reported { outcome, attempts, entity }) in log.batch.iter().zip(outcomes) {
            let (succeeded, confirmed) = (log.succeeded.contains(id), log.confirmed.contains(id));
            let superseded = log.superseded.contains(id);
            let route = self.known(*id).route;
            let right = match outcome {
                Outcome::Succeeded => succeeded,
                Outcome::DeadLettered => confirmed,
                Outcome::Skipped(SkipReason::Redelivered) => before.contains(id) && !log.started.contains(id),
                Outcome::Skipped(SkipReason::Superseded) => superseded && !succeeded && !confirmed,
                Outcome::Skipped(reason) => self.is_skipped(log, *id) && route == Route::Skipped(*reason),
                _ => !(log.finished(*id) || self.is_skipped(log, *id) && is_found_at_once(route)),
            };
            if !right {
                wrong.push(format!(
                    "P5: record {id} is said to be {outcome:?}: succeeded {succeeded}, accepted {confirmed}, superseded \
                     {superseded}, of it comes {route:?}"
                ));
            }
            let is_asked = *outcome != Outcome::Skipped(SkipReason::Redelivered) && !self.is_repeated(log, *id);
            let named = self.known(*id).entity.map(|at| self.plan.processor.routing.entities[at].told_by.name());
            if is_asked && *entity != named {
                wrong.push(format!("entity: record {id} is said to be of the entity {entity:?}, and is of {named:?}"));
            }
            tally.count_skipped(*outcome, named.is_some());
            let counted = log.attempts.get(id).copied().unwrap_or_default();
            let may_be_left_out = log.bulked.get(id).is_some_and(|bulked| bulked.may_be_left_out);
            let right = *attempts == counted || may_be_left_out && attempts + 1 == counted;
            if !right && self.known(*id).is_well_formed() {
                wrong.push(format!("attempts: record {id} is said to have had {attempts} attempts, and had {counted}"));
            }
        }
        if outcomes.len() != log.batch.len() {
            wrong.push(format!("P5: {} records came, and {} are reported", log.batch.len(), outcomes.len()));
        }
        ledger.violations.append(&mut wrong);
    }

    /// Takes note of what the environment must skip from now on.
    pub(crate) fn remember(&self, ledger: &mut Ledger, invocation: usize, redelivered_from: usize) {
        let log = &ledger.invocations[invocation];
        let environment = &mut ledger.environments[log.environment];
        let nameable = self.nameable(&log.batch);
        for (position, id) in log.batch.iter().enumerate().filter(|(_, id)| nameable.contains(id)) {
            let again = environment.remembered.contains_key(id) && !log.started.contains(id);
            if position >= redelivered_from && (log.finished(*id) || again) {
                environment.remembered.insert(*id, Instant::now());
            } else if position < redelivered_from && again {
                environment.remembered.remove(id);
            }
        }
    }

    /// Whether the record of an item belongs to another entity than the one before it, in the same batch.
    pub(crate) fn changes_entity(&self, log: &InvocationLog, id: usize) -> bool {
        let item = self.known(id).item;
        let of_item = |earlier: &&usize| item.is_some() && self.known(**earlier).item == item;
        let earlier = log.batch.iter().take_while(|earlier| **earlier != id).filter(of_item).last();
        let is_modification = self.known(id).plan.kind() == Some(Kind::Modify);
        is_modification && earlier.is_some_and(|earlier| self.known(*earlier).entity != self.known(id).entity)
    }

    /// P1 at the end: every record has an outcome.
    pub(crate) fn end(&self, ledger: &mut Ledger) {
        let lost: Vec<usize> = (0..ledger.records.len()).filter(|id| !self.is_over(ledger, *id)).collect();
        if !lost.is_empty() {
            ledger.violation(format!("P1: the stream has ended, and these records have no outcome: {lost:?}"));
        }
        let limited = self.plan.mapping.retries >= 0 || self.plan.mapping.record_age >= 0;
        if !limited && ledger.records.iter().any(|history| history.discarded) {
            ledger.violation("P1: the mapping discarded records without a limit".to_owned());
        }
    }
}

/// Whether a record is skipped whatever else happens, because that needs no code of the user's.
fn is_found_at_once(route: Route) -> bool {
    matches!(route, Route::Skipped(SkipReason::NoHandler | SkipReason::Unmatched))
}
