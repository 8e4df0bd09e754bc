//! Metrics and logs of a whole process: the lines on its standard output, and which invocation each belongs to.
//!
//! The recorder and the log are the process's, so this binary runs itself as the function.
#![cfg(all(feature = "emf", feature = "logs"))]
#![allow(clippy::unwrap_used, reason = "a test that unwraps an error fails, as it should")]

#[path = "it/support/emf.rs"]
mod support;

use std::collections::{BTreeMap, HashSet};
use std::process::Command;

use lambda_runtime::{Context, LambdaEvent};
use lambda_streams::testing::TestStream;
use lambda_streams::{Emf, HandlerError, Logs, Record, StreamEvent, StreamProcessor};
use serde_json::{Value, json};
use tower::{Service, ServiceExt};

use crate::support::{Document, Written, numbers, sum};

const INVOCATIONS: usize = 60;
const ALL: [&str; 1] = ["service"];

/// How many records invocation number `id` has, and which of them fail.
fn size(id: usize) -> usize {
    1 + id * 7 % 40
}

fn fails(id: usize, number: usize) -> bool {
    id.is_multiple_of(3) && number + 1 == size(id)
}

fn event(id: usize) -> StreamEvent {
    let stream = TestStream::new("orders", &["id"]);
    let stream = (0..size(id))
        .map(|number| format!("{id}-{number}"))
        .fold(stream, |stream, record| stream.insert(json!({"id": {"S": record}})).with("/eventID", record));
    stream.event().unwrap()
}

fn request(id: usize) -> LambdaEvent<StreamEvent> {
    let mut context = Context::default();
    context.request_id = format!("request-{id}");
    LambdaEvent::new(event(id), context)
}

/// A handler that counts by itself, with the invocation as a label.
fn processor() -> StreamProcessor {
    StreamProcessor::builder()
        .on_record(|record: Record| async move {
            let (id, number) = record.event_id().and_then(|id| id.split_once('-')).expect("the tests' ids");
            metrics::counter!("handled", "invocation" => id.to_owned()).increment(1);
            metrics::histogram!("seen").record(number.parse::<f64>().expect("a number"));
            tokio::task::yield_now().await;
            if fails(id.parse().expect("a number"), number.parse().expect("a number")) {
                return Err(HandlerError::permanent("no such customer"));
            }
            Ok(())
        })
        .concurrency(5)
        .build()
        .unwrap()
}

/// The function that the tests start: some invocations one after the other, the rest all at once on several threads.
#[test]
#[ignore = "the tests start it"]
fn function() {
    println!();
    Logs::from_env().install().unwrap();
    Emf::builder().install().unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(4).build().unwrap();
    let processor = processor();
    let call = |id: usize| {
        let mut processor = processor.clone();
        async move { processor.ready().await.unwrap().call(request(id)).await.map(|_| ()).unwrap_or_default() }
    };
    for id in 0..INVOCATIONS / 2 {
        runtime.block_on(call(id));
    }
    let calls: Vec<_> = (INVOCATIONS / 2..INVOCATIONS).map(|id| runtime.spawn(call(id))).collect();
    runtime.block_on(async {
        for call in calls {
            call.await.unwrap();
        }
        // One is cancelled halfway; what it had counted is still written.
        let mut processor = processor.clone();
        let mut call = processor.ready().await.unwrap().call(request(1_000));
        assert!(futures::poll!(&mut call).is_pending());
        drop(call);
    });
}

/// Runs the function, and gives the lines of JSON that it wrote.
fn run(variables: &[(&str, &str)]) -> Vec<String> {
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "function", "--ignored", "--nocapture"])
        .env_remove("POWERTOOLS_METRICS_NAMESPACE")
        .env_remove("POWERTOOLS_SERVICE_NAME")
        .env("AWS_LAMBDA_FUNCTION_NAME", "order-stream")
        .env("AWS_LAMBDA_LOG_FORMAT", "JSON")
        .envs(variables.iter().copied())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap();
    let (json, rest): (Vec<&str>, Vec<&str>) = text.lines().partition(|line| line.starts_with('{'));
    assert!(rest.iter().all(|line| !line.contains('{')), "a line was torn: {rest:?}");
    json.into_iter().map(|line| format!("{line}\n")).collect()
}

