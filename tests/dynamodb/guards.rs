//! Guards in transactions: an effect and its guard are written together or not at all, and the error says which of them was there.

use aws_sdk_dynamodb::error::SdkError;
use aws_sdk_dynamodb::operation::transact_write_items::TransactWriteItemsError;
use aws_sdk_dynamodb::types::{Put, ScalarAttributeType, TransactWriteItem, Update};
use futures::future::join_all;
use lambda_streams::testing::TestStream;
use lambda_streams::{
    AwsResultExt, Guard, GuardOutcome, HandlerError, IdempotencyStore, Insert, Invocation, Mark, Origin, Outcome,
    Record, StreamProcessor, with,
};
use serde_json::json;

use super::*;

type Cancelled = SdkError<TransactWriteItemsError>;

/// The changes of one item, in order: each with a number of its own.
fn changes(count: u64) -> Vec<Record> {
    let mut stream = TestStream::new("orders", &["id"]).starting_at(98);
    for version in 0..count {
        stream = stream.insert(json!({"id": {"S": "a"}, "version": {"N": version.to_string()}}));
    }
    stream.changes().unwrap()
}

/// Sums and projections, and guards of one consumer.
struct Sink {
    database: Database,
    guard: Guard,
}

impl Sink {
    async fn start() -> Self {
        let (database, store) = start().await;
        database.create_table("sink", &[("id", ScalarAttributeType::S)]).await.unwrap();
        Self { database, guard: store.guard("orders").unwrap() }
    }

    /// Adds one to a counter.
    fn count(&self) -> TransactWriteItem {
        let update = Update::builder().table_name("sink").key("id", s("counter")).update_expression("ADD effects :one");
        let update = update.expression_attribute_values(":one", n(1)).build().unwrap();
        TransactWriteItem::builder().update(update).build()
    }

    /// A row that must not be there.
    fn create(&self, id: &str) -> TransactWriteItem {
        let put = Put::builder().table_name("sink").item("id", s(id)).condition_expression("attribute_not_exists(id)");
        TransactWriteItem::builder().put(put.build().unwrap()).build()
    }

    async fn write(&self, actions: Vec<TransactWriteItem>) -> Result<(), Cancelled> {
        let transaction = self.database.client.transact_write_items().set_transact_items(Some(actions));
        transaction.send().await.map(drop)
    }

    /// Counts under the guard of the item's newest change.
    async fn count_newest(&self, change: &Record) -> Option<GuardOutcome> {
        let error = self.write(vec![self.guard.newest(change).unwrap(), self.count()]).await.err()?;
        Some(self.guard.outcome(&error, change))
    }

    async fn count_once(&self, change: &Record) -> Option<GuardOutcome> {
        let error = self.write(vec![self.count(), self.guard.once(change).unwrap()]).await.err()?;
        Some(self.guard.outcome(&error, change))
    }

    async fn effects(&self) -> u64 {
        let sink = self.database.scan("sink").await.unwrap();
        sink.first().map_or(0, |row| row["effects"].as_n().unwrap().parse().unwrap())
    }

    async fn mark(&self) -> Mark {
        let rows = self.database.scan(TABLE).await.unwrap();
        let key = rows.iter().find_map(|row| row["key"].as_s().ok().filter(|key| key.contains("#item#"))).unwrap();
        let store = DynamoDbIdempotencyStore::new(self.database.client.clone(), TABLE);
        store.marks(&[StoreKey::from_text(key)]).await.remove(0).unwrap()
    }
}

#[tokio::test]
async fn the_newest_change_of_an_item_is_applied_and_older_ones_are_told() {
    let sink = Sink::start().await;
    let changes = changes(4);
    for (at, expected, effects) in [
        (1, None, 1),
        (1, Some(GuardOutcome::Done), 1),
        (0, Some(GuardOutcome::Stale), 1),
        // From two digits to three.
        (3, None, 2),
        (2, Some(GuardOutcome::Stale), 2),
        (3, Some(GuardOutcome::Done), 2),
    ] {
        assert_eq!((sink.count_newest(&changes[at]).await, sink.effects().await), (expected, effects), "change {at}");
    }
}

