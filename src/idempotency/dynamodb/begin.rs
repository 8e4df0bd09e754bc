//! The rows of streams: when their marks began.

use std::time::SystemTime;

use aws_sdk_dynamodb::types::ReturnValue;

use super::failure::{told, unreadable};
use super::row::{BEGAN, KEY, millis, read_time, text};
use super::{DynamoDbIdempotencyStore, Expression, StoreKey};

impl DynamoDbIdempotencyStore {
    pub(super) async fn begin_stream(&self, stream: &StoreKey, now: SystemTime) -> Result<SystemTime, String> {
        let mut expression = Expression::default();
        expression.set_once(BEGAN, millis(now));
        let request = self.client.update_item().table_name(&*self.table).key(KEY, text(stream.as_str()));
        let request = request.update_expression(expression.update()).return_values(ReturnValue::AllNew);
        let request = request
            .set_expression_attribute_names(Some(expression.names))
            .set_expression_attribute_values(Some(expression.values));
        let answer = self.ask(|| request.clone().send()).await;
        let row = answer.map_err(|error| told(&error, "UpdateItem", &self.name))?.attributes.unwrap_or_default();
        read_time(&row, BEGAN).ok().flatten().ok_or_else(|| unreadable(BEGAN, "UpdateItem", &self.name))
    }
}
