//! Reads the marks of many items by one request, and by further ones for what DynamoDB leaves unprocessed.

use std::collections::HashMap;
use std::time::Duration;

use aws_sdk_dynamodb::types::KeysAndAttributes;

use super::failure::{told, unreadable};
use super::row::{KEY, Row, read_mark, text};
use super::{DynamoDbIdempotencyStore, StoreKey};
use crate::idempotency::Mark;

/// How often unprocessed keys are asked for, the first request included. The processor's budget ends it earlier.
const MAX_REQUESTS: u32 = 8;
/// The longest delay before the second request; it doubles with each further one.
const BASE_DELAY: Duration = Duration::from_millis(25);

/// Items by the text of their keys: what is known of each.
type Answers<'a> = HashMap<&'a str, Result<Mark, String>>;

impl DynamoDbIdempotencyStore {
    /// One answer for each item, in their order.
    pub(super) async fn read_marks(&self, items: &[StoreKey]) -> Vec<Result<Mark, String>> {
        let mut answers = Answers::with_capacity(items.len());
        let mut open: Vec<&str> = items.iter().map(StoreKey::as_str).collect();
        let mut requests = 0;
        let unanswered = loop {
            if open.is_empty() {
                break String::new();
            }
            if requests == MAX_REQUESTS {
                break format!(
                    "BatchGetItem on the idempotency table `{}` left this item unprocessed {MAX_REQUESTS} times: give the table on-demand \
                     capacity, or more of it",
                    self.name
                );
            }
            if requests > 0 {
                backoff(requests).await;
            }
            requests += 1;
            match self.read_rows(&open).await {
                Ok((rows, unprocessed)) => open = self.take(&open, rows, &unprocessed, &mut answers),
                Err(error) => break error,
            }
        };
        let answer = |item: &StoreKey| answers.remove(item.as_str()).unwrap_or_else(|| Err(unanswered.clone()));
        items.iter().map(answer).collect()
    }

    /// The rows that there are, and those of the keys that were not processed.
    async fn read_rows(&self, keys: &[&str]) -> Result<(Vec<Row>, Vec<Row>), String> {
        let rows = keys.iter().map(|key| HashMap::from([(KEY.to_owned(), text(key))])).collect();
        let wanted = KeysAndAttributes::builder().set_keys(Some(rows)).consistent_read(true).build();
        let wanted = wanted.map_err(|error| format!("BatchGetItem could not be requested: {error}"))?;
        let request = self.client.batch_get_item().request_items(&*self.table, wanted);
        let answer = self.ask(|| request.clone().send()).await;
        let answer = answer.map_err(|error| told(&error, "BatchGetItem", &self.name))?;
        let rows = answer.responses.into_iter().flat_map(HashMap::into_values).flatten();
        let unprocessed = answer.unprocessed_keys.into_iter().flat_map(HashMap::into_values);
        Ok((rows.collect(), unprocessed.flat_map(|keys| keys.keys).collect()))
    }

    /// Takes the answers; returns the keys that have none. A key without a row that was processed has no mark.
    fn take<'a>(
        &self,
        asked: &[&'a str],
        rows: Vec<Row>,
        unprocessed: &[Row],
        answers: &mut Answers<'a>,
    ) -> Vec<&'a str> {
        let mut marks: HashMap<&str, _> = rows.iter().filter_map(|row| Some((key_of(row)?, read_mark(row)))).collect();
        let mut open = Vec::new();
        for key in asked {
            match marks.remove(key) {
                Some(mark) => {
                    answers.insert(key, mark.map_err(|name| unreadable(name, "BatchGetItem", &self.name)));
                }
                None if unprocessed.iter().any(|row| key_of(row) == Some(key)) => open.push(*key),
                None => {
                    answers.insert(key, Ok(Mark::default()));
                }
            }
        }
        open
    }
}

fn key_of(row: &Row) -> Option<&str> {
    row.get(KEY)?.as_s().ok().map(String::as_str)
}

/// Waits before the next request: exponential backoff with full jitter.
async fn backoff(requests: u32) {
    let most = BASE_DELAY * 2_u32.pow(requests - 1);
    tokio::time::sleep(most.mul_f64(fastrand::f64())).await;
}
