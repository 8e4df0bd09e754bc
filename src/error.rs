//! The crate's error, for what fails before or in place of a report: a setting, an event, or an invocation as a whole.

use std::fmt;

use crate::payload_kind::PayloadKind;

/// Why a processor could not be built, why an event could not be read, or why an invocation must fail as a whole.
///
/// The failure of a single record is not an `Error`. It is part of the [`BatchReport`](crate::BatchReport).
///
/// ```
/// use lambda_streams::StreamProcessor;
///
/// let error = StreamProcessor::builder().build().unwrap_err();
/// assert!(error.is_configuration());
/// assert_eq!(error.to_string(), "the processor has no handler: register one with `on_insert`, `on_modify`, `on_remove`, `on_change` or `on_record`");
/// ```
#[derive(Clone)]
pub struct Error(Box<Kind>);

#[derive(Clone)]
enum Kind {
    Configuration(String),
    NotJson(String),
    NotAStreamEvent(PayloadKind),
    NotDeadLetters(PayloadKind),
    /// With the number of messages that hold an on-failure document instead.
    NoDeadLetters(usize),
    MixedSources(String),
    BrokenEnvelope(&'static str),
    /// What a command has sent, or should have, cannot be processed.
    WayBack {
        message: String,
        kind: Option<PayloadKind>,
    },
    Unreportable(String),
    BatchFailed(String),
    Unfinished(String),
}

impl Error {
    pub(crate) fn configuration(message: impl Into<String>) -> Self {
        Kind::Configuration(message.into()).into()
    }

    pub(crate) fn not_json(why: impl fmt::Display) -> Self {
        Kind::NotJson(why.to_string()).into()
    }

    pub(crate) fn not_a_stream_event(kind: PayloadKind) -> Self {
        Kind::NotAStreamEvent(kind).into()
    }

    pub(crate) fn not_dead_letters(kind: PayloadKind) -> Self {
        Kind::NotDeadLetters(kind).into()
    }

    pub(crate) fn no_dead_letters(documents: usize) -> Self {
        Kind::NoDeadLetters(documents).into()
    }

    /// With the sources, and how many records are of each.
    pub(crate) fn mixed_sources(sources: impl Into<String>) -> Self {
        Kind::MixedSources(sources.into()).into()
    }

    /// The payload is refused for what a command of `lambda-streams` has asked, or because one can bring it back.
    pub(crate) fn way_back(message: impl Into<String>, kind: Option<PayloadKind>) -> Self {
        Kind::WayBack { message: message.into(), kind }.into()
    }

    pub(crate) fn unfinished(message: impl Into<String>) -> Self {
        Kind::Unfinished(message.into()).into()
    }

    pub(crate) fn broken_envelope(why: &'static str) -> Self {
        Kind::BrokenEnvelope(why).into()
    }

    pub(crate) fn unreportable(message: impl Into<String>) -> Self {
        Kind::Unreportable(message.into()).into()
    }

    pub(crate) fn batch_failed(message: impl Into<String>) -> Self {
        Kind::BatchFailed(message.into()).into()
    }

    /// Whether a setting is missing, malformed, or contradicts another.
    pub fn is_configuration(&self) -> bool {
        matches!(*self.0, Kind::Configuration(_))
    }

    /// Whether the payload is not the event that was expected, or asks for something that the processor cannot do.
    pub fn is_event(&self) -> bool {
        matches!(
            *self.0,
            Kind::NotJson(_)
                | Kind::NotAStreamEvent(_)
                | Kind::NotDeadLetters(_)
                | Kind::NoDeadLetters(_)
                | Kind::MixedSources(_)
                | Kind::BrokenEnvelope(_)
                | Kind::WayBack { .. }
        )
    }

    /// Whether the whole batch fails because a record had to be reported, but no sequence number can name it.
    pub fn is_unreportable(&self) -> bool {
        matches!(*self.0, Kind::Unreportable(_))
    }

