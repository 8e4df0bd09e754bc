//! Puts a line of the log together. Its order is: what every line has, the fields of the event, those of the spans around it, the record
//! whose code logged it.
//!
//! Invariant: no line is longer than CloudWatch keeps in one piece.

use std::borrow::Cow;
use std::io::Write;
use std::time::SystemTime;

use tracing::Metadata;

use super::fields::Fields;
use super::format::LogFormat;
use crate::observe::render;

/// The most bytes of a line: a little less than 256 KiB, where CloudWatch's overhead for each event counts too.
const MAX_LINE: usize = 255 * 1024;
/// The most bytes of the message.
const MAX_MESSAGE: usize = MAX_LINE / 2;
/// The most bytes of an id.
pub(super) const MAX_ID: usize = 1024;
/// What a line has apart from its message and its fields: the time, the level, three ids and their names.
const MAX_START: usize = 4 * MAX_ID;
/// A text is not cut to less than this, but left out.
const MIN_CUT: usize = 64;

/// A line that is being put together. The event's fields come first, then those of its spans from the innermost outwards, then the record;
/// of several fields with the same name, the first is kept.
pub(super) struct Line<'a> {
    format: LogFormat,
    metadata: &'static Metadata<'static>,
    /// As JSON.
    message: Option<Cow<'a, [u8]>>,
    ids: Ids,
    names: Vec<&'static str>,
    fields: Vec<u8>,
    /// The most bytes that `fields` may have.
    most: usize,
    /// How many fields did not fit.
    omitted: u64,
}

/// The invocation that the line belongs to, as JSON. The runtime's span names these fields as Lambda does, the batch's span as
/// OpenTelemetry does.
#[derive(Default)]
struct Ids {
    request_id: Option<Vec<u8>>,
    invocation_id: Option<Vec<u8>>,
    trace_id: Option<Vec<u8>>,
    trace_header: Option<Vec<u8>>,
}

impl Ids {
    fn slot(&mut self, name: &str) -> Option<&mut Option<Vec<u8>>> {
        match name {
            "requestId" => Some(&mut self.request_id),
            "faas.invocation_id" => Some(&mut self.invocation_id),
            "xrayTraceId" => Some(&mut self.trace_id),
            "aws.xray.trace_header" => Some(&mut self.trace_header),
            _ => None,
        }
    }
}

impl<'a> Line<'a> {
    pub(super) fn new(format: LogFormat, metadata: &'static Metadata<'static>, own: &'a Fields) -> Self {
        let message = own.iter().find_map(|(name, json)| (name == "message").then_some(json));
        let message = message.and_then(|json| cut(json, MAX_MESSAGE));
        let mut line = Self {
            format,
            metadata,
            most: MAX_LINE - MAX_START - message.as_ref().map_or(0, |json| json.len()),
            omitted: 0,
            message,
            ids: Ids::default(),
            names: Vec::with_capacity(24),
            fields: Vec::with_capacity(1_024),
        };
        own.iter().for_each(|(name, json)| line.push(name, json));
        line
    }

    /// Adds the fields of a span.
    pub(super) fn add(&mut self, fields: &Fields) {
        for (name, json) in fields.iter() {
            if !self.names.contains(&name) {
                self.push(name, json);
            }
        }
    }

    /// Adds a field with this text.
    pub(super) fn add_text(&mut self, name: &'static str, text: &str) {
        if !self.names.contains(&name) {
            let mut json = Vec::with_capacity(text.len() + 2);
            render::text(&mut json, text);
            self.push(name, &json);
        }
    }

    fn push(&mut self, name: &'static str, json: &[u8]) {
        if let Some(slot) = self.ids.slot(name) {
            slot.get_or_insert_with(|| cut(json, MAX_ID).unwrap_or_default().into_owned());
        } else if !is_reserved(name) {
            self.names.push(name);
            // A comma, a colon and two quotes.
            let used = self.fields.len() + name.len() + 4;
            match cut(json, self.most.saturating_sub(used)) {
                Some(json) => field(&mut self.fields, self.format, name, &json),
                None => self.omitted += 1,
            }
        }
    }

