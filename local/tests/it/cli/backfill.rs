//! `backfill`, against a DynamoDB in this process and a function in Python.

mod compare;
mod export;
mod pause;
mod processor;
mod race;
mod throttled;

mod touch;

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};

use aws_sdk_dynamodb::types::{AttributeValue, StreamViewType};
use serde_json::Value;
use tokio::process::Command;

use super::{Ran, free_path, program};
use crate::streams_source::{Dynamo, item};

const SINK: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/cli/backfill/sink.py");

/// A table with items, and a place for a journal and for what the function gets.
struct Bench {
    dynamo: Dynamo,
    journal: PathBuf,
    sink: PathBuf,
}

impl Bench {
    /// A table `orders` with items that are named by a number.
    async fn new(name: &str, items: usize) -> Self {
        let dynamo = Dynamo::start().await;
        dynamo.create_table("orders", Some(StreamViewType::NewAndOldImages)).await;
        for number in 0..items {
            dynamo.put("orders", numbered(number)).await;
        }
        let path = |kind: &str| free_path(&format!("backfill-{name}-{kind}"));
        Self { dynamo, journal: path("journal"), sink: path("sink") }
    }

    /// The command, over the table, with the function in Python.
    fn command(&self, arguments: &[&str], mode: &str) -> Command {
        let mut command = self.bare(&["--table", "orders"]);
        command.args(arguments).args(["--bootstrap", "python3", "--", SINK]);
        command.env("MODE", mode).env("SINK", &self.sink);
        command
    }

    /// The command without a function.
    fn bare(&self, arguments: &[&str]) -> Command {
        let mut command = program();
        command.args(["backfill", "--plain"]).env("AWS_ENDPOINT_URL", &self.dynamo.endpoint);
        command.arg("--journal").arg(&self.journal).args(arguments);
        command
    }

    async fn run(&self, arguments: &[&str], mode: &str) -> Ran {
        self.command(arguments, mode).output().await.expect("the program can be started").into()
    }

    /// What the function got, by the item's name.
    fn got(&self) -> BTreeMap<String, Vec<Value>> {
        got(&self.sink)
    }
}

fn got(sink: &Path) -> BTreeMap<String, Vec<Value>> {
    let mut got: BTreeMap<String, Vec<Value>> = BTreeMap::new();
    for line in std::fs::read_to_string(sink).unwrap_or_default().lines() {
        let line: Value = serde_json::from_str(line).expect("the function writes JSON");
        let name = line["record"]["dynamodb"]["Keys"]["id"]["S"].as_str().expect("it has keys").to_owned();
        got.entry(name).or_default().push(line);
    }
    got
}

fn numbered(number: usize) -> HashMap<String, AttributeValue> {
    item(&format!("order-{number:04}"), [("n", AttributeValue::N(number.to_string()))])
}

/// What a person with a handler that counts has to know.
const COUNTS_AGAIN: &str = "note: every item is sent as a new insert: a handler that counts also counts items";

#[tokio::test]
async fn every_item_is_sent_once_as_an_insert() {
    let bench = Bench::new("good", 250).await;
    let ran = bench.run(&["--batch-size", "40", "--concurrency", "3"], "list").await;
    assert_eq!(ran.code, Some(0), "{}{}", ran.stderr, ran.stdout);
    assert!(ran.stdout.contains("250 items: 250 done, 0 failed, 0 held back, 0 left"), "{}", ran.stdout);
    assert!(ran.stdout.contains("the function says: 250 succeeded"), "{}", ran.stdout);
    assert!(ran.stderr.contains("note: the stream stays live"), "{}", ran.stderr);
    assert!(ran.stderr.contains(COUNTS_AGAIN), "{}", ran.stderr);
    assert!(ran.stdout.contains("the same command would start again"), "{}", ran.stdout);
    let got = bench.got();
    assert_eq!(got.len(), 250);
    for (number, (name, records)) in got.iter().enumerate() {
        assert_eq!((name.as_str(), records.len()), (format!("order-{number:04}").as_str(), 1));
        let (origin, record) = (&records[0]["origin"], &records[0]["record"]);
        assert_eq!(*origin, serde_json::json!({"origin": "backfill", "answer": "list"}));
        assert_eq!(record["eventName"], "INSERT");
        assert_eq!(record["dynamodb"]["NewImage"]["n"]["N"], number.to_string());
        assert!(record["dynamodb"].get("SequenceNumber").is_none());
        let arn = record["eventSourceARN"].as_str().expect("a text");
        assert!(arn.contains(":table/orders/stream/"), "{arn}");
    }
    assert!(!bench.journal.exists(), "nothing is left to be done");
    for secret in ["order-0001", "order-0249"] {
        assert!(!ran.stderr.contains(secret) && !ran.stdout.contains(secret), "{}{}", ran.stderr, ran.stdout);
    }
}

