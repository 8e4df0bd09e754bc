//! The letters of files. A file is never changed: the journal keeps what is done.

use std::collections::HashSet;
use std::path::Path;
use std::process::ExitCode;
use std::sync::{Mutex, MutexGuard, PoisonError};

use futures::stream;
use lambda_streams::DeadLetter;
use serde_json::json;

use super::copies::Copies;
use super::letter::Letter;
use super::report::{self, Left};
use super::{BATCH_SIZE, RedriveArgs, WHAT, again, only_of, print_hints, tell_failures};
use crate::aws::{Aws, Near};
use crate::deliver::{Delivered, Form, Outcome, Settled};
use crate::documents::{self, What};
use crate::failure::{FAILED, Failure, GOOD};
use crate::function;
use crate::input;
use crate::journal::Journal;
use crate::places::s3::S3Url;
use crate::sending::{Tally, Target, conclude, send, target_names};
use crate::signals::Signals;
use crate::ui::count;

/// A letter of a file.
struct FileLetter {
    letter: Letter,
    /// What the journal calls it.
    key: String,
    /// Its record of an SQS event.
    json: String,
    stream_arn: String,
}

pub(super) async fn redrive(args: &RedriveArgs, signals: &Signals) -> Result<ExitCode, Failure> {
    let mut left = Left::default();
    let mut letters = read(args, &mut left)?;
    letters.sort_by(|one, other| one.letter.order(&other.letter));
    // Before a journal is created that would stay empty.
    function::look_up(&args.function, &aws_near(args, &letters)).await?;
    if args.sending.dry_run {
        let copies = split_copies(&mut letters);
        report::print_letters(letters.iter().map(|letter| &letter.letter));
        report::print_copies(copies.len());
        left.print();
        println!("nothing was sent");
        return Ok(ExitCode::from(if left.is_empty() { GOOD } else { FAILED }));
    }
    deliver(args, letters, left, signals).await
}

/// The configuration for the region that the letters came from.
fn aws_near<'a>(args: &'a RedriveArgs, letters: &[FileLetter]) -> Aws<'a> {
    let region = letters.first().and_then(|letter| letter.stream_arn.split(':').nth(3));
    let region = region.filter(|region| !region.is_empty()).map(str::to_owned);
    Aws::near(&args.aws, Near { region, is_local: false })
}

/// Sends what the journal does not have yet.
async fn deliver(
    args: &RedriveArgs,
    mut letters: Vec<FileLetter>,
    left: Left,
    signals: &Signals,
) -> Result<ExitCode, Failure> {
    let stream_arn = letters.first().map(|letter| letter.stream_arn.clone()).unwrap_or_default();
    let aws = aws_near(args, &letters);
    let mut journal = open_journal(args, &letters)?;
    let ui = args.sending.ui(&args.function);
    let all = letters.len();
    letters.retain(|letter| !journal.contains(&letter.key));
    if letters.len() < all {
        let (done, path) = (all - letters.len(), journal.path().display());
        ui.print(&format!("note: {} done by an earlier run, according to {path}", count(done, WHAT)));
    }
    let copies = Mutex::new(split_copies(&mut letters));
    let target = Target::start(&args.function, &aws, &stream_arn, &ui, signals).await?;
    let tally = Mutex::new(Tally::of(letters.len() as u64));
    let keys: Vec<String> = letters.iter().map(|letter| letter.key.clone()).collect();
    let known = letters.iter().map(|letter| (letter.letter.message_id.clone(), letter.letter.clone())).collect();
    let parcels = letters.into_iter().enumerate();
    let parcels = stream::iter(parcels.map(|(tag, letter)| Ok(letter.letter.parcel(letter.json, tag as u64))));
    let settle = async |settled: &[Settled]| {
        let done = settled.iter().filter(|settled| settled.outcome == Outcome::Done);
        let done: Vec<&String> = done.filter_map(|settled| keys.get(usize::try_from(settled.tag).ok()?)).collect();
        let copied: Vec<String> = done.iter().flat_map(|key| lock(&copies).done(key)).collect();
        journal.add(done.into_iter().chain(&copied).map(String::as_str))
    };
    let limits = args.sending.limits(BATCH_SIZE, target.timeout);
    let ended = send(&target, (Form::DeadLetters, limits), (&ui, signals, WHAT), &tally, parcels, settle).await;
    target.function.shutdown().await;
    let mut tally = tally.into_inner().unwrap_or_else(PoisonError::into_inner);
    tell_failures(&mut tally, &target, &known);
    let copies = copies.into_inner().unwrap_or_else(PoisonError::into_inner);
    summarize(&tally, ended, &target, journal, (&left, &copies))
}

