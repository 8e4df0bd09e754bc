//! `when_changed` where nothing can have changed.

use lambda_streams::{HandlerError, Insert, StreamProcessor, when_changed};

#[derive(serde::Deserialize)]
struct Order {
    id: String,
}

async fn notify(change: Insert<Order>) -> Result<(), HandlerError> {
    println!("{}", change.new.id);
    Ok(())
}

fn main() {
    let _ = StreamProcessor::builder().on_insert(when_changed(["status"], notify));
}
