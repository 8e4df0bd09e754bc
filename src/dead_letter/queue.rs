//! The trait of a dead-letter queue, its error, and its type-erased form.

use std::error::Error as StdError;
use std::fmt;
use std::future::Future;
use std::sync::Arc;

use futures::future::BoxFuture;

use super::DeadLetter;
use crate::failure::{MAX_MESSAGE, bounded};
use crate::guard::{drop_guarded, guard};

/// A place for dead letters: Amazon SQS, a file, or your own.
///
/// ```
/// use lambda_streams::{DeadLetter, DeadLetterError, DeadLetterQueue};
///
/// /// Writes dead letters to standard error, one per line.
/// struct Stderr;
///
/// impl DeadLetterQueue for Stderr {
///     async fn send(&self, letters: &[DeadLetter]) -> Vec<Result<(), DeadLetterError>> {
///         letters.iter().map(|letter| Ok(eprintln!("{}", letter.to_json()))).collect()
///     }
/// }
/// ```
///
/// The processor calls [`send`](Self::send) with one to ten letters at a time, never with two of the same lane, and with several calls in
/// flight. A record is done only once the queue has *accepted* its letter.
///
/// # Accepted
/// `Ok` is a promise: the letter is kept where a crash of this function cannot lose it. Its record is then done, and Lambda will not deliver
/// it again. After anything else, an `Err`, a missing answer or a panic, the record is reported to Lambda, which redelivers it.
///
/// # Cancellation
/// Shortly before the deadline, the future is dropped at its current `await`. Its letters count as not accepted, even if some of them have
/// arrived.
///
/// # Idempotence
/// A letter can be sent more than once: after a cancellation, and after a response that was lost. [`DeadLetter::event_id`] identifies
/// repetitions.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a dead-letter queue",
    note = "`SqsDeadLetterQueue`, `FileDeadLetterQueue` and `MemoryDeadLetterQueue` are, and every type that implements `DeadLetterQueue`"
)]
pub trait DeadLetterQueue: Send + Sync + 'static {
    /// Sends dead letters; returns for each, in order, whether it was accepted.
    ///
    /// # Errors
    /// For each letter that the queue did not accept, the reason, which the processor logs.
    fn send(&self, letters: &[DeadLetter]) -> impl Future<Output = Vec<Result<(), DeadLetterError>>> + Send;
}

impl<Q: DeadLetterQueue> DeadLetterQueue for Arc<Q> {
    fn send(&self, letters: &[DeadLetter]) -> impl Future<Output = Vec<Result<(), DeadLetterError>>> + Send {
        (**self).send(letters)
    }
}

/// Why a queue did not accept a dead letter.
///
/// Its text is that of the error that it wraps, at most 4,096 bytes. The processor logs it: leave item data out.
///
/// ```
/// use lambda_streams::DeadLetterError;
///
/// let error = DeadLetterError::new("the bucket is gone");
/// assert_eq!(error.to_string(), "the bucket is gone");
/// ```
pub struct DeadLetterError {
    /// The source's own text, asked for once: what asks for it later is not the user's code.
    message: String,
    /// `None` only while it is dropped.
    source: Option<Box<dyn StdError + Send + Sync>>,
}

impl DeadLetterError {
    /// Wraps the reason: an error, or a text.
    pub fn new(source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        let source = source.into();
        let message = guard("dead-letter queue's error", || bounded(&source, MAX_MESSAGE));
        Self { message: message.unwrap_or_else(|panic| panic.to_string()), source: Some(source) }
    }
}

/// Its source may panic when it is dropped.
impl Drop for DeadLetterError {
    fn drop(&mut self) {
        drop_guarded(self.source.take());
    }
}

impl fmt::Debug for DeadLetterError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("DeadLetterError").field(&self.message).finish()
    }
}

impl fmt::Display for DeadLetterError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl StdError for DeadLetterError {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.source.as_ref()?.source()
    }
}

/// A queue with its type erased.
pub(crate) trait ErasedDeadLetterQueue: Send + Sync {
    fn send<'a>(&'a self, letters: &'a [DeadLetter]) -> BoxFuture<'a, Vec<Result<(), DeadLetterError>>>;
}

struct Erased<Q>(Q);

impl<Q: DeadLetterQueue> ErasedDeadLetterQueue for Erased<Q> {
    fn send<'a>(&'a self, letters: &'a [DeadLetter]) -> BoxFuture<'a, Vec<Result<(), DeadLetterError>>> {
        Box::pin(self.0.send(letters))
    }
}

pub(crate) fn erase(queue: impl DeadLetterQueue) -> Arc<dyn ErasedDeadLetterQueue> {
    Arc::new(Erased(queue))
}
