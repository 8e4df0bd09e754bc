//! A handler that keeps something that is not `Send` over an `await`.

use std::rc::Rc;

use lambda_streams::{HandlerError, Insert, StreamProcessor};

#[derive(serde::Deserialize)]
struct Order {
    id: String,
}

async fn created(change: Insert<Order>) -> Result<(), HandlerError> {
    let id = Rc::new(change.new.id);
    std::future::ready(()).await;
    println!("{id}");
    Ok(())
}

fn main() {
    let _ = StreamProcessor::builder().on_insert(created);
}
