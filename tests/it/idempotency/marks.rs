//! High-water marks of items: a record is not handed to a handler again once its success was recorded before its mark was read.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use lambda_streams::Outcome::*;
use lambda_streams::SkipReason::{AlreadyDone, NoHandler, Stale as StaleSkip};
use lambda_streams::{
    AfterDeadLetter, BatchReport, Deadline, ErrorKind, Idempotency, Insert, Invocation, Lanes, Mark, Marks,
    OnMarksUnavailable, Origin, ProcessorBuilder, Record, SequenceNumber, Stale, StreamProcessor, bulk,
};
use tokio::time::{Instant, timeout};

use super::environment;
use super::store::{Answer, TestStore};
use crate::support::{
    Act, Change, Order, Script, TestQueue, change, event, inserts, outcomes, process, sequence_number,
};

const MS: Duration = Duration::from_millis(1);
const BUDGET: Duration = Duration::from_millis(500);

/// A processor of a new execution environment that keeps marks.
fn marked(script: &Script, store: &TestStore, stale: Stale) -> StreamProcessor {
    environment(script, store.clone()).marks(Marks::new(stale)).build().unwrap()
}

/// Processes a batch that does not come from the stream.
async fn from_elsewhere(processor: &StreamProcessor, changes: &[Change]) -> BatchReport {
    let mut invocation = Invocation::from(Deadline::none());
    invocation.origin = Origin::OnDemand;
    processor.process(event(changes), invocation).await
}

fn number(change: usize) -> Option<SequenceNumber> {
    SequenceNumber::new(&sequence_number(change))
}

/// The mark of the only item.
fn mark(store: &TestStore) -> Mark {
    let marks = store.rows.marks();
    assert_eq!(marks.len(), 1, "{marks:?}");
    marks[0].1
}

#[tokio::test(start_paused = true)]
async fn what_was_done_before_a_crash_is_not_done_again() {
    let (script, store) = (Script::new([("item-2", Act::Hang)]), TestStore::default());
    let processor = marked(&script, &store, Stale::Skip);
    let crash = timeout(Duration::from_secs(1), process(&processor, &inserts(4))).await;
    assert!(crash.is_err(), "the environment ends while the handler hangs");
    let script = Script::default();
    let report = process(&marked(&script, &store, Stale::Skip), &inserts(4)).await;
    let done = Skipped(AlreadyDone);
    assert_eq!(outcomes(&report), [done, done, Succeeded, done]);
    assert_eq!(report.counts().already_done, 3);
}

