//! The processor on Lambda, with each invocation's payload taken as the bytes that came.

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

use crate::invocation::Invocation;
use crate::outcome::StreamResponse;
use crate::processor::StreamProcessor;

type BoxError = lambda_runtime::Error;

/// Runs a processor on Lambda: one line in `main`.
///
/// It does what `lambda_runtime::run(processor)` does, but the processor takes each payload as the bytes that came.
/// `lambda_runtime` would read the whole JSON once more and copy it before the processor sees it, which about
/// doubles what a payload costs beside its records' decoding.
///
/// Both ways come to the same answers, with four differences that follow from who reads the bytes, and when:
///
/// - a payload that is no JSON, or not the event of a stream to its end, fails the invocation either way; but here it is read
///   while its records are processed, and handlers of earlier records may have been called by then;
/// - text behind the JSON's end is an error here; there it is never looked at;
/// - the error type of a payload that is no event is `LambdaStreams.Event` here; there it is `lambda_runtime`'s, which
///   puts words of its own around the same message;
/// - the payload does not appear in `lambda_runtime`'s log at the level `TRACE`; there it does, item data included.
///
/// It also has glibc keep the memory of an invocation for the next one, up to 62 MiB, which would else go back to the system
/// and be zeroed again.
///
/// Use [`runtime`] for more layers, or for several invocations at once on Lambda Managed Instances.
///
/// # Errors
/// If the Runtime API cannot be reached any more. A failed invocation is answered and does not end the loop.
///
/// # Panics
/// If the environment variables are missing that Lambda sets (`AWS_LAMBDA_RUNTIME_API` and others).
///
/// ```no_run
/// use lambda_streams::{Record, StreamProcessor};
///
/// #[tokio::main(flavor = "current_thread")]
/// async fn main() -> Result<(), lambda_runtime::Error> {
///     let processor = StreamProcessor::builder().on_record(|_: Record| async { Ok(()) }).build()?;
///     lambda_streams::run(processor).await
/// }
/// ```
pub async fn run(processor: StreamProcessor) -> Result<(), BoxError> {
    runtime(processor).layer(TracingLayer::new()).run().await
}

/// The runtime that [`run`] runs, for a function that adds layers or SnapStart resources of its own.
///
/// With `lambda_runtime`'s feature `concurrency-tokio` it also runs several invocations at once, on Lambda Managed
/// Instances: `lambda_streams::runtime(processor).run_concurrent()`.
///
/// # Panics
/// As [`run`].
///
/// ```no_run
/// use lambda_runtime::layers::TracingLayer;
/// use lambda_streams::{Record, StreamProcessor};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), lambda_runtime::Error> {
/// let processor = StreamProcessor::builder().on_record(|_: Record| async { Ok(()) }).build()?;
/// lambda_streams::runtime(processor).layer(TracingLayer::new()).run().await
/// # }
/// ```
pub fn runtime(
    processor: StreamProcessor,
) -> Runtime<impl Service<LambdaInvocation, Response = (), Error = BoxError, Future: Send> + Clone + Send + 'static> {
    keep_memory();
    Runtime::new(Answering).layer(FromBytes { processor })
}

/// Has glibc keep an invocation's memory for the next one.
///
/// By default it maps a block of its own for whatever is larger than the largest such block that was freed so far, and gives
/// back what is free at the heap's end beyond twice that size ([mallopt(3)](https://man7.org/linux/man-pages/man3/mallopt.3.html)).
/// So one is freed that is as large as counts, and larger than any payload; nothing is written to it.
fn keep_memory() {
    const LARGEST: usize = 31 * 1024 * 1024;
    let mut block = Vec::<u8>::new();
    // Where there is no room for it, nothing is lost.
    let _ = block.try_reserve_exact(LARGEST);
    drop(std::hint::black_box(block));
}

/// The layer that processes an invocation, and hands on its answer in the place of its payload.
struct FromBytes {
    processor: StreamProcessor,
}

impl<S> tower_layer::Layer<S> for FromBytes {
    type Service = FromBytesService<S>;

    fn layer(&self, inner: S) -> Self::Service {
        FromBytesService { processor: self.processor.clone(), inner }
    }
}

#[derive(Clone)]
struct FromBytesService<S> {
    processor: StreamProcessor,
    inner: S,
}

impl<S> Service<LambdaInvocation> for FromBytesService<S>
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
        // The clone may not be ready; the one that was asked is.
        let mut inner = std::mem::replace(&mut self.inner, inner);
        Box::pin(async move {
            let payload = std::mem::take(&mut invocation.body).into();
            let answer = answer(&processor, payload, Invocation::from(&invocation.context)).await;
            invocation.body = serde_json::to_vec(&answer)?.into();
            inner.call(invocation).await
        })
    }
}

/// What an invocation comes to, on its way to [`Answering`].
#[derive(Serialize)]
enum Answer {
    Response(StreamResponse),
    Failure(Diagnostic),
}

async fn answer(processor: &StreamProcessor, payload: Vec<u8>, invocation: Invocation) -> Answer {
    let processed = async { processor.process_payload(payload, invocation).await?.response() };
    // As `lambda_runtime` does it: a panic fails the invocation, and not the process.
    match AssertUnwindSafe(processed).catch_unwind().await {
        Ok(Ok(response)) => Answer::Response(response),
        Ok(Err(error)) => Answer::Failure(error.into()),
        Err(panic) => Answer::Failure(panicked(&*panic)),
    }
}

fn panicked(panic: &(dyn Any + Send)) -> Diagnostic {
    let text = panic.downcast_ref::<&str>().copied().or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    let error_message =
        text.map_or_else(|| "the processor panicked".to_owned(), |text| format!("the processor panicked: {text}"));
    Diagnostic { error_type: "LambdaStreams.Panic".to_owned(), error_message }
}

/// The handler that `lambda_runtime` calls: it gives the answer that it is called with, so that the Runtime API is spoken
/// to by `lambda_runtime` alone.
#[derive(Clone, Copy)]
struct Answering;

#[derive(Deserialize)]
enum ReadAnswer {
    Response(Box<RawValue>),
    Failure(Diagnostic),
}

impl Service<LambdaEvent<ReadAnswer>> for Answering {
    type Response = Box<RawValue>;
    type Error = Diagnostic;
    type Future = std::future::Ready<Result<Box<RawValue>, Diagnostic>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Diagnostic>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, event: LambdaEvent<ReadAnswer>) -> Self::Future {
        std::future::ready(match event.payload {
            ReadAnswer::Response(response) => Ok(response),
            ReadAnswer::Failure(failure) => Err(failure),
        })
    }
}

#[cfg(all(test, target_os = "linux", target_env = "gnu"))]
mod tests {
    use super::*;

    /// The bytes of this process that are in memory.
    fn resident() -> usize {
        let status = std::fs::read_to_string("/proc/self/status").expect("Linux tells");
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("it tells what is resident");
        line.trim().trim_end_matches(" kB").parse::<usize>().expect("a number") * 1024
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
