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
//! [`environment`]. [`run`] writes logs and metrics, and redrives dead letters that are put back.
//!
//! # Outcomes
//!
//! | what happened to a record | its outcome |
//! |---|---|
//! | its handler returned `Ok` | done |
//! | there is no handler for its kind, or the filter did not keep it | skipped: done |
//! | its handler failed, retryably (what `?` makes of any error, unless [`permanent_if`](ProcessorBuilder::permanent_if) knows better) | tried again in place; then reported, or a dead letter once it is older than [`give_up_after`](ProcessorBuilder::give_up_after) |
//! | its handler was not done after [`handler_timeout`](ProcessorBuilder::handler_timeout), where that is set | the same |
//! | its handler failed permanently or panicked, or did not decode what it looked for ([`DecodeError`] by `?`); the record is malformed or does not decode; the [`filter`](ProcessorBuilder::filter) could not tell | a dead letter |
//! | its handler still runs, or it had not begun, when the deadline nears | reported; if it had failed before in this invocation, as any failure |
//! | a record before it was reported | held back: reported with it |
//!
//! Without a dead-letter queue every failure is reported, and the log says so once, unless you do
//! ([`without_dead_letter_queue`](ProcessorBuilder::without_dead_letter_queue)). *Reported* means that Lambda delivers the stream again from the
//! earliest such record on, the **checkpoint**. Records after it that succeeded are remembered, and skipped when Lambda
//! redelivers them to the same execution environment. A new environment has no such memory, so that **delivery is at least
//! once**: make handlers idempotent.
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
//! # Test your handlers
//!
//! The module [`testing`] makes events by hand, and records turn into changes (`TryFrom`): handlers can be called alone, or
//! a processor with all of its settings, without AWS.
//!
//! # Features
//!
//! | feature | default | what it brings |
//! |---|---|---|
//! | `sqs` | yes | `SqsDeadLetterQueue`, with the AWS SDK's SQS client |
//! | `emf` | yes | `Emf`: metrics in CloudWatch's embedded metric format; no further dependency |
//! | `logs` | yes | `Logs`: Lambda's JSON log lines, with `tracing-subscriber`'s registry |
//! | `aws-errors` | no | `AwsResultExt`: errors of the AWS SDK, classed as permanent or retryable |
//! | `otel` | no | batches as a part of their X-Ray traces, with `tracing-opentelemetry` |
//!
#![cfg_attr(
    all(feature = "emf", feature = "logs"),
    doc = "\n[`operating`] says what metrics, logs and traces there are, and which to watch for which trouble."
)]
//!
//! [`laptop`] is about running it all on your laptop: the documented system in an AWS emulator, deployed and driven by hand.
//! The event source mapping that it uses is a crate of its own,
//! [`lambda-streams-local`](https://docs.rs/lambda-streams-local), and drives functions in any language.
//!
//! # Why isn't there …?
//!
//! - **aggregation over tumbling windows**: the state that Lambda hands in is answered unchanged, so that a windowed mapping
//!   works, but the crate has no part in it.
//! - **Kinesis, SQS and other sources**: their order, checkpoints and answers differ; an event of theirs is refused with an
//!   error that says what it is ([`PayloadKind`]).
//! - **exactly once**: neither the stream nor the mapping offers it.
//! - **a task per record**: handlers run inside the invocation's own future, so that dropping it cancels them all, and
//!   nothing outlives an invocation. Work that needs a thread belongs on `tokio::task::spawn_blocking`.

mod change;
mod clock;
mod context;
mod dead_letter;
mod decode;
mod error;
mod event;
mod event_kind;
mod execute;
mod failure;
mod guard;
mod handler;
mod invocation;
mod json;
mod observe;
mod outcome;
mod payload_kind;
mod policy;
mod processor;
mod record;
mod redrive;
mod runtime;
pub mod testing;
mod variables;

#[cfg(all(feature = "emf", feature = "logs"))]
pub mod operating {
    // The page's picture as a link that shows on any host: the first definition of a link is the one that holds.
    #![doc = include_str!("docs/dashboard.link")]
    #![doc = "\n"]
    #![doc = include_str!("docs/operating.md")]
}

#[doc = include_str!("docs/environment.md")]
pub mod environment {}

#[doc = include_str!("docs/laptop.md")]
pub mod laptop {}

pub use crate::change::{Change, Insert, Modify, Remove};
pub use crate::context::ChangeContext;
pub use crate::dead_letter::{
    DeadLetter, DeadLetterError, DeadLetterQueue, DeadLetterReadError, FileDeadLetterQueue, MemoryDeadLetterQueue,
};
#[cfg(feature = "sqs")]
pub use crate::dead_letter::{QueueUrlError, SqsDeadLetterQueue};
pub use crate::decode::{
    AttributeType, ChangedAttributes, DecodeError, Keys, Number, NumberError, from_image, from_keys, number,
};
pub use crate::error::Error;
pub use crate::event::StreamEvent;
pub use crate::event_kind::EventKind;
pub use crate::failure::{ErrorKind, Failure};
#[cfg(feature = "aws-errors")]
pub use crate::handler::AwsResultExt;
pub use crate::handler::{ErrInto, Handler, HandlerError, HandlerResultExt, err_into, with};
pub use crate::invocation::{Deadline, Invocation, Origin};
#[cfg(feature = "emf")]
pub use crate::observe::emf::{Emf, EmfBuilder};
#[cfg(feature = "logs")]
pub use crate::observe::log::{LogFormat, Logs};
pub use crate::outcome::{BatchReport, Counts, Outcome, RecordReport, SkipReason, StreamResponse};
pub use crate::payload_kind::PayloadKind;
pub use crate::policy::{AfterDeadLetter, FailurePolicy, KeyLanes, Lanes, RetryPolicy};
pub use crate::processor::{
    FilterAnswer, InvocationReport, InvocationResponse, ProcessorBuilder, ProcessorSettings, StreamProcessor,
};
pub use crate::record::{MalformedRecord, Record, SequenceNumber};
pub use crate::redrive::{DeadLetterEvent, RedriveReport};
pub use crate::runtime::{observe, run, runtime};

/// The README's example compiles.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
