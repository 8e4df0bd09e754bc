//! A backfill during a live stream: what is lost, and whether an older image lands on top of a newer one.
//!
//! In the first invocations, an adversary changes or removes some of the items that are just being sent. It waits until the live
//! mapping has processed that, if the mapping is enabled. Meanwhile a writer changes and removes other items as fast as it can.
//! With `--touch`, which invokes nothing, there is only the writer. In the end, the sink must be as the table is. The plain way
//! fails that: the same adversary shows how.
//!
//! `BACKFILL_ITEMS` is the number of items. With 100000, a debug build on two cores takes about a minute for each test, and seven
//! minutes for `--touch`.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use aws_sdk_dynamodb::types::AttributeValue;
use futures::FutureExt;
use hyper::body::Bytes;
use lambda_streams_local::{EventSourceMapping, Function, InvokeError, Progress, Response, Settings, StartingPosition};
use serde_json::{Value, json};
use tokio::sync::{oneshot, watch};
use tokio::task::JoinHandle;

use super::Bench;
use crate::cli::Ran;
use crate::fake_lambda::FakeLambda;
use crate::streams_source::{Dynamo, item};

/// The items where `BACKFILL_ITEMS` does not say it.
const ITEMS: usize = 1_500;
/// The same for `--touch`, which makes a call for each.
const TOUCHED: usize = 500;
/// In how many invocations the adversary acts.
const ATTACKED: usize = 10;
/// The largest runs take minutes.
const LIMIT: Duration = Duration::from_secs(3_600);

/// How the sink takes a record of the backfill.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// Whatever comes last stays.
    Plain,
    /// An item is created if there is none, and none was removed.
    CreateOnly,
}

/// What the function has written: the order of the change that each item was last written with, and whether it is there.
#[derive(Debug, Default)]
struct Sink {
    rows: HashMap<String, Row>,
    /// How often something older came on top of something newer.
    older: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Row {
    order: u64,
    is_there: bool,
}

impl Sink {
    fn apply(&mut self, record: &Value, kind: Option<Kind>) {
        let (name, row) = row(record);
        let old = self.rows.get(&name).copied();
        if kind == Some(Kind::CreateOnly) && old.is_some() {
            return;
        }
        if old.is_some_and(|old| old.order > row.order) {
            self.older += 1;
        }
        self.rows.insert(name, row);
    }
}

/// Changes of an item are ordered by its version; its removal comes after the version that was removed. An item that `--touch`
/// made again after its removal would have no version, and be older than all.
fn row(record: &Value) -> (String, Row) {
    let is_there = record["eventName"] != "REMOVE";
    let image = if is_there { "NewImage" } else { "OldImage" };
    let version = record["dynamodb"][image]["version"]["N"].as_str().unwrap_or("0").parse::<u64>();
    let order = version.expect("a version is a number") * 2 + u64::from(!is_there);
    (record["dynamodb"]["Keys"]["id"]["S"].as_str().expect("a text").to_owned(), Row { order, is_there })
}

/// Everything that a test's parts share.
struct World {
    dynamo: Dynamo,
    sink: Mutex<Sink>,
    /// Counts what the live mapping has applied.
    applied: watch::Sender<u64>,
    version: AtomicU64,
    /// The items that the adversary has changed, with the order of that.
    attacked: Mutex<BTreeMap<String, u64>>,
    attacks: AtomicUsize,
    is_live: AtomicBool,
}

fn lock<V>(mutex: &Mutex<V>) -> MutexGuard<'_, V> {
    mutex.lock().expect("no test panics with it")
}

fn name(number: usize) -> String {
    format!("item-{number:06}")
}

impl World {
    fn versioned(&self, name: &str) -> (u64, HashMap<String, AttributeValue>) {
        let version = self.version.fetch_add(1, Ordering::Relaxed);
        (version, item(name, [("version", AttributeValue::N(version.to_string()))]))
    }

    /// Changes the item, or removes it.
    async fn change(&self, name: &str, removes: bool) -> u64 {
        let (version, item) = self.versioned(name);
        self.dynamo.put("orders", item).await;
        if removes {
            self.dynamo.delete("orders", crate::streams_source::item(name, [])).await;
        }
        version * 2 + u64::from(removes)
    }

    /// A batch of the backfill: the adversary comes first.
    async fn invoked(&self, event: &Value, kind: Kind) {
        let records = event["Records"].as_array().expect("a list");
        if self.attacks.fetch_add(1, Ordering::Relaxed) < ATTACKED {
            let targets = records.iter().map(row).map(|(name, _)| name).filter(|name| name.ends_with('0'));
            for name in targets.collect::<Vec<_>>() {
                let order = self.change(&name, name.ends_with("00") || name.ends_with("50")).await;
                lock(&self.attacked).insert(name.clone(), order);
                if self.is_live.load(Ordering::Relaxed) {
                    self.has_applied(&name, order).await;
                }
            }
        }
        let mut sink = lock(&self.sink);
        records.iter().for_each(|record| sink.apply(record, Some(kind)));
    }

