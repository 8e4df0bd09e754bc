//! One shard: reads it, deals its records to lanes, and keeps the lanes busy.

use std::collections::HashMap;
use std::sync::Arc;

use futures::future::{BoxFuture, FutureExt, OptionFuture};
use futures::stream::{FuturesUnordered, StreamExt};
use tokio::sync::watch;
use tokio::time::Instant;

use super::delivery::Delivery;
use super::lane::{Arrived, Job, Lane, MAX_PAYLOAD};
use super::mapping::{EventSourceMapping, RunError};
use super::progress::Progress;
use super::settings::SubBatches;
use super::source::{Page, Position, ShardIterator, Source, SourceError, SourceRecord};
use super::target::Target;
use super::window::OpenWindow;
use crate::clock::time_of_day;

/// How a shard's run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ShardEnd {
    /// Every record is dealt with, and none will follow.
    Drained,
    Stopped,
}

type Read<'a> = BoxFuture<'a, Result<Page, SourceError>>;
type Carried<'a> = BoxFuture<'a, (usize, Result<Option<OpenWindow>, RunError>)>;

pub(super) struct ShardRun<'a, S, T> {
    mapping: &'a EventSourceMapping<S, T>,
    shard: Arc<str>,
    stop: watch::Receiver<bool>,
    lanes: Vec<Lane>,
    /// Which lane an item's records go to, and how many are under way; for scrambled sub-batches.
    items: HashMap<u64, (usize, usize)>,
    /// For each lane, the items of the job that is under way.
    under_way: Vec<Vec<u64>>,
    jobs: FuturesUnordered<Carried<'a>>,
    /// How to read on, while nothing is being read.
    iterator: Option<ShardIterator>,
    next_read: Instant,
    reading: Option<Read<'a>>,
    /// Whether the source has no more.
    drained: bool,
    stopped: bool,
}

impl<'a, S: Source, T: Target> ShardRun<'a, S, T> {
    pub(super) fn new(mapping: &'a EventSourceMapping<S, T>, shard: Arc<str>, stop: watch::Receiver<bool>) -> Self {
        let lanes = mapping.settings().parallelization_factor as usize;
        Self {
            mapping,
            shard,
            stop,
            lanes: (0..lanes).map(|_| Lane::default()).collect(),
            items: HashMap::new(),
            under_way: vec![Vec::new(); lanes],
            jobs: FuturesUnordered::new(),
            iterator: None,
            next_read: Instant::now(),
            reading: None,
            drained: false,
            stopped: false,
        }
    }

    /// Runs until the shard is drained, or until the stop.
    ///
    /// # Errors
    /// If the source cannot be read, or the function not be invoked.
    pub(super) async fn run(mut self, from: Position) -> Result<ShardEnd, RunError> {
        let mut stop = self.stop.clone();
        let opened = tokio::select! {
            biased;
            _ = stop.wait_for(|stop| *stop) => return Ok(ShardEnd::Stopped),
            opened = self.mapping.source().open(&self.shard, &from) => opened,
        };
        self.iterator = Some(opened.map_err(RunError::source)?);
        self.mapping.note(Progress::ShardOpened { shard: Arc::clone(&self.shard) });
        loop {
            if let Some(end) = self.start_what_can_be() {
                return Ok(end);
            }
            let wake = self.wake();
            tokio::select! {
                biased;
                _ = stop.wait_for(|stop| *stop), if !self.stopped => {}
                Some((lane, carried)) = self.jobs.next() => self.carried(lane, carried?),
                Some(page) = OptionFuture::from(self.reading.as_mut()) => self.take(page.map_err(RunError::source)?),
                Some(()) = OptionFuture::from(wake) => {}
            }
        }
    }

    /// Starts jobs and the next read, or winds up after a stop; the end, if it has come.
    fn start_what_can_be(&mut self) -> Option<ShardEnd> {
        self.stopped = *self.stop.borrow();
        if self.stopped {
            self.reading = None;
            let left: usize = self.lanes.iter_mut().map(Lane::clear).sum();
            self.mapping.note_job(-(left as i64));
            self.mapping.note_left(left);
            return self.jobs.is_empty().then_some(ShardEnd::Stopped);
        }
        self.start_jobs();
        if self.has_room()
            && let Some(iterator) = self.iterator.take()
        {
            self.read(iterator);
        }
        let done = self.drained && self.lanes.iter().all(Lane::is_settled);
        done.then(|| {
            self.mapping.note(Progress::ShardClosed { shard: Arc::clone(&self.shard) });
            ShardEnd::Drained
        })
    }

