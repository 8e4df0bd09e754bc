//! Which records make a bulk, and when it starts.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use lambda_streams::Outcome::*;
use lambda_streams::{
    BulkFailures, Deadline, ErrorKind, HandlerError, Insert, MemoryDeadLetterQueue, Modify, Record, StreamProcessor,
    bulk,
};

use super::{Says, Sink, sink};
use crate::support::{Change, Order, change, event, inserts, outcomes, payload, process};

#[tokio::test(start_paused = true)]
async fn the_payload_is_read_until_the_bulk_is_full() {
    // A payload is read in chunks of 64 records.
    let sink = Sink::new(|_, _| Says::Done);
    let processor = StreamProcessor::builder().on_record(sink!(sink)).build().unwrap();
    let report = process(&processor, &inserts(250)).await;
    assert_eq!(sink.sizes(), [100, 100, 50], "100 records is the default");
    assert_eq!(report.counts().succeeded, 250);

    let sink = Sink::new(|_, _| Says::Done);
    let processor = StreamProcessor::builder().on_record(sink!(sink).max_records(200)).build().unwrap();
    let report = processor.process_payload(payload(&inserts(450)).into_bytes(), Deadline::none()).await.unwrap();
    assert_eq!(sink.sizes(), [200, 200, 50]);
    assert_eq!(report.counts().succeeded, 450);
    let all: Vec<String> = sink.ids().concat();
    assert_eq!(
        all,
        (0..450).map(|number| format!("item-{number}")).collect::<Vec<_>>(),
        "the lowest positions come first"
    );
}