#[tokio::test]
async fn a_guard_moves_both_numbers_of_the_mark_where_the_change_comes_from_the_stream() {
    let sink = Sink::start().await;
    let change = changes(1).remove(0);
    assert_eq!(sink.count_newest(&change).await, None);
    let number = change.sequence_number().copied();
    let mark = sink.mark().await;
    assert!(is_same(mark.applied, number) && is_same(mark.passed, number), "{mark:?}");
    assert_eq!(mark.passed_created_at, change.created_at());
}

fn is_same(one: Option<SequenceNumber>, other: Option<SequenceNumber>) -> bool {
    one.map(|number| number.to_padded()) == other.map(|number| number.to_padded())
}

#[derive(serde::Deserialize)]
struct Order {
    version: u64,
}

#[tokio::test]
async fn a_redriven_change_applies_itself_and_passes_nothing() {
    let sink = std::sync::Arc::new(Sink::start().await);
    let handler = async |sink: std::sync::Arc<Sink>, change: Insert<Order>| -> Result<(), HandlerError> {
        assert_eq!(change.new.version, 0);
        sink.write(vec![sink.guard.newest(&change)?, sink.count()]).await.classify()
    };
    let processor = StreamProcessor::builder().on_insert(with(std::sync::Arc::clone(&sink), handler)).build().unwrap();
    let event =
        TestStream::new("orders", &["id"]).insert(json!({"id": {"S": "a"}, "version": {"N": "0"}})).event().unwrap();
    let mut invocation = Invocation::default();
    invocation.origin = Origin::Redrive;
    assert_eq!(processor.process(event, invocation).await.outcomes(), [Outcome::Succeeded]);
    let mark = sink.mark().await;
    assert!(mark.applied.is_some() && mark.passed.is_none() && mark.passed_created_at.is_none(), "{mark:?}");
}

/// A dead letter moves `passed` over the change, and over later ones.
#[tokio::test]
async fn a_dead_letter_that_is_redriven_is_not_held_for_done() {
    let sink = Sink::start().await;
    let changes = changes(3);
    assert_eq!(sink.count_newest(&changes[0]).await, None);
    let rows = sink.database.scan(TABLE).await.unwrap();
    let item = StoreKey::from_text(rows[0]["key"].as_s().unwrap());
    let store = DynamoDbIdempotencyStore::new(sink.database.client.clone(), TABLE);
    let to = Mark { passed: changes[2].sequence_number().copied(), ..Mark::default() };
    store.raise(&item, &to, in_days(16)).await.unwrap();
    assert_eq!(sink.count_newest(&changes[1]).await, None, "it was not applied");
    assert_eq!(sink.effects().await, 2);
    let mark = sink.mark().await;
    assert!(
        is_same(mark.passed, to.passed) && is_same(mark.applied, changes[1].sequence_number().copied()),
        "{mark:?}"
    );
}

#[tokio::test]
async fn a_change_has_its_effect_once_in_whatever_order_changes_come() {
    let sink = Sink::start().await;
    let changes = changes(5);
    for at in [3, 0, 3, 4, 1, 0, 2, 4] {
        let before = sink.effects().await;
        match sink.count_once(&changes[at]).await {
            None => assert_eq!(sink.effects().await, before + 1),
            Some(outcome) => assert_eq!((outcome, sink.effects().await), (GuardOutcome::Done, before)),
        }
    }
    assert_eq!(sink.effects().await, 5);
}

#[tokio::test]
async fn of_handlers_at_the_same_time_one_has_its_effect() {
    let sink = Sink::start().await;
    let changes = changes(1);
    let outcomes = join_all((0..12).map(|_| sink.count_once(&changes[0]))).await;
    assert_eq!(outcomes.iter().filter(|outcome| outcome.is_none()).count(), 1, "{outcomes:?}");
    assert_eq!(sink.effects().await, 1);
    let outcomes = join_all((0..12).map(|_| sink.count_newest(&changes[0]))).await;
    assert_eq!(outcomes.iter().filter(|outcome| outcome.is_none()).count(), 1, "{outcomes:?}");
    assert_eq!(sink.effects().await, 2);
}

