//! The attributes of rows, and how they are read. What cannot be read is an error, never a guess.

use std::collections::HashMap;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use aws_sdk_dynamodb::types::AttributeValue;

use crate::idempotency::Mark;
use crate::record::SequenceNumber;

pub(crate) const KEY: &str = "key";
pub(crate) const EXPIRES: &str = "expires";
pub(super) const COMPLETED: &str = "completed";
pub(super) const PASSED: &str = "passed";
pub(super) const PASSED_AT: &str = "passed_at";
pub(crate) const APPLIED: &str = "applied";
pub(crate) const GUARDED: &str = "guarded";
pub(crate) const GUARDED_AT: &str = "guarded_at";
pub(super) const BEGAN: &str = "began";

pub(crate) type Row = HashMap<String, AttributeValue>;

pub(crate) fn text(text: &str) -> AttributeValue {
    AttributeValue::S(text.to_owned())
}

/// A time in seconds since 1970, as DynamoDB's time to live wants it.
pub(crate) fn seconds(time: SystemTime) -> AttributeValue {
    AttributeValue::N(since_1970(time).as_secs().to_string())
}

/// A time in milliseconds since 1970.
pub(crate) fn millis(time: SystemTime) -> AttributeValue {
    AttributeValue::N(since_1970(time).as_millis().to_string())
}

fn since_1970(time: SystemTime) -> Duration {
    time.duration_since(UNIX_EPOCH).unwrap_or_default()
}

/// The mark in an item's row.
///
/// # Errors
/// The name of the attribute that cannot be read.
pub(super) fn read_mark(row: &Row) -> Result<Mark, &'static str> {
    let mut mark = Mark {
        passed: read_number(row, PASSED)?,
        passed_created_at: read_time(row, PASSED_AT)?,
        applied: read_number(row, APPLIED)?,
    };
    mark.raise(&Mark {
        passed: read_number(row, GUARDED)?,
        passed_created_at: read_time(row, GUARDED_AT)?,
        applied: None,
    });
    Ok(mark)
}

/// A sequence number, without the zeros before it.
pub(crate) fn read_number(row: &Row, name: &'static str) -> Result<Option<SequenceNumber>, &'static str> {
    let Some(value) = row.get(name) else { return Ok(None) };
    let digits = value.as_s().map_err(|_| name)?;
    let without_zeros = digits.trim_start_matches('0');
    let number = SequenceNumber::new(digits).map(|padded| SequenceNumber::new(without_zeros).unwrap_or(padded));
    number.map(Some).ok_or(name)
}

/// A time in milliseconds since 1970.
pub(super) fn read_time(row: &Row, name: &'static str) -> Result<Option<SystemTime>, &'static str> {
    let Some(value) = row.get(name) else { return Ok(None) };
    let millis = value.as_n().ok().and_then(|millis| millis.parse().ok());
    let time = millis.and_then(|millis| UNIX_EPOCH.checked_add(Duration::from_millis(millis)));
    time.map(Some).ok_or(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn number(text: &str) -> Option<SequenceNumber> {
        SequenceNumber::new(text)
    }

    fn padded(digits: &str) -> AttributeValue {
        text(&number(digits).expect("digits").to_padded())
    }

    fn n(number: impl ToString) -> AttributeValue {
        AttributeValue::N(number.to_string())
    }

    fn row(attributes: &[(&str, AttributeValue)]) -> Row {
        attributes.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect()
    }

    #[test]
    fn passed_is_the_newer_of_the_processors_and_the_guards() {
        let at = |millis| Some(UNIX_EPOCH + Duration::from_millis(millis));
        let both = |passed, guarded| {
            read_mark(&row(&[
                (PASSED, padded(passed)),
                (PASSED_AT, n(1_500)),
                (GUARDED, padded(guarded)),
                (GUARDED_AT, n(2_500)),
                (APPLIED, padded("7")),
            ]))
        };
        let mark = |passed, passed_created_at| Ok(Mark { passed, passed_created_at, applied: number("7") });
        assert_eq!(both("10", "9"), mark(number("10"), at(1_500)));
        assert_eq!(both("9", "10"), mark(number("10"), at(2_500)));
        let guarded = row(&[(GUARDED, padded("3"))]);
        assert_eq!(read_mark(&guarded), Ok(Mark { passed: number("3"), ..Mark::default() }));
        assert_eq!(read_mark(&row(&[])), Ok(Mark::default()));
    }

    #[test]
    fn numbers_lose_the_zeros_before_them_and_keep_one() {
        for (digits, expected) in [("0", "0".repeat(40)), ("123", "123".to_owned()), ("00123", "123".to_owned())] {
            let read = read_number(&row(&[(PASSED, padded(digits))]), PASSED);
            assert_eq!(read, Ok(number(&expected)), "{digits}");
        }
    }

    #[test]
    fn what_cannot_be_read_is_named() {
        for (name, value) in [
            (PASSED, n(1)),
            (PASSED, text("")),
            (APPLIED, text("12x")),
            (APPLIED, text(&"1".repeat(41))),
            (GUARDED, AttributeValue::Null(true)),
            (PASSED_AT, text("1")),
            (GUARDED_AT, n(-1)),
            (GUARDED_AT, n("1e3")),
        ] {
            assert_eq!(read_mark(&row(&[(name, value.clone())])), Err(name), "{value:?}");
        }
    }
}
