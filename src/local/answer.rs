//! What the event source mapping makes of a function's answer.

use std::collections::HashMap;

use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use super::progress::WarningKind;
use super::source::SourceRecord;
use super::target::Answer;

/// The largest state that a tumbling window may carry: 1 MB.
pub(super) const MAX_STATE: usize = 1_048_576;

/// What the mapping does after an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Verdict {
    /// The whole batch is done.
    Done,
    /// The batch is done up to this position, and delivered again from there on.
    Checkpoint {
        /// The position of the record that was named, from 0.
        position: usize,
        /// Its sequence number.
        sequence_number: String,
    },
    /// The whole batch is delivered again, for its answer cannot be used.
    WholeBatch {
        /// What is wrong with the answer.
        why: String,
    },
    /// The whole batch is delivered again, for the function failed.
    FunctionError {
        /// The error's type.
        error_type: String,
        /// What it said.
        message: String,
    },
    /// The invocation did not take place.
    Throttled,
}

/// An answer, judged.
#[derive(Debug)]
pub(super) struct Judged {
    pub(super) verdict: Verdict,
    /// What AWS would do without a word.
    pub(super) warning: Option<(WarningKind, String)>,
    /// The state of a tumbling window.
    pub(super) state: Option<Box<RawValue>>,
}

impl Judged {
    fn new(verdict: Verdict) -> Self {
        Self { verdict, warning: None, state: None }
    }

    fn whole_batch(why: impl Into<String>) -> Self {
        Self::new(Verdict::WholeBatch { why: why.into() })
    }

    fn with_warning(mut self, kind: WarningKind, message: String) -> Self {
        self.warning = Some((kind, message));
        self
    }
}

/// Which of AWS's rules apply.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rules {
    pub(super) report_batch_item_failures: bool,
    pub(super) tumbling_window: bool,
}

/// Judges an answer as AWS does
/// ([AWS: partial batch
/// response](https://docs.aws.amazon.com/lambda/latest/dg/services-ddb-batchfailurereporting.html)).
pub(super) fn judge(answer: Answer, records: &[SourceRecord], rules: Rules) -> Judged {
    let json = match answer {
        Answer::Throttled => return Judged::new(Verdict::Throttled),
        Answer::FunctionError { error_type, message } => {
            return Judged::new(Verdict::FunctionError { error_type, message });
        }
        Answer::Returned(json) => json,
    };
    let state = match window_state(&json, rules) {
        Ok(state) => state,
        Err(why) => return Judged::whole_batch(why),
    };
    let mut judged =
        if rules.report_batch_item_failures { reported(&json, records, rules) } else { ignored(&json, records) };
    judged.state = state;
    judged
}

/// The state that a tumbling window goes on with; an answer without one is a failed invocation.
fn window_state(json: &str, rules: Rules) -> Result<Option<Box<RawValue>>, &'static str> {
    #[derive(Deserialize)]
    struct Stateful {
        state: Option<Box<RawValue>>,
    }
    if !rules.tumbling_window {
        return Ok(None);
    }
    let state = serde_json::from_str::<Stateful>(json).ok().and_then(|answer| answer.state);
    match state {
        Some(state) if state.get().starts_with('{') => Ok(Some(state)),
        _ => Err("the answer has no `state` that is an object, which a tumbling window needs"),
    }
}

/// Without ReportBatchItemFailures the answer does not matter, whatever it says.
fn ignored(json: &str, records: &[SourceRecord]) -> Judged {
    let done = Judged::new(Verdict::Done);
    let names_failures = serde_json::from_str::<Value>(json)
        .is_ok_and(|answer| answer["batchItemFailures"].as_array().is_some_and(|failures| !failures.is_empty()));
    if !names_failures {
        return done;
    }
    let message = format!(
        "the function reported failures in a batch of {} records, but ReportBatchItemFailures is off: AWS ignores the \
         answer, and the failed records are lost",
        records.len()
    );
    done.with_warning(WarningKind::AnswerIgnored, message)
}

fn reported(json: &str, records: &[SourceRecord], rules: Rules) -> Judged {
    let Ok(answer) = serde_json::from_str::<Value>(json) else {
        return Judged::whole_batch("the answer is no JSON");
    };
    let members = match answer {
        Value::Null => return Judged::new(Verdict::Done),
        Value::Array(values) if values.is_empty() => return Judged::new(Verdict::Done),
        Value::Object(members) => members,
        other => return unread(&format!("is {}", shape(&other)), records),
    };
    match members.get("batchItemFailures") {
        Some(Value::Null) => Judged::new(Verdict::Done),
        Some(Value::Array(failures)) => checkpoint(failures, records),
        Some(other) => Judged::whole_batch(format!("`batchItemFailures` is {}, not a list", shape(other))),
        None if members.keys().all(|name| rules.tumbling_window && name == "state") => Judged::new(Verdict::Done),
        None => {
            let names: Vec<String> = members.keys().take(3).map(|name| format!("`{name}`")).collect();
            unread(&format!("has {} but no `batchItemFailures`", names.join(", ")), records)
        }
    }
}

/// AWS takes an answer that it cannot read as a success.
fn unread(what: &str, records: &[SourceRecord]) -> Judged {
    let message = format!(
        "the answer {what}: AWS takes all {} records of the batch as done, and if one of them failed it is lost",
        records.len()
    );
    Judged::new(Verdict::Done).with_warning(WarningKind::AnswerNotUnderstood, message)
}

/// The lowest of the named records is the checkpoint; one name that is none fails the whole batch.
fn checkpoint(failures: &[Value], records: &[SourceRecord]) -> Judged {
    let mut positions = HashMap::with_capacity(records.len());
    for (position, record) in records.iter().enumerate().rev() {
        if let Some(number) = record.sequence_number() {
            positions.insert(number.as_str(), position);
        }
    }
    let mut lowest: Option<(usize, &str)> = None;
    for failure in failures {
        let named = match failure.get("itemIdentifier") {
            Some(Value::String(named)) if named.is_empty() => {
                return Judged::whole_batch("an `itemIdentifier` is empty");
            }
            Some(Value::String(named)) => named,
            Some(other) => return Judged::whole_batch(format!("an `itemIdentifier` is {}", shape(other))),
            None => return Judged::whole_batch("a batch item failure has no `itemIdentifier`"),
        };
        let Some(position) = positions.get(named.as_str()) else {
            return Judged::whole_batch("an `itemIdentifier` is not a sequence number of the batch");
        };
        lowest = lowest.filter(|(least, _)| least <= position).or(Some((*position, named)));
    }
    Judged::new(match lowest {
        Some((position, number)) => Verdict::Checkpoint { position, sequence_number: number.to_owned() },
        None => Verdict::Done,
    })
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