    /// The whole line, with its line break.
    pub(super) fn finish(mut self, now: SystemTime, function_name: &[u8]) -> Vec<u8> {
        if self.omitted > 0 {
            let mut count = Vec::new();
            render::whole(&mut count, self.omitted);
            field(&mut self.fields, self.format, "omittedFields", &count);
        }
        let Self { format, metadata, message, ids, fields, .. } = self;
        let level = metadata.level().as_str();
        let request_id = ids.request_id.or(ids.invocation_id);
        let trace_id = ids.trace_id.or(ids.trace_header).map(root);
        let message = message.unwrap_or_else(|| {
            let mut name = Vec::new();
            render::text(&mut name, metadata.name());
            name.into()
        });
        let mut line = Vec::with_capacity(256 + fields.len());
        let timestamp = humantime::format_rfc3339_millis(now);
        match format {
            LogFormat::Json => {
                let _ = write!(line, r#"{{"timestamp":"{timestamp}","level":"{level}""#);
                for (name, json) in [("requestId", request_id.as_deref()), ("xrayTraceId", trace_id.as_deref())] {
                    if let Some(json) = json {
                        field(&mut line, format, name, json);
                    }
                }
                field(&mut line, format, "functionName", function_name);
                field(&mut line, format, "message", &message);
                line.extend_from_slice(&fields);
                line.push(b'}');
            }
            LogFormat::Text => {
                let _ = write!(line, "{timestamp} {level:>5} ");
                plain(&mut line, &message);
                line.extend_from_slice(&fields);
                if let Some(id) = request_id {
                    field(&mut line, format, "requestId", &id);
                }
            }
        }
        line.push(b'\n');
        line
    }
}

/// A value as JSON of at most this many bytes: whole, or a text that is cut between two characters; `None` if it cannot be cut.
pub(super) fn cut(json: &[u8], most: usize) -> Option<Cow<'_, [u8]>> {
    if json.len() <= most {
        return Some(Cow::Borrowed(json));
    }
    let text = json.strip_prefix(b"\"").and_then(|json| json.strip_suffix(b"\"")).filter(|_| most >= MIN_CUT)?;
    let room = most - 2 - "… [cut: 18446744073709551615 bytes in all]".len();
    let mut end = 0;
    while let Some(length) = character(&text[end..]).filter(|length| end + length <= room) {
        end += length;
    }
    let mut cut = json[..=end].to_vec();
    let _ = write!(cut, "… [cut: {} bytes in all]\"", text.len());
    Some(Cow::Owned(cut))
}

/// How many bytes the first character of a JSON text has, escaped as it is.
fn character(text: &[u8]) -> Option<usize> {
    Some(match (*text.first()?, text.get(1)) {
        (b'\\', Some(b'u')) => 6,
        (b'\\', _) => 2,
        (0xC0..=0xDF, _) => 2,
        (0xE0..=0xEF, _) => 3,
        (0xF0.., _) => 4,
        _ => 1,
    })
}

/// Names that the start of every line uses itself, or that mean nothing in a log.
fn is_reserved(name: &str) -> bool {
    matches!(name, "message" | "timestamp" | "level" | "functionName" | "otel.kind")
}

fn field(line: &mut Vec<u8>, format: LogFormat, name: &str, json: &[u8]) {
    match format {
        LogFormat::Json => {
            line.push(b',');
            render::text(line, name);
            line.push(b':');
            line.extend_from_slice(json);
        }
        LogFormat::Text => {
            line.push(b' ');
            line.extend_from_slice(name.as_bytes());
            line.push(b'=');
            plain(line, json);
        }
    }
}

/// Appends a value without quotes, on one line.
fn plain(line: &mut Vec<u8>, json: &[u8]) {
    match serde_json::from_slice::<String>(json) {
        Ok(text) => {
            let text: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
            line.extend_from_slice(text.as_bytes());
        }
        Err(_) => line.extend_from_slice(json),
    }
}

/// The trace id of a header `Root=…;Parent=…;Sampled=…`. Both are JSON, with the same escapes.
fn root(header: Vec<u8>) -> Vec<u8> {
    let text = std::str::from_utf8(&header).ok().and_then(|text| text.strip_prefix('"')?.strip_suffix('"'));
    let root = text.and_then(|text| text.split(';').find_map(|part| part.trim().strip_prefix("Root=")));
    root.map(|root| ["\"", root, "\""].concat().into_bytes()).unwrap_or(header)
}
