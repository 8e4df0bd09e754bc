//! A processor with the store: what one execution environment has done, the next one does not do again.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use aws_sdk_dynamodb::types::{ScalarAttributeType, TransactWriteItem, Update};
use lambda_streams::testing::TestStream;
use lambda_streams::{
    AwsResultExt, Deadline, Guard, HandlerError, Idempotency, Invocation, Marks, MemoryDeadLetterQueue, Origin,
    Outcome, ProcessorBuilder, Record, RetryPolicy, SkipReason, Stale, StreamEvent, StreamProcessor, with,
};
use serde_json::json;

use super::*;

const DONE: Outcome = Outcome::Skipped(SkipReason::AlreadyDone);

/// The payload of a batch of new items.
fn payload(items: &[&str]) -> serde_json::Value {
    let mut stream = TestStream::new("orders", &["id"]);
    for item in items {
        stream = stream.insert(json!({"id": {"S": item}}));
    }
    serde_json::from_slice(&stream.payload().unwrap()).unwrap()
}

/// The event of a batch, starting at this record.
fn event(payload: &serde_json::Value, from: usize) -> StreamEvent {
    let records = &payload["Records"].as_array().unwrap()[from..];
    StreamEvent::from_vec(json!({"Records": records}).to_string().into_bytes()).unwrap()
}

/// The builder of a new environment, whose store is this. The DynamoDB in this process is given all the time that it needs.
fn environment(store: &DynamoDbIdempotencyStore) -> ProcessorBuilder {
    let idempotency = Idempotency::new("orders", store.clone()).budget(Duration::from_secs(60));
    StreamProcessor::builder().idempotency(idempotency)
}

async fn outcomes(builder: ProcessorBuilder, event: StreamEvent) -> Vec<Outcome> {
    builder.build().unwrap().process(event, Deadline::none()).await.outcomes()
}

#[tokio::test]
async fn what_is_done_after_a_checkpoint_is_done_in_every_environment() {
    let (_database, store) = start().await;
    let (payload, is_down) = (payload(&["a", "bad", "c"]), Arc::new(AtomicBool::new(true)));
    let environment = || {
        let is_down = Arc::clone(&is_down);
        // The others are done while it is tried again.
        let retry = RetryPolicy::default().base_delay(Duration::from_millis(1));
        environment(&store).retry(retry).on_record(move |record: Record| {
            let fails = record.keys_json().contains("bad") && is_down.load(Ordering::SeqCst);
            async move { if fails { Err("down".into()) } else { Ok(()) } }
        })
    };
    let first = outcomes(environment(), event(&payload, 0)).await;
    assert_eq!(first, [Outcome::Succeeded, Outcome::Reported, Outcome::Succeeded]);
    is_down.store(false, Ordering::SeqCst);
    // Lambda delivers again, starting at the checkpoint.
    assert_eq!(outcomes(environment(), event(&payload, 1)).await, [Outcome::Succeeded, DONE]);
}

#[tokio::test]
async fn marks_outlive_an_environment() {
    let (_database, store) = start().await;
    let payload = payload(&["a", "b", "a", "c"]);
    let calls = Arc::new(AtomicUsize::new(0));
    let environment = || {
        let calls = Arc::clone(&calls);
        environment(&store).marks(Marks::new(Stale::Skip)).on_record(move |_: Record| {
            calls.fetch_add(1, Ordering::SeqCst);
            async { Ok(()) }
        })
    };
    assert_eq!(outcomes(environment(), event(&payload, 0)).await, [Outcome::Succeeded; 4]);
    assert_eq!(outcomes(environment(), event(&payload, 0)).await, [DONE; 4]);
    assert_eq!(calls.load(Ordering::SeqCst), 4);
}

/// Counts changes under the guards of their items.
struct Counter {
    database: Database,
    guard: Guard,
}

impl Counter {
    async fn count(self: Arc<Self>, change: Record) -> Result<(), HandlerError> {
        let update = Update::builder().table_name("sums").key("id", s("all")).update_expression("ADD changes :one");
        let update = update.expression_attribute_values(":one", n(1)).build()?;
        let transaction = self.database.client.transact_write_items().transact_items(self.guard.newest(&change)?);
        transaction.transact_items(TransactWriteItem::builder().update(update).build()).send().await.classify()?;
        Ok(())
    }

