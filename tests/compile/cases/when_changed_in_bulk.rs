//! A condition inside `bulk`, where it belongs around it.

use lambda_streams::{HandlerError, Modify, StreamProcessor, bulk, when_changed};

#[derive(serde::Deserialize)]
struct Order {
    id: String,
}

async fn index(changes: Vec<Modify<Order>>) -> Result<(), HandlerError> {
    println!("{}", changes[0].new.id);
    Ok(())
}

fn main() {
    let _ = StreamProcessor::builder().on_modify(bulk(when_changed(["status"], index)));
}
