//! The settings of an event source mapping, in AWS's names, ranges and defaults.

mod wire;

use std::fmt;
use std::time::Duration;

use serde::Deserialize;

use crate::filter::{Filters, PatternError};
use crate::source::SourceRecord;

/// The settings of an event source mapping, with AWS's names, ranges and defaults.
///
/// They deserialize from the response of `GetEventSourceMapping`, so you can run locally with the deployed settings.
/// [`unspecified`](Self::unspecified) holds what AWS does not publish.
/// [`EventSourceMapping::new`](crate::EventSourceMapping::new) checks them ([AWS:
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
    /// `MaximumBatchingWindowInSeconds`, 0 to 300: the seconds that a batch waits to become full. Default 0.
    pub maximum_batching_window_in_seconds: u32,
    /// `ParallelizationFactor`, 1 to 10: the most concurrent invocations of one shard. Each item keeps its order. Default 1.
    pub parallelization_factor: u32,
    /// `StartingPosition`. Default `TRIM_HORIZON`; AWS has no default.
    pub starting_position: StartingPosition,
    /// `MaximumRetryAttempts`, −1 to 10,000: a batch is discarded after 1 + *n* invocations without progress; −1 is
    /// without limit. Default −1.
    pub maximum_retry_attempts: i32,
    /// `MaximumRecordAgeInSeconds`, −1 or 60 to 604,800: the age in seconds at which a record is discarded; −1 is without
    /// limit. Default −1.
    pub maximum_record_age_in_seconds: i32,
    /// `BisectBatchOnFunctionError`: whether a batch is halved when the function fails, which costs no retry. Default `false`.
    pub bisect_batch_on_function_error: bool,
    /// Whether `FunctionResponseTypes` has `ReportBatchItemFailures`. Without it the function's response is ignored, as on
    /// AWS. Default `false`.
    pub report_batch_item_failures: bool,
    /// The patterns of `FilterCriteria`, at most 5. A record is dropped if no pattern matches it. Default: no patterns,
    /// which keeps every record.
    pub filter_patterns: Vec<String>,
    /// `TumblingWindowInSeconds`, 0 to 900: the length of an aggregation window in seconds, or 0 for none. Default 0.
    pub tumbling_window_in_seconds: u32,
    /// The destination in `DestinationConfig.OnFailure`: an ARN, or `kafka://` and a topic. An S3 bucket gets the records,
    /// all others only their metadata. Default: none.
    pub on_failure: Option<String>,
    /// What AWS does not publish.
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
    /// Checks every setting against AWS's range, and every filter pattern.
    ///
    /// # Errors
    /// If AWS would refuse a setting. The error names the setting and its range.
    pub fn validate(&self) -> Result<(), SettingsError> {
        range("BatchSize", self.batch_size, 1, 10_000)?;
        range("MaximumBatchingWindowInSeconds", self.maximum_batching_window_in_seconds, 0, 300)?;
        range("ParallelizationFactor", self.parallelization_factor, 1, 10)?;
        range("MaximumRetryAttempts", self.maximum_retry_attempts, -1, 10_000)?;
        range("TumblingWindowInSeconds", self.tumbling_window_in_seconds, 0, 900)?;
        let age = self.maximum_record_age_in_seconds;
        if age != -1 && !(60..=604_800).contains(&age) {
            let message = format!("is {age}: it must be -1 for no limit, or 60 to 604800");
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

    /// Whether a record passes [`filter_patterns`](Self::filter_patterns), so the function receives it.
    ///
    /// # Errors
    /// If a pattern can never match, or AWS would refuse it.
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
            SettingsError::new("FilterCriteria", format!("has an invalid pattern at {index}: {reason}"))
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

/// Where a mapping begins to read the shards that exist when it starts. Later shards are read from their beginning.
/// ```
/// use lambda_streams_local::{Settings, StartingPosition};
///
/// assert_eq!(Settings::default().starting_position, StartingPosition::TrimHorizon);
/// let settings: Settings = serde_json::from_str(r#"{"StartingPosition": "LATEST"}"#)?;
/// assert_eq!(settings.starting_position, StartingPosition::Latest);
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Deserialize)]
pub enum StartingPosition {
    /// At the oldest record that the stream still has.
    #[serde(rename = "TRIM_HORIZON")]
    TrimHorizon,
    /// After the newest record: only what is written from now on.
    #[serde(rename = "LATEST")]
    Latest,
}

