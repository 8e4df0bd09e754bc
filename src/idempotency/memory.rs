//! A store in memory, for tests.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use super::{CompletedRecords, IdempotencyStore, IdempotencyStoreError, Mark, StoreKey};

/// A store in memory, for tests; clones share their rows.
///
/// It outlives a processor, as a table outlives an execution environment: a test drops a processor and builds the next one on a clone. It
/// loses everything with the process, and is not for production. Rows never expire.
///
/// ```
/// use lambda_streams::testing::TestStream;
/// use lambda_streams::{Deadline, Idempotency, Insert, MemoryIdempotencyStore, Outcome, SkipReason, StreamProcessor};
/// use serde_json::json;
/// # #[derive(serde::Deserialize)]
/// # struct Order { id: String }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let store = MemoryIdempotencyStore::new();
/// // The first order always fails, the second succeeds.
/// let environment = || {
///     StreamProcessor::builder()
///         .on_insert(|change: Insert<Order>| async move {
///             if change.new.id == "a" { Err("no stock".into()) } else { Ok(()) }
///         })
///         .idempotency(Idempotency::new("orders", store.clone()))
///         .build()
/// };
/// let event = TestStream::new("orders", &["id"]).insert(json!({"id": {"S": "a"}})).insert(json!({"id": {"S": "b"}})).event()?;
///
/// let report = environment()?.process(event.clone(), Deadline::none()).await;
/// assert_eq!(report.outcomes(), [Outcome::Reported, Outcome::Succeeded]);
/// // Lambda delivers both again, here to another environment.
/// let report = environment()?.process(event, Deadline::none()).await;
/// assert_eq!(report.outcomes(), [Outcome::Reported, Outcome::Skipped(SkipReason::AlreadyDone)]);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Default)]
pub struct MemoryIdempotencyStore {
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    checkpoints: HashMap<StoreKey, CompletedRecords>,
    marks: HashMap<StoreKey, Mark>,
    beginnings: HashMap<StoreKey, SystemTime>,
    failures: usize,
}

impl MemoryIdempotencyStore {
    /// An empty store.
    pub fn new() -> Self {
        Self::default()
    }

    /// Fails the next `count` calls, then answers again. `usize::MAX` fails all of them, 0 none. A call that fails changes nothing.
    pub fn fail_next(&self, count: usize) {
        self.state().failures = count;
    }

    /// The marks of all items, in no particular order.
    pub fn marks(&self) -> Vec<(StoreKey, Mark)> {
        self.state().marks.iter().map(|(key, mark)| (key.clone(), *mark)).collect()
    }

    /// The number of checkpoints for which it keeps records.
    pub fn checkpoints(&self) -> usize {
        self.state().checkpoints.len()
    }

    fn call(&self) -> Result<MutexGuard<'_, State>, IdempotencyStoreError> {
        let mut state = self.state();
        if state.failures > 0 {
            state.failures -= usize::from(state.failures != usize::MAX);
            return Err(IdempotencyStoreError::new("the in-memory store was told to fail this call"));
        }
        Ok(state)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Every statement leaves the state consistent, so a panic between two of them does no harm.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl IdempotencyStore for MemoryIdempotencyStore {
    async fn load(&self, checkpoint: &StoreKey) -> Result<Option<CompletedRecords>, IdempotencyStoreError> {
        Ok(self.call()?.checkpoints.get(checkpoint).cloned())
    }

    async fn save(
        &self,
        checkpoint: &StoreKey,
        completed: &CompletedRecords,
        _expires: SystemTime,
    ) -> Result<(), IdempotencyStoreError> {
        self.call()?.checkpoints.insert(checkpoint.clone(), completed.clone());
        Ok(())
    }

    async fn marks(&self, items: &[StoreKey]) -> Vec<Result<Mark, IdempotencyStoreError>> {
        match self.call() {
            Ok(state) => items.iter().map(|item| Ok(state.marks.get(item).copied().unwrap_or_default())).collect(),
            Err(error) => {
                let message = error.to_string();
                items.iter().map(|_| Err(IdempotencyStoreError::new(message.clone()))).collect()
            }
        }
    }

    async fn raise(&self, item: &StoreKey, to: &Mark, _expires: SystemTime) -> Result<(), IdempotencyStoreError> {
        self.call()?.marks.entry(item.clone()).or_default().raise(to);
        Ok(())
    }

    async fn begin(&self, stream: &StoreKey, now: SystemTime) -> Result<SystemTime, IdempotencyStoreError> {
        Ok(*self.call()?.beginnings.entry(stream.clone()).or_insert(now))
    }
}

impl fmt::Debug for MemoryIdempotencyStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.state();
        f.debug_struct("MemoryIdempotencyStore")
            .field("checkpoints", &state.checkpoints.len())
            .field("marks", &state.marks.len())
            .field("failures", &state.failures)
            .finish_non_exhaustive()
    }
}
