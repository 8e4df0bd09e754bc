//! What a review tried to break: unusual payloads, orders and settings, with a store and with marks.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use lambda_streams::Outcome::*;
use lambda_streams::SkipReason::{AlreadyDone, Stale as StaleSkip};
use lambda_streams::{
    BatchReport, Deadline, Idempotency, Invocation, Lanes, Marks, Origin, ProcessorBuilder, Record, Stale,
    StreamProcessor, bulk,
};
use serde_json::json;

use super::environment;
use super::store::TestStore;
use crate::support::{
    Act, Change, Reply, Script, TestQueue, change, event, inserts, outcomes, payload, process, sequence_number,
};

async fn from_elsewhere(processor: &StreamProcessor, changes: &[Change]) -> BatchReport {
    let mut invocation = Invocation::from(Deadline::none());
    invocation.origin = Origin::OnDemand;
    processor.process(event(changes), invocation).await
}

/// A processor with a store alone, and one with marks as well.
fn with_and_without_marks(script: &Script) -> [StreamProcessor; 2] {
    let builder = || environment(script, TestStore::default());
    [builder().build().unwrap(), builder().marks(Marks::new(Stale::Skip)).build().unwrap()]
}

#[tokio::test(start_paused = true)]
async fn the_state_of_an_empty_window_is_answered() {
    let body = r#"{"Records":[],"window":{"start":"2026-01-01T00:00:00Z","end":"2026-01-01T00:05:00Z"},"state":{"sum":7},"shardId":"s","isFinalInvokeForWindow":true}"#;
    for processor in with_and_without_marks(&Script::default()) {
        let report = processor.process_payload(body.into(), Deadline::none()).await.unwrap();
        let response = serde_json::to_value(report.response().unwrap()).unwrap();
        assert_eq!(response["state"], json!({"sum": 7}));
        let event = lambda_streams::StreamEvent::from_slice(body.as_bytes()).unwrap();
        let report = processor.process(event, Deadline::none()).await;
        let response = serde_json::to_value(report.response().unwrap()).unwrap();
        assert_eq!(response["state"], json!({"sum": 7}));
    }
}

/// Records are read a chunk, and marks a stretch at a time. Whatever the edges of both, the end of the payload is looked at.
#[tokio::test(start_paused = true)]
async fn a_payload_that_breaks_anywhere_fails_the_invocation() {
    let text = payload(&inserts(1_601));
    let starts: Vec<usize> = text.match_indices("{\"awsRegion\"").map(|(at, _)| at).collect();
    for valid in [1, 3, 99, 100, 101, 102, 299, 300, 301, 600, 1_599, 1_600] {
        let broken = &text[..starts[valid]];
        for processor in with_and_without_marks(&Script::default()) {
            let Ok(report) = processor.process_payload(broken.into(), Deadline::none()).await else {
                continue;
            };
            assert!(report.response().is_err_and(|error| error.is_event()), "after {valid} records");
        }
    }
}

/// A bulk handler that keeps the numbers of the versions that each of its calls was given.
fn in_bulks(calls: &Arc<Mutex<Vec<Vec<u32>>>>, stale: Stale, max_records: usize) -> ProcessorBuilder {
    let seen = Arc::clone(calls);
    let index = move |records: Vec<Record>| {
        let versions = records.iter().map(|record| crate::support::about(record).1).collect();
        seen.lock().unwrap().push(versions);
        async { Ok(()) }
    };
    let store = TestStore::default();
    store.begins_before(Duration::from_secs(86_400));
    let builder = StreamProcessor::builder().on_record(bulk(index).within_lane().max_records(max_records));
    builder.idempotency(Idempotency::new("tests", store)).marks(Marks::new(stale))
}

#[tokio::test(start_paused = true)]
async fn of_records_in_the_wrong_order_a_bulk_gets_no_stale_one() {
    let changes = [change(1, "a", 1), change(0, "a", 0), change(2, "a", 2), change(3, "a", 3)];
    for max_records in [2, 3, 10] {
        let calls = Arc::default();
        let processor = in_bulks(&calls, Stale::Skip, max_records).build().unwrap();
        let report = from_elsewhere(&processor, &changes).await;
        assert_eq!(outcomes(&report), [Succeeded, Skipped(StaleSkip), Succeeded, Succeeded], "{max_records}");
        assert_eq!(calls.lock().unwrap().concat(), [1, 2, 3], "{max_records}: each once, none of them stale");
    }
}

