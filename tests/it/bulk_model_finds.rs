//! What random schedules found in bulks (`tests/model`), each in its smallest case.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures::future::{BoxFuture, FutureExt};
use lambda_streams::Outcome::*;
use lambda_streams::{
    AfterDeadLetter, Bulk, ErrorKind, HandlerError, Record, RetryPolicy, SkipReason, StreamProcessor, bulk,
};

use crate::support::{Change, Reply, TestQueue, about, change, outcomes, process};

type Answers = Result<Vec<Result<(), HandlerError>>, HandlerError>;

/// What each call had: the id, the version and the attempt of each record.
type Calls = Arc<Mutex<Vec<Vec<(String, u32, u32)>>>>;

/// A bulk handler that takes three milliseconds a record, and answers by the versions that it gets.
fn sink<F>(calls: &Calls, answer: F) -> Bulk<impl Fn(Vec<Record>) -> BoxFuture<'static, Answers> + use<F>>
where
    F: Fn(usize, &[u32]) -> Answers + Send + Sync + 'static,
{
    let calls = Arc::clone(calls);
    bulk(move |records: Vec<Record>| {
        let call: Vec<_> = records
            .iter()
            .map(|record| {
                let (id, version) = about(record);
                (id, version, record.context().attempt())
            })
            .collect();
        let versions: Vec<u32> = call.iter().map(|(_, version, _)| *version).collect();
        let mut calls = calls.lock().unwrap();
        calls.push(call);
        let answer = answer(calls.len(), &versions);
        tokio::time::sleep(Duration::from_millis(3 * versions.len() as u64)).map(|()| answer).boxed()
    })
}

fn done(versions: &[u32]) -> Answers {
    Ok(versions.iter().map(|_| Ok(())).collect())
}

fn refused() -> Answers {
    Err(HandlerError::permanent("refused"))
}

/// The version and the attempt of each record of each call.
fn attempts(calls: &Calls) -> Vec<Vec<(u32, u32)>> {
    let calls = calls.lock().unwrap();
    calls.iter().map(|call| call.iter().map(|(_, version, attempt)| (*version, *attempt)).collect()).collect()
}

/// Changes of one item.
fn versions(count: u32) -> Vec<Change> {
    (0..count).map(|version| change(version as usize, "a", version)).collect()
}

#[tokio::test(start_paused = true)]
async fn a_record_that_a_half_leaves_out_has_its_attempt_again() {
    let calls = Calls::default();
    let handler = sink(&calls, |_, versions| if versions.contains(&0) { refused() } else { done(versions) });
    let queue = TestQueue::new(Reply::AcceptAfter(Duration::from_secs(1)));
    let processor = StreamProcessor::builder()
        .on_record(handler.within_lane())
        .retry(RetryPolicy::default().max_attempts(1))
        .dead_letter_queue(queue.clone())
        .build()
        .unwrap();
    let report = process(&processor, &versions(2)).await;
    let expected = [vec![(0, 1), (1, 1)], vec![(0, 1)], vec![(1, 1)]];
    assert_eq!(attempts(&calls), expected, "the second record waits for the letter of the first");
    assert_eq!(outcomes(&report), [DeadLettered, Succeeded]);
    assert_eq!(report.records().iter().map(|record| record.attempts).collect::<Vec<_>>(), [1, 1]);
}

#[tokio::test(start_paused = true)]
async fn a_record_that_is_blocked_in_a_half_has_its_attempt_again() {
    let calls = Calls::default();
    let handler = sink(&calls, |call, versions| match call {
        1 => refused(),
        2 => Ok(vec![Err("busy".into()), Ok(())]),
        _ => done(versions),
    });
    let processor = StreamProcessor::builder()
        .on_record(handler.within_lane())
        .retry(RetryPolicy::default().max_attempts(2))
        .dead_letter_queue(TestQueue::default())
        .build()
        .unwrap();
    let report = process(&processor, &versions(4)).await;
    let expected = [vec![(0, 1), (1, 1), (2, 1), (3, 1)], vec![(0, 1), (1, 1)], vec![(0, 2), (1, 1), (2, 1), (3, 1)]];
    assert_eq!(attempts(&calls), expected);
    assert_eq!(outcomes(&report), [Succeeded; 4]);
}

