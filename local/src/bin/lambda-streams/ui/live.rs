//! The block below the lines: each shard's progress, and the totals.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::Arc;
use std::time::{Duration, Instant};

use lambda_streams_local::{Progress, Summary};

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
    /// Invocations in flight.
    in_flight: usize,
    iterator_age: Option<Duration>,
    waiting: Option<Waiting>,
}

/// Records that wait for their next try.
#[derive(Debug)]
struct Waiting {
    records: usize,
    failures: u32,
    until: Instant,
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
                shard.in_flight += 1;
                shard.iterator_age = *iterator_age;
                shard.waiting = None;
            }
            Progress::Responded { shard, .. } => {
                let shard = self.shards.entry(Arc::clone(shard)).or_default();
                shard.in_flight = shard.in_flight.saturating_sub(1);
            }
            Progress::Waiting { shard, records, failures, delay } => {
                let shard = self.shards.entry(Arc::clone(shard)).or_default();
                let until = Instant::now() + *delay;
                shard.waiting = Some(Waiting { records: *records, failures: *failures, until });
            }
            _ => {}
        }
    }

    pub(super) fn render(&self, summary: &Summary, dead_letters: u64, is_draining: bool) -> String {
        let mut text = String::new();
        text.push_str(if is_draining {
            "draining: press Ctrl-C again to stop at once"
        } else {
            "running: press Ctrl-C to drain and stop"
        });
        for (id, shard) in self.shards.iter().take(MAX_SHARDS) {
            // Writing to a `String` cannot fail.
            let _ = write!(text, "\n  {:<34} {}", short(id), shard.render());
        }
        if self.shards.len() > MAX_SHARDS {
            let _ = write!(text, "\n  and {}", count(self.shards.len() - MAX_SHARDS, "more shard"));
        }
        let Summary { shards_opened, shards_closed, read, filtered, done, discarded, invocations, .. } = summary;
        let Summary { partial_responses, function_errors, retries, throttles, bisects, .. } = summary;
        let _ = write!(text, "\n  shards {shards_opened} opened, {shards_closed} closed");
        let _ = write!(text, "\n  records {read} read, {filtered} filtered, {done} done, {discarded} discarded");
        let _ = write!(text, ", {}", count(usize::try_from(dead_letters).unwrap_or(usize::MAX), "dead letter"));
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
        match &self.waiting {
            _ if self.in_flight > 0 => format!("{} in flight{age}", count(self.in_flight, "invocation")),
            Some(Waiting { records, failures, until }) => {
                let left = duration(until.saturating_duration_since(Instant::now()));
                let records = count(*records, "record");
                format!("{records} failed {}, next try in {left}{age}", count(*failures as usize, "time"))
            }
            None => format!("reading{age}"),
        }
    }
}
