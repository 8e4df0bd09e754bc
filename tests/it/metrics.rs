//! The processor's own metrics, as the guide `operating` lists them.

use std::time::Duration;

use lambda_streams::{
    AfterDeadLetter, Deadline, Emf, FailurePolicy, HandlerError, Idempotency, Invocation, Lanes, Marks,
    MemoryIdempotencyStore, Origin, ProcessorBuilder, Record, Stale, StreamProcessor, bulk,
};

use serde_json::json;

use crate::support::emf::{Document, Written, numbers, sum};
use crate::support::{Act, Change, Order, Reply, Script, TestQueue, change, event, inserts};

const ALL: [&str; 1] = ["service"];

/// The metrics of batches that are delivered one after the other.
async fn measure(builder: ProcessorBuilder, batches: &[&[Change]], deadline: Option<Duration>) -> Vec<Document> {
    let written = Written::default();
    let emf = Emf::builder().namespace("Orders").service("stream").writer(written.clone()).build().unwrap();
    let _recorder = metrics::set_default_local_recorder(&emf);
    let processor = builder.build().unwrap();
    for batch in batches {
        let deadline = deadline.map_or(Deadline::none(), Deadline::after);
        processor.process(event(batch), deadline).await;
    }
    emf.flush();
    written.documents()
}

fn with(script: &Script) -> ProcessorBuilder {
    StreamProcessor::builder().on_record(script.clone())
}

