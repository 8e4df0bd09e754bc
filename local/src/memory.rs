//! A stream in memory, for tests. All of its shards are closed, so a run over it ends.

use crate::source::{Page, Position, Shard, ShardIterator, Source, SourceError, SourceRecord};

/// What one read of the Streams API gives at most.
const PAGE: usize = 1_000;

/// A stream in memory, whose shards are all closed: a run ends when every record is done or discarded.
///
/// ```
/// use lambda_streams_local::{MemorySource, Source};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), lambda_streams_local::SourceError> {
/// let source = MemorySource::new("arn:aws:dynamodb:eu-central-1:123456789012:table/orders/stream/2026-01-01T00:00:00.000")
///     .shard("parent", None, [r#"{"eventID": "1"}"#])?
///     .shard("child", Some("parent"), [r#"{"eventID": "2"}"#])?;
/// assert_eq!(source.shards().await?.len(), 2);
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct MemorySource {
    stream_arn: String,
    shards: Vec<MemoryShard>,
}

#[derive(Debug, Clone)]
struct MemoryShard {
    shard: Shard,
    records: Vec<SourceRecord>,
}

impl MemorySource {
    /// A stream with this ARN and no shards.
    pub fn new(stream_arn: impl Into<String>) -> Self {
        Self { stream_arn: stream_arn.into(), shards: Vec::new() }
    }

    /// Adds a closed shard with these records, each in Lambda's JSON, and the id of its parent.
    ///
    /// # Errors
    /// If a record is not valid JSON.
    pub fn shard<R: Into<String>>(
        mut self,
        id: &str,
        parent: Option<&str>,
        records: impl IntoIterator<Item = R>,
    ) -> Result<Self, SourceError> {
        let records = records.into_iter().map(SourceRecord::from_json).collect::<Result<_, _>>()?;
        self.shards
            .push(MemoryShard { shard: Shard { id: id.to_owned(), parent: parent.map(str::to_owned) }, records });
        Ok(self)
    }

    fn records(&self, shard: &str) -> Result<&[SourceRecord], SourceError> {
        let found = self.shards.iter().find(|known| known.shard.id == shard);
        found
            .map(|known| known.records.as_slice())
            .ok_or_else(|| SourceError::new(format!("the stream in memory has no shard {shard}")))
    }
}

impl Source for MemorySource {
    fn stream_arn(&self) -> String {
        self.stream_arn.clone()
    }

    async fn shards(&self) -> Result<Vec<Shard>, SourceError> {
        Ok(self.shards.iter().map(|known| known.shard.clone()).collect())
    }

    async fn open(&self, shard: &str, from: &Position) -> Result<ShardIterator, SourceError> {
        let records = self.records(shard)?;
        let place = |number| records.iter().position(|record| record.sequence_number() == Some(number));
        let start = match from {
            Position::TrimHorizon => 0,
            Position::Latest => records.len(),
            Position::At(number) => place(number).unwrap_or(0),
            Position::After(number) => place(number).map_or(0, |found| found + 1),
        };
        Ok(ShardIterator { shard: shard.to_owned(), token: start.to_string(), last: None })
    }

    async fn read(&self, iterator: ShardIterator) -> Result<Page, SourceError> {
        let records = self.records(&iterator.shard)?;
        let start = iterator.token.parse::<usize>().ok().filter(|start| *start <= records.len());
        let start = start.ok_or_else(|| SourceError::new("the iterator is not one of this stream in memory"))?;
        let end = records.len().min(start + PAGE);
        let next = (end < records.len()).then(|| ShardIterator { token: end.to_string(), ..iterator });
        Ok(Page { records: records.get(start..end).unwrap_or_default().to_vec(), next })
    }
}
