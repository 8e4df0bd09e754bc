//! The order of an item within and between bulks.

use std::time::Duration;

use lambda_streams::Outcome::*;
use lambda_streams::{
    AfterDeadLetter, Deadline, ErrorKind, FailurePolicy, Lanes, MemoryDeadLetterQueue, RetryPolicy, StreamProcessor,
};

use super::{Says, Sink, sink};
use crate::support::{Change, change, event, inserts, outcomes, process};

/// Versions 0 to 3 of `a` and of `b`, interleaved.
fn two_items() -> Vec<Change> {
    (0..8).map(|number| change(number, ["a", "b"][number % 2], (number / 2) as u32)).collect()
}

fn of_item(sink: &Sink, id: &str) -> Vec<u32> {
    sink.calls().concat().into_iter().filter(|(item, _)| item == id).map(|(_, version)| version).collect()
}

#[tokio::test(start_paused = true)]
async fn a_bulk_has_one_record_of_each_lane() {
    let sink = Sink::slow(|_, _| (Duration::from_secs(1), Says::Done));
    let processor = StreamProcessor::builder().on_record(sink!(sink)).build().unwrap();
    let report = process(&processor, &two_items()).await;
    assert_eq!(sink.ids(), vec![["a", "b"]; 4]);
    assert_eq!(sink.versions(), [[0, 0], [1, 1], [2, 2], [3, 3]]);
    assert_eq!(report.counts().succeeded, 8);
}

#[tokio::test(start_paused = true)]
async fn the_next_record_of_a_lane_waits_for_a_retry() {
    let sink = Sink::new(|call, _| if call == 1 { Says::Fails(vec!["a"]) } else { Says::Done });
    let processor = StreamProcessor::builder().on_record(sink!(sink)).build().unwrap();
    process(&processor, &two_items()).await;
    assert_eq!(of_item(&sink, "a"), [0, 0, 1, 2, 3]);
    assert_eq!(of_item(&sink, "b"), [0, 1, 2, 3]);
}

#[tokio::test(start_paused = true)]
async fn within_a_lane_consecutive_records_share_a_bulk() {
    let sink = Sink::new(|_, _| Says::Done);
    let processor = StreamProcessor::builder().on_record(sink!(sink).within_lane()).build().unwrap();
    let report = process(&processor, &two_items()).await;
    assert_eq!(sink.versions(), [[0, 0, 1, 1, 2, 2, 3, 3]]);
    assert_eq!(report.counts().succeeded, 8);

    // Also under one lane for the whole batch, and up to the limit.
    let sink = Sink::new(|_, _| Says::Done);
    let processor = StreamProcessor::builder()
        .on_record(sink!(sink).within_lane().max_records(3))
        .lanes(Lanes::WholeBatch)
        .build()
        .unwrap();
    process(&processor, &two_items()).await;
    assert_eq!(sink.versions(), [vec![0, 0, 1], vec![1, 2, 2], vec![3, 3]]);
}

#[tokio::test(start_paused = true)]
async fn within_a_lane_the_payload_is_read_until_the_bulk_is_full() {
    let sink = Sink::new(|_, _| Says::Done);
    let processor = StreamProcessor::builder().on_record(sink!(sink).within_lane()).build().unwrap();
    let changes: Vec<Change> = (0..250).map(|number| change(number, "a", number as u32)).collect();
    process(&processor, &changes).await;
    assert_eq!(sink.sizes(), [100, 100, 50]);
    assert_eq!(of_item(&sink, "a"), (0..250).collect::<Vec<_>>());
}

