//! `redrive`: dead letters go to a function again, and only what is done leaves its place.

mod against_ministack;
mod copies;
mod files;
mod interrupted;
mod refused;
mod rounds;

use std::path::{Path, PathBuf};

use lambda_streams::DeadLetter;
use serde_json::{Value, json};
use tokio::process::Command;

use super::{Ran, free_path, program, run};
use crate::fake_server::FakeServer;

const FUNCTION: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/cli/letters.py");
const ARN: &str = "arn:aws:lambda:eu-central-1:123456789012:function:orders";

/// The letter of event `e<number>` of an item.
fn letter(number: u64, item: &str) -> String {
    json!({
        "version": 1, "errorKind": if number.is_multiple_of(2) { "handler" } else { "decode" }, "errorMessage": "no", "attempts": 3,
        "firstSeen": "2026-01-01T00:00:00.000Z", "deadLettered": "2026-01-01T00:00:01.000Z", "functionArn": ARN,
        "record": {
            "eventID": format!("e{number}"), "eventName": "MODIFY", "eventSource": "aws:dynamodb",
            "eventSourceARN": "arn:aws:dynamodb:eu-central-1:123456789012:table/orders/stream/2026-01-01T00:00:00.000",
            "dynamodb": {"Keys": {"id": {"S": item}}, "SequenceNumber": number.to_string(), "ApproximateCreationDateTime": 1767225600},
        },
    })
    .to_string()
}

/// Letters of items a, b and c in turn, which are in the queue in another order than in the stream.
fn shuffled(count: u64) -> impl Iterator<Item = String> {
    (1..=count)
        .map(move |number| 1 + number * 11 % count)
        .map(|number| letter(number, ["a", "b", "c"][number as usize % 3]))
}

/// A run of `redrive` over a queue, to the function in Python.
struct Redrive<'a> {
    server: &'a FakeServer,
    calls: PathBuf,
    command: Command,
}

impl<'a> Redrive<'a> {
    fn new(name: &str, server: &'a FakeServer, flags: &[&str]) -> Self {
        let queue = server.url("dead-letters");
        Self::of(name, server, &[&["--queue", &queue], flags].concat())
    }

    fn of(name: &str, server: &'a FakeServer, flags: &[&str]) -> Self {
        let calls = free_path(&format!("redrive-{name}-calls"));
        let mut command = program();
        command.arg("redrive").args(flags).args(["--bootstrap", "python3", "--", FUNCTION]);
        command.env("CALLS", &calls).env("XDG_STATE_HOME", free_path(&format!("redrive-{name}-state")));
        Self { server, calls, command }
    }

    fn env(mut self, name: &str, value: impl AsRef<std::ffi::OsStr>) -> Self {
        self.command.env(name, value);
        self
    }

    async fn run(mut self) -> Ended {
        let ran = self.command.output().await.expect("the program can be started").into();
        Ended { ran, calls: calls(&self.calls), left: left(self.server) }
    }
}

/// What is there after a run.
struct Ended {
    ran: Ran,
    /// The events of each invocation.
    calls: Vec<Vec<String>>,
    /// The events that are in the queue, all of them visible.
    left: Vec<String>,
}

fn calls(file: &Path) -> Vec<Vec<String>> {
    let text = std::fs::read_to_string(file).unwrap_or_default();
    text.lines().map(|line| serde_json::from_str(line).expect("a list")).collect()
}

fn left(server: &FakeServer) -> Vec<String> {
    let messages = server.messages();
    assert!(messages.iter().all(|message| message.is_visible()), "{messages:?}");
    messages.iter().map(|message| event_id(&message.body)).collect()
}

fn event_id(body: &str) -> String {
    let letter = DeadLetter::from_json(body).ok();
    letter.and_then(|letter| letter.event_id().map(str::to_owned)).unwrap_or_else(|| body.to_owned())
}

