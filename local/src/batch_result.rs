//! Interprets a function's response as AWS does: what is done, and what is delivered again.
//!
//! A response that cannot be read counts as a success on AWS, and its failures are lost. Wherever that happens, the
//! interpretation carries a [`SilentLoss`].

use std::collections::HashMap;

use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use crate::function::Response;
use crate::source::SourceRecord;
use crate::warning::{WarningKind, count};

/// The largest state that a tumbling window may carry: 1 MB.
pub(crate) const MAX_STATE: usize = 1_048_576;

/// What one invocation means for its batch: what is done, and what is delivered again.
/// ```
/// use lambda_streams_local::{BatchResult, Evaluation, Response};
///
/// let event = r#"{"Records": [
///     {"eventSource": "aws:dynamodb", "dynamodb": {"SequenceNumber": "111"}},
///     {"eventSource": "aws:dynamodb", "dynamodb": {"SequenceNumber": "112"}}
/// ]}"#;
/// let response = Response::Returned(r#"{"batchItemFailures": [{"itemIdentifier": "112"}]}"#.to_owned());
/// let result = Evaluation::of(response, event, true).result;
/// assert_eq!(result, BatchResult::Checkpoint { position: 1, sequence_number: "112".to_owned() });
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum BatchResult {
    /// The whole batch is done.
    Done,
    /// Every record before this one is done. This record and all later ones are delivered again.
    Checkpoint {
        /// The position in the batch of the earliest record that the response names, from 0.
        position: usize,
        /// Its sequence number.
        sequence_number: String,
    },
    /// The response cannot be used: the whole batch is delivered again.
    WholeBatch {
        /// What is wrong with the response.
        reason: String,
    },
    /// The function failed: the whole batch is delivered again.
    FunctionError {
        /// The error's type.
        error_type: String,
        /// The error's message.
        message: String,
    },
    /// The invocation did not take place, for lack of capacity. It costs no retry.
    Throttled,
}

/// What a response means.
#[derive(Debug)]
pub(crate) struct Interpretation {
    pub(crate) result: BatchResult,
    pub(crate) silent_loss: Option<SilentLoss>,
    /// The state of a tumbling window.
    pub(crate) state: Option<Box<RawValue>>,
}

/// Records that AWS would lose silently.
#[derive(Debug)]
pub(crate) struct SilentLoss {
    pub(crate) kind: WarningKind,
    pub(crate) message: String,
}

impl From<BatchResult> for Interpretation {
    fn from(result: BatchResult) -> Self {
        Self { result, silent_loss: None, state: None }
    }
}

impl Interpretation {
    fn whole_batch(reason: impl Into<String>) -> Self {
        BatchResult::WholeBatch { reason: reason.into() }.into()
    }

    fn done_with_loss(kind: WarningKind, message: String) -> Self {
        Self { silent_loss: Some(SilentLoss { kind, message }), ..BatchResult::Done.into() }
    }
}

/// Which rules apply to a response.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ResponseRules {
    pub(crate) report_batch_item_failures: bool,
    pub(crate) tumbling_window: bool,
}

/// Interprets a response as AWS does
/// ([AWS: partial batch
/// response](https://docs.aws.amazon.com/lambda/latest/dg/services-ddb-batchfailurereporting.html)).
pub(crate) fn interpret(response: Response, records: &[SourceRecord], rules: ResponseRules) -> Interpretation {
    let json = match response {
        Response::Throttled => return BatchResult::Throttled.into(),
        Response::FunctionError { error_type, message } => {
            return BatchResult::FunctionError { error_type, message }.into();
        }
        Response::Returned(json) => json,
    };
    let state = match window_state(&json, rules) {
        Ok(state) => state,
        Err(reason) => return Interpretation::whole_batch(reason),
    };
    let mut interpretation =
        if rules.report_batch_item_failures { reported(&json, records, rules) } else { ignored(&json, records) };
    interpretation.state = state;
    interpretation
}