    fn read(&mut self, iterator: ShardIterator) {
        let at = self.next_read;
        let source = self.mapping.source();
        self.reading = Some(
            async move {
                tokio::time::sleep_until(at).await;
                source.read(iterator).await
            }
            .boxed(),
        );
    }

    /// Whether less waits than the lanes could send at once.
    fn has_room(&self) -> bool {
        let settings = self.mapping.settings();
        let (records, bytes) =
            self.lanes.iter().fold((0, 0), |(records, bytes), lane| (records + lane.len(), bytes + lane.bytes()));
        records < settings.batch_size as usize * self.lanes.len() && bytes < MAX_PAYLOAD
    }

    fn take(&mut self, page: Page) {
        let Page { records, next } = page;
        self.reading = None;
        self.drained = next.is_none();
        self.iterator = next;
        self.next_read = Instant::now();
        if records.is_empty() {
            self.next_read += self.mapping.settings().choices.poll_interval;
        }
        self.deal(records);
    }

    /// Drops what no filter pattern matches, and deals the rest to the lanes.
    fn deal(&mut self, records: Vec<SourceRecord>) {
        let read = records.len();
        let kept: Vec<SourceRecord> =
            records.into_iter().filter(|record| self.mapping.filters().pass(record.json())).collect();
        if read > 0 {
            let filtered = read - kept.len();
            self.mapping.note(Progress::Read { shard: Arc::clone(&self.shard), records: read, filtered });
            self.mapping.note_active();
        }
        let at = Instant::now();
        // A batch that waits to become full is no idleness.
        self.mapping.note_job(kept.len() as i64);
        for record in kept {
            let lane = self.lane_of(&record);
            self.lanes[lane].push(Arrived { record, at });
        }
    }

    /// A record without readable keys goes to the first lane.
    fn lane_of(&mut self, record: &SourceRecord) -> usize {
        let (Some(item), lanes @ 2..) = (record.item(), self.lanes.len()) else { return 0 };
        match self.mapping.settings().choices.sub_batches {
            SubBatches::Hashed => (item % lanes as u64) as usize,
            SubBatches::Scrambled => {
                let dealt = || (self.mapping.with_random(|random| random.usize(..lanes)), 0);
                let (lane, count) = self.items.entry(item).or_insert_with(dealt);
                *count += 1;
                *lane
            }
        }
    }

    fn start_jobs(&mut self) {
        let now = time_of_day();
        for index in 0..self.lanes.len() {
            let lane = &mut self.lanes[index];
            let Some(job) = lane.next_job(self.mapping.settings(), now, self.drained) else { continue };
            if let Job::Batch(records) = &job {
                self.mapping.note_job(-(records.len() as i64));
                self.under_way[index] = records.iter().filter_map(|arrived| arrived.record.item()).collect();
            }
            let delivery = Delivery {
                mapping: self.mapping,
                shard: Arc::clone(&self.shard),
                stop: self.stop.clone(),
                window: lane.window.take(),
            };
            self.mapping.note_job(1);
            self.jobs.push(async move { (index, delivery.carry_out(job).await) }.boxed());
        }
    }

    fn carried(&mut self, index: usize, window: Option<OpenWindow>) {
        self.mapping.note_job(-1);
        self.mapping.note_active();
        self.lanes[index].busy = false;
        self.lanes[index].window = window;
        for item in self.under_way[index].drain(..) {
            if let Some((_, count)) = self.items.get_mut(&item) {
                *count -= 1;
                if *count == 0 {
                    self.items.remove(&item);
                }
            }
        }
    }

    /// When a lane's batching or tumbling window ends.
    fn wake(&self) -> Option<tokio::time::Sleep> {
        if self.stopped {
            return None;
        }
        let now = time_of_day();
        let settings = self.mapping.settings();
        self.lanes.iter().filter_map(|lane| lane.wakes_after(settings, now)).min().map(tokio::time::sleep)
    }
}
