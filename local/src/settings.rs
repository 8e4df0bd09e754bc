//! The settings of an event source mapping, in AWS's names, ranges and defaults.

mod wire;

use std::fmt;
use std::time::Duration;

use serde::Deserialize;

use crate::filter::{Filters, PatternError};
use crate::source::SourceRecord;

/// The settings of an event source mapping, with AWS's names, ranges and defaults.
///
/// They deserialize from the response of `GetEventSourceMapping`, so that what is tried locally is what is
/// deployed. [`unspecified`](Self::unspecified) holds what AWS does not publish. They are checked when a mapping is made of
/// them ([AWS:
/// `CreateEventSourceMapping`](https://docs.aws.amazon.com/lambda/latest/api/API_CreateEventSourceMapping.html)).
///
/// ```
/// use lambda_streams_local::Settings;
///
/// let settings: Settings = serde_json::from_str(r#"{
///     "BatchSize": 25, "MaximumRetryAttempts": 3, "BisectBatchOnFunctionError": true,
///     "FunctionResponseTypes": ["ReportBatchItemFailures"],
///     "DestinationConfig": {"OnFailure": {"Destination": "arn:aws:sqs:eu-central-1:123456789012:failed"}}
/// }"#)?;
/// assert_eq!(settings.batch_size, 25);
/// assert!(settings.report_batch_item_failures);
///
/// let error = Settings { batch_size: 0, ..Settings::default() }.validate().unwrap_err();
/// assert_eq!(error.to_string(), "`BatchSize` is 0: it must be 1 to 10000");
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(try_from = "wire::Mapping")]
pub struct Settings {
    /// `BatchSize`, 1 to 10,000: the most records in one invocation. Default 100.
    pub batch_size: u32,
    /// `MaximumBatchingWindowInSeconds`, 0 to 300: how long a batch waits to become full. Default 0.
    pub maximum_batching_window_in_seconds: u32,
    /// `ParallelizationFactor`, 1 to 10: how many invocations of one shard run at once; each item keeps its order.
    /// Default 1.
    pub parallelization_factor: u32,
    /// `StartingPosition`. Default `TRIM_HORIZON`; AWS has no default.
    pub starting_position: StartingPosition,
    /// `MaximumRetryAttempts`, −1 to 10,000: −1 is without limit, *n* means 1 + *n* invocations without progress. Default
    /// −1.
    pub maximum_retry_attempts: i32,
    /// `MaximumRecordAgeInSeconds`, −1 or 60 to 604,800: −1 is without limit. Default −1.
    pub maximum_record_age_in_seconds: i32,
    /// `BisectBatchOnFunctionError`: whether a failed batch is halved, which costs no retry. Default `false`.
    pub bisect_batch_on_function_error: bool,
    /// Whether `FunctionResponseTypes` has `ReportBatchItemFailures`; without it the function's response is ignored.
    /// Default `false`.
    pub report_batch_item_failures: bool,
    /// The patterns of `FilterCriteria`, at most 5: a record that none of them matches is dropped. Default: none, which
    /// keeps every record.
    pub filter_patterns: Vec<String>,
    /// `TumblingWindowInSeconds`, 0 to 900: how long an aggregation's window is; 0 is none. Default 0.
    pub tumbling_window_in_seconds: u32,
    /// The destination in `DestinationConfig.OnFailure`: an ARN, or `kafka://` and a topic. S3's get the records, all others
    /// their metadata. Default: none.
    pub on_failure: Option<String>,
    /// What AWS leaves open.
    pub unspecified: Unspecified,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            batch_size: 100,
            maximum_batching_window_in_seconds: 0,
            parallelization_factor: 1,
            starting_position: StartingPosition::TrimHorizon,
            maximum_retry_attempts: -1,
            maximum_record_age_in_seconds: -1,
            bisect_batch_on_function_error: false,
            report_batch_item_failures: false,
            filter_patterns: Vec::new(),
            tumbling_window_in_seconds: 0,
            on_failure: None,
            unspecified: Unspecified::default(),
        }
    }
}