#[tokio::test(start_paused = true)]
async fn a_full_bulk_and_a_half_start_before_the_rest_is_read() {
    for limits in ["records", "bytes", "lanes"] {
        // The filter is asked as each record is read.
        let read = Arc::new(AtomicUsize::new(0));
        let read_at_calls = Arc::new(Mutex::new(Vec::new()));
        let (counted, noted) = (Arc::clone(&read), Arc::clone(&read_at_calls));
        let sink = Sink::new(move |_, seen| {
            noted.lock().unwrap().push(counted.load(Ordering::SeqCst));
            if seen.iter().any(|(id, _)| id == "item-3") { Says::Invalid } else { Says::Done }
        });
        let bulk = sink!(sink).max_records(10);
        let bulk = match limits {
            "bytes" => bulk.max_bytes(1_000_000),
            "lanes" => bulk.within_lane(),
            _ => bulk,
        };
        let keep = move |_: &Record| {
            read.fetch_add(1, Ordering::SeqCst);
            true
        };
        let builder = StreamProcessor::builder().on_record(bulk).filter(keep).concurrency(1);
        let processor = builder.dead_letter_queue(MemoryDeadLetterQueue::new()).build().unwrap();
        process(&processor, &inserts(640)).await;
        assert_eq!(sink.sizes()[..3], [10, 5, 3], "it is halved");
        let read = read_at_calls.lock().unwrap();
        assert!(read[..5].iter().all(|read| *read <= 64), "one chunk at most is read: {limits} {read:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_bulk_is_read_until_its_bytes_are_full() {
    let changes = inserts(130);
    let sink = Sink::new(|_, _| Says::Done);
    let bytes = changes[..100].iter().map(|change| change.json().len()).sum();
    let bulk = sink!(sink).max_records(1_000).max_bytes(bytes);
    process(&StreamProcessor::builder().on_record(bulk).build().unwrap(), &changes).await;
    assert_eq!(sink.sizes(), [100, 30]);
}

#[tokio::test(start_paused = true)]
async fn a_bulk_does_not_wait_for_what_waits_for_others() {
    // Every second record is of the item `a`, so only one of those is ready at a time.
    let changes: Vec<Change> = (0..6)
        .map(|number| {
            if number % 2 == 0 { change(number, "a", number as u32) } else { change(number, &format!("b{number}"), 0) }
        })
        .collect();
    let sink = Sink::slow(|_, _| (Duration::from_secs(1), Says::Done));
    let processor = StreamProcessor::builder().on_record(sink!(sink)).build().unwrap();
    let report = process(&processor, &changes).await;
    assert_eq!(sink.ids(), [vec!["a", "b1", "b3", "b5"], vec!["a"], vec!["a"]]);
    assert_eq!(sink.versions().concat(), [0, 0, 0, 0, 2, 4]);
    assert_eq!(report.counts().succeeded, 6);
}

#[tokio::test(start_paused = true)]
async fn a_bulk_takes_one_permit() {
    let sink = Sink::slow(|_, _| (Duration::from_secs(1), Says::Done));
    let processor = StreamProcessor::builder().on_record(sink!(sink).max_records(10)).concurrency(3).build().unwrap();
    process(&processor, &inserts(95)).await;
    assert_eq!(sink.most_running(), 3);
    let seconds: Vec<u64> = sink.began().iter().map(Duration::as_secs).collect();
    assert_eq!(seconds, [0, 0, 0, 1, 1, 1, 2, 2, 2, 3]);
    assert_eq!(sink.sizes()[9], 5);
}

#[tokio::test(start_paused = true)]
async fn the_bytes_of_a_bulk_are_limited_and_a_larger_record_goes_alone() {
    let long = |number: usize, id: &str, length: usize| {
        change(number, id, 0).with("/dynamodb/NewImage/note", serde_json::json!({"S": "x".repeat(length)}))
    };
    let changes = [long(0, "a", 10), long(1, "b", 10), long(2, "c", 5_000), long(3, "d", 10), long(4, "e", 10)];
    let bytes = changes[0].json().len();
    let sink = Sink::new(|_, _| Says::Done);
    let processor =
        StreamProcessor::builder().on_record(sink!(sink).max_bytes(2 * bytes)).concurrency(1).build().unwrap();
    let report = process(&processor, &changes).await;
    assert_eq!(sink.ids(), [vec!["a", "b"], vec!["c"], vec!["d", "e"]]);
    assert_eq!(report.counts().succeeded, 5);

    let sink = Sink::new(|_, _| Says::Done);
    let processor =
        StreamProcessor::builder().on_record(sink!(sink).max_bytes(2 * bytes - 1)).concurrency(1).build().unwrap();
    process(&processor, &changes).await;
    assert_eq!(sink.sizes(), [1, 1, 1, 1, 1], "one byte less");
}

#[tokio::test(start_paused = true)]
async fn a_record_that_does_not_decode_fails_alone() {
    let mut changes = inserts(5);
    changes[1] = changes[1].clone().with("/dynamodb/NewImage/version", serde_json::json!({"S": "one"}));
    changes[3] = changes[3].clone().without("/dynamodb/NewImage");
    changes.push(Change::raw("7"));
    let seen = std::sync::Arc::new(std::sync::Mutex::new(Vec::new()));
    let keep = std::sync::Arc::clone(&seen);
    let processor = StreamProcessor::builder()
        .on_insert(bulk(move |changes: Vec<Insert<Order>>| {
            keep.lock().unwrap().push(changes.iter().map(|change| change.new.id.clone()).collect::<Vec<_>>());
            async { BulkFailures::new() }
        }))
        .dead_letter_queue(lambda_streams::MemoryDeadLetterQueue::new())
        .build()
        .unwrap();
    let report = process(&processor, &changes).await;
    assert_eq!(*seen.lock().unwrap(), [["item-0", "item-2", "item-4"]]);
    assert_eq!(outcomes(&report), [Succeeded, DeadLettered, Succeeded, DeadLettered, Succeeded, DeadLettered]);
    let decode = report.records()[1].failure.as_ref().unwrap();
    assert_eq!((decode.kind, report.records()[1].attempts), (ErrorKind::Decode, 1));
    assert!(decode.message.contains("NewImage.version"), "{decode}");
}

#[tokio::test(start_paused = true)]
async fn a_bulk_handler_is_never_called_without_records() {
    let changes: Vec<Change> = inserts(3)
        .into_iter()
        .map(|it| it.with("/dynamodb/NewImage/version", serde_json::json!({"S": "one"})))
        .collect();
    let processor = StreamProcessor::builder()
        .on_insert(bulk(|changes: Vec<Insert<Order>>| async move {
            panic!("called with {} records", changes.len());
            #[expect(unreachable_code, reason = "the type of the answer")]
            Ok::<(), HandlerError>(())
        }))
        .build()
        .unwrap();
    let report = process(&processor, &changes).await;
    assert_eq!(outcomes(&report), [Reported, HeldBack, HeldBack]);
    assert_eq!(report.records()[0].failure.as_ref().unwrap().kind, ErrorKind::Decode);
    assert_eq!(process(&processor, &[]).await.records().len(), 0);
}

#[tokio::test(start_paused = true)]
async fn each_kind_has_its_own_bulks_next_to_handlers_of_one_record() {
    let sink = Sink::new(|_, _| Says::Done);
    let single = std::sync::Arc::new(std::sync::Mutex::new(Vec::new()));
    let keep = std::sync::Arc::clone(&single);
    let processor = StreamProcessor::builder()
        .on_modify(move |change: Modify<Order>| {
            keep.lock().unwrap().push(change.new.id);
            async { Ok(()) }
        })
        .on_record(sink!(sink))
        .build()
        .unwrap();
    let changes = [change(0, "a", 0), change(1, "b", 1), change(2, "a", 1), change(3, "c", 0), change(4, "a", 2)];
    let report = process(&processor, &changes).await;
    assert_eq!(sink.ids(), [["a", "c"]]);
    assert_eq!(*single.lock().unwrap(), ["b", "a", "a"]);
    assert_eq!(report.counts().succeeded, 5);
}

#[tokio::test(start_paused = true)]
async fn a_retried_bulk_is_filled_again() {
    // Concurrency 1 and room for 3: the second bulk has the records that failed, and one more.
    let sink = Sink::new(|call, _| if call == 1 { Says::Fails(vec!["item-0", "item-2"]) } else { Says::Done });
    let processor = StreamProcessor::builder()
        .on_record(sink!(sink).max_records(3))
        .concurrency(1)
        .retry(lambda_streams::RetryPolicy::default().base_delay(Duration::ZERO))
        .build()
        .unwrap();
    let report = process(&processor, &inserts(5)).await;
    assert_eq!(sink.sizes().iter().sum::<usize>(), 7);
    assert_eq!(report.counts().succeeded, 5);
    assert_eq!((report.records()[0].attempts, report.records()[1].attempts, report.records()[2].attempts), (2, 1, 2));
    let of_item_0: Vec<u32> = sink
        .ids()
        .iter()
        .zip(sink.attempts())
        .filter_map(|(ids, attempts)| ids.iter().position(|id| id == "item-0").map(|at| attempts[at]))
        .collect();
    assert_eq!(of_item_0, [1, 2], "the context of a change tells its own attempt");
}

#[tokio::test(start_paused = true)]
async fn what_may_no_longer_begin_is_held_back() {
    // The first bulk is slow, the second reports item-2; what failed in the first and comes after it is not retried.
    let sink = Sink::slow(|call, _| match call {
        1 => (Duration::from_secs(2), Says::Fails(vec!["item-0", "item-5"])),
        2 => (Duration::from_secs(1), Says::Refuses(vec!["item-6"])),
        _ => (Duration::ZERO, Says::Done),
    });
    let processor = StreamProcessor::builder().on_record(sink!(sink).max_records(6)).concurrency(2).build().unwrap();
    let changes = inserts(20);
    let report = process(&processor, &changes).await;
    assert_eq!(sink.ids()[2], ["item-0", "item-5"], "both are before the reported one");
    assert_eq!(
        outcomes(&report)[..8],
        [Succeeded, Succeeded, Succeeded, Succeeded, Succeeded, Succeeded, Reported, Succeeded]
    );
    assert!(outcomes(&report)[12..].iter().all(|outcome| *outcome == HeldBack), "no bulk was started after it");

    let sink = Sink::slow(|call, _| match call {
        1 => (Duration::from_secs(2), Says::Fails(vec!["item-0", "item-2"])),
        2 => (Duration::from_secs(1), Says::Refuses(vec!["item-1"])),
        _ => (Duration::ZERO, Says::Done),
    });
    let changes = [change(0, "item-0", 0), change(1, "item-1", 1), change(2, "item-2", 0)];
    let (inserted, modified) = (sink.clone(), sink.clone());
    let processor = StreamProcessor::builder()
        .on_insert(bulk(move |changes: Vec<Insert<Order>>| {
            std::sync::Arc::new(inserted.clone()).take(changes.into_iter().map(|change| change.record).collect())
        }))
        .on_modify(bulk(move |changes: Vec<Modify<Order>>| {
            std::sync::Arc::new(modified.clone()).take(changes.into_iter().map(|change| change.record).collect())
        }))
        .build()
        .unwrap();
    let report = process(&processor, &changes).await;
    assert_eq!(sink.ids(), [vec!["item-0", "item-2"], vec!["item-1"], vec!["item-0"]]);
    assert_eq!(outcomes(&report), [Succeeded, Reported, HeldBack]);
}

#[tokio::test(start_paused = true)]
async fn a_bulk_that_is_filled_over_several_turns_starts_once() {
    let sink = Sink::new(|_, _| Says::Done);
    let processor = StreamProcessor::builder().on_record(sink!(sink).max_records(10_000)).build().unwrap();
    let report = process(&processor, &inserts(2_000)).await;
    assert_eq!(sink.sizes(), [2_000]);
    assert_eq!(report.counts().succeeded, 2_000);
}

/// Decoding takes a second of the paused clock, without awaiting.
struct Slow;

impl<'de> serde::Deserialize<'de> for Slow {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        serde::de::IgnoredAny::deserialize(deserializer)?;
        let _ = futures::FutureExt::now_or_never(tokio::time::advance(Duration::from_secs(1)));
        Ok(Self)
    }
}

#[tokio::test(start_paused = true)]
async fn a_bulk_that_is_still_being_filled_at_the_stop_does_not_start() {
    let processor = StreamProcessor::builder()
        .on_insert(bulk(|_: Vec<Insert<Slow>>| async { panic!("too late") as BulkFailures }))
        .build()
        .unwrap();
    let report = processor.process(event(&inserts(20)), Deadline::after(Duration::from_secs(1))).await;
    assert!(report.stopped_at_deadline());
    assert!(outcomes(&report).iter().all(|outcome| *outcome == Unfinished));
    assert!(report.records().iter().all(|record| record.attempts == 0), "no handler was called");
}

#[tokio::test(start_paused = true)]
async fn a_bulk_that_takes_long_to_decode_leaves_its_handler_as_much_time() {
    // Else each invocation would decode up to its deadline, and none get further.
    let sizes = Arc::new(Mutex::new(Vec::new()));
    let note = Arc::clone(&sizes);
    let handler = move |changes: Vec<Insert<Slow>>| {
        note.lock().unwrap().push(changes.len());
        async { BulkFailures::new() }
    };
    let processor = StreamProcessor::builder().on_insert(bulk(handler)).build().unwrap();
    let report = processor.process(event(&inserts(20)), Deadline::after(Duration::from_secs(10))).await;
    assert_eq!(*sizes.lock().unwrap(), [5, 2, 1], "of nine seconds, then of four, then of two");
    assert_eq!(report.checkpoint().map(|record| record.position), Some(8));
}

#[tokio::test(start_paused = true)]
async fn a_redrive_has_bulks_as_well() {
    let queue = lambda_streams::MemoryDeadLetterQueue::new();
    let refusing = StreamProcessor::builder()
        .on_record(|_: Record| async { Err(HandlerError::permanent("no")) })
        .dead_letter_queue(queue.clone())
        .build()
        .unwrap();
    process(&refusing, &inserts(3)).await;
    let messages: Vec<_> = queue
        .letters()
        .iter()
        .enumerate()
        .map(|(number, letter)| serde_json::json!({"messageId": format!("m-{number}"), "eventSource": "aws:sqs", "body": letter.to_json()}))
        .collect();
    let event = serde_json::json!({"Records": messages}).to_string();
    let sink = Sink::new(|_, _| Says::Refuses(vec!["item-1"]));
    let processor = StreamProcessor::builder().on_record(sink!(sink)).build().unwrap();
    let event = lambda_streams::DeadLetterEvent::from_slice(event.as_bytes()).unwrap();
    let report = processor.redrive(event, Deadline::none()).await;
    assert_eq!(sink.sizes(), [3]);
    let kept = report.response().unwrap();
    let kept: Vec<_> = kept.batch_item_failures.iter().map(|it| it.item_identifier.clone().unwrap()).collect();
    assert_eq!(kept, ["m-1"]);
}

/// As `Slow`, and panics when it is dropped.
struct SlowBomb(Slow);

impl<'de> serde::Deserialize<'de> for SlowBomb {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Slow::deserialize(deserializer).map(Self)
    }
}

impl Drop for SlowBomb {
    fn drop(&mut self) {
        let _ = &self.0;
        if !std::thread::panicking() {
            panic!("a bug in the drop");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_panic_in_what_a_stopped_bulk_has_decoded_stays_inside() {
    let processor = StreamProcessor::builder()
        .on_insert(bulk(|_: Vec<Insert<SlowBomb>>| async { BulkFailures::new() }))
        .build()
        .unwrap();
    let report = processor.process(event(&inserts(1)), Deadline::after(Duration::from_millis(900))).await;
    assert_eq!(outcomes(&report), [Unfinished], "decoding takes a second, and the processor has stopped by then");
}
