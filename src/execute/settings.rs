//! What a processor was built with.

use std::error::Error as StdError;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;

use crate::dead_letter::ErasedDeadLetterQueue;
use crate::event_kind::EventKind;
use crate::execute::redelivery::Replay;
use crate::handler::ErasedHandler;
use crate::observe::metrics::Meter;
use crate::policy::{AfterDeadLetter, FailurePolicy, Lanes, RetryPolicy};
use crate::record::Record;

pub(crate) type Filter = Box<dyn Fn(&Record) -> bool + Send + Sync>;

pub(crate) type PermanentIf = Box<dyn Fn(&(dyn StdError + Send + Sync + 'static)) -> bool + Send + Sync>;

/// All of it; shared by the processor's clones.
pub(crate) struct Settings {
    pub(crate) routes: Routes,
    pub(crate) filter: Option<Filter>,
    pub(crate) limit: Arc<Semaphore>,
    /// How many permits the limit has in all.
    pub(crate) concurrency: usize,
    pub(crate) lanes: Lanes,
    pub(crate) retry: RetryPolicy,
    pub(crate) permanent_if: Option<PermanentIf>,
    pub(crate) handler_timeout: Option<Duration>,
    pub(crate) failure_policy: FailurePolicy,
    pub(crate) give_up_after: Duration,
    pub(crate) after_dead_letter: AfterDeadLetter,
    pub(crate) queue: Option<Arc<dyn ErasedDeadLetterQueue>>,
    pub(crate) deadline_margin: Option<Duration>,
    pub(crate) replay: Option<Replay>,
    pub(crate) report_batch_item_failures: bool,
    pub(crate) meter: Meter,
}

impl Settings {
    /// How many handlers run at this moment, over all invocations.
    pub(crate) fn handlers_running(&self) -> usize {
        self.concurrency.saturating_sub(self.limit.available_permits())
    }
}

/// Which handler a kind of change goes to.
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
