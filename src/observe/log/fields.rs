//! The fields of a span or event, kept as JSON until they are written into a line.

use std::fmt::{self, Write};
use std::ops::Range;

use tracing::field::{Field, Visit};

use crate::observe::render;

/// The fields of one span or event in their order, each name at most once.
#[derive(Default)]
pub(super) struct Fields {
    /// All values as JSON, one after the other.
    json: Vec<u8>,
    /// Each field's name, and where its value is in `json`.
    values: Vec<(&'static str, Range<usize>)>,
}

impl Fields {
    /// With capacity for the fields of a usual event.
    pub(super) fn of_event() -> Self {
        Self { json: Vec::with_capacity(256), values: Vec::with_capacity(20) }
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&'static str, &[u8])> {
        self.values.iter().map(|(name, range)| (*name, &self.json[range.clone()]))
    }

    fn set(&mut self, field: &Field, write: impl FnOnce(&mut Vec<u8>)) {
        if let Some(known) = self.values.iter().position(|(name, _)| *name == field.name()) {
            self.remove(known);
        }
        let start = self.json.len();
        write(&mut self.json);
        self.values.push((field.name(), start..self.json.len()));
    }

    /// Removes a value that is replaced, so a span does not grow when one of its fields is recorded many times.
    fn remove(&mut self, index: usize) {
        let (_, range) = self.values.remove(index);
        for (_, later) in &mut self.values[index..] {
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
        self.set(field, |json| {
            if value.is_finite() {
                render::number(json, value);
            } else {
                json.extend_from_slice(b"null");
            }
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
