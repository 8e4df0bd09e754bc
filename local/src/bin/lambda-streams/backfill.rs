//! `backfill`: the items of a table, or of its export, to a function or through the stream.

mod args;
mod book;
mod changed;
mod checks;
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

use std::num::NonZeroUsize;
use std::process::ExitCode;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use self::book::{Book, parcels};
use self::checks::Checks;
use self::ledger::Ledger;
use self::origin::Origin;
use self::record::Source;
use crate::aws::Aws;
use crate::deliver::{Delivered, Form, Settled};
use crate::failure::{FAILED, Failure};
use crate::journal::Journal;
use crate::mapping::{self, Pause};
use crate::sending::{self, Tally, Target, target_names};
use crate::signals::Signals;
use crate::ui::Ui;

pub(crate) use self::args::BackfillArgs;

/// Records in an invocation where no flag says it.
const BATCH_SIZE: NonZeroUsize = NonZeroUsize::new(100).expect("it is not zero");

pub(crate) async fn backfill(args: BackfillArgs) -> Result<ExitCode, Failure> {
    args.check()?;
    if let Some(since) = args.checks.skip_changed_since {
        changed::check(since)?;
    }
    let signals = Signals::listen()?;
    let aws = Aws::new(&args.aws);
    let origin = interruptible(&signals, Origin::find(&args.items, &aws)).await?;
    let journal = Journal::open(&work(&args, &origin), args.sending.journal.as_deref())?;
    if args.sending.dry_run {
        return interruptible(&signals, dry_run::print(&args, &origin, &aws, &journal)).await;
    }
    match &args.items.touch {
        Some(attribute) => touching::touch(&args, attribute, &aws, &origin, journal, &signals).await,
        None => send(&args, &aws, &origin, journal, &signals).await,
    }
}

/// Sends everything to the function, with the mapping paused if that is asked for.
async fn send(
    args: &BackfillArgs,
    aws: &Aws<'_>,
    origin: &Origin,
    mut journal: Journal,
    signals: &Signals,
) -> Result<ExitCode, Failure> {
    let ui = args.sending.ui(&args.function);
    let target = Target::start(&args.function, aws, origin.arn(), &ui, signals).await?;
    let pause = match pause(args, aws, origin.arn(), &mut journal, signals, &ui).await {
        Ok(pause) => pause,
        Err(failure) => {
            target.function.shutdown().await;
            return Err(failure);
        }
    };
    announce(&ui, args, origin, &journal);
    let journal = Mutex::new(journal);
    let sending = Sending { args, origin, target: &target, journal: &journal, ui: &ui, signals };
    let warn = async {
        if let Some(pause) = &pause {
            ui.print(&pause.nearly_over().await);
        }
        std::future::pending::<()>().await
    };
    // However it ends, the mapping is enabled again after it.
    let sent = tokio::select! {
        sent = sending.run(aws) => sent,
        () = warn => unreachable!("it has no end"),
    };
    target.function.shutdown().await;
    let mut journal = journal.into_inner().unwrap_or_else(PoisonError::into_inner);
    let enabled = match pause {
        Some(pause) => pause.end(&mut journal, |line| ui.print(line)).await,
        None => Ok(()),
    };
    conclude((origin, &target), sent, enabled, journal)
}

/// Names the work for its journal.
fn work(args: &BackfillArgs, origin: &Origin) -> Vec<String> {
    let touch = args.items.touch.as_deref().unwrap_or_default();
    let own = ["backfill", origin.name(), touch].map(str::to_owned);
    own.into_iter().chain(target_names(&args.function, &args.aws)).collect()
}

/// Disables the live mapping if that is asked for. If not, enables one that an earlier run of this work left disabled.
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
        ui.print(&format!("mapping   {uuid} is enabled again: an earlier run of this command had disabled it"));
    }
    Ok(None)
}

