//! Totals in transactions: `cargo run -p aggregator`. See `examples/README.md`.

mod check;
mod handler;
mod shop;

use std::process::ExitCode;
use std::sync::Arc;

use example_world::{Database, Failure, deliver};
use lambda_streams::{DynamoDbIdempotencyStore, Lanes, MemoryDeadLetterQueue, StreamProcessor, bulk, with};

use crate::check::Check;
use crate::handler::{CHANGES, Totals};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<ExitCode, Failure> {
    let check = run().await?;
    print!("{check}");
    Ok(if check.holds() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

async fn run() -> Result<Check, Failure> {
    let (database, queue) = (Database::start().await?, MemoryDeadLetterQueue::new());
    let changes = shop::trade(&database).await?;
    let client = database.client.clone();
    let guard = DynamoDbIdempotencyStore::new(client.clone(), shop::GUARDS).guard("totals")?;
    let totals = Arc::new(Totals { client, table: shop::TOTALS, guard });
    let letters = queue.clone();
    let environment = move || {
        StreamProcessor::builder()
            .on_change(bulk(with(Arc::clone(&totals), Totals::add)).max_records(CHANGES))
            // Sums do not depend on the order.
            .lanes(Lanes::Unordered)
            .dead_letter_queue(letters.clone())
            .build()
    };
    let deliveries = deliver(database.stream(shop::ORDERS).await?, changes, 3, environment).await?;
    Check::new(&database, changes, deliveries, queue.letters()).await
}

#[cfg(test)]
mod tests;
