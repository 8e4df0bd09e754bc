//! A processor on Lambda responds alike from the payload's bytes and as a tower service.
//!
//! The runtime reads the process's environment, so each function runs in a process of its own: this test's binary, with
//! one of the two functions below as its only test.

use std::path::Path;
use std::process::Command;

use lambda_streams::{HandlerError, Record, StreamProcessor};
use serde_json::{Value, json};

use crate::support::runtime_api::{Answered, invoke};
use crate::support::{change, inserts, payload};

fn processor() -> StreamProcessor {
    let handler = |record: Record| async move {
        assert!(!record.keys_json().contains("broken"), "a bug in the handler");
        match record.keys_json().contains("bad") {
            true => Err(HandlerError::permanent("no such customer")),
            false => Ok(()),
        }
    };
    StreamProcessor::builder().on_record(handler).build().unwrap()
}

#[tokio::test]
#[ignore = "the function that the other tests run, on a Runtime API of theirs"]
async fn function_from_bytes() {
    lambda_streams::run(processor()).await.unwrap();
}

#[tokio::test]
#[ignore = "the function that the other tests run, on a Runtime API of theirs"]
async fn function_as_service() {
    lambda_runtime::run(processor()).await.unwrap();
}

fn function(name: &str) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args([&format!("runtime::{name}"), "--exact", "--ignored", "--nocapture"]);
    command
}

/// The responses of both functions, payload by payload.
fn both(payloads: &[Vec<u8>]) -> Vec<(Answered, Answered)> {
    let from_bytes = invoke(function("function_from_bytes"), payloads);
    from_bytes.into_iter().zip(invoke(function("function_as_service"), payloads)).collect()
}

/// The type and the message of an error.
fn error(answered: &Answered) -> Option<(String, String)> {
    let Answered::Error(body) = answered else { return None };
    let body: Value = serde_json::from_str(body).unwrap();
    Some((body["errorType"].as_str()?.to_owned(), body["errorMessage"].as_str()?.trim().to_owned()))
}

fn assert_same(name: &str, (from_bytes, as_service): &(Answered, Answered)) {
    match (error(from_bytes), error(as_service)) {
        (None, None) => assert_eq!(from_bytes, as_service, "{name}"),
        (Some((kind, message)), Some((_, other))) if kind == "LambdaStreams.Event" => {
            // From the bytes, an SQS event is read as one of dead letters, and a notification is told the command that brings its records back.
            let without_letters = "no message of the SQS event holds a dead letter";
            let same = other
                .contains(message.split_once("; if it is about").map_or(message.as_str(), |(what, _)| what))
                || message.starts_with("the payload is not valid JSON")
                || message == without_letters && other.contains("it looks like an SQS event");
            assert!(same, "{name}: {message:?} and {other:?}");
        }
        (one, other) => assert_eq!(one, other, "{name}"),
    }
}