#[tokio::test(start_paused = true)]
async fn a_crash_between_success_and_mark_causes_one_repetition() {
    let (script, store) = (Script::default(), TestStore::answering_to("raise", Answer::Never));
    // The budget would end the wait for the mark.
    let crash = timeout(BUDGET / 2, process(&marked(&script, &store, Stale::Skip), &inserts(1))).await;
    assert!(crash.is_err() && script.succeeded().len() == 1);
    store.answer(Answer::AtOnce);
    for expected in [Succeeded, Skipped(AlreadyDone)] {
        let report = process(&marked(&script, &store, Stale::Skip), &inserts(1)).await;
        assert_eq!(outcomes(&report), [expected]);
    }
    assert_eq!(script.succeeded().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn the_changes_of_an_item_in_a_batch_raise_its_mark_once() {
    let (script, store) = (Script::default(), TestStore::default());
    let changes: Vec<Change> = (0..5).map(|number| change(number, "a", number as u32)).collect();
    process(&marked(&script, &store, Stale::Skip), &changes).await;
    assert_eq!(store.calls(), ["load", "marks", "begin", "raise"]);
    assert_eq!((mark(&store).passed, mark(&store).applied), (number(4), number(4)));
}

/// The figures of the guide.
#[tokio::test(start_paused = true)]
async fn a_batch_of_100_items_costs_one_read_and_a_write_for_each() {
    let store = TestStore::answering(Answer::After(5 * MS));
    let processor = marked(&Script::default(), &store, Stale::Skip);
    for beginning in [1, 0] {
        let begun = Instant::now();
        process(&processor, &inserts(100)).await;
        let mut counts: HashMap<&str, usize> = HashMap::new();
        store.calls().into_iter().for_each(|call| *counts.entry(call).or_default() += 1);
        let count = |name| counts.get(name).copied().unwrap_or_default();
        assert_eq!((count("load"), count("marks"), count("begin"), count("raise")), (1, 1, beginning, 100 * beginning));
        // One read; then, the first time, 100 writes of which 32 are in flight at once.
        assert_eq!(begun.elapsed(), if beginning == 1 { 25 * MS } else { 5 * MS });
    }
}

#[tokio::test(start_paused = true)]
async fn marks_are_read_ahead_of_the_records_that_run() {
    let store = TestStore::answering(Answer::After(5 * MS));
    let script = Script::new([]);
    let slow = environment(&script, store.clone()).marks(Marks::new(Stale::Skip)).concurrency(1);
    let processor = slow.filter(|_| true).build().unwrap();
    let begun = Instant::now();
    let report = process(&processor, &inserts(1_000)).await;
    assert!(report.counts().succeeded == 1_000 && begun.elapsed() < 1_000 * MS, "{:?}", begun.elapsed());
    let reads = store.calls().into_iter().filter(|call| *call == "marks").count();
    assert_eq!(reads, 10, "100 items a call");
}

#[tokio::test(start_paused = true)]
async fn a_mark_is_not_raised_while_a_record_of_its_item_runs() {
    // The item is in the second stretch again, when its mark is being raised.
    let store = TestStore::answering(Answer::After(50 * MS));
    let running = Arc::new(Mutex::new((0_usize, Vec::new())));
    let (seen, rows) = (Arc::clone(&running), store.clone());
    let handler = move |change: Insert<Order>| {
        let (seen, rows) = (Arc::clone(&seen), rows.clone());
        async move {
            if change.new.id == "hot" {
                assert_eq!(rows.raising(), 0, "a mark is raised while a record of its item runs");
                seen.lock().unwrap().1.push(Instant::now());
                tokio::time::sleep(10 * MS).await;
                assert_eq!(rows.raising(), 0, "a mark is raised while a record of its item runs");
            }
            Ok(())
        }
    };
    let mut changes: Vec<Change> = (0..101).map(|number| change(number, &format!("cold-{number}"), 0)).collect();
    changes[0] = change(0, "hot", 0);
    changes[100] = change(100, "hot", 0);
    let only_hot = |record: &Record| record.new_image::<Order>().is_ok_and(|order| order.id == "hot");
    let builder = StreamProcessor::builder().on_insert(handler).filter(only_hot);
    let builder = builder.idempotency(Idempotency::new("tests", store.clone())).marks(Marks::new(Stale::Skip));
    let report = process(&builder.build().unwrap(), &changes).await;
    assert_eq!(report.counts().succeeded, 2);
    assert_eq!(running.lock().unwrap().1.len(), 2);
    assert_eq!(store.calls().into_iter().filter(|call| *call == "raise").count(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_dead_letter_passes_and_is_not_applied() {
    let (script, store, queue) =
        (Script::new([("a", Act::FailPermanently)]), TestStore::default(), TestQueue::default());
    let processor = |script: &Script| {
        let builder = environment(script, store.clone()).marks(Marks::new(Stale::Skip));
        builder.dead_letter_queue(queue.clone()).build().unwrap()
    };
    let changes = [change(0, "a", 0)];
    assert_eq!(outcomes(&process(&processor(&script), &changes).await), [DeadLettered]);
    assert_eq!((mark(&store).passed, mark(&store).applied), (number(0), None));
    // The stream has passed it; a redrive processes it.
    let fixed = Script::default();
    assert_eq!(outcomes(&process(&processor(&fixed), &changes).await), [Skipped(AlreadyDone)]);
    let memorable =
        [change(0, "a", 0).with("/dynamodb/ApproximateCreationDateTime", crate::support::seconds_ago(0) + 60)];
    assert_eq!(outcomes(&from_elsewhere(&processor(&fixed), &memorable).await), [Succeeded]);
    assert_eq!(outcomes(&from_elsewhere(&processor(&fixed), &memorable).await), [Skipped(AlreadyDone)]);
    assert_eq!((mark(&store).passed, mark(&store).applied), (number(0), number(0)));
}

#[tokio::test(start_paused = true)]
async fn a_letter_that_the_queue_did_not_accept_raises_no_mark() {
    let (script, store) = (Script::new([("a", Act::FailPermanently)]), TestStore::default());
    let queue = TestQueue::new(crate::support::Reply::Refuse);
    let builder = environment(&script, store.clone()).marks(Marks::new(Stale::Skip)).dead_letter_queue(queue);
    assert_eq!(outcomes(&process(&builder.build().unwrap(), &[change(0, "a", 0)]).await), [Reported]);
    assert!(store.rows.marks().is_empty());
}

#[tokio::test(start_paused = true)]
async fn what_follows_a_dead_letter_follows_it_in_another_environment() {
    let (script, store, queue) =
        (Script::new([("a", Act::FailPermanently)]), TestStore::default(), TestQueue::default());
    let processor = || {
        let builder = environment(&script, store.clone()).marks(Marks::new(Stale::Skip));
        builder.dead_letter_queue(queue.clone()).after_dead_letter(AfterDeadLetter::FollowLane).build().unwrap()
    };
    let changes = [change(0, "a", 0), change(1, "a", 1)];
    process(&processor(), &changes[..1]).await;
    assert_eq!(outcomes(&process(&processor(), &changes).await), [Skipped(AlreadyDone), DeadLettered]);
}

#[tokio::test(start_paused = true)]
async fn a_stale_record_is_processed_or_skipped_as_the_settings_say() {
    for (stale, expected) in [(Stale::Process, Succeeded), (Stale::Skip, Skipped(StaleSkip))] {
        let store = TestStore::default();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let processor = || {
            let seen = Arc::clone(&seen);
            let handler = move |record: Record| {
                seen.lock().unwrap().push(record.context().is_stale());
                async { Ok(()) }
            };
            let builder = StreamProcessor::builder().on_record(handler);
            builder.idempotency(Idempotency::new("tests", store.clone())).marks(Marks::new(stale)).build().unwrap()
        };
        let changes = [change(0, "a", 0), change(1, "a", 1)];
        process(&processor(), &changes[1..]).await;
        assert_eq!(outcomes(&from_elsewhere(&processor(), &changes[..1]).await), [expected]);
        assert_eq!(*seen.lock().unwrap(), if stale == Stale::Skip { vec![false] } else { vec![false, true] });
        assert_eq!(mark(&store).applied, number(1), "it only rises");
    }
}

#[tokio::test(start_paused = true)]
async fn of_two_records_that_come_back_in_the_wrong_order_the_older_is_stale() {
    let store = TestStore::default();
    let processor = marked(&Script::default(), &store, Stale::Skip);
    process(&processor, &[change(0, "a", 0)]).await;
    let report = from_elsewhere(&processor, &[change(3, "a", 3), change(2, "a", 2), change(4, "a", 4)]).await;
    assert_eq!(outcomes(&report), [Succeeded, Skipped(StaleSkip), Succeeded]);
    assert_eq!(report.counts().stale, 1);
}

/// A replay of a stretch that the stream has not delivered yet must not make it skip what comes before.
#[tokio::test(start_paused = true)]
async fn what_comes_from_elsewhere_does_not_move_where_the_stream_is() {
    let (script, store) = (Script::default(), TestStore::default());
    let processor = marked(&script, &store, Stale::Process);
    from_elsewhere(&processor, &[change(7, "a", 7)]).await;
    assert_eq!((mark(&store).passed, mark(&store).applied), (None, number(7)));
    assert_eq!(outcomes(&process(&processor, &[change(3, "a", 3)]).await), [Succeeded]);
}

#[tokio::test(start_paused = true)]
async fn a_record_older_than_the_marks_cannot_be_decided() {
    let day = 24 * 60 * 60;
    for (age, begins_before, stale, expected) in [
        // Older than a mark is kept.
        (17 * day, true, Stale::Skip, Reported),
        (15 * day, true, Stale::Skip, Succeeded),
        // Made before marks began.
        (60, false, Stale::Skip, Reported),
        (60, false, Stale::Process, Succeeded),
    ] {
        let store = TestStore::default();
        let begins = begins_before.then(|| Duration::from_secs(20 * day));
        store.begins_before(begins.unwrap_or_default());
        let changes = [change(0, "a", 0).aged(age)];
        let report = from_elsewhere(&marked(&Script::default(), &store, stale), &changes).await;
        assert_eq!(outcomes(&report), [expected], "{age} {begins_before} {stale:?}");
        if expected == Reported {
            let failure = report.records()[0].failure.as_ref().expect("a reason");
            assert_eq!(failure.kind, ErrorKind::Mark);
            assert!(failure.message.contains("the mark of its item"), "{failure}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_later_change_with_a_lower_number_is_processed() {
    let (script, store) = (Script::default(), TestStore::default());
    process(&marked(&script, &store, Stale::Skip), &[change(5, "a", 5).aged(60)]).await;
    for (age, expected) in [(61, Skipped(AlreadyDone)), (60, Skipped(AlreadyDone)), (10, Succeeded)] {
        let report = process(&marked(&script, &store, Stale::Skip), &[change(4, "a", 4).aged(age)]).await;
        assert_eq!(outcomes(&report), [expected], "made {age} seconds ago");
    }
    assert_eq!(mark(&store).passed, number(5), "it only rises");
}

#[tokio::test(start_paused = true)]
async fn a_store_that_cannot_be_read_is_not_asked_again_and_the_settings_decide() {
    for answer in [Answer::Never, Answer::Fail, Answer::Panic] {
        for choice in [OnMarksUnavailable::Proceed, OnMarksUnavailable::Report] {
            let (script, store) = (Script::default(), TestStore::answering(answer));
            let marks = Marks::new(Stale::Skip).on_unavailable(choice);
            let processor = environment(&script, store.clone()).marks(marks).build().unwrap();
            let begun = Instant::now();
            let report = process(&processor, &inserts(250)).await;
            let reads = store.calls().into_iter().filter(|call| *call == "marks").count();
            assert_eq!(reads, 1, "{answer:?}");
            match choice {
                OnMarksUnavailable::Proceed => {
                    assert_eq!(report.counts().succeeded, 250, "{answer:?}");
                    // To read, and to write what 32 calls did not.
                    let waited = if answer == Answer::Never { BUDGET * 2 } else { Duration::ZERO };
                    assert_eq!(begun.elapsed(), waited, "{answer:?}");
                }
                OnMarksUnavailable::Report => {
                    assert_eq!(report.checkpoint().map(|record| record.position), Some(0));
                    let failure = report.records()[0].failure.as_ref().map(|failure| failure.kind);
                    assert_eq!((failure, script.started().len()), (Some(ErrorKind::Mark), 0), "{answer:?}");
                }
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_record_from_elsewhere_whose_mark_is_unknown_is_not_processed_if_it_may_be_stale() {
    for (stale, expected) in [(Stale::Skip, Reported), (Stale::Process, Succeeded)] {
        let store = TestStore::answering(Answer::Fail);
        let report = from_elsewhere(&marked(&Script::default(), &store, stale), &inserts(2)).await;
        assert_eq!(outcomes(&report), [expected; 2], "{stale:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn marks_are_only_read_where_they_can_matter() {
    let store = TestStore::default();
    let script = Script::new([("item-0", Act::FailTimes(3))]);
    let handler = {
        let script = script.clone();
        move |change: Insert<Order>| {
            let script = script.clone();
            async move { lambda_streams::Handler::<Record>::handle(&script, change.record).await }
        }
    };
    let builder = StreamProcessor::builder().on_insert(handler);
    let processor =
        builder.idempotency(Idempotency::new("tests", store.clone())).marks(Marks::new(Stale::Skip)).build().unwrap();
    // A kind without a handler, and a malformed record.
    let report = process(&processor, &[change(0, "a", 1), change(1, "b", 1)]).await;
    assert_eq!(outcomes(&report), [Skipped(NoHandler); 2]);
    assert_eq!(store.asked(), [0; 0]);
    // What this environment knows to be done.
    process(&processor, &inserts(3)).await;
    process(&processor, &inserts(3)).await;
    assert_eq!(store.asked(), [3, 1]);
    // An item is asked for once.
    process(&processor, &[change(10, "x", 0), change(11, "x", 0), change(12, "y", 0)]).await;
    assert_eq!(store.asked(), [2]);
}

#[tokio::test(start_paused = true)]
async fn the_marks_of_what_is_done_are_raised_after_the_stop() {
    let (script, store) = (Script::new([("slow", Act::Hang), ("a", Act::Succeed)]), TestStore::default());
    let processor = marked(&script, &store, Stale::Skip);
    // The second change of the item hangs, so its mark waits until the stop.
    let changes = [change(0, "slow", 0), change(1, "a", 0)];
    let report = processor.process(event(&changes), Deadline::after(Duration::from_secs(10))).await;
    assert_eq!(outcomes(&report), [Unfinished, Succeeded]);
    assert_eq!(store.rows.marks().len(), 1);

    let (script, store) = (Script::new([("a", Act::Take(Duration::from_secs(6)))]), TestStore::default());
    let processor = marked(&script, &store, Stale::Skip);
    let changes = [change(0, "a", 0), change(1, "a", 1)];
    let report = processor.process(event(&changes), Deadline::after(Duration::from_secs(10))).await;
    assert_eq!(outcomes(&report), [Succeeded, Unfinished]);
    assert_eq!(mark(&store).passed, number(0), "the mark of an item whose later change did not finish");
}

#[tokio::test(start_paused = true)]
async fn the_response_does_not_wait_for_marks_beyond_the_deadline() {
    let (script, store) = (Script::new([("item-0", Act::Take(Duration::from_secs(5)))]), TestStore::default());
    let idempotency = Idempotency::new("tests", store.clone()).budget(Duration::from_secs(60));
    let builder = StreamProcessor::builder().on_record(script).idempotency(idempotency);
    let processor = builder.marks(Marks::new(Stale::Skip)).build().unwrap();
    let begun = Instant::now();
    let processed = processor.process(event(&inserts(1)), Deadline::after(Duration::from_secs(10)));
    let (report, ()) = tokio::join!(processed, async {
        tokio::time::sleep(Duration::from_secs(1)).await;
        store.answer(Answer::Never);
    });
    assert_eq!(outcomes(&report), [Succeeded]);
    assert_eq!(begun.elapsed(), Duration::from_millis(9_750));
}

#[tokio::test(start_paused = true)]
async fn at_most_32_marks_are_raised_at_once() {
    let store = TestStore::answering(Answer::After(5 * MS));
    process(&marked(&Script::default(), &store, Stale::Skip), &inserts(200)).await;
    assert_eq!(store.most_raising(), 32);
    assert_eq!(store.rows.marks().len(), 200);
}

#[tokio::test(start_paused = true)]
async fn a_bulk_is_filled_with_what_the_store_was_asked_about() {
    let store = TestStore::answering(Answer::After(5 * MS));
    let sizes = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&sizes);
    let index = move |records: Vec<Record>| {
        seen.lock().unwrap().push(records.len());
        async { Ok(()) }
    };
    let builder = StreamProcessor::builder().on_record(bulk(index).max_records(150));
    let builder = builder.idempotency(Idempotency::new("tests", store.clone())).marks(Marks::new(Stale::Skip));
    let processor = builder.build().unwrap();
    process(&processor, &inserts(400)).await;
    assert_eq!(*sizes.lock().unwrap(), [150, 150, 100]);
    assert_eq!(store.rows.marks().len(), 400);
}

#[tokio::test(start_paused = true)]
async fn superseded_changes_pass_with_the_last_of_their_item() {
    let store = TestStore::default();
    let index = |_: Vec<Record>| async { Ok(()) };
    let builder = StreamProcessor::builder().on_record(bulk(index).latest_only());
    let builder = builder.idempotency(Idempotency::new("tests", store.clone())).marks(Marks::new(Stale::Skip));
    let changes: Vec<Change> = (0..3).map(|number| change(number, "a", number as u32)).collect();
    process(&builder.build().unwrap(), &changes).await;
    assert_eq!(mark(&store).applied, number(2));
    assert_eq!(store.calls().into_iter().filter(|call| *call == "raise").count(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_mark_is_kept_as_long_as_the_settings_say() {
    for (marks, days) in
        [(Marks::new(Stale::Skip), 16), (Marks::new(Stale::Skip).life(Duration::from_secs(3 * 86_400)), 3)]
    {
        let store = TestStore::default();
        let processor = environment(&Script::default(), store.clone()).marks(marks).build().unwrap();
        process(&processor, &inserts(1)).await;
        let life = store.expires().expect("a mark").duration_since(SystemTime::now()).expect("later");
        assert!(((days * 86_400 - 60)..=days * 86_400).contains(&life.as_secs()), "{life:?}");
    }
}

#[test]
fn marks_that_cannot_work_are_refused() {
    let why = |builder: ProcessorBuilder| builder.build().expect_err("it cannot work").to_string();
    let marks = Marks::new(Stale::Skip);
    let error = why(StreamProcessor::builder().on_record(Script::default()).marks(marks));
    assert!(error.starts_with("there are `marks`, but no store"), "{error}");
    let with = |marks| environment(&Script::default(), TestStore::default()).marks(marks);
    let error = why(with(marks).lanes(Lanes::Unordered));
    assert!(error.starts_with("`marks` need the order of an item"), "{error}");
    let error = why(with(marks.life(Duration::from_secs(24 * 60 * 60))));
    assert!(error.starts_with("`life` of `Marks` is below 25 hours"), "{error}");
}
