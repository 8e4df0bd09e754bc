//! Scans one record after another: finds their members, and decodes none but the kind of change.
//!
//! Images can be skipped by their braces alone: they are validated when they are decoded, or by
//! [`RecordRef::has_json_images`](super::RecordRef::has_json_images).

use crate::event_kind::EventKind;
use crate::json::{InvalidJson, MemberOrder, Members, RawJson, Scanner, Span, member_names};

use super::header::string;

/// The only `eventSource` of a DynamoDB stream's records.
pub(super) const DYNAMODB: &str = "aws:dynamodb";

member_names! {
    /// The members of a record that are read.
    pub(super) enum RecordMember {
        Dynamodb = "dynamodb",
        EventId = "eventID",
        EventName = "eventName",
        EventSource = "eventSource",
        EventSourceArn = "eventSourceARN",
        AwsRegion = "awsRegion",
        UserIdentity = "userIdentity",
    }
}

member_names! {
    /// The members of a record's `dynamodb` that are read.
    pub(super) enum ChangeMember {
        ApproximateCreationDateTime = "ApproximateCreationDateTime",
        Keys = "Keys",
        NewImage = "NewImage",
        OldImage = "OldImage",
        SequenceNumber = "SequenceNumber",
        SizeBytes = "SizeBytes",
        StreamViewType = "StreamViewType",
    }
}

pub(super) type RecordMembers<'a> = Members<'a, RecordMember, { RecordMember::COUNT }>;
pub(super) type ChangeMembers<'a> = Members<'a, ChangeMember, { ChangeMember::COUNT }>;
type ChangeOrder<'a> = MemberOrder<'a, ChangeMember, { ChangeMember::COUNT }>;

/// When the images are checked to be valid JSON.
#[derive(Clone, Copy)]
pub(crate) enum ImageCheck<'a> {
    /// While the record is scanned.
    Now,
    /// Never: the whole payload has been validated before.
    Done,
    /// When they are decoded, for the kinds of change that have a handler; now for the others. Where the kind is not known yet,
    /// later.
    WhenDecoded(&'a dyn Fn(EventKind) -> bool),
}

impl ImageCheck<'_> {
    /// Whether the scanner may skip the images of such a record by their braces.
    fn allows_skipping(self, kind: Option<EventKind>) -> bool {
        match self {
            Self::Now => false,
            Self::Done => true,
            Self::WhenDecoded(has_handler) => kind.is_none_or(has_handler),
        }
    }
}

/// Scans records; what it holds is the record that it scanned last.
pub(crate) struct RecordScanner<'a> {
    /// The text that all records are pieces of.
    pub(super) payload: &'a str,
    pub(super) json: &'a str,
    pub(super) is_object: bool,
    /// Whether `dynamodb` is an object too.
    pub(super) has_change: bool,
    pub(super) has_unchecked_images: bool,
    pub(super) members: RecordMembers<'a>,
    pub(super) change: ChangeMembers<'a>,
    kind: Option<EventKind>,
    change_order: ChangeOrder<'a>,
    template: Option<Template<'a>>,
}

/// The text of a record around its event id and its `dynamodb`, which is usually the same as that of the record before.
///
/// It is compared at once, so the members in it are not scanned. That saves 7 % of the instructions of a record with both
/// images, and 35 % of one without (`benches/instructions.sh`, *from the bytes* and *keys only, no handler*). A [`MemberOrder`]
/// for these members, too, would take 5 and 36 % more than the template.
#[derive(Clone, Copy)]
struct Template<'a> {
    /// Between the two.
    middle: &'a str,
    /// After `dynamodb`.
    end: &'a str,
}

/// The text before the event id.
const TEMPLATE_START: &str = r#"{"eventID":"#;

impl<'a> RecordScanner<'a> {
    /// For the records of a text, of which none has been scanned yet.
    pub(crate) fn new(payload: &'a str) -> Self {
        Self {
            payload,
            json: payload,
            is_object: false,
            has_change: false,
            has_unchecked_images: false,
            members: Members::NONE,
            change: Members::NONE,
            kind: None,
            change_order: MemberOrder::UNKNOWN,
            template: None,
        }
    }

    /// Moves over a record, or whatever value is in its place.
    #[inline]
    pub(crate) fn scan(&mut self, scanner: &mut Scanner<'a>, images: ImageCheck<'_>) -> Result<(), InvalidJson> {
        self.is_object = scanner.peek_value() == Some(b'{');
        self.has_unchecked_images = false;
        let start = scanner.at();
        if !self.scan_by_template(scanner, images)? {
            scanner.rewind(start);
            self.scan_members(scanner, images)?;
        }
        self.json = scanner.since(start);
        Ok(())
    }

    /// Moves over a record that fits the template; `false` if it does not, and then the scanner may be anywhere in it.
    fn scan_by_template(&mut self, scanner: &mut Scanner<'a>, images: ImageCheck<'_>) -> Result<bool, InvalidJson> {
        let Some(template) = self.template else { return Ok(false) };
        if !scanner.skip(TEMPLATE_START) {
            return Ok(false);
        }
        let event_id = scanner.value()?;
        if !scanner.skip(template.middle) || scanner.peek_value() != Some(b'{') {
            return Ok(false);
        }
        let change = self.scan_change(scanner, images)?;
        // The other members are those of the record before.
        self.members.set(RecordMember::EventId, event_id);
        self.members.set(RecordMember::Dynamodb, change);
        Ok(scanner.skip(template.end))
    }

