//! The command line of `replay`.

use std::time::{Duration, SystemTime};

use clap::Args;

use crate::args::{AwsArgs, FunctionArgs};
use crate::deliver::Stale;
use crate::mapping::PauseArgs;
use crate::sending::SendingArgs;

const EXAMPLES: &str = "\
Examples:
  The discarded batches in a bucket: list them, then replay them. Each document is deleted once its records are done:
    lambda-streams replay s3://bucket/aws/lambda/ --function orders-function --dry-run
    lambda-streams replay s3://bucket/aws/lambda/ --function orders-function

  The documents in a queue. They only say where the records are, so the records are read from the stream again:
    lambda-streams replay --function orders-function \\
      --queue https://sqs.eu-central-1.amazonaws.com/123456789012/failed

  Documents in files, to a function on this machine:
    lambda-streams replay discarded/*.json --bootstrap target/lambda/orders/bootstrap

  An hour of a table's stream, without records of items that have changed since:
    lambda-streams replay --table orders --from 2026-01-31T08:00:00Z --until 2026-01-31T09:00:00Z \\
      --compare-with-table --function orders-function

Replayed records are late: newer changes of the same items may have been processed already. If an item has changed \
since, the command asks what to do, on a terminal. In a script, use --stale or --compare-with-table.

The same command continues a run that was interrupted, or in which records failed.

The exit code is 0 if all records are done, 1 if any failed or is left, and 2 if nothing was started.";

/// Send discarded batches, or a stretch of the stream, to a function again.
///
/// An event source mapping writes an on-failure document when it discards a batch. A document in a bucket holds the records. A
/// document from a queue, a topic or an EventBridge pipe only says where the records are in the stream, which keeps them for 24
/// hours. The function is invoked until its answer says that the records are done. The records of an item are sent in order, one
/// invocation at a time.
#[derive(Debug, Args)]
#[command(after_long_help = EXAMPLES)]
pub(crate) struct ReplayArgs {
    /// Files of on-failure documents, `s3://bucket/prefix`, or `-` for standard input
    #[arg(value_name = "SOURCE", conflicts_with_all = ["queue", "stream", "table"])]
    pub(crate) sources: Vec<String>,
    /// The queue of on-failure documents, by URL, ARN or name
    #[arg(long, value_name = "QUEUE", conflicts_with_all = ["stream", "table"])]
    pub(crate) queue: Option<String>,
    #[command(flatten)]
    pub(crate) stretch: StretchArgs,
    #[command(flatten)]
    pub(crate) late: LateArgs,
    #[command(flatten)]
    pub(crate) pause: PauseArgs,
    #[command(flatten)]
    pub(crate) range: RangeArgs,
    #[command(flatten)]
    pub(crate) sending: SendingArgs,
    #[command(flatten)]
    pub(crate) function: FunctionArgs,
    #[command(flatten)]
    pub(crate) aws: AwsArgs,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "A stretch of the stream")]
pub(crate) struct StretchArgs {
    /// The stream with this ARN
    #[arg(long, value_name = "ARN", requires = "from", conflicts_with = "table")]
    pub(crate) stream: Option<String>,
    /// The stream of this table
    #[arg(long, value_name = "NAME", requires = "from")]
    pub(crate) table: Option<String>,
    /// Replay changes made at this time or later, such as 2026-01-31T08:00:00Z, or 90m for 90 minutes ago
    #[arg(long, value_name = "TIME", value_parser = time)]
    pub(crate) from: Option<SystemTime>,
    /// Replay changes made at this time or earlier. DynamoDB records times to the second, and this second is included
    /// [default: now]
    #[arg(long, value_name = "TIME", value_parser = time, requires = "from")]
    pub(crate) until: Option<SystemTime>,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Items that have changed since")]
pub(crate) struct LateArgs {
    /// What the function does with stale records: those older than the last change that was applied to their items, according
    /// to the high-water marks that it keeps. If it keeps none, use `process`, which sends everything
    #[arg(long)]
    pub(crate) stale: Option<Stale>,
    /// Read each item from the table just before its record is sent, and skip the record if its image is no longer current.
    /// The item can still change between the check and the invocation. Needs dynamodb:BatchGetItem
    #[arg(long, conflicts_with = "stale")]
    pub(crate) compare_with_table: bool,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Records and documents")]
pub(crate) struct RangeArgs {
    /// Send all records from the first to the last one of a batch, even if the stream has more of them than the batch had
    #[arg(long)]
    pub(crate) all: bool,
    /// Send only records that match this pattern [default: the current filters of the deployed event source mapping]
    #[arg(long, value_name = "PATTERN")]
    pub(crate) filter: Vec<String>,
    /// An open shard counts as read to its end after this long without a record
    #[arg(long, value_name = "SECONDS", default_value = "10", value_parser = crate::args::seconds)]
    pub(crate) until_idle: Duration,
    /// Keep documents in their bucket or queue even when all of their records are done
    #[arg(long)]
    pub(crate) keep: bool,
    /// Also send records that an earlier run of this command has done, according to the journal
    #[arg(long)]
    pub(crate) again: bool,
    /// Also replay documents of functions other than the invoked one
    #[arg(long)]
    pub(crate) any_function: bool,
}

/// A time, or how long ago it was.
fn time(text: &str) -> Result<SystemTime, String> {
    if let Ok(ago) = humantime::parse_duration(text) {
        return SystemTime::now().checked_sub(ago).ok_or_else(|| "that is too long ago".to_owned());
    }
    humantime::parse_rfc3339_weak(text)
        .map_err(|_| "expected a time in UTC, such as 2026-01-31T08:00:00Z, or how long ago, such as 90m".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_absolute_or_ago() {
        assert_eq!(time("1970-01-01T00:01:00Z").unwrap(), SystemTime::UNIX_EPOCH + Duration::from_secs(60));
        let ago = SystemTime::now().duration_since(time("90m").unwrap()).unwrap();
        assert!((5_340..5_460).contains(&ago.as_secs()), "{ago:?}");
        for wrong in ["", "yesterday", "12:00"] {
            assert!(time(wrong).is_err(), "{wrong}");
        }
    }
}
