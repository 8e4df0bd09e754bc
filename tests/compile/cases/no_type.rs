//! A closure whose argument has no type.

use lambda_streams::StreamProcessor;

#[derive(serde::Deserialize)]
struct Order {
    id: String,
}

fn main() {
    let _ = StreamProcessor::builder().on_insert::<Order, _>(|change| async move {
        println!("{}", change.new.id);
        Ok(())
    });
}
