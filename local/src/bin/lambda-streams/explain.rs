//! `explain`: what a dead letter or an on-failure document means.

mod dead_letter;
mod found;
mod on_failure;

use std::process::ExitCode;
use std::time::{Duration, SystemTime};

use crate::args::ExplainArgs;
use crate::failure::{Failure, GOOD};
use crate::input;

use self::found::Found;

/// How long a stream keeps a record.
const RETENTION: Duration = Duration::from_secs(24 * 60 * 60);

pub(crate) fn explain(args: &ExplainArgs) -> Result<ExitCode, Failure> {
    let name = input::name(&args.file);
    let text = input::read(&args.file)?;
    let found = found::find(&name, &text).map_err(Failure::not_begun)?;
    let total = found.len();
    let file = if input::is_stdin(&args.file) { "document.json".to_owned() } else { args.file.display().to_string() };
    for (position, found) in found.iter().enumerate() {
        if total > 1 {
            println!("{}{} of {total}", if position > 0 { "\n" } else { "" }, position + 1);
        }
        match found {
            Found::DeadLetter(letter) => dead_letter::print(letter, args.record),
            Found::OnFailure(document) => on_failure::print(document, args.record, &file),
        }
    }
    Ok(ExitCode::from(GOOD))
}

fn row(label: &str, text: impl std::fmt::Display) {
    println!("{label:<12} {text}");
}

fn time(time: SystemTime) -> String {
    humantime::format_rfc3339_seconds(time.max(SystemTime::UNIX_EPOCH)).to_string()
}

/// How long the stream keeps a record.
struct Kept {
    until: String,
    /// Whether that is over.
    is_over: bool,
}

fn kept(created: SystemTime) -> Option<Kept> {
    let until = created.checked_add(RETENTION)?;
    Some(Kept { until: time(until), is_over: until <= SystemTime::now() })
}
