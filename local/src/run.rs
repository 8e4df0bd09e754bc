//! One run of a mapping: lists shards, runs each in its own future, and stops them together.
//!
//! *Invariant*: a shard is read only after its parent is drained, so an item's records keep their order across a split.

use std::collections::HashMap;
use std::future::Future;
use std::sync::Arc;

use futures::future::{BoxFuture, FutureExt};
use futures::stream::{self, FuturesUnordered, StreamExt, TryStreamExt};
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

use crate::context::Context;
use crate::error::RunError;
use crate::function::Function;
use crate::lineage::Lineage;
use crate::settings::StartingPosition;
use crate::shard::{Begin, ShardEnd, ShardRun};
use crate::source::{Position, Shard, ShardIterator, Source, SourceError};

/// How many shards a mapping with LATEST opens at once, at its start.
const OPENED_AT_ONCE: usize = 16;

type Listing<'a> = BoxFuture<'a, Result<Listed, SourceError>>;
type Reading<'a> = BoxFuture<'a, (Arc<str>, Result<ShardEnd, RunError>)>;

/// A listing, and where to read its shards on if they were opened with it.
struct Listed {
    shards: Vec<Shard>,
    opened: HashMap<String, ShardIterator>,
}

pub(crate) struct Run<'a, S, F> {
    context: &'a Context<S, F>,
    stop: watch::Sender<bool>,
    lineage: Lineage,
    /// The next listing of shards.
    listing: Listing<'a>,
    /// The shards that a mapping with LATEST opened at its start and reads later.
    opened: HashMap<String, ShardIterator>,
    shards: FuturesUnordered<Reading<'a>>,
    failed: Option<RunError>,
}

impl<'a, S: Source, F: Function> Run<'a, S, F> {
    pub(crate) fn new(context: &'a Context<S, F>) -> Self {
        Self {
            context,
            stop: watch::Sender::new(false),
            lineage: Lineage::default(),
            listing: first_listing(context),
            opened: HashMap::new(),
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
                self.context.activity.note_active();
                self.lineage.drained(id);
                // Its children may not be listed yet.
                if !self.lineage.has_children(id) {
                    self.listing = list_at(self.context, Instant::now());
                }
                self.start_ready();
            }
            Err(error) => self.fail(error),
        }
    }

    /// Reads what can be read; ends the run when a stream that had shards has none left, and no new one.
    fn listed(&mut self, Listed { shards, opened }: Listed) {
        let new = self.lineage.list(shards);
        self.opened.extend(opened);
        self.start_ready();
        if self.lineage.is_done() && !new && !self.lineage.is_empty() {
            return self.stop();
        }
        self.listing = list_at(self.context, Instant::now() + self.context.settings.unspecified.discovery_interval);
    }

    /// Shards that come while the mapping runs are read from their beginning, or records would be missed.
    fn start_ready(&mut self) {
        for shard in self.lineage.open_ready() {
            let begin = self.opened.remove(&shard.id).map_or(Begin::At(Position::TrimHorizon), Begin::Opened);
            let id: Arc<str> = shard.id.into();
            let run = ShardRun::new(self.context, Arc::clone(&id), self.stop.clone());
            self.shards.push(async move { (id, run.run(begin).await) }.boxed());
        }
        let is_closed = |id: &str| self.lineage.has_children(id) || self.context.source.has_ended(id);
        self.context.activity.note_closed(is_closed);
    }
}

/// Lists the shards. With LATEST it opens all of them at once: a shard that waits for its parent begins where its end was
/// when the mapping started, and neither at its beginning nor where its end is by then.
fn first_listing<S: Source, F: Function>(context: &Context<S, F>) -> Listing<'_> {
    if context.settings.starting_position != StartingPosition::Latest {
        return list_at(context, Instant::now());
    }
    async move {
        let _listing = context.activity.listing();
        let shards = context.source.shards().await?;
        let ids: Vec<String> = shards.iter().map(|shard| shard.id.clone()).collect();
        let open = |id: String| async move {
            let iterator = context.source.open(&id, &Position::Latest).await?;
            Ok((id, iterator))
        };
        let opened = stream::iter(ids).map(open).buffered(OPENED_AT_ONCE).try_collect().await?;
        Ok(Listed { shards, opened })
    }
    .boxed()
}

fn list_at<S: Source, F: Function>(context: &Context<S, F>, at: Instant) -> Listing<'_> {
    async move {
        sleep_until(at).await;
        let _listing = context.activity.listing();
        Ok(Listed { shards: context.source.shards().await?, opened: HashMap::new() })
    }
    .boxed()
}
