//! The latest of an item's changes stands for those before it.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use lambda_streams::Outcome::*;
use lambda_streams::{
    AfterDeadLetter, Deadline, Entity, FailurePolicy, HandlerError, Lanes, MemoryDeadLetterQueue, Outcome, Record,
    RetryPolicy, SkipReason, StreamProcessor,
};

use super::{Says, Sink, sink};
use crate::support::{Change, change, checkpoint, event, outcomes, process};

const SUPERSEDED: Outcome = Skipped(SkipReason::Superseded);

fn versions(id: &str, numbers: std::ops::Range<usize>) -> Vec<Change> {
    numbers.map(|number| change(number, id, number as u32)).collect()
}

#[tokio::test(start_paused = true)]
async fn the_latest_change_is_handed_over_and_the_others_are_superseded() {
    let sink = Sink::new(|_, _| Says::Done);
    let processor = StreamProcessor::builder().on_record(sink!(sink).latest_only()).build().unwrap();
    let changes: Vec<Change> =
        (0..9).map(|number| change(number, ["a", "b", "c"][number % 3], (number / 3) as u32)).collect();
    let report = process(&processor, &changes).await;
    assert_eq!((sink.ids(), sink.versions()), (vec![vec!["a".into(), "b".into(), "c".into()]], vec![vec![2, 2, 2]]));
    assert_eq!(outcomes(&report)[..6], [SUPERSEDED; 6]);
    assert_eq!(outcomes(&report)[6..], [Succeeded; 3]);
    let counts = report.counts();
    assert_eq!((counts.superseded, counts.skipped, counts.succeeded), (6, 6, 3));
    assert!(report.checkpoint().is_none());
}

#[tokio::test(start_paused = true)]
async fn a_run_ends_where_it_must_not_continue() {
    // In one lane for the batch, only consecutive changes of one item are a run.
    let sink = Sink::new(|_, _| Says::Done);
    let processor = StreamProcessor::builder()
        .on_record(sink!(sink).latest_only().within_lane())
        .lanes(Lanes::WholeBatch)
        .build()
        .unwrap();
    let ids = ["a", "a", "b", "a", "a", "a"];
    let changes: Vec<Change> = (0..6).map(|number| change(number, ids[number], number as u32)).collect();
    let report = process(&processor, &changes).await;
    assert_eq!(sink.versions(), [[1, 2, 5]]);
    assert_eq!(outcomes(&report), [SUPERSEDED, Succeeded, Succeeded, SUPERSEDED, SUPERSEDED, Succeeded]);

    // A change that goes to another handler ends it.
    let sink = Sink::new(|_, _| Says::Done);
    let singles = Arc::new(Mutex::new(0));
    let count = Arc::clone(&singles);
    let processor = StreamProcessor::builder()
        .on_insert(move |_: lambda_streams::Insert<serde::de::IgnoredAny>| {
            *count.lock().unwrap() += 1;
            async { Ok(()) }
        })
        .on_record(sink!(sink).latest_only())
        .build()
        .unwrap();
    let changes = [change(0, "a", 1), change(1, "a", 2), change(2, "a", 0), change(3, "a", 3), change(4, "a", 4)];
    process(&processor, &changes).await;
    assert_eq!((sink.versions(), *singles.lock().unwrap()), (vec![vec![2], vec![4]], 1));
}

#[tokio::test(start_paused = true)]
async fn what_is_superseded_waits_for_the_latest_to_be_finished() {
    let sink = Sink::slow(|_, _| (Duration::from_secs(30), Says::Done));
    let processor = StreamProcessor::builder().on_record(sink!(sink).latest_only()).build().unwrap();
    let report = processor.process(event(&versions("a", 0..3)), Deadline::after(Duration::from_secs(10))).await;
    assert_eq!(outcomes(&report), [Unfinished; 3], "the deadline stops the call");
    assert_eq!(report.checkpoint().map(|record| record.position), Some(0));
}

