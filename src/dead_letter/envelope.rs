//! The envelope: a dead letter as versioned JSON.
//!
//! Invariant: every form of it gives back the record byte for byte.

mod read;
mod write;

pub use self::read::DeadLetterReadError;

pub(super) use self::write::{Attempts, Form, write};

use super::DeadLetter;

/// The only version so far.
const VERSION: u64 = 1;

/// # The envelope
///
/// A dead letter is written as one JSON object, whatever the queue:
///
/// | member | meaning |
/// |---|---|
/// | `version` | 1 |
/// | `errorKind` | `malformed`, `decode`, `handler`, `panic`, `timeout`, `predecessor` or `unmatched`: an [`ErrorKind`](crate::ErrorKind) |
/// | `errorMessage` | the message of the error |
/// | `errorSources` | the messages of its sources, the nearest first; absent without sources |
/// | `earlierErrors` | `kind` and `message` of the attempts before the last one, in order; absent without such attempts, or if the queue has no room for them |
/// | `attempts` | how many times the handler was called |
/// | `superseded` | how many earlier changes of its item were [skipped](crate::Bulk::latest_only) in its favour; absent if none were |
/// | `firstSeen`, `deadLettered` | RFC 3339, to the millisecond |
/// | `functionArn`, `requestId`, `traceHeader` | of the invocation; absent outside Lambda |
/// | `table`, `streamArn`, `sequenceNumber`, `eventId`, `eventKind` | of the record; absent if the record does not have it |
/// | one of `record`, `recordText`, `recordGzip` | the complete record |
///
/// The record has one of three forms, each of which gives back the same bytes:
/// - `record`: the record's JSON itself. This is the usual form.
/// - `recordText`: a string that contains the record's JSON. It is used if the record has a raw U+FFFE or U+FFFF, which SQS
///   refuses and which this form escapes, and in a file also if the record has a line break between its members.
/// - `recordGzip`: the record's JSON, compressed with gzip, in standard base64. It is used if the message would otherwise be too large
///   for the queue. The other members are not compressed.
///
/// The members about the record are there for searching; when a letter is read, they are read from the record instead.
/// An error message is cut after 4,096 bytes and each source after 1,024, at most 16 sources are kept, and every cut is marked
/// with the size of what was cut. An identifier of more than 1,024 bytes is left out, and is only in the record.
/// Unknown members are ignored.
impl DeadLetter {
    /// The letter as an [envelope](#the-envelope), with the record as `record` or `recordText`.
    ///
    /// Reading it back gives the same letter, except for fractions of a millisecond and messages that were cut. The record is always the
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
        write(self, Form::Plain, Attempts::All)
    }

    /// The letter as an [envelope](#the-envelope), with the record as `recordGzip`: for a queue of your own that limits the size
    /// of its messages.
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
        write(self, Form::Gzip, Attempts::All)
    }

    /// Reads an [envelope](#the-envelope) in any of its forms, such as the body of an SQS message or a line of a file.
    ///
    /// ```
    /// use lambda_streams::DeadLetter;
    ///
    /// let error = DeadLetter::from_json("{}").unwrap_err();
    /// println!("{error}");
    /// ```
    ///
    /// # Errors
    /// If the text is not an envelope of version 1, or if its record is missing, occurs more than once, cannot be decompressed, is not valid
    /// JSON, or has more than 16 MiB. The error contains nothing of the record.
    pub fn from_json(json: &str) -> Result<Self, DeadLetterReadError> {
        read::read(json)
    }
}
