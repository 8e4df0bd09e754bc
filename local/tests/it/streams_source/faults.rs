//! What a stream's API may answer other than records, on a paused clock.

use std::sync::{Arc, Mutex};

use aws_sdk_dynamodbstreams::config::retry::RetryConfig;
use aws_sdk_dynamodbstreams::config::{BehaviorVersion, Region, StalledStreamProtectionConfig};
use aws_sdk_dynamodbstreams::{Client, Config};
use lambda_streams::SequenceNumber;
use lambda_streams_local::{DynamoDbStreams, Page, Position, ShardIterator, Source};
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::fake_aws::{FakeAws, Reply};

const ARN: &str = "arn:aws:dynamodb:eu-central-1:123456789012:table/orders/stream/2026-01-01T00:00:00.000";

/// The calls that were made: the operation and what it asked for.
type Calls = Arc<Mutex<Vec<String>>>;

/// A source whose stream lists `shards`, and whose other calls are answered by `answer`, which is told how many calls
/// of the same operation came before.
async fn source(
    shards: Value,
    answer: impl Fn(&str, usize) -> Reply + Send + Sync + 'static,
) -> (DynamoDbStreams, Calls) {
    let calls = Calls::default();
    let seen = Arc::clone(&calls);
    let fake = FakeAws::new(move |(operation, body)| {
        let mut calls = seen.lock().expect("no test panics here");
        let before = calls.iter().filter(|call| call.starts_with(operation)).count();
        let what = match operation {
            "GetShardIterator" => format!("{} {}", body["ShardIteratorType"], body["SequenceNumber"]),
            "GetRecords" => body["ShardIterator"].to_string(),
            _ => body["ExclusiveStartShardId"].to_string(),
        };
        calls.push(format!("{operation} {what}").replace('"', "").replace(" null", ""));
        match operation {
            "DescribeStream" => describe(&shards, &body),
            _ => answer(operation, before),
        }
    });
    let source = DynamoDbStreams::connect(client(fake), ARN).await.expect("the stream is there");
    calls.lock().expect("no test panics here").clear();
    (source, calls)
}

fn client(fake: FakeAws) -> Client {
    let config = Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("eu-central-1"))
        .credentials_provider(super::credentials())
        .stalled_stream_protection(StalledStreamProtectionConfig::disabled())
        .retry_config(RetryConfig::disabled())
        .http_client(fake);
    Client::from_conf(config.build())
}

/// Lists two shards a page.
fn describe(shards: &Value, body: &Value) -> Reply {
    let all = shards.as_array().expect("a list of shards");
    let after = |id: &Value| all.iter().position(|shard| shard["ShardId"] == *id).map_or(0, |position| position + 1);
    let page: Vec<&Value> = all.iter().skip(after(&body["ExclusiveStartShardId"])).take(2).collect();
    let last = page.last().filter(|last| **last != all.last().expect("there is one"));
    Reply::Ok(json!({"StreamDescription": {
        "StreamArn": ARN, "StreamViewType": "NEW_IMAGE", "Shards": page,
        "LastEvaluatedShardId": last.map(|last| &last["ShardId"]),
    }}))
}

fn one_shard() -> Value {
    json!([{"ShardId": "shardId-1"}])
}

fn closed_shard() -> Value {
    json!([{"ShardId": "shardId-1", "SequenceNumberRange": {"StartingSequenceNumber": "100", "EndingSequenceNumber": "120"}}])
}

fn records(numbers: &[&str], next: Option<&str>) -> Reply {
    let records: Vec<Value> = numbers
        .iter()
        .map(|number| {
            json!({"eventID": number, "eventName": "INSERT", "dynamodb": {
                "SequenceNumber": number, "ApproximateCreationDateTime": 1_767_225_600.0, "Keys": {"id": {"S": number}},
            }})
        })
        .collect();
    Reply::Ok(json!({"Records": records, "NextShardIterator": next}))
}

fn timed_records(records: &[(&str, u64)]) -> Reply {
    let record = |(number, time): &(&str, u64)| {
        json!({"eventID": number, "eventName": "INSERT", "dynamodb": {
            "SequenceNumber": number, "ApproximateCreationDateTime": time, "Keys": {"id": {"S": "a"}},
        }})
    };
    Reply::Ok(json!({"Records": records.iter().map(record).collect::<Vec<_>>(), "NextShardIterator": "t1"}))
}

fn iterator(token: &str) -> Reply {
    Reply::Ok(json!({"ShardIterator": token}))
}

async fn open(source: &DynamoDbStreams, from: &Position) -> ShardIterator {
    source.open("shardId-1", from).await.expect("the shard can be opened")
}

