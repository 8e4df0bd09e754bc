//! `replay`: documents and stretches of a stream are sent until they are done, and nothing of them is lost on the way.

use std::path::PathBuf;

use aws_sdk_dynamodb::types::{AttributeValue, StreamViewType};
use serde_json::{Value, json};
use tokio::process::Command;

use super::{Ran, free_path, program};
use crate::streams_source::{Dynamo, item};

const SEEN: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/cli/seen.py");
const STREAM: &str = "arn:aws:dynamodb:eu-central-1:123456789012:table/orders/stream/2026-01-01T00:00:00.000";

/// A replay with a function in Python, and what the function was sent.
struct Replay {
    name: &'static str,
    seen: PathBuf,
    journal: PathBuf,
    variables: Vec<(&'static str, String)>,
}

impl Replay {
    fn new(name: &'static str) -> Self {
        let (seen, journal) = (free_path(&format!("seen-{name}")), free_path(&format!("journal-{name}")));
        Self { name, seen, journal, variables: Vec::new() }
    }

    fn with(mut self, name: &'static str, value: &str) -> Self {
        self.variables.retain(|(known, _)| *known != name);
        self.variables.push((name, value.to_owned()));
        self
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = program();
        command.arg("replay").args(arguments).arg("--journal").arg(&self.journal);
        command.args(["--bootstrap", "python3", "--", SEEN]).env("SEEN", &self.seen);
        command.envs(self.variables.iter().map(|(name, value)| (*name, value)));
        command
    }

    async fn run(&self, arguments: &[&str]) -> Ran {
        self.command(arguments).output().await.expect("the program can be started").into()
    }

    /// The names of the records that the function was sent, since this was last asked.
    fn seen(&self) -> Vec<String> {
        let seen = std::fs::read_to_string(&self.seen).unwrap_or_default();
        let _ = std::fs::remove_file(&self.seen);
        seen.lines().map(str::to_owned).collect()
    }

    /// A file of these documents.
    fn file(&self, documents: &[Value]) -> String {
        let path = free_path(&format!("documents-{}", self.name));
        let lines: Vec<String> = documents.iter().map(Value::to_string).collect();
        std::fs::write(&path, lines.join("\n")).expect("it can be written");
        path.into_os_string().into_string().expect("UTF-8")
    }
}

fn record(number: &str, id: &str) -> Value {
    json!({
        "eventID": format!("e{number}"), "eventName": "INSERT", "eventSource": "aws:dynamodb", "eventSourceARN": STREAM,
        "dynamodb": {"Keys": {"id": {"S": id}}, "NewImage": {"id": {"S": id}}, "SequenceNumber": number,
            "ApproximateCreationDateTime": 1_767_225_600},
    })
}

/// A bucket's document of these records, whose `payload` is the event as a text.
fn document(records: &[Value]) -> Value {
    let mut document = place("shardId-1", STREAM, "", "", records.len());
    document["payload"] = json!(json!({"Records": records}).to_string());
    document
}

/// A queue's document: the place of the records alone.
fn place(shard: &str, stream: &str, first: &str, last: &str, size: usize) -> Value {
    json!({
        "requestContext": {"requestId": "1", "functionArn": "arn:aws:lambda:eu-central-1:123456789012:function:orders",
            "condition": "RetryAttemptsExhausted", "approximateInvokeCount": 3},
        "responseContext": {"statusCode": 200, "executedVersion": "$LATEST", "functionError": "Unhandled"},
        "version": "1.0", "timestamp": "2026-01-01T01:00:00.000Z",
        "DDBStreamBatchInfo": {"shardId": shard, "startSequenceNumber": first, "endSequenceNumber": last,
            "approximateArrivalOfFirstRecord": "2026-01-01T00:00:00Z", "approximateArrivalOfLastRecord": "2026-01-01T00:00:00Z",
            "batchSize": size, "streamArn": stream},
    })
}

const PROCESS: [&str; 2] = ["--stale", "process"];

fn with<'a>(file: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    [&[file], more].concat()
}

