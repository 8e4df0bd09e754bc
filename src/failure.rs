//! Why a record failed: the kind of error, its message, and the chain of its sources.
//!
//! Invariant: what a panic said may quote the item, so it is in the public field `message`, which goes into the dead
//! letter, and never in `Display` or `Debug`, which go into the log. All strings are bounded, however long an error's text is.

use std::any::Any;
use std::error::Error as StdError;
use std::fmt::{self, Write};

use serde::{Deserialize, Serialize};

/// How many bytes of an error's text are kept.
pub(crate) const MAX_MESSAGE: usize = 4096;
/// How many bytes of the text of each of its sources are kept.
pub(crate) const MAX_SOURCE: usize = 1024;
/// How many of its sources are kept.
pub(crate) const MAX_SOURCES: usize = 16;

/// How many failures of earlier attempts at a record are kept, in addition to the last one.
pub(crate) const MAX_EARLIER: usize = 9;

/// The kind of error that failed a record, as metrics, log lines and dead letters name it.
///
/// ```
/// use lambda_streams::ErrorKind;
///
/// assert_eq!(ErrorKind::Timeout.as_str(), "timeout");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ErrorKind {
    /// The record's envelope cannot be read.
    Malformed,
    /// An image or the keys are malformed, are missing, or do not fit the handler's type or a type that the handler decodes by itself.
    Decode,
    /// The handler returned an error.
    Handler,
    /// The handler panicked.
    Panic,
    /// The handler was still running at the end of its [timeout](crate::ProcessorBuilder::handler_timeout).
    Timeout,
    /// An earlier record of the same lane became a dead letter, and this one followed it into the queue.
    Predecessor,
    /// No [entity](crate::ProcessorBuilder::entity) takes the record, and [`Unmatched::DeadLetter`](crate::Unmatched::DeadLetter) is set.
    Unmatched,
    /// The [mark](crate::ProcessorBuilder::marks) of its item could not be read, or does not decide whether the record is done.
    Mark,
}

impl ErrorKind {
    /// The kind in one lower-case word, as dead letters, metrics and logs spell it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Malformed => "malformed",
            Self::Decode => "decode",
            Self::Handler => "handler",
            Self::Panic => "panic",
            Self::Timeout => "timeout",
            Self::Predecessor => "predecessor",
            Self::Unmatched => "unmatched",
            Self::Mark => "mark",
        }
    }
}

impl fmt::Display for ErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Why a record failed: the kind of error, its message, and the chain of its sources.
///
/// The [`message`](Self::message) of a panic may quote the item. It is in this field, and so in the dead letter; `Display` and `Debug`
/// leave it out.
///
/// ```
/// use lambda_streams::testing::TestStream;
/// use lambda_streams::{Deadline, ErrorKind, Record, StreamProcessor};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), lambda_streams::Error> {
/// let processor = StreamProcessor::builder()
///     .on_record(|record: Record| async move { record.new_image::<std::collections::HashMap<String, u64>>().map(drop).map_err(Into::into) })
///     .build()?;
/// let event = TestStream::new("orders", &["id"]).insert(serde_json::json!({"id": {"S": "a"}})).event()?;
/// let report = processor.process(event, Deadline::none()).await;
///
/// let failure = report.records()[0].failure.as_ref().expect("`a` is not a number");
/// assert_eq!(failure.kind, ErrorKind::Decode);
/// assert_eq!(failure.message, "attribute `NewImage.id`: wanted u64, found S");
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
#[non_exhaustive]
pub struct Failure {
    /// What kind of error it was.
    pub kind: ErrorKind,
    /// The text of the error, at most 4,096 bytes. A longer text is cut, and ends with its full length.
    pub message: String,
    /// The messages of the error's sources, the nearest first: at most 16, of at most 1,024 bytes each. One that only repeats the text before it
    /// is left out.
    pub sources: Vec<String>,
    /// What `Display` and `Debug` say of a panic instead of the message.
    loggable: Option<String>,
}

impl Failure {
    pub(crate) fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), sources: Vec::new(), loggable: None }
    }

    /// The failure that an error and its sources describe.
    pub(crate) fn of(kind: ErrorKind, error: &(dyn StdError + 'static)) -> Self {
        // An error may be its own source, so the chain has no end.
        let mut chain = std::iter::successors(error.source(), |error| (*error).source());
        let mut sources: Vec<String> = chain.by_ref().take(MAX_SOURCES).map(|it| bounded(it, MAX_SOURCE)).collect();
        if let (Some(_), Some(last)) = (chain.next(), sources.last_mut()) {
            *last = "… [cut: more sources]".to_owned();
        }
        let message = bounded(error, MAX_MESSAGE);
        // Errors that only wrap another often say the same, those of the AWS SDK among them.
        sources.dedup();
        if sources.first() == Some(&message) {
            sources.remove(0);
        }
        Self { sources, ..Self::new(kind, message) }
    }

    /// A panic of the user's code, such as the handler, with what the panic said.
    pub(crate) fn panicked(what: &str, words: Option<&str>) -> Self {
        let loggable = format!("the {what} panicked");
        let said = |words| bounded(format_args!("{loggable}: {words}"), MAX_MESSAGE);
        let message = words.map_or_else(|| loggable.clone(), said);
        Self { loggable: Some(loggable), ..Self::new(ErrorKind::Panic, message) }
    }

    /// A failure that was read from a dead letter, which does not say which part of a panic's message are its words.
    pub(crate) fn of_dead_letter(kind: ErrorKind, message: String, sources: Vec<String>) -> Self {
        Self { sources, ..Self::new(kind, message) }
    }

    /// As it is kept of an attempt that was followed by others: without its sources, and in at most 1,024 bytes.
    pub(crate) fn shortened(self) -> Self {
        Self { message: bounded(&self.message, MAX_SOURCE), sources: Vec::new(), ..self }
    }

    fn loggable(&self) -> &str {
        match (&self.loggable, self.kind) {
            (Some(loggable), _) => loggable,
            (None, ErrorKind::Panic) => "a panic",
            (None, _) => &self.message,
        }
    }
}

