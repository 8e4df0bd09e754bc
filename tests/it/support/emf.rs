//! Reads documents of the embedded metric format as CloudWatch does, and rejects what it would reject.

use std::collections::{BTreeMap, HashSet};
use std::io::{self, Write};
use std::sync::{Arc, Mutex};

use boon::{Compiler, SchemaIndex, Schemas};
use serde_json::Value;

const MAX_BYTES: usize = 256 * 1_024;

/// A writer that a test can look into; each call of `write_all` is an entry.
#[derive(Clone, Default)]
pub(crate) struct Written(Arc<Mutex<Vec<Vec<u8>>>>);

impl Write for Written {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().expect("no panic holds it").push(bytes.to_vec());
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Written {
    /// Takes what was written since the last time, each piece by itself.
    pub(crate) fn take(&self) -> Vec<String> {
        let pieces = std::mem::take(&mut *self.0.lock().expect("no panic holds it"));
        pieces.into_iter().map(|piece| String::from_utf8(piece).expect("UTF-8")).collect()
    }

    /// What was written as documents, those of a flush in one piece.
    pub(crate) fn documents(&self) -> Vec<Document> {
        let flushes = self.take().into_iter();
        flushes
            .inspect(|flush| assert!(flush.ends_with('\n'), "whole lines: {flush}"))
            .flat_map(|flush| flush.split_inclusive('\n').map(Document::read).collect::<Vec<_>>())
            .collect()
    }
}

/// A valid document.
#[derive(Debug, Clone)]
pub(crate) struct Document {
    pub(crate) json: Value,
    pub(crate) namespace: String,
    pub(crate) dimensions: Vec<Vec<String>>,
    /// The metrics' units and numbers.
    pub(crate) metrics: BTreeMap<String, (String, Vec<f64>)>,
}

impl Document {
    /// # Panics
    /// If the line is not a valid document, by the schema or by a rule that no schema can express.
    pub(crate) fn read(line: &str) -> Self {
        assert!(line.len() <= MAX_BYTES, "{} bytes", line.len());
        let json: Value = serde_json::from_str(line).expect("one JSON value a line");
        validate(&json);
        let directives = json["_aws"]["CloudWatchMetrics"].as_array().expect("an array");
        assert_eq!(directives.len(), 1, "one directive a document");
        let texts = |value: &Value| -> Vec<String> {
            value.as_array().expect("an array").iter().map(|text| text.as_str().expect("a text").to_owned()).collect()
        };
        let dimensions: Vec<_> = directives[0]["Dimensions"].as_array().expect("an array").iter().map(texts).collect();
        for name in dimensions.iter().flatten() {
            let value = json[name].as_str().unwrap_or_else(|| panic!("dimension {name} has no value that is text"));
            assert!(
                (1..=1_024).contains(&value.len()) && value.is_ascii() && !value.trim().is_empty(),
                "{name}: {value}"
            );
        }
        let mut metrics = BTreeMap::new();
        for metric in directives[0]["Metrics"].as_array().expect("an array") {
            let name = metric["Name"].as_str().expect("a text");
            let numbers = match &json[name] {
                Value::Array(numbers) => numbers.iter().map(|number| number.as_f64().expect("a number")).collect(),
                number => vec![number.as_f64().unwrap_or_else(|| panic!("{name} is not a number: {number}"))],
            };
            assert!((1..=100).contains(&numbers.len()), "{name} has {} numbers", numbers.len());
            let unit = metric["Unit"].as_str().unwrap_or("None").to_owned();
            assert!(metrics.insert(name.to_owned(), (unit, numbers)).is_none(), "{name} is named twice");
        }
        let namespace = directives[0]["Namespace"].as_str().expect("a text").to_owned();
        assert_members_are_unique(line);
        Self { namespace, dimensions, metrics, json }
    }

    pub(crate) fn member(&self, name: &str) -> Option<&str> {
        self.json[name].as_str()
    }
}

/// All numbers of a metric, as CloudWatch has them for this set of dimension names.
pub(crate) fn numbers(documents: &[Document], metric: &str, dimensions: &[&str]) -> Vec<f64> {
    documents
        .iter()
        .filter(|document| document.dimensions.iter().any(|set| set == dimensions))
        .filter_map(|document| document.metrics.get(metric))
        .flat_map(|(_, numbers)| numbers.clone())
        .collect()
}

pub(crate) fn sum(documents: &[Document], metric: &str, dimensions: &[&str]) -> f64 {
    numbers(documents, metric, dimensions).iter().sum()
}

fn validate(json: &Value) {
    thread_local!(static SCHEMA: (Schemas, SchemaIndex) = schema());
    SCHEMA.with(|(schemas, schema)| {
        if let Err(error) = schemas.validate(json, *schema) {
            panic!("not a document of the embedded metric format: {error:#}");
        }
    });
}

fn schema() -> (Schemas, SchemaIndex) {
    let text = include_str!("../../fixtures/emf.schema.json");
    let mut schemas = Schemas::new();
    let mut compiler = Compiler::new();
    compiler
        .add_resource("emf.schema.json", serde_json::from_str(text).expect("the schema is JSON"))
        .expect("the schema has a name of its own");
    let schema = compiler.compile("emf.schema.json", &mut schemas).expect("the schema is valid");
    (schemas, schema)
}

/// `Value` keeps the last of two equal members, CloudWatch may keep the first.
fn assert_members_are_unique(line: &str) {
    struct Unique;
    impl<'de> serde::de::Visitor<'de> for Unique {
        type Value = ();

        fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("an object")
        }

        fn visit_map<A: serde::de::MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
            let mut names = HashSet::new();
            while let Some((name, _)) = map.next_entry::<String, serde::de::IgnoredAny>()? {
                assert!(!names.contains(&name), "the member {name} occurs twice");
                names.insert(name);
            }
            Ok(())
        }
    }
    let mut json = serde_json::Deserializer::from_str(line);
    serde::Deserializer::deserialize_map(&mut json, Unique).expect("an object");
}
