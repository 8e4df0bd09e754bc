//! Reads marks a stretch of records ahead of the executor: at most 100 records, and so at most 100 items, in one call of the store.

use std::collections::{HashMap, HashSet, VecDeque};
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::{Duration, SystemTime};

use futures::FutureExt;
use futures::future::{BoxFuture, join, join_all};
use tokio::time::{Instant, timeout};

use crate::clock::time_of_day;
use crate::event::Records;
use crate::execute::redelivery::Completed;
use crate::execute::settings::Settings;
use crate::guard::Guarded;
use crate::idempotency::{Idempotency, IdempotencyStoreError, Mark, Marks, Stale, StoreKey};
use crate::record::RecordRef;

/// How many records are read ahead: as many items as `BatchGetItem` takes in one call.
const STRETCH: usize = 100;

/// Reads the marks of a batch's items.
pub(in crate::execute) struct MarkReader<'a> {
    settings: &'a Settings,
    idempotency: &'a Idempotency,
    needs_beginning: bool,
    /// Records that were read from the payload, and whose marks were not asked for yet.
    buffer: VecDeque<RecordRef>,
    /// The records whose marks are being read.
    asked: Vec<RecordRef>,
    read: Option<Call<'a>>,
    /// Records whose marks are known, or known to be unknown.
    ready: Vec<RecordRef>,
    /// Whether the store has failed to answer in time, so it is not asked again.
    has_failed: bool,
    /// Whether no further record starts, so marks are of no use.
    is_given_up: bool,
    /// Records that cannot have a mark, since the last report of them.
    unmarkable: usize,
}

/// Answers of the store.
pub(in crate::execute) struct MarkRead {
    /// The key of each record's item.
    pub(super) keys: Vec<Option<StoreKey>>,
    pub(super) marks: HashMap<StoreKey, Mark>,
    /// How long the call took; `None` if none was needed.
    pub(in crate::execute) took: Option<Duration>,
    pub(in crate::execute) failure: Option<IdempotencyStoreError>,
    /// How many records have no mark, although one would be kept for them.
    pub(in crate::execute) unmarkable: usize,
}

type Answers = (Vec<Result<Mark, IdempotencyStoreError>>, Vec<(Arc<str>, Result<SystemTime, IdempotencyStoreError>)>);

/// A call of the store.
struct Call<'a> {
    began: Instant,
    keys: Vec<Option<StoreKey>>,
    asked: Vec<StoreKey>,
    /// `None` once the time is over. A stretch without marks has no call.
    answers: Option<Guarded<BoxFuture<'a, Option<Answers>>>>,
}

impl<'a> MarkReader<'a> {
    pub(super) fn new(settings: &'a Settings, idempotency: &'a Idempotency, marks: Marks, from_stream: bool) -> Self {
        Self {
            settings,
            idempotency,
            needs_beginning: from_stream || marks.stale == Stale::Skip,
            buffer: VecDeque::new(),
            asked: Vec::new(),
            read: None,
            ready: Vec::new(),
            has_failed: false,
            is_given_up: false,
            unmarkable: 0,
        }
    }

    /// Whether there are records that were taken from the payload and not handed on.
    pub(in crate::execute) fn has_records(&self) -> bool {
        !(self.buffer.is_empty() && self.asked.is_empty() && self.ready.is_empty())
    }

    /// Whether marks are being read.
    pub(in crate::execute) fn is_reading(&self) -> bool {
        self.read.is_some()
    }

    /// Whether the next record can be handed on.
    pub(in crate::execute) fn is_readable(&self) -> bool {
        self.is_given_up || !self.ready.is_empty()
    }

    /// The first record of the batch, asked before any other call.
    pub(in crate::execute) fn first(&mut self, unread: &mut Records<'_>) -> (Option<&RecordRef>, usize) {
        if self.buffer.is_empty() && unread.has_next() {
            self.buffer.extend(unread.next());
        }
        (self.buffer.front(), self.buffer.len())
    }

    /// The next records to be handed on, whose marks are known; `None` if they come from the payload, because marks are no longer read.
    pub(in crate::execute) fn take(&mut self) -> Option<Vec<RecordRef>> {
        (!self.is_given_up || self.has_records()).then(|| std::mem::take(&mut self.ready))
    }

    /// Reads no more marks, and hands all records on without.
    pub(in crate::execute) fn give_up(&mut self) {
        self.is_given_up = true;
        self.read = None;
        self.ready.append(&mut self.asked);
        self.ready.extend(self.buffer.drain(..));
    }

    /// Whether marks of a record that was made then are still kept, and were from the beginning.
    pub(super) fn is_memorable(&self, record: &RecordRef, life: Duration, now: SystemTime) -> bool {
        let (Some(created_at), Some(stream)) = (record.created_at(), record.stream_arn()) else { return false };
        let is_kept = created_at.checked_add(life).is_some_and(|expires| expires > now);
        is_kept && self.idempotency.beginning(stream).is_some_and(|began| began <= created_at)
    }

