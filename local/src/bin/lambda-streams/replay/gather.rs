//! Gathers the records of a replay: out of documents, from the places in the stream that documents name, or from a stretch of the stream.

use std::time::{Duration, SystemTime};

use futures::TryStreamExt;
use lambda_streams::SequenceNumber;
use lambda_streams_local::{DynamoDbStreams, Settings, Source, SourceRecord, from_deployed};

use crate::aws::{Aws, Near};
use crate::documents::Document;
use crate::failure::Failure;
use crate::places::{MAX_BYTES, sqs};
use crate::signals::Signals;
use crate::table::table_arn;
use crate::ui::count;

use super::args::ReplayArgs;
use super::plan::Plan;
use super::range::Range;
use super::sources::Sources;
use super::stretch::{Found, Stretch};

/// How long a stream keeps a record.
const RETENTION: Duration = Duration::from_secs(24 * 60 * 60);

/// What a replay has to send.
pub(super) struct Gathered {
    pub(super) plan: Plan,
    /// `None` for a stretch of the stream.
    pub(super) sources: Option<Sources>,
    /// In the order in which they were found.
    pub(super) documents: Vec<Described>,
    pub(super) stream_arn: String,
}

/// A document, where it is, and what there is of its records.
#[derive(Debug)]
pub(super) struct Described {
    pub(super) document: Document,
    /// The position of its place among the sources.
    pub(super) held: usize,
    pub(super) records: usize,
    /// Why records are missing.
    pub(super) lost: Option<String>,
}

/// What the names on the command line say of the way to AWS.
pub(super) fn near(args: &ReplayArgs) -> Near {
    let region = args.stretch.stream.as_deref().and_then(crate::table::region).map(str::to_owned);
    match &args.queue {
        Some(queue) => sqs::near(queue),
        None => Near { region, is_local: false },
    }
}

pub(super) fn reads_stdin(args: &ReplayArgs) -> bool {
    args.sources.iter().any(|source| source == "-")
}

impl Gathered {
    pub(super) async fn read(
        args: &ReplayArgs,
        aws: &Aws<'_>,
        signals: &Signals,
        say: &dyn Fn(&str),
    ) -> Result<Self, Failure> {
        let gathering = async {
            if args.stretch.stream.is_some() || args.stretch.table.is_some() {
                let stretch = of_stretch(args, aws, say);
                return signals.unless_interrupted("the stream was read", stretch).await;
            }
            if args.sources.is_empty() && args.queue.is_none() {
                let flags = "files, s3://bucket/prefix, --queue, or --stream or --table with --from";
                return Err(Failure::not_begun(format!("say what to replay: {flags}")));
            }
            let sources =
                Sources::read(&args.sources, args.queue.as_deref(), args.range.keep, (aws, signals), say).await?;
            let documents = of_documents(args, aws, &sources, say);
            match signals.unless_interrupted("the records were read", documents).await {
                Ok((plan, documents)) => {
                    let stream_arn = stream_of(&documents);
                    Ok(Self { plan, documents, stream_arn, sources: Some(sources) })
                }
                Err(failure) => {
                    sources.release(|_| true).await;
                    Err(failure)
                }
            }
        };
        gathering.await
    }
}

/// The stream of all documents; empty where there are several.
fn stream_of(documents: &[Described]) -> String {
    let mut arns = documents.iter().map(|described| described.document.stream_arn.as_str());
    let first = arns.next().unwrap_or_default();
    if arns.all(|arn| table_arn(arn) == table_arn(first)) { first.to_owned() } else { String::new() }
}

async fn of_documents(
    args: &ReplayArgs,
    aws: &Aws<'_>,
    sources: &Sources,
    say: &dyn Fn(&str),
) -> Result<(Plan, Vec<Described>), Failure> {
    check_functions(args, sources)?;
    let (mut plan, mut all) = (Plan::default(), Vec::new());
    let mut streams = Streams { args, aws, open: None, settings: None };
    for (held, place) in sources.held.iter().enumerate() {
        for (number, document) in place.documents.iter().enumerate() {
            let index = all.len();
            let shard = document.shard_id.as_deref().unwrap_or_default();
            let (records, lost) = match &document.records {
                Some(records) => (parse(&place.shown, records)?, missing(records.len(), document.batch_size)),
                None => {
                    say(&format!("reading   {} back from the stream", count(to_usize(document.batch_size), "record")));
                    streams.read_back(&place.shown, document).await?
                }
            };
            all.push(Described { document: document.clone(), held, records: records.len(), lost });
            for (position, record) in records.into_iter().enumerate() {
                let place = || format!("{} {number}.{position}", place.shown);
                plan.add((&document.stream_arn, shard), record, Some(index), place);
            }
        }
    }
    plan.sort();
    Ok((plan, all))
}

