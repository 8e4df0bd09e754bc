//! What a bulk handler can answer, and what each record becomes.

use std::time::Duration;

use lambda_streams::Outcome::*;
use lambda_streams::{
    BulkAnswer, BulkFailures, ErrorKind, FailurePolicy, HandlerError, MemoryDeadLetterQueue, Record, RetryPolicy,
    StreamProcessor, bulk,
};

use super::{Says, Sink, sink};
use crate::support::{inserts, outcomes, process};

/// The outcomes of four records whose bulk handler gives this answer.
async fn of_answer<A: BulkAnswer + Send + 'static>(answer: fn() -> A) -> Vec<lambda_streams::Outcome> {
    let processor = StreamProcessor::builder()
        .on_record(bulk(move |_: Vec<Record>| async move { answer() }))
        .retry(RetryPolicy::none())
        .dead_letter_queue(MemoryDeadLetterQueue::new())
        .failure_policy(FailurePolicy::DeadLetterPermanent)
        .build()
        .unwrap();
    outcomes(&process(&processor, &inserts(4)).await)
}

fn refused() -> HandlerError {
    HandlerError::permanent("refused")
}

#[tokio::test(start_paused = true)]
async fn a_handler_may_answer_in_five_ways() {
    let all = [Succeeded; 4];
    let third = [Succeeded, Succeeded, DeadLettered, Succeeded];
    assert_eq!(of_answer(|| Ok::<(), HandlerError>(())).await, all);
    assert_eq!(of_answer(BulkFailures::new).await, all);
    assert_eq!(of_answer(|| Ok::<BulkFailures, HandlerError>(BulkFailures::new())).await, all);
    assert_eq!(of_answer(|| vec![Ok(()), Ok(()), Err(refused()), Ok(())]).await, third);
    assert_eq!(of_answer(|| Ok::<_, HandlerError>(vec![Ok(()), Ok(()), Err(refused()), Ok(())])).await, third);
    assert_eq!(of_answer(|| BulkFailures::from_iter([(2, refused())])).await, third);
    let twice = || BulkFailures::from_iter([(2, refused()), (2, HandlerError::retryable("busy"))]);
    assert_eq!(of_answer(twice).await, third, "the first failure of a position counts");
}

#[test]
fn failures_are_counted_and_limits_shown() {
    let mut failures = BulkFailures::new();
    assert!(failures.is_empty());
    failures.push(3, refused());
    failures.extend([(4, refused())]);
    assert_eq!((failures.len(), failures.is_empty()), (2, false));
    let shown = format!("{:?}", bulk(|_: Vec<Record>| async { Ok::<(), HandlerError>(()) }).max_records(7));
    assert!(shown.starts_with("Bulk {") && shown.contains("max_records: 7"), "{shown}");
}

#[tokio::test(start_paused = true)]
async fn bulks_that_fail_at_the_same_time_all_come_back() {
    let sink = Sink::slow(|call, _| (Duration::from_millis(1), if call <= 3 { Says::Down } else { Says::Done }));
    let processor = StreamProcessor::builder().on_record(sink!(sink).max_records(2)).build().unwrap();
    let report = process(&processor, &inserts(6)).await;
    assert_eq!((outcomes(&report), sink.sizes().len()), (vec![Succeeded; 6], 6), "three bulks, each called twice");
}

#[tokio::test(start_paused = true)]
async fn each_record_keeps_its_own_attempts_failure_and_dead_letter() {
    let queue = MemoryDeadLetterQueue::new();
    let sink = Sink::new(|call, _| match call {
        1 => Says::Refuses(vec!["item-1"]),
        2 => Says::Fails(vec!["item-2"]),
        _ => Says::Done,
    });
    let processor = StreamProcessor::builder()
        .on_record(sink!(sink).max_records(2))
        .concurrency(1)
        .dead_letter_queue(queue.clone())
        .build()
        .unwrap();
    let report = process(&processor, &inserts(4)).await;
    assert_eq!(outcomes(&report), [Succeeded, DeadLettered, Succeeded, Succeeded]);
    assert_eq!(report.records().iter().map(|record| record.attempts).collect::<Vec<_>>(), [1, 1, 2, 1]);
    assert_eq!(report.counts().retries, 1);
    let letters = queue.letters();
    assert_eq!((letters.len(), letters[0].event_id(), letters[0].attempts()), (1, Some("event-1"), 1));
    assert_eq!((letters[0].error_kind(), letters[0].error_message()), (ErrorKind::Handler, "refused"));
}

