//! Events, handlers and queues for the tests.

#[cfg(feature = "dynamodb")]
pub(crate) mod dynamodb_transport;
#[cfg(any(feature = "emf", feature = "logs"))]
pub(crate) mod emf;
pub(crate) mod letters;
#[cfg(feature = "sqs")]
pub(crate) mod ministack;
pub(crate) mod runtime_api;
#[cfg(feature = "sqs")]
pub(crate) mod sqs_server;
#[cfg(feature = "sqs")]
pub(crate) mod sqs_transport;

use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock, Mutex, MutexGuard};
use std::time::{Duration, SystemTime};

use lambda_streams::testing::TestStream;
use lambda_streams::{
    BatchReport, DeadLetter, DeadLetterError, DeadLetterQueue, Deadline, Handler, HandlerError, Outcome, Record,
    StreamEvent, StreamProcessor,
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// Sends this thread's events to a subscriber until the guard is dropped.
///
/// `tracing` caches for each line whether a subscriber wants it. While there is only one subscriber, the thread that reaches
/// the line first decides, and a test that does not listen decides against it. A second one, which wants everything, avoids that.
#[cfg(feature = "logs")]
pub(crate) fn listen(subscriber: impl Into<tracing::Dispatch>) -> tracing::subscriber::DefaultGuard {
    static SECOND: LazyLock<tracing::Dispatch> =
        LazyLock::new(|| tracing::Dispatch::new(tracing_subscriber::registry()));
    let _second = &*SECOND;
    let guard = tracing::dispatcher::set_default(&subscriber.into());
    tracing::callsite::rebuild_interest_cache();
    guard
}

/// The item of the tests.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub(crate) struct Order {
    pub(crate) id: String,
    pub(crate) version: u32,
}

/// The stream of all changes; some tests send one of them elsewhere.
static ORDERS: LazyLock<TestStream> = LazyLock::new(|| TestStream::new("orders", &["id"]));

/// One record of a test's event.
#[derive(Clone)]
pub(crate) struct Change(TestStream);

/// The change with this number of the item with this id: an insert for version 0, a modification after that.
pub(crate) fn change(number: usize, id: &str, version: u32) -> Change {
    let image = |version: u32| json!({"id": {"S": id}, "version": {"N": version.to_string()}});
    let stream = ORDERS.clone().starting_at(number as u64);
    let stream = match version.checked_sub(1) {
        None => stream.insert(image(version)),
        Some(before) => stream.modify(image(before), image(version)),
    };
    Change(stream.with("/eventID", format!("event-{number}")))
}

/// As many inserts of different items.
pub(crate) fn inserts(count: usize) -> Vec<Change> {
    (0..count).map(|number| change(number, &format!("item-{number}"), 0)).collect()
}

/// The sequence number of the change with this number: 21 digits, ascending.
pub(crate) fn sequence_number(number: usize) -> String {
    format!("{}", 100_000_000_000_000_000_000_u128 + number as u128)
}

pub(crate) fn seconds_ago(seconds: u64) -> u64 {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).expect("after 1970").as_secs();
    now - seconds
}

impl Change {
    /// A record as it is, most likely a malformed one.
    pub(crate) fn raw(json: &str) -> Self {
        Self(ORDERS.clone().record(json))
    }

    pub(crate) fn with(self, path: &str, value: impl Serialize) -> Self {
        Self(self.0.with(path, value))
    }

    pub(crate) fn without(self, path: &str) -> Self {
        Self(self.0.without(path))
    }

    pub(crate) fn aged(self, seconds: u64) -> Self {
        self.with("/dynamodb/ApproximateCreationDateTime", seconds_ago(seconds))
    }

    pub(crate) fn json(&self) -> String {
        let payload = self.0.payload().expect("a record, edited where it can be");
        let mut event: Value = serde_json::from_slice(&payload).expect("JSON");
        event["Records"][0].take().to_string()
    }
}

impl fmt::Debug for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.json())
    }
}

fn stream(changes: &[Change]) -> TestStream {
    changes.iter().fold(ORDERS.clone(), |stream, change| stream.record(change.json()))
}

pub(crate) fn payload(changes: &[Change]) -> String {
    String::from_utf8(stream(changes).payload().expect("records")).expect("JSON is UTF-8")
}

pub(crate) fn event(changes: &[Change]) -> StreamEvent {
    stream(changes).event().expect("a stream event")
}

/// Processes a batch without a deadline.
pub(crate) async fn process(processor: &StreamProcessor, changes: &[Change]) -> BatchReport {
    processor.process(event(changes), Deadline::none()).await
}

pub(crate) fn outcomes(report: &BatchReport) -> Vec<Outcome> {
    report.outcomes()
}

pub(crate) fn checkpoint(report: &BatchReport) -> Option<usize> {
    report.checkpoint().map(|record| record.position)
}

/// The item's id and version that a record is about.
pub(crate) fn about(record: &Record) -> (String, u32) {
    let order: Order = record.new_image().expect("the tests' records carry new images");
    (order.id, order.version)
}

/// What a scripted handler does with a record.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Act {
    Succeed,
    Fail,
    /// Fails this often, then succeeds.
    FailTimes(u32),
    FailAfter(Duration),
    FailPermanently,
    FailPermanentlyAfter(Duration),
    RetryAfter(Duration),
    Panic,
    PanicOnDrop,
    Take(Duration),
    Hang,
}

