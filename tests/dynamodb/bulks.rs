//! A bulk writes its changes with their guards in one transaction, and makes it again without those that are done.

use std::collections::BTreeSet;

use aws_sdk_dynamodb::types::{ScalarAttributeType, TransactWriteItem, Update};
use lambda_streams::testing::TestStream;
use lambda_streams::{AwsResultExt, Guard, HandlerError, Record};
use proptest::prelude::*;
use serde_json::json;

use super::*;

fn records(count: usize) -> Vec<Record> {
    let mut stream = TestStream::new("orders", &["id"]);
    for id in 0..count {
        stream = stream.insert(json!({"id": {"S": (id % 7).to_string()}}));
    }
    stream.changes().unwrap()
}

fn add(number: usize) -> TransactWriteItem {
    let update = Update::builder().table_name("sums").key("id", s("all")).update_expression("ADD changes :n");
    TransactWriteItem::builder().update(update.expression_attribute_values(":n", n(number)).build().unwrap()).build()
}

/// Adds how many changes there are, each once; returns how many transactions that took.
async fn count(database: &Database, guard: &Guard, changes: &[&Record]) -> Result<usize, HandlerError> {
    let mut open = changes.to_vec();
    let mut transactions = 0;
    while !open.is_empty() {
        let guards = open.iter().map(|change| guard.once(*change)).collect::<Result<Vec<_>, _>>()?;
        let transaction = database.client.transact_write_items().set_transact_items(Some(guards));
        transactions += 1;
        let Err(error) = transaction.transact_items(add(open.len())).send().await else { break };
        if guard.drop_settled(&error, &mut open) == 0 {
            return Err(error).classify().map(|()| transactions);
        }
    }
    Ok(transactions)
}

async fn sum(database: &Database) -> usize {
    let rows = database.scan("sums").await.unwrap();
    rows.first().map_or(0, |row| row["changes"].as_n().unwrap().parse().unwrap())
}

async fn world() -> (Database, Guard) {
    let (database, store) = start().await;
    database.create_table("sums", &[("id", ScalarAttributeType::S)]).await.unwrap();
    let guard = store.guard("sums").unwrap();
    (database, guard)
}

#[tokio::test]
async fn a_bulk_takes_99_guards_and_its_effect() {
    let (database, guard) = world().await;
    let records = records(99);
    let all: Vec<&Record> = records.iter().collect();
    assert_eq!(count(&database, &guard, &all).await.unwrap(), 1);
    assert_eq!(count(&database, &guard, &all).await.unwrap(), 1, "all of them are done");
    assert_eq!(sum(&database).await, 99);
}

#[tokio::test]
async fn what_is_not_done_is_sent_again_alone() {
    let (database, guard) = world().await;
    let records = records(33);
    let some: Vec<&Record> = records.iter().step_by(2).collect();
    assert_eq!(count(&database, &guard, &some).await.unwrap(), 1);
    assert_eq!(count(&database, &guard, &records.iter().collect::<Vec<_>>()).await.unwrap(), 2);
    assert_eq!(sum(&database).await, 33);
}

#[tokio::test]
async fn a_transaction_that_fails_for_another_reason_settles_nothing() {
    let (database, guard) = world().await;
    let records = records(2);
    // The same record twice: two actions on one row.
    let twice = [&records[0], &records[0]];
    let error = count(&database, &guard, &twice).await.unwrap_err();
    assert!(!error.is_retryable() && error.to_string().contains("Validation"), "{error}");
    assert_eq!(sum(&database).await, 0);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]

    /// Bulks of any of the records, two at the same time, in any order: each record is counted once.
    #[test]
    fn sums_are_exact(bulks in proptest::collection::vec(proptest::collection::btree_set(0..20_usize, 1..12), 1..10)) {
        let runtime = tokio::runtime::Runtime::new().expect("a runtime starts");
        runtime.block_on(async {
            let (database, guard) = world().await;
            let records = records(20);
            let bulk = |bulk: &BTreeSet<usize>| bulk.iter().map(|at| &records[*at]).collect::<Vec<_>>();
            for pair in bulks.chunks(2) {
                let counted = pair.iter().map(|changes| {
                    let (database, guard, changes) = (&database, &guard, bulk(changes));
                    async move { count(database, guard, &changes).await.unwrap() }
                });
                futures::future::join_all(counted).await;
            }
            let distinct: BTreeSet<usize> = bulks.iter().flatten().copied().collect();
            assert_eq!(sum(&database).await, distinct.len());
        });
    }
}
