//! Builds the documents of a flush: decides which metrics share one, and writes them as JSON.
//!
//! Invariant: no document exceeds the format's limits, and no two metrics in it have the same name.

use std::cmp::Reverse;
use std::collections::{BTreeSet, HashMap};
use std::time::SystemTime;

use metrics::Key;
use serde_json::Map;

use super::samples::Samples;
use super::target::{MAX_NAME, Target, is_dimension};
use super::units::Units;
use crate::observe::render;

// The specification's limits.
const MAX_METRICS: usize = 100;
const MAX_VALUES: usize = 100;
const MAX_DIMENSIONS: usize = 30;
/// Below the 256 KB of a log event, which is also the limit of a document.
const MAX_BYTES: usize = 250_000;
/// How much of a document the labels may fill: enough for 30 dimensions of maximum length.
const MAX_LABEL_BYTES: usize = 60_000;
/// An upper bound of the punctuation and fixed member names around the parts of a document.
const FRAME_BYTES: usize = 80;
const REQUEST_ID: &str = "requestId";

/// What all documents of a flush have in common.
pub(super) struct FlushContext {
    timestamp: u64,
    /// As JSON.
    request_id: Option<Vec<u8>>,
}

impl FlushContext {
    pub(super) fn new(now: SystemTime, request_id: Option<&str>) -> Self {
        let request_id = request_id.map(|id| {
            let mut json = Vec::with_capacity(id.len() + 2);
            render::text(&mut json, id);
            json
        });
        Self { timestamp: unix_millis(now), request_id }
    }
}

/// What all documents with the same labels have in common, as JSON that is made once.
pub(super) struct Preamble {
    /// Names that a metric must not have: those of all other members.
    taken: BTreeSet<String>,
    /// The text between the timestamp and the metrics' definitions.
    start: String,
    /// The dimensions and properties.
    members: String,
    /// Whether a label is named `requestId`, so the invocation's id cannot be added.
    has_request_id: bool,
}

