//! Pieces of a JSON text, not decoded: each knows where it is in the text, and none owns a copy, except for strings that
//! have escapes.

/// A JSON value, not decoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct RawJson<'a> {
    /// The value's text.
    pub(crate) text: &'a str,
    /// Whether it is a string without escapes.
    pub(super) is_plain: bool,
}

impl<'a> RawJson<'a> {
    /// The content of a string without escapes; `None` for any other value.
    #[inline]
    pub(crate) fn plain(self) -> Option<&'a str> {
        if self.is_plain { self.text.get(1..self.text.len() - 1) } else { None }
    }
}

/// The place of a piece in its text.
#[derive(Clone, Copy)]
pub(crate) struct Span {
    start: usize,
    end: usize,
}

impl Span {
    /// The place of a piece that was borrowed from the text.
    pub(crate) fn within(whole: &str, piece: &str) -> Self {
        let start = piece.as_ptr().addr() - whole.as_ptr().addr();
        Self { start, end: start + piece.len() }
    }

    pub(crate) fn start(self) -> usize {
        self.start
    }

    pub(crate) fn end(self) -> usize {
        self.end
    }

    /// The piece itself.
    pub(crate) fn of(self, whole: &str) -> &str {
        whole.get(self.start..self.end).expect("a span is only used with the text that it was taken from")
    }
}

/// The content of a JSON string: its place in the text, or a copy if it had to be unescaped.
#[derive(Clone)]
pub(crate) enum JsonStr {
    Plain(Span),
    Unescaped(Box<str>),
}

impl JsonStr {
    /// Reads a value that was borrowed from the text; `None` if it is not a string, or has half of a surrogate pair.
    pub(crate) fn read(whole: &str, value: RawJson<'_>) -> Option<Self> {
        Some(match value.plain() {
            Some(content) => Self::Plain(Span::within(whole, content)),
            None => Self::Unescaped(serde_json::from_str::<String>(value.text).ok()?.into()),
        })
    }

    pub(crate) fn of<'a>(&'a self, whole: &'a str) -> &'a str {
        match self {
            Self::Plain(span) => span.of(whole),
            Self::Unescaped(text) => text,
        }
    }
}
