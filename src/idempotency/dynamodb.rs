//! The store on Amazon DynamoDB: one table, whose partition key is the key of a row.
//!
//! Invariant: every write of a mark is conditional in the same request, so no number ever falls, whatever arrives when.

mod begin;
mod expression;
mod failure;
mod function;
mod marks;
mod memory;
mod raise;
mod row;
#[cfg(test)]
mod tests;

use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::time::SystemTime;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::error::{ProvideErrorMetadata, SdkError};

use self::function::Function;
use super::{CompletedRecords, Guard, IdempotencyStore, IdempotencyStoreError, Mark, StoreKey};
use crate::aws::{FunctionCredentials, REFUSED_CREDENTIALS, is_any};
use crate::error::Error;

pub(super) use self::expression::Expression;
pub(super) use self::function::table_of_environment;
pub(super) use self::row::{APPLIED, EXPIRES, GUARDED, GUARDED_AT, KEY, Row, millis, read_number, seconds, text};

/// An idempotency store in a table of Amazon DynamoDB.
///
/// Available with the feature `dynamodb`.
///
/// ```no_run
/// use lambda_streams::{DynamoDbIdempotencyStore, Idempotency, Record, StreamProcessor};
///
/// // The table is named by `LAMBDA_STREAMS_IDEMPOTENCY_TABLE`.
/// let store = DynamoDbIdempotencyStore::from_env()?;
/// let processor = StreamProcessor::builder()
///     .on_record(|record: Record| async { Ok(()) })
///     .idempotency(Idempotency::new("order-totals", store))
///     .build()?;
/// # Ok::<(), lambda_streams::Error>(())
/// ```
///
/// # The table
/// Its partition key is `key`, a string, and it has no sort key. Its attribute for
/// [time to live](https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/TTL.html) is `expires`. Consumers can share it, since
/// the key of each row begins with its consumer's name ([`StoreKey`]). No row has anything of an item.
///
/// | row | attributes | kept |
/// |---|---|---|
/// | `…#checkpoint#…` | `completed` (B): [`CompletedRecords::to_bytes`], 17 bytes a record | 25 hours |
/// | `…#item#…` | `passed` and `applied` (S): the numbers of its [`Mark`]; `passed_at` (N): when that change was made, in milliseconds since 1970; `guarded` and `guarded_at`: the same of a change that a [`Guard`] has passed | [`Marks::life`](crate::Marks::life) |
/// | `…#stream#…` | `began` (N): when the stream's marks began, in milliseconds since 1970 | always |
/// | `…#record#…` | nothing else: a [`Guard::once`] of this record | [`Guard::life`] |
///
/// All rows except a stream's have `expires` (N), in seconds since 1970. Sequence numbers are strings of 40 digits with leading zeros,
/// because DynamoDB's numbers hold only 38 digits. A row that has expired but is not deleted yet counts like any other.
///
/// # Permissions
/// The function's role needs `dynamodb:GetItem`, `dynamodb:BatchGetItem`, `dynamodb:PutItem` and `dynamodb:UpdateItem` on the table, and
/// no more. A transaction with a [`Guard`] needs `dynamodb:PutItem` and `dynamodb:UpdateItem` on it.
///
/// # Requests and cost
/// A batch reads its checkpoint by one eventually consistent `GetItem`: half a read unit for up to 4 KB. Marks are read by strongly consistent
/// `BatchGetItem`s of up to 100 items: one read unit each. Keys that DynamoDB leaves unprocessed are asked for again, after a random delay
/// of up to 25, 50, 100 ms and so on (exponential backoff with full jitter), at most eight times. A mark is raised by one conditional
/// `UpdateItem`, of one write unit; where only one of its numbers is newer, a second `UpdateItem` raises that one alone.
///
/// A set of completed records is kept in one row, which holds 400 KB: about 24,000 records. A batch has at most 10,000.
///
/// # Client
/// [`from_env`](Self::from_env) makes a client of the function's environment, without `aws-config`. It signs for the region that the
/// table's ARN names. If the table is given by its name, the region is `AWS_REGION`, or `AWS_DEFAULT_REGION` if that is not set.
///
/// Its requests go to DynamoDB's own endpoint in that region (that of the account, if an ARN names it). `AWS_ENDPOINT_URL_DYNAMODB`, or
/// `AWS_ENDPOINT_URL` if that is not set, names another endpoint; `AWS_IGNORE_CONFIGURED_ENDPOINT_URLS=true` disables both. Its credentials are
/// those that Lambda gives the function, in variables or by the endpoint of a function with SnapStart. It makes up to three attempts at a
/// request that is throttled or fails temporarily. The processor's [budget](crate::Idempotency::budget) ends them all. For profiles, assumed
/// roles and proxies, use [`new`](Self::new).
///
/// # Failures
/// Errors name the operation, the table, and the code and message of DynamoDB, and say what to do about a missing table or permission.
#[derive(Clone)]
pub struct DynamoDbIdempotencyStore {
    client: Client,
    table: Arc<str>,
    /// How errors name the table: with its endpoint where a variable names that.
    name: Arc<str>,
    /// Those that can be renewed: not those of a client that was given.
    credentials: Option<FunctionCredentials>,
}

