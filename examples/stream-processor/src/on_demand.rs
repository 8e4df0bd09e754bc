//! Records that a caller of the API posts: checked first, all of them, then processed like those of the stream.
//!
//! A caller of the API can make up a record, so a posted record is trusted less than one of the stream:
//! - It must be whole and of this function's table, its images must decode, and its keys must be those of its images.
//!   One record that is not refuses the request, before any is processed.
//! - It never becomes a dead letter: the queue holds records of the stream, and redriving it must bring back nothing that
//!   a caller made up. The caller is told what failed, instead.
//! - It is never remembered: a sequence number that a caller made up must not make the stream's record of that number
//!   look done.
//! - Every line of the log about it says `"source": "api"`.
//! - It counts against a concurrency limit of its own, and stops before API Gateway stops waiting.

use std::time::Duration;

use lambda_streams::{
    BatchReport, Deadline, DecodeError, Error, EventKind, Invocation, MalformedRecord, Origin, Outcome, Record,
    RecordReport, StreamEvent, StreamProcessor,
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tracing::{Instrument, info_span};

use crate::handlers::Handlers;
use crate::item::Item;
use crate::journal::LogJournal;
use crate::processor;

/// How long a request may take: API Gateway gives up after 29 seconds.
const TIME_LIMIT: Duration = Duration::from_secs(25);

/// How many records a request may post: as many as a batch of the stream has by default.
pub(crate) const MAX_RECORDS: usize = 100;

/// Processes what a caller posts.
#[derive(Debug)]
pub(crate) struct OnDemand {
    processor: StreamProcessor,
    table_name: String,
}

/// What is wrong with one posted record.
#[derive(Debug, Serialize)]
pub(crate) struct Refusal {
    position: usize,
    error: String,
}

impl OnDemand {
    /// With the settings of the stream's processor, except the dead-letter queue.
    pub(crate) fn from_env(handlers: &Handlers<LogJournal>, table_name: &str) -> Result<Self, Error> {
        let builder = StreamProcessor::builder_from_env()?.without_dead_letter_queue();
        Ok(Self { processor: processor::with_handlers(builder, handlers).build()?, table_name: table_name.to_owned() })
    }

    /// What is wrong with the records, each with its position.
    pub(crate) fn refusals(&self, event: &StreamEvent) -> Vec<Refusal> {
        let check = |record: Result<Record, MalformedRecord>| self.check(&record.map_err(|error| error.to_string())?);
        let faults = event.records().map(check).enumerate();
        faults.filter_map(|(position, checked)| Some(Refusal { position, error: checked.err()? })).collect()
    }

    fn check(&self, record: &Record) -> Result<(), String> {
        if record.table_name() != Some(&self.table_name) {
            return Err(format!("`eventSourceARN` is not of a stream of the table `{}`", self.table_name));
        }
        let key: Key = record.keys().map_err(|error| format!("dynamodb.Keys: {error}"))?;
        for image in images(record).map_err(|error| error.to_string())? {
            if !key.is_of(&image) {
                return Err("`dynamodb.Keys` is not the key of the record's image".to_owned());
            }
        }
        Ok(())
    }

    /// Processes the records of an event without refusals.
    pub(crate) async fn process(&self, event: StreamEvent, invocation: impl Into<Invocation>) -> BatchReport {
        let mut invocation = invocation.into();
        invocation.origin = Origin::OnDemand;
        let limit = Deadline::after(TIME_LIMIT);
        if invocation.deadline.instant().is_none_or(|deadline| limit.instant() < Some(deadline)) {
            invocation.deadline = limit;
        }
        // Every line about a posted record says that it was.
        self.processor.process(event, invocation).instrument(info_span!("on demand", source = "api")).await
    }
}

/// The primary key.
#[derive(Debug, Deserialize)]
struct Key {
    id: String,
    timestamp: f64,
}

impl Key {
    fn is_of(&self, item: &Item) -> bool {
        // Both come from the same text, or it is not the same key.
        self.id == item.id && self.timestamp.total_cmp(&item.timestamp).is_eq()
    }
}

/// The images that a change of this kind has.
fn images(record: &Record) -> Result<Vec<Item>, DecodeError> {
    match record.kind() {
        EventKind::Insert => Ok(vec![record.new_image()?]),
        EventKind::Remove => Ok(vec![record.old_image()?]),
        _ => Ok(vec![record.old_image()?, record.new_image()?]),
    }
}

/// The outcome of each record, for the caller.
pub(crate) fn outcomes(report: &BatchReport) -> Value {
    report.records().iter().map(outcome).collect()
}

fn outcome(record: &RecordReport) -> Value {
    let outcome = match record.outcome {
        Outcome::Succeeded => "succeeded",
        Outcome::Skipped(_) => "skipped",
        Outcome::Reported => "failed",
        Outcome::HeldBack => "heldBack",
        _ => "unfinished",
    };
    let error =
        record.failure.as_ref().map(|failure| json!({"kind": failure.kind.as_str(), "message": failure.to_string()}));
    json!({
        "position": record.position,
        "eventId": record.event_id(),
        "kind": record.kind.map(EventKind::as_str),
        "sequenceNumber": record.sequence_number().map(|number| number.as_str()),
        "outcome": outcome,
        "attempts": record.attempts,
        "error": error,
    })
}
