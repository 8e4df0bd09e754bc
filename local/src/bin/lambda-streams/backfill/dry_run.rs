//! `--dry-run`: what a backfill would take.

use std::process::ExitCode;
use std::time::Duration;

use super::BATCH_SIZE;
use super::args::BackfillArgs;
use super::export;
use super::files::Files;
use super::origin::{Exported, Origin};
use super::scan::{self, Scan};
use crate::failure::{Failure, GOOD};
use crate::ui::{count, duration};

/// Of more files, this many are listed.
const MAX_LISTED: usize = 20;

/// Prints it, and sends nothing.
///
/// # Errors
/// If a file of the export cannot be read, or is corrupt.
pub(crate) async fn print(args: &BackfillArgs, origin: &Origin) -> Result<ExitCode, Failure> {
    println!("items       {}", origin.describe());
    let items = match origin {
        Origin::Table(scan) => {
            table(args, scan);
            scan.table.items
        }
        Origin::Export(exported) => files(exported).await?,
    };
    if args.items.touch.is_none() {
        let batch = args.sending.batch_size.unwrap_or(BATCH_SIZE).get() as u64;
        let invocations = usize::try_from(items.div_ceil(batch)).unwrap_or(usize::MAX);
        println!("invocations about {invocations} of up to {batch} records and 5.5 MB");
    }
    println!("nothing was sent");
    Ok(ExitCode::from(GOOD))
}

fn table(args: &BackfillArgs, scan: &Scan) {
    let table = &scan.table;
    println!("            DynamoDB counts items and bytes every six hours: what was written since is not in there");
    println!("stream      {}", table.stream_arn.as_deref().unwrap_or("none"));
    let units = scan::estimate(table);
    let at_rate = |units: f64, rate: Option<std::num::NonZeroU32>| {
        let rate = rate.map(|rate| (rate, duration(Duration::from_secs_f64(units / f64::from(rate.get())))));
        rate.map(|(rate, took)| format!(", {took} at {rate} a second")).unwrap_or_default()
    };
    println!(
        "reads       about {units:.0} read units for {:.1} MB{}",
        table.bytes as f64 / 1e6,
        at_rate(units, args.items.read_units)
    );
    if args.items.touch.is_some() {
        // A write is rounded up to 1 KB for each item.
        let per_item = (table.bytes as f64 / table.items.max(1) as f64 / 1024.0).ceil().max(1.0);
        let units = per_item * table.items as f64;
        println!(
            "writes      about {units:.0} write units, and as many more for each index and each replica that has the item{}",
            at_rate(units, args.items.write_units)
        );
    }
    if args.checks.compare_with_table {
        println!("            and about as many reads again for --compare-with-table, at least one unit an item");
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
