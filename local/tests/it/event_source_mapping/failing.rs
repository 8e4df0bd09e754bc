//! Retries, bisecting, throttles, record age, and what is discarded.

use std::time::{Duration, SystemTime};

use lambda_streams_local::{Condition, Discard, Response, Settings, Unspecified, WarningKind};

use super::support::{Scripted, failures, function_error, partial, record_of, records, run, source, with_queue};

fn done() -> Response {
    Response::Returned("null".to_owned())
}

#[tokio::test(start_paused = true)]
async fn a_batch_without_retries_left_is_discarded() {
    let settings = Settings { maximum_retry_attempts: 2, ..with_queue() };
    let function = Scripted::by_rule(|numbers| if numbers.contains(&1) { function_error() } else { done() });
    let ran = run(Settings { batch_size: 2, ..settings }, source(records(3)), &function).await;
    assert_eq!(function.batches(), [vec![1, 2], vec![1, 2], vec![1, 2], vec![3]]);
    assert_eq!((ran.summary.done, ran.summary.discarded, ran.summary.retries), (1, 2, 2));
    assert_eq!(ran.conditions(), [Condition::RetryAttemptsExhausted]);
}

#[tokio::test(start_paused = true)]
async fn retries_are_unlimited_by_default() {
    let function = Scripted::new(std::iter::repeat_n(function_error(), 500));
    let ran = run(with_queue(), source(records(1)), &function).await;
    assert_eq!((ran.summary.done, ran.summary.invocations, ran.summary.discarded), (1, 501, 0));
}

#[tokio::test(start_paused = true)]
async fn partial_progress_resets_the_count_of_retries() {
    let settings = Settings { maximum_retry_attempts: 1, ..partial() };
    let function = Scripted::new([failures(&[1]), failures(&[2]), failures(&[2]), failures(&[3]), failures(&[3])]);
    let ran = run(settings, source(records(3)), &function).await;
    assert_eq!(function.batches(), [vec![1, 2, 3], vec![1, 2, 3], vec![2, 3], vec![2, 3], vec![3], vec![3]]);
    assert_eq!((ran.summary.done, ran.summary.discarded), (3, 0));
}

#[tokio::test(start_paused = true)]
async fn a_checkpoint_without_progress_costs_a_retry() {
    let settings = Settings { maximum_retry_attempts: 1, ..partial() };
    let function = Scripted::new([failures(&[2]), failures(&[2]), failures(&[2])]);
    let ran = run(settings, source(records(4)), &function).await;
    assert_eq!(function.batches(), [vec![1, 2, 3, 4], vec![2, 3, 4], vec![2, 3, 4]]);
    assert_eq!((ran.summary.done, ran.summary.discarded), (1, 3), "2 is bad, 3 and 4 go with it");
}

#[tokio::test(start_paused = true)]
async fn how_much_is_discarded_is_a_choice() {
    let unspecified = Unspecified { discard: Discard::FirstRecord, ..Unspecified::default() };
    let settings = Settings { maximum_retry_attempts: 0, unspecified, ..partial() };
    let function = Scripted::by_rule(|numbers| if numbers.contains(&2) { failures(&[2]) } else { done() });
    let ran = run(settings, source(records(4)), &function).await;
    assert_eq!(function.batches(), [vec![1, 2, 3, 4], vec![2, 3, 4], vec![3, 4]]);
    assert_eq!((ran.summary.done, ran.summary.discarded), (3, 1));
}

#[tokio::test(start_paused = true)]
async fn bisecting_isolates_a_poison_record_and_costs_no_retry() {
    let settings = Settings { maximum_retry_attempts: 0, bisect_batch_on_function_error: true, ..with_queue() };
    let function = Scripted::by_rule(|numbers| if numbers.contains(&3) { function_error() } else { done() });
    let ran = run(settings, source(records(8)), &function).await;
    let all: Vec<u64> = (1..=8).collect();
    assert_eq!(function.batches(), [&all[..], &all[..4], &all[..2], &all[2..4], &[3], &[4], &all[4..]]);
    assert_eq!((ran.summary.done, ran.summary.discarded, ran.summary.bisects), (7, 1, 3));
}

