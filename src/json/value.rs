//! Values of a JSON text, unread: where in the text they are.

/// The text is no JSON. Whoever tells it asks `serde_json` for the words.
#[derive(Debug)]
pub(crate) struct NotJson;

/// A value, unread.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Value<'a> {
    /// Its JSON.
    pub(crate) json: &'a str,
    /// Whether it is a string without escapes.
    pub(super) is_plain: bool,
}

impl<'a> Value<'a> {
    /// What stands between the quotes of a string without escapes.
    #[inline]
    pub(crate) fn plain(self) -> Option<&'a str> {
        if self.is_plain { self.json.get(1..self.json.len() - 1) } else { None }
    }
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
