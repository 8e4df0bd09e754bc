//! What the function does with each kind of change.
//!
//! A handler understands a change, and hands it to a [`Journal`]. The function's is its log (`journal.rs`); put your own
//! clients there.

use std::future::Future;
use std::sync::Arc;

use lambda_streams::{ChangedAttributes, Handler, HandlerError, Insert, Modify, Record, Remove};

use super::item::Item;

/// What happened to an item.
#[derive(Debug)]
pub(crate) enum Entry {
    Created,
    /// The names of the attributes, never their values.
    Changed(ChangedAttributes),
    /// By a caller, or by its time to live.
    Removed {
        expired: bool,
    },
}

/// Where the changes go once they are understood.
pub(crate) trait Journal: Send + Sync + 'static {
    fn note(&self, id: &str, entry: Entry, record: &Record) -> impl Future<Output = Result<(), HandlerError>> + Send;
}

/// The handlers of all three kinds of change.
#[derive(Debug)]
pub(crate) struct Handlers<J>(Arc<J>);

impl<J> Handlers<J> {
    pub(crate) fn new(journal: J) -> Self {
        Self(Arc::new(journal))
    }
}

impl<J> Clone for Handlers<J> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<J: Journal> Handler<Insert<Item>> for Handlers<J> {
    async fn handle(&self, change: Insert<Item>) -> Result<(), HandlerError> {
        self.0.note(&change.new.id, Entry::Created, &change.record).await
    }
}

impl<J: Journal> Handler<Modify<Item>> for Handlers<J> {
    async fn handle(&self, change: Modify<Item>) -> Result<(), HandlerError> {
        let changed = change.changed().map_err(HandlerError::permanent)?;
        self.0.note(&change.new.id, Entry::Changed(changed), &change.record).await
    }
}

impl<J: Journal> Handler<Remove<Item>> for Handlers<J> {
    async fn handle(&self, change: Remove<Item>) -> Result<(), HandlerError> {
        let expired = change.record.is_ttl_expiry();
        self.0.note(&change.old.id, Entry::Removed { expired }, &change.record).await
    }
}
