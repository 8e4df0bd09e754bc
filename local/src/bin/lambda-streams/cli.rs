//! The command line: one command for each thing that the program does.

use clap::{Parser, Subcommand};

use crate::args::{ExplainArgs, InvokeArgs, RunArgs};
use crate::backfill::BackfillArgs;
use crate::redrive::RedriveArgs;
use crate::replay::args::ReplayArgs;

/// Runs Lambda functions that consume DynamoDB streams on your machine, as Lambda's event source mapping would.
///
/// Exit codes: 0 all is well; 1 something failed or was lost; 2 nothing was begun, because a flag is wrong or something is
/// missing or cannot be reached.
#[derive(Debug, Parser)]
#[command(name = "lambda-streams", version, max_term_width = 110)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Read a stream and invoke a function with its batches, as an event source mapping does
    Run(Box<RunArgs>),
    /// Invoke a function once with an event from a file, and say what Lambda would do after its response
    Invoke(Box<InvokeArgs>),
    /// Say what a dead letter or an on-failure document means: what failed, why, where the record is now, and how it comes back
    Explain(Box<ExplainArgs>),
    /// Send what was discarded, or a stretch of the stream, to a function again
    Replay(Box<ReplayArgs>),
    /// Send the items of a table, or of its export to S3, to a function, as INSERT records
    Backfill(Box<BackfillArgs>),
    /// Send dead letters to a function again, and delete those that are done
    Redrive(Box<RedriveArgs>),
}

#[cfg(test)]
mod tests {
    use clap::{CommandFactory, Parser};

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }
    #[test]
    fn a_replay_is_told_whose_filters_hold_without_pausing_the_mapping() {
        let words = ["lambda-streams", "replay", "document.json", "--function", "orders", "--mapping", "uuid"];
        let parsed = Cli::try_parse_from(words).map(|cli| match cli.command {
            Command::Replay(args) => (args.pause.mapping, args.pause.pause_mapping),
            other => panic!("{other:?}"),
        });
        assert_eq!(parsed.unwrap(), (Some("uuid".to_owned()), false));
    }
}
