//! The documents: which numbers share one, and their JSON.

use std::time::SystemTime;

use metrics::Key;
use serde_json::{Map, Value};

use super::builder::Target;
use super::registry::{Numbers, Sample};

// The specification's limits.
const MAX_METRICS: usize = 100;
const MAX_VALUES: usize = 100;
const MAX_DIMENSIONS: usize = 30;
const MAX_NAME: usize = 255;
const MAX_DIMENSION_VALUE: usize = 1_024;
/// Less than the 256 KB of a log event, which the format's documents are limited to wherever they are read.
const MAX_BYTES: usize = 250_000;
/// How much of a document labels may fill: enough for 30 dimensions of the greatest length.
const MAX_LABEL_BYTES: usize = 60_000;

/// The lines of a flush, each a document.
pub(super) fn lines(
    mut samples: Vec<Sample>,
    target: &Target,
    request_id: Option<&str>,
    now: SystemTime,
) -> Vec<Vec<u8>> {
    let timestamp = now.duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_millis() as u64);
    // Those of the same labels together. The longest first: it needs the most documents, and the others fit beside it.
    samples.sort_by(|a, b| {
        let by_labels = a.key.labels().cmp(b.key.labels());
        by_labels.then_with(|| b.numbers.len().cmp(&a.numbers.len())).then_with(|| a.key.name().cmp(b.key.name()))
    });
    let of_labels = samples.chunk_by(|a, b| a.key.labels().eq(b.key.labels()));
    of_labels
        .flat_map(|samples| {
            let head = Head::new(target, &samples[0].key, request_id, timestamp);
            pack(samples, &head).into_iter().map(move |document| document.line(&head))
        })
        .collect()
}

/// What all documents of the same labels have in common.
struct Head {
    /// Dimensions and properties by name.
    members: Map<String, Value>,
    /// The text up to the metrics' definitions.
    start: String,
    /// The text from there on to their values.
    end: String,
}

impl Head {
    fn new(target: &Target, key: &Key, request_id: Option<&str>, timestamp: u64) -> Self {
        let mut members = Map::new();
        let mut own = Vec::new();
        let mut bytes = 0;
        for label in key.labels() {
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
        let properties = target.properties.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        for (name, value) in properties.chain(request_id.map(|id| ("requestId", id))) {
            members.entry(name).or_insert_with(|| value.into());
        }
        let (namespace, dimensions, texts) = (json(&target.namespace), json(&sets(&shared, &own)), json(&members));
        let start = format!(
            "{{\"_aws\":{{\"Timestamp\":{timestamp},\"CloudWatchMetrics\":[{{\"Namespace\":{namespace},\
             \"Dimensions\":{dimensions},\"Metrics\":["
        );
        let texts = &texts[1..texts.len() - 1];
        let end = format!("]}}]}},{texts}{}", if texts.is_empty() { "" } else { "," });
        Self { members, start, end }
    }

    /// A metric's name as a member of the document: one that CloudWatch takes, and that is no other member's.
    fn member_name(&self, name: &str) -> String {
        let mut name: String = name.chars().map(|c| if c.is_control() { '_' } else { c }).take(MAX_NAME).collect();
        while name.is_empty() || name == "_aws" || self.members.contains_key(&name) {
            name = format!("_{name}").chars().take(MAX_NAME).collect();
        }
        name
    }
}

/// The shared dimensions alone, and with the labels; these in several sets if they are too many for one.
fn sets<'a>(shared: &[&'a str], own: &[&'a str]) -> Vec<Vec<&'a str>> {
    let room = MAX_DIMENSIONS - shared.len();
    let with_labels = own.chunks(room).map(|labels| [shared, labels].concat());
    std::iter::once(shared.to_vec()).chain(with_labels).collect()
}

/// Whether CloudWatch takes this as a dimension.
pub(super) fn is_dimension(name: &str, value: &str) -> bool {
    let is_text = |text: &str, limit| {
        text.len() <= limit && text.bytes().all(|byte| (b' '..=b'~').contains(&byte)) && !text.trim().is_empty()
    };
    is_text(name, MAX_NAME) && !name.starts_with(':') && is_text(value, MAX_DIMENSION_VALUE)
}

/// One document's metrics, as JSON.
#[derive(Default)]
struct Document {
    names: Vec<String>,
    definitions: String,
    members: String,
}

impl Document {
    fn has_room(&self, name: &str, bytes: usize, head: &Head) -> bool {
        let filled = head.start.len() + head.end.len() + self.definitions.len() + self.members.len() + 8;
        self.names.is_empty()
            || (self.names.len() < MAX_METRICS
                && filled + bytes <= MAX_BYTES
                && !self.names.iter().any(|known| known == name))
    }

    fn push(&mut self, name: &str, definition: &str, values: &str) {
        for list in [&mut self.definitions, &mut self.members] {
            if !list.is_empty() {
                list.push(',');
            }
        }
        self.definitions.push_str(definition);
        self.members.push_str(&json(name));
        self.members.push(':');
        self.members.push_str(values);
        self.names.push(name.to_owned());
    }

    fn line(&self, head: &Head) -> Vec<u8> {
        [&head.start, &self.definitions, &head.end, &self.members, "}\n"].concat().into_bytes()
    }
}

/// Distributes metrics to documents: each into the first that has room, the parts of a long one into one after the other.
fn pack(samples: &[Sample], head: &Head) -> Vec<Document> {
    let mut documents: Vec<Document> = Vec::new();
    for sample in samples {
        let name = head.member_name(sample.key.name());
        let unit = sample.unit.map_or_else(String::new, |unit| format!(",\"Unit\":\"{}\"", unit.name));
        let definition = format!("{{\"Name\":{}{unit}}}", json(&name));
        let mut next = 0;
        for values in parts(sample) {
            let bytes = 2 * definition.len() + values.len();
            while documents.get(next).is_some_and(|document| !document.has_room(&name, bytes, head)) {
                next += 1;
            }
            if next == documents.len() {
                documents.push(Document::default());
            }
            documents[next].push(&name, &definition, &values);
            next += 1;
        }
    }
    documents
}

/// A metric's numbers as JSON: one number, or arrays of as many as a document may hold.
fn parts(sample: &Sample) -> Vec<String> {
    let factor = sample.unit.map_or(1.0, |unit| unit.factor);
    let values = match &sample.numbers {
        Numbers::Count(count) if factor == 1.0 => return vec![count.to_string()],
        Numbers::Count(count) => vec![*count as f64 * factor],
        Numbers::Values(values) => {
            values.iter().map(|value| value * factor).filter(|value| value.is_finite()).collect()
        }
    };
    values.chunks(MAX_VALUES).map(|part| if let [one] = part { json(one) } else { json(part) }).collect()
}

/// An upper bound of a text's length as JSON.
fn quoted_len(text: &str) -> usize {
    2 + text.bytes().map(|byte| if byte < b' ' || byte == b'"' || byte == b'\\' { 6 } else { 1 }).sum::<usize>()
}

fn json<T: serde::Serialize + ?Sized>(value: &T) -> String {
    serde_json::to_string(value).expect("texts, finite numbers and maps with keys of text have a JSON form")
}
