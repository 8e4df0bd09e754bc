//! The world: the application that writes to the outbox.

use aws_sdk_dynamodb::types::{AttributeValue, ScalarAttributeType};
use example_world::{Database, Failure};
use serde_json::json;

use crate::handler::Event;

pub(crate) const TABLE: &str = "outbox";
const AGGREGATES: usize = 40;
const EVENTS: usize = 600;
const SEED: u64 = 20_260_104;
/// The aggregate and the event whose detail is not valid JSON.
const MALFORMED: (usize, u64) = (17, 5);

/// Writes events of one aggregate or another. (A real application puts each in the transaction that changes its aggregate.)
pub(crate) async fn write_events(database: &Database) -> Result<Vec<Event>, Failure> {
    database.create_table(TABLE, &[("aggregate", ScalarAttributeType::S), ("seq", ScalarAttributeType::N)]).await?;
    let mut written = Vec::new();
    let (mut random, mut last) = (fastrand::Rng::with_seed(SEED), [0; AGGREGATES]);
    for _ in 0..EVENTS {
        let aggregate = random.usize(0..AGGREGATES);
        last[aggregate] += 1;
        let event = event(aggregate, last[aggregate]);
        let item = database.client.put_item().table_name(TABLE).item("seq", AttributeValue::N(event.seq.to_string()));
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
    Ok(written)
}

fn event(aggregate: usize, seq: u64) -> Event {
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
