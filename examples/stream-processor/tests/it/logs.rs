//! The log: one JSON object a line, and nothing in it of an item but what the handlers chose.

use serde_json::{Value, json};

use crate::support::{Function, Invocation, event, insert, modify, poison, remove, request};

fn is_rfc3339(time: &Value) -> bool {
    let time = time.as_str().unwrap_or_default();
    time.len() == "2026-01-01T00:00:00.000Z".len() && humantime::parse_rfc3339(time).is_ok()
}

#[test]
fn every_line_says_when_how_bad_which_invocation_which_function_and_what() {
    let function = Function::start_with(&[("LAMBDA_STREAMS_LOG_LEVEL", "debug")]);
    let records = [insert(1, "a"), poison(2, "b")];
    let invocation =
        Invocation { payload: event(&records), request_id: "the-request".to_owned(), ..Default::default() };
    function.invoke_as(invocation).expect("one is a dead letter");
    let mut said = Vec::new();
    for line in function.program.logged_up_to("batch processed") {
        assert!(is_rfc3339(&line["timestamp"]), "{line}");
        assert!(["DEBUG", "INFO", "WARN"].contains(&line["level"].as_str().expect("a text")), "{line}");
        assert_eq!(line["functionName"], "the-function", "{line}");
        assert!(!line["message"].as_str().expect("a text").is_empty(), "{line}");
        // The SDK says a word of its own now and then.
        if line["message"]
            .as_str()
            .is_some_and(|message| ["item created", "record failed", "batch processed"].contains(&message))
        {
            assert_eq!((&line["requestId"], &line["source"]), (&json!("the-request"), &json!("stream")), "{line}");
            said.push(line["message"].clone());
        }
    }
    said.sort_by_key(ToString::to_string);
    assert_eq!(said, ["batch processed", "item created", "record failed"], "each once");
}

#[test]
fn the_processors_metrics_have_the_dimension_that_the_alarms_ask_for() {
    let environment = [("POWERTOOLS_SERVICE_NAME", "orders"), ("POWERTOOLS_METRICS_NAMESPACE", "Shop")];
    let function = Function::start_with(&environment);
    function.invoke(&event(&[insert(1, "a"), poison(2, "b")])).expect("one is a dead letter");
    let document = function.program.metric("DeadLetters");
    assert_eq!((&document["DeadLetters"], &document["service"]), (&json!(1), &json!("orders")));
    let directive = &document["_aws"]["CloudWatchMetrics"][0];
    assert_eq!(directive["Namespace"], "Shop");
    assert_eq!(directive["Dimensions"][0], json!(["service"]));
}

#[test]
fn the_summary_counts_the_batch_by_kind_and_by_outcome() {
    let function = Function::start();
    let malformed = json!({"eventSource": "aws:dynamodb"});
    let records = [insert(1, "a"), modify(2, "a"), modify(3, "a"), remove(4, "a"), poison(5, "b"), malformed];
    function.invoke(&event(&records)).expect("two are dead letters");
    let summary = function.program.logged("batch processed");
    let expected = json!({
        "level": "INFO", "requestId": "request-1", "source": "stream", "total": 6, "inserted": 2, "modified": 2,
        "removed": 1, "unreadable": 1, "succeeded": 4, "skipped": 0, "failed": 2, "dead_lettered": 2, "reported": 0,
        "unfinished": 0, "held_back": 0, "stopped_at_deadline": false,
    });
    for (name, value) in expected.as_object().expect("an object") {
        assert_eq!(&summary[name], value, "{name} of {summary}");
    }
    assert!(summary["duration_ms"].as_f64().is_some_and(|duration| duration > 0.0), "{summary}");
}

#[test]
fn the_level_holds_back_what_is_below_it_and_keeps_the_request_id() {
    let function = Function::start_with(&[("LAMBDA_STREAMS_LOG_LEVEL", "warn")]);
    function.invoke(&event(&[insert(1, "a"), poison(2, "b")])).expect("one is a dead letter");
    let first = function.program.logged("record failed");
    assert_eq!((&first["level"], &first["requestId"]), (&json!("WARN"), &json!("request-1")));
    function.invoke("{}").expect_err("no event");
    let levels: Vec<_> =
        function.program.logged_up_to("invocation failed").iter().map(|line| line["level"].clone()).collect();
    assert!(levels.iter().all(|level| level == "WARN" || level == "ERROR"), "{levels:?}");
}

#[test]
fn no_payload_is_logged_at_any_level() {
    let function = Function::start_with(&[("LAMBDA_STREAMS_LOG_LEVEL", "trace")]);
    let mut record = poison(1, "an-id");
    record["dynamodb"]["NewImage"]["card"] = json!({"S": "4111-1111"});
    function.invoke(&event(&[record.clone()])).expect("it is a dead letter");
    function.post(&json!({"Records": [record]}));
    function.request(request("GET", None));
    let mut lines = Vec::new();
    while lines.iter().filter(|line: &&Value| line["message"] == "request answered").count() < 2 {
        lines.extend(function.program.logged_up_to("request answered"));
    }
    assert!(lines.iter().all(|line| !line.to_string().contains("4111-1111")), "a value of an item was logged");
}
