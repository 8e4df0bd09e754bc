//! The README's "Isolation", "Retries" and "Poison leaves": the outcome of a record that fails.

use std::time::Duration;

use lambda_streams::Outcome::*;
use lambda_streams::{
    AfterDeadLetter, Deadline, ErrorKind, FailurePolicy, HandlerError, Lanes, ProcessorBuilder, Record, RetryPolicy,
    SkipReason, StreamProcessor,
};
use tokio::time::Instant;

use crate::support::{Act, Change, Reply, Script, TestQueue, change, checkpoint, event, inserts, outcomes, process};

fn with(script: &Script) -> ProcessorBuilder {
    StreamProcessor::builder().on_record(script.clone())
}

/// Three attempts without a delay between them.
fn without_delay() -> RetryPolicy {
    RetryPolicy::default().base_delay(Duration::ZERO)
}

#[tokio::test(start_paused = true)]
async fn a_record_whose_handler_returns_ok_succeeds() {
    let script = Script::default();
    let report = process(&with(&script).build().unwrap(), &inserts(3)).await;
    assert_eq!(outcomes(&report), [Succeeded; 3]);
    assert_eq!(checkpoint(&report), None);
    assert_eq!(script.started().len(), 3);
}

#[tokio::test(start_paused = true)]
async fn a_record_without_a_handler_for_its_kind_is_skipped_and_counted() {
    let processor = StreamProcessor::builder()
        .on_insert(|_: lambda_streams::Insert<crate::support::Order>| async { Ok(()) })
        .build()
        .unwrap();
    let report = process(&processor, &[change(0, "a", 0), change(1, "a", 1)]).await;
    assert_eq!(outcomes(&report), [Succeeded, Skipped(SkipReason::NoHandler)]);
    assert_eq!(report.counts().skipped, 1);
    assert_eq!(checkpoint(&report), None);
}

#[tokio::test(start_paused = true)]
async fn a_record_that_is_filtered_out_is_skipped_and_counted() {
    let script = Script::default();
    let processor = with(&script).filter(|record| record.event_id() != Some("event-1")).build().unwrap();
    let report = process(&processor, &inserts(3)).await;
    assert_eq!(outcomes(&report), [Succeeded, Skipped(SkipReason::Filtered), Succeeded]);
    assert_eq!(report.counts().skipped, 1);
}

#[tokio::test(start_paused = true)]
async fn a_filter_that_panics_fails_its_record_alone() {
    let script = Script::default();
    let queue = TestQueue::default();
    let processor = with(&script)
        .filter(|record| record.event_id() != Some("event-1") || panic!("a bug in the filter"))
        .dead_letter_queue(queue.clone())
        .build()
        .unwrap();
    let report = process(&processor, &inserts(3)).await;
    assert_eq!(outcomes(&report), [Succeeded, DeadLettered, Succeeded]);
}

#[tokio::test(start_paused = true)]
async fn a_retryable_failure_is_retried_in_place_and_may_succeed() {
    let script = Script::new([("item-1", Act::FailTimes(2))]);
    let report = process(&with(&script).build().unwrap(), &inserts(3)).await;
    assert_eq!(outcomes(&report), [Succeeded; 3]);
    assert_eq!(report.records()[1].attempts, 3);
    assert_eq!(report.records()[1].failure, None);
    assert_eq!(report.counts().retries, 2);
}

#[tokio::test(start_paused = true)]
async fn retries_exhausted_a_retryable_failure_is_reported() {
    let script = Script::new([("item-1", Act::Fail)]);
    let queue = TestQueue::default();
    let processor = with(&script).dead_letter_queue(queue.clone()).concurrency(1).build().unwrap();
    let report = process(&processor, &inserts(3)).await;
    assert_eq!(report.records()[1].outcome, Reported);
    assert_eq!(report.records()[1].attempts, 3);
    assert_eq!(report.records()[1].failure.as_ref().unwrap().kind, ErrorKind::Handler);
    assert_eq!(checkpoint(&report), Some(1));
    assert!(queue.accepted().is_empty());
}

