//! The log: one JSON object a line on standard output.
//!
//! `timestamp` (RFC 3339), `level`, `functionName` and `message` are on every line, `requestId` on every line of an
//! invocation; the fields of the event, and those of the spans around it, stand beside them.

use std::fmt;
use std::io::{self, Write};
use std::time::SystemTime;

use serde::ser::{Serialize, SerializeMap, Serializer};
use serde_json::Value;
use tracing::field::{Field, Visit};
use tracing::level_filters::LevelFilter;
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Metadata, Subscriber, error};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};
use tracing_subscriber::registry::{LookupSpan, Registry};

/// Writes the log of this process from now on; only the first call has an effect.
pub(crate) fn init(level: Level, function_name: &str) {
    let lines = JsonLines { level, function_name: function_name.to_owned() };
    // Fails only where a log is set up already.
    let _ = tracing::subscriber::set_global_default(Registry::default().with(lines));
    // Without its message, which may quote an item: it stands in the dead letter.
    std::panic::set_hook(Box::new(|panic| error!(location = panic.location().map(ToString::to_string), "a panic")));
}

/// The layer that turns events into lines.
struct JsonLines {
    level: Level,
    function_name: String,
}

impl JsonLines {
    /// How much of a module's lines is wanted.
    fn limit(&self, target: &str) -> Level {
        if target.starts_with("stream_processor") {
            self.level
        } else if target.starts_with("lambda_streams") && self.level < Level::DEBUG {
            // Its line on each batch says less than the function's own.
            self.level.min(Level::WARN)
        } else if target.starts_with("lambda_streams") {
            self.level
        } else {
            // The runtime and the SDK log whole payloads at `trace`.
            self.level.min(Level::INFO)
        }
    }

    fn line(&self, event: &Event<'_>, around: Vec<Fields>) -> Line {
        let mut own = Fields::default();
        event.record(&mut own);
        let message = own.take("message").unwrap_or_else(|| event.metadata().name().into());
        let mut line = Line::default();
        line.push("timestamp", humantime::format_rfc3339_millis(SystemTime::now()).to_string().into());
        line.push("level", event.metadata().level().as_str().into());
        let mut fields: Vec<_> = around.into_iter().flat_map(|fields| fields.0).collect();
        // The runtime's span carries it.
        if let Some(position) = fields.iter().position(|(name, _)| *name == "requestId") {
            let (name, value) = fields.swap_remove(position);
            line.push(name, value);
        }
        line.push("functionName", self.function_name.clone().into());
        line.push("message", message);
        fields.into_iter().chain(own.0).for_each(|(name, value)| line.push(name, value));
        line
    }
}

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for JsonLines {
    fn enabled(&self, metadata: &Metadata<'_>, _: Context<'_, S>) -> bool {
        // The runtime's span stays on at every level, for it says which invocation a line belongs to.
        if metadata.is_span() {
            return *metadata.level() <= Level::INFO;
        }
        *metadata.level() <= self.limit(metadata.target())
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(LevelFilter::from_level(self.level.max(Level::INFO)))
    }

    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let mut fields = Fields::default();
        attributes.record(&mut fields);
        if let Some(span) = context.span(id) {
            span.extensions_mut().insert(fields);
        }
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, context: Context<'_, S>) {
        let Some(span) = context.span(id) else { return };
        if let Some(fields) = span.extensions_mut().get_mut::<Fields>() {
            values.record(fields);
        }
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let around = context
            .event_scope(event)
            .into_iter()
            .flat_map(|scope| scope.from_root())
            .filter_map(|span| span.extensions().get::<Fields>().cloned())
            .collect();
        let Ok(mut line) = serde_json::to_vec(&self.line(event, around)) else { return };
        line.push(b'\n');
        // A log that cannot be written must not fail the invocation.
        let _ = io::stdout().lock().write_all(&line);
    }
}

/// The fields of one span or event.
#[derive(Clone, Default)]
struct Fields(Vec<(&'static str, Value)>);

impl Fields {
    fn take(&mut self, name: &str) -> Option<Value> {
        let position = self.0.iter().position(|(known, _)| *known == name)?;
        Some(self.0.remove(position).1)
    }

    fn push(&mut self, field: &Field, value: impl Into<Value>) {
        self.0.push((field.name(), value.into()));
    }
}

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.push(field, format!("{value:?}"));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.push(field, value);
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.push(field, value);
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.push(field, value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.push(field, value);
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.push(field, value);
    }
}

/// One line: members in their order, each name once.
#[derive(Default)]
struct Line(Vec<(&'static str, Value)>);

impl Line {
    fn push(&mut self, name: &'static str, value: Value) {
        if self.0.iter().all(|(known, _)| *known != name) {
            self.0.push((name, value));
        }
    }
}

impl Serialize for Line {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (name, value) in &self.0 {
            map.serialize_entry(name, value)?;
        }
        map.end()
    }
}