/// A handler that acts by the item's id, and keeps the journal of what it saw.
#[derive(Clone, Default)]
pub(crate) struct Script {
    pub(crate) acts: Arc<HashMap<String, Act>>,
    pub(crate) journal: Arc<Journal>,
}

#[derive(Default)]
pub(crate) struct Journal {
    pub(crate) started: Mutex<Vec<(String, u32)>>,
    pub(crate) succeeded: Mutex<Vec<(String, u32)>>,
    calls: Mutex<HashMap<(String, u32), u32>>,
    running: AtomicUsize,
    pub(crate) most_running: AtomicUsize,
}

struct Running<'a>(&'a AtomicUsize);

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

struct PanicsOnDrop;

impl Drop for PanicsOnDrop {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            panic!("dropped");
        }
    }
}

impl Script {
    pub(crate) fn new<const N: usize>(acts: [(&str, Act); N]) -> Self {
        let acts = acts.into_iter().map(|(id, act)| (id.to_owned(), act)).collect();
        Self { acts: Arc::new(acts), journal: Arc::default() }
    }

    pub(crate) fn started(&self) -> Vec<(String, u32)> {
        self.journal.started.lock().expect("no panic holds it").clone()
    }

    pub(crate) fn succeeded(&self) -> Vec<(String, u32)> {
        self.journal.succeeded.lock().expect("no panic holds it").clone()
    }

    pub(crate) fn most_running(&self) -> usize {
        self.journal.most_running.load(Ordering::SeqCst)
    }
}

impl Handler<Record> for Script {
    async fn handle(&self, record: Record) -> Result<(), HandlerError> {
        let about = about(&record);
        let journal = &self.journal;
        let running = journal.running.fetch_add(1, Ordering::SeqCst) + 1;
        let _running = Running(&journal.running);
        journal.most_running.fetch_max(running, Ordering::SeqCst);
        journal.started.lock().expect("no panic holds it").push(about.clone());
        let call = {
            let mut calls = journal.calls.lock().expect("no panic holds it");
            let call = calls.entry(about.clone()).or_default();
            *call += 1;
            *call
        };
        match self.acts.get(&about.0).copied().unwrap_or(Act::Succeed) {
            Act::Succeed => {}
            Act::Fail => return Err("the index is down".into()),
            Act::FailTimes(times) if call <= times => return Err("the index is down".into()),
            Act::FailTimes(_) => {}
            Act::FailAfter(duration) => {
                tokio::time::sleep(duration).await;
                return Err("the index is down".into());
            }
            Act::FailPermanentlyAfter(duration) => {
                tokio::time::sleep(duration).await;
                return Err(HandlerError::permanent("no such customer"));
            }
            Act::FailPermanently => return Err(HandlerError::permanent("no such customer")),
            Act::RetryAfter(delay) => return Err(HandlerError::retry_after("throttled", delay)),
            Act::Panic => panic!("a bug in the handler"),
            Act::PanicOnDrop => {
                let _bomb = PanicsOnDrop;
                std::future::pending::<()>().await;
            }
            Act::Take(duration) => tokio::time::sleep(duration).await,
            Act::Hang => std::future::pending().await,
        }
        journal.succeeded.lock().expect("no panic holds it").push(about);
        Ok(())
    }
}

/// How a [`TestQueue`] replies to each call.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) enum Reply {
    #[default]
    Accept,
    AcceptAfter(Duration),
    Refuse,
    /// No result for any letter.
    Nothing,
    Panic,
}

/// A dead-letter queue that a test can look into, and break.
#[derive(Clone, Default)]
pub(crate) struct TestQueue {
    reply: Reply,
    sent: Arc<Mutex<Sent>>,
}

#[derive(Default)]
struct Sent {
    accepted: Vec<DeadLetter>,
    calls: Vec<usize>,
}

impl TestQueue {
    pub(crate) fn new(reply: Reply) -> Self {
        Self { reply, sent: Arc::default() }
    }

    /// The event ids of what was accepted, in order.
    pub(crate) fn accepted(&self) -> Vec<String> {
        self.letters().iter().map(|letter| letter.event_id().unwrap_or("-").to_owned()).collect()
    }

    pub(crate) fn letters(&self) -> Vec<DeadLetter> {
        self.sent().accepted.clone()
    }

    /// How many dead letters each call brought.
    pub(crate) fn sends(&self) -> Vec<usize> {
        self.sent().calls.clone()
    }

    fn sent(&self) -> MutexGuard<'_, Sent> {
        self.sent.lock().expect("no panic holds it")
    }
}

impl DeadLetterQueue for TestQueue {
    async fn send(&self, letters: &[DeadLetter]) -> Vec<Result<(), DeadLetterError>> {
        self.sent().calls.push(letters.len());
        match self.reply {
            Reply::Accept => {}
            Reply::AcceptAfter(delay) => tokio::time::sleep(delay).await,
            Reply::Refuse => return letters.iter().map(|_| Err(DeadLetterError::new("the queue is down"))).collect(),
            Reply::Nothing => return Vec::new(),
            Reply::Panic => panic!("a bug in the queue"),
        }
        self.sent().accepted.extend_from_slice(letters);
        letters.iter().map(|_| Ok(())).collect()
    }
}