#[tokio::test(start_paused = true)]
async fn what_comes_after_a_failure_in_its_lane_is_not_done() {
    // The sink fails version 1 of `a` once, and says `Ok` of versions 2 and 3.
    let failed = std::sync::atomic::AtomicBool::new(false);
    let changes: Vec<Change> = two_items();
    let journal = std::sync::Arc::new(std::sync::Mutex::new(Vec::new()));
    let keep = std::sync::Arc::clone(&journal);
    let failed = std::sync::Arc::new(failed);
    let handler = move |records: Vec<lambda_streams::Record>| {
        let seen: Vec<_> = records.iter().map(crate::support::about).collect();
        let attempts: Vec<u32> = records.iter().map(|record| record.context().attempt()).collect();
        keep.lock().unwrap().push((seen.clone(), attempts));
        let fails = !failed.swap(true, std::sync::atomic::Ordering::SeqCst);
        let answer =
            |about: &(String, u32)| if fails && *about == ("a".to_owned(), 1) { Err("busy".into()) } else { Ok(()) };
        let answers: Vec<Result<(), lambda_streams::HandlerError>> = seen.iter().map(answer).collect();
        async move { answers }
    };
    let processor = StreamProcessor::builder().on_record(lambda_streams::bulk(handler).within_lane()).build().unwrap();
    let report = process(&processor, &changes).await;
    let calls = journal.lock().unwrap().clone();
    let again: Vec<(String, u32)> = [1, 2, 3].map(|version| ("a".to_owned(), version)).into();
    assert_eq!(calls[1], (again, vec![2, 1, 1]), "they count no attempt");
    assert_eq!(report.counts().succeeded, 8);
    let attempts: Vec<u32> = report.records().iter().map(|record| record.attempts).collect();
    assert_eq!(attempts, [1, 1, 2, 1, 1, 1, 1, 1]);
}

#[tokio::test(start_paused = true)]
async fn a_reported_record_holds_back_the_rest_of_its_lane_in_the_bulk() {
    let sink =
        Sink::new(|_, seen| if seen.iter().any(|(id, _)| id == "a") { Says::Fails(vec!["a"]) } else { Says::Done });
    let processor =
        StreamProcessor::builder().on_record(sink!(sink).within_lane()).retry(RetryPolicy::none()).build().unwrap();
    let report = process(&processor, &two_items()).await;
    assert_eq!(sink.sizes(), [8]);
    assert_eq!(outcomes(&report), [Reported, Succeeded, HeldBack, Succeeded, HeldBack, Succeeded, HeldBack, Succeeded]);
    assert_eq!(report.records()[2].attempts, 0);
}

#[tokio::test(start_paused = true)]
async fn the_rest_of_a_lane_follows_a_dead_letter_out_of_a_bulk() {
    let queue = MemoryDeadLetterQueue::new();
    let sink = Sink::new(|_, seen| match seen.first() {
        Some((id, 0)) if id == "a" => Says::Refuses(vec!["a"]),
        _ => Says::Done,
    });
    let processor = StreamProcessor::builder()
        .on_record(sink!(sink).within_lane())
        .after_dead_letter(AfterDeadLetter::FollowLane)
        .dead_letter_queue(queue.clone())
        .build()
        .unwrap();
    let report = process(&processor, &two_items()).await;
    assert_eq!(sink.sizes(), [8]);
    let kinds: Vec<ErrorKind> = queue.letters().iter().map(lambda_streams::DeadLetter::error_kind).collect();
    assert_eq!(kinds, [ErrorKind::Handler, ErrorKind::Predecessor, ErrorKind::Predecessor, ErrorKind::Predecessor]);
    assert_eq!((report.counts().succeeded, report.counts().dead_lettered), (4, 4));
}

#[tokio::test(start_paused = true)]
async fn a_dead_letter_in_a_bulk_lets_its_lane_go_on() {
    let queue = MemoryDeadLetterQueue::new();
    let sink = Sink::new(|call, _| if call == 1 { Says::Refuses(vec!["a"]) } else { Says::Done });
    let processor = StreamProcessor::builder()
        .on_record(sink!(sink).within_lane())
        .dead_letter_queue(queue.clone())
        .build()
        .unwrap();
    let report = process(&processor, &two_items()).await;
    assert_eq!((sink.versions()[1].clone(), queue.letters().len()), (vec![1, 2, 3], 1));
    assert_eq!((report.counts().succeeded, report.counts().dead_lettered), (7, 1));
}

