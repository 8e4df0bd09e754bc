//! The README's "Truth": what succeeded after the checkpoint is not repeated by the same environment.

use lambda_streams::Outcome::*;
use lambda_streams::SkipReason::Redelivered;
use lambda_streams::{Deadline, Invocation, StreamProcessor};

use crate::support::{Act, Change, Script, TestQueue, change, checkpoint, event, inserts, outcomes, process};

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
    on_demand.from_stream = false;
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
