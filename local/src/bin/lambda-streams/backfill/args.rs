//! The command line of `backfill`.

use std::num::NonZeroU32;

use clap::{ArgAction, Args};

use crate::args::{AwsArgs, FunctionArgs};
use crate::failure::Failure;
use crate::mapping::PauseArgs;
use crate::sending::SendingArgs;

const EXAMPLES: &str = "\
Examples:
  Show what a backfill would read and send, and send nothing:
    lambda-streams backfill --table orders --function orders-function --dry-run

  Send a table to a function whose sink only takes an item that is new or newer than its own:
    lambda-streams backfill --table orders --function orders-function --read-units 200

  Any other sink: pause the live event source mapping during the backfill:
    lambda-streams backfill --table orders --function orders-function --pause-mapping

  Through the stream itself, at one write per item. Every consumer of the stream gets the items:
    lambda-streams backfill --table orders --touch backfilled_at --write-units 100

  Send an export, from its bucket or copied here:
    lambda-streams backfill --function orders-function \\
      --export s3://bucket/prefix/AWSDynamoDB/01693685827463-2d8752fd
    lambda-streams backfill --export export --bootstrap target/lambda/orders/bootstrap

Handlers that count
  A backfill sends every item as a new insert, even if the stream has already delivered it. A handler that counts, adds up \
or sends mail does so again. Empty its sink first, or use a sink that ignores an item it already has. With --touch, every \
item is a new change.

Items that change during a backfill
  A backfill reads an item first and sends it later. If the item changes or is removed in between, the stream may deliver the \
change before the backfill delivers the older image. The sink then has the older image, or a removed item again, until the \
item changes the next time. The time in between is how long one page of the table takes to send. For an export it is all \
the time since the export.

  Three ways prevent that:

  A sink that refuses older images: it only creates items (attribute_not_exists), or it compares a version that the item \
itself has. An item without a version counts as version 0. The sink must also keep the version of a removed item.

  --pause-mapping: the changes that the stream has not delivered yet wait until the backfill has ended. The items are read \
after the pause has begun, so the last change delivered for an item leaves it as it is in the table. The items of an export \
were read earlier: a change that was processed between the export and the pause is overwritten, so an export also needs one \
of the other ways.

  --touch ATTRIBUTE: the stream itself delivers the item as it is then, in the order of its own changes.

  --compare-with-table and --skip-changed-since check an item before it is sent. They shorten the time in between, but do not \
close it. --stale is not available: it compares the stream's sequence numbers with marks, and the records of a backfill have \
no sequence numbers.

Interruptions
  The first Ctrl-C waits for the invocations in flight. A second Ctrl-C stops at once.

  The journal keeps the progress in each segment or file, and the keys of items that failed. The same command continues an \
earlier run, and tries the failed items again, which needs dynamodb:BatchGetItem. It repeats what an unfinished page had \
done: usually up to 1,000 items per segment, or 500 lines per file.

  A run that leaves nothing removes the journal. The same command then starts again from the beginning and sends every item, \
for example to a sink that was emptied since.

The exit code is 0 if every item was sent and is done, 1 if any failed or is left, and 2 if nothing was started.";

