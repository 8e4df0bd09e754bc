//! The environment variables that configure a function: their names, and the values that each may have.
//!
//! Invariant: a variable that is set under one of our names is either used or named in the error. The table in
//! `docs/environment.md` lists them all, and a test holds this file to it.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::ops::RangeInclusive;
use std::str::FromStr;
use std::time::Duration;

use tracing::Level;

use crate::error::Error;
use crate::failure::shown;
use crate::policy::RetryPolicy;

/// The prefix of our own names. A variable that has it and that nothing reads is taken for a misspelled one.
const PREFIX: &str = "LAMBDA_STREAMS_";
/// The URL of the dead-letter queue.
pub(crate) const DLQ_URL: &str = "DLQ_URL";
/// The table of the idempotency store.
pub(crate) const IDEMPOTENCY_TABLE: &str = "LAMBDA_STREAMS_IDEMPOTENCY_TABLE";
/// The consumer's name in that table.
pub(crate) const IDEMPOTENCY_CONSUMER: &str = "LAMBDA_STREAMS_CONSUMER";
/// The least severe level that is logged.
pub(crate) const LOG_LEVEL: &str = "LAMBDA_STREAMS_LOG_LEVEL";
/// The CloudWatch namespace of the function's metrics.
pub(crate) const METRICS_NAMESPACE: &str = "POWERTOOLS_METRICS_NAMESPACE";
/// The value of the metrics' dimension `service`.
#[cfg(feature = "emf")]
pub(crate) const SERVICE_NAME: &str = "POWERTOOLS_SERVICE_NAME";

/// The settings that the environment names; `None` where it names none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Environment {
    pub(crate) queue_url: Option<OsString>,
    pub(crate) store: Option<StoreVariables>,
    pub(crate) concurrency: Option<usize>,
    pub(crate) retry: RetryPolicy,
    pub(crate) handler_timeout: Option<Duration>,
    pub(crate) deadline_margin: Option<Duration>,
    pub(crate) give_up_after: Option<Duration>,
    pub(crate) report_batch_item_failures: Option<bool>,
}

/// What names an idempotency store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct StoreVariables {
    pub(crate) table: String,
    pub(crate) consumer: String,
}

impl Environment {
    /// The settings, and everything that is wrong with the variables.
    pub(crate) fn read(variables: impl IntoIterator<Item = (OsString, OsString)>) -> (Self, Faults) {
        let mut variables = Variables::new(variables);
        let mut retry = RetryPolicy::default();
        if let Some(attempts) = variables.number("LAMBDA_STREAMS_MAX_ATTEMPTS", 1..=100) {
            retry = retry.max_attempts(attempts);
        }
        if let Some(delay) = variables.millis("LAMBDA_STREAMS_RETRY_BASE_MS", 0..=60_000) {
            retry = retry.base_delay(delay);
        }
        if let Some(delay) = variables.millis("LAMBDA_STREAMS_RETRY_MAX_MS", 0..=600_000) {
            retry = retry.max_delay(delay);
        }
        let concurrency = variables.number("LAMBDA_STREAMS_CONCURRENCY", 1..=10_000);
        let give_up_after = variables.number("LAMBDA_STREAMS_GIVE_UP_AFTER_SECONDS", 1..=86_400);
        let environment = Self {
            queue_url: variables.take(DLQ_URL),
            store: variables.store(),
            concurrency: concurrency.map(|number| number as usize),
            retry,
            handler_timeout: variables.millis("LAMBDA_STREAMS_HANDLER_TIMEOUT_MS", 1..=5_400_000),
            deadline_margin: variables.millis("LAMBDA_STREAMS_DEADLINE_MARGIN_MS", 0..=900_000),
            give_up_after: give_up_after.map(|seconds| Duration::from_secs(seconds.into())),
            report_batch_item_failures: variables.parsed(
                "LAMBDA_STREAMS_REPORT_BATCH_ITEM_FAILURES",
                "`true` or `false`",
                |text| text.to_ascii_lowercase().parse().ok(),
            ),
        };
        // `Logs` reads it. Here it is only checked, so all faults are reported at once.
        variables.parsed(LOG_LEVEL, "`trace`, `debug`, `info`, `warn` or `error`", level);
        variables.refuse_contradiction(retry);
        variables.refuse_unknown();
        (environment, variables.faults)
    }
}

