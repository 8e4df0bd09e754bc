//! Items of a table have no sequence number, and are processed, fail and come back like records that have one.

use std::sync::{Arc, Mutex};

use lambda_streams::Outcome::{DeadLettered, Reported, Succeeded};
use lambda_streams::{
    DeadLetterEvent, Deadline, HandlerError, Idempotency, Insert, Marks, MemoryDeadLetterQueue, MemoryIdempotencyStore,
    Origin, Record, Stale, StreamProcessor,
};
use serde_json::json;

use super::{BACKFILL, REPLAY, replay, unfinished};
use crate::support::{Act, Change, Order, Script, TestQueue, change, outcomes};

/// The record that a backfill makes of an item.
fn item(id: &str) -> Change {
    let change = change(0, id, 0).without("/dynamodb/SequenceNumber");
    change.with("/eventID", format!("backfill-{:032x}", u128::from(id.as_bytes()[0])))
}

fn id(item: &str) -> String {
    format!("backfill-{:032x}", u128::from(item.as_bytes()[0]))
}

#[tokio::test(start_paused = true)]
async fn an_item_is_an_insert_without_a_sequence_number() {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let handler = {
        let seen = Arc::clone(&seen);
        move |change: Insert<Order>| {
            let record = &change.record;
            assert_eq!((record.sequence_number(), change.context().origin()), (None, Origin::Backfill));
            seen.lock().unwrap().push((change.new.id.clone(), record.idempotency_key().into_owned()));
            async { Ok(()) }
        }
    };
    let processor = StreamProcessor::builder().on_insert(handler).build().unwrap();
    let report = replay(&processor, BACKFILL, &[item("a"), item("b"), item("a")]).await;
    assert_eq!(outcomes(report.batch()), [Succeeded; 3]);
    let expected = ["a", "b", "a"].map(|name| (name.to_owned(), id(name)));
    assert_eq!(*seen.lock().unwrap(), expected);
}

#[tokio::test(start_paused = true)]
async fn an_item_that_fails_is_named_by_its_event_id() {
    let script = Script::new([("a", Act::Fail), ("b", Act::Panic)]);
    let processor = StreamProcessor::builder().on_record(script).build().unwrap();
    let report = replay(&processor, BACKFILL, &[item("a"), item("b"), item("c")]).await;
    assert_eq!(unfinished(&report), ["a", "b"].map(id));
}

#[tokio::test(start_paused = true)]
async fn only_the_record_of_an_item_may_lack_its_number() {
    let processor = StreamProcessor::builder().on_record(Script::default()).build().unwrap();
    let lacking = change(0, "a", 0).without("/dynamodb/SequenceNumber");
    let unusable = item("b").with("/dynamodb/SequenceNumber", "x");
    for request in [BACKFILL, REPLAY] {
        let report = replay(&processor, request, &[lacking.clone(), unusable.clone(), item("c")]).await;
        assert_eq!(outcomes(report.batch()), [Reported, Reported, Succeeded]);
        let messages: Vec<_> =
            report.batch().records().iter().flat_map(|it| &it.failure).map(|it| it.message.clone()).collect();
        let expected =
            ["`dynamodb.SequenceNumber` is missing", "`dynamodb.SequenceNumber` is not a text of 1 to 40 digits"];
        assert_eq!(messages, expected);
    }
    assert!(Record::from_json(item("a").json()).is_ok());
}

#[tokio::test(start_paused = true)]
async fn a_dead_letter_of_an_item_comes_back() {
    let queue = MemoryDeadLetterQueue::new();
    let fails = |_: Record| async { Err(HandlerError::permanent("no such customer")) };
    let processor = StreamProcessor::builder().on_record(fails).dead_letter_queue(queue.clone()).build().unwrap();
    let report = replay(&processor, BACKFILL, &[item("a")]).await;
    assert_eq!(outcomes(report.batch()), [DeadLettered]);
    let letter = queue.letters().remove(0);
    assert_eq!((letter.sequence_number(), letter.event_id()), (None, Some(&*id("a"))));
    let event = json!({"Records": [{"messageId": "m-1", "eventSource": "aws:sqs", "body": letter.to_json()}]});
    let event = DeadLetterEvent::from_slice(event.to_string().as_bytes()).unwrap();
    let processor = StreamProcessor::builder().on_record(Script::default()).build().unwrap();
    let report = processor.redrive(event, Deadline::none()).await;
    assert_eq!(outcomes(report.batch()), [Succeeded]);
    assert_eq!(report.response().unwrap().batch_item_failures.len(), 0);
}

#[tokio::test(start_paused = true)]
async fn marks_have_no_part_in_a_backfill() {
    for stale in [Stale::Process, Stale::Skip] {
        let (script, store) = (Script::default(), MemoryIdempotencyStore::new());
        let builder = StreamProcessor::builder().on_record(script.clone()).dead_letter_queue(TestQueue::default());
        let builder = builder.idempotency(Idempotency::new("tests", store.clone())).marks(Marks::new(stale));
        let processor = builder.build().unwrap();
        crate::support::process(&processor, &[change(5, "a", 1)]).await;
        let before = store.marks();
        // A store that cannot be asked makes no difference.
        store.fail_next(usize::MAX);
        let report = replay(&processor, BACKFILL, &[item("a"), item("b")]).await;
        assert_eq!(outcomes(report.batch()), [Succeeded; 2], "{stale:?}");
        store.fail_next(0);
        assert_eq!(store.marks(), before);
    }
}

#[cfg(feature = "emf")]
#[tokio::test(start_paused = true)]
async fn an_item_without_a_mark_does_not_count_as_a_failure_of_marks() {
    use crate::support::emf::{Written, sum};

    let written = Written::default();
    let emf = lambda_streams::Emf::builder().service("backfill").writer(written.clone()).build().unwrap();
    let _recorder = metrics::set_default_local_recorder(&emf);
    let store = MemoryIdempotencyStore::new();
    let builder = StreamProcessor::builder().on_record(Script::default()).idempotency(Idempotency::new("tests", store));
    let processor = builder.marks(Marks::new(Stale::Skip)).build().unwrap();
    replay(&processor, BACKFILL, &[item("a"), item("b")]).await;
    emf.flush();
    let documents = written.documents();
    let sum = |name: &str| sum(&documents, name, &["service"]);
    assert_eq!((sum("RecordsReceived"), sum("MarkFailures")), (2.0, 0.0));
}
