//! `replay`: documents and stretches of a stream are sent until they are done, and nothing of them is lost on the way.

mod pause;
mod places;
mod stream;

use std::path::PathBuf;

use serde_json::{Value, json};
use tokio::process::Command;

use super::interrupt::Running;
use super::{Ran, free_path, program};

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

    /// Waits until the function was sent so many records.
    async fn called(&self, records: usize) {
        let wait = async {
            while std::fs::read_to_string(&self.seen).unwrap_or_default().lines().count() < records {
                tokio::time::sleep(std::time::Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(std::time::Duration::from_secs(60), wait).await.expect("the function is called");
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
async fn what_fails_is_reported_and_sent_by_the_next_run() {
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
async fn a_function_that_is_down_is_reported_and_everything_is_left() {
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
    assert!(ran.stderr.contains("say what to replay"), "{}", ran.stderr);
}

#[tokio::test]
async fn an_interrupted_run_is_continued_by_the_next() {
    let go = free_path("replay-go");
    let replay = Replay::new("interrupted").with("LISTS", "1").with("GO", go.to_str().expect("UTF-8"));
    let records: Vec<Value> =
        (0..9).map(|number| record(&(1_000 + number).to_string(), &format!("i{number}"))).collect();
    let file = replay.file(&[document(&records)]);
    let arguments = with(&file, &["--stale", "process", "--batch-size", "3"]);
    let mut running = Running::of(&mut replay.command(&arguments));
    running.wait_for("function ").await;
    replay.called(3).await;
    let second = replay.run(&arguments).await;
    assert_eq!(second.code, Some(2), "{}", second.stderr);
    assert!(second.stderr.contains("another run of this command is in progress"), "{}", second.stderr);
    running.interrupt();
    running.wait_for("interrupted: waiting for the invocations in flight").await;
    std::fs::write(&go, "").expect("it can be written");
    let ran = running.end().await;
    assert_eq!(ran.code, Some(1), "{}{}", ran.stdout, ran.stderr);
    assert!(ran.stdout.contains("9 records: 3 done, 0 failed, 0 held back, 6 left"), "{}", ran.stdout);
    assert_eq!(replay.seen().len(), 3);
    let ran = replay.run(&arguments).await;
    assert_eq!((ran.code, replay.seen().len()), (Some(0), 6), "{}{}", ran.stdout, ran.stderr);
}

#[tokio::test]
async fn an_interrupt_that_leaves_nothing_is_a_success() {
    let go = free_path("replay-last-go");
    let replay = Replay::new("last").with("LISTS", "1").with("GO", go.to_str().expect("UTF-8"));
    let file = replay.file(&[document(&[record("111", "a")])]);
    let mut running = Running::of(&mut replay.command(&with(&file, &PROCESS)));
    replay.called(1).await;
    running.interrupt();
    running.wait_for("interrupted: waiting for the invocations in flight").await;
    std::fs::write(&go, "").expect("it can be written");
    let ran = running.end().await;
    assert_eq!(ran.code, Some(0), "{}{}", ran.stdout, ran.stderr);
    assert!(ran.stdout.contains("1 record: 1 done, 0 failed, 0 held back, 0 left"), "{}", ran.stdout);
}

#[tokio::test]
async fn a_second_ctrl_c_stops_at_once_and_nothing_counts_as_done() {
    let replay = Replay::new("stopped").with("LISTS", "1").with("GO", "/nowhere/at/all");
    let file = replay.file(&[document(&[record("111", "a")])]);
    let mut running = Running::of(&mut replay.command(&with(&file, &PROCESS)));
    running.wait_for("function ").await;
    replay.called(1).await;
    running.interrupt();
    running.wait_for("interrupted").await;
    running.interrupt();
    let ran = running.end().await;
    assert_eq!(ran.code, Some(1), "{}{}", ran.stdout, ran.stderr);
    assert!(ran.stderr.contains("stopped at once"), "{}", ran.stderr);
    replay.seen();
    let ran = replay.with("GO", "").run(&with(&file, &PROCESS)).await;
    assert_eq!((ran.code, ran.stdout.contains("1 done")), (Some(0), true), "{}{}", ran.stdout, ran.stderr);
}

#[tokio::test]
async fn the_standard_input_is_read_and_nobody_is_asked_then() {
    let replay = Replay::new("stdin").with("LISTS", "1");
    let mut command = replay.command(&["-", "--stale", "process"]);
    let mut child = command.stdin(std::process::Stdio::piped()).spawn().expect("the program can be started");
    let mut stdin = child.stdin.take().expect("it is piped");
    let text = document(&[record("111", "a")]).to_string();
    tokio::io::AsyncWriteExt::write_all(&mut stdin, text.as_bytes()).await.expect("it is read");
    drop(stdin);
    let ran: Ran = child.wait_with_output().await.expect("it ends").into();
    assert_eq!((ran.code, replay.seen()), (Some(0), vec!["111".to_owned()]), "{}{}", ran.stdout, ran.stderr);
}

/// A document of a batch that another shard's or another stream's mapping has discarded.
fn elsewhere(mut document: Value, stream: &str) -> Value {
    document["DDBStreamBatchInfo"]["streamArn"] = json!(stream);
    document
}

#[tokio::test]
async fn records_of_two_streams_are_two_although_their_shards_and_numbers_are_alike() {
    let replay = Replay::new("streams").with("LISTS", "1");
    let other = STREAM.replace("orders", "invoices");
    let file = replay.file(&[document(&[record("111", "a")]), elsewhere(document(&[record("111", "b")]), &other)]);
    let ran = replay.run(&with(&file, &PROCESS)).await;
    assert_eq!(ran.code, Some(0), "{}{}", ran.stdout, ran.stderr);
    assert_eq!(replay.seen(), ["111", "111"]);
}

#[tokio::test]
async fn what_was_done_again_in_part_is_continued_without_again() {
    let replay = Replay::new("again").with("LISTS", "1");
    let file = replay.file(&[document(&[record("111", "a"), record("112", "b")])]);
    let ran = replay.run(&with(&file, &PROCESS)).await;
    assert_eq!(ran.code, Some(0), "{}{}", ran.stdout, ran.stderr);
    let replay = replay.with("FAILS", "112");
    let ran = replay.run(&with(&file, &["--stale", "process", "--attempts", "1", "--again"])).await;
    assert_eq!(ran.code, Some(1), "{}{}", ran.stdout, ran.stderr);
    assert!(ran.stdout.contains("run the same command without --again to continue"), "{}", ran.stdout);
    replay.seen();
    let replay = replay.with("FAILS", "");
    let ran = replay.run(&with(&file, &PROCESS)).await;
    assert_eq!((ran.code, replay.seen()), (Some(0), vec!["112".to_owned()]), "{}{}", ran.stdout, ran.stderr);
}

#[tokio::test]
async fn a_document_that_lacks_records_of_its_batch_is_a_failure() {
    let replay = Replay::new("short").with("LISTS", "1");
    let mut empty = document(&[]);
    empty["DDBStreamBatchInfo"]["batchSize"] = json!(3);
    let file = replay.file(&[empty]);
    let ran = replay.run(&with(&file, &PROCESS)).await;
    assert_eq!(ran.code, Some(1), "{}{}", ran.stdout, ran.stderr);
    assert!(ran.stderr.contains("the batch had 3 records, but the document has 0"), "{}", ran.stderr);
}

#[tokio::test]
async fn what_another_function_has_done_is_not_done() {
    let replay = Replay::new("identity").with("LISTS", "1");
    let file = replay.file(&[document(&[record("111", "a")])]);
    let state = free_path("replay-state");
    let _ = std::fs::remove_dir_all(&state);
    let run = async |profile: &str, argument: &str| -> usize {
        let mut command = program();
        command.args(["replay", &file, "--stale", "process", "--bootstrap", "python3", "--", SEEN, argument]);
        command.env("SEEN", &replay.seen).env("LISTS", "1").env("XDG_STATE_HOME", &state).env("AWS_PROFILE", profile);
        let ran: Ran = command.output().await.expect("the program can be started").into();
        assert_eq!(ran.code, Some(0), "{}{}", ran.stdout, ran.stderr);
        replay.seen().len()
    };
    assert_eq!((run("one", "a").await, run("one", "a").await), (1, 0));
    assert_eq!((run("one", "b").await, run("two", "a").await), (1, 1));
}

#[tokio::test]
async fn a_time_that_cannot_be_printed_does_no_harm() {
    let replay = Replay::new("time");
    let mut late = record("111", "a");
    late["dynamodb"]["ApproximateCreationDateTime"] = json!(9e17);
    let file = replay.file(&[document(&[late])]);
    // The table is elsewhere, so it is not asked.
    let mut command = replay.command(&[&file, "--dry-run", "--region", "us-west-2"]);
    command.env("AWS_ACCESS_KEY_ID", "none").env("AWS_SECRET_ACCESS_KEY", "none");
    let ran: Ran = command.output().await.expect("the program can be started").into();
    assert_eq!(ran.code, Some(0), "{}{}", ran.stdout, ran.stderr);
    assert!(ran.stdout.contains("from 9999-12-31T23:59:59Z"), "{}", ran.stdout);
}

#[tokio::test]
async fn more_invocations_at_once_than_there_can_be_are_refused() {
    let ran = Replay::new("many").run(&["-", "--concurrency", "18446744073709551615"]).await;
    assert_eq!(ran.code, Some(2), "{}{}", ran.stdout, ran.stderr);
    assert!(ran.stderr.contains("expected a number from 1 to 1000"), "{}", ran.stderr);
}

#[tokio::test]
async fn items_are_not_compared_with_a_table_of_another_region() {
    let replay = Replay::new("region");
    let file = replay.file(&[document(&[record("111", "a")])]);
    let mut command = replay.command(&[&file, "--compare-with-table", "--region", "us-west-2"]);
    command.env("AWS_ACCESS_KEY_ID", "none").env("AWS_SECRET_ACCESS_KEY", "none");
    let ran: Ran = command.output().await.expect("the program can be started").into();
    assert_eq!((ran.code, replay.seen().len()), (Some(2), 0), "{}{}", ran.stdout, ran.stderr);
    assert!(ran.stderr.contains("the table is in eu-central-1, and this command is in us-west-2"), "{}", ran.stderr);
}

#[tokio::test]
async fn a_person_at_a_terminal_is_asked_and_may_leave() {
    const TERMINAL: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/cli/terminal.py");
    let replay = Replay::new("asked").with("LISTS", "1");
    let file = replay.file(&[document(&[record("111", "a")])]);
    for (text, code, said) in [
        (r"\x03", 2, "interrupted while nothing was sent yet"),
        (r"what?\nq\n", 2, "nothing was sent"),
        (r"p\n", 0, "1 record: 1 done"),
    ] {
        // The table is elsewhere, so it is unknown whether the item has changed.
        let mut command = Command::new("python3");
        command.args([TERMINAL, text, env!("CARGO_BIN_EXE_lambda-streams"), "replay", &file, "--region", "us-west-2"]);
        command.arg("--journal").arg(&replay.journal).args(["--bootstrap", "python3", "--", SEEN]);
        command.env("SEEN", &replay.seen).env("LISTS", "1").stdin(std::process::Stdio::null()).kill_on_drop(true);
        command.env("AWS_ACCESS_KEY_ID", "none").env("AWS_SECRET_ACCESS_KEY", "none");
        let ran = tokio::time::timeout(std::time::Duration::from_secs(60), command.output()).await;
        let ran: Ran = ran.expect("it ends").expect("the program can be started").into();
        assert_eq!((ran.code, ran.stdout.contains(said)), (Some(code), true), "{text}: {}{}", ran.stdout, ran.stderr);
    }
    assert_eq!(replay.seen(), ["111"]);
}

#[tokio::test]
async fn a_function_that_does_not_exist_is_told_before_its_documents_are_read() {
    let server = crate::fake_server::FakeServer::start([]).await;
    server.on_call(|called, _| {
        let error = json!({"Type": "User", "message": "Function not found: order-total"});
        (called == "GetFunctionConfiguration").then_some((404, error))
    });
    let replay = Replay::new("misspelt");
    let file = replay.file(&[document(&[record("111", "a")])]);
    for more in [&[][..], &["--dry-run"]] {
        let mut command = program();
        command.args(["replay", &file, "--function", "order-total", "--stale", "process"]).args(more);
        command.arg("--journal").arg(&replay.journal).args(["--endpoint-url", &server.endpoint]);
        let ran: Ran = command.output().await.expect("the program can be started").into();
        assert_eq!((ran.code, ran.stderr.lines().count()), (Some(2), 1), "{}{}", ran.stdout, ran.stderr);
        assert!(ran.stderr.contains("order-total") && !ran.stderr.contains("--any-function"), "{}", ran.stderr);
    }
}
