use std::fmt::{self, Write};
use std::ops::Range;

use tracing::field::{Field, Visit};

use crate::observe::render;

/// The fields of one span or event, in their order and each once, with their values as JSON.
#[derive(Default)]
pub(super) struct Fields {
    json: Vec<u8>,
    parts: Vec<(&'static str, Range<usize>)>,
}

impl Fields {
    /// With room for those of a usual event.
    pub(super) fn of_event() -> Self {
        Self { json: Vec::with_capacity(256), parts: Vec::with_capacity(20) }
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&'static str, &[u8])> {
        self.parts.iter().map(|(name, range)| (*name, &self.json[range.clone()]))
    }

    fn set(&mut self, field: &Field, write: impl FnOnce(&mut Vec<u8>)) {
        if let Some(known) = self.parts.iter().position(|(name, _)| *name == field.name()) {
            self.remove(known);
        }
        let start = self.json.len();
        write(&mut self.json);
        self.parts.push((field.name(), start..self.json.len()));
    }

    /// A span whose field is recorded again and again must not grow.
    fn remove(&mut self, index: usize) {
        let (_, range) = self.parts.remove(index);
        for (_, later) in &mut self.parts[index..] {
            *later = later.start - range.len()..later.end - range.len();
        }
        self.json.drain(range);
    }
}

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        let mut text = String::new();
        let _ = write!(text, "{value:?}");
        self.record_str(field, &text);
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.set(field, |json| render::text(json, value));
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.set(field, |json| match value.is_finite() {
            true => render::number(json, value),
            false => json.extend_from_slice(b"null"),
        });
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.set(field, |json| {
            if value < 0 {
                json.push(b'-');
            }
            render::whole(json, value.unsigned_abs());
        });
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.set(field, |json| render::whole(json, value));
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.set(field, |json| json.extend_from_slice(if value { b"true" } else { b"false" }));
    }
}
