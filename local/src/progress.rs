//! What happens while a mapping runs, and the tally of it.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::batch_result::BatchResult;
use crate::on_failure::{Condition, OnFailureDocument};
use crate::warning::{Warning, WarningKind};

/// An event of a running mapping, with the shard that it is about.
/// ```
/// use lambda_streams::{Record, StreamProcessor};
/// use lambda_streams_local::{EventSourceMapping, ProcessorFunction, Progress, RecordFiles, Settings};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let mut files = RecordFiles::new();
/// files.add_items("orders.ndjson", r#"{"id": "a"} {"id": "b"} {"id": "c"}"#, &["id"])?;
/// let processor = StreamProcessor::builder().on_record(|record: Record| async move { Ok(()) }).build()?;
/// let settings = Settings { batch_size: 2, report_batch_item_failures: true, ..Settings::default() };
///
/// let (sent, batches) = std::sync::mpsc::channel();
/// let mapping = EventSourceMapping::new(settings, files.into_source()?, ProcessorFunction::new(processor))?
///     .on_progress(move |progress| {
///         if let Progress::Sent { records, .. } = progress {
///             let _ = sent.send(*records);
///         }
///     });
/// mapping.run(std::future::pending()).await?;
/// assert_eq!(batches.try_iter().collect::<Vec<_>>(), [2, 1]);
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Progress {
    /// A shard is being read.
    ShardOpened {
        /// The shard.
        shard: Arc<str>,
    },
    /// A shard is closed, and every record of it is done or discarded.
    ShardClosed {
        /// The shard.
        shard: Arc<str>,
    },
    /// A page was read.
    Read {
        /// The shard.
        shard: Arc<str>,
        /// How many records it had.
        records: usize,
        /// How many of them no filter pattern matched.
        filtered: usize,
    },
    /// The function is invoked.
    Sent {
        /// The shard.
        shard: Arc<str>,
        /// The invocation's number in this run, from 1.
        invocation: u64,
        /// How many records the batch has; 0 for the end of a tumbling window.
        records: usize,
        /// The size of the payload in bytes.
        bytes: usize,
        /// How many invocations of this batch failed before, without progress.
        failures: u32,
        /// The age of the batch's last record, Lambda's `IteratorAge`; `None` if the record has no time.
        iterator_age: Option<Duration>,
    },
    /// The invocation has ended.
    Responded {
        /// The shard.
        shard: Arc<str>,
        /// The invocation's number.
        invocation: u64,
        /// How long it took.
        duration: Duration,
        /// What is done, and what is delivered again.
        result: BatchResult,
    },
    /// The rest of a batch waits for its next invocation.
    Waiting {
        /// The shard.
        shard: Arc<str>,
        /// How many records wait.
        records: usize,
        /// How many of their invocations failed, without progress.
        failures: u32,
        /// How long they wait.
        delay: Duration,
    },
    /// A failed batch was halved.
    Bisected {
        /// The shard.
        shard: Arc<str>,
        /// How many records the first half has.
        first: usize,
        /// How many records the second half has.
        second: usize,
    },
    /// Records were discarded: the function will not see them again.
    Discarded {
        /// The shard.
        shard: Arc<str>,
        /// How many.
        records: usize,
        /// Why.
        condition: Condition,
    },
    /// An on-failure document was sent to the destination, or the destination refused it.
    OnFailureSent {
        /// The shard.
        shard: Arc<str>,
        /// The document.
        document: Box<OnFailureDocument>,
        /// Why the destination did not accept it; `None` if it did.
        error: Option<String>,
    },
    /// AWS would do something silently, such as lose records.
    Warning {
        /// The shard; empty if the warning is about the mapping as a whole.
        shard: Arc<str>,
        /// The kind of warning.
        kind: WarningKind,
        /// What happens, and what is lost.
        message: String,
    },
}

