//! The documents: which numbers share one, and their JSON.

use std::collections::BTreeMap;
use std::time::SystemTime;

use serde_json::{Map, Value, json};

use super::builder::Target;
use super::registry::{Numbers, Sample};
use super::units::CloudWatchUnit;

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
    samples: Vec<Sample>,
    target: &Target,
    request_id: Option<&str>,
    now: SystemTime,
) -> impl Iterator<Item = Vec<u8>> {
    let timestamp = now.duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_millis() as u64);
    let mut by_labels: BTreeMap<Vec<(String, String)>, Vec<Sample>> = BTreeMap::new();
    for sample in samples {
        let labels: BTreeMap<_, _> =
            sample.key.labels().map(|label| (label.key().to_owned(), label.value().to_owned())).collect();
        by_labels.entry(labels.into_iter().collect()).or_default().push(sample);
    }
    by_labels.into_iter().flat_map(move |(labels, mut samples)| {
        // The longest first: it needs the most documents, and the others fit beside it.
        samples.sort_by(|a, b| b.numbers.len().cmp(&a.numbers.len()).then_with(|| a.key.name().cmp(b.key.name())));
        let head = Head::new(target, labels, request_id);
        let documents = pack(samples, &head);
        documents.into_iter().map(move |document| document.line(&head, timestamp)).collect::<Vec<_>>()
    })
}

/// What all documents of the same labels have in common.
struct Head {
    namespace: String,
    /// The dimension sets.
    dimensions: Vec<Vec<String>>,
    /// Dimensions and properties by name.
    members: Map<String, Value>,
    bytes: usize,
}

impl Head {
    fn new(target: &Target, labels: Vec<(String, String)>, request_id: Option<&str>) -> Self {
        let mut members = Map::new();
        let mut own = Vec::new();
        let mut bytes = 0;
        for (name, value) in labels {
            bytes += json(&name).len() + json(&value).len();
            if name != "_aws" && bytes <= MAX_LABEL_BYTES {
                if target.is_dimension(&name) && is_dimension(&name, &value) {
                    own.push(name.clone());
                }
                members.insert(name, value.into());
            }
        }
        // A label takes the place of a dimension or property of the same name.
        let shared = target.dimensions.iter().filter(|(name, _)| !members.contains_key(name)).cloned();
        let shared: Vec<(String, String)> = shared.collect();
        let names: Vec<String> = shared.iter().map(|(name, _)| name.clone()).collect();
        members.extend(shared.into_iter().map(|(name, value)| (name, value.into())));
        for (name, value) in
            target.properties.iter().cloned().chain(request_id.map(|id| ("requestId".into(), id.into())))
        {
            members.entry(name).or_insert(value.into());
        }
        let dimensions = sets(names, own);
        let bytes = json(&members).len() + json(&dimensions).len() + target.namespace.len() + 200;
        Self { namespace: target.namespace.clone(), dimensions, members, bytes }
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
fn sets(shared: Vec<String>, own: Vec<String>) -> Vec<Vec<String>> {
    let room = MAX_DIMENSIONS - shared.len();
    let with_labels: Vec<_> = own.chunks(room).map(|labels| [&shared, labels].concat()).collect();
    std::iter::once(shared).chain(with_labels).collect()
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
        let filled = head.bytes + self.definitions.len() + self.members.len();
        self.names.is_empty()
            || (self.names.len() < MAX_METRICS
                && filled + bytes <= MAX_BYTES
                && !self.names.iter().any(|known| known == name))
    }

    fn push(&mut self, name: String, definition: &str, member: &str) {
        for (list, text) in [(&mut self.definitions, definition), (&mut self.members, member)] {
            if !list.is_empty() {
                list.push(',');
            }
            list.push_str(text);
        }
        self.names.push(name);
    }

    fn line(&self, head: &Head, timestamp: u64) -> Vec<u8> {
        let (definitions, members) = (&self.definitions, &self.members);
        let (namespace, dimensions) = (json(&head.namespace), json(&head.dimensions));
        let shared = json(&head.members);
        let shared = &shared[1..shared.len() - 1];
        let separator = if shared.is_empty() { "" } else { "," };
        format!(
            "{{\"_aws\":{{\"Timestamp\":{timestamp},\"CloudWatchMetrics\":[{{\"Namespace\":{namespace},\
             \"Dimensions\":{dimensions},\"Metrics\":[{definitions}]}}]}},{shared}{separator}{members}}}\n"
        )
        .into_bytes()
    }
}

/// Distributes metrics to documents: each into the first that has room, the parts of a long one into one after the other.
fn pack(samples: Vec<Sample>, head: &Head) -> Vec<Document> {
    let mut documents: Vec<Document> = Vec::new();
    for sample in samples {
        let name = head.member_name(sample.key.name());
        let mut definition = json!({"Name": name});
        if let Some(CloudWatchUnit { name, .. }) = sample.unit {
            definition["Unit"] = name.into();
        }
        let definition = json(&definition);
        let quoted = json(&name);
        let mut next = 0;
        for values in parts(&sample) {
            let member = format!("{quoted}:{values}");
            let bytes = definition.len() + member.len() + 2;
            while documents.get(next).is_some_and(|document| !document.has_room(&name, bytes, head)) {
                next += 1;
            }
            if next == documents.len() {
                documents.push(Document::default());
            }
            documents[next].push(name.clone(), &definition, &member);
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
        Numbers::Count(count) => vec![*count as f64],
        Numbers::Values(values) => values.clone(),
    };
    let values: Vec<f64> = values.into_iter().map(|value| value * factor).filter(|value| value.is_finite()).collect();
    values.chunks(MAX_VALUES).map(|part| if let [one] = part { json(one) } else { json(part) }).collect()
}

fn json<T: serde::Serialize + ?Sized>(value: &T) -> String {
    serde_json::to_string(value).expect("texts, finite numbers and maps with keys of text have a JSON form")
}
