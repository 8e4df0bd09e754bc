//! `explain`: what a dead letter or an on-failure document means, and the command that delivers its records again.

mod dead_letter;
mod on_failure;
mod way_back;

use std::process::ExitCode;
use std::time::{Duration, SystemTime};

use crate::args::ExplainArgs;
use crate::documents::{self, What};
use crate::failure::{FAILED, Failure, GOOD};
use crate::input;

use self::way_back::WayBack;

/// How long a stream keeps a record.
const RETENTION: Duration = Duration::from_secs(24 * 60 * 60);

pub(crate) fn explain(args: &ExplainArgs) -> Result<ExitCode, Failure> {
    let name = input::name(&args.file);
    let text = input::read(&args.file)?;
    let found = documents::find(&text);
    let (unknown, known): (Vec<_>, Vec<_>) =
        found.into_iter().partition(|found| matches!(found.what, What::Unknown(_)));
    let mut reasons = unknown.iter().filter_map(|found| match &found.what {
        What::Unknown(reason) => Some(reason),
        _ => None,
    });
    if known.is_empty() {
        return Err(Failure::not_begun(match reasons.next() {
            Some(reason) => format!("{name}: {reason}"),
            None => format!("{name} has no document"),
        }));
    }
    let total = known.len();
    let mut way_back = WayBack::default();
    for (position, found) in known.iter().enumerate() {
        if total > 1 {
            println!("{}{} of {total}", if position > 0 { "\n" } else { "" }, position + 1);
        }
        match &found.what {
            What::DeadLetter { letter, .. } => {
                dead_letter::print(letter, found.message.is_some(), args.record);
                way_back.add_letter(letter, found.message.as_ref());
            }
            What::OnFailure(document) => {
                on_failure::print(document, args.record);
                way_back.add_document(document, found.message.as_ref());
            }
            What::Unknown(_) => {}
        }
    }
    way_back.print(&args.file, total > 1);
    for reason in &mut reasons {
        eprintln!("warning: passed over in {name}: {reason}");
    }
    Ok(ExitCode::from(if unknown.is_empty() { GOOD } else { FAILED }))
}

fn row(label: &str, text: impl std::fmt::Display) {
    println!("{label:<12} {text}");
}

fn time(time: SystemTime) -> String {
    humantime::format_rfc3339_seconds(crate::ui::printable(time)).to_string()
}

/// How long the stream keeps a record.
#[derive(Debug, Clone, Copy)]
struct Kept {
    until: SystemTime,
    /// Whether that is over.
    is_over: bool,
}

fn kept(created: SystemTime) -> Option<Kept> {
    let until = created.checked_add(RETENTION)?;
    Some(Kept { until, is_over: until <= SystemTime::now() })
}
