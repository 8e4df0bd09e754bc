//! One run of a mapping, from the first listing of shards to the last answer.

use std::future::Future;
use std::sync::Arc;

use futures::future::{BoxFuture, FutureExt};
use futures::stream::{FuturesUnordered, StreamExt};
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

use super::lineage::Lineage;
use super::mapping::{EventSourceMapping, RunError};
use super::settings::StartingPosition;
use super::shard::{ShardEnd, ShardRun};
use super::source::{Position, Shard, Source, SourceError};
use super::target::Target;

type Listing<'a> = BoxFuture<'a, Result<Vec<Shard>, SourceError>>;
type Reading<'a> = BoxFuture<'a, (Arc<str>, Result<ShardEnd, RunError>)>;

pub(super) struct Run<'a, S, T> {
    mapping: &'a EventSourceMapping<S, T>,
    stop: watch::Sender<bool>,
    lineage: Lineage,
    /// The next listing of shards.
    listing: Listing<'a>,
    listed_before: bool,
    shards: FuturesUnordered<Reading<'a>>,
    failed: Option<RunError>,
}

impl<'a, S: Source, T: Target> Run<'a, S, T> {
    pub(super) fn new(mapping: &'a EventSourceMapping<S, T>) -> Self {
        Self {
            mapping,
            stop: watch::Sender::new(false),
            lineage: Lineage::default(),
            listing: list_at(mapping, Instant::now()),
            listed_before: false,
            shards: FuturesUnordered::new(),
            failed: None,
        }
    }

    pub(super) async fn until(mut self, until: impl Future<Output = ()>) -> Result<(), RunError> {
        let mut until = std::pin::pin!(until);
        loop {
            let stopping = *self.stop.borrow();
            if stopping && self.shards.is_empty() {
                return self.failed.map_or(Ok(()), Err);
            }
            tokio::select! {
                biased;
                () = &mut until, if !stopping => self.stop(),
                Some((id, ended)) = self.shards.next() => self.ended(&id, ended),
                listed = &mut self.listing, if !stopping => match listed {
                    Ok(shards) => self.listed(shards),
                    Err(error) => self.fail(RunError::source(error)),
                },
                () = self.mapping.idle(), if !stopping => self.stop(),
            }
        }
    }

    fn stop(&self) {
        self.stop.send_replace(true);
    }

    fn fail(&mut self, error: RunError) {
        self.failed.get_or_insert(error);
        self.stop();
    }

    fn ended(&mut self, id: &str, ended: Result<ShardEnd, RunError>) {
        match ended {
            Ok(ShardEnd::Stopped) => {}
            Ok(ShardEnd::Drained) => {
                self.lineage.drained(id);
                self.listing = list_at(self.mapping, Instant::now());
            }
            Err(error) => self.fail(error),
        }
    }

    /// Opens what can be opened; ends the run when a stream that had shards has none left, and no new one.
    fn listed(&mut self, shards: Vec<Shard>) {
        let new = self.lineage.list(shards);
        for shard in self.lineage.open_ready() {
            let id: Arc<str> = shard.id.into();
            let run = ShardRun::new(self.mapping, Arc::clone(&id), self.stop.subscribe());
            let from = self.position();
            self.shards.push(async move { (id, run.run(from).await) }.boxed());
        }
        if self.lineage.is_done() && !new && !self.lineage.is_empty() {
            return self.stop();
        }
        self.listed_before = true;
        self.listing = list_at(self.mapping, Instant::now() + self.mapping.settings().choices.discovery_interval);
    }

    /// Shards that come while the mapping runs are read from their beginning, or records would be missed.
    fn position(&self) -> Position {
        match self.mapping.settings().starting_position {
            StartingPosition::Latest if !self.listed_before => Position::Latest,
            _ => Position::TrimHorizon,
        }
    }
}

fn list_at<S: Source, T: Target>(mapping: &EventSourceMapping<S, T>, at: Instant) -> Listing<'_> {
    async move {
        sleep_until(at).await;
        mapping.source().shards().await
    }
    .boxed()
}