fn assert_sums(documents: &[Document], expected: &[(&str, f64)]) {
    for (name, expected) in expected {
        assert_eq!(sum(documents, name, &ALL), *expected, "{name}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_idempotency_store_has_metrics_only_where_there_is_one() {
    const NAMES: [&str; 4] = ["RecordsAlreadyDone", "MarkFailures", "MarkRegressions", "MarkDuration"];
    let store = MemoryIdempotencyStore::new();
    let stored = || {
        let builder = with(&Script::default()).idempotency(Idempotency::new("tests", store.clone()));
        builder.marks(Marks::new(Stale::Skip))
    };
    let first = inserts(3).into_iter().map(|change| change.aged(60)).collect::<Vec<_>>();
    let documents = measure(stored(), &[&first], None).await;
    assert_sums(&documents, &[("RecordsAlreadyDone", 0.0), ("MarkFailures", 0.0), ("MarkRegressions", 0.0)]);
    // The memory, the marks with their beginning, and three raised marks.
    assert_eq!(numbers(&documents, "MarkDuration", &ALL).len(), 5);

    let later = [change(0, "item-2", 0).aged(10)];
    let documents = measure(stored(), &[&first, &later], None).await;
    assert_sums(&documents, &[("RecordsAlreadyDone", 3.0), ("MarkFailures", 0.0), ("MarkRegressions", 1.0)]);

    store.fail_next(usize::MAX);
    let documents = measure(stored(), &[&first], None).await;
    // The read of the memory, that of the marks, and three that are not raised.
    assert_sums(&documents, &[("RecordsAlreadyDone", 0.0), ("MarkFailures", 5.0)]);

    let documents = measure(with(&Script::default()), &[&first], None).await;
    assert!(documents.iter().all(|document| NAMES.iter().all(|name| !document.metrics.contains_key(*name))));
}

#[tokio::test(start_paused = true)]
async fn a_bulk_that_the_deadline_cuts_off_counts_with_its_size() {
    let hangs = |_: Vec<Record>| std::future::pending::<Result<(), HandlerError>>();
    let builder = StreamProcessor::builder().on_record(bulk(hangs));
    let documents = measure(builder, &[&inserts(3)], Some(Duration::from_secs(10))).await;
    assert_eq!(numbers(&documents, "BulkSize", &ALL), [3.0]);
}

#[tokio::test(start_paused = true)]
async fn every_metric_has_its_unit_and_one_dimension() {
    let script = Script::new([("item-1", Act::FailPermanently), ("item-2", Act::FailTimes(1))]);
    let builder = with(&script).dead_letter_queue(TestQueue::default());
    let documents = measure(builder, &[&inserts(3)], None).await;
    let milliseconds = ["RecordAge", "IteratorAge", "HandlerDuration", "BatchDuration", "DeadLetterDuration"];
    let counts = [
        "RecordsReceived",
        "RecordsSucceeded",
        "RecordsSkipped",
        "RecordsFailed",
        "Retries",
        "DeadLetters",
        "DeadLetterSendFailures",
        "RecordsReported",
        "RecordsHeldBack",
        "RecordsRedelivered",
        "DeadlineStops",
        "BatchSize",
        "ConcurrencyInUse",
    ];
    for (names, unit) in [(&milliseconds[..], "Milliseconds"), (&counts[..], "Count")] {
        for name in names {
            assert!(!numbers(&documents, name, &ALL).is_empty(), "{name} is missing");
            let units = documents.iter().filter_map(|document| document.metrics.get(*name)).map(|(unit, _)| unit);
            assert!(units.into_iter().all(|found| found == unit), "{name}");
        }
    }
    assert!(documents.iter().all(|document| document.member("table") == Some("orders")));
    assert!(documents.iter().flat_map(|document| &document.dimensions).flatten().all(|name| name != "table"));
}

#[tokio::test(start_paused = true)]
async fn records_and_failures_are_counted_by_kind() {
    let script = Script::new([("bad", Act::FailPermanently), ("panic", Act::Panic), ("shy", Act::Fail)]);
    let builder = StreamProcessor::builder()
        .on_insert(|_: lambda_streams::Insert<Order>| async { Ok(()) })
        .on_modify({
            let script = script.clone();
            move |change: lambda_streams::Modify<Order>| {
                let script = script.clone();
                async move { lambda_streams::Handler::handle(&script, change.record).await }
            }
        })
        .dead_letter_queue(TestQueue::default());
    let batch = [
        change(0, "a", 0),
        change(1, "b", 0).without("/dynamodb/NewImage/version"),
        change(2, "bad", 1),
        change(3, "panic", 1),
        change(4, "a", 1),
        change(5, "a", 1).with("/eventName", "REMOVE"),
        Change::raw("null"),
        change(7, "shy", 1),
    ];
    let documents = measure(builder, &[&batch], None).await;
    let by = |name: &str, label: &str, value: &str| {
        let these: Vec<_> =
            documents.iter().filter(|document| document.member(label) == Some(value)).cloned().collect();
        sum(&these, name, &["service", label])
    };
    for (kind, received, succeeded, skipped) in
        [("INSERT", 2.0, 1.0, 0.0), ("MODIFY", 4.0, 1.0, 0.0), ("REMOVE", 1.0, 0.0, 1.0), ("unknown", 1.0, 0.0, 0.0)]
    {
        let found = [("RecordsReceived", received), ("RecordsSucceeded", succeeded), ("RecordsSkipped", skipped)];
        found.into_iter().for_each(|(name, expected)| assert_eq!(by(name, "kind", kind), expected, "{name} {kind}"));
    }
    for (kind, expected) in [("decode", 1.0), ("handler", 2.0), ("panic", 1.0), ("malformed", 1.0)] {
        assert_eq!(by("RecordsFailed", "error_kind", kind), expected, "{kind}");
    }
    assert_sums(
        &documents,
        &[
            ("RecordsReceived", 8.0),
            ("RecordsSucceeded", 2.0),
            ("RecordsSkipped", 1.0),
            ("RecordsFailed", 5.0),
            ("DeadLetters", 4.0),
            ("RecordsReported", 1.0),
            ("Retries", 2.0),
        ],
    );
}

#[tokio::test(start_paused = true)]
async fn held_back_and_redelivered_records_are_counted() {
    let script = Script::new([("item-1", Act::FailTimes(3))]);
    let (batch, rest) = (inserts(4), inserts(4)[1..].to_vec());
    let documents = measure(with(&script), &[&batch, &rest], None).await;
    assert_sums(
        &documents,
        &[("RecordsReported", 1.0), ("RecordsRedelivered", 2.0), ("RecordsSkipped", 2.0), ("RecordsFailed", 1.0)],
    );
    let script = Script::new([("item-0", Act::FailPermanently)]);
    let documents = measure(with(&script).concurrency(1), &[&batch], None).await;
    assert_sums(&documents, &[("RecordsHeldBack", 3.0), ("RecordsReported", 1.0), ("RecordsReceived", 4.0)]);
}

#[tokio::test(start_paused = true)]
async fn records_without_the_attribute_of_their_lanes_are_counted_where_there_are_some() {
    for (attribute, expected) in [("customer", 3.0), ("id", 0.0)] {
        let builder = with(&Script::default()).lanes(Lanes::per_key_attribute(attribute));
        let documents = measure(builder, &[&inserts(3)], None).await;
        assert_sums(&documents, &[("RecordsWithoutLaneAttribute", expected)]);
        let has_metric = documents.iter().any(|it| it.metrics.contains_key("RecordsWithoutLaneAttribute"));
        assert_eq!(has_metric, expected > 0.0, "a metric that is always zero would be charged for");
    }
    let other = "arn:aws:dynamodb:eu-central-1:123456789012:table/invoices/stream/2026-01-01T00:00:00.000";
    let of_customer = change(3, "a", 0).with("/dynamodb/Keys", json!({"customer": {"S": "1"}}));
    let batch = [&inserts(3)[..], &[of_customer.with("/eventSourceARN", other)]].concat();
    let mut on_demand = Invocation::from(Deadline::none());
    on_demand.origin = Origin::OnDemand;
    let written = Written::default();
    let emf = Emf::builder().namespace("Orders").service("stream").writer(written.clone()).build().unwrap();
    let _recorder = metrics::set_default_local_recorder(&emf);
    let processor = with(&Script::default()).lanes(Lanes::per_key_attribute("customer")).build().unwrap();
    processor.process(event(&batch), on_demand).await;
    emf.flush();
    let mut documents = written.documents();
    assert_sums(&documents, &[("RecordsWithoutLaneAttribute", 3.0)]);
    documents.retain(|document| document.member("table") == Some("orders"));
    assert_sums(&documents, &[("RecordsWithoutLaneAttribute", 3.0), ("RecordsReceived", 3.0)]);
}

#[tokio::test(start_paused = true)]
async fn dead_letter_sends_are_timed_and_counted() {
    let script = Script::new([("item-0", Act::FailPermanently)]);
    let builder = with(&script).dead_letter_queue(TestQueue::new(Reply::Refuse));
    let documents = measure(builder, &[&inserts(1)], None).await;
    assert_sums(&documents, &[("DeadLetterSendFailures", 1.0), ("DeadLetters", 0.0), ("RecordsReported", 1.0)]);
    let builder = with(&script).dead_letter_queue(TestQueue::new(Reply::AcceptAfter(Duration::from_millis(1_500))));
    let documents = measure(builder, &[&inserts(1)], None).await;
    assert_eq!(numbers(&documents, "DeadLetterDuration", &ALL), [1_500.0]);
}

#[tokio::test(start_paused = true)]
async fn a_queue_that_does_not_answer_is_counted_and_timed() {
    let script = Script::new([("item-0", Act::FailPermanently)]);
    let builder = with(&script).dead_letter_queue(TestQueue::new(Reply::AcceptAfter(Duration::from_secs(60))));
    let documents = measure(builder, &[&inserts(1)], Some(Duration::from_secs(10))).await;
    assert_sums(
        &documents,
        &[("DeadLetterSendFailures", 1.0), ("DeadLetters", 0.0), ("RecordsFailed", 1.0), ("RecordsReported", 1.0)],
    );
    assert_eq!(
        numbers(&documents, "DeadLetterDuration", &ALL),
        [9_750.0],
        "until a quarter of the margin before the end"
    );
}

#[tokio::test(start_paused = true)]
async fn a_dead_letters_followers_have_their_own_error_kind() {
    let script = Script::new([("a", Act::FailPermanently)]);
    let builder = with(&script)
        .dead_letter_queue(TestQueue::default())
        .failure_policy(FailurePolicy::DeadLetterAll)
        .after_dead_letter(AfterDeadLetter::FollowLane);
    let documents = measure(builder, &[&[change(0, "a", 0), change(1, "a", 1)]], None).await;
    assert_sums(&documents, &[("RecordsFailed", 2.0), ("DeadLetters", 2.0)]);
    assert!(documents.iter().any(|document| document.member("error_kind") == Some("predecessor")));
}

#[tokio::test(start_paused = true)]
async fn durations_cover_attempts_batches_and_dropped_handlers() {
    let script = Script::new([("item-0", Act::Take(Duration::from_micros(300_500))), ("item-1", Act::Hang)]);
    let documents = measure(with(&script), &[&inserts(3)], Some(Duration::from_secs(10))).await;
    let mut durations = numbers(&documents, "HandlerDuration", &ALL);
    durations.sort_by(f64::total_cmp);
    // Timers of tokio go off at whole milliseconds.
    assert_eq!(durations, [0.0, 301.0, 9_000.0]);
    assert_eq!(numbers(&documents, "BatchDuration", &ALL), [9_000.0]);
    assert_sums(&documents, &[("DeadlineStops", 1.0), ("RecordsReported", 1.0), ("BatchSize", 3.0)]);
}

#[tokio::test(start_paused = true)]
async fn concurrency_in_use_is_the_peak_of_a_batch() {
    let take = Act::Take(Duration::from_secs(1));
    let script = Script::new([("item-0", take), ("item-1", take), ("item-2", take), ("item-3", take)]);
    for (limit, expected) in [(3, 3.0), (100, 4.0)] {
        let documents = measure(with(&script).concurrency(limit), &[&inserts(4)], None).await;
        assert_eq!(numbers(&documents, "ConcurrencyInUse", &ALL), [expected]);
    }
}

#[tokio::test(start_paused = true)]
async fn ages_are_measured_when_the_batch_begins() {
    let script = Script::new([("item-0", Act::Take(Duration::from_secs(60)))]);
    let ages = [500, 20, 100];
    let batch: Vec<Change> = inserts(3).into_iter().zip(ages).map(|(change, age)| change.aged(age)).collect();
    let documents = measure(with(&script), &[&batch], None).await;
    // The tests' clock may have advanced by a second since the records were made.
    let about = |found: f64, seconds: f64| assert!((0.0..2_000.0).contains(&(found - seconds * 1e3)), "{found} ms");
    let record_ages = numbers(&documents, "RecordAge", &ALL);
    assert_eq!(record_ages.len(), 2);
    about(record_ages[0], 20.0);
    about(record_ages[1], 500.0);
    about(numbers(&documents, "IteratorAge", &ALL)[0], 100.0);
}

#[tokio::test(start_paused = true)]
async fn records_from_no_stream_have_no_ages() {
    let written = Written::default();
    let emf = Emf::builder().service("stream").writer(written.clone()).build().unwrap();
    let _recorder = metrics::set_default_local_recorder(&emf);
    let mut invocation = Invocation::from(Deadline::none());
    invocation.origin = lambda_streams::Origin::OnDemand;
    with(&Script::default()).build().unwrap().process(event(&inserts(1)), invocation).await;
    emf.flush();
    let documents = written.documents();
    assert_sums(&documents, &[("RecordsSucceeded", 1.0)]);
    assert!(["RecordAge", "IteratorAge"].iter().all(|name| numbers(&documents, name, &ALL).is_empty()));
}

#[tokio::test(start_paused = true)]
async fn an_empty_batch_is_measured_too() {
    let documents = measure(with(&Script::default()), &[&[]], None).await;
    assert_sums(&documents, &[("BatchSize", 0.0), ("RecordsReceived", 0.0), ("DeadlineStops", 0.0)]);
    assert!(documents.iter().all(|document| document.member("table") == Some("unknown")));
    assert!(numbers(&documents, "IteratorAge", &ALL).is_empty(), "no record, no age");
}
