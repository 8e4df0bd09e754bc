//! One of a shard's concurrent batches: buffers records, and says when they make a job.
//!
//! A shard has as many as its `ParallelizationFactor` says. *Invariant*: at most one job of a batch is in flight, so its
//! records are delivered in their order.

use std::collections::VecDeque;
use std::time::{Duration, SystemTime};

use tokio::time::Instant;

use crate::settings::{FinalInvocation, Settings};
use crate::source::SourceRecord;
use crate::window::OpenWindow;

/// The largest payload of an invocation: 6 MB.
pub(crate) const MAX_PAYLOAD: usize = 6 * 1_048_576;
/// What the members around the records take, those of a tumbling window included.
const OVERHEAD: usize = 1_024;

/// A record that was read, and when.
#[derive(Debug, Clone)]
pub(crate) struct BufferedRecord {
    pub(crate) record: SourceRecord,
    pub(crate) read_at: Instant,
}

/// What a concurrent batch does next.
#[derive(Debug)]
pub(crate) enum Job {
    Deliver {
        records: Vec<BufferedRecord>,
        /// Whether they are the last of the tumbling window, which ends with them.
        ends_window: bool,
    },
    /// Tell the function that the tumbling window has ended.
    EndWindow,
}

/// How far a shard is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ReadState {
    /// The last page had records: there may be more, however old they are.
    Behind,
    /// The last page was empty.
    CaughtUp,
    /// No more records will come.
    Drained,
}

#[derive(Debug, Default)]
pub(crate) struct ConcurrentBatch {
    buffer: VecDeque<BufferedRecord>,
    bytes: usize,
    /// The open tumbling window; lent to the job while one is in flight.
    pub(crate) window: Option<OpenWindow>,
    /// Whether a job is in flight.
    pub(crate) in_flight: bool,
}

/// How long the next batch is.
struct BatchLength {
    records: usize,
    /// Whether it can have no more.
    full: bool,
}

impl ConcurrentBatch {
    pub(crate) fn push(&mut self, buffered: BufferedRecord) {
        self.bytes += buffered.record.json().len();
        self.buffer.push_back(buffered);
    }

    pub(crate) fn len(&self) -> usize {
        self.buffer.len()
    }

    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(crate) fn is_settled(&self) -> bool {
        !self.in_flight && self.buffer.is_empty() && self.window.is_none()
    }

    pub(crate) fn clear(&mut self) -> usize {
        self.bytes = 0;
        std::mem::take(&mut self.buffer).len()
    }

    /// The next job, if none is in flight and there is enough for one.
    pub(crate) fn next_job(&mut self, settings: &Settings, time_of_day: SystemTime, read: ReadState) -> Option<Job> {
        if self.in_flight {
            return None;
        }
        if self.window_has_ended(settings, time_of_day, read) {
            self.in_flight = true;
            return Some(Job::EndWindow);
        }
        let next = self.next_length(settings);
        let waited = self.due(settings).is_some_and(|due| due <= Instant::now())
            || self.window.as_ref().is_some_and(|window| window.end <= time_of_day);
        if next.records == 0 || !(next.full || waited || read == ReadState::Drained) {
            return None;
        }
        if let Some(window) = settings.tumbling_window()
            && self.window.is_none()
        {
            self.window = Some(OpenWindow::of(self.buffer.front()?.record.created_at().unwrap_or(time_of_day), window));
        }
        let batch: Vec<BufferedRecord> = self.buffer.drain(..next.records).collect();
        self.bytes -= batch.iter().map(|buffered| buffered.record.json().len()).sum::<usize>();
        self.in_flight = true;
        let ends_window = settings.unspecified.final_invocation == FinalInvocation::WithRecords
            && self.window_has_ended(settings, time_of_day, read);
        Some(Job::Deliver { records: batch, ends_window })
    }

    /// When to ask again, if nothing happens before.
    pub(crate) fn wakes_after(
        &self,
        settings: &Settings,
        time_of_day: SystemTime,
        read: ReadState,
    ) -> Option<Duration> {
        if self.in_flight {
            return None;
        }
        let due = self.due(settings).map(|due| due.saturating_duration_since(Instant::now()));
        // The window's end sends what is buffered; with nothing buffered, its last invocation comes after the grace.
        let grace = match (self.buffer.is_empty(), read) {
            (false, _) => Some(Duration::ZERO),
            (true, ReadState::Behind) => None,
            (true, _) => Some(settings.unspecified.window_grace),
        };
        let window = self.window.as_ref().and_then(|window| {
            let ends = window.end + grace?;
            Some(ends.duration_since(time_of_day).unwrap_or_default())
        });
        due.into_iter().chain(window).min()
    }

    fn due(&self, settings: &Settings) -> Option<Instant> {
        self.buffer.front().map(|first| first.read_at + settings.batching_window())
    }

    /// A later window's record ends it, or the shard's end. The clock does only where the shard is read to its end: of old
    /// records, more may be on the next page.
    fn window_has_ended(&self, settings: &Settings, time_of_day: SystemTime, read: ReadState) -> bool {
        let (Some(window), Some(length)) = (&self.window, settings.tumbling_window()) else { return false };
        if window.terminated_early {
            return true;
        }
        match self.buffer.front() {
            Some(next) => !window.takes(&next.record, length),
            None => match read {
                ReadState::Behind => false,
                ReadState::CaughtUp => window.end + settings.unspecified.window_grace <= time_of_day,
                ReadState::Drained => true,
            },
        }
    }

    fn next_length(&self, settings: &Settings) -> BatchLength {
        let window_length = settings.tumbling_window().unwrap_or_default();
        let window = settings.tumbling_window().and_then(|length| {
            let first = self.buffer.front()?.record.created_at();
            self.window.clone().or_else(|| Some(OpenWindow::of(first?, length)))
        });
        let overhead = OVERHEAD + self.window.as_ref().map_or(0, OpenWindow::bytes);
        let mut bytes = overhead;
        for (length, BufferedRecord { record, .. }) in self.buffer.iter().enumerate() {
            bytes += record.json().len() + 1;
            let other_window = window.as_ref().is_some_and(|window| !window.takes(record, window_length));
            if length > 0 && (bytes > MAX_PAYLOAD || other_window) {
                return BatchLength { records: length, full: true };
            }
            if length + 1 == settings.batch_size as usize {
                return BatchLength { records: length + 1, full: true };
            }
        }
        BatchLength { records: self.buffer.len(), full: false }
    }
}
