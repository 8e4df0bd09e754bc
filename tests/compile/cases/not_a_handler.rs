//! A type that handles changes of another kind.

use lambda_streams::{Handler, HandlerError, Remove, StreamProcessor};

#[derive(serde::Deserialize)]
struct Order {
    id: String,
}

struct Archive;

impl Handler<Remove<Order>> for Archive {
    async fn handle(&self, change: Remove<Order>) -> Result<(), HandlerError> {
        println!("{}", change.old.id);
        Ok(())
    }
}

fn main() {
    let _ = StreamProcessor::builder().on_insert::<Order, _>(Archive);
}