/// Prints the summary; the journal goes when nothing is left.
fn summarize(
    tally: &Tally,
    ended: Result<Delivered, Failure>,
    target: &Target,
    journal: Journal,
    (left, copies): (&Left, &Copies<String>),
) -> Result<ExitCode, Failure> {
    let (delivered, failure) = match ended {
        Ok(delivered) => (delivered, None),
        Err(failure) => (Delivered { is_stopped: true, ..Delivered::default() }, Some(failure)),
    };
    let path = journal.path().display();
    let again = again(tally, &delivered);
    let where_left = format!("{again}: what is done is in {path}, and is not sent again");
    let code = conclude(tally, &delivered, WHAT, &where_left);
    if let Some(line) = copies.describe() {
        println!("{line}");
    }
    left.print();
    print_hints(tally, delivered.broken.as_deref(), target);
    if tally.total == Some(tally.done) && failure.is_none() {
        journal.finish();
    }
    match failure {
        Some(failure) => Err(failure),
        None if left.is_empty() => Ok(code),
        None => Ok(ExitCode::from(FAILED)),
    }
}

/// Takes out the letters of records that an earlier letter is of.
fn split_copies(letters: &mut Vec<FileLetter>) -> Copies<String> {
    let mut copies = Copies::default();
    letters.retain(|letter| !copies.add(&letter.letter, letter.key.clone()));
    copies
}

fn lock<V>(mutex: &Mutex<V>) -> MutexGuard<'_, V> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The letters of all files, each once.
fn read(args: &RedriveArgs, left: &mut Left) -> Result<Vec<FileLetter>, Failure> {
    let (mut letters, mut keys) = (Vec::new(), HashSet::new());
    for file in &args.files {
        let name = input::name(file);
        let found = documents::find(&read_file(file)?);
        if found.is_empty() {
            left.others.push((name.clone(), "it is empty".to_owned()));
        }
        for (position, found) in found.into_iter().enumerate() {
            let reason = match found.what {
                What::DeadLetter { letter, json } => {
                    let letter = FileLetter::new(&letter, &json, letters.len() + 1);
                    if let Some(function) = letter.letter.other_function(only_of(args)) {
                        *left.of_functions.entry(function.to_owned()).or_default() += 1;
                    } else if keys.insert(letter.key.clone()) {
                        letters.push(letter);
                    }
                    continue;
                }
                What::OnFailure(_) => "an on-failure document: use `lambda-streams replay`".to_owned(),
                What::Unknown(reason) => reason,
            };
            left.others.push((format!("{name}, document {}", position + 1), reason));
        }
    }
    if !letters.is_empty() || !left.of_functions.is_empty() {
        return Ok(letters);
    }
    let (place, reason) = left.others.first().expect("a file that has no letter has something else, or is empty");
    Err(Failure::not_begun(format!("there is no dead letter: {place}: {reason}")))
}

/// A file's text. A queue or a bucket in the place of a file is the likely mistake.
fn read_file(file: &Path) -> Result<String, Failure> {
    if file.to_str().and_then(S3Url::parse).is_some() {
        return Err(Failure::not_begun(format!(
            "{} is in a bucket, and `redrive` reads queues and files. Use `lambda-streams replay` for on-failure documents \
             in a bucket, or copy the objects with `aws s3 cp`",
            input::name(file)
        )));
    }
    input::read_or_advise(file, &format!("if it is a queue, use `--queue {}`", input::name(file)))
}

impl FileLetter {
    fn new(letter: &DeadLetter, json: &str, number: usize) -> Self {
        let message_id = format!("letter-{number}");
        let stream_arn = letter.stream_arn().unwrap_or_default().to_owned();
        let json = event_record(&message_id, json, &stream_arn);
        Self { letter: Letter::new(letter, message_id), key: key(letter), json, stream_arn }
    }
}

/// Copies of one letter have the same key, and any two other letters have different ones.
fn key(letter: &DeadLetter) -> String {
    let given_up = humantime::format_rfc3339_millis(crate::ui::printable(letter.dead_lettered()));
    let hash = fnv(letter.raw_json());
    format!("{}/{given_up}/{hash:016x}", letter.event_id().unwrap_or("-"))
}

/// FNV-1a: the same number with every version of Rust, which the standard library's hash does not promise.
fn fnv(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

/// The record of an invocation by a queue that does not exist.
fn event_record(message_id: &str, body: &str, stream_arn: &str) -> String {
    let mut parts = stream_arn.split(':').skip(3);
    let (region, account) = (parts.next().unwrap_or("us-east-1"), parts.next().unwrap_or("000000000000"));
    json!({
        "messageId": message_id,
        "receiptHandle": message_id,
        "body": body,
        "attributes": {"ApproximateReceiveCount": "1"},
        "messageAttributes": {},
        "eventSource": "aws:sqs",
        "eventSourceARN": format!("arn:aws:sqs:{region}:{account}:lambda-streams-redrive"),
        "awsRegion": region,
    })
    .to_string()
}

/// The journal of these files for this function. The standard input is known by its letters.
fn open_journal(args: &RedriveArgs, letters: &[FileLetter]) -> Result<Journal, Failure> {
    let whole = |path: &Path| std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let mut work = vec!["redrive".to_owned()];
    work.extend(target_names(&args.function, &args.aws));
    for file in &args.files {
        match input::is_stdin(file) {
            true => work.extend(letters.iter().map(|letter| letter.key.clone())),
            false => work.push(whole(file).display().to_string()),
        }
    }
    Journal::open(&work, args.sending.journal.as_deref())
}
