//! Decodes DynamoDB JSON into the user's type in one pass over the text, without a tree of attribute values in between.
//!
//! Invariant: the whole item is checked, whatever the type asks for. A malformed item never decodes.

mod attribute;
mod attribute_map;
mod attribute_name;
mod attribute_value;
mod changed;
mod compare;
mod cursor;
mod decimal;
mod elements;
mod error;
mod item_keys;
mod keys;
mod locate;
pub mod number;
#[cfg(feature = "serde_dynamo")]
mod raw_item;
mod rounded;
mod seen_names;
#[cfg(test)]
mod shortcuts;
mod skip;
mod type_tag;

use std::marker::PhantomData;

use serde::de::Deserialize;

pub use self::changed::ChangedAttributes;
pub use self::error::{AttributeType, DecodeError};
pub use self::item_keys::Keys;
pub use self::number::{Number, NumberError};

pub(crate) use self::attribute::{is_same_attribute, scalar_attribute};
pub(crate) use self::compare::changed_attributes;
pub(crate) use self::keys::{
    KeyValue, are_same_keys, canonical_keys, check_keys, find_key_value, hash_keys, key_value,
};
#[cfg(feature = "serde_dynamo")]
pub(crate) use self::raw_item::raw_item;

use self::cursor::Cursor;

/// Decodes an item, the DynamoDB JSON object of its attributes, into your own type.
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
/// assert_eq!(error.expect("text is not a u32").to_string(), "attribute `total`: wanted u32, found S");
/// # Ok::<(), lambda_streams::DecodeError>(())
/// ```
///
/// For prices and other numbers whose digits all count, use [`number`] or [`Number`]: serde's own types hold 16 digits of a fraction, and
/// DynamoDB keeps 38.
///
/// The data model is that of [`serde_dynamo`](https://docs.rs/serde_dynamo/4): an item is a map, `S` is a string, `N` a
/// number, `B` bytes ([`serde_bytes`](https://docs.rs/serde_bytes)), `M` a struct or a map, `L` and the three sets are
/// sequences, `NULL` is `None` or `()`, and enums are decoded from `S` or from an `M` of one attribute. Attributes that the
/// type does not have are ignored. These are the differences:
///
/// | what | here | `serde_dynamo` |
/// |---|---|---|
/// | `u128`, `i128` | decoded from `N`; not where serde buffers, and there [`number`] does it | refused |
/// | a whole number as `1.0`, `1.5E2`, `-0` or `+5` | an integer, also for a type that takes any value | only `00042` and `+5` are integers |
/// | a number that neither `i64`, `u64` nor `f64` holds, for a type that takes any value | its text | the nearest `f64` |
/// | `.5`, `1.`, `inf` in an `N` | malformed | an `f64` |
/// | elements of a set | decoded like those of a list: also newtypes, options and enums, but never bytes as a string or a string as bytes | only strings, numbers and bytes; bytes as a string and a string as bytes |
/// | `&str`, `&[u8]` | never; the error says to use `String` or `Cow<str>`, `Vec<u8>` or `Cow<[u8]>` | never |
///
/// # Where serde buffers
///
/// serde reads the content of `#[serde(flatten)]`, and of enums with `tag` or `untagged`, into a buffer whose numbers have 64 bits. Types
/// that take any value, such as `serde_json::Value`, do the same. A number that would lose digits there is passed on as text. So a copy of
/// the item keeps all of its digits; an error would stop the record for a field that perhaps does not matter, and a rounded number would go
/// unnoticed.
///
/// [`Number`] and [`number`] read that text as the number that it is. A field of the type `f64` or `f32` gets the nearest value, as
/// everywhere, with three exceptions: a variant of an untagged enum is chosen by what it holds exactly, a flattened `Option` of a struct
/// is `None`, and only the first 32 such numbers of an item are rounded. In these cases, give the field a type that holds the number.
///
/// An error in a buffered part names the attribute if serde says which value was refused, and only one attribute has that value; of up to
/// eight candidates, it finds out which one it is. Otherwise the path ends at the part, and the message says *inside*. A missing field of a
/// type in such a part is reported for the part as a whole, and so is a value that a type refuses with its own message.
///
/// # What is checked
///
/// The whole item is checked, also the attributes that the type ignores: each value has exactly one known type, numbers are
/// decimal, binary is strict standard base64, no attribute occurs twice, and values are nested at most 32 levels deep, the
/// [limit of DynamoDB](https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Constraints.html).
///
/// # Errors
/// If the item is malformed, or does not fit the type. The error says where the fault is and what the type wanted, and never contains a
/// value of the item.
pub fn from_image<'de, T: Deserialize<'de>>(json: &'de str) -> Result<T, DecodeError> {
    from_member(json, None)
}

/// The same for a member of a record, which an error then names.
#[inline]
pub(crate) fn from_member<'de, T: Deserialize<'de>>(
    json: &'de str,
    member: Option<&'static str>,
) -> Result<T, DecodeError> {
    let mut cursor = Cursor::new(json);
    // The result is changed in place, so a large one is not moved.
    let mut item;
    loop {
        item = cursor.item(PhantomData);
        if item.is_ok() && cursor.trial.is_none() || !cursor.decodes_again(&mut item) {
            break;
        }
    }
    if item.is_ok()
        && let Err(error) = cursor.end()
    {
        item = Err(error);
    }
    item.map_err(|error| match member {
        Some(member) => DecodeError::from(error).within(member),
        None => error.into(),
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

/// Checks that an item is well-formed in every attribute, as [`from_image`] does.
pub(crate) fn check(json: &str) -> Result<(), DecodeError> {
    let mut cursor = Cursor::new(json);
    cursor.skip_item()?;
    cursor.end()?;
    Ok(())
}