impl Settings {
    /// Checks every setting against AWS's range.
    ///
    /// # Errors
    /// Names the setting and its range.
    pub fn validate(&self) -> Result<(), SettingsError> {
        range("BatchSize", self.batch_size, 1, 10_000)?;
        range("MaximumBatchingWindowInSeconds", self.maximum_batching_window_in_seconds, 0, 300)?;
        range("ParallelizationFactor", self.parallelization_factor, 1, 10)?;
        range("MaximumRetryAttempts", self.maximum_retry_attempts, -1, 10_000)?;
        range("TumblingWindowInSeconds", self.tumbling_window_in_seconds, 0, 900)?;
        let age = self.maximum_record_age_in_seconds;
        if age != -1 && !(60..=604_800).contains(&age) {
            let message = format!("is {age}: it must be -1, which is without limit, or 60 to 604800");
            return Err(SettingsError::new("MaximumRecordAgeInSeconds", message));
        }
        if self.filter_patterns.len() > 5 {
            let message = format!("has {} patterns: it must be at most 5", self.filter_patterns.len());
            return Err(SettingsError::new("FilterCriteria", message));
        }
        if self.on_failure.as_deref().is_some_and(|destination| !is_destination(destination)) {
            let message = "has a destination that is neither the ARN of an SQS queue, an SNS topic or an S3 bucket, nor \
                           `kafka://` and a topic";
            return Err(SettingsError::new("DestinationConfig.OnFailure", message));
        }
        self.filters().map(drop)
    }

    /// Whether a record passes the filter patterns, so that the function is invoked with it.
    ///
    /// # Errors
    /// If a pattern could never match, or AWS would refuse it.
    ///
    /// ```
    /// use lambda_streams_local::{Settings, SourceRecord};
    ///
    /// let patterns = vec![r#"{"eventName": ["REMOVE"]}"#.to_owned()];
    /// let settings = Settings { filter_patterns: patterns, ..Settings::default() };
    /// assert!(!settings.passes(&SourceRecord::from_json(r#"{"eventName": "INSERT"}"#)?)?);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn passes(&self, record: &SourceRecord) -> Result<bool, SettingsError> {
        self.filters().map(|filters| filters.pass(record.json()))
    }

    /// The compiled filter patterns.
    pub(crate) fn filters(&self) -> Result<Filters, SettingsError> {
        Filters::parse(&self.filter_patterns).map_err(|PatternError { index, reason }| {
            SettingsError::new("FilterCriteria", format!("has a wrong pattern at {index}: {reason}"))
        })
    }

    pub(crate) fn batching_window(&self) -> Duration {
        Duration::from_secs(self.maximum_batching_window_in_seconds.into())
    }

    /// `None` where age is without limit.
    pub(crate) fn maximum_record_age(&self) -> Option<Duration> {
        u64::try_from(self.maximum_record_age_in_seconds).ok().map(Duration::from_secs)
    }

    /// `None` where retries are without limit.
    pub(crate) fn retries(&self) -> Option<u32> {
        u32::try_from(self.maximum_retry_attempts).ok()
    }

    /// `None` where no window is set.
    pub(crate) fn tumbling_window(&self) -> Option<Duration> {
        (self.tumbling_window_in_seconds > 0).then(|| Duration::from_secs(self.tumbling_window_in_seconds.into()))
    }

    /// Whether on-failure documents carry the records, as they do in S3.
    pub(crate) fn keeps_payload(&self) -> bool {
        self.on_failure.as_deref().is_some_and(|arn| arn.split(':').nth(2) == Some("s3"))
    }
}

fn is_destination(destination: &str) -> bool {
    match destination.strip_prefix("kafka://") {
        Some(topic) => !topic.is_empty(),
        None => destination.starts_with("arn:") && destination.splitn(6, ':').count() == 6,
    }
}

fn range<N: PartialOrd + Copy + fmt::Display>(
    setting: &'static str,
    value: N,
    least: N,
    most: N,
) -> Result<(), SettingsError> {
    if (least..=most).contains(&value) {
        return Ok(());
    }
    Err(SettingsError::new(setting, format!("is {value}: it must be {least} to {most}")))
}

