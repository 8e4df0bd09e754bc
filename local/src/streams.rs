//! Reads a DynamoDB stream through its API, on AWS or in an emulator.
//!
//! *Invariant*: a page follows the last record that was read, also when its iterator has expired, its data was trimmed, or
//! the endpoint gives the same page again.

mod api_error;
mod record;
mod table;

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use aws_sdk_dynamodbstreams::Client;
use aws_sdk_dynamodbstreams::operation::get_records::GetRecordsOutput;
use aws_sdk_dynamodbstreams::types::{ShardIteratorType, StreamDescription};
use lambda_streams::SequenceNumber;

use crate::clock::time_of_day;
use crate::source::{Page, Position, Shard, ShardIterator, Source, SourceError, SourceRecord};

pub(crate) use self::api_error::ApiError;

use self::api_error::Backoff;

/// Reads a DynamoDB stream through its API: the real service, DynamoDB Local, or an emulator.
///
/// Records become Lambda's JSON, member for member. An expired iterator is opened again after the last record. Throttling
/// and failures of the service or the network are waited out with exponential backoff. If the stream has trimmed a shard's
/// data (it keeps 24 hours), the shard continues with what is left, and [`gaps`](Self::gaps) counts it. A call that is
/// denied, a stream that is gone, data that stays trimmed, and a failure that lasts longer than about a minute are errors.
///
/// A shard is at its end when the service gives no next iterator; a last sequence number in its description alone does
/// not close it ([AWS: GetRecords](https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_streams_GetRecords.html)).
/// Where an emulator gives no next iterator of a shard that its description says is open, the shard is opened again after the
/// last record. A page that an emulator repeats is dropped. Each record's `eventSource` is `aws:dynamodb`, as Lambda writes it.
///
/// ```no_run
/// use lambda_streams_local::DynamoDbStreams;
///
/// # async fn example(config: aws_sdk_dynamodbstreams::Config) -> Result<(), Box<dyn std::error::Error>> {
/// let client = aws_sdk_dynamodbstreams::Client::from_conf(config);
/// let arn = "arn:aws:dynamodb:eu-central-1:123456789012:table/orders/stream/2026-01-01T00:00:00.000";
/// let source = DynamoDbStreams::connect(client, arn).await?;
/// assert_eq!(source.gaps(), 0);
/// # Ok(())
/// # }
/// ```
pub struct DynamoDbStreams {
    client: Client,
    stream_arn: String,
    view_type: Option<String>,
    opened_at_end: Mutex<HashMap<String, OpenedAtEnd>>,
    /// The shards that are closed, as far as the stream was described.
    closed: Mutex<HashSet<String>>,
    gaps: AtomicU64,
}

/// A shard that was opened at its end. If the iterator expires before its first record, as on a laptop that slept, the
/// shard is read from its beginning and what is older is left out: at the new end, what was written meanwhile would be lost.
#[derive(Clone, Copy)]
struct OpenedAtEnd {
    since: SystemTime,
    is_reopened: bool,
}

/// How far the clock here may be ahead of the service's.
const CLOCK_SKEW: Duration = Duration::from_secs(60);
/// How long a stream keeps its records.
const RETENTION: Duration = Duration::from_secs(24 * 60 * 60);

/// In place of a token: the shard is at its end.
const END: &str = "";
/// In place of a token: the endpoint gave no next iterator, and whether the shard is closed has to be looked up.
const UNCERTAIN: &str = "\u{0}uncertain";
/// In place of a token: the shard has to be opened again.
const REOPEN: &str = "\u{0}reopen";

