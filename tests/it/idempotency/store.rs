//! A store that a test can slow down, break and look into.

use std::future::{Future, pending};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use lambda_streams::{CompletedRecords, IdempotencyStore, IdempotencyStoreError, Mark, MemoryIdempotencyStore, StoreKey};

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
    calls: Arc<Mutex<Vec<&'static str>>>,
    /// When what was saved last expires.
    expires: Arc<Mutex<Option<SystemTime>>>,
}

impl TestStore {
    pub(super) fn answering(answer: Answer) -> Self {
        let store = Self::default();
        store.answer(answer);
        store
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

    async fn call<T>(&self, name: &'static str, answer: impl Future<Output = T>) -> Result<T, IdempotencyStoreError> {
        self.calls.lock().unwrap().push(name);
        let how = *self.answer.lock().unwrap();
        match how {
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
        match self.call("marks", IdempotencyStore::marks(&self.rows, items)).await {
            Ok(marks) => marks,
            Err(error) => items.iter().map(|_| Err(IdempotencyStoreError::new(error.to_string()))).collect(),
        }
    }

    async fn raise(&self, item: &StoreKey, to: &Mark, expires: SystemTime) -> Result<(), IdempotencyStoreError> {
        *self.expires.lock().unwrap() = Some(expires);
        self.call("raise", self.rows.raise(item, to, expires)).await?
    }

    async fn begin(&self, stream: &StoreKey, now: SystemTime) -> Result<SystemTime, IdempotencyStoreError> {
        self.call("begin", self.rows.begin(stream, now)).await?
    }
}
