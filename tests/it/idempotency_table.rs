//! The idempotency store's requests to DynamoDB, and what it makes of answers that a DynamoDB in this process never gives: unprocessed
//! keys, refusals, and outages. `tests/dynamodb` has what a table does.

use std::time::{Duration, SystemTime};

use lambda_streams::{CompletedRecords, DynamoDbIdempotencyStore, IdempotencyStore, Mark, SequenceNumber, StoreKey};
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::support::dynamodb_transport::{Answer, Call, Transport};

fn store(transport: &Transport) -> DynamoDbIdempotencyStore {
    DynamoDbIdempotencyStore::new(transport.client(), "done")
}

fn key(number: usize) -> StoreKey {
    StoreKey::from_text(&format!("orders#item#{number:032x}"))
}

fn number(text: &str) -> SequenceNumber {
    SequenceNumber::new(text).expect("digits")
}

fn padded(text: &str) -> Value {
    json!({"S": format!("{text:0>40}")})
}

fn both() -> Mark {
    Mark {
        passed: Some(number("20")),
        passed_created_at: Some(SystemTime::UNIX_EPOCH + Duration::from_millis(5)),
        applied: Some(number("20")),
    }
}

fn expires() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000)
}

/// The keys that a `BatchGetItem` asks for.
fn asked(call: &Call) -> Vec<&str> {
    let keys = call.body["RequestItems"]["done"]["Keys"].as_array().expect("keys");
    keys.iter().map(|key| key["key"]["S"].as_str().expect("a text")).collect()
}

/// Answers a `BatchGetItem`: each key that is processed has a row with this number.
fn batch(call: &Call, is_processed: impl Fn(usize) -> bool) -> Answer {
    let (mut rows, mut unprocessed) = (Vec::new(), Vec::new());
    for (position, key) in asked(call).into_iter().enumerate() {
        match is_processed(position) {
            true => rows.push(json!({"key": {"S": key}, "applied": padded("7")})),
            false => unprocessed.push(json!({"key": {"S": key}})),
        }
    }
    let left = match &unprocessed[..] {
        [] => json!({}),
        keys => json!({"done": {"Keys": keys, "ConsistentRead": true}}),
    };
    Answer::json(&json!({"Responses": {"done": rows}, "UnprocessedKeys": left}))
}

#[tokio::test(start_paused = true)]
async fn unprocessed_keys_are_asked_for_again_after_a_random_delay() {
    fastrand::seed(11);
    let (mut least, mut most) = (Duration::MAX, Duration::ZERO);
    for _ in 0..40 {
        // Each request is answered for its first key, and the fourth for all that is left.
        let transport = Transport::new(|call, earlier| batch(call, |position| position == 0 || earlier == 3));
        let items: Vec<StoreKey> = (0..6).map(key).collect();
        let start = Instant::now();
        let marks = store(&transport).marks(&items).await;
        (least, most) = (least.min(start.elapsed()), most.max(start.elapsed()));
        let applied: Vec<_> = marks.into_iter().map(|mark| mark.unwrap().applied).collect();
        assert_eq!(applied, [Some(number("7")); 6]);
        let calls = transport.calls();
        let keys: Vec<Vec<&str>> = calls.iter().map(asked).collect();
        let all: Vec<&str> = items.iter().map(StoreKey::as_str).collect();
        assert_eq!(keys, [&all[..], &all[1..], &all[2..], &all[3..]]);
        assert!(calls.iter().all(|call| call.body["RequestItems"]["done"]["ConsistentRead"] == true));
    }
    // Uniform up to 25, 50 and 100 ms: of forty sums of the three, some are below their mean and some above.
    assert!(least < Duration::from_millis(87) && most > Duration::from_millis(87), "{least:?}..{most:?}");
    assert!(most <= Duration::from_millis(178), "{most:?}");
}

#[tokio::test(start_paused = true)]
async fn keys_that_stay_unprocessed_are_errors_of_their_items_alone() {
    let transport = Transport::new(|call, earlier| batch(call, |position| earlier == 0 && position != 1));
    let marks = store(&transport).marks(&[key(0), key(1), key(2)]).await;
    assert_eq!(transport.calls().len(), 8);
    assert!(marks[0].is_ok() && marks[2].is_ok());
    let error = marks[1].as_ref().unwrap_err().to_string();
    let expected = "BatchGetItem on the idempotency table `done` left this item unprocessed 8 times: give the table on-demand capacity, or \
                    more of it";
    assert_eq!(error, expected);
}

