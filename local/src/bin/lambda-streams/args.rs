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

  The settings, the stream and the timeout of what is deployed, the function from this machine:
    lambda-streams run --from-deployed orders-function --bootstrap target/lambda/orders/bootstrap

  Captured events, or a table's export, without any stream:
    lambda-streams run --events captured/*.json --bootstrap ./bootstrap
    gunzip -c export/*.json.gz |
      lambda-streams run --items - --key id --key timestamp --bootstrap ./bootstrap

The first Ctrl-C reads no more, waits for the invocations in flight and prints the summary; a second one stops \
at once. Unprocessed records stay in the stream. Progress goes to the standard error, the summary to the standard \
output; live on a terminal, one line for each event otherwise.";

/// Read a stream and invoke a function with its batches, as an event source mapping does.
///
/// Batching, order, retries, bisecting, partial batch responses, record age, filters and on-failure documents follow
/// AWS's documentation. Where AWS would lose records without a word, as by a filter that can never match, a warning is
/// printed and the exit code is 1.
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

    /// End when nothing was read and nothing was in flight for this long, and no aggregation window is open. Closed shards are
    /// read to their end; an open one does not say where its end is, so give a sparse stream more time. Files end by themselves
    #[arg(long, value_name = "SECONDS", value_parser = seconds, help_heading = "Output and end")]
    pub(crate) until_idle: Option<std::time::Duration>,
    /// Print lines, also on a terminal
    #[arg(long, help_heading = "Output and end")]
    pub(crate) plain: bool,
    /// Print nothing but warnings and the summary
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
    /// Files of events (`{"Records": […]}`), of records, or of a bucket's on-failure documents, one or many in each, as NDJSON;
    /// `-` is the standard input
    #[arg(long, value_name = "FILE", num_args = 1..)]
    pub(crate) events: Vec<PathBuf>,
    /// Files of items, as NDJSON: plain JSON, DynamoDB JSON, or a table's export. Each becomes an INSERT, or a MODIFY if its
    /// key came before; `-` is the standard input
    #[arg(long, value_name = "FILE", num_args = 1.., requires = "key")]
    pub(crate) items: Vec<PathBuf>,
    /// A key attribute of the items; give it twice for a partition and a sort key
    #[arg(long, value_name = "ATTRIBUTE", action = ArgAction::Append, requires = "items")]
    pub(crate) key: Vec<String>,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Event source mapping (AWS's names, ranges and defaults)")]
pub(crate) struct MappingArgs {
    /// Take the settings, the stream and the timeout from what is deployed of this function; flags override them
    #[arg(long, value_name = "FUNCTION")]
    pub(crate) from_deployed: Option<String>,
    /// The deployed mapping's id, where the function has several
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
    /// Concurrent invocations of one shard, 1 to 10; each item keeps its order [default: 1]
    #[arg(long, value_name = "INVOCATIONS")]
    pub(crate) parallelization_factor: Option<u32>,
    /// Halve a batch when the function fails
    #[arg(long, value_name = "BOOL", num_args = 0..=1, default_missing_value = "true")]
    pub(crate) bisect_batch_on_function_error: Option<bool>,
    /// How often a batch is tried again without progress, -1 (without limit) to 10000 [default: -1]
    #[arg(long, value_name = "TIMES", allow_negative_numbers = true)]
    pub(crate) maximum_retry_attempts: Option<i32>,
    /// How old a record may become, -1 (without limit) or 60 to 604800. Of records from files it counts from when they are
    /// read [default: -1]
    #[arg(long, value_name = "SECONDS", allow_negative_numbers = true)]
    pub(crate) maximum_record_age: Option<i32>,
    /// Whether the mapping respects which records the function reports. AWS's own default is `false`; functions of this crate
    /// need `true` [default: true]
    #[arg(long, value_name = "BOOL", num_args = 0..=1, default_missing_value = "true")]
    pub(crate) report_batch_item_failures: Option<bool>,
    /// Keep only records that match this pattern, such as '{"eventName": ["REMOVE"]}'; up to five, of which one must match
    #[arg(long, value_name = "PATTERN", action = ArgAction::Append)]
    pub(crate) filter: Vec<String>,
    /// An aggregation window, 0 (none) to 900 [default: 0]
    #[arg(long, value_name = "SECONDS")]
    pub(crate) tumbling_window: Option<u32>,
    /// Append an on-failure document to this file for discarded records, with the records as for an S3 bucket
    #[arg(long, value_name = "FILE")]
    pub(crate) on_failure: Option<PathBuf>,
    /// Send on-failure documents where the deployed mapping does: to its bucket, queue or topic, with your credentials
    #[arg(long, requires = "from_deployed", conflicts_with = "on_failure")]
    pub(crate) on_failure_deployed: bool,
    /// Deal items to concurrent invocations at random, instead of by a hash: scrambles as much as AWS's promise allows
    #[arg(long)]
    pub(crate) scramble: bool,
    /// Let the halves of a bisected batch inherit its count of retries; AWS does not say whether it does
    #[arg(long)]
    pub(crate) halves_inherit_retries: bool,
    /// How long an aggregation window stays open after its end for late records, if no record comes; AWS says up to 120
    /// [default: 120]
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
    /// The program that Lambda would start, in any language; it is run under a Lambda Runtime API on loopback
    #[arg(long, value_name = "PROGRAM", conflicts_with = "function")]
    pub(crate) bootstrap: Option<PathBuf>,
    /// Arguments of the program, after `--`
    #[arg(last = true, value_name = "ARGUMENT", requires = "bootstrap")]
    pub(crate) arguments: Vec<std::ffi::OsString>,
    /// A deployed function, by name or ARN, through `Invoke`
    #[arg(long, value_name = "NAME")]
    pub(crate) function: Option<String>,
    /// The function's timeout [default: the deployed one's, else 30]
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    pub(crate) timeout: Option<std::time::Duration>,
    /// Set an environment variable of the program; it inherits yours
    #[arg(long, value_name = "NAME=VALUE", value_parser = variable, action = ArgAction::Append)]
    pub(crate) env: Vec<(String, String)>,
    /// Set the environment variables of this file, `NAME=VALUE` a line
    #[arg(long, value_name = "FILE")]
    pub(crate) env_file: Option<PathBuf>,
    /// What the program is told of its function's name
    #[arg(long, value_name = "NAME", default_value = "function")]
    pub(crate) function_name: String,
    /// What the program is told of its memory; nothing is limited
    #[arg(long, value_name = "MB", default_value_t = 1024)]
    pub(crate) memory: u32,
    /// Execution environments (processes) at once, like reserved concurrency: what exceeds it is throttled
    #[arg(long, value_name = "PROCESSES", default_value = "10")]
    pub(crate) max_environments: NonZeroUsize,
    /// Invocations at once in one environment, as on Lambda Managed Instances
    #[arg(long, value_name = "INVOCATIONS", default_value = "1")]
    pub(crate) environment_concurrency: NonZeroUsize,
    /// Append what the function writes to this file, line by line as it is, instead of printing it
    #[arg(long, value_name = "FILE")]
    pub(crate) function_log: Option<PathBuf>,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "AWS (as the AWS CLI: environment, profiles, SSO)")]
pub(crate) struct AwsArgs {
    /// The region
    #[arg(long)]
    pub(crate) region: Option<String>,
    /// The profile of ~/.aws/config
    #[arg(long)]
    pub(crate) profile: Option<String>,
    /// Another endpoint for all services, such as DynamoDB Local; also AWS_ENDPOINT_URL and AWS_ENDPOINT_URL_<SERVICE>.
    /// On loopback no credentials are needed
    #[arg(long, value_name = "URL", value_parser = url)]
    pub(crate) endpoint_url: Option<String>,
}

const INVOKE_EXAMPLES: &str = "\
Examples:
  lambda-streams invoke event.json --env DLQ_URL=https://… --bootstrap target/lambda/orders/bootstrap
  lambda-streams invoke - --bootstrap python3 -- function.py < event.json
  lambda-streams invoke event.json --function orders-function
  lambda-streams invoke on-failure-document.json --function orders-function

The exit code is 0 if Lambda would take the whole event as done, and 1 if it would deliver any of it again.";

/// Invoke a function once with an event from a file, and say what Lambda would do after its response.
///
/// The event is sent as it is. Of a bucket's on-failure document, and of a JSON string that holds an event, it is what is in
/// there. For a stream's event, the output says which records are done, which one is the checkpoint, what Lambda would do next,
/// and what the function logged of each record that failed.
#[derive(Debug, Args)]
#[command(after_long_help = INVOKE_EXAMPLES)]
pub(crate) struct InvokeArgs {
    /// The event, or a bucket's on-failure document; `-` is the standard input
    #[arg(value_name = "EVENT")]
    pub(crate) event: PathBuf,
    /// Whether the mapping respects which records the function reports
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

Nothing of an item is printed unless --record asks for it.";

/// Say what a dead letter or an on-failure document means: what failed, why, where the record is now, and how it comes back
///
/// Reads dead letters of this crate and on-failure documents of event source mappings, EventBridge pipes and asynchronous
/// invocations, one or many, also inside of what `aws sqs receive-message` prints, and of SQS events and SNS notifications. It
/// ends with the command that delivers the records again: one for all that one function gave up.
#[derive(Debug, Args)]
#[command(after_long_help = EXPLAIN_EXAMPLES)]
pub(crate) struct ExplainArgs {
    /// Files, or `s3://bucket/prefix` for the objects of a bucket; `-` is the standard input
    #[arg(value_name = "SOURCE", default_value = "-")]
    pub(crate) sources: Vec<PathBuf>,
    /// Print the record as well, with the item's data
    #[arg(long)]
    pub(crate) record: bool,
    #[command(flatten)]
    pub(crate) aws: AwsArgs,
}

pub(crate) fn seconds(text: &str) -> Result<std::time::Duration, String> {
    let seconds: f64 = text.parse().map_err(|_| "a number of seconds is wanted, such as 30 or 0.5".to_owned())?;
    let duration = std::time::Duration::try_from_secs_f64(seconds).ok();
    let duration = duration.filter(|duration| (1e-3..=1e6).contains(&duration.as_secs_f64()));
    duration.ok_or_else(|| "it must be between a millisecond and a million seconds".to_owned())
}

fn seconds_or_none(text: &str) -> Result<std::time::Duration, String> {
    if text.parse() == Ok(0.0) { Ok(std::time::Duration::ZERO) } else { seconds(text) }
}

fn variable(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err("NAME=VALUE is wanted".to_owned()),
    }
}

fn url(text: &str) -> Result<String, String> {
    let rest = text.strip_prefix("http://").or_else(|| text.strip_prefix("https://"));
    match rest {
        Some(rest) if !rest.is_empty() && !rest.starts_with('/') => Ok(text.to_owned()),
        _ => Err("a URL is wanted, such as http://127.0.0.1:8000".to_owned()),
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
