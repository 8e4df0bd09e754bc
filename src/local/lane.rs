//! One of a shard's concurrent sub-batches: what waits, and when it is enough for an invocation.

use std::collections::VecDeque;
use std::time::{Duration, SystemTime};

use tokio::time::Instant;

use super::settings::Settings;
use super::source::SourceRecord;
use super::window::OpenWindow;

/// The largest payload of an invocation: 6 MB.
pub(super) const MAX_PAYLOAD: usize = 6 * 1_048_576;

/// A record that was read, and when.
#[derive(Debug, Clone)]
pub(super) struct Arrived {
    pub(super) record: SourceRecord,
    pub(super) at: Instant,
}

/// What a lane wants done.
#[derive(Debug)]
pub(super) enum Job {
    Batch(Vec<Arrived>),
    /// The tumbling window has come to its end.
    EndWindow,
}

#[derive(Debug, Default)]
pub(super) struct Lane {
    waiting: VecDeque<Arrived>,
    bytes: usize,
    /// The tumbling window; also while a job is under way with it.
    pub(super) window: Option<OpenWindow>,
    /// Whether a job is under way: until it is done, nothing else of this lane is.
    pub(super) busy: bool,
}

impl Lane {
    pub(super) fn push(&mut self, arrived: Arrived) {
        self.bytes += arrived.record.json().len();
        self.waiting.push_back(arrived);
    }

    pub(super) fn len(&self) -> usize {
        self.waiting.len()
    }

    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(super) fn is_settled(&self) -> bool {
        !self.busy && self.waiting.is_empty() && self.window.is_none()
    }

    pub(super) fn clear(&mut self) -> usize {
        self.bytes = 0;
        std::mem::take(&mut self.waiting).len()
    }

    /// The next job, if the lane is free and there is enough for one; `drained` if nothing more will come.
    pub(super) fn next_job(&mut self, settings: &Settings, time_of_day: SystemTime, drained: bool) -> Option<Job> {
        if self.busy {
            return None;
        }
        if self.window_has_ended(settings, time_of_day, drained) {
            self.busy = true;
            return Some(Job::EndWindow);
        }
        let (length, full) = self.batch_length(settings);
        let waited = self.due(settings).is_some_and(|due| due <= Instant::now())
            || self.window.as_ref().is_some_and(|window| window.end <= time_of_day);
        if length == 0 || !(full || waited || drained) {
            return None;
        }
        if let Some(window) = settings.tumbling_window()
            && self.window.is_none()
        {
            self.window =
                Some(OpenWindow::of(self.waiting.front()?.record.created_at().unwrap_or(time_of_day), window));
        }
        let batch: Vec<Arrived> = self.waiting.drain(..length).collect();
        self.bytes -= batch.iter().map(|arrived| arrived.record.json().len()).sum::<usize>();
        self.busy = true;
        Some(Job::Batch(batch))
    }

    /// When the lane should be asked again, if nothing happens before.
    pub(super) fn wakes_after(&self, settings: &Settings, time_of_day: SystemTime) -> Option<Duration> {
        if self.busy {
            return None;
        }
        let due = self.due(settings).map(|due| due.saturating_duration_since(Instant::now()));
        let window = self.window.as_ref().map(|window| window.end.duration_since(time_of_day).unwrap_or_default());
        due.into_iter().chain(window).min()
    }

    fn due(&self, settings: &Settings) -> Option<Instant> {
        self.waiting.front().map(|first| first.at + settings.batching_window())
    }

    fn window_has_ended(&self, settings: &Settings, time_of_day: SystemTime, drained: bool) -> bool {
        let (Some(window), Some(length)) = (&self.window, settings.tumbling_window()) else { return false };
        if window.terminated_early {
            return true;
        }
        match self.waiting.front() {
            Some(next) => !window.takes(&next.record, length),
            None => drained || window.end <= time_of_day,
        }
    }

    /// How many records the next batch has, and whether it can have no more.
    fn batch_length(&self, settings: &Settings) -> (usize, bool) {
        let window = settings.tumbling_window().and_then(|length| {
            let first = self.waiting.front()?.record.created_at();
            Some((self.window.clone().or_else(|| Some(OpenWindow::of(first?, length)))?, length))
        });
        let overhead = OVERHEAD + self.window.as_ref().map_or(0, OpenWindow::bytes);
        let mut bytes = overhead;
        for (length, Arrived { record, .. }) in self.waiting.iter().enumerate() {
            bytes += record.json().len() + 1;
            let other_window = window.as_ref().is_some_and(|(window, length)| !window.takes(record, *length));
            if length > 0 && (bytes > MAX_PAYLOAD || other_window) {
                return (length, true);
            }
            if length + 1 == settings.batch_size as usize {
                return (length + 1, true);
            }
        }
        (self.waiting.len(), false)
    }
}

/// The members around the records, those of a tumbling window included.
const OVERHEAD: usize = 1_024;