/// A document whose payload has fewer records than its batch had is no reason to delete it.
fn missing(records: usize, batch_size: u64) -> Option<String> {
    let is_short = (records as u64) < batch_size;
    is_short.then(|| format!("the batch had {}, but the document has {records}", count(to_usize(batch_size), "record")))
}

fn to_usize(number: u64) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

fn parse(shown: &str, records: &[String]) -> Result<Vec<SourceRecord>, Failure> {
    let records = records.iter().map(|record| SourceRecord::from_json(record.as_str()));
    records.collect::<Result<_, _>>().map_err(|error| Failure::not_begun(format!("{shown}: {error}")))
}

/// Documents of another function are a mistake more often than not: several mappings share a bucket.
fn check_functions(args: &ReplayArgs, sources: &Sources) -> Result<(), Failure> {
    let Some(wanted) = args.function.function.as_deref().filter(|_| !args.range.any_function) else { return Ok(()) };
    let wanted = function_name(wanted);
    let documents = || sources.held.iter().flat_map(|held| held.documents.iter().map(move |document| (held, document)));
    let is_other =
        |document: &Document| document.function_arn.as_deref().is_some_and(|arn| function_name(arn) != wanted);
    let others = documents().filter(|(_, document)| is_other(document)).count();
    let Some((held, other)) = documents().find(|(_, document)| is_other(document)) else { return Ok(()) };
    let other = other.function_arn.as_deref().map(function_name).unwrap_or_default();
    let what = match documents().count() {
        1 => format!("{} is of `{other}`, and not of `{wanted}`", held.shown),
        all => {
            let example = format!("such as {}, which is of `{other}`", held.shown);
            format!("{others} of {all} documents are of functions other than `{wanted}`, {example}")
        }
    };
    Err(Failure::not_begun(format!("{what}: name a narrower place, or use --any-function")))
}

/// The name in a function's ARN, or in a name with a qualifier.
fn function_name(function: &str) -> &str {
    match function.split(':').collect::<Vec<_>>().as_slice() {
        ["arn", _, _, _, _, "function", name, ..] => name,
        [name, ..] => name,
        [] => function,
    }
}

/// Reads from streams, each of which is connected to once.
struct Streams<'a> {
    args: &'a ReplayArgs,
    aws: &'a Aws<'a>,
    open: Option<DynamoDbStreams>,
    /// With the stream whose mapping they are of.
    settings: Option<(String, Settings)>,
}

impl Streams<'_> {
    /// The records of a document that has their place alone, and what is lost of them.
    async fn read_back(
        &mut self,
        shown: &str,
        document: &Document,
    ) -> Result<(Vec<SourceRecord>, Option<String>), Failure> {
        let number = |number: &Option<String>| number.as_deref().and_then(SequenceNumber::new);
        let place =
            (&document.shard_id, number(&document.start_sequence_number), number(&document.end_sequence_number));
        let (Some(shard), Some(first), Some(last)) = place else {
            let message =
                format!("{shown} has neither the records nor their place, which is a shard and two sequence numbers");
            return Err(Failure::not_begun(message));
        };
        self.connect(&document.stream_arn).await?;
        let settings = self.settings(&document.stream_arn).await?.clone();
        let source = self.open.as_ref().expect("it was just connected to");
        let range = Range { shard, first: &first, last: &last };
        let kept = range.read(source, self.args.range.until_idle).await.map_err(Failure::not_begun)?;
        let mut records = Vec::with_capacity(kept.records.len());
        for record in kept.records {
            if settings.passes(&record).map_err(Failure::not_begun)? {
                records.push(record);
            }
        }
        self.check_superset(shown, document, records.len())?;
        let lost = kept.is_trimmed.then(|| match records.first().and_then(SourceRecord::sequence_number) {
            Some(kept) => format!("the stream has trimmed the records from {first} up to before {kept}: they are lost"),
            None => format!("the stream has trimmed all records from {first} to {last}: they are lost"),
        });
        let is_short = lost.is_none() && (records.len() as u64) < document.batch_size;
        let short = is_short.then(|| {
            format!(
                "the batch had {}, but the range has {} with the current filters",
                count(to_usize(document.batch_size), "record"),
                records.len()
            )
        });
        Ok((records, lost.or(short)))
    }

    fn check_superset(&self, shown: &str, document: &Document, records: usize) -> Result<(), Failure> {
        if records as u64 <= document.batch_size || self.args.range.all || self.args.late.stale.is_some() {
            return Ok(());
        }
        Err(Failure::not_begun(format!(
            "{shown}: the batch had {}, but the stream has {records} from its first to its last one. The others were in \
             other batches, or filters left them out at the time. Use --all to send all of them, --stale skip to let \
             the function skip what its marks say is stale, or --filter to name the filters of that time",
            count(to_usize(document.batch_size), "record"),
        )))
    }

    async fn connect(&mut self, arn: &str) -> Result<(), Failure> {
        if self.open.as_ref().is_some_and(|open| open.stream_arn() == arn) {
            return Ok(());
        }
        let connected = DynamoDbStreams::connect(self.aws.streams().await?, arn).await;
        self.open = Some(connected.map_err(Failure::not_begun)?);
        Ok(())
    }

    async fn settings(&mut self, stream_arn: &str) -> Result<&Settings, Failure> {
        if self.settings.as_ref().is_none_or(|(of, _)| of != stream_arn) {
            self.settings = Some((stream_arn.to_owned(), filters(self.args, self.aws, stream_arn).await?));
        }
        Ok(&self.settings.as_ref().expect("it was just set").1)
    }
}