#[tokio::test(start_paused = true)]
async fn what_was_answered_before_a_failure_is_kept() {
    let transport = Transport::new(|call, earlier| match earlier {
        0 => batch(call, |position| position == 0),
        _ => Answer::error(400, "AccessDeniedException", "no"),
    });
    let marks = store(&transport).marks(&[key(0), key(1)]).await;
    assert_eq!(marks[0].as_ref().unwrap().applied, Some(number("7")));
    assert!(marks[1].as_ref().unwrap_err().to_string().contains("AccessDeniedException"));
}

/// A refused update whose row has these numbers.
fn refused(row: &Value) -> Answer {
    let mut body = json!({
        "__type": "com.amazonaws.dynamodb.v20120810#ConditionalCheckFailedException",
        "message": "The conditional request failed",
    });
    if !row.is_null() {
        body["Item"] = row.clone();
    }
    Answer::Http(400, body.to_string())
}

/// The attributes that each update sets.
async fn updates(to: &Mark, row: Value) -> Vec<String> {
    let transport = Transport::new(move |_, earlier| match earlier {
        0 => refused(&row),
        _ => Answer::json(&json!({})),
    });
    store(&transport).raise(&key(1), to, expires()).await.unwrap();
    let expression = |call: &Call| call.body["UpdateExpression"].as_str().expect("an expression").to_owned();
    transport.calls().iter().map(expression).collect()
}

#[tokio::test]
async fn a_condition_that_fails_for_one_number_raises_the_other_alone() {
    let all = "SET #passed = :passed, #passed_at = :passed_at, #applied = :applied, #expires = :expires".to_owned();
    let passed = "SET #passed = :passed, #passed_at = :passed_at, #expires = :expires".to_owned();
    let applied = "SET #applied = :applied, #expires = :expires".to_owned();
    let row = |passed: &str, applied: &str| json!({"passed": padded(passed), "applied": padded(applied)});
    for (row, then) in [
        (row("20", "3"), vec![&applied]),
        (row("21", "3"), vec![&applied]),
        (row("100", "20"), vec![]),
        (row("9", "21"), vec![&passed]),
        (json!({"passed": padded("30")}), vec![&applied]),
        (json!({"applied": padded("30")}), vec![&passed]),
        // An emulator that does not return the row.
        (Value::Null, vec![&passed, &applied]),
    ] {
        let expected: Vec<&String> = std::iter::once(&all).chain(then).collect();
        assert_eq!(updates(&both(), row.clone()).await.iter().collect::<Vec<_>>(), expected, "{row}");
    }
    // Of one number, a refusal is the answer.
    let one = Mark { applied: Some(number("20")), ..Mark::default() };
    assert_eq!(updates(&one, row("1", "30")).await, [&*applied]);
    assert_eq!(updates(&one, Value::Null).await, [&*applied]);
}

#[tokio::test]
async fn a_raise_is_one_conditional_update() {
    let transport = Transport::new(|_, _| Answer::json(&json!({})));
    store(&transport).raise(&key(1), &Mark { passed_created_at: None, ..both() }, expires()).await.unwrap();
    let calls = transport.calls();
    assert_eq!(calls.len(), 1);
    let expected = json!({
        "TableName": "done",
        "Key": {"key": {"S": key(1).as_str()}},
        "UpdateExpression": "SET #passed = :passed, #applied = :applied, #expires = :expires REMOVE #passed_at",
        "ConditionExpression": "(attribute_not_exists(#passed) OR #passed < :passed) AND (attribute_not_exists(#applied) OR #applied < :applied)",
        "ExpressionAttributeNames": {
            "#passed": "passed", "#passed_at": "passed_at", "#applied": "applied", "#expires": "expires",
        },
        "ExpressionAttributeValues": {
            ":passed": padded("20"), ":applied": padded("20"), ":expires": {"N": "1800000000"},
        },
        "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
    });
    assert_eq!(calls[0].body, expected);
}

#[tokio::test]
async fn a_checkpoint_is_read_eventually_consistent_by_its_key() {
    let transport = Transport::new(|_, _| Answer::json(&json!({})));
    assert_eq!(store(&transport).load(&key(1)).await.unwrap(), None);
    let expected = json!({"TableName": "done", "Key": {"key": {"S": key(1).as_str()}}, "ConsistentRead": false});
    assert_eq!(transport.calls()[0].body, expected);
}

