//! The business: each change of an order changes the totals of its customer and day, once.

use std::collections::BTreeMap;
use std::sync::Arc;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::{AttributeValue, TransactWriteItem, Update};
use lambda_streams::{AwsResultExt, Change, Guard, HandlerError};
use serde::Deserialize;

/// A transaction takes 100 actions, and a change has three at most: its guard, and the totals before and after.
pub(crate) const CHANGES: usize = 33;

#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Order {
    pub(crate) customer: String,
    pub(crate) day: String,
    pub(crate) cents: i64,
}

/// The table of the totals, and the guards of the changes that are in them.
#[derive(Debug)]
pub(crate) struct Totals {
    pub(crate) client: Client,
    pub(crate) table: &'static str,
    pub(crate) guard: Guard,
}

impl Totals {
    /// Adds the changes to the totals, together with their guards or not at all. Those that were added before are left out.
    pub(crate) async fn add(self: Arc<Self>, changes: Vec<Change<Order>>) -> Result<(), HandlerError> {
        let mut open: Vec<_> = changes.iter().collect();
        while !open.is_empty() {
            let transaction = self.client.transact_write_items().set_transact_items(Some(self.actions(&open)?));
            let Err(error) = transaction.send().await else { break };
            if self.guard.drop_settled(&error, &mut open) == 0 {
                return Err(error).classify();
            }
        }
        Ok(())
    }

    /// The guards of these changes, then the totals that they change.
    fn actions(&self, changes: &[&Change<Order>]) -> Result<Vec<TransactWriteItem>, HandlerError> {
        let mut totals: BTreeMap<(&str, &str), (i64, i64)> = BTreeMap::new();
        for change in changes {
            let signed = change.old.iter().map(|order| (order, -1)).chain(change.new.iter().map(|order| (order, 1)));
            for (order, sign) in signed {
                let (cents, orders) = totals.entry((&order.customer, &order.day)).or_default();
                *cents += sign * order.cents;
                *orders += sign;
            }
        }
        totals.retain(|_, change| *change != (0, 0));
        let guards = changes.iter().map(|change| self.guard.once(*change));
        guards.chain(totals.into_iter().map(|(key, change)| self.total(key, change))).collect()
    }

    fn total(
        &self,
        (customer, day): (&str, &str),
        (cents, orders): (i64, i64),
    ) -> Result<TransactWriteItem, HandlerError> {
        let update = Update::builder().table_name(self.table).key("customer", text(customer)).key("day", text(day));
        let update = update.update_expression("ADD cents :cents, orders :orders");
        let update = update.expression_attribute_values(":cents", number(cents));
        let update = update.expression_attribute_values(":orders", number(orders)).build()?;
        Ok(TransactWriteItem::builder().update(update).build())
    }
}

fn text(text: &str) -> AttributeValue {
    AttributeValue::S(text.to_owned())
}

fn number(number: impl ToString) -> AttributeValue {
    AttributeValue::N(number.to_string())
}
