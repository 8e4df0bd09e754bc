//! The view of an item's primary key that a user's function gets: the key, and nothing else of the item.

use std::borrow::Cow;
use std::fmt;

use serde::de::Deserialize;

use super::error::{DecodeError, ErrorImpl};
use super::keys::{check_keys, key_names, key_value};

/// The primary key of an item, from which [`Lanes::by_keys`](crate::Lanes::by_keys) names a lane.
///
/// ```
/// use lambda_streams::Keys;
///
/// let keys = Keys::from_json(r#"{"pk": {"S": "TENANT#1"}, "sk": {"S": "AGG#42#EVT#7"}}"#)?;
/// assert_eq!(keys.text("pk")?, "TENANT#1");
/// assert!(keys.text("id").is_err(), "`id` is not a key attribute");
/// # Ok::<(), lambda_streams::DecodeError>(())
/// ```
#[derive(Clone, Copy)]
pub struct Keys<'a> {
    /// Well-formed.
    json: &'a str,
}

impl<'a> Keys<'a> {
    /// Reads the DynamoDB JSON of a key, such as [`Record::keys_json`](crate::Record::keys_json), for the test of a function of keys.
    ///
    /// # Errors
    /// If it is malformed: a key has at least one attribute, each of the type `S`, `N` or `B`.
    pub fn from_json(json: &'a str) -> Result<Self, DecodeError> {
        check_keys(json)?;
        Ok(Self { json })
    }

    /// The value of a key attribute of the type `S`. For other types there is [`decode`](Self::decode).
    ///
    /// # Errors
    /// If the key does not have the attribute, or the attribute has another type.
    pub fn text(&self, name: &str) -> Result<Cow<'a, str>, DecodeError> {
        let error = match key_value(self.json, name)? {
            Some(value) => match value.into_text() {
                Ok(text) => return Ok(text),
                Err(found) => ErrorImpl::wrong_type(&"a string", found),
            },
            None => ErrorImpl::no_key_attribute(),
        };
        Err(DecodeError::from(error.at_name(name)))
    }

    /// Decodes the whole key into your own type, as [`from_keys`](crate::from_keys) does.
    ///
    /// ```
    /// use lambda_streams::Keys;
    ///
    /// #[derive(serde::Deserialize)]
    /// struct Key { tenant: String, number: u64 }
    ///
    /// let key: Key = Keys::from_json(r#"{"tenant": {"S": "T1"}, "number": {"N": "7"}}"#)?.decode()?;
    /// assert_eq!((key.tenant.as_str(), key.number), ("T1", 7));
    /// # Ok::<(), lambda_streams::DecodeError>(())
    /// ```
    ///
    /// # Errors
    /// If the key does not fit the type.
    pub fn decode<T: Deserialize<'a>>(&self) -> Result<T, DecodeError> {
        super::from_image(self.json)
    }
}

/// Shows the names, never the values.
impl fmt::Debug for Keys<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(key_names(self.json)).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_text_is_text() {
        let keys = Keys::from_json(r#"{"pk":{"S":"a\u0062"},"sk":{"N":"12"},"b":{"B":"Zm9v"}}"#);
        let keys = keys.unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(keys.text("pk").as_deref(), Ok("ab"));
        let why = |name| keys.text(name).expect_err(name).within("Keys").to_string();
        assert_eq!(why("sk"), "attribute `Keys.sk`: wanted a string, found N");
        assert_eq!(why("b"), "attribute `Keys.b`: wanted a string, found B");
        assert_eq!(why("id"), "attribute `Keys.id`: the item's primary key does not have this attribute");
    }

    #[test]
    fn other_types_are_decoded() {
        let keys = Keys::from_json(r#"{"pk":{"S":"a"},"sk":{"N":"12"}}"#).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(keys.decode::<(&str, u8)>().map_err(|error| error.is_malformed()), Err(false));
        let decoded = keys.decode::<std::collections::BTreeMap<String, serde_json::Value>>();
        assert!(decoded.is_ok_and(|all| all["sk"] == 12 && all["pk"] == "a"));
    }

    #[test]
    fn what_is_not_a_key_is_refused_and_no_value_is_shown() {
        for json in ["", "{}", r#"{"a":{"M":{}}}"#] {
            assert!(Keys::from_json(json).is_err_and(|error| error.is_malformed()), "{json}");
        }
        let keys = Keys::from_json(r#"{"sk":{"N":"12"},"pk":{"S":"secret"}}"#).expect("a key");
        assert_eq!(format!("{keys:?}"), r#"{"sk", "pk"}"#);
    }
}
