//! Translates entities into filter patterns of an event source mapping.
//!
//! Invariant: a well-formed record that no pattern lets through is one that the processor would have skipped.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::{Entity, EntityValue, Matcher};
use crate::event_kind::EventKind;

/// How many patterns a mapping has at most, and how many bytes each of them
/// ([AWS: event filtering](https://docs.aws.amazon.com/lambda/latest/dg/invocation-eventfiltering.html)).
const MAX_PATTERNS: usize = 5;
const MAX_BYTES: usize = 4_096;

/// The `FilterCriteria`, as JSON, of a processor with these entities, of which each has handlers for these kinds, and with
/// handlers for these at the top level. `None` where every record may have to be processed.
pub(crate) fn filter_criteria<'a>(
    entities: impl Iterator<Item = (&'a Entity, Vec<EventKind>)>,
    top_level: &[EventKind],
) -> Option<String> {
    let entities: Vec<_> = entities.collect();
    // A record without the image that an entity looks at fails, so no image may be asked about.
    let reads_images = entities.iter().any(|(entity, _)| entity.reads_image());
    let by_entity = if reads_images { None } else { by_entity(&entities, top_level) };
    let fits = |patterns: &Vec<String>| {
        patterns.len() <= MAX_PATTERNS && patterns.iter().all(|pattern| pattern.len() <= MAX_BYTES)
    };
    let patterns = by_entity.filter(fits).or_else(|| by_kind(&entities, top_level))?;
    let filters: Vec<Value> = patterns.into_iter().map(|pattern| json!({"Pattern": pattern})).collect();
    Some(json!({"Filters": filters}).to_string())
}

/// The pattern of the kinds that anything has a handler for; `None` if that is all of them.
fn by_kind(entities: &[(&Entity, Vec<EventKind>)], top_level: &[EventKind]) -> Option<Vec<String>> {
    let has = |kind: &EventKind| top_level.contains(kind) || entities.iter().any(|(_, kinds)| kinds.contains(kind));
    let kinds: Vec<EventKind> = EventKind::ALL.into_iter().filter(has).collect();
    (kinds.len() < EventKind::ALL.len()).then(|| vec![pattern(&kinds, None)])
}

/// Patterns that look at keys; `None` if no pattern can identify an entity, or if they would let everything through.
fn by_entity(entities: &[(&Entity, Vec<EventKind>)], top_level: &[EventKind]) -> Option<Vec<String>> {
    if top_level.len() == EventKind::ALL.len() {
        return None;
    }
    // The conditions on each key attribute, by the kinds of change and the attribute: alternatives that share a pattern.
    let mut conditions: BTreeMap<(Vec<EventKind>, &str), Vec<Value>> = BTreeMap::new();
    for (entity, kinds) in entities {
        // What the top level takes is let through whatever its keys.
        let kinds: Vec<EventKind> = kinds.iter().filter(|kind| !top_level.contains(kind)).copied().collect();
        if !kinds.is_empty() {
            let (key, condition) = entity.condition()?;
            conditions.entry((kinds, key)).or_default().push(condition);
        }
    }
    let top_level = (!top_level.is_empty()).then(|| pattern(top_level, None));
    let of_keys = conditions.into_iter().map(|((kinds, key), conditions)| pattern(&kinds, Some((key, conditions))));
    Some(top_level.into_iter().chain(of_keys).collect())
}

impl Entity {
    /// Its condition on a key attribute that is a text; `None` if it has none that a pattern can express.
    fn condition(&self) -> Option<(&str, Value)> {
        match &self.matcher {
            Matcher::KeyPrefix { key, prefix } if !prefix.is_empty() => Some((key, json!({"prefix": prefix}))),
            Matcher::Key { key, value: EntityValue::S(text) } => Some((key, json!(text))),
            // A pattern compares numbers as text, and the processor by value.
            _ => None,
        }
    }
}

fn pattern(kinds: &[EventKind], key: Option<(&str, Vec<Value>)>) -> String {
    let mut pattern = Map::new();
    if kinds.len() < EventKind::ALL.len() {
        let names: Vec<&str> = kinds.iter().map(|kind| kind.as_str()).collect();
        pattern.insert("eventName".to_owned(), json!(names));
    }
    if let Some((key, conditions)) = key {
        pattern.insert("dynamodb".to_owned(), json!({"Keys": {key: {"S": conditions}}}));
    }
    Value::Object(pattern).to_string()
}