/// Reads a level as Lambda names it; `FATAL` has no counterpart in `tracing`.
pub(crate) fn level(name: &str) -> Option<Level> {
    if name.eq_ignore_ascii_case("FATAL") { Some(Level::ERROR) } else { Level::from_str(name).ok() }
}

/// What is wrong with the environment.
#[derive(Debug, Default)]
pub(crate) struct Faults(Vec<String>);

impl Faults {
    pub(crate) fn add(&mut self, fault: impl Into<String>) {
        self.0.push(fault.into());
    }

    /// One error that lists all faults.
    pub(crate) fn into_result(self) -> Result<(), Error> {
        match &self.0[..] {
            [] => Ok(()),
            faults => {
                Err(Error::configuration(format!("the function's environment is not valid: {}", faults.join("; "))))
            }
        }
    }
}

/// The variables that are left to be read.
struct Variables {
    left: BTreeMap<String, OsString>,
    faults: Faults,
}

impl Variables {
    fn new(variables: impl IntoIterator<Item = (OsString, OsString)>) -> Self {
        let ours = |(name, value): (OsString, OsString)| {
            let name = name.into_string().ok()?;
            (name == DLQ_URL || name.starts_with(PREFIX)).then_some((name, value))
        };
        Self { left: variables.into_iter().filter_map(ours).collect(), faults: Faults::default() }
    }

    fn take(&mut self, name: &str) -> Option<OsString> {
        self.left.remove(name)
    }

    fn parsed<T>(&mut self, name: &str, wanted: &str, parse: impl Fn(&str) -> Option<T>) -> Option<T> {
        let value = self.take(name)?;
        let parsed = value.to_str().and_then(parse);
        if parsed.is_none() {
            self.faults.add(format!("`{name}` is {:?}: it must be {wanted}", shown(&value.to_string_lossy())));
        }
        parsed
    }

    fn number(&mut self, name: &str, range: RangeInclusive<u32>) -> Option<u32> {
        let wanted = format!("a whole number from {} to {}", grouped(*range.start()), grouped(*range.end()));
        self.parsed(name, &wanted, |text| text.parse().ok().filter(|number| range.contains(number)))
    }

    fn millis(&mut self, name: &str, range: RangeInclusive<u32>) -> Option<Duration> {
        self.number(name, range).map(|millis| Duration::from_millis(millis.into()))
    }

    /// The table and the consumer, which are nothing without each other.
    fn store(&mut self) -> Option<StoreVariables> {
        let mut text = |name| {
            self.parsed(name, "a text that is not empty", |text| Some(text.to_owned()).filter(|text| !text.is_empty()))
        };
        match [text(IDEMPOTENCY_TABLE), text(IDEMPOTENCY_CONSUMER)] {
            [Some(table), Some(consumer)] => return Some(StoreVariables { table, consumer }),
            [None, None] => {}
            [Some(_), None] => self.faults.add(format!(
                "`{IDEMPOTENCY_TABLE}` is set without `{IDEMPOTENCY_CONSUMER}`, the name of what processes the stream: set both, or neither"
            )),
            [None, Some(_)] => self.faults.add(format!(
                "`{IDEMPOTENCY_CONSUMER}` is set without `{IDEMPOTENCY_TABLE}`, the table of the idempotency store: set both, or neither"
            )),
        }
        None
    }

    fn refuse_contradiction(&mut self, retry: RetryPolicy) {
        if retry.base_delay > retry.max_delay {
            self.faults.add(format!(
                "the base delay of {} ms is longer than the longest delay of {} ms: lower `LAMBDA_STREAMS_RETRY_BASE_MS` or raise \
                 `LAMBDA_STREAMS_RETRY_MAX_MS`",
                retry.base_delay.as_millis(),
                retry.max_delay.as_millis()
            ));
        }
    }

    fn refuse_unknown(&mut self) {
        for name in std::mem::take(&mut self.left).into_keys() {
            let name = shown(&name);
            self.faults.add(format!(
                "`{name}` is not a variable of this version of `lambda-streams`: correct its name, or remove it"
            ));
        }
    }
}