#[tokio::test(start_paused = true)]
async fn records_that_failed_retryably_come_back_together_after_the_longest_delay() {
    let (second, minute) = (Duration::from_secs(1), Duration::from_secs(60));
    let sink = Sink::new(move |call, _| match call {
        1 => Says::After(vec![("item-1", second), ("item-4", minute), ("item-7", second)]),
        _ => Says::Done,
    });
    let processor = StreamProcessor::builder().on_record(sink!(sink)).build().unwrap();
    let report = process(&processor, &inserts(10)).await;
    assert_eq!(sink.ids()[1..], [["item-1", "item-4", "item-7"]]);
    assert_eq!(sink.began()[1], minute);
    assert_eq!(report.counts().succeeded, 10);

    // With the backoff's own delays, which differ from record to record.
    let sink = Sink::new(|call, seen| match call {
        1 => Says::Down,
        2 => {
            assert_eq!(seen.len(), 10, "the whole bulk comes back");
            Says::Done
        }
        _ => panic!("one retry is enough"),
    });
    let processor = StreamProcessor::builder().on_record(sink!(sink)).build().unwrap();
    let report = process(&processor, &inserts(10)).await;
    assert_eq!(sink.sizes(), [10, 10]);
    assert!(report.records().iter().all(|record| record.attempts == 2));
}

#[tokio::test(start_paused = true)]
async fn a_wrong_number_of_answers_is_not_the_fault_of_a_record() {
    for policy in [FailurePolicy::DeadLetterAll, FailurePolicy::DeadLetterPermanent, FailurePolicy::ReportAll] {
        let queue = MemoryDeadLetterQueue::new();
        let sink = Sink::new(|_, _| Says::Answers(3));
        let builder = StreamProcessor::builder().on_record(sink!(sink)).failure_policy(policy);
        let builder = match policy {
            FailurePolicy::ReportAll => builder,
            _ => builder.dead_letter_queue(queue.clone()).give_up_after(Duration::ZERO),
        };
        let report = process(&builder.build().unwrap(), &inserts(5)).await;
        assert_eq!(sink.sizes(), [5, 5, 5], "it is retried whole, and not halved");
        assert!(queue.letters().is_empty(), "{policy:?}");
        assert!(outcomes(&report).iter().all(|outcome| *outcome == Reported), "nothing counts as done: {report:?}");
        let failure = report.records()[0].failure.as_ref().unwrap();
        assert_eq!(failure.message, "the bulk handler returned 3 answers for a bulk of 5 records");
        assert_eq!(failure.kind, ErrorKind::Handler);
    }
}

#[tokio::test(start_paused = true)]
async fn too_many_answers_and_a_position_outside_are_as_wrong() {
    let sink = Sink::new(|call, _| if call == 1 { Says::Answers(6) } else { Says::Done });
    let processor = StreamProcessor::builder().on_record(sink!(sink)).build().unwrap();
    let report = process(&processor, &inserts(5)).await;
    assert_eq!(sink.sizes(), [5, 5]);
    assert!(report.records().iter().all(|record| (record.outcome, record.attempts) == (Succeeded, 2)));

    let processor = StreamProcessor::builder()
        .on_record(bulk(|records: Vec<Record>| async move { BulkFailures::from_iter([(records.len(), refused())]) }))
        .dead_letter_queue(MemoryDeadLetterQueue::new())
        .failure_policy(FailurePolicy::DeadLetterAll)
        .build()
        .unwrap();
    let report = process(&processor, &inserts(5)).await;
    assert!(outcomes(&report).iter().all(|outcome| *outcome == Reported));
    let message = &report.records()[4].failure.as_ref().unwrap().message;
    assert_eq!(message, "the bulk handler named position 5, counted from 0, of a bulk of 5 records");
}

#[tokio::test(start_paused = true)]
async fn a_bulk_of_one_answers_for_its_record() {
    for (says, outcome) in [
        (Says::Invalid, DeadLettered),
        (Says::Panics, DeadLettered),
        (Says::Down, Reported),
        (Says::Answers(0), Reported),
        (Says::Done, Succeeded),
    ] {
        let of_sink = says.clone();
        let sink = Sink::new(move |_, _| of_sink.clone());
        let processor = StreamProcessor::builder()
            .on_record(sink!(sink))
            .dead_letter_queue(MemoryDeadLetterQueue::new())
            .build()
            .unwrap();
        let report = process(&processor, &inserts(1)).await;
        assert_eq!(outcomes(&report), [outcome], "{says:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn errors_of_a_bulk_are_classified_as_those_of_one_record() {
    #[derive(Debug)]
    struct NoSuchCustomer;
    impl std::fmt::Display for NoSuchCustomer {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("no such customer")
        }
    }
    impl std::error::Error for NoSuchCustomer {}
    let processor = StreamProcessor::builder()
        .on_record(bulk(|records: Vec<Record>| async move {
            let answer = |position| if position == 1 { Err(NoSuchCustomer.into()) } else { Ok(()) };
            (0..records.len()).map(answer).collect::<Vec<Result<(), HandlerError>>>()
        }))
        .permanent_if(|error| error.is::<NoSuchCustomer>())
        .dead_letter_queue(MemoryDeadLetterQueue::new())
        .build()
        .unwrap();
    let report = process(&processor, &inserts(3)).await;
    assert_eq!(outcomes(&report), [Succeeded, DeadLettered, Succeeded]);
    assert_eq!(report.records()[1].attempts, 1);
}
