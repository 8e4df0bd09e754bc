//! An `async move` closure that captures a client.

use std::sync::Arc;

use lambda_streams::{Insert, StreamProcessor};

#[derive(serde::Deserialize)]
struct Order {
    id: String,
}

struct Client;

impl Client {
    async fn put(&self, _id: String) {}
}

fn main() {
    let client = Arc::new(Client);
    let _ = StreamProcessor::builder().on_insert(async move |change: Insert<Order>| {
        client.put(change.new.id).await;
        Ok(())
    });
}
