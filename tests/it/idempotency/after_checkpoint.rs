//! The memory after a checkpoint, kept outside: what an environment has done after it, no other does again.

use std::time::{Duration, SystemTime};

use lambda_streams::Outcome::*;
use lambda_streams::SkipReason::{AlreadyDone, Redelivered};
use lambda_streams::{
    AfterDeadLetter, Deadline, Idempotency, Invocation, MemoryIdempotencyStore, Record, StreamProcessor, bulk,
};
use tokio::time::Instant;

use super::environment;
use super::store::{Answer, TestStore};
use crate::support::{Act, Change, Script, TestQueue, change, event, inserts, outcomes, process};

/// Fails all three attempts of the first invocation.
const DOWN_ONCE: Act = Act::FailTimes(3);
const BUDGET: Duration = Duration::from_millis(500);

#[tokio::test(start_paused = true)]
async fn another_environment_skips_what_was_done_after_the_checkpoint() {
    let (script, store) = (Script::new([("item-1", DOWN_ONCE)]), TestStore::default());
    let changes = inserts(4);
    let report = process(&environment(&script, store.clone()).build().unwrap(), &changes).await;
    assert_eq!(outcomes(&report), [Succeeded, Reported, Succeeded, Succeeded]);
    assert_eq!(store.calls(), ["load", "save"]);
    let report = process(&environment(&script, store.clone()).build().unwrap(), &changes[1..]).await;
    assert_eq!(outcomes(&report), [Succeeded, Skipped(AlreadyDone), Skipped(AlreadyDone)]);
    assert_eq!((report.counts().already_done, report.counts().redelivered), (2, 0));
    assert_eq!(script.succeeded().len(), 4, "each record once");
    assert_eq!(store.calls(), ["load"], "a batch that succeeds writes nothing");
}

#[tokio::test(start_paused = true)]
async fn the_same_environment_knows_by_itself() {
    let (script, store) = (Script::new([("item-0", DOWN_ONCE)]), TestStore::default());
    let processor = environment(&script, store.clone()).build().unwrap();
    process(&processor, &inserts(2)).await;
    let report = process(&processor, &inserts(2)).await;
    assert_eq!(outcomes(&report), [Succeeded, Skipped(Redelivered)]);
}

#[tokio::test(start_paused = true)]
async fn what_was_skipped_is_kept_for_the_next_checkpoint() {
    let script = Script::new([("item-0", DOWN_ONCE), ("item-2", Act::FailTimes(6))]);
    let store = MemoryIdempotencyStore::new();
    let processor = || environment(&script, store.clone()).build().unwrap();
    // The third record is reported or held back, whichever of the two fails last.
    let first = outcomes(&process(&processor(), &inserts(4)).await);
    assert_eq!((first[0], first[1], first[3]), (Reported, Succeeded, Succeeded));
    let report = process(&processor(), &inserts(4)).await;
    assert_eq!(outcomes(&report), [Succeeded, Skipped(AlreadyDone), Reported, Skipped(AlreadyDone)]);
    let report = process(&processor(), &inserts(4)[2..]).await;
    assert_eq!(outcomes(&report), [Succeeded, Skipped(AlreadyDone)]);
    assert_eq!(script.succeeded().len(), 4, "each record once");
}

#[tokio::test(start_paused = true)]
async fn a_row_that_says_it_already_is_not_written_again() {
    let (script, store) = (Script::new([("item-0", Act::Fail)]), TestStore::default());
    for calls in [&["load", "save"][..], &["load"], &["load"]] {
        process(&environment(&script, store.clone()).build().unwrap(), &inserts(3)).await;
        assert_eq!(store.calls(), calls);
    }
}

#[tokio::test(start_paused = true)]
async fn what_the_deadline_stopped_is_not_repeated() {
    let (script, store) = (Script::new([("item-0", Act::Hang)]), MemoryIdempotencyStore::new());
    let processor = || environment(&script, store.clone()).build().unwrap();
    let report = processor().process(event(&inserts(3)), Deadline::after(Duration::from_secs(10))).await;
    assert_eq!(outcomes(&report), [Unfinished, Succeeded, Succeeded]);
    let report = processor().process(event(&inserts(3)), Deadline::after(Duration::from_secs(10))).await;
    assert_eq!(outcomes(&report), [Unfinished, Skipped(AlreadyDone), Skipped(AlreadyDone)]);
}

