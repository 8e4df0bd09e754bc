//! `redrive`: dead letters, out of a queue or of files, to the function again.

mod args;
mod copies;
mod files;
mod hold;
mod letter;
mod listing;
mod queue;
mod report;
mod round;
mod run;

use std::collections::HashMap;
use std::num::NonZeroUsize;
use std::process::ExitCode;

use crate::deliver::Delivered;
use crate::failure::Failure;
use crate::function::AnyFunction;
use crate::sending::{Tally, Target, print_log_group};
use crate::signals::Signals;

pub(crate) use self::args::RedriveArgs;

use self::letter::Letter;

/// Letters in one invocation, where no flag says it: what a queue's event source mapping sends.
const BATCH_SIZE: NonZeroUsize = NonZeroUsize::new(10).expect("it is not 0");
const WHAT: &str = "dead letter";

pub(crate) async fn redrive(args: RedriveArgs) -> Result<ExitCode, Failure> {
    let signals = Signals::listen()?;
    match &args.queue {
        Some(_) if args.sending.journal.is_some() => Err(Failure::not_begun(
            "--journal is only for files: messages that are done are deleted from the queue, so it needs no journal",
        )),
        Some(queue) => queue::redrive(&args, queue, &signals).await,
        None if args.files.is_empty() => {
            Err(Failure::not_begun("say where the dead letters are: use --queue, or name files"))
        }
        None => files::redrive(&args, &signals).await,
    }
}

/// The function whose letters alone are sent: a deployed one, unless `--any-function` asks for all. A program on this
/// machine has an ARN that is
/// made up.
fn only_of(args: &RedriveArgs) -> Option<&str> {
    args.function.function.as_deref().filter(|_| !args.any_function)
}

/// Names the failed letters by their records, and says why each failed as far as the function has written it.
fn tell_failures(tally: &mut Tally, target: &Target, letters: &HashMap<String, Letter>) {
    for (name, reason) in &mut tally.failed {
        let Some(letter) = letters.get(name) else { continue };
        match letter.names().find_map(|name| target.why(name)) {
            Some(why) => *reason = why,
            // A deployed function's log is elsewhere, and the letter itself has at least the kind.
            None => *reason = format!("{reason}; it was given up for: {}", letter.error_kind.as_str()),
        }
        *name = letter.name();
    }
}

/// What to do about what is left.
fn again(tally: &Tally, delivered: &Delivered) -> &'static str {
    let has_cause = !tally.failed.is_empty() || delivered.broken.is_some();
    if has_cause { "run it again when the cause is fixed" } else { "run it again to continue" }
}

/// Prints what the failures mean.
fn print_hints(tally: &Tally, broken: Option<&str>, target: &Target) {
    let reasons: Vec<&str> = tally.failed.iter().map(|(_, reason)| reason.as_str()).chain(broken).collect();
    if !reasons.is_empty() {
        report::print_hints(&reasons, matches!(target.function, AnyFunction::Deployed(_)));
    }
    print_log_group(target, tally, broken);
}