    /// Whether the whole batch fails because a record had to be reported, but
    /// [`report_batch_item_failures`](crate::ProcessorBuilder::report_batch_item_failures) is off.
    pub fn is_batch_failed(&self) -> bool {
        matches!(*self.0, Kind::BatchFailed(_))
    }

    /// Whether the invocation fails because records of a [replay](crate::ReplayReport) are not finished, and its request did not ask for a list
    /// of them.
    pub fn is_unfinished(&self) -> bool {
        matches!(*self.0, Kind::Unfinished(_))
    }

    /// What the payload looks like, if it is not the event that was expected.
    ///
    /// ```
    /// use lambda_streams::{PayloadKind, StreamEvent};
    ///
    /// let error = StreamEvent::from_slice(br#"{"Records": [{"eventSource": "aws:kinesis"}]}"#).unwrap_err();
    /// assert_eq!(error.payload_kind(), Some(PayloadKind::Kinesis));
    /// ```
    pub fn payload_kind(&self) -> Option<PayloadKind> {
        match *self.0 {
            Kind::NotJson(_) => Some(PayloadKind::NotJson),
            Kind::NotAStreamEvent(kind) | Kind::NotDeadLetters(kind) => Some(kind),
            Kind::NoDeadLetters(_) => Some(PayloadKind::Sqs),
            Kind::MixedSources(_) => Some(PayloadKind::MixedSources),
            Kind::WayBack { kind, .. } => kind,
            _ => None,
        }
    }
}

impl From<Kind> for Error {
    fn from(kind: Kind) -> Self {
        Self(Box::new(kind))
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &*self.0 {
            Kind::Configuration(message)
            | Kind::WayBack { message, .. }
            | Kind::Unreportable(message)
            | Kind::BatchFailed(message)
            | Kind::Unfinished(message) => f.write_str(message),
            Kind::NotJson(why) => write!(f, "the payload is not valid JSON: {why}"),
            Kind::NotAStreamEvent(kind) => {
                write!(f, "the payload is not the event of a DynamoDB stream, it looks like {kind}")
            }
            Kind::NotDeadLetters(kind) => {
                write!(f, "the payload is not an SQS event of dead letters, it looks like {kind}")
            }
            Kind::NoDeadLetters(0) => f.write_str("no message of the SQS event holds a dead letter"),
            Kind::NoDeadLetters(documents) => write!(
                f,
                "no message of the SQS event holds a dead letter, and {documents} hold an on-failure document of discarded records: disable the \
                 queue's event source mapping, and `lambda-streams replay --queue URL --function NAME` brings the records back"
            ),
            Kind::MixedSources(sources) => write!(
                f,
                "the records of the payload come from several sources ({sources}), and no event source mapping sends these together: \
                 the invocation fails, and none of them is acknowledged"
            ),
            Kind::BrokenEnvelope(why) => write!(f, "the event's envelope is broken: {why}"),
        }
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Error({self})")
    }
}

impl std::error::Error for Error {}

/// The type and message that Lambda shows of a failed invocation.
impl From<Error> for lambda_runtime::Diagnostic {
    fn from(error: Error) -> Self {
        let error_type = match *error.0 {
            Kind::Configuration(_) => "LambdaStreams.Configuration",
            Kind::NotJson(_)
            | Kind::NotAStreamEvent(_)
            | Kind::NotDeadLetters(_)
            | Kind::NoDeadLetters(_)
            | Kind::MixedSources(_)
            | Kind::BrokenEnvelope(_)
            | Kind::WayBack { .. } => "LambdaStreams.Event",
            Kind::Unreportable(_) => "LambdaStreams.Unreportable",
            Kind::BatchFailed(_) => "LambdaStreams.BatchFailed",
            Kind::Unfinished(_) => "LambdaStreams.Unfinished",
        };
        Self { error_type: error_type.to_owned(), error_message: error.to_string() }
    }
}
