//! Raises the mark of an item: all of its numbers by one conditional update, or each that is still newer by its own.

use std::time::SystemTime;

use aws_sdk_dynamodb::error::SdkError;
use aws_sdk_dynamodb::operation::update_item::UpdateItemError;
use aws_sdk_dynamodb::types::ReturnValuesOnConditionCheckFailure;

use super::failure::{told, unreadable};
use super::row::{APPLIED, EXPIRES, KEY, PASSED, PASSED_AT, Row, millis, read_number, seconds, text};
use super::{DynamoDbIdempotencyStore, Expression, StoreKey};
use crate::idempotency::Mark;
use crate::record::SequenceNumber;

/// What an update did to a row.
enum Update {
    Raised,
    /// One of the numbers was not newer, so nothing was written. The row, if DynamoDB returned it.
    Refused(Option<Row>),
}

impl DynamoDbIdempotencyStore {
    pub(super) async fn raise_mark(&self, item: &StoreKey, to: &Mark, expires: SystemTime) -> Result<(), String> {
        let [passed, applied] = [Mark { applied: None, ..*to }, Mark { applied: to.applied, ..Mark::default() }];
        let refused = match (to.passed, to.applied) {
            (None, None) => return Ok(()),
            // Of a single number, a refusal says that it is not newer.
            (Some(_), None) | (None, Some(_)) => return self.update(item, to, expires).await.map(drop),
            (Some(_), Some(_)) => match self.update(item, to, expires).await? {
                Update::Raised => return Ok(()),
                Update::Refused(row) => row,
            },
        };
        // Numbers only rise, so what the row has of a number by now is still not lower when its update arrives.
        for (name, one) in [(PASSED, &passed), (APPLIED, &applied)] {
            if self.is_still_newer(refused.as_ref(), name, one.passed.or(one.applied))? {
                self.update(item, one, expires).await?;
            }
        }
        Ok(())
    }

    /// Whether a number is newer than what the row has. Without the row it may be.
    fn is_still_newer(
        &self,
        row: Option<&Row>,
        name: &'static str,
        number: Option<SequenceNumber>,
    ) -> Result<bool, String> {
        let Some(row) = row else { return Ok(true) };
        let kept = read_number(row, name).map_err(|name| unreadable(name, "UpdateItem", &self.name))?;
        Ok(number.is_some_and(|number| kept.is_none_or(|kept| number.is_newer_than(&kept))))
    }

    async fn update(&self, item: &StoreKey, to: &Mark, expires: SystemTime) -> Result<Update, String> {
        let mut expression = Expression::default();
        if let Some(number) = to.passed {
            expression.raise(PASSED, text(&number.to_padded()));
            expression.set_or_remove(PASSED_AT, to.passed_created_at.map(millis));
        }
        if let Some(number) = to.applied {
            expression.raise(APPLIED, text(&number.to_padded()));
        }
        expression.set(EXPIRES, seconds(expires));
        let request = self.client.update_item().table_name(&*self.table).key(KEY, text(item.as_str()));
        let request = request
            .update_expression(expression.update())
            .set_condition_expression(expression.condition())
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
            .set_expression_attribute_names(Some(expression.names))
            .set_expression_attribute_values(Some(expression.values));
        match self.ask(|| request.clone().send()).await {
            Ok(_) => Ok(Update::Raised),
            Err(SdkError::ServiceError(error)) if error.err().is_conditional_check_failed_exception() => {
                match error.into_err() {
                    UpdateItemError::ConditionalCheckFailedException(refused) => Ok(Update::Refused(refused.item)),
                    _ => Ok(Update::Refused(None)),
                }
            }
            Err(error) => Err(told(&error, "UpdateItem", &self.name)),
        }
    }
}
