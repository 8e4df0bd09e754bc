//! The README's "Order": different items run concurrently, up to a limit.

use std::time::Duration;

use lambda_streams::{Outcome, StreamProcessor};
use tokio::time::Instant;

use crate::support::{Act, Script, change, event, inserts, outcomes, process};

fn slow_items() -> Script {
    let take = Act::Take(Duration::from_secs(1));
    Script::new([
        ("item-0", take),
        ("item-1", take),
        ("item-2", take),
        ("item-3", take),
        ("item-4", take),
        ("item-5", take),
    ])
}

#[tokio::test(start_paused = true)]
async fn concurrency_reaches_but_never_exceeds_its_limit() {
    let script = slow_items();
    let processor = StreamProcessor::builder().on_record(script.clone()).concurrency(3).build().unwrap();
    let before = Instant::now();
    process(&processor, &inserts(6)).await;
    assert_eq!(script.most_running(), 3);
    assert_eq!(before.elapsed(), Duration::from_secs(2));
}

#[tokio::test(start_paused = true)]
async fn clones_and_invocations_share_one_limit() {
    let script = slow_items();
    let processor = StreamProcessor::builder().on_record(script.clone()).concurrency(2).build().unwrap();
    let clone = processor.clone();
    let (changes, others) = (inserts(3), inserts(6).split_off(3));
    let before = Instant::now();
    let (one, other) = tokio::join!(process(&processor, &changes), process(&clone, &others));
    assert_eq!(script.most_running(), 2);
    assert_eq!(before.elapsed(), Duration::from_secs(3));
    assert_eq!([outcomes(&one), outcomes(&other)].concat(), [Outcome::Succeeded; 6]);
}

#[tokio::test(start_paused = true)]
async fn a_record_awaiting_its_retry_holds_no_permit() {
    let script = Script::new([("item-0", Act::RetryAfter(Duration::from_secs(10)))]);
    let processor = StreamProcessor::builder().on_record(script.clone()).concurrency(1).build().unwrap();
    let changes = inserts(3);
    let processing = process(&processor, &changes);
    tokio::pin!(processing);
    tokio::select! {
        _ = &mut processing => panic!("the retries take 20 s"),
        () = tokio::time::sleep(Duration::from_secs(1)) => {}
    }
    assert_eq!(script.succeeded().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_dropped_future_cancels_handlers_and_frees_permits() {
    let script = Script::new([("item-0", Act::Hang), ("item-1", Act::PanicOnDrop)]);
    let processor = StreamProcessor::builder().on_record(script.clone()).concurrency(2).build().unwrap();
    {
        let changes = inserts(4);
        let processing = process(&processor, &changes);
        tokio::pin!(processing);
        let timed_out = tokio::time::timeout(Duration::from_secs(60), &mut processing).await;
        assert!(timed_out.is_err());
        assert_eq!(script.started().len(), 2);
    }
    let report = process(&processor, &[change(10, "x", 0), change(11, "y", 0)]).await;
    assert_eq!(outcomes(&report), [Outcome::Succeeded; 2]);
    assert_eq!(script.started().len(), 4, "no record of the cancelled batch continued");
}

#[tokio::test(start_paused = true)]
async fn ten_thousand_records_run_within_the_limit() {
    let script = Script::default();
    let processor = StreamProcessor::builder().on_record(script.clone()).concurrency(64).build().unwrap();
    let changes: Vec<_> = (0..10_000).map(|number| change(number, &format!("item-{}", number % 997), 0)).collect();
    let report = processor.process(event(&changes), lambda_streams::Deadline::none()).await;
    assert_eq!(report.counts().succeeded, 10_000);
    assert!(script.most_running() <= 64);
}