impl Preamble {
    pub(super) fn new(target: &Target, labels: &Key) -> Self {
        let mut members = Map::new();
        let mut own = Vec::new();
        let mut bytes = 0;
        for label in labels.labels() {
            let (name, value) = (label.key(), label.value());
            bytes += quoted_len(name) + quoted_len(value);
            if name == "_aws" || bytes > MAX_LABEL_BYTES || members.contains_key(name) {
                continue;
            }
            if target.is_dimension(name) && is_dimension(name, value) {
                own.push(name);
            }
            members.insert(name.to_owned(), value.into());
        }
        // A label takes precedence over a shared dimension or property of the same name.
        let mut shared = Vec::new();
        for (name, value) in &target.dimensions {
            if !members.contains_key(name) {
                shared.push(name.as_str());
                members.insert(name.clone(), value.as_str().into());
            }
        }
        for (name, value) in &target.properties {
            members.entry(name).or_insert_with(|| value.as_str().into());
        }
        let namespace = json(&target.namespace);
        let dimensions = json(&dimension_sets(&shared, &own));
        let texts = json(&members);
        let has_request_id = members.contains_key(REQUEST_ID);
        let start = format!(r#","CloudWatchMetrics":[{{"Namespace":{namespace},"Dimensions":{dimensions},"Metrics":["#);
        let names = members.into_iter().map(|(name, _)| name).chain([REQUEST_ID.to_owned(), "_aws".to_owned()]);
        let without_braces = texts[1..texts.len() - 1].to_owned();
        Self { taken: names.collect(), start, members: without_braces, has_request_id }
    }

    /// A metric's name as a member of the document: one that CloudWatch accepts and no other member has.
    fn member_name(&self, name: &str) -> String {
        let mut name: String = name.chars().map(|c| if c.is_control() { '_' } else { c }).take(MAX_NAME).collect();
        while name.is_empty() || self.taken.contains(&name) {
            name = format!("_{name}").chars().take(MAX_NAME).collect();
        }
        name
    }

    /// An upper bound of a document's length without its metrics.
    fn len(&self, context: &FlushContext) -> usize {
        self.start.len() + self.members.len() + context.request_id.as_ref().map_or(0, Vec::len) + FRAME_BYTES
    }
}

/// A metric's JSON in a document, without its numbers.
pub(super) struct MetricJson {
    /// `{"Name":"x","Unit":"Count"}`
    definition: Vec<u8>,
    /// `"x":`
    member: Vec<u8>,
    /// What its numbers are multiplied by to be in CloudWatch's unit.
    factor: f64,
    /// The index of the group's first metric with this name: a document holds at most one of them.
    first_of_name: usize,
}

impl MetricJson {
    /// The JSON of all metrics of a group.
    pub(super) fn of_group<'a>(names: impl Iterator<Item = &'a str>, preamble: &Preamble, units: &Units) -> Vec<Self> {
        let mut first = HashMap::new();
        let metrics = names.enumerate().map(|(index, name)| {
            let unit = units.of(name);
            let name = preamble.member_name(name);
            let mut member = Vec::new();
            render::text(&mut member, &name);
            let mut definition = [br#"{"Name":"#, &member[..]].concat();
            if let Some(unit) = unit {
                definition.extend_from_slice(format!(r#","Unit":"{}""#, unit.name).as_bytes());
            }
            definition.push(b'}');
            member.push(b':');
            let first_of_name = *first.entry(name).or_insert(index);
            Self { definition, member, factor: unit.map_or(1.0, |unit| unit.factor), first_of_name }
        });
        metrics.collect()
    }
}

/// The sets of dimensions: the shared ones alone, and the shared ones with the labels, which are split over several sets if
/// they are too many for one.
fn dimension_sets<'a>(shared: &[&'a str], own: &[&'a str]) -> Vec<Vec<&'a str>> {
    let room = MAX_DIMENSIONS - shared.len();
    let with_labels = own.chunks(room).map(|labels| [shared, labels].concat());
    std::iter::once(shared.to_vec()).chain(with_labels).collect()
}

/// The metrics of one document, as JSON.
#[derive(Default)]
struct Document {
    /// Which names it holds, each as the index of the group's first metric of that name.
    names: Vec<usize>,
    definitions: Vec<u8>,
    members: Vec<u8>,
}

impl Document {
    fn has_room_for(&self, metric: &MetricJson, bytes: usize, max_bytes: usize) -> bool {
        let filled = self.definitions.len() + self.members.len();
        self.names.is_empty()
            || (self.names.len() < MAX_METRICS
                && filled + bytes <= max_bytes
                && !self.names.contains(&metric.first_of_name))
    }

    fn push(&mut self, metric: &MetricJson, values: &[u8]) {
        if !self.names.is_empty() {
            self.definitions.push(b',');
        }
        self.definitions.extend_from_slice(&metric.definition);
        self.members.push(b',');
        self.members.extend_from_slice(&metric.member);
        self.members.extend_from_slice(values);
        self.names.push(metric.first_of_name);
    }

    fn clear(&mut self) {
        self.names.clear();
        self.definitions.clear();
        self.members.clear();
    }

    fn write(&self, preamble: &Preamble, context: &FlushContext, lines: &mut Vec<u8>) {
        lines.reserve(preamble.len(context) + self.definitions.len() + self.members.len());
        lines.extend_from_slice(br#"{"_aws":{"Timestamp":"#);
        render::whole(lines, context.timestamp);
        lines.extend_from_slice(preamble.start.as_bytes());
        lines.extend_from_slice(&self.definitions);
        lines.extend_from_slice(b"]}]}");
        if let Some(id) = context.request_id.as_ref().filter(|_| !preamble.has_request_id) {
            lines.extend_from_slice(br#","requestId":"#);
            lines.extend_from_slice(id);
        }
        if !preamble.members.is_empty() {
            lines.push(b',');
            lines.extend_from_slice(preamble.members.as_bytes());
        }
        lines.extend_from_slice(&self.members);
        lines.extend_from_slice(b"}\n");
    }
}

/// Distributes the metrics of a group over documents. It is kept from one flush to the next for its buffers.
#[derive(Default)]
pub(super) struct DocumentWriter {
    /// The numbers to be written, each with its metric's index in the group.
    pub(super) pending: Vec<(usize, Samples)>,
    documents: Vec<Document>,
    /// A metric's numbers as JSON.
    values: Vec<u8>,
}

impl DocumentWriter {
    /// Appends the documents of a group's pending numbers. Each metric goes into the first document that has room; if it has
    /// more numbers than a document may hold, the rest go into the documents after that.
    pub(super) fn write(
        &mut self,
        group: &[MetricJson],
        preamble: &Preamble,
        context: &FlushContext,
        lines: &mut Vec<u8>,
    ) {
        if self.pending.iter().any(|(_, numbers)| numbers.len() > MAX_VALUES) {
            // The longest first: it needs the most documents, and the other metrics fit into them.
            self.pending.sort_by_key(|(_, numbers)| Reverse(numbers.len()));
        }
        let max_bytes = MAX_BYTES.saturating_sub(preamble.len(context));
        for (index, numbers) in &self.pending {
            let metric = &group[*index];
            let mut from = 0;
            let mut next = 0;
            while let Some(end) = write_some(numbers, from, metric.factor, &mut self.values) {
                from = end;
                let bytes = metric.definition.len() + metric.member.len() + self.values.len() + 2;
                while self.documents.get(next).is_some_and(|it| !it.has_room_for(metric, bytes, max_bytes)) {
                    next += 1;
                }
                if next == self.documents.len() {
                    self.documents.push(Document::default());
                }
                self.documents[next].push(metric, &self.values);
                next += 1;
            }
        }
        for document in self.documents.iter_mut().filter(|document| !document.names.is_empty()) {
            document.write(preamble, context, lines);
            document.clear();
        }
        // Most flushes need one; the memory of a rare large flush is freed.
        self.documents.truncate(1);
    }
}

/// Writes a metric's numbers as JSON, from index `from` on and as many as a document may hold: one number, or an array.
/// Returns the index after the last one that was looked at; `None` if no finite number is left.
fn write_some(numbers: &Samples, from: usize, factor: f64, json: &mut Vec<u8>) -> Option<usize> {
    let values = match numbers {
        _ if from >= numbers.len() => return None,
        Samples::Count(count) if factor == 1.0 => {
            json.clear();
            render::whole(json, *count);
            return Some(1);
        }
        Samples::Count(count) => &[*count as f64][..],
        Samples::Level(level) => &[*level],
        Samples::Values(values) => values,
    };
    json.clear();
    json.push(b'[');
    let mut end = from;
    let mut written = 0;
    for value in &values[from..] {
        end += 1;
        let value = value * factor;
        if !value.is_finite() {
            continue;
        }
        if written > 0 {
            json.push(b',');
        }
        render::number(json, value);
        written += 1;
        if written == MAX_VALUES {
            break;
        }
    }
    match written {
        0 => return None,
        1 => drop(json.remove(0)),
        _ => json.push(b']'),
    }
    Some(end)
}

/// An upper bound of a text's length as JSON.
fn quoted_len(text: &str) -> usize {
    2 + text.bytes().map(|byte| if byte < b' ' || byte == b'"' || byte == b'\\' { 6 } else { 1 }).sum::<usize>()
}

fn json<T: serde::Serialize + ?Sized>(value: &T) -> String {
    serde_json::to_string(value).expect("strings, and lists and maps of strings, have a JSON form")
}

/// Milliseconds of Unix time.
fn unix_millis(time: SystemTime) -> u64 {
    time.duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_millis() as u64)
}
