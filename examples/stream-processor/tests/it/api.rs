//! The on-demand endpoint.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::support::{Function, TABLE, event, insert, modify, poison, remove, request, sequence_number};

fn outcomes(body: &Value) -> Vec<&str> {
    let records = body["records"].as_array().expect("a list");
    records.iter().map(|record| record["outcome"].as_str().expect("a text")).collect()
}

/// Posts the record alone: why it is refused.
fn refusal(function: &Function, record: Value) -> String {
    let (status, body) = function.post(&json!({"Records": [record]}));
    assert_eq!((status, &body["error"]), (400, &json!("Bad Request")), "{body}");
    assert_eq!(body["records"][0]["position"], 0, "{body}");
    body["records"][0]["error"].as_str().expect("a text").to_owned()
}

#[test]
fn posted_records_are_processed_and_each_outcome_is_answered() {
    let function = Function::start();
    let (status, body) = function.post(&json!({"Records": [insert(1, "a"), modify(2, "a"), remove(3, "a")]}));
    assert_eq!(status, 200);
    assert_eq!(outcomes(&body), ["succeeded"; 3]);
    assert_eq!((&body["total"], &body["succeeded"], &body["notSucceeded"]), (&json!(3), &json!(3), &json!(0)));
    assert_eq!((&body["requestId"], &body["functionVersion"]), (&json!("request-1"), &json!("7")));
    let second = &body["records"][1];
    assert_eq!(
        (&second["position"], &second["eventId"], &second["kind"]),
        (&json!(1), &json!("event-2"), &json!("MODIFY"))
    );
    assert_eq!(second["sequenceNumber"], sequence_number(2));
    let created = function.program.logged("item created");
    assert_eq!((&created["id"], &created["source"]), (&json!("a"), &json!("api")));
    assert_eq!(function.program.logged("batch processed")["source"], "api");
}

#[test]
fn a_post_without_a_body_answers_who_answers() {
    let function = Function::start();
    let bodies = [None, Some(""), Some(" \n")];
    for body in bodies {
        let (status, answer) = function.request(request("POST", body));
        assert_eq!(status, 200);
        let members: Vec<_> = answer.as_object().expect("an object").keys().collect();
        assert_eq!(members, ["functionVersion", "message", "requestId", "timestamp"]);
        assert_eq!((&answer["requestId"], &answer["functionVersion"]), (&json!("request-1"), &json!("7")));
        humantime::parse_rfc3339(answer["timestamp"].as_str().expect("a text")).expect("RFC 3339");
    }
}

#[test]
fn get_answers_version_configuration_and_counters() {
    let function = Function::start_with(&[("LAMBDA_STREAMS_CONCURRENCY", "64")]);
    function.invoke(&event(&[insert(1, "a"), poison(2, "b")])).expect("one is a dead letter");
    function.post(&json!({"Records": [insert(3, "c")]}));
    let (status, body) = function.request(request("GET", None));
    assert_eq!(status, 200);
    assert_eq!((&body["functionName"], &body["functionVersion"]), (&json!("the-function"), &json!("7")));
    let configuration = json!({
        "tableName": TABLE, "deadLetterQueue": "dead-letters", "concurrency": 64, "maxAttempts": 3,
        "retryBaseMs": 100.0, "retryMaxMs": 2000.0, "handlerTimeoutMs": null, "giveUpAfterSeconds": 21_600,
        "reportBatchItemFailures": true,
    });
    assert_eq!(body["configuration"], configuration);
    let counters = json!({
        "invocations": 3,
        "stream": {"received": 2, "succeeded": 1, "skipped": 0, "deadLettered": 1, "notDone": 0},
        "redrive": {"received": 0, "succeeded": 0, "skipped": 0, "deadLettered": 0, "notDone": 0},
        "api": {"received": 1, "succeeded": 1, "skipped": 0, "deadLettered": 0, "notDone": 0},
    });
    assert_eq!(body["counters"], counters);
}

#[test]
fn a_base64_body_is_read_as_what_it_encodes() {
    let function = Function::start();
    let mut encoded = request("POST", Some(&STANDARD.encode(event(&[insert(1, "a")]))));
    encoded["isBase64Encoded"] = json!(true);
    assert_eq!(function.request(encoded.clone()).0, 200);
    encoded["body"] = json!("no base64!");
    assert_eq!(function.request(encoded).0, 400);
}

