//! The world: the application that writes to the outbox.

use aws_sdk_dynamodb::types::{AttributeValue, ScalarAttributeType};
use example_world::{Database, Failure};
use serde_json::json;

use crate::handler::Event;

pub(crate) const TABLE: &str = "outbox";
const AGGREGATES: u64 = 40;
const EVENTS: u64 = 15;
/// The aggregate and the event whose detail is not valid JSON.
const MALFORMED: (u64, u64) = (17, 5);

/// Writes the events of all aggregates, in turns. (A real application puts each in the transaction that changes its aggregate.)
pub(crate) async fn write_events(database: &Database) -> Result<Vec<Event>, Failure> {
    database.create_table(TABLE, &[("aggregate", ScalarAttributeType::S), ("seq", ScalarAttributeType::N)]).await?;
    let mut written = Vec::new();
    for seq in 1..=EVENTS {
        for aggregate in 0..AGGREGATES {
            let event = event(aggregate, seq);
            let item = database.client.put_item().table_name(TABLE).item("seq", AttributeValue::N(seq.to_string()));
            let texts = [
                ("aggregate", &event.aggregate),
                ("event_id", &event.event_id),
                ("detail_type", &event.detail_type),
                ("detail", &event.detail),
            ];
            let text = |value: &String| AttributeValue::S(value.clone());
            texts.into_iter().fold(item, |item, (name, value)| item.item(name, text(value))).send().await?;
            written.push(event);
        }
    }
    Ok(written)
}

fn event(aggregate: u64, seq: u64) -> Event {
    let detail = match (aggregate, seq) {
        MALFORMED => "{\"status\": ".to_owned(),
        _ => json!({"order": aggregate, "status": format!("status {seq}")}).to_string(),
    };
    Event {
        aggregate: format!("order-{aggregate:02}"),
        seq,
        event_id: format!("event-{aggregate}-{seq}"),
        detail_type: "order changed".to_owned(),
        detail,
    }
}

/// Whether a bus can take it.
pub(crate) fn is_malformed(event: &Event) -> bool {
    serde_json::from_str::<serde_json::Value>(&event.detail).is_err()
}
