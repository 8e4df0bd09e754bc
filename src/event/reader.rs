//! Reads an event's records in one pass over the payload, as many at a time as are wanted.
//!
//! Invariant: no more records are read than an invocation can have. Everything that was read is valid JSON, except for
//! images whose check was postponed (`ImageCheck`). Whether the payload is the event of a stream is only known when all of it has been
//! read: [`EventReader::finish`].

use std::sync::Arc;

use crate::error::Error;
use crate::json::{self, BadMember, InvalidJson, Members, Object, Problem, Scanner};
use crate::payload_kind::{self, PayloadKind};
use crate::record::{Chunk, Header, ImageCheck, RecordScanner};

use super::members::{EventMember, EventMembers};
use super::window::{self, Window};

/// How many records an invocation can have
/// ([AWS: event source mappings](https://docs.aws.amazon.com/lambda/latest/api/API_CreateEventSourceMapping.html)). A payload
/// with more is not read further, because every record takes memory, however short its text is.
pub(crate) const MAX_RECORDS: usize = 10_000;

/// Reads the records of a payload, and the members around them.
pub(crate) struct EventReader<'a> {
    text: &'a Arc<String>,
    scanner: Scanner<'a>,
    object: Object<EventMember, { EventMember::COUNT }>,
    members: EventMembers<'a>,
    record: RecordScanner<'a>,
    position: Position,
    has_records: bool,
    any_of_stream: bool,
    /// Whether one of the records so far names another source.
    any_of_another: bool,
    /// How many records may still follow.
    room: usize,
}

/// How far a reader has come.
#[derive(Clone, Copy)]
enum Position {
    /// Before a record of `Records`.
    Record {
        /// Where the array starts.
        list: usize,
    },
    /// At the end of the event.
    End,
    /// At the end of a value that is not an object.
    NotAnObject,
    /// Before something that is not valid JSON.
    InvalidJson,
    /// Before a record that is one more than an invocation can have.
    TooManyRecords,
    /// Somewhere after records of several sources, of which an invocation cannot have more than one.
    MixedSources,
}

impl<'a> EventReader<'a> {
    /// Moves to the first record.
    pub(crate) fn new(text: &'a Arc<String>) -> Self {
        Self::with_room(text, MAX_RECORDS)
    }

    /// The same for a text of at most so many records.
    pub(crate) fn with_room(text: &'a Arc<String>, room: usize) -> Self {
        let mut reader = Self {
            text,
            scanner: Scanner::new(text),
            object: Object::START,
            members: Members::NONE,
            record: RecordScanner::new(text),
            position: Position::InvalidJson,
            has_records: false,
            any_of_stream: false,
            any_of_another: false,
            room,
        };
        reader.position = reader.open().unwrap_or(Position::InvalidJson);
        reader
    }

    fn open(&mut self) -> Result<Position, InvalidJson> {
        if self.scanner.peek_value() == Some(b'{') {
            self.object = self.scanner.open_object(&mut self.members)?;
            return self.next_list();
        }
        self.scanner.value()?;
        self.scanner.end()?;
        Ok(Position::NotAnObject)
    }

    /// Whether there is another record.
    pub(crate) fn has_next(&self) -> bool {
        matches!(self.position, Position::Record { .. })
    }

    /// Whether everything so far is valid JSON.
    pub(crate) fn is_valid_so_far(&self) -> bool {
        !matches!(self.position, Position::InvalidJson)
    }

    /// Whether the payload is known not to be the event of a stream, so no more of it is read.
    pub(crate) fn is_given_up(&self) -> bool {
        matches!(self.position, Position::InvalidJson | Position::TooManyRecords | Position::MixedSources)
    }

    /// Whether one of the records so far looks like one of a stream.
    pub(crate) fn any_of_stream(&self) -> bool {
        self.any_of_stream
    }

    /// Reads up to `count` records, and moves to the record after them or to the end of the event.
    pub(crate) fn next_chunk(&mut self, count: usize, images: ImageCheck<'_>) -> Chunk {
        let mut headers = Vec::new();
        while let Position::Record { list } = self.position
            && headers.len() < count
        {
            self.position = self.read_record(list, &mut headers, images).unwrap_or(Position::InvalidJson);
            if let [_] = &headers[..] {
                // One allocation for all, or rarely two.
                headers.reserve(count.min(self.estimate()));
            }
        }
        if self.are_sources_mixed() && self.has_next() {
            self.position = Position::MixedSources;
        }
        Chunk { text: Arc::clone(self.text), headers }
    }

