//! The business: rows of the outbox become entries on the bus.

use aws_sdk_eventbridge::Client;
use aws_sdk_eventbridge::types::{PutEventsRequestEntry, PutEventsResultEntry};
use lambda_streams::{AwsResultExt, HandlerError, Insert};
use serde::{Deserialize, Serialize};

/// The most entries that `PutEvents` takes.
pub(crate) const ENTRIES: usize = 10;

/// A row of the outbox: what happened to an aggregate, as the application wrote it in the transaction that changed the aggregate.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Event {
    /// The partition key: the events of an aggregate are in order.
    pub(crate) aggregate: String,
    /// The sort key.
    pub(crate) seq: u64,
    /// The id by which consumers recognise an event that arrives twice.
    pub(crate) event_id: String,
    pub(crate) detail_type: String,
    /// JSON, which is for the bus to judge.
    pub(crate) detail: String,
}

/// Publishes up to ten events in one request. Each entry has its own answer.
pub(crate) async fn publish(
    bus: Client,
    rows: Vec<Insert<Event>>,
) -> Result<Vec<Result<(), HandlerError>>, HandlerError> {
    let entries = rows.iter().map(|row| entry(&row.new)).collect();
    let published = bus.put_events().set_entries(Some(entries)).send().await.classify()?;
    Ok(published.entries().iter().map(answer).collect())
}

fn entry(event: &Event) -> PutEventsRequestEntry {
    let entry = PutEventsRequestEntry::builder().source("shop").detail_type(&event.detail_type).detail(&event.detail);
    entry.resources(format!("{}/{}", event.aggregate, event.seq)).resources(&event.event_id).build()
}

/// An entry that is wrong in itself fails permanently. Everything else passes, or somebody fixes it for all entries at once.
fn answer(entry: &PutEventsResultEntry) -> Result<(), HandlerError> {
    let Some(code) = entry.error_code() else { return Ok(()) };
    let message = format!("{code}: {}", entry.error_message().unwrap_or_default());
    Err(match code {
        "MalformedDetail" | "InvalidArgument" => HandlerError::permanent(message),
        _ => HandlerError::retryable(message),
    })
}
