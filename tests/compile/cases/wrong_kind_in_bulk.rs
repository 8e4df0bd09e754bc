//! A bulk handler of removals where one of inserts is wanted.

use lambda_streams::{HandlerError, Remove, StreamProcessor, bulk};

#[derive(serde::Deserialize)]
struct Order {
    id: String,
}

async fn index(changes: Vec<Remove<Order>>) -> Result<(), HandlerError> {
    println!("{}", changes[0].old.id);
    Ok(())
}

fn main() {
    let _ = StreamProcessor::builder().on_insert(bulk(index));
}
