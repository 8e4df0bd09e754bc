use std::fmt;

/// The longest sequence number that DynamoDB documents.
const MAX_DIGITS: usize = 40;

/// A record's place in its shard: opaque text of up to 40 decimal digits.
///
/// It has no `Ord` on purpose: real lengths vary (21, 25, 26 digits), so the order of texts is not the order of
/// records, and 40 digits fit no integer type. Within a batch the order of records is their position
/// ([AWS: StreamRecord](https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_streams_StreamRecord.html)).
///
/// ```
/// use lambda_streams::SequenceNumber;
///
/// let number = SequenceNumber::new("4421584500000000017450439091").expect("digits");
/// assert_eq!(number.as_str(), "4421584500000000017450439091");
/// assert!(SequenceNumber::new("").is_none());
/// ```
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct SequenceNumber(Box<str>);

impl SequenceNumber {
    /// Takes 1 to 40 decimal digits; `None` for anything else, which Lambda could not find in its batch.
    pub fn new(text: &str) -> Option<Self> {
        let usable = (1..=MAX_DIGITS).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
        usable.then(|| Self(text.into()))
    }

    /// The digits.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for SequenceNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for SequenceNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
