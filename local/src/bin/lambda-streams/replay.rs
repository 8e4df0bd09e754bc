//! `replay`: discarded batches, or a stretch of the stream, once more through the function.

pub(crate) mod args;
mod gather;
mod late;
mod plan;
mod range;
mod sources;
mod stretch;
mod task;

use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use crate::aws::Aws;
use crate::failure::Failure;
use crate::function;
use crate::journal::Journal;
use crate::mapping::{self, Pause};
use crate::places::s3::S3Url;
use crate::sending::{Target, conclude, print_log_group, target_names};
use crate::signals::Signals;
use crate::ui::Ui;

use self::args::ReplayArgs;
use self::gather::Gathered;
use self::late::{Late, Moved};
use self::task::Task;

pub(crate) async fn replay(args: ReplayArgs) -> Result<ExitCode, Failure> {
    let signals = Signals::listen()?;
    let aws = Aws::near(&args.aws, gather::near(&args));
    let ui = args.sending.ui(&args.function);
    let mut journal = Journal::open(&work(&args), args.sending.journal.as_deref())?;
    let ended = gather_and_run(&args, (&aws, &signals), &ui, &mut journal).await;
    // An earlier run that was killed may have left it so.
    let enabled = match mapping::left_paused(&journal) {
        Some(uuid) => {
            ui.print(&format!("mapping   {uuid} was left disabled by an earlier run: enabling it"));
            mapping::enable(&aws.lambda().await?, &uuid, &mut journal).await
        }
        None => Ok(()),
    };
    let (code, leaves_nothing) = ended?;
    enabled?;
    if leaves_nothing {
        journal.finish();
    }
    Ok(code)
}

/// The exit code, and whether nothing is left that another run could find.
async fn gather_and_run(
    args: &ReplayArgs,
    (aws, signals): (&Aws<'_>, &Signals),
    ui: &Arc<Ui>,
    journal: &mut Journal,
) -> Result<(ExitCode, bool), Failure> {
    // A misspelt name would otherwise look like documents of another function.
    function::look_up(&args.function, aws).await?;
    let gathered = Gathered::read(args, aws, signals, &|line: &str| ui.line(line)).await?;
    let task = Task::new(gathered, journal, args.range.again);
    let ended = run(args, (aws, signals), ui, journal, &task).await;
    task.release().await;
    Ok((ended?, task.leaves_nothing()))
}

/// What the journal is of: where the records come from, and the function.
fn work(args: &ReplayArgs) -> Vec<String> {
    let absolute = |path: &Path| std::path::absolute(path).unwrap_or_else(|_| path.to_owned()).display().to_string();
    let source = |name: &String| match S3Url::parse(name) {
        None if name != "-" => absolute(Path::new(name)),
        _ => name.clone(),
    };
    let flags = [("--queue", &args.queue), ("--stream", &args.stretch.stream), ("--table", &args.stretch.table)];
    let flags = flags.into_iter().filter_map(|(flag, value)| Some(format!("{flag}={}", value.as_ref()?)));
    let target = target_names(&args.function, &args.aws);
    std::iter::once("replay".to_owned()).chain(args.sources.iter().map(source)).chain(flags).chain(target).collect()
}

async fn run(
    args: &ReplayArgs,
    (aws, signals): (&Aws<'_>, &Signals),
    ui: &Arc<Ui>,
    journal: &mut Journal,
    task: &Task,
) -> Result<ExitCode, Failure> {
    task.describe(ui);
    let comparison = task.comparison(aws).await;
    let moved = match Late::of(&args.late) {
        Some(_) if !args.sending.dry_run => None,
        _ if task.plan.entries.is_empty() => None,
        _ => {
            let asked = async { Ok(Moved::ask(&task.plan, comparison.as_ref()).await) };
            Some(signals.unless_interrupted("the items were looked up", asked).await?)
        }
    };
    if let Some(moved) = &moved {
        ui.print(&format!("items     {}", moved.describe()));
        moved.such_as().iter().for_each(|examples| ui.print(&format!("          {examples}")));
    }
    if args.sending.dry_run {
        task.list(args);
        match (Late::of(&args.late), &moved) {
            (Some(Late::Compare), _) if !task.plan.entries.is_empty() => {
                let skipped = task.count_moved_on(comparison.as_ref().map_err(Failure::clone)?).await?;
                println!("{skipped} of them would be skipped, because their items have changed since");
            }
            (None, Some(moved)) if !moved.is_none() => {
                println!(
                    "a run would ask what to do with records whose items have changed since; in a script, use --stale or \
                     --compare-with-table"
                );
            }
            _ => {}
        }
        return Ok(task.dry_code());
    }
    if task.plan.entries.is_empty() {
        return task.nothing_to_send(ui).await;
    }
    let late = match (Late::of(&args.late), &moved) {
        (Some(late), _) => late,
        (None, Some(moved)) if moved.is_none() => Late::Send,
        (None, Some(moved)) => {
            let asked = late::ask(moved, gather::reads_stdin(args));
            signals.unless_interrupted("nothing was sent yet", asked).await?
        }
        (None, None) => Late::Send,
    };
    let comparison = match late {
        Late::Compare => Some(comparison?),
        Late::Send | Late::Tell(_) => None,
    };
    let target = Target::start(&args.function, aws, &task.stream_arn, ui, signals).await?;
    ui.line(&format!("function  {}, timeout {} s", target.arn(), target.timeout.as_secs_f64()));
    signals.unless_interrupted("the function was asked for its marks", task::probe(&target, late.stale())).await?;
    if args.range.again {
        journal.forget(task.plan.entries.iter().map(|entry| entry.key.as_str()))?;
    }
    let pause = match args.pause.pause_mapping {
        true => {
            let (function, say) = (args.function.function.as_deref(), |line: &str| ui.print(line));
            let lambda = aws.lambda().await?;
            Some(Pause::begin(&args.pause, lambda, function, &task.stream_arn, journal, signals, say).await?)
        }
        false => None,
    };
    let sent = task.send(args, late, comparison.as_ref(), &target, (ui, signals), journal, pause.as_ref()).await;
    let resumed = match pause {
        Some(pause) => pause.end(journal, |line| ui.print(line)).await,
        None => Ok(()),
    };
    target.function.shutdown().await;
    let (tally, delivered) = sent?;
    resumed?;
    let again = if args.range.again { " without --again" } else { "" };
    let left = format!(
        "what is not done is left where it is: run the same command{again} to continue ({} keeps what is done)",
        journal.path().display()
    );
    let code = conclude(&tally, &delivered, "record", &left);
    print_log_group(&target, &tally, delivered.broken.as_deref());
    Ok(task.conclude(code))
}
