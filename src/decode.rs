//! DynamoDB JSON into the user's type: one cursor over the text, without an attribute tree in between.

mod access;
mod changed;
mod compare;
mod cursor;
mod elements;
mod error;
mod key;
mod keys;
mod names;
mod number;
mod skip;
mod value;

use std::marker::PhantomData;

use serde::de::Deserialize;

pub use self::changed::ChangedAttributes;
pub use self::error::{AttributeType, DecodeError};

pub(crate) use self::compare::changed_attributes;
pub(crate) use self::keys::{KeyValue, are_same_keys, canonical_keys, check_keys, hash_keys, key_value};

use self::cursor::Cursor;

/// Decodes an item, the DynamoDB JSON object of its attributes, into a type of yours.
///
/// The data model is that of [`serde_dynamo`](https://docs.rs/serde_dynamo/4): an item is a map, `S` is text, `N` a
/// number, `B` bytes ([`serde_bytes`](https://docs.rs/serde_bytes)), `M` a struct or a map, `L` and the three sets are
/// sequences, `NULL` is `None` or `()`, and enums are read from `S` or from an `M` of one attribute. Attributes that
/// the type does not have are ignored. Three things go further: `u128` and `i128` are read from `N`; text without
/// escapes can be borrowed (`&str`); and a number has digits around its point and no leading `+`.
///
/// The whole item is checked, also what the type ignores: each value has exactly one known type, numbers are decimal,
/// binary is strict standard base64, no attribute occurs twice, and values are nested at most 32 levels deep, the
/// [limit of DynamoDB](https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Constraints.html).
///
/// # Errors
/// If the item is malformed, or does not fit the type. The error says where and what was wanted, and never contains a
/// value of the item.
///
/// ```
/// #[derive(serde::Deserialize)]
/// struct Order {
///     id: String,
///     total: u32,
/// }
///
/// let order: Order = lambda_streams::from_image(r#"{"id": {"S": "a"}, "total": {"N": "42"}}"#)?;
/// assert_eq!((order.id.as_str(), order.total), ("a", 42));
///
/// let error = lambda_streams::from_image::<Order>(r#"{"id": {"S": "a"}, "total": {"S": "many"}}"#).err();
/// assert_eq!(error.expect("text is no u32").to_string(), "attribute `total`: wanted u32, found S");
/// # Ok::<(), lambda_streams::DecodeError>(())
/// ```
pub fn from_image<'de, T: Deserialize<'de>>(json: &'de str) -> Result<T, DecodeError> {
    from_member(json, None)
}

/// The same for a member of a record, which an error then tells.
#[inline]
pub(crate) fn from_member<'de, T: Deserialize<'de>>(
    json: &'de str,
    member: Option<&'static str>,
) -> Result<T, DecodeError> {
    let mut cursor = Cursor::new(json);
    // One place for the result, so that a large one is not moved on its way.
    let mut item = cursor.item(PhantomData);
    if item.is_ok()
        && let Err(fault) = cursor.end()
    {
        item = Err(fault);
    }
    item.map_err(|fault| match member {
        Some(member) => DecodeError::from(fault).within(member),
        None => fault.into(),
    })
}

/// Decodes an item's primary key, the DynamoDB JSON object of its key attributes.
///
/// Like [`from_image`], for a key: at least one attribute, each of the type `S`, `N` or `B`.
///
/// # Errors
/// If the key is malformed, or does not fit the type.
///
/// ```
/// #[derive(serde::Deserialize)]
/// struct Key {
///     id: String,
/// }
///
/// let key: Key = lambda_streams::from_keys(r#"{"id": {"S": "a"}}"#)?;
/// assert_eq!(key.id, "a");
/// assert!(lambda_streams::from_keys::<Key>(r#"{"id": {"BOOL": true}}"#).is_err());
/// # Ok::<(), lambda_streams::DecodeError>(())
/// ```
pub fn from_keys<'de, T: Deserialize<'de>>(json: &'de str) -> Result<T, DecodeError> {
    check_keys(json)?;
    from_image(json)
}

/// Checks that an item is well-formed in every attribute: the same check that [`from_image`] does on its way.
pub(crate) fn check(json: &str) -> Result<(), DecodeError> {
    let mut cursor = Cursor::new(json);
    cursor.skip_item()?;
    cursor.end()?;
    Ok(())
}