    /// Begins to read the marks of the next stretch, unless one is being read or waits to be handed on.
    pub(in crate::execute) fn begin(&mut self, unread: &mut Records<'_>, completed: Option<&Completed>, now: Instant) {
        if self.is_reading() || self.is_readable() {
            return;
        }
        while self.buffer.len() < STRETCH && unread.has_next() {
            self.buffer.extend(unread.next());
        }
        if self.buffer.is_empty() {
            return;
        }
        let count = self.buffer.len().min(STRETCH);
        let records: Vec<RecordRef> = self.buffer.drain(..count).collect();
        let keys: Vec<Option<StoreKey>> = records.iter().map(|record| self.key(record, completed, now)).collect();
        self.asked = records;
        let mut seen = HashSet::new();
        let asked: Vec<StoreKey> = keys.iter().flatten().filter(|key| seen.insert(*key)).cloned().collect();
        let answers = (!asked.is_empty() && !self.has_failed).then(|| self.ask(asked.clone()));
        self.read = Some(Call { began: Instant::now(), keys, asked, answers });
    }

    /// Asks the store for these marks, and for the beginnings of streams that this environment does not know.
    fn ask(&self, asked: Vec<StoreKey>) -> Guarded<BoxFuture<'a, Option<Answers>>> {
        let Idempotency { consumer, store, budget, .. } = self.idempotency;
        let mut streams: Vec<Arc<str>> = Vec::new();
        for stream in self.asked.iter().filter_map(RecordRef::stream_arn).filter(|_| self.needs_beginning) {
            if self.idempotency.beginning(stream).is_none() && !streams.iter().any(|known| &**known == stream) {
                streams.push(stream.into());
            }
        }
        let begin = move |stream: Arc<str>| {
            let key = StoreKey::of_stream(consumer, &stream);
            async move {
                let began = store.begin(key, time_of_day()).await;
                (stream, began)
            }
        };
        let answers = join(store.marks(asked), join_all(streams.into_iter().map(begin)));
        Guarded::new("idempotency store", Box::pin(async move { timeout(*budget, answers).await.ok() }))
    }

    /// The key of the record's item, if its mark is of interest: a handler may take it, and this environment does not know it as done.
    fn key(&mut self, record: &RecordRef, completed: Option<&Completed>, now: Instant) -> Option<StoreKey> {
        let kind = record.kind().filter(|_| record.malformed().is_none())?;
        let is_completed = || completed.is_some_and(|completed| completed.find(record, true, now).is_some());
        if !self.settings.routes.takes(kind) || is_completed() {
            return None;
        }
        let has_number = record.sequence_number().is_some();
        // A record whose keys cannot be read fails when it enters its lane.
        let key = StoreKey::of_item(&self.idempotency.consumer, record).ok()?.filter(|_| has_number);
        self.unmarkable += usize::from(key.is_none() && !record.is_backfilled());
        key
    }

    /// Ready once the marks of the stretch are known, or known to be unknown; pending if none is being read.
    pub(in crate::execute) fn poll_read(&mut self, context: &mut Context<'_>) -> Poll<MarkRead> {
        let Some(call) = &mut self.read else { return Poll::Pending };
        let answers = ready!(Pin::new(call).poll(context));
        let Some(Call { began, keys, asked, answers: _ }) = self.read.take() else { return Poll::Pending };
        self.ready = std::mem::take(&mut self.asked);
        let unmarkable = std::mem::take(&mut self.unmarkable);
        let mut read = MarkRead { keys, marks: HashMap::new(), took: None, failure: None, unmarkable };
        match answers {
            Answered::NotAsked => {}
            Answered::Failed(error) => {
                self.has_failed = true;
                read.took = Some(began.elapsed());
                read.failure = Some(error);
            }
            Answered::With((marks, beginnings)) => {
                read.took = Some(began.elapsed());
                self.take_answers(&mut read, asked, marks, beginnings);
            }
        }
        Poll::Ready(read)
    }

    fn take_answers(
        &mut self,
        read: &mut MarkRead,
        asked: Vec<StoreKey>,
        marks: Vec<Result<Mark, IdempotencyStoreError>>,
        beginnings: Vec<(Arc<str>, Result<SystemTime, IdempotencyStoreError>)>,
    ) {
        let mut marks = marks.into_iter();
        for key in asked {
            let no_answer = || Err(IdempotencyStoreError::new("the store did not answer for this item"));
            match marks.next().unwrap_or_else(no_answer) {
                Ok(mark) => _ = read.marks.insert(key, mark),
                Err(error) => _ = read.failure.get_or_insert(error),
            }
        }
        self.has_failed = read.marks.is_empty();
        for (stream, began) in beginnings {
            match began {
                Ok(began) => self.idempotency.note_beginning(stream, began),
                Err(error) => _ = read.failure.get_or_insert(error),
            }
        }
    }
}

/// How a call has ended.
enum Answered {
    NotAsked,
    Failed(IdempotencyStoreError),
    With(Answers),
}

impl Future for Call<'_> {
    type Output = Answered;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Answered> {
        let Some(answers) = &mut self.answers else { return Poll::Ready(Answered::NotAsked) };
        Poll::Ready(match ready!(answers.poll_unpin(context)) {
            Ok(Some(answers)) => Answered::With(answers),
            Ok(None) => Answered::Failed(IdempotencyStoreError::new("the store did not answer in time")),
            Err(panic) => Answered::Failed(IdempotencyStoreError::new(panic.to_string())),
        })
    }
}