#[tokio::test(start_paused = true)]
async fn retries_exhausted_a_record_older_than_give_up_after_becomes_a_dead_letter() {
    let script = Script::new([("item-0", Act::Fail), ("item-1", Act::Fail)]);
    let queue = TestQueue::default();
    let processor =
        with(&script).dead_letter_queue(queue.clone()).give_up_after(Duration::from_secs(60)).build().unwrap();
    let mut changes = inserts(2);
    changes[0] = changes[0].clone().aged(120);
    let report = process(&processor, &changes).await;
    assert_eq!(outcomes(&report), [DeadLettered, Reported]);
    assert_eq!(queue.accepted(), ["event-0"]);
    assert_eq!(report.records()[0].attempts, 3, "its age does not cost it its retries");
}

#[tokio::test(start_paused = true)]
async fn a_record_of_unknown_age_is_never_given_up_for_its_age() {
    let script = Script::new([("item-0", Act::Fail)]);
    let processor =
        with(&script).dead_letter_queue(TestQueue::default()).give_up_after(Duration::ZERO).build().unwrap();
    let changes = [inserts(1)[0].clone().without("/dynamodb/ApproximateCreationDateTime")];
    assert_eq!(outcomes(&process(&processor, &changes).await), [Reported]);
}

#[tokio::test(start_paused = true)]
async fn a_permanent_failure_becomes_a_dead_letter_without_retry() {
    let script = Script::new([("item-1", Act::FailPermanently)]);
    let queue = TestQueue::default();
    let report = process(&with(&script).dead_letter_queue(queue.clone()).build().unwrap(), &inserts(3)).await;
    assert_eq!(outcomes(&report), [Succeeded, DeadLettered, Succeeded]);
    assert_eq!(report.records()[1].attempts, 1);
    assert_eq!(queue.accepted(), ["event-1"]);
    assert_eq!(checkpoint(&report), None);
}

#[tokio::test(start_paused = true)]
async fn a_malformed_record_an_image_that_does_not_decode_and_a_panic_are_permanent() {
    let cases: [(Change, Act, ErrorKind); 4] = [
        (change(1, "bad", 0).with("/eventName", "UPSERT"), Act::Succeed, ErrorKind::Malformed),
        (
            change(1, "bad", 0).with("/dynamodb/NewImage/version", serde_json::json!({"N": "x"})),
            Act::Succeed,
            ErrorKind::Decode,
        ),
        (change(1, "bad", 0).with("/dynamodb/Keys", serde_json::json!({})), Act::Succeed, ErrorKind::Decode),
        (change(1, "bad", 0), Act::Panic, ErrorKind::Panic),
    ];
    for (bad, act, kind) in cases {
        let script = Script::new([("bad", act)]);
        let queue = TestQueue::default();
        let processor = with(&script).dead_letter_queue(queue.clone()).build().unwrap();
        let changes = [change(0, "a", 0), bad, change(2, "c", 0)];
        let report = process(&processor, &changes).await;
        assert_eq!(outcomes(&report), [Succeeded, DeadLettered, Succeeded], "{kind}");
        assert_eq!(report.records()[1].failure.as_ref().unwrap().kind, kind);
        assert!(report.records()[1].attempts <= 1, "{kind}: no retry");
        assert_eq!(queue.accepted(), ["event-1"], "{kind}");
    }
}

