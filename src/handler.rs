//! The trait that users implement, a handler of one kind of change, and its type-erased form.

mod adapters;
#[cfg(feature = "aws-errors")]
mod aws_errors;
pub(crate) mod bulk;
mod error;
pub(crate) mod register;
mod result_ext;
pub(crate) mod when_changed;

use std::fmt;
use std::future::Future;
use std::marker::PhantomData;
use std::pin::Pin;
use std::sync::Arc;

use crate::change::FromRecord;
use crate::decode::DecodeError;
use crate::record::Record;

pub use self::adapters::{ErrInto, err_into, with};
#[cfg(feature = "aws-errors")]
pub use self::aws_errors::AwsResultExt;
pub use self::bulk::{Bulk, BulkAnswer, BulkFailures, EachChange, LatestChange, bulk};
pub use self::error::HandlerError;
pub use self::register::Register;
pub use self::result_ext::HandlerResultExt;
pub use self::when_changed::{WhenChanged, when_changed};

/// Handles one kind of change: `Handler<Insert<Order>>`, `Handler<Record>`, ….
///
/// Every `async fn` and closure from one change to `Result<(), HandlerError>` is a handler; a type that carries its
/// clients implements the trait itself. A handler is called once per attempt, and so more than once for a record that is
/// retried or redelivered: make it idempotent.
///
/// # Cancellation
/// Shortly before the deadline, the future is dropped at its current `await`, and the record is delivered again.
///
/// ```
/// use lambda_streams::{Handler, HandlerError, Remove};
/// # #[derive(serde::Deserialize)]
/// # struct Order { id: String }
///
/// struct Archive { bucket: String }
///
/// impl Handler<Remove<Order>> for Archive {
///     async fn handle(&self, change: Remove<Order>) -> Result<(), HandlerError> {
///         println!("{} goes to {}", change.old.id, self.bucket);
///         Ok(())
///     }
/// }
/// ```
///
/// One value that handles several kinds of change is shared in an [`Arc`]. [`with`] gives a function the clients that it needs, and
/// [`err_into`] takes a function with an error of its own.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a handler of `{C}`",
    label = "not a handler of `{C}`",
    note = "a handler is an `async fn` or closure from `{C}` to `Result<(), HandlerError>`, or a type that implements `Handler<{C}>`",
    note = "`with` gives a function what it works with, and `err_into` takes one with another error"
)]
pub trait Handler<C>: Send + Sync + 'static {
    /// Handles one change. It is called once for each attempt.
    ///
    /// # Errors
    /// A [`HandlerError`]: retryable, which is the default for an error returned by `?`, or permanent.
    fn handle(&self, change: C) -> impl Future<Output = Result<(), HandlerError>> + Send;
}

impl<C, F, Fut> Handler<C> for F
where
    F: Fn(C) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<(), HandlerError>> + Send,
{
    fn handle(&self, change: C) -> impl Future<Output = Result<(), HandlerError>> + Send {
        self(change)
    }
}

#[diagnostic::do_not_recommend]
impl<C, H: Handler<C>> Handler<C> for Arc<H> {
    fn handle(&self, change: C) -> impl Future<Output = Result<(), HandlerError>> + Send {
        H::handle(self, change)
    }
}

/// A handler's future for one record.
pub(crate) type Attempt<'a> = Pin<Box<dyn Future<Output = Result<(), HandlerError>> + Send + 'a>>;

/// A handler with its types erased.
pub(crate) trait ErasedHandler: Send + Sync {
    /// Decodes the record, and calls the handler, whose future owns what was decoded.
    fn attempt(&self, record: Record) -> Result<Attempt<'_>, DecodeError>;
}

struct Erased<H, C> {
    handler: H,
    change: PhantomData<fn(C)>,
}

pub(crate) fn erase<C: FromRecord, H: Handler<C>>(handler: H) -> Box<dyn ErasedHandler> {
    Box::new(Erased { handler, change: PhantomData })
}

impl<C: FromRecord, H: Handler<C>> ErasedHandler for Erased<H, C> {
    fn attempt(&self, record: Record) -> Result<Attempt<'_>, DecodeError> {
        Ok(Box::pin(self.handler.handle(C::from_record(record)?)))
    }
}

impl fmt::Debug for dyn ErasedHandler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Handler")
    }
}