/// Send the items of a table, or of its export to S3, to a function as INSERT records.
///
/// Use it for items that are older than the function, or that its sink has lost. The records look like those of the stream, but
/// have no sequence number. Their event has an extra member that functions of lambda-streams understand and others ignore. A table
/// is scanned in parallel, with consistent reads. The records of an export, full or incremental, are INSERT, MODIFY or REMOVE,
/// depending on their images. An incremental export without old images does not distinguish MODIFY from INSERT: both are sent
/// as INSERT.
#[derive(Debug, Args)]
#[command(after_long_help = EXAMPLES)]
pub(crate) struct BackfillArgs {
    #[command(flatten)]
    pub(crate) items: ItemArgs,
    #[command(flatten)]
    pub(crate) checks: CheckArgs,
    #[command(flatten)]
    pub(crate) pause: PauseArgs,
    #[command(flatten)]
    pub(crate) function: FunctionArgs,
    #[command(flatten)]
    pub(crate) sending: SendingArgs,
    #[command(flatten)]
    pub(crate) aws: AwsArgs,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Where the items come from")]
pub(crate) struct ItemArgs {
    /// The table to scan, by name or ARN. With --export, the table that was exported. Needs dynamodb:DescribeTable and
    /// dynamodb:Scan
    #[arg(long, value_name = "TABLE")]
    pub(crate) table: Option<String>,
    /// An export of a table in DynamoDB JSON: a folder, or s3://bucket/prefix
    #[arg(long, value_name = "DIR|S3_URL")]
    pub(crate) export: Option<String>,
    /// A key attribute of the exported items, if the table cannot be described. Give it twice for a partition key and a sort key
    #[arg(long, value_name = "ATTRIBUTE", action = ArgAction::Append, requires = "export")]
    pub(crate) key: Vec<String>,
    /// The number of segments of the table that are scanned in parallel
    #[arg(long, value_name = "SEGMENTS", default_value = "4", value_parser = clap::value_parser!(u32).range(1..=i64::from(super::scan::MOST_SEGMENTS)))]
    pub(crate) segments: u32,
    /// The most read units per second that the scan uses. One unit reads 4 KB [default: as fast as the items are sent]
    #[arg(long, value_name = "UNITS", conflicts_with = "export")]
    pub(crate) read_units: Option<NonZeroU32>,
    /// Instead of sending items, set this attribute of each item to the current time, so the stream delivers the item. No
    /// other attribute changes. An item that was removed since it was read, or whose attribute somebody else has set, is left
    /// alone. Choose an attribute that nothing else writes. Needs dynamodb:UpdateItem
    #[arg(long, value_name = "ATTRIBUTE", conflicts_with_all = ["export", "function", "bootstrap", "pause_mapping",
        "compare_with_table", "skip_changed_since", "batch_size"])]
    pub(crate) touch: Option<String>,
    /// The most write units per second that --touch uses. One unit writes 1 KB [default: no limit, 32 writes at a time]
    #[arg(long, value_name = "UNITS", requires = "touch")]
    pub(crate) write_units: Option<NonZeroU32>,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Checks before an item is sent")]
pub(crate) struct CheckArgs {
    /// Read each item again just before it is sent, and leave it out if it has changed: the stream delivers the change. The item
    /// can still change between the check and the invocation. Needs dynamodb:BatchGetItem
    #[arg(long)]
    pub(crate) compare_with_table: bool,
    /// Before anything is sent, read the stream starting at this time, such as 2026-01-01T00:00:00Z, and leave out the items that
    /// occur in it: the stream delivers those. Changes after this check are not noticed. A stream keeps its records for 24 hours
    #[arg(long, value_name = "TIME", value_parser = time)]
    pub(crate) skip_changed_since: Option<std::time::SystemTime>,
    #[arg(long, hide = true, value_name = "WHAT")]
    pub(crate) stale: Option<String>,
}

impl BackfillArgs {
    /// What clap does not check.
    pub(crate) fn check(&self) -> Result<(), Failure> {
        if self.checks.stale.is_some() {
            return Err(Failure::not_begun(
                "--stale does not work with backfill: its records have no sequence numbers to compare with marks. Use a sink that \
                 only creates or compares versions, --pause-mapping, or --touch (see --help)",
            ));
        }
        if self.items.table.is_none() && self.items.export.is_none() {
            return Err(Failure::not_begun("say where the items come from: use --table or --export"));
        }
        if self.pause.mapping.is_some() && !self.pause.pause_mapping {
            return Err(Failure::not_begun("--mapping needs --pause-mapping: it names the mapping that is disabled"));
        }
        let has_function = self.function.function.is_some() || self.function.bootstrap.is_some();
        if !has_function && self.items.touch.is_none() {
            return Err(Failure::not_begun(
                "say which function to invoke: use --bootstrap or --function, or --touch to rewrite the items",
            ));
        }
        Ok(())
    }
}

fn time(text: &str) -> Result<std::time::SystemTime, String> {
    let time =
        humantime::parse_rfc3339(text).map_err(|_| "expected a time, such as 2026-01-01T00:00:00Z".to_owned())?;
    if time > std::time::SystemTime::now() { Err("it is in the future".to_owned()) } else { Ok(time) }
}
