//! The event source mapping between the stream and the processor.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use lambda_streams::{Deadline, Error, StreamEvent, StreamProcessor, StreamResponse};
use lambda_streams_local::{EventSourceMapping, Function, InvokeError, Response, Settings, Source};
use serde::Deserialize;
use serde_json::Value;

use crate::Failure;
use crate::report::Tally;

/// The function's timeout in the documented system.
const TIMEOUT: Duration = Duration::from_secs(25);
/// How long the stream may stay silent before what is still missing counts as lost.
const PATIENCE: Duration = Duration::from_secs(10);

/// The outcome of a stream.
#[derive(Debug, Default)]
pub(crate) struct Processed {
    /// The records in the stream's order, each once.
    pub(crate) records: Vec<Value>,
    pub(crate) tally: Tally,
    pub(crate) batches: usize,
    /// The time in the processor.
    pub(crate) duration: Duration,
}

/// Processes this many records of the stream, as the documented system's mapping would, with a tick for each one done.
pub(crate) async fn process(
    processor: &StreamProcessor,
    source: impl Source,
    expected: usize,
    tick: impl Fn(u64) + Send + Sync + 'static,
) -> Result<Processed, Failure> {
    let function = Arc::new(WatchedFunction { processor: processor.clone(), processed: Mutex::default() });
    let settings = Settings { report_batch_item_failures: true, maximum_retry_attempts: 3, ..Settings::default() };
    let mapping = EventSourceMapping::new(settings, source, Arc::clone(&function))
        .map_err(|error| Failure::broken(error.to_string()))?
        .function_timeout(TIMEOUT)
        .stop_when_idle(PATIENCE);
    let all_done = async {
        let mut done = 0;
        while done < expected as u64 {
            tokio::time::sleep(Duration::from_millis(20)).await;
            let now = mapping.summary().done;
            tick(now - done);
            done = now;
        }
    };
    let summary = mapping.run(all_done).await.map_err(|error| Failure::broken(error.to_string()))?;
    if summary.done < expected as u64 {
        let done = summary.done;
        return Err(Failure::broken(format!("only {done} of {expected} records are done, and the stream had no more")));
    }
    Ok(std::mem::take(&mut *function.processed()))
}

/// The processor in this process as the function, with what it reports of each record.
struct WatchedFunction {
    processor: StreamProcessor,
    processed: Mutex<Processed>,
}

impl WatchedFunction {
    fn processed(&self) -> MutexGuard<'_, Processed> {
        self.processed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn process(&self, payload: &str, timeout: Duration) -> Result<StreamResponse, Error> {
        let event = StreamEvent::from_slice(payload.as_bytes())?;
        let began = Instant::now();
        let report = self.processor.process(event, Deadline::after(timeout)).await;
        let mut processed = self.processed();
        processed.duration += began.elapsed();
        processed.batches += 1;
        processed.tally.add(&report);
        report.response()
    }

    /// Keeps the records of a payload that are new: a batch that is redelivered begins at its checkpoint.
    fn keep_records(&self, payload: &str) {
        #[derive(Deserialize)]
        struct Event {
            #[serde(rename = "Records")]
            records: Vec<Value>,
        }
        let Ok(Event { records }) = serde_json::from_str(payload) else { return };
        let mut processed = self.processed();
        let number = |record: &Value| record["dynamodb"]["SequenceNumber"].clone();
        let first = records.first().map(number);
        let known = processed.records.iter().rposition(|record| Some(number(record)) == first);
        let again = known.map_or(0, |known| processed.records.len() - known);
        processed.records.extend(records.into_iter().skip(again));
    }
}

impl Function for WatchedFunction {
    async fn invoke(&self, payload: String, timeout: Duration) -> Result<Response, InvokeError> {
        self.keep_records(&payload);
        Ok(match self.process(&payload, timeout).await {
            Ok(response) => Response::Returned(serde_json::to_string(&response).expect("strings are serializable")),
            Err(error) => Response::FunctionError { error_type: "Local".to_owned(), message: error.to_string() },
        })
    }

    fn function_arn(&self) -> String {
        "arn:aws:lambda:eu-central-1:123456789012:function:local".to_owned()
    }
}
