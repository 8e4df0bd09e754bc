//! Runs the processor on Lambda, on the bytes of each payload as they are received.
//!
//! `lambda_runtime` deserializes a payload before it calls a handler, but the processor takes the bytes. So a tower layer runs the
//! processor on the bytes and passes its outcome on in place of the payload. The handler that `lambda_runtime` calls, [`Echo`],
//! returns it unchanged.

mod service;

use std::any::Any;
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::task::{Context, Poll};

use futures::FutureExt;
use lambda_runtime::layers::TracingLayer;
use lambda_runtime::{Diagnostic, LambdaEvent, LambdaInvocation, Runtime};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use tower_service::Service;

use crate::error::Error;
use crate::failure::{Failure, panic_words};
use crate::invocation::Invocation;
use crate::observe::metrics::millis;
use crate::processor::{InvocationResponse, ProcessorSettings, StreamProcessor};
use crate::variables::METRICS_NAMESPACE;

type BoxError = lambda_runtime::Error;

/// Runs a processor on Lambda: the last line of `main`.
///
/// ```no_run
/// use lambda_streams::{HandlerError, Insert, StreamProcessor};
///
/// #[derive(serde::Deserialize)]
/// struct Order { id: String }
///
/// async fn created(change: Insert<Order>) -> Result<(), HandlerError> {
///     tracing::info!(order = change.new.id, "created");
///     Ok(())
/// }
///
/// #[tokio::main(flavor = "current_thread")]
/// async fn main() -> Result<(), lambda_runtime::Error> {
///     let processor = StreamProcessor::builder_from_env()?.on_insert(created).build()?;
///     lambda_streams::run(processor).await
/// }
/// ```
///
/// # Events
/// | the function is invoked by | what happens |
/// |---|---|
/// | a stream | the batch is [processed](StreamProcessor::process) |
/// | a queue, with dead letters that were put back | a [redrive](StreamProcessor::redrive) |
/// | `lambda-streams replay` or `lambda-streams backfill` | each record is answered ([`ReplayReport`](crate::ReplayReport)) |
/// | an on-failure document with its records, as a bucket gets it | a replay too; the invocation fails if any record is not finished |
/// | a payload that only describes discarded records: the on-failure document of a queue or a topic, messages with such documents, the notification of a bucket | the invocation fails, and the error names the command that brings the records back |
/// | an event with records of several sources | the invocation fails, wherever in the event the other records are |
/// | anything else | the invocation fails, and the error says what the payload looks like |
///
/// On [Lambda Managed Instances](https://docs.aws.amazon.com/lambda/latest/dg/lambda-managed-instances.html), invocations run
/// concurrently, as many as `AWS_LAMBDA_MAX_CONCURRENCY` says. All of them share the processor's concurrency limit.
///
/// # Logs and metrics
/// It installs [`Logs`](crate::Logs) (feature `logs`) unless the process has a `tracing` subscriber already. It installs
/// [`Emf`](crate::Emf) (feature `emf`) if `POWERTOOLS_METRICS_NAMESPACE` is set, unless the process has a metrics recorder already.
/// CloudWatch charges for each metric, so metrics are off by default.
///
/// A function that forgets to install metrics would look healthy, because its alarms watch metrics that are never written. For that reason
/// `run` installs both. To install your own, do it before this call.
///
/// Its first log line shows the [settings](StreamProcessor::settings) of the processor.
///
/// # Differences from `lambda_runtime::run`
/// - The processor reads the payload's bytes itself. `lambda_runtime` would parse the whole JSON and copy it first, which about doubles
///   the cost of a payload apart from the decoding of its records.
/// - A payload that is not valid JSON, or not the event of a stream, fails the invocation in both. Here it is read while its
///   records are processed, so handlers of earlier records may have been called by then.
/// - Text after the end of the JSON is an error here, and ignored there.
/// - The error type of a payload that is not an event is `LambdaStreams.Event` here. There it is that of `lambda_runtime`, which wraps the
///   same message in its own.
/// - `lambda_runtime::run(processor)` takes only the events of streams. It cannot redrive or replay, and refuses what a command sends.
/// - `lambda_runtime` logs the payload at the level `TRACE`, item data included. `run` does not.
/// - glibc keeps up to 62 MiB of memory from one invocation to the next, instead of returning it to the system.
///
/// Use [`runtime`] to add your own layers.
///
/// # Errors
/// If CloudWatch does not accept the namespace of the metrics or the service's name, or if the Runtime API can no longer be reached. A
/// failed invocation is reported to Lambda and does not end the loop.
///
/// # Cancellation
/// Dropping the future stops the loop. An invocation in progress is then cancelled as by [`process`](StreamProcessor::process), and Lambda
/// gets no response for it.
///
/// # Panics
/// If the environment variables that Lambda sets are missing (`AWS_LAMBDA_RUNTIME_API` and others), or outside of a tokio runtime.
pub async fn run(processor: StreamProcessor) -> Result<(), BoxError> {
    observe()?;
    log_settings(&processor.settings());
    runtime(processor).layer(TracingLayer::new()).run_concurrent().await
}