#[tokio::test(start_paused = true)]
async fn what_is_superseded_is_reported_with_the_latest() {
    let sink = Sink::new(|_, _| Says::Refuses(vec!["a"]));
    let processor = StreamProcessor::builder().on_record(sink!(sink).latest_only()).build().unwrap();
    let mut changes = vec![change(9, "b", 0)];
    changes.extend(versions("a", 1..4));
    let report = process(&processor, &changes).await;
    assert_eq!(outcomes(&report), [Succeeded, Reported, Reported, Reported]);
    assert_eq!(report.checkpoint().map(|record| record.position), Some(1));
    assert_eq!(report.records()[1].failure.as_ref().unwrap().message, "refused");
    assert_eq!(report.records()[1].attempts, 0, "it was not handed over");
}

#[tokio::test(start_paused = true)]
async fn a_dead_letter_says_how_many_it_superseded() {
    let queue = MemoryDeadLetterQueue::new();
    let sink = Sink::new(|call, _| if call == 1 { Says::Refuses(vec!["a"]) } else { Says::Done });
    let processor = StreamProcessor::builder()
        .on_record(sink!(sink).latest_only())
        .dead_letter_queue(queue.clone())
        .build()
        .unwrap();
    let report = process(&processor, &versions("a", 0..4)).await;
    assert_eq!(outcomes(&report), [SUPERSEDED, SUPERSEDED, SUPERSEDED, DeadLettered]);
    let letters = queue.letters();
    assert_eq!((letters.len(), letters[0].superseded()), (1, 3));
    let json = letters[0].to_json();
    assert!(json.contains(r#""superseded":3"#), "{json}");
    assert_eq!(lambda_streams::DeadLetter::from_json(&json).unwrap().superseded(), 3);
}

#[tokio::test(start_paused = true)]
async fn a_dead_letter_that_is_refused_reports_what_it_superseded() {
    let sink = Sink::new(|_, _| Says::Refuses(vec!["a"]));
    let processor = StreamProcessor::builder()
        .on_record(sink!(sink).latest_only())
        .dead_letter_queue(crate::support::TestQueue::new(crate::support::Reply::Refuse))
        .build()
        .unwrap();
    let report = process(&processor, &versions("a", 0..3)).await;
    assert_eq!(outcomes(&report), [Reported; 3]);
    assert_eq!(report.checkpoint().map(|record| record.position), Some(0));
}

#[tokio::test(start_paused = true)]
async fn the_lane_goes_on_after_its_latest() {
    // Records that are read only after the first run has ended.
    let sink = Sink::new(|_, _| Says::Done);
    let processor =
        StreamProcessor::builder().on_record(sink!(sink).latest_only().max_records(1)).concurrency(1).build().unwrap();
    let report = process(&processor, &versions("a", 0..200)).await;
    assert_eq!(sink.versions().concat().last(), Some(&199));
    assert!(report.records().iter().all(|record| record.outcome.is_done()), "{:?}", report.counts());

    let queue = MemoryDeadLetterQueue::new();
    let sink = Sink::new(|_, _| Says::Refuses(vec!["a"]));
    let processor = StreamProcessor::builder()
        .on_record(sink!(sink).latest_only().max_records(1))
        .after_dead_letter(AfterDeadLetter::FollowLane)
        .dead_letter_queue(queue.clone())
        .build()
        .unwrap();
    let report = process(&processor, &versions("a", 0..200)).await;
    assert_eq!(report.counts().dead_lettered + report.counts().superseded, 200);
}

#[tokio::test(start_paused = true)]
async fn a_retry_takes_the_latest_change_of_that_time() {
    // The item has one more change by then: it stands for the one that failed.
    let sink = Sink::slow(|call, _| {
        if call == 1 { (Duration::from_secs(1), Says::Fails(vec!["a"])) } else { (Duration::ZERO, Says::Done) }
    });
    let processor = StreamProcessor::builder()
        .on_record(sink!(sink).latest_only())
        .retry(RetryPolicy::default().base_delay(Duration::from_millis(1)))
        .build()
        .unwrap();
    let report = process(&processor, &versions("a", 0..3)).await;
    assert_eq!(sink.versions(), [[2], [2]]);
    assert_eq!(outcomes(&report), [SUPERSEDED, SUPERSEDED, Succeeded]);
    assert_eq!(report.records()[2].attempts, 2);
    assert!(report.records()[0].failure.is_none());
}

#[tokio::test(start_paused = true)]
async fn where_the_latest_does_not_decode_the_one_before_it_is_handed_over() {
    let queue = MemoryDeadLetterQueue::new();
    let mut changes = versions("a", 0..5);
    for undecodable in [3, 4] {
        changes[undecodable] =
            changes[undecodable].clone().with("/dynamodb/NewImage/version", serde_json::json!({"S": "x"}));
    }
    let seen = Arc::new(Mutex::new(Vec::new()));
    let keep = Arc::clone(&seen);
    let handler = move |changes: Vec<lambda_streams::Change<crate::support::Order>>| {
        let versions: Vec<u32> = changes.iter().map(|change| change.new.as_ref().unwrap().version).collect();
        keep.lock().unwrap().push(versions);
        async { lambda_streams::BulkFailures::new() }
    };
    let processor = StreamProcessor::builder()
        .on_change(lambda_streams::bulk(handler).latest_only())
        .dead_letter_queue(queue.clone())
        .build()
        .unwrap();
    let report = process(&processor, &changes).await;
    assert_eq!(*seen.lock().unwrap(), [[2]]);
    assert_eq!(outcomes(&report), [SUPERSEDED, SUPERSEDED, Succeeded, DeadLettered, DeadLettered]);
    assert_eq!(report.records().iter().map(|record| record.attempts).collect::<Vec<_>>(), [0, 0, 1, 1, 1]);
    assert_eq!(queue.letters().iter().map(lambda_streams::DeadLetter::superseded).collect::<Vec<_>>(), [0, 0]);
}

#[tokio::test(start_paused = true)]
async fn a_record_is_decoded_at_most_twice_however_many_do_not_decode() {
    static DECODED: std::sync::atomic::AtomicUsize = std::sync::atomic::AtomicUsize::new(0);
    struct Never;
    impl<'de> serde::Deserialize<'de> for Never {
        fn deserialize<D: serde::Deserializer<'de>>(_: D) -> Result<Self, D::Error> {
            DECODED.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
            Err(serde::de::Error::custom("no"))
        }
    }
    let handler = |_: Vec<lambda_streams::Change<Never>>| async { lambda_streams::BulkFailures::new() };
    let processor = StreamProcessor::builder()
        .on_change(lambda_streams::bulk(handler).latest_only())
        .dead_letter_queue(MemoryDeadLetterQueue::new())
        .build()
        .unwrap();
    let report = process(&processor, &versions("a", 0..500)).await;
    assert_eq!(report.counts().dead_lettered, 500);
    let decoded = DECODED.load(std::sync::atomic::Ordering::SeqCst);
    assert!(decoded <= 1_000, "{decoded}");
}

#[tokio::test(start_paused = true)]
async fn a_failed_latest_at_the_deadline_takes_its_run_along() {
    for (policy, expected) in [
        (FailurePolicy::DeadLetterAll, [SUPERSEDED, SUPERSEDED, DeadLettered]),
        (FailurePolicy::ReportAll, [Reported; 3]),
    ] {
        let queue = MemoryDeadLetterQueue::new();
        let sink = Sink::new(|_, _| Says::After(vec![("a", Duration::from_secs(8))]));
        let builder = StreamProcessor::builder()
            .on_record(sink!(sink).latest_only())
            .failure_policy(policy)
            .retry(RetryPolicy::default().max_attempts(10));
        let builder =
            if policy == FailurePolicy::ReportAll { builder } else { builder.dead_letter_queue(queue.clone()) };
        let processor = builder.build().unwrap();
        let report = processor.process(event(&versions("a", 0..3)), Deadline::after(Duration::from_secs(10))).await;
        assert_eq!(outcomes(&report), expected, "{policy:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_superseded_record_is_not_handled_when_it_is_redelivered() {
    // `b` is reported, so Lambda delivers everything again: `a` must not go back to an older version.
    let sink = Sink::new(|call, _| if call == 1 { Says::Refuses(vec!["b"]) } else { Says::Done });
    let processor = StreamProcessor::builder().on_record(sink!(sink).latest_only()).build().unwrap();
    let mut changes = vec![change(0, "b", 0)];
    changes.extend(versions("a", 1..4));
    let report = process(&processor, &changes).await;
    assert_eq!(outcomes(&report), [Reported, SUPERSEDED, SUPERSEDED, Succeeded]);
    let report = process(&processor, &changes).await;
    let redelivered = Skipped(SkipReason::Redelivered);
    assert_eq!(outcomes(&report), [Succeeded, redelivered, redelivered, redelivered]);
    assert_eq!(sink.versions(), [vec![0, 3], vec![0]]);
}

#[tokio::test(start_paused = true)]
async fn halves_keep_a_run_together() {
    let queue = MemoryDeadLetterQueue::new();
    let sink = Sink::new(|_, seen| if seen.iter().any(|(id, _)| id == "c") { Says::Invalid } else { Says::Done });
    let processor = StreamProcessor::builder()
        .on_record(sink!(sink).latest_only())
        .dead_letter_queue(queue.clone())
        .build()
        .unwrap();
    let changes: Vec<Change> =
        (0..8).map(|number| change(number, ["a", "b", "c", "d"][number % 4], (number / 4) as u32)).collect();
    let report = process(&processor, &changes).await;
    assert_eq!(outcomes(&report)[..4], [SUPERSEDED; 4]);
    assert_eq!(outcomes(&report)[4..], [Succeeded, Succeeded, DeadLettered, Succeeded]);
    assert_eq!(queue.letters()[0].superseded(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_run_whose_latest_is_held_back_goes_on_without_it() {
    // `b` is reported while the run of `a` is in its first call: `a`'s first change is before it, and its second one after it.
    let sink = Sink::slow(|call, seen| match (seen[0].0.as_str(), call) {
        ("b", _) => (Duration::ZERO, Says::Refuses(vec!["b"])),
        (_, 1) => (Duration::from_secs(1), Says::Fails(vec!["a"])),
        _ => (Duration::ZERO, Says::Done),
    });
    let processor = StreamProcessor::builder().on_record(sink!(sink).latest_only().max_records(1)).build().unwrap();
    let report = process(&processor, &[change(0, "a", 0), change(1, "b", 0), change(2, "a", 1)]).await;
    assert_eq!(sink.versions(), [[1], [0], [0]]);
    assert_eq!((outcomes(&report), checkpoint(&report)), (vec![Succeeded, Reported, HeldBack], Some(1)));
}

#[tokio::test(start_paused = true)]
async fn a_run_is_given_up_once_its_first_change_is_old() {
    // Otherwise an item that changes often would never be given up, and Lambda would discard its old changes and those after them.
    let queue = MemoryDeadLetterQueue::new();
    let sink = Sink::new(|_, _| Says::Fails(vec!["a"]));
    let processor = StreamProcessor::builder()
        .on_record(sink!(sink).latest_only())
        .retry(RetryPolicy::none())
        .dead_letter_queue(queue.clone())
        .build()
        .unwrap();
    let report = process(&processor, &[change(0, "a", 1).aged(7 * 3_600), change(1, "a", 2).aged(1)]).await;
    assert_eq!(outcomes(&report), [SUPERSEDED, DeadLettered]);
    assert_eq!(queue.letters()[0].superseded(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_redrive_hands_over_each_change() {
    // A queue may return the letters of an item in any order: the last of them need not be the latest change.
    let queue = MemoryDeadLetterQueue::new();
    let refusing = StreamProcessor::builder()
        .on_record(|_: Record| async { Err(HandlerError::permanent("no")) })
        .dead_letter_queue(queue.clone())
        .build()
        .unwrap();
    process(&refusing, &versions("a", 1..3)).await;
    let message = |(number, letter): (usize, &lambda_streams::DeadLetter)| serde_json::json!({"messageId": format!("m-{number}"), "eventSource": "aws:sqs", "body": letter.to_json()});
    let messages: Vec<_> = queue.letters().iter().rev().enumerate().map(message).collect();
    let event = serde_json::json!({"Records": messages}).to_string();
    let sink = Sink::new(|_, _| Says::Done);
    let processor = StreamProcessor::builder().on_record(sink!(sink).latest_only()).build().unwrap();
    let event = lambda_streams::DeadLetterEvent::from_slice(event.as_bytes()).unwrap();
    let report = processor.redrive(event, Deadline::none()).await;
    assert_eq!(sink.versions(), [[2], [1]]);
    assert_eq!(outcomes(report.batch()), [Succeeded; 2]);
}

/// Decoding takes a millisecond of the paused clock, without awaiting, and fails.
struct SlowlyRefused;

impl<'de> serde::Deserialize<'de> for SlowlyRefused {
    fn deserialize<D: serde::Deserializer<'de>>(_: D) -> Result<Self, D::Error> {
        let _ = futures::FutureExt::now_or_never(tokio::time::advance(Duration::from_millis(1)));
        Err(serde::de::Error::custom("no"))
    }
}

#[tokio::test(start_paused = true)]
async fn a_long_run_that_does_not_decode_keeps_neither_the_thread_nor_the_batch_beyond_its_stop() {
    let handler = |_: Vec<lambda_streams::Change<SlowlyRefused>>| async { lambda_streams::BulkFailures::new() };
    let processor = StreamProcessor::builder()
        .on_change(lambda_streams::bulk(handler).latest_only())
        .deadline_margin(Duration::from_millis(100))
        .build()
        .unwrap();
    let event = event(&versions("a", 0..500));
    let begun = tokio::time::Instant::now();
    let mut processing = std::pin::pin!(processor.process(event, Deadline::after(Duration::from_millis(300))));
    let mut longest = Duration::ZERO;
    let report = std::future::poll_fn(|context| {
        let polled_at = tokio::time::Instant::now();
        let polled = processing.as_mut().poll(context);
        longest = longest.max(polled_at.elapsed());
        polled
    });
    let report = report.await;
    assert!(report.stopped_at_deadline() && begun.elapsed() < Duration::from_millis(220), "{:?}", begun.elapsed());
    assert!(longest < Duration::from_millis(20), "{longest:?}");
}

#[tokio::test(start_paused = true)]
async fn a_failed_latest_that_waits_for_a_permit_at_the_deadline_takes_its_run_along() {
    // The only permit goes to the first record's second attempt, which hangs.
    let sink = Sink::slow(|_, _| (Duration::from_millis(200), Says::Down));
    let first = |record: Record| async move {
        if record.context().attempt() == 1 {
            Err::<(), HandlerError>("busy".into())
        } else {
            std::future::pending().await
        }
    };
    let retry = RetryPolicy::default().base_delay(Duration::from_millis(10)).max_delay(Duration::from_millis(10));
    let processor = StreamProcessor::builder()
        .entity(Entity::key_prefix("id", "first"), |it| it.on_record(first))
        .on_record(sink!(sink).latest_only())
        .concurrency(1)
        .retry(retry)
        .build()
        .unwrap();
    let changes = [change(0, "first", 0), change(1, "a", 0), change(2, "a", 1), change(3, "a", 2)];
    let report = processor.process(event(&changes), Deadline::after(Duration::from_secs(10))).await;
    assert_eq!(outcomes(&report), [Reported; 4]);
    assert_eq!(sink.versions(), [[2]]);
}
