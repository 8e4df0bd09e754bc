//! The function as it is written without this crate: typed events, decoded images, ten at a time.

use aws_lambda_events::event::dynamodb::{Event, EventRecord};
use futures::{StreamExt, stream};
use lambda_runtime::{Context, Error, LambdaEvent};
use serde::Serialize;

use crate::ours::Item;

/// The partial batch response.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Answer {
    pub batch_item_failures: Vec<Failure>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Failure {
    item_identifier: String,
}

/// From the payload's bytes to the answer, deserialized as `lambda_runtime` does it, which then frees them.
pub async fn by_hand(body: Vec<u8>) -> Answer {
    let deserializer = &mut serde_json::Deserializer::from_slice(&body);
    let event = serde_path_to_error::deserialize(deserializer).expect("a stream event");
    drop(body);
    handler(LambdaEvent::new(event, Context::default())).await.expect("the handler answers")
}

/// The same without the runtime's path tracking.
pub async fn by_hand_untracked(body: Vec<u8>) -> Answer {
    let event = serde_json::from_slice(&body).expect("a stream event");
    drop(body);
    handler(LambdaEvent::new(event, Context::default())).await.expect("the handler answers")
}

/// What a function's `main.rs` has.
pub async fn handler(event: LambdaEvent<Event>) -> Result<Answer, Error> {
    let results = stream::iter(event.payload.records).map(process).buffer_unordered(10);
    let failed = results.filter_map(|result| async { result.err() });
    let batch_item_failures = failed.map(|item_identifier| Failure { item_identifier }).collect().await;
    Ok(Answer { batch_item_failures })
}

async fn process(record: EventRecord) -> Result<(), String> {
    let number = record.change.sequence_number.clone().unwrap_or_default();
    let handled: Result<(), Error> = async {
        match record.event_name.as_str() {
            "MODIFY" => {
                let old = serde_dynamo::from_item(record.change.old_image)?;
                let new = serde_dynamo::from_item(record.change.new_image)?;
                modified(old, new).await
            }
            _ => Ok(()),
        }
    }
    .await;
    handled.map_err(|_| number)
}

async fn modified(old: Item, new: Item) -> Result<(), Error> {
    std::hint::black_box((old, new));
    Ok(())
}