fn numbers(page: &Page) -> Vec<&str> {
    page.records.iter().filter_map(|record| record.sequence_number()).map(SequenceNumber::as_str).collect()
}

fn made(calls: &Calls) -> Vec<String> {
    std::mem::take(&mut calls.lock().expect("no test panics here"))
}

#[tokio::test(start_paused = true)]
async fn shards_are_listed_from_all_pages() {
    let shards = json!([
        {"ShardId": "shardId-1", "ParentShardId": "shardId-0"},
        {"ShardId": "shardId-3", "ParentShardId": "shardId-1"},
        {"ShardId": "shardId-2", "ParentShardId": "shardId-1"},
        {"ShardId": "shardId-4", "ParentShardId": "shardId-2"},
        {"ShardId": "shardId-5"},
    ]);
    let (source, calls) = source(shards, |_, _| Reply::Refused).await;
    let shards = source.shards().await.expect("they can be listed");
    let lineage: Vec<(&str, Option<&str>)> = shards.iter().map(|shard| (&*shard.id, shard.parent.as_deref())).collect();
    let expected = [
        ("shardId-1", None),
        ("shardId-3", Some("shardId-1")),
        ("shardId-2", Some("shardId-1")),
        ("shardId-4", Some("shardId-2")),
        ("shardId-5", None),
    ];
    assert_eq!(lineage, expected);
    assert_eq!(made(&calls), ["DescribeStream", "DescribeStream shardId-3", "DescribeStream shardId-4"]);
}

#[tokio::test(start_paused = true)]
async fn a_missing_next_iterator_is_the_end() {
    let (source, _) = source(closed_shard(), |operation, before| match (operation, before) {
        ("GetShardIterator", _) => iterator("t0"),
        (_, 0) => records(&[], Some("t1")),
        (_, 1) => records(&["111"], Some("t2")),
        _ => records(&[], None),
    })
    .await;
    let page = source.read(open(&source, &Position::TrimHorizon).await).await.expect("an empty page");
    assert!(page.records.is_empty());
    let page = source.read(page.next.expect("not the end")).await.expect("a page");
    assert_eq!(numbers(&page), ["111"]);
    let page = source.read(page.next.expect("not the end")).await.expect("the last page");
    assert!(page.records.is_empty() && page.next.is_none());
}

#[tokio::test(start_paused = true)]
async fn an_expired_iterator_is_reopened_after_the_last_record() {
    let (source, calls) = source(one_shard(), |operation, before| match (operation, before) {
        ("GetShardIterator", 0) => iterator("old"),
        ("GetShardIterator", _) => iterator("new"),
        (_, 0) => records(&["111", "112"], Some("expired")),
        (_, 1) => Reply::Error("ExpiredIteratorException"),
        _ => records(&["113"], Some("t2")),
    })
    .await;
    let page = source.read(open(&source, &Position::TrimHorizon).await).await.expect("a page");
    let page = source.read(page.next.expect("not the end")).await.expect("a page");
    assert_eq!(numbers(&page), ["113"]);
    let expected = [
        "GetShardIterator TRIM_HORIZON",
        "GetRecords old",
        "GetRecords expired",
        "GetShardIterator AFTER_SEQUENCE_NUMBER 112",
        "GetRecords new",
    ];
    assert_eq!(made(&calls), expected);
    assert_eq!(source.gaps(), 0);
}

#[tokio::test(start_paused = true)]
async fn an_iterator_that_expires_at_the_end_loses_no_later_record() {
    // The record of 2026 is older than the moment of opening; the one of 2100 came while the laptop slept.
    let (source, calls) = source(one_shard(), |operation, before| match (operation, before) {
        ("GetShardIterator", _) => iterator("t"),
        (_, 0) => Reply::Error("ExpiredIteratorException"),
        _ => timed_records(&[("111", 1_767_225_600), ("112", 4_102_444_800)]),
    })
    .await;
    let page = source.read(open(&source, &Position::Latest).await).await.expect("a page");
    assert_eq!(numbers(&page), ["112"]);
    let expected = ["GetShardIterator LATEST", "GetRecords t", "GetShardIterator TRIM_HORIZON", "GetRecords t"];
    assert_eq!(made(&calls), expected);
}

#[tokio::test(start_paused = true)]
async fn clock_skew_leaves_out_no_record_near_the_end() {
    let (source, _) = source(one_shard(), |operation, _| match operation {
        "GetShardIterator" => iterator("t"),
        _ => records(&["111"], Some("t1")),
    })
    .await;
    // Its creation time is long past, as on a machine whose clock is ahead.
    let page = source.read(open(&source, &Position::Latest).await).await.expect("a page");
    assert_eq!(numbers(&page), ["111"]);
}

