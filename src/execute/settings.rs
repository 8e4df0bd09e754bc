//! What a processor was built with. Settings are checked by the builder and never change.

use std::error::Error as StdError;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::sync::Semaphore;

use super::redelivery::Completed;
use crate::dead_letter::ErasedDeadLetterQueue;
use crate::decode::DecodeError;
use crate::event_kind::EventKind;
use crate::handler::ErasedHandler;
use crate::invocation::Origin;
use crate::observe::log;
use crate::observe::metrics::Meter;
use crate::policy::{AfterDeadLetter, FailurePolicy, Lanes, RetryPolicy};
use crate::record::Record;

/// Whether a record is kept, or why that cannot be told.
pub(crate) type Filter = Box<dyn Fn(&Record) -> Result<bool, DecodeError> + Send + Sync>;

pub(crate) type PermanentIf = Box<dyn Fn(&(dyn StdError + Send + Sync + 'static)) -> bool + Send + Sync>;

/// All settings, shared by the processor's clones.
pub(crate) struct Settings {
    pub(crate) routes: Routes,
    pub(crate) filter: Option<Filter>,
    pub(crate) limit: Semaphore,
    /// How many permits the limit has in total.
    pub(crate) concurrency: usize,
    pub(crate) lanes: Lanes,
    pub(crate) failing: FailureRules,
    pub(crate) permanent_if: Option<PermanentIf>,
    pub(crate) handler_timeout: Option<Duration>,
    pub(crate) after_dead_letter: AfterDeadLetter,
    pub(crate) queue: Option<Arc<dyn ErasedDeadLetterQueue>>,
    /// Whether the user said that there is no queue. It may also have been forgotten.
    pub(crate) is_queue_declined: bool,
    pub(crate) deadline_margin: Option<Duration>,
    pub(crate) completed: Option<Completed>,
    pub(crate) report_batch_item_failures: bool,
    pub(crate) delete_skipped_on_redrive: bool,
    pub(crate) meter: Meter,
    pub(crate) warned: Warned,
}

/// What the log warns of once in an execution environment.
#[derive(Default)]
pub(crate) struct Warned {
    /// Lanes go by an attribute that a table's key lacks.
    pub(crate) lane_attribute: Once,
    /// What the settings mean for failed records of a stream.
    failing: Once,
    deadline_margin: Once,
}

/// Something that happens once, whichever clone of the processor comes first.
#[derive(Default)]
pub(crate) struct Once(AtomicBool);

impl Once {
    pub(crate) fn call(&self, warn: impl FnOnce()) {
        if !self.0.swap(true, Ordering::Relaxed) {
            warn();
        }
    }
}

/// The settings that decide what happens to a failed record.
#[derive(Debug, Clone, Copy)]
pub(crate) struct FailureRules {
    pub(crate) retry: RetryPolicy,
    pub(crate) policy: FailurePolicy,
    /// The age from which on a record whose retries are exhausted becomes a dead letter.
    pub(crate) max_record_age: Duration,
    pub(crate) has_queue: bool,
}

/// How long a DynamoDB stream keeps a record.
const KEPT_BY_STREAM: Duration = Duration::from_secs(24 * 60 * 60);

impl Settings {
    /// Warns once of what the settings mean for the batches that come.
    pub(crate) fn warn(&self, origin: Origin, is_margin_too_long: bool) {
        if is_margin_too_long {
            self.warned.deadline_margin.call(|| log::margin_is_too_long(self.deadline_margin));
        }
        if origin.is_stream() {
            self.warned.failing.call(|| self.warn_of_failing());
        }
    }

    fn warn_of_failing(&self) {
        let FailureRules { has_queue, max_record_age, .. } = self.failing;
        if has_queue && max_record_age > KEPT_BY_STREAM {
            log::gives_up_too_late(max_record_age);
        }
        if !has_queue && !self.is_queue_declined {
            log::has_no_queue();
        }
    }

    /// How many handlers run now, over all invocations.
    pub(crate) fn handlers_running(&self) -> usize {
        self.concurrency.saturating_sub(self.limit.available_permits())
    }
}

/// Which handler each kind of change goes to.
#[derive(Default)]
pub(crate) struct Routes {
    pub(crate) insert: Option<Box<dyn ErasedHandler>>,
    pub(crate) modify: Option<Box<dyn ErasedHandler>>,
    pub(crate) remove: Option<Box<dyn ErasedHandler>>,
    pub(crate) other: Option<Box<dyn ErasedHandler>>,
}

impl Routes {
    pub(crate) fn of(&self, kind: EventKind) -> Option<&dyn ErasedHandler> {
        let own = match kind {
            EventKind::Insert => &self.insert,
            EventKind::Modify => &self.modify,
            EventKind::Remove => &self.remove,
        };
        own.as_deref().or(self.other.as_deref())
    }

    pub(crate) fn is_empty(&self) -> bool {
        [&self.insert, &self.modify, &self.remove, &self.other].into_iter().all(Option::is_none)
    }
}
