//! One shard: reads it, assigns its records to concurrent batches, and runs one job at a time for each batch.
//!
//! *Invariants*: it reads on only while less is buffered than the batches could send at once. It is drained only once every
//! record is done or discarded, and every tumbling window ended.

use std::sync::Arc;

use futures::future::{BoxFuture, FutureExt, OptionFuture};
use futures::stream::{FuturesUnordered, StreamExt};
use tokio::sync::watch;
use tokio::time::Instant;

use crate::activity::{Pending, Reading};
use crate::assignment::Assignment;
use crate::clock::time_of_day;
use crate::concurrent_batch::{BufferedRecord, ConcurrentBatch, Job, MAX_PAYLOAD, ReadState};
use crate::context::Context;
use crate::delivery::Delivery;
use crate::error::RunError;
use crate::function::Function;
use crate::progress::Progress;
use crate::source::{Page, Position, ShardIterator, Source, SourceError, SourceRecord};
use crate::window::OpenWindow;

/// How a shard's run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ShardEnd {
    /// The shard is closed, and every record done or discarded.
    Drained,
    Stopped,
}

/// Where a shard's run begins.
#[derive(Debug)]
pub(crate) enum Begin {
    At(Position),
    /// It is open already.
    Opened(ShardIterator),
}

type Read<'a> = BoxFuture<'a, FinishedRead>;

/// A read that has ended, and when it began.
struct FinishedRead {
    began: Instant,
    page: Result<Page, SourceError>,
}

/// A job that has ended, and what it leaves to its batch.
struct FinishedJob {
    batch: usize,
    /// The items of its records, to be released.
    items: Vec<u64>,
    window: Result<Option<OpenWindow>, RunError>,
}

pub(crate) struct ShardRun<'a, S, F> {
    context: &'a Context<S, F>,
    shard: Arc<str>,
    /// Of the whole run: a shard that fails stops the others.
    stop: watch::Sender<bool>,
    _reading: Reading<'a>,
    assignment: Assignment,
    batches: Vec<ConcurrentBatch>,
    /// As many as the batches buffer.
    buffered: Pending<'a>,
    jobs: FuturesUnordered<BoxFuture<'a, FinishedJob>>,
    /// Where to read on, while nothing is being read.
    iterator: Option<ShardIterator>,
    next_read: Instant,
    reading: Option<Read<'a>>,
    /// How far it is read.
    read_state: ReadState,
    stopped: bool,
    failed: Option<RunError>,
}

impl<'a, S: Source, F: Function> ShardRun<'a, S, F> {
    pub(crate) fn new(context: &'a Context<S, F>, shard: Arc<str>, stop: watch::Sender<bool>) -> Self {
        let batches = context.settings.parallelization_factor as usize;
        Self {
            context,
            _reading: context.activity.reading(&shard),
            shard,
            stop,
            assignment: Assignment::new(context.settings.unspecified.batch_assignment, batches),
            batches: (0..batches).map(|_| ConcurrentBatch::default()).collect(),
            buffered: context.activity.pending(),
            jobs: FuturesUnordered::new(),
            iterator: None,
            next_read: Instant::now(),
            reading: None,
            read_state: ReadState::Behind,
            stopped: false,
            failed: None,
        }
    }

    /// Runs until the shard is drained, or until the stop.
    ///
    /// # Errors
    /// If the source cannot be read, or the function cannot be invoked. What is in flight has ended by then.
    pub(crate) async fn run(mut self, begin: Begin) -> Result<ShardEnd, RunError> {
        let mut stop = self.stop.subscribe();
        let iterator = match begin {
            Begin::Opened(iterator) => iterator,
            Begin::At(from) => tokio::select! {
                biased;
                _ = stop.wait_for(|stop| *stop) => return Ok(ShardEnd::Stopped),
                opened = self.context.source.open(&self.shard, &from) => opened.map_err(RunError::source)?,
            },
        };
        self.iterator = Some(iterator);
        self.context.note(Progress::ShardOpened { shard: Arc::clone(&self.shard) });
        loop {
            if let Some(end) = self.advance() {
                return self.failed.map_or(Ok(end), Err);
            }
            let wake = self.wake();
            tokio::select! {
                biased;
                _ = stop.wait_for(|stop| *stop), if !self.stopped => {}
                Some(job) = self.jobs.next() => self.finish(job),
                Some(read) = OptionFuture::from(self.reading.as_mut()) => self.take(read),
                Some(()) = OptionFuture::from(wake) => {}
            }
        }
    }

