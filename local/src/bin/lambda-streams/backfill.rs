//! `backfill`: the items of a table, or of its export, to a function or through the stream.

mod args;
mod changed;
mod chunks;
mod dry_run;
mod export;
mod files;
mod ledger;
mod origin;
mod rate;
mod record;
mod scan;
mod touch;
mod touching;

use std::collections::HashSet;
use std::num::NonZeroUsize;
use std::process::ExitCode;
use std::sync::{Mutex, MutexGuard, PoisonError};

use futures::{Stream, StreamExt};
use lambda_streams_local::DynamoDbStreams;

use self::chunks::{Chunk, Chunks};
use self::ledger::{End, Ledger, Note};
use self::origin::Origin;
use self::record::Source;
use crate::aws::Aws;
use crate::deliver::{Delivered, Form, Outcome, Parcel, Settled};
use crate::failure::{FAILED, Failure};
use crate::journal::Journal;
use crate::mapping::{self, Pause};
use crate::sending::{self, Tally, Target, target_names};
use crate::signals::Signals;
use crate::table::compare::{Comparison, Currency};
use crate::ui::Ui;

pub(crate) use self::args::BackfillArgs;

/// Records in an invocation where no flag says it.
const BATCH_SIZE: NonZeroUsize = NonZeroUsize::new(100).expect("it is not zero");
/// How many records are compared with the table at once.
const COMPARED: usize = 100;

pub(crate) async fn backfill(args: BackfillArgs) -> Result<ExitCode, Failure> {
    args.check()?;
    if let Some(since) = args.checks.skip_changed_since {
        changed::check(since)?;
    }
    let signals = Signals::listen()?;
    let aws = Aws::new(&args.aws);
    let origin = interruptible(&signals, Origin::find(&args.items, &aws)).await?;
    if args.sending.dry_run {
        return dry_run::print(&args, &origin).await;
    }
    let mut journal = Journal::open(&work(&args, &origin), args.sending.journal.as_deref())?;
    if let Some(attribute) = &args.items.touch {
        return touching::touch(&args, attribute, &aws, &origin, journal, &signals).await;
    }
    let ui = args.sending.ui(&args.function);
    let arn = origin.arn().to_owned();
    let target = Target::start(&args.function, &aws, &arn, &ui, &signals).await?;
    let pause = match pause(&args, &aws, &arn, &mut journal, &signals, &ui).await {
        Ok(pause) => pause,
        Err(failure) => {
            target.function.shutdown().await;
            return Err(failure);
        }
    };
    announce(&ui, &args, &origin, &journal);
    let journal = Mutex::new(journal);
    let mut sending =
        Sending { args: &args, origin: &origin, target: &target, journal: &journal, ui: &ui, signals: &signals };
    let warn = async {
        if let Some(pause) = &pause {
            ui.print(&pause.nearly_over().await);
        }
        std::future::pending::<()>().await
    };
    let sent = tokio::select! {
        sent = sending.run(&aws) => sent,
        () = warn => unreachable!("it has no end"),
    };
    target.function.shutdown().await;
    let mut journal = journal.into_inner().unwrap_or_else(PoisonError::into_inner);
    let enabled = match pause {
        Some(pause) => pause.end(&mut journal, |line| ui.print(line)).await,
        None => Ok(()),
    };
    conclude(sent, enabled, journal)
}

/// Names the work for its journal.
fn work(args: &BackfillArgs, origin: &Origin) -> Vec<String> {
    let touch = args.items.touch.as_deref().unwrap_or_default();
    let own = ["backfill", origin.name(), touch].map(str::to_owned);
    own.into_iter().chain(target_names(&args.function, &args.aws)).collect()
}

/// Disables the live mapping if that is asked for. One that an earlier run of this work has left disabled is enabled if not.
async fn pause(
    args: &BackfillArgs,
    aws: &Aws<'_>,
    arn: &str,
    journal: &mut Journal,
    signals: &Signals,
    ui: &Ui,
) -> Result<Option<Pause>, Failure> {
    if args.pause.pause_mapping {
        let function = args.function.function.as_deref();
        let say = |line: &str| ui.print(line);
        return Pause::begin(&args.pause, aws.lambda().await?, function, arn, journal, signals, say).await.map(Some);
    }
    if let Some(uuid) = mapping::left_paused(journal) {
        mapping::enable(&aws.lambda().await?, &uuid, journal).await?;
        ui.print(&format!("mapping   {uuid} is enabled again: an earlier run of this work had disabled it"));
    }
    Ok(None)
}

fn announce(ui: &Ui, args: &BackfillArgs, origin: &Origin, journal: &Journal) {
    ui.line(&format!("items     {}", origin.describe()));
    if journal.value(RUN).is_some() {
        ui.line(&format!("journal   {}: going on where an earlier run has stopped", journal.path().display()));
    }
    if !args.pause.pause_mapping {
        ui.line(
            "note: the stream stays live: an item that changes after it was read may be sent after its change (--help says what \
             prevents that)",
        );
    }
}

