//! A handler with an error of its own.

use lambda_streams::{Insert, StreamProcessor};

#[derive(serde::Deserialize)]
struct Order {
    id: String,
}

async fn created(change: Insert<Order>) -> Result<(), std::io::Error> {
    println!("{}", change.new.id);
    Ok(())
}

fn main() {
    let _ = StreamProcessor::builder().on_insert(created);
}
