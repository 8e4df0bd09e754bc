//! Rows of checkpoints and streams, and the attributes of all rows, which tables in use keep.

use lambda_streams::testing::TestStream;
use lambda_streams::{CompletedRecords, IdempotencyStore, Mark, Record};
use serde_json::json;

use super::*;

fn completed(count: usize) -> CompletedRecords {
    let mut stream = TestStream::new("orders", &["id"]);
    for id in 0..count {
        stream = stream.insert(json!({"id": {"S": id.to_string()}}));
    }
    let records: Vec<Record> = stream.changes().unwrap();
    records.iter().collect()
}

#[tokio::test]
async fn what_is_saved_is_loaded_and_replaced() {
    let (_database, store) = start().await;
    let [one, other] = [key("checkpoint", 1), key("checkpoint", 2)];
    assert_eq!(store.load(&one).await.unwrap(), None);
    for completed in [completed(3), completed(1), completed(0)] {
        store.save(&one, &completed, in_days(1)).await.unwrap();
        assert_eq!(store.load(&one).await.unwrap(), Some(completed));
    }
    assert_eq!(store.load(&other).await.unwrap(), None);
}

#[tokio::test]
async fn a_full_batch_fits_a_row_and_what_does_not_is_refused_before_it_is_sent() {
    let (database, store) = start().await;
    store.save(&key("checkpoint", 1), &completed(9_999), in_days(1)).await.unwrap();
    assert_eq!(store.load(&key("checkpoint", 1)).await.unwrap().unwrap().len(), 9_999);

    // The format of `CompletedRecords::to_bytes`.
    let mut bytes = vec![1];
    for record in 0..25_000_u128 {
        bytes.extend(record.to_be_bytes());
        bytes.push(0);
    }
    let large = CompletedRecords::from_bytes(&bytes).unwrap();
    let error = store.save(&key("checkpoint", 2), &large, in_days(1)).await.unwrap_err().to_string();
    assert!(error.contains("25000 records") && error.contains("a row of DynamoDB holds 409600"), "{error}");
    assert_eq!(database.scan(TABLE).await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_set_that_cannot_be_read_is_an_error() {
    let (database, store) = start().await;
    let checkpoint = key("checkpoint", 1);
    for value in [None, Some(s("text")), Some(AttributeValue::B(aws_sdk_dynamodb::primitives::Blob::new([9, 9])))] {
        let put = database.client.put_item().table_name(TABLE).item("key", s(&checkpoint));
        put.set_item(value.map(|value| [("key".to_owned(), s(&checkpoint)), ("completed".to_owned(), value)].into()))
            .item("key", s(&checkpoint))
            .send()
            .await
            .unwrap();
        let error = store.load(&checkpoint).await.unwrap_err().to_string();
        let expected =
            "GetItem on the idempotency table `idempotency` returned a row whose attribute `completed` cannot be read";
        assert!(error.starts_with(expected), "{error}");
    }
}

#[tokio::test]
async fn a_stream_begins_once() {
    let (database, store) = start().await;
    let (first, later) = (SystemTime::UNIX_EPOCH + Duration::from_millis(1_234_567_890), in_days(0));
    let stream = key("stream", 1);
    assert_eq!(store.begin(&stream, first).await.unwrap(), first);
    assert_eq!(store.begin(&stream, later).await.unwrap(), first);
    let row = database.scan(TABLE).await.unwrap().remove(0);
    let expected = [("key".to_owned(), s(&stream)), ("began".to_owned(), n(1_234_567_890))];
    assert_eq!(row, expected.into(), "it does not expire");
}

#[tokio::test]
async fn rows_have_the_documented_attributes_and_a_time_to_live() {
    let (database, store) = start().await;
    let expires = in_days(16);
    let completed = completed(2);
    store.save(&key("checkpoint", 1), &completed, expires).await.unwrap();
    let to = Mark {
        passed: Some(number(12)),
        passed_created_at: Some(SystemTime::UNIX_EPOCH + Duration::from_millis(1_500)),
        applied: Some(number(7)),
    };
    store.raise(&key("item", 1), &to, expires).await.unwrap();
    let mut rows = database.scan(TABLE).await.unwrap();
    rows.sort_by_key(|row| row["key"].as_s().unwrap().clone());
    let [checkpoint, item] = &rows[..] else { panic!("{rows:?}") };
    let bytes = AttributeValue::B(aws_sdk_dynamodb::primitives::Blob::new(completed.to_bytes()));
    let expected = [("key", s(key("checkpoint", 1))), ("completed", bytes), ("expires", n(seconds(expires)))];
    assert_eq!(checkpoint, &expected.map(|(name, value)| (name.to_owned(), value)).into());
    let expected = [
        ("key", s(key("item", 1))),
        ("passed", s(format!("{:0>40}", 12))),
        ("passed_at", n(1_500)),
        ("applied", s(format!("{:0>40}", 7))),
        ("expires", n(seconds(expires))),
    ];
    assert_eq!(item, &expected.map(|(name, value)| (name.to_owned(), value)).into());
    let life = database.client.describe_time_to_live().table_name(TABLE).send().await.unwrap();
    assert_eq!(life.time_to_live_description.unwrap().attribute_name.as_deref(), Some("expires"));
}

#[tokio::test]
async fn a_missing_table_and_one_with_other_keys_are_told() {
    let (database, _store) = start().await;
    let missing = DynamoDbIdempotencyStore::new(database.client.clone(), "gone");
    let item = key("item", 1);
    let to = Mark { applied: Some(number(1)), ..Mark::default() };
    let marks = missing.marks(std::slice::from_ref(&item)).await.remove(0).unwrap_err();
    let errors = [
        ("GetItem", missing.load(&item).await.unwrap_err()),
        ("PutItem", missing.save(&item, &completed(1), in_days(1)).await.unwrap_err()),
        ("UpdateItem", missing.raise(&item, &to, in_days(1)).await.unwrap_err()),
        ("UpdateItem", missing.begin(&item, in_days(0)).await.unwrap_err()),
        ("BatchGetItem", marks),
    ];
    for (operation, error) in errors.map(|(operation, error)| (operation, error.to_string())) {
        assert!(
            error.starts_with(&format!("{operation} on the idempotency table `gone` failed with ResourceNotFound"))
        );
        assert!(error.contains("`LAMBDA_STREAMS_IDEMPOTENCY_TABLE`"), "{error}");
    }

    let string = aws_sdk_dynamodb::types::ScalarAttributeType::S;
    database.create_table("other", &[("id", string)]).await.unwrap();
    let other = DynamoDbIdempotencyStore::new(database.client.clone(), "other");
    for error in [other.load(&item).await.unwrap_err(), other.raise(&item, &to, in_days(1)).await.unwrap_err()] {
        let error = error.to_string();
        assert!(
            error.ends_with("the table needs the partition key `key` of the type S (string), and no sort key"),
            "{error}"
        );
    }
}
