//! What is sent to the function, and what an observer sees of it.

use std::time::Duration;

use super::Parcel;
use super::answer::Answer;
use crate::ui::{count, duration};

/// What happens to records that are older than what their items' marks say was applied.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Stale {
    /// Process them too.
    Process,
    /// Skip them.
    Skip,
}

/// The event that records are sent in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    /// An SQS event, as the event source mapping of a queue sends it.
    DeadLetters,
    /// A stream's event that says that it is a replay.
    Replay { stale: Option<Stale> },
    /// A stream's event that says that it is a backfill.
    Backfill,
}

impl Form {
    /// The payload of an invocation with these records.
    pub(super) fn payload(&self, parcels: &[Parcel]) -> String {
        let head = match self {
            Self::DeadLetters => "{",
            Self::Replay { stale: None } => r#"{"lambdaStreams":{"origin":"replay","answer":"list"},"#,
            Self::Replay { stale: Some(Stale::Process) } => {
                r#"{"lambdaStreams":{"origin":"replay","stale":"process","answer":"list"},"#
            }
            Self::Replay { stale: Some(Stale::Skip) } => {
                r#"{"lambdaStreams":{"origin":"replay","stale":"skip","answer":"list"},"#
            }
            Self::Backfill => r#"{"lambdaStreams":{"origin":"backfill","answer":"list"},"#,
        };
        let records: Vec<&str> = parcels.iter().map(|parcel| parcel.json.as_str()).collect();
        format!(r#"{head}"Records":[{}]}}"#, records.join(","))
    }
}

/// What happens in a delivery.
#[derive(Debug)]
pub(crate) enum Event<'a> {
    /// An invocation begins.
    Sent,
    /// An invocation has ended.
    Answered { records: usize, answer: &'a Answer, took: Duration },
    /// Records wait for their next attempt.
    Waiting { records: usize, delay: Duration },
}

impl Event<'_> {
    /// A line for it, and whether it is the ordinary course.
    pub(crate) fn describe(&self, what: &str) -> Option<(String, bool)> {
        match self {
            Self::Sent => None,
            Self::Answered { records, answer, took } => {
                let sent = format!("{} sent (in {})", count(*records, what), duration(*took));
                Some(match answer {
                    Answer::Throttled => (format!("{sent}: throttled, no environment is free"), false),
                    Answer::Failed(reason) => (format!("{sent}: nothing is done: {reason}"), false),
                    Answer::Left { positions, .. } if positions.is_empty() => (format!("{sent}: done"), true),
                    Answer::Left { positions, .. } => (format!("{sent}: {} not done", positions.len()), false),
                })
            }
            Self::Waiting { records, delay } => {
                Some((format!("{} sent again in {}", count(*records, what), duration(*delay)), true))
            }
        }
    }
}
