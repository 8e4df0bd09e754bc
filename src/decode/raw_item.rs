//! Reads an item as it is, attribute value by attribute value, for code that works with those.

use super::cursor::Cursor;
use super::error::{DecodeError, ErrorImpl};

/// Reads an item into a type that consists of attribute values. It is checked as [`from_image`](super::from_image) does.
pub(crate) fn raw_item<I: From<serde_dynamo::Item>>(json: &str, member: &'static str) -> Result<I, DecodeError> {
    let item = read(json).map_err(|error| DecodeError::from(error).within(member))?;
    Ok(item.into())
}

fn read(json: &str) -> Result<serde_dynamo::Item, ErrorImpl> {
    let mut cursor = Cursor::new(json);
    cursor.skip_item()?;
    cursor.end()?;
    serde_json::from_str(json).map_err(|_| ErrorImpl::malformed("is not DynamoDB JSON"))
}
