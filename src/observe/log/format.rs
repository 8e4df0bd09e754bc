//! The two formats of log lines.

/// The format of log lines.
///
/// Available with the feature `logs`, which is enabled by default.
///
/// ```no_run
/// use lambda_streams::{LogFormat, Logs};
///
/// Logs::from_env().format(LogFormat::Text).install()?;
/// # Ok::<(), lambda_streams::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum LogFormat {
    /// One JSON object per line, as Lambda and CloudWatch Logs Insights read it.
    Json,
    /// Lines for people to read in a terminal.
    Text,
}
