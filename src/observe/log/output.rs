//! [`Logs`]: what is logged, in which format and where to.
//!
//! Invariant: at the default settings, nothing is logged that may hold a payload: neither the SDK's and HTTP crates' lines below
//! `INFO`, nor what a panic says.

use std::fmt;
use std::io::{self, IsTerminal, Write};

use tracing::{Level, Metadata, Subscriber};
use tracing_subscriber::filter::{FilterFn, LevelFilter};
use tracing_subscriber::layer::{Layer, SubscriberExt};
use tracing_subscriber::registry::{LookupSpan, Registry};

use super::format::LogFormat;
use super::layer::LineLayer;
use crate::error::Error;
use crate::failure::{MAX_MESSAGE, bounded};
use crate::variables::{LOG_LEVEL, level};

/// Crates whose lines below `INFO` may hold whole payloads, because they log what goes over the wire.
const WIRE_CRATES: [&str; 9] =
    ["aws_", "h2", "hyper", "lambda_runtime", "opentelemetry", "reqwest", "rustls", "tonic", "tower"];

/// Writes the log to standard output, as one JSON object per line or as text for a terminal.
///
/// Available with the feature `logs`, which is enabled by default.
///
/// ```no_run
/// use lambda_streams::Logs;
///
/// # fn main() -> Result<(), lambda_streams::Error> {
/// Logs::from_env().install()?;
/// # Ok(())
/// # }
/// ```
///
/// # Lines
/// In JSON, every line has `timestamp` (RFC 3339), `level`, `functionName` and `message`, and every line of an invocation
/// `requestId` and `xrayTraceId`. The fields of the event follow, and those of the spans around it. A line that a handler or the filter
/// writes ends with the record's `event_id`, unless it has that field already or comes from a task that the handler spawned. Each line is
/// written in one call.
///
/// A line has at most 255 KiB, because CloudWatch would split a longer one into parts that are not valid JSON. Of an error's text, the
/// first 4,096 bytes are logged. Your own fields are cut if they no longer fit. Those that cannot be cut are left out, and
/// `omittedFields` counts them.
///
/// # Item data
/// The processor logs which record failed and why. It logs no value of an item at any level. Handlers decide what they log and what their
/// errors say. Other code that could log payloads is quiet unless you ask for it:
///
/// - the runtime, the AWS SDK and HTTP crates stay at `INFO`; [`target`](Self::target) sets a lower level;
/// - a panic is logged with its location and without its message; [`panic_messages`](Self::panic_messages) adds it. Without
///   `Logs`, the process prints the messages of panics to standard error.
pub struct Logs {
    level: Level,
    format: LogFormat,
    targets: Vec<(String, Level)>,
    function_name: String,
    panic_messages: bool,
    writer: Box<dyn Write + Send>,
}

impl Logs {
    /// Starts with the settings of the environment.
    ///
    /// - The level is `LAMBDA_STREAMS_LOG_LEVEL`, otherwise Lambda's own `AWS_LAMBDA_LOG_LEVEL`, otherwise `INFO`. A value that is not a level
    ///   counts as not set here; [`builder_from_env`](crate::StreamProcessor::builder_from_env) refuses it.
    /// - The format is `AWS_LAMBDA_LOG_FORMAT`. If that is not set, it is text on a terminal and JSON everywhere else
    ///   ([AWS: log format and level](https://docs.aws.amazon.com/lambda/latest/dg/monitoring-cloudwatchlogs-advanced.html)).
    ///
    /// The two levels differ in their effect on metrics: Lambda drops every line below its own level, metrics included.
    pub fn from_env() -> Self {
        let variable = |name: &str| std::env::var(name).unwrap_or_default();
        let format = match variable("AWS_LAMBDA_LOG_FORMAT").to_ascii_uppercase().as_str() {
            "JSON" => LogFormat::Json,
            "TEXT" => LogFormat::Text,
            _ if io::stdout().is_terminal() => LogFormat::Text,
            _ => LogFormat::Json,
        };
        Self {
            level: [LOG_LEVEL, "AWS_LAMBDA_LOG_LEVEL"]
                .iter()
                .find_map(|name| level(&variable(name)))
                .unwrap_or(Level::INFO),
            format,
            targets: Vec::new(),
            function_name: variable("AWS_LAMBDA_FUNCTION_NAME"),
            panic_messages: false,
            writer: Box::new(io::stdout()),
        }
    }

    /// The least severe level that is logged. Default: that of the environment, or `INFO`.
    #[must_use]
    pub fn level(mut self, level: Level) -> Self {
        self.level = level;
        self
    }

