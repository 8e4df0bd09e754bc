//! Items that borrow from the record.

use lambda_streams::{HandlerError, Insert, StreamProcessor};

#[derive(serde::Deserialize)]
struct Order<'a> {
    id: &'a str,
}

async fn created(change: Insert<Order<'_>>) -> Result<(), HandlerError> {
    println!("{}", change.new.id);
    Ok(())
}

fn main() {
    let _ = StreamProcessor::builder().on_insert(created);
}
