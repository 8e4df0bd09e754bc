//! Lambda's side: an event source mapping, and environments that are killed now and then.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use lambda_streams::{Error, StreamProcessor};
use lambda_streams_local::{
    DynamoDbStreams, EventSourceMapping, Function, InvokeError, ProcessorFunction, Response, Settings, Summary,
    Unspecified,
};

use crate::Failure;

/// One in this many invocations is killed at work.
const KILLED_EVERY: u32 = 2;
/// Within this time after it began. Some are done by then, but their responses are lost.
const KILLED_WITHIN_MILLIS: u64 = 40;
const SEED: u64 = 20_260_101;
const FUNCTION_TIMEOUT: Duration = Duration::from_secs(30);
/// A run takes seconds.
const PATIENCE: Duration = Duration::from_secs(120);

/// What was delivered, and to how many environments.
#[derive(Debug, Clone)]
pub struct Deliveries {
    pub summary: Summary,
    /// How many environments were started.
    pub environments: usize,
    /// How many of them were killed at work.
    pub killed: usize,
}

/// Delivers this many records of a stream to a function: with `parallelization_factor` invocations at once, each in an
/// environment of its
/// own, whose processor `start` makes.
pub async fn deliver<F>(
    stream: DynamoDbStreams,
    records: usize,
    parallelization_factor: u32,
    start: F,
) -> Result<Deliveries, Failure>
where
    F: Fn() -> Result<StreamProcessor, Error> + Send + Sync + 'static,
{
    let settings = Settings { batch_size: 25, parallelization_factor, ..Settings::default() };
    deliver_under(settings, stream, records, start).await
}

/// The same through a mapping with these `FilterCriteria`, of two large batches at once. Those of the records count that it drops.
pub async fn deliver_filtered<F>(
    stream: DynamoDbStreams,
    records: usize,
    filter_criteria: &str,
    start: F,
) -> Result<Deliveries, Failure>
where
    F: Fn() -> Result<StreamProcessor, Error> + Send + Sync + 'static,
{
    let mapping = format!(r#"{{"BatchSize": 300, "ParallelizationFactor": 2, "FilterCriteria": {filter_criteria}}}"#);
    deliver_under(serde_json::from_str(&mapping)?, stream, records, start).await
}

async fn deliver_under<F>(
    settings: Settings,
    stream: DynamoDbStreams,
    records: usize,
    start: F,
) -> Result<Deliveries, Failure>
where
    F: Fn() -> Result<StreamProcessor, Error> + Send + Sync + 'static,
{
    let settings = Settings {
        report_batch_item_failures: true,
        unspecified: Unspecified {
            retry_base_delay: Duration::from_millis(20),
            retry_max_delay: Duration::from_millis(100),
            poll_interval: Duration::from_millis(50),
            ..Unspecified::default()
        },
        ..settings
    };
    let environments = Arc::new(Environments { start, state: Mutex::new(State::default()) });
    let mapping =
        EventSourceMapping::new(settings, stream, Arc::clone(&environments))?.function_timeout(FUNCTION_TIMEOUT);
    let all_done = async {
        let is_over = |summary: Summary| summary.done + summary.filtered >= records as u64;
        while !is_over(mapping.summary()) {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let summary = tokio::time::timeout(PATIENCE, mapping.run(all_done)).await??;
    let State { environments, killed, .. } = &*environments.state();
    Ok(Deliveries { summary, environments: *environments, killed: *killed })
}

/// The environments of a function, each with a processor of its own.
struct Environments<F> {
    start: F,
    state: Mutex<State>,
}

struct State {
    random: fastrand::Rng,
    /// Those that are free. A killed one never comes back.
    free: Vec<ProcessorFunction<StreamProcessor>>,
    environments: usize,
    killed: usize,
}

impl Default for State {
    fn default() -> Self {
        Self { random: fastrand::Rng::with_seed(SEED), free: Vec::new(), environments: 0, killed: 0 }
    }
}

impl<F> Environments<F> {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<F> Environments<F>
where
    F: Fn() -> Result<StreamProcessor, Error> + Send + Sync + 'static,
{
    /// A free environment, or a new one.
    fn environment(&self) -> Result<ProcessorFunction<StreamProcessor>, InvokeError> {
        if let Some(free) = self.state().free.pop() {
            return Ok(free);
        }
        let processor = (self.start)().map_err(|error| InvokeError::new(error.to_string()))?;
        self.state().environments += 1;
        Ok(ProcessorFunction::new(processor))
    }

    /// When this invocation's environment is killed, if it is.
    fn life(&self) -> Option<Duration> {
        let random = &mut self.state().random;
        (random.u32(0..KILLED_EVERY) == 0).then(|| Duration::from_millis(random.u64(0..KILLED_WITHIN_MILLIS)))
    }
}

impl<F> Function for Environments<F>
where
    F: Fn() -> Result<StreamProcessor, Error> + Send + Sync + 'static,
{
    async fn invoke(&self, payload: String, timeout: Duration) -> Result<Response, InvokeError> {
        let environment = self.environment()?;
        let Some(life) = self.life() else {
            let response = environment.invoke(payload, timeout).await?;
            self.state().free.push(environment);
            return Ok(response);
        };
        // What it has done by then is done, and its answer is lost in any case.
        let _ = tokio::time::timeout(life, environment.invoke(payload, timeout)).await;
        self.state().killed += 1;
        let message = "the environment was killed".to_owned();
        Ok(Response::FunctionError { error_type: "Runtime.ExitError".to_owned(), message })
    }

    fn function_arn(&self) -> String {
        "arn:aws:lambda:eu-central-1:123456789012:function:example".to_owned()
    }
}
