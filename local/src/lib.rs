//! An event source mapping for your laptop: it runs a stream-triggered Lambda function with AWS's own settings and
//! semantics.
//!
//! An [`EventSourceMapping`] reads records from a [`Source`] and invokes a [`Function`] with batches of them. After each
//! response it does what AWS does: it continues, retries, bisects, resumes at a checkpoint, or discards records and writes
//! to the on-failure destination. Where AWS loses records silently, it warns.
//!
//! ```
//! use lambda_streams::{Record, StreamProcessor};
//! use lambda_streams_local::{EventSourceMapping, ProcessorFunction, RecordFiles, Settings};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let mut files = RecordFiles::new();
//! files.add_items("orders.ndjson", r#"{"id": "a", "stock": 3} {"id": "a", "stock": 2}"#, &["id"])?;
//! let processor = StreamProcessor::builder().on_record(|record: Record| async move { Ok(()) }).build()?;
//!
//! let settings = Settings { report_batch_item_failures: true, ..Settings::default() };
//! let mapping = EventSourceMapping::new(settings, files.into_source()?, ProcessorFunction::new(processor))?;
//! let summary = mapping.run(std::future::pending()).await?;
//! assert_eq!((summary.read, summary.done), (2, 2));
//! # Ok(())
//! # }
//! ```
//!
//! | you have | use |
//! |---|---|
//! | a table's stream, on AWS or in an emulator | [`DynamoDbStreams`] |
//! | files of captured events, or of items | [`RecordFiles`] |
//! | records in a test | [`MemorySource`] |
//! | a processor in this process | [`ProcessorFunction`] |
//! | a function's program, in any language | [`Bootstrap`] |
#![cfg_attr(feature = "program", doc = "| a deployed function | [`DeployedFunction`] |")]
//!
//! The program `lambda-streams` is this library on the command line: `cargo install lambda-streams-local`. It needs the
//! feature `program`, which is on by default. Turn it off for tests that only need the library: they compile faster.

mod activity;
mod assignment;
mod batch_result;
mod bootstrap;
mod clock;
mod concurrent_batch;
mod context;
mod delivery;
#[cfg(feature = "program")]
mod deployed;
mod error;
mod evaluation;
mod event_text;
mod files;
mod filter;
mod function;
mod lineage;
mod mapping;
mod memory;
mod on_failure;
mod processor_function;
mod progress;
mod request_id;
mod run;
mod runtime_api;
mod settings;
mod shard;
mod source;
mod streams;
mod warning;
mod window;

pub use crate::batch_result::BatchResult;
pub use crate::bootstrap::{Bootstrap, BootstrapBuilder, FunctionOutput};
#[cfg(feature = "program")]
pub use crate::deployed::{
    CallError, CallResponse, DeployedFunction, DeployedMapping, DeployedOnFailure, SignedCall, Signer, from_deployed,
};
pub use crate::error::RunError;
pub use crate::evaluation::Evaluation;
pub use crate::event_text::event_in;
pub use crate::files::RecordFiles;
pub use crate::function::{Function, InvokeError, Response};
pub use crate::mapping::EventSourceMapping;
pub use crate::memory::MemorySource;
pub use crate::on_failure::{
    Condition, FileOnFailure, MemoryOnFailure, OnFailureDestination, OnFailureDocument, OnFailureError,
};
pub use crate::processor_function::ProcessorFunction;
pub use crate::progress::{Progress, Summary};
pub use crate::settings::{
    BatchAssignment, Discard, FinalInvocation, RecordAge, Settings, SettingsError, StartingPosition, Unspecified,
};
pub use crate::source::{Page, Position, Shard, ShardIterator, Source, SourceError, SourceRecord};
pub use crate::streams::DynamoDbStreams;
pub use crate::warning::{Warning, WarningKind};