#[tokio::test(start_paused = true)]
async fn behind_a_reported_record_nothing_is_started_and_what_was_not_is_held_back() {
    let script = Script::new([("item-1", Act::FailPermanently)]);
    let report = process(&with(&script).concurrency(1).build().unwrap(), &inserts(4)).await;
    assert_eq!(outcomes(&report), [Succeeded, Reported, HeldBack, HeldBack]);
    assert_eq!(script.started().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn behind_a_reported_record_what_runs_runs_to_its_end() {
    let script = Script::new([
        ("item-0", Act::FailPermanentlyAfter(Duration::from_secs(1))),
        ("item-1", Act::Take(Duration::from_secs(5))),
        ("item-2", Act::FailAfter(Duration::from_secs(2))),
    ]);
    let report = process(&with(&script).concurrency(3).build().unwrap(), &inserts(4)).await;
    assert_eq!(outcomes(&report), [Reported, Succeeded, HeldBack, HeldBack]);
    assert_eq!(report.records()[2].attempts, 1, "a retry would be a new start");
}

#[tokio::test(start_paused = true)]
async fn behind_a_record_that_fails_at_once_no_handler_is_called() {
    let script = Script::new([("item-0", Act::FailPermanently)]);
    let report = process(&with(&script).concurrency(4).build().unwrap(), &inserts(4)).await;
    assert_eq!(script.started().len(), 1);
    assert_eq!(outcomes(&report)[1..], [HeldBack; 3]);
    assert!(report.records()[1..].iter().all(|record| record.attempts == 0));
}

#[tokio::test(start_paused = true)]
async fn a_record_before_the_checkpoint_still_starts() {
    // Position 1 is of the same item as 0 and waits for it, while 2 fails.
    let script = Script::new([("a", Act::Take(Duration::from_secs(1))), ("b", Act::FailPermanently)]);
    let changes = [change(0, "a", 0), change(1, "a", 1), change(2, "b", 0)];
    let report = process(&with(&script).build().unwrap(), &changes).await;
    assert_eq!(outcomes(&report), [Succeeded, Succeeded, Reported]);
    assert_eq!(checkpoint(&report), Some(2));
}

#[tokio::test(start_paused = true)]
async fn without_a_queue_every_failure_is_reported() {
    for act in [Act::Fail, Act::FailPermanently, Act::Panic] {
        let script = Script::new([("item-0", act)]);
        let processor = with(&script).give_up_after(Duration::ZERO).build().unwrap();
        let report = process(&processor, &[inserts(1)[0].clone().aged(100_000)]).await;
        assert_eq!(outcomes(&report), [Reported], "{act:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_failure_policy_can_make_everything_a_dead_letter() {
    let script = Script::new([("item-0", Act::Fail), ("item-1", Act::FailPermanently)]);
    let queue = TestQueue::default();
    let processor =
        with(&script).dead_letter_queue(queue.clone()).failure_policy(FailurePolicy::DeadLetterAll).build().unwrap();
    let report = process(&processor, &inserts(3)).await;
    assert_eq!(outcomes(&report), [DeadLettered, DeadLettered, Succeeded]);
    assert_eq!(report.records()[0].attempts, 3);
}

#[tokio::test(start_paused = true)]
async fn the_failure_policy_can_report_everything_although_there_is_a_queue() {
    let script = Script::new([("item-0", Act::FailPermanently)]);
    let queue = TestQueue::default();
    let processor =
        with(&script).dead_letter_queue(queue.clone()).failure_policy(FailurePolicy::ReportAll).build().unwrap();
    assert_eq!(outcomes(&process(&processor, &inserts(1)).await), [Reported]);
    assert!(queue.accepted().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_dead_letter_that_the_queue_does_not_accept_is_reported() {
    for reply in [Reply::Refuse, Reply::Nothing, Reply::Panic] {
        let script = Script::new([("item-1", Act::FailPermanently)]);
        let processor = with(&script).dead_letter_queue(TestQueue::new(reply)).concurrency(1).build().unwrap();
        let report = process(&processor, &inserts(3)).await;
        assert_eq!(report.records()[1].outcome, Reported, "{reply:?}");
        assert!(report.records()[1].dead_letter_error.is_some());
        assert_eq!(checkpoint(&report), Some(1));
    }
}

#[tokio::test(start_paused = true)]
async fn after_a_dead_letter_the_lane_goes_on() {
    let script = Script::new([]);
    let queue = TestQueue::default();
    let changes = [change(0, "a", 0).with("/dynamodb/NewImage/version", 7), change(1, "a", 1), change(2, "a", 2)];
    let report = process(&with(&script).dead_letter_queue(queue.clone()).build().unwrap(), &changes).await;
    assert_eq!(outcomes(&report), [DeadLettered, Succeeded, Succeeded]);
}

#[tokio::test(start_paused = true)]
async fn after_a_dead_letter_the_rest_of_the_lane_can_follow_it_in_order() {
    let script = Script::new([]);
    let queue = TestQueue::new(Reply::AcceptAfter(Duration::from_millis(5)));
    let changes = [
        change(0, "a", 0).with("/dynamodb/NewImage/version", 7),
        change(1, "b", 0),
        change(2, "a", 1),
        change(3, "a", 2),
    ];
    let processor =
        with(&script).dead_letter_queue(queue.clone()).after_dead_letter(AfterDeadLetter::FollowLane).build().unwrap();
    let report = process(&processor, &changes).await;
    assert_eq!(outcomes(&report), [DeadLettered, Succeeded, DeadLettered, DeadLettered]);
    assert_eq!(queue.accepted(), ["event-0", "event-2", "event-3"]);
    assert_eq!(report.records()[3].failure.as_ref().unwrap().kind, ErrorKind::Predecessor);
}

#[tokio::test(start_paused = true)]
async fn a_dead_letter_tells_when_its_first_attempt_began_and_when_it_was_given_up() {
    let script = Script::new([("item-0", Act::RetryAfter(Duration::from_secs(20)))]);
    let queue = TestQueue::default();
    let policy = FailurePolicy::DeadLetterAll;
    let processor = with(&script).dead_letter_queue(queue.clone()).failure_policy(policy).build().unwrap();
    process(&processor, &inserts(1)).await;
    let letter = &queue.letters()[0];
    assert_eq!(letter.attempts(), 3);
    let between = letter.dead_lettered().duration_since(letter.first_seen()).unwrap();
    assert!((40..41).contains(&between.as_secs()), "{between:?}");
}

#[tokio::test(start_paused = true)]
async fn the_rest_of_a_lane_follows_a_dead_letter_however_far_behind_it_stands() {
    // So many others that the dead letter is sent long before the last is come to.
    let others = inserts(250).into_iter().skip(1);
    let broken = change(0, "a", 0).with("/dynamodb/NewImage/version", 7);
    let changes: Vec<Change> = [broken].into_iter().chain(others).chain([change(250, "a", 1)]).collect();
    for follows in [true, false] {
        let script = Script::default();
        let after = if follows { AfterDeadLetter::FollowLane } else { AfterDeadLetter::Continue };
        let queue = TestQueue::default();
        let processor = with(&script).dead_letter_queue(queue.clone()).after_dead_letter(after).build().unwrap();
        let report = process(&processor, &changes).await;
        let last = &report.records()[250];
        let expected = if follows { (DeadLettered, 0) } else { (Succeeded, 1) };
        assert_eq!((last.outcome, last.attempts), expected);
        assert_eq!(report.counts().succeeded, if follows { 249 } else { 250 });
        assert_eq!(queue.letters().len(), if follows { 2 } else { 1 });
    }
}

#[tokio::test(start_paused = true)]
async fn the_lane_waits_until_the_queue_has_accepted() {
    let script = Script::new([]);
    let queue = TestQueue::new(Reply::AcceptAfter(Duration::from_secs(3)));
    let changes = [change(0, "a", 0).with("/dynamodb/NewImage/version", 7), change(1, "a", 1)];
    let before = Instant::now();
    let processor = with(&script).dead_letter_queue(queue.clone()).build().unwrap();
    let processing = process(&processor, &changes);
    tokio::pin!(processing);
    tokio::select! {
        _ = &mut processing => panic!("it cannot end before the queue has accepted"),
        () = tokio::time::sleep(Duration::from_secs(2)) => assert!(script.started().is_empty()),
    }
    processing.await;
    assert_eq!(before.elapsed(), Duration::from_secs(3));
    assert_eq!(script.succeeded(), [("a".to_owned(), 1)]);
}

#[tokio::test(start_paused = true)]
async fn concurrent_failures_share_batches_and_a_lone_one_does_not_wait() {
    let broken = |number| inserts(number + 1).remove(number).with("/eventName", "UPSERT");
    let queue = TestQueue::new(Reply::AcceptAfter(Duration::from_millis(10)));
    let processor = with(&Script::default()).dead_letter_queue(queue.clone()).build().unwrap();
    process(&processor, &[broken(0)]).await;
    assert_eq!(queue.sends(), [1]);

    let queue = TestQueue::new(Reply::AcceptAfter(Duration::from_millis(10)));
    let processor = with(&Script::default()).dead_letter_queue(queue.clone()).build().unwrap();
    process(&processor, &(0..95).map(broken).collect::<Vec<_>>()).await;
    assert_eq!(queue.letters().len(), 95);
    assert!(queue.sends().len() <= 11 && queue.sends().iter().all(|letters| *letters <= 10), "{:?}", queue.sends());
}

#[tokio::test(start_paused = true)]
async fn the_backoff_is_exponential_and_a_handler_may_ask_for_its_own_delay() {
    let script = Script::new([("item-0", Act::RetryAfter(Duration::from_secs(30)))]);
    let before = Instant::now();
    process(&with(&script).build().unwrap(), &inserts(1)).await;
    assert_eq!(before.elapsed(), Duration::from_secs(60), "two retries, each after what the handler asked for");

    let script = Script::new([("item-0", Act::Fail)]);
    let before = Instant::now();
    let retry = RetryPolicy::default().max_attempts(6);
    process(&with(&script).retry(retry).build().unwrap(), &inserts(1)).await;
    assert_eq!(script.started().len(), 6);
    assert!(before.elapsed() <= Duration::from_millis(100 + 200 + 400 + 800 + 1600 + 10), "{:?}", before.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_batch_in_which_everything_fails_ends_in_the_queue() {
    let acts: Vec<Change> = (0..1_000).map(|number| change(number, "a", number as u32)).collect();
    let script = Script::new([("a", Act::FailPermanently)]);
    let queue = TestQueue::default();
    let report = process(&with(&script).dead_letter_queue(queue.clone()).build().unwrap(), &acts).await;
    assert_eq!(report.counts().dead_lettered, 1_000);
    let expected: Vec<String> = (0..1_000).map(|number| format!("event-{number}")).collect();
    assert_eq!(queue.accepted(), expected, "one item's dead letters keep its order");
    assert_eq!(checkpoint(&report), None);
}

#[tokio::test(start_paused = true)]
async fn a_panic_leaves_other_records_and_the_next_invocation_alone() {
    let script = Script::new([("item-1", Act::Panic)]);
    let processor = with(&script).build().unwrap();
    let report = process(&processor, &inserts(2)).await;
    assert_eq!(outcomes(&report), [Succeeded, Reported]);
    let message = &report.records()[1].failure.as_ref().unwrap().message;
    assert_eq!(message, "the handler panicked: a bug in the handler");
    let next: Vec<Change> = (10..40).map(|number| change(number, &format!("next-{number}"), 0)).collect();
    assert_eq!(outcomes(&process(&processor, &next).await), [Succeeded; 30], "all permits came back");
}

#[tokio::test(start_paused = true)]
async fn a_handler_that_hangs_is_tried_again_and_reported_while_the_others_go_on() {
    let script = Script::new([("item-1", Act::Hang)]);
    let queue = TestQueue::default();
    let builder = with(&script).dead_letter_queue(queue.clone()).retry(without_delay());
    let processor = builder.handler_timeout(Duration::from_secs(5)).build().unwrap();
    let before = Instant::now();
    let report = process(&processor, &inserts(3)).await;
    assert_eq!(outcomes(&report), [Succeeded, Reported, Succeeded]);
    assert_eq!((report.records()[1].attempts, before.elapsed()), (3, Duration::from_secs(15)));
    let failure = report.records()[1].failure.as_ref().unwrap();
    assert_eq!(failure.kind, ErrorKind::Timeout);
    assert_eq!(failure.message, "the handler was not done after its timeout of 5s");
    assert!(queue.accepted().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_record_whose_handler_always_hangs_becomes_a_dead_letter_as_other_failures_do() {
    let script = Script::new([("a", Act::Hang), ("b", Act::Hang)]);
    let queue = TestQueue::default();
    let builder = with(&script).dead_letter_queue(queue.clone()).handler_timeout(Duration::from_secs(5));
    let changes = [change(0, "a", 0).aged(7 * 60 * 60), change(1, "b", 0)];
    let report = process(&builder.build().unwrap(), &changes).await;
    assert_eq!(outcomes(&report), [DeadLettered, Reported], "the older is given up");
    assert_eq!(queue.letters()[0].error_kind(), ErrorKind::Timeout);

    let queue = TestQueue::default();
    let builder = with(&script).dead_letter_queue(queue.clone()).handler_timeout(Duration::from_secs(5));
    let processor = builder.failure_policy(FailurePolicy::DeadLetterAll).build().unwrap();
    let report = process(&processor, &[change(0, "a", 0), change(1, "c", 0), change(2, "a", 1)]).await;
    assert_eq!(outcomes(&report), [DeadLettered, Succeeded, DeadLettered]);
    assert_eq!(script.most_running(), 2, "what ran out of time no longer runs beside what comes behind it");
}

#[tokio::test(start_paused = true)]
async fn a_handler_has_all_of_its_timeout_and_each_attempt_has_its_own() {
    let just = Duration::from_secs(5);
    let script =
        Script::new([("item-0", Act::Take(just)), ("item-1", Act::FailAfter(just)), ("item-2", Act::Take(just * 2))]);
    let processor = with(&script).retry(RetryPolicy::default().max_attempts(2)).handler_timeout(just).build().unwrap();
    let report = process(&processor, &inserts(3)).await;
    let kind = |position: usize| report.records()[position].failure.as_ref().map(|failure| failure.kind);
    assert_eq!((kind(0), kind(1), kind(2)), (None, Some(ErrorKind::Handler), Some(ErrorKind::Timeout)));
    assert_eq!(report.records()[1].attempts, 2);
}

#[tokio::test(start_paused = true)]
async fn a_handler_that_panics_when_its_time_is_over_has_run_out_of_time() {
    let script = Script::new([("item-0", Act::PanicOnDrop)]);
    let builder = with(&script).retry(without_delay()).handler_timeout(Duration::from_secs(1));
    let report = process(&builder.build().unwrap(), &inserts(2)).await;
    assert_eq!(outcomes(&report), [Reported, Succeeded]);
    assert_eq!(report.records()[0].failure.as_ref().unwrap().kind, ErrorKind::Timeout);
    assert_eq!(report.records()[0].attempts, 3);
}

#[tokio::test(start_paused = true)]
async fn a_timeout_longer_than_the_invocation_leaves_the_record_unfinished() {
    for timeout in [Duration::from_secs(60), Duration::MAX] {
        let script = Script::new([("item-0", Act::Hang)]);
        let processor = with(&script).handler_timeout(timeout).build().unwrap();
        let report = processor.process(event(&inserts(1)), Deadline::after(Duration::from_secs(30))).await;
        assert_eq!(outcomes(&report), [Unfinished], "{timeout:?}");
    }
}

#[derive(Debug)]
struct Coded(u16);

impl std::fmt::Display for Coded {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "code {}", self.0)
    }
}

impl std::error::Error for Coded {}

#[tokio::test(start_paused = true)]
async fn the_processor_may_know_which_errors_are_permanent_of_those_that_say_nothing() {
    let handler = |record: Record| async move {
        match record.event_id() {
            Some("event-0") => Err(Coded(404))?,
            Some("event-1") => Err(Coded(503))?,
            Some("event-2") => Err(HandlerError::retryable(Coded(404))),
            Some("event-3") => Err(HandlerError::retry_after(Coded(404), Duration::ZERO)),
            _ => Err(Coded(0))?,
        }
    };
    let processor = StreamProcessor::builder()
        .on_record(handler)
        .permanent_if(|error| match error.downcast_ref::<Coded>() {
            Some(Coded(0)) => panic!("a bug in the classification"),
            code => code.is_some_and(|code| code.0 == 404),
        })
        .dead_letter_queue(TestQueue::default())
        .lanes(Lanes::Unordered)
        .build()
        .unwrap();
    let mut seen = Vec::new();
    for number in 0..5 {
        let report = process(&processor, &inserts(5)[number..=number]).await;
        let record = &report.records()[0];
        seen.push((record.outcome, record.attempts, record.failure.as_ref().unwrap().kind));
    }
    let reported = (Reported, 3, ErrorKind::Handler);
    assert_eq!(
        seen,
        [(DeadLettered, 1, ErrorKind::Handler), reported, reported, reported, (DeadLettered, 1, ErrorKind::Panic)]
    );
}

#[tokio::test(start_paused = true)]
async fn what_a_handler_fails_to_decode_by_itself_is_permanent_unless_it_says_otherwise() {
    let handler = |record: Record| async move {
        let order = record.new_image::<std::collections::HashMap<String, bool>>();
        if record.event_id() == Some("event-1") {
            order.map_err(HandlerError::retryable)?;
        } else {
            order?;
        }
        Ok(())
    };
    let queue = TestQueue::default();
    let builder = StreamProcessor::builder().on_record(handler).dead_letter_queue(queue.clone());
    let processor = builder.build().unwrap();
    let report = process(&processor, &inserts(2)).await;
    assert_eq!(outcomes(&report), [DeadLettered, Reported]);
    let record = &report.records()[0];
    assert_eq!((record.attempts, record.failure.as_ref().unwrap().kind), (1, ErrorKind::Decode));
}
