//! What the event source mapping sends, and is answered.

use std::time::Duration;

use serde_json::{Value, json};

use crate::support::{Function, Invocation, event, expire, insert, modify, poison, remove, request, sequence_number};

fn succeeded() -> Value {
    json!({"batchItemFailures": []})
}

fn resume_at(number: u64) -> Value {
    json!({"batchItemFailures": [{"itemIdentifier": sequence_number(number)}]})
}

#[test]
fn each_kind_of_change_is_handled_and_logged_with_its_id_alone() {
    let function = Function::start();
    let records = [insert(1, "a"), modify(2, "a"), remove(3, "a"), expire(4, "b")];
    assert_eq!(function.invoke(&event(&records)), Ok(succeeded()));

    let lines = function.program.logged_up_to("batch processed");
    let said = |message: &str| lines.iter().filter(|line| line["message"] == message).collect::<Vec<_>>();
    assert_eq!(said("item created")[0]["id"], "a");
    assert_eq!(said("item changed")[0]["id"], "a");
    assert_eq!(said("item changed")[0]["changedAttributes"], "status");
    let expired: Vec<_> = said("item removed").iter().map(|line| (&line["id"], &line["expiredByTtl"])).collect();
    assert!(expired.contains(&(&json!("a"), &json!(false))) && expired.contains(&(&json!("b"), &json!(true))));
    assert!(lines.iter().all(|line| !line.to_string().contains("secret-status")), "a value was logged");
}

#[test]
fn an_item_that_does_not_decode_is_a_dead_letter_and_its_neighbours_are_handled() {
    let function = Function::start();
    let records = [insert(1, "a"), poison(2, "b"), insert(3, "c")];
    assert_eq!(function.invoke(&event(&records)), Ok(succeeded()));

    let messages = function.sqs.messages();
    assert_eq!(messages.len(), 1);
    assert!(messages[0].contains(&records[1].to_string()), "the record is not in the dead letter byte for byte");
    let failed = function.program.logged("record failed");
    assert_eq!((&failed["event_id"], &failed["next"]), (&json!("event-2"), &json!("dead-lettered")));
}

#[test]
fn an_item_without_a_required_attribute_is_a_dead_letter() {
    for attribute in ["id", "timestamp", "status"] {
        let function = Function::start();
        let mut record = insert(1, "a");
        record["dynamodb"]["NewImage"].as_object_mut().expect("an object").remove(attribute);
        assert_eq!(function.invoke(&event(&[record])), Ok(succeeded()));
        assert_eq!(function.sqs.messages().len(), 1, "{attribute}");
    }
}

#[test]
fn a_dead_letter_that_the_queue_refuses_is_reported() {
    let function = Function::start();
    function.sqs.refuse_everything();
    let records = [insert(1, "a"), poison(2, "b"), insert(3, "c")];
    assert_eq!(function.invoke(&event(&records)), Ok(resume_at(2)));
    assert!(function.sqs.messages().is_empty());
}

#[test]
fn without_report_batch_item_failures_a_reported_record_fails_the_invocation() {
    let function = Function::start_with(&[("LAMBDA_STREAMS_REPORT_BATCH_ITEM_FAILURES", "false")]);
    function.sqs.refuse_everything();
    let error = function.invoke(&event(&[poison(2, "b")])).expect_err("Lambda would ignore an answer");
    assert_eq!(error["errorType"], "LambdaStreams.BatchFailed");
}

#[test]
fn a_record_with_no_time_left_is_reported() {
    let function = Function::start();
    let late = Invocation { payload: event(&[insert(1, "a")]), time_left: Duration::ZERO, ..Invocation::default() };
    assert_eq!(function.invoke_as(late), Ok(resume_at(1)));
}

#[test]
fn one_environment_serves_streams_and_requests_in_turn() {
    let function = Function::start();
    assert_eq!(function.invoke(&event(&[])), Ok(succeeded()));
    assert_eq!(function.request(request("GET", None)).0, 200);
    assert_eq!(function.invoke(&event(&[insert(1, "a")])), Ok(succeeded()));
}
