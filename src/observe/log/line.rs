//! Puts a line of the log together. Its order is: what every line has, the fields of the event, those of the spans around it.

use std::io::Write;
use std::time::SystemTime;

use tracing::Metadata;

use super::fields::Fields;
use super::format::LogFormat;
use crate::observe::render;

/// A line that is being put together. The event's fields come first, then those of its spans from the innermost outwards; of
/// several fields with the same name, the first is kept.
pub(super) struct Line<'a> {
    format: LogFormat,
    metadata: &'static Metadata<'static>,
    /// As JSON.
    message: Option<&'a [u8]>,
    ids: Ids,
    names: Vec<&'static str>,
    fields: Vec<u8>,
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
        let mut line = Self {
            format,
            metadata,
            message: own.iter().find_map(|(name, json)| (name == "message").then_some(json)),
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

    fn push(&mut self, name: &'static str, json: &[u8]) {
        if let Some(slot) = self.ids.slot(name) {
            slot.get_or_insert_with(|| json.to_vec());
        } else if !is_reserved(name) {
            self.names.push(name);
            field(&mut self.fields, self.format, name, json);
        }
    }

    /// The whole line, with its line break.
    pub(super) fn finish(self, now: SystemTime, function_name: &[u8]) -> Vec<u8> {
        let Self { format, metadata, message, ids, fields, .. } = self;
        let level = metadata.level().as_str();
        let request_id = ids.request_id.or(ids.invocation_id);
        let trace_id = ids.trace_id.or(ids.trace_header).map(root);
        let mut name = Vec::new();
        let message = message.unwrap_or_else(|| {
            render::text(&mut name, metadata.name());
            &name
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
                field(&mut line, format, "message", message);
                line.extend_from_slice(&fields);
                line.push(b'}');
            }
            LogFormat::Text => {
                let _ = write!(line, "{timestamp} {level:>5} ");
                plain(&mut line, message);
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
