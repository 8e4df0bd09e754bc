//! One line for each event of a run.

use std::time::Duration;

use lambda_streams_local::{BatchResult, Condition, Progress};

/// How much an event matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Weight {
    /// The ordinary course.
    Routine,
    /// Something went wrong, and the mapping deals with it.
    Remarkable,
    /// Something is lost.
    Warning,
}

pub(super) fn describe(progress: &Progress) -> Option<(Weight, String)> {
    let (weight, text) = match progress {
        Progress::ShardOpened { shard } => (Weight::Routine, format!("{}: reading", short(shard))),
        Progress::ShardClosed { shard } => {
            (Weight::Routine, format!("{}: closed, every record done or discarded", short(shard)))
        }
        Progress::Sent { shard, invocation, records, bytes, failures, iterator_age } => {
            let age = iterator_age.map(|age| format!(", {} old", duration(age))).unwrap_or_default();
            let again = match failures {
                0 => String::new(),
                _ => format!(", after {} without progress", count(*failures as usize, "failure")),
            };
            let size = size(*bytes);
            (
                Weight::Routine,
                format!("{}: #{invocation} sends {} ({size}{age}{again})", short(shard), count(*records, "record")),
            )
        }
        Progress::Responded { shard, invocation, duration: took, result } => {
            let (weight, what) = describe_result(result);
            (weight, format!("{}: #{invocation} {what} (in {})", short(shard), duration(*took)))
        }
        Progress::Waiting { shard, records, delay, .. } => {
            let what = match records {
                0 => "the window's end waits".to_owned(),
                1 => "1 record waits".to_owned(),
                _ => format!("{records} records wait"),
            };
            (Weight::Routine, format!("{}: {what} {} for the next try", short(shard), duration(*delay)))
        }
        Progress::Bisected { shard, first, second } => (
            Weight::Remarkable,
            format!("{}: the batch is halved, {first} and {}", short(shard), count(*second, "record")),
        ),
        Progress::Discarded { shard, records, condition } => {
            let why = match condition {
                Condition::RetryAttemptsExhausted => "the retries are exhausted",
                Condition::RecordAgeExceeded => "too old",
                _ => "given up",
            };
            (Weight::Warning, format!("{}: {} discarded: {why}", short(shard), count(*records, "record")))
        }
        Progress::OnFailureSent { shard, document, error: None } => {
            let records = count(document.batch_size(), "record");
            (Weight::Remarkable, format!("{}: on-failure document of {records} written", short(shard)))
        }
        // It comes as a warning as well.
        Progress::OnFailureSent { error: Some(_), .. } => return None,
        Progress::Warning { shard, message, .. } if shard.is_empty() => {
            (Weight::Warning, format!("warning: {message}"))
        }
        Progress::Warning { shard, message, .. } => (Weight::Warning, format!("warning: {}: {message}", short(shard))),
        _ => return None,
    };
    Some((weight, text))
}

fn describe_result(result: &BatchResult) -> (Weight, String) {
    match result {
        BatchResult::Done => (Weight::Routine, "done".to_owned()),
        BatchResult::Checkpoint { position: 0, sequence_number } => {
            (Weight::Remarkable, format!("no progress: the checkpoint is the batch's first record ({sequence_number})"))
        }
        BatchResult::Checkpoint { position, sequence_number } => (
            Weight::Remarkable,
            format!("partial: {position} done, the checkpoint is record {} ({sequence_number})", position + 1),
        ),
        BatchResult::WholeBatch { reason } => {
            (Weight::Remarkable, format!("the whole batch is delivered again: {reason}"))
        }
        BatchResult::FunctionError { error_type, message } => {
            (Weight::Remarkable, format!("function error {error_type}: {}", first_line(message)))
        }
        BatchResult::Throttled => (Weight::Remarkable, "throttled: every environment is busy".to_owned()),
        other => (Weight::Remarkable, format!("{other:?}")),
    }
}

/// A shard's id to the length that tells it from others.
pub(super) fn short(shard: &str) -> String {
    const LONGEST: usize = 26;
    let shard = shard.strip_prefix("shardId-").unwrap_or(shard);
    let length = shard.chars().count();
    if length <= LONGEST {
        return format!("shard {shard}");
    }
    let end: String = shard.chars().skip(length - LONGEST).collect();
    format!("shard …{end}")
}

pub(crate) fn count(number: usize, what: &str) -> String {
    if number == 1 { format!("1 {what}") } else { format!("{number} {what}s") }
}

/// To a precision that a person can use.
pub(crate) fn duration(duration: Duration) -> String {
    let seconds = duration.as_secs();
    match seconds {
        0 => format!("{} ms", duration.as_millis()),
        1..10 => format!("{:.1} s", duration.as_secs_f64()),
        10..120 => format!("{seconds} s"),
        120..7_200 => format!("{} min", seconds / 60),
        7_200..172_800 => format!("{} h", seconds / 3_600),
        _ => format!("{} days", seconds / 86_400),
    }
}

pub(crate) fn size(bytes: usize) -> String {
    match bytes {
        0..1_000 => format!("{bytes} B"),
        1_000..1_000_000 => format!("{:.1} kB", bytes as f64 / 1e3),
        _ => format!("{:.1} MB", bytes as f64 / 1e6),
    }
}

fn first_line(text: &str) -> &str {
    text.lines().next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_written_for_people() {
        let table =
            [(0, "0 ms"), (999, "999 ms"), (1_500, "1.5 s"), (59_999, "59 s"), (130_000, "2 min"), (7_300_000, "2 h")];
        for (millis, expected) in table {
            assert_eq!(duration(Duration::from_millis(millis)), expected);
        }
    }

    #[test]
    fn a_long_shard_id_keeps_its_end() {
        assert_eq!(short("shardId-00000001-orders"), "shard 00000001-orders");
        assert_eq!(short("shardId-00000001573689847184-864758bb-0123"), "shard …573689847184-864758bb-0123");
    }
}
