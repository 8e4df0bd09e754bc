//! What a function says of its records in its own output.

use serde_json::Value;

/// Dead letters that the function has reported.
///
/// The mapping cannot know them: for it they are done. A processor of lambda-streams reports them in its log line of each
/// batch and in its CloudWatch metrics (embedded metric format). What comes in both forms are the same letters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Outcomes {
    metrics: u64,
    log: u64,
}

impl Outcomes {
    /// Reads one line of the function's output.
    pub(crate) fn read(&mut self, line: &str) {
        if !["DeadLetters", "dead_lettered"].iter().any(|name| line.contains(name)) {
            return;
        }
        let Ok(line) = serde_json::from_str::<Value>(line) else {
            self.log += in_text(line).unwrap_or_default();
            return;
        };
        let member = |name: &str| line.get(name).or_else(|| line.get("fields")?.get(name)).map_or(0, sum);
        if line.get("_aws").is_some() {
            self.metrics += member("DeadLetters");
        }
        self.log += member("dead_lettered");
    }

    pub(crate) fn dead_letters(&self) -> u64 {
        self.metrics.max(self.log)
    }
}

/// The field of a log line in text: `… dead_lettered=2 …`.
fn in_text(line: &str) -> Option<u64> {
    let (_, rest) = line.split_once("dead_lettered=")?;
    rest.split(|char: char| !char.is_ascii_digit()).next()?.parse().ok()
}

/// A metric is a number, a list of numbers, or values with how often each was seen.
fn sum(metric: &Value) -> u64 {
    let number = |value: &Value| value.as_f64().filter(|number| *number > 0.0).unwrap_or_default();
    let total = match metric {
        Value::Array(values) => values.iter().map(number).sum(),
        Value::Object(histogram) => {
            let list = |name: &str| histogram.get(name).and_then(Value::as_array).cloned().unwrap_or_default();
            list("Values").iter().zip(&list("Counts")).map(|(value, count)| number(value) * number(count)).sum()
        }
        value => number(value),
    };
    total as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dead_letters_are_read_from_metrics_and_log_lines() {
        let mut outcomes = Outcomes::default();
        for line in [
            r#"{"_aws": {}, "DeadLetters": 2}"#,
            r#"{"_aws": {}, "DeadLetters": [1, 1]}"#,
            r#"{"_aws": {}, "DeadLetters": {"Values": [0, 2], "Counts": [5, 3]}}"#,
            r#"{"level": "INFO", "dead_lettered": 1}"#,
            r#"{"dead_lettered": "no number"}"#,
            r#"{"level": "INFO", "fields": {"dead_lettered": 3}}"#,
            "INFO batch processed succeeded=1 dead_lettered=2 reported=9",
            "DeadLetters: 7",
        ] {
            outcomes.read(line);
        }
        assert_eq!(outcomes, Outcomes { metrics: 10, log: 6 });
        assert_eq!(outcomes.dead_letters(), 10);
    }
}
