//! The documents: which numbers share one, and their JSON.

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
/// Less than the 256 KB of a log event, which the format's documents are limited to wherever they are read.
const MAX_BYTES: usize = 250_000;
/// How much of a document labels may fill: enough for 30 dimensions of the greatest length.
const MAX_LABEL_BYTES: usize = 60_000;
/// No less than what stands around the parts of a document.
const FRAME_BYTES: usize = 80;
const REQUEST_ID: &str = "requestId";

/// What all documents of a flush have in common.
pub(super) struct Moment {
    timestamp: u64,
    /// As JSON.
    request_id: Option<Vec<u8>>,
}

impl Moment {
    pub(super) fn new(now: SystemTime, request_id: Option<&str>) -> Self {
        let request_id = request_id.map(|id| {
            let mut json = Vec::with_capacity(id.len() + 2);
            render::text(&mut json, id);
            json
        });
        Self { timestamp: unix_millis(now), request_id }
    }
}

/// What all documents of the same labels have in common.
pub(super) struct Head {
    /// The names of dimensions and properties.
    members: BTreeSet<String>,
    /// The text between the timestamp and the metrics' definitions.
    start: String,
    /// Dimensions and properties.
    end: String,
    has_request_id: bool,
}

impl Head {
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
        // A label takes the place of a dimension or property of the same name.
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
        let (namespace, dimensions, texts) = (json(&target.namespace), json(&sets(&shared, &own)), json(&members));
        let has_request_id = members.contains_key(REQUEST_ID);
        let start = format!(r#","CloudWatchMetrics":[{{"Namespace":{namespace},"Dimensions":{dimensions},"Metrics":["#);
        let names = members.into_iter().map(|(name, _)| name).chain([REQUEST_ID.to_owned(), "_aws".to_owned()]);
        Self { members: names.collect(), start, end: texts[1..texts.len() - 1].to_owned(), has_request_id }
    }

    /// A metric's name as a member of the document: one that CloudWatch takes, and that is no other member's.
    fn member_name(&self, name: &str) -> String {
        let mut name: String = name.chars().map(|c| if c.is_control() { '_' } else { c }).take(MAX_NAME).collect();
        while name.is_empty() || self.members.contains(&name) {
            name = format!("_{name}").chars().take(MAX_NAME).collect();
        }
        name
    }

    fn len(&self, moment: &Moment) -> usize {
        self.start.len() + self.end.len() + moment.request_id.as_ref().map_or(0, Vec::len) + FRAME_BYTES
    }
}

/// What documents say of a metric beside its numbers.
pub(super) struct Text {
    /// `{"Name":"x","Unit":"Count"}`
    definition: Vec<u8>,
    /// `"x":`
    member: Vec<u8>,
    factor: f64,
    /// The first of the group's metrics with this name: one document cannot have both.
    namesake: usize,
}

