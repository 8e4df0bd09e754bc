//! Delivers one batch, from its first invocation until every record of it is done or discarded.
//!
//! The rules are AWS's: a checkpoint is progress and resets the retries, a failed batch may be halved, records that are too
//! old or have no retries left are discarded. *Invariant*: a later segment of a batch is delivered only after the earlier
//! ones are settled.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;

use crate::batch_result::{BatchResult, Interpretation, ResponseRules, interpret};
use crate::clock::time_of_day;
use crate::concurrent_batch::{BufferedRecord, Job};
use crate::context::Context;
use crate::error::RunError;
use crate::function::{Function, Response};
use crate::on_failure::{Condition, Discarded, OnFailureDocument};
use crate::progress::Progress;
use crate::request_id::request_id;
use crate::settings::{Discard, RecordAge};
use crate::source::{Source, SourceRecord};
use crate::warning::WarningKind;
use crate::window::OpenWindow;

/// Delivers the records of one concurrent batch, and carries its tumbling window on.
pub(crate) struct Delivery<'a, S, F> {
    pub(crate) context: &'a Context<S, F>,
    pub(crate) shard: Arc<str>,
    pub(crate) stop: watch::Receiver<bool>,
    pub(crate) window: Option<OpenWindow>,
}

/// Records that are delivered together, and how often that failed so far.
#[derive(Debug)]
struct Segment {
    records: Vec<BufferedRecord>,
    /// Invocations that failed without progress, throttled ones excepted.
    failures: u32,
    /// Invocations in a row that did not take place.
    throttles: u32,
    last_invocation: Option<LastInvocation>,
}

#[derive(Debug, Clone)]
struct LastInvocation {
    request_id: String,
    function_error: bool,
}

impl Segment {
    fn new(records: Vec<BufferedRecord>, failures: u32) -> Self {
        Self { records, failures, throttles: 0, last_invocation: None }
    }

    fn made_progress(&mut self) {
        (self.failures, self.throttles) = (0, 0);
    }

    fn records(&self) -> Vec<SourceRecord> {
        self.records.iter().map(|buffered| buffered.record.clone()).collect()
    }
}