/// The beginning of an identifier, such as an event id: all of one that AWS makes.
pub(crate) fn shown(identifier: &str) -> &str {
    const MAX_SHOWN: usize = 256;
    &identifier[..identifier.floor_char_boundary(MAX_SHOWN)]
}

/// The text of a value, cut to at most this many bytes. They include the mark that says how long it was, so cutting it
/// again cuts no further.
pub(crate) fn bounded(value: impl fmt::Display, most: usize) -> String {
    let mut text = Bounded { kept: String::new(), most, length: 0 };
    // An error of formatting leaves what was written before it.
    let _ = write!(text, "{value}");
    let Bounded { mut kept, length, .. } = text;
    if length > most {
        let mark = format!("… [cut: {length} bytes in all]");
        kept.truncate(kept.floor_char_boundary(most.saturating_sub(mark.len())));
        kept.push_str(&mark);
    }
    kept
}

/// Keeps the beginning of a text, and counts the rest.
struct Bounded {
    kept: String,
    most: usize,
    length: usize,
}

impl Write for Bounded {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let end = text.floor_char_boundary(self.most.saturating_sub(self.length).min(text.len()));
        self.kept.push_str(&text[..end]);
        self.length += text.len();
        Ok(())
    }
}

/// What a panic said: its payload, where that is text.
pub(crate) fn panic_words(payload: &(dyn Any + Send)) -> Option<&str> {
    payload.downcast_ref::<&str>().copied().or_else(|| payload.downcast_ref::<String>().map(String::as_str))
}

/// By what is public: a failure equals the one that is read back from its dead letter.
impl PartialEq for Failure {
    fn eq(&self, other: &Self) -> bool {
        self.kind == other.kind && self.message == other.message && self.sources == other.sources
    }
}

impl Eq for Failure {}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.loggable())?;
        self.sources.iter().try_for_each(|source| write!(f, ": {source}"))
    }
}

impl fmt::Debug for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Failure")
            .field("kind", &self.kind)
            .field("message", &self.loggable())
            .field("sources", &self.sources)
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_text_of_a_failure_is_bounded() {
        let long = "ä".repeat(3_000);
        let failure = Failure::of(ErrorKind::Handler, &Link::chain((0..20).map(|number| format!("{number}{long}"))));
        assert!(failure.message.len() <= MAX_MESSAGE, "{}", failure.message.len());
        assert!(failure.message.starts_with("0ääää") && failure.message.ends_with("… [cut: 6001 bytes in all]"));
        assert_eq!(failure.sources.len(), MAX_SOURCES);
        assert!(failure.sources.iter().all(|source| source.len() <= MAX_SOURCE));
        assert_eq!(failure.sources[MAX_SOURCES - 1], "… [cut: more sources]");
        assert!(Failure::panicked("handler", Some(&long)).message.len() <= MAX_MESSAGE);
        assert_eq!(bounded(&failure.message, MAX_MESSAGE), failure.message, "what was cut is not cut again");
        assert_eq!(bounded("as it is", 8), "as it is");
    }

    #[test]
    fn an_error_that_is_its_own_source_has_no_end() {
        let failure = Failure::of(ErrorKind::Handler, &Endless);
        assert_eq!(failure.to_string(), "endless: … [cut: more sources]");
    }

    #[test]
    fn a_source_that_repeats_the_text_before_it_is_left_out() {
        let table: [(&[&str], &str); 4] = [
            (&["service error", "no such table", "no such table"], "service error: no such table"),
            (&["no such table", "no such table", "no such table"], "no such table"),
            (&["a", "b", "a"], "a: b: a"),
            (&["a"], "a"),
        ];
        for (texts, expected) in table {
            let error = Link::chain(texts.iter().map(|text| (*text).to_owned()));
            assert_eq!(Failure::of(ErrorKind::Handler, &error).to_string(), expected);
        }
    }

    /// An error with a source.
    #[derive(Debug)]
    struct Link {
        text: String,
        source: Option<Box<Link>>,
    }

    impl Link {
        fn chain(texts: impl DoubleEndedIterator<Item = String>) -> Self {
            let link = |source, text| Some(Box::new(Self { text, source }));
            *texts.rev().fold(None, link).expect("at least one text")
        }
    }

    impl fmt::Display for Link {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str(&self.text)
        }
    }

    impl StdError for Link {
        fn source(&self) -> Option<&(dyn StdError + 'static)> {
            self.source.as_deref().map(|source| source as _)
        }
    }

    #[derive(Debug)]
    struct Endless;

    impl fmt::Display for Endless {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("endless")
        }
    }

    impl StdError for Endless {
        fn source(&self) -> Option<&(dyn StdError + 'static)> {
            Some(self)
        }
    }

    #[test]
    fn the_words_of_a_panic_are_never_logged() {
        let caught = Failure::panicked("handler", Some("customer 17: no address"));
        assert_eq!(caught.message, "the handler panicked: customer 17: no address");
        assert_eq!(caught.to_string(), "the handler panicked");
        let read = Failure::of_dead_letter(caught.kind, caught.message.clone(), Vec::new());
        assert_eq!(read.message, caught.message);
        assert_eq!(read, caught, "what is public is the same");
        for failure in [caught, read] {
            assert!(!format!("{failure} {failure:?}").contains("customer"), "{failure:?}");
        }
    }
}
