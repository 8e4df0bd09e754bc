//! Events of other shapes are refused, and the function lives on.

use serde_json::{Value, json};

use crate::support::{Function, event, insert};

/// The error that Lambda receives.
fn refusal(payload: &str) -> Value {
    let function = Function::start();
    let error = function.invoke(payload).expect_err("it is not an event of this function");
    assert!(function.invoke(&event(&[insert(1, "a")])).is_ok(), "the next invocation is served");
    error
}

#[test]
fn an_event_of_another_source_is_named() {
    let table = [
        (json!({"Records": [{"eventSource": "aws:sqs", "body": "{}"}]}), "no `messageId`"),
        (json!({"Records": [{"EventSource": "aws:sns", "Sns": {}}]}), "an SNS event"),
        (json!({"Records": [{"eventSource": "aws:s3", "s3": {}}]}), "an S3 event"),
        (json!({"detail-type": "order", "source": "shop", "detail": {}}), "an EventBridge event"),
        (json!({"version": "2.0", "routeKey": "POST /process", "body": "{}"}), "an API Gateway HTTP API event"),
        (json!([insert(1, "a")]), "a bare array of records"),
        (insert(1, "a"), "a single record without the `Records` envelope"),
        (json!({}), "an object without `Records`"),
        (json!(null), "a bare JSON value"),
    ];
    for (payload, name) in table {
        let message = refusal(&payload.to_string())["errorMessage"].to_string();
        assert!(message.contains(name), "{message} does not say {name}");
    }
}

#[test]
fn what_is_not_json_is_refused() {
    let message = refusal("not JSON")["errorMessage"].to_string();
    assert!(message.contains("deserialize"), "{message}");
}

#[test]
fn a_request_that_cannot_be_read_is_refused_without_showing_it() {
    let payload = json!({"httpMethod": "POST", "requestContext": {"httpMethod": "secret method"}});
    let message = refusal(&payload.to_string())["errorMessage"].to_string();
    assert!(message.contains("API Gateway REST API event") && !message.contains("secret"), "{message}");
}