#[tokio::test]
async fn what_a_function_reports_is_sent_again_by_the_next_run_and_nothing_else() {
    let bench = Bench::new("reports", 60).await;
    let flags = ["--batch-size", "20", "--attempts", "2", "--segments", "2"];
    let ran = bench.command(&flags, "list").env("FAIL", "order-0007,order-0033").output().await.expect("it runs");
    let ran = Ran::from(ran);
    assert_eq!(ran.code, Some(1), "{}{}", ran.stderr, ran.stdout);
    assert!(ran.stdout.contains("60 items: 58 done, 2 failed"), "{}", ran.stdout);
    assert!(ran.stdout.contains("run the same command again to continue"), "{}", ran.stdout);
    assert_eq!(bench.got().len(), 58);

    // One of them has changed, the other is gone, and another number of segments must not lose what is left.
    bench.dynamo.put("orders", item("order-0007", [("n", AttributeValue::N("70".to_owned()))])).await;
    bench.dynamo.delete("orders", item("order-0033", [])).await;
    std::fs::remove_file(&bench.sink).expect("it was written");
    let ran = bench.run(&["--segments", "8"], "list").await;
    assert_eq!(ran.code, Some(0), "{}{}", ran.stderr, ran.stdout);
    let got = bench.got();
    assert_eq!(got.keys().collect::<Vec<_>>(), ["order-0007"]);
    assert_eq!(got["order-0007"][0]["record"]["dynamodb"]["NewImage"]["n"]["N"], "70", "as it is now");
    assert!(ran.stdout.contains("1 item: 1 done") && ran.stdout.contains("the item was removed: 1"), "{}", ran.stdout);
    assert!(!bench.journal.exists());
}

#[tokio::test]
async fn a_function_that_fails_loses_nothing() {
    let bench = Bench::new("fails", 30).await;
    let ran = bench.run(&["--batch-size", "30", "--attempts", "1"], "error").await;
    assert_eq!(ran.code, Some(1), "{}{}", ran.stderr, ran.stdout);
    assert!(ran.stdout.contains("the index is down"), "{}", ran.stdout);
    let ran = bench.run(&[], "").await;
    assert_eq!(ran.code, Some(0), "{}{}", ran.stderr, ran.stdout);
    assert!(ran.stderr.contains("continuing where an earlier run stopped"), "{}", ran.stderr);
    assert_eq!(bench.got().len(), 30);
}

#[tokio::test]
async fn a_run_that_was_killed_is_gone_on_with() {
    let bench = Bench::new("killed", 200).await;
    let flags = ["--batch-size", "10", "--segments", "3"];
    let ran = bench.run(&flags, "kills").await;
    assert_eq!(ran.code, None, "it was killed: {}", ran.stderr);
    let first = bench.got().len();
    assert!((10..200).contains(&first), "{first}");
    let ran = bench.run(&flags, "").await;
    assert_eq!(ran.code, Some(0), "{}{}", ran.stderr, ran.stdout);
    let got = bench.got();
    assert_eq!(got.len(), 200, "nothing is lost");
    let names = |records: &Vec<Value>| records.iter().map(|line| line["record"]["eventID"].clone()).collect::<Vec<_>>();
    for records in got.values() {
        let mut names = names(records);
        names.dedup();
        assert_eq!(names.len(), 1, "a repeated item has the same event id, so a function can know it");
    }
}

#[tokio::test]
async fn two_runs_of_the_same_work_are_refused() {
    let bench = Bench::new("twice", 5).await;
    let go = free_path("backfill-twice-go");
    let mut first = super::interrupt::Running::of(bench.command(&[], "waits").env("GO", &go));
    first.wait_for("asked").await;
    let second = bench.run(&[], "").await;
    assert_eq!(second.code, Some(2), "{}", second.stderr);
    assert!(second.stderr.contains("another run of this command is in progress"), "{}", second.stderr);
    std::fs::write(&go, "").expect("it can be written");
    let ran = first.end().await;
    assert_eq!(ran.code, Some(0), "{}{}", ran.stderr, ran.stdout);
    assert_eq!(bench.got().len(), 5);
}