#[tokio::test]
async fn documents_of_both_forms_are_sent_in_the_order_of_the_stream() {
    let replay = Replay::new("forms");
    let mut as_object = document(&[record("1050", "a"), record("1060", "b")]);
    as_object["payload"] = json!({"Records": [record("1050", "a"), record("1060", "b")]});
    let file = replay.file(&[
        document(&[record("1100", "a"), record("1060", "b")]),
        as_object,
        document(&[record("990", "c")]),
    ]);
    let before = std::fs::read(&file).expect("it is there");
    let ran = replay.run(&with(&file, &PROCESS)).await;
    assert_eq!(ran.code, Some(0), "{}{}", ran.stdout, ran.stderr);
    assert_eq!(replay.seen(), ["990", "1050", "1060", "1100"], "a record of two documents is sent once");
    assert!(ran.stdout.contains("4 records: 4 done, 0 failed, 0 held back, 0 left"), "{}", ran.stdout);
    assert_eq!(std::fs::read(&file).expect("it is there"), before, "a file is never changed");

    let ran = replay.run(&with(&file, &PROCESS)).await;
    assert_eq!((ran.code, replay.seen().len()), (Some(0), 0), "{}", ran.stdout);
    assert!(ran.stdout.contains("4 records are done by an earlier run"), "{}", ran.stdout);
    let ran = replay.run(&with(&file, &["--stale", "process", "--again"])).await;
    assert_eq!((ran.code, replay.seen().len()), (Some(0), 4), "{}", ran.stdout);
}

#[tokio::test]
async fn a_dry_run_lists_and_sends_nothing() {
    let replay = Replay::new("dry");
    let file = replay.file(&[document(&[record("111", "secret"), record("112", "b")])]);
    let ran = replay
        .run(&with(&file, &["--dry-run", "--region", "eu-central-1", "--endpoint-url", "http://127.0.0.1:1"]))
        .await;
    assert_eq!(ran.code, Some(0), "{}{}", ran.stdout, ran.stderr);
    assert!(replay.seen().is_empty());
    assert!(ran.stdout.contains("2 of 2 records to send"), "{}", ran.stdout);
    assert!(
        ran.stdout.contains("nothing was sent: without --dry-run, 2 records would be in at least 1 invocation"),
        "{}",
        ran.stdout
    );
    assert!(!ran.stdout.contains("secret") && !ran.stderr.contains("secret"), "nothing of an item is printed");
}

#[tokio::test]
async fn what_fails_is_told_and_sent_by_the_next_run() {
    let replay = Replay::new("fails").with("LISTS", "1").with("FAILS", "112");
    let records = [record("111", "a"), record("112", "b"), record("113", "c"), record("114", "b")];
    let file = replay.file(&[document(&records)]);
    let arguments = ["--stale", "process", "--attempts", "2"];
    let ran = replay.run(&with(&file, &arguments)).await;
    assert_eq!(ran.code, Some(1), "{}{}", ran.stdout, ran.stderr);
    assert!(ran.stdout.contains("4 records: 3 done, 1 failed, 0 held back, 0 left"), "{}", ran.stdout);
    assert!(ran.stdout.contains("failed  112: the function reports it after every attempt"), "{}", ran.stdout);
    assert_eq!(
        replay.seen(),
        ["111", "112", "113", "114", "112"],
        "what is listed as not done is repeated, and nothing else"
    );

    let ran = replay.with("FAILS", "").run(&with(&file, &arguments)).await;
    assert_eq!(ran.code, Some(0), "{}{}", ran.stdout, ran.stderr);
}

#[tokio::test]
async fn of_an_item_nothing_is_sent_after_a_record_that_failed() {
    let replay = Replay::new("held").with("LISTS", "1").with("FAILS", "111");
    let file = replay.file(&[document(&[record("111", "a"), record("112", "b"), record("113", "a")])]);
    let ran = replay.run(&with(&file, &["--stale", "process", "--attempts", "1", "--batch-size", "1"])).await;
    assert_eq!(ran.code, Some(1), "{}{}", ran.stdout, ran.stderr);
    assert_eq!(replay.seen(), ["111", "112"]);
    assert!(ran.stdout.contains("3 records: 1 done, 1 failed, 1 held back, 0 left"), "{}", ran.stdout);
}