/// A number with its thousands separated, as the documentation writes it.
fn grouped(number: u32) -> String {
    match number {
        0..1_000 => number.to_string(),
        _ => format!("{},{:03}", grouped(number / 1_000), number % 1_000),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(variables: &[(&str, &str)]) -> (Environment, Vec<String>) {
        let (environment, faults) =
            Environment::read(variables.iter().map(|(name, value)| (name.into(), value.into())));
        (environment, faults.0)
    }

    /// The rows of the documentation's table that are about our own variables: name, values, default.
    fn documented() -> Vec<[String; 3]> {
        let page = include_str!("docs/environment.md");
        let rows = page.lines().filter(|line| line.starts_with(&format!("| `{PREFIX}")));
        let cells = |row: &str| -> Vec<String> {
            row.trim_matches('|').split('|').map(|cell| cell.trim().trim_matches('`').to_owned()).collect()
        };
        rows.map(cells).map(|cells| [cells[0].clone(), cells[2].clone(), cells[3].clone()]).collect()
    }

    /// The bounds of values such as `1 to 10,000`.
    fn bounds(values: &str) -> Option<(u32, u32)> {
        let (least, most) = values.split_once(" to ")?;
        Some((least.parse().ok()?, most.replace(',', "").parse().ok()?))
    }

    #[test]
    fn the_documented_values_are_those_that_are_accepted() {
        let rows = documented();
        assert_eq!(rows.len(), 11, "{rows:?}");
        let (strings, rows): (Vec<_>, Vec<_>) =
            rows.into_iter().partition(|[_, values, _]| values.starts_with("such as"));
        let examples =
            strings.iter().map(|[name, values, _]| (&**name, values.trim_start_matches("such as ").trim_matches('`')));
        assert_eq!(read(&examples.collect::<Vec<_>>()).1, Vec::<String>::new());
        assert_eq!(strings.len(), 2, "{strings:?}");
        for [name, values, _] in rows {
            let Some((least, most)) = bounds(&values) else {
                for value in values.split(", ").map(|value| value.trim_matches('`')) {
                    assert_eq!(read(&[(&name, value)]).1, Vec::<String>::new(), "{name}={value}");
                }
                assert_eq!(read(&[(&name, "perhaps")]).1.len(), 1, "{name}=perhaps");
                continue;
            };
            // The longest base delay needs a longest delay that is not below it.
            let room = ("LAMBDA_STREAMS_RETRY_MAX_MS", "600000");
            let base = ("LAMBDA_STREAMS_RETRY_BASE_MS", "0");
            let with = |value: String| {
                let other = if name == room.0 { base } else { room };
                read(&[other, (&name, &value)]).1
            };
            for accepted in [least, most] {
                assert_eq!(with(accepted.to_string()), Vec::<String>::new(), "{name}={accepted}");
            }
            let message = |value: &str| {
                format!(
                    "`{name}` is \"{value}\": it must be a whole number from {} to {}",
                    grouped(least),
                    grouped(most)
                )
            };
            for refused in [i64::from(least) - 1, i64::from(most) + 1].map(|number| number.to_string()) {
                assert_eq!(with(refused.clone()), [message(&refused)]);
            }
            for refused in ["", "ten", "1.5", " 7"] {
                assert_eq!(with(refused.to_owned()), [message(refused)]);
            }
        }
    }

    #[test]
    fn nothing_set_names_no_setting() {
        let (environment, faults) = read(&[("PATH", "/usr/bin"), ("CONCURRENCY", "own")]);
        assert_eq!(faults, Vec::<String>::new());
        let expected = Environment {
            queue_url: None,
            store: None,
            concurrency: None,
            retry: RetryPolicy::default(),
            handler_timeout: None,
            deadline_margin: None,
            give_up_after: None,
            report_batch_item_failures: None,
        };
        assert_eq!(environment, expected);
    }

    #[test]
    fn each_variable_is_the_setting_that_it_names() {
        let (environment, faults) = read(&[
            ("DLQ_URL", "https://sqs.eu-central-1.amazonaws.com/123456789012/dead"),
            ("LAMBDA_STREAMS_IDEMPOTENCY_TABLE", "done"),
            ("LAMBDA_STREAMS_CONSUMER", "order-totals"),
            ("LAMBDA_STREAMS_CONCURRENCY", "64"),
            ("LAMBDA_STREAMS_MAX_ATTEMPTS", "5"),
            ("LAMBDA_STREAMS_RETRY_BASE_MS", "10"),
            ("LAMBDA_STREAMS_RETRY_MAX_MS", "20"),
            ("LAMBDA_STREAMS_HANDLER_TIMEOUT_MS", "30"),
            ("LAMBDA_STREAMS_DEADLINE_MARGIN_MS", "40"),
            ("LAMBDA_STREAMS_GIVE_UP_AFTER_SECONDS", "50"),
            ("LAMBDA_STREAMS_REPORT_BATCH_ITEM_FAILURES", "False"),
            ("LAMBDA_STREAMS_LOG_LEVEL", "WARN"),
        ]);
        assert_eq!(faults, Vec::<String>::new());
        let millis = Duration::from_millis;
        let expected = Environment {
            queue_url: Some("https://sqs.eu-central-1.amazonaws.com/123456789012/dead".into()),
            store: Some(StoreVariables { table: "done".to_owned(), consumer: "order-totals".to_owned() }),
            concurrency: Some(64),
            retry: RetryPolicy::default().max_attempts(5).base_delay(millis(10)).max_delay(millis(20)),
            handler_timeout: Some(millis(30)),
            deadline_margin: Some(millis(40)),
            give_up_after: Some(Duration::from_secs(50)),
            report_batch_item_failures: Some(false),
        };
        assert_eq!(environment, expected);
    }

    #[test]
    fn a_table_and_its_consumer_come_together() {
        let (table, consumer) = (("LAMBDA_STREAMS_IDEMPOTENCY_TABLE", "done"), ("LAMBDA_STREAMS_CONSUMER", "orders"));
        let alone = |variable: (&str, &str)| {
            let (environment, faults) = read(&[variable]);
            assert_eq!(environment.store, None);
            faults.join("; ")
        };
        assert_eq!(
            alone(table),
            "`LAMBDA_STREAMS_IDEMPOTENCY_TABLE` is set without `LAMBDA_STREAMS_CONSUMER`, the name of what processes the stream: set \
             both, or neither"
        );
        assert_eq!(
            alone(consumer),
            "`LAMBDA_STREAMS_CONSUMER` is set without `LAMBDA_STREAMS_IDEMPOTENCY_TABLE`, the table of the idempotency store: set both, \
             or neither"
        );
        let (_, faults) = read(&[table, (consumer.0, "")]);
        assert_eq!(faults[0], "`LAMBDA_STREAMS_CONSUMER` is \"\": it must be a text that is not empty");
    }

    #[test]
    fn all_faults_are_reported_at_once() {
        let (_, faults) = Environment::read(
            [
                ("LAMBDA_STREAMS_CONCURENCY", "64"),
                ("LAMBDA_STREAMS_LOG_LEVEL", "loud"),
                ("LAMBDA_STREAMS_RETRY_BASE_MS", "2001"),
            ]
            .map(|(name, value)| (name.into(), value.into())),
        );
        assert_eq!(
            faults.into_result().unwrap_err().to_string(),
            "the function's environment is not valid: `LAMBDA_STREAMS_LOG_LEVEL` is \"loud\": it must be `trace`, `debug`, `info`, \
             `warn` or `error`; the base delay of 2001 ms is longer than the longest delay of 2000 ms: lower \
             `LAMBDA_STREAMS_RETRY_BASE_MS` or raise `LAMBDA_STREAMS_RETRY_MAX_MS`; `LAMBDA_STREAMS_CONCURENCY` is not a variable of \
             this version of `lambda-streams`: correct its name, or remove it"
        );
    }

    #[test]
    fn lambdas_level_names_are_read() {
        let table = [("TRACE", Level::TRACE), ("debug", Level::DEBUG), ("Warn", Level::WARN), ("FATAL", Level::ERROR)];
        for (name, expected) in table {
            assert_eq!(level(name), Some(expected));
        }
        assert_eq!(level("LOUD"), None);
    }
}