#[tokio::test]
async fn ctrl_c_waits_for_what_is_in_flight_and_the_next_run_goes_on() {
    let bench = Bench::new("interrupted", 50).await;
    let go = free_path("backfill-interrupted-go");
    let mut running = super::interrupt::Running::of(bench.command(&["--batch-size", "10"], "waits").env("GO", &go));
    running.wait_for("asked").await;
    running.interrupt();
    running.wait_for("interrupted: waiting for the invocations in flight").await;
    std::fs::write(&go, "").expect("it can be written");
    let ran = running.end().await;
    assert_eq!(ran.code, Some(1), "{}{}", ran.stderr, ran.stdout);
    assert_eq!(bench.got().len(), 10, "what was in flight");
    for expected in ["items left were read and not sent", "with up to 1000 items, are sent again"] {
        assert!(ran.stdout.contains(expected), "{expected}: {}", ran.stdout);
    }
    assert!(!ran.stdout.contains("would start again"), "{}", ran.stdout);
    let journal = std::fs::read(&bench.journal).expect("the run has left it");
    let ran = bench.run(&["--dry-run"], "").await;
    assert_eq!(ran.code, Some(0), "{}{}", ran.stderr, ran.stdout);
    for expected in [
        "the same command continues where an earlier run stopped",
        "of 4 segments, ",
        "0 failed items to be \
                      tried again",
    ] {
        assert!(ran.stdout.contains(expected), "{expected}: {}", ran.stdout);
    }
    assert_eq!(std::fs::read(&bench.journal).expect("it stays"), journal);
    let ran = bench.run(&[], "").await;
    assert_eq!(ran.code, Some(0), "{}{}", ran.stderr, ran.stdout);
    assert_eq!(bench.got().len(), 50);
}

#[tokio::test]
async fn a_dry_run_counts_and_sends_nothing() {
    let bench = Bench::new("dry", 25).await;
    let ran = bench.run(&["--dry-run", "--batch-size", "10", "--read-units", "1"], "").await;
    assert_eq!(ran.code, Some(0), "{}{}", ran.stderr, ran.stdout);
    for expected in [
        "about 25 items",
        "every six hours",
        "read units",
        "about 3 of up to 10 records",
        "nothing was sent",
        COUNTS_AGAIN,
    ] {
        assert!(ran.stdout.contains(expected), "{expected}: {}", ran.stdout);
    }
    assert!(!ran.stdout.contains("0.0 MB") && !ran.stdout.contains("journal"), "{}", ran.stdout);
    assert!(!bench.journal.exists() && bench.got().is_empty());
    let ran = bench.run(&["--dry-run", "--batch-size", "1"], "").await;
    assert!(ran.stdout.contains("about 25 of up to 1 record and 5.5 MB"), "{}", ran.stdout);
    let ran: Ran =
        bench.bare(&["--table", "orders", "--touch", "at", "--dry-run"]).output().await.expect("it runs").into();
    assert!(ran.stdout.contains("about 25 write units"), "{}", ran.stdout);
    assert!(ran.stdout.contains("note: --touch makes a new change of every item"), "{}", ran.stdout);
}

#[tokio::test]
async fn wrong_use_is_refused_before_anything_starts() {
    let bench = Bench::new("wrong", 0).await;
    let table: [(&[&str], &str); 10] = [
        (&[], "error: say where the items come from: use --table or --export"),
        (&["--table", "orders"], "error: say which function to invoke: use --bootstrap or --function, or --touch"),
        (&["--table", "nowhere", "--function", "f"], "error: table `nowhere` does not exist here: check its name"),
        (
            &["--table", "orders", "--function", "f", "--stale", "skip"],
            "error: --stale does not work with backfill: its records have no sequence numbers to compare with marks. Use",
        ),
        (
            &["--table", "orders", "--function", "f", "--mapping", "uuid"],
            "error: --mapping needs --pause-mapping: it names the mapping that is disabled",
        ),
        (&["--table", "orders", "--touch", "at", "--function", "f"], "cannot be used with"),
        (&["--table", "orders", "--touch", "id"], "error: `id` is a key of table `orders`, which cannot be rewritten"),
        (&["--export", "/no/such/folder", "--bootstrap", "x"], "error: /no/such/folder cannot be read: No such file"),
        (
            &["--table", "orders", "--bootstrap", "x", "--skip-changed-since", "2026-01-01T00:00:00Z"],
            "error: --skip-changed-since is more than 24 hours ago, and a stream keeps its records for 24 hours",
        ),
        (
            &["--table", "orders", "--bootstrap", "true", "--skip-changed-since", "2999-01-01T00:00:00Z"],
            "it is in the future",
        ),
    ];
    for (arguments, expected) in table {
        let ran: Ran = bench.bare(arguments).output().await.expect("it runs").into();
        assert_eq!(ran.code, Some(2), "{arguments:?}: {}", ran.stderr);
        assert!(ran.stderr.contains(expected), "{arguments:?}: {}", ran.stderr);
        assert!(ran.stdout.is_empty(), "{}", ran.stdout);
    }
}