/// The state that a tumbling window continues with. A response without one is a failed invocation.
fn window_state(json: &str, rules: ResponseRules) -> Result<Option<Box<RawValue>>, &'static str> {
    #[derive(Deserialize)]
    struct Stateful {
        state: Option<Box<RawValue>>,
    }
    if !rules.tumbling_window {
        return Ok(None);
    }
    let state = serde_json::from_str::<Stateful>(json).ok().and_then(|response| response.state);
    match state {
        Some(state) if state.get().starts_with('{') => Ok(Some(state)),
        _ => Err("the response has no `state` that is an object, which a tumbling window needs"),
    }
}

/// Without ReportBatchItemFailures the response does not matter, whatever it says.
fn ignored(json: &str, records: &[SourceRecord]) -> Interpretation {
    let names_failures = serde_json::from_str::<Value>(json)
        .is_ok_and(|response| response["batchItemFailures"].as_array().is_some_and(|failures| !failures.is_empty()));
    if !names_failures {
        return BatchResult::Done.into();
    }
    let message = format!(
        "the function reported failures in a batch of {}, but ReportBatchItemFailures is off: AWS ignores the response and \
         loses the failed records",
        count(records.len(), "record")
    );
    Interpretation::done_with_loss(WarningKind::ResponseIgnored, message)
}

fn reported(json: &str, records: &[SourceRecord], rules: ResponseRules) -> Interpretation {
    let Ok(response) = serde_json::from_str::<Value>(json) else {
        return Interpretation::whole_batch("the response is not valid JSON");
    };
    let members = match response {
        Value::Null => return BatchResult::Done.into(),
        Value::Array(values) if values.is_empty() => return BatchResult::Done.into(),
        Value::Object(members) => members,
        other => return unread(&format!("is {}", shape(&other)), records),
    };
    match members.get("batchItemFailures") {
        Some(Value::Null) => BatchResult::Done.into(),
        Some(Value::Array(failures)) => checkpoint(failures, records),
        Some(other) => Interpretation::whole_batch(format!("`batchItemFailures` is {}, not a list", shape(other))),
        None if members.keys().all(|name| rules.tumbling_window && name == "state") => BatchResult::Done.into(),
        None => {
            let names: Vec<String> = members.keys().take(3).map(|name| format!("`{name}`")).collect();
            unread(&format!("has {} but no `batchItemFailures`", names.join(", ")), records)
        }
    }
}

/// AWS takes a response that it cannot read as a success.
fn unread(what: &str, records: &[SourceRecord]) -> Interpretation {
    let message = format!(
        "the response {what}: AWS takes the whole batch of {} as done, and loses the records that failed",
        count(records.len(), "record")
    );
    Interpretation::done_with_loss(WarningKind::ResponseNotUnderstood, message)
}

/// The lowest of the named records is the checkpoint; one name that is none fails the whole batch.
fn checkpoint(failures: &[Value], records: &[SourceRecord]) -> Interpretation {
    let mut positions = HashMap::with_capacity(records.len());
    for (position, record) in records.iter().enumerate().rev() {
        if let Some(number) = record.sequence_number() {
            positions.insert(number.as_str(), position);
        }
    }
    let mut checkpoint: Option<usize> = None;
    for failure in failures {
        let named = match failure.get("itemIdentifier") {
            Some(Value::String(named)) if named.is_empty() => {
                return Interpretation::whole_batch("an `itemIdentifier` is empty");
            }
            Some(Value::String(named)) => named,
            Some(other) => return Interpretation::whole_batch(format!("an `itemIdentifier` is {}", shape(other))),
            None => return Interpretation::whole_batch("a batch item failure has no `itemIdentifier`"),
        };
        let Some(position) = positions.get(named.as_str()) else {
            return Interpretation::whole_batch("an `itemIdentifier` is not a sequence number of the batch");
        };
        checkpoint = Some(checkpoint.map_or(*position, |lowest| lowest.min(*position)));
    }
    let Some(position) = checkpoint else { return BatchResult::Done.into() };
    let sequence_number =
        records[position].sequence_number().expect("the checkpoint was found by its number").to_string();
    BatchResult::Checkpoint { position, sequence_number }.into()
}

fn shape(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    }
}
