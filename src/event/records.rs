//! The records of a batch: those of an event, or of a payload that is read while they are processed.

use std::sync::Arc;

use crate::error::Error;
use crate::event_kind::EventKind;
use crate::record::{Facts, Images, Stretch};

use super::StreamEvent;
use super::reader::EventReader;
use super::window::Window;

/// How many records are read before the first of them begins: few enough that their text is still in the caches when they
/// are decoded, and enough that reading does not begin too often. In debug builds so few that tests come to the edges.
const STRETCH: usize = if cfg!(debug_assertions) { 3 } else { 64 };

/// Where a batch's records come from, in stream order.
pub(crate) enum Records<'a> {
    /// All of them were read, and the images checked to be JSON.
    Event {
        event: &'a StreamEvent,
        taken: usize,
    },
    Payload(Box<Unread<'a>>),
}

/// A payload that is not read before its records are wanted.
pub(crate) struct Unread<'a> {
    text: &'a str,
    reader: EventReader<'a>,
    has_handler: &'a (dyn Fn(EventKind) -> bool + Sync),
    /// What had to be read to know that it is the event of a stream.
    first: std::vec::IntoIter<Stretch>,
}

impl<'a> Records<'a> {
    pub(crate) fn of_event(event: &'a StreamEvent) -> Self {
        Self::Event { event, taken: 0 }
    }

    /// Reads as much as tells whether it is the event of a stream.
    ///
    /// The images of the kinds of change that have a handler are not checked to be JSON: that is for whoever processes the
    /// records.
    pub(crate) fn of_payload(
        text: &'a Arc<String>,
        has_handler: &'a (dyn Fn(EventKind) -> bool + Sync),
    ) -> Result<Self, Error> {
        let (mut reader, mut first) = (EventReader::new(text), Vec::new());
        while first.is_empty() || !reader.any_of_stream() && reader.has_next() {
            first.push(reader.next(STRETCH, Images::Leave(has_handler)));
        }
        if !reader.has_next() {
            reader.finish()?;
        }
        Ok(Self::Payload(Box::new(Unread { text, reader, has_handler, first: first.into_iter() })))
    }

    pub(crate) fn has_next(&self) -> bool {
        match self {
            // An empty one, too, has an end to be read.
            Self::Event { event, taken } => *taken < event.len().max(1),
            Self::Payload(unread) => !unread.first.as_slice().is_empty() || unread.reader.has_next(),
        }
    }

    /// Reads the next of them; all at once, since to count an owner more of what they share waits for all that was stored
    /// before.
    pub(crate) fn next(&mut self) -> Vec<Facts> {
        match self {
            Self::Event { event, taken } => {
                let facts = Facts::of_stretch(&event.stretch, *taken..event.len().min(*taken + STRETCH)).collect();
                *taken += STRETCH;
                facts
            }
            Self::Payload(unread) => {
                let Unread { reader, has_handler, first, .. } = &mut **unread;
                let stretch = first.next().unwrap_or_else(|| reader.next(STRETCH, Images::Leave(has_handler)));
                let records = 0..stretch.envelopes.len();
                Facts::of_stretch(&Arc::new(stretch), records).collect()
            }
        }
    }

    /// How many records there are in all, where that is known before they are read.
    pub(crate) fn len(&self) -> Option<usize> {
        match self {
            Self::Event { event, .. } => Some(event.len()),
            Self::Payload(_) => None,
        }
    }

    /// The text that they are parts of.
    pub(crate) fn text(&self) -> &'a str {
        match self {
            Self::Event { event, .. } => &event.stretch.text,
            Self::Payload(unread) => unread.text,
        }
    }

    /// About how many records there are in all, before the first are taken.
    pub(crate) fn estimate(&self) -> usize {
        match self {
            Self::Event { event, .. } => event.len(),
            Self::Payload(unread) => {
                let first = unread.first.as_slice().iter().map(|stretch| stretch.envelopes.len()).sum::<usize>();
                first + unread.reader.estimate()
            }
        }
    }

    /// Says, once all have been read, whether they are the records of a stream's event.
    pub(crate) fn finish(&self) -> Result<Option<Window>, Error> {
        match self {
            Self::Event { event, .. } => Ok(event.window.clone()),
            Self::Payload(unread) => unread.reader.finish(),
        }
    }
}
