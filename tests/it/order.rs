//! The README's "Order": records of one item run one after the other, different items concurrently.

use std::collections::HashMap;
use std::time::Duration;

use lambda_streams::{DecodeError, ErrorKind, Keys, Lanes, Outcome, StreamProcessor};
use serde_json::json;

use crate::support::{Act, Change, Reply, Script, TestQueue, change, inserts, outcomes, process};

fn versions_of(id: &str, seen: &[(String, u32)]) -> Vec<u32> {
    seen.iter().filter(|(item, _)| item == id).map(|(_, version)| *version).collect()
}

/// 20 changes to each of 3 items, interleaved.
fn interleaved() -> Vec<Change> {
    (0..60).map(|number| change(number, ["a", "b", "c"][number % 3], (number / 3) as u32)).collect()
}

#[tokio::test(start_paused = true)]
async fn one_items_records_run_in_order_and_items_concurrently() {
    let take = Act::Take(Duration::from_millis(10));
    let script = Script::new([("a", take), ("b", take), ("c", take)]);
    let processor = StreamProcessor::builder().on_record(script.clone()).build().unwrap();
    process(&processor, &interleaved()).await;
    for id in ["a", "b", "c"] {
        assert_eq!(versions_of(id, &script.started()), (0..20).collect::<Vec<_>>());
        assert_eq!(versions_of(id, &script.succeeded()), (0..20).collect::<Vec<_>>());
    }
    assert_eq!(script.most_running(), 3, "one of each item at a time");
}

#[tokio::test(start_paused = true)]
async fn a_retry_keeps_its_place_in_the_lane() {
    let script = Script::new([("a", Act::FailTimes(2))]);
    let processor = StreamProcessor::builder().on_record(script.clone()).build().unwrap();
    process(&processor, &interleaved()).await;
    assert_eq!(versions_of("a", &script.succeeded()), (0..20).collect::<Vec<_>>());
}

#[tokio::test(start_paused = true)]
async fn equal_keys_share_a_lane_in_any_spelling() {
    let take = Act::Take(Duration::from_millis(10));
    let script = Script::new([("a", take)]);
    let keys = [
        r#"{"id": {"S": "a"}, "at": {"N": "1"}}"#,
        r#"{"at": {"N": "1.0"}, "id": {"S": "a"}}"#,
        r#"{"\u0069d": {"S": "\u0061"}, "at": {"N": "10e-1"}}"#,
    ];
    let changes: Vec<Change> = (0..3)
        .map(|number| {
            let keys: serde_json::Value = serde_json::from_str(keys[number]).unwrap();
            change(number, "a", number as u32).with("/dynamodb/Keys", keys)
        })
        .collect();
    let processor = StreamProcessor::builder().on_record(script.clone()).build().unwrap();
    process(&processor, &changes).await;
    assert_eq!(script.most_running(), 1);
    assert_eq!(versions_of("a", &script.succeeded()), [0, 1, 2]);
}

