use std::fmt;
use std::io::{self, IsTerminal, Write};
use std::str::FromStr;

use tracing::{Level, Metadata, Subscriber};
use tracing_subscriber::filter::{FilterFn, LevelFilter};
use tracing_subscriber::layer::{Layer, SubscriberExt};
use tracing_subscriber::registry::{LookupSpan, Registry};

use super::format::LogFormat;
use super::layer::Lines;
use crate::error::Error;

/// Crates whose lines below `INFO` are about bytes on the wire, and may hold whole payloads.
const WIRE: [&str; 9] =
    ["aws_", "h2", "hyper", "lambda_runtime", "opentelemetry", "reqwest", "rustls", "tonic", "tower"];

/// Writes the log to standard output, as one JSON object a line or for a terminal.
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
/// In JSON, `timestamp` (RFC 3339), `level`, `functionName` and `message` are on every line, `requestId` and `xrayTraceId` on
/// every line of an invocation. The fields of the event stand beside them, and those of the spans around it. A line is
/// written in one piece.
///
/// # Item data
/// The processor logs which record failed and why, at every level without a value of its item. What handlers log, and what
/// their errors say, is theirs. What could log payloads is quiet unless you name it:
///
/// - the runtime, the AWS SDK and HTTP crates stay at `INFO`; [`target`](Self::target) turns one up;
/// - a panic is logged with its place and without its message; [`panic_messages`](Self::panic_messages) adds it. Without
///   `Logs`, the process prints messages of panics to standard error by itself.
pub struct Logs {
    level: Level,
    format: LogFormat,
    targets: Vec<(String, Level)>,
    function_name: String,
    panic_messages: bool,
    writer: Box<dyn Write + Send>,
}

impl Logs {
    /// The settings that Lambda gives its functions: `AWS_LAMBDA_LOG_LEVEL`, default `INFO`, and `AWS_LAMBDA_LOG_FORMAT`,
    /// default JSON unless standard output is a terminal
    /// ([AWS: log format and level](https://docs.aws.amazon.com/lambda/latest/dg/monitoring-cloudwatchlogs-advanced.html)).
    pub fn from_env() -> Self {
        let variable = |name: &str| std::env::var(name).unwrap_or_default();
        let format = match variable("AWS_LAMBDA_LOG_FORMAT").to_ascii_uppercase().as_str() {
            "JSON" => LogFormat::Json,
            "TEXT" => LogFormat::Text,
            _ if io::stdout().is_terminal() => LogFormat::Text,
            _ => LogFormat::Json,
        };
        Self {
            level: level(&variable("AWS_LAMBDA_LOG_LEVEL")).unwrap_or(Level::INFO),
            format,
            targets: Vec::new(),
            function_name: variable("AWS_LAMBDA_FUNCTION_NAME"),
            panic_messages: false,
            writer: Box::new(io::stdout()),
        }
    }

    /// The least severe level that is logged.
    #[must_use]
    pub fn level(mut self, level: Level) -> Self {
        self.level = level;
        self
    }

    /// How lines look.
    #[must_use]
    pub fn format(mut self, format: LogFormat) -> Self {
        self.format = format;
        self
    }

    /// The least severe level that is logged of a crate or module, such as `"aws_sdk_sqs"` or `"orders::handlers"`; the
    /// most specific one holds.
    ///
    /// Below `INFO`, what the runtime, the AWS SDK and HTTP crates log may hold payloads, and so item data.
    #[must_use]
    pub fn target(mut self, target: impl Into<String>, level: Level) -> Self {
        self.targets.push((target.into(), level));
        self
    }

    /// What `functionName` says. Default `AWS_LAMBDA_FUNCTION_NAME`.
    #[must_use]
    pub fn function_name(mut self, name: impl Into<String>) -> Self {
        self.function_name = name.into();
        self
    }

    /// Whether a panic is logged with its message, which may quote an item. Default `false`.
    #[must_use]
    pub fn panic_messages(mut self, enabled: bool) -> Self {
        self.panic_messages = enabled;
        self
    }

    /// Where lines go, each in one call of `write_all`. Default standard output.
    #[must_use]
    pub fn writer(mut self, writer: impl Write + Send + 'static) -> Self {
        self.writer = Box::new(writer);
        self
    }

    /// Makes it the log of this process, and logs panics instead of having them printed.
    ///
    /// # Errors
    /// If the process has a log already ([`Error::is_configuration`]).
    pub fn install(self) -> Result<(), Error> {
        let panic_messages = self.panic_messages;
        tracing::subscriber::set_global_default(Registry::default().with(self.into_layer()))
            .map_err(|_| Error::configuration("the process has a log already: install one, once"))?;
        log_panics(panic_messages);
        Ok(())
    }

    /// The log as a layer, to be put together with others, such as one that exports traces.
    pub fn into_layer<S>(self) -> impl Layer<S> + Send + Sync + 'static
    where
        S: Subscriber + for<'a> LookupSpan<'a>,
    {
        let Self { level, format, targets, function_name, writer, .. } = self;
        let most = targets.iter().map(|(_, level)| *level).fold(level, Level::max);
        let filter = FilterFn::new(move |metadata| is_enabled(metadata, level, &targets))
            .with_max_level_hint(LevelFilter::from_level(most.max(Level::INFO)));
        Lines::new(format, &function_name, writer).with_filter(filter)
    }
}

fn is_enabled(metadata: &Metadata<'_>, level: Level, targets: &[(String, Level)]) -> bool {
    let named = targets.iter().filter(|(target, _)| is_within(metadata.target(), target));
    let limit = match named.max_by_key(|(target, _)| target.len()) {
        Some((_, level)) => *level,
        None if WIRE.iter().any(|name| metadata.target().starts_with(name)) => level.min(Level::INFO),
        None => level,
    };
    // Spans of this level stay on whatever is logged, for they say which invocation a line belongs to.
    *metadata.level() <= if metadata.is_span() { limit.max(Level::INFO) } else { limit }
}

fn is_within(target: &str, module: &str) -> bool {
    target.strip_prefix(module).is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
}

/// Lambda's names of levels; `FATAL` is the runtime's own.
fn level(name: &str) -> Option<Level> {
    if name.eq_ignore_ascii_case("FATAL") { Some(Level::ERROR) } else { Level::from_str(name).ok() }
}

fn log_panics(messages: bool) {
    std::panic::set_hook(Box::new(move |panic| {
        let text = panic.payload_as_str().filter(|_| messages);
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
    fn lambdas_level_names_are_read() {
        let table = [("TRACE", Level::TRACE), ("debug", Level::DEBUG), ("Warn", Level::WARN), ("FATAL", Level::ERROR)];
        for (name, expected) in table {
            assert_eq!(level(name), Some(expected));
        }
        assert_eq!(level("LOUD"), None);
    }

    #[test]
    fn a_target_matches_whole_module_names() {
        assert!(is_within("orders::handlers::insert", "orders::handlers"));
        assert!(is_within("orders", "orders"));
        assert!(!is_within("orders_audit", "orders"));
    }
}
