//! Sequence numbers: opaque text, stored without an allocation because every record of a batch has one.

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
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct SequenceNumber {
    /// Padded with zeros.
    digits: [u8; MAX_DIGITS],
    len: u8,
}

impl SequenceNumber {
    /// Takes 1 to 40 decimal digits; `None` for anything else, because Lambda would not find it in its batch.
    pub fn new(text: &str) -> Option<Self> {
        let mut digits = [0; MAX_DIGITS];
        digits.get_mut(..text.len())?.copy_from_slice(text.as_bytes());
        // No early exit, so that the compiler can check many bytes at once.
        let are_digits = text.bytes().fold(!text.is_empty(), |so_far, byte| so_far & byte.is_ascii_digit());
        are_digits.then_some(Self { digits, len: text.len() as u8 })
    }

    /// Whether this number is shorter, or as long and lower. A sequence that only ever goes up like that has no duplicates.
    pub(crate) fn is_below(&self, other: &Self) -> bool {
        (self.len, self.digits) < (other.len, other.digits)
    }

    /// The digits.
    pub fn as_str(&self) -> &str {
        str::from_utf8(&self.digits[..usize::from(self.len)]).expect("digits are ASCII")
    }
}

impl fmt::Display for SequenceNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for SequenceNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_below_longer_and_higher_ones() {
        let number = |text| SequenceNumber::new(text).expect("digits");
        for (one, other, is_below) in
            [("7", "8", true), ("8", "7", false), ("7", "7", false), ("9", "10", true), ("10", "9", false)]
        {
            assert_eq!(number(one).is_below(&number(other)), is_below, "{one} {other}");
        }
    }
}
