//! The memory after a checkpoint that is kept outside: one read when a batch begins, and one write when it ends before a record that is
//! done.
//!
//! Lambda resumes exactly at a checkpoint, so the row of a batch's first record has what is done after it. While that row is read, the
//! first record runs already: it is the checkpoint, and so not in the set. (Where the checkpoint has no number, the response names a record
//! before it that may be done. That one is repeated.)

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;
use tokio::time::{Instant, timeout, timeout_at};

use super::redelivery;
use crate::guard::Guarded;
use crate::idempotency::{CHECKPOINT_LIFE, CompletedRecords, Idempotency, IdempotencyStoreError, StoreKey};
use crate::outcome::BatchReport;
use crate::record::RecordRef;

/// The row that is being read.
pub(super) struct Recall<'a> {
    began: Instant,
    answer: Guarded<BoxFuture<'a, Result<Option<CompletedRecords>, IdempotencyStoreError>>>,
}

/// A call of the store that has ended.
pub(super) struct StoreCall<T> {
    pub(super) result: Result<T, IdempotencyStoreError>,
    pub(super) took: Duration,
}

impl<'a> Recall<'a> {
    /// Reads what is done after this record, the first of its batch; `None` if it cannot be the checkpoint of an earlier one.
    pub(super) fn begin(idempotency: &'a Idempotency, first: &RecordRef) -> Option<Self> {
        let Idempotency { consumer, store, budget, .. } = idempotency;
        let key = StoreKey::of_checkpoint(consumer, first.stream_arn()?, first.sequence_number()?);
        let answer = within(*budget, store.load(key));
        Some(Self { began: Instant::now(), answer: Guarded::new("idempotency store", answer) })
    }
}

impl Future for Recall<'_> {
    type Output = StoreCall<Option<CompletedRecords>>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let answer = ready!(self.answer.poll_unpin(context));
        let result = answer.unwrap_or_else(|panic| Err(IdempotencyStoreError::new(panic.to_string())));
        Poll::Ready(StoreCall { result, took: self.began.elapsed() })
    }
}

/// Keeps what is done after the checkpoint of a batch that has ended, unless nothing is, or the row says so already. It takes no longer than
/// the budget, and ends at this moment.
pub(super) async fn keep(
    idempotency: &Idempotency,
    report: &BatchReport,
    recalled: Option<CompletedRecords>,
    until: Option<Instant>,
) -> Option<StoreCall<()>> {
    let Idempotency { consumer, store, budget, .. } = idempotency;
    let checkpoint = report.resumes_at()?;
    let key = StoreKey::of_checkpoint(consumer, checkpoint.record.stream_arn()?, checkpoint.sequence_number()?);
    let mut completed = CompletedRecords::default();
    for entry in report.records().iter().skip(checkpoint.position).filter(|entry| entry.nameable) {
        if let Some(completion) = redelivery::completion(entry) {
            completed.insert(&entry.record, completion);
        }
    }
    let is_kept = checkpoint.position == 0 && recalled.as_ref() == Some(&completed);
    if completed.is_empty() || is_kept {
        return None;
    }
    let began = Instant::now();
    let expires = crate::clock::time_of_day() + CHECKPOINT_LIFE;
    let saving = Guarded::new("idempotency store", store.save(key, completed, expires));
    // Without a deadline, a budget that ends later than an `Instant` can hold has no end.
    let saved = match [until, began.checked_add(*budget)].into_iter().flatten().min() {
        Some(end) => timeout_at(end, saving).await,
        None => Ok(saving.await),
    };
    let result = match saved {
        Ok(Ok(result)) => result,
        Ok(Err(panic)) => Err(IdempotencyStoreError::new(panic.to_string())),
        Err(_) => Err(IdempotencyStoreError::new(TOO_LATE)),
    };
    Some(StoreCall { result, took: began.elapsed() })
}

const TOO_LATE: &str = "the store did not answer in time";

/// The store's answer, if it comes within the budget.
fn within<'a, T: Send + 'a>(
    budget: Duration,
    answer: BoxFuture<'a, Result<T, IdempotencyStoreError>>,
) -> BoxFuture<'a, Result<T, IdempotencyStoreError>> {
    Box::pin(async move { timeout(budget, answer).await.unwrap_or_else(|_| Err(IdempotencyStoreError::new(TOO_LATE))) })
}