/// Where a mapping begins in the shards that exist when it starts; shards that come later are read whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Deserialize)]
pub enum StartingPosition {
    /// At the oldest record that is still there.
    #[serde(rename = "TRIM_HORIZON")]
    TrimHorizon,
    /// At what is written from now on.
    #[serde(rename = "LATEST")]
    Latest,
}

/// What AWS has not published of its event source mapping, as settings: a function must be right under all of them.
#[derive(Debug, Clone, PartialEq)]
pub struct Unspecified {
    /// Whether the halves of a bisected batch inherit its count of retries. Default `false`: each starts from zero.
    pub halves_inherit_retries: bool,
    /// How much is discarded when retries are exhausted. Default: the whole remaining batch.
    pub discard: Discard,
    /// How items are assigned to a shard's concurrent batches. Default: by a hash.
    pub batch_assignment: BatchAssignment,
    /// From when on a record's age counts. Default: from its creation.
    pub record_age: RecordAge,
    /// The delay before the first retry, doubled with each further one. Default 500 ms, which makes 8 invocations a
    /// minute, as was seen on AWS.
    pub retry_base_delay: Duration,
    /// What the delay never exceeds. Default 60 s.
    pub retry_max_delay: Duration,
    /// How long to wait after an empty page. Default 250 ms, AWS's base rate of 4 reads a second.
    pub poll_interval: Duration,
    /// How often shards are listed again. Default 10 s.
    pub discovery_interval: Duration,
    /// How long a tumbling window stays open after its end when no record comes, for records that are late. Default 2 min:
    /// AWS waits "up to 2 minutes", which it says of Kinesis alone. A record of a later window, or the shard's end, ends the
    /// window at once.
    pub window_grace: Duration,
    /// Whether a window's last invocation can have records. Default: it has none.
    pub final_invocation: FinalInvocation,
    /// The seed of request ids and of [`BatchAssignment::Random`]. Default 0.
    pub seed: u64,
}

impl Default for Unspecified {
    fn default() -> Self {
        Self {
            halves_inherit_retries: false,
            discard: Discard::RemainingBatch,
            batch_assignment: BatchAssignment::Hashed,
            record_age: RecordAge::SinceCreation,
            retry_base_delay: Duration::from_millis(500),
            retry_max_delay: Duration::from_secs(60),
            poll_interval: Duration::from_millis(250),
            discovery_interval: Duration::from_secs(10),
            window_grace: Duration::from_secs(120),
            final_invocation: FinalInvocation::WithoutRecords,
            seed: 0,
        }
    }
}

/// How much is discarded when retries are exhausted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Discard {
    /// Everything from the checkpoint to the end of the batch, good records included: what AWS was seen to do.
    RemainingBatch,
    /// The record at the checkpoint alone.
    FirstRecord,
}

/// How items are assigned to a shard's concurrent batches.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum BatchAssignment {
    /// By a hash of table and primary key: an item is always assigned to the same batch.
    Hashed,
    /// At random, anew whenever no record of the item is buffered or in flight: each item keeps its order, and the order
    /// across items is as random as AWS's promise allows.
    Random,
}

/// What the last invocation of a tumbling window has besides the state. AWS does not say; its own example aggregates the
/// records of the last invocation too.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FinalInvocation {
    /// No records: it comes after the invocation that had the last ones.
    WithoutRecords,
    /// The window's last records, where they are known to be the last when they are sent; else none.
    WithRecords,
}

/// From when on a record's age counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RecordAge {
    /// From `ApproximateCreationDateTime`, as on AWS.
    SinceCreation,
    /// From the moment the mapping has read it: for files of old events.
    SinceRead,
}

/// A setting that AWS would refuse: which, and what its range is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SettingsError {
    setting: &'static str,
    message: String,
}

impl SettingsError {
    pub(crate) fn new(setting: &'static str, message: impl Into<String>) -> Self {
        Self { setting, message: message.into() }
    }

    /// The setting, in AWS's spelling.
    pub fn setting(&self) -> &str {
        self.setting
    }
}

impl fmt::Display for SettingsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` {}", self.setting, self.message)
    }
}

impl std::error::Error for SettingsError {}
