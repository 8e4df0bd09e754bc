//! `invoke`: one event, one response, and what Lambda would do next.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use lambda_streams::{PayloadKind, SequenceNumber, StreamEvent};
use lambda_streams_local::{BatchResult, Evaluation, Function, Response, event_in};
use serde::de::IgnoredAny;

use crate::args::InvokeArgs;
use crate::aws::Aws;
use crate::failure::{FAILED, Failure, GOOD};
use crate::function::AnyFunction;
use crate::heard::{Heard, Said};
use crate::input;
use crate::signals::Signals;
use crate::ui::{Ui, count, duration};

/// Of more, this many records are listed.
const MAX_LISTED: usize = 20;

pub(crate) async fn invoke(args: InvokeArgs) -> Result<ExitCode, Failure> {
    let signals = Signals::listen()?;
    let text = input::read(&args.event)?;
    let event = event(&input::name(&args.event), &text)?;
    let aws = Aws::new(&args.aws);
    let ui = Arc::new(Ui::new(true, false, args.function.function_log.is_none()));
    let heard = Arc::new(Mutex::new(Heard::default()));
    let hear = Arc::clone(&heard);
    let print = Box::new(move |output: lambda_streams_local::FunctionOutput<'_>| {
        hear.lock().unwrap_or_else(PoisonError::into_inner).line(output.line);
        ui.function_wrote(output);
    });
    let function = AnyFunction::start(&args.function, &aws, &stream_arn(&event), &signals, print).await?;
    let timeout = args.function.timeout.unwrap_or_else(|| function.default_timeout());
    let began = Instant::now();
    let response = tokio::select! {
        response = function.invoke(event.to_string(), timeout) => response.map_err(Failure::not_begun)?,
        () = signals.reached(1) => return Err(Failure::failed("interrupted: the invocation is abandoned")),
    };
    let took = began.elapsed();
    // What the function wrote is read to its end by then.
    function.shutdown().await;
    let heard = heard.lock().unwrap_or_else(PoisonError::into_inner);

    let wrapped = if matches!(event, Cow::Owned(_)) { ", unwrapped" } else { "" };
    println!("event    {}: {}{wrapped}", input::name(&args.event), PayloadKind::of(event.as_bytes()));
    println!("response {} (in {})", shown(&response), duration(took));
    let is_stream = StreamEvent::from_slice(event.as_bytes()).is_ok();
    let is_good = match response {
        _ if is_stream => {
            let evaluation = Evaluation::of(response, &event, args.report_batch_item_failures);
            let records = records(&event, &heard);
            print_result(&evaluation.result, &records);
            print_failures(&evaluation.result, &records, matches!(function, AnyFunction::Deployed(_)));
            if let Some(warning) = &evaluation.warning {
                println!("warning  {warning}");
            }
            evaluation.result == BatchResult::Done && evaluation.warning.is_none()
        }
        Response::Returned(_) => {
            println!(
                "outcome  the function has responded; this is not a stream event, so the response goes to the caller"
            );
            true
        }
        _ => {
            println!(
                "outcome  the function has failed; this is not a stream event, so the sender decides what happens next"
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

/// The one event of the text.
fn event<'a>(name: &str, text: &'a str) -> Result<Cow<'a, str>, Failure> {
    let values = serde_json::Deserializer::from_str(text).into_iter::<IgnoredAny>().map_while(Result::ok).take(2);
    if values.count() > 1 {
        let message = format!("{name} has several values: `invoke` sends one event, `run --events` sends them all");
        return Err(Failure::not_begun(message));
    }
    event_in(text).map_err(|error| Failure::not_begun(format!("{name}: {error}")))
}

/// A record, and what the function wrote about it.
struct InvokedRecord {
    /// Its kind, event id and sequence number; nothing of its item.
    name: String,
    said: Option<Said>,
}

fn records(event: &str, heard: &Heard) -> Vec<InvokedRecord> {
    let Ok(event) = StreamEvent::from_slice(event.as_bytes()) else { return Vec::new() };
    event
        .records()
        .map(|record| match record {
            Ok(record) => {
                let (id, number) = (record.event_id(), record.sequence_number().map(SequenceNumber::as_str));
                let names: Vec<&str> = id.filter(|id| !id.is_empty()).into_iter().chain(number).collect();
                let name = format!("{:<6} {} {}", record.kind(), id.unwrap_or("-"), number.unwrap_or("-"));
                InvokedRecord { name, said: heard.of(&names) }
            }
            Err(malformed) => {
                let number = malformed.sequence_number().map(ToString::to_string);
                let said = number.and_then(|number| heard.of(&[&number]));
                InvokedRecord { name: format!("malformed: {malformed}"), said }
            }
        })
        .collect()
}

fn print_result(result: &BatchResult, records: &[InvokedRecord]) {
    let all = match records.len() {
        1 => "the record".to_owned(),
        number => format!("all {}", count(number, "record")),
    };
    match result {
        BatchResult::Done => {
            println!("outcome  success: {all} {} done", if records.len() == 1 { "is" } else { "are" });
            println!("Lambda   continues after this batch");
        }
        BatchResult::Checkpoint { position, .. } => {
            println!("outcome  partial: the checkpoint is record {} of {}", position + 1, records.len());
            println!(
                "Lambda   takes {} as done, and delivers {} again, starting at the checkpoint",
                count(*position, "record"),
                count(records.len() - position, "record")
            );
        }
        BatchResult::WholeBatch { reason } => {
            println!("outcome  the response cannot be used: {reason}");
            println!(
                "Lambda   delivers {all} again, until it succeeds, its retries are exhausted or its records are too old"
            );
        }
        BatchResult::FunctionError { error_type, .. } => {
            println!("outcome  the invocation has failed: {error_type}");
            let halves = if records.len() > 1 { " (in halves, with BisectBatchOnFunctionError)" } else { "" };
            println!(
                "Lambda   delivers {all} again{halves}, until it succeeds, its retries are exhausted or its records are too old"
            );
        }
        BatchResult::Throttled => {
            println!("outcome  the invocation did not take place");
            println!("Lambda   tries again later, which costs no retry");
        }
        other => println!("outcome  {other:?}"),
    }
}

/// Lists the records around the checkpoint, or those that the function said failed, each with why.
fn print_failures(result: &BatchResult, records: &[InvokedRecord], is_deployed: bool) {
    let checkpoint = match result {
        BatchResult::Checkpoint { position, .. } => Some(*position),
        _ => None,
    };
    let has_failed = |record: &InvokedRecord| matches!(record.said, Some(Said::Failed(_)));
    let first = checkpoint.map_or(0, |checkpoint| checkpoint.saturating_sub(MAX_LISTED / 2));
    let wanted: Vec<(usize, &InvokedRecord)> = records
        .iter()
        .enumerate()
        .filter(|(position, record)| has_failed(record) || (checkpoint.is_some() && *position >= first))
        .collect();
    for (position, record) in wanted.iter().take(MAX_LISTED) {
        let line = format!("  {:>5}  {}  {}", position + 1, record.name, outcome(*position, record, checkpoint));
        println!("{}", line.trim_end());
        if let Some(Said::Failed(why)) = &record.said {
            println!("         failed: {why}");
        }
    }
    let listed = wanted.len().min(MAX_LISTED);
    match checkpoint {
        Some(_) if listed < records.len() => println!("         and {} more", records.len() - listed),
        None if listed < wanted.len() => println!("         and {} more that failed", wanted.len() - listed),
        _ => {}
    }
    let Some(checkpoint) = checkpoint.filter(|checkpoint| !has_failed(&records[*checkpoint])) else { return };
    let number = checkpoint + 1;
    if is_deployed {
        println!(
            "why      what the function logged about record {number} is in its log group: /aws/lambda/ and its name, unless \
             it has another one"
        );
    } else {
        println!(
            "why      the function did not log why record {number} failed. A line with its sequence number or event id and \
             an `error` would be shown here: functions of lambda-streams write one at level WARN"
        );
    }
}

/// What follows for a record. After the checkpoint the response does not tell what the function has done.
fn outcome(position: usize, record: &InvokedRecord, checkpoint: Option<usize>) -> &'static str {
    match (checkpoint.map(|checkpoint| position.cmp(&checkpoint)), &record.said) {
        (None, _) => "",
        (Some(Ordering::Less), _) => "done",
        (Some(Ordering::Equal), _) => "the checkpoint: delivered again",
        (Some(Ordering::Greater), Some(Said::Succeeded)) => "done, and delivered again anyway",
        (Some(Ordering::Greater), Some(Said::Failed(_))) => "delivered again",
        (Some(Ordering::Greater), None) => "delivered again, whether or not it is done",
    }
}