#[tokio::test(start_paused = true)]
async fn what_follows_a_dead_letter_of_another_environment_still_follows_it() {
    let script = Script::new([("item-0", DOWN_ONCE), ("a", Act::FailPermanently)]);
    let (queue, store) = (TestQueue::default(), MemoryIdempotencyStore::new());
    let processor = || {
        let builder = environment(&script, store.clone()).dead_letter_queue(queue.clone());
        builder.after_dead_letter(AfterDeadLetter::FollowLane).build().unwrap()
    };
    let changes = [change(0, "item-0", 0), change(1, "a", 0), change(2, "a", 1)];
    process(&processor(), &changes[..2]).await;
    let report = process(&processor(), &changes).await;
    assert_eq!(outcomes(&report), [Succeeded, Skipped(AlreadyDone), DeadLettered]);
    assert_eq!(queue.accepted(), ["event-1", "event-2"]);
}

#[tokio::test(start_paused = true)]
async fn the_first_record_runs_while_the_store_is_read_and_the_others_wait() {
    let script = Script::new([("item-0", DOWN_ONCE), ("item-1", Act::Take(Duration::from_millis(40)))]);
    let store = TestStore::answering(Answer::After(Duration::from_millis(30)));
    let begun = Instant::now();
    let processor = environment(&script, store.clone()).build().unwrap();
    process(&processor, &inserts(1)).await;
    assert_eq!(
        (begun.elapsed() < Duration::from_secs(1), store.calls()),
        (true, vec![]),
        "nothing can be done after one record"
    );

    let script = Script::new([("item-0", Act::Take(Duration::from_millis(30))), ("item-1", Act::Succeed)]);
    let begun = Instant::now();
    process(&environment(&script, store.clone()).build().unwrap(), &inserts(2)).await;
    assert_eq!(begun.elapsed(), Duration::from_millis(30), "the read is hidden by the first record");

    let script = Script::new([("item-1", Act::Take(Duration::from_millis(40)))]);
    let begun = Instant::now();
    process(&environment(&script, store).build().unwrap(), &inserts(2)).await;
    assert_eq!(begun.elapsed(), Duration::from_millis(70), "the second record waits for the read");
}

#[tokio::test(start_paused = true)]
async fn a_bulk_is_filled_after_the_store_was_read() {
    let store = TestStore::answering(Answer::After(Duration::from_millis(30)));
    let sizes = std::sync::Arc::new(std::sync::Mutex::new(Vec::new()));
    let seen = std::sync::Arc::clone(&sizes);
    let index = move |records: Vec<Record>| {
        seen.lock().unwrap().push(records.len());
        async { Ok(()) }
    };
    let idempotency = Idempotency::new("tests", store);
    let processor = StreamProcessor::builder().on_record(bulk(index)).idempotency(idempotency).build().unwrap();
    process(&processor, &inserts(90)).await;
    assert_eq!(*sizes.lock().unwrap(), [90]);
}

#[tokio::test(start_paused = true)]
async fn a_store_that_does_not_answer_costs_its_budget_and_no_record() {
    const FAILS: Act = Act::FailPermanentlyAfter(Duration::from_millis(10));
    for answer in [Answer::Never, Answer::After(BUDGET * 2), Answer::Fail, Answer::Panic] {
        let (script, store) = (Script::new([("item-2", FAILS)]), TestStore::answering(answer));
        let begun = Instant::now();
        let report = process(&environment(&script, store.clone()).build().unwrap(), &inserts(4)).await;
        assert_eq!(outcomes(&report), [Succeeded, Succeeded, Reported, Succeeded], "{answer:?}");
        let waits = matches!(answer, Answer::Never | Answer::After(_));
        // Once to read and once to write.
        let waited = begun.elapsed() - Duration::from_millis(10);
        assert_eq!(waited, if waits { BUDGET * 2 } else { Duration::ZERO }, "{answer:?}");
        assert_eq!(store.calls(), ["load", "save"]);
    }
}

#[tokio::test(start_paused = true)]
async fn the_stop_waits_for_no_store() {
    let (script, store) = (Script::default(), TestStore::answering(Answer::Never));
    let idempotency = Idempotency::new("tests", store).budget(Duration::from_secs(60));
    let processor = StreamProcessor::builder().on_record(script).idempotency(idempotency).build().unwrap();
    let begun = Instant::now();
    let report = processor.process(event(&inserts(3)), Deadline::after(Duration::from_secs(10))).await;
    assert_eq!(outcomes(&report), [Succeeded, Unfinished, Unfinished]);
    assert_eq!(begun.elapsed(), Duration::from_secs(9), "a tenth is left for the response");
}