    /// The format of the lines. Default: that of the environment.
    #[must_use]
    pub fn format(mut self, format: LogFormat) -> Self {
        self.format = format;
        self
    }

    /// The least severe level that is logged of one crate or module, such as `"aws_sdk_sqs"` or `"orders::handlers"`. The most specific target
    /// applies.
    ///
    /// Below `INFO`, the lines of the runtime, the AWS SDK and HTTP crates may contain payloads, and so item data.
    ///
    /// ```no_run
    /// use lambda_streams::Logs;
    /// use tracing::Level;
    ///
    /// Logs::from_env().target("orders::handlers", Level::DEBUG).install()?;
    /// # Ok::<(), lambda_streams::Error>(())
    /// ```
    #[must_use]
    pub fn target(mut self, target: impl Into<String>, level: Level) -> Self {
        self.targets.push((target.into(), level));
        self
    }

    /// The value of `functionName`. Default: `AWS_LAMBDA_FUNCTION_NAME`.
    #[must_use]
    pub fn function_name(mut self, name: impl Into<String>) -> Self {
        self.function_name = name.into();
        self
    }

    /// Whether a panic is logged with its message, which may quote an item. Default: `false`.
    #[must_use]
    pub fn panic_messages(mut self, enabled: bool) -> Self {
        self.panic_messages = enabled;
        self
    }

    /// Where lines are written, each in one call of `write_all`. Default: standard output.
    #[must_use]
    pub fn writer(mut self, writer: impl Write + Send + 'static) -> Self {
        self.writer = Box::new(writer);
        self
    }

    /// Installs it as the log of this process. Panics are then logged instead of printed.
    ///
    /// # Errors
    /// If the process has a log already ([`Error::is_configuration`]).
    pub fn install(self) -> Result<(), Error> {
        let panic_messages = self.panic_messages;
        tracing::subscriber::set_global_default(Registry::default().with(self.into_layer()))
            .map_err(|_| Error::configuration("the process already has a log: install only one"))?;
        log_panics(panic_messages);
        Ok(())
    }

    /// Returns the log as a layer of `tracing_subscriber`, to be combined with others, such as one that exports traces.
    ///
    /// ```no_run
    /// use lambda_streams::Logs;
    /// use tracing_subscriber::layer::SubscriberExt;
    /// use tracing_subscriber::util::SubscriberInitExt;
    ///
    /// tracing_subscriber::registry().with(Logs::from_env().into_layer()).init();
    /// ```
    pub fn into_layer<S>(self) -> impl Layer<S> + Send + Sync + 'static
    where
        S: Subscriber + for<'a> LookupSpan<'a>,
    {
        let Self { level, format, targets, function_name, writer, .. } = self;
        let most_verbose = targets.iter().map(|(_, level)| *level).fold(level, Level::max);
        let filter = FilterFn::new(move |metadata| is_enabled(metadata, level, &targets))
            .with_max_level_hint(LevelFilter::from_level(most_verbose.max(Level::INFO)));
        LineLayer::new(format, &function_name, writer).with_filter(filter)
    }
}

fn is_enabled(metadata: &Metadata<'_>, level: Level, targets: &[(String, Level)]) -> bool {
    let named = targets.iter().filter(|(target, _)| is_within(metadata.target(), target));
    let limit = match named.max_by_key(|(target, _)| target.len()) {
        Some((_, level)) => *level,
        None if WIRE_CRATES.iter().any(|name| metadata.target().starts_with(name)) => level.min(Level::INFO),
        None => level,
    };
    // Spans are enabled up to `INFO` whatever is logged: they say which invocation a line belongs to.
    let limit = if metadata.is_span() { limit.max(Level::INFO) } else { limit };
    *metadata.level() <= limit
}

fn is_within(target: &str, module: &str) -> bool {
    target.strip_prefix(module).is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
}

fn log_panics(messages: bool) {
    std::panic::set_hook(Box::new(move |panic| {
        let text = panic.payload_as_str().filter(|_| messages).map(|text| bounded(text, MAX_MESSAGE));
        tracing::error!(location = panic.location().map(ToString::to_string), error = text, "a panic");
    }));
}

impl fmt::Debug for Logs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Logs")
            .field("level", &self.level)
            .field("format", &self.format)
            .field("targets", &self.targets)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_matches_whole_module_names() {
        assert!(is_within("orders::handlers::insert", "orders::handlers"));
        assert!(is_within("orders", "orders"));
        assert!(!is_within("orders_audit", "orders"));
    }
}
