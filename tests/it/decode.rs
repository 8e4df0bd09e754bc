//! The decoder: the same data model as `serde_dynamo`, everything checked, no value in an error.

mod arbitrary;
mod canary;
mod corpus;
mod differential;
mod errors;
mod malformed;
mod table;
mod types;
mod wider;

use std::fmt::Debug;

use lambda_streams::{DecodeError, from_image};
use serde::de::DeserializeOwned;
use serde_dynamo::{Item, from_item};

/// Decodes an item by this crate and by `serde_dynamo`; checks that they agree.
fn compare<T: DeserializeOwned + PartialEq + Debug>(json: &str) -> Result<Option<DecodeError>, String> {
    let item: Item = serde_json::from_str(json).map_err(|error| format!("the test's item is malformed: {error}"))?;
    let theirs: Result<T, _> = from_item(item);
    match (from_image::<T>(json), theirs) {
        (Ok(ours), Ok(theirs)) if ours == theirs => Ok(None),
        (Err(error), Err(_)) if !error.is_malformed() => Ok(Some(error)),
        (ours, theirs) => Err(format!("{json}\n ours: {ours:?}\n theirs: {theirs:?}")),
    }
}
