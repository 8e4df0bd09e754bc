//! The README's "Isolation", "Retries" and "Dead letters": the outcome of a record that fails.

use std::collections::HashMap;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use lambda_streams::Outcome::*;
use lambda_streams::{
    AfterDeadLetter, DeadLetter, DeadLetterError, DeadLetterQueue, Deadline, DecodeError, ErrorKind, FailurePolicy,
    HandlerError, Lanes, ProcessorBuilder, Record, RetryPolicy, SkipReason, StreamProcessor,
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
async fn a_record_without_a_handler_is_skipped() {
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
async fn a_filtered_record_is_skipped() {
    let script = Script::default();
    let processor = with(&script).filter(|record| record.event_id() != Some("event-1")).build().unwrap();
    let report = process(&processor, &inserts(3)).await;
    assert_eq!(outcomes(&report), [Succeeded, Skipped(SkipReason::Filtered), Succeeded]);
    assert_eq!(report.counts().skipped, 1);
}

#[tokio::test(start_paused = true)]
async fn a_panicking_filter_fails_only_its_record() {
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

/// Keeps the changes of the attribute `version`, which only both images can tell.
fn version_changed(record: &Record) -> Result<bool, DecodeError> {
    Ok(record.changed_attributes()?.contains("version"))
}

/// A modification as a stream of the view type `NEW_IMAGE` has it.
fn without_old_image(number: usize) -> Change {
    change(number, "a", 1).without("/dynamodb/OldImage").with("/dynamodb/StreamViewType", "NEW_IMAGE")
}

#[tokio::test(start_paused = true)]
async fn a_filter_that_can_tell_keeps_and_skips() {
    let same = change(1, "b", 1).with("/dynamodb/OldImage/version/N", "1.0").with("/dynamodb/NewImage/version/N", "1");
    let processor = with(&Script::default()).filter(version_changed).build().unwrap();
    let report = process(&processor, &[change(0, "a", 1), same]).await;
    assert_eq!(outcomes(&report), [Succeeded, Skipped(SkipReason::Filtered)]);
}

#[tokio::test(start_paused = true)]
async fn a_filter_that_cannot_tell_fails_its_record_and_skips_none() {
    let batch = [change(0, "b", 1), without_old_image(1), without_old_image(2)];
    let text = "`OldImage`: the record has none: the stream's view type is NEW_IMAGE: this image needs NEW_AND_OLD_IMAGES or \
                OLD_IMAGE; set one on the table's stream, or handle `Change` or `Record`";

    let (script, queue) = (Script::default(), TestQueue::default());
    let processor = with(&script).filter(version_changed).dead_letter_queue(queue.clone()).build().unwrap();
    let report = process(&processor, &batch).await;
    assert_eq!(outcomes(&report), [Succeeded, DeadLettered, DeadLettered]);
    for letter in queue.letters() {
        assert_eq!((letter.error_kind(), letter.error_message()), (ErrorKind::Decode, text));
        assert_eq!(letter.attempts(), 0, "the handler is not called");
    }
    assert_eq!(script.started(), [("b".to_owned(), 1)]);

    let processor = with(&Script::default()).filter(version_changed).build().unwrap();
    let report = process(&processor, &batch).await;
    assert_eq!(outcomes(&report), [Succeeded, Reported, HeldBack]);
    assert_eq!(checkpoint(&report), Some(1));
    assert_eq!(report.records()[1].failure.as_ref().unwrap().message, text);
}

#[tokio::test(start_paused = true)]
async fn a_filter_that_cannot_decode_fails_its_record() {
    let processor = with(&Script::default())
        .filter(|record| Ok(record.new_image::<crate::support::Order>()?.version > 0))
        .build()
        .unwrap();
    let malformed = change(0, "a", 0).with("/dynamodb/NewImage/version/N", "many");
    let report = process(&processor, &[malformed]).await;
    assert_eq!(outcomes(&report), [Reported]);
    assert_eq!(report.records()[0].failure.as_ref().unwrap().kind, ErrorKind::Decode);
}

#[tokio::test(start_paused = true)]
async fn a_retryable_failure_is_retried_in_place() {
    let script = Script::new([("item-1", Act::FailTimes(2))]);
    let report = process(&with(&script).build().unwrap(), &inserts(3)).await;
    assert_eq!(outcomes(&report), [Succeeded; 3]);
    assert_eq!(report.records()[1].attempts, 3);
    assert_eq!(report.records()[1].failure, None);
    assert_eq!(report.counts().retries, 2);
}

#[tokio::test(start_paused = true)]
async fn a_failure_is_reported_after_its_last_retry() {
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
async fn an_old_record_is_dead_lettered_after_its_last_retry() {
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
async fn a_record_of_unknown_age_is_never_too_old() {
    let script = Script::new([("item-0", Act::Fail)]);
    let processor =
        with(&script).dead_letter_queue(TestQueue::default()).give_up_after(Duration::ZERO).build().unwrap();
    let changes = [inserts(1)[0].clone().without("/dynamodb/ApproximateCreationDateTime")];
    assert_eq!(outcomes(&process(&processor, &changes).await), [Reported]);
}

#[tokio::test(start_paused = true)]
async fn a_permanent_failure_is_dead_lettered_without_retry() {
    let script = Script::new([("item-1", Act::FailPermanently)]);
    let queue = TestQueue::default();
    let report = process(&with(&script).dead_letter_queue(queue.clone()).build().unwrap(), &inserts(3)).await;
    assert_eq!(outcomes(&report), [Succeeded, DeadLettered, Succeeded]);
    assert_eq!(report.records()[1].attempts, 1);
    assert_eq!(queue.accepted(), ["event-1"]);
    assert_eq!(checkpoint(&report), None);
}

#[tokio::test(start_paused = true)]
async fn malformed_records_decode_errors_and_panics_are_permanent() {
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
async fn no_record_starts_after_a_reported_one() {
    let script = Script::new([("item-1", Act::FailPermanently)]);
    let report = process(&with(&script).concurrency(1).build().unwrap(), &inserts(4)).await;
    assert_eq!(outcomes(&report), [Succeeded, Reported, HeldBack, HeldBack]);
    assert_eq!(script.started().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn records_running_after_a_reported_one_finish() {
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
async fn an_immediate_failure_holds_back_later_records() {
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
async fn every_failure_is_reported_without_a_queue() {
    for act in [Act::Fail, Act::FailPermanently, Act::Panic] {
        let script = Script::new([("item-0", act)]);
        let processor = with(&script).build().unwrap();
        let report = process(&processor, &[inserts(1)[0].clone().aged(100_000)]).await;
        assert_eq!(outcomes(&report), [Reported], "{act:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn dead_letter_all_includes_retryable_failures() {
    let script = Script::new([("item-0", Act::Fail), ("item-1", Act::FailPermanently)]);
    let queue = TestQueue::default();
    let processor =
        with(&script).dead_letter_queue(queue.clone()).failure_policy(FailurePolicy::DeadLetterAll).build().unwrap();
    let report = process(&processor, &inserts(3)).await;
    assert_eq!(outcomes(&report), [DeadLettered, DeadLettered, Succeeded]);
    assert_eq!(report.records()[0].attempts, 3);
}

#[tokio::test(start_paused = true)]
async fn report_all_makes_no_dead_letter() {
    let script = Script::new([("item-0", Act::FailPermanently)]);
    let processor = with(&script).failure_policy(FailurePolicy::ReportAll).build().unwrap();
    assert_eq!(outcomes(&process(&processor, &inserts(1)).await), [Reported]);
}

#[tokio::test(start_paused = true)]
async fn a_dead_letter_not_accepted_is_reported() {
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
async fn a_lane_continues_after_a_dead_letter() {
    let script = Script::new([]);
    let queue = TestQueue::default();
    let changes = [change(0, "a", 0).with("/dynamodb/NewImage/version", 7), change(1, "a", 1), change(2, "a", 2)];
    let report = process(&with(&script).dead_letter_queue(queue.clone()).build().unwrap(), &changes).await;
    assert_eq!(outcomes(&report), [DeadLettered, Succeeded, Succeeded]);
}

#[tokio::test(start_paused = true)]
async fn a_lane_can_follow_its_dead_letter_in_order() {
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
async fn first_seen_and_dead_lettered_span_all_attempts() {
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
async fn a_lane_follows_its_dead_letter_at_any_distance() {
    // There are so many others that the dead letter is sent long before the last record is read.
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
async fn a_reported_record_ends_following_a_dead_letter() {
    // The letter of 0 is still in flight when 1 is reported, and 2 is of the same lane as 0.
    let script = Script::new([("a", Act::FailPermanently), ("b", Act::Fail)]);
    let queue = TestQueue::new(Reply::AcceptAfter(Duration::from_secs(1)));
    let builder = with(&script).dead_letter_queue(queue.clone()).after_dead_letter(AfterDeadLetter::FollowLane);
    let processor = builder.retry(RetryPolicy::none()).build().unwrap();
    let report = process(&processor, &[change(0, "a", 0), change(1, "b", 0), change(2, "a", 1)]).await;
    assert_eq!(outcomes(&report), [DeadLettered, Reported, HeldBack]);
    assert_eq!(queue.accepted(), ["event-0"], "2 is redelivered");
}

#[tokio::test(start_paused = true)]
async fn a_lane_waits_until_the_queue_has_accepted() {
    let script = Script::new([]);
    let queue = TestQueue::new(Reply::AcceptAfter(Duration::from_secs(3)));
    let changes = [change(0, "a", 0).with("/dynamodb/NewImage/version", 7), change(1, "a", 1)];
    let before = Instant::now();
    let processor = with(&script).dead_letter_queue(queue.clone()).build().unwrap();
    let processing = process(&processor, &changes);
    tokio::pin!(processing);
    tokio::select! {
        _ = &mut processing => panic!("it ended before the queue had accepted"),
        () = tokio::time::sleep(Duration::from_secs(2)) => assert!(script.started().is_empty()),
    }
    processing.await;
    assert_eq!(before.elapsed(), Duration::from_secs(3));
    assert_eq!(script.succeeded(), [("a".to_owned(), 1)]);
}

#[tokio::test(start_paused = true)]
async fn dead_letters_are_batched_only_if_concurrent() {
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
async fn backoff_is_exponential_unless_a_handler_sets_the_delay() {
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
async fn a_failing_batch_is_dead_lettered_in_order() {
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
async fn a_panic_affects_no_other_record_or_invocation() {
    let script = Script::new([("item-1", Act::Panic)]);
    let processor = with(&script).build().unwrap();
    let report = process(&processor, &inserts(2)).await;
    assert_eq!(outcomes(&report), [Succeeded, Reported]);
    let message = &report.records()[1].failure.as_ref().unwrap().message;
    assert_eq!(message, "the handler panicked: a bug in the handler");
    let next: Vec<Change> = (10..40).map(|number| change(number, &format!("next-{number}"), 0)).collect();
    assert_eq!(outcomes(&process(&processor, &next).await), [Succeeded; 30], "all permits were returned");
}

#[tokio::test(start_paused = true)]
async fn a_hanging_handler_is_retried_and_then_reported() {
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
async fn a_timeout_is_handled_like_any_failure() {
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
    assert_eq!(script.most_running(), 2, "a handler that timed out no longer runs when its successor does");
}

#[tokio::test(start_paused = true)]
async fn each_attempt_gets_the_full_timeout() {
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
async fn a_panic_on_cancellation_counts_as_a_timeout() {
    let script = Script::new([("item-0", Act::PanicOnDrop)]);
    let builder = with(&script).retry(without_delay()).handler_timeout(Duration::from_secs(1));
    let report = process(&builder.build().unwrap(), &inserts(2)).await;
    assert_eq!(outcomes(&report), [Reported, Succeeded]);
    assert_eq!(report.records()[0].failure.as_ref().unwrap().kind, ErrorKind::Timeout);
    assert_eq!(report.records()[0].attempts, 3);
}

#[tokio::test(start_paused = true)]
async fn a_panic_in_the_drop_of_a_done_handler_fails_it() {
    struct Done;
    impl Future for Done {
        type Output = Result<(), HandlerError>;
        fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Self::Output> {
            Poll::Ready(Ok(()))
        }
    }
    impl Drop for Done {
        fn drop(&mut self) {
            panic!("not everything was written");
        }
    }
    let processor = StreamProcessor::builder().on_record(|_: Record| Done).build().unwrap();
    let report = process(&processor, &inserts(1)).await;
    assert_eq!(outcomes(&report), [Reported]);
    let failure = report.records()[0].failure.as_ref().unwrap();
    assert_eq!((failure.kind, report.records()[0].attempts), (ErrorKind::Panic, 1));
    assert!(failure.message.contains("not everything was written"), "{failure:?}");
}

#[tokio::test(start_paused = true)]
async fn a_timeout_past_the_deadline_leaves_a_record_unfinished() {
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
async fn permanent_if_classifies_only_unclassified_errors() {
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
async fn a_handlers_decode_error_is_permanent_unless_classified() {
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

/// An error with a bug in one of its own methods.
#[derive(Clone, Copy)]
enum Bug {
    Display,
    Debug,
    Source,
    Drop,
    /// In its text, and then once more when it is dropped.
    DisplayAndDrop,
}

struct Buggy(Bug);

impl fmt::Display for Buggy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if matches!(self.0, Bug::Display | Bug::DisplayAndDrop) {
            panic!("customer 17 has no name");
        }
        f.write_str("the index is down")
    }
}

impl fmt::Debug for Buggy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if matches!(self.0, Bug::Debug) {
            panic!("a bug in the error's text");
        }
        f.write_str("Buggy")
    }
}

impl std::error::Error for Buggy {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        if matches!(self.0, Bug::Source) {
            panic!("a bug in the error's source");
        }
        None
    }
}

impl Drop for Buggy {
    fn drop(&mut self) {
        if matches!(self.0, Bug::Drop | Bug::DisplayAndDrop) {
            panic!("a bug in the error's drop");
        }
    }
}

const BUGS: [Bug; 5] = [Bug::Display, Bug::Debug, Bug::Source, Bug::Drop, Bug::DisplayAndDrop];

#[tokio::test(start_paused = true)]
async fn a_panicking_error_of_a_handler_fails_only_its_record() {
    for bug in BUGS {
        for permanent in [true, false] {
            let queue = TestQueue::default();
            let processor = StreamProcessor::builder()
                .on_record(move |record: Record| async move {
                    match record.event_id() {
                        Some("event-1") if permanent => Err(HandlerError::permanent(Buggy(bug))),
                        Some("event-1") => Err(Buggy(bug).into()),
                        _ => Ok(()),
                    }
                })
                .failure_policy(FailurePolicy::DeadLetterAll)
                .permanent_if(|error| error.downcast_ref::<std::io::Error>().is_some())
                .dead_letter_queue(queue.clone())
                .build()
                .unwrap();
            let report = process(&processor, &inserts(3)).await;
            assert_eq!(outcomes(&report), [Succeeded, DeadLettered, Succeeded]);
            let panics = matches!(bug, Bug::Display | Bug::Source | Bug::DisplayAndDrop);
            let expected = if panics { ErrorKind::Panic } else { ErrorKind::Handler };
            assert_eq!(queue.letters()[0].error_kind(), expected);
            assert!(!format!("{report:?}").contains("customer"), "its words are in the dead letter alone");
        }
    }
}

/// A queue that refuses with a buggy error, or whose future panics when it is dropped.
struct BuggyQueue(Option<Bug>);

struct PanicsWhenDropped;

impl Drop for PanicsWhenDropped {
    fn drop(&mut self) {
        panic!("a bug in the queue's drop");
    }
}

impl DeadLetterQueue for BuggyQueue {
    async fn send(&self, letters: &[DeadLetter]) -> Vec<Result<(), DeadLetterError>> {
        let Some(bug) = self.0 else {
            let _bomb = PanicsWhenDropped;
            return std::future::pending().await;
        };
        letters.iter().map(|_| Err(DeadLetterError::new(Buggy(bug)))).collect()
    }
}

#[tokio::test(start_paused = true)]
async fn a_panicking_error_of_a_queue_leaves_the_record_reported() {
    for bug in BUGS.map(Some).into_iter().chain([None]) {
        let script = Script::new([("item-1", Act::FailPermanently)]);
        let processor = with(&script).dead_letter_queue(BuggyQueue(bug)).build().unwrap();
        let report = processor.process(event(&inserts(3)), Deadline::after(Duration::from_secs(30))).await;
        assert_eq!(outcomes(&report), [Succeeded, Reported, Succeeded]);
        assert!(report.records()[1].dead_letter_error.is_some());
        assert!(!format!("{report:?}").is_empty());
    }
}

#[tokio::test(start_paused = true)]
async fn a_queue_that_does_not_answer_is_like_one_that_refuses() {
    // A call is in flight for the first ten letters of each of eight calls, and the rest waits.
    let script = Script::default();
    let all: Vec<(String, Act)> = (0..100).map(|number| (format!("item-{number}"), Act::FailPermanently)).collect();
    let script = Script { acts: all.into_iter().collect::<HashMap<_, _>>().into(), ..script };
    let queue = TestQueue::new(Reply::AcceptAfter(Duration::from_secs(3_600)));
    let processor = with(&script).dead_letter_queue(queue).concurrency(100).build().unwrap();
    let begun = Instant::now();
    let report = processor.process(event(&inserts(101)), Deadline::after(Duration::from_secs(10))).await;
    assert!(begun.elapsed() < Duration::from_secs(10));
    let records = report.records();
    assert!(records[..100].iter().all(|record| record.outcome == Reported && record.failure.is_some()));
    assert_eq!((records[100].outcome, checkpoint(&report)), (Succeeded, Some(0)));
    let said = |position: usize| records[position].dead_letter_error.as_ref().unwrap().to_string();
    assert_eq!(said(0), "the queue did not answer before the deadline");
    assert_eq!(said(99), "the deadline came before the letter was sent, because the queue was busy with others");
}

#[tokio::test(start_paused = true)]
async fn a_follower_that_cannot_be_read_keeps_its_own_failure() {
    let script = Script::new([("a", Act::FailPermanently)]);
    let queue = TestQueue::default();
    let processor = with(&script)
        .lanes(Lanes::WholeBatch)
        .after_dead_letter(AfterDeadLetter::FollowLane)
        .dead_letter_queue(queue.clone())
        .build()
        .unwrap();
    let keys_of_no_type = change(2, "c", 0).with("/dynamodb/Keys/id", serde_json::json!({"S": 1}));
    let malformed = change(1, "b", 0).with("/eventName", "UPSERT");
    let report = process(&processor, &[change(0, "a", 0), malformed, keys_of_no_type, change(3, "d", 0)]).await;
    assert_eq!(outcomes(&report), [DeadLettered; 4]);
    let mut letters = queue.letters();
    letters.sort_by_key(|letter| letter.event_id().map(str::to_owned));
    let kinds: Vec<ErrorKind> = letters.iter().map(|letter| letter.error_kind()).collect();
    assert_eq!(kinds, [ErrorKind::Handler, ErrorKind::Malformed, ErrorKind::Decode, ErrorKind::Predecessor]);
}

#[tokio::test(start_paused = true)]
async fn what_a_panic_said_is_freed() {
    let said = Arc::new(());
    let held = Arc::clone(&said);
    let processor = StreamProcessor::builder()
        .on_record(move |_: Record| {
            let held = Arc::clone(&held);
            async move { std::panic::resume_unwind(Box::new(held)) }
        })
        .build()
        .unwrap();
    process(&processor, &inserts(1)).await;
    drop(processor);
    assert_eq!(Arc::strong_count(&said), 1, "the payload of the panic is kept for the life of the process");
}

struct PanicsOnDrop;

impl Drop for PanicsOnDrop {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            std::panic::resume_unwind(Box::new("dropped"));
        }
    }
}

/// Panics wherever it can.
struct Wicked(PanicsOnDrop);

impl fmt::Debug for Wicked {
    fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
        panic!("debug")
    }
}

impl fmt::Display for Wicked {
    fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
        let _ = &self.0;
        std::panic::resume_unwind(Box::new(PanicsOnDrop))
    }
}

impl std::error::Error for Wicked {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        std::panic::resume_unwind(Box::new(PanicsOnDrop))
    }
}

struct WickedQueue;

impl DeadLetterQueue for WickedQueue {
    async fn send(&self, letters: &[DeadLetter]) -> Vec<Result<(), DeadLetterError>> {
        let _held = PanicsOnDrop;
        let mut results: Vec<_> = letters.iter().map(|_| Err(DeadLetterError::new(Wicked(PanicsOnDrop)))).collect();
        results.push(Err(DeadLetterError::new(Wicked(PanicsOnDrop))));
        results
    }
}

#[tokio::test(start_paused = true)]
async fn panics_of_every_part_stay_with_their_record() {
    let processor = StreamProcessor::builder()
        .filter(|record| {
            if record.event_id() == Some("event-1") {
                std::panic::resume_unwind(Box::new(PanicsOnDrop));
            }
            true
        })
        .permanent_if(|_| std::panic::resume_unwind(Box::new(PanicsOnDrop)))
        .on_record(|record: Record| async move {
            let _held = PanicsOnDrop;
            match record.event_id() {
                Some("event-0") => Err(Wicked(PanicsOnDrop).into()),
                Some("event-2") => {
                    std::future::pending::<()>().await;
                    Ok(())
                }
                Some("event-3") => std::panic::resume_unwind(Box::new(PanicsOnDrop)),
                Some("event-4") => Err(HandlerError::permanent(Wicked(PanicsOnDrop))),
                _ => Ok(()),
            }
        })
        .dead_letter_queue(WickedQueue)
        .build()
        .unwrap();
    let report = processor.process(event(&inserts(6)), Deadline::after(Duration::from_secs(2))).await;
    assert_eq!(report.records().len(), 6);
    assert_eq!(checkpoint(&report), Some(0));
    assert!(!format!("{report:?}").contains("dropped"), "its words are in the dead letter alone");
}

#[tokio::test(start_paused = true)]
async fn the_error_of_a_batch_is_bounded() {
    let processor = StreamProcessor::builder()
        .on_record(|_: Record| async { Err("the index is down".into()) })
        .report_batch_item_failures(false)
        .retry(RetryPolicy::none())
        .build()
        .unwrap();
    let long = change(0, "a", 0).with("/eventID", "x".repeat(1_000_000));
    let error = process(&processor, &[long]).await.response().unwrap_err().to_string();
    assert!(error.len() < 10_000, "{} bytes", error.len());
}
