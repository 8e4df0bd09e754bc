//! The invocation that a batch belongs to: its deadline, and the facts that its dead letters record.

use std::time::{Duration, SystemTime};

use tokio::time::Instant;

use crate::clock::time_of_day;

/// The time until which an invocation may run.
///
/// ```
/// use std::time::Duration;
/// use lambda_streams::Deadline;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// assert!(Deadline::none().instant().is_none());
/// assert!(Deadline::after(Duration::from_secs(30)).instant().is_some());
/// # }
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Deadline(Option<Instant>);

impl Deadline {
    /// No deadline, for tests and local calls. Nothing stops a handler that hangs, except its
    /// [timeout](crate::ProcessorBuilder::handler_timeout).
    pub fn none() -> Self {
        Self(None)
    }

    /// A deadline at this time of tokio's clock.
    pub fn at(instant: Instant) -> Self {
        Self(Some(instant))
    }

    /// A deadline this long from now.
    pub fn after(duration: Duration) -> Self {
        Self(Instant::now().checked_add(duration))
    }

    /// The time of the deadline; `None` if there is none.
    pub fn instant(&self) -> Option<Instant> {
        self.0
    }

    /// From Lambda's milliseconds since the epoch, where 0 means no deadline.
    ///
    /// A time on the first day of the epoch is a duration instead: `cargo lambda watch` sends 600,000 for ten minutes. Taken
    /// as a time, it would make every batch of a local run report that it was not started.
    pub(crate) fn from_epoch_millis(millis: u64) -> Self {
        const DAY: u64 = 24 * 60 * 60 * 1_000;
        match millis {
            0 => return Self::none(),
            1..DAY => return Self::after(Duration::from_millis(millis)),
            DAY.. => {}
        }
        let left = SystemTime::UNIX_EPOCH
            .checked_add(Duration::from_millis(millis))
            .map(|deadline| deadline.duration_since(time_of_day()).unwrap_or(Duration::ZERO));
        left.map_or(Self::none(), Self::after)
    }
}

/// Where the records of a batch come from.
///
/// ```
/// use lambda_streams::{Deadline, Invocation, Origin};
///
/// let mut invocation = Invocation::from(Deadline::none());
/// assert_eq!(invocation.origin, Origin::Stream);
/// invocation.origin = Origin::OnDemand; // the records of a request
/// ```
///
/// Only the stream resumes at a checkpoint. The records of every other origin are independent: one that is not finished holds back the rest
/// of its lane and nothing else, and the next invocation remembers nothing of them. They may also be older than what a handler has processed
/// already.
///
/// | origin | a permanent failure | a retryable failure, after its attempts | [marks](crate::ProcessorBuilder::marks) |
/// |---|---|---|---|
/// | `Stream` | dead letter | reported; a dead letter once it is [old](crate::ProcessorBuilder::give_up_after) | skip what the stream has passed |
/// | `Redrive` | reported: its message stays in its queue | reported | decide what is [stale](crate::Stale) |
/// | `Replay` | dead letter | reported, however old it is | decide what is stale |
/// | `Backfill` | dead letter | reported, however old it is | cannot decide: there is no sequence number |
/// | `OnDemand` | reported | reported | decide what is stale |
///
/// The table is that of the default [`FailurePolicy`](crate::FailurePolicy) with a dead-letter queue. A replay and a backfill follow the
/// policy as the stream does, except for the record's age: the command repeats what is reported, and the record is still where the command
/// found it. With [`DeadLetterAll`](crate::FailurePolicy::DeadLetterAll), every failure becomes a dead letter there, too.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum Origin {
    /// The event source mapping of a stream delivers them, in order. The default.
    #[default]
    Stream,
    /// They are [dead letters](crate::DeadLetter) that were put back.
    Redrive,
    /// They come from the stream, but not through its event source mapping: records that Lambda has discarded, or a stretch of the stream that
    /// is processed again. `lambda-streams replay` sends them.
    ///
    /// Newer changes of the same items may have passed. With marks, an older record is [stale](crate::Stale).
    Replay,
    /// They are the items of a table, each as if it were inserted now. `lambda-streams backfill` sends them.
    ///
    /// Such a record is an [insert](crate::EventKind::Insert) whose event id is `backfill-` and a hash of the table and the key. It has no
    /// [sequence number](crate::Record::sequence_number), so neither marks nor [`Guard::newest`][newest] compare it with a change of the
    /// stream. To keep an older item from overwriting a newer change, write it on the condition that the sink does not have the item yet.
    /// [`Guard::once`][newest] works, and holds once for each item, in all backfills of the table while its row lives.
    ///
    /// [newest]: crate::guide::idempotency
    Backfill,
    /// The function's own code got them in another way, for example from a request.
    OnDemand,
}

impl Origin {
    pub(crate) fn is_stream(self) -> bool {
        self == Self::Stream
    }

    /// The name of the origin in logs; `None` where it is that of what surrounds the batch.
    pub(crate) fn source(self) -> Option<&'static str> {
        match self {
            Self::Stream => Some("stream"),
            Self::Replay => Some("replay"),
            Self::Backfill => Some("backfill"),
            Self::Redrive | Self::OnDemand => None,
        }
    }
}

/// The invocation that a batch belongs to: its deadline, the origin of its records, and what its dead letters say about it.
///
/// It is made from a [`Deadline`] alone, or from Lambda's context:
///
/// ```
/// use lambda_streams::{Deadline, Invocation};
///
/// let local = Invocation::from(Deadline::none());
/// assert_eq!(local.request_id, "");
///
/// let mut context = lambda_runtime::Context::default();
/// context.request_id = "8f6d".to_owned();
/// assert_eq!(Invocation::from(&context).request_id, "8f6d");
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Invocation {
    /// The time until which it may run.
    pub deadline: Deadline,
    /// The request id; empty outside Lambda.
    pub request_id: String,
    /// The ARN by which the function was invoked; empty outside Lambda.
    pub function_arn: String,
    /// The X-Ray trace header, if the invocation is traced.
    pub trace_header: Option<String>,
    /// Where the records come from. Default: [`Origin::Stream`].
    pub origin: Origin,
}

impl Default for Invocation {
    fn default() -> Self {
        Self {
            deadline: Deadline::none(),
            request_id: String::new(),
            function_arn: String::new(),
            trace_header: None,
            origin: Origin::Stream,
        }
    }
}

impl From<Deadline> for Invocation {
    fn from(deadline: Deadline) -> Self {
        Self { deadline, ..Self::default() }
    }
}

impl From<&lambda_runtime::Context> for Invocation {
    fn from(context: &lambda_runtime::Context) -> Self {
        Self {
            deadline: Deadline::from_epoch_millis(context.deadline),
            request_id: context.request_id.clone(),
            function_arn: context.invoked_function_arn.clone(),
            trace_header: context.xray_trace_id.clone(),
            ..Self::default()
        }
    }
}
