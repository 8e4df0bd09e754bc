//! The README's "Deadline": processing stops before the timeout and keeps its progress.

use std::time::Duration;

use futures::FutureExt;
use lambda_streams::Outcome::*;
use lambda_streams::{AfterDeadLetter, Deadline, ErrorKind, Record, RetryPolicy, StreamProcessor};
use tokio::time::Instant;

use crate::support::{Act, Reply, Script, TestQueue, change, checkpoint, event, inserts, outcomes};

#[tokio::test(start_paused = true)]
async fn records_still_running_at_the_deadline_are_unfinished() {
    let script = Script::new([("item-1", Act::Hang)]);
    let processor = StreamProcessor::builder().on_record(script.clone()).build().unwrap();
    let before = Instant::now();
    let report = processor.process(event(&inserts(3)), Deadline::after(Duration::from_secs(30))).await;
    assert_eq!(outcomes(&report), [Succeeded, Unfinished, Succeeded]);
    assert_eq!(checkpoint(&report), Some(1));
    assert!(report.stopped_at_deadline());
    assert_eq!(before.elapsed(), Duration::from_secs(27), "a tenth of the time left is the margin");
}

#[tokio::test(start_paused = true)]
async fn the_margin_is_250_ms_to_10_s_unless_set() {
    for (left, margin, stop) in [
        (1_000, None, 750),
        (900_000, None, 890_000),
        (100, None, 0),
        (30_000, Some(5_000), 25_000),
        (1_000, Some(999), 1),
        (1_000, Some(1_000), 750),
        (1_000, Some(5_000), 750),
    ] {
        let script = Script::new([("item-0", Act::Hang)]);
        let mut builder = StreamProcessor::builder().on_record(script.clone());
        if let Some(margin) = margin {
            builder = builder.deadline_margin(Duration::from_millis(margin));
        }
        let before = Instant::now();
        let deadline = Deadline::after(Duration::from_millis(left));
        let report = builder.build().unwrap().process(event(&inserts(1)), deadline).await;
        assert_eq!(before.elapsed(), Duration::from_millis(stop), "{left} ms left, margin {margin:?}");
        assert_eq!(outcomes(&report), [Unfinished]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_long_batch_takes_several_invocations() {
    let script = Script::default();
    let take = Duration::from_secs(1);
    let processor = StreamProcessor::builder()
        .on_record({
            let script = script.clone();
            move |record| {
                let script = script.clone();
                async move {
                    tokio::time::sleep(take).await;
                    lambda_streams::Handler::handle(&script, record).await
                }
            }
        })
        .concurrency(1)
        .build()
        .unwrap();
    let mut rest = inserts(10);
    let mut invocations = 0;
    while !rest.is_empty() {
        let report = processor.process(event(&rest), Deadline::after(Duration::from_secs(5))).await;
        invocations += 1;
        let done = checkpoint(&report).unwrap_or(rest.len());
        assert!(done > 0, "each invocation moves the checkpoint");
        assert!(outcomes(&report)[done..].iter().all(|outcome| *outcome == Unfinished));
        rest.drain(..done);
    }
    assert_eq!(invocations, 3);
    assert_eq!(script.succeeded().len(), 10, "and no record was handled twice");
}

#[tokio::test(start_paused = true)]
async fn no_record_starts_in_the_margin() {
    let script = Script::new([("item-0", Act::Take(Duration::from_millis(26_500)))]);
    let processor = StreamProcessor::builder().on_record(script.clone()).concurrency(1).build().unwrap();
    let report = processor.process(event(&inserts(3)), Deadline::after(Duration::from_secs(30))).await;
    assert_eq!(outcomes(&report), [Succeeded, Succeeded, Succeeded]);

    let script = Script::new([("item-0", Act::Take(Duration::from_millis(27_500)))]);
    let processor = StreamProcessor::builder().on_record(script.clone()).concurrency(1).build().unwrap();
    let report = processor.process(event(&inserts(3)), Deadline::after(Duration::from_secs(30))).await;
    assert_eq!(outcomes(&report), [Unfinished, Unfinished, Unfinished]);
    assert_eq!(script.started().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_batch_without_a_deadline_is_never_stopped() {
    let script = Script::new([("item-0", Act::Take(Duration::from_secs(86_400)))]);
    let processor = StreamProcessor::builder().on_record(script).build().unwrap();
    let report = processor.process(event(&inserts(1)), Deadline::none()).await;
    assert_eq!(outcomes(&report), [Succeeded]);
    assert!(!report.stopped_at_deadline());
}

#[tokio::test(start_paused = true)]
async fn a_passed_deadline_starts_no_record() {
    let script = Script::default();
    let processor = StreamProcessor::builder().on_record(script.clone()).build().unwrap();
    let report = processor.process(event(&inserts(2)), Deadline::at(Instant::now())).await;
    assert_eq!(outcomes(&report), [Unfinished, Unfinished]);
    assert!(script.started().is_empty());
}

#[tokio::test(start_paused = true)]
async fn dead_letters_in_flight_are_sent_in_the_margin() {
    let script = Script::new([("item-0", Act::FailPermanently)]);
    let queue = TestQueue::new(Reply::AcceptAfter(Duration::from_secs(28)));
    let processor = StreamProcessor::builder().on_record(script).dead_letter_queue(queue.clone()).build().unwrap();
    let report = processor.process(event(&inserts(1)), Deadline::after(Duration::from_secs(30))).await;
    assert_eq!(outcomes(&report), [DeadLettered]);
    assert_eq!(queue.accepted(), ["event-0"]);
}

#[tokio::test(start_paused = true)]
async fn a_hanging_queue_does_not_delay_the_response() {
    let script = Script::new([("item-0", Act::FailPermanently)]);
    let queue = TestQueue::new(Reply::AcceptAfter(Duration::from_secs(3_600)));
    let processor = StreamProcessor::builder().on_record(script).dead_letter_queue(queue).build().unwrap();
    let before = Instant::now();
    let report = processor.process(event(&inserts(2)), Deadline::after(Duration::from_secs(30))).await;
    assert!(before.elapsed() < Duration::from_secs(30));
    assert_eq!(outcomes(&report), [Reported, Succeeded]);
    assert_eq!(report.records()[0].failure.as_ref().map(|failure| failure.message.as_str()), Some("no such customer"));
}

#[tokio::test(start_paused = true)]
async fn no_record_follows_a_dead_letter_after_the_stop() {
    let script = Script::new([("a", Act::FailPermanently)]);
    let queue = TestQueue::new(Reply::AcceptAfter(Duration::from_secs(28)));
    let builder = StreamProcessor::builder().on_record(script).dead_letter_queue(queue.clone());
    let processor = builder.after_dead_letter(AfterDeadLetter::FollowLane).build().unwrap();
    let changes = [change(0, "a", 0), change(1, "a", 1)];
    let report = processor.process(event(&changes), Deadline::after(Duration::from_secs(30))).await;
    assert_eq!(outcomes(&report), [DeadLettered, Unfinished]);
    assert_eq!((queue.accepted(), queue.sends()), (vec!["event-0".to_owned()], vec![1]));
}

#[tokio::test(start_paused = true)]
async fn a_backoff_past_the_stop_is_not_awaited() {
    // The stop is after 27 s, the last moment for a dead letter after 29.25 s, the deadline after 30 s.
    for (delay, attempts) in [(26_999, 2), (27_000, 1), (28_000, 1), (100_000, 1)] {
        let script = Script::new([("item-0", Act::RetryAfter(Duration::from_millis(delay)))]);
        let retry = RetryPolicy::default().max_attempts(2);
        let processor = StreamProcessor::builder().on_record(script).retry(retry).build().unwrap();
        let before = Instant::now();
        let report = processor.process(event(&inserts(1)), Deadline::after(Duration::from_secs(30))).await;
        assert_eq!((outcomes(&report), report.records()[0].attempts), (vec![Reported], attempts), "{delay} ms");
        let waited = Duration::from_millis(if attempts == 2 { delay } else { 0 });
        assert_eq!(before.elapsed(), waited, "{delay} ms");
    }
}

#[tokio::test(start_paused = true)]
async fn without_a_margin_a_batch_stops_at_the_deadline() {
    let script = Script::new([("item-0", Act::FailPermanently), ("item-1", Act::Hang)]);
    let queue = TestQueue::new(Reply::AcceptAfter(Duration::from_secs(3_600)));
    let builder = StreamProcessor::builder().on_record(script).dead_letter_queue(queue);
    let processor = builder.deadline_margin(Duration::ZERO).build().unwrap();
    let before = Instant::now();
    let report = processor.process(event(&inserts(3)), Deadline::after(Duration::from_secs(30))).await;
    assert_eq!(outcomes(&report), [Reported, HeldBack, Succeeded]);
    assert_eq!(before.elapsed(), Duration::from_secs(30));
}

#[tokio::test(start_paused = true)]
async fn a_handler_finishing_at_the_stop_succeeds() {
    let script = Script::new([("item-0", Act::Take(Duration::from_secs(27)))]);
    let processor = StreamProcessor::builder().on_record(script).build().unwrap();
    let report = processor.process(event(&inserts(1)), Deadline::after(Duration::from_secs(30))).await;
    assert_eq!(outcomes(&report), [Succeeded]);
}

#[tokio::test(start_paused = true)]
async fn a_panic_of_a_dropped_handler_changes_nothing() {
    let script = Script::new([("item-0", Act::PanicOnDrop), ("item-1", Act::Hang)]);
    let processor = StreamProcessor::builder().on_record(script).build().unwrap();
    let report = processor.process(event(&inserts(3)), Deadline::after(Duration::from_secs(30))).await;
    assert_eq!(outcomes(&report), [Unfinished, Unfinished, Succeeded]);
}

#[tokio::test(start_paused = true)]
async fn the_context_deadline_is_in_epoch_milliseconds() {
    let mut context = lambda_runtime::Context::default();
    let invocation = lambda_streams::Invocation::from(&context);
    assert!(invocation.deadline.instant().is_none());
    context.deadline = crate::support::seconds_ago(0) * 1_000 + 60_000;
    let left = lambda_streams::Invocation::from(&context).deadline.instant().unwrap() - Instant::now();
    assert!(left > Duration::from_secs(55) && left <= Duration::from_secs(60), "{left:?}");
    context.deadline = u64::MAX;
    let _ = lambda_streams::Invocation::from(&context);
    let _ = change(0, "a", 0);
}

#[tokio::test(start_paused = true)]
async fn a_deadline_in_1970_is_read_as_a_duration() {
    let mut context = lambda_runtime::Context::default();
    context.deadline = 600_000;
    let left = lambda_streams::Invocation::from(&context).deadline.instant().unwrap() - Instant::now();
    assert_eq!(left, Duration::from_secs(600));
    context.deadline = crate::support::seconds_ago(60) * 1_000;
    let passed = lambda_streams::Invocation::from(&context).deadline.instant().unwrap();
    assert!(passed <= Instant::now(), "a time in the past stays in the past");
}

#[tokio::test(start_paused = true)]
async fn a_retry_running_at_the_deadline_follows_the_failure_policy() {
    let fail = Act::FailAfter(Duration::from_secs(10));
    let script = Script::new([("item-0", fail), ("item-1", fail)]);
    let queue = TestQueue::default();
    let retry = RetryPolicy::default().base_delay(Duration::ZERO);
    let builder = StreamProcessor::builder().on_record(script).retry(retry).dead_letter_queue(queue.clone());
    let changes = [inserts(1)[0].clone().aged(7 * 60 * 60), inserts(2)[1].clone(), inserts(3)[2].clone()];
    let report = builder.build().unwrap().process(event(&changes), Deadline::after(Duration::from_secs(30))).await;
    assert!(report.stopped_at_deadline());
    assert_eq!(outcomes(&report), [DeadLettered, Reported, Succeeded], "the older is given up");
    assert_eq!((queue.accepted(), checkpoint(&report)), (vec!["event-0".to_owned()], Some(1)));
    let letter = &queue.letters()[0];
    assert_eq!((letter.error_kind(), letter.attempts()), (ErrorKind::Handler, 3), "the third was cut off");
}

#[tokio::test(start_paused = true)]
async fn a_retry_waiting_at_the_deadline_follows_the_failure_policy() {
    let script = Script::new([("item-0", Act::RetryAfter(Duration::from_secs(1))), ("item-1", Act::Hang)]);
    let queue = TestQueue::default();
    let builder = StreamProcessor::builder().on_record(script).concurrency(1).dead_letter_queue(queue.clone());
    let changes = [inserts(1)[0].clone().aged(7 * 60 * 60), inserts(2)[1].clone()];
    let report = builder.build().unwrap().process(event(&changes), Deadline::after(Duration::from_secs(30))).await;
    assert_eq!(outcomes(&report), [DeadLettered, Unfinished]);
    assert_eq!((queue.accepted(), checkpoint(&report)), (vec!["event-0".to_owned()], Some(1)));
}

#[tokio::test(start_paused = true)]
async fn no_record_after_a_reported_one_is_given_up_at_the_deadline() {
    let fail = Act::FailAfter(Duration::from_secs(10));
    let script = Script::new([("item-0", Act::FailAfter(Duration::from_secs(4))), ("item-1", fail)]);
    let queue = TestQueue::default();
    let retry = RetryPolicy::default().base_delay(Duration::ZERO);
    let builder = StreamProcessor::builder().on_record(script).retry(retry).dead_letter_queue(queue.clone());
    let changes = [inserts(1)[0].clone(), inserts(2)[1].clone().aged(7 * 60 * 60)];
    let report = builder.build().unwrap().process(event(&changes), Deadline::after(Duration::from_secs(20))).await;
    assert_eq!(outcomes(&report), [Reported, HeldBack]);
    assert!(queue.accepted().is_empty(), "it will be redelivered, with the time of a whole invocation");
}

#[tokio::test(start_paused = true)]
async fn a_malformed_record_unread_at_the_deadline_is_unfinished() {
    // It computes for 28 s without an await.
    let slow = |_: Record| async {
        let _ = tokio::time::advance(Duration::from_secs(28)).now_or_never();
        Ok(())
    };
    let queue = TestQueue::default();
    let processor = StreamProcessor::builder().on_record(slow).dead_letter_queue(queue.clone()).build().unwrap();
    let changes = [inserts(1)[0].clone(), inserts(2)[1].clone().with("/eventName", "UPSERT")];
    let report = processor.process(event(&changes), Deadline::after(Duration::from_secs(30))).await;
    assert_eq!(outcomes(&report), [Succeeded, Unfinished]);
    let report = processor.process(event(&changes[1..]), Deadline::after(Duration::from_secs(30))).await;
    assert_eq!((outcomes(&report), queue.accepted()), (vec![DeadLettered], vec!["event-1".to_owned()]));
}
