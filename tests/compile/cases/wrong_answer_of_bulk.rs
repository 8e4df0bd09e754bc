//! A bulk handler whose answer is none that is known.

use lambda_streams::{Insert, StreamProcessor, bulk};

#[derive(serde::Deserialize)]
struct Order {
    id: String,
}

async fn index(changes: Vec<Insert<Order>>) -> Vec<bool> {
    changes.iter().map(|change| change.new.id.is_empty()).collect()
}

fn main() {
    let _ = StreamProcessor::builder().on_insert(bulk(index));
}