impl DynamoDbStreams {
    /// Connects to a stream by its ARN, and checks that it exists.
    ///
    /// # Errors
    /// If the stream cannot be described: it does not exist, the call is denied, or the endpoint cannot be reached.
    pub async fn connect(client: Client, stream_arn: impl Into<String>) -> Result<Self, SourceError> {
        let stream_arn = stream_arn.into();
        let description = client.describe_stream().stream_arn(&stream_arn).limit(1).send().await;
        let description =
            description.map_err(|error| ApiError::of(&error).into_error(&format!("stream {stream_arn}")))?;
        let description = description.stream_description;
        let closed = description.iter().flat_map(closed_shards).collect();
        let view_type = description.and_then(|description| description.stream_view_type);
        Ok(Self {
            client,
            stream_arn,
            view_type: view_type.map(|view_type| view_type.as_str().to_owned()),
            opened_at_end: Mutex::default(),
            closed: Mutex::new(closed),
            gaps: AtomicU64::new(0),
        })
    }

    /// The images that the stream carries, such as `NEW_AND_OLD_IMAGES`; `None` if the endpoint does not say.
    pub fn view_type(&self) -> Option<&str> {
        self.view_type.as_deref()
    }

    /// How many times the stream had trimmed records before they could be read.
    pub fn gaps(&self) -> u64 {
        self.gaps.load(Ordering::Relaxed)
    }

    async fn list(&self) -> Result<Vec<Shard>, ApiError> {
        let mut shards = Vec::new();
        let mut from = None;
        let mut cursors = HashSet::new();
        loop {
            let call = self.client.describe_stream().stream_arn(&self.stream_arn).set_exclusive_start_shard_id(from);
            let description = call.send().await.map_err(|error| ApiError::of(&error))?.stream_description;
            let Some(description) = description else { break };
            self.closed().extend(closed_shards(&description));
            shards.extend(
                description
                    .shards
                    .unwrap_or_default()
                    .into_iter()
                    .filter_map(|shard| Some(Shard { id: shard.shard_id?, parent: shard.parent_shard_id })),
            );
            let Some(cursor) = description.last_evaluated_shard_id else { break };
            if !cursors.insert(cursor.clone()) {
                let message =
                    format!("the list has no end: the endpoint named shard {cursor} twice as the last of a page");
                return Err(ApiError::Fatal(message));
            }
            from = Some(cursor);
        }
        Ok(known_parents(shards))
    }

    /// Opens a shard; a trimmed position becomes the horizon, and a shard that is gone is at its end.
    async fn token(&self, shard: &str, from: &Position) -> Result<Option<String>, SourceError> {
        let mut backoff = Backoff::new(format!("opening shard {shard}"));
        let mut from = from.clone();
        loop {
            let (kind, number) = match &from {
                Position::TrimHorizon => (ShardIteratorType::TrimHorizon, None),
                Position::Latest => (ShardIteratorType::Latest, None),
                Position::At(number) => (ShardIteratorType::AtSequenceNumber, Some(number.to_string())),
                Position::After(number) => (ShardIteratorType::AfterSequenceNumber, Some(number.to_string())),
            };
            let call = self.client.get_shard_iterator().stream_arn(&self.stream_arn).shard_id(shard);
            let call = call.shard_iterator_type(kind).set_sequence_number(number);
            match call.send().await.map_err(|error| ApiError::of(&error)) {
                Ok(output) => return Ok(output.shard_iterator),
                Err(ApiError::Trimmed) if from != Position::TrimHorizon => {
                    self.note_trimmed(shard, &from);
                    from = Position::TrimHorizon;
                }
                Err(ApiError::Gone(_)) if self.is_gone(shard).await? => {
                    self.note_trimmed(shard, &from);
                    return Ok(None);
                }
                Err(error) => backoff.wait(error).await?,
            }
        }
    }

    /// Whether the stream still exists and has this shard no more.
    async fn is_gone(&self, shard: &str) -> Result<bool, SourceError> {
        Ok(self.shards().await?.iter().all(|listed| listed.id != shard))
    }

