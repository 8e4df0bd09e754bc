//! What a schedule consists of.

use crate::routing::RoutingPlan;

/// One schedule.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    pub(crate) records: Vec<RecordPlan>,
    /// Whether each lineage of shards is split in the middle.
    pub(crate) split_shards: bool,
    pub(crate) page: usize,
    pub(crate) mapping: MappingPlan,
    pub(crate) processor: ProcessorPlan,
    /// What the queue does with each call; afterwards it accepts.
    pub(crate) queue: Vec<QueueFault>,
    /// What goes wrong in each invocation; afterwards nothing does.
    pub(crate) invocations: Vec<InvocationPlan>,
    /// Whether one environment takes concurrent invocations, as Lambda Managed Instances do.
    pub(crate) managed: bool,
    pub(crate) seed: u64,
}

#[derive(Debug, Clone)]
pub(crate) struct RecordPlan {
    pub(crate) table: u8,
    pub(crate) item: u8,
    pub(crate) shape: Shape,
    pub(crate) images: ImagesPlan,
    pub(crate) behaviour: Behaviour,
    /// How long its handler computes before it first waits, and again when it is woken.
    pub(crate) computes_millis: u8,
}

/// What the record's images say.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct ImagesPlan {
    /// The item's type before and after the change, which makes entities.
    pub(crate) old_type: Option<u8>,
    pub(crate) new_type: Option<u8>,
    /// Whether the attribute changes that conditions watch.
    pub(crate) watched_changes: bool,
    pub(crate) missing: MissingImages,
}

/// The images that the record should have and does not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum MissingImages {
    #[default]
    None,
    Old,
    New,
    Both,
}

impl MissingImages {
    pub(crate) fn has_old(self) -> bool {
        !matches!(self, Self::Old | Self::Both)
    }

    pub(crate) fn has_new(self) -> bool {
        !matches!(self, Self::New | Self::Both)
    }
}

/// What the record looks like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shape {
    Good,
    Modified,
    Removed,
    /// A modification that the processor's filter does not keep.
    FilteredOut,
    EventNameMissing,
    EventNameUnknown,
    DynamodbNull,
    ImageMalformed,
    /// The attribute that makes entities is not a value.
    TypeMalformed,
    KeysMissing,
    KeysNotScalar,
    SequenceMissing,
    SequenceNull,
    SequenceEmpty,
    SequenceNotDigits,
    /// The sequence number of the record before it in its shard.
    SequenceRepeated,
    Text,
    List,
    Number,
}

/// How long a handler waits that panics where it is dropped before.
pub(crate) const PANIC_IN_DROP_MILLIS: u16 = 700;

/// What its handler does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Behaviour {
    Succeed {
        millis: u16,
    },
    FailTimes {
        times: u8,
        millis: u16,
    },
    RetryAfter {
        times: u8,
        millis: u16,
    },
    FailUntilHealed,
    HangTimes {
        times: u8,
    },
    HangUntilHealed,
    /// Forever; drawn only with a handler timeout that ends it.
    Hang,
    Permanent {
        millis: u16,
    },
    PanicAtOnce,
    PanicLater {
        millis: u16,
    },
    PanicTimes {
        times: u8,
    },
    /// Panics also when it is cancelled.
    PanicInDrop,
}

#[derive(Debug, Clone)]
pub(crate) struct MappingPlan {
    pub(crate) batch_size: u32,
    pub(crate) window_seconds: u32,
    pub(crate) parallelization: u32,
    pub(crate) retries: i32,
    pub(crate) record_age: i32,
    pub(crate) bisect: bool,
    pub(crate) report_batch_item_failures: bool,
    pub(crate) filter: bool,
    pub(crate) scramble: bool,
    pub(crate) halves_inherit: bool,
    pub(crate) discard_first_only: bool,
    pub(crate) timeout_seconds: u64,
}

/// A handler of many records at once, in place of one entity's or the top level's handler of inserted items.
#[derive(Debug, Clone)]
pub(crate) struct BulkPlan {
    pub(crate) takes: Takes,
    pub(crate) max_records: usize,
    pub(crate) max_bytes: Option<usize>,
    pub(crate) within_lane: bool,
    pub(crate) timeout_millis: Option<u16>,
    pub(crate) answers: Answers,
    /// What goes wrong in each call; afterwards nothing does but what the records do themselves.
    pub(crate) calls: Vec<CallFault>,
}

