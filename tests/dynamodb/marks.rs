//! Marks only rise, each number by itself, in whatever order and at whatever time their raises arrive.

use std::collections::HashMap;
use std::sync::LazyLock;

use futures::future::join_all;
use lambda_streams::{IdempotencyStore, Mark};
use proptest::prelude::*;
use tokio::runtime::Runtime;

use super::*;

async fn mark(store: &DynamoDbIdempotencyStore, item: &StoreKey) -> Mark {
    store.marks(std::slice::from_ref(item)).await.remove(0).unwrap()
}

fn at(millis: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_millis(millis)
}

#[tokio::test]
async fn each_number_rises_by_itself() {
    let (_database, store) = start().await;
    let item = key("item", 1);
    let to = |passed: Option<u32>, applied: Option<u32>| Mark {
        passed: passed.map(number),
        passed_created_at: passed.map(|number| at(number.into())),
        applied: applied.map(number),
    };
    let steps = [
        (to(Some(10), Some(10)), to(Some(10), Some(10))),
        // Longer is higher, though it is lower as text.
        (to(Some(9), Some(9)), to(Some(10), Some(10))),
        (to(Some(100), Some(9)), to(Some(100), Some(10))),
        (to(Some(99), Some(101)), to(Some(100), Some(101))),
        (to(None, Some(102)), to(Some(100), Some(102))),
        (to(None, Some(1)), to(Some(100), Some(102))),
        (to(Some(103), None), to(Some(103), Some(102))),
        (to(None, None), to(Some(103), Some(102))),
        (to(Some(103), Some(103)), to(Some(103), Some(103))),
    ];
    for (raised, expected) in steps {
        store.raise(&item, &raised, in_days(16)).await.unwrap();
        assert_eq!(mark(&store, &item).await, expected, "{raised:?}");
    }
    let without_time = Mark { passed_created_at: None, ..to(Some(104), None) };
    store.raise(&item, &without_time, in_days(16)).await.unwrap();
    assert_eq!(mark(&store, &item).await.passed_created_at, None, "the time is that of the number");
}

#[tokio::test]
async fn nothing_is_written_for_no_number() {
    let (database, store) = start().await;
    store.raise(&key("item", 1), &Mark::default(), in_days(16)).await.unwrap();
    assert!(database.scan(TABLE).await.unwrap().is_empty());
}

#[tokio::test]
async fn every_raise_keeps_the_row_longer() {
    let (database, store) = start().await;
    let to = |applied| Mark { applied: Some(number(applied)), ..Mark::default() };
    for (applied, days, expected) in [(5, 16, 16), (6, 17, 17), (4, 18, 17)] {
        store.raise(&key("item", 1), &to(applied), in_days(days)).await.unwrap();
        let row = database.scan(TABLE).await.unwrap().remove(0);
        let expires: u64 = row["expires"].as_n().unwrap().parse().unwrap();
        assert_eq!(
            expires.div_ceil(3_600),
            seconds(in_days(expected)).div_ceil(3_600),
            "what is not newer changes nothing"
        );
    }
}

#[tokio::test]
async fn the_answers_are_in_the_order_of_the_items() {
    let (_database, store) = start().await;
    let items: Vec<StoreKey> = (0..100).map(|item| key("item", item)).collect();
    let of = |item: usize| Mark { applied: item.is_multiple_of(3).then(|| number(item + 1)), ..Mark::default() };
    join_all(items.iter().enumerate().map(|(at, item)| {
        let store = &store;
        async move { store.raise(item, &of(at), in_days(16)).await.unwrap() }
    }))
    .await;
    let backwards: Vec<StoreKey> = items.iter().rev().cloned().collect();
    for (asked, positions) in [(&items, Vec::from_iter(0..100)), (&backwards, (0..100).rev().collect())] {
        let answers = store.marks(asked).await;
        assert_eq!(answers.len(), 100);
        for (answer, position) in answers.into_iter().zip(positions) {
            assert_eq!(answer.unwrap(), of(position));
        }
    }
}

#[tokio::test]
async fn a_mark_that_cannot_be_read_is_an_error_of_its_item_alone() {
    let (database, store) = start().await;
    let items = [key("item", 1), key("item", 2)];
    let put = database.client.put_item().table_name(TABLE).item("key", s(&items[0]));
    put.item("passed", n(5)).item("applied", s("0005")).send().await.unwrap();
    let answers = store.marks(&items).await;
    let error = answers[0].as_ref().unwrap_err().to_string();
    assert!(error.contains("a row whose attribute `passed` cannot be read"), "{error}");
    assert_eq!(answers[1].as_ref().unwrap(), &Mark::default());
    let to = Mark { passed: Some(number(9)), passed_created_at: None, applied: Some(number(1)) };
    let error = store.raise(&items[0], &to, in_days(1)).await.unwrap_err().to_string();
    assert!(error.contains("a row whose attribute `passed` cannot be read"), "{error}");
}

/// A number of 1 to 40 digits, mostly near others.
fn any_number() -> impl Strategy<Value = SequenceNumber> {
    prop_oneof![4 => "[0-9]{1,2}", 1 => "[0-9]{20,21}", 1 => "[0-9]{39,40}"].prop_map(number)
}

fn any_raise() -> impl Strategy<Value = (usize, Mark)> {
    let passed = proptest::option::of((any_number(), proptest::option::of(0..u64::from(u32::MAX))));
    (0..2_usize, passed, proptest::option::of(any_number())).prop_map(|(item, passed, applied)| {
        let passed_created_at = passed.and_then(|(_, created)| Some(at(created?)));
        (item, Mark { passed: passed.map(|(number, _)| number), passed_created_at, applied })
    })
}

fn is_same(one: Option<SequenceNumber>, other: Option<SequenceNumber>) -> bool {
    one.map(|number| number.to_padded()) == other.map(|number| number.to_padded())
}

static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| Runtime::new().expect("a runtime starts"));

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// `width` raises are in flight at a time; with one, each result is what `Mark::raise` makes of it.
    #[test]
    fn marks_end_at_the_maximum_of_each_number(raises in proptest::collection::vec(any_raise(), 1..24), width in 1..6_usize) {
        static STORE: LazyLock<(Database, DynamoDbIdempotencyStore)> = LazyLock::new(|| RUNTIME.block_on(start()));
        static CASES: std::sync::atomic::AtomicUsize = std::sync::atomic::AtomicUsize::new(0);
        let (_, store) = &*STORE;
        let first = 2 * CASES.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let mut model: HashMap<usize, Mark> = HashMap::new();
        RUNTIME.block_on(async {
            for at_once in raises.chunks(width) {
                join_all(at_once.iter().map(|(item, to)| async move {
                    store.raise(&key("item", first + item), to, in_days(16)).await.unwrap();
                }))
                .await;
                at_once.iter().for_each(|(item, to)| model.entry(*item).or_default().raise(to));
                for (item, expected) in &model {
                    let mark = mark(store, &key("item", first + item)).await;
                    assert!(is_same(mark.passed, expected.passed) && is_same(mark.applied, expected.applied), "{mark:?} {expected:?}");
                    if width == 1 {
                        assert_eq!(mark.passed_created_at, expected.passed_created_at);
                    }
                }
            }
        });
    }
}
