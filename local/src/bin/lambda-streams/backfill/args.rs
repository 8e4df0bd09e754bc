//! The command line of `backfill`.

use std::num::NonZeroU32;

use clap::{ArgAction, Args};

use crate::args::{AwsArgs, FunctionArgs};
use crate::failure::Failure;
use crate::mapping::PauseArgs;
use crate::sending::SendingArgs;

const EXAMPLES: &str = "\
Examples:
  What it would take, without sending anything:
    lambda-streams backfill --table orders --function orders-function --dry-run

  The items of a table to a function whose sink takes an item only if it has none or an older version of it:
    lambda-streams backfill --table orders --function orders-function --read-units 200

  The same for any other sink, with the stream held back meanwhile:
    lambda-streams backfill --table orders --function orders-function --pause-mapping

  Through the stream itself, for a write an item; whatever reads the stream gets the items:
    lambda-streams backfill --table orders --touch backfilled_at --write-units 100

  An export, from the bucket or copied here, to a program on this machine:
    lambda-streams backfill --export s3://bucket/prefix/AWSDynamoDB/01693685827463-2d8752fd --function orders-function
    lambda-streams backfill --export export --bootstrap target/lambda/orders/bootstrap

Handlers that count
  A backfill is a new insert of every item, whether the stream has brought the item before or not: a handler that counts, adds up
  or sends mail does so again. Empty its sink first, or use a sink to which an item that it has means nothing new. With --touch
  every item comes as a new change.

Which items may be sent late
  An item is read first and sent afterwards. When it is changed or removed in between, the stream may bring the change to the
  function before the backfill brings the item as it was: the older image lies on top of the newer one, and a removed item is
  back, until the item changes again. The time in between is as long as a page of the table takes to be sent; of an export it
  is all the time since the export. Three ways prevent that:
    a sink that refuses it   creates only (attribute_not_exists), or compares a version that the item itself has (as an external
                             version; an item without one counts as version 0). A removed item needs a mark in the sink
    --pause-mapping          what the stream has not brought yet waits, and comes after the backfill. The items are read after the
                             pause has begun, so that the last change that comes of an item leaves it as the table has it. The
                             items of an export were read earlier: what was processed between the export and the pause is
                             overwritten, so an export needs another way as well
    --touch ATTRIBUTE        the stream itself carries the item as it is then, in the order of its own changes
  --compare-with-table and --skip-changed-since look before the act, so they make the time shorter and do not close it.
  Marks of items compare sequence numbers of the stream. A backfill's records have none, so that --stale has no meaning here.

The journal keeps how far each segment or file is done, and the keys of items that failed. The same command goes on where an
earlier run has stopped, and tries again what has failed (which needs dynamodb:BatchGetItem). What was done of a page that the run
did not finish is done again: usually up to 1,000 items of each segment, or 500 lines of a file. A run that leaves nothing removes
the journal: the same command begins anew and sends every item again, such as to a sink that was emptied since.
Ctrl-C waits for the invocations in flight; a second one stops at once.";

/// Send the items of a table, or of its export to S3, to a function, as INSERT records.
///
/// For items that were there before the function was, or that its sink has lost. The records are those of the stream, without a
/// sequence number, in a stream's event with a member that functions of this crate understand and others ignore. A table is
/// scanned in parallel with consistent reads. Of an export, full or incremental, the records are INSERT, MODIFY or REMOVE as its
/// images say; where an incremental export has no old images, a MODIFY cannot be told from an INSERT and is sent as one.
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
    /// Scan this table, by name or ARN; of an export, the table that it is of. Needs dynamodb:DescribeTable and dynamodb:Scan
    #[arg(long, value_name = "TABLE")]
    pub(crate) table: Option<String>,
    /// An export of a table in DynamoDB JSON: a folder, or s3://bucket/prefix
    #[arg(long, value_name = "DIR|S3_URL")]
    pub(crate) export: Option<String>,
    /// A key attribute of the export's items, where the table cannot be described; give it twice for a partition and a sort key
    #[arg(long, value_name = "ATTRIBUTE", action = ArgAction::Append, requires = "export")]
    pub(crate) key: Vec<String>,
    /// Parts of the table that are read at the same time
    #[arg(long, value_name = "SEGMENTS", default_value = "4", value_parser = clap::value_parser!(u32).range(1..=i64::from(super::scan::MOST_SEGMENTS)))]
    pub(crate) segments: u32,
    /// Scan with at most so many units a second; one reads 4 KB [default: as fast as the items are sent]
    #[arg(long, value_name = "UNITS", conflicts_with = "export")]
    pub(crate) read_units: Option<NonZeroU32>,
    /// Rewrite each item instead of sending it, so that the stream brings it: this attribute is set to the time. Nothing else of the
    /// item changes; an item that is gone, or whose attribute somebody has written since it was read, is left alone. Name an
    /// attribute that nothing else writes. Needs dynamodb:UpdateItem
    #[arg(long, value_name = "ATTRIBUTE", conflicts_with_all = ["export", "function", "bootstrap", "pause_mapping",
        "compare_with_table", "skip_changed_since", "batch_size"])]
    pub(crate) touch: Option<String>,
    /// Write at most so many units a second; one writes 1 KB [default: 32 writes at a time]
    #[arg(long, value_name = "UNITS", requires = "touch")]
    pub(crate) write_units: Option<NonZeroU32>,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Checks before the act")]
pub(crate) struct CheckArgs {
    /// Read each item again just before it is sent, and leave out what is not as it was read: the stream brings that. It can still
    /// change until it is sent. Needs dynamodb:BatchGetItem
    #[arg(long)]
    pub(crate) compare_with_table: bool,
    /// Read the stream from this time on, such as 2026-01-01T00:00:00Z, before anything is sent, and leave out the items that
    /// occur in it: the stream brings those. Later changes are not seen. A stream keeps 24 hours
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
                "--stale compares sequence numbers with the marks of items, and a backfill's records have none: use a sink that \
                 creates only or compares versions, --pause-mapping or --touch (see --help)",
            ));
        }
        if self.items.table.is_none() && self.items.export.is_none() {
            return Err(Failure::not_begun("say where the items come from: --table or --export"));
        }
        if self.pause.mapping.is_some() && !self.pause.pause_mapping {
            return Err(Failure::not_begun("--mapping names the mapping that --pause-mapping disables: say both"));
        }
        let has_function = self.function.function.is_some() || self.function.bootstrap.is_some();
        if !has_function && self.items.touch.is_none() {
            return Err(Failure::not_begun("say which function is invoked: --bootstrap or --function; or use --touch"));
        }
        Ok(())
    }
}

fn time(text: &str) -> Result<std::time::SystemTime, String> {
    let time =
        humantime::parse_rfc3339(text).map_err(|_| "a time is wanted, such as 2026-01-01T00:00:00Z".to_owned())?;
    if time > std::time::SystemTime::now() { Err("it is in the future".to_owned()) } else { Ok(time) }
}
