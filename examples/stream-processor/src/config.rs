//! The function's configuration: its environment, read once at start.
//!
//! | variable | what | default |
//! |---|---|---|
//! | `DLQ_URL` | URL of the dead-letter queue | required |
//! | `TABLE_NAME` | the table whose records may be posted | required |
//! | `LOG_LEVEL` | `trace`, `debug`, `info`, `warn`, `error` | `info` |
//! | `CONCURRENCY` | handlers at once, 1 to 10,000 | 10 |
//! | `MAX_ATTEMPTS` | attempts at a record in one invocation, 1 to 100 | 3 |
//! | `RETRY_BASE_MS` | longest delay before the second attempt, to 60,000 | 100 |
//! | `RETRY_MAX_MS` | what the delay never exceeds, to 600,000 | 2000 |
//! | `HANDLER_TIMEOUT_MS` | how long an attempt may take, to 900,000 | 15000 |
//! | `GIVE_UP_AFTER_SECONDS` | age from which on a record is given up, to 86,400 | 21600 |
//! | `REPORT_BATCH_ITEM_FAILURES` | what the event source mapping has: `true` or `false` | `true` |

use std::error::Error;
use std::ffi::OsString;
use std::fmt::{self, Display};
use std::ops::RangeInclusive;
use std::time::Duration;

use tracing::Level;

use crate::processor::Settings;

/// What the function was told at start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Config {
    pub(crate) dlq_url: String,
    pub(crate) table_name: String,
    pub(crate) log_level: Level,
    pub(crate) processing: Settings,
}

/// Every variable that is missing or malformed, in one message.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct ConfigError(Vec<String>);

impl Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join("; "))
    }
}

impl Error for ConfigError {}

impl Config {
    /// Reads the environment.
    pub(crate) fn from_env() -> Result<Self, ConfigError> {
        Self::read(|name| std::env::var_os(name))
    }

    fn read(get: impl Fn(&str) -> Option<OsString>) -> Result<Self, ConfigError> {
        let mut variables = Variables { get, faults: Vec::new() };
        let config = Self {
            dlq_url: variables.required("DLQ_URL", "the URL of the dead-letter queue", is_url),
            table_name: variables.required("TABLE_NAME", "the name of the table", is_table_name),
            log_level: variables.optional("LOG_LEVEL", "trace, debug, info, warn or error", Level::INFO, level),
            processing: variables.settings(),
        };
        if config.processing.retry_base > config.processing.retry_max {
            variables.faults.push("RETRY_BASE_MS is longer than RETRY_MAX_MS".to_owned());
        }
        if variables.faults.is_empty() { Ok(config) } else { Err(ConfigError(variables.faults)) }
    }
}

/// The variables as they are read, and what is wrong with them.
struct Variables<G> {
    get: G,
    faults: Vec<String>,
}

impl<G: Fn(&str) -> Option<OsString>> Variables<G> {
    fn settings(&mut self) -> Settings {
        let default = Settings::default();
        let wanted = "true or false";
        let report = self.optional("REPORT_BATCH_ITEM_FAILURES", wanted, default.report_batch_item_failures, flag);
        Settings {
            concurrency: self.number("CONCURRENCY", 1..=10_000).map_or(default.concurrency, |number| number as usize),
            max_attempts: self.number("MAX_ATTEMPTS", 1..=100).unwrap_or(default.max_attempts),
            retry_base: self.number("RETRY_BASE_MS", 0..=60_000).map_or(default.retry_base, millis),
            retry_max: self.number("RETRY_MAX_MS", 0..=600_000).map_or(default.retry_max, millis),
            handler_timeout: self.number("HANDLER_TIMEOUT_MS", 1..=900_000).map_or(default.handler_timeout, millis),
            give_up_after: self.number("GIVE_UP_AFTER_SECONDS", 0..=86_400).map_or(default.give_up_after, seconds),
            report_batch_item_failures: report,
        }
    }

    fn required(&mut self, name: &str, what: &str, is_valid: fn(&str) -> bool) -> String {
        match self.text(name) {
            Some(text) if is_valid(&text) => return text,
            Some(text) if !text.is_empty() => self.faults.push(format!("{name} is {text:?}, which is not {what}")),
            _ => self.faults.push(format!("{name} is missing: set it to {what}")),
        }
        String::new()
    }

    fn optional<T>(&mut self, name: &str, wanted: &str, default: T, parse: fn(&str) -> Option<T>) -> T {
        let Some(text) = self.text(name) else { return default };
        parse(&text).unwrap_or_else(|| {
            self.faults.push(format!("{name} is {text:?}, not {wanted}"));
            default
        })
    }

    fn number(&mut self, name: &str, range: RangeInclusive<u32>) -> Option<u32> {
        let text = self.text(name)?;
        let number = text.parse().ok().filter(|number| range.contains(number));
        if number.is_none() {
            self.faults.push(format!("{name} is {text:?}, not a number from {} to {}", range.start(), range.end()));
        }
        number
    }

