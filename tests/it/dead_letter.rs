//! The README's "Dead letters": a dead letter holds the whole record. Amazon SQS has a module of its own.

mod envelope;
mod queues;

use lambda_streams::{DeadLetter, DeadLetterError, FileDeadLetterQueue, MemoryDeadLetterQueue};

#[test]
fn letters_queues_and_errors_are_send_and_sync() {
    fn shared<T: Send + Sync + 'static>() {}
    shared::<DeadLetter>();
    shared::<DeadLetterError>();
    shared::<FileDeadLetterQueue>();
    shared::<MemoryDeadLetterQueue>();
    #[cfg(feature = "sqs")]
    shared::<lambda_streams::SqsDeadLetterQueue>();
}
