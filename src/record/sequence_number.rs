//! Sequence numbers: opaque text, stored without an allocation because every record of a batch has one.

use std::fmt;

/// The longest sequence number that DynamoDB documents.
const MAX_DIGITS: usize = 40;

/// A record's place in its shard: opaque text of up to 40 decimal digits.
///
/// Real lengths vary (21, 25, 26 digits), so the order of the strings is not the order of the records, and 40 digits fit no integer type
/// ([AWS: StreamRecord](https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_streams_StreamRecord.html)). It deliberately has
/// no `Ord`, because most pairs of numbers say nothing: [`is_newer_than`](Self::is_newer_than) compares those of one item. Within a batch,
/// the order of the records is their position.
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
        // No early exit, so the compiler can check many bytes at once.
        let are_digits = text.bytes().fold(!text.is_empty(), |so_far, byte| so_far & byte.is_ascii_digit());
        are_digits.then_some(Self { digits, len: text.len() as u8 })
    }

    /// Whether this is the number of a later change than `other`. Both must be of one item in one stream.
    ///
    /// ```
    /// use lambda_streams::{HandlerError, Modify, SequenceNumber};
    /// # #[derive(serde::Deserialize)]
    /// # struct Order { id: String }
    /// # async fn last_seen(id: &str) -> Result<Option<String>, HandlerError> { Ok(None) }
    ///
    /// async fn index(change: Modify<Order>) -> Result<(), HandlerError> {
    ///     let seen = last_seen(&change.new.id).await?.as_deref().and_then(SequenceNumber::new);
    ///     if let (Some(number), Some(seen)) = (change.record.sequence_number(), seen)
    ///         && !number.is_newer_than(&seen)
    ///     {
    ///         return Ok(()); // The index has this change, or a later one.
    ///     }
    ///     // … write the item and its number, on the condition that the number is still `seen`.
    /// #   Ok(())
    /// }
    /// # let number = |text| SequenceNumber::new(text).expect("digits");
    /// # assert!(number("1000").is_newer_than(&number("999")));
    /// ```
    ///
    /// A handler that stores the number of the last change with what it writes can recognize and skip an older one, such as a dead letter that
    /// was put back. The numbers compare as numbers, however many digits and leading zeros they have.
    ///
    /// Compare only numbers of **one item** in **one stream**. Within a shard, AWS keeps an item's changes in the order of their numbers. That
    /// numbers also rise from a shard to its successors is observed, but AWS does not promise it. Numbers of two items say nothing, because the
    /// items may be in two shards. Numbers of two streams say nothing either: of two tables, of two replicas of a global table, or of one table
    /// whose stream was disabled in between. [`Record::stream_arn`](crate::Record::stream_arn) distinguishes streams.
    pub fn is_newer_than(&self, other: &Self) -> bool {
        let [ours, others] = [self, other].map(|number| number.as_str().trim_start_matches('0'));
        (ours.len(), ours) > (others.len(), others)
    }

    /// The number with leading zeros, 40 digits in all, for stores that compare text: such strings compare as the numbers do. DynamoDB's type
    /// `N` holds only 38 digits.
    ///
    /// ```
    /// # use lambda_streams::SequenceNumber;
    /// let number = SequenceNumber::new("999").expect("digits");
    /// assert_eq!(number.to_padded(), format!("{:0>40}", 999));
    /// ```
    pub fn to_padded(&self) -> String {
        format!("{:0>MAX_DIGITS$}", self.as_str())
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

    #[test]
    fn newer_numbers_are_higher() {
        let number = |text: &str| SequenceNumber::new(text).expect("digits");
        let forty_nines = "9".repeat(40);
        let ascending = ["0", "7", "10", "4421584500000000017450439091", &forty_nines];
        for (at, one) in ascending.iter().enumerate() {
            for (other_at, other) in ascending.iter().enumerate() {
                let padded = format!("{other:0>40}");
                for other in [*other, &padded] {
                    assert_eq!(number(one).is_newer_than(&number(other)), at > other_at, "{one} {other}");
                }
            }
        }
    }
}