#[tokio::test(start_paused = true)]
async fn a_record_that_was_put_back_twice_is_in_one_bulk() {
    let changes = [change(1, "a", 1), change(1, "a", 1), change(2, "a", 2)];
    for stale in [Stale::Skip, Stale::Process] {
        let calls = Arc::default();
        let processor = in_bulks(&calls, stale, 2).build().unwrap();
        let report = from_elsewhere(&processor, &changes).await;
        assert_eq!(outcomes(&report), [Succeeded, Skipped(AlreadyDone), Succeeded], "{stale:?}");
        assert_eq!(calls.lock().unwrap().concat(), [1, 2], "{stale:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_record_is_not_reported_as_undecidable_once_it_is_decided() {
    let script = Script::default();
    let processor = environment(&script, TestStore::default()).marks(Marks::new(Stale::Skip)).build().unwrap();
    let later = 60 + crate::support::seconds_ago(0);
    let changes = [
        change(1, "a", 1).with("/dynamodb/ApproximateCreationDateTime", later),
        // Newer than what is applied by then, whenever it was made.
        change(2, "a", 2).without("/dynamodb/ApproximateCreationDateTime"),
    ];
    assert_eq!(outcomes(&from_elsewhere(&processor, &changes).await), [Succeeded; 2]);
}

#[tokio::test(start_paused = true)]
async fn a_record_that_repeats_a_number_is_not_done_by_its_items_mark() {
    let (queue, store) = (TestQueue::default(), TestStore::default());
    let processor = || {
        let builder = environment(&Script::default(), store.clone()).marks(Marks::new(Stale::Skip));
        builder.dead_letter_queue(queue.clone()).build().unwrap()
    };
    let repeated = change(9, "a", 1).with("/dynamodb/SequenceNumber", sequence_number(0));
    let changes = [change(0, "a", 0), repeated];
    for first in [Succeeded, Skipped(AlreadyDone)] {
        assert_eq!(outcomes(&process(&processor(), &changes).await), [first, DeadLettered]);
    }
}

/// It may be reported after a later change of its item has succeeded, because nothing keeps the two in order.
#[tokio::test(start_paused = true)]
async fn a_record_without_a_lane_is_not_passed_by_its_item() {
    let (script, store) = (Script::default(), TestStore::default());
    let environment = |is_broken: bool| {
        let is_first = Mutex::new(is_broken);
        let lanes = Lanes::by_keys(move |keys| {
            let fails = std::mem::take(&mut *is_first.lock().unwrap_or_else(std::sync::PoisonError::into_inner));
            assert!(!fails, "for the moment");
            keys.text("id").map(Into::into)
        });
        let builder = environment(&script, store.clone()).marks(Marks::new(Stale::Skip)).lanes(lanes);
        builder.dead_letter_queue(TestQueue::new(Reply::Refuse)).build().unwrap()
    };
    let changes = [change(0, "a", 0), change(1, "a", 1)];
    let report = process(&environment(true), &changes).await;
    assert_eq!(outcomes(&report)[0], Reported);
    let report = process(&environment(false), &changes).await;
    assert_eq!(outcomes(&report)[0], Succeeded, "{report:?}");
}

#[tokio::test(start_paused = true)]
async fn the_longest_settings_overflow_nothing() {
    let script = Script::new([("item-0", Act::Fail)]);
    let longest = || Idempotency::new("tests", TestStore::default()).budget(Duration::MAX);
    let builder = || StreamProcessor::builder().on_record(script.clone()).idempotency(longest());
    let report = process(&builder().build().unwrap(), &inserts(3)).await;
    assert_eq!(outcomes(&report), [Reported, Succeeded, Succeeded]);
    let years = |years: u64| Duration::from_secs(years * 366 * 86_400);
    for life in [years(101), Duration::MAX] {
        let error = builder().marks(Marks::new(Stale::Skip).life(life)).build().unwrap_err().to_string();
        assert!(error.starts_with("`life` of `Marks` is above"), "{error}");
    }
    let processor = builder().marks(Marks::new(Stale::Skip).life(years(99))).build().unwrap();
    assert_eq!(outcomes(&process(&processor, &inserts(3)).await), [Reported, Succeeded, Succeeded]);
}
