//! Tumbling windows: aggregation over a span of time, whose state each response hands to the next invocation.
//!
//! A record belongs to the window of its creation time; one that is late belongs to the open window.

use std::fmt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::Value;
use serde_json::value::RawValue;

use crate::batch_result::MAX_STATE;
use crate::source::SourceRecord;

/// A window that has begun and not ended.
#[derive(Clone)]
pub(crate) struct OpenWindow {
    pub(crate) start: SystemTime,
    pub(crate) end: SystemTime,
    /// The last response's, or `{}`.
    pub(crate) state: Box<RawValue>,
    /// Whether its state is too large.
    pub(crate) terminated_early: bool,
}

impl OpenWindow {
    /// The window of that length in which the moment lies; windows are counted from the epoch.
    pub(crate) fn of(moment: SystemTime, length: Duration) -> Self {
        let start = start(moment, length);
        Self { start, end: start + length, state: empty_state(), terminated_early: false }
    }

    /// Whether a record belongs here; one that comes late does as well.
    pub(crate) fn takes(&self, record: &SourceRecord, length: Duration) -> bool {
        record.created_at().is_none_or(|created_at| start(created_at, length) <= self.start)
    }

    pub(crate) fn bytes(&self) -> usize {
        self.state.get().len()
    }

    /// Takes a response's state; one that is too large ends the window early.
    pub(crate) fn carry(&mut self, state: Box<RawValue>) {
        self.terminated_early = state.get().len() > MAX_STATE;
        self.state = state;
    }

    /// The members that a window adds to the payload.
    pub(crate) fn members(&self, shard: &str, stream_arn: &str, is_last: bool) -> String {
        // `humantime` formats no time after the year 9999, and a record may say any.
        let last = UNIX_EPOCH + Duration::from_secs(253_402_300_799);
        let time = |time: SystemTime| humantime::format_rfc3339_seconds(time.clamp(UNIX_EPOCH, last)).to_string();
        let (start, end, state) = (time(self.start), time(self.end), self.state.get());
        let (shard, stream_arn) = (Value::from(shard), Value::from(stream_arn));
        let early = self.terminated_early && is_last;
        format!(r#","window":{{"start":"{start}","end":"{end}"}},"state":{state},"shardId":{shard},"#)
            + &format!(
                r#""eventSourceARN":{stream_arn},"isFinalInvokeForWindow":{is_last},"isWindowTerminatedEarly":{early}"#
            )
    }
}

/// Shows when it is, and nothing of its state.
impl fmt::Debug for OpenWindow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OpenWindow").field("start", &self.start).field("bytes", &self.bytes()).finish_non_exhaustive()
    }
}

fn start(moment: SystemTime, length: Duration) -> SystemTime {
    let seconds = moment.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    UNIX_EPOCH + Duration::from_secs(seconds - seconds % length.as_secs().max(1))
}

fn empty_state() -> Box<RawValue> {
    RawValue::from_string("{}".to_owned()).expect("an empty object is JSON")
}