/// One item, whose version 5 no bulk goes through with.
fn one_long_lane() -> (Vec<Change>, Sink) {
    let changes = (0..8).map(|number| change(number, "a", number as u32)).collect();
    let sink =
        Sink::new(|_, seen| if seen.iter().any(|(_, version)| *version == 5) { Says::Invalid } else { Says::Done });
    (changes, sink)
}

#[tokio::test(start_paused = true)]
async fn halves_keep_the_order_of_a_lane() {
    let (changes, sink) = one_long_lane();
    let queue = MemoryDeadLetterQueue::new();
    let processor = StreamProcessor::builder()
        .on_record(sink!(sink).within_lane())
        .dead_letter_queue(queue.clone())
        .build()
        .unwrap();
    let report = process(&processor, &changes).await;
    let all: Vec<u32> = (0..8).collect();
    assert_eq!(sink.versions()[..5], [all, vec![0, 1, 2, 3], vec![4, 5, 6, 7], vec![4, 5], vec![4]]);
    assert_eq!(sink.versions()[5..].concat(), [5, 6, 7], "5 fails alone before 6 and 7 go");
    assert_eq!((report.counts().succeeded, report.counts().dead_lettered), (7, 1));
    assert_eq!(queue.letters()[0].sequence_number().map(ToString::to_string), Some(crate::support::sequence_number(5)));
}

#[tokio::test(start_paused = true)]
async fn the_rest_of_a_lane_follows_a_dead_letter_out_of_its_half() {
    let (changes, sink) = one_long_lane();
    let queue = MemoryDeadLetterQueue::new();
    let processor = StreamProcessor::builder()
        .on_record(sink!(sink).within_lane())
        .after_dead_letter(AfterDeadLetter::FollowLane)
        .dead_letter_queue(queue.clone())
        .build()
        .unwrap();
    let report = process(&processor, &changes).await;
    assert_eq!((report.counts().succeeded, report.counts().dead_lettered), (5, 3));
    let last: Vec<u32> = sink.versions().concat();
    assert_eq!(last[last.len() - 1], 5, "6 and 7 are not handed over again");
}

#[tokio::test(start_paused = true)]
async fn a_lane_that_is_retried_waits_for_its_first_record() {
    // The whole bulk fails twice. The records of a lane stay together and in order.
    let sink = Sink::new(|call, _| if call <= 2 { Says::Down } else { Says::Done });
    let processor = StreamProcessor::builder().on_record(sink!(sink).within_lane()).build().unwrap();
    let report = process(&processor, &two_items()).await;
    assert_eq!(sink.versions(), vec![[0, 0, 1, 1, 2, 2, 3, 3]; 3]);
    assert!(report.records().iter().all(|record| (record.outcome, record.attempts) == (Succeeded, 3)));
}

#[tokio::test(start_paused = true)]
async fn an_undecodable_record_waits_for_its_lane_before_it_fails() {
    let queue = MemoryDeadLetterQueue::new();
    let mut changes: Vec<Change> = (0..4).map(|number| change(number, "a", number as u32)).collect();
    changes[2] = changes[2].clone().with("/dynamodb/NewImage/version", serde_json::json!({"S": "two"}));
    let seen = std::sync::Arc::new(std::sync::Mutex::new(Vec::new()));
    let keep = std::sync::Arc::clone(&seen);
    let handler = move |changes: Vec<lambda_streams::Change<crate::support::Order>>| {
        let versions: Vec<u32> = changes.iter().map(|change| change.new.as_ref().unwrap().version).collect();
        keep.lock().unwrap().push(versions);
        async { lambda_streams::BulkFailures::new() }
    };
    let processor = StreamProcessor::builder()
        .on_change(lambda_streams::bulk(handler).within_lane())
        .dead_letter_queue(queue.clone())
        .build()
        .unwrap();
    let report = process(&processor, &changes).await;
    assert_eq!(*seen.lock().unwrap(), [vec![0, 1], vec![3]]);
    assert_eq!(outcomes(&report), [Succeeded, Succeeded, DeadLettered, Succeeded]);
    assert_eq!(report.records()[2].attempts, 1);
}