#[tokio::test(start_paused = true)]
async fn a_record_that_is_held_back_after_a_failure_of_its_bulk_keeps_the_attempt() {
    let calls = Calls::default();
    let handler = sink(&calls, |_, versions| if versions.len() == 2 { refused() } else { done(versions) });
    let processor = StreamProcessor::builder().on_record(handler.within_lane()).build().unwrap();
    let [first, last]: [Change; 2] = versions(2).try_into().unwrap();
    let changes = [first, Change::raw(r#"{"eventSource": "aws:dynamodb"}"#), last];
    let report = process(&processor, &changes).await;
    assert_eq!(attempts(&calls), [vec![(0, 1), (1, 1)], vec![(0, 1)]]);
    assert_eq!(outcomes(&report), [Succeeded, Reported, HeldBack]);
    assert_eq!(report.records()[2].attempts, 1, "its handler was called");
}

#[tokio::test(start_paused = true)]
async fn a_record_of_a_half_that_has_not_run_joins_no_other_bulk() {
    let calls = Calls::default();
    let handler = sink(&calls, |call, versions| match call {
        1 | 2 => refused(),
        3 => Ok(vec![Err(HandlerError::retry_after("busy", Duration::ZERO)), Ok(())]),
        _ => done(versions),
    });
    let processor = StreamProcessor::builder()
        .on_record(handler.within_lane())
        .dead_letter_queue(TestQueue::default())
        .build()
        .unwrap();
    // The item of version 0 is that of version 7, too.
    let changes: Vec<Change> =
        (0..8).map(|number| change(number, ["a", "b", "c", "d", "e", "f", "g"][number % 7], number as u32)).collect();
    let report = process(&processor, &changes).await;
    let calls: Vec<Vec<u32>> =
        attempts(&calls).iter().map(|call| call.iter().map(|(version, _)| *version).collect()).collect();
    let expected = [vec![0, 1, 2, 3, 4, 5, 6, 7], vec![0, 1, 2, 3], vec![0, 1], vec![2, 3], vec![0], vec![4, 5, 6, 7]];
    assert_eq!(calls, expected);
    assert_eq!(outcomes(&report), [Succeeded; 8]);
}

#[tokio::test(start_paused = true)]
async fn a_record_that_follows_a_dead_letter_says_so_although_its_bulk_failed() {
    let calls = Calls::default();
    let handler = sink(&calls, |_, _| refused());
    let queue = TestQueue::default();
    let processor = StreamProcessor::builder()
        .on_record(handler.within_lane())
        .after_dead_letter(AfterDeadLetter::FollowLane)
        .dead_letter_queue(queue.clone())
        .build()
        .unwrap();
    let report = process(&processor, &versions(2)).await;
    assert_eq!(outcomes(&report), [DeadLettered; 2]);
    let letters = queue.letters();
    assert_eq!(
        letters.iter().map(|letter| letter.error_kind()).collect::<Vec<_>>(),
        [ErrorKind::Handler, ErrorKind::Predecessor]
    );
    let earlier: Vec<&str> = letters[1].earlier_failures().iter().map(|failure| failure.message.as_str()).collect();
    assert_eq!(earlier, ["refused"], "what the bulk failed with is kept");
}

#[tokio::test(start_paused = true)]
async fn a_bulk_takes_an_earlier_change_where_the_latest_is_held_back() {
    let calls = Calls::default();
    let handler = sink(&calls, |_, versions| done(versions));
    let processor = StreamProcessor::builder().on_record(handler.latest_only()).build().unwrap();
    let malformed = change(2, "c", 0).with("/dynamodb/NewImage", serde_json::json!({"id": {"S": 1}}));
    let changes = [change(0, "b", 0), change(1, "a", 0), malformed, change(3, "a", 1)];
    let report = process(&processor, &changes).await;
    assert_eq!(attempts(&calls), [vec![(0, 1), (0, 1)]], "one call");
    assert_eq!(outcomes(&report), [Succeeded, Succeeded, Reported, HeldBack]);

    // Where nothing before the latest is held back, it stands for all of them.
    let calls = Calls::default();
    let handler = sink(&calls, |_, versions| done(versions));
    let processor = StreamProcessor::builder().on_record(handler.latest_only()).build().unwrap();
    let report = process(&processor, &[change(0, "b", 0), change(1, "a", 0), change(3, "a", 1)]).await;
    assert_eq!(outcomes(&report), [Succeeded, Skipped(SkipReason::Superseded), Succeeded]);
}
