//! The same function with this crate.

use lambda_runtime::{Context, LambdaEvent};
use lambda_streams::{
    Entity, HandlerError, Modify, ProcessorBuilder, Record, StreamEvent, StreamProcessor, StreamResponse, bulk,
};
use serde::{Deserialize, Serialize};

/// The item, all of it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Item {
    pub id: String,
    pub timestamp: u64,
    pub status: String,
    pub customer: String,
    pub email: String,
    pub total: f64,
    pub currency: String,
    pub quantity: u32,
    pub paid: bool,
    pub coupon: Option<String>,
    pub tags: Vec<String>,
    pub address: Address,
    pub lines: Vec<Line>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Address {
    pub street: String,
    pub city: String,
    pub zip: String,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Line {
    pub sku: String,
    pub price: f64,
}

async fn modified(change: Modify<Item>) -> Result<(), HandlerError> {
    std::hint::black_box((change.old, change.new));
    Ok(())
}

/// The processor with the documented defaults.
pub fn processor(with: impl FnOnce(ProcessorBuilder) -> ProcessorBuilder) -> StreamProcessor {
    with(StreamProcessor::builder().on_modify(modified)).build().expect("a processor")
}

/// The same handler, for the third of three entities, which the prefix of a key identifies.
pub fn by_key() -> StreamProcessor {
    of_entities(["customer-", "line-", "order-"].map(|prefix| Entity::key_prefix("id", prefix)))
}

/// The same handler, for the third of three entities, which the sixth attribute of an item identifies.
pub fn by_attribute() -> StreamProcessor {
    of_entities(["USD", "GBP", "EUR"].map(|currency| Entity::attribute("currency", currency)))
}

fn of_entities(entities: [Entity; 3]) -> StreamProcessor {
    let add = |builder: ProcessorBuilder, entity| builder.entity(entity, |handlers| handlers.on_modify(modified));
    entities.into_iter().fold(StreamProcessor::builder(), add).build().expect("a processor")
}

/// A processor whose handler takes records as they are.
pub fn counting() -> StreamProcessor {
    StreamProcessor::builder()
        .on_record(|record: Record| async move {
            std::hint::black_box(&record);
            Ok(())
        })
        .build()
        .expect("a processor")
}

/// A processor whose bulk handler takes records as they are, 100 at once.
pub fn counting_bulks() -> StreamProcessor {
    let handler = |records: Vec<Record>| async move {
        std::hint::black_box(&records);
        Ok::<(), HandlerError>(())
    };
    StreamProcessor::builder().on_record(bulk(handler)).build().expect("a processor")
}

/// From the payload's bytes to the answer, deserialized as `lambda_runtime` does it for the tower service.
pub async fn through_runtime(processor: &StreamProcessor, body: Vec<u8>) -> StreamResponse {
    let deserializer = &mut serde_json::Deserializer::from_slice(&body);
    let event: StreamEvent = serde_path_to_error::deserialize(deserializer).expect("a stream event");
    drop(body);
    let LambdaEvent { payload, context, .. } = LambdaEvent::new(event, Context::default());
    processor.process(payload, &context).await.response().expect("the batch is answered")
}