#[tokio::test]
async fn the_row_says_it_and_not_the_position() {
    let sink = Sink::start().await;
    let changes = changes(2);
    sink.write(vec![sink.create("mine")]).await.unwrap();
    let orders: [fn(TransactWriteItem, TransactWriteItem) -> Vec<TransactWriteItem>; 2] =
        [|guard, own| vec![guard, own], |guard, own| vec![own, guard]];
    // The handler's own condition fails, and the guard does not.
    for order in orders {
        for guard in [sink.guard.newest(&changes[1]).unwrap(), sink.guard.once(&changes[1]).unwrap()] {
            let error = sink.write(order(guard, sink.create("mine"))).await.unwrap_err();
            assert_eq!(sink.guard.outcome(&error, &changes[1]), GuardOutcome::NotMine);
            assert!(
                !Err::<(), _>(error).classify().unwrap_err().is_retryable(),
                "a condition is the record's own fault"
            );
        }
    }
    assert!(sink.database.scan(TABLE).await.unwrap().is_empty(), "nothing was written");
    // The guard's fails as well, since the effect left both.
    assert_eq!(sink.count_newest(&changes[1]).await, None);
    assert_eq!(sink.count_once(&changes[1]).await, None);
    for order in orders {
        let error = sink.write(order(sink.guard.newest(&changes[0]).unwrap(), sink.create("mine"))).await.unwrap_err();
        assert_eq!(sink.guard.outcome(&error, &changes[0]), GuardOutcome::Stale);
        let error = sink.write(order(sink.guard.once(&changes[1]).unwrap(), sink.create("mine"))).await.unwrap_err();
        assert_eq!(sink.guard.outcome(&error, &changes[1]), GuardOutcome::Done);
        assert_eq!(sink.guard.outcome(&error, &changes[0]), GuardOutcome::NotMine, "it is another change's");
    }
}

#[tokio::test]
async fn consumers_do_not_know_of_each_other() {
    let sink = Sink::start().await;
    let change = changes(1).remove(0);
    let store = DynamoDbIdempotencyStore::new(sink.database.client.clone(), TABLE);
    let other = store.guard("search").unwrap();
    assert_eq!((sink.count_newest(&change).await, sink.count_once(&change).await), (None, None));
    sink.write(vec![other.newest(&change).unwrap(), other.once(&change).unwrap(), sink.count()]).await.unwrap();
    let error = sink.write(vec![sink.guard.once(&change).unwrap()]).await.unwrap_err();
    assert_eq!(other.outcome(&error, &change), GuardOutcome::NotMine);
}

#[tokio::test]
async fn the_rows_of_guards_have_the_documented_attributes() {
    let sink = Sink::start().await;
    let change = changes(1).remove(0);
    assert_eq!((sink.count_newest(&change).await, sink.count_once(&change).await), (None, None));
    let mut rows = sink.database.scan(TABLE).await.unwrap();
    rows.sort_by_key(|row| row["key"].as_s().unwrap().clone());
    let [item, record] = &rows[..] else { panic!("{rows:?}") };
    let number = s(change.sequence_number().unwrap().to_padded());
    let created = change.created_at().unwrap();
    let expires = n(seconds(created + Duration::from_secs(16 * 24 * 60 * 60)));
    let millis = created.duration_since(SystemTime::UNIX_EPOCH).unwrap().as_millis();
    for (row, expected) in [
        (
            item,
            vec![
                ("applied", number.clone()),
                ("guarded", number),
                ("guarded_at", n(millis)),
                ("expires", expires.clone()),
            ],
        ),
        (record, vec![("expires", expires)]),
    ] {
        let mut row = row.clone();
        assert!(row.remove("key").unwrap().as_s().unwrap().starts_with("orders#"));
        assert_eq!(row, expected.into_iter().map(|(name, value)| (name.to_owned(), value)).collect());
    }
}

#[tokio::test]
async fn throttling_and_conflicts_are_not_the_guards() {
    let sink = Sink::start().await;
    let change = changes(1).remove(0);
    let missing = DynamoDbIdempotencyStore::new(sink.database.client.clone(), "gone").guard("orders").unwrap();
    let error = sink.write(vec![missing.once(&change).unwrap()]).await.unwrap_err();
    assert_eq!(missing.outcome(&error, &change), GuardOutcome::NotMine);
    assert!(Err::<(), _>(error).classify().unwrap_err().is_retryable(), "a missing table meets every record");
}
