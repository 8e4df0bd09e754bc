//! The keys of a store: the consumer's name, a kind, and a hash of 128 bits over everything that makes the key.
//!
//! Invariant: a collision would skip a record silently, and anyone who writes to the table can choose the keys of items. So the hash is
//! SHA-256 over parts with their lengths, never one whose collisions can be made at will.

use std::fmt;
use std::sync::Arc;

use sha2::{Digest as _, Sha256};

use crate::decode::{self, DecodeError};
use crate::record::{RecordRef, SequenceNumber};

/// The first half of a SHA-256 hash.
pub(super) type Digest = [u8; 16];

/// The version of what is hashed. It changes if a part is added or spelled in another way.
const VERSION: &str = "1";

/// Hashes strings, each with its length before it.
pub(super) fn digest<'a>(parts: impl IntoIterator<Item = &'a str>) -> Digest {
    let mut hash = Sha256::new();
    for part in [VERSION].into_iter().chain(parts) {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part);
    }
    let hash: [u8; 32] = hash.finalize().into();
    let [first, _] = hash.as_chunks::<16>().0 else { unreachable!("two chunks of 16 bytes") };
    *first
}

/// The key of a row in an [`IdempotencyStore`](crate::IdempotencyStore).
///
/// Its text is the consumer's name, the kind of row, and 32 hexadecimal digits: `order-totals#item#9f86d081884c7d659a2feaa0c55ad015`. The
/// digits are a SHA-256 hash, cut to 128 bits, of the consumer, the stream, and the item, checkpoint or record. No key of an item can be
/// read from it.
///
/// ```
/// use lambda_streams::StoreKey;
///
/// let key = StoreKey::from_text("orders#item#9f86d081884c7d659a2feaa0c55ad015");
/// assert_eq!(key.as_str().split('#').next(), Some("orders"));
/// ```
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct StoreKey(Arc<str>);

impl StoreKey {
    /// A key with this text, for the tests of your own store. In production the processor makes the keys.
    ///
    /// ```
    /// use lambda_streams::StoreKey;
    ///
    /// let key = StoreKey::from_text("orders#item#9f86d081884c7d659a2feaa0c55ad015");
    /// assert_eq!(key.as_str(), "orders#item#9f86d081884c7d659a2feaa0c55ad015");
    /// ```
    pub fn from_text(text: &str) -> Self {
        Self(text.into())
    }

    /// The key as text, under which a store keeps the row.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// What is done after this record of a stream.
    pub(crate) fn of_checkpoint(consumer: &str, stream: &str, number: &SequenceNumber) -> Self {
        Self::new(consumer, "checkpoint", &[stream, number.as_str()])
    }

    /// The mark of a record's item; `None` where the record does not name its stream.
    ///
    /// # Errors
    /// If the keys cannot be read.
    pub(crate) fn of_item(consumer: &str, record: &RecordRef) -> Result<Option<Self>, DecodeError> {
        let (Some(stream), Some(keys)) = (record.stream_arn(), record.keys_json()) else { return Ok(None) };
        let keys = decode::canonical_keys(keys)?;
        let attributes = keys.attributes().flat_map(|(name, value)| [name, value]);
        let parts: Vec<&str> = [stream].into_iter().chain(attributes).collect();
        Ok(Some(Self::new(consumer, "item", &parts)))
    }

    /// When the marks of a stream began.
    pub(crate) fn of_stream(consumer: &str, stream: &str) -> Self {
        Self::new(consumer, "stream", &[stream])
    }

    /// One record.
    #[cfg(any(test, feature = "dynamodb"))]
    pub(crate) fn of_record(consumer: &str, record: &RecordRef) -> Self {
        Self::new(consumer, "record", &[record.stream_arn().unwrap_or_default(), &record.idempotency_key()])
    }

    fn new(consumer: &str, kind: &str, parts: &[&str]) -> Self {
        let digest = digest([consumer, kind].into_iter().chain(parts.iter().copied()));
        Self(format!("{consumer}#{kind}#{:032x}", u128::from_be_bytes(digest)).into())
    }
}

impl fmt::Display for StoreKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for StoreKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(stream: &str, keys: &str) -> RecordRef {
        RecordRef::of_text(format!(
            r#"{{"eventID":"e","eventName":"REMOVE","eventSource":"aws:dynamodb","eventSourceARN":"{stream}",
                "dynamodb":{{"Keys":{keys},"SequenceNumber":"1"}}}}"#
        ))
    }

    fn item(consumer: &str, stream: &str, keys: &str) -> StoreKey {
        StoreKey::of_item(consumer, &record(stream, keys)).expect("well-formed").expect("the stream is named")
    }

    #[test]
    fn an_item_has_one_key_however_its_record_spells_it() {
        let key = item("c", "arn", r#"{"a":{"N":"1"},"b":{"S":"x"}}"#);
        assert_eq!(key, item("c", "arn", r#"{"b": {"S":"\u0078"}, "a":{"N":"1.0"}}"#));
        assert_eq!(key.as_str().len(), "c#item#".len() + 32);
    }

    #[test]
    fn different_items_streams_and_consumers_have_different_keys() {
        let keys = [
            item("c", "arn", r#"{"a":{"S":"1"}}"#),
            item("c", "arn", r#"{"a":{"N":"1"}}"#),
            item("c", "arn", r#"{"a":{"S":"1b"}}"#),
            item("c", "arn", r#"{"a":{"S":"1"},"b":{"S":""}}"#),
            item("c", "arm", r#"{"a":{"S":"1"}}"#),
            item("d", "arn", r#"{"a":{"S":"1"}}"#),
            StoreKey::of_stream("c", "arn"),
            StoreKey::of_checkpoint("c", "arn", &SequenceNumber::new("1").expect("digits")),
            StoreKey::of_checkpoint("c", "arn", &SequenceNumber::new("2").expect("digits")),
            StoreKey::of_record("c", &record("arn", r#"{"a":{"S":"1"}}"#)),
        ];
        let distinct: std::collections::BTreeSet<_> = keys.iter().collect();
        assert_eq!(distinct.len(), keys.len());
    }

    #[test]
    fn parts_do_not_run_into_each_other() {
        assert_ne!(digest(["ab", "c"]), digest(["a", "bc"]));
        assert_ne!(digest(["a", ""]), digest(["a"]));
    }

    /// Rows that are in somebody's table keep their keys.
    #[test]
    fn the_keys_do_not_change() {
        assert_eq!(
            item("orders", "arn", r#"{"id":{"S":"a"}}"#).as_str(),
            "orders#item#fb08250ed18d5b1c604abee09fc150cb"
        );
    }
}
