//! The run as a user makes it, and that its check of the order can fail.

use std::path::PathBuf;

use lambda_streams::testing::TestStream;
use lambda_streams::{Lanes, MemoryDeadLetterQueue, Record, StreamProcessor};
use lambda_streams_local::MemorySource;
use serde_json::Value;

use super::*;

/// Options of a run with these items, in a folder of its own.
fn options(name: &str, items: &[&str]) -> Options {
    let folder = std::env::temp_dir().join(format!("lambda-streams-local-{name}-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("the temporary folder can be written");
    std::fs::write(folder.join("items.ndjson"), items.join("\n")).expect("the folder was just made");
    let dead_letters = folder.join("deeper/dead-letters.ndjson");
    Options { items: Some(folder.join("items.ndjson")), endpoint_url: None, dead_letters }
}

fn remove_folder(options: &Options) {
    let folder = options.items.as_deref().and_then(Path::parent).map(PathBuf::from).expect("it is in a folder");
    std::fs::remove_dir_all(folder).expect("it was made by this test");
}

/// A row of the table, its cells as they are printed.
fn cells(table: &str, name: &str) -> Vec<String> {
    let row = table.lines().find(|line| line.starts_with(name)).unwrap_or_else(|| panic!("no {name} in {table}"));
    row.split_whitespace().skip(1).map(str::to_owned).collect()
}

#[tokio::test]
async fn a_broken_item_of_the_user_becomes_a_dead_letter() {
    let options = options(
        "items",
        &[
            r#"{"id": "a", "timestamp": 1, "status": "new", "nested": {"list": [1, null]}}"#,
            r#"{"id": {"S": "b"}, "timestamp": {"N": "2"}, "status": {"S": "new"}, "blob": {"B": "AAE="}}"#,
            r#"{"Item": {"id": {"S": "c"}, "timestamp": {"N": "3"}, "tags": {"SS": ["x"]}}}"#,
        ],
    );
    let summary = run(&options).await.expect("everything is there");
    let table = summary.render();
    assert!(summary.is_good(), "{table}");
    assert!(cells(&table, "INSERT")[0].parse::<usize>().is_ok_and(|inserts| inserts >= 3), "{table}");
    assert!(table.contains("`NewImage`: `status` is missing"), "{table}");
    let letters = std::fs::read_to_string(&options.dead_letters).expect("the queue made it");
    assert_eq!(letters.lines().count().to_string(), cells(&table, "total")[3]);
    assert!(letters.lines().all(|letter| DeadLetter::from_json(letter).is_ok()));
    remove_folder(&options);
}

#[tokio::test]
async fn a_database_that_is_already_there_is_used_and_left_as_it_was() {
    let there = Database::open(None).await.expect("loopback has a free port");
    let mut options = options("endpoint", &[r#"{"id": "a", "timestamp": 1, "status": "new"}"#]);
    options.endpoint_url = Some(there.endpoint.clone());
    let summary = run(&options).await.expect("the database answers");
    assert!(summary.is_good(), "{}", summary.render());
    let tables = there.items.list_tables().send().await.expect("it still answers").table_names.unwrap_or_default();
    assert_eq!(tables, std::slice::from_ref(&there.table));
    there.close().await.expect("it is ours");
    remove_folder(&options);
}

#[tokio::test]
async fn a_wrong_endpoint_is_named_in_one_line_with_exit_code_2() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("loopback has a free port");
    let closed = format!("http://{}", listener.local_addr().expect("it is bound"));
    drop(listener);
    let options =
        Options { endpoint_url: Some(closed.clone()), ..options("closed", &[r#"{"id": "a", "timestamp": 1}"#]) };
    let failure = run(&options).await.expect_err("nobody listens");
    assert!(failure.message.starts_with(&format!("cannot reach a DynamoDB at {closed}: ")), "{failure}");
    assert!(!failure.message.contains('\n'));
    assert_eq!(format!("{:?}", failure.exit_code), format!("{:?}", ExitCode::from(2)));
    remove_folder(&options);
}

/// Twenty changes of one item.
fn changes_of_one_item() -> Vec<Value> {
    let image = |revision: u32| {
        serde_json::json!({
            "id": {"S": "a"}, "timestamp": {"N": "1"}, "status": {"S": "new"}, "revision": {"N": revision.to_string()}
        })
    };
    let stream = TestStream::new("t", &["id", "timestamp"]);
    let stream = (1..=20).fold(stream, |stream, number| stream.modify(image(number), image(number + 1)));
    let changes = stream.changes::<Record>().expect("they are whole");
    changes.iter().map(|change| serde_json::from_str(change.raw_json()).expect("it is JSON")).collect()
}

async fn verdict(lanes: Lanes) -> order::BatchResult {
    let watch = Watch::new(SEED);
    let builder = processor::with_handlers(StreamProcessor::builder(), &Handlers::new(watch.clone()));
    let processor = builder.dead_letter_queue(MemoryDeadLetterQueue::new()).lanes(lanes).build().expect("it is whole");
    let records = changes_of_one_item();
    let source = MemorySource::new("arn:aws:dynamodb:eu-central-1:123456789012:table/t/stream/2026-01-01T00:00:00.000");
    let source = source.shard("shardId-1", None, records.iter().map(Value::to_string)).expect("they are JSON");
    let processed = mapping::process(&processor, source, records.len(), |_| ()).await.expect("nothing is reported");
    assert_eq!(processed.records, records);
    watch.check(&records)
}

#[tokio::test]
async fn the_check_of_the_order_sees_disorder() {
    let in_order = verdict(Lanes::PerItem).await;
    assert_eq!((in_order.items, in_order.handled, in_order.disorder), (1, 20, 0));
    let without = verdict(Lanes::Unordered).await;
    assert_eq!(without.handled, 20);
    assert!(without.disorder > 0, "without lanes the changes of an item overtake each other");
}