    async fn rows(&self) -> Vec<std::collections::HashMap<String, AttributeValue>> {
        let mut rows = self.database.scan(TABLE).await.unwrap();
        rows.retain(|row| row["key"].as_s().unwrap().contains("#item#"));
        rows
    }
}

async fn counter() -> (Arc<Counter>, DynamoDbIdempotencyStore) {
    let (database, store) = start().await;
    database.create_table("sums", &[("id", ScalarAttributeType::S)]).await.unwrap();
    let guard = store.guard("orders").unwrap();
    (Arc::new(Counter { database, guard }), store)
}

#[tokio::test]
async fn the_processor_leaves_a_guarded_mark_to_the_guard_and_reads_it() {
    let (counter, store) = counter().await;
    let payload = payload(&["a", "b"]);
    let environment =
        || environment(&store).marks(Marks::new(Stale::Skip)).on_record(with(Arc::clone(&counter), Counter::count));
    assert_eq!(outcomes(environment(), event(&payload, 0)).await, [Outcome::Succeeded; 2]);
    let rows = counter.rows().await;
    assert_eq!(rows.len(), 2);
    for row in rows {
        assert!(row.contains_key("guarded") && row["guarded"] == row["applied"], "{row:?}");
        assert!(!row.contains_key("passed"), "the processor has written nothing: {row:?}");
    }
    assert_eq!(outcomes(environment(), event(&payload, 0)).await, [DONE; 2]);
}

/// The environment ends after the transaction, and before anything else is written.
#[tokio::test]
async fn after_a_crash_the_guard_has_said_what_is_done() {
    let (counter, store) = counter().await;
    let payload = payload(&["a", "b"]);
    let hanging = {
        let counter = Arc::clone(&counter);
        environment(&store).marks(Marks::new(Stale::Skip)).on_record(move |change: Record| {
            let counter = Arc::clone(&counter);
            async move {
                counter.count(change).await?;
                std::future::pending().await
            }
        })
    };
    let hanging = hanging.build().unwrap();
    {
        let mut invocation = std::pin::pin!(hanging.process(event(&payload, 0), Deadline::none()));
        let both_are_counted = async { while counter.rows().await.len() < 2 {} };
        tokio::select! {
            _ = &mut invocation => panic!("its handlers never end"),
            () = both_are_counted => {}
        }
    }
    let next = environment(&store).marks(Marks::new(Stale::Skip)).on_record(with(Arc::clone(&counter), Counter::count));
    assert_eq!(outcomes(next, event(&payload, 0)).await, [DONE; 2]);
    let sums = counter.database.scan("sums").await.unwrap();
    assert_eq!(sums[0]["changes"], n(2));
}

/// A dead letter passes the stream's mark, and does not count as applied where it comes from elsewhere.
#[tokio::test]
async fn a_dead_letter_is_passed_and_its_redrive_is_processed() {
    let (counter, store) = counter().await;
    let payload = payload(&["a"]);
    let queue = MemoryDeadLetterQueue::new();
    let failing = environment(&store).marks(Marks::new(Stale::Process)).dead_letter_queue(queue.clone());
    let failing = failing.on_record(|_: Record| async { Err(HandlerError::permanent("down")) });
    assert_eq!(outcomes(failing, event(&payload, 0)).await, [Outcome::DeadLettered]);
    let row = counter.rows().await.remove(0);
    assert!(row.contains_key("passed") && !row.contains_key("applied"), "{row:?}");

    let works =
        || environment(&store).marks(Marks::new(Stale::Process)).on_record(with(Arc::clone(&counter), Counter::count));
    assert_eq!(outcomes(works(), event(&payload, 0)).await, [DONE], "from the stream it is done");
    let mut redrive = Invocation::from(Deadline::none());
    redrive.origin = Origin::Redrive;
    let processor = works().build().unwrap();
    let report = processor.process(event(&payload, 0), redrive.clone()).await;
    assert_eq!(report.outcomes(), [Outcome::Succeeded]);
    assert_eq!(processor.process(event(&payload, 0), redrive).await.outcomes(), [DONE], "it is applied now");
    let row = counter.rows().await.remove(0);
    assert!(row.contains_key("applied") && !row.contains_key("guarded"), "{row:?}");
}
