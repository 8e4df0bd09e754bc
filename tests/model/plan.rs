//! What a schedule consists of.

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
    pub(crate) behaviour: Behaviour,
    /// How long its handler computes before it first waits, and again when it is woken.
    pub(crate) computes_millis: u8,
}

/// What the record looks like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shape {
    Good,
    /// A removal, for which there is no handler.
    NoHandler,
    /// A modification that the processor's filter does not keep.
    FilteredOut,
    EventNameMissing,
    EventNameUnknown,
    DynamodbNull,
    ImageMalformed,
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
    /// For ever; drawn only with a handler timeout that ends it.
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

#[derive(Debug, Clone)]
pub(crate) struct ProcessorPlan {
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
        use Behaviour::*;
        let Some(timeout) = timeout_millis else { return false };
        matches!(self.behaviour, HangTimes { .. } | HangUntilHealed) || self.always_times_out(timeout)
    }

    fn always_times_out(&self, timeout: u16) -> bool {
        use Behaviour::*;
        let is_late = |millis: u16| millis + u16::from(self.computes_millis) > timeout;
        match self.behaviour {
            Succeed { millis } | FailTimes { millis, .. } | Permanent { millis } | PanicLater { millis } => {
                is_late(millis)
            }
            PanicInDrop => is_late(PANIC_IN_DROP_MILLIS),
            Hang => true,
            _ => false,
        }
    }

    fn is_fine(&self) -> bool {
        matches!(self.shape, Shape::Good | Shape::NoHandler | Shape::FilteredOut)
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

impl Plan {
    /// A record that fails for good, and that nobody takes out, must meet a limit, or its stream rightly never ends.
    pub(crate) fn finite(mut self) -> Self {
        let timeout = self.processor.handler_timeout_millis;
        for record in self.records.iter_mut().filter(|record| timeout.is_none() && record.behaviour == Behaviour::Hang)
        {
            record.behaviour = Behaviour::HangUntilHealed;
        }
        // What may be tried again is taken out only for its age: not after a quarter of a day of ever the same.
        if self.records.iter().any(|record| timeout.is_some_and(|timeout| record.always_times_out(timeout))) {
            self.processor.give_up_after_seconds = self.processor.give_up_after_seconds.min(30);
            // A record that no number names is delivered with the one before it, which must leave it some time.
            if !self.records.iter().all(RecordPlan::is_fine) {
                self.mapping.timeout_seconds = self.mapping.timeout_seconds.max(10);
            }
        }
        // A queue that gets nothing, and what needs one without one, are refused when the processor is built.
        if self.processor.policy == PolicyPlan::ReportAll {
            self.processor.queue = false;
        } else if !self.processor.queue {
            self.processor.policy = PolicyPlan::Default;
        }
        self.processor.follow_lane &= self.processor.queue && self.processor.lanes != LanesPlan::Unordered;
        let taken_out = self.processor.queue;
        if !taken_out && self.mapping.retries < 0 && self.records.iter().any(|record| record.is_hopeless(timeout)) {
            self.mapping.retries = 2;
        }
        // Where every failure repeats the whole batch, the batch must fit into one invocation.
        if !self.mapping.report_batch_item_failures && self.mapping.retries < 0 {
            self.mapping.timeout_seconds = 900;
        }
        self
    }
}
