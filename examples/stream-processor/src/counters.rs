//! What the function did since it started, for `GET /process`.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use lambda_streams::Counts;
use serde_json::{Value, json};

/// Totals over all invocations of this execution environment.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub(crate) invocations: Total,
    pub(crate) stream: Records,
    pub(crate) redrive: Records,
    pub(crate) api: Records,
}

impl Counters {
    pub(crate) fn to_json(&self) -> Value {
        json!({
            "invocations": self.invocations.get(),
            "stream": self.stream.to_json(),
            "redrive": self.redrive.to_json(),
            "api": self.api.to_json(),
        })
    }
}

/// The records of one source.
#[derive(Debug, Default)]
pub(crate) struct Records {
    received: Total,
    succeeded: Total,
    skipped: Total,
    dead_lettered: Total,
    /// Lambda or SQS delivers these again, or the caller may post them again.
    not_done: Total,
}

impl Records {
    pub(crate) fn add(&self, counts: &Counts) {
        self.received.add(counts.received);
        self.succeeded.add(counts.succeeded);
        self.skipped.add(counts.skipped);
        self.dead_lettered.add(counts.dead_lettered);
        self.not_done.add(counts.reported + counts.unfinished + counts.held_back);
    }

    fn to_json(&self) -> Value {
        json!({
            "received": self.received.get(),
            "succeeded": self.succeeded.get(),
            "skipped": self.skipped.get(),
            "deadLettered": self.dead_lettered.get(),
            "notDone": self.not_done.get(),
        })
    }
}

#[derive(Debug, Default)]
pub(crate) struct Total(AtomicU64);

impl Total {
    pub(crate) fn add(&self, number: usize) {
        self.0.fetch_add(number as u64, Relaxed);
    }

    fn get(&self) -> u64 {
        self.0.load(Relaxed)
    }
}
