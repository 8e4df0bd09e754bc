//! Guards: actions for a handler's own DynamoDB transaction, so its effect and the note that it is done are one.
//!
//! Invariant: a guard is a function of its record and of where that comes from, never of the time, so the same request made again is
//! the same request. No guard has a condition on `passed`, which a dead letter moves: its redrive would be lost.

mod outcome;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use aws_sdk_dynamodb::types::{Put, ReturnValuesOnConditionCheckFailure, TransactWriteItem, Update};

pub use self::outcome::GuardOutcome;

use super::StoreKey;
use super::dynamodb::{
    APPLIED, EXPIRES, Expression, GUARDED, GUARDED_AT, KEY, millis, seconds, table_of_environment, text,
};
use super::settings::{MARK_LIFE, consumer_fault};
use crate::change::StreamChange;
use crate::error::Error;
use crate::handler::HandlerError;
use crate::record::{Record, SequenceNumber};
use crate::variables::IDEMPOTENCY_CONSUMER;

/// Guards for DynamoDB transactions, so the effect of a change and the note that it is done are written together or not at all.
///
/// Available with the feature `dynamodb`.
///
/// A guard is one more action in the `TransactWriteItems` that a handler makes anyway. If the change was done before, the guard's condition does
/// not hold, DynamoDB cancels the transaction, and [`outcome`](Self::outcome) says so. Then the effect happens **exactly once**,
/// whatever is delivered again: after a crash, a timeout, in two execution environments at once, or from the dead-letter queue.
///
/// There are two kinds:
///
/// | | [`newest`](Self::newest) | [`once`](Self::once) |
/// |---|---|---|
/// | is for | projections: copies, indexes, the latest state | sums, counters, appended rows |
/// | its condition | the change is newer than what was applied of its item | this change was not done |
/// | an older change that comes late | is [stale](GuardOutcome::Stale), and has no effect | has its effect |
/// | its row | the mark of the item, which the processor's [`Marks`](crate::Marks) use too | one for each change |
/// | in a bulk | of the last change of each item only | of each change |
/// | order | as the stream's, item by item | any, also [`Lanes::Unordered`](crate::Lanes::Unordered) |
///
/// ```
/// use aws_sdk_dynamodb::Client;
/// use aws_sdk_dynamodb::types::TransactWriteItem;
/// use lambda_streams::{AwsResultExt, Guard, GuardOutcome, HandlerError, Modify};
/// # #[derive(serde::Deserialize)]
/// # struct Order { id: String }
/// # fn projection(order: &Order) -> TransactWriteItem { TransactWriteItem::builder().build() }
///
/// async fn project(client: &Client, guard: &Guard, change: Modify<Order>) -> Result<(), HandlerError> {
///     let transaction = client.transact_write_items();
///     let transaction = transaction.transact_items(guard.newest(&change)?).transact_items(projection(&change.new));
///     let Err(error) = transaction.send().await else { return Ok(()) };
///     match guard.outcome(&error, &change) {
///         GuardOutcome::Done | GuardOutcome::Stale => Ok(()),
///         GuardOutcome::NotMine => Err(error).classify(),
///     }
/// }
/// ```
///
/// # Conditions
/// The table of the guards ([`DynamoDbIdempotencyStore`](crate::DynamoDbIdempotencyStore#the-table)) is in the account and region of the
/// handler's own. A guard is one of the 100 actions of a transaction. The function's role needs `dynamodb:UpdateItem` for `newest` and
/// `dynamodb:PutItem` for `once`. Transactional writes cost twice: two write units for a guard.
///
/// # What it promises
/// It is exact as long as the row lives: [`life`](Self::life) from the time when the change was made, which is longer than anything
/// takes to come back.
///
/// # `ClientRequestToken`
/// A guard needs none. If you set one, make it of the event id **and** the [origin](crate::ChangeContext::origin): the guard of a
/// change from the stream notes this, so the same change has another guard when it is redriven, and DynamoDB refuses another
/// request under the same token for ten minutes (`IdempotentParameterMismatchException`). With `once` alone the event id is enough.
#[derive(Debug, Clone)]
pub struct Guard {
    table: Arc<str>,
    consumer: Arc<str>,
    life: Duration,
}

impl Guard {
    /// The guards whose table and consumer are in the environment variables `LAMBDA_STREAMS_IDEMPOTENCY_TABLE` and
    /// `LAMBDA_STREAMS_CONSUMER`. A processor from [`builder_from_env`](crate::StreamProcessor::builder_from_env) uses the same.
    ///
    /// # Errors
    /// If one is not set, or its value is not valid ([`Error::is_configuration`]).
    pub fn from_env() -> Result<Self, Error> {
        let consumer = std::env::var(IDEMPOTENCY_CONSUMER).map_err(|_| {
            Error::configuration(format!(
                "the environment variable `{IDEMPOTENCY_CONSUMER}` is not set: set it to the name of what processes the stream, such as `order-totals`"
            ))
        })?;
        Self::new(table_of_environment()?.into(), consumer)
    }

    pub(super) fn new(table: Arc<str>, consumer: String) -> Result<Self, Error> {
        match consumer_fault(&consumer) {
            Some(fault) => Err(Error::configuration(format!("the consumer's name of a `Guard` {fault}"))),
            None => Ok(Self { table, consumer: consumer.into(), life: MARK_LIFE }),
        }
    }