impl<S: Source, F: Function> Delivery<'_, S, F> {
    /// Carries out a job; returns the tumbling window that it leaves open.
    ///
    /// # Errors
    /// If the function cannot be invoked.
    pub(crate) async fn carry_out(mut self, job: Job) -> Result<Option<OpenWindow>, RunError> {
        let done = match job {
            Job::Deliver { records, ends_window } => self.deliver(records, ends_window).await,
            Job::EndWindow => self.end_window().await,
        };
        if done.is_err() && self.window.is_some() {
            self.context.warn_of_lost_window(&self.shard, "the function could not be invoked");
        }
        done.map(|()| self.window)
    }

    async fn deliver(&mut self, records: Vec<BufferedRecord>, ends_window: bool) -> Result<(), RunError> {
        let mut todo = vec![Segment::new(records, 0)];
        while let Some(mut segment) = todo.pop() {
            self.discard_expired(&mut segment).await;
            if segment.records.is_empty() {
                continue;
            }
            if *self.stop.borrow() {
                self.context.note_left(segment.records.len());
                continue;
            }
            let is_final = ends_window && todo.is_empty();
            let Interpretation { result, state, .. } = match self.invoke(&mut segment, is_final).await {
                Ok(interpretation) => interpretation,
                Err(error) => {
                    let left = todo.iter().map(|later| later.records.len()).sum::<usize>();
                    self.context.note_left(segment.records.len() + left);
                    return Err(error);
                }
            };
            let progressed = matches!(result, BatchResult::Done | BatchResult::Checkpoint { position: 1.., .. });
            if let (true, Some(window), Some(state)) = (progressed, &mut self.window, state) {
                window.carry(state);
                self.warn_of_early_end();
            }
            if is_final && result == BatchResult::Done {
                self.window = None;
            }
            self.apply(result, segment, &mut todo).await;
        }
        Ok(())
    }

    /// Applies an invocation's result to its segment. The rest of the segment goes back on top of `todo`.
    async fn apply(&mut self, result: BatchResult, mut segment: Segment, todo: &mut Vec<Segment>) {
        match result {
            BatchResult::Done => self.context.note_done(segment.records.len()),
            BatchResult::Checkpoint { position: position @ 1.., .. } => {
                self.context.note_done(position);
                segment.records.drain(..position);
                segment.made_progress();
                todo.push(segment);
            }
            BatchResult::Throttled => {
                segment.throttles = segment.throttles.saturating_add(1);
                self.wait(segment.records.len(), segment.failures, segment.throttles).await;
                todo.push(segment);
            }
            BatchResult::FunctionError { .. } | BatchResult::WholeBatch { .. } if self.bisects(&segment) => {
                self.bisect(segment, todo);
            }
            BatchResult::FunctionError { .. } | BatchResult::WholeBatch { .. } | BatchResult::Checkpoint { .. } => {
                segment.throttles = 0;
                segment.failures = segment.failures.saturating_add(1);
                if self.context.settings.retries().is_some_and(|retries| segment.failures > retries) {
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
        self.context.settings.bisect_batch_on_function_error && segment.records.len() > 1
    }

    /// Halves a failed batch, which costs no retry.
    fn bisect(&self, mut segment: Segment, todo: &mut Vec<Segment>) {
        let second = segment.records.split_off(segment.records.len() / 2);
        self.context.note(Progress::Bisected {
            shard: Arc::clone(&self.shard),
            first: segment.records.len(),
            second: second.len(),
        });
        let inherited = if self.context.settings.unspecified.halves_inherit_retries { segment.failures } else { 0 };
        todo.push(Segment::new(second, inherited));
        todo.push(Segment::new(segment.records, inherited));
    }

    async fn exhausted(&mut self, segment: &mut Segment) {
        let discarded = match self.context.settings.unspecified.discard {
            Discard::RemainingBatch => std::mem::take(&mut segment.records),
            Discard::FirstRecord => segment.records.drain(..1).collect(),
        };
        self.discard(discarded, Condition::RetryAttemptsExhausted, segment).await;
        segment.made_progress();
    }

    /// Discards the leading records that are too old.
    async fn discard_expired(&mut self, segment: &mut Segment) {
        let settings = &self.context.settings;
        let Some(limit) = settings.maximum_record_age() else { return };
        let now = time_of_day();
        let fresh = |buffered: &BufferedRecord| {
            let age = match settings.unspecified.record_age {
                RecordAge::SinceCreation => buffered.record.created_at().and_then(|at| now.duration_since(at).ok()),
                RecordAge::SinceRead => Some(buffered.read_at.elapsed()),
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

    async fn discard(&mut self, records: Vec<BufferedRecord>, condition: Condition, segment: &Segment) {
        self.context.note(Progress::Discarded { shard: Arc::clone(&self.shard), records: records.len(), condition });
        let records: Vec<SourceRecord> = records.into_iter().map(|buffered| buffered.record).collect();
        // A batch whose records were too old before its first invocation still names a request.
        let LastInvocation { request_id, function_error } = segment.last_invocation.clone().unwrap_or_else(|| {
            LastInvocation { request_id: self.context.with_random(request_id), function_error: false }
        });
        let document = OnFailureDocument::new(Discarded {
            records: &records,
            condition,
            request_id,
            function_arn: self.context.function.function_arn(),
            invocations: segment.failures,
            function_error,
            shard: &self.shard,
            stream_arn: self.context.source.stream_arn(),
            now: time_of_day(),
            keep_payload: self.context.settings.keeps_payload(),
        });
        self.context.send_on_failure(&self.shard, document).await;
    }

    /// Invokes the function once, and interprets its response.
    async fn invoke(&mut self, segment: &mut Segment, ends_window: bool) -> Result<Interpretation, RunError> {
        let records = segment.records();
        let payload = self.payload(&records, ends_window);
        let invocation = self.context.next_invocation();
        let created_at = records.last().and_then(SourceRecord::created_at);
        self.context.note(Progress::Sent {
            shard: Arc::clone(&self.shard),
            invocation,
            records: records.len(),
            bytes: payload.len(),
            failures: segment.failures,
            iterator_age: created_at.map(|at| time_of_day().duration_since(at).unwrap_or_default()),
        });
        let begun = Instant::now();
        let response = self.context.function.invoke(payload, self.context.timeout).await.map_err(RunError::invoke)?;
        segment.last_invocation = Some(LastInvocation {
            request_id: self.context.with_random(request_id),
            function_error: matches!(response, Response::FunctionError { .. }),
        });
        let rules = ResponseRules {
            report_batch_item_failures: self.context.settings.report_batch_item_failures,
            tumbling_window: self.window.is_some(),
        };
        let interpretation = interpret(response, &records, rules);
        self.context.note(Progress::Responded {
            shard: Arc::clone(&self.shard),
            invocation,
            duration: begun.elapsed(),
            result: interpretation.result.clone(),
        });
        if let Some(loss) = &interpretation.silent_loss {
            self.context.warn(&self.shard, loss.kind, loss.message.clone());
        }
        Ok(interpretation)
    }

    fn payload(&self, records: &[SourceRecord], ends_window: bool) -> String {
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
            payload.push_str(&window.members(&self.shard, &self.context.source.stream_arn(), ends_window));
        }
        payload.push('}');
        payload
    }

    /// The last invocation of a tumbling window. The window stays open if the run stopped before it went through.
    async fn end_window(&mut self) -> Result<(), RunError> {
        let mut segment = Segment::new(Vec::new(), 0);
        loop {
            if *self.stop.borrow() {
                return Ok(());
            }
            match self.invoke(&mut segment, true).await?.result {
                BatchResult::Done | BatchResult::Checkpoint { .. } => break,
                BatchResult::Throttled => segment.throttles = segment.throttles.saturating_add(1),
                BatchResult::FunctionError { .. } | BatchResult::WholeBatch { .. } => {
                    segment.failures = segment.failures.saturating_add(1);
                }
            }
            if self.context.settings.retries().is_some_and(|retries| segment.failures > retries) {
                let message = "the last invocation of a tumbling window failed until its retries were exhausted: its state \
                               is lost, and there is no on-failure document for it";
                self.context.warn(&self.shard, WarningKind::WindowLost, message.to_owned());
                break;
            }
            self.wait(0, segment.failures, segment.failures + segment.throttles).await;
        }
        self.window = None;
        Ok(())
    }

    fn warn_of_early_end(&self) {
        if self.window.as_ref().is_some_and(|window| window.terminated_early) {
            let message = "the state of a tumbling window is larger than 1 MB, and the window ends early";
            self.context.warn(&self.shard, WarningKind::WindowEndedEarly, message.to_owned());
        }
    }

    /// Waits before the next invocation, longer each time; a stop ends it.
    async fn wait(&mut self, records: usize, failures: u32, times: u32) {
        let choices = &self.context.settings.unspecified;
        let delay = backoff(choices.retry_base_delay, choices.retry_max_delay, times);
        self.context.note(Progress::Waiting { shard: Arc::clone(&self.shard), records, failures, delay });
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