#[test]
fn a_body_that_is_not_an_event_is_refused_with_400() {
    let function = Function::start();
    let bodies = ["{", "[]", "7", "{}", r#"{"Records": 7}"#, r#"{"Records": [{"eventSource": "aws:sqs"}]}"#];
    for body in bodies {
        let (status, answer) = function.request(request("POST", Some(body)));
        assert_eq!((status, &answer["error"]), (400, &json!("Bad Request")), "{body}");
        assert!(answer["message"].as_str().is_some_and(|message| message.starts_with("in the body, ")), "{answer}");
    }
}

#[test]
fn other_paths_methods_and_media_types_are_refused() {
    let function = Function::start();
    let mut elsewhere = request("GET", None);
    (elsewhere["resource"], elsewhere["path"]) = (json!("/{proxy+}"), json!("/admin"));
    assert_eq!(function.request(elsewhere).0, 404);

    for method in ["PUT", "DELETE", "PATCH", "HEAD", "OPTIONS"] {
        let answer = function.invoke(&request(method, None).to_string()).expect("it is answered");
        assert_eq!(
            (&answer["statusCode"], &answer["headers"]["allow"]),
            (&json!(405), &json!("GET, POST")),
            "{method}"
        );
    }

    let body = event(&[insert(1, "a")]);
    let headers =
        [json!({"Content-Type": "text/plain"}), json!({"content-type": "application/xml"}), json!({}), json!(null)];
    for header in headers {
        let mut wrong = request("POST", Some(&body));
        (wrong["headers"], wrong["multiValueHeaders"]) = (header.clone(), json!(null));
        assert_eq!(function.request(wrong).0, 415, "{header}");
    }
    let mut right = request("POST", Some(&body));
    right["headers"] = json!({"content-type": "Application/JSON; charset=utf-8"});
    assert_eq!(function.request(right).0, 200);
}

#[test]
fn too_many_records_or_bytes_are_refused_with_413() {
    let function = Function::start();
    let records: Vec<_> = (1..=101).map(|number| insert(number, "a")).collect();
    assert_eq!(function.post(&json!({"Records": records})).0, 413);
    assert_eq!(function.post(&json!({"Records": records[..100]})).0, 200);

    let mut large = insert(1, "a");
    large["dynamodb"]["NewImage"]["note"] = json!({"S": "x".repeat(4 * 1024 * 1024)});
    assert_eq!(function.post(&json!({"Records": [large]})).0, 413);
}

#[test]
fn a_record_of_another_table_or_of_none_is_refused() {
    let function = Function::start();
    let mut record = insert(1, "a");
    for arn in [
        "arn:aws:dynamodb:eu-central-1:123456789012:table/accounts/stream/2026-01-01T00:00:00.000",
        "arn:aws:dynamodb:eu-central-1:123456789012:table/orders-archive/stream/2026-01-01T00:00:00.000",
        "orders",
    ] {
        record["eventSourceARN"] = json!(arn);
        assert!(refusal(&function, record.clone()).contains("table `orders`"), "{arn}");
    }
    record.as_object_mut().expect("an object").remove("eventSourceARN");
    assert!(refusal(&function, record).contains("table `orders`"));
}

#[test]
fn a_record_that_is_malformed_or_does_not_decode_or_contradicts_itself_is_refused() {
    let function = Function::start();
    let with = |path: &str, value: Value| {
        let mut record = insert(1, "a");
        *record.pointer_mut(path).expect("it is there") = value;
        record
    };
    let table = [
        (poison(1, "a"), "status"),
        (with("/eventName", json!("UPSERT")), "eventName"),
        (with("/dynamodb/SequenceNumber", json!("")), "SequenceNumber"),
        (with("/dynamodb/Keys/id", json!({"S": "b"})), "`dynamodb.Keys` is not the key"),
        (with("/dynamodb/Keys/timestamp", json!({"N": "2"})), "`dynamodb.Keys` is not the key"),
        (with("/dynamodb/Keys", json!({})), "dynamodb.Keys: "),
        (json!("a record"), "not an object"),
    ];
    for (record, why) in table {
        let error = refusal(&function, record);
        assert!(error.contains(why), "{error} does not say {why}");
    }
}

#[test]
fn an_event_of_another_source_is_refused_as_a_whole() {
    let function = Function::start();
    let mut record = insert(1, "a");
    record["eventSource"] = json!("aws:kinesis");
    let (status, body) = function.post(&json!({"Records": [record]}));
    let message = body["message"].as_str().expect("a message");
    assert!(status == 400 && message.contains("it looks like a Kinesis event"), "{body}");
}

#[test]
fn one_refused_record_keeps_all_from_being_processed() {
    let function = Function::start();
    let (status, body) = function.post(&json!({"Records": [insert(1, "a"), poison(2, "b"), insert(3, "c")]}));
    assert_eq!((status, &body["records"][0]["position"]), (400, &json!(1)));
    let lines = function.program.logged_up_to("request answered");
    assert!(lines.iter().all(|line| line["message"] != "item created"), "{lines:?}");
}

#[test]
fn a_posted_record_that_fails_is_answered_and_never_becomes_a_dead_letter() {
    let function = Function::start();
    // Passes the checks of the envelope, the keys and the new image; the processor looks at every attribute.
    let mut record = insert(1, "a");
    record["dynamodb"]["OldImage"] = json!({"id": {"S": "a"}, "broken": {"N": "no number"}});
    let (status, body) = function.post(&json!({"Records": [record, insert(2, "b")]}));
    assert_eq!(status, 207, "{body}");
    assert_eq!(outcomes(&body), ["failed", "succeeded"]);
    assert_eq!(body["records"][0]["error"]["kind"], "decode");
    assert!(function.sqs.messages().is_empty());
    let summary = function.program.logged("batch processed");
    assert_eq!((&summary["failed"], &summary["dead_lettered"]), (&json!(1), &json!(0)));
}

#[test]
fn a_posted_record_leaves_no_trace_in_the_memory_of_the_stream() {
    let function = Function::start();
    assert_eq!(function.post(&json!({"Records": [insert(2, "a")]})).0, 200);
    // The stream's batch stops at its first record, so the second would be remembered if it were done.
    function.sqs.refuse_everything();
    function.invoke(&event(&[poison(1, "b"), insert(2, "a")])).expect("the checkpoint is answered");
    let summary = loop {
        let summary = function.program.logged("batch processed");
        if summary["source"] == "stream" {
            break summary;
        }
    };
    assert_eq!((&summary["redelivered"], &summary["skipped"]), (&json!(0), &json!(0)), "{summary}");
}
