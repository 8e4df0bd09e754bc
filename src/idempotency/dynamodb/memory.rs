//! The rows of checkpoints: the records that are done after them.

use std::time::SystemTime;

use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::AttributeValue;

use super::failure::{told, unreadable};
use super::row::{COMPLETED, EXPIRES, KEY, seconds, text};
use super::{CompletedRecords, DynamoDbIdempotencyStore, StoreKey};

/// What a row can hold, its names included.
const MAX_ROW: usize = 400 * 1024;
/// More than the names of a checkpoint's attributes and its time take.
const OTHERS: usize = 64;

impl DynamoDbIdempotencyStore {
    pub(super) async fn load_completed(&self, checkpoint: &StoreKey) -> Result<Option<CompletedRecords>, String> {
        let request = self.client.get_item().table_name(&*self.table).key(KEY, text(checkpoint.as_str()));
        let request = request.consistent_read(false);
        let answer = self.ask(|| request.clone().send()).await;
        let row = answer.map_err(|error| told(&error, "GetItem", &self.name))?.item;
        let Some(row) = row else { return Ok(None) };
        let completed = match row.get(COMPLETED) {
            Some(AttributeValue::B(bytes)) => CompletedRecords::from_bytes(bytes.as_ref()),
            _ => None,
        };
        completed.map(Some).ok_or_else(|| unreadable(COMPLETED, "GetItem", &self.name))
    }

    pub(super) async fn save_completed(
        &self,
        checkpoint: &StoreKey,
        completed: &CompletedRecords,
        expires: SystemTime,
    ) -> Result<(), String> {
        let bytes = completed.to_bytes();
        let size = bytes.len() + checkpoint.as_str().len() + OTHERS;
        if size > MAX_ROW {
            return Err(format!(
                "PutItem on the idempotency table `{}` was not requested: the {} records that are done after a checkpoint take {size} bytes, \
                 and a row of DynamoDB holds {MAX_ROW}; make the batches smaller",
                self.name,
                completed.len()
            ));
        }
        let request = self.client.put_item().table_name(&*self.table).item(KEY, text(checkpoint.as_str()));
        let request = request.item(COMPLETED, AttributeValue::B(Blob::new(bytes))).item(EXPIRES, seconds(expires));
        let answer = self.ask(|| request.clone().send()).await;
        answer.map(drop).map_err(|error| told(&error, "PutItem", &self.name))
    }
}
