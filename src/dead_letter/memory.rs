//! A dead-letter queue in memory, for tests.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::{DeadLetter, DeadLetterError, DeadLetterQueue};

/// A dead-letter queue in memory, for tests; clones share their letters.
///
/// It keeps every letter until the last clone is dropped, and loses them with the process: it is not for production.
///
/// ```
/// use lambda_streams::MemoryDeadLetterQueue;
///
/// let queue = MemoryDeadLetterQueue::new();
/// let given_to_the_processor = queue.clone();
/// queue.refuse_next(1); // to test a dead letter that is not accepted
/// assert!(queue.letters().is_empty());
/// ```
#[derive(Clone, Default)]
pub struct MemoryDeadLetterQueue {
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    letters: Vec<DeadLetter>,
    refusals: usize,
}

impl MemoryDeadLetterQueue {
    /// An empty queue.
    pub fn new() -> Self {
        Self::default()
    }

    /// The letters that were accepted so far, in order.
    ///
    /// ```
    /// use lambda_streams::testing::TestStream;
    /// use lambda_streams::{Deadline, HandlerError, MemoryDeadLetterQueue, Record, StreamProcessor};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), lambda_streams::Error> {
    /// let queue = MemoryDeadLetterQueue::new();
    /// let processor = StreamProcessor::builder()
    ///     .on_record(|_: Record| async { Err(HandlerError::permanent("no such customer")) })
    ///     .dead_letter_queue(queue.clone())
    ///     .build()?;
    /// let event = TestStream::new("orders", &["id"]).insert(serde_json::json!({"id": {"S": "a"}})).event()?;
    /// processor.process(event, Deadline::none()).await;
    /// assert_eq!(queue.letters()[0].error_message(), "no such customer");
    /// # Ok(())
    /// # }
    /// ```
    pub fn letters(&self) -> Vec<DeadLetter> {
        self.state().letters.clone()
    }

    /// Refuses the next `count` letters, then accepts letters again. `usize::MAX` refuses all of them, 0 none.
    pub fn refuse_next(&self, count: usize) {
        self.state().refusals = count;
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Every statement leaves the state consistent, so a panic between two of them does no harm.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl DeadLetterQueue for MemoryDeadLetterQueue {
    async fn send(&self, letters: &[DeadLetter]) -> Vec<Result<(), DeadLetterError>> {
        let mut state = self.state();
        let mut accept = |letter: &DeadLetter| {
            if state.refusals > 0 {
                state.refusals -= usize::from(state.refusals != usize::MAX);
                return Err(DeadLetterError::new("the in-memory queue was told to refuse this letter"));
            }
            state.letters.push(letter.clone());
            Ok(())
        };
        letters.iter().map(&mut accept).collect()
    }
}

impl fmt::Debug for MemoryDeadLetterQueue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.state();
        f.debug_struct("MemoryDeadLetterQueue")
            .field("letters", &state.letters.len())
            .field("refusals", &state.refusals)
            .finish()
    }
}
