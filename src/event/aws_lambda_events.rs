//! Records and events from those of the crate `aws_lambda_events`, for functions that move over step by step.

use aws_lambda_events::event::dynamodb::{Event, EventRecord};
use serde_json::Value;

use crate::error::Error;
use crate::record::{MalformedRecord, Record};

use super::StreamEvent;

/// Available with the feature `aws_lambda_events`.
impl TryFrom<EventRecord> for Record {
    type Error = MalformedRecord;

    /// Converts a record that `aws_lambda_events` has read. Its feature `dynamodb` is enabled with the feature `aws_lambda_events`.
    ///
    /// In that type, an absent image is empty, and an absent creation time is 1970. Both count as absent here, because an item always has its
    /// key. The type has only whole seconds of the creation time.
    ///
    /// # Errors
    /// If the record has no sequence number or no event source, or its event name is unknown.
    fn try_from(record: EventRecord) -> Result<Self, MalformedRecord> {
        Self::from_json(json(&record))
    }
}

/// Available with the feature `aws_lambda_events`.
impl TryFrom<Event> for StreamEvent {
    type Error = Error;

    /// Converts an event that `aws_lambda_events` has read, each record as by `TryFrom<EventRecord> for Record`. A malformed record
    /// remains a malformed record of the event.
    ///
    /// # Errors
    /// If the records are those of another source.
    fn try_from(event: Event) -> Result<Self, Error> {
        let records: Vec<String> = event.records.iter().map(json).collect();
        Self::from_vec(format!("{{\"Records\":[{}]}}", records.join(",")).into_bytes())
    }
}

/// The record as Lambda delivers it, without what the type has made up.
fn json(record: &EventRecord) -> String {
    // Nothing in the type can fail to serialize; if it ever does, the record is malformed.
    let mut json = serde_json::to_value(record).unwrap_or(Value::Null);
    if let Some(change) = json.get_mut("dynamodb").and_then(Value::as_object_mut) {
        change.retain(|name, value| match name.as_str() {
            "ApproximateCreationDateTime" => value.as_i64() != Some(0),
            "NewImage" | "OldImage" => value.as_object().is_none_or(|image| !image.is_empty()),
            _ => true,
        });
    }
    json.to_string()
}