impl Default for BulkPlan {
    fn default() -> Self {
        Self {
            takes: Takes::Inserts,
            max_records: 100,
            max_bytes: None,
            within_lane: false,
            timeout_millis: None,
            answers: Answers::Each,
            calls: Vec::new(),
        }
    }
}

impl BulkPlan {
    pub(crate) fn latest_only(&self) -> bool {
        matches!(self.takes, Takes::LatestChanges | Takes::LatestRecords)
    }

    pub(crate) fn is_of_changes(&self) -> bool {
        matches!(self.takes, Takes::Changes | Takes::LatestChanges)
    }
}

/// What it is a bulk of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Takes {
    Inserts,
    Changes,
    Records,
    LatestChanges,
    LatestRecords,
}

/// How it answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Answers {
    /// For each record, in a `Vec`.
    Each,
    /// By the positions of the failures.
    Failures,
    /// All or nothing.
    Whole,
}

/// What goes wrong in one call of the bulk handler.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CallFault {
    None,
    /// The request fails, and may be sent again at once or later.
    Retryable {
        after_millis: Option<u16>,
    },
    Permanent,
    PanicAtOnce,
    PanicLater,
    /// Into the timeout, if there is one.
    Hang,
    /// An answer too few.
    Short,
    /// An answer too many, or a position outside.
    Long,
}

