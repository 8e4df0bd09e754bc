//! Warnings of what AWS would do silently: the kinds, and how often each occurred.
//!
//! A mapping never fails because of a warning. Each says what is lost, so it is noticed on a laptop and not in production.

/// A kind of thing that AWS does silently, and that usually loses records.
/// ```
/// use lambda_streams_local::{Summary, WarningKind};
///
/// fn loses_records(summary: &Summary) -> bool {
///     summary.warnings.iter().any(|warning| warning.kind != WarningKind::FilterIneffective)
/// }
/// assert!(!loses_records(&Summary::default()));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum WarningKind {
    /// The response has no readable `batchItemFailures`. AWS takes it as a success, and loses the records that failed.
    ResponseNotUnderstood,
    /// The function reports failures, but `ReportBatchItemFailures` is off. AWS ignores the response.
    ResponseIgnored,
    /// Records are discarded, and no on-failure destination is configured.
    DiscardedUntold,
    /// The on-failure destination did not accept a document.
    OnFailureLost,
    /// A filter pattern has a condition that never holds for a stream's records, or always does. This warning is about the
    /// mapping, and is given when a run begins.
    FilterIneffective,
    /// The state of a tumbling window is too large, and the window ends early.
    WindowEndedEarly,
    /// The state of a tumbling window is lost: its last invocation failed until the retries were exhausted, or the run ended
    /// while it was open.
    WindowLost,
}

/// A kind of warning that occurred in a run: how often, and the message of the first one.
/// ```
/// use std::time::Duration;
///
/// use lambda_streams_local::{
///     EventSourceMapping, Function, InvokeError, RecordFiles, Response, Settings, WarningKind,
/// };
///
/// struct Misspelled;
///
/// impl Function for Misspelled {
///     async fn invoke(&self, _payload: String, _timeout: Duration) -> Result<Response, InvokeError> {
///         Ok(Response::Returned(r#"{"batchItemFailure": []}"#.to_owned()))
///     }
///
///     fn function_arn(&self) -> String {
///         "arn:aws:lambda:eu-central-1:123456789012:function:misspelled".to_owned()
///     }
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let mut files = RecordFiles::new();
/// files.add_items("orders.ndjson", r#"{"id": "a"}"#, &["id"])?;
/// let settings = Settings { report_batch_item_failures: true, ..Settings::default() };
/// let summary = EventSourceMapping::new(settings, files.into_source()?, Misspelled)?.run(std::future::pending()).await?;
/// assert_eq!(summary.warnings[0].kind, WarningKind::ResponseNotUnderstood);
/// assert_eq!(summary.warnings[0].count, 1);
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Warning {
    /// The kind.
    pub kind: WarningKind,
    /// How often it occurred.
    pub count: u64,
    /// The first message.
    pub message: String,
}

/// A number and what it counts.
pub(crate) fn count(number: usize, what: &str) -> String {
    if number == 1 { format!("1 {what}") } else { format!("{number} {what}s") }
}

impl Warning {
    pub(crate) fn first(kind: WarningKind, message: &str) -> Self {
        Self { kind, count: 1, message: message.to_owned() }
    }
}
