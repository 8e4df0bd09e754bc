//! DynamoDB Streams in AWS Lambda functions: typed handlers, order per item, retries, deadlines, dead letters with the
//! record inside, and a truthful partial batch response.
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
//! [`builder_from_env`](StreamProcessor::builder_from_env) takes the dead-letter queue and the settings from the function's
//! [environment](guide::environment). [`run`] writes logs and metrics, redrives dead letters that are put back, and replays what the program `lambda-streams`
//! [brings back](#ways-back).
//!
//! # Outcomes
//!
//! | what happened to a record | its outcome |
//! |---|---|
//! | its handler returned `Ok` | done |
//! | there is no handler for its kind, or the filter did not keep it, a later change [superseded](Bulk::latest_only) it in a bulk, or it is [done already](ProcessorBuilder::idempotency) | skipped: done |
//! | its handler failed, retryably (what `?` makes of any error, unless [`permanent_if`](ProcessorBuilder::permanent_if) knows better) | tried again in place; then reported, or a dead letter once it is older than [`give_up_after`](ProcessorBuilder::give_up_after) |
//! | its handler was not done after [`handler_timeout`](ProcessorBuilder::handler_timeout), where that is set | the same |
//! | its handler failed permanently or panicked, or did not decode what it looked for ([`DecodeError`] by `?`); the record is malformed or does not decode; the [`filter`](ProcessorBuilder::filter) could not tell | a dead letter |
//! | its handler still runs, or it had not begun, when the deadline nears | reported; if it had failed before in this invocation, as any failure |
//! | a record before it was reported | held back: reported with it |
//!
//! Without a dead-letter queue every failure is reported, and the log says so once, unless you do
//! ([`without_dead_letter_queue`](ProcessorBuilder::without_dead_letter_queue)). *Reported* means that Lambda delivers the stream again from the
//! earliest such record on, the **checkpoint**. Records after it that succeeded are remembered, and skipped when Lambda
//! redelivers them to the same execution environment. A new environment has no such memory, unless a
//! [store](ProcessorBuilder::idempotency) keeps it, so that **delivery is at least once**: make handlers idempotent ([`guide::idempotency`]).
//! [`Record::idempotency_key`] tells repetitions of a change, and
//! [`SequenceNumber::is_newer_than`] which of two changes of an item is the later one.
//!
//! # Ways back
//!
//! | what | where it is | what brings it back |
//! |---|---|---|
//! | a dead letter | the processor's own queue | `lambda-streams redrive`, or a mapping of the queue to the function: [`StreamProcessor::redrive`] |
//! | records that Lambda has discarded | the mapping's on-failure destination | `lambda-streams replay`: [`Origin::Replay`] |
//! | a stretch of the stream | the stream, for 24 hours | the same |
//! | items that were there before | the table | `lambda-streams backfill`: [`Origin::Backfill`] |
//!
//! The commands look at the function's answer, repeat what is not finished, and say what is left ([`ReplayReport`]). What comes back is late:
//! newer changes of the same items may have passed. [`guide::ways_back`] has an incident, the promises, and what to do about late records.
//!
//! # What a handler can be
//!
//! Small adapters go where a handler goes:
//!
//! | adapter | what it makes a handler of |
//! |---|---|
//! | [`with(state, f)`](with) | a function that takes its clients too: `async fn(Arc<Clients>, Insert<Order>)` |
//! | [`err_into(f)`](err_into) | a function with an error of its own |
//! | [`bulk(f)`](bulk) | a function that takes many changes at once: `async fn(Vec<Insert<Order>>)`, for sinks with bulk requests |
//! | [`when_changed(["status"], f)`](when_changed) | a handler that only matters if an attribute has changed |
//! | `bulk(with(state, f))` | both: `async fn(Arc<Clients>, Vec<Insert<Order>>)` |
//!
//! Conditions alone go around `bulk`: `when_changed(["status"], bulk(f))`. `with(state, bulk(f))` does not compile. A bulk handler says of each record whether it succeeded, and each
//! becomes what the table above says. What happens where a bulk fails as a whole is told at [`bulk`].
//!
//! A table with several types of items has handlers for each: [`ProcessorBuilder::entity`].
//!
//! # Two settings that must agree with what is deployed
//!
//! - The event source mapping must list `ReportBatchItemFailures`; if it does not, say so with
//!   [`report_batch_item_failures(false)`](ProcessorBuilder::report_batch_item_failures), or reported records are lost.
//! - The mapping's `MaximumRecordAgeInSeconds` must be above [`give_up_after`](ProcessorBuilder::give_up_after), and its
//!   `MaximumRetryAttempts` best left at −1: where they end, Lambda discards the failing record and everything after it in the batch.
//!
//! The event source mapping of a queue whose dead letters are redriven ([`StreamProcessor::redrive`]) needs `ReportBatchItemFailures` as
//! well.
//!
//! `panic = "abort"` in your release profile would turn a panic in one handler into the end of the process: leave it at
//! `unwind`.
//!
//! # What is checked when
//!
//! A record's envelope is read when its batch begins; its images when a handler takes it. Then the whole record must be
//! well-formed, also where the handler's type does not look. Of a record that no handler takes, the envelope alone is
//! checked. Unknown members are ignored everywhere.
//!
//! # When a handler does not compile
//!
//! | the compiler says | what helps |
//! |---|---|
//! | `async closure does not implement Fn because it captures state` | [`with`] gives a function what it works with |
//! | `lifetime may not live long enough` … `closure implements Fn` | the same: the future cannot borrow from the closure |
//! | `is expected to take 1 argument, but it takes 2 arguments` | the same; the invocation is in the change's [`context`](Record::context) |
//! | `future that resolves to Result<(), HandlerError>, but it resolves to` | return a [`HandlerError`], which `?` makes of any error, or wrap the function in [`err_into`] |
//! | `type annotations needed` | name the type of the closure's argument: <code>\|change: Insert&lt;Order&gt;\|</code> |
//! | `expected function signature fn(lambda_streams::Insert<_>) -> _` … `found function signature fn(Vec<` | a function of many changes goes into [`bulk`] |
//! | `expected function signature fn(lambda_streams::Insert<_>) -> _` | it is a handler of another kind of change |
//! | `Bulk<` … `is not a handler of` | the function in [`bulk`] takes a `Vec` of these changes, and answers as [`BulkAnswer`] says |
//! | `WhenChanged<` … `is not a handler of` | [`when_changed`] goes around handlers and bulks of [`Modify`] and [`Change`], and around nothing else |
//! | `future cannot be sent between threads safely` | drop what is not `Send`, such as an `Rc` or a lock's guard, before the next `await` |
//! | `Result<(), HandlerError> is not a future` | make the function `async` |
//! | `DeserializeOwned is not satisfied` | derive serde's `Deserialize` for the type of the items |
//! | `implementation of Deserialize is not general enough` | the type of the items owns its data: `String` for `&str` |
//!
//! # Test your handlers
//!
//! The module [`testing`] makes changes and events of your own items, so that a handler can be called alone, or a processor with all
//! of its settings, without AWS. Its docs are a cookbook.
//!
//! # Features
//!
//! | feature | default | what it brings |
//! |---|---|---|
//! | `sqs` | yes | `SqsDeadLetterQueue`, with the AWS SDK's SQS client |
//! | `emf` | yes | `Emf`: metrics in CloudWatch's embedded metric format; no further dependency |
//! | `logs` | yes | `Logs`: Lambda's JSON log lines, with `tracing-subscriber`'s registry |
//! | `dynamodb` | no | `DynamoDbIdempotencyStore` and `Guard`, with the AWS SDK's DynamoDB client |
//! | `aws-errors` | no | `AwsResultExt`: errors of the AWS SDK, classed as permanent or retryable |
//! | `otel` | no | batches as a part of their X-Ray traces, with `tracing-opentelemetry` |
//! | `serde_dynamo` | no | items as `serde_dynamo::Item`: `Record::new_item`, `old_item` and `key_item` |
//! | `aws-sdk-dynamodb` | no | the same as maps of the AWS SDK's `AttributeValue` |
//! | `aws_lambda_events` | no | `TryFrom` the records and events of `aws_lambda_events`, for functions that move over; `serde_dynamo` too |
//!
#![cfg_attr(
    all(feature = "emf", feature = "logs"),
    doc = "\n[`guide::operating`] says what metrics, logs and traces there are, and which to watch for which trouble."
)]
//!
#![cfg_attr(
    feature = "aws_lambda_events",
    doc = "\n[`guide::from_aws_lambda_events`] moves a function over, step by step."
)]
//!
//! [`guide::idempotency`] is about doing it once: what repeats, what each mechanism promises and costs, and recipes for sinks.
//!
//! [`guide::ways_back`] is about bringing back what stands outside the stream: dead letters, discarded batches, a stretch of the stream, older items.
//!
//! [`guide::local_development`] is about running it all on your laptop: the documented system in an AWS emulator, deployed and driven by hand.
//! The event source mapping that it uses is a crate of its own,
//! [`lambda-streams-local`](https://docs.rs/lambda-streams-local), and drives functions in any language.
//!
//! # Why isn't there …?
//!
//! - **aggregation over tumbling windows**: the state that Lambda hands in is answered unchanged, so that a windowed mapping
//!   works, but the crate has no part in it.
//! - **Kinesis, SQS and other sources**: their order, checkpoints and answers differ; an event of theirs is refused with an
//!   error that says what it is ([`PayloadKind`]), and so is one with records of several sources.
//! - **exactly once, whatever the sink**: neither the stream nor the mapping offers it. Into DynamoDB it is there, by a guard in the handler's
//!   own transaction; [`guide::idempotency`] has what holds for other sinks.
//! - **a task per record**: handlers run inside the invocation's own future, so that dropping it cancels them all, and
//!   nothing outlives an invocation. Work that needs a thread belongs on `tokio::task::spawn_blocking`.

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
