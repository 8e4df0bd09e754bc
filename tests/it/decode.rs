//! The decoder: the same data model as `serde_dynamo`, everything checked, no value in an error.

pub(crate) mod arbitrary;
mod canary;
mod corpus;
mod differential;
mod errors;
mod malformed;
mod numbers;
mod reference;
mod shapes;
mod table;
mod types;
mod wider;

use std::collections::HashMap;
use std::fmt::Debug;

use lambda_streams::{DecodeError, from_image};
use serde::de::DeserializeOwned;
use serde_dynamo::AttributeValue;

use self::reference::Expected;

/// Decodes an item by this crate and by `serde_dynamo`; checks that they agree.
fn compare<T: DeserializeOwned + PartialEq + Debug>(json: &str) -> Result<Option<DecodeError>, String> {
    let item: HashMap<String, AttributeValue> =
        serde_json::from_str(json).map_err(|error| format!("the test's item is malformed: {error}"))?;
    let expected = Expected::<T>::of(&item);
    match from_image::<T>(json) {
        Ok(ours) if expected.admits(Some(&ours)) => Ok(None),
        Err(error) if expected.admits(None) && !error.is_malformed() => Ok(Some(error)),
        ours => Err(format!("{json}\n ours: {ours:?}\n expected: {expected:?}")),
    }
}
