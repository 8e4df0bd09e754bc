//! A handler of removals where one of inserts is wanted.

use lambda_streams::{HandlerError, Remove, StreamProcessor};

#[derive(serde::Deserialize)]
struct Order {
    id: String,
}

async fn archive(change: Remove<Order>) -> Result<(), HandlerError> {
    println!("{}", change.old.id);
    Ok(())
}

fn main() {
    let _ = StreamProcessor::builder().on_insert(archive);
}
