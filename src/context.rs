//! What a handler can ask about its call: how long it may take, which attempt it is, and where the record comes from.

use std::collections::HashSet;
use std::fmt;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::invocation::{Invocation, Origin};

/// What a handler can ask about its call: how much time it has, which attempt it is, and where the record comes from.
///
/// Every change has it: [`Record::context`](crate::Record::context), [`Insert::context`](crate::Insert::context) and so on. A record that no
/// processor handed over, such as one of [`testing`](crate::testing), has a default context: no deadline, the first and only attempt, and
/// the [origin](Self::origin) `Stream`.
///
/// ```
/// use lambda_streams::{HandlerError, Insert, Origin};
/// # #[derive(serde::Deserialize)]
/// # struct Order { id: String }
///
/// async fn created(change: Insert<Order>) -> Result<(), HandlerError> {
///     let context = change.context();
///     if context.origin() == Origin::Redrive {
///         tracing::info!(order = change.new.id, "the order was put back and may be older than what is known");
///     }
///     if context.attempt() == context.max_attempts() {
///         tracing::warn!(order = change.new.id, "this is the last attempt in this invocation");
///     }
///     Ok(())
/// }
/// ```
#[derive(Clone)]
pub struct ChangeContext {
    /// `None` where no processor handed the record over.
    attempt: Option<Attempt>,
}

#[derive(Clone)]
struct Attempt {
    batch: Arc<BatchContext>,
    began: Instant,
    number: u32,
    is_stale: bool,
}

/// What the contexts of a batch share.
#[derive(Clone)]
pub(crate) struct BatchContext {
    pub(crate) invocation: Arc<Invocation>,
    /// When the invocation stops.
    pub(crate) stop: Option<Instant>,
    pub(crate) handler_timeout: Option<Duration>,
    pub(crate) max_attempts: u32,
    pub(crate) guarded: Guarded,
}

/// The sequence numbers of the records whose marks are moved by transactions of their handlers, which were given guards for that. (Their
/// text: the module `record` is above this one.)
#[derive(Clone, Default)]
pub(crate) struct Guarded(Arc<Mutex<HashSet<String>>>);

impl Guarded {
    /// Whether a guard was given out for the record of this number.
    pub(crate) fn contains(&self, number: impl fmt::Display) -> bool {
        let numbers = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        !numbers.is_empty() && numbers.contains(&number.to_string())
    }

    #[cfg(feature = "dynamodb")]
    fn insert(&self, number: impl fmt::Display) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(number.to_string());
    }
}

impl ChangeContext {
    /// Of a record that no processor has handed over.
    pub(crate) const OUTSIDE: Self = Self { attempt: None };

    pub(crate) fn of_attempt(batch: &Arc<BatchContext>, began: Instant, number: u32, is_stale: bool) -> Self {
        Self { attempt: Some(Attempt { batch: Arc::clone(batch), began, number, is_stale }) }
    }

    /// The time at which the handler is dropped at the latest: the end of its [timeout], or the stop of the invocation before its deadline.
    /// `None` if nothing limits it.
    ///
    /// A lease that a handler takes elsewhere should last at least until then.
    ///
    /// [timeout]: crate::ProcessorBuilder::handler_timeout
    pub fn ends_at(&self) -> Option<Instant> {
        let Attempt { batch, began, .. } = self.attempt.as_ref()?;
        let timeout = batch.handler_timeout.and_then(|timeout| began.checked_add(timeout));
        [timeout, batch.stop].into_iter().flatten().min()
    }

    /// How much time the handler has until [`ends_at`](Self::ends_at): zero after that, and `None` if nothing limits it.
    ///
    /// ```
    /// use std::time::Duration;
    /// use lambda_streams::{HandlerError, Insert};
    /// # #[derive(serde::Deserialize)]
    /// # struct Order { id: String }
    ///
    /// async fn created(change: Insert<Order>) -> Result<(), HandlerError> {
    ///     let lease = change.context().time_left().unwrap_or(Duration::from_secs(60));
    ///     println!("locks order {} for {lease:?}", change.new.id);
    ///     Ok(())
    /// }
    /// ```
    pub fn time_left(&self) -> Option<Duration> {
        self.ends_at().map(|ends| ends.saturating_duration_since(Instant::now()))
    }

    /// The number of this attempt at the record in this invocation, starting at 1.
    pub fn attempt(&self) -> u32 {
        self.attempt.as_ref().map_or(1, |attempt| attempt.number)
    }

    /// The maximum number of attempts in one invocation, from the [retry policy](crate::RetryPolicy::max_attempts).
    pub fn max_attempts(&self) -> u32 {
        self.attempt.as_ref().map_or(1, |attempt| attempt.batch.max_attempts)
    }

    /// Whether the record is older than a change that was applied to its item already, according to the item's
    /// [mark](crate::ProcessorBuilder::marks), and does not come from the stream.
    ///
    /// It is always false without marks, and with [`Stale::Skip`](crate::Stale::Skip), which skips such records.
    pub fn is_stale(&self) -> bool {
        self.attempt.as_ref().is_some_and(|attempt| attempt.is_stale)
    }

    /// Where the record comes from.
    pub fn origin(&self) -> Origin {
        self.invocation().origin
    }

    /// The request id of the invocation; empty outside Lambda.
    pub fn request_id(&self) -> &str {
        &self.invocation().request_id
    }

    /// The ARN by which the function was invoked; empty outside Lambda.
    pub fn function_arn(&self) -> &str {
        &self.invocation().function_arn
    }

    /// The X-Ray trace header, if the invocation is traced.
    pub fn trace_header(&self) -> Option<&str> {
        self.invocation().trace_header.as_deref()
    }

    /// Notes that a guard was given out for the record of this number: if its handler succeeds, it has moved the item's mark.
    #[cfg(feature = "dynamodb")]
    pub(crate) fn note_guard(&self, number: impl fmt::Display) {
        if let Some(attempt) = &self.attempt {
            attempt.batch.guarded.insert(number);
        }
    }

    fn invocation(&self) -> &Invocation {
        static NONE: LazyLock<Invocation> = LazyLock::new(Invocation::default);
        self.attempt.as_ref().map_or_else(|| &*NONE, |attempt| &attempt.batch.invocation)
    }
}

impl fmt::Debug for ChangeContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ChangeContext")
            .field("origin", &self.origin())
            .field("attempt", &self.attempt())
            .field("max_attempts", &self.max_attempts())
            .field("request_id", &self.request_id())
            .finish_non_exhaustive()
    }
}
