//! The records of a batch in stream order: those of an event that was parsed, or of a payload that is read while its
//! records are processed.

use std::sync::Arc;

use crate::error::Error;
use crate::event_kind::EventKind;
use crate::record::{Chunk, ImageCheck, RecordRef};

use super::StreamEvent;
use super::reader::EventReader;
use super::window::Window;

/// How many records are read before the first of them starts: few enough that their text is still in the caches when they
/// are decoded, and enough that the reader and the handlers rarely take turns. A record of 3,700 then takes a tenth less time
/// than if all were read first (`benches/columns.rs`, *from the bytes*, the fastest of 25 runs). Debug builds read so few that
/// tests cross the edges of chunks.
const CHUNK: usize = if cfg!(debug_assertions) { 3 } else { 64 };

/// The source of a batch's records.
pub(crate) enum Records<'a> {
    /// All records have been read, and their images checked to be valid JSON.
    Event {
        event: &'a StreamEvent,
        taken: usize,
    },
    Payload(Box<Unread<'a>>),
}

/// A payload of which each chunk is read when its records are wanted.
pub(crate) struct Unread<'a> {
    text: &'a str,
    reader: EventReader<'a>,
    has_handler: &'a (dyn Fn(EventKind) -> bool + Sync),
    /// The chunks that had to be read to know whether it is the event of a stream.
    read_ahead: std::vec::IntoIter<Chunk>,
}

impl<'a> Records<'a> {
    pub(crate) fn of_event(event: &'a StreamEvent) -> Self {
        Self::Event { event, taken: 0 }
    }

    /// Reads just enough to tell whether the payload is the event of a stream.
    ///
    /// The images of the kinds of change that have a handler are not checked to be valid JSON. The code that processes the records
    /// must do so.
    pub(crate) fn of_payload(
        text: &'a Arc<String>,
        has_handler: &'a (dyn Fn(EventKind) -> bool + Sync),
    ) -> Result<Self, Error> {
        let mut reader = EventReader::new(text);
        let mut read_ahead = Vec::new();
        while read_ahead.is_empty() || !reader.any_of_stream() && reader.has_next() {
            read_ahead.push(reader.next_chunk(CHUNK, ImageCheck::WhenDecoded(has_handler)));
        }
        if !reader.has_next() {
            reader.finish()?;
        }
        Ok(Self::Payload(Box::new(Unread { text, reader, has_handler, read_ahead: read_ahead.into_iter() })))
    }

    pub(crate) fn has_next(&self) -> bool {
        match self {
            // An empty event counts as one step, so its end is reached like that of any other.
            Self::Event { event, taken } => *taken < event.len().max(1),
            Self::Payload(unread) => !unread.read_ahead.as_slice().is_empty() || unread.reader.has_next(),
        }
    }

    /// Why the payload is not the event of a stream, if that is known before the last of its records is handed out.
    pub(crate) fn refusal(&self) -> Option<Error> {
        match self {
            Self::Payload(unread) if unread.reader.is_given_up() => unread.reader.finish().err(),
            Self::Event { .. } | Self::Payload(_) => None,
        }
    }

    /// Takes the next chunk of records.
    ///
    /// All of its references are made at once, because each increments the chunk's count atomically, and an atomic increment
    /// waits for the stores before it.
    pub(crate) fn next(&mut self) -> Vec<RecordRef> {
        match self {
            Self::Event { event, taken } => {
                let end = event.len().min(*taken + CHUNK);
                let records = RecordRef::of_chunk(&event.chunk, *taken..end).collect();
                *taken += CHUNK;
                records
            }
            Self::Payload(unread) => {
                let Unread { reader, has_handler, read_ahead, .. } = &mut **unread;
                let chunk =
                    read_ahead.next().unwrap_or_else(|| reader.next_chunk(CHUNK, ImageCheck::WhenDecoded(has_handler)));
                let count = chunk.headers.len();
                RecordRef::of_chunk(&Arc::new(chunk), 0..count).collect()
            }
        }
    }

    /// How many records there are in all, if that is known before they are read.
    pub(crate) fn len(&self) -> Option<usize> {
        match self {
            Self::Event { event, .. } => Some(event.len()),
            Self::Payload(_) => None,
        }
    }

    /// The text that the records are pieces of.
    pub(crate) fn text(&self) -> &'a str {
        match self {
            Self::Event { event, .. } => &event.chunk.text,
            Self::Payload(unread) => unread.text,
        }
    }

    /// About how many records there are in all, asked before the first is taken.
    pub(crate) fn estimate(&self) -> usize {
        match self {
            Self::Event { event, .. } => event.len(),
            Self::Payload(unread) => {
                let read = unread.read_ahead.as_slice().iter().map(|chunk| chunk.headers.len()).sum::<usize>();
                read + unread.reader.estimate()
            }
        }
    }

    /// Checks, once all have been read, that they are the records of a stream's event.
    pub(crate) fn finish(&self) -> Result<Option<Window>, Error> {
        match self {
            Self::Event { event, .. } => Ok(event.window.clone()),
            Self::Payload(unread) => unread.reader.finish(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn payload(count: usize) -> String {
        let record = r#"{"eventSource":"aws:dynamodb","dynamodb":{"Keys":{"id":{"S":"a"}}}}"#;
        format!("{{\"Records\":[{}]}}", vec![record; count].join(","))
    }

    #[test]
    fn the_number_of_records_is_estimated() {
        for count in [0, 1, CHUNK, CHUNK + 1, 500] {
            let text = Arc::new(payload(count));
            let of_payload = Records::of_payload(&text, &|_| true).expect("an event").estimate();
            assert!((count..=count + 1).contains(&of_payload), "{count}: {of_payload}");
            let event = StreamEvent::from_slice(text.as_bytes()).expect("an event");
            assert_eq!(Records::of_event(&event).estimate(), count);
        }
    }

    #[test]
    fn records_are_taken_a_chunk_at_a_time() {
        for count in [0, 1, CHUNK, CHUNK + 1, 3 * CHUNK] {
            let text = Arc::new(payload(count));
            let event = StreamEvent::from_slice(text.as_bytes()).expect("an event");
            let of_payload = Records::of_payload(&text, &|_| true).expect("an event");
            for (mut records, len) in [(Records::of_event(&event), Some(count)), (of_payload, None)] {
                assert_eq!(records.len(), len);
                let mut chunks = Vec::new();
                while records.has_next() {
                    chunks.push(records.next().len());
                }
                let whole = std::iter::repeat_n(CHUNK, count / CHUNK);
                let rest = Some(count % CHUNK).filter(|rest| *rest > 0 || count == 0);
                assert_eq!(chunks, whole.chain(rest).collect::<Vec<_>>(), "{count}");
            }
        }
    }
}
