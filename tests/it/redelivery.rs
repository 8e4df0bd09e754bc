//! The README's "Partial batch response": what succeeded after the checkpoint is not repeated by the same environment.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use lambda_streams::Outcome::*;
use lambda_streams::SkipReason::Redelivered;
use lambda_streams::{
    AfterDeadLetter, Deadline, ErrorKind, HandlerError, Invocation, ProcessorBuilder, Record, RetryPolicy,
    StreamProcessor,
};

use crate::support::{Act, Change, Script, TestQueue, about, change, checkpoint, event, inserts, outcomes, process};

/// Fails all three attempts of the first invocation.
const DOWN_ONCE: Act = Act::FailTimes(3);

#[tokio::test(start_paused = true)]
async fn successes_after_the_checkpoint_are_skipped() {
    let script = Script::new([("item-1", DOWN_ONCE)]);
    let processor = StreamProcessor::builder().on_record(script.clone()).build().unwrap();
    let changes = inserts(4);
    let report = process(&processor, &changes).await;
    assert_eq!(outcomes(&report), [Succeeded, Reported, Succeeded, Succeeded]);
    let report = process(&processor, &changes[1..]).await;
    assert_eq!(outcomes(&report), [Succeeded, Skipped(Redelivered), Skipped(Redelivered)]);
    assert_eq!(report.counts().redelivered, 2);
    assert_eq!(script.succeeded().len(), 4, "each record once");
}

#[tokio::test(start_paused = true)]
async fn dead_letters_after_the_checkpoint_are_skipped() {
    let script = Script::new([("item-0", DOWN_ONCE), ("item-2", Act::FailPermanently)]);
    let queue = TestQueue::default();
    let processor = StreamProcessor::builder().on_record(script).dead_letter_queue(queue.clone()).build().unwrap();
    process(&processor, &inserts(3)).await;
    let report = process(&processor, &inserts(3)).await;
    assert_eq!(outcomes(&report), [Succeeded, Skipped(Redelivered), Skipped(Redelivered)]);
    assert_eq!(queue.accepted(), ["event-2"], "one dead letter, not two");
}

#[tokio::test(start_paused = true)]
async fn records_are_skipped_until_the_checkpoint_passes_them() {
    let script = Script::new([("item-0", Act::FailTimes(6))]);
    let processor = StreamProcessor::builder().on_record(script.clone()).build().unwrap();
    let changes = inserts(2);
    assert_eq!(outcomes(&process(&processor, &changes).await), [Reported, Succeeded]);
    assert_eq!(outcomes(&process(&processor, &changes).await), [Reported, Skipped(Redelivered)]);
    assert_eq!(outcomes(&process(&processor, &changes).await), [Succeeded, Skipped(Redelivered)]);
    // After the checkpoint has passed, a further delivery is processed like any other.
    assert_eq!(outcomes(&process(&processor, &changes).await), [Succeeded, Succeeded]);
}

#[tokio::test(start_paused = true)]
async fn records_before_the_checkpoint_are_not_remembered() {
    let script = Script::new([("item-1", Act::FailPermanently)]);
    let processor = StreamProcessor::builder().on_record(script).build().unwrap();
    let changes = inserts(2);
    process(&processor, &changes).await;
    assert_eq!(outcomes(&process(&processor, &changes).await), [Succeeded, Reported]);
}

#[tokio::test(start_paused = true)]
async fn a_failed_invocation_repeats_no_success() {
    let script = Script::new([("item-1", DOWN_ONCE)]);
    let processor =
        StreamProcessor::builder().on_record(script.clone()).report_batch_item_failures(false).build().unwrap();
    process(&processor, &inserts(3)).await.response().unwrap_err();
    let report = process(&processor, &inserts(3)).await;
    assert_eq!(outcomes(&report), [Skipped(Redelivered), Succeeded, Skipped(Redelivered)]);
    assert_eq!(script.succeeded().len(), 3);
}