#[tokio::test]
async fn every_letter_is_sent_in_order_and_deleted() {
    let server = FakeServer::start(shuffled(25)).await;
    let ended = Redrive::new("good", &server, &[]).run().await;
    assert_eq!(ended.ran.code, Some(0), "{}{}", ended.ran.stdout, ended.ran.stderr);
    assert!(
        ended.ran.stdout.starts_with("25 dead letters: 25 done, 0 failed, 0 held back, 0 left\n"),
        "{}",
        ended.ran.stdout
    );
    assert!(ended.left.is_empty(), "{:?}", ended.left);
    let numbers: Vec<u64> = ended.calls.concat().iter().map(|event| event[1..].parse().expect("e1")).collect();
    assert_eq!(numbers, (1..=25).collect::<Vec<_>>(), "one bucket sends in the stream's order");
    assert!(ended.calls.iter().all(|events| events.len() <= 10), "{:?}", ended.calls);
    assert!(ended.ran.stderr.contains("dead-letters: about 25 messages, and 0 in flight"), "{}", ended.ran.stderr);
}

#[tokio::test]
async fn several_invocations_at_once_keep_each_item_in_order() {
    let server = FakeServer::start(shuffled(60)).await;
    let flags = ["--concurrency", "3", "--batch-size", "4", "--max-environments", "1"];
    let ended = Redrive::new("concurrent", &server, &flags).run().await;
    assert_eq!(ended.ran.code, Some(0), "{}{}", ended.ran.stdout, ended.ran.stderr);
    assert!(
        ended.ran.stderr.contains("throttled, no environment is free"),
        "and a throttle costs nothing: {}",
        ended.ran.stderr
    );
    assert!(ended.left.is_empty() && ended.calls.iter().all(|events| events.len() <= 4), "{:?}", ended.calls);
    for item in 0..3 {
        let numbers = ended.calls.concat().into_iter().map(|event| event[1..].parse::<u64>().expect("e1"));
        let numbers: Vec<u64> = numbers.filter(|number| number % 3 == item).collect();
        assert!(numbers.is_sorted() && numbers.len() == 20, "{numbers:?}");
    }
}

#[tokio::test]
async fn what_the_function_reports_stays_with_the_later_letters_of_its_item() {
    let server = FakeServer::start(shuffled(10)).await;
    let ended =
        Redrive::new("reports", &server, &["--attempts", "1", "--batch-size", "4"]).env("FAILS", "e4").run().await;
    assert_eq!(ended.ran.code, Some(1), "{}{}", ended.ran.stdout, ended.ran.stderr);
    let mut left = ended.left;
    left.sort();
    assert_eq!(left, ["e10", "e4", "e7"], "7 and 10 are of its item");
    assert!(ended.calls.concat().iter().all(|event| event != "e7" && event != "e10"), "{:?}", ended.calls);
    for expected in [
        "10 dead letters: 7 done, 1 failed, 2 held back, 0 left\n",
        "  failed  event e4, sequence 4: handler: the index is down (1 attempt, reported)\n",
        "what is not done is in http://",
    ] {
        assert!(ended.ran.stdout.contains(expected), "{expected}: {}", ended.ran.stdout);
    }
}

#[tokio::test]
async fn a_deployed_function_says_in_its_own_log_why() {
    let server = FakeServer::start([letter(1, "a")]).await;
    server.on_invoke(|event| json!({"batchItemFailures": [{"itemIdentifier": event["Records"][0]["messageId"]}]}));
    let (queue, endpoint) = (server.url("dead-letters"), server.endpoint.as_str());
    let flags = ["redrive", "--queue", &queue, "--function", "orders", "--endpoint-url", endpoint, "--attempts", "1"];
    let ran = run(&flags).await;
    assert_eq!((ran.code, left(&server)), (Some(1), vec!["e1".to_owned()]), "{}{}", ran.stdout, ran.stderr);
    for expected in [
        "  failed  event e1, sequence 1: the function reports it after every attempt; it was given up for: decode\n",
        "the processor's `delete_skipped_on_redrive` lets such letters go\n",
        "what the function logged about each is in its log group: /aws/lambda/orders\n",
    ] {
        assert!(ran.stdout.contains(expected), "{expected}: {}", ran.stdout);
    }
}

#[tokio::test]
async fn letters_are_sent_again_as_often_as_is_said() {
    let server = FakeServer::start([letter(1, "a")]).await;
    let ended = Redrive::new("attempts", &server, &["--attempts", "2"]).env("FAILS", "e1").run().await;
    assert_eq!((ended.ran.code, ended.calls.len()), (Some(1), 2), "{}", ended.ran.stdout);
}

