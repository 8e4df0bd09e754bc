//! The outcomes of records that fail in a replay or a backfill.

use std::time::Duration;

use lambda_streams::Outcome::{self, DeadLettered, HeldBack, Reported, Succeeded, Unfinished};
use lambda_streams::{
    AfterDeadLetter, Change, Deadline, ErrorKind, FailurePolicy, HandlerError, InvocationReport, ProcessorBuilder,
    StreamProcessor, bulk,
};

use super::{BACKFILL, REPLAY, by_command, replay, unfinished};
use crate::support::{self, Act, Order, Reply, Script, TestQueue, change, inserts, outcomes, sequence_number};

fn with(script: &Script, queue: &TestQueue) -> ProcessorBuilder {
    StreamProcessor::builder().on_record(script.clone()).dead_letter_queue(queue.clone())
}

#[tokio::test(start_paused = true)]
async fn a_failure_holds_back_the_rest_of_its_lane_and_nothing_else() {
    let changes = [
        change(0, "a", 0),
        change(1, "bad", 0),
        change(2, "b", 0),
        change(3, "bad", 1),
        change(4, "a", 1),
        change(5, "bad", 2),
    ];
    for request in [REPLAY, BACKFILL] {
        let script = Script::new([("bad", Act::Fail)]);
        let processor = StreamProcessor::builder().on_record(script.clone()).build().unwrap();
        let report = replay(&processor, request, &changes).await;
        assert_eq!(outcomes(report.batch()), [Succeeded, Reported, Succeeded, HeldBack, Succeeded, HeldBack]);
        assert_eq!(unfinished(&report), [1, 3, 5].map(sequence_number));
        assert_eq!(script.started().iter().filter(|(id, _)| id == "bad").count(), 3, "attempts at the first alone");
    }
}

#[tokio::test(start_paused = true)]
async fn permanent_failures_are_dead_letters_and_others_wait_whatever_their_age() {
    let old = |number: usize, id: &str| change(number, id, 0).aged(30 * 86_400);
    let changes = [old(0, "permanent"), old(1, "down"), old(2, "panics"), old(3, "fine"), support::Change::raw("null")];
    let acts = [("permanent", Act::FailPermanently), ("down", Act::Fail), ("panics", Act::Panic)];
    use FailurePolicy::{DeadLetterAll, DeadLetterPermanent};
    for (policy, expected, letters) in [
        (DeadLetterPermanent, [DeadLettered, Reported, DeadLettered, Succeeded, DeadLettered], 3),
        // Of all failures, these too: they are finished then, and a redrive brings them back.
        (DeadLetterAll, [DeadLettered, DeadLettered, DeadLettered, Succeeded, DeadLettered], 4),
    ] {
        for request in [REPLAY, BACKFILL] {
            let (script, queue) = (Script::new(acts), TestQueue::default());
            let processor = with(&script, &queue).failure_policy(policy).build().unwrap();
            let report = replay(&processor, request, &changes).await;
            assert_eq!(outcomes(report.batch()), expected, "{policy:?} {request}");
            assert_eq!(queue.letters().len(), letters);
            assert_eq!(report.batch().records()[1].attempts, 3, "each has its attempts");
            assert_eq!(unfinished(&report).len(), 4 - letters);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_bulk_that_fails_is_halved_until_the_one_that_fails_it_is_a_dead_letter() {
    let queue = TestQueue::default();
    let handler = |changes: Vec<Change<Order>>| async move {
        let is_bad = changes.iter().any(|change| change.new.as_ref().is_some_and(|order| order.id == "item-2"));
        if is_bad { Err(HandlerError::permanent("no such customer")) } else { Ok(()) }
    };
    let builder = StreamProcessor::builder().on_change(bulk(handler)).dead_letter_queue(queue.clone());
    let report = replay(&builder.build().unwrap(), REPLAY, &inserts(5)).await;
    assert_eq!(outcomes(report.batch()), [Succeeded, Succeeded, DeadLettered, Succeeded, Succeeded]);
    assert_eq!((queue.accepted(), unfinished(&report)), (vec!["event-2".to_owned()], vec![]));
}

#[tokio::test(start_paused = true)]
async fn without_a_queue_every_failure_is_named() {
    let script = Script::new([("item-0", Act::FailPermanently), ("item-1", Act::Fail)]);
    let processor =
        StreamProcessor::builder().on_record(script).failure_policy(FailurePolicy::ReportAll).build().unwrap();
    let report = replay(&processor, REPLAY, &inserts(3)).await;
    assert_eq!(unfinished(&report), [0, 1].map(sequence_number));
}

#[tokio::test(start_paused = true)]
async fn a_dead_letter_that_the_queue_refuses_is_named() {
    for reply in [Reply::Refuse, Reply::Nothing, Reply::Panic] {
        let processor = with(&Script::new([("item-1", Act::FailPermanently)]), &TestQueue::new(reply)).build().unwrap();
        let report = replay(&processor, REPLAY, &inserts(3)).await;
        assert_eq!(unfinished(&report), [sequence_number(1)], "{reply:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_rest_of_a_lane_may_follow_a_dead_letter() {
    let changes = [change(0, "bad", 0), change(1, "bad", 1), change(2, "a", 0)];
    let (script, queue) = (Script::new([("bad", Act::FailPermanently)]), TestQueue::default());
    let processor = with(&script, &queue).after_dead_letter(AfterDeadLetter::FollowLane).build().unwrap();
    let report = replay(&processor, REPLAY, &changes).await;
    assert_eq!(outcomes(report.batch()), [DeadLettered, DeadLettered, Succeeded]);
    let kinds: Vec<_> =
        report.batch().records().iter().filter_map(|record| Some(record.failure.as_ref()?.kind)).collect();
    assert_eq!(kinds, [ErrorKind::Handler, ErrorKind::Predecessor]);
    assert_eq!(queue.accepted(), ["event-0", "event-1"]);
}

#[tokio::test(start_paused = true)]
async fn what_the_deadline_leaves_unread_is_named() {
    let script = Script::new([("item-0", Act::FailAfter(Duration::from_secs(1))), ("item-1", Act::Hang)]);
    let mut changes = inserts(500);
    changes[499] = change(499, "item-0", 1);
    let processor = StreamProcessor::builder().on_record(script).concurrency(2).build().unwrap();
    let payload = by_command(REPLAY, &changes).into_bytes();
    let report = processor.process_invocation(payload, Deadline::after(Duration::from_secs(30))).await.unwrap();
    let InvocationReport::Replay(report) = report else { panic!("{report:?}") };
    let outcomes = outcomes(report.batch());
    assert_eq!((outcomes[0], outcomes[1], outcomes[2], outcomes[499]), (Reported, Unfinished, Succeeded, HeldBack));
    assert_eq!(unfinished(&report), [0, 1, 499].map(sequence_number));

    // Nothing has begun when the time is over.
    let payload = by_command(REPLAY, &inserts(300)).into_bytes();
    let processor = StreamProcessor::builder().on_record(Script::default()).build().unwrap();
    let report = processor.process_invocation(payload, Deadline::after(Duration::ZERO)).await.unwrap();
    let InvocationReport::Replay(report) = report else { panic!("{report:?}") };
    assert_eq!(report.batch().outcomes(), [Outcome::Unfinished; 300]);
    assert_eq!(unfinished(&report), (0..300).map(sequence_number).collect::<Vec<_>>());
}
