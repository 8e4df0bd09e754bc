//! Guards are functions of their records, and a record that cannot be guarded is an error.

use std::time::Duration;

use aws_sdk_dynamodb::types::AttributeValue;

use super::*;
use crate::testing::TestStream;

fn guard() -> Guard {
    Guard::new("done".into(), "orders".to_owned()).expect("a name")
}

/// A record whose time is that of Lambda's example, with these members of `dynamodb` or of the record replaced.
fn record(change: impl Fn(TestStream) -> TestStream) -> Record {
    let stream = TestStream::new("orders", &["id"]).insert(serde_json::json!({"id": {"S": "alice"}}));
    let stream = stream.with("/eventID", "c4ca4238a0b923820dcc509a6f75849b").with("/dynamodb/SequenceNumber", "111");
    let stream = stream.with("/dynamodb/ApproximateCreationDateTime", 1_479_499_740);
    change(stream).change().expect("a record")
}

fn update(action: TransactWriteItem) -> Update {
    action.update.expect("an update")
}

fn put(action: TransactWriteItem) -> Put {
    action.put.expect("a put")
}

#[tokio::test(start_paused = true)]
async fn a_guard_is_the_same_whenever_it_is_made() {
    let (guard, record) = (guard(), record(|stream| stream));
    let made = (guard.newest(&record).expect("a guard"), guard.once(&record).expect("a guard"));
    tokio::time::advance(Duration::from_secs(3_600)).await;
    assert_eq!(made, (guard.newest(&record).expect("a guard"), guard.once(&record).expect("a guard")));
}

#[test]
fn the_condition_is_on_applied_alone_and_the_row_is_asked_back() {
    let record = record(|stream| stream);
    let update = update(guard().newest(&record).expect("a guard"));
    assert_eq!(update.condition_expression(), Some("(attribute_not_exists(#applied) OR #applied < :applied)"));
    assert_eq!(
        update.update_expression(),
        "SET #applied = :applied, #expires = :expires, #guarded = :guarded, #guarded_at = :guarded_at"
    );
    let all_old = Some(&ReturnValuesOnConditionCheckFailure::AllOld);
    assert_eq!(update.return_values_on_condition_check_failure(), all_old);
    let values = update.expression_attribute_values().expect("values");
    let padded = AttributeValue::S(format!("{:0>40}", 111));
    assert_eq!((&values[":applied"], &values[":guarded"]), (&padded, &padded));
    assert_eq!(values[":expires"], AttributeValue::N((1_479_499_740 + 16 * 24 * 60 * 60).to_string()));
    assert_eq!(values[":guarded_at"], AttributeValue::N("1479499740000".to_owned()));

    let put = put(guard().once(&record).expect("a guard"));
    assert_eq!(put.condition_expression(), Some("attribute_not_exists(#key)"));
    assert_eq!(put.return_values_on_condition_check_failure(), all_old);
    assert!(put.item()["key"].as_s().is_ok_and(|key| key.starts_with("orders#record#")));
}

#[test]
fn the_life_counts_from_the_records_own_time() {
    let guard = guard().life(Duration::from_secs(60));
    let dated = record(|stream| stream);
    let expires = AttributeValue::N("1479499800".to_owned());
    assert_eq!(put(guard.once(&dated).expect("a guard")).item()["expires"], expires);

    let undated = record(|stream| stream.without("/dynamodb/ApproximateCreationDateTime"));
    assert!(!put(guard.once(&undated).expect("a guard")).item().contains_key("expires"));
    let update = update(guard.newest(&undated).expect("a guard"));
    assert_eq!(update.update_expression(), "SET #applied = :applied, #guarded = :guarded REMOVE #expires, #guarded_at");
    assert_eq!(update.expression_attribute_values().map(|values| values.len()), Some(2), "no other is left over");
}

#[test]
fn what_cannot_be_guarded_is_a_permanent_error() {
    let told = |result: Result<TransactWriteItem, HandlerError>| {
        let error = result.expect_err("it cannot be guarded");
        assert!(!error.is_retryable(), "{error}");
        error.to_string()
    };
    let guard = guard();
    let of_no_stream = record(|stream| stream.without("/eventSourceARN"));
    let no_stream = "the record cannot be guarded: it does not name its stream (`eventSourceARN`)";
    assert_eq!(told(guard.newest(&of_no_stream)), no_stream);
    let of_item = record(|stream| stream.with("/eventID", "backfill-1").without("/dynamodb/SequenceNumber"));
    let no_number = told(guard.newest(&of_item));
    assert!(no_number.contains("it is a backfill's") && no_number.contains("`Guard::once`"), "{no_number}");
    assert!(guard.once(&of_item).is_ok(), "its event id identifies it");
    let nameless = record(|stream| stream.without("/eventID").without("/eventSourceARN"));
    assert!(told(guard.once(&nameless)).contains("no event id"));
    let without_id = record(|stream| stream.without("/eventID"));
    assert!(guard.once(&without_id).is_ok(), "its number identifies it");
}

#[test]
fn a_consumer_needs_a_name() {
    for (name, bytes) in [("", 0), ("a\nb", 3), (&*"n".repeat(256), 256)] {
        let error = Guard::new("done".into(), name.to_owned()).expect_err("no name");
        let expected = format!(
            "the consumer's name of a `Guard` has {bytes} bytes: it must have 1 to 255, and no control characters"
        );
        assert_eq!(error.to_string(), expected);
        assert!(error.is_configuration());
    }
}
