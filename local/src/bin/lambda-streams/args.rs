//! The flags of `run`, `invoke` and `explain`, and those that all commands share.

use std::num::NonZeroUsize;
use std::path::PathBuf;

use clap::{ArgAction, Args, ValueEnum};

const RUN_EXAMPLES: &str = "\
Examples:
  A table's stream on AWS, a Rust function built with `cargo lambda build`, until Ctrl-C:
    lambda-streams run --table orders --env DLQ_URL=https://… \\
      --bootstrap target/lambda/orders/bootstrap

  A local emulator, a function in Python, everything that is in the stream now:
    lambda-streams run --endpoint-url http://127.0.0.1:8000 --table orders --until-idle 2 \\
      --bootstrap python3 -- function.py

  The settings, the stream and the timeout of a deployed function, with a program on this machine:
    lambda-streams run --from-deployed orders-function --bootstrap target/lambda/orders/bootstrap

  Captured events, or the items of an export, without a stream:
    lambda-streams run --events captured/*.json --bootstrap ./bootstrap
    gunzip -c export/*.json.gz |
      lambda-streams run --items - --key id --key timestamp --bootstrap ./bootstrap

The first Ctrl-C stops reading, waits for the invocations in flight and prints the summary. A second Ctrl-C stops \
at once. Unprocessed records stay in the stream.

Progress goes to standard error: a live display on a terminal, otherwise one line per event. The summary goes to \
standard output.";

/// Read a stream and invoke a function with its batches, as an event source mapping does.
///
/// Batching, order, retries, bisecting, partial batch responses, record age, filters and on-failure documents follow
/// AWS's documentation. Where AWS would lose records silently, such as by a filter that can never match, the command
/// prints a warning and exits with code 1.
#[derive(Debug, Args)]
#[command(after_long_help = RUN_EXAMPLES)]
pub(crate) struct RunArgs {
    #[command(flatten)]
    pub(crate) source: SourceArgs,
    #[command(flatten)]
    pub(crate) mapping: MappingArgs,
    #[command(flatten)]
    pub(crate) function: FunctionArgs,
    #[command(flatten)]
    pub(crate) aws: AwsArgs,

    /// Stop once nothing was read and nothing was in flight for this long, and no aggregation window is open. An open shard
    /// does not say where its end is: allow more time for a sparse stream. Closed shards and files are always read to
    /// their end
    #[arg(long, value_name = "SECONDS", value_parser = seconds, help_heading = "Output and end")]
    pub(crate) until_idle: Option<std::time::Duration>,
    /// Print lines instead of the live display on a terminal
    #[arg(long, help_heading = "Output and end")]
    pub(crate) plain: bool,
    /// Print only warnings and the summary
    #[arg(long, short, help_heading = "Output and end")]
    pub(crate) quiet: bool,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Where the records come from (one of)")]
pub(crate) struct SourceArgs {
    /// The stream of this table
    #[arg(long, value_name = "NAME", conflicts_with_all = ["stream", "events", "items"])]
    pub(crate) table: Option<String>,
    /// The stream with this ARN
    #[arg(long, value_name = "ARN", conflicts_with_all = ["events", "items"])]
    pub(crate) stream: Option<String>,
    /// Files of events (`{"Records": […]}`), of single records, or of on-failure documents from a bucket: one value or many,
    /// as NDJSON. `-` is standard input
    #[arg(long, value_name = "FILE", num_args = 1..)]
    pub(crate) events: Vec<PathBuf>,
    /// Files of items, as NDJSON: plain JSON, DynamoDB JSON, or a table's export. Each item becomes an INSERT, or a MODIFY if
    /// its key occurred before. `-` is standard input
    #[arg(long, value_name = "FILE", num_args = 1.., requires = "key")]
    pub(crate) items: Vec<PathBuf>,
    /// A key attribute of the items. Give it twice for a partition key and a sort key
    #[arg(long, value_name = "ATTRIBUTE", action = ArgAction::Append, requires = "items")]
    pub(crate) key: Vec<String>,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Event source mapping (AWS's names, ranges and defaults)")]
pub(crate) struct MappingArgs {
    /// Take the settings, the stream and the timeout of this deployed function. Flags override them
    #[arg(long, value_name = "FUNCTION")]
    pub(crate) from_deployed: Option<String>,
    /// The id of the deployed mapping, if the function has several
    #[arg(long, value_name = "UUID", requires = "from_deployed")]
    pub(crate) mapping: Option<String>,
    /// Records in one invocation, 1 to 10000 [default: 100]
    #[arg(long, value_name = "RECORDS")]
    pub(crate) batch_size: Option<u32>,
    /// How long a batch waits to become full, 0 to 300 [default: 0]
    #[arg(long, value_name = "SECONDS")]
    pub(crate) maximum_batching_window: Option<u32>,
    /// Where to begin in the shards that exist now [default: trim-horizon]
    #[arg(long)]
    pub(crate) starting_position: Option<StartingPosition>,
    /// Concurrent invocations per shard, 1 to 10. Each item keeps its order [default: 1]
    #[arg(long, value_name = "INVOCATIONS")]
    pub(crate) parallelization_factor: Option<u32>,
    /// Halve a batch when the function fails
    #[arg(long, value_name = "BOOL", num_args = 0..=1, default_missing_value = "true")]
    pub(crate) bisect_batch_on_function_error: Option<bool>,
    /// Retries of a batch without progress, 0 to 10000, or -1 for no limit [default: -1]
    #[arg(long, value_name = "TIMES", allow_negative_numbers = true)]
    pub(crate) maximum_retry_attempts: Option<i32>,
    /// The age at which records are discarded, 60 to 604800, or -1 for no limit. The age of records from files is counted
    /// from when they are read [default: -1]
    #[arg(long, value_name = "SECONDS", allow_negative_numbers = true)]
    pub(crate) maximum_record_age: Option<i32>,
    /// Deliver again only from the first record that the function reports as failed. AWS's default is `false`; functions
    /// of lambda-streams need `true` [default: true]
    #[arg(long, value_name = "BOOL", num_args = 0..=1, default_missing_value = "true")]
    pub(crate) report_batch_item_failures: Option<bool>,
    /// Keep only records that match this pattern, such as '{"eventName": ["REMOVE"]}'. Give it up to five times: a record is
    /// kept if it matches any of them
    #[arg(long, value_name = "PATTERN", action = ArgAction::Append)]
    pub(crate) filter: Vec<String>,
    /// The length of an aggregation window, up to 900, or 0 for none [default: 0]
    #[arg(long, value_name = "SECONDS")]
    pub(crate) tumbling_window: Option<u32>,
    /// Append an on-failure document to this file for each discarded batch, with its records, as an S3 bucket would get it
    #[arg(long, value_name = "FILE")]
    pub(crate) on_failure: Option<PathBuf>,
    /// Send on-failure documents to the bucket, queue or topic of the deployed mapping, with your credentials
    #[arg(long, requires = "from_deployed", conflicts_with = "on_failure")]
    pub(crate) on_failure_deployed: bool,
    /// Assign items to concurrent invocations at random instead of by a hash. This mixes items as much as AWS's
    /// guarantees allow
    #[arg(long)]
    pub(crate) scramble: bool,
    /// Count the retries of a bisected batch for its halves too. AWS does not document whether it does
    #[arg(long)]
    pub(crate) halves_inherit_retries: bool,
    /// How long an aggregation window stays open after its end for late records, if no record arrives. AWS documents up to
    /// 120 [default: 120]
    #[arg(long, value_name = "SECONDS", value_parser = seconds_or_none)]
    pub(crate) window_grace: Option<std::time::Duration>,
    /// The longest delay before a retry [default: 60]
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    pub(crate) retry_max_delay: Option<std::time::Duration>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum StartingPosition {
    TrimHorizon,
    Latest,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Function (one of --bootstrap and --function)")]
pub(crate) struct FunctionArgs {
    /// The program that Lambda would start, in any language. It runs against a Lambda Runtime API on this machine
    #[arg(long, value_name = "PROGRAM", conflicts_with = "function")]
    pub(crate) bootstrap: Option<PathBuf>,
    /// Arguments of the program, after `--`
    #[arg(last = true, value_name = "ARGUMENT", requires = "bootstrap")]
    pub(crate) arguments: Vec<std::ffi::OsString>,
    /// A deployed function, by name or ARN, called through `Invoke`
    #[arg(long, value_name = "NAME")]
    pub(crate) function: Option<String>,
    /// The function's timeout [default: that of the deployed function, otherwise 30]
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    pub(crate) timeout: Option<std::time::Duration>,
    /// Set an environment variable of the program. It inherits those of this shell. Give it once per variable
    #[arg(long, value_name = "NAME=VALUE", value_parser = variable, action = ArgAction::Append)]
    pub(crate) env: Vec<(String, String)>,
    /// Set the environment variables in this file, one `NAME=VALUE` per line
    #[arg(long, value_name = "FILE")]
    pub(crate) env_file: Option<PathBuf>,
    /// The function name that the program is told
    #[arg(long, value_name = "NAME", default_value = "function")]
    pub(crate) function_name: String,
    /// The memory size that the program is told. It is not enforced
    #[arg(long, value_name = "MB", default_value_t = 1024)]
    pub(crate) memory: u32,
    /// Execution environments (processes) at a time, like reserved concurrency: further invocations are throttled
    #[arg(long, value_name = "PROCESSES", default_value = "10")]
    pub(crate) max_environments: NonZeroUsize,
    /// Concurrent invocations in one environment, as on Lambda Managed Instances
    #[arg(long, value_name = "INVOCATIONS", default_value = "1")]
    pub(crate) environment_concurrency: NonZeroUsize,
    /// Append the function's output to this file, unchanged, instead of printing it
    #[arg(long, value_name = "FILE")]
    pub(crate) function_log: Option<PathBuf>,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "AWS (configured like the AWS CLI: environment, profiles, SSO)")]
pub(crate) struct AwsArgs {
    /// The AWS region
    #[arg(long)]
    pub(crate) region: Option<String>,
    /// The profile in ~/.aws/config
    #[arg(long)]
    pub(crate) profile: Option<String>,
    /// Another endpoint for all services, such as DynamoDB Local. AWS_ENDPOINT_URL and AWS_ENDPOINT_URL_<SERVICE> work too.
    /// An endpoint on this machine needs no credentials
    #[arg(long, value_name = "URL", value_parser = url)]
    pub(crate) endpoint_url: Option<String>,
}

const INVOKE_EXAMPLES: &str = "\
Examples:
  lambda-streams invoke event.json --env DLQ_URL=https://… \\
    --bootstrap target/lambda/orders/bootstrap
  lambda-streams invoke - --bootstrap python3 -- function.py < event.json
  lambda-streams invoke event.json --function orders-function
  lambda-streams invoke on-failure-document.json --function orders-function

The exit code is 0 if Lambda would take the whole event as done, 1 if it would deliver any of it again, and 2 if \
the function was not invoked.";

/// Invoke a function once with an event from a file, and say what Lambda would do after its response.
///
/// The event is sent as it is; an event inside an on-failure document or a JSON string is unwrapped first. For a stream event,
/// the output says which records are done, which one is the checkpoint, what Lambda would do next, and what the function
/// logged about each failed record.
#[derive(Debug, Args)]
#[command(after_long_help = INVOKE_EXAMPLES)]
pub(crate) struct InvokeArgs {
    /// The event, or an on-failure document from a bucket. `-` is standard input
    #[arg(value_name = "EVENT")]
    pub(crate) event: PathBuf,
    /// Whether Lambda would deliver again only from the first record that the function reports as failed
    #[arg(long, value_name = "BOOL", default_value_t = true, num_args = 0..=1, default_missing_value = "true", action = ArgAction::Set)]
    pub(crate) report_batch_item_failures: bool,
    #[command(flatten)]
    pub(crate) function: FunctionArgs,
    #[command(flatten)]
    pub(crate) aws: AwsArgs,
}

const EXPLAIN_EXAMPLES: &str = "\
Examples:
  lambda-streams explain dead-letters.ndjson discarded/*.json
  aws sqs receive-message --queue-url https://… | lambda-streams explain
  lambda-streams explain s3://bucket/aws/lambda/…/2026-01-01T00.00.00-…

No item data is printed without --record.";

/// Say what a dead letter or an on-failure document means: what failed, why, where the record is now, and how to send it again
///
/// Reads dead letters of lambda-streams, and on-failure documents of event source mappings, EventBridge pipes and
/// asynchronous invocations: one or many, also inside the output of `aws sqs receive-message`, SQS events and SNS
/// notifications. The output ends with the command that delivers the records again, one for each function that gave records up.
#[derive(Debug, Args)]
#[command(after_long_help = EXPLAIN_EXAMPLES)]
pub(crate) struct ExplainArgs {
    /// Files, or `s3://bucket/prefix` for the objects in a bucket. `-` is standard input
    #[arg(value_name = "SOURCE", default_value = "-")]
    pub(crate) sources: Vec<PathBuf>,
    /// Also print the record, with the item's data
    #[arg(long)]
    pub(crate) record: bool,
    #[command(flatten)]
    pub(crate) aws: AwsArgs,
}

pub(crate) fn seconds(text: &str) -> Result<std::time::Duration, String> {
    let seconds: f64 = text.parse().map_err(|_| "expected a number of seconds, such as 30 or 0.5".to_owned())?;
    let duration = std::time::Duration::try_from_secs_f64(seconds).ok();
    let duration = duration.filter(|duration| (1e-3..=1e6).contains(&duration.as_secs_f64()));
    duration.ok_or_else(|| "expected between 0.001 and 1000000 seconds".to_owned())
}

fn seconds_or_none(text: &str) -> Result<std::time::Duration, String> {
    if text.parse() == Ok(0.0) { Ok(std::time::Duration::ZERO) } else { seconds(text) }
}

fn variable(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err("expected NAME=VALUE".to_owned()),
    }
}

fn url(text: &str) -> Result<String, String> {
    let rest = text.strip_prefix("http://").or_else(|| text.strip_prefix("https://"));
    match rest {
        Some(rest) if !rest.is_empty() && !rest.starts_with('/') => Ok(text.to_owned()),
        _ => Err("expected a URL, such as http://127.0.0.1:8000".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_with_a_value_say_what_they_want() {
        assert_eq!(seconds("0.5"), Ok(std::time::Duration::from_millis(500)));
        for wrong in ["soon", "-1", "0", "1e9", "NaN"] {
            assert!(seconds(wrong).is_err(), "{wrong}");
        }
        assert_eq!(variable("A=b=c"), Ok(("A".to_owned(), "b=c".to_owned())));
        assert!(variable("A").is_err() && variable("=b").is_err());
        assert!(url("http://127.0.0.1:8000").is_ok());
        assert!(url("127.0.0.1:8000").is_err() && url("http:///x").is_err());
    }
}
