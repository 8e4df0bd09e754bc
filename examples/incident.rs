//! An hour of a function's life on tokio's paused clock, in a few seconds: it is healthy, then its search index is down,
//! then it works off the backlog, then one order cannot be processed, and is put back once the cause is fixed.
//!
//! It prints the documents that [`Emf`] writes, and between them, one a line, what AWS measures by itself. The picture of the
//! dashboard in the docs is drawn from it: `npm run dashboard` in `infra-cdk/`.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use lambda_streams::{
    DeadLetterEvent, Deadline, Emf, HandlerError, Insert, MemoryDeadLetterQueue, RetryPolicy, StreamProcessor,
};
use lambda_streams_local::{
    BatchResult, EventSourceMapping, Page, Position, ProcessorFunction, Progress, Settings, Shard, ShardIterator,
    Source, SourceError, SourceRecord,
};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep, sleep_until};

const STREAM: &str = "arn:aws:dynamodb:eu-central-1:123456789012:table/orders/stream/2026-01-01T00:00:00.000";
const HOUR: Duration = minutes(60);
/// The index answers late, then not at all, then it is back.
const SLOW: Duration = minutes(14);
const DOWN: Duration = minutes(15);
const BACK: Duration = minutes(27);
/// An order of a customer who is not known until later.
const POISON: Duration = minutes(43);
const PUT_BACK: Duration = minutes(52);

const fn minutes(minutes: u64) -> Duration {
    Duration::from_secs(60 * minutes)
}

/// Where the hour began, by both clocks.
#[derive(Clone, Copy)]
struct Begun {
    instant: Instant,
    time: SystemTime,
}

impl Begun {
    fn millis(self) -> u128 {
        (self.time + self.instant.elapsed()).duration_since(UNIX_EPOCH).expect("later than 1970").as_millis()
    }

    /// Tells a number as AWS would measure it.
    fn tell(self, metric: &str, value: impl Into<Value>) {
        println!("{}", json!({"Timestamp": self.millis() as u64, "metric": metric, "value": value.into()}));
    }
}

/// About seven orders a second, more and fewer in turn.
struct Orders {
    begun: Begun,
    written: AtomicU64,
}

impl Orders {
    /// When that order is written.
    fn time_of(number: u64) -> Duration {
        let seconds = number as f64 / 7.0;
        Duration::from_secs_f64(seconds + 40.0 * (seconds / 300.0).sin().abs())
    }

    fn record(&self, number: u64) -> Result<SourceRecord, SourceError> {
        let at = Self::time_of(number);
        let created = (self.begun.time + at).duration_since(UNIX_EPOCH).expect("later than 1970").as_secs();
        let customer = if at > POISON && Self::time_of(number - 1) <= POISON { "nobody" } else { "somebody" };
        let (id, sequence_number) = (format!("order-{number}"), format!("{:021}", number + 1));
        let record = json!({
            "eventID": format!("event-{number}"), "eventName": "INSERT", "eventSource": "aws:dynamodb",
            "awsRegion": "eu-central-1", "eventSourceARN": STREAM,
            "dynamodb": {
                "ApproximateCreationDateTime": created, "Keys": {"id": {"S": id}}, "SequenceNumber": sequence_number,
                "NewImage": {"id": {"S": id}, "customer": {"S": customer}}, "StreamViewType": "NEW_AND_OLD_IMAGES",
            },
        });
        SourceRecord::from_json(record.to_string())
    }
}

impl Source for Orders {
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
        let first = self.written.load(Ordering::Relaxed);
        let now = self.begun.instant.elapsed().min(HOUR);
        let records = (first..first + 1_000).take_while(|number| Self::time_of(*number) <= now);
        let records = records.map(|number| self.record(number)).collect::<Result<Vec<_>, _>>()?;
        self.written.fetch_add(records.len() as u64, Ordering::Relaxed);
        let is_over = now >= HOUR && records.is_empty();
        Ok(Page { records, next: (!is_over).then_some(iterator) })
    }
}

#[derive(Deserialize)]
struct Order {
    customer: String,
}

/// Puts an order into the index.
async fn index(order: Order, begun: Begun) -> Result<(), HandlerError> {
    let now = begun.instant.elapsed();
    let usual = Duration::from_millis(fastrand::u64(20..90));
    match now {
        now if now < SLOW || now >= BACK => sleep(usual).await,
        now if now < DOWN => sleep(usual * 15).await,
        _ => {
            sleep(Duration::from_secs(1)).await;
            return Err("the index does not answer".into());
        }
    }
    if order.customer == "nobody" && now < PUT_BACK {
        return Err(HandlerError::permanent("no such customer"));
    }
    Ok(())
}

