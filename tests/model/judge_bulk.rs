//! What the promises say of bulks.

use std::collections::HashSet;
use std::time::Duration;

use lambda_streams::{ErrorKind, HandlerError};
use tokio::time::Instant;

use crate::bulk::{Handed, Said};
use crate::judge::Judge;
use crate::ledger::{InvocationLog, Ledger};
use crate::plan::{BulkPlan, Shape};
use crate::routing::Destination;
use crate::tally::Tally;

/// The retry policy's longest, as the plan's processor has it.
pub(crate) const MAX_BACKOFF: Duration = Duration::from_millis(200);

/// What an error says of another attempt. The greater of two says it of both.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Class {
    /// At the earliest after this delay.
    Retryable(Option<Duration>),
    Permanent,
}

impl Class {
    pub(crate) fn of(error: &HandlerError) -> Self {
        if error.is_retryable() { Self::Retryable(error.delay()) } else { Self::Permanent }
    }

    fn is_retryable(self) -> bool {
        matches!(self, Self::Retryable(_))
    }
}

impl Judge<'_> {
    fn bulk(&self) -> &BulkPlan {
        self.plan.processor.bulk.as_ref().expect("bulk handlers are called where there are some")
    }

    /// May these records start in one call? Writes down that they do; says whether they are a part of a bulk that was halved.
    pub(crate) fn start_bulk(
        &self,
        ledger: &mut Ledger,
        environment: usize,
        invocation: usize,
        handed: &[Handed],
    ) -> bool {
        let mut wrong = self.size(handed);
        let here = Destination { entity: self.plan.processor.routing.bulk_at, kind: None };
        handed.iter().for_each(|one| self.arrive(ledger, one.id, here));
        let log = &ledger.invocations[invocation];
        if ledger.environments[environment].running >= self.plan.processor.concurrency {
            wrong.push(format!("P3: {} handlers run at once", ledger.environments[environment].running + 1));
        }
        let is_part = self.is_part(log, handed);
        wrong.extend(self.attempts(log, handed, is_part));
        wrong.extend(self.lanes(ledger, log, handed));
        // What may be unfinished before a record of the bulk: what goes with it, and what it stands for.
        let mut with = HashSet::new();
        let mut stands_for = Vec::new();
        for one in handed {
            let superseded = self.superseded_by(log, &with, one.id);
            with.extend(superseded.iter().copied());
            wrong.extend(self.may_start(ledger, environment, invocation, one.id, &with));
            with.insert(one.id);
            stands_for.push((one.id, superseded));
        }
        wrong.extend(self.company(log, handed, &with));
        if !is_part {
            wrong.extend(self.fullness(ledger, log, handed, &with));
        }
        ledger.violations.append(&mut wrong);
        ledger.bulk_calls += 1;
        ledger.environments[environment].running += 1;
        let log = &mut ledger.invocations[invocation];
        log.bulk_calls += 1;
        log.bulks_running += 1;
        log.stands_for.extend(stands_for);
        for bulked in log.bulked.values_mut() {
            bulked.returns_with.retain(|id| !with.contains(id));
        }
        for one in handed {
            ledger.records[one.id].running += 1;
            ledger.records[one.id].attempts += 1;
            log.started.insert(one.id);
            log.attempts.insert(one.id, one.attempt);
            let bulked = log.bulked(one.id);
            (bulked.not_before, bulked.returns_with) = (None, Vec::new());
            bulked.calls += 1;
            let begins = !is_part || bulked.may_be_left_out;
            bulked.may_be_left_out = false;
            if begins {
                (bulked.calls, bulked.most_calls) = (1, handed.len().next_power_of_two().ilog2() + 1);
            }
        }
        is_part
    }

    fn size(&self, handed: &[Handed]) -> Vec<String> {
        let BulkPlan { max_records, max_bytes, .. } = self.bulk();
        let bytes: usize = handed.iter().map(|one| one.bytes).sum();
        let mut wrong = Vec::new();
        if handed.is_empty() || handed.len() > *max_records {
            wrong.push(format!("bulk size: {} records where {max_records} is the most", handed.len()));
        }
        if max_bytes.is_some_and(|most| bytes > most) && handed.len() > 1 {
            wrong.push(format!("bulk size: {bytes} bytes where {max_bytes:?} is the most"));
        }
        wrong
    }

    /// Whether all were in one bulk that failed as a whole, and go on in the same attempt.
    fn is_part(&self, log: &InvocationLog, handed: &[Handed]) -> bool {
        let failed_bulk = |one: &Handed| log.bulked.get(&one.id)?.failed_bulk;
        let first = handed.first().and_then(failed_bulk);
        let goes_on = |one: &Handed| log.attempts.get(&one.id) == Some(&one.attempt) && failed_bulk(one) == first;
        first.is_some() && handed.iter().all(goes_on)
    }

    /// Whether the attempts are counted right, and a bulk is halved only after it failed as a whole.
    fn attempts(&self, log: &InvocationLog, handed: &[Handed], is_part: bool) -> Vec<String> {
        let mut wrong = Vec::new();
        let now = Instant::now();
        let timeout = self.bulk().timeout_millis.or(self.plan.processor.handler_timeout_millis);
        let timeout = timeout.map(|millis| now + Duration::from_millis(millis.into()));
        let ends_at = timeout.map_or(log.stop, |timeout| timeout.min(log.stop));
        let failed_bulk = handed.first().and_then(|first| log.bulked.get(&first.id)?.failed_bulk);
        for Handed { id, attempt, ends_at: said, .. } in handed {
            let counted = log.attempts.get(id).copied().unwrap_or_default();
            let bulked = log.bulked.get(id).cloned().unwrap_or_default();
            if *said != Some(ends_at) {
                wrong.push(format!("context: record {id} is told that its handler ends at {said:?}, not {ends_at:?}"));
            }
            if *attempt > self.plan.processor.max_attempts {
                wrong.push(format!("attempts: attempt {attempt} at record {id} is one too many"));
            }
            if !is_part {
                if *attempt != counted + 1 && !(bulked.may_be_left_out && *attempt == counted) {
                    wrong.push(format!("attempts: attempt {attempt} at record {id} follows {counted}"));
                }
                if bulked.not_before.is_some_and(|moment| now < moment) {
                    wrong.push(format!("backoff: record {id} is handed over before its bulk's longest delay"));
                }
                continue;
            }
            if bulked.calls >= bulked.most_calls && !bulked.may_be_left_out {
                wrong.push(format!("halving: record {id} is handed over {} times in an attempt", bulked.calls + 1));
            }
        }
        if is_part && failed_bulk.is_some_and(|(_, size)| handed.len() >= size) {
            wrong.push(format!("halving: a bulk of {} is repeated", handed.len()));
        }
        wrong
    }

    fn lanes(&self, ledger: &Ledger, log: &InvocationLog, handed: &[Handed]) -> Vec<String> {
        let mut wrong = Vec::new();
        for (position, Handed { id, .. }) in handed.iter().enumerate() {
            let shares = |other: &&Handed| other.id == *id || self.share_lane(other.id, *id);
            if let Some(other) = handed[..position].iter().find(shares).filter(|_| !self.bulk().within_lane) {
                wrong.push(format!("P2: a bulk has records {} and {id} of one lane", other.id));
            }
            let runs = |other: &&usize| ledger.records[**other].running > 0 && self.share_lane(**other, *id);
            if let Some(other) = log.batch.iter().find(runs) {
                wrong.push(format!("P2: record {id} starts while record {other} of its lane is in flight"));
            }
            if log.finished(*id) {
                wrong.push(format!("repetition: record {id} is handed over after it was finished"));
            }
        }
        wrong
    }

    /// The earlier changes of its item that a record stands for, in stream order.
    fn superseded_by(&self, log: &InvocationLog, with: &HashSet<usize>, id: usize) -> Vec<usize> {
        let mut superseded = Vec::new();
        if !self.bulk().latest_only() {
            return superseded;
        }
        let before = self.predecessors_in(log, id);
        for earlier in before.into_iter().rev() {
            // What enters no lane, or is skipped as redelivered, is no longer there.
            if self.is_skipped(log, earlier) {
                continue;
            }
            let ends = log.finished(earlier)
                || with.contains(&earlier)
                || !self.goes_to_bulk(log, earlier)
                || self.stream.known[earlier].item != self.stream.known[id].item;
            if ends {
                break;
            }
            superseded.push(earlier);
        }
        superseded.reverse();
        superseded
    }

    /// Whether a record that is read goes to the bulk handler, unless its image does not decode.
    fn goes_to_bulk(&self, log: &InvocationLog, id: usize) -> bool {
        self.stream.known[id].route.is_bulk() && !self.is_repeated(log, id)
    }

    /// What failed retryably in one bulk comes back together, the lower positions first, without what has been held back since.
    fn company(&self, log: &InvocationLog, handed: &[Handed], with: &HashSet<usize>) -> Option<String> {
        let is_held_back = |id: usize| log.reported.is_some_and(|reported| reported <= log.position(id));
        let missing = |one: &Handed| {
            let mut returns_with = log.bulked.get(&one.id)?.returns_with.iter();
            let missing = returns_with.find(|id| !with.contains(id) && !is_held_back(**id))?;
            Some(format!("backoff: record {} comes back without record {missing}", one.id))
        };
        handed.iter().find_map(missing)
    }

    /// A bulk that has room takes what is ready.
    fn fullness(&self, ledger: &Ledger, log: &InvocationLog, handed: &[Handed], with: &HashSet<usize>) -> Vec<String> {
        let BulkPlan { max_records, max_bytes, .. } = self.bulk();
        let processor = &self.plan.processor;
        if handed.len() >= *max_records || max_bytes.is_some() || processor.follow_lane {
            return Vec::new();
        }
        let done = &ledger.environments[log.environment].done;
        let is_waited_for = |id: usize| log.stands_for.values().any(|superseded| superseded.contains(&id));
        // What an environment has done before, it may have forgotten.
        let is_over = |earlier: &usize| log.finished(*earlier) || self.is_skipped(log, *earlier);
        // What cannot be read, or has failed, may be reported already, so nothing after it starts.
        let has_failed = |id: &usize| log.started.contains(id) && ledger.records[*id].running == 0;
        let is_unreadable = |id: &usize| {
            let known = &self.stream.known[*id];
            !known.is_well_formed() || known.plan.shape == Shape::SequenceRepeated
        };
        let is_unclear = |id: &&usize| (is_unreadable(id) || has_failed(id)) && !is_over(id);
        let mut before_unclear = log.batch.iter().take_while(|id| !is_unclear(id));
        let is_ready = |id: &&usize| {
            let known = &self.stream.known[**id];
            let is_new = !log.started.contains(id) && !done.contains(id) && !with.contains(id) && !is_waited_for(**id);
            is_new
                && known.route.is_bulk()
                && !is_unreadable(id)
                && log.reported.is_none_or(|reported| log.position(**id) < reported)
                && self.predecessors_in(log, **id).iter().all(is_over)
        };
        let left = before_unclear.find(is_ready);
        left.map(|id| format!("bulk size: record {id} is ready and left out of {handed:?}")).into_iter().collect()
    }

    /// Counts what an answer says.
    pub(crate) fn bulk_answered(
        &self,
        ledger: &mut Ledger,
        invocation: usize,
        ids: &[usize],
        said: &Said,
        tally: &Tally,
    ) {
        match said {
            Err(error) => self.bulk_failed(ledger, invocation, ids, ErrorKind::Handler, Class::of(error), tally),
            Ok(each) if each.len() != ids.len() => self.wrong_count(ledger, invocation, ids, tally),
            Ok(each) => {
                let classes: Vec<Option<Class>> =
                    each.iter().map(|result| result.as_ref().err().map(Class::of)).collect();
                self.each_answered(ledger, invocation, ids, &classes, tally);
            }
        }
    }

    fn each_answered(
        &self,
        ledger: &mut Ledger,
        invocation: usize,
        ids: &[usize],
        classes: &[Option<Class>],
        tally: &Tally,
    ) {
        let mut stuck: Vec<usize> = Vec::new();
        let mut retried = Vec::new();
        for (id, class) in ids.iter().copied().zip(classes) {
            let log = &mut ledger.invocations[invocation];
            if stuck.iter().any(|earlier| self.share_lane(*earlier, id)) {
                tally.blocked.count();
                log.bulked(id).failed_bulk = None;
                log.attempts.entry(id).and_modify(|attempts| *attempts -= 1);
                continue;
            }
            match class {
                None => {
                    log.succeeded.insert(id);
                    tally.superseded.add(log.stands_for.get(&id).map_or(0, Vec::len) as u64);
                    ledger.records[id].succeeded = true;
                    let environment = ledger.invocations[invocation].environment;
                    ledger.environments[environment].done.insert(id);
                    ledger.supersede(invocation, id);
                }
                Some(class) => {
                    stuck.push(id);
                    self.leave_out(log, id, ids);
                    self.failed_alone(log, id, ErrorKind::Handler, *class);
                    retried.push((id, *class));
                }
            }
        }
        if !retried.is_empty() && retried.len() < ids.len() {
            tally.partial_failures.count();
        }
        self.return_together(&mut ledger.invocations[invocation], &retried);
    }

    /// What failed retryably in one bulk waits for the longest delay. A record that is reported no longer counts, nor does any after
    /// it, so only the delays of those before a record are sure.
    fn return_together(&self, log: &mut InvocationLog, retried: &[(usize, Class)]) {
        let (mut moment, mut before) = (None, Vec::new());
        for (id, class) in retried {
            let Class::Retryable(delay) = class else { continue };
            let is_last = log.attempts.get(id).copied().unwrap_or_default() >= self.plan.processor.max_attempts;
            let own = Instant::now() + delay.unwrap_or(MAX_BACKOFF);
            let is_sure = !is_last && own < log.stop;
            moment = moment.max(delay.map(|_| own).filter(|_| is_sure));
            let bulked = log.bulked(*id);
            (bulked.not_before, bulked.returns_with) = (moment, before.clone());
            before.extend(is_sure.then_some(*id));
        }
    }

    /// What comes after a failed record in its lane cannot be in the next parts of a halved bulk.
    fn leave_out(&self, log: &mut InvocationLog, id: usize, ids: &[usize]) {
        let later = log.batch.iter().skip_while(|other| **other != id).skip(1);
        let later: Vec<usize> =
            later.filter(|other| !ids.contains(other) && self.share_lane(id, **other)).copied().collect();
        for other in later {
            if let Some(bulked) = log.bulked.get_mut(&other) {
                bulked.may_be_left_out = bulked.failed_bulk.is_some();
            }
        }
    }

    /// What is said of a record alone.
    fn failed_alone(&self, log: &mut InvocationLog, id: usize, kind: ErrorKind, class: Class) {
        let bulked = log.bulked(id);
        (bulked.own_failure, bulked.failed_bulk) = (Some(kind), None);
        self.report_exhausted(log, id, class);
    }

    fn report_exhausted(&self, log: &mut InvocationLog, id: usize, class: Class) {
        let attempts = log.attempts.get(&id).copied().unwrap_or_default();
        if self.is_reported(class.is_retryable(), attempts, self.elapsed()) {
            log.report(id);
        }
    }

    /// Every effect may have happened: nothing is done, nothing is halved, and no record is given up for it.
    fn wrong_count(&self, ledger: &mut Ledger, invocation: usize, ids: &[usize], tally: &Tally) {
        let log = &mut ledger.invocations[invocation];
        tally.wrong_counts.count();
        for id in ids {
            self.leave_out(log, *id, ids);
            if ids.len() == 1 {
                self.failed_alone(log, *id, ErrorKind::Handler, Class::Retryable(None));
                continue;
            }
            let bulked = log.bulked(*id);
            (bulked.own_failure, bulked.failed_bulk) = (None, None);
            if log.attempts.get(id).copied().unwrap_or_default() >= self.plan.processor.max_attempts {
                log.report(*id);
            }
        }
    }

    /// A bulk failed as a whole, which condemns none of its records unless it is alone.
    pub(crate) fn bulk_failed(
        &self,
        ledger: &mut Ledger,
        invocation: usize,
        ids: &[usize],
        kind: ErrorKind,
        class: Class,
        tally: &Tally,
    ) {
        let log = &mut ledger.invocations[invocation];
        ids.iter().for_each(|id| self.leave_out(log, *id, ids));
        if let [id] = ids {
            return self.failed_alone(log, *id, kind, class);
        }
        tally.whole_failures.count();
        // What may be tried again is not halved before its attempts or its time have run out.
        let is_retried = match class {
            Class::Permanent => false,
            Class::Retryable(delay) => Instant::now() + delay.unwrap_or(MAX_BACKOFF) < log.stop,
        };
        let is_exhausted = |id: &usize| log.attempts.get(id) >= Some(&self.plan.processor.max_attempts);
        let may_be_halved = !is_retried || ids.iter().any(is_exhausted);
        for id in ids {
            let failed_bulk = may_be_halved.then_some((log.bulk_calls, ids.len()));
            let bulked = log.bulked(*id);
            (bulked.own_failure, bulked.failed_bulk) = (None, failed_bulk);
            if class.is_retryable() {
                self.report_exhausted(log, *id, class);
            }
        }
    }
}