    /// About how many records are left: as many as if all were as long as the last one, up to the maximum of Lambda.
    pub(crate) fn estimate(&self) -> usize {
        if !self.has_next() {
            return 0;
        }
        let left = self.text.len() - self.scanner.at();
        (left / (self.record.json().len() + 1) + 1).min(self.room)
    }

    fn read_record(
        &mut self,
        list: usize,
        headers: &mut Vec<Header>,
        images: ImageCheck<'_>,
    ) -> Result<Position, InvalidJson> {
        let Some(room) = self.room.checked_sub(1) else { return Ok(Position::TooManyRecords) };
        self.room = room;
        self.record.scan(&mut self.scanner, images)?;
        self.any_of_stream = self.any_of_stream || self.record.is_of_stream();
        let header = headers.push_mut(Header::unread(&self.record));
        header.read(&self.record);
        if !header.is_well_formed() {
            self.check_malformed()?;
        }
        if self.scanner.next_element()? { Ok(Position::Record { list }) } else { self.end_of_list(list) }
    }

    /// Checks what was scanned last, a malformed record.
    #[cold]
    fn check_malformed(&mut self) -> Result<(), InvalidJson> {
        let json = self.record.json();
        // It does not say where its images are, so they cannot be checked later.
        if self.record.has_unchecked_images() && !json::is_valid(json) {
            return Err(InvalidJson);
        }
        self.any_of_another = self.any_of_another || payload_kind::names_another_source(json);
        Ok(())
    }

    fn are_sources_mixed(&self) -> bool {
        self.any_of_another && self.any_of_stream
    }

    /// Moves to the first record of the first `Records`, or to the end of the event.
    fn next_list(&mut self) -> Result<Position, InvalidJson> {
        while let Some(member) = self.scanner.next_member(&mut self.object, &mut self.members)? {
            let is_list = matches!(member, EventMember::Records) && self.scanner.peek_value() == Some(b'[');
            if is_list && !self.has_records {
                self.has_records = true;
                let list = self.scanner.at();
                return if self.scanner.open_array()? { Ok(Position::Record { list }) } else { self.end_of_list(list) };
            }
            let value = self.scanner.value()?;
            self.scanner.take(&mut self.object, &mut self.members, member, value);
        }
        self.scanner.end()?;
        Ok(Position::End)
    }

    fn end_of_list(&mut self, list: usize) -> Result<Position, InvalidJson> {
        let value = self.scanner.nested_since(list);
        self.scanner.take(&mut self.object, &mut self.members, EventMember::Records, value);
        self.next_list()
    }

    /// Checks that the payload is the event of a stream; all records must have been read.
    pub(crate) fn finish(&self) -> Result<Option<Window>, Error> {
        // If the payload is not valid JSON, that is the error, whatever else is wrong with it.
        self.window().map_err(|error| json::syntax_error(self.text).map_or(error, Error::not_json))
    }

    /// The error for more records than an invocation can have.
    fn too_many(&self) -> Error {
        match PayloadKind::of_json(self.text) {
            kind if payload_kind::is_foreign(kind) => self.refusal(),
            _ => Error::broken_envelope("it has more than 10,000 records, which no invocation of a stream has"),
        }
    }

    /// The error for the event of another source, or of several.
    fn refusal(&self) -> Error {
        match payload_kind::mixed_sources(self.text) {
            Some(sources) => Error::mixed_sources(sources),
            None => Error::not_a_stream_event(PayloadKind::of_json(self.text)),
        }
    }

    fn window(&self) -> Result<Option<Window>, Error> {
        let refuse = || self.refusal();
        match self.position {
            Position::InvalidJson => return Err(Error::not_json("it cannot be read")),
            Position::TooManyRecords => return Err(self.too_many()),
            Position::NotAnObject | Position::MixedSources => return Err(refuse()),
            Position::Record { .. } | Position::End => {}
        }
        let members = self.members.checked().map_err(|BadMember { problem, .. }| match problem {
            Problem::Repeated => Error::broken_envelope("a member occurs twice"),
            Problem::UnreadableName => refuse(),
        })?;
        if members.get(EventMember::LambdaStreams).is_some() && !super::is_by_command(self.text) {
            return Err(Error::broken_envelope("`lambdaStreams` must be its first member"));
        }
        if !self.has_records
            || self.are_sources_mixed()
            || !self.any_of_stream && payload_kind::is_foreign(PayloadKind::of_json(self.text))
        {
            return Err(refuse());
        }
        window::read(members).map_err(Error::broken_envelope)
    }
}