    fn scan_members(&mut self, scanner: &mut Scanner<'a>, images: ImageCheck<'_>) -> Result<(), InvalidJson> {
        self.has_change = false;
        self.kind = None;
        self.template = None;
        if !self.is_object {
            return scanner.value().map(drop);
        }
        let start = scanner.at();
        let mut members = RecordMembers::NONE;
        scanner.object(&mut members, |scanner, member| match member {
            RecordMember::EventName => {
                let name = scanner.value()?;
                self.kind = name.plain().and_then(EventKind::from_wire);
                Ok(name)
            }
            RecordMember::Dynamodb if scanner.peek_value() == Some(b'{') => self.scan_change(scanner, images),
            _ => scanner.value(),
        })?;
        self.members = members;
        if self.has_change {
            self.template = members.checked().ok().and_then(|members| Template::of(scanner.since(start), members));
        }
        Ok(())
    }

    fn scan_change(&mut self, scanner: &mut Scanner<'a>, images: ImageCheck<'_>) -> Result<RawJson<'a>, InvalidJson> {
        self.has_change = true;
        let Self { change, change_order, kind, has_unchecked_images, .. } = self;
        scanner.nested(|scanner| {
            scanner.object_in_order(change, change_order, |scanner, member| {
                let is_image = matches!(member, ChangeMember::NewImage | ChangeMember::OldImage);
                if !is_image || !images.allows_skipping(*kind) || scanner.peek_value() != Some(b'{') {
                    return scanner.value();
                }
                *has_unchecked_images |= matches!(images, ImageCheck::WhenDecoded(_));
                scanner.unchecked_object()
            })
        })
    }

    /// The record as received.
    pub(crate) fn json(&self) -> &'a str {
        self.json
    }

    /// Whether an image was skipped that has not been validated.
    pub(crate) fn has_unchecked_images(&self) -> bool {
        self.has_unchecked_images
    }

    /// Whether it looks like a record of a stream: it names the source of one, or has a `dynamodb` and names no source.
    pub(crate) fn is_of_stream(&self) -> bool {
        let Ok(members) = self.members.checked() else { return false };
        if !self.is_object {
            return false;
        }
        let source = members.get(RecordMember::EventSource);
        match source.and_then(|source| string(source, |source| source == DYNAMODB)) {
            Some(is_dynamodb) => is_dynamodb,
            None => members.get(RecordMember::Dynamodb).is_some(),
        }
    }
}

impl<'a> Template<'a> {
    /// The template of a record that begins with its event id, as Lambda writes it; `None` if it does not.
    fn of(record: &'a str, members: &RecordMembers<'a>) -> Option<Self> {
        let id = Span::within(record, members.get(RecordMember::EventId)?.text);
        let change = Span::within(record, members.get(RecordMember::Dynamodb)?.text);
        let is_first = record.starts_with(TEMPLATE_START) && id.start() == TEMPLATE_START.len();
        is_first.then(|| Self { middle: &record[id.end()..change.start()], end: &record[change.end()..] })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const USUAL: &str =
        r#"{"eventID":"1","eventName":"INSERT","dynamodb":{"NewImage":{}},"eventSource":"aws:dynamodb"}"#;

    /// Scans the records of an array, and returns what is left in the scanner after each.
    fn scan_all<T>(text: &str, images: ImageCheck<'_>, mut look: impl FnMut(&RecordScanner<'_>) -> T) -> Vec<T> {
        let (mut scanner, mut record) = (Scanner::new(text), RecordScanner::new(text));
        let mut seen = Vec::new();
        let mut has_next = scanner.open_array().expect("an array");
        while has_next {
            record.scan(&mut scanner, images).expect("valid JSON");
            seen.push(look(&record));
            has_next = scanner.next_element().expect("valid JSON");
        }
        seen
    }

    #[test]
    fn a_usual_record_is_scanned_by_the_template() {
        let other = USUAL.replace(r#""1""#, r#""22""#).replace("{}", r#"{"id":{"S":"b"}}"#);
        let text = format!("[{USUAL},{other}]");
        let (mut scanner, mut record) = (Scanner::new(&text), RecordScanner::new(&text));
        assert!(scanner.open_array().is_ok_and(|has_next| has_next));
        assert!(record.scan(&mut scanner, ImageCheck::Now).is_ok());
        assert!(scanner.next_element().is_ok_and(|has_next| has_next));
        let start = scanner.at();
        assert!(record.scan_by_template(&mut scanner, ImageCheck::Now).is_ok_and(|fits| fits));
        assert_eq!(scanner.since(start), other);
    }

    #[test]
    fn only_a_usual_record_is_a_template() {
        let spaced = USUAL.replace(":\"1\"", ": \"1\"");
        let later = format!("{{\"awsRegion\":\"x\",{}", &USUAL[1..]);
        for (record, expected) in [(USUAL, true), (&spaced, false), (&later, false), ("7", false)] {
            let is_template = scan_all(&format!("[{record}]"), ImageCheck::Now, |record| record.template.is_some());
            assert_eq!(is_template, [expected], "{record}");
        }
    }

    #[test]
    fn images_are_checked_when_it_is_said() {
        let has_handler = |kind| kind == EventKind::Insert;
        let text = format!("[{USUAL},{}]", USUAL.replace("INSERT", "REMOVE"));
        for (images, unchecked) in [
            (ImageCheck::Now, [false, false]),
            (ImageCheck::Done, [false, false]),
            (ImageCheck::WhenDecoded(&has_handler), [true, false]),
        ] {
            assert_eq!(scan_all(&text, images, |record| record.has_unchecked_images()), unchecked);
        }
    }

    #[test]
    fn a_record_of_a_stream_has_its_change_or_its_source() {
        let text = r#"[{"dynamodb":7},{"eventSource":"aws:dynamodb"},{"eventSource":"aws:sqs"},{},[]]"#;
        let is_of_stream = scan_all(text, ImageCheck::Now, |record| record.is_of_stream());
        assert_eq!(is_of_stream, [true, true, false, false, false]);
    }
}
