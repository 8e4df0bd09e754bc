//! The idempotency store and the guards on a DynamoDB in this process, through the real client.
//!
//! It is a test of `examples/world`, which starts that DynamoDB.
#![allow(clippy::unwrap_used, reason = "a test that unwraps an error fails, as it should")]

mod bulks;
mod guards;
mod marks;
mod processor;
mod rows;
mod together;

use std::time::{Duration, SystemTime};

use aws_sdk_dynamodb::types::AttributeValue;
use example_world::Database;
use lambda_streams::{DynamoDbIdempotencyStore, SequenceNumber, StoreKey};

const TABLE: &str = "idempotency";

/// A DynamoDB with the table of a store, and that store.
async fn start() -> (Database, DynamoDbIdempotencyStore) {
    let database = Database::start().await.unwrap();
    database.create_idempotency_table(TABLE).await.unwrap();
    let store = DynamoDbIdempotencyStore::new(database.client.clone(), TABLE);
    (database, store)
}

fn key(kind: &str, number: usize) -> StoreKey {
    StoreKey::from_text(&format!("orders#{kind}#{number:032x}"))
}

fn number(text: impl ToString) -> SequenceNumber {
    SequenceNumber::new(&text.to_string()).expect("digits")
}

fn in_days(days: u64) -> SystemTime {
    SystemTime::now() + Duration::from_secs(days * 24 * 60 * 60)
}

fn seconds(time: SystemTime) -> u64 {
    time.duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs()
}

fn n(number: impl ToString) -> AttributeValue {
    AttributeValue::N(number.to_string())
}

fn s(text: impl ToString) -> AttributeValue {
    AttributeValue::S(text.to_string())
}