    /// What is not UTF-8 is malformed wherever it is looked at closer.
    fn text(&self, name: &str) -> Option<String> {
        (self.get)(name).map(|text| text.to_string_lossy().into_owned())
    }
}

fn is_url(text: &str) -> bool {
    ["https://", "http://"].iter().any(|scheme| text.strip_prefix(scheme).is_some_and(|rest| rest.contains('/')))
}

/// 3 to 255 characters, none of which can stand in an ARN's path by accident.
fn is_table_name(text: &str) -> bool {
    (3..=255).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte))
}

fn level(text: &str) -> Option<Level> {
    [Level::TRACE, Level::DEBUG, Level::INFO, Level::WARN, Level::ERROR]
        .into_iter()
        .find(|level| level.as_str().eq_ignore_ascii_case(text))
}

fn flag(text: &str) -> Option<bool> {
    text.to_ascii_lowercase().parse().ok()
}

fn millis(number: u32) -> Duration {
    Duration::from_millis(number.into())
}

fn seconds(number: u32) -> Duration {
    Duration::from_secs(number.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    const REQUIRED: [(&str, &str); 2] =
        [("DLQ_URL", "https://sqs.eu-central-1.amazonaws.com/123456789012/dead"), ("TABLE_NAME", "orders")];

    fn read(variables: &[(&str, &str)]) -> Result<Config, ConfigError> {
        let all = [variables, &REQUIRED].concat();
        Config::read(|name| all.iter().find(|(known, _)| *known == name).map(|(_, value)| OsString::from(value)))
    }

    #[test]
    fn the_defaults_are_the_documented_ones() {
        let config = read(&[]).expect("the required variables are enough");
        assert_eq!(config.processing, Settings::default());
        assert_eq!(config.log_level, Level::INFO);
        assert_eq!(config.table_name, "orders");
    }

    #[test]
    fn every_variable_is_read() {
        let config = read(&[
            ("LOG_LEVEL", "WARN"),
            ("CONCURRENCY", "64"),
            ("MAX_ATTEMPTS", "5"),
            ("RETRY_BASE_MS", "10"),
            ("RETRY_MAX_MS", "20"),
            ("HANDLER_TIMEOUT_MS", "5000"),
            ("GIVE_UP_AFTER_SECONDS", "60"),
            ("REPORT_BATCH_ITEM_FAILURES", "False"),
        ])
        .expect("all are well-formed");
        let settings = Settings {
            concurrency: 64,
            max_attempts: 5,
            retry_base: Duration::from_millis(10),
            retry_max: Duration::from_millis(20),
            handler_timeout: Duration::from_secs(5),
            give_up_after: Duration::from_secs(60),
            report_batch_item_failures: false,
        };
        assert_eq!((config.log_level, config.processing), (Level::WARN, settings));
    }

    #[test]
    fn a_malformed_variable_is_named_with_what_it_should_be() {
        let table = [
            ("DLQ_URL", "", "DLQ_URL is missing: set it to the URL of the dead-letter queue"),
            ("DLQ_URL", "dead", "DLQ_URL is \"dead\", which is not the URL of the dead-letter queue"),
            ("TABLE_NAME", "a/b", "TABLE_NAME is \"a/b\", which is not the name of the table"),
            ("LOG_LEVEL", "loud", "LOG_LEVEL is \"loud\", not trace, debug, info, warn or error"),
            ("CONCURRENCY", "0", "CONCURRENCY is \"0\", not a number from 1 to 10000"),
            ("CONCURRENCY", "10001", "CONCURRENCY is \"10001\", not a number from 1 to 10000"),
            ("CONCURRENCY", "", "CONCURRENCY is \"\", not a number from 1 to 10000"),
            ("MAX_ATTEMPTS", "three", "MAX_ATTEMPTS is \"three\", not a number from 1 to 100"),
            ("RETRY_BASE_MS", "-1", "RETRY_BASE_MS is \"-1\", not a number from 0 to 60000"),
            ("RETRY_MAX_MS", "50", "RETRY_BASE_MS is longer than RETRY_MAX_MS"),
            ("HANDLER_TIMEOUT_MS", "0", "HANDLER_TIMEOUT_MS is \"0\", not a number from 1 to 900000"),
            ("GIVE_UP_AFTER_SECONDS", "1.5", "GIVE_UP_AFTER_SECONDS is \"1.5\", not a number from 0 to 86400"),
            ("REPORT_BATCH_ITEM_FAILURES", "yes", "REPORT_BATCH_ITEM_FAILURES is \"yes\", not true or false"),
        ];
        for (name, value, message) in table {
            assert_eq!(read(&[(name, value)]).map_err(|error| error.to_string()), Err(message.to_owned()));
        }
    }

    #[test]
    fn all_faults_are_named_at_once() {
        let error = Config::read(|_| None).expect_err("nothing is set").to_string();
        assert!(error.contains("DLQ_URL is missing") && error.contains("TABLE_NAME is missing"), "{error}");
    }
}
