//! No value of an item reaches logs, metrics, error messages, `Debug` output or standard error, at any level.
//!
//! Every attribute of every record holds a canary, keys too. This binary runs itself as a function that meets success, decode
//! errors, panics, retries, dead letters, refused dead letters, a deadline and malformed records, and looks for the canaries
//! in everything that it printed. The handlers log nothing; one panics with the item in its message.
#![cfg(all(feature = "emf", feature = "logs"))]
#![allow(clippy::unwrap_used, reason = "a test that unwraps an error fails, as it should")]

use std::collections::BTreeMap;
use std::process::Command;
use std::time::Duration;

use lambda_runtime::{Context, LambdaEvent};
use lambda_streams::{
    AfterDeadLetter, Change, DeadLetter, DeadLetterError, DeadLetterQueue, Deadline, Emf, FailurePolicy, HandlerError,
    Insert, Invocation, LogFormat, Logs, Modify, Record, Remove, StreamEvent, StreamProcessor,
};
use serde::Deserialize;
use serde_json::{Value, json};
use tower::{Service, ServiceExt};
use tracing::Level;

/// As text, as a number, and in base64.
const CANARIES: [&str; 3] = ["s3cr3t", "31337313373", "czNjcjN0"];

#[derive(Debug, Deserialize)]
#[allow(dead_code, reason = "only how it is read counts")]
struct Item {
    id: String,
    act: Option<String>,
    count: Option<u8>,
    flag: Option<bool>,
    state: Option<State>,
    list: Option<Vec<u8>>,
    map: Option<BTreeMap<u32, String>>,
    unit: Option<()>,
    letter: Option<char>,
    blob: Option<(u64, u64)>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
enum State {
    Open,
    Closed,
}

/// An image in which every value is a canary, with one or two values replaced. Names are not canaries, since the name of an
/// attribute or a key of a map may be part of an error's path.
fn image(id: &str, more: Value) -> Value {
    let mut image = json!({
        "id": {"S": format!("s3cr3t-{id}")},
        "text": {"S": "s3cr3t"},
        "number": {"N": "31337313373"},
        "binary": {"B": "czNjcjN0"},
        "set": {"SS": ["s3cr3t-1", "s3cr3t-2"]},
        "numbers": {"NS": ["31337313373", "313373133731"]},
        "deep": {"M": {"list": {"L": [{"S": "s3cr3t"}, {"M": {"leaf": {"N": "31337313373"}}}]}}},
    });
    for (name, value) in more.as_object().expect("an object") {
        image[name] = value.clone();
    }
    image
}

fn record(number: usize, kind: &str, more: Value) -> Value {
    let id = format!("item-{number}");
    let mut dynamodb = json!({
        "Keys": {"id": {"S": format!("s3cr3t-{id}")}, "sort": {"N": "31337313373"}},
        "SequenceNumber": (1_000_000 + number).to_string(),
        "StreamViewType": "NEW_AND_OLD_IMAGES",
        "ApproximateCreationDateTime": 1_700_000_000,
    });
    if kind != "REMOVE" {
        dynamodb["NewImage"] = image(&id, more.clone());
    }
    if kind != "INSERT" {
        dynamodb["OldImage"] = image(&id, more);
    }
    json!({
        "eventID": format!("event-{number}"), "eventName": kind, "eventSource": "aws:dynamodb",
        "eventSourceARN": "arn:aws:dynamodb:eu-central-1:123456789012:table/orders/stream/2026-01-01T00:00:00.000",
        "dynamodb": dynamodb,
    })
}

/// Images that do not decode into `Item`, each for another reason.
fn undecodable() -> Vec<Value> {
    [
        json!({"count": {"S": "s3cr3t"}}),
        json!({"count": {"N": "31337313373"}}),
        json!({"count": {"N": "s3cr3t"}}),
        json!({"flag": {"S": "s3cr3t"}}),
        json!({"state": {"S": "s3cr3t"}}),
        json!({"state": {"M": {"s3cr3t_variant": {"S": "s3cr3t"}}}}),
        json!({"list": {"L": [{"N": "1"}, {"S": "s3cr3t"}]}}),
        json!({"map": {"M": {"no number": {"S": "s3cr3t"}}}}),
        json!({"unit": {"S": "s3cr3t"}}),
        json!({"letter": {"S": "s3cr3t"}}),
        json!({"blob": {"B": "czNjcjN0"}}),
        json!({"blob": {"B": "*s3cr3t*"}}),
        json!({"blob": {"SS": ["s3cr3t"]}}),
        json!({"id": {"S": 31337313373_i64}}),
        json!({"id": {"S": ["s3cr3t"]}}),
        json!({"id": "s3cr3t"}),
        json!({"id": {"S": "s3cr3t", "N": "31337313373"}}),
        json!({"id": {}}),
        json!({"text": {"N": "s3cr3t"}}),
        json!({"text": {"NULL": "s3cr3t"}}),
        json!({"text": {"BOOL": "s3cr3t"}}),
        json!({"set": {"SS": ["s3cr3t", "s3cr3t"]}}),
    ]
    .into_iter()
    .enumerate()
    .map(|(number, more)| record(100 + number, "INSERT", more))
    .collect()
}

/// Records whose envelope cannot be read.
fn malformed() -> Vec<Value> {
    let with = |number: usize, path: &str, value: Value| {
        let mut record = record(200 + number, "INSERT", json!({}));
        *record.pointer_mut(path).expect("the path is there") = value;
        record
    };
    vec![
        json!("s3cr3t"),
        json!(31337313373_i64),
        json!(["s3cr3t"]),
        with(1, "/eventName", json!("s3cr3t")),
        with(2, "/dynamodb/SequenceNumber", json!("s3cr3t")),
        with(3, "/dynamodb/Keys", json!("s3cr3t")),
        with(4, "/dynamodb/Keys/id", json!("s3cr3t")),
        with(5, "/dynamodb/Keys/id", json!({"S": 31337313373_i64})),
        with(6, "/dynamodb/Keys/sort", json!({"N": "s3cr3t"})),
        with(7, "/dynamodb/NewImage", json!("s3cr3t")),
        with(8, "/dynamodb", json!("s3cr3t")),
        with(9, "/dynamodb/ApproximateCreationDateTime", json!("s3cr3t")),
        record(1, "INSERT", json!({})),
        record(1, "INSERT", json!({})),
    ]
}

/// What the handlers do, by the record's number.
async fn act(number: usize, item: &str) -> Result<(), HandlerError> {
    // Several run at once, and one fails after another that is reported.
    tokio::time::sleep(Duration::from_millis(number as u64)).await;
    match number {
        1 => panic!("cannot handle {item}"),
        2 => Err(HandlerError::permanent("no such customer")),
        3 => Err("the index is down".into()),
        4 => std::future::pending().await,
        _ => Ok(()),
    }
}

fn number(record: &Record) -> usize {
    let id = record.event_id().expect("an id");
    id.trim_start_matches("event-").parse().expect("a number")
}

/// A dead-letter queue that accepts, refuses, panics or hangs.
#[derive(Clone, Copy)]
enum Queue {
    Accepting,
    Refusing,
    Panicking,
    Hanging,
}

impl DeadLetterQueue for Queue {
    async fn send(&self, letters: &[DeadLetter]) -> Vec<Result<(), DeadLetterError>> {
        println!("{letters:?} {:#?}", letters[0]);
        match self {
            Self::Accepting => letters.iter().map(|_| Ok(())).collect(),
            Self::Refusing => letters.iter().map(|_| Err(DeadLetterError::new("the queue is down"))).collect(),
            Self::Panicking => panic!("cannot send {}", letters[0].raw_json()),
            Self::Hanging => std::future::pending().await,
        }
    }
}

fn processors() -> Vec<StreamProcessor> {
    let typed = || {
        StreamProcessor::builder()
            .on_insert(|change: Insert<Item>| async move { act(number(&change.record), &change.new.id).await })
            .on_modify(|change: Modify<Item>| async move {
                println!("{:?} {:?}", change.record, change.record.changed_attributes());
                act(number(&change.record), &change.old.id).await
            })
            .on_remove(|change: Remove<Item>| async move { act(number(&change.record), &change.old.id).await })
    };
    let letters = [Queue::Accepting, Queue::Refusing, Queue::Panicking, Queue::Hanging];
    let mut processors: Vec<_> =
        letters.into_iter().map(|queue| typed().dead_letter_queue(queue).build().unwrap()).collect();
    processors.push(typed().report_batch_item_failures(false).build().unwrap());
    processors.push(
        StreamProcessor::builder()
            .on_change(|change: Change<Item>| async move { act(number(&change.record), "an item").await })
            .filter(|record| !record.raw_json().contains("event-5") || panic!("cannot filter {}", record.raw_json()))
            .failure_policy(FailurePolicy::DeadLetterAll)
            .after_dead_letter(AfterDeadLetter::FollowLane)
            .dead_letter_queue(Queue::Accepting)
            .build()
            .unwrap(),
    );
    processors
}

/// The function: all batches through all processors, with everything printed that can be.
#[test]
#[ignore = "the test below starts it"]
fn function() {
    println!();
    let level: Level = std::env::var("CANARY_LEVEL").unwrap().parse().unwrap();
    let format = if std::env::var_os("CANARY_TEXT").is_some() { LogFormat::Text } else { LogFormat::Json };
    Logs::from_env().level(level).format(format).install().unwrap();
    Emf::builder().install().unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
    runtime.block_on(async {
        for processor in processors() {
            println!("{processor:?}");
            for records in [acting(), undecodable(), malformed()] {
                let event = StreamEvent::from_slice(json!({"Records": records}).to_string().as_bytes()).unwrap();
                println!("{event:?} {:?}", event.records().collect::<Vec<_>>());
                let mut invocation = Invocation::from(Deadline::after(Duration::from_secs(30)));
                invocation.request_id = "request-1".to_owned();
                let report = processor.process(event, invocation).await;
                println!("{report:?} {:?}", report.response());
            }
        }
        refuse().await;
    });
}

fn acting() -> Vec<Value> {
    let acts = (0..8).map(|number| record(number, ["INSERT", "MODIFY", "REMOVE"][number % 3], json!({})));
    // The same kinds for the acts that the first ones did not have.
    let repeated = (1..5).map(|number| record(number, "MODIFY", json!({})));
    // It follows a dead letter in its lane.
    let mut follower = record(8, "MODIFY", json!({}));
    follower["dynamodb"]["Keys"] = record(2, "REMOVE", json!({}))["dynamodb"]["Keys"].take();
    acts.chain(repeated).chain([follower]).collect()
}

/// Payloads that are not stream events, as the runtime reads them.
async fn refuse() {
    for payload in [
        r#"{"Records": [{"eventSource": "aws:sqs", "messageId": "1", "body": "s3cr3t"}]}"#,
        r#"{"id": "s3cr3t", "dynamodb": {"Keys": {"id": {"S": "s3cr3t"}}}}"#,
        r#"["s3cr3t"]"#,
        r#""s3cr3t""#,
        "31337313373",
        r#"{"Records": "s3cr3t"}"#,
        r#"{"Records": [], "Records": ["s3cr3t"]}"#,
        "s3cr3t",
        r#"{"Records": [{"eventID": "s3cr3t"#,
    ] {
        let read = StreamEvent::from_slice(payload.as_bytes());
        println!("{read:?} {}", read.as_ref().map_or_else(ToString::to_string, |_| String::new()));
        let read: Result<StreamEvent, _> = serde_json::from_str(payload);
        println!("{read:?} {}", read.as_ref().map_or_else(ToString::to_string, |_| String::new()));
        if let Ok(event) = read {
            let mut processor = processors().remove(0);
            let answer = processor.ready().await.unwrap().call(LambdaEvent::new(event, Context::default())).await;
            println!("{answer:?}");
        }
    }
}

fn run(level: &str, text: bool) -> String {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "function", "--ignored", "--nocapture"]).env("CANARY_LEVEL", level);
    if text {
        command.env("CANARY_TEXT", "1");
    }
    let output = command.output().unwrap();
    let printed = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{printed}");
    printed
}

#[test]
fn no_canary_gets_out_at_any_level() {
    for level in ["error", "warn", "info", "debug", "trace"] {
        for text in [false, true] {
            let printed = run(level, text);
            for line in printed.lines() {
                let found = CANARIES.iter().find(|canary| line.contains(**canary));
                assert!(found.is_none(), "{found:?} got out at {level}: {line}");
            }
            assert!(
                printed.contains(r#""HandlerDuration""#) && printed.contains("DeadLetterSendFailures"),
                "{printed}"
            );
        }
    }
}

#[test]
fn the_canary_run_covers_every_outcome() {
    let printed = run("trace", false);
    for sign in [
        "record succeeded",
        r#""next":"retried""#,
        r#""next":"dead-lettered""#,
        r#""next":"reported""#,
        r#""next":"held back""#,
        r#""error.type":"decode""#,
        r#""error.type":"malformed""#,
        r#""error.type":"handler""#,
        r#""error.type":"panic""#,
        r#""error.type":"predecessor""#,
        "the queue is down",
        "the dead-letter queue panicked",
        r#""message":"a panic""#,
        "the deadline neared",
        "ReportBatchItemFailures",
        "an SQS event",
    ] {
        assert!(printed.contains(sign), "{sign} was not printed");
    }
}
