//! The items of the table.

use serde::{Deserialize, Serialize};

/// An order, as it is in the table. Attributes that have no field here are ignored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Order {
    /// The partition key.
    pub(crate) id: String,
    pub(crate) customer: String,
    pub(crate) status: String,
    /// In cents.
    pub(crate) total: u64,
}
