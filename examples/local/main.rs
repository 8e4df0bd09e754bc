//! The example function's processor on a real stream, on this machine: `cargo run --example local`.
//!
//! The processor, its handlers and its item type are the function's own files. What differs is around them: the records
//! come from a DynamoDB inside this process, the dead letters go to a file, and the handlers are watched, so the
//! order of each item is checked and not claimed.

mod changes;
mod database;
mod items;
mod mapping;
mod options;
mod order;
mod report;

#[allow(dead_code, reason = "the watch does not look at what the function's log shows")]
#[path = "../stream-processor/src/handlers.rs"]
mod handlers;
#[path = "../stream-processor/src/item.rs"]
mod item;
#[path = "../stream-processor/src/processor.rs"]
mod processor;

use std::fmt;
use std::path::Path;
use std::process::ExitCode;

use indicatif::{ProgressBar, ProgressStyle};
use lambda_streams::{DeadLetter, FileDeadLetterQueue, StreamProcessor};
use lambda_streams_local::DynamoDbStreams;

use crate::database::Database;
use crate::handlers::Handlers;
use crate::mapping::Processed;
use crate::options::Options;
use crate::order::Watch;
use crate::report::Summary;

/// The same run every time.
const SEED: u64 = 20_260_101;

#[tokio::main]
async fn main() -> ExitCode {
    let done = match Options::parse(std::env::args_os()) {
        Ok(None) => {
            print!("{}", options::HELP);
            return ExitCode::SUCCESS;
        }
        Ok(Some(options)) => run(&options).await,
        Err(failure) => Err(failure),
    };
    match done {
        Ok(summary) => {
            print!("\n{}", summary.render());
            if summary.is_good() { ExitCode::SUCCESS } else { ExitCode::from(1) }
        }
        Err(failure) => {
            eprintln!("error: {failure}");
            failure.exit_code
        }
    }
}

/// Why a run was not made, or broke off.
#[derive(Debug)]
struct Failure {
    message: String,
    exit_code: ExitCode,
}

impl Failure {
    /// What the user can change: arguments, files, the endpoint.
    fn setup(message: impl Into<String>) -> Self {
        Self { message: message.into(), exit_code: ExitCode::from(2) }
    }

    /// What should not happen.
    fn broken(message: impl Into<String>) -> Self {
        Self { message: message.into(), exit_code: ExitCode::from(1) }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

async fn run(options: &Options) -> Result<Summary, Failure> {
    let mut random = fastrand::Rng::with_seed(SEED);
    let items = match &options.items {
        Some(path) => items::read(path)?,
        None => items::generate(&mut random),
    };
    let queue = open_dead_letters(&options.dead_letters)?;
    let watch = Watch::new(SEED);
    let processor = processor::with_handlers(StreamProcessor::builder(), &Handlers::new(watch.clone()))
        .dead_letter_queue(queue)
        .build()
        .map_err(|error| Failure::broken(error.to_string()))?;

    let database = Database::open(options.endpoint_url.as_deref()).await?;
    println!("DynamoDB {}, table {}", database.place(), database.table);
    let processed = change_and_process(&database, items, &mut random, &processor).await;
    let (processed, closed) = (processed, database.close().await);
    let (Processed { records, tally, batches, duration }, ()) = (processed?, closed?);
    let verdict = watch.check(&records);
    let dead_letters = format!("{} in {}", tally.total().dead_lettered(), options.dead_letters.display());
    let first_error = first_error(&options.dead_letters)?;
    Ok(Summary { tally, verdict, dead_letters, first_error, batches, duration })
}

/// An empty file of dead letters.
fn open_dead_letters(path: &Path) -> Result<FileDeadLetterQueue, Failure> {
    let made = path.parent().map_or(Ok(()), std::fs::create_dir_all).and_then(|()| std::fs::write(path, ""));
    let opened = made.and_then(|()| FileDeadLetterQueue::open(path));
    opened.map_err(|error| Failure::setup(format!("cannot write {}: {error}", path.display())))
}

/// Changes the items, while an event source mapping delivers the changes to the processor.
async fn change_and_process(
    database: &Database,
    items: Vec<items::Item>,
    random: &mut fastrand::Rng,
    processor: &StreamProcessor,
) -> Result<Processed, Failure> {
    let plans: Vec<_> = items.into_iter().map(|item| (item, changes::plan(random))).collect();
    let expected = plans.iter().map(|(_, changes)| changes.len()).sum();

    let bar = progress("changing items", expected);
    changes::make(database, plans, &bar).await?;
    bar.finish_and_clear();
    println!("{expected} changes made");

    let source = DynamoDbStreams::connect(database.streams.clone(), &database.stream_arn).await;
    let source = source.map_err(|error| Failure::broken(error.to_string()))?;
    let bar = progress("processing", expected);
    let ticking = bar.clone();
    let processed = mapping::process(processor, source, expected, move |done| ticking.inc(done)).await?;
    bar.finish_and_clear();
    println!("{} records came from the stream", processed.records.len());
    Ok(processed)
}

/// What the first dead letter says, read back from the file.
fn first_error(path: &Path) -> Result<Option<String>, Failure> {
    let unreadable = |error: &dyn fmt::Display| Failure::broken(format!("cannot read {}: {error}", path.display()));
    let text = std::fs::read_to_string(path).map_err(|error| unreadable(&error))?;
    let Some(line) = text.lines().next() else { return Ok(None) };
    let letter = DeadLetter::from_json(line).map_err(|error| unreadable(&error))?;
    Ok(Some(letter.error_message().to_owned()))
}

/// A bar on standard error, if that is a terminal.
fn progress(what: &'static str, length: usize) -> ProgressBar {
    let template = "{prefix:20} {bar:40} {pos:>6}/{len} {elapsed_precise}";
    let style = ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
    ProgressBar::new(length as u64).with_prefix(what).with_style(style)
}

#[cfg(test)]
mod tests;