    /// Whether the shard is closed, by what is known of it or by a new listing.
    async fn is_closed(&self, shard: &str) -> Result<bool, SourceError> {
        if self.has_ended(shard) {
            return Ok(true);
        }
        let shards = self.shards().await?;
        let is_listed = shards.iter().any(|listed| listed.id == shard);
        let has_child = shards.iter().any(|listed| listed.parent.as_deref() == Some(shard));
        Ok(self.has_ended(shard) || has_child || !is_listed)
    }

    async fn reopen(&self, shard: &str, last: Option<&SequenceNumber>) -> Result<String, SourceError> {
        let from = last.map_or(Position::TrimHorizon, |last| Position::After(*last));
        self.leave_older_out(shard);
        Ok(self.token(shard, &from).await?.unwrap_or_else(|| END.to_owned()))
    }

    /// A shard that was opened at its end is read from elsewhere now.
    fn leave_older_out(&self, shard: &str) {
        if let Some(opened) = self.opened_at_end().get_mut(shard) {
            opened.is_reopened = true;
        }
    }

    fn page(&self, shard: String, last: Option<SequenceNumber>, output: GetRecordsOutput) -> Result<Page, SourceError> {
        let opened = self.opened_at_end().get(&shard).copied();
        let since = opened.filter(|opened| opened.is_reopened && last.is_none()).map(|opened| opened.since);
        let mut records: Vec<SourceRecord> = Vec::new();
        for record in output.records.unwrap_or_default() {
            let json = record::to_lambda_json(&record, &self.stream_arn)?;
            let record = SourceRecord::from_json(json)?;
            let is_older = since.is_some_and(|since| record.created_at().is_some_and(|created| created < since));
            if !is_older {
                records.push(record);
            }
        }
        // What was read before: a page that the endpoint gives again, or a record that it was to begin after.
        let read = last.and_then(|last| records.iter().rposition(|record| record.sequence_number() == Some(&last)));
        records.drain(..read.map_or(0, |read| read + 1));
        let last = records.iter().rev().find_map(SourceRecord::sequence_number).copied().or(last);
        let next = match output.next_shard_iterator {
            None if self.has_ended(&shard) => None,
            None => Some(UNCERTAIN.to_owned()),
            next => next,
        };
        let next = next.map(|token| ShardIterator { shard, token, last });
        Ok(Page { records, next })
    }

    fn closed(&self) -> MutexGuard<'_, HashSet<String>> {
        self.closed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn opened_at_end(&self) -> MutexGuard<'_, HashMap<String, OpenedAtEnd>> {
        self.opened_at_end.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The data at a position, or the whole shard, was trimmed: a gap, unless the position was the end. Nothing that was
    /// written since then is old enough to be trimmed, except on a machine that slept for a day.
    fn note_trimmed(&self, shard: &str, from: &Position) {
        let opened = self.opened_at_end().get(shard).copied();
        let was_at_end = match (from, opened) {
            (Position::Latest, _) => true,
            (Position::TrimHorizon, Some(opened)) => {
                time_of_day().duration_since(opened.since).is_ok_and(|open| open < RETENTION)
            }
            _ => false,
        };
        if was_at_end {
            self.leave_older_out(shard);
        } else {
            self.note_gap(shard);
        }
    }

    fn note_gap(&self, shard: &str) {
        self.gaps.fetch_add(1, Ordering::Relaxed);
        tracing::warn!(
            shard,
            stream = self.stream_arn,
            "records are lost: the stream trimmed them before they were read (it keeps records for 24 hours)"
        );
    }
}

impl Source for DynamoDbStreams {
    fn stream_arn(&self) -> String {
        self.stream_arn.clone()
    }

    async fn shards(&self) -> Result<Vec<Shard>, SourceError> {
        let mut backoff = Backoff::new(format!("listing the shards of {}", self.stream_arn));
        loop {
            match self.list().await {
                Ok(shards) => return Ok(shards),
                Err(error) => backoff.wait(error).await?,
            }
        }
    }

