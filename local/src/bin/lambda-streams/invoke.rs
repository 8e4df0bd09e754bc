//! `invoke`: one event, one response, and what Lambda would do next.

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Instant;

use lambda_streams::{PayloadKind, StreamEvent};
use lambda_streams_local::{BatchResult, Evaluation, Function, Response};

use crate::args::InvokeArgs;
use crate::aws::Aws;
use crate::failure::{FAILED, Failure, GOOD};
use crate::function::AnyFunction;
use crate::input;
use crate::signals::Signals;
use crate::ui::{Ui, count, duration};

/// Of a larger batch, this many records around the checkpoint are listed.
const MAX_LISTED: usize = 20;

pub(crate) async fn invoke(args: InvokeArgs) -> Result<ExitCode, Failure> {
    let signals = Signals::listen()?;
    let event = input::read(&args.event)?;
    let aws = Aws::new(&args.aws);
    let ui = Arc::new(Ui::new(true, false, args.function.function_log.is_none()));
    let print = Box::new(move |output: lambda_streams_local::FunctionOutput<'_>| ui.function_wrote(output));
    let function = AnyFunction::start(&args.function, &aws, &stream_arn(&event), &signals, print).await?;
    let timeout = args.function.timeout.unwrap_or_else(|| function.default_timeout());
    let began = Instant::now();
    let response = tokio::select! {
        response = function.invoke(event.clone(), timeout) => response.map_err(Failure::not_begun)?,
        () = signals.reached(1) => return Err(Failure::failed("interrupted: the invocation is abandoned")),
    };
    let took = began.elapsed();
    function.shutdown().await;

    println!("event    {}: {}", input::name(&args.event), PayloadKind::of(event.as_bytes()));
    println!("response {} (in {})", shown(&response), duration(took));
    let is_stream = StreamEvent::from_slice(event.as_bytes()).is_ok();
    let is_good = match response {
        _ if is_stream => {
            let evaluation = Evaluation::of(response, &event, args.report_batch_item_failures);
            print_result(&evaluation.result, &event);
            if let Some(warning) = &evaluation.warning {
                println!("warning  {warning}");
            }
            evaluation.result == BatchResult::Done && evaluation.warning.is_none()
        }
        Response::Returned(_) => {
            println!(
                "outcome  the function has responded; the event is not a stream's, so the response goes to the caller"
            );
            true
        }
        _ => {
            println!(
                "outcome  the function has failed; the event is not a stream's, so what follows is up to its sender"
            );
            false
        }
    };
    Ok(ExitCode::from(if is_good { GOOD } else { FAILED }))
}

/// The stream of the event's first record that names one.
fn stream_arn(event: &str) -> String {
    let event = StreamEvent::from_slice(event.as_bytes()).ok();
    let arn =
        event.and_then(|event| event.records().flatten().find_map(|record| record.stream_arn().map(str::to_owned)));
    arn.unwrap_or_default()
}

fn shown(response: &Response) -> String {
    match response {
        Response::Returned(json) => json.clone(),
        Response::FunctionError { error_type, message } => format!("function error {error_type}: {message}"),
        Response::Throttled => "throttled".to_owned(),
    }
}

fn print_result(result: &BatchResult, event: &str) {
    let records = describe_records(event);
    let all = count(records.len(), "record");
    match result {
        BatchResult::Done => {
            println!("outcome  success: all {all} are done");
            println!("Lambda   goes on after this batch");
        }
        BatchResult::Checkpoint { position, .. } => {
            println!("outcome  partial: the checkpoint is record {} of {}", position + 1, records.len());
            println!(
                "Lambda   takes {} as done, and delivers {} again, from the checkpoint on",
                count(*position, "record"),
                count(records.len() - position, "record")
            );
            list(&records, *position);
        }
        BatchResult::WholeBatch { reason } => {
            println!("outcome  the response cannot be used: {reason}");
            println!("Lambda   delivers all {all} again, until it succeeds, the retries or the records' age run out");
        }
        BatchResult::FunctionError { error_type, .. } => {
            println!("outcome  the invocation has failed: {error_type}");
            println!(
                "Lambda   delivers all {all} again (in halves, with BisectBatchOnFunctionError), until it succeeds, the \
                 retries or the records' age run out"
            );
        }
        BatchResult::Throttled => {
            println!("outcome  the invocation did not take place");
            println!("Lambda   tries again later, which costs no retry");
        }
        other => println!("outcome  {other:?}"),
    }
}

fn list(records: &[String], checkpoint: usize) {
    let first = checkpoint.saturating_sub(MAX_LISTED / 2);
    for (position, record) in records.iter().enumerate().skip(first).take(MAX_LISTED) {
        let what = match position.cmp(&checkpoint) {
            std::cmp::Ordering::Less => "done",
            std::cmp::Ordering::Equal => "the checkpoint: delivered again",
            std::cmp::Ordering::Greater => "delivered again",
        };
        println!("  {:>5}  {record}  {what}", position + 1);
    }
    let listed = records.len().saturating_sub(first).min(MAX_LISTED);
    if listed < records.len() {
        println!("         and {} more", records.len() - listed);
    }
}

/// Each record's kind, event id and sequence number; nothing of its item.
fn describe_records(event: &str) -> Vec<String> {
    let Ok(event) = StreamEvent::from_slice(event.as_bytes()) else { return Vec::new() };
    event
        .records()
        .map(|record| match record {
            Ok(record) => {
                format!("{:<6} {} {}", record.kind(), record.event_id().unwrap_or("-"), record.sequence_number())
            }
            Err(malformed) => format!("malformed: {malformed}"),
        })
        .collect()
}
