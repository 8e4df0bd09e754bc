//! A handler of items that cannot be decoded.

use lambda_streams::{HandlerError, Insert, StreamProcessor};

struct Order {
    id: String,
}

async fn created(change: Insert<Order>) -> Result<(), HandlerError> {
    println!("{}", change.new.id);
    Ok(())
}

fn main() {
    let _ = StreamProcessor::builder().on_insert(created);
}
