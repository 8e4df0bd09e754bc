//! The block below the lines: where each shard stands, and the sums.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::Arc;
use std::time::{Duration, Instant};

use lambda_streams::local::{Progress, Summary};

use super::describe::{count, duration, short};

/// More shards than these are summed up.
const MAX_SHARDS: usize = 8;

#[derive(Debug, Default)]
pub(super) struct Live {
    shards: BTreeMap<Arc<str>, Shard>,
}

/// An open shard.
#[derive(Debug, Default)]
struct Shard {
    /// Invocations under way.
    under_way: usize,
    iterator_age: Option<Duration>,
    /// How many records wait for their next try, how often they failed, and until when.
    waiting: Option<(usize, u32, Instant)>,
}

impl Live {
    pub(super) fn note(&mut self, progress: &Progress) {
        match progress {
            Progress::ShardOpened { shard } => {
                self.shards.insert(Arc::clone(shard), Shard::default());
            }
            Progress::ShardClosed { shard } => {
                self.shards.remove(shard);
            }
            Progress::Sent { shard, iterator_age, .. } => {
                let shard = self.shards.entry(Arc::clone(shard)).or_default();
                shard.under_way += 1;
                shard.iterator_age = *iterator_age;
                shard.waiting = None;
            }
            Progress::Answered { shard, .. } => {
                let shard = self.shards.entry(Arc::clone(shard)).or_default();
                shard.under_way = shard.under_way.saturating_sub(1);
            }
            Progress::Waiting { shard, records, failures, delay } => {
                let shard = self.shards.entry(Arc::clone(shard)).or_default();
                shard.waiting = Some((*records, *failures, Instant::now() + *delay));
            }
            _ => {}
        }
    }

    pub(super) fn render(&self, summary: &Summary, dead_letters: u64, is_draining: bool) -> String {
        let mut text = String::new();
        text.push_str(if is_draining {
            "draining: Ctrl-C again stops at once"
        } else {
            "running: Ctrl-C drains and ends"
        });
        for (id, shard) in self.shards.iter().take(MAX_SHARDS) {
            // Writing to a `String` cannot fail.
            let _ = write!(text, "\n  {:<34} {}", short(id), shard.render());
        }
        if self.shards.len() > MAX_SHARDS {
            let _ = write!(text, "\n  and {} more shards", self.shards.len() - MAX_SHARDS);
        }
        let Summary { shards_opened, shards_closed, read, filtered, done, discarded, invocations, .. } = summary;
        let Summary { partial_responses, function_errors, retries, throttles, bisects, .. } = summary;
        let _ = write!(text, "\n  shards {shards_opened} opened, {shards_closed} closed");
        let _ = write!(text, "\n  records {read} read, {filtered} filtered, {done} done, {discarded} discarded");
        let _ = write!(text, ", {dead_letters} dead letters");
        let _ = write!(
            text,
            "\n  invocations {invocations}: {partial_responses} partial, {function_errors} failed, {throttles} throttled, \
             {retries} retries, {bisects} bisects"
        );
        text
    }
}

impl Shard {
    fn render(&self) -> String {
        let age = self.iterator_age.map(|age| format!(", iterator age {}", duration(age))).unwrap_or_default();
        match self.waiting {
            _ if self.under_way > 0 => format!("{} under way{age}", count(self.under_way, "invocation")),
            Some((records, failures, until)) => {
                let left = duration(until.saturating_duration_since(Instant::now()));
                let records = count(records, "record");
                format!("{records} failed {failures} times, next try in {left}{age}")
            }
            None => format!("reading{age}"),
        }
    }
}
