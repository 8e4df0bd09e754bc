//! The deliberately broken parts.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use serde_json::value::RawValue;
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::environment::Ran;
use crate::world::World;

/// The classic loop: every record is tried, every failure is named, and nothing is remembered.
pub(crate) async fn goes_on_behind_failures(
    world: Arc<World>,
    environment: usize,
    payload: String,
    timeout: Duration,
) -> Ran {
    #[derive(serde::Deserialize)]
    struct Event {
        #[serde(rename = "Records")]
        records: Vec<Box<RawValue>>,
    }
    let event: Event = serde_json::from_str(&payload).expect("the mapping sends events");
    let stop = Instant::now() + timeout * 9 / 10;
    let mut failures = Vec::new();
    for record in event.records {
        let id = world.stream.id(record.get()).expect("the mapping sends what the stream has");
        let known = &world.stream.known[id];
        let handled = AssertUnwindSafe(world.handle(environment, record.get())).catch_unwind();
        let fine = known.is_skipped()
            || known.is_well_formed()
                && tokio::time::timeout_at(stop, handled).await.is_ok_and(|ended| matches!(ended, Ok(Ok(()))));
        if !fine {
            failures.extend(known.sequence_number.as_ref().map(|number| json!({"itemIdentifier": number})));
        }
    }
    Ran { answer: Ok(json!({"batchItemFailures": failures}).to_string()), outcomes: None }
}

/// What `unwrap_or_default` makes of an identifier.
pub(crate) fn empty_identifier(answer: String) -> String {
    let mut answer: Value = serde_json::from_str(&answer).expect("our own answer");
    for failure in answer["batchItemFailures"].as_array_mut().into_iter().flatten() {
        failure["itemIdentifier"] = Value::from("");
    }
    answer.to_string()
}
