//! A bulk that fails as a whole condemns no record: it is retried or halved, until the record that it fails for is found.

use std::sync::Arc;
use std::time::Duration;

use lambda_streams::Outcome::*;
use lambda_streams::{
    Deadline, ErrorKind, FailurePolicy, HandlerError, Insert, MemoryDeadLetterQueue, Modify, Outcome, RetryPolicy,
    StreamProcessor, bulk,
};

use super::{Says, Sink, sink};
use crate::support::{Change, Order, change, event, inserts, outcomes, process};

/// A sink that says this of every bulk with one of these records, and takes all others.
fn poisoned(ids: &'static [&'static str], says: Says) -> Sink {
    Sink::new(
        move |_, seen| if seen.iter().any(|(id, _)| ids.contains(&id.as_str())) { says.clone() } else { Says::Done },
    )
}

fn expected(count: usize, poison: &[usize], outcome: Outcome) -> Vec<Outcome> {
    (0..count).map(|position| if poison.contains(&position) { outcome } else { Succeeded }).collect()
}

#[tokio::test(start_paused = true)]
async fn a_permanent_failure_or_a_panic_finds_its_record() {
    for says in [Says::Invalid, Says::Panics] {
        let queue = MemoryDeadLetterQueue::new();
        let sink = poisoned(&["item-37", "item-90"], says.clone());
        let processor =
            StreamProcessor::builder().on_record(sink!(sink)).dead_letter_queue(queue.clone()).build().unwrap();
        let report = process(&processor, &inserts(100)).await;
        assert_eq!(outcomes(&report), expected(100, &[37, 90], DeadLettered), "{says:?}");
        let letters: Vec<_> = queue.letters().iter().map(|letter| letter.event_id().unwrap().to_owned()).collect();
        assert_eq!(letters, ["event-37", "event-90"]);
        assert_eq!(sink.sizes()[..3], [100, 50, 25], "it is halved at once, and the lower half comes first");
        assert!(report.records().iter().all(|record| record.attempts == 1), "halving counts as no attempt");
        assert_eq!(sink.began().last(), Some(&Duration::ZERO), "and waits for no backoff");
        let most = (0..100).map(|number| sink.calls_with(&format!("item-{number}"))).max();
        assert!(
            most.is_some_and(|most| (2..=8).contains(&most)),
            "at most log2 of 100, rounded up, and one more: {most:?}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_record_is_not_handed_over_again_after_its_success() {
    let sink = poisoned(&["item-6"], Says::Invalid);
    let processor = StreamProcessor::builder()
        .on_record(sink!(sink))
        .dead_letter_queue(MemoryDeadLetterQueue::new())
        .build()
        .unwrap();
    process(&processor, &inserts(8)).await;
    let calls = sink.ids();
    let text: Vec<String> =
        calls.iter().map(|ids| ids.iter().map(|id| &id[5..]).collect::<Vec<_>>().join(" ")).collect();
    assert_eq!(text, ["0 1 2 3 4 5 6 7", "0 1 2 3", "4 5 6 7", "4 5", "6 7", "6", "7"]);
}

#[tokio::test(start_paused = true)]
async fn without_a_queue_only_the_record_itself_is_reported() {
    let sink = poisoned(&["item-2"], Says::Invalid);
    let processor = StreamProcessor::builder().on_record(sink!(sink)).build().unwrap();
    let report = process(&processor, &inserts(4)).await;
    assert_eq!(sink.sizes(), [4, 2, 2, 1], "item-3 does not start after the reported one");
    assert_eq!(outcomes(&report), [Succeeded, Succeeded, Reported, HeldBack]);
    assert_eq!(report.checkpoint().map(|record| record.position), Some(2));
}

#[tokio::test(start_paused = true)]
async fn a_retryable_failure_is_retried_whole_and_then_reported() {
    let sink = Sink::new(|_, _| Says::Down);
    let queue = MemoryDeadLetterQueue::new();
    let processor = StreamProcessor::builder().on_record(sink!(sink)).dead_letter_queue(queue.clone()).build().unwrap();
    let report = process(&processor, &inserts(6)).await;
    assert_eq!(sink.sizes(), [6, 6, 6], "three attempts at the whole");
    assert!(outcomes(&report).iter().all(|outcome| *outcome == Reported), "Lambda waits for what is down");
    assert!(queue.letters().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_retryable_failure_is_halved_where_it_would_make_dead_letters() {
    // By policy, and by age.
    for (policy, age) in [(FailurePolicy::DeadLetterAll, 0), (FailurePolicy::DeadLetterPermanent, 7 * 3_600)] {
        let sink = poisoned(&["item-4"], Says::Down);
        let queue = MemoryDeadLetterQueue::new();
        let processor = StreamProcessor::builder()
            .on_record(sink!(sink))
            .retry(RetryPolicy::default().max_attempts(2))
            .failure_policy(policy)
            .dead_letter_queue(queue.clone())
            .build()
            .unwrap();
        let changes: Vec<_> = inserts(6).into_iter().map(|change| change.aged(age)).collect();
        let report = process(&processor, &changes).await;
        assert_eq!(sink.sizes(), [6, 6, 3, 3, 2, 1, 1, 1], "{policy:?}");
        assert_eq!(outcomes(&report), expected(6, &[4], DeadLettered));
        let letters = queue.letters();
        assert_eq!((letters.len(), letters[0].attempts()), (1, 2));
        assert_eq!(letters[0].error_message(), "the sink is down");
    }
}

#[tokio::test(start_paused = true)]
async fn after_a_timeout_the_lowest_record_goes_alone() {
    let sink = poisoned(&["item-5"], Says::Hangs);
    let processor = StreamProcessor::builder()
        .on_record(sink!(sink))
        .handler_timeout(Duration::from_secs(1))
        .retry(RetryPolicy::none())
        .failure_policy(FailurePolicy::DeadLetterAll)
        .dead_letter_queue(MemoryDeadLetterQueue::new())
        .build()
        .unwrap();
    let report = process(&processor, &inserts(7)).await;
    assert_eq!(sink.sizes(), [7, 1, 3, 3, 1, 1, 1]);
    assert_eq!(outcomes(&report), expected(7, &[5], DeadLettered));
    assert_eq!(report.records()[5].failure.as_ref().unwrap().kind, ErrorKind::Timeout);
}

#[tokio::test(start_paused = true)]
async fn what_is_being_halved_at_the_deadline_is_reported() {
    for policy in [FailurePolicy::DeadLetterAll, FailurePolicy::DeadLetterPermanent] {
        // Every call takes four seconds, and the processor stops after nine.
        let sink = Sink::slow(|_, seen| {
            let is_poisoned = seen.iter().any(|(id, _)| id == "item-2");
            (Duration::from_secs(4), if is_poisoned { Says::Invalid } else { Says::Done })
        });
        let queue = MemoryDeadLetterQueue::new();
        let processor = StreamProcessor::builder()
            .on_record(sink!(sink))
            .failure_policy(policy)
            .dead_letter_queue(queue.clone())
            .build()
            .unwrap();
        let report = processor.process(event(&inserts(8)), Deadline::after(Duration::from_secs(10))).await;
        assert_eq!(sink.sizes(), [8, 4, 2]);
        assert!(outcomes(&report).iter().all(|outcome| *outcome == Reported), "{report:?}");
        assert!(queue.letters().is_empty(), "{policy:?}");
        let failure = report.records()[7].failure.as_ref().unwrap();
        assert_eq!(failure.message, "the request is not valid", "each says what it was reported for");
    }
}

#[tokio::test(start_paused = true)]
async fn a_half_that_waits_for_a_permit_at_the_deadline_is_reported() {
    // The only permit goes to the first record's second attempt, which hangs.
    let sink = Sink::slow(|_, _| (Duration::from_millis(200), Says::Invalid));
    let attempt = std::sync::atomic::AtomicUsize::new(0);
    let first = move |_: Modify<Order>| {
        let attempt = attempt.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
        async move { if attempt == 0 { Err::<(), HandlerError>("busy".into()) } else { std::future::pending().await } }
    };
    let retry = RetryPolicy::default().base_delay(Duration::from_millis(10)).max_delay(Duration::from_millis(10));
    let take = move |inserts: Vec<Insert<Order>>| {
        Arc::new(sink.clone()).take(inserts.into_iter().map(|insert| insert.record).collect())
    };
    let builder = StreamProcessor::builder().on_modify(first).on_insert(bulk(take)).concurrency(1).retry(retry);
    let changes: Vec<Change> = [change(0, "first", 1)].into_iter().chain(inserts(5).split_off(1)).collect();
    let report = builder.build().unwrap().process(event(&changes), Deadline::after(Duration::from_secs(10))).await;
    assert_eq!(outcomes(&report), [Reported; 5]);
    assert!(report.records()[1..].iter().all(|record| record.failure.is_some()));
}

#[tokio::test(start_paused = true)]
async fn a_whole_failure_that_waits_for_its_retry_at_the_deadline_is_reported() {
    let sink = Sink::slow(|call, _| (Duration::from_secs(4), if call == 1 { Says::Down } else { Says::Hangs }));
    let queue = MemoryDeadLetterQueue::new();
    let processor = StreamProcessor::builder()
        .on_record(sink!(sink))
        .failure_policy(FailurePolicy::DeadLetterAll)
        .dead_letter_queue(queue.clone())
        .build()
        .unwrap();
    let report = processor.process(event(&inserts(3)), Deadline::after(Duration::from_secs(10))).await;
    assert_eq!(outcomes(&report), [Reported; 3]);
    assert!(queue.letters().is_empty(), "no record becomes a dead letter for the failure of its bulk");

    // A failure that an answer named is the record's own.
    let sink = Sink::slow(|call, _| {
        (Duration::from_secs(4), if call == 1 { Says::Fails(vec!["item-0", "item-1"]) } else { Says::Hangs })
    });
    let queue = MemoryDeadLetterQueue::new();
    let processor = StreamProcessor::builder()
        .on_record(sink!(sink))
        .failure_policy(FailurePolicy::DeadLetterAll)
        .dead_letter_queue(queue.clone())
        .build()
        .unwrap();
    let report = processor.process(event(&inserts(3)), Deadline::after(Duration::from_secs(10))).await;
    assert_eq!(outcomes(&report), [DeadLettered, DeadLettered, Succeeded]);
}

#[tokio::test(start_paused = true)]
async fn a_half_that_fails_retryably_is_retried() {
    // The bulk fails for item-5; its lower half then meets a sink that is down once.
    let sink = Sink::new(|call, seen| {
        if call == 2 {
            Says::Down
        } else if seen.iter().any(|(id, _)| id == "item-5") {
            Says::Invalid
        } else {
            Says::Done
        }
    });
    let processor = StreamProcessor::builder()
        .on_record(sink!(sink))
        .dead_letter_queue(MemoryDeadLetterQueue::new())
        .build()
        .unwrap();
    let report = process(&processor, &inserts(8)).await;
    assert_eq!(outcomes(&report), expected(8, &[5], DeadLettered));
    assert_eq!(report.records().iter().map(|record| record.attempts).collect::<Vec<_>>(), [2, 2, 2, 2, 1, 1, 1, 1]);
}

#[tokio::test(start_paused = true)]
async fn other_bulks_run_while_one_is_halved() {
    let sink = Sink::slow(|_, seen| {
        let is_poisoned = seen.iter().any(|(id, _)| id == "item-0");
        (Duration::from_secs(1), if is_poisoned { Says::Invalid } else { Says::Done })
    });
    let processor = StreamProcessor::builder()
        .on_record(sink!(sink).max_records(4))
        .concurrency(2)
        .dead_letter_queue(MemoryDeadLetterQueue::new())
        .build()
        .unwrap();
    let report = process(&processor, &inserts(12)).await;
    assert_eq!(outcomes(&report), expected(12, &[0], DeadLettered));
    assert_eq!(sink.most_running(), 2);
    let began: Vec<u64> = sink.began().iter().map(Duration::as_secs).collect();
    assert_eq!((sink.sizes(), began), (vec![4, 4, 2, 4, 1, 1, 2], vec![0, 0, 1, 1, 2, 3, 4]));
}
