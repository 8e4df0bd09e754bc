//! What a cancelled transaction says about its guards. The rows that DynamoDB returns decide, never the positions of its reasons.

use std::collections::HashMap;

use aws_sdk_dynamodb::error::SdkError;
use aws_sdk_dynamodb::operation::transact_write_items::TransactWriteItemsError;

use super::Guard;
use crate::change::StreamChange;
use crate::idempotency::StoreKey;
use crate::idempotency::dynamodb::{APPLIED, KEY, Row, read_number};
use crate::record::Record;

/// What the error of a transaction says about a change whose guard was in it.
///
/// Available with the feature `dynamodb`.
///
/// ```
/// use lambda_streams::{GuardOutcome, HandlerError};
///
/// fn answer(outcome: GuardOutcome) -> Result<(), HandlerError> {
///     match outcome {
///         GuardOutcome::Done => Ok(()),
///         GuardOutcome::Stale => Ok(()), // or tell somebody that the item has moved on
///         GuardOutcome::NotMine => Err("another action of the transaction has failed".into()),
///     }
/// }
/// # assert!(answer(GuardOutcome::Stale).is_ok());
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum GuardOutcome {
    /// The change was done before, together with its effect. Return `Ok`.
    Done,
    /// A newer change of its item was applied before; only [`Guard::newest`] leads to this. What this change would write is out of date.
    Stale,
    /// The guard did not cancel the transaction. Another action did, because a condition of the handler did not hold or another transaction
    /// conflicted, or the request failed in another way. `classify()` ([`AwsResultExt`](crate::AwsResultExt)) says whether another attempt may
    /// help: conflicts and throttling are retryable.
    NotMine,
}

impl Guard {
    /// What the error of a transaction says about a change whose guard, of either kind, was in it.
    ///
    /// ```
    /// use aws_sdk_dynamodb::error::SdkError;
    /// use aws_sdk_dynamodb::operation::transact_write_items::TransactWriteItemsError;
    /// use lambda_streams::{AwsResultExt, Guard, GuardOutcome, HandlerError, StreamChange};
    ///
    /// fn answer(
    ///     guard: &Guard,
    ///     change: &impl StreamChange,
    ///     error: SdkError<TransactWriteItemsError>,
    /// ) -> Result<(), HandlerError> {
    ///     match guard.outcome(&error, change) {
    ///         GuardOutcome::Done | GuardOutcome::Stale => Ok(()),
    ///         GuardOutcome::NotMine => Err(error).classify(),
    ///     }
    /// }
    /// ```
    ///
    /// The guard's own row decides, which DynamoDB returns with the error. Other reasons of the cancellation do not matter, because an effect and
    /// its guard were written together: if a condition of the handler did not hold either, the effect itself is the cause.
    ///
    /// Call this before `classify()`, which treats a transaction that only conditions have cancelled as a permanent failure.
    pub fn outcome(&self, error: &SdkError<TransactWriteItemsError>, change: &impl StreamChange) -> GuardOutcome {
        self.judge(&refusing_rows(error), change.record())
    }

    /// Removes from the changes of a bulk those that the error of their transaction says are done or stale. Returns how many these were.
    ///
    /// A bulk makes one transaction of all open changes, and repeats it without the settled ones. If nothing is settled, the transaction failed
    /// for another reason:
    ///
    /// ```
    /// use std::sync::Arc;
    ///
    /// use aws_sdk_dynamodb::Client;
    /// use aws_sdk_dynamodb::types::TransactWriteItem;
    /// use lambda_streams::{AwsResultExt, Change, Guard, HandlerError};
    /// # #[derive(serde::Deserialize)]
    /// # struct Order { cents: i64 }
    /// # fn add(changes: &[&Change<Order>]) -> TransactWriteItem { TransactWriteItem::builder().build() }
    ///
    /// async fn count((client, guard): &(Client, Guard), changes: Vec<Change<Order>>) -> Result<(), HandlerError> {
    ///     let mut open: Vec<_> = changes.iter().collect();
    ///     while !open.is_empty() {
    ///         let guards = open.iter().map(|change| guard.once(*change)).collect::<Result<Vec<_>, _>>()?;
    ///         let transaction = client.transact_write_items().set_transact_items(Some(guards)).transact_items(add(&open));
    ///         let Err(error) = transaction.send().await else { break };
    ///         if guard.drop_settled(&error, &mut open) == 0 {
    ///             return Err(error).classify();
    ///         }
    ///     }
    ///     Ok(())
    /// }
    /// ```
    pub fn drop_settled<C: StreamChange>(
        &self,
        error: &SdkError<TransactWriteItemsError>,
        open: &mut Vec<&C>,
    ) -> usize {
        let (rows, before) = (refusing_rows(error), open.len());
        open.retain(|change| self.judge(&rows, change.record()) == GuardOutcome::NotMine);
        before - open.len()
    }

    fn judge(&self, rows: &HashMap<&str, &Row>, record: &Record) -> GuardOutcome {
        let row = |key: Option<StoreKey>| rows.get(key?.as_str()).copied();
        if row(self.key_of_record(record)).is_some() {
            return GuardOutcome::Done;
        }
        let item = StoreKey::of_item(&self.consumer, record.reference()).ok().flatten();
        let applied = row(item).and_then(|row| read_number(row, APPLIED).ok().flatten());
        match (record.sequence_number(), applied) {
            (Some(number), Some(applied)) if applied.is_newer_than(number) => GuardOutcome::Stale,
            (Some(number), Some(applied)) if !number.is_newer_than(&applied) => GuardOutcome::Done,
            _ => GuardOutcome::NotMine,
        }
    }
}

/// The rows whose conditions did not hold, by their keys. DynamoDB returns no row with any other reason.
fn refusing_rows(error: &SdkError<TransactWriteItemsError>) -> HashMap<&str, &Row> {
    let Some(TransactWriteItemsError::TransactionCanceledException(cancelled)) = error.as_service_error() else {
        return HashMap::new();
    };
    let refused =
        cancelled.cancellation_reasons().iter().filter(|reason| reason.code() == Some("ConditionalCheckFailed"));
    let rows = refused.filter_map(|reason| reason.item());
    rows.filter_map(|row| Some((row.get(KEY)?.as_s().ok()?.as_str(), row))).collect()
}
