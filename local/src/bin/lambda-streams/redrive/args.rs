//! The command line of `redrive`.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use crate::args::{AwsArgs, FunctionArgs};
use crate::sending::SendingArgs;

const EXAMPLES: &str = "\
Examples:
  List what would be sent, and why each letter was given up:
    lambda-streams redrive --queue dead-letters --dry-run

  After the fix is deployed: send the letters in a queue to the function that wrote them:
    lambda-streams redrive --function orders \\
      --queue https://sqs.eu-central-1.amazonaws.com/123456789012/dead-letters

  Send letters in files to a program on this machine:
    lambda-streams redrive dead-letters.ndjson --bootstrap target/lambda/orders/bootstrap
    aws sqs receive-message --queue-url https://… | lambda-streams redrive - --bootstrap ./bootstrap

A message is deleted only after the function's answer says that it is done. All other messages become visible again \
when the run ends. The first Ctrl-C waits for the invocations in flight, then ends the run. After a second Ctrl-C, or if the \
program is killed, the messages become visible once --visibility has passed.

Do not redrive a queue with two runs at the same time. Each run receives different messages, so the letters of one item \
may be split between the runs and lose their order.

If the queue has a dead-letter queue of its own, each run counts as one receive towards its maxReceiveCount, including a \
run with --dry-run.

After a letter that failed, the later letters of the same item are held back: they are not sent in this run, so the \
item keeps its order. Several letters of one record, as failed replays leave them, are sent once. All of them are deleted \
if the record is done, and stay if it is not.

The exit code is 0 if all letters are done, 1 if any is left, and 2 if nothing was started.";

/// Send dead letters to a function again, and delete those that are done.
///
/// The letters of an item are sent in the order of their sequence numbers, one invocation at a time. To sort them, the run
/// receives up to 10,000 messages before it sends the first one, and hides them from other consumers; then it takes the next
/// 10,000. A message that is not a dead letter is reported and stays in the queue. Files are never changed: a journal keeps
/// what is done.
#[derive(Debug, Args)]
#[command(after_long_help = EXAMPLES)]
pub(crate) struct RedriveArgs {
    /// Files of dead letters instead of a queue: as a `FileDeadLetterQueue` writes them, as `aws sqs receive-message` prints
    /// them, or as SQS events. `-` is standard input
    #[arg(value_name = "FILE", conflicts_with = "queue")]
    pub(crate) files: Vec<PathBuf>,
    /// The queue of dead letters, by URL, ARN or name
    #[arg(long, value_name = "URL|ARN|NAME")]
    pub(crate) queue: Option<String>,
    /// How long received messages are hidden from other consumers, 5 to 43200. The run extends it for as long as it needs them
    #[arg(long, value_name = "SECONDS", default_value = "900", value_parser = clap::value_parser!(u64).range(5..=43_200))]
    visibility: u64,
    /// Also send letters that a function other than --function wrote
    #[arg(long)]
    pub(crate) any_function: bool,
    #[command(flatten)]
    pub(crate) sending: SendingArgs,
    #[command(flatten)]
    pub(crate) function: FunctionArgs,
    #[command(flatten)]
    pub(crate) aws: AwsArgs,
}

impl RedriveArgs {
    pub(crate) fn visibility(&self) -> Duration {
        Duration::from_secs(self.visibility)
    }
}
