//! An event's records, in one pass over the payload, as many at once as are wanted.

use std::sync::Arc;

use crate::error::Error;
use crate::json::{self, Members, NotJson, Object, Scanner};
use crate::payload_kind::{self, EventShape};
use crate::record::{Envelope, Images, RawEnvelope, Stretch};

use super::window::{self, Window};

/// The members that mean something, by their numbers.
fn member(name: &str) -> Option<usize> {
    ["Records", "window", "state", "shardId", "isFinalInvokeForWindow"].iter().position(|known| *known == name)
}
const RECORDS: usize = 0;

/// Reads the records of a payload, and what stands around them.
pub(crate) struct EventReader<'a> {
    text: &'a Arc<String>,
    scanner: Scanner<'a>,
    object: Object<5>,
    members: Members<'a, 5>,
    record: RawEnvelope<'a>,
    place: Place,
    /// Whether it has a list of records.
    has_records: bool,
    any_of_stream: bool,
}

/// Where a reader stands.
#[derive(Clone, Copy)]
enum Place {
    /// Before a record of the list that starts there.
    Record(usize),
    /// Behind all.
    End,
    /// Behind a text that is no object.
    NoObject,
    /// Before something that is no JSON.
    NotJson,
}

impl<'a> EventReader<'a> {
    /// Moves to the first record.
    pub(crate) fn new(text: &'a Arc<String>) -> Self {
        let mut reader = Self {
            text,
            scanner: Scanner::new(text),
            object: Object::START,
            members: Members::NONE,
            record: RawEnvelope::new(text),
            place: Place::NotJson,
            has_records: false,
            any_of_stream: false,
        };
        reader.place = reader.open().unwrap_or(Place::NotJson);
        reader
    }

    fn open(&mut self) -> Result<Place, NotJson> {
        if self.scanner.peek_value() == Some(b'{') {
            self.object = self.scanner.open_object(&mut self.members)?;
            return self.next_list();
        }
        self.scanner.value()?;
        self.scanner.end()?;
        Ok(Place::NoObject)
    }

    /// Whether there is another record.
    pub(crate) fn has_next(&self) -> bool {
        matches!(self.place, Place::Record(_))
    }

    /// Whether all so far is JSON.
    pub(crate) fn is_json(&self) -> bool {
        !matches!(self.place, Place::NotJson)
    }

    /// Whether one of the records so far is a stream's, as far as one can tell without reading it.
    pub(crate) fn any_of_stream(&self) -> bool {
        self.any_of_stream
    }

    /// Reads as many records as are there and no more than this, and moves on to the one behind them or to the event's end.
    pub(crate) fn next(&mut self, records: usize, images: Images<'_>) -> Stretch {
        let mut envelopes = Vec::new();
        while let Place::Record(list) = self.place
            && envelopes.len() < records
        {
            let place = self.read(&mut envelopes, images).and_then(|()| match self.scanner.next_element()? {
                true => Ok(Place::Record(list)),
                false => self.end_of_list(list),
            });
            self.place = place.unwrap_or(Place::NotJson);
            if let [_] = &envelopes[..] {
                // The list grows once, and rarely twice.
                envelopes.reserve(records.min(self.estimate()));
            }
        }
        Stretch { text: Arc::clone(self.text), envelopes }
    }

    /// About how many records there are from here on: as many as if they were as long as the last, and no more than Lambda
    /// sends.
    pub(crate) fn estimate(&self) -> usize {
        const MOST: usize = 10_000;
        let left = self.text.len() - self.scanner.at();
        if self.has_next() { (left / (self.record.json().len() + 1) + 1).min(MOST) } else { 0 }
    }

    fn read(&mut self, envelopes: &mut Vec<Envelope>, images: Images<'_>) -> Result<(), NotJson> {
        self.record.scan(&mut self.scanner, images)?;
        self.any_of_stream |= self.record.is_of_stream();
        let envelope = envelopes.push_mut(Envelope::unknown(&self.record));
        envelope.read(&self.record);
        // Where the images of a malformed record lie is not known.
        let is_json = envelope.is_whole() || !self.record.has_unchecked_images() || json::is_json(self.record.json());
        if is_json { Ok(()) } else { Err(NotJson) }
    }

    /// Moves to the first record of the first list, or to the event's end.
    fn next_list(&mut self) -> Result<Place, NotJson> {
        while let Some(number) = self.scanner.next_member(&mut self.object, &mut self.members, member)? {
            if number == RECORDS && !self.has_records && self.scanner.peek_value() == Some(b'[') {
                self.has_records = true;
                let list = self.scanner.at();
                return if self.scanner.open_array()? { Ok(Place::Record(list)) } else { self.end_of_list(list) };
            }
            let value = self.scanner.value()?;
            self.scanner.take(&mut self.object, &mut self.members, number, value);
        }
        self.scanner.end()?;
        Ok(Place::End)
    }

    fn end_of_list(&mut self, list: usize) -> Result<Place, NotJson> {
        let value = self.scanner.array_from(list);
        self.scanner.take(&mut self.object, &mut self.members, RECORDS, value);
        self.next_list()
    }

    /// Says why the payload is no stream's event, if it is none; all records must have been read.
    pub(crate) fn finish(&self) -> Result<Option<Window>, Error> {
        // What is no JSON is nothing else.
        self.window().map_err(|error| json::why_not_json(self.text).map_or(error, Error::not_json))
    }

    fn window(&self) -> Result<Option<Window>, Error> {
        let refuse = || Error::not_a_stream_event(EventShape::of_json(self.text));
        match self.place {
            Place::NotJson => return Err(Error::not_json("it cannot be read")),
            Place::NoObject => return Err(refuse()),
            Place::Record(_) | Place::End => {}
        }
        let [_, members @ ..] = *self.members.values().map_err(|bad| match bad.repeated {
            true => Error::broken_envelope("a member stands in it twice"),
            false => refuse(),
        })?;
        if !self.has_records || !self.any_of_stream && payload_kind::is_foreign(EventShape::of_json(self.text)) {
            return Err(refuse());
        }
        let members = members.map(|member| member.map(|member| member.json));
        window::read(members).map_err(Error::broken_envelope)
    }
}
