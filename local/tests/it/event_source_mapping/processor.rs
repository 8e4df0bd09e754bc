//! A function in this process: a processor, or any service that takes a stream event.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures::FutureExt;
use lambda_runtime::{Diagnostic, LambdaEvent};
use lambda_streams::{HandlerError, MemoryDeadLetterQueue, Record, StreamEvent, StreamProcessor};
use lambda_streams_local::{EventSourceMapping, Function, ProcessorFunction, Response, Settings};

use super::support::{FUNCTION, partial, records, source};

const TIMEOUT: Duration = Duration::from_secs(3);

async fn invoke_with<F, Fut>(function: F, payload: &str) -> Response
where
    F: FnMut(LambdaEvent<StreamEvent>) -> Fut + Clone + Send + 'static,
    Fut: Future<Output = Result<u32, Diagnostic>> + Send,
{
    let function = ProcessorFunction::new(tower::service_fn(function));
    function.invoke(payload.to_owned(), TIMEOUT).await.expect("it can be invoked")
}

fn error(error_type: &str, message: &str) -> Response {
    Response::FunctionError { error_type: error_type.to_owned(), message: message.to_owned() }
}

#[tokio::test(start_paused = true)]
async fn any_service_of_a_stream_event_can_be_the_function() {
    let response = invoke_with(|event| async move { Ok(event.payload.len() as u32) }, r#"{"Records":[1,2]}"#).await;
    assert_eq!(response, Response::Returned("2".to_owned()));
}

#[tokio::test(start_paused = true)]
async fn an_error_a_panic_or_a_timeout_is_a_function_error() {
    let failing = |_| async { Err(Diagnostic { error_type: "Boom".to_owned(), error_message: "boom".to_owned() }) };
    assert_eq!(invoke_with(failing, r#"{"Records":[]}"#).await, error("Boom", "boom"));
    let panicking = |_| async { panic!("on purpose") };
    assert_eq!(invoke_with(panicking, r#"{"Records":[]}"#).await, error("Panic", "the function panicked"));
    let hanging = |_| std::future::pending();
    assert_eq!(
        invoke_with(hanging, r#"{"Records":[]}"#).await,
        error("Sandbox.Timedout", "task timed out after 3.00 s")
    );
    let refused = invoke_with(|_| async { Ok(0) }, r#"{"detail":{}}"#).await;
    assert!(matches!(refused, Response::FunctionError { error_type, .. } if error_type == "LambdaStreams.Event"));
}

/// Stands for computing: the clock moves within one poll, and nothing else gets its turn.
fn compute(duration: Duration) {
    assert!(tokio::time::advance(duration).now_or_never().is_none(), "the clock has moved, and its task would yield");
}

#[tokio::test(start_paused = true)]
async fn an_answer_after_the_timeout_is_a_timeout() {
    let late = || compute(TIMEOUT + Duration::from_millis(1));
    let answers = move |_| async move {
        late();
        Ok(0)
    };
    let fails = move |_| async move {
        late();
        Err(Diagnostic { error_type: "Boom".to_owned(), error_message: "boom".to_owned() })
    };
    let panics = move |_| async move {
        late();
        panic!("on purpose")
    };
    let timed_out = error("Sandbox.Timedout", "task timed out after 3.00 s");
    assert_eq!(invoke_with(answers, r#"{"Records":[]}"#).await, timed_out);
    assert_eq!(invoke_with(fails, r#"{"Records":[]}"#).await, timed_out);
    assert_eq!(invoke_with(panics, r#"{"Records":[]}"#).await, timed_out);
    let in_time = |_| async {
        compute(TIMEOUT - Duration::from_millis(1));
        Ok(0)
    };
    assert_eq!(invoke_with(in_time, r#"{"Records":[]}"#).await, Response::Returned("0".to_owned()));
}

#[tokio::test(start_paused = true)]
async fn the_context_has_a_deadline_a_request_id_and_an_arn() {
    let seen = Arc::new(Mutex::new(None));
    let remember = Arc::clone(&seen);
    let service = tower::service_fn(move |event: LambdaEvent<StreamEvent>| {
        *remember.lock().expect("no test panics with it") = Some(event.context);
        async { Ok::<_, Diagnostic>(()) }
    });
    let function = ProcessorFunction::new(service).with_function_arn(FUNCTION);
    function.invoke(r#"{"Records":[]}"#.to_owned(), TIMEOUT).await.expect("it can be invoked");
    let context = seen.lock().expect("no test panics with it").take().expect("it was called");
    assert_eq!((context.request_id.len(), context.invoked_function_arn.as_str()), (36, FUNCTION));
    assert!(context.deadline > 0);
}

#[tokio::test(start_paused = true)]
async fn a_batch_finishes_over_several_invocations() {
    let processor = StreamProcessor::builder()
        .on_record(|_: Record| async {
            tokio::time::sleep(Duration::from_secs(1)).await;
            Ok(())
        })
        .concurrency(1)
        .build()
        .expect("it is configured");
    let mapping = EventSourceMapping::new(partial(), source(records(8)), ProcessorFunction::new(processor))
        .expect("right settings");
    let summary = mapping.run(std::future::pending()).await.expect("it ends well");
    assert_eq!((summary.done, summary.function_errors), (8, 0));
    assert_eq!((summary.invocations, summary.partial_responses), (4, 3), "two a timeout of three seconds");
}

#[tokio::test(start_paused = true)]
async fn user_code_that_computes_does_not_livelock_a_stream() {
    const MILLISECOND: Duration = Duration::from_millis(1);
    let (in_filter, in_handler) = (Duration::from_millis(4), Duration::ZERO);
    for (filter_takes, handler_takes) in
        [(in_filter, in_handler), (in_filter, MILLISECOND), (Duration::ZERO, in_filter)]
    {
        let processor = StreamProcessor::builder()
            .on_record(move |_: Record| async move {
                if !handler_takes.is_zero() {
                    compute(handler_takes);
                    tokio::time::sleep(MILLISECOND).await;
                }
                Ok(())
            })
            .filter(move |_| {
                if !filter_takes.is_zero() {
                    compute(filter_takes);
                }
                true
            })
            .build()
            .expect("it is configured");
        let settings = Settings { batch_size: 3_000, ..partial() };
        let mapping = EventSourceMapping::new(settings, source(records(3_000)), ProcessorFunction::new(processor))
            .expect("right settings");
        let summary = mapping.run(std::future::pending()).await.expect("it ends well");
        assert_eq!((summary.done, summary.function_errors), (3_000, 0), "no invocation ran into its timeout");
        assert!((5..=8).contains(&summary.invocations), "12 s or 15 s of work in 2.7 s each: {}", summary.invocations);
    }
}

#[tokio::test(start_paused = true)]
async fn an_outage_loses_nothing_and_poison_is_a_dead_letter() {
    let queue = MemoryDeadLetterQueue::new();
    let failures = Arc::new(Mutex::new(5));
    let processor = StreamProcessor::builder()
        .on_record(move |record: Record| {
            let failures = Arc::clone(&failures);
            async move {
                let mut failures = failures.lock().expect("no test panics with it");
                match record.sequence_number().expect("it has one").as_str() {
                    "7" => Err(HandlerError::permanent("poison")),
                    "3" if *failures > 0 => {
                        *failures -= 1;
                        Err("the index is down".into())
                    }
                    _ => Ok(()),
                }
            }
        })
        .dead_letter_queue(queue.clone())
        .build()
        .expect("it is configured");
    let settings = Settings { batch_size: 5, ..partial() };
    let mapping = EventSourceMapping::new(settings, source(records(10)), ProcessorFunction::new(processor))
        .expect("right settings");
    let summary = mapping.run(std::future::pending()).await.expect("it ends well");
    assert_eq!((summary.done, summary.partial_responses, summary.discarded), (10, 1, 0));
    let letters: Vec<String> =
        queue.letters().iter().filter_map(|letter| Some(letter.sequence_number()?.to_string())).collect();
    assert_eq!(letters, ["7"]);
}
