//! A handler that takes its client, too.

use std::sync::Arc;

use lambda_streams::{HandlerError, Insert, StreamProcessor};

#[derive(serde::Deserialize)]
struct Order {
    id: String,
}

struct Client;

async fn created(change: Insert<Order>, _client: Arc<Client>) -> Result<(), HandlerError> {
    println!("{}", change.new.id);
    Ok(())
}

fn main() {
    let _ = StreamProcessor::builder().on_insert(created);
}
