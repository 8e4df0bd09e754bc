//! The processor as a tower service, as `lambda_runtime` calls it.

use std::time::Duration;

use lambda_runtime::{Context, Diagnostic, LambdaEvent};
use lambda_streams::{StreamEvent, StreamProcessor};
use serde_json::json;
use tower::{Service, ServiceExt};

use crate::support::{Act, Script, TestQueue, change, event, inserts, seconds_ago};

#[tokio::test(start_paused = true)]
async fn the_service_answers_an_invocation() {
    let script = Script::new([("item-1", Act::FailPermanently)]);
    let mut processor = StreamProcessor::builder().on_record(script).build().unwrap();
    let request = LambdaEvent::new(event(&inserts(2)), Context::default());
    let response = processor.ready().await.unwrap().call(request).await.unwrap();
    let expected = json!({"batchItemFailures": [{"itemIdentifier": crate::support::sequence_number(1)}]});
    assert_eq!(serde_json::to_value(&response).unwrap(), expected);
    let converted: aws_lambda_events::event::streams::DynamoDbEventResponse = response.into();
    assert_eq!(serde_json::to_value(&converted).unwrap(), expected);
}

#[tokio::test(start_paused = true)]
async fn a_failed_invocation_has_a_type_and_message() {
    let script = Script::new([("item-0", Act::FailPermanently)]);
    let mut processor = StreamProcessor::builder().on_record(script).report_batch_item_failures(false).build().unwrap();
    let request = LambdaEvent::new(event(&inserts(2)), Context::default());
    let error = processor.ready().await.unwrap().call(request).await.unwrap_err();
    let diagnostic = Diagnostic::from(error);
    assert_eq!(diagnostic.error_type, "LambdaStreams.BatchFailed");
    assert!(diagnostic.error_message.contains("ReportBatchItemFailures"));
}

#[tokio::test(start_paused = true)]
async fn the_context_gives_deadline_and_request_id() {
    let script = Script::new([("item-0", Act::Hang), ("item-1", Act::FailPermanently)]);
    let queue = TestQueue::default();
    let mut processor = StreamProcessor::builder().on_record(script).dead_letter_queue(queue.clone()).build().unwrap();
    let mut context = Context::default();
    context.deadline = (seconds_ago(0) + 30) * 1_000;
    context.request_id = "request-1".to_owned();
    context.invoked_function_arn = "arn:aws:lambda:eu-central-1:123456789012:function:orders".to_owned();
    let request = LambdaEvent::new(event(&inserts(2)), context);
    let response = tokio::time::timeout(Duration::from_secs(30), processor.ready().await.unwrap().call(request)).await;
    let response = response.expect("before the deadline").unwrap();
    assert_eq!(response.checkpoint(), Some(crate::support::sequence_number(0).as_str()));
    assert_eq!(queue.letters()[0].request_id(), "request-1");
}

#[test]
fn lambda_runtime_accepts_the_service() {
    // What the two functions demand of a handler, without the environment that they need to run.
    fn runnable<S>(_: &S)
    where
        S: Service<LambdaEvent<StreamEvent>> + Clone + Send + 'static,
        S::Future: Send + 'static,
        S::Error: Into<Diagnostic> + std::fmt::Debug,
        S::Response: serde::Serialize + Send + 'static,
    {
    }
    let processor = StreamProcessor::builder().on_record(Script::default()).build().unwrap();
    runnable(&processor);
    #[allow(unreachable_code, clippy::diverging_sub_expression)]
    fn never_called(processor: StreamProcessor) {
        drop(lambda_runtime::run(processor.clone()));
        drop(lambda_runtime::run_concurrent(processor));
    }
    let _ = never_called;
}

#[tokio::test(start_paused = true)]
async fn concurrent_invocations_are_independent() {
    let script = Script::new([("bad", Act::FailPermanently), ("slow", Act::Take(Duration::from_secs(1)))]);
    let processor = StreamProcessor::builder().on_record(script).build().unwrap();
    let call = |changes: Vec<crate::support::Change>| {
        let mut processor = processor.clone();
        async move { processor.call(LambdaEvent::new(event(&changes), Context::default())).await.unwrap() }
    };
    let (failing, fine) = tokio::join!(
        call(vec![change(0, "slow", 0), change(1, "bad", 0), change(2, "x", 0)]),
        call(vec![change(10, "y", 0), change(11, "slow", 0), change(12, "z", 0)]),
    );
    assert_eq!(failing.checkpoint(), Some(crate::support::sequence_number(1).as_str()));
    assert_eq!(fine.checkpoint(), None);
}