fn documents(lines: &[String]) -> Vec<Document> {
    lines.iter().filter(|line| line.starts_with(r#"{"_aws""#)).map(|line| Document::read(line)).collect()
}

#[test]
fn concurrent_invocations_keep_exact_counts_and_request_ids() {
    let lines = run(&[]);
    let documents = documents(&lines);
    let records: usize = (0..INVOCATIONS).map(size).sum();
    let reported = (0..INVOCATIONS).filter(|id| id % 3 == 0).count();
    assert_eq!(sum(&documents, "RecordsReceived", &ALL), records as f64);
    assert_eq!(sum(&documents, "RecordsReported", &ALL), reported as f64);
    assert_eq!(numbers(&documents, "HandlerDuration", &ALL).len(), records);
    assert_eq!(numbers(&documents, "BatchSize", &ALL).len(), INVOCATIONS);
    assert_eq!(sum(&documents, "ColdStart", &ALL), 1.0);
    // The cancelled invocation had started as many records as the limit allows.
    let begun = 5.min(size(1_000));
    assert_eq!(sum(&documents, "handled", &ALL), (records + begun) as f64);
    assert_eq!(numbers(&documents, "seen", &ALL).len(), records + begun);

    let mut by_request: BTreeMap<&str, Vec<Document>> = BTreeMap::new();
    for document in &documents {
        if let Some(id) = document.member("requestId") {
            by_request.entry(id).or_default().push(document.clone());
        } else {
            assert!(document.metrics.keys().all(|name| ["handled", "seen"].contains(&name.as_str())), "{document:?}");
        }
    }
    for id in 0..INVOCATIONS {
        let own = &by_request[format!("request-{id}").as_str()];
        assert_eq!(numbers(own, "BatchSize", &ALL), [size(id) as f64], "request {id}");
        assert_eq!(numbers(own, "HandlerDuration", &ALL).len(), size(id), "request {id}");
        let others = own.iter().filter_map(|document| document.member("invocation"));
        assert!(others.into_iter().all(|found| found == id.to_string()), "of another invocation than {id}");
        if id < INVOCATIONS / 2 {
            assert_eq!(sum(own, "handled", &ALL), size(id) as f64, "request {id} ran alone, so all of it is its own");
        }
    }
}

#[test]
fn log_lines_are_whole_and_have_request_ids() {
    let lines = run(&[("AWS_LAMBDA_LOG_LEVEL", "debug")]);
    let logs: Vec<Value> = lines
        .iter()
        .filter(|line| !line.starts_with(r#"{"_aws""#))
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    for line in &logs {
        if let Some((id, _)) = line["event_id"].as_str().and_then(|id| id.split_once('-')) {
            assert_eq!(line["requestId"], format!("request-{id}"), "{line}");
        }
    }
    let ended: HashSet<&str> = logs
        .iter()
        .filter(|line| line["message"] == "batch processed")
        .filter_map(|line| line["requestId"].as_str())
        .collect();
    assert_eq!(ended.len(), INVOCATIONS);
    let succeeded = logs.iter().filter(|line| line["message"] == "record succeeded").count();
    let failed = logs.iter().filter(|line| line["message"] == "record failed").count();
    assert_eq!(succeeded + failed, (0..INVOCATIONS).map(size).sum::<usize>());
}

#[test]
fn the_environment_sets_namespace_and_service() {
    let of = |variables: &[(&str, &str)]| {
        let document = documents(&run(variables)).remove(0);
        (document.namespace.clone(), document.member("service").unwrap().to_owned())
    };
    assert_eq!(of(&[]), ("LambdaStreams".to_owned(), "order-stream".to_owned()));
    let named = [("POWERTOOLS_METRICS_NAMESPACE", "Shop"), ("POWERTOOLS_SERVICE_NAME", "orders")];
    assert_eq!(of(&named), ("Shop".to_owned(), "orders".to_owned()));
    let empty =
        [("POWERTOOLS_METRICS_NAMESPACE", ""), ("POWERTOOLS_SERVICE_NAME", " "), ("AWS_LAMBDA_FUNCTION_NAME", "")];
    assert_eq!(of(&empty), ("LambdaStreams".to_owned(), "service_undefined".to_owned()));
}

#[test]
fn metrics_that_lambda_drops_are_warned_of_at_start() {
    let warnings = |format: &str, level: &str| -> Vec<String> {
        let lines = run(&[("AWS_LAMBDA_LOG_FORMAT", format), ("AWS_LAMBDA_LOG_LEVEL", level)]);
        let lines = lines.iter().map(|line| serde_json::from_str::<Value>(line).expect("JSON"));
        let dropped =
            lines.filter(|line| line["message"].as_str().is_some_and(|text| text.contains("drops the metrics")));
        dropped.map(|line| line["level"].as_str().expect("a level").to_owned()).collect()
    };
    assert_eq!(warnings("JSON", "WARN"), ["WARN"]);
    assert_eq!(warnings("JSON", "FATAL"), ["ERROR"]);
    assert!(warnings("JSON", "INFO").is_empty());
    assert!(warnings("", "WARN").is_empty());
}

#[test]
fn emf_can_be_installed_only_once() {
    let written = Written::default();
    let build = || Emf::builder().service("orders").writer(written.clone());
    build().install().unwrap();
    let error = build().install().unwrap_err();
    assert!(error.is_configuration() && error.to_string().contains("already has a metrics recorder"), "{error}");
    metrics::counter!("count").increment(1);
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
        processor().process(event(1), lambda_streams::Deadline::none()).await;
    });
    let documents = written.documents();
    assert_eq!(sum(&documents, "count", &ALL), 1.0, "the processor flushes what was recorded before");
    assert!(documents.iter().all(|document| document.member("requestId").is_none()), "there is no request");
}