#[test]
fn both_entry_points_respond_alike() {
    let broken = change(1, "x", 0).with("/dynamodb/NewImage", json!({"id": {"N": "x"}}));
    let named = |name: &str, payload: &[u8]| (name.to_owned(), payload.to_vec());
    let mut cases = vec![
        named("all good", payload(&inserts(3)).as_bytes()),
        named("no records", br#"{"Records": []}"#),
        named("a failure", payload(&[change(0, "a", 0), change(1, "bad", 0), change(2, "c", 0)]).as_bytes()),
        named("a panic", payload(&[change(5, "broken", 0), change(6, "c", 0)]).as_bytes()),
        named("a broken image", payload(&[change(0, "a", 0), broken]).as_bytes()),
        named("no number", payload(&[change(0, "bad", 0).without("/dynamodb/SequenceNumber")]).as_bytes()),
        named("pretty", pretty(&payload(&[change(0, "bad", 0)])).as_bytes()),
        named("another source", br#"{"Records": [{"eventSource": "aws:sqs", "messageId": "1"}]}"#),
        named("two lists", br#"{"Records": [], "Records": []}"#),
        named("null", b"null"),
        named("nothing", b""),
        named("space", b" \n"),
        named("half", br#"{"Records": [{"#),
        named("a byte order mark", b"\xEF\xBB\xBF{\"Records\": []}"),
        named("not UTF-8", b"{\"Records\": [{\"eventID\": \"\xFF\"}]}"),
        named("a control character", b"{\"Records\": [{\"eventID\": \"\x01\"}]}"),
        named("space around", b" {\"Records\": []}\n"),
    ];
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/corpus");
    let corpus = std::env::var_os("TEST_CORPUS").map_or(corpus, Into::into);
    for folder in ["real", "edge", "bad"] {
        for entry in std::fs::read_dir(corpus.join(folder)).into_iter().flatten() {
            let path = entry.unwrap().path();
            cases.push((path.display().to_string(), std::fs::read(path).unwrap()));
        }
    }
    let payloads: Vec<Vec<u8>> = cases.iter().map(|(_, payload)| payload.clone()).collect();
    let mut differ = 0;
    for ((name, payload), answers) in cases.iter().zip(both(&payloads)) {
        // The service cannot see what `lambda_runtime` does not read.
        if has_text_after_its_end(payload) {
            assert_eq!(error(&answers.0).map(|(kind, _)| kind).as_deref(), Some("LambdaStreams.Event"), "{name}");
            differ += 1;
        } else {
            assert_same(name, &answers);
        }
    }
    println!("{} payloads got the same response both ways, {differ} have text after their end", cases.len() - differ);
}

fn pretty(json: &str) -> String {
    let value: Value = serde_json::from_str(json).unwrap();
    serde_json::to_string_pretty(&value).unwrap()
}

fn has_text_after_its_end(payload: &[u8]) -> bool {
    let mut values = serde_json::Deserializer::from_slice(payload).into_iter::<serde::de::IgnoredAny>();
    values.next().is_some_and(|first| first.is_ok()) && values.next().is_some()
}

#[test]
fn text_after_the_json_is_rejected_from_bytes() {
    let answers = both(&[br#"{"Records": []} {"Records": []}"#.to_vec()]);
    let (kind, message) = error(&answers[0].0).unwrap();
    assert_eq!(kind, "LambdaStreams.Event");
    assert_eq!(message, "the payload is not valid JSON: trailing characters at line 1 column 17");
    assert_eq!(answers[0].1, Answered::Response(r#"{"batchItemFailures":[]}"#.to_owned()));
}

#[test]
fn a_command_is_answered_from_bytes_and_refused_by_the_service() {
    let records = [change(0, "a", 0), change(1, "bad", 0), change(2, "c", 0)].map(|change| change.json()).join(",");
    let event = |request: &str| format!("{{\"lambdaStreams\":{request},\"Records\":[{records}]}}").into_bytes();
    let payloads = [event(r#"{"origin":"replay","answer":"list"}"#), event(r#"{"origin":"replay"}"#)];
    let answers = both(&payloads);
    let number = crate::support::sequence_number(1);
    let expected = format!(
        r#"{{"batchItemFailures":[{{"itemIdentifier":"{number}"}}],"lambdaStreams":{{"everyFailureIsListed":true,"succeeded":2,"skipped":0,"alreadyDone":0,"stale":0,"deadLettered":0,"failed":1,"marks":false}}}}"#
    );
    assert_eq!(answers[0].0, Answered::Response(expected));
    let (kind, message) = error(&answers[1].0).unwrap();
    assert_eq!(kind, "LambdaStreams.Unfinished");
    assert!(message.starts_with("1 of 3 records are not finished"), "{message}");
    for (_, of_service) in &answers {
        let (_, message) = error(of_service).unwrap();
        assert!(message.contains("must be run by `lambda_streams::run`"), "{message}");
    }
}

#[test]
fn the_response_names_the_checkpoint() {
    let payloads = [payload(&[change(0, "a", 0), change(1, "bad", 0)]).into_bytes()];
    let number = crate::support::sequence_number(1);
    let expected = format!(r#"{{"batchItemFailures":[{{"itemIdentifier":"{number}"}}]}}"#);
    assert_eq!(invoke(function("function_from_bytes"), &payloads), [Answered::Response(expected)]);
}
