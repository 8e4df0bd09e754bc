//! Each attempt's failure is kept: what a later one says is often only what follows from the first.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use lambda_streams::{
    DeadLetter, Deadline, ErrorKind, Failure, HandlerError, MemoryDeadLetterQueue, Outcome, Record, RetryPolicy,
    StreamProcessor,
};

use crate::support::letters::{letter_with, record};
use crate::support::{change, event};

fn told(failures: &[Failure]) -> Vec<(ErrorKind, &str)> {
    failures.iter().map(|failure| (failure.kind, failure.message.as_str())).collect()
}

fn retry(attempts: u32) -> RetryPolicy {
    RetryPolicy::default().max_attempts(attempts).base_delay(Duration::ZERO).max_delay(Duration::ZERO)
}

/// Hangs at first, and then meets the lock that its first attempt has left behind.
fn locked() -> impl Fn(Record) -> std::pin::Pin<Box<dyn Future<Output = Result<(), HandlerError>> + Send>> {
    let calls = AtomicU32::new(0);
    move |_| {
        let call = calls.fetch_add(1, Ordering::Relaxed);
        Box::pin(async move {
            if call == 0 {
                std::future::pending::<()>().await;
            }
            Err(HandlerError::retryable(format!("locked, call {call}")))
        })
    }
}

#[tokio::test(start_paused = true)]
async fn a_timeout_is_still_told_after_later_attempts_met_its_lock() {
    let queue = MemoryDeadLetterQueue::new();
    let processor = StreamProcessor::builder()
        .on_record(locked())
        .handler_timeout(Duration::from_secs(1))
        .retry(retry(3))
        .dead_letter_queue(queue.clone())
        .give_up_after(Duration::ZERO)
        .build()
        .unwrap();
    let report = processor.process(event(&[change(0, "a", 0).aged(60)]), Deadline::none()).await;
    let [record] = report.records() else { panic!("one record") };
    assert_eq!((record.outcome, record.attempts), (Outcome::DeadLettered, 3));
    assert_eq!(record.failure.as_ref().map(|last| last.message.as_str()), Some("locked, call 2"));
    let earlier = told(record.earlier_failures());
    assert_eq!((earlier.len(), earlier[0].0), (2, ErrorKind::Timeout));
    assert_eq!(earlier[1], (ErrorKind::Handler, "locked, call 1"));

    let letters = queue.letters();
    assert_eq!(told(letters[0].earlier_failures()), earlier);
    let again = DeadLetter::from_json(&letters[0].to_json()).unwrap();
    assert_eq!(told(again.earlier_failures()), earlier);
}

#[tokio::test(start_paused = true)]
async fn of_many_attempts_the_first_and_the_latest_are_kept() {
    let processor = StreamProcessor::builder()
        .on_record(locked())
        .handler_timeout(Duration::from_secs(1))
        .retry(retry(15))
        .build()
        .unwrap();
    let report = processor.process(event(&[change(0, "a", 0)]), Deadline::none()).await;
    let record = &report.records()[0];
    let earlier = told(record.earlier_failures());
    assert_eq!(earlier[0].0, ErrorKind::Timeout);
    let latest: Vec<String> = (6..=13).map(|call| format!("locked, call {call}")).collect();
    assert_eq!(earlier[1..].iter().map(|(_, message)| *message).collect::<Vec<_>>(), latest);
    assert_eq!(record.failure.as_ref().unwrap().message, "locked, call 14");
}

#[tokio::test(start_paused = true)]
async fn messages_of_earlier_attempts_are_short_and_a_success_leaves_none() {
    let calls = AtomicU32::new(0);
    let handler = move |record: Record| {
        let is_last = calls.fetch_add(1, Ordering::Relaxed) == 2;
        async move {
            if is_last && record.keys_json().contains("good") {
                return Ok(());
            }
            Err(HandlerError::retryable("x".repeat(5_000)))
        }
    };
    let processor = StreamProcessor::builder().on_record(handler).retry(retry(3)).build().unwrap();
    let report = processor.process(event(&[change(0, "good", 0)]), Deadline::none()).await;
    assert!(report.records()[0].failure.is_none() && report.records()[0].earlier_failures().is_empty());
    let report = processor.process(event(&[change(1, "bad", 0)]), Deadline::none()).await;
    let lengths: Vec<usize> = report.records()[0].earlier_failures().iter().map(|it| it.message.len()).collect();
    assert_eq!(lengths, [1024, 1024]);
}

#[test]
fn a_forged_letter_cannot_bring_more_than_the_library_writes() {
    let many: Vec<_> = (0..50).map(|_| serde_json::json!({"kind": "handler", "message": "x".repeat(5_000)})).collect();
    let letter = letter_with(&record("orders", "a", 1, "x"), serde_json::json!({"earlierErrors": many}));
    let lengths: Vec<usize> = letter.earlier_failures().iter().map(|it| it.message.len()).collect();
    assert_eq!(lengths, [1024; 9]);
}
