//! The table's changes as the stream has them, and which row of a store is which.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, OnceLock};
use std::time::{SystemTime, UNIX_EPOCH};

use lambda_streams::{
    CompletedRecords, Deadline, Idempotency, IdempotencyStore, IdempotencyStoreError, Mark, Marks, Record,
    SequenceNumber, Stale, StoreKey, StreamEvent, StreamProcessor,
};

use super::plan::{CONSUMERS, ITEMS, MOST_CHANGES, Plan};

const ARN: &str = "arn:aws:dynamodb:us-east-1:123456789012:table/t/stream/2026-01-01T00:00:00.000";
/// A key attribute that two items share.
pub(super) const PARTITION: &str = "p";

/// The name of a consumer.
pub(super) fn consumer(number: usize) -> String {
    format!("consumer-{number}")
}

/// The sequence number of a change: of 21 digits, then of 22, so their order as text is another.
pub(super) fn number(id: usize) -> String {
    format!("{}", 999_999_999_999_999_999_990_u128 + 3 * id as u128)
}

/// The change that has this sequence number.
pub(super) fn id(number: &SequenceNumber) -> usize {
    let ids = ids();
    *ids.get(number.as_str()).expect("a number of the stream")
}

fn ids() -> &'static HashMap<String, usize> {
    static IDS: OnceLock<HashMap<String, usize>> = OnceLock::new();
    IDS.get_or_init(|| (0..MOST_CHANGES).map(|id| (number(id), id)).collect())
}

/// The changes of a plan, as JSON.
pub(super) struct Stream {
    pub(super) records: Vec<String>,
}

impl Stream {
    /// The stream of a plan, whose last change was made a little before this moment.
    pub(super) fn new(plan: &Plan, now: SystemTime) -> Self {
        let now = now.duration_since(UNIX_EPOCH).expect("after the epoch").as_secs();
        let record = |(id, item)| record(id, item, now - 100 + id as u64);
        Self { records: plan.changes.iter().map(|change| change.item.into()).enumerate().map(record).collect() }
    }

    /// An event of these changes.
    pub(super) fn event(&self, ids: &[usize]) -> StreamEvent {
        event(ids.iter().map(|id| self.records[*id].as_str()))
    }

    /// These changes as if they had succeeded.
    pub(super) fn completed(&self, ids: &[usize]) -> CompletedRecords {
        let records: Vec<Record> = self.event(ids).records().map(|record| record.expect("well-formed")).collect();
        CompletedRecords::from_iter(&records)
    }
}

fn event<'a>(records: impl Iterator<Item = &'a str>) -> StreamEvent {
    let records: Vec<&str> = records.collect();
    let json = format!(r#"{{"Records":[{}]}}"#, records.join(","));
    StreamEvent::from_vec(json.into_bytes()).expect("an event of a stream")
}

fn record(id: usize, item: usize, created_at: u64) -> String {
    // What is equal may be spelled in another way.
    let sort = if id.is_multiple_of(2) { format!("{item}") } else { format!("{item}.0") };
    let partition = item % 2;
    let number = number(id);
    format!(
        r#"{{"eventID":"e{id}","eventName":"MODIFY","eventSource":"aws:dynamodb","eventSourceARN":"{ARN}","dynamodb":{{
        "ApproximateCreationDateTime":{created_at},"Keys":{{"{PARTITION}":{{"S":"{partition}"}},"s":{{"N":"{sort}"}}}},
        "SequenceNumber":"{number}","StreamViewType":"KEYS_ONLY"}}}}"#
    )
}

/// A row of a store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Row {
    /// What is done after a change.
    Checkpoint {
        consumer: usize,
        first: usize,
    },
    Item {
        consumer: usize,
        item: usize,
    },
    Beginning {
        consumer: usize,
    },
}

/// Which row a key is of. The processor's keys are hashes, so all of them are asked for once.
pub(super) fn row(key: &str) -> Row {
    *rows().get(key).expect("a key of this world")
}

/// Finds out all keys, once.
pub(super) fn rows() -> &'static HashMap<String, Row> {
    static ROWS: OnceLock<HashMap<String, Row>> = OnceLock::new();
    ROWS.get_or_init(|| {
        let probed = std::thread::spawn(|| {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
            runtime.expect("a runtime can be made").block_on(probe())
        });
        probed.join().expect("the keys can be found out")
    })
}

async fn probe() -> HashMap<String, Row> {
    let mut rows = HashMap::new();
    for number in 0..CONSUMERS {
        for first in 0..MOST_CHANGES {
            let (seen, item) = (Probe::default(), first % ITEMS);
            let builder = StreamProcessor::builder().on_record(|_: Record| async { Ok(()) });
            let builder = builder.idempotency(Idempotency::new(consumer(number), seen.clone()));
            let processor = builder.marks(Marks::new(Stale::Skip)).build().expect("the settings are right");
            let records = [record(first, item, 1_700_000_000), record(MOST_CHANGES, item, 1_700_000_000)];
            processor.process(event(records.iter().map(String::as_str)), Deadline::none()).await;
            let kinds = [
                Row::Checkpoint { consumer: number, first },
                Row::Item { consumer: number, item },
                Row::Beginning { consumer: number },
            ];
            let keys = seen.0.lock().expect("nobody panics");
            let keys = ["load", "marks", "begin"].map(|call| keys[call].to_string());
            rows.extend(keys.into_iter().zip(kinds));
        }
    }
    assert_eq!(rows.len(), CONSUMERS * (MOST_CHANGES + ITEMS + 1), "every row has a key of its own");
    rows
}

/// An empty store that keeps the key of each call.
#[derive(Clone, Default)]
struct Probe(Arc<Mutex<HashMap<&'static str, StoreKey>>>);

impl Probe {
    fn note(&self, call: &'static str, key: &StoreKey) {
        self.0.lock().expect("nobody panics").insert(call, key.clone());
    }
}

impl IdempotencyStore for Probe {
    async fn load(&self, checkpoint: &StoreKey) -> Result<Option<CompletedRecords>, IdempotencyStoreError> {
        self.note("load", checkpoint);
        Ok(None)
    }

    async fn save(&self, _: &StoreKey, _: &CompletedRecords, _: SystemTime) -> Result<(), IdempotencyStoreError> {
        Ok(())
    }

    async fn marks(&self, items: &[StoreKey]) -> Vec<Result<Mark, IdempotencyStoreError>> {
        assert_eq!(items.len(), 1, "both changes are of one item");
        self.note("marks", &items[0]);
        vec![Ok(Mark::default())]
    }

    async fn raise(&self, _: &StoreKey, _: &Mark, _: SystemTime) -> Result<(), IdempotencyStoreError> {
        Ok(())
    }

    async fn begin(&self, stream: &StoreKey, now: SystemTime) -> Result<SystemTime, IdempotencyStoreError> {
        self.note("begin", stream);
        Ok(now)
    }
}
