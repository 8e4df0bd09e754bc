//! Dead letters that someone puts back.

use serde_json::{Value, json};

use crate::support::{Function, event, insert, poison};

fn sqs_event(bodies: &[&str]) -> String {
    let message = |(number, body)| json!({"messageId": format!("m-{number}"), "eventSource": "aws:sqs", "body": body});
    json!({"Records": bodies.iter().enumerate().map(message).collect::<Vec<Value>>()}).to_string()
}

#[test]
fn a_dead_letter_that_fails_again_is_named_and_stays_in_its_queue() {
    let function = Function::start();
    function.invoke(&event(&[poison(1, "a")])).expect("a dead letter");
    let letters = function.sqs.messages();

    let answer = function.invoke(&sqs_event(&[&letters[0], "no dead letter"]));
    let expected = json!({"batchItemFailures": [{"itemIdentifier": "m-0"}, {"itemIdentifier": "m-1"}]});
    assert_eq!(answer, Ok(expected));
    assert_eq!(function.sqs.messages().len(), 1, "it was not sent once more");
}

#[test]
fn a_dead_letter_whose_cause_is_fixed_is_processed() {
    let function = Function::start();
    function.invoke(&event(&[poison(1, "a")])).expect("a dead letter");
    // The record is still what it was. In place of the function, this test fixes the item.
    let mut letter: Value = serde_json::from_str(&function.sqs.messages()[0]).expect("an envelope");
    letter["record"] = insert(1, "a");
    let answer = function.invoke(&sqs_event(&[&letter.to_string()]));
    assert_eq!(answer, Ok(json!({"batchItemFailures": []})));
    assert_eq!(function.program.logged("item created")["id"], "a");
}