    /// Starts the jobs and the read that can start, or winds up after a stop. Returns the end, once it is reached.
    fn advance(&mut self) -> Option<ShardEnd> {
        self.stopped = *self.stop.borrow();
        if self.stopped {
            self.reading = None;
            let left: usize = self.batches.iter_mut().map(ConcurrentBatch::clear).sum();
            self.buffered.remove(left);
            self.context.note_left(left);
            return self.jobs.is_empty().then(|| {
                self.give_windows_up();
                ShardEnd::Stopped
            });
        }
        self.start_jobs();
        self.context.activity.note_window(&self.shard, self.batches.iter().any(|batch| batch.window.is_some()));
        if self.has_room()
            && let Some(iterator) = self.iterator.take()
        {
            self.read(iterator);
        }
        let drained = self.read_state == ReadState::Drained && self.batches.iter().all(ConcurrentBatch::is_settled);
        drained.then(|| {
            self.context.note(Progress::ShardClosed { shard: Arc::clone(&self.shard) });
            ShardEnd::Drained
        })
    }

    /// Stops the whole run. This shard ends once what is in flight has ended.
    fn fail(&mut self, error: RunError) {
        self.failed.get_or_insert(error);
        self.stop.send_replace(true);
    }

    fn give_windows_up(&mut self) {
        let open = self.batches.iter_mut().filter_map(|batch| batch.window.take()).count();
        for _ in 0..open {
            self.context.warn_of_lost_window(&self.shard, "the run stopped before the window's end");
        }
    }

    fn read(&mut self, iterator: ShardIterator) {
        let at = self.next_read;
        let source = &self.context.source;
        self.reading = Some(
            async move {
                tokio::time::sleep_until(at).await;
                FinishedRead { began: Instant::now(), page: source.read(iterator).await }
            }
            .boxed(),
        );
    }

    /// Whether less is buffered than the batches could send at once.
    fn has_room(&self) -> bool {
        let records: usize = self.batches.iter().map(ConcurrentBatch::len).sum();
        let bytes: usize = self.batches.iter().map(ConcurrentBatch::bytes).sum();
        records < self.context.settings.batch_size as usize * self.batches.len() && bytes < MAX_PAYLOAD
    }

    fn take(&mut self, FinishedRead { began, page }: FinishedRead) {
        self.reading = None;
        let Page { records, next } = match page {
            Ok(page) => page,
            Err(error) => return self.fail(RunError::source(error)),
        };
        self.read_state = match &next {
            None => ReadState::Drained,
            Some(_) if records.is_empty() => ReadState::CaughtUp,
            Some(_) => ReadState::Behind,
        };
        self.iterator = next;
        self.next_read = Instant::now();
        if records.is_empty() {
            self.next_read += self.context.settings.unspecified.poll_interval;
            self.context.activity.note_empty_read(&self.shard, began);
        }
        self.buffer(records);
    }

    /// Drops the records that no filter pattern matches, and assigns the others to the batches.
    fn buffer(&mut self, records: Vec<SourceRecord>) {
        let read = records.len();
        let kept: Vec<SourceRecord> =
            records.into_iter().filter(|record| self.context.filters.pass(record.json())).collect();
        if read > 0 {
            let filtered = read - kept.len();
            self.context.note(Progress::Read { shard: Arc::clone(&self.shard), records: read, filtered });
            self.context.activity.note_active();
        }
        let read_at = Instant::now();
        // A mapping whose batch waits to become full is not idle.
        self.buffered.add(kept.len());
        for record in kept {
            let (context, batches) = (self.context, self.batches.len());
            let draw = || context.with_random(|random| random.usize(..batches));
            let batch = self.assignment.assign(record.item(), draw);
            self.batches[batch].push(BufferedRecord { record, read_at });
        }
    }

    fn start_jobs(&mut self) {
        let now = time_of_day();
        for index in 0..self.batches.len() {
            let batch = &mut self.batches[index];
            let Some(job) = batch.next_job(&self.context.settings, now, self.read_state) else { continue };
            let items = match &job {
                Job::Deliver { records, .. } => records.iter().map(|buffered| buffered.record.item()).collect(),
                Job::EndWindow => Vec::new(),
            };
            self.buffered.remove(items.len());
            let delivery = Delivery {
                context: self.context,
                shard: Arc::clone(&self.shard),
                stop: self.stop.subscribe(),
                window: batch.window.take(),
            };
            let mut in_flight = self.context.activity.pending();
            in_flight.add(1);
            self.jobs.push(
                async move {
                    let window = delivery.carry_out(job).await;
                    drop(in_flight);
                    FinishedJob { batch: index, items, window }
                }
                .boxed(),
            );
        }
    }

    fn finish(&mut self, job: FinishedJob) {
        self.context.activity.note_active();
        self.assignment.release(&job.items);
        let batch = &mut self.batches[job.batch];
        batch.in_flight = false;
        match job.window {
            Ok(window) => batch.window = window,
            Err(error) => self.fail(error),
        }
    }

    /// Sleeps until a batching window or a tumbling window ends.
    fn wake(&self) -> Option<tokio::time::Sleep> {
        if self.stopped {
            return None;
        }
        let now = time_of_day();
        let settings = &self.context.settings;
        self.batches
            .iter()
            .filter_map(|batch| batch.wakes_after(settings, now, self.read_state))
            .min()
            .map(tokio::time::sleep)
    }
}
