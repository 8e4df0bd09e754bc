//! What can be registered for a kind of change: a handler of one change at a time, or a bulk handler.

use std::future::Future;

use self::sealed::{Registered, Route};
use super::bulk::{Bulk, BulkAnswer, EachChange, LatestChange};
use super::{Handler, erase};
use crate::change::{Change, FromRecord, Insert, Modify, Remove};
use crate::record::Record;

/// What can be registered for a kind of change: a [`Handler`], or a [`bulk`](crate::bulk) of one.
///
/// It is implemented for both, and for nothing else: implement [`Handler`] for a type of your own.
///
/// ```
/// use lambda_streams::{Handler, HandlerError, Insert, ProcessorBuilder, Register, StreamProcessor, bulk};
/// # #[derive(serde::Deserialize)]
/// # struct Order { id: String }
///
/// async fn one(change: Insert<Order>) -> Result<(), HandlerError> {
///     Ok(())
/// }
///
/// async fn many(changes: Vec<Insert<Order>>) -> Result<(), HandlerError> {
///     Ok(())
/// }
///
/// fn processor(handler: impl Register<Insert<Order>>) -> ProcessorBuilder {
///     StreamProcessor::builder().on_insert(handler)
/// }
/// processor(one);
/// processor(bulk(many));
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a handler of `{C}`",
    label = "not a handler of `{C}`",
    note = "a handler is an `async fn` or closure from `{C}` to `Result<(), HandlerError>`, or a type that implements `Handler<{C}>`",
    note = "a bulk handler is `bulk(f)`, where `f` is an `async fn` from `Vec<{C}>` to `Result<(), HandlerError>`, `Vec<Result<(), HandlerError>>` or `BulkFailures`",
    note = "`with` gives a function what it works with, `err_into` takes one with another error, and `when_changed` goes around handlers and bulks of `Modify` and `Change` alone"
)]
pub trait Register<C> {
    #[doc(hidden)]
    fn into_route(self) -> Route;
}

/// Nobody else can name what the trait returns, so nobody else can implement it.
pub(crate) mod sealed {
    use crate::handler::ErasedHandler;
    use crate::handler::bulk::BulkRoute;
    use crate::handler::when_changed::Condition;

    /// What was registered, with its types erased.
    #[derive(Debug)]
    pub struct Route {
        pub(crate) handler: Registered,
        /// All of them must hold of a record before it goes to the handler.
        pub(crate) conditions: Vec<Condition>,
    }

    impl Route {
        pub(crate) fn to(handler: Registered) -> Self {
            Self { handler, conditions: Vec::new() }
        }
    }

    #[derive(Debug)]
    pub(crate) enum Registered {
        Each(Box<dyn ErasedHandler>),
        Bulk(BulkRoute),
    }
}

impl<C: FromRecord, H: Handler<C>> Register<C> for H {
    #[doc(hidden)]
    fn into_route(self) -> Route {
        Route::to(Registered::Each(erase(self)))
    }
}

/// Implements the trait for a bulk handler of these changes. One implementation for all of them would overlap with that for handlers,
/// since another crate may implement `Handler` for a bulk of a type of its own.
macro_rules! register_bulk {
    ($($mode:ty => $change:ty $(, $item:ident)?;)*) => {$(
        #[diagnostic::do_not_recommend]
        impl<$($item,)? F, Fut> Register<$change> for Bulk<F, $mode>
        where
            $change: FromRecord,
            F: Fn(Vec<$change>) -> Fut + Send + Sync + 'static,
            Fut: Future<Output: BulkAnswer> + Send + 'static,
        {
            #[doc(hidden)]
            fn into_route(self) -> Route {
                Route::to(Registered::Bulk(self.into_bulk_route(<$mode>::LATEST_ONLY)))
            }
        }
    )*};
}

register_bulk! {
    EachChange => Insert<T>, T;
    EachChange => Modify<T>, T;
    EachChange => Remove<T>, T;
    EachChange => Change<T>, T;
    EachChange => Record;
    LatestChange => Change<T>, T;
    LatestChange => Record;
}
