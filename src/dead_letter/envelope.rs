//! The envelope: a dead letter as versioned JSON, from which the same record is read back.

mod read;
mod write;

pub use self::read::DeadLetterReadError;

pub(super) use self::write::{Form, write};

use super::DeadLetter;

/// The only version so far.
const VERSION: u64 = 1;

/// # The envelope
///
/// A dead letter travels as one JSON object, whatever the queue:
///
/// | member | what |
/// |---|---|
/// | `version` | 1 |
/// | `errorKind` | `malformed`, `decode`, `handler`, `panic`, `timeout` or `predecessor`: an [`ErrorKind`](crate::ErrorKind) |
/// | `errorMessage` | what the error said |
/// | `errorSources` | what its sources said, the nearest first; absent without sources |
/// | `attempts` | how often the handler was called |
/// | `firstSeen`, `deadLettered` | RFC 3339, to the millisecond |
/// | `functionArn`, `requestId`, `traceHeader` | of the invocation; absent outside Lambda |
/// | `table`, `streamArn`, `sequenceNumber`, `eventId`, `eventKind` | of the record; absent where it does not say |
/// | one of `record`, `recordText`, `recordGzip` | the record, whole |
///
/// The record comes in one of three forms, and each of them gives back the same bytes:
/// - `record`: the record's JSON itself. This is the form but for two exceptions:
/// - `recordText`: a string that contains the record's JSON, where the record has a raw U+FFFE or U+FFFF, which SQS
///   refuses and which are escapes in this form; in a file, also where it has a line break between its members.
/// - `recordGzip`: the record's JSON, compressed with gzip, in standard base64, where the message would not fit the
///   queue otherwise. Everything else stays in clear.
///
/// What is known of the record in clear is there to be searched for; it is read back from the record. Of what could
/// grow without bound, an error message is cut after 4,096 bytes and each source after 1,024, at most 16 sources are
/// kept, and every cut is marked with what was cut; an identifier of more than 1,024 bytes stands in the record alone.
/// Unknown members are ignored.
impl DeadLetter {
    /// The letter as [envelope](#the-envelope), with the record as `record` or `recordText`.
    ///
    /// Reading it back gives the same letter, but for cuts and fractions of a millisecond; the record is always the
    /// same, byte for byte.
    ///
    /// ```
    /// # use lambda_streams::DeadLetter;
    /// # let received = r#"{"version": 1, "errorKind": "panic", "errorMessage": "index out of bounds", "attempts": 1,
    /// #     "firstSeen": "2026-01-01T00:00:00.000Z", "deadLettered": "2026-01-01T00:00:00.120Z", "record": {"eventID": "7"}}"#;
    /// let letter = DeadLetter::from_json(received)?;
    /// let again = DeadLetter::from_json(&letter.to_json())?;
    /// assert_eq!(again.raw_json(), letter.raw_json());
    /// # Ok::<(), lambda_streams::DeadLetterReadError>(())
    /// ```
    pub fn to_json(&self) -> String {
        write(self, Form::Plain)
    }

    /// The letter as [envelope](#the-envelope), with the record as `recordGzip`: for a queue of yours that limits the
    /// size of what it takes.
    ///
    /// ```
    /// # use lambda_streams::DeadLetter;
    /// # let received = r#"{"version": 1, "errorKind": "panic", "errorMessage": "index out of bounds", "attempts": 1,
    /// #     "firstSeen": "2026-01-01T00:00:00.000Z", "deadLettered": "2026-01-01T00:00:00.120Z", "record": {"eventID": "7"}}"#;
    /// let letter = DeadLetter::from_json(received)?;
    /// let again = DeadLetter::from_json(&letter.to_compressed_json())?;
    /// assert_eq!(again.raw_json(), letter.raw_json());
    /// # Ok::<(), lambda_streams::DeadLetterReadError>(())
    /// ```
    pub fn to_compressed_json(&self) -> String {
        write(self, Form::Gzip)
    }

    /// Reads an [envelope](#the-envelope), such as the body of an SQS message or a line of a file, in any of its forms.
    ///
    /// # Errors
    /// If it is no envelope of version 1, or its record is not there exactly once, cannot be decompressed, is no JSON,
    /// or has more than 16 MiB. The error does not contain anything of the record.
    pub fn from_json(json: &str) -> Result<Self, DeadLetterReadError> {
        read::read(json)
    }
}