#[derive(Debug, Clone)]
pub(crate) struct ProcessorPlan {
    pub(crate) routing: RoutingPlan,
    pub(crate) bulk: Option<BulkPlan>,
    pub(crate) concurrency: usize,
    pub(crate) lanes: LanesPlan,
    pub(crate) max_attempts: u32,
    /// Short enough to run out before an invocation does.
    pub(crate) handler_timeout_millis: Option<u16>,
    pub(crate) queue: bool,
    pub(crate) policy: PolicyPlan,
    pub(crate) give_up_after_seconds: u64,
    pub(crate) follow_lane: bool,
    pub(crate) margin_millis: Option<u64>,
    pub(crate) remember: bool,
    /// How long the filter computes for each record.
    pub(crate) filter_millis: u8,
    /// How long each call of the dead-letter queue computes.
    pub(crate) queue_millis: u8,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LanesPlan {
    PerItem,
    PerPartition,
    WholeBatch,
    Unordered,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PolicyPlan {
    Default,
    DeadLetterAll,
    ReportAll,
}

/// What the dead-letter queue does with one call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum QueueFault {
    Accept {
        millis: u16,
    },
    Refuse,
    /// Accepts those letters whose bit is set.
    Partial {
        mask: u16,
    },
    Hang,
    Panic,
    /// Accepts all, and answers for the first only.
    ShortAnswer,
    /// Accepts all, and says that it did not.
    AcceptAndDeny,
    /// Accepts all, and never answers.
    AcceptAndHang,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct InvocationPlan {
    pub(crate) fault: InvocationFault,
    /// Whether the environment before it is gone.
    pub(crate) fresh: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum InvocationFault {
    None,
    Throttled,
    /// The environment dies in the middle of it.
    CrashAfter {
        millis: u16,
    },
    /// It goes through, and its answer is lost; the environment lives on or not.
    AnswerLost {
        environment_lives: bool,
    },
}

impl RecordPlan {
    /// Whether its handler is never done in time, or not in its first attempts.
    pub(crate) fn times_out(&self, timeout_millis: Option<u16>) -> bool {
        let Some(timeout) = timeout_millis else { return false };
        self.behaviour.hangs() || self.always_times_out(timeout)
    }

    fn always_times_out(&self, timeout: u16) -> bool {
        self.behaviour == Behaviour::Hang || self.millis() + u16::from(self.computes_millis) > timeout
    }

    fn is_fine(&self) -> bool {
        matches!(self.shape, Shape::Good | Shape::Modified | Shape::Removed | Shape::FilteredOut)
    }

    /// How long its handler waits, where it is done in the end.
    pub(crate) fn millis(&self) -> u16 {
        use Behaviour::*;
        match self.behaviour {
            Succeed { millis } | FailTimes { millis, .. } | Permanent { millis } | PanicLater { millis } => millis,
            PanicInDrop => PANIC_IN_DROP_MILLIS,
            _ => 0,
        }
    }

    /// Whether no number of attempts and no patience make it succeed.
    fn is_hopeless(&self, timeout_millis: Option<u16>) -> bool {
        let hopeless = matches!(
            self.behaviour,
            Behaviour::Permanent { .. } | Behaviour::PanicAtOnce | Behaviour::PanicLater { .. }
        );
        !self.is_fine() || hopeless || timeout_millis.is_some_and(|timeout| self.always_times_out(timeout))
    }
}

impl ProcessorPlan {
    /// How long a call of the handler of this record may take.
    pub(crate) fn timeout_of(&self, record: &RecordPlan) -> Option<u16> {
        let own = self.bulk.as_ref().filter(|_| self.route(record).is_bulk()).and_then(|bulk| bulk.timeout_millis);
        own.or(self.handler_timeout_millis)
    }
}

impl Plan {
    /// A record that always fails, and that no one removes, must meet a limit, or its stream rightly never ends.
    pub(crate) fn finite(mut self) -> Self {
        let processor = &mut self.processor;
        if let Some(bulk) = &mut processor.bulk {
            // What is built must be what `build` takes.
            bulk.within_lane |= processor.lanes == LanesPlan::WholeBatch;
            if processor.lanes == LanesPlan::Unordered && bulk.latest_only() {
                bulk.takes = Takes::Changes;
            }
        }
        processor.routing.unmatched_fails &= processor.queue && processor.policy != PolicyPlan::ReportAll;
        let entities = processor.routing.entities.len();
        processor.routing.bulk_at = processor.routing.bulk_at.filter(|_| entities > 0).map(|at| at % entities);
        if processor.has_no_handler() {
            processor.routing.top_level.insert = true;
        }
        for record in self.records.iter_mut().filter(|record| record.behaviour == Behaviour::Hang) {
            if self.processor.timeout_of(record).is_none() {
                record.behaviour = Behaviour::HangUntilHealed;
            }
        }
        let timeout = |record: &RecordPlan| self.processor.timeout_of(record);
        let times_out = |record: &RecordPlan| timeout(record).is_some_and(|timeout| record.always_times_out(timeout));
        let fails = |record: &RecordPlan| self.processor.fails(record) || record.is_hopeless(timeout(record));
        let is_hopeless = self.records.iter().any(fails);
        // What may be tried again is taken out only for its age: not after a quarter of a day of ever the same.
        if self.records.iter().any(times_out) {
            self.processor.give_up_after_seconds = self.processor.give_up_after_seconds.min(30);
            // A record that no number names is delivered with the one before it, which must leave it some time.
            if !self.records.iter().all(RecordPlan::is_fine) {
                self.mapping.timeout_seconds = self.mapping.timeout_seconds.max(10);
            }
        }
        if is_hopeless {
            // A bulk is halved within an invocation, until its lowest record is alone.
            self.mapping.timeout_seconds = self.mapping.timeout_seconds.max(self.halving_seconds());
        }
        // A queue that gets nothing, and what needs one without one, are refused when the processor is built.
        if self.processor.policy == PolicyPlan::ReportAll {
            self.processor.queue = false;
        } else if !self.processor.queue {
            self.processor.policy = PolicyPlan::Default;
        }
        self.processor.follow_lane &= self.processor.queue && self.processor.lanes != LanesPlan::Unordered;
        let taken_out = self.processor.queue;
        if !taken_out && self.mapping.retries < 0 && is_hopeless {
            self.mapping.retries = 2;
        }
        // Where every failure repeats the whole batch, the batch must fit into one invocation.
        if !self.mapping.report_batch_item_failures && self.mapping.retries < 0 {
            self.mapping.timeout_seconds = 900;
        }
        self
    }

    /// How long it takes at most until the lowest record of a bulk is alone.
    fn halving_seconds(&self) -> u64 {
        let Some(bulk) = &self.processor.bulk else { return 0 };
        let most = bulk.max_records.min(self.records.len());
        let calls = u64::from(most.next_power_of_two().ilog2() + 1 + self.processor.max_attempts);
        let call = |record: &RecordPlan| {
            let done = record.millis() + u16::from(record.computes_millis);
            let timeout = self.processor.timeout_of(record).filter(|_| record.behaviour.hangs());
            timeout.unwrap_or(0).max(done) + u16::from(record.computes_millis)
        };
        let slowest = self.records.iter().map(call).max().unwrap_or_default();
        // A tenth is the margin, and some is for backoffs.
        (calls * u64::from(slowest) + 1_000) * 10 / 9 / 1_000 + 1
    }
}

impl Behaviour {
    pub(crate) fn hangs(self) -> bool {
        matches!(self, Self::HangTimes { .. } | Self::HangUntilHealed | Self::Hang)
    }
}
