//! Reads the function's answer: which of the records are not done.
//!
//! An answer that does not say it clearly counts as a failure of the whole batch: nothing is done on suspicion.

use std::collections::HashMap;

use lambda_streams_local::{BatchResult, Evaluation, Response};
use serde::Deserialize;
use serde_json::Value;

use super::{Form, Parcel};

/// How many characters of a function's message are shown.
const MAX_MESSAGE: usize = 1_000;

/// What an invocation means for its records.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// The invocation did not take place.
    Throttled,
    /// Nothing is known to be done, for this reason.
    Failed(String),
    /// All but these are done.
    Left {
        /// Their positions, ascending.
        positions: Vec<usize>,
        /// Whether the function lists every one. If not, it names a checkpoint, and only the first is known to have failed.
        is_exact: bool,
        counts: FunctionCounts,
    },
}

/// What the function says of the records of an invocation.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct FunctionCounts {
    pub(crate) every_failure_is_listed: bool,
    pub(crate) succeeded: u64,
    pub(crate) skipped: u64,
    pub(crate) already_done: u64,
    pub(crate) stale: u64,
    pub(crate) dead_lettered: u64,
    /// Whether its processor keeps marks.
    pub(crate) marks: bool,
}

impl FunctionCounts {
    pub(super) fn add(&mut self, other: &Self) {
        self.every_failure_is_listed |= other.every_failure_is_listed;
        self.succeeded += other.succeeded;
        self.skipped += other.skipped;
        self.already_done += other.already_done;
        self.stale += other.stale;
        self.dead_lettered += other.dead_lettered;
        self.marks |= other.marks;
    }
}

/// The answer of a function of this crate, as far as it is read.
#[derive(Deserialize)]
struct Listed {
    #[serde(rename = "lambdaStreams")]
    counts: Option<FunctionCounts>,
    #[serde(rename = "batchItemFailures")]
    failures: Option<Vec<Failure>>,
}

#[derive(Deserialize)]
struct Failure {
    #[serde(rename = "itemIdentifier")]
    name: Option<String>,
}

impl Answer {
    pub(crate) fn is_throttled(&self) -> bool {
        *self == Self::Throttled
    }

    pub(crate) fn read(response: Response, form: &Form, parcels: &[Parcel]) -> Self {
        let json = match response {
            Response::Throttled => return Self::Throttled,
            Response::FunctionError { error_type, message } => {
                return Self::Failed(format!("the function failed with {error_type}: {}", one_line(&message)));
            }
            Response::Returned(json) => json,
        };
        let listed: Option<Listed> = serde_json::from_str(&json).ok();
        match (form, listed) {
            (Form::DeadLetters, Some(Listed { failures: Some(failures), .. })) => {
                exact(&failures, parcels, FunctionCounts::default())
            }
            (Form::DeadLetters, _) => Self::Failed(
                "the answer has no `batchItemFailures`, so it does not say which messages are done. A function that calls \
                 `lambda_streams::run` says it"
                    .to_owned(),
            ),
            (_, Some(Listed { failures: Some(failures), counts: Some(counts) })) if counts.every_failure_is_listed => {
                exact(&failures, parcels, counts)
            }
            _ => checkpoint(json, parcels),
        }
    }
}

/// A message in one line of a bounded length: where a program ends, all that it has written may be in there.
fn one_line(message: &str) -> String {
    let lines: Vec<&str> = message.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    let line = lines.join(" / ");
    match line.char_indices().nth(MAX_MESSAGE) {
        Some((end, _)) => format!("{} …", &line[..end]),
        None => line,
    }
}

/// Every record that is not done is named.
fn exact(failures: &[Failure], parcels: &[Parcel], counts: FunctionCounts) -> Answer {
    let mut places: HashMap<&str, Vec<usize>> = HashMap::with_capacity(parcels.len());
    for (position, parcel) in parcels.iter().enumerate().filter(|(_, parcel)| !parcel.name.is_empty()) {
        places.entry(&parcel.name).or_default().push(position);
    }
    let mut positions = Vec::new();
    for failure in failures {
        let name = failure.name.as_deref().unwrap_or_default();
        let by_position = || {
            let position = name.strip_prefix('#')?.parse().ok()?;
            (position < parcels.len()).then(|| vec![position])
        };
        match places.get(name).cloned().or_else(by_position) {
            Some(named) => positions.extend(named),
            None => return Answer::Failed("the answer names a record that was not sent".to_owned()),
        }
    }
    positions.sort_unstable();
    positions.dedup();
    Answer::Left { positions, is_exact: true, counts }
}

/// The answer of any other function, as the stream's event source mapping would read it.
fn checkpoint(json: String, parcels: &[Parcel]) -> Answer {
    let all = || Answer::Left { positions: Vec::new(), is_exact: false, counts: FunctionCounts::default() };
    let event = Form::Replay { stale: None }.payload(parcels);
    if serde_json::from_str::<Value>(&json).is_err() {
        return Answer::Failed("the answer is not valid JSON".to_owned());
    }
    let evaluation = Evaluation::of(Response::Returned(json), &event, true);
    if let Some(warning) = evaluation.warning {
        return Answer::Failed(format!("the answer does not say which records are done: {warning}"));
    }
    match evaluation.result {
        BatchResult::Done => all(),
        BatchResult::Checkpoint { position, .. } => Answer::Left {
            positions: (position..parcels.len()).collect(),
            is_exact: false,
            counts: FunctionCounts::default(),
        },
        BatchResult::WholeBatch { reason } => Answer::Failed(reason),
        other => Answer::Failed(format!("the answer means {other:?}")),
    }
}
