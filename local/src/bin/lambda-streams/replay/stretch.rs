//! Reads a stretch of a stream: all that was changed from one time until another, parents before their children.

use std::time::{Duration, SystemTime};

use futures::stream::{self, BoxStream};
use futures::{StreamExt, TryStreamExt};
use lambda_streams_local::{Page, Position, Shard, ShardIterator, Source, SourceError, SourceRecord};
use tokio::time::Instant;

use super::range::patience;

/// How many shards are read at once.
const SHARDS: usize = 16;
/// How long to wait after an empty page.
const PAUSE: Duration = Duration::from_millis(250);
/// By how much times of creation may go backwards within a shard: they are noted to the second.
const UNORDERED: Duration = Duration::from_secs(5);

/// A stretch of a stream, both ends included.
#[derive(Debug, Clone, Copy)]
pub(super) struct Stretch {
    pub(super) from: SystemTime,
    pub(super) until: SystemTime,
    /// An open shard is read to its end when nothing came for so long.
    pub(super) idle: Duration,
}

/// A record, and the shard that it is in.
#[derive(Debug, Clone)]
pub(super) struct Found {
    pub(super) shard: String,
    pub(super) record: SourceRecord,
}

struct Reading {
    iterator: ShardIterator,
    since: Instant,
}

impl Stretch {
    /// The records of all shards that there are now. A shard comes after its parent.
    ///
    /// # Errors
    /// If the stream cannot be read.
    pub(super) async fn read<'a>(
        &'a self,
        source: &'a impl Source,
    ) -> Result<BoxStream<'a, Result<Found, SourceError>>, SourceError> {
        let generations = generations(source.shards().await?);
        let shards = stream::iter(generations).flat_map(move |generation| {
            let shards = generation.into_iter().map(move |shard| self.shard(source, shard.id).boxed());
            stream::iter(shards).flatten_unordered(SHARDS)
        });
        Ok(shards.boxed())
    }

    fn shard<'a>(
        &'a self,
        source: &'a impl Source,
        id: String,
    ) -> impl futures::Stream<Item = Result<Found, SourceError>> + Send + 'a {
        let open = {
            let id = id.clone();
            async move { source.open(&id, &Position::TrimHorizon).await }
        };
        let pages = stream::once(open).map_ok(move |iterator| {
            let reading = Some(Reading { iterator, since: Instant::now() });
            stream::try_unfold(reading, move |reading| self.page(source, reading))
        });
        let records = pages.try_flatten().map_ok(|records| stream::iter(records.into_iter().map(Ok))).try_flatten();
        records.map_ok(move |record| Found { shard: id.clone(), record })
    }

    /// The wanted records of the next page, and how to go on.
    async fn page(
        &self,
        source: &impl Source,
        reading: Option<Reading>,
    ) -> Result<Option<(Vec<SourceRecord>, Option<Reading>)>, SourceError> {
        let Some(Reading { iterator, since }) = reading else { return Ok(None) };
        let shard = iterator.shard.clone();
        let Page { records, next } = source.read(iterator).await?;
        let is_empty = records.is_empty();
        let is_at_end = is_empty && since.elapsed() >= patience(source, &shard, self.idle);
        let after = self.until.checked_add(UNORDERED);
        let is_past = |record: &SourceRecord| match (record.created_at(), after) {
            (Some(created), Some(after)) => created > after,
            _ => false,
        };
        let is_over = is_at_end || records.iter().any(is_past);
        let since = if is_empty { since } else { Instant::now() };
        if is_empty && next.is_some() && !is_over {
            tokio::time::sleep(PAUSE).await;
        }
        let wanted = records.into_iter().filter(|record| self.has(record)).collect();
        Ok(Some((wanted, next.filter(|_| !is_over).map(|iterator| Reading { iterator, since }))))
    }

    /// A record that does not say when it was made is in every stretch.
    fn has(&self, record: &SourceRecord) -> bool {
        record.created_at().is_none_or(|created| self.from <= created && created <= self.until)
    }
}

/// The shards in such an order that each comes in a later generation than its parent, if that is still there.
fn generations(mut shards: Vec<Shard>) -> Vec<Vec<Shard>> {
    let mut generations = Vec::new();
    while !shards.is_empty() {
        let ids: Vec<String> = shards.iter().map(|shard| shard.id.clone()).collect();
        let waits = |shard: &Shard| shard.parent.as_ref().is_some_and(|parent| ids.contains(parent));
        let (later, now): (Vec<_>, Vec<_>) = shards.into_iter().partition(waits);
        if now.is_empty() {
            // Parents in a circle have no order.
            generations.push(later);
            break;
        }
        generations.push(now);
        shards = later;
    }
    generations
}

#[cfg(test)]
mod tests {
    use lambda_streams_local::MemorySource;

    use super::*;

    const STREAM: &str = "arn:aws:dynamodb:eu-central-1:123456789012:table/orders/stream/2026-01-01T00:00:00.000";

    fn at(seconds: u64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)
    }

    fn records(created: &[u64]) -> Vec<String> {
        let record = |(position, created): (usize, &u64)| {
            format!(
                r#"{{"eventSource":"aws:dynamodb","dynamodb":{{"SequenceNumber":"{}","ApproximateCreationDateTime":{created}}}}}"#,
                100 + position
            )
        };
        created.iter().enumerate().map(record).collect()
    }

    async fn read(source: &MemorySource, from: u64, until: u64) -> Vec<(String, SystemTime)> {
        let stretch = Stretch { from: at(from), until: at(until), idle: Duration::ZERO };
        let found: Vec<Found> = stretch.read(source).await.unwrap().try_collect().await.unwrap();
        found.into_iter().map(|found| (found.shard, found.record.created_at().unwrap())).collect()
    }

    #[tokio::test]
    async fn both_ends_are_included_although_times_go_backwards_within_a_second() {
        let source = MemorySource::new(STREAM).shard("a", None, records(&[9, 10, 12, 11, 12, 13, 12, 19, 12])).unwrap();
        let found = read(&source, 10, 12).await;
        let times: Vec<SystemTime> = found.into_iter().map(|(_, created)| created).collect();
        assert_eq!(times, [10, 12, 11, 12, 12, 12].map(at), "the page in which the end is passed is read to its end");
    }

    #[tokio::test]
    async fn parents_come_before_their_children() {
        let source = MemorySource::new(STREAM).shard("child", Some("parent"), records(&[11; 3])).unwrap();
        let source = source.shard("grandchild", Some("child"), records(&[11; 2])).unwrap();
        let source = source.shard("parent", Some("gone"), records(&[10; 2_500])).unwrap();
        let shards: Vec<String> = read(&source, 10, 11).await.into_iter().map(|(shard, _)| shard).collect();
        let expected = [vec!["parent"; 2_500], vec!["child"; 3], vec!["grandchild"; 2]].concat();
        assert_eq!(shards, expected);
    }

    #[test]
    fn a_circle_of_parents_has_an_end() {
        let shard = |id: &str, parent: &str| Shard { id: id.to_owned(), parent: Some(parent.to_owned()) };
        assert_eq!(generations(vec![shard("a", "b"), shard("b", "a"), shard("c", "x")]).len(), 2);
    }
}