#[tokio::test]
async fn letters_are_compressed_or_not() {
    let letters: Vec<String> = shuffled(3).collect();
    let compressed = letters.iter().map(|json| DeadLetter::from_json(json).expect("it is one").to_compressed_json());
    let server = FakeServer::start(compressed).await;
    let ended = Redrive::new("compressed", &server, &[]).run().await;
    assert_eq!(ended.ran.code, Some(0), "{}{}", ended.ran.stdout, ended.ran.stderr);
    assert_eq!((ended.calls, ended.left.len()), (vec![vec!["e1".to_owned(), "e2".to_owned(), "e3".to_owned()]], 0));
}

#[tokio::test]
async fn a_message_that_is_not_a_letter_is_left_and_told() {
    let document = json!({
        "requestContext": {"condition": "RetryAttemptsExhausted"},
        "DDBStreamBatchInfo": {"shardId": "s", "batchSize": 1, "streamArn": "arn"},
    });
    let bodies = [r#"{"secret": 1}"#.to_owned(), letter(1, "a"), "{".to_owned(), document.to_string()];
    let server = FakeServer::start(bodies).await;
    let ended = Redrive::new("others", &server, &[]).run().await;
    assert_eq!(ended.ran.code, Some(1), "{}{}", ended.ran.stdout, ended.ran.stderr);
    assert_eq!((ended.calls.concat(), ended.left.len()), (vec!["e1".to_owned()], 3));
    for expected in [
        "1 dead letter: 1 done, 0 failed",
        "not dead letters, left where they are: 3\n  message m1: this is not a dead letter",
        "  message m4: an on-failure document: use `lambda-streams replay`\n",
    ] {
        assert!(ended.ran.stdout.contains(expected), "{expected}: {}", ended.ran.stdout);
    }
    assert!(!ended.ran.stdout.contains("secret") && !ended.ran.stderr.contains("secret"), "{}", ended.ran.stdout);
}

#[tokio::test]
async fn a_dry_run_lists_the_letters_and_sends_nothing() {
    let server = FakeServer::start(shuffled(12).chain(["{}".to_owned()])).await;
    server.set_attribute("RedrivePolicy", r#"{"maxReceiveCount":"5","deadLetterTargetArn":"arn"}"#);
    let ran = run(&["redrive", "--queue", &server.url("dead-letters"), "--dry-run"]).await;
    assert_eq!(ran.code, Some(1), "something would be left: {}", ran.stderr);
    let lines: Vec<&str> = ran.stdout.lines().collect();
    let words: Vec<&str> = lines[1].split_whitespace().collect();
    assert_eq!(words, ["e1", "1", "MODIFY", "decode", "2026-01-01T00:00Z"], "{}", ran.stdout);
    let starts = |line: &str| ["event id", "e1"].iter().any(|id| line.starts_with(id));
    assert!(starts(lines[0]) && lines[0].find("kind") == lines[1].find("MODIFY"), "{}", ran.stdout);
    assert_eq!(lines[13], "12 dead letters: 6 decode, 6 handler", "{}", ran.stdout);
    assert_eq!(lines[14], "not dead letters, left where they are: 1");
    let last = "nothing was sent, and the messages are visible again; each counts one more receive";
    assert_eq!(*lines.last().expect("lines"), last);
    assert!(ran.stderr.contains("to its own dead-letter queue after 5 receives"), "{}", ran.stderr);
    assert_eq!(left(&server).len(), 13);
    assert!(server.messages().iter().all(|message| message.receives == 1));
    assert!(!ran.stdout.contains("\"a\""));
}

#[tokio::test]
async fn a_dry_run_says_when_the_function_does_not_exist() {
    let server = FakeServer::start([letter(1, "a")]).await;
    server.on_call(|called, _| {
        let error = json!({"Type": "User", "message": "Function not found: order-total"});
        (called == "GetFunctionConfiguration").then_some((404, error))
    });
    let file = free_path("dry-run-letters");
    std::fs::write(&file, letter(1, "a")).expect("it can be written");
    let (queue, file) = (server.url("dead-letters"), file.to_str().expect("UTF-8"));
    for place in [&["--queue", &queue][..], &[file]] {
        let flags = ["redrive", "--dry-run", "--function", "order-total", "--endpoint-url", &server.endpoint];
        let ran = run(&[&flags[..], place].concat()).await;
        assert_eq!(ran.code, Some(2), "{}{}", ran.stdout, ran.stderr);
        let last = ran.stderr.lines().last().unwrap_or_default();
        assert!(last.starts_with("error: ") && last.contains("order-total"), "{last}");
        assert!(!ran.stdout.contains("--any-function"), "{}", ran.stdout);
    }
    assert_eq!((server.calls("GetFunctionConfiguration").len(), server.calls("ReceiveMessage").len()), (2, 0));
    let journal = free_path("no-function-journal");
    let flags = ["--function", "order-total", "--endpoint-url", &server.endpoint, "--journal"];
    let ran = run(&[&["redrive", file][..], &flags, &[journal.to_str().expect("UTF-8")]].concat()).await;
    assert_eq!((ran.code, journal.exists()), (Some(2), false), "{}", ran.stderr);
}

#[tokio::test]
async fn a_dry_run_that_receives_nothing_says_who_has_the_messages() {
    let server = FakeServer::start([]).await;
    let queue = server.url("dead-letters");
    let flags = ["redrive", "--dry-run", "--queue", &queue];
    let ran = run(&flags).await;
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    assert_eq!(ran.stdout, "0 dead letters\nnothing was received, and nothing was sent\n");
    server.on_call(|called, _| {
        let attributes = json!({"ApproximateNumberOfMessages": "0", "ApproximateNumberOfMessagesNotVisible": "4"});
        (called == "GetQueueAttributes").then(|| (200, json!({"Attributes": attributes})))
    });
    let ran = run(&flags).await;
    let expected = "about 4 messages were in flight when this run began: another consumer has them, or had them when it was killed\n";
    assert!(ran.stdout.contains(expected), "{}", ran.stdout);
}

#[tokio::test]
async fn a_queue_is_found_by_its_name_and_its_arn() {
    for queue in ["dead-letters", "arn:aws:sqs:eu-west-1:123456789012:dead-letters"] {
        let server = FakeServer::start([letter(1, "a")]).await;
        let ran = run(&["redrive", "--queue", queue, "--dry-run", "--endpoint-url", &server.endpoint]).await;
        assert!(
            ran.code == Some(0) && ran.stdout.contains("\n1 dead letter: 1 decode\n"),
            "{}{}",
            ran.stdout,
            ran.stderr
        );
        let input = &server.calls("GetQueueUrl")[0];
        assert_eq!(input["QueueName"], "dead-letters");
        assert_eq!(input["QueueOwnerAWSAccountId"].as_str(), queue.starts_with("arn").then_some("123456789012"));
        assert_eq!(server.calls("ReceiveMessage")[0]["QueueUrl"], server.url("dead-letters"));
    }
}

#[tokio::test]
async fn an_empty_queue_is_good() {
    let server = FakeServer::start([]).await;
    let ended = Redrive::new("empty", &server, &[]).run().await;
    assert_eq!(ended.ran.code, Some(0), "{}", ended.ran.stderr);
    assert!(ended.ran.stdout.starts_with("0 dead letters: 0 done, 0 failed"), "{}", ended.ran.stdout);
}

#[tokio::test]
async fn a_deployed_function_gets_only_the_letters_that_it_wrote() {
    let server =
        FakeServer::start([letter(1, "a"), letter(2, "a").replace("function:orders", "function:invoices")]).await;
    server.on_invoke(|event| {
        assert!(event["Records"].as_array().is_some_and(|records| !records.is_empty()), "{event}");
        json!({"batchItemFailures": []})
    });
    let queue = server.url("dead-letters");
    let flags = ["redrive", "--queue", &queue, "--function", "orders", "--endpoint-url", &server.endpoint];
    let ran = run(&flags).await;
    assert_eq!(ran.code, Some(1), "{}{}", ran.stdout, ran.stderr);
    let told = "1 letter of another function, invoices: left where they are. --any-function sends them too\n";
    assert!(ran.stdout.starts_with("1 dead letter: 1 done") && ran.stdout.contains(told), "{}", ran.stdout);
    assert_eq!(left(&server), ["e2"]);
    let ran = run(&[&flags[..], &["--any-function"]].concat()).await;
    assert_eq!(ran.code, Some(0), "{}{}", ran.stdout, ran.stderr);
    assert!(left(&server).is_empty());
    assert_eq!(server.calls("Invoke").len(), 2);
}