#[tokio::test(start_paused = true)]
async fn the_same_key_in_two_tables_is_two_items() {
    let script = Script::new([("a", Act::Take(Duration::from_millis(10)))]);
    let other = "arn:aws:dynamodb:eu-central-1:123456789012:table/invoices/stream/2026-01-01T00:00:00.000";
    let changes = [change(0, "a", 0), change(1, "a", 1).with("/eventSourceARN", other)];
    let processor = StreamProcessor::builder().on_record(script.clone()).build().unwrap();
    process(&processor, &changes).await;
    assert_eq!(script.most_running(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_whole_batch_can_run_strictly_in_order() {
    let script = Script::new([("item-3", Act::FailTimes(1)), ("item-1", Act::Take(Duration::from_secs(1)))]);
    let processor = StreamProcessor::builder().on_record(script.clone()).lanes(Lanes::WholeBatch).build().unwrap();
    process(&processor, &inserts(10)).await;
    assert_eq!(script.most_running(), 1);
    let expected: Vec<String> = (0..10).map(|number| format!("item-{number}")).collect();
    assert_eq!(script.succeeded().into_iter().map(|(id, _)| id).collect::<Vec<_>>(), expected);
}

#[tokio::test(start_paused = true)]
async fn all_items_of_one_partition_can_share_a_lane() {
    let take = Act::Take(Duration::from_millis(10));
    let script = Script::new([("item-0", take), ("item-1", take), ("item-2", take), ("item-3", take)]);
    let changes: Vec<Change> = inserts(4)
        .into_iter()
        .enumerate()
        .map(|(number, change)| {
            change.with(
                "/dynamodb/Keys",
                json!({"customer": {"S": (["x", "y"][number % 2])}, "id": {"N": number.to_string()}}),
            )
        })
        .collect();
    let by_customer = Lanes::per_key_attribute("customer");
    let processor = StreamProcessor::builder().on_record(script.clone()).lanes(by_customer).build().unwrap();
    process(&processor, &changes).await;
    assert_eq!(script.most_running(), 2);

    let script = Script::new([("item-0", take), ("item-1", take), ("item-2", take), ("item-3", take)]);
    let by_nothing = Lanes::per_key_attribute("no such attribute");
    let processor = StreamProcessor::builder().on_record(script.clone()).lanes(by_nothing).build().unwrap();
    process(&processor, &changes).await;
    assert_eq!(script.most_running(), 1, "without the attribute the order is kept, not lost");
}

/// Ten events of each of two aggregates of a tenant, interleaved.
fn events() -> Vec<Change> {
    let event = |number: usize| {
        let (aggregate, version) = (["a", "b"][number % 2], number / 2);
        let keys = json!({"pk": {"S": "TENANT#1"}, "sk": {"S": format!("AGG#{aggregate}#EVT#{version}")}});
        change(number, aggregate, version as u32).with("/dynamodb/Keys", keys)
    };
    (0..20).map(event).collect()
}

fn aggregate(keys: Keys<'_>) -> Result<String, DecodeError> {
    let event = keys.text("sk")?;
    let (aggregate, _) = event.split_once("#EVT#").unwrap_or((&event, ""));
    Ok(format!("{}/{aggregate}", keys.text("pk")?))
}

#[tokio::test(start_paused = true)]
async fn lanes_by_keys_order_what_shares_a_part_of_the_key() {
    let take = Act::Take(Duration::from_millis(10));
    let script = Script::new([("a", take), ("b", take)]);
    let lanes = Lanes::by_keys(aggregate);
    let processor = StreamProcessor::builder().on_record(script.clone()).lanes(lanes).build().unwrap();
    process(&processor, &events()).await;
    for id in ["a", "b"] {
        assert_eq!(versions_of(id, &script.succeeded()), (0..10).collect::<Vec<_>>());
    }
    assert_eq!(script.most_running(), 2, "one of each aggregate at a time");
}

#[tokio::test(start_paused = true)]
async fn the_same_name_in_two_tables_is_two_lanes() {
    let script = Script::new([("a", Act::Take(Duration::from_millis(10)))]);
    let other = "arn:aws:dynamodb:eu-central-1:123456789012:table/invoices/stream/2026-01-01T00:00:00.000";
    let changes = [change(0, "a", 0), change(1, "a", 1), change(2, "a", 2).with("/eventSourceARN", other)];
    let all = Lanes::by_keys(|_| Ok("all".to_owned()));
    let processor = StreamProcessor::builder().on_record(script.clone()).lanes(all).build().unwrap();
    process(&processor, &changes).await;
    assert_eq!(script.most_running(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_record_whose_lane_is_unknown_fails_and_delays_no_other() {
    let script = Script::new([("item-3", Act::Take(Duration::from_secs(1)))]);
    let queue = TestQueue::default();
    let lanes = Lanes::by_keys(|keys| match &*keys.text("id")? {
        "item-0" => keys.text("sk").map(Into::into),
        "item-1" => keys.decode::<HashMap<String, u64>>().map(|_| String::new()),
        "item-2" => panic!("a bug in the function"),
        _ => Ok("one lane".to_owned()),
    });
    let builder = StreamProcessor::builder().on_record(script.clone()).dead_letter_queue(queue.clone()).lanes(lanes);
    let report = process(&builder.build().unwrap(), &inserts(6)).await;
    assert_eq!(outcomes(&report)[..3], [Outcome::DeadLettered; 3]);
    assert_eq!(outcomes(&report)[3..], [Outcome::Succeeded; 3]);
    assert_eq!(script.most_running(), 1, "the others share their lane");
    let why: Vec<_> = queue.letters().iter().map(|it| (it.error_kind(), it.error_message().to_owned())).collect();
    let expected = [
        (ErrorKind::Decode, "attribute `Keys.sk`: the item's primary key does not have this attribute"),
        (ErrorKind::Decode, "attribute `Keys.id`: wanted u64, found S"),
        (ErrorKind::Panic, "the function of `Lanes::by_keys` panicked: a bug in the function"),
    ];
    assert_eq!(why, expected.map(|(kind, text)| (kind, text.to_owned())));
}

#[test]
fn a_function_of_keys_equals_its_clones_alone() {
    let lanes = Lanes::by_keys(aggregate);
    assert_eq!(lanes, lanes.clone());
    assert_ne!(lanes, Lanes::by_keys(aggregate));
    assert_eq!(format!("{lanes:?}"), "ByKeys(KeyLanes)");
}

#[tokio::test(start_paused = true)]
async fn unordered_records_all_run_at_once() {
    let script = Script::new([("a", Act::Take(Duration::from_millis(10)))]);
    let changes: Vec<Change> = (0..8).map(|number| change(number, "a", number as u32)).collect();
    let processor = StreamProcessor::builder().on_record(script.clone()).lanes(Lanes::Unordered).build().unwrap();
    process(&processor, &changes).await;
    assert_eq!(script.most_running(), 8);
}

#[tokio::test(start_paused = true)]
async fn a_record_with_unreadable_keys_delays_no_other() {
    let script = Script::new([("a", Act::Take(Duration::from_millis(10)))]);
    let queue = TestQueue::new(Reply::AcceptAfter(Duration::from_secs(60)));
    let changes = [change(0, "a", 0).with("/dynamodb/Keys", json!({"id": {"M": {}}})), change(1, "a", 1)];
    let processor = StreamProcessor::builder().on_record(script.clone()).dead_letter_queue(queue).build().unwrap();
    let processing = process(&processor, &changes);
    tokio::pin!(processing);
    tokio::select! {
        _ = &mut processing => panic!("the queue takes a minute"),
        () = tokio::time::sleep(Duration::from_secs(1)) => {}
    }
    assert_eq!(script.succeeded(), [("a".to_owned(), 1)]);
}

#[tokio::test(start_paused = true)]
async fn lanes_start_in_the_order_of_their_first_record() {
    let script = Script::default();
    let processor = StreamProcessor::builder().on_record(script.clone()).concurrency(1).build().unwrap();
    process(&processor, &inserts(50)).await;
    let expected: Vec<String> = (0..50).map(|number| format!("item-{number}")).collect();
    assert_eq!(script.started().into_iter().map(|(id, _)| id).collect::<Vec<_>>(), expected);
}

#[tokio::test(start_paused = true)]
async fn the_earliest_ready_record_starts_first() {
    // The second record of `a` becomes ready while others wait; it starts before them.
    let script = Script::default();
    let changes = [change(0, "a", 0), change(1, "a", 1), change(2, "b", 0), change(3, "c", 0)];
    let processor = StreamProcessor::builder().on_record(script.clone()).concurrency(1).build().unwrap();
    process(&processor, &changes).await;
    let ids: Vec<_> = script.started().into_iter().map(|(id, _)| id).collect();
    assert_eq!(ids, ["a", "a", "b", "c"]);
}