    /// Waits until the live mapping has brought this.
    async fn has_applied(&self, name: &str, order: u64) {
        let mut applied = self.applied.subscribe();
        let is_there = |_: &u64| lock(&self.sink).rows.get(name).is_some_and(|row| row.order >= order);
        applied.wait_for(is_there).await.expect("the world lives");
    }

    /// Changes and removes items as fast as it can; none that ends as the adversary's do.
    async fn write(&self, items: usize, mut stop: oneshot::Receiver<()>) -> u64 {
        let mut random = fastrand::Rng::with_seed(20_261_129);
        let mut writes = 0;
        while stop.try_recv().is_err() {
            let number = random.usize(..items);
            if !number.is_multiple_of(10) {
                self.change(&name(number), random.u8(..10) == 0).await;
                writes += 1;
            }
        }
        writes
    }

    /// The items whose rows are not as the table is: lost, older, or back again.
    async fn differences(&self) -> Vec<String> {
        let table = self.dynamo.items("orders").await;
        let rows = lock(&self.sink).rows.clone();
        let version = |item: &HashMap<String, AttributeValue>| item.get("version")?.as_n().ok()?.parse::<u64>().ok();
        let mut wrong = Vec::new();
        for (name, item) in &table {
            let expected = Row { order: version(item).unwrap_or_default() * 2, is_there: true };
            if rows.get(name) != Some(&expected) {
                wrong.push(name.clone());
            }
        }
        wrong.extend(
            rows.iter().filter(|(name, row)| row.is_there && !table.contains_key(*name)).map(|(name, _)| name.clone()),
        );
        wrong
    }
}

/// The live mapping's function: it waits while the mapping is disabled.
struct Live {
    world: Arc<World>,
    states: watch::Receiver<&'static str>,
}

