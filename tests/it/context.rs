//! A handler knows how long it may take, which attempt it is, and where its record comes from.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use lambda_streams::{
    Change, ChangeContext, DeadLetterEvent, Deadline, HandlerError, Insert, Invocation, Modify, Origin,
    ProcessorBuilder, Record, Remove, RetryPolicy, StreamProcessor, with,
};
use serde_json::{Value, json};

use crate::support::letters::letter;
use crate::support::{Order, change, event, inserts, payload};

/// What each call of the handler was told.
type Contexts = Arc<Mutex<Vec<(ChangeContext, Option<Duration>)>>>;

async fn note(contexts: Contexts, record: Record) -> Result<(), HandlerError> {
    let context = record.context();
    contexts.lock().unwrap().push((context.clone(), context.time_left()));
    tokio::time::sleep(Duration::from_secs(1)).await;
    if record.keys_json().contains("bad") { Err(HandlerError::retryable("not yet")) } else { Ok(()) }
}

fn builder(contexts: &Contexts) -> ProcessorBuilder {
    let retry = RetryPolicy::default().max_attempts(3).base_delay(Duration::ZERO).max_delay(Duration::ZERO);
    StreamProcessor::builder().on_record(with(Arc::clone(contexts), note)).retry(retry)
}

#[tokio::test(start_paused = true)]
async fn each_attempt_has_its_number() {
    let contexts = Contexts::default();
    let processor = builder(&contexts).build().unwrap();
    processor.process(event(&[change(0, "bad", 0), change(1, "good", 0)]), Deadline::none()).await;
    let contexts = contexts.lock().unwrap();
    let numbers: Vec<_> = contexts.iter().map(|(context, _)| (context.attempt(), context.max_attempts())).collect();
    assert_eq!(numbers, [(1, 3), (1, 3), (2, 3), (3, 3)]);
}

#[tokio::test(start_paused = true)]
async fn the_time_left_ends_at_the_timeout_or_at_the_stop() {
    let seconds = Duration::from_secs;
    // Without a deadline and a timeout nothing ends a handler. The margin before the deadline is 3 of 30 seconds.
    let table = [
        (None, None, None),
        (None, Some(seconds(5)), Some(seconds(5))),
        (Some(seconds(30)), None, Some(seconds(27))),
        (Some(seconds(30)), Some(seconds(5)), Some(seconds(5))),
        (Some(seconds(30)), Some(seconds(60)), Some(seconds(27))),
    ];
    for (invocation, timeout, left) in table {
        let deadline = invocation.map_or(Deadline::none(), Deadline::after);
        let contexts = Contexts::default();
        let builder = builder(&contexts);
        let builder = if let Some(timeout) = timeout { builder.handler_timeout(timeout) } else { builder };
        builder.build().unwrap().process(event(&inserts(1)), deadline).await;
        let (context, told) = contexts.lock().unwrap()[0].clone();
        assert_eq!(told, left, "{invocation:?}, {timeout:?}");
        // An hour later it is over, and never negative.
        tokio::time::advance(seconds(3600)).await;
        assert_eq!(context.time_left(), left.map(|_| Duration::ZERO));
    }
}

#[tokio::test(start_paused = true)]
async fn a_later_attempt_has_a_timeout_of_its_own() {
    let contexts = Contexts::default();
    let processor = builder(&contexts).handler_timeout(Duration::from_secs(5)).build().unwrap();
    processor.process(event(&[change(0, "bad", 0)]), Deadline::none()).await;
    let left: Vec<_> = contexts.lock().unwrap().iter().map(|(_, left)| *left).collect();
    assert_eq!(left, [Some(Duration::from_secs(5)); 3]);
}

#[tokio::test(start_paused = true)]
async fn the_origin_is_told() {
    let contexts = Contexts::default();
    let processor = builder(&contexts).build().unwrap();
    processor.process(event(&inserts(1)), Deadline::none()).await;

    let stream: Value = serde_json::from_str(&payload(&inserts(1))).unwrap();
    let body = letter(&stream["Records"][0].to_string()).to_json();
    let messages = json!({"Records": [{"messageId": "m-1", "eventSource": "aws:sqs", "body": body}]});
    let letters = DeadLetterEvent::from_slice(messages.to_string().as_bytes()).unwrap();
    processor.redrive(letters, Deadline::none()).await;

    let mut request = Invocation::from(Deadline::none());
    request.origin = Origin::OnDemand;
    processor.process(event(&inserts(1)), request).await;

    let origins: Vec<_> = contexts.lock().unwrap().iter().map(|(context, _)| context.origin()).collect();
    assert_eq!(origins, [Origin::Stream, Origin::Redrive, Origin::OnDemand]);
}

#[tokio::test(start_paused = true)]
async fn the_invocation_is_told() {
    let contexts = Contexts::default();
    let mut invocation = Invocation::from(Deadline::none());
    invocation.request_id = "8f6d".to_owned();
    invocation.function_arn = "arn:aws:lambda:eu-central-1:123456789012:function:orders".to_owned();
    invocation.trace_header = Some("Root=1-2-3".to_owned());
    builder(&contexts).build().unwrap().process(event(&inserts(1)), invocation.clone()).await;
    let (context, _) = contexts.lock().unwrap()[0].clone();
    assert_eq!((context.request_id(), context.function_arn()), ("8f6d", invocation.function_arn.as_str()));
    assert_eq!(context.trace_header(), Some("Root=1-2-3"));
    let shown = format!("{context:?}");
    assert!(shown.contains("origin: Stream, attempt: 1, max_attempts: 3, request_id: \"8f6d\""), "{shown}");
}

#[test]
fn a_record_outside_of_a_processor_is_that_of_the_only_attempt() {
    let stream = |kind: &str| {
        let records: Value =
            serde_json::from_str(&payload(&[change(0, "a", usize::from(kind == "MODIFY") as u32)])).unwrap();
        Record::from_json(records["Records"][0].to_string()).unwrap()
    };
    let of_all_kinds = [
        Insert::<Order>::try_from(stream("INSERT")).unwrap().context().clone(),
        Modify::<Order>::try_from(stream("MODIFY")).unwrap().context().clone(),
        Change::<Order>::try_from(stream("INSERT")).unwrap().context().clone(),
        stream("INSERT").context().clone(),
    ];
    for context in of_all_kinds {
        assert_eq!((context.attempt(), context.max_attempts(), context.origin()), (1, 1, Origin::Stream));
        assert_eq!((context.request_id(), context.function_arn(), context.trace_header()), ("", "", None));
        assert_eq!((context.ends_at(), context.time_left()), (None, None));
    }
    let _ = Remove::<Order>::context;
}
