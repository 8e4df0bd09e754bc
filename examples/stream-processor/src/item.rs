//! The item, as the table documents it.

use serde::Deserialize;

/// What every item of the table has; everything else in it is free.
#[derive(Debug, Deserialize)]
#[allow(dead_code, reason = "what nobody reads is still required: an item without it is refused")]
pub(crate) struct Item {
    /// The partition key.
    pub(crate) id: String,
    /// The sort key; any number that DynamoDB can hold.
    pub(crate) timestamp: f64,
    pub(crate) status: String,
}
