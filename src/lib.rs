//! For AWS Lambda functions that consume DynamoDB Streams: typed handlers, order per item, retries, deadlines, and dead letters
//! that hold the whole record.
//!
//! ```no_run
//! use lambda_streams::{HandlerError, Insert, Modify, StreamProcessor};
//!
//! #[derive(serde::Deserialize)]
//! struct Order { id: String, status: String }
//!
//! async fn created(change: Insert<Order>) -> Result<(), HandlerError> {
//!     tracing::info!(order = change.new.id, status = change.new.status, "order created");
//!     Ok(())
//! }
//!
//! async fn changed(change: Modify<Order>) -> Result<(), HandlerError> {
//!     tracing::info!(order = change.new.id, status = change.new.status, "order changed");
//!     Ok(())
//! }
//!
//! #[tokio::main(flavor = "current_thread")]
//! async fn main() -> Result<(), lambda_runtime::Error> {
//!     let processor = StreamProcessor::builder_from_env()?
//!         .on_insert(created)
//!         .on_modify(changed)
//!         .build()?;
//!     lambda_streams::run(processor).await
//! }
//! ```
//!
//! That is a whole function. [`builder_from_env`](StreamProcessor::builder_from_env) takes the dead-letter queue and the settings from the
//! [environment](guide::environment). [`run`] writes logs and metrics, calls the handlers, and answers with the partial batch response.
//! [Getting started](guide::getting_started) builds, tests and runs one in ten minutes.
//!
//! # The guide
//!
//! | to … | read |
//! |---|---|
//! | write a function | [getting started](guide::getting_started), [clients](guide::clients), [single-table design](guide::single_table), [bulk sinks](guide::bulk_sinks), [testing](guide::testing) |
//! | make it reliable | [order](guide::order), [failures](guide::failures), [idempotency](guide::idempotency) |
//! | put it into production | [deploying](guide::deploying), [local development](guide::local_development), [operating](guide::operating), [performance](guide::performance) |
//! | bring records back | [ways back](guide::ways_back): dead letters, discarded batches, a stretch of the stream, older items |
//! | move a function over | [from `aws_lambda_events`](guide::from_aws_lambda_events), [from Powertools](guide::from_powertools) |
//! | look something up | [environment](guide::environment), [glossary](guide::glossary), [FAQ](guide::faq) |
//!
//! # What happens to a record
//!
//! ![A record's way: the event source mapping delivers a batch, the processor runs a lane for each item, and each record is done, a dead letter, or
//! reported and redelivered][record]
//!
//! | its handler … | outcome |
//! |---|---|
//! | returns `Ok` | done |
//! | does not exist for this kind of change, or the [`filter`](ProcessorBuilder::filter) drops the record | skipped, which counts as done |
//! | fails with a retryable error (`?` turns any error into one, except a [`DecodeError`]) | retried; then reported, or a dead letter once the record is older than [`give_up_after`](ProcessorBuilder::give_up_after) |
//! | fails with a permanent error or panics, or the record does not decode | a dead letter at once |
//! | still runs when the function's deadline nears | reported |
//!
//! *Reported* means that the function asks Lambda to redeliver the record. Its response names the earliest record that is not done, the
//! *checkpoint*, and Lambda redelivers that one and everything after it. The records of one item run in order. Records of different items run concurrently.
//! Without a dead-letter queue, every failure is reported. [`guide::failures`] has each case.
//!
//! **Delivery is at least once.** The processor remembers what succeeded after a checkpoint and skips it when Lambda redelivers it to the same
//! execution environment. A [store](ProcessorBuilder::idempotency) extends that memory to every environment, and
//! [`guide::idempotency`] makes effects happen once.
//!
//! # Handlers and adapters
//!
//! A handler is an `async` function of one change: [`Insert`], [`Modify`], [`Remove`], [`Change`] or the untyped [`Record`]. Adapters go where a
//! handler goes:
//!
//! | adapter | the function that it takes |
//! |---|---|
//! | [`with(state, f)`](with) | one that takes its clients too: `async fn(Arc<Clients>, Insert<Order>)` |
//! | [`err_into(f)`](err_into) | one with its own error type |
//! | [`when_changed(["status"], f)`](when_changed) | one to call only if one of these attributes has changed |
//! | [`bulk(f)`](bulk) | one that takes many changes at once: `async fn(Vec<Insert<Order>>)` |
//! | `bulk(with(state, f))` | both: `async fn(Arc<Clients>, Vec<Insert<Order>>)` |
//! | `when_changed(["status"], bulk(f))` | a bulk of the changes that matter |
//!
//! [`ProcessorBuilder::entity`] gives each type of item in a table its own handlers. The module [`testing`] makes changes and events for tests.
//! [When a handler does not compile](guide::faq#when-a-handler-does-not-compile) lists what the compiler says about mistakes, and what helps.
//!
//! # Settings that must agree with the deployment
//!
//! | deployed | in the code |
//! |---|---|
//! | the event source mapping lists `ReportBatchItemFailures` | nothing to set. Without it, set [`report_batch_item_failures(false)`](ProcessorBuilder::report_batch_item_failures), or reported records are lost |
//! | its `MaximumRecordAgeInSeconds` is above `give_up_after`, and its `MaximumRetryAttempts` is −1 | [`give_up_after`](ProcessorBuilder::give_up_after), 6 hours by default. Where the mapping's limits end first, Lambda discards the failing record and everything after it in the batch |
//! | the mapping of a queue that redrives dead letters lists `ReportBatchItemFailures` too | [`StreamProcessor::redrive`] |
//! | the release profile has `panic = "unwind"`, the default | with `abort`, a panic in one handler ends the process |
//!
//! # What is checked when
//!
//! A record's envelope is read when its batch begins, and its images, the item before and after the change, when a handler takes it. Then
//! the whole record must be well-formed, even the parts that the handler's type does not have. If no handler takes the record, only the
//! envelope is checked. Unknown members are ignored everywhere.
//!
//! # Features
//!
//! | feature | default | what it adds |
//! |---|---|---|
//! | `sqs` | yes | `SqsDeadLetterQueue`, with the AWS SDK's SQS client |
//! | `emf` | yes | `Emf`: metrics in CloudWatch's embedded metric format, without a further dependency |
//! | `logs` | yes | `Logs`: Lambda's JSON log lines, with `tracing-subscriber`'s registry |
//! | `dynamodb` | no | `DynamoDbIdempotencyStore` and `Guard`, with the AWS SDK's DynamoDB client |
//! | `aws-errors` | no | `AwsResultExt`: errors of the AWS SDK, classified as permanent or retryable |
//! | `otel` | no | each batch as a part of its X-Ray trace, with `tracing-opentelemetry` |
//! | `serde_dynamo` | no | items as `serde_dynamo::Item`: `Record::new_item`, `old_item` and `key_item` |
//! | `aws-sdk-dynamodb` | no | the same as maps of the AWS SDK's `AttributeValue` |
//! | `aws_lambda_events` | no | `TryFrom` the records and events of `aws_lambda_events`, for functions that migrate; includes `serde_dynamo` |
//!
//! # Related crates
//!
//! [`lambda-streams-local`](https://docs.rs/lambda-streams-local) is an event source mapping for your laptop, and the program `lambda-streams`, which
//! brings back dead letters and discarded batches. It works with functions in any language.
//!
#![doc = include_str!("docs/record.link")]
// docs.rs builds with nightly, whose rustdoc then marks what a feature adds. On stable, a line in the item's docs says it.
#![cfg_attr(docsrs, feature(doc_cfg))]