fn announce(ui: &Ui, args: &BackfillArgs, origin: &Origin, journal: &Journal) {
    ui.line(&format!("items     {}", origin.describe()));
    if journal.value(BEGUN).is_some() {
        ui.line(&format!("journal   {}: continuing where an earlier run stopped", journal.path().display()));
    }
    ui.line(&format!("note: {SENT_AGAIN}"));
    if !args.pause.pause_mapping && origin.may_be_live() {
        ui.line(
            "note: the stream stays live: an item that changes after it was read may be sent after its change. --help says \
             how to prevent that",
        );
    }
}

/// What a backfill means for a handler that counts.
const SENT_AGAIN: &str = "every item is sent as a new insert: a handler that counts also counts items that the stream has \
                          already delivered. Empty its sink first";
/// The same of `--touch`.
const CHANGED_AGAIN: &str = "--touch makes a new change of every item, for every consumer of the stream: a handler that counts changes counts it too";

/// Where the journal says that sending has begun.
const BEGUN: &str = "begun";

/// Everything that sending needs.
struct Sending<'a> {
    args: &'a BackfillArgs,
    origin: &'a Origin,
    target: &'a Target,
    journal: &'a Mutex<Journal>,
    ui: &'a Arc<Ui>,
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
    /// Whether everything was read, and nothing of it was left.
    is_over: bool,
    /// Whether everything was read and nothing has failed.
    is_complete: bool,
}

impl Sending<'_> {
    async fn run(&self, aws: &Aws<'_>) -> Result<Sent, Failure> {
        let (chunks, source, ledger) = {
            let mut journal = lock(self.journal);
            let (failed, next) = ledger::failures(|key| journal.value(key));
            let chunks = self.origin.chunks(&mut journal, failed, self.ui)?;
            journal.note(BEGUN, "yes")?;
            (chunks, Source { arn: self.origin.arn().to_owned() }, Ledger::after_failures(next))
        };
        let checks = interruptible(self.signals, Checks::new(&self.args.checks, self.origin, aws)).await?;
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
        // The exact number is only known now, if at all.
        let open = lock(&book.ledger).open() as u64;
        tally.total = Some(tally.done + tally.failed.len() as u64 + tally.held_back + open);
        let is_over = is_read && tally.held_back == 0 && open == 0;
        let is_complete = is_over && tally.failed.is_empty();
        let left_out = book.left_out.into_inner().unwrap_or_else(PoisonError::into_inner);
        Ok(Sent { delivered, tally, left_out, unread, is_over, is_complete })
    }
}

/// Prints the summary, and removes the journal if nothing is left.
fn conclude(
    (origin, target): (&Origin, &Target),
    sent: Result<Sent, Failure>,
    enabled: Result<(), Failure>,
    journal: Journal,
) -> Result<ExitCode, Failure> {
    let path = journal.path().display().to_string();
    let sent = match sent {
        Ok(sent) => sent,
        Err(failure) => {
            enabled.map_err(|disabled| Failure::failed(format!("{failure}; {disabled}")))?;
            return Err(failure);
        }
    };
    let is_finished = sent.is_complete && enabled.is_ok();
    if is_finished {
        journal.finish();
    }
    let where_left =
        format!("run the same command again to continue and to retry what failed: {path} keeps what is done");
    let code = sending::conclude(&sent.tally, &sent.delivered, "item", &where_left);
    sending::print_log_group(target, &sent.tally, sent.delivered.broken.as_deref());
    if !sent.is_over {
        println!("items left were read and not sent; items that were not read yet are not counted");
        println!("{}", origin.repeated("sent"));
    }
    if is_finished {
        println!("nothing is left, so the journal is removed: the same command would start again and send every item");
    }
    if sent.left_out > 0 {
        println!("left out, because the stream delivers a newer image or the item was removed: {}", sent.left_out);
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
        () = signals.reached(1) => Err(Failure::not_begun("interrupted before anything was started")),
    }
}

fn lock<V>(mutex: &Mutex<V>) -> MutexGuard<'_, V> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
