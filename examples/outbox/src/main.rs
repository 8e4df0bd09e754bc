//! The transactional outbox: `cargo run -p outbox`. See `examples/README.md`.

mod application;
mod bus;
mod check;
mod handler;

use std::process::ExitCode;
use std::time::Duration;

use example_world::{Database, Failure, deliver};
use lambda_streams::{Lanes, MemoryDeadLetterQueue, RetryPolicy, StreamProcessor, bulk, with};

use crate::bus::Bus;
use crate::check::Check;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<ExitCode, Failure> {
    let check = run().await?;
    print!("{check}");
    Ok(if check.holds() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

async fn run() -> Result<Check, Failure> {
    let (database, bus, queue) = (Database::start().await?, Bus::start().await?, MemoryDeadLetterQueue::new());
    let written = application::write_events(&database).await?;
    let (client, letters) = (bus.client(), queue.clone());
    let environment = move || {
        StreamProcessor::builder()
            .on_insert(bulk(with(client.clone(), handler::publish)).max_records(handler::ENTRIES))
            .lanes(Lanes::per_key_attribute("aggregate"))
            .retry(RetryPolicy::default().max_attempts(5).base_delay(Duration::from_millis(10)))
            .dead_letter_queue(letters.clone())
            .build()
    };
    let deliveries = deliver(database.stream(application::TABLE).await?, written.len(), 1, environment).await?;
    Ok(Check { written, deliveries, log: bus.log(), letters: queue.letters() })
}

#[cfg(test)]
mod tests;
