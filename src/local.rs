//! A local event source mapping: a stream-triggered function on a laptop, with AWS's own settings and semantics.
//!
//! An [`EventSourceMapping`] reads a [`Source`] and invokes a [`Target`] with its batches, and does with the answers
//! what AWS does: bisects, retries, resumes at checkpoints, discards, tells the on-failure destination. Where AWS loses
//! data without a word, it warns.

mod answer;
mod bootstrap;
mod delivery;
#[cfg(feature = "local")]
mod deployed;
mod files;
mod filter;
mod lane;
mod lineage;
mod mapping;
mod memory;
mod on_failure;
mod processor;
mod progress;
mod run;
mod runtime_api;
mod settings;
mod shard;
mod source;
mod streams;
mod target;
mod verdict;
mod window;

pub use self::answer::Verdict;
pub use self::bootstrap::{Bootstrap, BootstrapBuilder, FunctionOutput};
#[cfg(feature = "local")]
pub use self::deployed::{DeployedFunction, DeployedMapping, DeployedOnFailure, from_deployed};
pub use self::files::RecordFiles;
pub use self::mapping::{EventSourceMapping, RunError};
pub use self::memory::MemorySource;
pub use self::on_failure::{
    Condition, FileOnFailure, MemoryOnFailure, OnFailureDestination, OnFailureDocument, OnFailureError,
};
pub use self::processor::ProcessorTarget;
pub use self::progress::{Progress, Summary, Warning, WarningKind};
pub use self::settings::{Choices, Discard, RecordAge, Settings, SettingsError, StartingPosition, SubBatches};
pub use self::source::{Page, Position, Shard, ShardIterator, Source, SourceError, SourceRecord};
pub use self::streams::DynamoDbStreams;
pub use self::target::{Answer, Target, TargetError};