#[tokio::test(start_paused = true)]
async fn halves_inherit_retries_only_if_configured() {
    for (inherit, deliveries_of_one) in [(false, 2), (true, 1)] {
        let unspecified = Unspecified { halves_inherit_retries: inherit, ..Unspecified::default() };
        let settings =
            Settings { maximum_retry_attempts: 1, bisect_batch_on_function_error: true, unspecified, ..partial() };
        // The first failure, a partial response without progress, costs a retry; then the batch is bisected.
        let function = Scripted::by_rule(|_| function_error()).first([failures(&[1])]);
        run(settings, source(records(2)), &function).await;
        let alone = function.batches().iter().filter(|batch| **batch == [1]).count();
        assert_eq!(alone, deliveries_of_one, "inherit: {inherit}");
    }
}

#[tokio::test(start_paused = true)]
async fn with_bisecting_a_partial_response_splits_at_the_checkpoint() {
    let settings = Settings { bisect_batch_on_function_error: true, ..partial() };
    let function = Scripted::new([failures(&[3])]);
    let ran = run(settings, source(records(4)), &function).await;
    assert_eq!(function.batches(), [vec![1, 2, 3, 4], vec![3, 4]]);
    assert_eq!(ran.summary.bisects, 0);
}

#[tokio::test(start_paused = true)]
async fn the_backoff_doubles() {
    let function = Scripted::new(std::iter::repeat_n(function_error(), 7));
    run(with_queue(), source(records(1)), &function).await;
    assert_eq!(function.seconds(), [0.0, 0.5, 1.5, 3.5, 7.5, 15.5, 31.5, 63.5]);
}

#[tokio::test(start_paused = true)]
async fn a_throttled_invocation_costs_no_retry() {
    let settings = Settings { maximum_retry_attempts: 0, ..with_queue() };
    let function = Scripted::new(std::iter::repeat_n(Response::Throttled, 4));
    let ran = run(settings, source(records(1)), &function).await;
    assert_eq!(function.seconds(), [0.0, 0.5, 1.5, 3.5, 7.5]);
    assert_eq!((ran.summary.done, ran.summary.throttles, ran.summary.retries), (1, 4, 0));
}

#[tokio::test(start_paused = true)]
async fn records_that_are_too_old_are_split_off_and_sent_alone() {
    let now = SystemTime::now();
    let at = |number, age| record_of(number, "a", now - Duration::from_secs(age));
    let settings = Settings { maximum_record_age_in_seconds: 60, ..with_queue() };
    let function = Scripted::new([]);
    let ran = run(settings, source(vec![at(1, 500), at(2, 400), at(3, 5), at(4, 1)]), &function).await;
    assert_eq!(function.batches(), [vec![3, 4]]);
    assert_eq!(ran.conditions(), [Condition::RecordAgeExceeded]);
    assert_eq!((ran.summary.done, ran.summary.discarded), (2, 2));
}

#[tokio::test(start_paused = true)]
async fn a_record_ages_while_it_is_retried_on_the_paused_clock() {
    let settings = Settings { maximum_record_age_in_seconds: 60, ..with_queue() };
    let function = Scripted::by_rule(|_| function_error());
    let ran = run(settings, source(records(2)), &function).await;
    assert_eq!(ran.conditions(), [Condition::RecordAgeExceeded]);
    assert_eq!(ran.summary.discarded, 2);
    assert_eq!(function.calls().len(), 7, "the eighth would come after 63.5 seconds");
}

#[tokio::test(start_paused = true)]
async fn a_discard_without_a_destination_is_warned_of() {
    let settings = Settings { maximum_retry_attempts: 0, ..Settings::default() };
    let ran = run(settings, source(records(2)), &Scripted::by_rule(|_| function_error())).await;
    assert_eq!(ran.warnings(), [WarningKind::DiscardedUntold]);
}
