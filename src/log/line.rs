use std::fmt::Write;
use std::time::SystemTime;

use serde::ser::{Serialize, SerializeMap, Serializer};
use serde_json::Value;
use tracing::Metadata;

use super::layer::Fields;

/// One line of the log.
pub(super) struct Line<'a> {
    level: &'static str,
    request_id: Option<Value>,
    trace_id: Option<Value>,
    function_name: &'a str,
    message: Value,
    /// The event's own, then those around it from the inside out; each name once.
    fields: Vec<(&'static str, Value)>,
}

impl<'a> Line<'a> {
    pub(super) fn new(
        metadata: &Metadata<'static>,
        mut own: Fields,
        around: Vec<Fields>,
        function_name: &'a str,
    ) -> Self {
        let message = own.take("message").unwrap_or_else(|| metadata.name().into());
        let mut all = own.0;
        for (name, value) in around.into_iter().rev().flat_map(|fields| fields.0) {
            if all.iter().all(|(known, _)| *known != name) {
                all.push((name, value));
            }
        }
        let mut fields = Fields(all);
        // The span of the runtime has Lambda's names, that of a batch OpenTelemetry's.
        let request_id = [fields.take("requestId"), fields.take("faas.invocation_id")].into_iter().flatten().next();
        let header = [fields.take("xrayTraceId"), fields.take("aws.xray.trace_header")].into_iter().flatten().next();
        fields.take("otel.kind");
        Self {
            level: metadata.level().as_str(),
            request_id,
            trace_id: header.map(root),
            function_name,
            message,
            fields: fields.0,
        }
    }

    pub(super) fn to_json(&self, now: SystemTime) -> String {
        let line = Json { line: self, timestamp: timestamp(now) };
        let mut json = serde_json::to_string(&line).expect("a map from text to JSON values has a JSON form");
        json.push('\n');
        json
    }

    pub(super) fn to_text(&self, now: SystemTime) -> String {
        let mut text = format!("{} {:>5} ", timestamp(now), self.level);
        push(&mut text, &self.message);
        let request_id = self.request_id.iter().map(|id| ("requestId", id));
        for (name, value) in self.fields.iter().map(|(name, value)| (*name, value)).chain(request_id) {
            let _ = write!(text, " {name}=");
            push(&mut text, value);
        }
        text.push('\n');
        text
    }
}

/// Texts without quotes, on one line.
fn push(text: &mut String, value: &Value) {
    match value {
        Value::String(value) => text.extend(value.chars().map(|c| if c.is_control() { ' ' } else { c })),
        value => {
            let _ = write!(text, "{value}");
        }
    }
}

/// The trace's id alone, of a header `Root=…;Parent=…;Sampled=…`.
fn root(header: Value) -> Value {
    let root = header.as_str().and_then(|header| header.split(';').find_map(|part| part.trim().strip_prefix("Root=")));
    root.map(Value::from).unwrap_or(header)
}

fn timestamp(now: SystemTime) -> String {
    humantime::format_rfc3339_millis(now).to_string()
}

struct Json<'a> {
    line: &'a Line<'a>,
    timestamp: String,
}

impl Serialize for Json<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Line { level, request_id, trace_id, function_name, message, fields } = self.line;
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("timestamp", &self.timestamp)?;
        map.serialize_entry("level", level)?;
        if let Some(id) = request_id {
            map.serialize_entry("requestId", id)?;
        }
        if let Some(id) = trace_id {
            map.serialize_entry("xrayTraceId", id)?;
        }
        map.serialize_entry("functionName", function_name)?;
        map.serialize_entry("message", message)?;
        for (name, value) in fields {
            if !["timestamp", "level", "functionName"].contains(name) {
                map.serialize_entry(name, value)?;
            }
        }
        map.end()
    }
}
