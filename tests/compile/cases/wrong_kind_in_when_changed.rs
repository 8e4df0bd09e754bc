//! A handler of inserts inside `when_changed`, where one of modifications is wanted.

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
    let _ = StreamProcessor::builder().on_modify(when_changed(["status"], notify));
}
