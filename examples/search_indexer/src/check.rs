//! The world: whether the index has what the table holds.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use aws_sdk_dynamodb::types::AttributeValue;
use example_world::{Database, Deliveries, Failure};
use lambda_streams::DeadLetter;
use serde_json::{Map, Value, json};

use crate::engine::{EngineLog, Name};
use crate::shop::{self, Item, POISON, Written};

/// What was written, and where it is now.
#[derive(Debug, Clone)]
pub(crate) struct Check {
    pub(crate) written: Written,
    table: Vec<Item>,
    pub(crate) deliveries: Deliveries,
    pub(crate) log: EngineLog,
    pub(crate) letters: Vec<DeadLetter>,
}

/// What of an item is not searched for.
const NOT_SEARCHED: [&str; 4] = ["pk", "sk", "version", "last_seen"];

/// An item's document, and `None` for an item that has none.
fn document(item: &Item) -> Option<(Name, Value)> {
    let sk = item["sk"].as_s().ok()?;
    let index = match sk.split('#').next()? {
        "CUSTOMER" => "customers",
        "ORDER" if sk != POISON => "orders",
        "LINE" => "lines",
        _ => return None,
    };
    let searched = item.iter().filter(|(name, _)| !NOT_SEARCHED.contains(&name.as_str()));
    let document: Map<String, Value> = searched.map(|(name, value)| (name.clone(), plain(value))).collect();
    Some(((index.to_owned(), item["id"].as_s().ok()?.clone()), Value::Object(document)))
}

fn plain(value: &AttributeValue) -> Value {
    match value {
        AttributeValue::S(text) => json!(text),
        AttributeValue::N(number) => number.parse::<u64>().map_or(Value::Null, Value::from),
        _ => Value::Null,
    }
}

impl Check {
    /// Reads the table once more.
    pub(crate) async fn new(
        database: &Database,
        written: Written,
        deliveries: Deliveries,
        log: EngineLog,
        letters: Vec<DeadLetter>,
    ) -> Result<Self, Failure> {
        Ok(Self { written, table: database.scan(shop::TABLE).await?, deliveries, log, letters })
    }

    pub(crate) fn holds(&self) -> bool {
        self.faults().is_empty()
    }

    /// What is wrong, in words.
    fn faults(&self) -> Vec<String> {
        let mut faults = self.log.violations.clone();
        let mut indexed = self.log.documents();
        for (name, document) in self.expected() {
            match indexed.remove(&name) {
                Some(found) if found == document => {}
                Some(found) => faults.push(format!("{name:?} is {found} in the index, and {document} in the table")),
                None => faults.push(format!("{name:?} is not in the index")),
            }
        }
        faults.extend(indexed.into_keys().map(|name| format!("{name:?} is in the index, but not in the table")));
        let poison = BTreeSet::from([POISON.to_owned()]);
        if self.dead_lettered() != poison {
            faults.push(format!("the dead-letter queue has {:?} instead of {poison:?}", self.dead_lettered()));
        }
        faults
    }

    /// The documents that the index should have.
    fn expected(&self) -> BTreeMap<Name, Value> {
        self.table.iter().filter_map(document).collect()
    }

    /// The sort keys of the dead letters.
    fn dead_lettered(&self) -> BTreeSet<String> {
        let sort_key = |letter: &DeadLetter| {
            let record: Value = serde_json::from_str(letter.raw_json()).unwrap_or_default();
            record["dynamodb"]["Keys"]["sk"]["S"].as_str().unwrap_or_default().to_owned()
        };
        self.letters.iter().map(sort_key).collect()
    }
}

impl fmt::Display for Check {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { written, deliveries, log, letters, .. } = self;
        let Written { customers, orders, lines, sessions, changes } = written;
        let summary = &deliveries.summary;
        writeln!(
            f,
            "table         {customers} customers, {orders} orders with {lines} lines, {sessions} sessions: {changes} changes"
        )?;
        writeln!(f, "filter        {} changes of sessions did not reach the function", summary.filtered)?;
        writeln!(
            f,
            "function      {} invocations in {} environments, {} of which were killed at work",
            summary.invocations, deliveries.environments, deliveries.killed
        )?;
        writeln!(
            f,
            "engine        {} requests of {:.1} actions, at most {}; {} failed as a whole, {} of them after the engine had done them",
            log.requests,
            log.actions as f64 / log.requests.max(1) as f64,
            log.largest,
            log.failed_requests,
            log.done_unanswered
        )?;
        writeln!(
            f,
            "              {} actions were throttled, {} found their document as new or newer, {} did not fit the index",
            log.throttled, log.conflicts, log.unfit
        )?;
        writeln!(f, "index         {} documents", log.documents().len())?;
        if let Some(letter) = letters.first() {
            let keys: Vec<String> = self.dead_lettered().into_iter().collect();
            writeln!(f, "dead letters  {}: {}", keys.join(", "), letter.error_message())?;
        }
        let faults = self.faults();
        if faults.is_empty() {
            writeln!(
                f,
                "check         holds: the index has what the table holds, and nothing that was deleted; the poison order is in the queue alone"
            )?;
        }
        faults.iter().try_for_each(|fault| writeln!(f, "WRONG         {fault}"))
    }
}
