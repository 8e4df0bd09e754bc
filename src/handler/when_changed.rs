//! A condition around a handler: at least one of some attributes has changed.

use std::fmt;

use super::Register;
use super::register::sealed::Route;
use crate::change::{Change, Modify};
use crate::decode::{self, DecodeError};
use crate::event_kind::EventKind;
use crate::record::Record;

/// Calls a handler only for changes of at least one of these top-level attributes.
///
/// It goes around a handler of [`Modify`](crate::Modify) or [`Change`](crate::Change), or around a [`bulk`](crate::bulk) of them. A record
/// in which none of the attributes was added, removed or given another value is [skipped](crate::SkipReason::Unchanged), and counted.
/// Inside `on_change`, an INSERT or a REMOVE always passes. Values are compared as DynamoDB compares them: sets as sets, numbers as
/// numbers, maps without regard to order.
///
/// The condition is checked once for each record, when it is read, in stream order. A record whose images are malformed, or whose stream does
/// not carry both, is not skipped: it fails, with an error that names the stream's view type. `NEW_AND_OLD_IMAGES` has both images.
///
/// ```
/// use lambda_streams::{Change, HandlerError, Modify, StreamProcessor, bulk, when_changed};
/// # #[derive(serde::Deserialize)]
/// # struct Order { status: String }
///
/// async fn notify(change: Modify<Order>) -> Result<(), HandlerError> {
///     println!("{} -> {}", change.old.status, change.new.status);
///     Ok(())
/// }
///
/// async fn index(changes: Vec<Change<Order>>) -> Result<(), HandlerError> {
///     Ok(())
/// }
///
/// let notifier = StreamProcessor::builder().on_modify(when_changed(["status"], notify)).build()?;
/// let indexer = StreamProcessor::builder().on_change(when_changed(["status", "total"], bulk(index))).build()?;
/// # Ok::<(), lambda_streams::Error>(())
/// ```
pub fn when_changed<H>(attributes: impl IntoIterator<Item = impl Into<String>>, handler: H) -> WhenChanged<H> {
    WhenChanged { attributes: attributes.into_iter().map(Into::into).collect(), handler }
}

/// The handler that [`when_changed`] returns.
///
/// ```
/// use lambda_streams::{HandlerError, Modify, WhenChanged, when_changed};
/// # #[derive(serde::Deserialize)]
/// # struct Order { id: String }
///
/// async fn notify(change: Modify<Order>) -> Result<(), HandlerError> {
///     Ok(())
/// }
/// let handler: WhenChanged<_> = when_changed(["status"], notify);
/// # let _ = handler;
/// ```
#[derive(Clone)]
#[must_use]
pub struct WhenChanged<H> {
    attributes: Vec<String>,
    handler: H,
}

impl<H> WhenChanged<H> {
    fn around<C>(self) -> Route
    where
        H: Register<C>,
    {
        let mut route = self.handler.into_route();
        route.conditions.push(Condition { attributes: self.attributes });
        route
    }
}

#[diagnostic::do_not_recommend]
impl<T, H: Register<Modify<T>>> Register<Modify<T>> for WhenChanged<H> {
    #[doc(hidden)]
    fn into_route(self) -> Route {
        self.around()
    }
}

#[diagnostic::do_not_recommend]
impl<T, H: Register<Change<T>>> Register<Change<T>> for WhenChanged<H> {
    #[doc(hidden)]
    fn into_route(self) -> Route {
        self.around()
    }
}

impl<H> fmt::Debug for WhenChanged<H> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WhenChanged").field("attributes", &self.attributes).finish_non_exhaustive()
    }
}

/// What must hold of a record before its handler is called.
#[derive(Debug)]
pub(crate) struct Condition {
    /// At least one of these attributes has changed.
    attributes: Vec<String>,
}

impl Condition {
    pub(crate) fn names_nothing(&self) -> bool {
        self.attributes.is_empty()
    }

    /// Whether it holds; an error if that is not known.
    pub(crate) fn holds(&self, record: &Record) -> Result<bool, DecodeError> {
        if record.kind() != EventKind::Modify {
            return Ok(true);
        }
        let missing = |image| DecodeError::missing_image(image, record.kind(), record.view_type());
        let old = record.old_image_json().ok_or_else(|| missing("OldImage"))?;
        let new = record.new_image_json().ok_or_else(|| missing("NewImage"))?;
        for attribute in &self.attributes {
            if !decode::is_same_attribute(old, new, attribute)? {
                return Ok(true);
            }
        }
        Ok(false)
    }
}
