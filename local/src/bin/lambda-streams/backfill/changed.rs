//! `--skip-changed-since`: the items that occur in the stream since a given time.

use std::collections::HashSet;
use std::time::{Duration, SystemTime};

use lambda_streams_local::{DynamoDbStreams, Position, Source};

use super::record::group_of_record;
use crate::failure::Failure;

/// How long a stream keeps a record.
const RETENTION: Duration = Duration::from_secs(24 * 60 * 60);
/// A page without records is not the end of a shard. After this many in a row there is nothing new in an open one.
const EMPTY_PAGES: u32 = 5;
/// A closed shard has an end, which the service tells. An emulator may call a shard closed that has none.
const EMPTY_PAGES_OF_CLOSED: u32 = 200;
/// The wait after an empty page.
const PAUSE: Duration = Duration::from_millis(250);

/// Refuses a time that is older than the stream.
pub(crate) fn check(since: SystemTime) -> Result<(), Failure> {
    let age = SystemTime::now().duration_since(since).unwrap_or_default();
    if age > RETENTION {
        return Err(Failure::not_begun(
            "--skip-changed-since is more than 24 hours ago, and a stream keeps its records for 24 hours: use --compare-with-table",
        ));
    }
    Ok(())
}

/// The hashes of the items that were changed since then, as far as the stream shows it now.
///
/// # Errors
/// If the stream cannot be read.
pub(crate) async fn since(stream: &DynamoDbStreams, since: SystemTime) -> Result<HashSet<u128>, Failure> {
    let mut changed = HashSet::new();
    for shard in stream.shards().await.map_err(Failure::not_begun)? {
        let mut iterator = stream.open(&shard.id, &Position::TrimHorizon).await.map_err(Failure::not_begun)?;
        let mut empty_pages = 0;
        loop {
            let page = stream.read(iterator).await.map_err(Failure::not_begun)?;
            for record in &page.records {
                // A time that is not known may be late enough. Seconds are what a record has.
                if record.created_at().is_none_or(|at| at + Duration::from_secs(1) >= since) {
                    changed.insert(group_of_record(record.json()));
                }
            }
            empty_pages = if page.records.is_empty() { empty_pages + 1 } else { 0 };
            let is_closed = stream.has_ended(&shard.id);
            let is_over = empty_pages >= if is_closed { EMPTY_PAGES_OF_CLOSED } else { EMPTY_PAGES };
            let Some(next) = page.next.filter(|_| !is_over) else { break };
            if page.records.is_empty() && !is_closed {
                tokio::time::sleep(PAUSE).await;
            }
            iterator = next;
        }
    }
    Ok(changed)
}
