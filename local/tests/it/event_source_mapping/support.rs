//! A stream in memory, and a function that responds by script and remembers what it received.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use lambda_streams_local::{
    Condition, EventSourceMapping, Function, InvokeError, MemoryOnFailure, MemorySource, Progress, Response, RunError,
    Settings, Summary, WarningKind,
};
use serde_json::Value;
use tokio::time::Instant;

pub(crate) const STREAM: &str = "arn:aws:dynamodb:us-east-2:123456789012:table/mytable/stream/2019-11-14T00:04:06.388";
pub(crate) const FUNCTION: &str = "arn:aws:lambda:us-east-2:123456789012:function:myfunction";

/// The record of that number, of the item `item`.
pub(crate) fn record_of(number: u64, item: &str, created_at: SystemTime) -> String {
    let created_at = created_at.duration_since(UNIX_EPOCH).expect("after the epoch").as_secs();
    format!(
        r#"{{"eventID":"e{number}","eventName":"INSERT","eventSource":"aws:dynamodb","awsRegion":"us-east-2","eventSourceARN":"{STREAM}","dynamodb":{{"ApproximateCreationDateTime":{created_at},"Keys":{{"id":{{"S":"{item}"}}}},"NewImage":{{"id":{{"S":"{item}"}},"n":{{"N":"{number}"}}}},"SequenceNumber":"{number}","SizeBytes":{number}}}}}"#
    )
}

/// Records of one item each, numbered from 1, and made just now.
pub(crate) fn records(count: u64) -> Vec<String> {
    (1..=count).map(|number| record_of(number, &format!("i{number}"), SystemTime::now())).collect()
}

pub(crate) fn source(records: Vec<String>) -> MemorySource {
    MemorySource::new(STREAM).shard("shardId-1", None, records).expect("records are JSON")
}

/// Answers that name nothing, one number, or several.
pub(crate) fn failures(numbers: &[u64]) -> Response {
    let named: Vec<String> = numbers.iter().map(|number| format!(r#"{{"itemIdentifier":"{number}"}}"#)).collect();
    Response::Returned(format!(r#"{{"batchItemFailures":[{}]}}"#, named.join(",")))
}

pub(crate) fn function_error() -> Response {
    Response::FunctionError { error_type: "Boom".to_owned(), message: "boom".to_owned() }
}

/// One invocation, as the function saw it.
#[derive(Debug, Clone)]
pub(crate) struct Call {
    pub(crate) at: Duration,
    pub(crate) numbers: Vec<u64>,
    pub(crate) event: Value,
}

type Reply = Box<dyn Fn(&[u64]) -> Response + Send + Sync>;

/// Answers from a list; when that is used up, by a rule.
#[derive(Clone)]
pub(crate) struct Scripted {
    calls: Arc<Mutex<Vec<Call>>>,
    script: Arc<Mutex<VecDeque<Response>>>,
    rule: Arc<Reply>,
    duration: Duration,
    begun: Instant,
}

impl Scripted {
    pub(crate) fn new(script: impl IntoIterator<Item = Response>) -> Self {
        Self::by_rule(|_| Response::Returned("null".to_owned())).first(script)
    }

    pub(crate) fn by_rule(rule: impl Fn(&[u64]) -> Response + Send + Sync + 'static) -> Self {
        Self {
            calls: Arc::default(),
            script: Arc::default(),
            rule: Arc::new(Box::new(rule)),
            duration: Duration::ZERO,
            begun: Instant::now(),
        }
    }

    pub(crate) fn first(self, script: impl IntoIterator<Item = Response>) -> Self {
        self.script.lock().expect("no test panics with it").extend(script);
        self
    }

    /// Every invocation takes that long.
    pub(crate) fn taking(mut self, duration: Duration) -> Self {
        self.duration = duration;
        self
    }

    pub(crate) fn calls(&self) -> Vec<Call> {
        self.calls.lock().expect("no test panics with it").clone()
    }

    pub(crate) fn batches(&self) -> Vec<Vec<u64>> {
        self.calls().into_iter().map(|call| call.numbers).collect()
    }

    pub(crate) fn seconds(&self) -> Vec<f64> {
        self.calls().iter().map(|call| call.at.as_secs_f64()).collect()
    }
}

impl Function for Scripted {
    async fn invoke(&self, payload: String, _timeout: Duration) -> Result<Response, InvokeError> {
        let event: Value = serde_json::from_str(&payload).expect("the payload is JSON");
        let number = |record: &Value| record["dynamodb"]["SequenceNumber"].as_str()?.parse().ok();
        let numbers: Vec<u64> = event["Records"].as_array().expect("a list").iter().filter_map(number).collect();
        self.calls.lock().expect("no test panics with it").push(Call {
            at: self.begun.elapsed(),
            numbers: numbers.clone(),
            event,
        });
        tokio::time::sleep(self.duration).await;
        let scripted = self.script.lock().expect("no test panics with it").pop_front();
        Ok(scripted.unwrap_or_else(|| (self.rule)(&numbers)))
    }

    fn function_arn(&self) -> String {
        FUNCTION.to_owned()
    }
}

/// The outcome of a whole run.
pub(crate) struct Ran {
    pub(crate) summary: Summary,
    pub(crate) documents: Vec<Value>,
    pub(crate) progress: Vec<Progress>,
}

impl Ran {
    pub(crate) fn warnings(&self) -> Vec<WarningKind> {
        self.summary.warnings.iter().map(|warning| warning.kind).collect()
    }

    pub(crate) fn conditions(&self) -> Vec<Condition> {
        let condition = |event: &Progress| match event {
            Progress::Discarded { condition, .. } => Some(*condition),
            _ => None,
        };
        self.progress.iter().filter_map(condition).collect()
    }
}

pub(crate) async fn run(settings: Settings, source: MemorySource, function: &Scripted) -> Ran {
    try_run(settings, source, function.clone()).await.expect("the run ends well")
}

pub(crate) async fn try_run(
    settings: Settings,
    source: MemorySource,
    function: impl Function,
) -> Result<Ran, RunError> {
    let (destination, progress) = (MemoryOnFailure::default(), Arc::new(Mutex::new(Vec::new())));
    let seen = Arc::clone(&progress);
    let mut mapping = EventSourceMapping::new(settings.clone(), source, function)
        .expect("the settings are right")
        .on_progress(move |event| seen.lock().expect("no test panics with it").push(event.clone()));
    if settings.on_failure.is_some() {
        mapping = mapping.on_failure(destination.clone());
    }
    let summary = mapping.run(std::future::pending()).await?;
    let documents = destination.documents();
    let documents = documents
        .iter()
        .map(|document| serde_json::from_str(&document.to_json()))
        .collect::<Result<_, _>>()
        .expect("documents are JSON");
    let progress = progress.lock().expect("no test panics with it").clone();
    Ok(Ran { summary, documents, progress })
}

/// With ReportBatchItemFailures, and a queue for on-failure documents.
pub(crate) fn partial() -> Settings {
    Settings { report_batch_item_failures: true, ..with_queue() }
}

pub(crate) fn with_queue() -> Settings {
    Settings { on_failure: Some("arn:aws:sqs:us-east-2:123456789012:failed".to_owned()), ..Settings::default() }
}
