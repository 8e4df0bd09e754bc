//! One batch, from its first invocation until every record of it is done or given up.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;

use super::answer::{Judged, Rules, Verdict, judge};
use super::lane::{Arrived, Job};
use super::mapping::{EventSourceMapping, RunError};
use super::on_failure::{Condition, Discarded, OnFailureDocument};
use super::processor::request_id;
use super::progress::{Progress, WarningKind};
use super::settings::{Discard, RecordAge};
use super::source::{Source, SourceRecord};
use super::target::{Answer, Target};
use super::window::OpenWindow;
use crate::clock::time_of_day;

/// What a delivery needs to know of its surroundings, and the tumbling window that it carries on.
pub(super) struct Delivery<'a, S, T> {
    pub(super) mapping: &'a EventSourceMapping<S, T>,
    pub(super) shard: Arc<str>,
    pub(super) stop: watch::Receiver<bool>,
    pub(super) window: Option<OpenWindow>,
}

/// Records that are delivered together, and how that went so far.
#[derive(Debug)]
struct Segment {
    records: Vec<Arrived>,
    /// Invocations that failed without progress, throttled ones excepted.
    failures: u32,
    /// Invocations in a row that did not take place.
    throttles: u32,
    /// The last invocation's request id, and whether it ended in a function error.
    last: Option<(String, bool)>,
}

impl Segment {
    fn new(records: Vec<Arrived>, failures: u32) -> Self {
        Self { records, failures, throttles: 0, last: None }
    }

    fn made_progress(&mut self) {
        (self.failures, self.throttles) = (0, 0);
    }

    fn records(&self) -> Vec<SourceRecord> {
        self.records.iter().map(|arrived| arrived.record.clone()).collect()
    }
}

