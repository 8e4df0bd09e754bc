//! `explain`: what a dead letter or an on-failure document means, and the command that delivers its records again.

mod dead_letter;
mod on_failure;
mod way_back;

use std::path::Path;
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
    for text in &texts {
        let found = documents::find(&text.text);
        if found.is_empty() {
            unknown.push((&text.name, "it is empty".to_owned()));
        }
        for found in found {
            match found.what {
                What::Unknown(reason) => unknown.push((&text.name, reason)),
                _ => known.push((text, found)),
            }
        }
    }
    if let (true, Some((name, reason))) = (known.is_empty(), unknown.first()) {
        return Err(Failure::not_begun(format!("{name}: {reason}")));
    }
    let total = known.len();
    let mut way_back = WayBack::default();
    for (position, (text, found)) in known.iter().enumerate() {
        if total > 1 {
            println!("{}{} of {total}", if position > 0 { "\n" } else { "" }, position + 1);
        }
        if has_several {
            row(if text.is_object { "object" } else { "file" }, &text.name);
        }
        print(found, args.record);
        way_back.add(found, text.source);
    }
    way_back.print(total > 1);
    for (name, reason) in &unknown {
        eprintln!("warning: skipped in {name}: {reason}");
    }
    Ok(ExitCode::from(if unknown.is_empty() { GOOD } else { FAILED }))
}

/// The text of a file or of a bucket's object.
struct Text<'a> {
    /// As the command line names it: a bucket's objects have one together.
    source: &'a Path,
    name: String,
    is_object: bool,
    text: String,
}

async fn read(args: &ExplainArgs) -> Result<Vec<Text<'_>>, Failure> {
    let aws = Aws::new(&args.aws);
    let mut all = Vec::new();
    for source in &args.sources {
        let Some(url) = source.to_str().and_then(S3Url::parse) else {
            let name = input::name(source);
            let others = format!(
                "if it is a bucket, write `s3://{name}`; if it is a queue, pipe the output of `aws sqs receive-message` \
                 into this command"
            );
            let text = input::read_or_advise(source, &others)?;
            all.push(Text { source, name, is_object: false, text });
            continue;
        };
        let texts = S3::new(&aws).await?.texts(&url).await?;
        all.extend(texts.into_iter().map(|(object, text)| Text {
            source,
            name: object.to_string(),
            is_object: true,
            text,
        }));
    }
    Ok(all)
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
