//! A bulk handler without `bulk` around it.

use lambda_streams::{HandlerError, Insert, StreamProcessor};

#[derive(serde::Deserialize)]
struct Order {
    id: String,
}

async fn index(changes: Vec<Insert<Order>>) -> Result<(), HandlerError> {
    println!("{}", changes[0].new.id);
    Ok(())
}

fn main() {
    let _ = StreamProcessor::builder().on_insert(index);
}
