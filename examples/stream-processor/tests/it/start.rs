//! The configuration is read once, at start; a fault in it ends the start.

use crate::support::{Program, environment};

/// What the program says when it starts with this change to a good environment.
fn refusal(name: &str, value: Option<&str>) -> String {
    let good = [("DLQ_URL", "http://127.0.0.1:1/123456789012/dead"), ("AWS_LAMBDA_RUNTIME_API", "127.0.0.1:1")];
    let mut variables: Vec<_> = good.into_iter().chain(environment()).filter(|(known, _)| *known != name).collect();
    variables.extend(value.map(|value| (name, value)));
    let (status, log) = Program::start(&variables).ended();
    assert_eq!(status.code(), Some(1));
    assert_eq!(log.len(), 1, "one line says it: {log:?}");
    assert_eq!((&log[0]["level"], &log[0]["functionName"]), (&"ERROR".into(), &"the-function".into()));
    log[0]["message"].to_string()
}

#[test]
fn a_missing_variable_stops_the_start_and_is_named() {
    for name in ["DLQ_URL", "TABLE_NAME"] {
        let message = refusal(name, None);
        assert!(message.contains(&format!("`{name}` is not set")), "{message}");
    }
}

#[test]
fn a_malformed_variable_stops_the_start_and_is_named() {
    let table = [
        ("DLQ_URL", "dead-letters"),
        ("TABLE_NAME", "arn:aws:dynamodb:eu-central-1:123456789012:table/orders"),
        ("LAMBDA_STREAMS_LOG_LEVEL", "loud"),
        ("LAMBDA_STREAMS_CONCURRENCY", "0"),
        ("LAMBDA_STREAMS_CONCURENCY", "64"),
    ];
    for (name, value) in table {
        let message = refusal(name, Some(value));
        assert!(message.contains(name), "{message} does not name {name}");
    }
}

#[test]
fn faults_of_the_library_and_of_the_function_are_reported_together() {
    let variables = [("LAMBDA_STREAMS_CONCURRENCY", "none"), ("AWS_LAMBDA_RUNTIME_API", "127.0.0.1:1")];
    let (_, log) = Program::start(&variables).ended();
    let message = log[0]["message"].to_string();
    assert!(message.contains("LAMBDA_STREAMS_CONCURRENCY") && message.contains("TABLE_NAME"), "{message}");
}
