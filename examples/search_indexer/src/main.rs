//! A search index of a single table: `cargo run -p search-indexer`. See `examples/README.md`.

mod check;
mod engine;
mod handler;
mod shop;

use std::process::ExitCode;

use example_world::{Database, Failure, deliver_filtered};
use lambda_streams::{Entity, Error, MemoryDeadLetterQueue, StreamProcessor, bulk, when_changed, with};

use crate::check::Check;
use crate::engine::SearchEngine;
use crate::handler::{Customer, Line, Order, Search, index};

/// What the mapping drops: in a deployment, the construct's `filterFile`.
const FILTER: &str = include_str!("../filter-criteria.json");

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<ExitCode, Failure> {
    let check = run().await?;
    print!("{check}");
    Ok(if check.holds() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

async fn run() -> Result<Check, Failure> {
    let (database, engine) = (Database::start().await?, SearchEngine::start().await?);
    let written = shop::trade(&database).await?;
    let (search, queue) = (engine.client()?, MemoryDeadLetterQueue::new());
    let letters = queue.clone();
    let environment = move || processor(&search, letters.clone());
    let deliveries =
        deliver_filtered(database.stream(shop::TABLE).await?, written.changes, FILTER, environment).await?;
    Check::new(&database, written, deliveries, engine.log(), queue.letters()).await
}

/// The index only needs the last state of an item, so `latest_only`: versions may have gaps, and a late one is a conflict.
/// (`within_lane` would be right too, but send each change.)
fn processor(search: &Search, queue: MemoryDeadLetterQueue) -> Result<StreamProcessor, Error> {
    // A visit changes a customer, and nothing that is searched for.
    let customers = when_changed(["name", "city"], bulk(with(search.clone(), index::<Customer>)).latest_only());
    let orders = bulk(with(search.clone(), index::<Order>)).latest_only();
    let lines = bulk(with(search.clone(), index::<Line>)).latest_only();
    StreamProcessor::builder()
        .entity(Entity::key_equals("sk", "CUSTOMER"), |customer| customer.on_change(customers))
        .entity(Entity::key_prefix("sk", "ORDER#"), |order| order.on_change(orders))
        .entity(Entity::key_prefix("sk", "LINE#"), |line| line.on_change(lines))
        .dead_letter_queue(queue)
        .build()
}

#[cfg(test)]
mod tests;