/// The totals of a run. Fields that do not say what they count are numbers of records.
/// ```
/// use lambda_streams::{Record, StreamProcessor};
/// use lambda_streams_local::{EventSourceMapping, ProcessorFunction, RecordFiles, Settings};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let mut files = RecordFiles::new();
/// files.add_items("orders.ndjson", r#"{"id": "a", "stock": 3} {"id": "a", "stock": 2} {"id": "b"}"#, &["id"])?;
/// let processor = StreamProcessor::builder().on_record(|record: Record| async move { Ok(()) }).build()?;
/// let settings = Settings {
///     filter_patterns: vec![r#"{"eventName": ["INSERT"]}"#.to_owned()],
///     report_batch_item_failures: true,
///     ..Settings::default()
/// };
/// let mapping = EventSourceMapping::new(settings, files.into_source()?, ProcessorFunction::new(processor))?;
/// let summary = mapping.run(std::future::pending()).await?;
/// assert_eq!((summary.read, summary.filtered, summary.done), (3, 1, 2));
/// assert!(summary.to_string().starts_with("shards        1 opened, 1 closed\n"));
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Summary {
    /// Shards that were opened.
    pub shards_opened: u64,
    /// Shards that are closed, with every record done or discarded.
    pub shards_closed: u64,
    /// Records read from the stream.
    pub read: u64,
    /// Records dropped because no filter pattern matched.
    pub filtered: u64,
    /// Records that the mapping takes as done, which includes those that the function made dead letters of.
    pub done: u64,
    /// Records discarded: too old, or without retries left.
    pub discarded: u64,
    /// Records that were read, but neither done nor discarded when the run stopped. The stream still holds them.
    pub left: u64,
    /// Invocations, throttled ones included.
    pub invocations: u64,
    /// Invocations that ended in a function error.
    pub function_errors: u64,
    /// Invocations that named a checkpoint.
    pub partial_responses: u64,
    /// Invocations whose response could not be used, so the whole batch is delivered again.
    pub unusable_responses: u64,
    /// Invocations that did not take place.
    pub throttles: u64,
    /// Deliveries that cost a retry.
    pub retries: u64,
    /// Batches that were halved.
    pub bisects: u64,
    /// On-failure documents that were accepted.
    pub on_failure_documents: u64,
    /// What AWS would have done silently, by kind.
    pub warnings: Vec<Warning>,
}

impl Summary {
    pub(crate) fn note(&mut self, progress: &Progress) {
        match progress {
            Progress::ShardOpened { .. } => self.shards_opened += 1,
            Progress::ShardClosed { .. } => self.shards_closed += 1,
            Progress::Read { records, filtered, .. } => {
                self.read += *records as u64;
                self.filtered += *filtered as u64;
            }
            Progress::Sent { failures, .. } => {
                self.invocations += 1;
                self.retries += u64::from(*failures > 0);
            }
            Progress::Responded { result, .. } => self.note_result(result),
            Progress::Bisected { .. } => self.bisects += 1,
            Progress::Discarded { records, .. } => self.discarded += *records as u64,
            Progress::OnFailureSent { error, .. } => self.on_failure_documents += u64::from(error.is_none()),
            Progress::Warning { kind, message, .. } => self.warn(*kind, message),
            Progress::Waiting { .. } => {}
        }
    }

    fn note_result(&mut self, result: &BatchResult) {
        match result {
            BatchResult::Done => {}
            BatchResult::Checkpoint { .. } => self.partial_responses += 1,
            BatchResult::WholeBatch { .. } => self.unusable_responses += 1,
            BatchResult::FunctionError { .. } => self.function_errors += 1,
            BatchResult::Throttled => self.throttles += 1,
        }
    }

    fn warn(&mut self, kind: WarningKind, message: &str) {
        match self.warnings.iter_mut().find(|warning| warning.kind == kind) {
            Some(warning) => warning.count += 1,
            None => self.warnings.push(Warning::first(kind, message)),
        }
    }
}

/// A table for people. Its labels do not depend on the numbers, so scripts can read it too.
impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "shards        {} opened, {} closed", self.shards_opened, self.shards_closed)?;
        writeln!(f, "records       {} read, {} filtered out", self.read, self.filtered)?;
        writeln!(f, "              {} done, {} discarded, {} left", self.done, self.discarded, self.left)?;
        writeln!(f, "invocations   {}, of which {} retries", self.invocations, self.retries)?;
        writeln!(
            f,
            "              {} partial, {} function errors, {} unusable responses, {} throttled",
            self.partial_responses, self.function_errors, self.unusable_responses, self.throttles
        )?;
        write!(f, "bisects       {}\non failure    {} documents", self.bisects, self.on_failure_documents)?;
        for Warning { count, message, .. } in &self.warnings {
            write!(f, "\nwarning       {count} x {message}")?;
        }
        Ok(())
    }
}
