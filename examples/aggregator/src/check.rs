//! The world: whether the totals are what the orders add up to.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::time::{SystemTime, UNIX_EPOCH};

use aws_sdk_dynamodb::types::AttributeValue;
use example_world::{Database, Deliveries, Failure};
use lambda_streams::DeadLetter;

use crate::shop::{GUARDS, ORDERS, TOTALS};

/// Cents and orders, by customer and day.
pub(crate) type Sums = BTreeMap<(String, String), (i64, i64)>;

/// The totals by the orders that there are, and by the table.
#[derive(Debug, Clone)]
pub(crate) struct Check {
    pub(crate) changes: usize,
    pub(crate) deliveries: Deliveries,
    /// Of the orders that have a customer.
    pub(crate) expected: Sums,
    pub(crate) totals: Sums,
    /// The changes that were added, by their guards.
    pub(crate) guards: usize,
    /// Orders without a customer.
    pub(crate) poison: usize,
    pub(crate) letters: Vec<DeadLetter>,
}

impl Check {
    pub(crate) async fn new(
        database: &Database,
        changes: usize,
        deliveries: Deliveries,
        letters: Vec<DeadLetter>,
    ) -> Result<Self, Failure> {
        let (mut expected, mut totals) = (Sums::new(), Sums::new());
        let mut poison = 0;
        for order in database.scan(ORDERS).await? {
            let key = (text(&order, "customer")?, text(&order, "day")?);
            if key.0.is_empty() {
                poison += 1;
                continue;
            }
            let (cents, orders) = expected.entry(key).or_default();
            *cents += number(&order, "cents")?;
            *orders += 1;
        }
        for total in database.scan(TOTALS).await? {
            let key = (text(&total, "customer")?, text(&total, "day")?);
            totals.insert(key, (number(&total, "cents")?, number(&total, "orders")?));
        }
        let mut guards = 0;
        for guard in database.scan(GUARDS).await? {
            // One that expires before a dead letter can come back would not guard it.
            if !text(&guard, "key")?.starts_with("totals#record#") || number(&guard, "expires")? < in_days(15)? {
                return Err(format!("this is not the row of a change's guard: {guard:?}").into());
            }
            guards += 1;
        }
        // Days on which every order was cancelled.
        totals.retain(|_, total| *total != (0, 0));
        Ok(Self { changes, deliveries, expected, totals, guards, poison, letters })
    }

    pub(crate) fn holds(&self) -> bool {
        self.faults().is_empty()
    }

    /// What is wrong, in words.
    fn faults(&self) -> Vec<String> {
        let mut faults = Vec::new();
        let keys = self.expected.keys().chain(self.totals.keys().filter(|key| !self.expected.contains_key(*key)));
        for key in keys {
            let (expected, total) = (self.expected.get(key), self.totals.get(key));
            if expected != total {
                faults.push(format!("{} on {}: {total:?} instead of {expected:?}", key.0, key.1));
            }
        }
        if self.guards != self.changes - self.poison {
            faults.push(format!("{} changes were added instead of {}", self.guards, self.changes - self.poison));
        }
        let mut dead: Vec<_> = self.letters.iter().map(DeadLetter::event_id).collect();
        dead.sort_unstable();
        dead.dedup();
        if dead.len() != self.poison {
            faults.push(format!("{} changes are in the dead-letter queue instead of {}", dead.len(), self.poison));
        }
        faults
    }
}

/// The seconds since 1970, this many days from now.
fn in_days(days: u64) -> Result<i64, Failure> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH)?;
    Ok((now.as_secs() + days * 24 * 60 * 60).try_into()?)
}

fn text(item: &HashMap<String, AttributeValue>, name: &str) -> Result<String, Failure> {
    let value = item.get(name).and_then(|value| value.as_s().ok());
    value.cloned().ok_or_else(|| format!("`{name}` is not a text in {item:?}").into())
}

fn number(item: &HashMap<String, AttributeValue>, name: &str) -> Result<i64, Failure> {
    let value = item.get(name).and_then(|value| value.as_n().ok()).ok_or_else(|| format!("`{name}` is missing"))?;
    Ok(value.parse()?)
}

impl fmt::Display for Check {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { changes, deliveries, totals, guards, letters, .. } = self;
        let (cents, orders) = totals.values().fold((0, 0), |sum, total| (sum.0 + total.0, sum.1 + total.1));
        writeln!(
            f,
            "orders        {changes} changes, which left {orders} orders of {}.{:02}",
            cents / 100,
            cents % 100
        )?;
        writeln!(
            f,
            "function      {} invocations in {} environments, {} of which were killed at work",
            deliveries.summary.invocations, deliveries.environments, deliveries.killed
        )?;
        writeln!(f, "totals        {} of customers and days, from {guards} changes", totals.len())?;
        for ((customer, day), (cents, orders)) in totals {
            writeln!(f, "              {customer}  {day}  {:>3} orders {:>7}.{:02}", orders, cents / 100, cents % 100)?;
        }
        if let Some(letter) = letters.first() {
            writeln!(f, "dead letters  an order without a customer: {}", letter.error_message())?;
        }
        let faults = self.faults();
        if faults.is_empty() {
            writeln!(
                f,
                "check         holds: each total is exactly what the orders of that customer and day add up to"
            )?;
        }
        faults.iter().try_for_each(|fault| writeln!(f, "WRONG         {fault}"))
    }
}
