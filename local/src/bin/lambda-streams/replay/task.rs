//! A replay at work: sends the records, notes their outcomes, and deletes the documents that are done.

mod report;

use std::collections::{BTreeMap, BTreeSet};
use std::process::ExitCode;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures::{StreamExt, stream};
use lambda_streams_local::{Function, Response};

use crate::aws::Aws;
use crate::deliver::{Delivered, Form, FunctionCounts, Outcome, Parcel, Settled, Stale};
use crate::failure::{Failure, GOOD};
use crate::journal::Journal;
use crate::mapping::Pause;
use crate::sending::{Tally, Target, send};
use crate::signals::Signals;
use crate::table::compare::{Comparison, Currency};
use crate::table::{region, table_arn, table_name};
use crate::ui::{Ui, count};

use super::args::ReplayArgs;
use super::gather::{Described, Gathered};
use super::late::Late;
use super::plan::{Entry, Plan};
use super::sources::Sources;

/// Records in an invocation where no flag says it.
const BATCH_SIZE: std::num::NonZeroUsize = std::num::NonZeroUsize::new(100).expect("it is not zero");
/// How many items are looked up at once.
const COMPARED: usize = 100;

pub(super) struct Task {
    pub(super) plan: Plan,
    pub(super) stream_arn: String,
    sources: Option<Sources>,
    documents: Vec<Described>,
    /// The documents of each place.
    documents_of: Vec<Vec<usize>>,
    /// Records that an earlier run has done.
    done_before: usize,
    progress: Mutex<Progress>,
}

/// How far the documents are.
#[derive(Debug, Default)]
struct Progress {
    /// How many records of each document are not done.
    left: Vec<usize>,
    /// Places that were deleted.
    deleted: Vec<bool>,
    /// Why places could not be deleted.
    refused: BTreeMap<usize, String>,
    /// Records that were not sent, as their items have changed since.
    skipped: usize,
}

impl Task {
    /// Leaves out what the journal says is done, unless it is to be sent `again`.
    pub(super) fn new(gathered: Gathered, journal: &Journal, again: bool) -> Self {
        let Gathered { mut plan, sources, documents, stream_arn } = gathered;
        let before = plan.entries.len();
        plan.entries.retain(|entry| again || !journal.contains(&entry.key));
        let mut left = vec![0; documents.len()];
        plan.entries.iter().flat_map(|entry| &entry.documents).for_each(|document| left[*document] += 1);
        let places = sources.as_ref().map_or(0, |sources| sources.held.len());
        let (deleted, mut documents_of) = (vec![false; places], vec![Vec::new(); places]);
        documents.iter().enumerate().for_each(|(index, described)| documents_of[described.held].push(index));
        let progress = Mutex::new(Progress { left, deleted, ..Progress::default() });
        Self { done_before: before - plan.entries.len(), plan, stream_arn, sources, documents, documents_of, progress }
    }

    fn progress(&self) -> MutexGuard<'_, Progress> {
        self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The table that items are compared with.
    pub(super) async fn comparison(&self, aws: &Aws<'_>) -> Result<Comparison, Failure> {
        if self.stream_arn.is_empty() {
            let message =
                "the documents are of several streams: to compare with the table, replay those of one stream at a time";
            return Err(Failure::not_begun(message));
        }
        let (client, here) = (aws.dynamodb().await?, aws.region().await?);
        // Another table of that name would say that all items have changed.
        if aws.endpoint("AWS_ENDPOINT_URL_DYNAMODB").is_some() {
            return Ok(Comparison::new(client, table_name(&self.stream_arn)));
        }
        match region(&self.stream_arn) {
            Some(there) if there != here => Err(Failure::not_begun(format!(
                "the table is in {there}, and this command is in {here}: --region {there} looks its items up"
            ))),
            _ => Ok(Comparison::new(client, table_arn(&self.stream_arn))),
        }
    }

    /// How many records would be skipped, because their items are not as they say.
    pub(super) async fn count_moved_on(&self, comparison: &Comparison) -> Result<usize, Failure> {
        let records: Vec<&str> = self.plan.entries.iter().map(|entry| entry.record.json()).collect();
        let currencies = comparison.of(&records).await?;
        Ok(currencies.iter().filter(|currency| **currency == Currency::MovedOn).count())
    }