#[tokio::test]
async fn any_other_function_answers_as_to_its_stream() {
    let replay = Replay::new("other").with("FAILS", "112");
    let file = replay.file(&[document(&["111", "112", "113"].map(|number| record(number, number)))]);
    let ran = replay.run(&with(&file, &["--stale", "process", "--attempts", "1"])).await;
    assert_eq!(ran.code, Some(1), "{}{}", ran.stdout, ran.stderr);
    assert!(
        ran.stdout.contains("3 records: 2 done, 1 failed"),
        "what follows the checkpoint is done too: {}",
        ran.stdout
    );
    assert_eq!(replay.seen(), ["111", "112", "113", "112", "113", "113"]);
}

#[tokio::test]
async fn a_record_that_fails_the_function_as_a_whole_does_not_stop_the_others() {
    let replay = Replay::new("whole").with("LISTS", "1").with("ERRS", "113");
    let file = replay.file(&[document(&["111", "112", "113", "114"].map(|number| record(number, number)))]);
    let ran = replay.run(&with(&file, &["--stale", "process", "--attempts", "1"])).await;
    assert_eq!(ran.code, Some(1), "{}{}", ran.stdout, ran.stderr);
    assert!(ran.stdout.contains("4 records: 3 done, 1 failed"), "{}", ran.stdout);
    assert!(ran.stdout.contains("failed  113: the function failed with Down: the index is down"), "{}", ran.stdout);
}

#[tokio::test]
async fn a_function_that_is_down_is_told_and_everything_is_left() {
    let numbers: Vec<String> = (0..40).map(|number| (1_000 + number).to_string()).collect();
    let replay = Replay::new("down").with("ERRS", &numbers.join(","));
    let records: Vec<Value> = numbers.iter().map(|number| record(number, number)).collect();
    let file = replay.file(&[document(&records)]);
    let arguments = ["--stale", "process", "--attempts", "1"];
    let ran = replay.run(&with(&file, &arguments)).await;
    assert_eq!(ran.code, Some(1), "{}{}", ran.stdout, ran.stderr);
    assert!(ran.stdout.contains("stopped: the function fails every invocation"), "{}", ran.stdout);
    let ran = replay.with("ERRS", "").run(&with(&file, &arguments)).await;
    assert_eq!(ran.code, Some(0), "{}{}", ran.stdout, ran.stderr);
    assert!(ran.stdout.contains("40 done"), "{}", ran.stdout);
}

#[tokio::test]
async fn a_function_that_times_out_leaves_its_records() {
    let replay = Replay::new("timeout").with("GO", "/nowhere/at/all");
    let file = replay.file(&[document(&[record("111", "a")])]);
    let ran = replay.run(&with(&file, &["--stale", "process", "--attempts", "1", "--timeout", "0.3"])).await;
    assert_eq!(ran.code, Some(1), "{}{}", ran.stdout, ran.stderr);
    assert!(ran.stdout.contains("failed  111: the function failed with Sandbox.Timedout"), "{}", ran.stdout);
}

