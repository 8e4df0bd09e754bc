//! The command line: one command for each thing that the program does.

use clap::{Parser, Subcommand};

use crate::args::{ExplainArgs, InvokeArgs, RunArgs};
use crate::backfill::BackfillArgs;
use crate::redrive::RedriveArgs;
use crate::replay::args::ReplayArgs;

/// clap's own template, with the examples before the flags.
const EXAMPLES_FIRST: &str = "\
{before-help}{about-with-newline}
{usage-heading} {usage}{after-help}

{all-args}";

/// For Lambda functions on DynamoDB streams: brings back records that were given up, and runs functions on your machine.
///
/// After an incident: `explain` says what a dead letter or an on-failure document means. `redrive`, `replay` and `backfill`
/// send records to the function again. During development: `run` and `invoke` do what Lambda's event source mapping does.
///
/// Exit codes: 0: success. 1: something failed or was lost. 2: nothing was started, because a flag is wrong, or because
/// something does not exist or cannot be reached.
#[derive(Debug, Parser)]
#[command(name = "lambda-streams", version, max_term_width = 110, mut_subcommands(in_its_own_words))]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What is done first in an incident comes first; each command's own arguments have its description.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Explain(Box<ExplainArgs>),
    Redrive(Box<RedriveArgs>),
    Replay(Box<ReplayArgs>),
    Backfill(Box<BackfillArgs>),
    Run(Box<RunArgs>),
    Invoke(Box<InvokeArgs>),
}

const BATCH_SIZE: &str = "Records per invocation [default: 100]";
const BACKFILL_MAPPING: &str = "The id of the mapping that --pause-mapping disables, if the function has several for this stream or \
                                is not deployed";
const REDRIVE_JOURNAL: &str = "For letters in files: keep in this file what is done, so the same command can continue an \
                               interrupted run. A queue needs no journal [default: a file in ~/.local/state/lambda-streams, \
                               named by the command, the source and the function]";

/// Shared flags say what they mean for this command, and the examples come before the flags.
fn in_its_own_words(command: clap::Command) -> clap::Command {
    let command = command.help_template(EXAMPLES_FIRST);
    match command.get_name() {
        "redrive" => command
            .mut_arg("batch_size", |flag| flag.help("Dead letters per invocation [default: 10]"))
            .mut_arg("journal", |flag| flag.help(REDRIVE_JOURNAL)),
        "replay" => command.mut_arg("batch_size", |flag| flag.help(BATCH_SIZE)),
        "backfill" => command
            .mut_arg("batch_size", |flag| flag.help(BATCH_SIZE))
            .mut_arg("mapping", |flag| flag.help(BACKFILL_MAPPING)),
        "run" => command.mut_arg("function", |flag| {
            flag.help(
                "A deployed function, by name or ARN, called through `Invoke`. Disable its own event source mapping first",
            )
        }),
        _ => command,
    }
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
    fn a_replay_takes_the_mapping_of_its_filters_without_pausing_it() {
        let words = ["lambda-streams", "replay", "document.json", "--function", "orders", "--mapping", "uuid"];
        let parsed = Cli::try_parse_from(words).map(|cli| match cli.command {
            Command::Replay(args) => (args.pause.mapping, args.pause.pause_mapping),
            other => panic!("{other:?}"),
        });
        assert_eq!(parsed.unwrap(), (Some("uuid".to_owned()), false));
    }

    #[test]
    fn the_examples_come_before_the_flags_and_no_word_breaks() {
        let mut whole = Cli::command().term_width(100);
        whole.build();
        let names: Vec<String> = whole.get_subcommands().map(|command| command.get_name().to_owned()).collect();
        assert_eq!(names[..6], ["explain", "redrive", "replay", "backfill", "run", "invoke"]);
        for name in &names[..6] {
            let command = whole.find_subcommand_mut(name).expect("it has this name");
            let help = command.render_long_help().to_string();
            let places = ["Usage:", "Examples:", "--endpoint-url"].map(|part| help.find(part).expect(part));
            assert!(places.is_sorted(), "{help}");
            let wide = help.lines().find(|line| line.chars().count() > 100 && line.trim().contains(' '));
            assert_eq!(wide, None, "{name}");
        }
    }

    #[test]
    fn shared_flags_say_what_they_mean_for_the_command() {
        let mut whole = Cli::command();
        let mut help = |name: &str| {
            let help = whole.find_subcommand_mut(name).expect("it is there").render_long_help().to_string();
            help.split_whitespace().collect::<Vec<_>>().join(" ")
        };
        assert!(help("redrive").contains("Dead letters per invocation [default: 10]"));
        for name in ["replay", "backfill"] {
            assert!(help(name).contains("Records per invocation [default: 100]"), "{name}");
        }
        let note = "Disable its own event source mapping first";
        assert!(help("run").contains(note) && !help("redrive").contains(note));
    }
}
