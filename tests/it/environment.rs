//! What the environment says reaches a function that is written as the README says: each setting is seen to act.
//!
//! The environment belongs to the whole process, so each function runs in a process of its own: this test's binary, with the
//! function below as its only test.

use std::process::Command;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use lambda_streams::{HandlerError, Record, StreamProcessor};
use serde_json::{Value, json};
use tokio::sync::Barrier;

use crate::support::letters::letter;
use crate::support::runtime_api::{Answered, Invoked, invoke_and_listen};
use crate::support::sqs_server::{Answer, Script, SqsServer};
use crate::support::{change, inserts, payload, sequence_number};

/// Long enough that no test waits for it.
const FOR_EVER: Duration = Duration::from_secs(24 * 60 * 60);
/// What reads its credentials and its region as in Lambda.
const LAMBDA: [(&str, &str); 3] =
    [("AWS_ACCESS_KEY_ID", "test"), ("AWS_SECRET_ACCESS_KEY", "test"), ("AWS_REGION", "eu-central-1")];

/// Does what the item's id says.
async fn obey(record: Record) -> Result<(), HandlerError> {
    static RUNNING: AtomicUsize = AtomicUsize::new(0);
    static BOTH: LazyLock<Barrier> = LazyLock::new(|| Barrier::new(2));
    let keys = record.keys_json();
    if keys.contains("fail") {
        return Err(HandlerError::retryable("no such customer"));
    }
    if keys.contains("hang") {
        tokio::time::sleep(FOR_EVER).await;
    }
    if keys.contains("meet") {
        BOTH.wait().await;
    }
    let running = RUNNING.fetch_add(1, Ordering::SeqCst) + 1;
    tokio::task::yield_now().await;
    RUNNING.fetch_sub(1, Ordering::SeqCst);
    tracing::info!(running, "obeyed");
    Ok(())
}

#[tokio::test]
#[ignore = "the function that the other tests run, on a Runtime API of theirs"]
async fn function() {
    let processor = StreamProcessor::builder_from_env().unwrap().on_record(obey).build().unwrap();
    if let Err(error) = lambda_streams::run(processor).await {
        // `run` has panics logged without their messages.
        println!("{error}");
        panic!("the function ended");
    }
}

fn command(variables: &[(&str, &str)]) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["environment::function", "--exact", "--ignored", "--nocapture"]);
    command.env_clear().envs(variables.iter().copied());
    command
}

fn run(variables: &[(&str, &str)], payloads: &[Vec<u8>]) -> Invoked {
    invoke_and_listen(command(variables), payloads)
}

fn lines<'a>(invoked: &'a Invoked, message: &'a str) -> Vec<&'a Value> {
    invoked.log.iter().filter(|line| line["message"] == message).collect()
}