/// DynamoDB notes the time of a change to the second.
fn to_second(time: SystemTime) -> SystemTime {
    let since = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    SystemTime::UNIX_EPOCH + Duration::from_secs(since.as_secs())
}

/// The filters that the flags name, or those of the deployed mapping as they are now.
async fn filters(args: &ReplayArgs, aws: &Aws<'_>, stream_arn: &str) -> Result<Settings, Failure> {
    let settings = match &args.function.function {
        _ if !args.range.filter.is_empty() => {
            Settings { filter_patterns: args.range.filter.clone(), ..Settings::default() }
        }
        Some(function) => {
            let mapping = args.pause.mapping.as_deref();
            let deployed = from_deployed(&aws.lambda().await?, function, mapping).await;
            let deployed = deployed.map_err(|error| {
                Failure::not_begun(format!(
                    "the filters of the mapping cannot be read: {error}. Use --filter to name them"
                ))
            })?;
            if table_arn(&deployed.stream_arn) != table_arn(stream_arn) {
                let message = format!(
                    "the mapping {} does not read {stream_arn}: use --mapping to name the right one",
                    deployed.uuid
                );
                return Err(Failure::not_begun(message));
            }
            deployed.settings
        }
        None => Settings::default(),
    };
    settings.validate().map_err(Failure::not_begun)?;
    Ok(settings)
}

async fn of_stretch(args: &ReplayArgs, aws: &Aws<'_>, say: &dyn Fn(&str)) -> Result<Gathered, Failure> {
    let now = SystemTime::now();
    let from = args.stretch.from.ok_or_else(|| Failure::not_begun("say where the stretch begins: use --from"))?;
    let until = args.stretch.until.unwrap_or(now);
    if until > now {
        return Err(Failure::not_begun("--until is in the future: the live mapping processes later records"));
    }
    if from > until {
        return Err(Failure::not_begun("--from is later than --until"));
    }
    let connected = match (&args.stretch.table, &args.stretch.stream) {
        (Some(table), _) => {
            DynamoDbStreams::connect_to_table(&aws.dynamodb().await?, aws.streams().await?, table).await
        }
        (None, arn) => DynamoDbStreams::connect(aws.streams().await?, arn.as_deref().unwrap_or_default()).await,
    };
    let source = connected.map_err(Failure::not_begun)?;
    let stream_arn = source.stream_arn();
    let settings = filters(args, aws, &stream_arn).await?;
    say(&format!("reading   {stream_arn}"));
    if now.duration_since(from).is_ok_and(|ago| ago > RETENTION) {
        say("warning: a stream keeps its records for 24 hours: those at the beginning of the stretch may be lost");
    }
    let stretch = Stretch { from: to_second(from), until, idle: args.range.until_idle };
    let mut records = stretch.read(&source).await.map_err(Failure::not_begun)?;
    let (mut plan, mut bytes) = (Plan::default(), 0);
    while let Some(Found { shard, record }) = records.try_next().await.map_err(Failure::not_begun)? {
        if settings.passes(&record).map_err(Failure::not_begun)? {
            bytes += record.json().len();
            let place = format!("{shard} {}", plan.entries.len());
            plan.add((&stream_arn, &shard), record, None, || place);
        }
        if bytes > MAX_BYTES {
            let message = format!(
                "the stretch has more than {} MB of records: replay a part at a time with --until",
                MAX_BYTES / 1_048_576
            );
            return Err(Failure::not_begun(message));
        }
    }
    drop(records);
    if source.gaps() > 0 {
        say("warning: the stream trimmed records while it was read: records older than 24 hours are lost");
    }
    Ok(Gathered { plan, sources: None, documents: Vec::new(), stream_arn })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_function_is_known_by_its_name() {
        for function in ["orders", "orders:live", "arn:aws:lambda:eu-central-1:123456789012:function:orders:live"] {
            assert_eq!(function_name(function), "orders");
        }
    }
}
