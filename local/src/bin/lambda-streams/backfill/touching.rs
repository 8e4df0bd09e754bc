//! The run of `backfill --touch`: every item is read and rewritten.

use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures::{Stream, StreamExt};

use super::args::BackfillArgs;
use super::ledger::{self, End, Ledger, Note};
use super::origin::{self, Origin};
use super::rate::Rate;
use super::scan::Scan;
use super::touch::{Touch, Touched};
use super::{CHANGED_AGAIN, chunks, lock};
use crate::aws::Aws;
use crate::failure::{FAILED, Failure, GOOD};
use crate::journal::Journal;
use crate::signals::Signals;
use crate::table::attributes::Item;
use crate::ui::{Ui, count};

/// How many items are written at the same time.
const WRITES: usize = 32;
/// After this many failures and no success, the items are not the cause.
const MAX_FAILURES: u64 = 20;
/// How often the live block is drawn.
const REFRESH: Duration = Duration::from_millis(150);
/// Without a live block, a line is printed after this many items.
const LINE_EVERY: u64 = 5_000;

#[derive(Debug, Clone, Default)]
struct Counts {
    rewritten: u64,
    changed: u64,
    gone: u64,
    failed: u64,
    last_failure: Option<String>,
}

impl Counts {
    fn all(&self) -> u64 {
        self.rewritten + self.changed + self.gone + self.failed
    }
}

impl std::fmt::Display for Counts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "{}: {} rewritten, {} changed and {} removed since they were read, {} failed",
            count(usize::try_from(self.all()).unwrap_or(usize::MAX), "item"),
            self.rewritten,
            self.changed,
            self.gone,
            self.failed
        )
    }
}

/// What the items in flight share.
struct Run<'a> {
    journal: &'a Mutex<Journal>,
    ledger: Mutex<Ledger>,
    counts: Mutex<Counts>,
    touch: Touch,
    is_draining: AtomicBool,
}

/// An item on its way, with its tag in the ledger.
type Job = (u64, Item);

pub(crate) async fn touch(
    args: &BackfillArgs,
    attribute: &str,
    aws: &Aws<'_>,
    origin: &Origin,
    mut journal: Journal,
    signals: &Signals,
) -> Result<ExitCode, Failure> {
    let Origin::Table(scan) = origin else {
        return Err(Failure::not_begun("--touch rewrites the items of a table: name the table with --table"));
    };
    let rate = args.items.write_units.map(|units| Arc::new(Rate::new(f64::from(units.get()))));
    let touch = Touch::new(aws.dynamodb().await?, Arc::clone(&scan.table), attribute, rate)?;
    let ui = Arc::new(Ui::new(args.sending.plain, args.sending.quiet, false));
    ui.line(&format!("items     {}", origin.describe()));
    ui.line(&format!("touch     `{attribute}` of each item: every consumer of the stream gets the item"));
    ui.line(&format!("note: {CHANGED_AGAIN}"));
    let (failed, next) = ledger::failures(|key| journal.value(key));
    let scan = origin::resumed(scan, &mut journal, &ui)?;
    let journal = Mutex::new(journal);
    let run = Run {
        journal: &journal,
        ledger: Mutex::new(Ledger::after_failures(next)),
        counts: Mutex::default(),
        touch,
        is_draining: AtomicBool::new(false),
    };
    let ended = tokio::select! {
        biased;
        () = signals.reached(2) => Err(Failure::failed("stopped at once: the writes in flight are abandoned")),
        ended = run.all(&scan, failed) => ended,
        () = run.show(&ui, signals) => unreachable!("it has no end"),
    };
    ui.finish();
    let counts = lock(&run.counts).clone();
    let is_draining = run.is_draining.load(Ordering::Relaxed);
    drop(run);
    println!("{counts}");
    if let Some(why) = &counts.last_failure {
        println!("  the last failure: {why}");
    }
    let journal = journal.into_inner().unwrap_or_else(PoisonError::into_inner);
    ended?;
    if is_draining || counts.failed > 0 {
        println!(
            "run the same command again to continue and to retry what failed: {} keeps what is done",
            journal.path().display()
        );
        if is_draining {
            println!("items that were not read or not written yet are not counted");
            println!("{}", origin::repeated_of_table("rewritten"));
        }
        return Ok(ExitCode::from(FAILED));
    }
    journal.finish();
    println!("nothing is left, so the journal is removed: the same command would start again and rewrite every item");
    Ok(ExitCode::from(GOOD))
}