#[tokio::test]
async fn throttles_are_waited_out() {
    let replay = Replay::new("throttled").with("LISTS", "1");
    let records: Vec<Value> =
        (0..20).map(|number| record(&(1_000 + number).to_string(), &format!("i{number}"))).collect();
    let file = replay.file(&[document(&records)]);
    let more =
        ["--stale", "process", "--concurrency", "4", "--batch-size", "2", "--max-environments", "1", "--attempts", "1"];
    let ran = replay.run(&with(&file, &more)).await;
    assert_eq!(ran.code, Some(0), "{}{}", ran.stdout, ran.stderr);
    assert!(ran.stderr.contains("throttled, no environment is free"), "{}", ran.stderr);
    let mut seen = replay.seen();
    seen.sort_unstable();
    assert_eq!(seen, (0..20).map(|number| (1_000 + number).to_string()).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_malformed_record_is_sent_as_it_is() {
    let replay = Replay::new("malformed").with("LISTS", "1");
    let file = replay.file(&[document(&[record("111", "a"), json!({"eventID": "torn"}), json!({})])]);
    let ran = replay.run(&with(&file, &PROCESS)).await;
    assert_eq!(ran.code, Some(0), "{}{}", ran.stdout, ran.stderr);
    assert_eq!(replay.seen(), ["111", "torn", ""]);
}

#[tokio::test]
async fn a_text_without_a_document_is_refused() {
    let replay = Replay::new("refused");
    let letter = json!({"version": 1, "errorKind": "handler"});
    for (document, expected) in [
        (json!({"Records": []}), "neither a dead letter of lambda-streams nor an on-failure document"),
        (letter, "documents-refused"),
        (json!(7), "neither a dead letter"),
    ] {
        let file = replay.file(&[document]);
        let ran = replay.run(&with(&file, &PROCESS)).await;
        assert_eq!(ran.code, Some(2), "{}{}", ran.stdout, ran.stderr);
        assert!(ran.stderr.contains(expected), "{}", ran.stderr);
    }
    let ran = replay.run(&PROCESS).await;
    assert!(ran.stderr.contains("say what is replayed"), "{}", ran.stderr);
}

/// A table with changes, and the place of its records.
struct Table {
    dynamo: Dynamo,
    stream: String,
    shard: String,
    numbers: Vec<String>,
}

impl Table {
    async fn with_changes(ids: &[&str]) -> Self {
        let dynamo = Dynamo::start().await;
        dynamo.create_table("orders", Some(StreamViewType::NewAndOldImages)).await;
        for (version, id) in ids.iter().enumerate() {
            dynamo.put("orders", item(id, [("version", AttributeValue::N(version.to_string()))])).await;
        }
        let (stream, shard, numbers) = dynamo.stream("orders").await;
        assert_eq!(numbers.len(), ids.len());
        Self { dynamo, stream, shard, numbers }
    }

    fn place(&self, first: usize, last: usize, size: usize) -> Value {
        place(&self.shard, &self.stream, &self.numbers[first], &self.numbers[last], size)
    }

    fn endpoint(&self) -> [&str; 2] {
        ["--endpoint-url", &self.dynamo.endpoint]
    }
}

#[tokio::test]
async fn a_document_without_records_is_read_back_from_the_stream() {
    let table = Table::with_changes(&["a", "b", "c", "d", "e"]).await;
    let replay = Replay::new("place").with("LISTS", "1");
    let file = replay.file(&[table.place(1, 3, 3)]);
    let ran = replay.run(&with(&file, &table.endpoint())).await;
    assert_eq!(ran.code, Some(0), "{}{}", ran.stdout, ran.stderr);
    assert_eq!(replay.seen(), table.numbers[1..=3]);
    assert!(ran.stderr.contains("none of 3 items has changed since"), "{}", ran.stderr);
}

#[tokio::test]
async fn a_range_with_records_of_other_batches_is_refused_until_somebody_decides() {
    let table = Table::with_changes(&["a", "b", "c", "d"]).await;
    let replay = Replay::new("superset").with("LISTS", "1");
    let file = replay.file(&[table.place(0, 3, 2)]);
    let ran = replay.run(&with(&file, &table.endpoint())).await;
    assert_eq!((ran.code, replay.seen().len()), (Some(2), 0), "{}{}", ran.stdout, ran.stderr);
    assert!(ran.stderr.contains("the batch had 2 records, and the stream has 4"), "{}", ran.stderr);
    for flag in ["--all", "--stale", "--filter", "--stale", "--stale", "--stale", "--filter"] {
        assert!(ran.stderr.contains(flag), "{}", ran.stderr);
    }
    let ids = r#"{"dynamodb":{"Keys":{"id":{"S":["a","c"]}}}}"#;
    let ran = replay.run(&[&[file.as_str(), "--filter", ids], &table.endpoint()[..]].concat()).await;
    assert_eq!(ran.code, Some(0), "{}{}", ran.stdout, ran.stderr);
    assert_eq!(replay.seen(), [table.numbers[0].clone(), table.numbers[2].clone()]);
    let ran = replay.run(&[&[file.as_str(), "--all"], &table.endpoint()[..]].concat()).await;
    assert_eq!(ran.code, Some(0), "{}{}", ran.stdout, ran.stderr);
    assert_eq!(
        replay.seen(),
        [table.numbers[1].clone(), table.numbers[3].clone()],
        "the others are done by an earlier run"
    );
}

#[tokio::test]
async fn what_the_stream_has_trimmed_is_told_and_the_document_stays() {
    let table = Table::with_changes(&["a", "b"]).await;
    let replay = Replay::new("trimmed").with("LISTS", "1");
    let mut document = table.place(0, 1, 3);
    // Lower than every number there is, and as long.
    let gone = format!("{}1", "0".repeat(table.numbers[0].len() - 1));
    document["DDBStreamBatchInfo"]["startSequenceNumber"] = json!(gone);
    let file = replay.file(&[document]);
    let ran = replay.run(&[&[file.as_str(), "--until-idle", "0.1"], &table.endpoint()[..]].concat()).await;
    assert_eq!(ran.code, Some(1), "{}{}", ran.stdout, ran.stderr);
    assert!(ran.stderr.contains("the stream has trimmed the records from"), "{}", ran.stderr);
    assert_eq!(replay.seen(), table.numbers, "what is left of it is sent");
    assert!(ran.stdout.contains("1 document with records that are lost or missing"), "{}", ran.stdout);
}

#[tokio::test]
async fn where_items_have_changed_since_a_script_has_to_say_what_to_do() {
    let table = Table::with_changes(&["a", "b", "a"]).await;
    let replay = Replay::new("late").with("LISTS", "1");
    let file = replay.file(&[table.place(0, 1, 2)]);
    let ran = replay.run(&with(&file, &table.endpoint())).await;
    assert_eq!((ran.code, replay.seen().len()), (Some(2), 0), "{}{}", ran.stdout, ran.stderr);
    for said in ["1 of 2 items have changed since", "--stale process", "--stale skip", "--compare-with-table"] {
        assert!(ran.stderr.contains(said), "{}", ran.stderr);
    }
    let ran = replay.run(&[&[file.as_str(), "--compare-with-table"], &table.endpoint()[..]].concat()).await;
    assert_eq!(ran.code, Some(0), "{}{}", ran.stdout, ran.stderr);
    assert_eq!(replay.seen(), [table.numbers[1].clone()]);
    assert!(ran.stdout.contains("1 record not sent: their items have changed since"), "{}", ran.stdout);
    let again = [&[file.as_str(), "--stale", "process", "--again"], &table.endpoint()[..]].concat();
    let ran = replay.run(&again).await;
    assert_eq!(ran.code, Some(0), "{}{}", ran.stdout, ran.stderr);
    assert_eq!(replay.seen(), table.numbers[..2]);
}

#[tokio::test]
async fn stale_records_are_only_left_to_a_function_that_can_tell_them() {
    let table = Table::with_changes(&["a", "a"]).await;
    let replay = Replay::new("stale").with("LISTS", "1");
    let file = replay.file(&[table.place(0, 0, 1)]);
    let arguments = [&[file.as_str(), "--stale", "skip"], &table.endpoint()[..]].concat();
    let ran = replay.run(&arguments).await;
    assert_eq!((ran.code, replay.seen().len()), (Some(2), 0), "{}{}", ran.stdout, ran.stderr);
    assert!(ran.stderr.contains("the function's processor has no marks"), "{}", ran.stderr);
    let replay = replay.with("MARKS", "1");
    let ran = replay.run(&arguments).await;
    assert_eq!((ran.code, replay.seen().len()), (Some(0), 1), "{}{}", ran.stdout, ran.stderr);
}

#[tokio::test]
async fn a_stretch_of_the_stream_is_replayed() {
    let table = Table::with_changes(&["a", "b", "a"]).await;
    let replay = Replay::new("stretch").with("LISTS", "1");
    let stretch = ["--table", "orders", "--from", "1h", "--until-idle", "0.1"];
    let ran = replay.run(&[&stretch[..], &table.endpoint()[..], &["--stale", "process"]].concat()).await;
    assert_eq!(ran.code, Some(0), "{}{}", ran.stdout, ran.stderr);
    assert_eq!(replay.seen(), table.numbers);
    let nothing = ["--table", "orders", "--from", "3h", "--until", "2h", "--until-idle", "0.1", "--again"];
    let ran = replay.run(&[&nothing[..], &table.endpoint()[..]].concat()).await;
    assert_eq!((ran.code, replay.seen().len()), (Some(0), 0), "{}{}", ran.stdout, ran.stderr);
    assert!(ran.stdout.contains("nothing is left to be sent"), "{}", ran.stdout);
}