/// Tells what Lambda would measure.
fn watch(begun: Begun, running: &AtomicU64, progress: &Progress) {
    match progress {
        Progress::Read { records, filtered, .. } => {
            begun.tell("PolledEventCount", *records);
            begun.tell("FilteredOutEventCount", *filtered);
        }
        Progress::Sent { records, iterator_age, .. } => {
            begun.tell("ConcurrentExecutions", running.fetch_add(1, Ordering::Relaxed) + 1);
            begun.tell("InvokedEventCount", *records);
            begun.tell("IteratorAge", iterator_age.map(|age| age.as_millis() as u64));
        }
        Progress::Responded { duration, result, .. } => {
            running.fetch_sub(1, Ordering::Relaxed);
            begun.tell("Invocations", 1);
            begun.tell("Duration", duration.as_secs_f64() * 1e3);
            begun.tell("Errors", u8::from(matches!(result, BatchResult::FunctionError { .. })));
            begun.tell("Throttles", u8::from(matches!(result, BatchResult::Throttled)));
        }
        Progress::Discarded { records, .. } => begun.tell("OnFailureDestinationDeliveredEventCount", *records),
        _ => {}
    }
}

/// Looks at table and queue once a minute, says what happens, and puts the dead letters back.
async fn operate(
    begun: Begun,
    processor: &StreamProcessor,
    queue: &MemoryDeadLetterQueue,
) -> Result<(), lambda_streams::Error> {
    let events = [
        (SLOW, "the search index is slow"),
        (DOWN, "the search index is down"),
        (BACK, "the search index is back"),
        (POISON, "an order fails for good"),
        (PUT_BACK, "it is put back"),
    ];
    let mut writes = (0..).map(Orders::time_of).peekable();
    for minute in (0..60).map(minutes) {
        for (_, what) in events.iter().filter(|(at, _)| *at == minute) {
            println!("{}", json!({"Timestamp": begun.millis() as u64, "event": what}));
        }
        if minute == PUT_BACK {
            put_back(processor, queue).await?;
        }
        let end = minute + minutes(1);
        // Within the minute, to which the numbers belong.
        sleep_until(begun.instant + end - Duration::from_millis(1)).await;
        begun.tell("ConsumedWriteCapacityUnits", std::iter::from_fn(|| writes.next_if(|at| *at < end)).count());
        begun.tell("WriteThrottleEvents", 0);
        let waiting = if minute < PUT_BACK { queue.letters().len() } else { 0 };
        begun.tell("ApproximateNumberOfMessagesVisible", waiting);
        let age = if waiting > 0 { end.saturating_sub(POISON).as_secs() } else { 0 };
        begun.tell("ApproximateAgeOfOldestMessage", age);
        sleep_until(begun.instant + end).await;
    }
    Ok(())
}

/// Puts the dead letters back, as the redrive mapping of a queue does.
async fn put_back(processor: &StreamProcessor, queue: &MemoryDeadLetterQueue) -> Result<(), lambda_streams::Error> {
    let letters = queue.letters();
    let messages: Vec<Value> = letters.iter().enumerate().map(|(number, letter)| {
        json!({"messageId": number.to_string(), "eventSource": "aws:sqs", "body": letter.to_json()})
    }).collect();
    let event = DeadLetterEvent::from_slice(json!({"Records": messages}).to_string().as_bytes())?;
    processor.redrive(event, Deadline::after(minutes(1))).await;
    Ok(())
}

#[tokio::main(flavor = "current_thread", start_paused = true)]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    Emf::builder().namespace("LambdaStreams").service("orders").install()?;
    let begun = Begun { instant: Instant::now(), time: SystemTime::now() };
    let queue = MemoryDeadLetterQueue::new();
    // As infra-cdk deploys it.
    let processor = StreamProcessor::builder()
        .on_insert(move |change: Insert<Order>| index(change.new, begun))
        .concurrency(10)
        .retry(RetryPolicy::default())
        .dead_letter_queue(queue.clone())
        .build()?;
    let settings = Settings {
        batch_size: 100,
        maximum_batching_window_in_seconds: 5,
        parallelization_factor: 10,
        bisect_batch_on_function_error: true,
        report_batch_item_failures: true,
        ..Settings::default()
    };
    let running = Arc::new(AtomicU64::new(0));
    let source = Orders { begun, written: AtomicU64::new(0) };
    let mapping = EventSourceMapping::new(settings, source, ProcessorFunction::new(processor.clone()))?
        .function_timeout(minutes(1))
        .on_progress(move |progress| watch(begun, &running, progress));
    let (summary, put_back) = tokio::join!(mapping.run(std::future::pending()), operate(begun, &processor, &queue));
    put_back?;
    eprintln!("{}", summary?);
    Ok(())
}