#[tokio::test(start_paused = true)]
async fn a_write_ends_before_the_deadline() {
    let (script, store) = (Script::new([("item-0", Act::Hang)]), TestStore::default());
    let idempotency = Idempotency::new("tests", store.clone()).budget(Duration::from_secs(60));
    let processor = StreamProcessor::builder().on_record(script).idempotency(idempotency).build().unwrap();
    let begun = Instant::now();
    let processed = processor.process(event(&inserts(2)), Deadline::after(Duration::from_secs(10)));
    let (report, ()) = tokio::join!(processed, async {
        tokio::time::sleep(Duration::from_secs(5)).await;
        store.answer(Answer::Never);
    });
    assert_eq!(outcomes(&report), [Unfinished, Succeeded]);
    assert_eq!(begun.elapsed(), Duration::from_millis(9_750), "dead letters are sent until then, too");
}

#[tokio::test(start_paused = true)]
async fn a_failed_invocation_is_remembered_by_its_first_record() {
    let (script, store) = (Script::new([("item-1", DOWN_ONCE)]), MemoryIdempotencyStore::new());
    let processor = || environment(&script, store.clone()).report_batch_item_failures(false).build().unwrap();
    process(&processor(), &inserts(3)).await.response().unwrap_err();
    let report = process(&processor(), &inserts(3)).await;
    assert_eq!(outcomes(&report), [Skipped(AlreadyDone), Succeeded, Skipped(AlreadyDone)]);
    assert_eq!(script.succeeded().len(), 3);
}

#[tokio::test(start_paused = true)]
async fn two_consumers_of_a_stream_do_not_skip_for_each_other() {
    let store = MemoryIdempotencyStore::new();
    let of = |consumer: &str, script: &Script| {
        let idempotency = Idempotency::new(consumer, store.clone());
        StreamProcessor::builder().on_record(script.clone()).idempotency(idempotency).build().unwrap()
    };
    let (index, totals) = (Script::new([("item-0", DOWN_ONCE)]), Script::default());
    process(&of("index", &index), &inserts(3)).await;
    let report = process(&of("totals", &totals), &inserts(3)).await;
    assert_eq!(outcomes(&report), [Succeeded; 3]);
}

#[tokio::test(start_paused = true)]
async fn a_row_of_another_stream_or_checkpoint_skips_nothing() {
    let (script, store) = (Script::new([("item-0", DOWN_ONCE)]), MemoryIdempotencyStore::new());
    let processor = || environment(&script, store.clone()).build().unwrap();
    process(&processor(), &inserts(3)).await;
    let elsewhere: Vec<Change> =
        inserts(3).into_iter().map(|change| change.with("/eventSourceARN", "arn:other")).collect();
    assert_eq!(outcomes(&process(&processor(), &elsewhere).await), [Succeeded; 3]);
    assert_eq!(
        outcomes(&process(&processor(), &inserts(3)[1..]).await),
        [Succeeded; 2],
        "Lambda resumes at the checkpoint"
    );
}

#[tokio::test(start_paused = true)]
async fn what_does_not_come_from_the_stream_asks_no_store() {
    let (script, store) = (Script::new([("item-0", Act::Fail)]), TestStore::default());
    let mut invocation = Invocation::from(Deadline::none());
    invocation.origin = lambda_streams::Origin::OnDemand;
    environment(&script, store.clone()).build().unwrap().process(event(&inserts(3)), invocation).await;
    assert_eq!(store.calls(), [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn a_row_is_kept_as_long_as_the_stream_keeps_the_records() {
    let (script, store) = (Script::new([("item-0", Act::Fail)]), TestStore::default());
    process(&environment(&script, store.clone()).build().unwrap(), &inserts(2)).await;
    let life = store.expires().expect("a row").duration_since(SystemTime::now()).expect("later");
    assert!((86_400..=90_000).contains(&life.as_secs()), "{life:?}");
}

/// What repeats a sequence number is not named, and so not remembered.
#[tokio::test(start_paused = true)]
async fn a_record_that_repeats_a_number_is_not_remembered_in_its_place() {
    let (script, store) = (Script::new([("item-0", DOWN_ONCE)]), MemoryIdempotencyStore::new());
    let repeated = change(2, "b", 0).with("/dynamodb/SequenceNumber", crate::support::sequence_number(1));
    let changes = [change(0, "item-0", 0), change(1, "a", 0), repeated];
    let queue = TestQueue::default();
    let processor = || environment(&script, store.clone()).dead_letter_queue(queue.clone()).build().unwrap();
    assert_eq!(outcomes(&process(&processor(), &changes).await), [Reported, Succeeded, DeadLettered]);
    assert_eq!(outcomes(&process(&processor(), &changes).await), [Succeeded, Skipped(AlreadyDone), DeadLettered]);
}
