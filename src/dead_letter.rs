//! Dead letters: records that the processor gives up on, whole, with the reason, and the queues that accept them.

mod envelope;
mod file;
mod letter;
mod memory;
mod queue;
#[cfg(feature = "sqs")]
mod sqs;

pub use self::envelope::DeadLetterReadError;
pub use self::file::FileDeadLetterQueue;
pub use self::letter::DeadLetter;
pub use self::memory::MemoryDeadLetterQueue;
pub use self::queue::{DeadLetterError, DeadLetterQueue};
#[cfg(feature = "sqs")]
pub use self::sqs::{QueueUrlError, SqsDeadLetterQueue};

pub(crate) use self::queue::{ErasedDeadLetterQueue, erase};
