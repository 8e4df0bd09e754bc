//! The function's journal: its log.

use std::future::{Future, ready};

use lambda_streams::{HandlerError, Record};
use tracing::info;

use crate::handlers::{Entry, Journal};

/// Writes the changes to the log: the id by this function's own choice, and no other value of the item.
#[derive(Debug)]
pub(crate) struct LogJournal;

impl Journal for LogJournal {
    fn note(&self, id: &str, entry: Entry, record: &Record) -> impl Future<Output = Result<(), HandlerError>> + Send {
        let event_id = record.event_id();
        match entry {
            Entry::Created => info!(id, eventId = event_id, "item created"),
            Entry::Changed(attributes) => {
                let names = attributes.iter().collect::<Vec<_>>().join(", ");
                info!(id, eventId = event_id, changedAttributes = names, "item changed");
            }
            Entry::Removed { expired } => info!(id, eventId = event_id, expiredByTtl = expired, "item removed"),
        }
        ready(Ok(()))
    }
}
