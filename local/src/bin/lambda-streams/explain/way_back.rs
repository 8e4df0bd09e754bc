//! The command that delivers again what was explained: one for all that one function gave up.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::SystemTime;

use lambda_streams::DeadLetter;

use super::{Kept, kept, row, time};
use crate::documents::{Document, Found, What, Wrapping};
use crate::input;
use crate::places::s3::S3Url;

/// What is put in the place of a queue that nothing names.
const QUEUE: &str = "URL";
/// The file that holds what has to be saved first.
const SAVED: &str = "document.json";
/// What is put in the place of a function that nothing names.
const FUNCTION: &str = "NAME";

/// The commands, in the order in which they are printed.
#[derive(Debug, Default)]
pub(super) struct WayBack<'a>(BTreeMap<Command, Told<'a>>);

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Command {
    verb: Verb,
    place: Place,
    function: Option<String>,
    region: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Verb {
    Redrive,
    Replay,
    /// The records are gone: the items of this table are all that is left.
    Backfill(String),
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Place {
    File,
    Queue(Option<String>),
}

/// What is printed about the records that a command delivers.
#[derive(Debug, Default)]
struct Told<'a> {
    /// Where it is, each once.
    sources: Vec<&'a Path>,
    /// When the first of the records leaves the stream, where it alone has them.
    until: Option<SystemTime>,
    /// Whether some are in the stream alone, and nothing says since when.
    until_unknown: bool,
}

impl<'a> WayBack<'a> {
    pub(super) fn add(&mut self, found: &Found, source: &'a Path) {
        let told = match &found.what {
            What::DeadLetter { letter, .. } => self.add_letter(letter, found.message.as_ref()),
            What::OnFailure(document) => self.add_document(document, found.message.as_ref()),
            What::Unknown(_) => return,
        };
        if !told.sources.contains(&source) {
            told.sources.push(source);
        }
    }

    fn add_letter(&mut self, letter: &DeadLetter, message: Option<&Wrapping>) -> &mut Told<'a> {
        let function = Some(letter.function_arn()).filter(|arn| !arn.is_empty());
        let command = command(Verb::Redrive, message, function, letter.stream_arn());
        self.0.entry(command).or_default()
    }

    fn add_document(&mut self, document: &Document, message: Option<&Wrapping>) -> &mut Told<'a> {
        let (function, stream) = (document.function_arn.as_deref(), Some(document.stream_arn.as_str()));
        let kept = if document.records.is_some() { None } else { Some(document.first_arrival.and_then(kept)) };
        if let Some(Some(Kept { is_over: true, .. })) = kept {
            let table = stream.and_then(table_of).unwrap_or("TABLE").to_owned();
            let command = Command { place: Place::File, ..command(Verb::Backfill(table), None, function, stream) };
            return self.0.entry(command).or_default();
        }
        let told = self.0.entry(command(Verb::Replay, message, function, stream)).or_default();
        match kept {
            Some(Some(Kept { until, .. })) => {
                told.until = Some(told.until.map_or(until, |earliest| earliest.min(until)));
            }
            Some(None) => told.until_unknown = true,
            None => {}
        }
        told
    }

    pub(super) fn print(&self, has_several: bool) {
        if has_several {
            println!();
        }
        for (command, told) in &self.0 {
            row("command", command.purpose());
            println!("  {}", command.line(&command.files(&told.sources)));
            if let Some(until) = told.until {
                row("", format!("until {}: the stream keeps a record for 24 hours", time(until)));
            }
            if told.until_unknown {
                row("", "within 24 hours of the records' creation: the stream keeps them that long");
            }
            command.explain(&told.sources);
        }
    }
}

fn command(verb: Verb, message: Option<&Wrapping>, function: Option<&str>, stream: Option<&str>) -> Command {
    let queue = message.map(|message| message.queue.clone());
    let region = function.and_then(region_of).or_else(|| stream.and_then(region_of));
    let region = region.or_else(|| queue.as_ref()?.as_deref().and_then(region_of)).map(str::to_owned);
    let place = queue.map_or(Place::File, Place::Queue);
    Command { verb, place, function: function.map(invocable).map(str::to_owned), region }
}

