//! The world: whether the bus has what it should have.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt;

use example_world::Deliveries;
use lambda_streams::DeadLetter;
use serde_json::Value;

use crate::application::is_malformed;
use crate::bus::BusLog;
use crate::handler::Event;

/// What was written, and where it is now.
#[derive(Debug, Clone)]
pub(crate) struct Check {
    pub(crate) written: Vec<Event>,
    pub(crate) deliveries: Deliveries,
    pub(crate) log: BusLog,
    pub(crate) letters: Vec<DeadLetter>,
}

/// An event by the name that its entry has: its aggregate and number.
fn name(event: &Event) -> String {
    format!("{}/{}", event.aggregate, event.seq)
}

impl Check {
    pub(crate) fn holds(&self) -> bool {
        self.faults().is_empty()
    }

    /// What is wrong, in words.
    fn faults(&self) -> Vec<String> {
        let mut faults = self.log.violations.clone();
        let expected = self.expected();
        let mut arrived = self.first_arrivals();
        for (aggregate, events) in &expected {
            let arrived = arrived.remove(aggregate).unwrap_or_default();
            if arrived != *events {
                faults.push(format!("{aggregate} arrived as {arrived:?}"));
            }
        }
        faults.extend(arrived.into_keys().map(|aggregate| format!("nobody wrote {aggregate}")));
        let malformed = self.malformed().collect();
        if self.dead_lettered() != malformed {
            faults.push(format!("the dead-letter queue has {:?} instead of {malformed:?}", self.dead_lettered()));
        }
        faults
    }

    fn malformed(&self) -> impl Iterator<Item = String> {
        self.written.iter().filter(|event| is_malformed(event)).map(name)
    }

    /// The well-formed events of each aggregate, in their order.
    fn expected(&self) -> BTreeMap<&str, Vec<String>> {
        let mut expected: BTreeMap<&str, Vec<String>> = BTreeMap::new();
        for event in self.written.iter().filter(|event| !is_malformed(event)) {
            expected.entry(&event.aggregate).or_default().push(name(event));
        }
        expected
    }

    /// The events of each aggregate in the order in which each of them first arrived.
    fn first_arrivals(&self) -> BTreeMap<&str, Vec<String>> {
        let mut seen = BTreeSet::new();
        let mut first: BTreeMap<&str, Vec<String>> = BTreeMap::new();
        for name in self.log.arrivals.iter().filter_map(|resources| resources.first()) {
            if seen.insert(name) {
                let aggregate = name.split('/').next().unwrap_or_default();
                first.entry(aggregate).or_default().push(name.clone());
            }
        }
        first
    }

    fn dead_lettered(&self) -> BTreeSet<String> {
        let name = |letter: &DeadLetter| {
            let record: Value = serde_json::from_str(letter.raw_json()).unwrap_or_default();
            let keys = &record["dynamodb"]["Keys"];
            let text = |name: &str, kind: &str| keys[name][kind].as_str().unwrap_or_default().to_owned();
            format!("{}/{}", text("aggregate", "S"), text("seq", "N"))
        };
        self.letters.iter().map(name).collect()
    }

    /// How many events arrived, and how many more than once.
    fn arrivals(&self) -> (usize, usize) {
        let mut counts: HashMap<&String, usize> = HashMap::new();
        for name in self.log.arrivals.iter().filter_map(|resources| resources.first()) {
            *counts.entry(name).or_default() += 1;
        }
        (counts.len(), counts.values().filter(|count| **count > 1).count())
    }
}

impl fmt::Display for Check {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { written, deliveries, log, letters } = self;
        let (expected, (arrived, twice)) = (self.expected(), self.arrivals());
        writeln!(
            f,
            "outbox        {} events of {} aggregates, {} malformed",
            written.len(),
            expected.len(),
            self.malformed().count()
        )?;
        writeln!(
            f,
            "function      {} invocations in {} environments, {} of which were killed at work",
            deliveries.summary.invocations, deliveries.environments, deliveries.killed
        )?;
        writeln!(
            f,
            "bus           {} requests of {:.1} events; {} failed as a whole, {} of them after the bus had taken the events",
            log.requests,
            log.entries as f64 / log.requests.max(1) as f64,
            log.failed_requests,
            log.accepted_unanswered
        )?;
        writeln!(f, "              {} events of other requests failed for a moment", log.failed_entries)?;
        writeln!(f, "arrived       {arrived} events, {twice} of them more than once")?;
        if let Some(letter) = letters.first() {
            let names: Vec<String> = self.dead_lettered().into_iter().collect();
            writeln!(f, "dead letters  {}: {}", names.join(", "), letter.error_message())?;
        }
        let faults = self.faults();
        if faults.is_empty() {
            writeln!(
                f,
                "check         holds: each event arrived at least once, in the order of its aggregate; the malformed one never"
            )?;
        }
        faults.iter().try_for_each(|fault| writeln!(f, "WRONG         {fault}"))
    }
}
