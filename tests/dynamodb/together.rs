//! Everything at once: environments that share a table and are killed at any moment, batches that are processed twice at the same time, and
//! dead letters that are put back while newer changes come.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::Poll;

use aws_sdk_dynamodb::types::{ScalarAttributeType, TransactWriteItem, Update};
use futures::future::OptionFuture;
use lambda_streams::testing::TestStream;
use lambda_streams::{
    AwsResultExt, DeadLetter, DeadLetterEvent, Deadline, Guard, GuardOutcome, HandlerError, Idempotency, Marks,
    MemoryDeadLetterQueue, Record, RetryPolicy, Stale, StreamEvent, StreamProcessor, with,
};
use serde_json::{Value, json};
use tokio::sync::Notify;

use super::*;

const ITEMS: usize = 8;
const CHANGES: usize = 240;
const BATCH: usize = 10;
/// Every change with a number of this kind fails until its cause is fixed.
const POISON: usize = 7;

#[derive(serde::Deserialize)]
struct Row {
    id: String,
    version: usize,
    amount: u64,
}

/// How the effect of a change is guarded.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Guarded {
    /// A sum: each change has its effect once.
    Once,
    /// A projection: only what is newer has an effect.
    Newest,
    Not,
}

/// An execution environment, which may be killed after one of its writes: before its handler has returned.
struct Environment {
    sink: Arc<Sink>,
    writes: AtomicUsize,
    /// The number of its last write.
    last: Option<usize>,
    is_killed: Notify,
}

impl Environment {
    async fn apply(self: Arc<Self>, change: Record) -> Result<(), HandlerError> {
        self.sink.apply(change).await?;
        if Some(self.writes.fetch_add(1, Ordering::SeqCst) + 1) == self.last {
            self.is_killed.notify_one();
            std::future::pending::<()>().await;
        }
        Ok(())
    }
}

/// The sink: for each item the versions that were written, in the order of the writes, and the sum of their amounts.
struct Sink {
    database: Database,
    guard: Guard,
    guarded: Guarded,
    is_fixed: AtomicBool,
}

impl Sink {
    async fn apply(&self, change: Record) -> Result<(), HandlerError> {
        let Row { id, version, amount } = change.new_image()?;
        if version % POISON == 0 && !self.is_fixed.load(Ordering::SeqCst) {
            return Err(HandlerError::permanent("no such customer"));
        }
        let guard = match self.guarded {
            Guarded::Once => Some(self.guard.once(&change)?),
            Guarded::Newest => Some(self.guard.newest(&change)?),
            Guarded::Not => None,
        };
        let write = Update::builder().table_name("sink").key("id", s(id));
        let write = write
            .update_expression("SET written = list_append(if_not_exists(written, :none), :this) ADD amounts :amount");
        let write = write.expression_attribute_values(":none", AttributeValue::L(Vec::new()));
        let write = write.expression_attribute_values(":this", AttributeValue::L(vec![n(version)]));
        let write =
            TransactWriteItem::builder().update(write.expression_attribute_values(":amount", n(amount)).build()?);
        let actions = guard.into_iter().chain([write.build()]).collect();
        let sent = self.database.client.transact_write_items().set_transact_items(Some(actions)).send().await;
        let Err(error) = sent else { return Ok(()) };
        match self.guard.outcome(&error, &change) {
            GuardOutcome::Done | GuardOutcome::Stale => Ok(()),
            GuardOutcome::NotMine => Err(error).classify(),
        }
    }

    /// For each item the versions in the order in which they were written, and the sum.
    async fn rows(&self) -> Vec<(Vec<usize>, u64)> {
        let mut rows = self.database.scan("sink").await.unwrap();
        rows.sort_unstable_by_key(|row| row["id"].as_s().unwrap().clone());
        let number = |value: &AttributeValue| value.as_n().unwrap().parse::<u64>().unwrap();
        let written = |row: &AttributeValue| row.as_l().unwrap().iter().map(|it| number(it) as usize).collect();
        rows.iter().map(|row| (written(&row["written"]), number(&row["amounts"]))).collect()
    }
}

