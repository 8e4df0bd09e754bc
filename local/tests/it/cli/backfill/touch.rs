//! `--touch`: the stream brings the items, and nothing is damaged or resurrected.

use std::collections::BTreeMap;

use aws_sdk_dynamodb::types::AttributeValue;
use serde_json::Value;

use super::Bench;
use crate::cli::Ran;
use crate::cli::interrupt::Running;
use crate::streams_source::item;

async fn touch(bench: &Bench, arguments: &[&str]) -> Ran {
    let mut command = bench.bare(&["--table", "orders", "--touch", "backfilled_at"]);
    command.args(arguments).output().await.expect("the program can be started").into()
}

#[tokio::test]
async fn the_stream_brings_every_item_as_it_is() {
    let bench = Bench::new("touch", 120).await;
    let before = bench.dynamo.stream_records("orders").await.len();
    let ran = touch(&bench, &[]).await;
    assert_eq!(ran.code, Some(0), "{}{}", ran.stderr, ran.stdout);
    assert!(
        ran.stdout.contains("120 items: 120 rewritten, 0 changed and 0 removed since they were read, 0 failed"),
        "{}",
        ran.stdout
    );
    let records = bench.dynamo.stream_records("orders").await.split_off(before);
    let images: BTreeMap<String, &Value> = records
        .iter()
        .map(|record| (record["dynamodb"]["Keys"]["id"]["S"].to_string(), &record["dynamodb"]["NewImage"]))
        .collect();
    assert_eq!((records.len(), images.len()), (120, 120));
    for (number, image) in images.values().enumerate() {
        assert_eq!(image["n"]["N"], number.to_string(), "nothing else of the item has changed");
        assert!(image["backfilled_at"]["S"].as_str().is_some_and(|at| at.starts_with("20") && at.ends_with('Z')));
    }
    assert!(!bench.journal.exists());
    let again = touch(&bench, &[]).await;
    assert!(again.stdout.contains("120 rewritten"), "the next backfill writes another time: {}", again.stdout);
}

#[tokio::test]
async fn what_was_changed_or_removed_since_it_was_read_is_left_alone() {
    // All items are one page. 32 are written at once, and the limit lets the next 32 follow after more than a second: the last
    // items wait for longer than this test takes to stop the program, and are changed meanwhile.
    let bench = Bench::new("touch-meanwhile", 100).await;
    let order: Vec<String> = bench.dynamo.scan("orders").await.into_iter().map(|(name, _)| name).collect();
    let flags = ["--table", "orders", "--touch", "backfilled_at", "--segments", "1", "--write-units", "20"];
    let running = Running::of(&mut bench.bare(&flags));
    bench.dynamo.wait_for_attribute("orders", "backfilled_at").await;
    running.stop();
    let (removed, rest) = order[85..].split_at(5);
    let (changed, other) = rest.split_at(5);
    for name in removed {
        bench.dynamo.delete("orders", item(name, [])).await;
    }
    for name in changed {
        let mine = AttributeValue::S("mine".to_owned());
        bench
            .dynamo
            .put("orders", item(name, [("n", AttributeValue::N("77".to_owned())), ("backfilled_at", mine)]))
            .await;
    }
    for name in other {
        bench.dynamo.put("orders", item(name, [("n", AttributeValue::N("88".to_owned()))])).await;
    }
    running.go_on();
    let ran = running.end().await;
    assert_eq!(ran.code, Some(0), "{}{}", ran.stderr, ran.stdout);
    let items = bench.dynamo.items("orders").await;
    assert_eq!(items.len(), 95, "none of those that were removed is back");
    assert!(removed.iter().all(|name| !items.contains_key(name)));
    for name in changed {
        assert_eq!(
            items[name]["backfilled_at"],
            AttributeValue::S("mine".to_owned()),
            "the value of somebody else stays"
        );
        assert_eq!(items[name]["n"], AttributeValue::N("77".to_owned()));
    }
    for name in other {
        assert_eq!(items[name]["n"], AttributeValue::N("88".to_owned()), "the change stays");
        assert!(items[name].contains_key("backfilled_at"), "and the item is touched: the stream has it as it is");
    }
    assert!(
        ran.stdout.contains("100 items: 90 rewritten, 5 changed and 5 removed since they were read, 0 failed"),
        "{}",
        ran.stdout
    );
}

