//! One run of a mapping: lists shards, runs each in its own future, and stops them together.
//!
//! *Invariant*: a shard is read only after its parent is drained, so that an item's records keep their order across a split.

use std::future::Future;
use std::sync::Arc;

use futures::future::{BoxFuture, FutureExt};
use futures::stream::{FuturesUnordered, StreamExt};
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

use crate::context::Context;
use crate::error::RunError;
use crate::function::Function;
use crate::lineage::Lineage;
use crate::settings::StartingPosition;
use crate::shard::{ShardEnd, ShardRun};
use crate::source::{Position, Shard, Source, SourceError};

type Listing<'a> = BoxFuture<'a, Result<Vec<Shard>, SourceError>>;
type Reading<'a> = BoxFuture<'a, (Arc<str>, Result<ShardEnd, RunError>)>;

pub(crate) struct Run<'a, S, F> {
    context: &'a Context<S, F>,
    stop: watch::Sender<bool>,
    lineage: Lineage,
    /// The next listing of shards.
    listing: Listing<'a>,
    listed_before: bool,
    shards: FuturesUnordered<Reading<'a>>,
    failed: Option<RunError>,
}

impl<'a, S: Source, F: Function> Run<'a, S, F> {
    pub(crate) fn new(context: &'a Context<S, F>) -> Self {
        Self {
            context,
            stop: watch::Sender::new(false),
            lineage: Lineage::default(),
            listing: list_at(context, Instant::now()),
            listed_before: false,
            shards: FuturesUnordered::new(),
            failed: None,
        }
    }

    pub(crate) async fn until(mut self, until: impl Future<Output = ()>) -> Result<(), RunError> {
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
                () = self.context.idle(), if !stopping => self.stop(),
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
                self.listing = list_at(self.context, Instant::now());
            }
            Err(error) => self.fail(error),
        }
    }

    /// Opens what can be opened; ends the run when a stream that had shards has none left, and no new one.
    fn listed(&mut self, shards: Vec<Shard>) {
        let new = self.lineage.list(shards);
        for shard in self.lineage.open_ready() {
            let id: Arc<str> = shard.id.into();
            let run = ShardRun::new(self.context, Arc::clone(&id), self.stop.subscribe());
            let from = self.position();
            self.shards.push(async move { (id, run.run(from).await) }.boxed());
        }
        if self.lineage.is_done() && !new && !self.lineage.is_empty() {
            return self.stop();
        }
        self.listed_before = true;
        self.listing = list_at(self.context, Instant::now() + self.context.settings.unspecified.discovery_interval);
    }

    /// Shards that come while the mapping runs are read from their beginning, or records would be missed.
    fn position(&self) -> Position {
        match self.context.settings.starting_position {
            StartingPosition::Latest if !self.listed_before => Position::Latest,
            _ => Position::TrimHorizon,
        }
    }
}

fn list_at<S: Source, F: Function>(context: &Context<S, F>, at: Instant) -> Listing<'_> {
    async move {
        sleep_until(at).await;
        context.source.shards().await
    }
    .boxed()
}