    /// An earlier run has done everything, but did not get to delete the documents.
    pub(super) async fn nothing_to_send(&self, ui: &Ui) -> Result<ExitCode, Failure> {
        self.delete_done(0..self.documents_of.len()).await;
        ui.finish();
        println!(
            "nothing is left to be sent{}",
            match self.done_before {
                0 => String::new(),
                done => {
                    let (records, be) = (count(done, "record"), be(done));
                    format!(": {records} {be} done by an earlier run; --again sends them once more")
                }
            }
        );
        Ok(self.conclude(ExitCode::from(GOOD)))
    }

    #[expect(clippy::too_many_arguments, reason = "what a command has in its hands")]
    pub(super) async fn send(
        &self,
        args: &ReplayArgs,
        late: Late,
        comparison: Option<&Comparison>,
        target: &Target,
        (ui, signals): (&Arc<Ui>, &Signals),
        journal: &mut Journal,
        pause: Option<&Pause>,
    ) -> Result<(Tally, Delivered), Failure> {
        // An earlier run may not have got that far.
        self.delete_done(0..self.documents_of.len()).await;
        let tally = Mutex::new(Tally::of(self.plan.entries.len() as u64));
        let chunks = stream::iter(self.plan.entries.chunks(COMPARED).enumerate());
        let parcels = chunks.then(|(chunk, entries)| self.parcels(chunk * COMPARED, entries, comparison));
        let parcels = parcels.flat_map(|parcels| match parcels {
            Ok(parcels) => stream::iter(parcels.into_iter().map(Ok).collect::<Vec<_>>()),
            Err(failure) => stream::iter(vec![Err(failure)]),
        });
        let limits = args.sending.limits(BATCH_SIZE, target.timeout);
        let form = Form::Replay { stale: late.stale() };
        let settle = async |settled: &[Settled]| self.settle(settled, journal).await;
        let sending = send(target, (form, limits), (ui, signals, "record"), &tally, parcels, settle);
        let mut delivered = tokio::select! {
            delivered = sending => delivered?,
            () = self.keep_hidden(ui) => unreachable!("it has no end"),
            () = warn(pause, ui) => unreachable!("it has no end"),
        };
        let mut tally = tally.into_inner().unwrap_or_else(PoisonError::into_inner);
        tally.total = tally.total.map(|total| total - self.progress().skipped as u64);
        // Ctrl-C during the last invocation leaves nothing.
        delivered.is_stopped &= tally.left() > 0;
        Ok((tally, delivered))
    }

    /// The records of a chunk that are to be sent.
    async fn parcels(
        &self,
        first: usize,
        entries: &[Entry],
        comparison: Option<&Comparison>,
    ) -> Result<Vec<Parcel>, Failure> {
        let currencies = match comparison {
            Some(comparison) => {
                let records: Vec<&str> = entries.iter().map(|entry| entry.record.json()).collect();
                comparison.of(&records).await?
            }
            None => Vec::new(),
        };
        let mut parcels = Vec::with_capacity(entries.len());
        for (position, entry) in entries.iter().enumerate() {
            if currencies.get(position) == Some(&Currency::MovedOn) {
                self.progress().skipped += 1;
                continue;
            }
            parcels.push(Parcel {
                json: entry.record.json().to_owned(),
                name: entry.name.clone(),
                item: entry.record.item(),
                tag: (first + position) as u64,
            });
        }
        Ok(parcels)
    }

    /// Notes what is done, and deletes the documents that are done by that.
    async fn settle(&self, settled: &[Settled], journal: &mut Journal) -> Result<(), Failure> {
        let done = settled.iter().filter(|settled| settled.outcome == Outcome::Done);
        let done = done.filter_map(|settled| usize::try_from(settled.tag).ok());
        let entries: Vec<&Entry> = done.filter_map(|place| self.plan.entries.get(place)).collect();
        journal.add(entries.iter().map(|entry| entry.key.as_str()))?;
        let mut places = BTreeSet::new();
        for document in entries.iter().flat_map(|entry| &entry.documents) {
            let left = &mut self.progress().left[*document];
            *left = left.saturating_sub(1);
            places.insert(self.documents[*document].held);
        }
        self.delete_done(places).await;
        Ok(())
    }

