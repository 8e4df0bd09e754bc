//! `explain`: what a dead letter or an on-failure document means.

mod dead_letter;
mod found;
mod on_failure;

use std::path::Path;
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
    let file = Source { shown: shown(&args.file), has_several: total > 1 };
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

/// The file that is explained, as the commands name it that are printed.
struct Source {
    shown: String,
    has_several: bool,
}

/// A file's name for a shell; the standard input has to be saved first.
fn shown(file: &Path) -> String {
    let name = if input::is_stdin(file) { "document.json".to_owned() } else { file.display().to_string() };
    let is_plain = |char: char| char.is_alphanumeric() || "/._-+:@%=,".contains(char);
    if name.chars().all(is_plain) { name } else { format!("'{}'", name.replace('\'', r"'\''")) }
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