#[cfg(any(feature = "sqs", feature = "dynamodb"))]
mod aws;
mod change;
mod clock;
mod context;
mod dead_letter;
mod decode;
mod entity;
mod error;
mod event;
mod event_kind;
mod execute;
mod failure;
mod guard;
pub mod guide;
mod handler;
mod idempotency;
mod invocation;
mod json;
mod observe;
mod outcome;
mod payload_kind;
mod policy;
mod processor;
mod record;
mod redrive;
mod replay;
mod runtime;
pub mod testing;
mod variables;

pub use crate::change::{Change, Insert, Modify, Remove, StreamChange};
pub use crate::context::ChangeContext;
pub use crate::dead_letter::{
    DeadLetter, DeadLetterError, DeadLetterQueue, DeadLetterReadError, FileDeadLetterQueue, MemoryDeadLetterQueue,
};
#[cfg(feature = "sqs")]
pub use crate::dead_letter::{QueueUrlError, SqsDeadLetterQueue};
pub use crate::decode::{
    AttributeType, ChangedAttributes, DecodeError, Keys, Number, NumberError, from_image, from_keys, number,
};
pub use crate::entity::{Entity, EntityValue, Unmatched};
pub use crate::error::Error;
pub use crate::event::StreamEvent;
pub use crate::event_kind::EventKind;
pub use crate::failure::{ErrorKind, Failure};
#[cfg(feature = "aws-errors")]
pub use crate::handler::AwsResultExt;
pub use crate::handler::{
    Bulk, BulkAnswer, BulkFailures, EachChange, ErrInto, Handler, HandlerError, HandlerResultExt, LatestChange,
    Register, WhenChanged, bulk, err_into, when_changed, with,
};
pub use crate::idempotency::{
    CompletedRecords, Idempotency, IdempotencyStore, IdempotencyStoreError, Mark, Marks, MemoryIdempotencyStore,
    OnMarksUnavailable, Stale, StoreKey,
};
#[cfg(feature = "dynamodb")]
pub use crate::idempotency::{DynamoDbIdempotencyStore, Guard, GuardOutcome};
pub use crate::invocation::{Deadline, Invocation, Origin};
#[cfg(feature = "emf")]
pub use crate::observe::emf::{Emf, EmfBuilder};
#[cfg(feature = "logs")]
pub use crate::observe::log::{LogFormat, Logs};
pub use crate::outcome::{BatchReport, Counts, Outcome, RecordReport, SkipReason, StreamResponse};
pub use crate::payload_kind::PayloadKind;
pub use crate::policy::{AfterDeadLetter, FailurePolicy, KeyLanes, Lanes, RetryPolicy};
pub use crate::processor::{
    EntityHandlers, FilterAnswer, InvocationReport, InvocationResponse, ProcessorBuilder, ProcessorSettings,
    StreamProcessor,
};
pub use crate::record::{MalformedRecord, Record, SequenceNumber};
pub use crate::redrive::{DeadLetterEvent, RedriveReport};
pub use crate::replay::{ReplayReport, ReplayResponse};
pub use crate::runtime::{observe, run, runtime};

/// The README's example compiles.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