#[tokio::test(start_paused = true)]
async fn an_earlier_checkpoint_repeats_no_success() {
    let script = Script::default();
    let processor = StreamProcessor::builder().on_record(script.clone()).build().unwrap();
    let changes = [change(0, "a", 0), change(1, "b", 0), Change::raw("null")];
    let report = process(&processor, &changes).await;
    assert_eq!(report.response().unwrap().checkpoint(), Some(crate::support::sequence_number(1).as_str()));
    let report = process(&processor, &changes[1..]).await;
    assert_eq!(outcomes(&report), [Skipped(Redelivered), Reported]);
    assert_eq!(script.succeeded().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn clones_share_the_memory_unless_it_is_off() {
    for (remember, expected) in [(true, Skipped(Redelivered)), (false, Succeeded)] {
        let script = Script::new([("item-0", DOWN_ONCE)]);
        let processor = StreamProcessor::builder().on_record(script).skip_redelivered(remember).build().unwrap();
        process(&processor, &inserts(2)).await;
        assert_eq!(outcomes(&process(&processor.clone(), &inserts(2)).await), [Succeeded, expected]);
    }
}

#[tokio::test(start_paused = true)]
async fn equal_numbers_in_two_streams_are_two_records() {
    let script = Script::new([("item-0", DOWN_ONCE)]);
    let processor = StreamProcessor::builder().on_record(script).build().unwrap();
    process(&processor, &inserts(2)).await;
    let arn = "arn:aws:dynamodb:eu-central-1:123456789012:table/invoices/stream/2026-01-01T00:00:00.000";
    let others: Vec<Change> = inserts(2).into_iter().map(|change| change.with("/eventSourceARN", arn)).collect();
    assert_eq!(outcomes(&process(&processor, &others).await), [Succeeded, Succeeded]);
}

#[tokio::test(start_paused = true)]
async fn records_from_no_stream_are_not_remembered() {
    let script = Script::new([("item-0", DOWN_ONCE)]);
    let processor = StreamProcessor::builder().on_record(script).build().unwrap();
    let mut on_demand = Invocation::from(Deadline::none());
    on_demand.origin = lambda_streams::Origin::OnDemand;
    processor.process(event(&inserts(2)), on_demand.clone()).await;
    let report = process(&processor, &inserts(2)).await;
    assert_eq!(outcomes(&report), [Succeeded, Succeeded], "nothing was remembered");
}

#[tokio::test(start_paused = true)]
async fn a_deadline_stop_remembers_progress() {
    let script = Script::new([("item-0", Act::Hang)]);
    let processor = StreamProcessor::builder().on_record(script.clone()).build().unwrap();
    let deadline = || Deadline::after(std::time::Duration::from_secs(10));
    let report = processor.process(event(&inserts(3)), deadline()).await;
    assert_eq!(checkpoint(&report), Some(0));
    let report = processor.process(event(&inserts(3)), deadline()).await;
    assert_eq!(outcomes(&report), [Unfinished, Skipped(Redelivered), Skipped(Redelivered)]);
}

/// Handles `b`, which fails the first time after 10 ms, and fails the item `poison` after 20 ms.
fn down_once(handled: &Arc<Mutex<Vec<String>>>, poison: &'static str) -> ProcessorBuilder {
    let (handled, is_down) = (Arc::clone(handled), Arc::new(AtomicBool::new(true)));
    let handler = move |record: Record| {
        let (handled, is_down) = (Arc::clone(&handled), Arc::clone(&is_down));
        async move {
            let (id, version) = about(&record);
            if id == "b" && is_down.swap(false, Ordering::Relaxed) {
                tokio::time::sleep(Duration::from_millis(10)).await;
                return Err("the index is down".into());
            }
            if id == poison && version == 0 {
                tokio::time::sleep(Duration::from_millis(20)).await;
                return Err(HandlerError::permanent("no such customer"));
            }
            handled.lock().unwrap().push(format!("{id} {version}"));
            Ok(())
        }
    };
    StreamProcessor::builder().on_record(handler).retry(RetryPolicy::none())
}

#[tokio::test(start_paused = true)]
async fn a_lane_follows_a_dead_letter_that_an_earlier_invocation_sent() {
    for remember in [true, false] {
        let (handled, queue) = (Arc::default(), TestQueue::default());
        let processor = down_once(&handled, "a")
            .skip_redelivered(remember)
            .after_dead_letter(AfterDeadLetter::FollowLane)
            .dead_letter_queue(queue.clone())
            .build()
            .unwrap();
        let changes = [change(0, "b", 0), change(1, "a", 0), change(2, "a", 1), change(3, "a", 2)];
        assert_eq!(outcomes(&process(&processor, &changes).await), [Reported, DeadLettered, HeldBack, HeldBack]);
        let second = process(&processor, &changes).await;
        let first_of_lane = if remember { Skipped(Redelivered) } else { DeadLettered };
        assert_eq!(outcomes(&second), [Succeeded, first_of_lane, DeadLettered, DeadLettered]);
        assert_eq!(*handled.lock().unwrap(), ["b 0"]);
        let kinds: Vec<ErrorKind> = queue.letters().iter().rev().take(2).map(|letter| letter.error_kind()).collect();
        assert_eq!(kinds, [ErrorKind::Predecessor; 2]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_lane_goes_on_after_a_success_that_is_skipped() {
    let handled = Arc::default();
    let processor = down_once(&handled, "nothing")
        .after_dead_letter(AfterDeadLetter::FollowLane)
        .dead_letter_queue(TestQueue::default())
        .build()
        .unwrap();
    let changes = [change(0, "b", 0), change(1, "a", 0), change(2, "a", 1)];
    assert_eq!(outcomes(&process(&processor, &changes[..2]).await), [Reported, Succeeded]);
    assert_eq!(outcomes(&process(&processor, &changes).await), [Succeeded, Skipped(Redelivered), Succeeded]);
    assert_eq!(*handled.lock().unwrap(), ["a 0", "b 0", "a 1"]);
}

#[tokio::test(start_paused = true)]
async fn a_dead_letter_is_remembered_as_one_over_several_deliveries() {
    let handled: Arc<Mutex<Vec<String>>> = Arc::default();
    let (queue, failures) = (TestQueue::default(), Arc::new(AtomicUsize::new(2)));
    let seen = Arc::clone(&handled);
    let processor = StreamProcessor::builder()
        .on_record(move |record: Record| {
            let (seen, failures) = (Arc::clone(&seen), Arc::clone(&failures));
            async move {
                let (id, version) = about(&record);
                tokio::time::sleep(Duration::from_millis(10)).await;
                if id == "poison" && version == 0 {
                    return Err(HandlerError::permanent("no such customer"));
                }
                if id == "down"
                    && failures.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1)).is_ok()
                {
                    tokio::time::sleep(Duration::from_millis(10)).await;
                    return Err("the index is down".into());
                }
                seen.lock().unwrap().push(format!("{id} {version}"));
                Ok(())
            }
        })
        .retry(RetryPolicy::none())
        .after_dead_letter(AfterDeadLetter::FollowLane)
        .dead_letter_queue(queue.clone())
        .build()
        .unwrap();
    let changes = [change(0, "down", 0), change(1, "poison", 0), change(2, "fine", 0)];
    let (skipped, more) = (Skipped(Redelivered), [change(3, "poison", 1), change(4, "fine", 1)]);
    assert_eq!(outcomes(&process(&processor, &changes).await), [Reported, DeadLettered, Succeeded]);
    assert_eq!(outcomes(&process(&processor, &changes).await), [Reported, skipped, skipped]);
    let third = process(&processor, &[&changes[..], &more[..]].concat()).await;
    assert_eq!(outcomes(&third), [Succeeded, skipped, skipped, DeadLettered, Succeeded]);
    assert_eq!(*handled.lock().unwrap(), ["fine 0", "down 0", "fine 1"]);
}