#[tokio::test(start_paused = true)]
async fn throttling_and_failures_are_retried_with_backoff() {
    for fault in ["LimitExceededException", "ThrottlingException", "InternalServerError"] {
        let (source, _) = source(one_shard(), move |operation, before| match (operation, before) {
            ("GetShardIterator", 0..3) | ("GetRecords", 0..9) => Reply::Error(fault),
            ("GetShardIterator", _) => iterator("t"),
            _ => records(&["111"], None),
        })
        .await;
        let began = Instant::now();
        let page = source.read(open(&source, &Position::TrimHorizon).await).await.expect("it passes");
        assert_eq!(numbers(&page), ["111"]);
        let longest = 0.7 + 0.1 + 0.2 + 0.4 + 0.8 + 1.6 + 3.2 + 6.4 + 10.0 + 10.0;
        assert!(began.elapsed().as_secs_f64() <= longest, "{:?}", began.elapsed());
    }
}

#[tokio::test(start_paused = true)]
async fn a_lasting_failure_is_an_error_with_advice() {
    let table: [(Option<&'static str>, &str); 4] = [
        (Some("ThrottlingException"), "opening shard shardId-1: throttled for too long: reduce the number of readers"),
        (None, "opening shard shardId-1: the endpoint cannot be reached: connection refused"),
        (
            Some("AccessDeniedException"),
            "opening shard shardId-1: AccessDeniedException: made up: your credentials lack this permission",
        ),
        (Some("ExpiredTokenException"), "opening shard shardId-1: ExpiredTokenException: made up: sign in again"),
    ];
    for (fault, expected) in table {
        let (source, _) = source(one_shard(), move |_, _| fault.map_or(Reply::Refused, Reply::Error)).await;
        let error = source.open("shardId-1", &Position::TrimHorizon).await.expect_err("it lasts").to_string();
        assert!(error.starts_with(expected), "{error}");
    }
}

#[tokio::test(start_paused = true)]
async fn trimmed_data_is_a_counted_gap_and_reading_goes_on_after_it() {
    let (source, calls) = source(one_shard(), |operation, before| match (operation, before) {
        ("GetShardIterator", 0) => Reply::Error("TrimmedDataAccessException"),
        ("GetShardIterator", _) => iterator("t"),
        (_, 0) => Reply::Error("TrimmedDataAccessException"),
        _ => records(&["222"], None),
    })
    .await;
    let after = Position::After(SequenceNumber::new("111").expect("digits"));
    let page = source.read(open(&source, &after).await).await.expect("it goes on");
    assert_eq!(numbers(&page), ["222"]);
    assert_eq!(source.gaps(), 2);
    let expected = [
        "GetShardIterator AFTER_SEQUENCE_NUMBER 111",
        "GetShardIterator TRIM_HORIZON",
        "GetRecords t",
        "GetShardIterator TRIM_HORIZON",
        "GetRecords t",
    ];
    assert_eq!(made(&calls), expected);
}

#[tokio::test(start_paused = true)]
async fn an_open_shard_without_a_next_iterator_is_reopened() {
    let open_shard = json!([{"ShardId": "shardId-1", "SequenceNumberRange": {"StartingSequenceNumber": "100"}}]);
    let (source, calls) = source(open_shard, |operation, before| match (operation, before) {
        ("GetShardIterator", before) => iterator(["t0", "t1", "t2"][before]),
        (_, 0) => records(&["111"], None),
        (_, 1) => records(&[], None),
        _ => records(&["112"], Some("t3")),
    })
    .await;
    let mut seen = Vec::new();
    let mut iterator = open(&source, &Position::TrimHorizon).await;
    for _ in 0..3 {
        let page = source.read(iterator).await.expect("a page");
        seen.extend(numbers(&page).into_iter().map(str::to_owned));
        iterator = page.next.expect("the shard is open");
    }
    assert_eq!(seen, ["111", "112"]);
    assert_eq!(source.gaps(), 0);
    let opened: Vec<String> = made(&calls).into_iter().filter(|call| call.starts_with("GetShard")).collect();
    let after = "GetShardIterator AFTER_SEQUENCE_NUMBER 111";
    assert_eq!(opened, ["GetShardIterator TRIM_HORIZON", after, after]);
}

#[tokio::test(start_paused = true)]
async fn a_shard_with_a_child_is_closed() {
    let shards = json!([{"ShardId": "shardId-1"}, {"ShardId": "shardId-2", "ParentShardId": "shardId-1"}]);
    let (source, _) = source(shards, |operation, _| match operation {
        "GetShardIterator" => iterator("t"),
        _ => records(&[], None),
    })
    .await;
    let page = source.read(open(&source, &Position::TrimHorizon).await).await.expect("the last page");
    assert!(page.next.is_none());
}

#[tokio::test(start_paused = true)]
async fn data_that_stays_trimmed_is_an_error() {
    let (source, calls) = source(one_shard(), |operation, _| match operation {
        "GetShardIterator" => iterator("t"),
        _ => Reply::Error("TrimmedDataAccessException"),
    })
    .await;
    let began = Instant::now();
    let iterator = open(&source, &Position::TrimHorizon).await;
    let error = source.read(iterator).await.expect_err("it stays trimmed").to_string();
    assert!(
        error.starts_with("reading shard shardId-1: the stream reports again and again that it has trimmed"),
        "{error}"
    );
    assert_eq!(source.gaps(), 1, "the same records are lost only once");
    assert!(made(&calls).len() < 50 && began.elapsed().as_secs() >= 1, "with backoff, for about a minute at most");
}

#[tokio::test(start_paused = true)]
async fn a_fresh_end_that_is_trimmed_is_not_a_gap() {
    for from_open in [false, true] {
        let (source, calls) = source(one_shard(), move |operation, before| match (operation, before) {
            ("GetShardIterator", 0) if from_open => Reply::Error("TrimmedDataAccessException"),
            ("GetShardIterator", _) => iterator("t"),
            (_, 0) if !from_open => Reply::Error("TrimmedDataAccessException"),
            _ => timed_records(&[("111", 1_767_225_600), ("112", 4_102_444_800)]),
        })
        .await;
        let page = source.read(open(&source, &Position::Latest).await).await.expect("a page");
        assert_eq!(numbers(&page), ["112"], "what was written before the start stays out");
        assert_eq!(source.gaps(), 0);
        assert_eq!(made(&calls)[0], "GetShardIterator LATEST");
    }
}

#[tokio::test(start_paused = true)]
async fn an_end_that_was_opened_a_day_ago_can_have_a_gap() {
    let (source, _) = source(one_shard(), |operation, before| match (operation, before) {
        ("GetShardIterator", _) => iterator("t"),
        (_, 0) => Reply::Error("TrimmedDataAccessException"),
        _ => timed_records(&[("112", 4_102_444_800)]),
    })
    .await;
    let iterator = open(&source, &Position::Latest).await;
    tokio::time::advance(std::time::Duration::from_secs(25 * 3_600)).await;
    source.read(iterator).await.expect("a page");
    assert_eq!(source.gaps(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_repeated_page_is_dropped() {
    let (source, _) = source(one_shard(), |operation, before| match (operation, before) {
        ("GetShardIterator", _) => iterator("t1"),
        (_, 0) => records(&["111", "112"], Some("t2")),
        (_, 1) => records(&["112"], Some("t2")),
        (_, 2) => records(&["111", "112"], Some("t2")),
        _ => records(&["112", "113"], Some("t2")),
    })
    .await;
    let mut seen = Vec::new();
    let mut iterator = open(&source, &Position::TrimHorizon).await;
    for _ in 0..5 {
        let page = source.read(iterator).await.expect("a page");
        seen.extend(numbers(&page).into_iter().map(str::to_owned));
        iterator = page.next.expect("not the end");
    }
    assert_eq!(seen, ["111", "112", "113"]);
}

#[tokio::test(start_paused = true)]
async fn a_listing_that_never_ends_is_an_error() {
    let fake = FakeAws::new(|_| {
        Reply::Ok(json!({"StreamDescription": {
            "StreamArn": ARN, "Shards": [{"ShardId": "shardId-1"}], "LastEvaluatedShardId": "shardId-1",
        }}))
    });
    let source = DynamoDbStreams::connect(client(fake), ARN).await.expect("the stream is there");
    let error = source.shards().await.expect_err("it has no end").to_string();
    assert!(error.contains("the endpoint named shard shardId-1 twice as the last of a page"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn a_shard_that_the_stream_has_dropped_is_at_its_end() {
    let (source, _) = source(json!([{"ShardId": "shardId-2"}]), |_, _| Reply::Error("ResourceNotFoundException")).await;
    let page = source.read(open(&source, &Position::TrimHorizon).await).await.expect("the end");
    assert!(page.records.is_empty() && page.next.is_none());
    assert_eq!(source.gaps(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_is_gone_ends_the_reading() {
    let (source, _) = source(one_shard(), |_, _| Reply::Error("ResourceNotFoundException")).await;
    let error = source.open("shardId-1", &Position::TrimHorizon).await.expect_err("it is gone").to_string();
    assert!(error.starts_with("opening shard shardId-1: it no longer exists (ResourceNotFoundException"), "{error}");
}
