//! Functions that make a handler of what is nearly one: of a function that takes clients too, or that has another error.

use std::fmt;
use std::future::Future;

use super::{Handler, HandlerError};

/// Makes a handler from a function that also takes the things it works with, such as clients.
///
/// `state` is cloned for each call, so share it in an [`Arc`](std::sync::Arc). A method that takes `self: Arc<Self>` fits, and so does a
/// closure.
///
/// ```
/// use std::sync::Arc;
///
/// use lambda_streams::{HandlerError, Insert, Remove, StreamProcessor, with};
/// # #[derive(serde::Deserialize)]
/// # struct Order { id: String }
///
/// struct Archive { bucket: String }
///
/// impl Archive {
///     async fn keep(self: Arc<Self>, change: Remove<Order>) -> Result<(), HandlerError> {
///         println!("{} goes to {}", change.old.id, self.bucket);
///         Ok(())
///     }
/// }
///
/// async fn announce(archive: Arc<Archive>, change: Insert<Order>) -> Result<(), HandlerError> {
///     println!("{} will go to {}", change.new.id, archive.bucket);
///     Ok(())
/// }
///
/// let archive = Arc::new(Archive { bucket: "orders".to_owned() });
/// let processor = StreamProcessor::builder()
///     .on_insert(with(Arc::clone(&archive), announce))
///     .on_remove(with(archive, Archive::keep))
///     .build()?;
/// # Ok::<(), lambda_streams::Error>(())
/// ```
///
/// A closure cannot capture its clients instead: an `async move` closure that captures them is not [`Fn`], because each call would move them
/// out.
pub fn with<S, C, F, Fut>(state: S, handler: F) -> impl Fn(C) -> Fut + Send + Sync + 'static
where
    S: Clone + Send + Sync + 'static,
    F: Fn(S, C) -> Fut + Send + Sync + 'static,
{
    move |change| handler(state.clone(), change)
}

/// Makes a handler from a function with another error type, one that converts into a [`HandlerError`].
///
/// Every error that implements [`std::error::Error`] does, and so do `lambda_runtime::Error` and `anyhow::Error`. All of these are
/// retryable, unless [`permanent_if`](crate::ProcessorBuilder::permanent_if) says otherwise. For your own enum that does not implement
/// [`std::error::Error`], write `impl From<YourError> for HandlerError`, which can distinguish permanent errors.
///
/// ```
/// use lambda_streams::{HandlerError, Insert, StreamProcessor, err_into};
/// # #[derive(serde::Deserialize)]
/// # struct Order { total: u64 }
///
/// enum ShippingError { Refused, Busy }
///
/// impl From<ShippingError> for HandlerError {
///     fn from(error: ShippingError) -> Self {
///         match error {
///             ShippingError::Refused => Self::permanent("the carrier refuses the order"),
///             ShippingError::Busy => Self::retryable("the carrier is busy"),
///         }
///     }
/// }
///
/// async fn ship(change: Insert<Order>) -> Result<(), ShippingError> {
///     if change.new.total == 0 { Err(ShippingError::Refused) } else { Ok(()) }
/// }
///
/// let processor = StreamProcessor::builder().on_insert(err_into(ship)).build()?;
/// # Ok::<(), lambda_streams::Error>(())
/// ```
pub fn err_into<F>(handler: F) -> ErrInto<F> {
    ErrInto { handler }
}

/// The handler that [`err_into`] returns.
///
/// ```
/// use lambda_streams::{ErrInto, Record, err_into};
///
/// async fn ship(record: Record) -> Result<(), std::io::Error> {
///     Ok(())
/// }
/// let handler: ErrInto<_> = err_into(ship);
/// # let _ = handler;
/// ```
#[derive(Clone, Copy)]
pub struct ErrInto<F> {
    handler: F,
}

#[diagnostic::do_not_recommend]
impl<C, F, Fut, E> Handler<C> for ErrInto<F>
where
    F: Fn(C) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<(), E>> + Send,
    E: Into<HandlerError>,
{
    fn handle(&self, change: C) -> impl Future<Output = Result<(), HandlerError>> + Send {
        let handled = (self.handler)(change);
        async { handled.await.map_err(Into::into) }
    }
}

impl<F> fmt::Debug for ErrInto<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ErrInto").finish_non_exhaustive()
    }
}