/// The records of all changes: those of an item have rising versions.
fn records() -> Vec<Value> {
    let mut stream = TestStream::new("orders", &["id"]);
    for change in 0..CHANGES {
        let (item, version) = (format!("item-{}", change % ITEMS), change / ITEMS + 1);
        stream = stream.insert(json!({
            "id": {"S": item}, "version": {"N": version.to_string()}, "amount": {"N": (change + 1).to_string()}
        }));
    }
    let payload: Value = serde_json::from_slice(&stream.payload().unwrap()).unwrap();
    payload["Records"].as_array().unwrap().clone()
}

/// Drops the future after so many polls; `None` if it was dropped.
async fn killed<F: Future>(future: F, polls: Option<u32>) -> Option<F::Output> {
    let (mut future, mut left) = (pin!(future), polls);
    poll_fn(move |context| match future.as_mut().poll(context) {
        Poll::Ready(output) => Poll::Ready(Some(output)),
        Poll::Pending => match &mut left {
            Some(0) => Poll::Ready(None),
            Some(left) => {
                *left -= 1;
                Poll::Pending
            }
            None => Poll::Pending,
        },
    })
    .await
}

/// Puts dead letters back; returns those that are kept.
async fn redrive(processor: StreamProcessor, letters: Vec<DeadLetter>) -> Vec<DeadLetter> {
    let message = |(number, letter): (usize, &DeadLetter)| json!({"messageId": number.to_string(), "eventSource": "aws:sqs", "body": letter.to_json()});
    let messages: Vec<Value> = letters.iter().enumerate().map(message).collect();
    let event = DeadLetterEvent::from_slice(json!({"Records": messages}).to_string().as_bytes()).unwrap();
    let report = processor.redrive(event, Deadline::none()).await;
    let response = report.response().unwrap();
    let kept = response.batch_item_failures.into_iter().filter_map(|failure| failure.item_identifier);
    kept.map(|id| letters[id.parse::<usize>().unwrap()].clone()).collect()
}

/// What has happened.
#[derive(Debug, Default)]
struct Happened {
    crashes: usize,
    overlaps: usize,
    /// Letters that were put back while newer changes came.
    redriven_meanwhile: usize,
    letters: usize,
}