impl<S: Source, T: Target> Delivery<'_, S, T> {
    /// Carries out a lane's job; gives back the tumbling window that it leaves open.
    ///
    /// # Errors
    /// If the function cannot be invoked.
    pub(super) async fn carry_out(mut self, job: Job) -> Result<Option<OpenWindow>, RunError> {
        match job {
            Job::Batch(records) => {
                self.deliver(records).await?;
                Ok(self.window)
            }
            Job::EndWindow => Ok(if self.end_window().await? { None } else { self.window }),
        }
    }

    async fn deliver(&mut self, records: Vec<Arrived>) -> Result<(), RunError> {
        let mut todo = vec![Segment::new(records, 0)];
        while let Some(mut segment) = todo.pop() {
            self.discard_expired(&mut segment).await;
            if segment.records.is_empty() {
                continue;
            }
            if *self.stop.borrow() {
                self.mapping.note_left(segment.records.len());
                continue;
            }
            let Judged { verdict, state, .. } = self.invoke(&mut segment, false).await?;
            let progressed = matches!(verdict, Verdict::Done | Verdict::Checkpoint { position: 1.., .. });
            if let (true, Some(window), Some(state)) = (progressed, &mut self.window, state) {
                window.carry(state);
                self.warn_of_early_end();
            }
            self.apply(verdict, segment, &mut todo).await;
        }
        Ok(())
    }

    /// What becomes of a segment after an answer; what is left of it goes back on top of `todo`.
    async fn apply(&mut self, verdict: Verdict, mut segment: Segment, todo: &mut Vec<Segment>) {
        match verdict {
            Verdict::Done => self.mapping.note_done(segment.records.len()),
            Verdict::Checkpoint { position: position @ 1.., .. } => {
                self.mapping.note_done(position);
                segment.records.drain(..position);
                segment.made_progress();
                todo.push(segment);
            }
            Verdict::Throttled => {
                segment.throttles = segment.throttles.saturating_add(1);
                self.wait(segment.records.len(), segment.failures, segment.throttles).await;
                todo.push(segment);
            }
            Verdict::FunctionError { .. } | Verdict::WholeBatch { .. } if self.bisects(&segment) => {
                self.bisect(segment, todo);
            }
            Verdict::FunctionError { .. } | Verdict::WholeBatch { .. } | Verdict::Checkpoint { .. } => {
                segment.throttles = 0;
                segment.failures = segment.failures.saturating_add(1);
                if self.mapping.settings().retries().is_some_and(|retries| segment.failures > retries) {
                    self.exhausted(&mut segment).await;
                } else {
                    self.wait(segment.records.len(), segment.failures, segment.failures).await;
                }
                if !segment.records.is_empty() {
                    todo.push(segment);
                }
            }
        }
    }

    fn bisects(&self, segment: &Segment) -> bool {
        self.mapping.settings().bisect_batch_on_function_error && segment.records.len() > 1
    }

    /// Halves a failed batch, which costs no retry.
    fn bisect(&self, mut segment: Segment, todo: &mut Vec<Segment>) {
        let second = segment.records.split_off(segment.records.len() / 2);
        let halves = (segment.records.len(), second.len());
        self.mapping.note(Progress::Bisected { shard: Arc::clone(&self.shard), halves });
        let inherited = if self.mapping.settings().choices.halves_inherit_retries { segment.failures } else { 0 };
        todo.push(Segment::new(second, inherited));
        todo.push(Segment::new(segment.records, inherited));
    }

    async fn exhausted(&mut self, segment: &mut Segment) {
        let discarded = match self.mapping.settings().choices.discard {
            Discard::RemainingBatch => std::mem::take(&mut segment.records),
            Discard::FirstRecord => segment.records.drain(..1).collect(),
        };
        self.discard(discarded, Condition::RetryAttemptsExhausted, segment).await;
        segment.made_progress();
    }

    /// Gives up the leading records that are too old.
    async fn discard_expired(&mut self, segment: &mut Segment) {
        let settings = self.mapping.settings();
        let Some(limit) = settings.maximum_record_age() else { return };
        let now = time_of_day();
        let fresh = |arrived: &Arrived| {
            let age = match settings.choices.record_age {
                RecordAge::SinceCreation => arrived.record.created_at().and_then(|at| now.duration_since(at).ok()),
                RecordAge::SinceRead => Some(arrived.at.elapsed()),
            };
            age.is_none_or(|age| age <= limit)
        };
        let expired = segment.records.iter().position(fresh).unwrap_or(segment.records.len());
        if expired > 0 {
            let discarded = segment.records.drain(..expired).collect();
            self.discard(discarded, Condition::RecordAgeExceeded, segment).await;
            segment.made_progress();
        }
    }

    async fn discard(&mut self, records: Vec<Arrived>, condition: Condition, segment: &Segment) {
        self.mapping.note(Progress::Discarded { shard: Arc::clone(&self.shard), records: records.len(), condition });
        let records: Vec<SourceRecord> = records.into_iter().map(|arrived| arrived.record).collect();
        let (request_id, function_error) =
            segment.last.clone().unwrap_or_else(|| (self.mapping.with_random(request_id), false));
        let document = OnFailureDocument::new(Discarded {
            records: &records,
            condition,
            request_id,
            function_arn: self.mapping.target().function_arn(),
            invocations: segment.failures,
            function_error,
            shard: &self.shard,
            stream_arn: self.mapping.source().stream_arn(),
            now: time_of_day(),
            keep_payload: self.mapping.settings().keeps_payload(),
        });
        self.mapping.send_on_failure(&self.shard, document).await;
    }

    /// Invokes the function once, and judges what it says.
    async fn invoke(&mut self, segment: &mut Segment, last: bool) -> Result<Judged, RunError> {
        let records = segment.records();
        let payload = self.payload(&records, last);
        let invocation = self.mapping.next_invocation();
        let created_at = records.last().and_then(SourceRecord::created_at);
        self.mapping.note(Progress::Sent {
            shard: Arc::clone(&self.shard),
            invocation,
            records: records.len(),
            bytes: payload.len(),
            failures: segment.failures,
            iterator_age: created_at.map(|at| time_of_day().duration_since(at).unwrap_or_default()),
        });
        let begun = Instant::now();
        let answer = self.mapping.target().invoke(payload, self.mapping.timeout()).await.map_err(RunError::target)?;
        segment.last = Some((self.mapping.with_random(request_id), matches!(answer, Answer::FunctionError { .. })));
        let rules = Rules {
            report_batch_item_failures: self.mapping.settings().report_batch_item_failures,
            tumbling_window: self.window.is_some(),
        };
        let judged = judge(answer, &records, rules);
        self.mapping.note(Progress::Answered {
            shard: Arc::clone(&self.shard),
            invocation,
            duration: begun.elapsed(),
            verdict: judged.verdict.clone(),
        });
        if let Some((kind, message)) = &judged.warning {
            self.mapping.warn(&self.shard, *kind, message.clone());
        }
        Ok(judged)
    }

    fn payload(&self, records: &[SourceRecord], last: bool) -> String {
        let mut payload =
            String::with_capacity(records.iter().map(|record| record.json().len() + 1).sum::<usize>() + 512);
        payload.push_str(r#"{"Records":["#);
        for (position, record) in records.iter().enumerate() {
            if position > 0 {
                payload.push(',');
            }
            payload.push_str(record.json());
        }
        payload.push(']');
        if let Some(window) = &self.window {
            payload.push_str(&window.members(&self.shard, &self.mapping.source().stream_arn(), last));
        }
        payload.push('}');
        payload
    }

    /// The last invocation of a tumbling window; `false` if the run stopped before it went through.
    async fn end_window(&mut self) -> Result<bool, RunError> {
        let mut segment = Segment::new(Vec::new(), 0);
        loop {
            if *self.stop.borrow() {
                return Ok(false);
            }
            match self.invoke(&mut segment, true).await?.verdict {
                Verdict::Done | Verdict::Checkpoint { .. } => return Ok(true),
                Verdict::Throttled => segment.throttles = segment.throttles.saturating_add(1),
                Verdict::FunctionError { .. } | Verdict::WholeBatch { .. } => {
                    segment.failures = segment.failures.saturating_add(1);
                }
            }
            if self.mapping.settings().retries().is_some_and(|retries| segment.failures > retries) {
                let message = "the last invocation of a tumbling window failed until its retries ran out: its state is \
                               lost, and no on-failure document tells of it";
                self.mapping.warn(&self.shard, WarningKind::WindowLost, message.to_owned());
                return Ok(true);
            }
            self.wait(0, segment.failures, segment.failures + segment.throttles).await;
        }
    }

    fn warn_of_early_end(&self) {
        if self.window.as_ref().is_some_and(|window| window.terminated_early) {
            let message = "the state of a tumbling window is larger than 1 MB, and the window ends early";
            self.mapping.warn(&self.shard, WarningKind::WindowEndedEarly, message.to_owned());
        }
    }

    /// Waits before the next invocation, longer each time; a stop ends it.
    async fn wait(&mut self, records: usize, failures: u32, times: u32) {
        let choices = &self.mapping.settings().choices;
        let delay = backoff(choices.retry_base_delay, choices.retry_max_delay, times);
        self.mapping.note(Progress::Waiting { shard: Arc::clone(&self.shard), records, failures, delay });
        tokio::select! {
            biased;
            _ = self.stop.wait_for(|stop| *stop) => {}
            () = tokio::time::sleep(delay) => {}
        }
    }
}

/// The delay after that many failures in a row.
fn backoff(base: Duration, most: Duration, times: u32) -> Duration {
    let factor = 2_u32.checked_pow(times.saturating_sub(1));
    factor.and_then(|factor| base.checked_mul(factor)).map_or(most, |delay| delay.min(most))
}