fn named(number: usize) -> Answered {
    let number = sequence_number(number);
    Answered::Response(format!(r#"{{"batchItemFailures":[{{"itemIdentifier":"{number}"}}]}}"#))
}

fn all_done() -> Answered {
    Answered::Response(r#"{"batchItemFailures":[]}"#.to_owned())
}

fn one_payload(changes: &[crate::support::Change]) -> [Vec<u8>; 1] {
    [payload(changes).into_bytes()]
}

#[test]
fn concurrency_is_the_limit_of_handlers_at_once() {
    for (value, most) in [("3", 3), ("1", 1)] {
        let invoked = run(&[("LAMBDA_STREAMS_CONCURRENCY", value)], &one_payload(&inserts(20)));
        let running = lines(&invoked, "obeyed").into_iter().map(|line| line["running"].as_u64());
        assert_eq!(running.max(), Some(Some(most)));
    }
}

#[test]
fn attempts_and_delays_are_those_of_the_environment() {
    let variables = [
        ("LAMBDA_STREAMS_MAX_ATTEMPTS", "4"),
        ("LAMBDA_STREAMS_RETRY_BASE_MS", "0"),
        ("LAMBDA_STREAMS_RETRY_MAX_MS", "0"),
    ];
    let invoked = run(&variables, &one_payload(&[change(0, "fail", 0)]));
    assert_eq!(invoked.answered, [named(0)]);
    let failed = lines(&invoked, "record failed");
    let delays: Vec<&Value> = failed.iter().map(|line| &line["delay_ms"]).collect();
    assert_eq!(delays, [&json!(0), &json!(0), &json!(0), &Value::Null]);
    assert_eq!(failed[3]["attempts"], 4);
}

#[test]
fn a_handler_that_hangs_is_ended_by_the_handler_timeout() {
    let variables = [("LAMBDA_STREAMS_HANDLER_TIMEOUT_MS", "1"), ("LAMBDA_STREAMS_MAX_ATTEMPTS", "1")];
    let invoked = run(&variables, &one_payload(&[change(0, "hang", 0)]));
    assert_eq!(invoked.answered, [named(0)]);
    assert_eq!(lines(&invoked, "record failed")[0]["error.type"], "timeout");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_past_its_give_up_age_goes_to_the_queue_of_dlq_url() {
    let script = Script::batches(|call, _| Answer::batch(call, |_| None));
    let server = SqsServer::start(script.clone()).await;
    let url = format!("{}/123456789012/dead-letters", server.endpoint);
    let changes = [change(0, "fail-old", 0).aged(120), change(1, "fail-new", 0).aged(30)];
    let invoked = tokio::task::spawn_blocking(move || {
        let variables = [
            ("DLQ_URL", url.as_str()),
            ("LAMBDA_STREAMS_GIVE_UP_AFTER_SECONDS", "3600"),
            ("LAMBDA_STREAMS_MAX_ATTEMPTS", "1"),
        ];
        let young = run(&[&variables[..], &LAMBDA].concat(), &one_payload(&changes));
        let variables = [variables[0], ("LAMBDA_STREAMS_GIVE_UP_AFTER_SECONDS", "60"), variables[2]];
        let old = run(&[&variables[..], &LAMBDA].concat(), &one_payload(&changes));
        [young.answered, old.answered]
    });
    let [young, old] = invoked.await.unwrap();
    assert_eq!((young, old), (vec![named(0)], vec![named(1)]));
    let letters: Vec<Value> = script.batch_calls().iter().flat_map(|call| call.entries().to_vec()).collect();
    assert_eq!(letters.len(), 1, "one record is old enough, under the second setting");
    assert!(letters[0]["MessageBody"].as_str().unwrap().contains("fail-old"));
}

#[test]
fn without_partial_batch_responses_a_failure_fails_the_invocation() {
    let variables = [("LAMBDA_STREAMS_REPORT_BATCH_ITEM_FAILURES", "false"), ("LAMBDA_STREAMS_MAX_ATTEMPTS", "1")];
    let redrive = sqs_event(&[("m-1", &dead_letter("fail")), ("m-2", &dead_letter("good"))]);
    let payloads = [payload(&[change(0, "fail", 0)]).into_bytes(), redrive];
    for answered in run(&variables, &payloads).answered {
        assert_eq!(error(&answered).0, "LambdaStreams.BatchFailed");
    }
}

#[test]
fn the_log_level_is_the_least_severe_that_is_logged() {
    let messages = |variables: &[(&str, &str)]| -> Vec<String> {
        let invoked = run(variables, &one_payload(&[change(0, "good", 0), change(1, "fail", 0)]));
        invoked.log.iter().map(|line| line["message"].as_str().unwrap().to_owned()).collect()
    };
    let attempts = ("LAMBDA_STREAMS_MAX_ATTEMPTS", "1");
    let warned = messages(&[attempts, ("LAMBDA_STREAMS_LOG_LEVEL", "warn")]);
    assert!(warned[0].starts_with("there is no dead-letter queue"), "{warned:?}");
    assert_eq!(warned[1..], ["record failed"]);
    let debug = messages(&[attempts, ("LAMBDA_STREAMS_LOG_LEVEL", "debug"), ("AWS_LAMBDA_LOG_LEVEL", "ERROR")]);
    assert!(debug.iter().any(|message| message == "record succeeded"), "{debug:?}");
    let lambdas = messages(&[attempts, ("AWS_LAMBDA_LOG_LEVEL", "ERROR")]);
    assert_eq!(lambdas, [""; 0]);
}

#[test]
fn metrics_are_written_to_the_namespace_of_the_environment() {
    let variables = [("POWERTOOLS_METRICS_NAMESPACE", "Shop"), ("POWERTOOLS_SERVICE_NAME", "order-stream")];
    let invoked = run(&variables, &one_payload(&inserts(2)));
    let metrics =
        invoked.log.iter().find(|line| line.get("RecordsSucceeded").is_some()).expect("a document of metrics");
    assert_eq!(metrics["_aws"]["CloudWatchMetrics"][0]["Namespace"], "Shop");
    assert_eq!((&metrics["service"], &metrics["RecordsSucceeded"]), (&json!("order-stream"), &json!(2)));

    for unset in [&[][..], &[("POWERTOOLS_METRICS_NAMESPACE", "")], &[("POWERTOOLS_METRICS_NAMESPACE", " ")]] {
        let without = run(unset, &one_payload(&inserts(2)));
        assert!(without.log.iter().all(|line| line.get("_aws").is_none()), "nobody asked for metrics: {unset:?}");
    }
}

/// An SQS event of messages, each with its id and its body.
fn sqs_event(messages: &[(&str, &str)]) -> Vec<u8> {
    let message = |(id, body): &(&str, &str)| json!({"messageId": id, "eventSource": "aws:sqs", "body": body});
    json!({"Records": messages.iter().map(message).collect::<Vec<_>>()}).to_string().into_bytes()
}

/// A dead letter of the change of an item with this id.
fn dead_letter(id: &str) -> String {
    let event: Value = serde_json::from_str(&payload(&[change(0, id, 0)])).unwrap();
    letter(&event["Records"][0].to_string()).to_json()
}

fn error(answered: &Answered) -> (String, String) {
    let Answered::Error(body) = answered else { panic!("{answered:?} is not an error") };
    let body: Value = serde_json::from_str(body).unwrap();
    let text = |name: &str| body[name].as_str().unwrap().to_owned();
    (text("errorType"), text("errorMessage"))
}

#[test]
fn dead_letters_that_are_put_back_are_redriven() {
    let (good, bad) = (dead_letter("good"), dead_letter("fail"));
    let payloads = [
        sqs_event(&[("m-1", &bad), ("m-2", &good), ("m-3", "something else")]),
        sqs_event(&[("m-4", &good)]),
        sqs_event(&[("m-5", "something else")]),
        br#"{"Records": [{"eventSource": "aws:kinesis"}]}"#.to_vec(),
    ];
    let invoked = run(&[("LAMBDA_STREAMS_MAX_ATTEMPTS", "1")], &payloads);
    let kept = r#"{"batchItemFailures":[{"itemIdentifier":"m-1"},{"itemIdentifier":"m-3"}]}"#;
    assert_eq!(invoked.answered[..2], [Answered::Response(kept.to_owned()), all_done()]);
    let refused = |answered| error(answered).1;
    assert_eq!(refused(&invoked.answered[2]), "no message of the SQS event holds a dead letter");
    let kinesis = "the payload is not the event of a DynamoDB stream, it looks like a Kinesis event";
    assert_eq!(refused(&invoked.answered[3]), kinesis);
}

#[test]
fn invocations_run_at_once_where_the_environment_says_so() {
    // Each of the two waits for the other. One after the other, the first would end by its timeout.
    let payloads = [payload(&[change(0, "meet", 0)]), payload(&[change(1, "meet", 0)])].map(String::into_bytes);
    let variables = [("AWS_LAMBDA_MAX_CONCURRENCY", "2"), ("LAMBDA_STREAMS_HANDLER_TIMEOUT_MS", "60000")];
    assert_eq!(run(&variables, &payloads).answered, [all_done(), all_done()]);
}

#[test]
fn the_first_line_shows_the_settings() {
    let variables = [
        ("LAMBDA_STREAMS_CONCURRENCY", "64"),
        ("LAMBDA_STREAMS_RETRY_MAX_MS", "300"),
        ("LAMBDA_STREAMS_DEADLINE_MARGIN_MS", "900000"),
    ];
    let invoked = run(&variables, &one_payload(&inserts(1)));
    let line = &invoked.log[0];
    assert_eq!(line["message"], "the function starts");
    let shown = ["concurrency", "max_attempts", "retry_base_ms", "retry_max_ms", "give_up_after_seconds"];
    let shown: Vec<&Value> = shown.iter().map(|name| &line[*name]).collect();
    assert_eq!(shown, [&json!(64), &json!(3), &json!(100), &json!(300), &json!(21_600)]);
    assert_eq!((&line["handler_timeout_ms"], &line["deadline_margin_ms"]), (&Value::Null, &json!(900_000)));
    assert_eq!((&line["dead_letter_queue"], &line["report_batch_item_failures"]), (&json!(false), &json!(true)));
}

#[test]
fn a_namespace_that_cloudwatch_refuses_stops_the_start() {
    let output = command(&[("POWERTOOLS_METRICS_NAMESPACE", "AWS/Mine"), ("AWS_LAMBDA_RUNTIME_API", "127.0.0.1:1")])
        .output()
        .unwrap();
    assert!(!output.status.success());
    let printed = String::from_utf8(output.stdout).unwrap() + &String::from_utf8(output.stderr).unwrap();
    assert!(printed.contains("starts with `:` or `AWS/`, which are CloudWatch's own"), "{printed}");
}

#[test]
fn an_age_to_give_up_at_without_a_queue_stops_the_start() {
    let output = command(&[("LAMBDA_STREAMS_GIVE_UP_AFTER_SECONDS", "60")]).output().unwrap();
    assert!(!output.status.success());
    let printed = String::from_utf8(output.stdout).unwrap() + &String::from_utf8(output.stderr).unwrap();
    let fault = "`LAMBDA_STREAMS_GIVE_UP_AFTER_SECONDS` is set, but there is no dead-letter queue: set `DLQ_URL`";
    assert!(printed.contains(fault), "{printed}");
}

#[test]
fn a_malformed_environment_stops_the_start_and_all_faults_are_told() {
    let variables = [
        ("DLQ_URL", "arn:aws:sqs:eu-central-1:123456789012:dead-letters"),
        ("LAMBDA_STREAMS_CONCURRENCY", "0"),
        ("LAMBDA_STREAMS_CONCURENCY", "64"),
    ];
    let output = command(&variables).output().unwrap();
    assert!(!output.status.success());
    let printed = String::from_utf8(output.stdout).unwrap() + &String::from_utf8(output.stderr).unwrap();
    for fault in [
        "`LAMBDA_STREAMS_CONCURRENCY` is \"0\": it must be a whole number from 1 to 10,000",
        "the environment variable `DLQ_URL` is the queue's ARN; use its URL instead",
        "`LAMBDA_STREAMS_CONCURENCY` is not a variable of this version of `lambda-streams`",
    ] {
        assert!(printed.contains(&fault.replace('"', "\\\"")) || printed.contains(fault), "{fault}: {printed}");
    }
}
