//! `explain`: what a dead letter or an on-failure document means, and the command that delivers its records again.

mod dead_letter;
mod on_failure;
mod way_back;

use std::process::ExitCode;
use std::time::{Duration, SystemTime};

use crate::args::ExplainArgs;
use crate::aws::Aws;
use crate::documents::{self, Found, What};
use crate::failure::{FAILED, Failure, GOOD};
use crate::input;
use crate::places::s3::{S3, S3Url};

use self::way_back::WayBack;

/// How long a stream keeps a record.
const RETENTION: Duration = Duration::from_secs(24 * 60 * 60);

pub(crate) async fn explain(args: &ExplainArgs) -> Result<ExitCode, Failure> {
    let texts = read(args).await?;
    let has_several = texts.len() > 1;
    let (mut known, mut unknown) = (Vec::new(), Vec::new());
    for (name, text) in &texts {
        let found = documents::find(text);
        if found.is_empty() {
            unknown.push((name, None));
        }
        for found in found {
            match found.what {
                What::Unknown(reason) => unknown.push((name, Some(reason))),
                _ => known.push((name, found)),
            }
        }
    }
    if let (true, Some((name, reason))) = (known.is_empty(), unknown.first()) {
        return Err(Failure::not_begun(match reason {
            Some(reason) => format!("{name}: {reason}"),
            None => format!("{name} has no document"),
        }));
    }
    let total = known.len();
    let mut way_back = WayBack::default();
    for (position, (name, found)) in known.iter().enumerate() {
        if total > 1 {
            println!("{}{} of {total}", if position > 0 { "\n" } else { "" }, position + 1);
        }
        if has_several {
            row("object", name);
        }
        print(found, args.record);
        way_back.add(found);
    }
    way_back.print(&args.file, total > 1);
    for (name, reason) in &unknown {
        match reason {
            Some(reason) => eprintln!("warning: passed over in {name}: {reason}"),
            None => eprintln!("warning: {name} has no document"),
        }
    }
    Ok(ExitCode::from(if unknown.is_empty() { GOOD } else { FAILED }))
}

/// The texts of the file or of the bucket's objects, each with its name.
async fn read(args: &ExplainArgs) -> Result<Vec<(String, String)>, Failure> {
    let Some(url) = args.file.to_str().and_then(S3Url::parse) else {
        return Ok(vec![(input::name(&args.file), input::read(&args.file)?)]);
    };
    let texts = S3::new(&Aws::new(&args.aws)).await?.texts(&url).await?;
    Ok(texts.into_iter().map(|(object, text)| (object.to_string(), text)).collect())
}

fn print(found: &Found, with_record: bool) {
    match &found.what {
        What::DeadLetter { letter, .. } => dead_letter::print(letter, found.message.is_some(), with_record),
        What::OnFailure(document) => on_failure::print(document, with_record),
        What::Unknown(_) => {}
    }
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