impl Run<'_> {
    async fn all(&self, scan: &Scan, failed: Vec<(usize, String)>) -> Result<(), Failure> {
        let (again, gone) = chunks::again(scan, failed).await?;
        for place in gone {
            let tag = lock(&self.ledger).read_again(place);
            self.settle(tag, Touched::Gone)?;
        }
        let again = again.into_iter().map(|(place, _, item)| Ok((lock(&self.ledger).read_again(place), item)));
        let again: Vec<Result<Job, Failure>> = again.collect();
        let jobs = futures::stream::iter(again).chain(self.jobs(scan));
        let mut writes = std::pin::pin!(
            jobs.take_while(|_| std::future::ready(!self.is_draining.load(Ordering::Relaxed)))
                .map(async |job: Result<Job, Failure>| {
                    let (tag, item) = job?;
                    Ok::<_, Failure>((tag, self.touch.touch(&item).await?))
                })
                .buffer_unordered(WRITES)
        );
        while let Some(written) = writes.next().await {
            let (tag, touched) = written?;
            self.settle(tag, touched)?;
            let counts = lock(&self.counts);
            if counts.failed >= MAX_FAILURES && counts.failed == counts.all() {
                let why = counts.last_failure.clone().unwrap_or_default();
                return Err(Failure::failed(format!("every item fails: {why}")));
            }
        }
        Ok(())
    }

    /// The items that no earlier run has reached.
    fn jobs(&self, scan: &Scan) -> impl Stream<Item = Result<Job, Failure>> {
        let pages = chunks::pages(scan, &lock(self.journal));
        let table = Arc::clone(&scan.table);
        let jobs = pages.map(move |page| {
            let page = page?;
            let names = page.items.iter().map(|item| chunks::name(&table, item)).collect::<Result<Vec<_>, _>>()?;
            let (tags, notes) = lock(&self.ledger).read(&chunks::lane(page.segment), page.position, names);
            self.note(&notes)?;
            Ok(tags.into_iter().zip(page.items).collect::<Vec<Job>>())
        });
        jobs.flat_map(|jobs: Result<Vec<Job>, Failure>| {
            let jobs = match jobs {
                Ok(jobs) => jobs.into_iter().map(Ok).collect(),
                Err(failure) => vec![Err(failure)],
            };
            futures::stream::iter(jobs)
        })
    }

    fn settle(&self, tag: u64, touched: Touched) -> Result<(), Failure> {
        let mut counts = lock(&self.counts);
        let end = match touched {
            Touched::Rewritten => {
                counts.rewritten += 1;
                End::Done
            }
            Touched::Changed => {
                counts.changed += 1;
                End::Done
            }
            Touched::Gone => {
                counts.gone += 1;
                End::Done
            }
            Touched::Failed(why) => {
                counts.failed += 1;
                counts.last_failure = Some(why);
                End::Failed
            }
        };
        drop(counts);
        let notes = lock(&self.ledger).ended(tag, end);
        self.note(&notes)
    }

    fn note(&self, notes: &[Note]) -> Result<(), Failure> {
        let mut journal = lock(self.journal);
        notes.iter().try_for_each(|(key, value)| journal.note(key, value))
    }

    /// Shows the progress, and reacts to the first Ctrl-C.
    async fn show(&self, ui: &Ui, signals: &Signals) {
        let mut next_line = LINE_EVERY;
        loop {
            tokio::select! {
                () = signals.reached(1), if !self.is_draining.load(Ordering::Relaxed) => {
                    self.is_draining.store(true, Ordering::Relaxed);
                    ui.line("interrupted: waiting for the writes in flight; press Ctrl-C again to stop at once");
                }
                () = tokio::time::sleep(REFRESH) => {}
            }
            let counts = lock(&self.counts).clone();
            if counts.all() >= next_line {
                next_line = counts.all() + LINE_EVERY;
                ui.routine(&counts.to_string());
            }
            ui.show(format!("writing: press Ctrl-C to drain and stop\n  {counts}"));
        }
    }
}