/// The errors of all operations on a table that always gives this answer.
async fn errors(answer: impl Fn() -> Answer + Send + Sync + 'static) -> Vec<String> {
    let transport = Transport::new(move |_, _| answer());
    let store = store(&transport);
    let marks = store.marks(&[key(1)]).await.remove(0).map(drop);
    let all = [
        store.load(&key(1)).await.map(drop),
        store.save(&key(1), &CompletedRecords::default(), expires()).await,
        marks,
        store.raise(&key(1), &both(), expires()).await,
        store.begin(&key(1), expires()).await.map(drop),
    ];
    all.into_iter().map(|result| result.unwrap_err().to_string()).collect()
}

const OPERATIONS: [&str; 5] = ["GetItem", "PutItem", "BatchGetItem", "UpdateItem", "UpdateItem"];

#[tokio::test(start_paused = true)]
async fn errors_name_operation_table_code_and_message_and_say_what_to_do() {
    for (code, message, advice) in [
        (
            "AccessDeniedException",
            "User: arn:aws:sts::1:assumed-role/f is not authorized.",
            ": grant the function dynamodb:GetItem, dynamodb:BatchGetItem, dynamodb:PutItem and dynamodb:UpdateItem on the table, \
             for keys that begin with the consumer's name",
        ),
        ("AccessDeniedException", "KMS key access denied", ": grant the function kms:Decrypt on the table's key"),
        (
            "ResourceNotFoundException",
            "Requested resource not found",
            ": create the table in the client's region, or correct its name, which `LAMBDA_STREAMS_IDEMPOTENCY_TABLE` has where the \
             environment names the table",
        ),
        (
            "ValidationException",
            "The provided key element does not match the schema",
            ": the table needs the partition key `key` of the type S (string), and no sort key",
        ),
        ("ProvisionedThroughputExceededException", "slow down", ": give the table on-demand capacity, or more of it"),
        ("UnrecognizedClientException", "The security token is invalid", ": check the credentials of the client"),
        ("SomethingNew", "", ""),
    ] {
        let shown = message.trim_end_matches('.');
        let shown = if shown.is_empty() { String::new() } else { format!(" ({shown})") };
        for (operation, error) in OPERATIONS.into_iter().zip(errors(move || Answer::error(400, code, message)).await) {
            assert_eq!(error, format!("{operation} on the idempotency table `done` failed with {code}{shown}{advice}"));
        }
    }
}

#[tokio::test(start_paused = true)]
async fn answers_without_a_code_are_told_too() {
    for (operation, error) in OPERATIONS.into_iter().zip(errors(|| Answer::NoConnection).await) {
        let start = format!("{operation} on the idempotency table `done` got no answer: ");
        assert!(error.starts_with(&start) && error.contains("connection refused"), "{error}");
        assert!(error.contains("gateway endpoint") && error.contains("`AWS_ENDPOINT_URL_DYNAMODB`"), "{error}");
    }
    for (operation, error) in OPERATIONS.into_iter().zip(errors(|| Answer::Http(200, "<html>".to_owned())).await) {
        let expected = format!("{operation} on the idempotency table `done` got an answer that cannot be read: ");
        assert!(error.starts_with(&expected), "{error}");
    }
    for error in errors(|| Answer::Http(502, "<html>".to_owned())).await {
        assert!(error.contains("on the idempotency table `done`"), "{error}");
    }
}

/// A table that something else writes to, too, holds whatever that wrote.
#[tokio::test(start_paused = true)]
async fn nothing_of_a_row_is_in_an_error() {
    const SECRET: &str = "alice@example.com";
    let row = json!({
        "key": {"S": key(1).as_str()}, "completed": {"S": SECRET}, "passed": {"S": SECRET}, "applied": {"S": SECRET},
        "began": {"S": SECRET}, "name": {"S": SECRET},
    });
    let answer = move |call: &Call, earlier: usize| match call.operation.as_str() {
        "GetItem" => Answer::json(&json!({"Item": row})),
        "BatchGetItem" => Answer::json(&json!({"Responses": {"done": [row]}})),
        "UpdateItem" if call.body.get("ConditionExpression").is_some() => refused(&row),
        _ => {
            assert!(earlier > 0);
            Answer::json(&json!({"Attributes": row}))
        }
    };
    let transport = Transport::new(answer);
    let store = store(&transport);
    let failed = [
        store.load(&key(1)).await.map(drop).unwrap_err(),
        store.marks(&[key(1)]).await.remove(0).map(drop).unwrap_err(),
        store.raise(&key(1), &both(), expires()).await.unwrap_err(),
        store.begin(&key(1), expires()).await.map(drop).unwrap_err(),
    ];
    for error in failed {
        for text in [error.to_string(), format!("{error:?}")] {
            assert!(text.contains("cannot be read") && !text.contains(SECRET), "{text}");
        }
    }
}
