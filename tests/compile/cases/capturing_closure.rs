//! A closure whose future borrows the client that the closure captures.

use std::sync::Arc;

use lambda_streams::{HandlerError, Insert, StreamProcessor};

#[derive(serde::Deserialize)]
struct Order {
    id: String,
}

struct Client;

impl Client {
    async fn created(&self, change: Insert<Order>) -> Result<(), HandlerError> {
        println!("{}", change.new.id);
        Ok(())
    }
}

fn main() {
    let client = Arc::new(Client);
    let _ = StreamProcessor::builder().on_insert(move |change: Insert<Order>| client.created(change));
}