#[tokio::test]
async fn an_attribute_that_holds_something_else_is_not_overwritten() {
    let bench = Bench::new("touch-taken", 3).await;
    let mut command = bench.bare(&["--table", "orders", "--touch", "n"]);
    let ran: Ran = command.output().await.expect("the program can be started").into();
    assert_eq!(ran.code, Some(1), "{}", ran.stderr);
    assert!(ran.stderr.contains("the attribute `n` of an item holds something other than a time"), "{}", ran.stderr);
    let items = bench.dynamo.items("orders").await;
    assert!(items.values().all(|item| item["n"].as_n().is_ok()), "{items:?}");
}

#[tokio::test]
async fn a_table_without_a_stream_cannot_be_touched() {
    let bench = Bench::new("touch-plain", 0).await;
    bench.dynamo.create_table("plain", None).await;
    let ran: Ran = bench.bare(&["--table", "plain", "--touch", "at"]).output().await.expect("it runs").into();
    assert_eq!(ran.code, Some(2), "{}", ran.stderr);
    assert!(ran.stderr.contains("table `plain` has no stream, so --touch would have no effect"), "{}", ran.stderr);
}

#[tokio::test]
async fn an_interrupted_run_is_gone_on_with() {
    let bench = Bench::new("touch-interrupted", 150).await;
    let flags = ["--table", "orders", "--touch", "backfilled_at", "--write-units", "20"];
    let mut running = Running::of(&mut bench.bare(&flags));
    bench.dynamo.wait_for_attribute("orders", "backfilled_at").await;
    running.interrupt();
    running.wait_for("interrupted: waiting for the writes in flight").await;
    let ran = running.end().await;
    assert_eq!(ran.code, Some(1), "{}{}", ran.stderr, ran.stdout);
    assert!(!bench.dynamo.names_without("orders", "backfilled_at").await.is_empty());
    for expected in
        ["items that were not read or not written yet are not counted", "with up to 1000 items, are rewritten again"]
    {
        assert!(ran.stdout.contains(expected), "{expected}: {}", ran.stdout);
    }
    let ran = touch(&bench, &[]).await;
    assert_eq!(ran.code, Some(0), "{}{}", ran.stderr, ran.stdout);
    assert!(bench.dynamo.names_without("orders", "backfilled_at").await.is_empty(), "every item is touched");
    assert!(ran.stdout.contains("the same command would start again and rewrite every item"), "{}", ran.stdout);
}

#[tokio::test]
async fn an_item_that_cannot_be_written_is_tried_again_by_the_next_run_alone() {
    let bench = Bench::new("touch-large", 10).await;
    // With the attribute, it would be larger than an item may be.
    let large = AttributeValue::S("x".repeat(409_600 - 60));
    bench.dynamo.put("orders", item("large", [("large", large)])).await;
    let ran = touch(&bench, &[]).await;
    assert_eq!(ran.code, Some(1), "{}{}", ran.stderr, ran.stdout);
    assert!(
        ran.stdout.contains("11 items: 10 rewritten, 0 changed and 0 removed since they were read, 1 failed"),
        "{}",
        ran.stdout
    );
    assert!(ran.stdout.contains("the last failure: table `orders`: ValidationException"), "{}", ran.stdout);
    bench.dynamo.put("orders", item("large", [])).await;
    let ran = touch(&bench, &[]).await;
    assert_eq!(ran.code, Some(0), "{}{}", ran.stderr, ran.stdout);
    assert!(ran.stdout.contains("1 item: 1 rewritten"), "{}", ran.stdout);
    assert!(!bench.journal.exists());
}
