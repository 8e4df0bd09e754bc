//! A backfill into a function of this crate.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures::FutureExt;
use hyper::body::Bytes;
use lambda_streams::{
    Deadline, HandlerError, Insert, InvocationReport, MemoryDeadLetterQueue, Origin, StreamProcessor,
};
use serde::Deserialize;
use serde_json::json;
use tokio::process::Command;

use super::Bench;
use crate::cli::Ran;
use crate::fake_lambda::FakeLambda;

#[derive(Deserialize)]
struct Order {
    n: u32,
}

/// Order 3 is never taken, and order 5 only when the index is up.
async fn index(change: Insert<Order>, is_up: bool) -> Result<(), HandlerError> {
    assert_eq!((change.context().origin(), change.record.sequence_number()), (Origin::Backfill, None));
    match change.new.n {
        3 => Err(HandlerError::permanent("no such customer")),
        5 if !is_up => Err("the index is down".into()),
        _ => Ok(()),
    }
}

fn command(bench: &Bench, lambda: &FakeLambda) -> Command {
    let mut command =
        bench.bare(&["--table", "orders", "--function", "orders", "--attempts", "1", "--batch-size", "10"]);
    command.env("AWS_ENDPOINT_URL_LAMBDA", &lambda.endpoint);
    command
}

#[tokio::test]
async fn each_item_is_done_a_dead_letter_or_told_one_by_one() {
    let bench = Bench::new("processor", 30).await;
    let letters = MemoryDeadLetterQueue::new();
    let is_up = Arc::new(AtomicBool::new(false));
    let up = Arc::clone(&is_up);
    let processor = StreamProcessor::builder()
        .on_insert(move |change: Insert<Order>| index(change, up.load(Ordering::Relaxed)))
        .dead_letter_queue(letters.clone())
        .build()
        .expect("its settings are right");
    let processor = Arc::new(processor);
    let function = move |payload: Bytes| {
        let processor = Arc::clone(&processor);
        async move {
            let deadline = Deadline::after(Duration::from_secs(5));
            let report = processor.process_invocation(payload.to_vec(), deadline).await;
            match report.expect("it is a backfill") {
                InvocationReport::Replay(report) => {
                    Ok(serde_json::to_value(report.response().expect("a list was asked for")).expect("JSON"))
                }
                other => Err(json!({"errorMessage": format!("{other:?}")})),
            }
        }
        .boxed()
    };
    let lambda = FakeLambda::start(&bench.dynamo.stream_arn("orders").await, function).await;

    let ran: Ran = command(&bench, &lambda).output().await.expect("it runs").into();
    assert_eq!(ran.code, Some(1), "{}{}", ran.stderr, ran.stdout);
    assert!(ran.stdout.contains("30 items: 29 done, 1 failed"), "{}", ran.stdout);
    assert!(ran.stdout.contains("28 succeeded") && ran.stdout.contains("1 dead letter"), "{}", ran.stdout);
    let letter = letters.letters().remove(0);
    assert!(letter.sequence_number().is_none() && letter.event_id().is_some_and(|id| id.starts_with("backfill-")));

    is_up.store(true, Ordering::Relaxed);
    let ran: Ran = command(&bench, &lambda).output().await.expect("it runs").into();
    assert_eq!(ran.code, Some(0), "{}{}", ran.stderr, ran.stdout);
    assert!(ran.stdout.contains("1 item: 1 done, 0 failed"), "{}", ran.stdout);
    assert_eq!(letters.letters().len(), 1, "what is done is not sent again");
}