fn log_settings(settings: &ProcessorSettings) {
    tracing::info!(
        concurrency = settings.concurrency,
        lanes = ?settings.lanes,
        max_attempts = settings.max_attempts,
        retry_base_ms = millis(settings.retry_base),
        retry_max_ms = millis(settings.retry_max),
        handler_timeout_ms = settings.handler_timeout.map(millis),
        deadline_margin_ms = settings.deadline_margin.map(millis),
        failure_policy = ?settings.failure_policy,
        give_up_after_seconds = settings.give_up_after.as_secs(),
        dead_letter_queue = settings.has_dead_letter_queue,
        report_batch_item_failures = settings.report_batch_item_failures,
        consumer = settings.consumer,
        marks = settings.has_marks,
        "the function starts"
    );
}

/// Installs the logs and the metrics that the environment asks for, unless the process has its own. [`run`] does this first; a function
/// that does not call [`run`] calls it at the start of `main`.
///
/// ```
/// # fn main() -> Result<(), lambda_streams::Error> {
/// lambda_streams::observe()?;
/// tracing::info!("the function starts");
/// # Ok(())
/// # }
/// ```
///
/// - The log is [`Logs::from_env`](crate::Logs::from_env), with the feature `logs`.
/// - The metrics are [`Emf::builder`](crate::Emf::builder), with the feature `emf`, if `POWERTOOLS_METRICS_NAMESPACE` is set.
///
/// # Errors
/// If CloudWatch does not accept the namespace or the service's name ([`Error::is_configuration`]).
pub fn observe() -> Result<(), Error> {
    #[cfg(feature = "logs")]
    let _ = crate::observe::log::Logs::from_env().install();
    if std::env::var(METRICS_NAMESPACE).is_ok_and(|namespace| !namespace.trim().is_empty()) {
        #[cfg(feature = "emf")]
        crate::observe::emf::Emf::builder().install_if_none()?;
        #[cfg(not(feature = "emf"))]
        tracing::warn!(
            "`{METRICS_NAMESPACE}` is set, and the feature `emf` of `lambda-streams` is not enabled: no metrics are written"
        );
    }
    Ok(())
}

/// The runtime that [`run`] runs, for a function that adds its own layers or SnapStart resources.
///
/// ```no_run
/// use lambda_runtime::layers::TracingLayer;
/// use lambda_streams::{Record, StreamProcessor};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), lambda_runtime::Error> {
/// let processor = StreamProcessor::builder().on_record(|_: Record| async { Ok(()) }).build()?;
/// lambda_streams::runtime(processor).layer(TracingLayer::new()).run_concurrent().await
/// # }
/// ```
///
/// It installs neither logs nor metrics: [`observe`] does. Its `run_concurrent` runs invocations concurrently on Lambda Managed Instances,
/// and one after the other elsewhere.
///
/// # Panics
/// As [`run`].
pub fn runtime(
    processor: StreamProcessor,
) -> Runtime<impl Service<LambdaInvocation, Response = (), Error = BoxError, Future: Send> + Clone + Send + 'static> {
    keep_memory();
    Runtime::new(Echo).layer(ProcessorLayer { processor })
}

/// Has glibc keep the memory of an invocation for the next one.
///
/// This saves more than 1,000 page faults in an invocation of 3,700 records, and a tenth to a third of its CPU time
/// (`benches/README.md`, "A function's release profile"; `benches/peers/run.py` shows the CPU time).
///
/// glibc allocates large blocks by `mmap`, and returns free memory at the end of the heap to the system. Both thresholds adapt: to
/// the size of the largest such block that was freed, and to twice that size
/// ([mallopt(3)](https://man7.org/linux/man-pages/man3/mallopt.3.html), `M_MMAP_THRESHOLD`). Freeing one block just below the
/// maximum of 32 MiB raises them above every payload. The block is never written to, so it takes no physical memory.
fn keep_memory() {
    const LARGEST: usize = 31 * 1024 * 1024;
    let mut block = Vec::<u8>::new();
    // If the block cannot be allocated, the thresholds stay as they are.
    let _ = block.try_reserve_exact(LARGEST);
    drop(std::hint::black_box(block));
}

