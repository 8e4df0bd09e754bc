//! The command line of `replay`.

use std::time::{Duration, SystemTime};

use clap::Args;

use crate::args::{AwsArgs, FunctionArgs};
use crate::deliver::Stale;
use crate::mapping::PauseArgs;
use crate::sending::SendingArgs;

const EXAMPLES: &str = "\
Examples:
  What a bucket got of discarded batches, first looked at, then replayed; each document is deleted once its records are done:
    lambda-streams replay s3://bucket/aws/lambda/ --function orders-function --dry-run
    lambda-streams replay s3://bucket/aws/lambda/ --function orders-function

  The documents of a queue, which have the place of the records alone: they are read back from the stream:
    lambda-streams replay --function orders-function \\
      --queue https://sqs.eu-central-1.amazonaws.com/123456789012/failed

  Files, or the standard input, on a function that runs on this machine:
    lambda-streams replay discarded/*.json --bootstrap target/lambda/orders/bootstrap

  An hour of a table's stream, again; of items that have changed since, only what is current:
    lambda-streams replay --table orders --from 2026-01-31T08:00:00Z --until 2026-01-31T09:00:00Z \\
      --compare-with-table --function orders-function

What is replayed is late: newer changes of the same items may have been processed. Where an item has changed since, a terminal is asked \
what to do; a script has to say --stale or --compare-with-table.

A run that was interrupted, or in which records failed, is continued by the same command. The exit code is 0 if all records are done, 1 if any \
failed or is left, 2 if nothing was begun.";

/// Send what was discarded, or a stretch of the stream, to a function again.
///
/// The documents are those that an event source mapping writes when it gives up on a batch: a bucket's have the records; those of a queue, a
/// topic or an EventBridge pipe have the place of the records in the stream, which keeps them for 24 hours. The function is invoked until its answer
/// says that they are done. The records of an item are sent in order, with one invocation at a time for each item.
#[derive(Debug, Args)]
#[command(after_long_help = EXAMPLES)]
pub(crate) struct ReplayArgs {
    /// Files of on-failure documents, `s3://bucket/prefix`, or `-` for the standard input
    #[arg(value_name = "SOURCE", conflicts_with_all = ["queue", "stream", "table"])]
    pub(crate) sources: Vec<String>,
    /// The queue of on-failure documents, by its URL, its ARN or its name
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
    /// The first time of creation that is replayed, as in 2026-01-31T08:00:00Z, or how long ago: 90m
    #[arg(long, value_name = "TIME", value_parser = time)]
    pub(crate) from: Option<SystemTime>,
    /// The last one; DynamoDB notes it to the second, and the second is included [default: now]
    #[arg(long, value_name = "TIME", value_parser = time, requires = "from")]
    pub(crate) until: Option<SystemTime>,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Items that have changed since")]
pub(crate) struct LateArgs {
    /// What the function does with records that are older than what was applied to their items, according to its marks. Without marks, `process`
    /// sends everything without a question
    #[arg(long)]
    pub(crate) stale: Option<Stale>,
    /// Look each item up in the table just before its record is sent, and skip images that are no longer current. This is a check before the act: an
    /// item can change between the two. Needs dynamodb:BatchGetItem
    #[arg(long, conflicts_with = "stale")]
    pub(crate) compare_with_table: bool,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Reading from the stream, and documents")]
pub(crate) struct RangeArgs {
    /// Send all records between the first and the last one of a batch, also where that are more than the batch had
    #[arg(long)]
    pub(crate) all: bool,
    /// Keep only records that match this pattern [default: the filters of the deployed event source mapping, as they are now]
    #[arg(long, value_name = "PATTERN")]
    pub(crate) filter: Vec<String>,
    /// How long an open shard is given for its next record before it counts as read to its end
    #[arg(long, value_name = "SECONDS", default_value = "10", value_parser = crate::args::seconds)]
    pub(crate) until_idle: Duration,
    /// Keep the documents in their bucket or queue, also when all of their records are done
    #[arg(long)]
    pub(crate) keep: bool,
    /// Send also what earlier runs of the same work have done, according to the journal
    #[arg(long)]
    pub(crate) again: bool,
    /// Also replay documents of other functions than the one that is invoked
    #[arg(long)]
    pub(crate) any_function: bool,
}

/// A time, or how long ago it was.
fn time(text: &str) -> Result<SystemTime, String> {
    if let Ok(ago) = humantime::parse_duration(text) {
        return SystemTime::now().checked_sub(ago).ok_or_else(|| "it is before all times".to_owned());
    }
    humantime::parse_rfc3339_weak(text)
        .map_err(|_| "a time in UTC is wanted, as in 2026-01-31T08:00:00Z, or how long ago: 90m".to_owned())
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
