//! A handler that is not `async`.

use lambda_streams::{HandlerError, Insert, StreamProcessor};

#[derive(serde::Deserialize)]
struct Order {
    id: String,
}

fn created(change: Insert<Order>) -> Result<(), HandlerError> {
    println!("{}", change.new.id);
    Ok(())
}

fn main() {
    let _ = StreamProcessor::builder().on_insert(created);
}