impl Text {
    /// Those of all metrics of a group.
    pub(super) fn all<'a>(names: impl Iterator<Item = &'a str>, head: &Head, units: &Units) -> Vec<Self> {
        let mut first = HashMap::new();
        let texts = names.enumerate().map(|(index, name)| {
            let unit = units.of(name);
            let name = head.member_name(name);
            let mut member = Vec::new();
            render::text(&mut member, &name);
            let mut definition = [br#"{"Name":"#, &member[..]].concat();
            if let Some(unit) = unit {
                definition.extend_from_slice(format!(r#","Unit":"{}""#, unit.name).as_bytes());
            }
            definition.push(b'}');
            member.push(b':');
            let namesake = *first.entry(name).or_insert(index);
            Self { definition, member, factor: unit.map_or(1.0, |unit| unit.factor), namesake }
        });
        texts.collect()
    }
}

/// The shared dimensions alone, and with the labels; these in several sets if they are too many for one.
fn sets<'a>(shared: &[&'a str], own: &[&'a str]) -> Vec<Vec<&'a str>> {
    let room = MAX_DIMENSIONS - shared.len();
    let with_labels = own.chunks(room).map(|labels| [shared, labels].concat());
    std::iter::once(shared.to_vec()).chain(with_labels).collect()
}

/// One document's metrics, as JSON.
#[derive(Default)]
struct Document {
    /// Which names it has, by their first metrics.
    names: Vec<usize>,
    definitions: Vec<u8>,
    members: Vec<u8>,
}

impl Document {
    fn has_room(&self, text: &Text, bytes: usize, room: usize) -> bool {
        let filled = self.definitions.len() + self.members.len();
        self.names.is_empty()
            || (self.names.len() < MAX_METRICS && filled + bytes <= room && !self.names.contains(&text.namesake))
    }

    fn push(&mut self, text: &Text, values: &[u8]) {
        if !self.names.is_empty() {
            self.definitions.push(b',');
        }
        self.definitions.extend_from_slice(&text.definition);
        self.members.push(b',');
        self.members.extend_from_slice(&text.member);
        self.members.extend_from_slice(values);
        self.names.push(text.namesake);
    }

    fn clear(&mut self) {
        self.names.clear();
        self.definitions.clear();
        self.members.clear();
    }

    fn write(&self, head: &Head, moment: &Moment, lines: &mut Vec<u8>) {
        lines.reserve(head.len(moment) + self.definitions.len() + self.members.len());
        lines.extend_from_slice(br#"{"_aws":{"Timestamp":"#);
        render::whole(lines, moment.timestamp);
        lines.extend_from_slice(head.start.as_bytes());
        lines.extend_from_slice(&self.definitions);
        lines.extend_from_slice(b"]}]}");
        if let Some(id) = moment.request_id.as_ref().filter(|_| !head.has_request_id) {
            lines.extend_from_slice(br#","requestId":"#);
            lines.extend_from_slice(id);
        }
        if !head.end.is_empty() {
            lines.push(b',');
            lines.extend_from_slice(head.end.as_bytes());
        }
        lines.extend_from_slice(&self.members);
        lines.extend_from_slice(b"}\n");
    }
}

/// Where documents are put together, kept from one flush to the next.
#[derive(Default)]
pub(super) struct Desk {
    /// Metrics with something to tell, each with its place in the group.
    pub(super) told: Vec<(usize, Samples)>,
    documents: Vec<Document>,
    /// A metric's numbers as JSON.
    values: Vec<u8>,
}

impl Desk {
    /// Appends the documents of what there is to tell of a group: each metric goes into the first document that has room,
    /// the parts of a long one into one after the other.
    pub(super) fn write(&mut self, texts: &[Text], head: &Head, moment: &Moment, lines: &mut Vec<u8>) {
        if self.told.iter().any(|(_, numbers)| numbers.len() > MAX_VALUES) {
            // The longest first: it needs the most documents, and the others fit beside it.
            self.told.sort_by_key(|(_, numbers)| Reverse(numbers.len()));
        }
        let room = MAX_BYTES.saturating_sub(head.len(moment));
        for (index, numbers) in &self.told {
            let text = &texts[*index];
            let (mut next, mut from) = (0, 0);
            while let Some(end) = part(numbers, from, text.factor, &mut self.values) {
                from = end;
                let bytes = text.definition.len() + text.member.len() + self.values.len() + 2;
                while self.documents.get(next).is_some_and(|document| !document.has_room(text, bytes, room)) {
                    next += 1;
                }
                if next == self.documents.len() {
                    self.documents.push(Document::default());
                }
                self.documents[next].push(text, &self.values);
                next += 1;
            }
        }
        for document in self.documents.iter_mut().filter(|document| !document.names.is_empty()) {
            document.write(head, moment, lines);
            document.clear();
        }
        // As many as there are as a rule; what a rare large flush needed is given back.
        self.documents.truncate(1);
    }
}

/// Writes the next of a metric's numbers, from this one on, as JSON: one number, or an array of as many as a document may
/// hold. Gives the place of the first one behind them, and nothing if there is none that is finite.
fn part(numbers: &Samples, from: usize, factor: f64, json: &mut Vec<u8>) -> Option<usize> {
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
    let (mut end, mut written) = (from, 0);
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
    serde_json::to_string(value).expect("texts, finite numbers and maps with keys of text have a JSON form")
}

/// Milliseconds of Unix time.
fn unix_millis(time: SystemTime) -> u64 {
    time.duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_millis() as u64)
}
