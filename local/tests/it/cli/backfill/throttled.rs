//! A table that throttles, and answers in parts.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures::FutureExt;
use http_body_util::Full;
use hyper::Response;
use serde_json::{Value, json};

use super::{SINK, got};
use crate::cli::{Ran, free_path, program};
use crate::fake_http::{Answer, FakeHttp};

/// More than the SDK's own tries, in both segments.
const THROTTLES: u32 = 7;

/// A table of 40 items in pages of ten, whose first scans are throttled, and that leaves some keys unprocessed.
struct Table {
    /// How many scans are still throttled.
    throttles: AtomicU32,
    scans: AtomicU32,
    gets: AtomicU32,
    /// The limits of items that scans had.
    limits: Mutex<Vec<Value>>,
}

fn item(number: u64) -> Value {
    json!({"id": {"S": format!("order-{number:04}")}, "n": {"N": number.to_string()}})
}

impl Table {
    fn new(throttles: u32) -> Arc<Self> {
        let (throttles, scans, gets) = (AtomicU32::new(throttles), AtomicU32::new(0), AtomicU32::new(0));
        Arc::new(Self { throttles, scans, gets, limits: Mutex::default() })
    }

    fn answer(&self, operation: &str, body: &Value) -> Result<Value, &'static str> {
        match operation {
            "DescribeTable" => Ok(json!({"Table": {
                "TableName": "orders", "TableArn": "arn:aws:dynamodb:eu-central-1:123456789012:table/orders",
                "KeySchema": [{"AttributeName": "id", "KeyType": "HASH"}], "ItemCount": 40, "TableSizeBytes": 4_000
            }})),
            "Scan" if self.throttles.load(Ordering::Relaxed) > 0 => {
                self.throttles.fetch_sub(1, Ordering::Relaxed);
                Err("ProvisionedThroughputExceededException")
            }
            "Scan" => Ok(self.page(body)),
            "BatchGetItem" => Ok(self.get(body)),
            other => panic!("{other} is not called"),
        }
    }

    fn page(&self, body: &Value) -> Value {
        assert_eq!((&body["ConsistentRead"], &body["TotalSegments"]), (&json!(true), &json!(2)));
        self.scans.fetch_add(1, Ordering::Relaxed);
        self.limits.lock().expect("no test panics with it").push(body["Limit"].clone());
        let segment = body["Segment"].as_u64().expect("a number");
        let after = body["ExclusiveStartKey"]["id"]["S"].as_str().and_then(|id| id[6..].parse::<u64>().ok());
        let first = after.map_or(segment * 20, |after| after + 1);
        let items: Vec<Value> = (first..first + 10).map(item).collect();
        let mut page = json!({"Items": items, "Count": 10, "ScannedCount": 10});
        if first.is_multiple_of(20) {
            page["LastEvaluatedKey"] = json!({"id": {"S": format!("order-{:04}", first + 9)}});
        }
        page
    }

    fn get(&self, body: &Value) -> Value {
        assert_eq!(body["RequestItems"]["orders"]["ConsistentRead"], true);
        self.gets.fetch_add(1, Ordering::Relaxed);
        let keys = body["RequestItems"]["orders"]["Keys"].as_array().expect("a list");
        let unique: BTreeSet<String> = keys.iter().map(Value::to_string).collect();
        assert_eq!(unique.len(), keys.len(), "a repeated key is an error");
        // Three at a time are processed.
        let (now, later) = keys.split_at(keys.len().min(3));
        let number = |keys: &Value| keys["id"]["S"].as_str().expect("a text")[6..].parse::<u64>().expect("a number");
        let items: Vec<Value> = now.iter().map(|keys| item(number(keys))).collect();
        let mut answer = json!({"Responses": {"orders": items}, "UnprocessedKeys": {}});
        if !later.is_empty() {
            answer["UnprocessedKeys"] = json!({"orders": {"Keys": later, "ConsistentRead": true}});
        }
        answer
    }
}

async fn serve(table: Arc<Table>) -> FakeHttp {
    FakeHttp::start(move |parts, body| {
        let target = parts.headers.get("x-amz-target").and_then(|target| target.to_str().ok()).unwrap_or_default();
        let operation = target.rsplit_once('.').map_or(target, |(_, operation)| operation);
        let body: Value = serde_json::from_slice(&body).unwrap_or_default();
        let answer: Answer = match table.answer(operation, &body) {
            Ok(answer) => Response::new(Full::new(answer.to_string().into())),
            Err(code) => {
                let error = json!({"__type": format!("com.amazonaws.dynamodb.v20120810#{code}"), "message": "slower"});
                Response::builder().status(400).body(Full::new(error.to_string().into())).expect("a response")
            }
        };
        async move { answer }.boxed()
    })
    .await
}

async fn backfill(name: &str, table: &Arc<Table>, arguments: &[&str]) -> (PathBuf, Ran) {
    let server = serve(Arc::clone(table)).await;
    let (sink, journal) = (free_path(&format!("backfill-{name}-sink")), free_path(&format!("backfill-{name}-journal")));
    let mut command = program();
    command.args(["backfill", "--plain", "--table", "orders", "--segments", "2", "--journal"]).arg(&journal);
    command.args(arguments).args(["--bootstrap", "python3", "--", SINK]).env("SINK", &sink);
    let ran = command.env("AWS_ENDPOINT_URL", &server.endpoint).output().await.expect("the program can be started");
    (sink, ran.into())
}

#[tokio::test]
async fn a_throttled_scan_is_waited_out_and_unprocessed_keys_are_asked_for_again() {
    let table = Table::new(THROTTLES);
    let (sink, ran) = backfill("throttled", &table, &["--compare-with-table"]).await;
    assert_eq!(ran.code, Some(0), "{}{}", ran.stderr, ran.stdout);
    assert!(ran.stdout.contains("40 items: 40 done"), "{}", ran.stdout);
    assert!(ran.stderr.contains("table `orders` throttles the scan or is failing: waiting"), "{}", ran.stderr);
    assert_eq!(got(&sink).len(), 40);
    assert_eq!(table.scans.load(Ordering::Relaxed), 4, "each page is read once");
    assert_eq!(table.throttles.load(Ordering::Relaxed), 0);
    assert!(table.gets.load(Ordering::Relaxed) >= 14, "three keys at a time");
}

#[tokio::test]
async fn a_limit_of_read_units_makes_the_pages_small_and_the_scan_slow() {
    let table = Table::new(0);
    let began = std::time::Instant::now();
    let (sink, ran) = backfill("limited", &table, &["--read-units", "2"]).await;
    assert_eq!(ran.code, Some(0), "{}{}", ran.stderr, ran.stdout);
    assert_eq!(got(&sink).len(), 40);
    // Both segments read a page, which costs a unit as nothing else is said, and the next pages come when these are paid for.
    assert!(began.elapsed() >= Duration::from_secs(1), "{:?}", began.elapsed());
    let limits = table.limits.lock().expect("no test panics with it");
    // An item of 100 bytes is a 41st of a unit, and a segment may use one a second. Then a page of ten has cost one.
    assert_eq!(*limits, [json!(40), json!(40), json!(10), json!(10)]);
}