impl DynamoDbIdempotencyStore {
    /// The store in this table, given by its name or its ARN and called by your own client.
    ///
    /// ```no_run
    /// use lambda_streams::DynamoDbIdempotencyStore;
    ///
    /// let config = aws_sdk_dynamodb::Config::builder().build(); // yours, for instance of `aws-config`
    /// let store = DynamoDbIdempotencyStore::new(aws_sdk_dynamodb::Client::from_conf(config), "idempotency");
    /// # let _ = store;
    /// ```
    pub fn new(client: Client, table: impl Into<String>) -> Self {
        let table: Arc<str> = table.into().into();
        Self { client, name: Arc::clone(&table), table, credentials: None }
    }

    /// The store in the table whose name or ARN is in the environment variable `LAMBDA_STREAMS_IDEMPOTENCY_TABLE`.
    ///
    /// # Errors
    /// If the variable is not set or does not name a table, if no region is known, or if a variable names an endpoint that is not a URL
    /// ([`Error::is_configuration`]).
    pub fn from_env() -> Result<Self, Error> {
        Function::of_process().store(&table_of_environment()?, None)
    }

    /// The store in the table that this value of the variable names.
    pub(crate) fn of_variable(table: &str) -> Result<Self, Error> {
        function::check_table(table)?;
        Function::of_process().store(table, None)
    }

    /// The [guards](Guard) of this consumer, for the transactions of its handlers. Their rows are in the same table. `consumer` is the name that
    /// the processor's [`Idempotency`](crate::Idempotency#the-consumer) has.
    ///
    /// ```no_run
    /// use lambda_streams::DynamoDbIdempotencyStore;
    ///
    /// let store = DynamoDbIdempotencyStore::from_env()?;
    /// let guard = store.guard("order-totals")?;
    /// # let _ = guard;
    /// # Ok::<(), lambda_streams::Error>(())
    /// ```
    ///
    /// # Errors
    /// If the name does not have 1 to 255 bytes, or has a control character ([`Error::is_configuration`]).
    pub fn guard(&self, consumer: impl Into<String>) -> Result<Guard, Error> {
        Guard::new(Arc::clone(&self.table), consumer.into())
    }

    /// Makes a request; once more where the credentials are refused, after they were read again.
    async fn ask<T, E, F>(&self, request: impl Fn() -> F) -> Result<T, SdkError<E>>
    where
        F: Future<Output = Result<T, SdkError<E>>>,
        E: ProvideErrorMetadata,
    {
        let answer = request().await;
        let is_refused = |error: &SdkError<E>| error.code().is_some_and(|code| is_any(code, &REFUSED_CREDENTIALS));
        match (&self.credentials, &answer) {
            (Some(credentials), Err(error)) if is_refused(error) => {
                credentials.forget();
                request().await
            }
            _ => answer,
        }
    }
}

impl IdempotencyStore for DynamoDbIdempotencyStore {
    async fn load(&self, checkpoint: &StoreKey) -> Result<Option<CompletedRecords>, IdempotencyStoreError> {
        self.load_completed(checkpoint).await.map_err(IdempotencyStoreError::new)
    }

    async fn save(
        &self,
        checkpoint: &StoreKey,
        completed: &CompletedRecords,
        expires: SystemTime,
    ) -> Result<(), IdempotencyStoreError> {
        self.save_completed(checkpoint, completed, expires).await.map_err(IdempotencyStoreError::new)
    }

    async fn marks(&self, items: &[StoreKey]) -> Vec<Result<Mark, IdempotencyStoreError>> {
        let marks = self.read_marks(items).await;
        marks.into_iter().map(|mark| mark.map_err(IdempotencyStoreError::new)).collect()
    }

    async fn raise(&self, item: &StoreKey, to: &Mark, expires: SystemTime) -> Result<(), IdempotencyStoreError> {
        self.raise_mark(item, to, expires).await.map_err(IdempotencyStoreError::new)
    }

    async fn begin(&self, stream: &StoreKey, now: SystemTime) -> Result<SystemTime, IdempotencyStoreError> {
        self.begin_stream(stream, now).await.map_err(IdempotencyStoreError::new)
    }
}

impl fmt::Debug for DynamoDbIdempotencyStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DynamoDbIdempotencyStore").field("table", &self.table).finish_non_exhaustive()
    }
}
