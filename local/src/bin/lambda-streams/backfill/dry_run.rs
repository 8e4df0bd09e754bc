//! `--dry-run`: what a backfill would take.

use std::process::ExitCode;
use std::time::Duration;

use lambda_streams_local::{DeployedFunction, Function};

use super::args::BackfillArgs;
use super::export;
use super::files::Files;
use super::origin::{Exported, Origin};
use super::scan::{self, Scan};
use super::{BATCH_SIZE, CHANGED_AGAIN, SENT_AGAIN};
use crate::aws::Aws;
use crate::failure::{Failure, GOOD};
use crate::journal::Journal;
use crate::mapping;
use crate::ui::{count, duration, size};

/// Of more files, this many are listed.
const MAX_LISTED: usize = 20;

/// Prints it, and sends nothing.
///
/// # Errors
/// If a file of the export cannot be read, or is corrupt; if there is no such function, or its mapping cannot be paused.
pub(crate) async fn print(
    args: &BackfillArgs,
    origin: &Origin,
    aws: &Aws<'_>,
    journal: &Journal,
) -> Result<ExitCode, Failure> {
    // First what a run would refuse.
    let function = function(args, aws).await?;
    let mapping = mapping(args, aws, origin.arn(), journal).await?;
    println!("items       {}", origin.describe());
    let items = match origin {
        Origin::Table(scan) => {
            table(args, scan);
            scan.table.items
        }
        Origin::Export(exported) => files(exported).await?,
    };
    if let Some(function) = function {
        println!("function    {function}");
    }
    if args.items.touch.is_none() {
        let batch = args.sending.batch_size.unwrap_or(BATCH_SIZE).get();
        let invocations = items.div_ceil(batch as u64);
        println!("invocations about {invocations} of up to {} and 5.5 MB", count(batch, "record"));
    }
    if let Some(mapping) = mapping {
        println!("mapping     {mapping}");
    }
    if let Some(progress) = origin.progress(journal) {
        println!("journal     {}: the same command continues where an earlier run stopped", journal.path().display());
        println!("            {progress}. The numbers above are for the whole table or export");
    }
    println!("note: {}", if args.items.touch.is_some() { CHANGED_AGAIN } else { SENT_AGAIN });
    println!("nothing was sent");
    Ok(ExitCode::from(GOOD))
}

/// The deployed function, which has to be there.
async fn function(args: &BackfillArgs, aws: &Aws<'_>) -> Result<Option<String>, Failure> {
    let Some(name) = &args.function.function else { return Ok(None) };
    let function = DeployedFunction::connect(aws.lambda().await?, name).await.map_err(Failure::not_begun)?;
    let timeout = args.function.timeout.unwrap_or_else(|| function.timeout());
    Ok(Some(format!("{}, timeout {} s", function.function_arn(), timeout.as_secs_f64())))
}

/// What would happen to the live mapping.
async fn mapping(args: &BackfillArgs, aws: &Aws<'_>, arn: &str, journal: &Journal) -> Result<Option<String>, Failure> {
    if args.pause.pause_mapping {
        let function = args.function.function.as_deref();
        return mapping::look(&args.pause, &aws.lambda().await?, function, arn, journal).await.map(Some);
    }
    let left = mapping::left_paused(journal);
    Ok(left
        .map(|uuid| format!("{uuid} was left disabled by an earlier run of this command: a run would enable it first")))
}

fn table(args: &BackfillArgs, scan: &Scan) {
    let table = &scan.table;
    println!("            DynamoDB updates these numbers about every six hours: later writes are not included");
    println!("stream      {}", table.stream_arn.as_deref().unwrap_or("none"));
    let units = scan::estimate(table);
    let at_rate = |units: f64, rate: Option<std::num::NonZeroU32>| {
        let rate = rate.map(|rate| (rate, duration(Duration::from_secs_f64(units / f64::from(rate.get())))));
        rate.map(|(rate, took)| format!(", {took} at {rate} a second")).unwrap_or_default()
    };
    println!(
        "reads       about {units:.0} read units for {}{}",
        size(usize::try_from(table.bytes).unwrap_or(usize::MAX)),
        at_rate(units, args.items.read_units)
    );
    if args.items.touch.is_some() {
        // A write is rounded up to 1 KB for each item.
        let per_item = (table.bytes as f64 / table.items.max(1) as f64 / 1024.0).ceil().max(1.0);
        let units = per_item * table.items as f64;
        println!(
            "writes      about {units:.0} write units, and as many again for each index and each replica that has the item{}",
            at_rate(units, args.items.write_units)
        );
    }
    if args.checks.compare_with_table {
        println!("            and about as many again for --compare-with-table, at least one unit per item");
    }
}

/// Lists the files. Where no manifest says how many items they have, they are read.
async fn files(exported: &Exported) -> Result<u64, Failure> {
    let mut total = 0;
    let files = &exported.export.files;
    for (place, file) in files.iter().enumerate() {
        let items = match file.items {
            Some(items) => items,
            None => {
                let bytes = exported.files.read(&file.name).await?.into();
                let lines = export::whole_lines(file, &bytes);
                let what = exported.files.describe(&file.name);
                lines.map_err(|why| Failure::failed(format!("{what}: {why}")))?.count() as u64
            }
        };
        total += items;
        if place < MAX_LISTED {
            println!("  {:>10}  {}", items, file.name);
        }
    }
    if files.len() > MAX_LISTED {
        println!("  and {}", count(files.len() - MAX_LISTED, "more file"));
    }
    Ok(total)
}
