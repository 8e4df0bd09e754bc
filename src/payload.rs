//! The text that all records of a batch share, and where in it they lie.

use std::sync::Arc;

use serde_json::value::RawValue;

use crate::json::Value;
use crate::record::Envelope;

/// Records that stand behind one another in a payload: the payload's text, and their envelopes.
pub(crate) struct Stretch {
    pub(crate) text: Arc<String>,
    pub(crate) envelopes: Vec<Envelope>,
}

/// A part of a payload's text.
#[derive(Clone, Copy)]
pub(crate) struct Span {
    start: usize,
    end: usize,
}

impl Span {
    /// Where a part lies in the text that it was borrowed from.
    pub(crate) fn within(whole: &str, part: &str) -> Self {
        let start = part.as_ptr().addr() - whole.as_ptr().addr();
        Self { start, end: start + part.len() }
    }

    pub(crate) fn start(self) -> usize {
        self.start
    }

    pub(crate) fn of(self, whole: &str) -> &str {
        whole.get(self.start..self.end).expect("the part was borrowed from this text")
    }
}

/// A JSON string of a payload's text.
#[derive(Clone)]
pub(crate) enum Text {
    /// As it stands between its quotes.
    Plain(Span),
    Unescaped(Box<str>),
}

impl Text {
    /// Reads a JSON value that was borrowed from the text; `None` if it is no string, or half a surrogate pair is in it.
    pub(crate) fn read(whole: &str, value: Value<'_>) -> Option<Self> {
        Some(match value.plain() {
            Some(text) => Self::Plain(Span::within(whole, text)),
            None => Self::Unescaped(serde_json::from_str::<String>(value.json).ok()?.into()),
        })
    }

    pub(crate) fn of<'a>(&'a self, whole: &'a str) -> &'a str {
        match self {
            Self::Plain(span) => span.of(whole),
            Self::Unescaped(text) => text,
        }
    }
}

/// What a tumbling window adds to the payload.
#[derive(Clone)]
pub(crate) struct Window {
    /// The state of the invocation before, to be answered.
    pub(crate) state: Box<RawValue>,
}
