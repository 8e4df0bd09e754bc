//! The business: each change of an order changes the totals of its customer and day, once.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::error::{BuildError, SdkError};
use aws_sdk_dynamodb::operation::transact_write_items::TransactWriteItemsError;
use aws_sdk_dynamodb::types::{AttributeValue, Put, TransactWriteItem, Update};
use lambda_streams::{AwsResultExt, Change, HandlerError};
use serde::Deserialize;

/// A transaction takes 100 items, and a change has three at most: its marker, and the totals before and after.
pub(crate) const CHANGES: usize = 33;
/// No change is delivered again after that: twice the time that a stream keeps its records.
const MARKER_LIFE: Duration = Duration::from_secs(2 * 24 * 60 * 60);

#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Order {
    pub(crate) customer: String,
    pub(crate) day: String,
    pub(crate) cents: i64,
}

/// The table of the totals, which also has a marker for each change that is in them.
#[derive(Debug)]
pub(crate) struct Totals {
    pub(crate) client: Client,
    pub(crate) table: &'static str,
}

impl Totals {
    /// Adds the changes to the totals, together with their markers or not at all. Those whose markers are there were added before.
    pub(crate) async fn add(self: Arc<Self>, changes: Vec<Change<Order>>) -> Result<(), HandlerError> {
        let mut open: BTreeMap<&str, &Change<Order>> = BTreeMap::new();
        for change in &changes {
            let id = change.record.event_id().ok_or_else(|| HandlerError::permanent("the change has no event id"))?;
            open.insert(id, change);
        }
        while !open.is_empty() {
            let transaction = self.client.transact_write_items().set_transact_items(Some(self.items(&open)?));
            let Err(error) = transaction.send().await else { break };
            let added_before = markers_there(&error);
            if added_before.is_empty() {
                return Err(error).classify();
            }
            let mut position = 0..;
            open.retain(|_, _| position.next().is_some_and(|position: usize| !added_before.contains(&position)));
        }
        Ok(())
    }

    /// The markers of these changes, then the totals that they change.
    fn items(&self, changes: &BTreeMap<&str, &Change<Order>>) -> Result<Vec<TransactWriteItem>, BuildError> {
        let mut totals: BTreeMap<(&str, &str), (i64, i64)> = BTreeMap::new();
        for change in changes.values() {
            let signed = change.old.iter().map(|order| (order, -1)).chain(change.new.iter().map(|order| (order, 1)));
            for (order, sign) in signed {
                let (cents, orders) = totals.entry((&order.customer, &order.day)).or_default();
                *cents += sign * order.cents;
                *orders += sign;
            }
        }
        totals.retain(|_, change| *change != (0, 0));
        let markers = changes.keys().map(|id| self.marker(id));
        markers.chain(totals.into_iter().map(|(key, change)| self.total(key, change))).collect()
    }

    fn marker(&self, event_id: &str) -> Result<TransactWriteItem, BuildError> {
        let expires = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default() + MARKER_LIFE;
        let put = Put::builder().table_name(self.table).item("customer", text(&format!("MARKER#{event_id}")));
        let put = put.item("day", text("-")).item("expires", number(expires.as_secs()));
        let put = put.condition_expression("attribute_not_exists(customer)").build()?;
        Ok(TransactWriteItem::builder().put(put).build())
    }

    fn total(
        &self,
        (customer, day): (&str, &str),
        (cents, orders): (i64, i64),
    ) -> Result<TransactWriteItem, BuildError> {
        let update = Update::builder().table_name(self.table).key("customer", text(customer)).key("day", text(day));
        let update = update.update_expression("ADD cents :cents, orders :orders");
        let update = update.expression_attribute_values(":cents", number(cents));
        let update = update.expression_attribute_values(":orders", number(orders)).build()?;
        Ok(TransactWriteItem::builder().update(update).build())
    }
}

/// The positions whose conditions did not hold. Only markers have one.
fn markers_there(error: &SdkError<TransactWriteItemsError>) -> BTreeSet<usize> {
    let Some(TransactWriteItemsError::TransactionCanceledException(cancelled)) = error.as_service_error() else {
        return BTreeSet::new();
    };
    let codes = cancelled.cancellation_reasons().iter().map(|reason| reason.code());
    let there = codes.enumerate().filter(|(_, code)| *code == Some("ConditionalCheckFailed"));
    there.map(|(position, _)| position).collect()
}

fn text(text: &str) -> AttributeValue {
    AttributeValue::S(text.to_owned())
}

fn number(number: impl ToString) -> AttributeValue {
    AttributeValue::N(number.to_string())
}
