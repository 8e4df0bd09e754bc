//! A store that a test can slow down, break and look into.

use std::future::{Future, pending};
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use lambda_streams::{
    CompletedRecords, IdempotencyStore, IdempotencyStoreError, Mark, MemoryIdempotencyStore, StoreKey,
};

/// How a [`TestStore`] answers.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) enum Answer {
    #[default]
    AtOnce,
    After(Duration),
    Never,
    Fail,
    Panic,
}

/// A store in memory that answers as it is told, and keeps the names of its calls.
#[derive(Clone, Default)]
pub(super) struct TestStore {
    pub(super) rows: MemoryIdempotencyStore,
    answer: Arc<Mutex<Answer>>,
    /// The only call that is answered like that, if it is set.
    only: Option<&'static str>,
    calls: Arc<Mutex<Vec<&'static str>>>,
    /// When what was saved last expires.
    expires: Arc<Mutex<Option<SystemTime>>>,
    /// How many marks each call asked for.
    asked: Arc<Mutex<Vec<usize>>>,
    /// How many marks are being raised, and the most that ever were.
    raising: Arc<(AtomicUsize, AtomicUsize)>,
    /// By how much marks begin before they are first asked for.
    begins_before: Arc<Mutex<Duration>>,
}

/// Counts a mark that is being raised.
struct Raising(Arc<(AtomicUsize, AtomicUsize)>);

impl Drop for Raising {
    fn drop(&mut self) {
        self.0.0.fetch_sub(1, SeqCst);
    }
}

impl TestStore {
    pub(super) fn answering(answer: Answer) -> Self {
        let store = Self::default();
        store.answer(answer);
        store
    }

    /// A store of which one call alone answers like this.
    pub(super) fn answering_to(call: &'static str, answer: Answer) -> Self {
        Self { only: Some(call), ..Self::answering(answer) }
    }

    pub(super) fn answer(&self, answer: Answer) {
        *self.answer.lock().unwrap() = answer;
    }

    /// The calls since this was asked last.
    pub(super) fn calls(&self) -> Vec<&'static str> {
        std::mem::take(&mut self.calls.lock().unwrap())
    }

    pub(super) fn expires(&self) -> Option<SystemTime> {
        *self.expires.lock().unwrap()
    }

    /// How many marks each call asked for, since this was asked last.
    pub(super) fn asked(&self) -> Vec<usize> {
        std::mem::take(&mut self.asked.lock().unwrap())
    }

    pub(super) fn raising(&self) -> usize {
        self.raising.0.load(SeqCst)
    }

    pub(super) fn most_raising(&self) -> usize {
        self.raising.1.load(SeqCst)
    }

    pub(super) fn begins_before(&self, duration: Duration) {
        *self.begins_before.lock().unwrap() = duration;
    }

    async fn call<T>(&self, name: &'static str, answer: impl Future<Output = T>) -> Result<T, IdempotencyStoreError> {
        self.calls.lock().unwrap().push(name);
        let how = *self.answer.lock().unwrap();
        match how {
            _ if self.only.is_some_and(|only| only != name) => {}
            Answer::AtOnce => {}
            Answer::After(delay) => tokio::time::sleep(delay).await,
            Answer::Never => pending().await,
            Answer::Fail => return Err(IdempotencyStoreError::new("the table is gone")),
            Answer::Panic => panic!("a bug in the store"),
        }
        Ok(answer.await)
    }
}

impl IdempotencyStore for TestStore {
    async fn load(&self, checkpoint: &StoreKey) -> Result<Option<CompletedRecords>, IdempotencyStoreError> {
        self.call("load", self.rows.load(checkpoint)).await?
    }

    async fn save(
        &self,
        checkpoint: &StoreKey,
        completed: &CompletedRecords,
        expires: SystemTime,
    ) -> Result<(), IdempotencyStoreError> {
        *self.expires.lock().unwrap() = Some(expires);
        self.call("save", self.rows.save(checkpoint, completed, expires)).await?
    }

    async fn marks(&self, items: &[StoreKey]) -> Vec<Result<Mark, IdempotencyStoreError>> {
        self.asked.lock().unwrap().push(items.len());
        match self.call("marks", IdempotencyStore::marks(&self.rows, items)).await {
            Ok(marks) => marks,
            Err(error) => items.iter().map(|_| Err(IdempotencyStoreError::new(error.to_string()))).collect(),
        }
    }

    async fn raise(&self, item: &StoreKey, to: &Mark, expires: SystemTime) -> Result<(), IdempotencyStoreError> {
        *self.expires.lock().unwrap() = Some(expires);
        let raising = self.raising.0.fetch_add(1, SeqCst) + 1;
        self.raising.1.fetch_max(raising, SeqCst);
        let _raising = Raising(Arc::clone(&self.raising));
        self.call("raise", self.rows.raise(item, to, expires)).await?
    }

    async fn begin(&self, stream: &StoreKey, now: SystemTime) -> Result<SystemTime, IdempotencyStoreError> {
        let began = now - *self.begins_before.lock().unwrap();
        self.call("begin", self.rows.begin(stream, began)).await?
    }
}
