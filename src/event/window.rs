//! What a tumbling window adds to the event; checked, because an answer without the right state loses the aggregate.

use serde::Deserialize;
use serde_json::value::RawValue;

/// What a tumbling window adds to the payload.
#[derive(Clone)]
pub(crate) struct Window {
    /// The state of the invocation before, to be answered.
    pub(crate) state: Box<RawValue>,
}

#[derive(Deserialize)]
struct Bounds {
    start: String,
    end: String,
}

/// Reads the members `window`, `state`, `shardId` and `isFinalInvokeForWindow`.
pub(super) fn read([window, state, shard_id, is_final]: [Option<&str>; 4]) -> Result<Option<Window>, &'static str> {
    let Some(window) = window else { return Ok(None) };
    let bounds: Bounds =
        serde_json::from_str(window).map_err(|_| "`window` has no `start` and `end` that are texts")?;
    if [bounds.start, bounds.end].iter().any(|time| humantime::parse_rfc3339(time).is_err()) {
        return Err("`window` does not start and end at points in time (RFC 3339)");
    }
    if !shard_id.is_some_and(|id| id.starts_with('"')) {
        return Err("the event of a tumbling window has no `shardId`");
    }
    if !is_final.is_some_and(|last| matches!(last, "true" | "false")) {
        return Err("`isFinalInvokeForWindow` of a tumbling window is no boolean");
    }
    let state: Option<&RawValue> =
        state.filter(|state| state.starts_with('{')).and_then(|state| serde_json::from_str(state).ok());
    match state {
        Some(state) => Ok(Some(Window { state: state.to_owned() })),
        None => Err("the event of a tumbling window has no `state` that is an object"),
    }
}
