//! Tumbling windows: aggregation over a span of time, with a state that is carried from answer to question.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::Value;
use serde_json::value::RawValue;

use super::answer::MAX_STATE;
use super::source::SourceRecord;

/// A window that has begun and not ended.
#[derive(Debug, Clone)]
pub(super) struct OpenWindow {
    pub(super) start: SystemTime,
    pub(super) end: SystemTime,
    /// The last answer's, or `{}`.
    pub(super) state: Box<RawValue>,
    /// Whether its state has become too large.
    pub(super) terminated_early: bool,
}

impl OpenWindow {
    /// The window of that length in which the moment lies; windows are counted from the epoch.
    pub(super) fn of(moment: SystemTime, length: Duration) -> Self {
        let start = start(moment, length);
        Self { start, end: start + length, state: empty_state(), terminated_early: false }
    }

    /// Whether a record belongs here; one that comes late does as well.
    pub(super) fn takes(&self, record: &SourceRecord, length: Duration) -> bool {
        record.created_at().is_none_or(|created_at| start(created_at, length) <= self.start)
    }

    pub(super) fn bytes(&self) -> usize {
        self.state.get().len()
    }

    /// Takes an answer's state; one that is too large ends the window early.
    pub(super) fn carry(&mut self, state: Box<RawValue>) {
        self.terminated_early = state.get().len() > MAX_STATE;
        self.state = state;
    }

    /// The members that a window adds to the payload.
    pub(super) fn members(&self, shard: &str, stream_arn: &str, last: bool) -> String {
        let time = |time: SystemTime| humantime::format_rfc3339_seconds(time.max(UNIX_EPOCH)).to_string();
        let (start, end, state) = (time(self.start), time(self.end), self.state.get());
        let (shard, stream_arn) = (Value::from(shard), Value::from(stream_arn));
        let early = self.terminated_early && last;
        format!(r#","window":{{"start":"{start}","end":"{end}"}},"state":{state},"shardId":{shard},"#)
            + &format!(
                r#""eventSourceARN":{stream_arn},"isFinalInvokeForWindow":{last},"isWindowTerminatedEarly":{early}"#
            )
    }
}

fn start(moment: SystemTime, length: Duration) -> SystemTime {
    let seconds = moment.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    UNIX_EPOCH + Duration::from_secs(seconds - seconds % length.as_secs().max(1))
}

fn empty_state() -> Box<RawValue> {
    RawValue::from_string("{}".to_owned()).expect("an empty object is JSON")
}
