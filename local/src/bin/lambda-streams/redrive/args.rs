//! The command line of `redrive`.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use crate::args::{AwsArgs, FunctionArgs};
use crate::sending::SendingArgs;

const EXAMPLES: &str = "\
Examples:
  What would be sent, and why each letter was given up:
    lambda-streams redrive --queue dead-letters --dry-run

  After the fix is deployed: the letters of a queue, to the function whose processor wrote them:
    lambda-streams redrive --function orders \\
      --queue https://sqs.eu-central-1.amazonaws.com/123456789012/dead-letters

  Letters that were kept in files, to a program on this machine:
    lambda-streams redrive dead-letters.ndjson --bootstrap target/lambda/orders/bootstrap
    aws sqs receive-message --queue-url https://… | lambda-streams redrive - --bootstrap ./bootstrap

A message is deleted after the function's answer says that it is done, and not before. All others become visible \
again at the end, also after Ctrl-C, which waits for the invocations in flight. After a second Ctrl-C, or when the program is \
killed, they become visible when --visibility is over. A second run at the same time gets other messages, but the letters of \
an item may then be split between the two, and lose their order.

A receive counts towards the maxReceiveCount of a queue that has a dead-letter queue of its own; so does that of --dry-run.

A letter that follows a failed one of the same item is held back: it is not sent, so that the item keeps its order. \
Copies of one record, as failed replays leave them, are sent once: all go when it is done, and stay when it is not.

The exit code is 0 if all letters are done, 1 if any is left, and 2 if nothing was begun.";

/// Send dead letters to a function again, and delete those that are done.
///
/// The letters of an item are sent in the order of their sequence numbers, one invocation at a time. For that, up to 10,000
/// messages are received before the first is sent, and hidden from others meanwhile; then the next 10,000. A message that is
/// not a dead letter is left where it is, and told. A file is never changed: what is done of it is kept in a journal.
#[derive(Debug, Args)]
#[command(after_long_help = EXAMPLES)]
pub(crate) struct RedriveArgs {
    /// Files of dead letters instead of a queue: as a `FileDeadLetterQueue` writes them, as `aws sqs receive-message` prints
    /// them, or as SQS events; `-` is the standard input
    #[arg(value_name = "FILE", conflicts_with = "queue")]
    pub(crate) files: Vec<PathBuf>,
    /// The queue that has the dead letters: its URL, its ARN or its name
    #[arg(long, value_name = "URL|ARN|NAME")]
    pub(crate) queue: Option<String>,
    /// How long received messages are hidden from others, 5 to 43200; it is extended while they are held
    #[arg(long, value_name = "SECONDS", default_value = "900", value_parser = clap::value_parser!(u64).range(5..=43_200))]
    visibility: u64,
    /// Send also the letters that another function wrote than the one of --function
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