/// Where the journal has the number of this backfill.
const RUN: &str = "run";

/// Everything that sending needs.
struct Sending<'a> {
    args: &'a BackfillArgs,
    origin: &'a Origin,
    target: &'a Target,
    journal: &'a Mutex<Journal>,
    ui: &'a Ui,
    signals: &'a Signals,
}

/// How sending has ended.
struct Sent {
    delivered: Delivered,
    tally: Tally,
    /// Items that were read and not sent, because the table or the stream had newer ones, or none.
    left_out: u64,
    /// Why reading ended early.
    unread: Option<Failure>,
    /// Whether everything was read and nothing has failed.
    is_complete: bool,
}

/// What the stream of parcels and the answers share.
struct Book<'a> {
    journal: &'a Mutex<Journal>,
    ledger: Mutex<Ledger>,
    left_out: Mutex<u64>,
    unread: Mutex<Option<Failure>>,
}

impl Sending<'_> {
    async fn run(&mut self, aws: &Aws<'_>) -> Result<Sent, Failure> {
        let (chunks, source, ledger) = {
            let mut journal = lock(self.journal);
            let (failed, next) = ledger::failures(|key| journal.value(key));
            let chunks = self.origin.chunks(&mut journal, failed)?;
            (
                chunks,
                Source { arn: self.origin.arn().to_owned(), run: run(&mut journal)? },
                Ledger::after_failures(next),
            )
        };
        let checks = interruptible(self.signals, Checks::new(self.args, self.origin, aws)).await?;
        let book = Book {
            journal: self.journal,
            ledger: Mutex::new(ledger),
            left_out: Mutex::default(),
            unread: Mutex::default(),
        };
        let tally = Mutex::new(Tally::default());
        lock(&tally).total = self.origin.items();
        let limits = self.args.sending.limits(BATCH_SIZE, self.target.timeout);
        let delivered = sending::send(
            self.target,
            (Form::Backfill, limits),
            (self.ui, self.signals, "item"),
            &tally,
            parcels(chunks, &checks, &source, &book),
            async |settled: &[Settled]| book.settle(settled),
        )
        .await?;
        let mut tally = tally.into_inner().unwrap_or_else(PoisonError::into_inner);
        let unread = book.unread.into_inner().unwrap_or_else(PoisonError::into_inner);
        let is_read = unread.is_none() && !delivered.is_stopped && delivered.broken.is_none();
        // Only now it is known exactly, if at all.
        let open = lock(&book.ledger).open() as u64;
        tally.total = Some(tally.done + tally.failed.len() as u64 + tally.held_back + open);
        let is_complete = is_read && tally.failed.is_empty() && tally.held_back == 0 && open == 0;
        let left_out = book.left_out.into_inner().unwrap_or_else(PoisonError::into_inner);
        Ok(Sent { delivered, tally, left_out, unread, is_complete })
    }
}

/// The number of this backfill, which the runs share that go on with it.
fn run(journal: &mut Journal) -> Result<u128, Failure> {
    if let Some(run) = journal.value(RUN).and_then(|run| u128::from_str_radix(run, 16).ok()) {
        return Ok(run);
    }
    let run = fastrand::u128(..);
    journal.note(RUN, &format!("{run:032x}"))?;
    Ok(run)
}

impl Book<'_> {
    fn note(&self, notes: &[Note]) -> Result<(), Failure> {
        let mut journal = lock(self.journal);
        notes.iter().try_for_each(|(key, value)| journal.note(key, value))
    }

    fn settle(&self, settled: &[Settled]) -> Result<(), Failure> {
        for Settled { tag, outcome, .. } in settled {
            let end = match outcome {
                Outcome::Done => End::Done,
                Outcome::Failed(_) => End::Failed,
                Outcome::HeldBack => End::Left,
            };
            let notes = lock(&self.ledger).ended(*tag, end);
            self.note(&notes)?;
        }
        Ok(())
    }
}

/// The records of the chunks. When reading fails they end, so that what is in flight is waited for, and the book has the reason.
fn parcels<'a>(
    chunks: Chunks,
    checks: &'a Checks,
    source: &'a Source,
    book: &'a Book<'a>,
) -> impl Stream<Item = Result<Parcel, Failure>> + 'a {
    let chunks = chunks.then(async |chunk| admit(chunk?, checks, source, book).await);
    let whole = chunks.scan((), |(), admitted| {
        let admitted = admitted.map_err(|failure| *lock(&book.unread) = Some(failure)).ok();
        std::future::ready(admitted)
    });
    whole.flat_map(|parcels| futures::stream::iter(parcels.into_iter().map(Ok)))
}

