//! What is done already, kept outside of the execution environment: the records after a checkpoint, and a high-water mark of each
//! item.
//!
//! Invariant: a record is only skipped if it was done, by the same consumer, before the store was read. Whatever the store loses, or
//! fails to answer, costs a repetition and never a record.

mod completed;
#[cfg(feature = "dynamodb")]
mod dynamodb;
#[cfg(feature = "dynamodb")]
mod guard;
mod key;
mod mark;
mod memory;
mod settings;
mod store;

pub use self::completed::CompletedRecords;
#[cfg(feature = "dynamodb")]
pub use self::dynamodb::DynamoDbIdempotencyStore;
#[cfg(feature = "dynamodb")]
pub use self::guard::{Guard, GuardOutcome};
pub use self::key::StoreKey;
pub use self::mark::Mark;
pub use self::memory::MemoryIdempotencyStore;
pub use self::settings::{Idempotency, Marks, OnMarksUnavailable, Stale};
pub use self::store::{IdempotencyStore, IdempotencyStoreError};

pub(crate) use self::completed::Completion;
pub(crate) use self::settings::CHECKPOINT_LIFE;
#[cfg(feature = "dynamodb")]
pub(crate) use self::settings::consumer_fault;