    /// Deletes those of the places whose documents are all done. One that has lost records stays: it is all that is known of them.
    async fn delete_done(&self, places: impl IntoIterator<Item = usize>) {
        let Some(sources) = &self.sources else { return };
        for index in places {
            let held = &sources.held[index];
            if self.is_left(index) || std::mem::replace(&mut self.progress().deleted[index], true) {
                continue;
            }
            if let Err(why) = sources.delete(held).await {
                let why = format!("{} is done, but cannot be deleted: {why}", held.shown);
                self.progress().refused.insert(index, why);
            }
        }
    }

    /// Whether a place was deleted.
    fn is_gone(&self, held: usize) -> bool {
        let progress = self.progress();
        let deletes = self.sources.as_ref().is_some_and(|sources| sources.deletes(&sources.held[held]));
        deletes && progress.deleted[held] && !progress.refused.contains_key(&held)
    }

    /// Whether a place has records that are not done, or are lost.
    fn is_left(&self, held: usize) -> bool {
        let progress = self.progress();
        self.documents_of[held].iter().any(|index| progress.left[*index] > 0 || self.documents[*index].lost.is_some())
    }

    /// Hides the messages of a queue from others for as long as the run takes.
    async fn keep_hidden(&self, ui: &Ui) {
        let sources = self.sources.as_ref();
        let Some((sources, every)) = sources.and_then(|sources| Some((sources, sources.hides_every()?))) else {
            return std::future::pending().await;
        };
        loop {
            tokio::time::sleep(every).await;
            if let Err(failure) = sources.hide_again(|held| self.is_left(held)).await {
                ui.print(&format!("warning: {failure}: another run may receive these messages, and send them too"));
            }
        }
    }

    /// Makes what is left in a queue visible to the next run.
    pub(super) async fn release(&self) {
        if let Some(sources) = &self.sources {
            sources.release(|held| !self.is_gone(held)).await;
        }
    }

    /// Whether nothing is left that the next run could find.
    pub(super) fn leaves_nothing(&self) -> bool {
        self.sources.is_some() && (0..self.documents_of.len()).all(|held| self.is_gone(held))
    }
}

/// Warns when the mapping has been paused for long.
async fn warn(pause: Option<&Pause>, ui: &Ui) {
    if let Some(pause) = pause {
        let warning = pause.nearly_over().await;
        ui.print(&warning);
    }
    std::future::pending().await
}

/// Asks a function whether it can tell stale records, by an event without records.
///
/// # Errors
/// If it is told to skip them and cannot: it has no marks, or is not a function of this crate.
pub(super) async fn probe(target: &Target, stale: Option<Stale>) -> Result<(), Failure> {
    #[derive(serde::Deserialize)]
    struct Answer {
        #[serde(rename = "lambdaStreams")]
        counts: Option<FunctionCounts>,
    }
    if stale != Some(Stale::Skip) {
        return Ok(());
    }
    let payload = r#"{"lambdaStreams":{"origin":"replay","stale":"skip","answer":"list"},"Records":[]}"#;
    let response = target.function.invoke(payload.to_owned(), target.timeout).await.map_err(Failure::not_begun)?;
    let refuse = |why: &str| {
        Err(Failure::not_begun(format!(
            "--stale skip: {why}. Use --compare-with-table to look the items up instead, or --stale process to send everything"
        )))
    };
    match response {
        Response::Throttled => refuse("the function could not be asked, because no environment is free"),
        // A function of this crate says itself what to do.
        Response::FunctionError { message, .. } => Err(Failure::not_begun(format!("--stale skip: {message}"))),
        Response::Returned(json) => match serde_json::from_str::<Answer>(&json) {
            Ok(Answer { counts: Some(counts) }) if counts.marks => Ok(()),
            Ok(Answer { counts: Some(_) }) => refuse("the function's processor has no marks"),
            _ => refuse(
                "the function does not say that it has marks: it does not use lambda-streams, or an older version of it",
            ),
        },
    }
}

fn be(number: usize) -> &'static str {
    if number == 1 { "is" } else { "are" }
}