/// Processes an invocation, and passes the outcome on to [`Echo`] in place of the payload.
struct ProcessorLayer {
    processor: StreamProcessor,
}

impl<S> tower_layer::Layer<S> for ProcessorLayer {
    type Service = ProcessorService<S>;

    fn layer(&self, inner: S) -> Self::Service {
        ProcessorService { processor: self.processor.clone(), inner }
    }
}

#[derive(Clone)]
struct ProcessorService<S> {
    processor: StreamProcessor,
    inner: S,
}

impl<S> Service<LambdaInvocation> for ProcessorService<S>
where
    S: Service<LambdaInvocation, Response = (), Error = BoxError, Future: Send> + Clone + Send + 'static,
{
    type Response = ();
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<(), BoxError>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, mut invocation: LambdaInvocation) -> Self::Future {
        let processor = self.processor.clone();
        let inner = self.inner.clone();
        // Readiness belongs to the service that `poll_ready` was called on, not to its clone.
        let mut inner = std::mem::replace(&mut self.inner, inner);
        Box::pin(async move {
            let payload = std::mem::take(&mut invocation.body).into();
            let outgoing = process(&processor, payload, Invocation::from(&invocation.context)).await;
            invocation.body = serde_json::to_vec(&outgoing)?.into();
            inner.call(invocation).await
        })
    }
}

/// The outcome of an invocation, as it is written for [`Echo`].
#[derive(Serialize)]
enum Outgoing {
    Response(InvocationResponse),
    Failure(Diagnostic),
}

/// The outcome of an invocation, as [`Echo`] reads it: the same JSON as [`Outgoing`], with the response left as it is.
#[derive(Deserialize)]
enum Incoming {
    Response(Box<RawValue>),
    Failure(Diagnostic),
}

async fn process(processor: &StreamProcessor, payload: Vec<u8>, invocation: Invocation) -> Outgoing {
    let processed = async { processor.process_invocation(payload, invocation).await?.response() };
    // A panic fails the invocation and not the process, as with `lambda_runtime`.
    match AssertUnwindSafe(processed).catch_unwind().await {
        Ok(Ok(response)) => Outgoing::Response(response),
        Ok(Err(error)) => Outgoing::Failure(error.into()),
        Err(panic) => Outgoing::Failure(panicked(&*panic)),
    }
}

fn panicked(panic: &(dyn Any + Send)) -> Diagnostic {
    // What the panic said may quote an item. Lambda logs this message and keeps it with a failed invocation.
    let error_message = Failure::panicked("processor", panic_words(panic)).to_string();
    Diagnostic { error_type: "LambdaStreams.Panic".to_owned(), error_message }
}

/// The handler that `lambda_runtime` calls: it returns what it is called with.
#[derive(Clone, Copy)]
struct Echo;

impl Service<LambdaEvent<Incoming>> for Echo {
    type Response = Box<RawValue>;
    type Error = Diagnostic;
    type Future = std::future::Ready<Result<Box<RawValue>, Diagnostic>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Diagnostic>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, event: LambdaEvent<Incoming>) -> Self::Future {
        std::future::ready(match event.payload {
            Incoming::Response(response) => Ok(response),
            Incoming::Failure(failure) => Err(failure),
        })
    }
}

#[cfg(all(test, target_os = "linux", target_env = "gnu"))]
mod tests {
    use super::*;

    /// The bytes of this process that are in physical memory.
    fn resident() -> usize {
        let status = std::fs::read_to_string("/proc/self/status").expect("Linux has this file");
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("the file has this line");
        line.trim().trim_end_matches(" kB").parse::<usize>().expect("a number") * 1024
    }

    #[test]
    fn the_words_of_a_panic_are_not_in_the_error() {
        let panic: Box<dyn Any + Send> = Box::new("customer 17: no address");
        assert_eq!(panicked(&*panic).error_message, "the processor panicked");
    }

    #[test]
    fn memory_is_kept_for_the_next_invocation() {
        const PAYLOAD: usize = 24 * 1024 * 1024;
        keep_memory();
        let before = resident();
        drop(std::hint::black_box(vec![1_u8; PAYLOAD]));
        let kept = resident().saturating_sub(before);
        assert!(kept > PAYLOAD / 2, "{kept} of {PAYLOAD} bytes are left");
    }
}
