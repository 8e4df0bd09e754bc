//! The README's "Order": invocations and handlers that share a thread or the concurrency limit leave each other their turns.

use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::Poll;
use std::time::Duration;

use futures::poll;
use lambda_streams::{Deadline, Outcome, Record, StreamProcessor};
use tokio::sync::Notify;

use crate::support::{Reply, TestQueue, about, change, event, inserts, outcomes, process};

#[tokio::test(start_paused = true)]
async fn a_handler_that_yields_lets_other_tasks_run() {
    let turns = Arc::new(AtomicUsize::new(0));
    let saw = Arc::new(AtomicUsize::new(0));
    let handler = {
        let (turns, saw) = (Arc::clone(&turns), Arc::clone(&saw));
        move |_: Record| {
            let (turns, saw) = (Arc::clone(&turns), Arc::clone(&saw));
            async move {
                let before = turns.load(Ordering::SeqCst);
                yield_once().await;
                saw.fetch_max(turns.load(Ordering::SeqCst) - before, Ordering::SeqCst);
                Ok(())
            }
        }
    };
    let processor = StreamProcessor::builder().on_record(handler).build().unwrap();
    let changes = inserts(1);
    let mut processing = pin!(process(&processor, &changes));
    while poll!(&mut processing).is_pending() {
        turns.fetch_add(1, Ordering::SeqCst);
    }
    assert_eq!(saw.load(Ordering::SeqCst), 1, "between a handler's two polls, the rest of the task has a turn");
}

/// Wakes itself, as a handler does that has used up its share of the thread.
async fn yield_once() {
    let mut yielded = false;
    poll_fn(move |context| {
        if std::mem::replace(&mut yielded, true) {
            return Poll::Ready(());
        }
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_stopped_invocation_waits_for_no_permit() {
    let release = Arc::new(Notify::new());
    let handler = {
        let release = Arc::clone(&release);
        move |record: Record| {
            let release = Arc::clone(&release);
            async move {
                if about(&record).0 == "holds" {
                    release.notified().await;
                }
                Ok(())
            }
        }
    };
    // The letter of a malformed record, which needs no permit, is in flight until after the stop.
    let queue = TestQueue::new(Reply::AcceptAfter(Duration::from_secs(28)));
    let builder = StreamProcessor::builder().on_record(handler).dead_letter_queue(queue);
    let processor = builder.concurrency(1).build().unwrap();
    let [holds, malformed, waits, last] =
        [(0, "holds"), (1, "malformed"), (2, "waits"), (3, "last")].map(|(number, id)| change(number, id, 0));
    let stopped = [malformed.with("/eventName", "UPSERT"), waits];

    let mut holding = pin!(processor.process(event(&[holds]), Deadline::none()));
    let mut stopping = pin!(processor.process(event(&stopped), Deadline::after(Duration::from_secs(30))));
    assert!(poll!(&mut holding).is_pending() && poll!(&mut stopping).is_pending());
    tokio::time::advance(Duration::from_secs(27)).await;
    assert!(poll!(&mut stopping).is_pending(), "the dead letter is in flight");
    release.notify_one();
    assert!(poll!(&mut holding).is_ready());
    // The stopped invocation has had no turn since the permit is free.
    let Poll::Ready(report) = poll!(pin!(processor.process(event(&[last]), Deadline::none()))) else {
        panic!("the permit went to an invocation that starts nothing more");
    };
    assert_eq!(outcomes(&report), [Outcome::Succeeded]);
    assert_eq!(outcomes(&stopping.await), [Outcome::DeadLettered, Outcome::Unfinished]);
}
