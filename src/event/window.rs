//! The members that a tumbling window adds to the event. They are checked strictly, because an answer without the right
//! state loses the aggregate.

use serde::Deserialize;
use serde_json::value::RawValue;

use super::members::{EventMember, EventMembers};

/// The part of a tumbling window that is needed to answer its event.
#[derive(Clone)]
pub(crate) struct Window {
    /// The state that the previous invocation returned, to be returned again.
    pub(crate) state: Box<RawValue>,
}

#[derive(Deserialize)]
struct Bounds {
    start: String,
    end: String,
}

/// Reads the window of an event; `None` if the event has none.
pub(super) fn read(members: &EventMembers<'_>) -> Result<Option<Window>, &'static str> {
    let get = |member| members.get(member).map(|value| value.text);
    let Some(window) = get(EventMember::Window) else { return Ok(None) };
    let bounds: Bounds =
        serde_json::from_str(window).map_err(|_| "`window` has no `start` and `end` that are strings")?;
    if [bounds.start, bounds.end].iter().any(|time| humantime::parse_rfc3339(time).is_err()) {
        return Err("`window` does not start and end at points in time (RFC 3339)");
    }
    if !get(EventMember::ShardId).is_some_and(|id| id.starts_with('"')) {
        return Err("the event of a tumbling window has no `shardId`");
    }
    if !get(EventMember::IsFinalInvokeForWindow).is_some_and(|last| matches!(last, "true" | "false")) {
        return Err("`isFinalInvokeForWindow` of a tumbling window is not a boolean");
    }
    let state: Option<&RawValue> = get(EventMember::State)
        .filter(|state| state.starts_with('{'))
        .and_then(|state| serde_json::from_str(state).ok());
    match state {
        Some(state) => Ok(Some(Window { state: state.to_owned() })),
        None => Err("the event of a tumbling window has no `state` that is an object"),
    }
}
