//! The `tracing` layer that writes each event as a line.

use std::io::Write;
use std::sync::{Mutex, PoisonError};

use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Subscriber};
use tracing_subscriber::layer::{Context, Layer};
use tracing_subscriber::registry::LookupSpan;

use super::current;
use super::fields::Fields;
use super::format::LogFormat;
use super::line::{Line, MAX_ID, cut};
use crate::clock::time_of_day;
use crate::guard::guard;
use crate::observe::render;

/// Keeps the fields of spans, and writes a line for each event: its own fields, those of the spans around it, and the record that it is
/// about.
pub(super) struct LineLayer {
    format: LogFormat,
    /// As JSON.
    function_name: Vec<u8>,
    writer: Mutex<Box<dyn Write + Send>>,
}

impl LineLayer {
    pub(super) fn new(format: LogFormat, function_name: &str, writer: Box<dyn Write + Send>) -> Self {
        current::ask_for();
        let mut json = Vec::new();
        render::text(&mut json, function_name);
        let function_name = cut(&json, MAX_ID).unwrap_or_default().into_owned();
        Self { format, function_name, writer: Mutex::new(writer) }
    }
}

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for LineLayer {
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let mut fields = Fields::default();
        attributes.record(&mut fields);
        if let Some(span) = context.span(id) {
            // Not `insert`, which panics if a second `LineLayer` has stored its fields already.
            span.extensions_mut().replace(fields);
        }
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, context: Context<'_, S>) {
        let Some(span) = context.span(id) else { return };
        if let Some(fields) = span.extensions_mut().get_mut::<Fields>() {
            values.record(fields);
        }
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let mut own = Fields::of_event();
        event.record(&mut own);
        let mut line = Line::new(self.format, event.metadata(), &own);
        for span in context.event_scope(event).into_iter().flatten() {
            if let Some(fields) = span.extensions().get::<Fields>() {
                line.add(fields);
            }
        }
        current::with_event_id(|id| line.add_text("event_id", id));
        let line = line.finish(time_of_day(), &self.function_name);
        let mut writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        // A log that cannot be written must not fail the invocation.
        let _ = guard("writer of the log", || writer.write_all(&line).and_then(|()| writer.flush()));
    }
}
