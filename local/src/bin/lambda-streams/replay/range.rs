//! Reads the records of a discarded batch back from the stream, where its document has their place alone.
//!
//! The range from the first to the last record of a batch may hold records of other batches: where several invocations of a shard run at
//! once, or where the mapping's filters drop records.

use std::time::Duration;

use lambda_streams::SequenceNumber;
use lambda_streams_local::{Page, Position, Source, SourceError, SourceRecord};
use tokio::time::Instant;

/// How long to wait after an empty page: a shard may be read five times a second
/// ([AWS: GetRecords](https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_streams_GetRecords.html)).
const PAUSE: Duration = Duration::from_millis(250);

/// A place in a stream: from the first of these records of a shard to the last.
#[derive(Debug, Clone, Copy)]
pub(super) struct Range<'a> {
    pub(super) shard: &'a str,
    pub(super) first: &'a SequenceNumber,
    pub(super) last: &'a SequenceNumber,
}

/// What the stream still has of a range.
#[derive(Debug)]
pub(super) struct Kept {
    pub(super) records: Vec<SourceRecord>,
    /// Whether the first record is gone: the stream has trimmed it.
    pub(super) is_trimmed: bool,
}

impl Range<'_> {
    /// Reads the range. An empty page is not its end; where no record comes for `idle` at an open shard's end, it is.
    ///
    /// # Errors
    /// If the stream cannot be read.
    pub(super) async fn read(&self, source: &impl Source, idle: Duration) -> Result<Kept, SourceError> {
        let mut kept = Kept { records: Vec::new(), is_trimmed: false };
        let mut next = Some(source.open(self.shard, &Position::At(*self.first)).await?);
        let mut since = Instant::now();
        'pages: while let Some(iterator) = next.take() {
            let Page { records, next: following } = source.read(iterator).await?;
            next = following;
            if records.is_empty() {
                if since.elapsed() >= patience(source, self.shard, idle) {
                    break;
                }
                tokio::time::sleep(PAUSE).await;
                continue;
            }
            since = Instant::now();
            for record in records {
                match record.sequence_number() {
                    // A shard that was trimmed is read from its beginning, and one that is opened again may be.
                    Some(number) if self.first.is_newer_than(number) => {}
                    Some(number) if number.is_newer_than(self.last) => break 'pages,
                    Some(number) if number == self.last => {
                        kept.records.push(record);
                        break 'pages;
                    }
                    _ => kept.records.push(record),
                }
            }
        }
        let first = kept.records.iter().find_map(SourceRecord::sequence_number);
        kept.is_trimmed = first != Some(self.first);
        Ok(kept)
    }
}

/// How long a shard is given for its next record. One that a listing calls closed has an end, which it is given more time to come to; some emulators call
/// every shard closed.
pub(super) fn patience(source: &impl Source, shard: &str, idle: Duration) -> Duration {
    if source.has_ended(shard) { idle.saturating_mul(6) } else { idle }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use lambda_streams_local::{MemorySource, Shard, ShardIterator};

    use super::*;

    const STREAM: &str = "arn:aws:dynamodb:eu-central-1:123456789012:table/orders/stream/2026-01-01T00:00:00.000";

    fn number(number: usize) -> SequenceNumber {
        SequenceNumber::new(&number.to_string()).unwrap()
    }

    fn memory(numbers: impl IntoIterator<Item = usize>) -> MemorySource {
        let record = |number| format!(r#"{{"eventSource":"aws:dynamodb","dynamodb":{{"SequenceNumber":"{number}"}}}}"#);
        MemorySource::new(STREAM).shard("shard", None, numbers.into_iter().map(record)).unwrap()
    }

    /// An open shard whose pages are empty now and then.
    struct Sparse {
        inner: MemorySource,
        empty_pages: Mutex<u32>,
        is_open: bool,
    }

    impl Source for Sparse {
        fn stream_arn(&self) -> String {
            self.inner.stream_arn()
        }

        async fn shards(&self) -> Result<Vec<Shard>, SourceError> {
            self.inner.shards().await
        }

        async fn open(&self, shard: &str, from: &Position) -> Result<ShardIterator, SourceError> {
            self.inner.open(shard, from).await
        }

        async fn read(&self, iterator: ShardIterator) -> Result<Page, SourceError> {
            {
                let mut left = self.empty_pages.lock().unwrap();
                if *left > 0 {
                    *left -= 1;
                    return Ok(Page { records: Vec::new(), next: Some(iterator) });
                }
            }
            let end = ShardIterator { token: "end".to_owned(), ..iterator.clone() };
            if iterator.token == "end" {
                return Ok(Page { records: Vec::new(), next: Some(iterator) });
            }
            let page = self.inner.read(iterator).await?;
            Ok(Page { next: page.next.or(self.is_open.then_some(end)), ..page })
        }
    }

    async fn read(source: &impl Source, first: usize, last: usize) -> (Vec<String>, bool) {
        let (first, last) = (number(first), number(last));
        let range = Range { shard: "shard", first: &first, last: &last };
        let kept = range.read(source, Duration::from_secs(10)).await.unwrap();
        (kept.records.iter().map(|record| record.sequence_number().unwrap().to_string()).collect(), kept.is_trimmed)
    }

    #[tokio::test(start_paused = true)]
    async fn a_range_has_both_of_its_ends_and_nothing_else() {
        let source = memory([98, 99, 100, 101, 103, 110]);
        assert_eq!(read(&source, 99, 103).await, (["99", "100", "101", "103"].map(str::to_owned).to_vec(), false));
        assert_eq!(read(&source, 101, 101).await, (vec!["101".to_owned()], false));
    }

    #[tokio::test(start_paused = true)]
    async fn an_empty_page_is_not_the_end() {
        let source = Sparse { inner: memory([100, 101]), empty_pages: Mutex::new(30), is_open: true };
        assert_eq!(read(&source, 100, 101).await, (["100", "101"].map(str::to_owned).to_vec(), false));
    }

    #[tokio::test(start_paused = true)]
    async fn a_trimmed_range_says_so() {
        assert_eq!(read(&memory([102, 103, 110]), 100, 103).await, (["102", "103"].map(str::to_owned).to_vec(), true));
        let source = Sparse { inner: memory([]), empty_pages: Mutex::new(0), is_open: true };
        let began = Instant::now();
        assert_eq!(read(&source, 100, 103).await, (Vec::new(), true));
        assert!(began.elapsed() >= Duration::from_secs(10), "an open shard is given time");
        assert_eq!(read(&memory([104]), 100, 103).await, (Vec::new(), true));
    }
}