/// Runs all changes through a world in which much goes wrong, and then puts all letters back twice.
async fn run(guarded: Guarded, seed: u64) -> (Arc<Sink>, Happened) {
    let (database, store) = start().await;
    database.create_table("sink", &[("id", ScalarAttributeType::S)]).await.unwrap();
    let guard = store.guard("orders").unwrap();
    let sink = Arc::new(Sink { database, guard, guarded, is_fixed: AtomicBool::new(false) });
    let queue = MemoryDeadLetterQueue::new();
    let stale = if guarded == Guarded::Newest { Stale::Skip } else { Stale::Process };
    let environment = |last: Option<usize>| {
        let environment = Arc::new(Environment {
            sink: Arc::clone(&sink),
            writes: AtomicUsize::new(0),
            last,
            is_killed: Notify::new(),
        });
        let idempotency = Idempotency::new("orders", store.clone()).budget(Duration::from_secs(60));
        let builder = StreamProcessor::builder().idempotency(idempotency).marks(Marks::new(stale));
        let builder = builder.retry(RetryPolicy::default().base_delay(Duration::from_millis(1)));
        let builder = builder.on_record(with(Arc::clone(&environment), Environment::apply));
        (environment, builder.dead_letter_queue(queue.clone()).build().unwrap())
    };
    let processor = || environment(None).1;
    let (mut random, mut happened) = (fastrand::Rng::with_seed(seed), Happened::default());
    let (records, mut position, mut put_back) = (records(), 0, 0);
    while position < CHANGES {
        let is_fixed = position >= CHANGES / 2;
        sink.is_fixed.store(is_fixed, Ordering::SeqCst);
        let batch = json!({"Records": records[position..CHANGES.min(position + BATCH)]}).to_string().into_bytes();
        let event = StreamEvent::from_vec(batch).unwrap();
        let (polls, last) = match random.u32(0..4) {
            0 => (Some(random.u32(1..12)), None),
            1 => (None, Some(random.usize(1..5))),
            _ => (None, None),
        };
        let again = (random.u32(0..3) == 0).then(|| {
            let (processor, event) = (processor(), event.clone());
            async move { killed(processor.process(event, Deadline::none()), Some(12)).await }
        });
        let letters: Vec<DeadLetter> =
            queue.letters().into_iter().skip(put_back).take(if is_fixed { 3 } else { 0 }).collect();
        happened.overlaps += usize::from(again.is_some());
        happened.redriven_meanwhile += letters.len();
        let back = (!letters.is_empty()).then(|| redrive(processor(), letters.clone()));
        let (environment, processor) = environment(last);
        let (report, _, kept) = tokio::join!(
            async {
                tokio::select! {
                    biased;
                    () = environment.is_killed.notified() => None,
                    report = killed(processor.process(event, Deadline::none()), polls) => report,
                }
            },
            OptionFuture::from(again),
            OptionFuture::from(back),
        );
        put_back += letters.len() - kept.map_or(0, |kept| kept.len());
        match report {
            Some(report) => position += report.checkpoint().map_or(report.records().len(), |record| record.position),
            None => happened.crashes += 1,
        }
    }
    happened.letters = queue.letters().len();
    for _ in 0..2 {
        let mut letters = queue.letters();
        while let Some(some) = letters.len().checked_sub(1).map(|last| letters.split_off(last.saturating_sub(9))) {
            let kept = redrive(processor(), some).await;
            assert!(kept.is_empty(), "{} letters are kept although nothing fails now", kept.len());
        }
    }
    (sink, happened)
}

fn goes_backwards(written: &[usize]) -> bool {
    written.is_sorted_by(|one, next| one < next).then_some(()).is_none()
}

#[tokio::test]
async fn a_guarded_sum_is_exact() {
    let (sink, happened) = run(Guarded::Once, 1).await;
    let expected: Vec<u64> =
        (0..ITEMS).map(|item| (item..CHANGES).step_by(ITEMS).map(|change| change as u64 + 1).sum()).collect();
    let sums: Vec<u64> = sink.rows().await.into_iter().map(|(_, sum)| sum).collect();
    assert_eq!(sums, expected, "{happened:?}");
    assert!(happened.crashes > 2 && happened.overlaps > 2 && happened.redriven_meanwhile > 2, "{happened:?}");
    assert!(happened.letters >= CHANGES / ITEMS / POISON, "{happened:?}");
}

#[tokio::test]
async fn a_guarded_projection_never_goes_backwards() {
    let (sink, happened) = run(Guarded::Newest, 2).await;
    for (written, _) in sink.rows().await {
        assert!(!goes_backwards(&written), "{written:?} {happened:?}");
        assert_eq!(written.last(), Some(&(CHANGES / ITEMS)), "the latest state is there");
    }
    assert!(happened.crashes > 2 && happened.overlaps > 2 && happened.redriven_meanwhile > 2, "{happened:?}");
}

/// What the page `guide::idempotency` says may happen, does happen here.
#[tokio::test]
async fn without_a_guard_a_projection_goes_backwards() {
    let (sink, happened) = run(Guarded::Not, 3).await;
    let rows = sink.rows().await;
    assert!(rows.iter().any(|(written, _)| goes_backwards(written)), "{happened:?}");
    let complete = |written: &Vec<usize>| (1..=CHANGES / ITEMS).all(|version| written.contains(&version));
    assert!(rows.iter().all(|(written, _)| complete(written)), "no change is lost: {happened:?}");
}