impl Function for Live {
    async fn invoke(&self, payload: String, _: Duration) -> Result<Response, InvokeError> {
        let mut states = self.states.clone();
        states.wait_for(|state| state.starts_with("Enabl")).await.expect("the endpoint lives");
        let event: Value = serde_json::from_str(&payload).expect("an event is JSON");
        let mut sink = lock(&self.world.sink);
        event["Records"].as_array().expect("a list").iter().for_each(|record| sink.apply(record, None));
        drop(sink);
        self.world.applied.send_modify(|applied| *applied += 1);
        Ok(Response::Returned(r#"{"batchItemFailures":[]}"#.to_owned()))
    }

    fn function_arn(&self) -> String {
        "arn:aws:lambda:eu-central-1:123456789012:function:orders".to_owned()
    }
}

/// The outcome of a backfill during a live stream.
struct Outcome {
    ran: Ran,
    older: u64,
    differences: Vec<String>,
    attacked: BTreeMap<String, u64>,
    writes: u64,
}

/// How many items there are.
fn items(default: usize) -> usize {
    std::env::var("BACKFILL_ITEMS").map_or(default, |items| items.parse().expect("BACKFILL_ITEMS is a number"))
}

/// A table of items whose version is their number.
fn world(dynamo: Dynamo, items: usize, is_live: bool) -> Arc<World> {
    let versioned = |number: usize| item(&name(number), [("version", AttributeValue::N(number.to_string()))]);
    dynamo.import("orders", (0..items).map(versioned));
    Arc::new(World {
        dynamo,
        sink: Mutex::default(),
        applied: watch::Sender::new(0),
        version: AtomicU64::new(items as u64),
        attacked: Mutex::default(),
        attacks: AtomicUsize::new(0),
        is_live: AtomicBool::new(is_live),
    })
}

/// The endpoint whose function writes into the world's sink.
async fn lambda(world: &Arc<World>, kind: Kind) -> FakeLambda {
    let function = {
        let world = Arc::clone(world);
        move |payload: Bytes| {
            let world = Arc::clone(&world);
            let event: Value = serde_json::from_slice(&payload).expect("an event is JSON");
            async move {
                world.invoked(&event, kind).await;
                Ok(json!({"batchItemFailures": []}))
            }
            .boxed()
        }
    };
    FakeLambda::start(&world.dynamo.stream_arn("orders").await, function).await
}

/// The live mapping, which reads what is written from now on, until the sender is used.
async fn live(world: &Arc<World>, states: watch::Receiver<&'static str>) -> (oneshot::Sender<()>, JoinHandle<()>) {
    let mut settings = Settings { starting_position: StartingPosition::Latest, ..Settings::default() };
    settings.report_batch_item_failures = true;
    settings.unspecified.poll_interval = Duration::from_millis(5);
    let (opened, mut is_open) = watch::channel(false);
    let function = Live { world: Arc::clone(world), states };
    let source = world.dynamo.source("orders").await;
    let mapping = EventSourceMapping::new(settings, source, function).expect("the settings are right");
    let mapping = mapping.on_progress(move |progress| {
        if matches!(progress, Progress::ShardOpened { .. }) {
            opened.send_replace(true);
        }
    });
    let (stop, stopped) = oneshot::channel::<()>();
    let running = tokio::spawn(async move {
        mapping.run(async { drop(stopped.await) }).await.expect("the stream can be read");
    });
    is_open.wait_for(|is_open| *is_open).await.expect("the mapping runs");
    (stop, running)
}

/// Runs a backfill at the same time as the live mapping and the writer. `flags` are those of the command.
async fn run(test: &str, kind: Kind, flags: &[&str]) -> Outcome {
    let items = items(if flags.contains(&"--touch") { TOUCHED } else { ITEMS });
    let Bench { dynamo, journal, .. } = Bench::new(&format!("race-{test}"), 0).await;
    let world = world(dynamo, items, !flags.contains(&"--pause-mapping"));
    let lambda = lambda(&world, kind).await;
    let (stop_live, live) = live(&world, lambda.states()).await;
    let (stop_writer, stopped) = oneshot::channel();
    let writing = Arc::clone(&world);
    let writer = tokio::spawn(async move { writing.write(items, stopped).await });

    let mut command = crate::cli::program();
    command.args(["backfill", "--plain", "--table", "orders", "--journal"]).arg(&journal).args(flags);
    command.env("AWS_ENDPOINT_URL", &world.dynamo.endpoint).env("AWS_ENDPOINT_URL_LAMBDA", &lambda.endpoint);
    let began = std::time::Instant::now();
    let ended = tokio::time::timeout(LIMIT, command.output()).await.expect("it ends");
    let (ran, took) = (Ran::from(ended.expect("the program can be started")), began.elapsed());

    let _ = stop_writer.send(());
    let writes = writer.await.expect("the writer does not panic");
    let last = world.change("sentinel", false).await;
    tokio::time::timeout(LIMIT, world.has_applied("sentinel", last)).await.expect("the live mapping catches up");
    let _ = stop_live.send(());
    live.await.expect("the mapping does not panic");
    let differences = world.differences().await;
    let (attacked, older) = (lock(&world.attacked).clone(), lock(&world.sink).older);
    eprintln!(
        "{test}: {items} items in {:.1} s, {writes} writes meanwhile, {} live invocations, {} attacks: {older} times older on top \
         of newer, {} rows wrong in the end\n{}",
        took.as_secs_f64(),
        *world.applied.borrow(),
        attacked.len(),
        differences.len(),
        ran.stdout
    );
    Outcome { ran, older, differences, attacked, writes }
}

const DEPLOYED: [&str; 4] = ["--function", "orders", "--concurrency", "4"];

/// Nothing is lost, nothing older is left, and nothing removed is back.
fn assert_right(outcome: &Outcome) {
    assert_eq!(outcome.ran.code, Some(0), "{}{}", outcome.ran.stderr, outcome.ran.stdout);
    assert!(outcome.differences.is_empty(), "{:?}", outcome.differences);
    assert!(outcome.writes > 0, "there was a live stream");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_plain_way_puts_older_on_top_of_newer_and_brings_removed_items_back() {
    let outcome = run("plain", Kind::Plain, &DEPLOYED).await;
    assert_eq!(outcome.ran.code, Some(0), "{}{}", outcome.ran.stderr, outcome.ran.stdout);
    assert!(outcome.ran.stderr.contains("note: the stream stays live"), "{}", outcome.ran.stderr);
    assert!(!outcome.attacked.is_empty());
    assert!(outcome.older >= outcome.attacked.len() as u64);
    for name in outcome.attacked.keys() {
        assert!(outcome.differences.contains(name), "the older {name} is on top, and stays there");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sink_that_creates_only_ends_as_the_table_is() {
    let outcome = run("create-only", Kind::CreateOnly, &DEPLOYED).await;
    assert_right(&outcome);
    assert_eq!(outcome.older, 0);
    assert!(!outcome.attacked.is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_the_mapping_paused_any_sink_ends_as_the_table_is() {
    let outcome = run("paused", Kind::Plain, &[&DEPLOYED[..], &["--pause-mapping"]].concat()).await;
    assert_right(&outcome);
    assert!(!outcome.attacked.is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_touch_any_sink_ends_as_the_table_is_and_nothing_older_ever_comes() {
    let outcome = run("touch", Kind::Plain, &["--touch", "backfilled_at"]).await;
    assert_right(&outcome);
    assert_eq!(outcome.older, 0);
    assert!(outcome.ran.stdout.contains(" 0 failed"), "{}", outcome.ran.stdout);
}
