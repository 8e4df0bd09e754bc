//! `--touch`: an item is rewritten in place, so the stream itself brings it, in the order of its own changes.
//!
//! Why this cannot put an older item on top of a newer one: `UpdateItem` sets one attribute and leaves all others as they are at
//! that moment, so the stream carries the item of that moment, after every change before it and before every change after
//! it. Two conditions are needed nevertheless:
//!
//! - *the item exists*: `UpdateItem` would otherwise make an item of the keys alone, and so resurrect one that was removed
//!   since it was read;
//! - *the attribute is as it was read*: otherwise a value that somebody else has written to it meanwhile would be lost.
//!
//! A condition on the other attributes would prevent nothing. An item for which a condition fails was removed or
//! changed since it was read, so the stream has it already.

use std::sync::Arc;
use std::time::SystemTime;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::operation::update_item::UpdateItemError;
use aws_sdk_dynamodb::types::{AttributeValue, ReturnConsumedCapacity, ReturnValuesOnConditionCheckFailure};

use super::rate::Rate;
use crate::failure::Failure;
use crate::table::attributes::{self, Item};
use crate::table::{Table, calls};

/// What one write unit writes.
const UNIT_BYTES: f64 = 1024.0;

/// Rewrites items.
pub(crate) struct Touch {
    client: Client,
    table: Arc<Table>,
    attribute: String,
    rate: Option<Arc<Rate>>,
    value: String,
}

/// How an item was touched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Touched {
    /// The stream brings it.
    Rewritten,
    /// Its attribute was written since it was read: the stream has that change.
    Changed,
    /// It was removed since it was read: the stream has the removal.
    Gone,
    /// It cannot be written, for this reason.
    Failed(String),
}

impl Touch {
    /// # Errors
    /// If the attribute is a key, which cannot be written, or the table has no stream, so a write would bring nothing.
    pub(crate) fn new(
        client: Client,
        table: Arc<Table>,
        attribute: &str,
        rate: Option<Arc<Rate>>,
    ) -> Result<Self, Failure> {
        if table.keys.iter().any(|key| key == attribute) {
            return Err(Failure::not_begun(format!(
                "`{attribute}` is a key of table `{}`, which cannot be rewritten: use another attribute for --touch, such \
                 as backfilled_at",
                table.name
            )));
        }
        if table.stream_arn.is_none() {
            return Err(Failure::not_begun(format!(
                "table `{}` has no stream, so --touch would have no effect. Turn the stream on, or send the items with \
                 --function or --bootstrap",
                table.name
            )));
        }
        let value = humantime::format_rfc3339_micros(SystemTime::now()).to_string();
        Ok(Self { client, table, attribute: attribute.to_owned(), rate, value })
    }

    /// Rewrites an item that was read.
    ///
    /// # Errors
    /// If nothing can be written at all: the attribute holds something else in this item, the call is denied, or the endpoint
    /// cannot be reached.
    pub(crate) async fn touch(&self, item: &Item) -> Result<Touched, Failure> {
        let old = item.get(&self.attribute);
        if !old.is_none_or(is_time) {
            return Err(Failure::failed(format!(
                "the attribute `{}` of an item holds something other than a time, which --touch would overwrite. Use an \
                 attribute that nothing else writes, such as backfilled_at",
                self.attribute
            )));
        }
        let call = async || {
            if let Some(rate) = &self.rate {
                rate.ready().await;
            }
            self.request(item, old).send().await
        };
        let error = match calls::patiently(call).await {
            Ok(output) => {
                self.used(output.consumed_capacity.and_then(|capacity| capacity.capacity_units), item);
                return Ok(Touched::Rewritten);
            }
            Err(error) => error,
        };
        match error.as_service_error() {
            Some(UpdateItemError::ConditionalCheckFailedException(failed)) => {
                // A condition that fails costs a write too.
                self.used(None, item);
                let is_there = failed.item.as_ref().is_some_and(|item| !item.is_empty());
                Ok(if is_there { Touched::Changed } else { Touched::Gone })
            }
            // Of this item alone, such as one that the attribute makes too large.
            Some(UpdateItemError::ItemCollectionSizeLimitExceededException(_)) => {
                Ok(Touched::Failed(self.explain(&error)))
            }
            Some(other) if other.meta().code() == Some("ValidationException") => {
                Ok(Touched::Failed(self.explain(&error)))
            }
            _ => Err(Failure::failed(self.explain(&error))),
        }
    }

    fn request(
        &self,
        item: &Item,
        old: Option<&AttributeValue>,
    ) -> aws_sdk_dynamodb::operation::update_item::builders::UpdateItemFluentBuilder {
        let keys = self.table.keys.iter().filter_map(|key| Some((key.clone(), item.get(key)?.clone()))).collect();
        let unchanged = if old.is_some() { "#touched = :old" } else { "attribute_not_exists(#touched)" };
        let request = self
            .client
            .update_item()
            .table_name(&self.table.name)
            .set_key(Some(keys))
            .update_expression("SET #touched = :now")
            .condition_expression(format!("attribute_exists(#key) AND {unchanged}"))
            .expression_attribute_names("#touched", &self.attribute)
            .expression_attribute_names("#key", &self.table.keys[0])
            .expression_attribute_values(":now", AttributeValue::S(self.value.clone()))
            .return_consumed_capacity(ReturnConsumedCapacity::Total)
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld);
        match old {
            Some(old) => request.expression_attribute_values(":old", old.clone()),
            None => request,
        }
    }

    /// Notes what a write has cost, or should have, where the endpoint does not say.
    fn used(&self, said: Option<f64>, item: &Item) {
        let Some(rate) = &self.rate else { return };
        let units = said.unwrap_or_else(|| {
            let bytes = attributes::to_json(item).map_or(0, |json| json.to_string().len());
            (bytes as f64 / UNIT_BYTES).ceil().max(1.0)
        });
        rate.used(units);
    }

    fn explain(&self, error: &aws_sdk_dynamodb::error::SdkError<UpdateItemError>) -> String {
        calls::explain(&format!("table `{}`", self.table.name), "dynamodb:UpdateItem", error)
    }
}

/// Whether a value may be one that an earlier run has written.
fn is_time(value: &AttributeValue) -> bool {
    value.as_s().is_ok_and(|text| humantime::parse_rfc3339(text).is_ok())
}
