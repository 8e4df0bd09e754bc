//! Tumbling windows: their fields, the state that is carried, the final invocation.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use lambda_streams_local::{FinalInvocation, Response, Settings, Unspecified, WarningKind};
use serde_json::{Value, json};

use super::support::{STREAM, Scripted, function_error, partial, record_of, run, source};

/// 2020-07-30T17:00:00Z, the beginning of a window of five minutes.
const START: u64 = 1_596_128_400;

fn at(number: u64, second: u64) -> String {
    record_of(number, "a", UNIX_EPOCH + Duration::from_secs(START + second))
}

fn settings() -> Settings {
    Settings { tumbling_window_in_seconds: 300, ..partial() }
}

fn state(json: &str) -> Response {
    Response::Returned(format!(r#"{{"state":{json},"batchItemFailures":[]}}"#))
}

/// Counts the records it is given; what it has counted is the state.
fn counting() -> Scripted {
    Scripted::by_rule(|numbers| state(&format!(r#"{{"last":{}}}"#, numbers.last().copied().unwrap_or_default())))
}

#[tokio::test(start_paused = true)]
async fn the_event_has_the_documented_fields() {
    let function = counting();
    run(settings(), source(vec![at(1, 0)]), &function).await;
    let mut first = function.calls()[0].event.clone();
    assert_eq!(first["Records"].take().as_array().map(Vec::len), Some(1));
    let expected = json!({
        "Records": null,
        "window": {"start": "2020-07-30T17:00:00Z", "end": "2020-07-30T17:05:00Z"},
        "state": {},
        "shardId": "shardId-1",
        "eventSourceARN": STREAM,
        "isFinalInvokeForWindow": false,
        "isWindowTerminatedEarly": false
    });
    assert_eq!(first, expected);
}

#[tokio::test(start_paused = true)]
async fn the_state_passes_between_invocations_until_the_window_ends() {
    let function = counting();
    let all = vec![at(1, 0), at(2, 10), at(3, 299), at(4, 300), at(5, 900)];
    run(Settings { batch_size: 2, ..settings() }, source(all), &function).await;
    let seen: Vec<(Vec<u64>, Value, bool)> = function
        .calls()
        .into_iter()
        .map(|call| {
            let last = call.event["isFinalInvokeForWindow"].as_bool().expect("a boolean");
            (call.numbers, call.event["state"].clone(), last)
        })
        .collect();
    let expected = [
        (vec![1, 2], json!({}), false),
        (vec![3], json!({"last": 2}), false),
        (vec![], json!({"last": 3}), true),
        (vec![4], json!({}), false),
        (vec![], json!({"last": 4}), true),
        (vec![5], json!({}), false),
        (vec![], json!({"last": 5}), true),
    ];
    assert_eq!(seen, expected);
}

#[tokio::test(start_paused = true)]
async fn a_response_without_state_is_a_failed_invocation() {
    for response in [r#"{"batchItemFailures":[]}"#, "null", r#"{"state":null}"#, r#"{"state":7}"#] {
        let function = counting().first([Response::Returned(response.to_owned())]);
        let ran = run(settings(), source(vec![at(1, 0)]), &function).await;
        assert_eq!(function.batches(), [vec![1], vec![1], vec![]], "{response}");
        assert_eq!(ran.summary.unusable_responses, 1);
    }
}

#[tokio::test(start_paused = true)]
async fn a_failed_batch_sees_the_state_from_before_it() {
    let function = counting().first([state(r#"{"last":1}"#), function_error()]);
    run(Settings { batch_size: 1, ..settings() }, source(vec![at(1, 0), at(2, 1)]), &function).await;
    let states: Vec<Value> = function.calls().iter().map(|call| call.event["state"].clone()).collect();
    assert_eq!(states, [json!({}), json!({"last": 1}), json!({"last": 1}), json!({"last": 2})]);
}

#[tokio::test(start_paused = true)]
async fn a_partial_response_carries_the_state_of_what_is_done() {
    let response = Response::Returned(r#"{"state":{"sum":1},"batchItemFailures":[{"itemIdentifier":"2"}]}"#.to_owned());
    let function = counting().first([response]);
    run(settings(), source(vec![at(1, 0), at(2, 1)]), &function).await;
    assert_eq!(function.batches(), [vec![1, 2], vec![2], vec![]]);
    assert_eq!(function.calls()[1].event["state"], json!({"sum": 1}));
}

#[tokio::test(start_paused = true)]
async fn a_state_over_1_mb_ends_the_window_early() {
    let large = format!(r#"{{"x":"{}"}}"#, "x".repeat(1_048_576));
    let function = counting().first([state(&large)]);
    let ran = run(Settings { batch_size: 1, ..settings() }, source(vec![at(1, 0), at(2, 1)]), &function).await;
    assert_eq!(function.batches(), [vec![1], vec![], vec![2], vec![]]);
    let early: Vec<bool> = function.calls().iter().map(|call| call.event["isWindowTerminatedEarly"] == true).collect();
    assert_eq!(early, [false, true, false, false]);
    assert_eq!(function.calls()[2].event["state"], json!({}), "the rest of the window starts again");
    assert_eq!(ran.warnings(), [WarningKind::WindowEndedEarly]);
}

#[tokio::test(start_paused = true)]
async fn a_failed_final_invocation_loses_the_state_with_a_warning() {
    let function = counting().first([state(r#"{"n":1}"#), function_error(), function_error(), function_error()]);
    let ran = run(Settings { maximum_retry_attempts: 2, ..settings() }, source(vec![at(1, 0)]), &function).await;
    assert_eq!(function.batches(), [vec![1], vec![], vec![], vec![]]);
    assert_eq!(ran.warnings(), [WarningKind::WindowLost]);
}

#[tokio::test(start_paused = true)]
async fn a_window_ends_by_the_clock_without_new_records() {
    use lambda_streams_local::{
        EventSourceMapping, Page, Position, Shard, ShardIterator, Source, SourceError, SourceRecord,
    };

    /// One record that is made now, in a shard that stays open.
    #[derive(Clone)]
    struct Open(String);

    impl Source for Open {
        fn stream_arn(&self) -> String {
            STREAM.to_owned()
        }

        async fn shards(&self) -> Result<Vec<Shard>, SourceError> {
            Ok(vec![Shard { id: "shardId-1".to_owned(), parent: None }])
        }

        async fn open(&self, shard: &str, _: &Position) -> Result<ShardIterator, SourceError> {
            Ok(ShardIterator { shard: shard.to_owned(), token: String::new(), last: None })
        }

        async fn read(&self, iterator: ShardIterator) -> Result<Page, SourceError> {
            let first = iterator.token.is_empty();
            let records = if first { vec![SourceRecord::from_json(self.0.clone())?] } else { Vec::new() };
            Ok(Page { records, next: Some(ShardIterator { token: "read".to_owned(), ..iterator }) })
        }
    }

    let open = Open(record_of(1, "a", SystemTime::now()));
    for (grace, latest) in [(Duration::from_secs(120), 421.0), (Duration::ZERO, 301.0)] {
        let function = counting();
        let settings =
            Settings { unspecified: Unspecified { window_grace: grace, ..Unspecified::default() }, ..settings() };
        let mapping = EventSourceMapping::new(settings, open.clone(), function.clone())
            .expect("right settings")
            .stop_when_idle(Duration::from_secs(600));
        let summary = mapping.run(std::future::pending()).await.expect("it ends well");
        assert_eq!(function.batches(), [vec![1], vec![]]);
        let ended = function.seconds()[1];
        assert!(grace.as_secs_f64() <= ended && ended <= latest, "{ended}");
        assert_eq!((summary.done, summary.shards_closed), (1, 0));
    }
    assert_eq!(Unspecified::default().window_grace, Duration::from_secs(120));
}

fn with_records() -> Settings {
    let unspecified = Unspecified { final_invocation: FinalInvocation::WithRecords, ..Unspecified::default() };
    Settings { unspecified, ..settings() }
}

fn finals(function: &Scripted) -> Vec<(Vec<u64>, bool)> {
    let is_final = |event: &Value| event["isFinalInvokeForWindow"] == true;
    function.calls().into_iter().map(|call| (call.numbers, is_final(&call.event))).collect()
}

#[tokio::test(start_paused = true)]
async fn the_last_records_can_be_in_the_final_invocation() {
    let function = counting();
    let all = vec![at(1, 0), at(2, 10), at(3, 299), at(4, 300), at(5, 900)];
    run(Settings { batch_size: 2, ..with_records() }, source(all), &function).await;
    assert_eq!(finals(&function), [(vec![1, 2], false), (vec![3], true), (vec![4], true), (vec![5], true)]);
}

#[tokio::test(start_paused = true)]
async fn the_rest_of_a_final_invocation_is_final_too() {
    let response = Response::Returned(r#"{"state":{"sum":1},"batchItemFailures":[{"itemIdentifier":"2"}]}"#.to_owned());
    let function = counting().first([response, function_error()]);
    run(with_records(), source(vec![at(1, 0), at(2, 1)]), &function).await;
    assert_eq!(finals(&function), [(vec![1, 2], true), (vec![2], true), (vec![2], true)]);
    assert_eq!(function.calls()[2].event["state"], json!({"sum": 1}));
}

#[tokio::test(start_paused = true)]
async fn of_a_halved_batch_the_last_half_is_final() {
    let function = counting().first([function_error()]);
    let settings = Settings { bisect_batch_on_function_error: true, ..with_records() };
    run(settings, source(vec![at(1, 0), at(2, 1)]), &function).await;
    assert_eq!(finals(&function), [(vec![1, 2], true), (vec![1], false), (vec![2], true)]);
}

#[tokio::test(start_paused = true)]
async fn a_window_whose_last_records_are_discarded_still_ends() {
    let function = counting().first([function_error()]);
    let settings = Settings { maximum_retry_attempts: 0, ..with_records() };
    let ran = run(settings, source(vec![at(1, 0)]), &function).await;
    assert_eq!(finals(&function), [(vec![1], true), (vec![], true)]);
    assert_eq!(ran.summary.discarded, 1);
}

#[tokio::test(start_paused = true)]
async fn a_window_of_old_records_ends_only_after_its_last_page() {
    // More than one page of a window that is long past; the function is faster than the reading.
    let function = counting();
    let all = (1..=1_500).map(|number| at(number, number % 300)).collect();
    run(Settings { batch_size: 1_000, ..settings() }, source(all), &function).await;
    let ends = function.batches().iter().filter(|batch| batch.is_empty()).count();
    assert_eq!((ends, function.batches().len()), (1, 3));
}