/// Behaviour of event source mappings that AWS does not publish, as settings. A correct function works with every value.
/// ```
/// use std::time::Duration;
///
/// use lambda_streams_local::{Settings, Unspecified};
///
/// // Retries that are quick enough for a demonstration.
/// let unspecified = Unspecified { retry_max_delay: Duration::from_secs(1), ..Unspecified::default() };
/// let settings = Settings { unspecified, ..Settings::default() };
/// assert_eq!(settings.unspecified.retry_base_delay, Duration::from_millis(500));
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Unspecified {
    /// Whether the halves of a bisected batch keep its number of retries. Default `false`: each half starts from zero.
    pub halves_inherit_retries: bool,
    /// How much is discarded when retries are exhausted. Default [`Discard::RemainingBatch`].
    pub discard: Discard,
    /// How items are assigned to a shard's concurrent batches. Default [`BatchAssignment::Hashed`].
    pub batch_assignment: BatchAssignment,
    /// When a record's age begins. Default [`RecordAge::SinceCreation`].
    pub record_age: RecordAge,
    /// The delay before the first retry. It doubles with each further retry. Default 500 ms, which makes 8 invocations in
    /// a minute, as observed on AWS.
    pub retry_base_delay: Duration,
    /// The longest delay before a retry. Default 60 s.
    pub retry_max_delay: Duration,
    /// How long to wait after an empty page. Default 250 ms, AWS's base rate of 4 reads per second.
    pub poll_interval: Duration,
    /// The time between two listings of the shards. Default 10 s.
    pub discovery_interval: Duration,
    /// How long a tumbling window stays open for late records after its end, if no record arrives. Default 2 minutes: AWS
    /// documents "up to 2 minutes", but only for Kinesis. A record of a later window, or the end of the shard, ends the
    /// window at once.
    pub window_grace: Duration,
    /// Whether the last invocation of a tumbling window can have records. Default [`FinalInvocation::WithoutRecords`].
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
/// ```
/// use lambda_streams_local::{Discard, Unspecified};
///
/// let unspecified = Unspecified { discard: Discard::FirstRecord, ..Unspecified::default() };
/// assert_ne!(unspecified, Unspecified::default());
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Discard {
    /// Everything from the checkpoint to the end of the batch, good records included, as observed on AWS.
    RemainingBatch,
    /// Only the record at the checkpoint.
    FirstRecord,
}

/// How items are assigned to a shard's concurrent batches.
/// ```
/// use lambda_streams_local::{BatchAssignment, Settings, Unspecified};
///
/// let unspecified = Unspecified { batch_assignment: BatchAssignment::Random, seed: 7, ..Unspecified::default() };
/// let settings = Settings { parallelization_factor: 10, unspecified, ..Settings::default() };
/// assert!(settings.validate().is_ok());
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum BatchAssignment {
    /// By a hash of the table and the primary key, so an item is always assigned to the same batch.
    Hashed,
    /// At random, again whenever no record of the item is buffered or in flight. Each item keeps its order, and the order
    /// across items is as random as AWS's guarantees allow. [`Unspecified::seed`] makes a run repeatable.
    Random,
}

/// Whether the last invocation of a tumbling window has records in addition to the state. AWS does not document it; its
/// own example also aggregates the records of the last invocation.
/// ```
/// use lambda_streams_local::{FinalInvocation, Settings, Unspecified};
///
/// let unspecified = Unspecified { final_invocation: FinalInvocation::WithRecords, ..Unspecified::default() };
/// let settings = Settings { tumbling_window_in_seconds: 60, unspecified, ..Settings::default() };
/// assert!(settings.validate().is_ok());
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FinalInvocation {
    /// It has no records. It follows the invocation with the last records.
    WithoutRecords,
    /// It has the window's last records if they are known to be the last when they are sent, otherwise none.
    WithRecords,
}

/// When a record's age begins.
/// ```
/// use lambda_streams_local::{RecordAge, Settings, Unspecified};
///
/// // Events that were captured last week are not too old when they are read from a file.
/// let unspecified = Unspecified { record_age: RecordAge::SinceRead, ..Unspecified::default() };
/// let settings = Settings { maximum_record_age_in_seconds: 3_600, unspecified, ..Settings::default() };
/// assert!(settings.validate().is_ok());
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RecordAge {
    /// From `ApproximateCreationDateTime`, as on AWS.
    SinceCreation,
    /// From the time when the mapping read it: for files of old events.
    SinceRead,
}

/// A setting that AWS would refuse, with its range.
/// ```
/// use lambda_streams_local::Settings;
///
/// let error = Settings { parallelization_factor: 11, ..Settings::default() }.validate().unwrap_err();
/// assert_eq!(error.setting(), "ParallelizationFactor");
/// assert_eq!(error.to_string(), "`ParallelizationFactor` is 11: it must be 1 to 10");
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SettingsError {
    setting: &'static str,
    message: String,
}

impl SettingsError {
    pub(crate) fn new(setting: &'static str, message: impl Into<String>) -> Self {
        Self { setting, message: message.into() }
    }

    /// The setting, in AWS's spelling, such as `BatchSize`.
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
