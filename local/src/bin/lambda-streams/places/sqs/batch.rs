//! What is done with many messages at once: ten a call, and what SQS itself could not do again.

use std::time::Duration;

use futures::stream::{self, StreamExt, TryStreamExt};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{MAX_BATCH, MAX_CALLS, PlaceError, Queue};

/// Entries of a batch that SQS itself could not do are sent again, so often.
const ATTEMPTS: u32 = 4;
/// The delay before the first of them, which doubles.
const DELAY: Duration = Duration::from_millis(200);

/// A message that a batch could not be done for, by its position in the call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refused {
    pub(crate) position: usize,
    pub(crate) why: String,
}

impl Queue {
    /// Deletes messages by their receipts; returns those that are still there.
    pub(crate) async fn delete(&self, receipts: &[String]) -> Result<Vec<Refused>, PlaceError> {
        let entry = |receipt: &String| json!({"ReceiptHandle": receipt});
        self.batches("DeleteMessageBatch", "sqs:DeleteMessage", receipts, entry).await
    }

    /// Hides messages from now on for that time, or makes them visible at once; returns those that are no longer hidden.
    pub(crate) async fn hide(&self, receipts: &[String], time: Duration) -> Result<Vec<Refused>, PlaceError> {
        let entry = |receipt: &String| json!({"ReceiptHandle": receipt, "VisibilityTimeout": time.as_secs()});
        self.batches("ChangeMessageVisibilityBatch", "sqs:ChangeMessageVisibility", receipts, entry).await
    }

    async fn batches(
        &self,
        operation: &str,
        action: &'static str,
        receipts: &[String],
        entry: impl Fn(&String) -> Value,
    ) -> Result<Vec<Refused>, PlaceError> {
        let batches = receipts.chunks(MAX_BATCH).enumerate().map(|(number, batch)| {
            let entries = batch.iter().enumerate().map(|(position, receipt)| {
                let mut entry = entry(receipt);
                entry["Id"] = (number * MAX_BATCH + position).to_string().into();
                entry
            });
            self.batch(operation, action, entries.collect())
        });
        let batches: Vec<_> = batches.collect();
        let refused: Vec<Vec<Refused>> = stream::iter(batches).buffer_unordered(MAX_CALLS).try_collect().await?;
        Ok(refused.concat())
    }

    async fn batch(
        &self,
        operation: &str,
        action: &'static str,
        mut entries: Vec<Value>,
    ) -> Result<Vec<Refused>, PlaceError> {
        #[derive(Deserialize)]
        #[serde(rename_all = "PascalCase")]
        struct Failed {
            id: String,
            #[serde(default)]
            code: String,
            #[serde(default)]
            sender_fault: bool,
            message: Option<String>,
        }
        #[derive(Deserialize)]
        struct Answer {
            #[serde(rename = "Failed", default)]
            failed: Option<Vec<Failed>>,
        }
        let mut refused = Vec::new();
        for attempt in 1.. {
            let answer: Answer = self.call(operation, action, self.input(json!({"Entries": entries}))).await?;
            let failed = answer.failed.unwrap_or_default();
            let is_again = |failed: &&Failed| !failed.sender_fault || failed.code.contains("Throttl");
            let again: Vec<&str> = failed.iter().filter(is_again).map(|failed| failed.id.as_str()).collect();
            let is_last = again.is_empty() || attempt >= ATTEMPTS;
            refused.extend(failed.iter().filter(|failed| is_last || !is_again(failed)).map(|failed| Refused {
                position: failed.id.parse().unwrap_or(usize::MAX),
                why: match &failed.message {
                    Some(message) => format!("{}: {}", failed.code, message.trim_end_matches('.')),
                    None => failed.code.clone(),
                },
            }));
            if is_last {
                break;
            }
            entries.retain(|entry| entry["Id"].as_str().is_some_and(|id| again.contains(&id)));
            tokio::time::sleep(DELAY * 2_u32.pow(attempt - 1)).await;
        }
        Ok(refused)
    }
}