    /// How long the row of a guard is kept after its change was made. Default: 16 days.
    ///
    /// It must be longer than any record can take to return: SQS keeps a message for up to 14 days, and the stream keeps a record for one day.
    /// It should be that of the processor's marks ([`Marks::life`](crate::Marks::life)).
    pub fn life(mut self, life: Duration) -> Self {
        self.life = life;
        self
    }

    /// A guard whose condition is that the change is newer than everything that was applied of its item. It is an update of the item's mark.
    ///
    /// If a handler that asked for this guard returns `Ok`, the processor does not move the item's mark itself.
    ///
    /// Two actions of a transaction must not be on the same row. So a bulk takes only the guard of an item's last change, and writes the state
    /// after that change ([`latest_only`](crate::Bulk::latest_only) hands over no other).
    ///
    /// The row is kept for [`life`](Self::life), counted from the time when the change was made. If the record does not say when that was, the
    /// row is kept until a later change of its item says so.
    ///
    /// # Errors
    /// A permanent error, if the record has no sequence number, does not name its stream, or has keys that cannot be read. Every record of a
    /// stream has all of them. A record of a [backfill](crate::Origin::Backfill) has no sequence number, so nothing says whether it is newer.
    /// Its handler takes [`once`](Self::once), or writes the item on the condition that it does not exist yet.
    pub fn newest(&self, change: &impl StreamChange) -> Result<TransactWriteItem, HandlerError> {
        let record = change.record();
        let number = number(record)?;
        let key = StoreKey::of_item(&self.consumer, record.reference())
            .map_err(HandlerError::permanent)?
            .ok_or_else(|| unguardable("it does not name its stream (`eventSourceARN`)"))?;
        let padded = text(&number.to_padded());
        let mut expression = Expression::default();
        expression.raise(APPLIED, padded.clone());
        expression.set_or_remove(EXPIRES, self.expires(record).map(seconds));
        if record.context().origin().is_stream() {
            // The processor reads both `passed` and this; it is written without a condition of its own, because it is at most `applied`'s.
            expression.set(GUARDED, padded);
            expression.set_or_remove(GUARDED_AT, record.created_at().map(millis));
        }
        let update = Update::builder()
            .table_name(&*self.table)
            .key(KEY, text(key.as_str()))
            .update_expression(expression.update())
            .set_condition_expression(expression.condition())
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
            .set_expression_attribute_names(Some(expression.names))
            .set_expression_attribute_values(Some(expression.values));
        let update = update.build().map_err(HandlerError::permanent)?;
        record.context().note_guard(number);
        Ok(TransactWriteItem::builder().update(update).build())
    }

    /// A guard whose condition is that this change was not done before. Each change has its own row.
    ///
    /// It holds in whatever order changes arrive. It does not touch the item's mark, which the processor moves if it has
    /// [`Marks`](crate::Marks). A bulk takes the guards of all its changes; [`drop_settled`](Self::drop_settled) says which of them are done
    /// already.
    ///
    /// The row is kept for [`life`](Self::life), counted from the time when the change was made. If the record does not say when that was, the
    /// row is kept indefinitely.
    ///
    /// In a [backfill](crate::Origin::Backfill), the guard is per item: while the row lives, no other backfill of the table has an effect on that
    /// item. To repeat a backfill on purpose, use a new consumer's name.
    ///
    /// # Errors
    /// A permanent error, if nothing identifies the record: it has neither an event id nor a stream's ARN with a sequence number. Every record of
    /// a stream has all of them.
    pub fn once(&self, change: &impl StreamChange) -> Result<TransactWriteItem, HandlerError> {
        let record = change.record();
        let key = self
            .key_of_record(record)
            .ok_or_else(|| unguardable("it has no event id (`eventID`), and no stream's ARN with a sequence number"))?;
        let put = Put::builder()
            .table_name(&*self.table)
            .item(KEY, text(key.as_str()))
            .condition_expression("attribute_not_exists(#key)")
            .expression_attribute_names("#key", KEY)
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld);
        let put = match self.expires(record) {
            Some(expires) => put.item(EXPIRES, seconds(expires)),
            None => put,
        };
        let put = put.build().map_err(HandlerError::permanent)?;
        Ok(TransactWriteItem::builder().put(put).build())
    }

    /// When the row of a record's guard expires: by the time that the record has, so it is the same whenever the guard is made.
    fn expires(&self, record: &Record) -> Option<SystemTime> {
        record.created_at()?.checked_add(self.life)
    }

    /// `None` for a record that only its text distinguishes from others: an attacker can make two strings with the same hash.
    fn key_of_record(&self, record: &Record) -> Option<StoreKey> {
        let has_id = record.event_id().is_some_and(|id| !id.is_empty());
        let has_number = record.stream_arn().is_some() && record.sequence_number().is_some();
        (has_id || has_number).then(|| StoreKey::of_record(&self.consumer, record.reference()))
    }
}

fn number(record: &Record) -> Result<&SequenceNumber, HandlerError> {
    record.sequence_number().ok_or_else(|| {
        unguardable(if record.reference().is_backfilled() {
            "it is a backfill's, which has no sequence number that `Guard::newest` could compare: take `Guard::once`, or write the item \
             on the condition that it does not exist yet"
        } else {
            "it has no sequence number of 1 to 40 digits"
        })
    })
}

fn unguardable(why: &str) -> HandlerError {
    HandlerError::permanent(format!("the record cannot be guarded: {why}"))
}