/// Checks a chunk, and enters it in the ledger.
async fn admit(chunk: Chunk, checks: &Checks, source: &Source, book: &Book<'_>) -> Result<Vec<Parcel>, Failure> {
    let (mut parcels, mut entries) = (Vec::new(), Vec::new());
    for entry in chunk.entries {
        parcels.push(source.parcel(&entry.change, 0));
        entries.push((entry.name, entry.again));
    }
    let stays = checks.stay(&parcels).await?;
    *lock(&book.left_out) += (stays.iter().filter(|stays| !**stays).count() + chunk.gone.len()) as u64;
    let mut ledger = lock(&book.ledger);
    let mut notes = Vec::new();
    for place in chunk.gone {
        let tag = ledger.read_again(place);
        notes.extend(ledger.ended(tag, End::Done));
    }
    let mut admitted = Vec::new();
    let (mut new, mut names) = (Vec::new(), Vec::new());
    for ((mut parcel, (name, again)), stays) in parcels.into_iter().zip(entries).zip(stays) {
        match again {
            Some(place) => {
                parcel.tag = ledger.read_again(place);
                if stays { admitted.push(parcel) } else { notes.extend(ledger.ended(parcel.tag, End::Done)) }
            }
            None if stays => {
                new.push(parcel);
                names.push(name);
            }
            None => {}
        }
    }
    if let Some((lane, position)) = chunk.lane {
        let (tags, more) = ledger.read(&lane, position, names);
        notes.extend(more);
        for (parcel, tag) in new.iter_mut().zip(tags) {
            parcel.tag = tag;
        }
    }
    drop(ledger);
    book.note(&notes)?;
    admitted.extend(new);
    Ok(admitted)
}

/// The checks before the act.
struct Checks {
    comparison: Option<Comparison>,
    changed: HashSet<u128>,
}

impl Checks {
    async fn new(args: &BackfillArgs, origin: &Origin, aws: &Aws<'_>) -> Result<Self, Failure> {
        let comparison = match args.checks.compare_with_table {
            true => Some(Comparison::new(aws.dynamodb().await?, origin.table_name())),
            false => None,
        };
        let changed = match args.checks.skip_changed_since {
            None => HashSet::new(),
            Some(since) => {
                let (tables, streams) = (aws.dynamodb().await?, aws.streams().await?);
                let stream = DynamoDbStreams::connect_to_table(&tables, streams, origin.table_name()).await;
                changed::since(&stream.map_err(Failure::not_begun)?, since).await?
            }
        };
        Ok(Self { comparison, changed })
    }

    /// Whether each record is sent.
    async fn stay(&self, parcels: &[Parcel]) -> Result<Vec<bool>, Failure> {
        let mut stay = vec![true; parcels.len()];
        if !self.changed.is_empty() {
            for (stays, parcel) in stay.iter_mut().zip(parcels) {
                *stays = !self.changed.contains(&record::group_of_record(&parcel.json));
            }
        }
        let Some(comparison) = &self.comparison else { return Ok(stay) };
        for (parcels, stay) in parcels.chunks(COMPARED).zip(stay.chunks_mut(COMPARED)) {
            let records: Vec<&str> = parcels.iter().map(|parcel| parcel.json.as_str()).collect();
            for (stays, currency) in stay.iter_mut().zip(comparison.of(&records).await?) {
                *stays &= currency != Currency::MovedOn;
            }
        }
        Ok(stay)
    }
}

/// Prints the summary, and removes the journal if nothing is left.
fn conclude(sent: Result<Sent, Failure>, enabled: Result<(), Failure>, journal: Journal) -> Result<ExitCode, Failure> {
    let path = journal.path().display().to_string();
    let sent = match sent {
        Ok(sent) => sent,
        Err(failure) => {
            enabled.map_err(|disabled| Failure::failed(format!("{failure}; {disabled}")))?;
            return Err(failure);
        }
    };
    if sent.is_complete && enabled.is_ok() {
        journal.finish();
    }
    let where_left = format!("the same command goes on, and tries again what has failed: {path} has what is done");
    let code = sending::conclude(&sent.tally, &sent.delivered, "item", &where_left);
    if sent.left_out > 0 {
        println!("left out, because the stream brings a newer one or the item is gone: {}", sent.left_out);
    }
    enabled?;
    match sent.unread {
        Some(failure) => Err(Failure::failed(failure)),
        None if sent.is_complete => Ok(code),
        None => Ok(ExitCode::from(FAILED)),
    }
}

async fn interruptible<T>(signals: &Signals, work: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    tokio::select! {
        done = work => done,
        () = signals.reached(1) => Err(Failure::not_begun("interrupted before anything was begun")),
    }
}

fn lock<V>(mutex: &Mutex<V>) -> MutexGuard<'_, V> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
