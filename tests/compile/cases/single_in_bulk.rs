//! A handler of one change inside `bulk`.

use lambda_streams::{HandlerError, Insert, StreamProcessor, bulk};

#[derive(serde::Deserialize)]
struct Order {
    id: String,
}

async fn index(change: Insert<Order>) -> Result<(), HandlerError> {
    println!("{}", change.new.id);
    Ok(())
}

fn main() {
    let _ = StreamProcessor::builder().on_insert(bulk(index));
}
