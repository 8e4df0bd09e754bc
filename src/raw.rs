//! A piece of the payload's text, shared and not copied.

use std::ops::Range;
use std::sync::Arc;

/// A JSON value inside a payload that all its records share.
#[derive(Clone)]
pub(crate) struct RawJson {
    payload: Arc<Box<str>>,
    range: Range<usize>,
}

impl RawJson {
    /// Takes a part that was borrowed from the payload.
    pub(crate) fn within(payload: &Arc<Box<str>>, part: &str) -> Self {
        Self { payload: Arc::clone(payload), range: range_within(payload, part) }
    }

    pub(crate) fn get(&self) -> &str {
        self.payload.get(self.range.clone()).expect("the range was cut from this payload when it was read")
    }
}

/// Where a part lies in the text that it was borrowed from.
pub(crate) fn range_within(whole: &str, part: &str) -> Range<usize> {
    let start = part.as_ptr().addr() - whole.as_ptr().addr();
    start..start + part.len()
}

impl From<&str> for RawJson {
    fn from(json: &str) -> Self {
        Self { payload: Arc::new(json.into()), range: 0..json.len() }
    }
}