    fn has_ended(&self, shard: &str) -> bool {
        self.closed().contains(shard)
    }

    async fn open(&self, shard: &str, from: &Position) -> Result<ShardIterator, SourceError> {
        if *from == Position::Latest {
            let since = time_of_day().checked_sub(CLOCK_SKEW).unwrap_or(SystemTime::UNIX_EPOCH);
            self.opened_at_end().insert(shard.to_owned(), OpenedAtEnd { since, is_reopened: false });
        }
        let token = self.token(shard, from).await?.unwrap_or_else(|| END.to_owned());
        let last = match from {
            Position::After(number) => Some(*number),
            _ => None,
        };
        Ok(ShardIterator { shard: shard.to_owned(), token, last })
    }

    async fn read(&self, iterator: ShardIterator) -> Result<Page, SourceError> {
        let ShardIterator { shard, mut token, last } = iterator;
        let mut backoff = Backoff::new(format!("reading shard {shard}"));
        let position = last.map_or(Position::TrimHorizon, Position::After);
        let mut was_trimmed = false;
        loop {
            token = match token.as_str() {
                END => return Ok(Page { records: Vec::new(), next: None }),
                UNCERTAIN if self.is_closed(&shard).await? => END.to_owned(),
                UNCERTAIN | REOPEN => self.reopen(&shard, last.as_ref()).await?,
                _ => token,
            };
            if token == END {
                continue;
            }
            let call = self.client.get_records().shard_iterator(&token);
            match call.send().await.map_err(|error| ApiError::of(&error)) {
                Ok(output) => {
                    let page = self.page(shard, last, output)?;
                    return self.settled(page).await;
                }
                Err(ApiError::Trimmed) => {
                    if !std::mem::replace(&mut was_trimmed, true) {
                        self.note_trimmed(&shard, &position);
                    }
                    backoff.wait(ApiError::Trimmed).await?;
                    token = self.token(&shard, &Position::TrimHorizon).await?.unwrap_or_else(|| END.to_owned());
                }
                Err(ApiError::Expired) => {
                    backoff.wait(ApiError::Expired).await?;
                    token = REOPEN.to_owned();
                }
                Err(ApiError::Gone(_)) if self.is_gone(&shard).await? => {
                    self.note_trimmed(&shard, &position);
                    token = END.to_owned();
                }
                Err(error) => backoff.wait(error).await?,
            }
        }
    }
}

impl DynamoDbStreams {
    /// Looks up at once whether a shard without a next iterator is closed, if its page has no records that this could lose.
    async fn settled(&self, mut page: Page) -> Result<Page, SourceError> {
        let Some(next) = page.next.as_mut().filter(|next| next.token == UNCERTAIN && page.records.is_empty()) else {
            return Ok(page);
        };
        if self.is_closed(&next.shard).await? {
            page.next = None;
        } else {
            REOPEN.clone_into(&mut next.token);
        }
        Ok(page)
    }
}

/// The shards that have a last sequence number.
fn closed_shards(description: &StreamDescription) -> impl Iterator<Item = String> {
    let is_closed = |shard: &&aws_sdk_dynamodbstreams::types::Shard| {
        shard.sequence_number_range().is_some_and(|range| range.ending_sequence_number().is_some())
    };
    description.shards().iter().filter(is_closed).filter_map(|shard| shard.shard_id.clone())
}

/// A parent that the stream no longer lists has nothing left to be read first.
fn known_parents(mut shards: Vec<Shard>) -> Vec<Shard> {
    let listed: HashSet<String> = shards.iter().map(|shard| shard.id.clone()).collect();
    for shard in &mut shards {
        shard.parent = shard.parent.take().filter(|parent| listed.contains(parent));
    }
    shards
}

impl fmt::Debug for DynamoDbStreams {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DynamoDbStreams").field("stream_arn", &self.stream_arn).finish_non_exhaustive()
    }
}