#[tokio::test(start_paused = true)]
async fn a_lane_in_flight_stays_out_of_other_bulks() {
    let sink = Sink::slow(|call, _| (Duration::from_secs(if call == 1 { 5 } else { 1 }), Says::Done));
    let processor = StreamProcessor::builder().on_record(sink!(sink).max_records(2).within_lane()).build().unwrap();
    let changes: Vec<Change> =
        (0..6).map(|number| change(number, ["a", "a", "a", "b", "a", "b"][number], number as u32)).collect();
    let report = processor.process(event(&changes), Deadline::none()).await;
    assert_eq!(sink.ids(), [vec!["a", "a"], vec!["b", "b"], vec!["a", "a"]]);
    assert_eq!(sink.began()[2], Duration::from_secs(5));
    assert_eq!(report.counts().succeeded, 6);
}

#[tokio::test(start_paused = true)]
async fn what_does_not_decode_in_a_half_counts_no_attempt_before_its_turn() {
    static DECODED: std::sync::atomic::AtomicUsize = std::sync::atomic::AtomicUsize::new(0);
    struct Fickle;
    impl<'de> serde::Deserialize<'de> for Fickle {
        fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            serde::de::IgnoredAny::deserialize(deserializer)?;
            // The fifth and sixth are those of the first half.
            match DECODED.fetch_add(1, std::sync::atomic::Ordering::SeqCst) {
                5 => Err(serde::de::Error::custom("not this time")),
                _ => Ok(Self),
            }
        }
    }
    let handler = |changes: Vec<lambda_streams::Insert<Fickle>>| async move {
        if changes.len() == 4 { Err(lambda_streams::HandlerError::permanent("too many")) } else { Ok(()) }
    };
    let processor = StreamProcessor::builder().on_insert(lambda_streams::bulk(handler).within_lane()).build().unwrap();
    let changes: Vec<Change> = (0..4).map(|number| change(number, "a", 0)).collect();
    let report = process(&processor, &changes).await;
    assert_eq!(outcomes(&report), [Succeeded; 4]);
    let attempts: Vec<u32> = report.records().iter().map(|record| record.attempts).collect();
    assert_eq!(attempts, [1; 4]);
}

#[tokio::test(start_paused = true)]
async fn what_follows_a_halved_record_in_its_lane_is_halved_with_it() {
    // The first change of the item is the last of the first bulk. It has failed before when the second one joins it.
    let sink = Sink::slow(|call, _| {
        let says = match call {
            1 => Says::Fails(vec!["a"]),
            2 => Says::Down,
            3 => Says::Invalid,
            _ => Says::Done,
        };
        (Duration::from_secs(1), says)
    });
    let queue = MemoryDeadLetterQueue::new();
    let processor = StreamProcessor::builder()
        .on_record(sink!(sink).max_records(64).within_lane())
        .retry(RetryPolicy::default().max_attempts(2).base_delay(Duration::from_millis(10)))
        .failure_policy(FailurePolicy::DeadLetterAll)
        .dead_letter_queue(queue.clone())
        .build()
        .unwrap();
    let mut changes = inserts(63);
    changes.extend([change(63, "a", 0), change(64, "a", 1)]);
    let report = process(&processor, &changes).await;
    assert_eq!(sink.versions()[1..], [vec![0, 1], vec![0], vec![1]]);
    assert_eq!(sink.most_running(), 1, "a lane is in one call at a time");
    assert_eq!((queue.letters().len(), report.outcomes()[64]), (1, Succeeded));
}