impl Command {
    fn purpose(&self) -> &'static str {
        match self.verb {
            Verb::Redrive | Verb::Replay => {
                "delivers them again, until the function's answers say that they are done (--dry-run lists them):"
            }
            Verb::Backfill(_) => "the records are gone; this sends each item of the table as it is now:",
        }
    }

    fn line(&self, files: &str) -> String {
        let verb = match &self.verb {
            Verb::Redrive => "redrive".to_owned(),
            Verb::Replay => "replay".to_owned(),
            Verb::Backfill(table) => format!("backfill --table {}", quoted(table)),
        };
        let place = match (&self.verb, &self.place) {
            (Verb::Backfill(_), _) => String::new(),
            (_, Place::File) => format!(" {files}"),
            (_, Place::Queue(queue)) => format!(" --queue {}", queue.as_deref().map_or(QUEUE.to_owned(), quoted)),
        };
        let function = self.function.as_deref().map_or(FUNCTION.to_owned(), quoted);
        let region = self.region.as_deref().map(|region| format!(" --region {region}")).unwrap_or_default();
        format!("lambda-streams {verb}{place} --function {function}{region}")
    }

    /// The files' names for a shell. What the command cannot read where it is has to be saved first.
    fn files(&self, sources: &[&Path]) -> String {
        let taken = sources.iter().filter(|source| self.takes(source));
        let names = taken.map(|source| quoted(&source.display().to_string()));
        let has_other = sources.iter().any(|source| !self.takes(source));
        names.chain(has_other.then(|| SAVED.to_owned())).collect::<Vec<_>>().join(" ")
    }

    fn takes(&self, file: &Path) -> bool {
        let is_bucket = || file.to_str().and_then(S3Url::parse).is_some();
        !input::is_stdin(file) && (self.verb == Verb::Replay || !is_bucket())
    }

    fn explain(&self, sources: &[&Path]) {
        if self.place == Place::Queue(None) {
            row("", format!("{QUEUE}: the URL of the queue that the messages came from"));
        }
        if self.function.is_none() {
            row("", format!("{FUNCTION}: the function that should process them, which the documents do not name"));
        }
        let is_file = self.place == Place::File && !matches!(self.verb, Verb::Backfill(_));
        if is_file && sources.iter().any(|source| input::is_stdin(source)) {
            row("", format!("{SAVED}: save the standard input of this command there"));
        } else if is_file && !sources.iter().all(|source| self.takes(source)) {
            row("", format!("{SAVED}: save the object there, because `redrive` reads queues and files"));
        }
        match (&self.verb, &self.place) {
            (Verb::Redrive, Place::Queue(_)) => {
                row("", "as long as the queue keeps its messages (its MessageRetentionPeriod, at most 14 days)");
            }
            (Verb::Replay, _) => {
                row("", "newer changes of the items may have been processed since: see --stale in its --help");
            }
            _ => {}
        }
    }
}

/// The ARN without a version, because the deployed code should run and not the code that failed. An alias stays.
fn invocable(arn: &str) -> &str {
    let is_version = |part: &str| part == "$LATEST" || part.bytes().all(|byte| byte.is_ascii_digit());
    match arn.rsplit_once(':') {
        Some((function, version)) if arn.split(':').count() == 8 && is_version(version) => function,
        _ => arn,
    }
}

fn region_of(arn: &str) -> Option<&str> {
    let region = arn.strip_prefix("arn:")?.split(':').nth(2)?;
    let is_plain = region.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    Some(region).filter(|region| !region.is_empty() && is_plain)
}

fn table_of(stream_arn: &str) -> Option<&str> {
    let (_, rest) = stream_arn.split_once(":table/")?;
    rest.split('/').next().filter(|table| !table.is_empty())
}

/// A word of a shell's command.
fn quoted(word: &str) -> String {
    let is_plain = |char: char| char.is_alphanumeric() || "/._-+:@%=,".contains(char);
    if !word.is_empty() && word.chars().all(is_plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[test]
    fn a_version_is_left_out_and_an_alias_stays() {
        let function = "arn:aws:lambda:eu-central-1:123456789012:function:orders";
        for version in ["$LATEST", "7"] {
            assert_eq!(invocable(&format!("{function}:{version}")), function);
        }
        let alias = format!("{function}:live");
        assert_eq!((invocable(function), invocable(&alias)), (function, alias.as_str()));
    }

    #[test]
    fn every_command_is_one_that_the_program_takes() {
        let function = Some("arn:aws:lambda:eu-central-1:123456789012:function:orders:live".to_owned());
        for verb in [Verb::Redrive, Verb::Replay, Verb::Backfill("orders".to_owned())] {
            let queues = [None, Some("arn:aws:sqs:eu-central-1:123456789012:dead".to_owned())];
            for place in queues.into_iter().map(Place::Queue).chain([Place::File]) {
                for (function, region) in [(None, None), (function.clone(), Some("eu-central-1".to_owned()))] {
                    let line = Command { verb: verb.clone(), place: place.clone(), function, region }.line("a.json");
                    let parsed = crate::cli::Cli::try_parse_from(line.split(' '));
                    assert!(parsed.is_ok(), "{line}: {:?}", parsed.err().map(|error| error.to_string()));
                }
            }
        }
    }

    #[test]
    fn words_are_quoted_for_a_shell() {
        let table = [("a.json", "a.json"), ("a b", "'a b'"), ("it's", r"'it'\''s'"), ("", "''"), ("$(x)", "'$(x)'")];
        for (word, expected) in table {
            assert_eq!(quoted(word), expected);
        }
    }
}
